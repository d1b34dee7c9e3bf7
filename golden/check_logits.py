"""The command on every reference checkpoint, converted to f32: prints the largest absolute difference
of its logits from the expected ones, of all positions of all prompts, without OpenBLAS and with it
(where it is installed), and how many greedy tokens are others where the margin is above 0.02; fails
beyond 5e-4 and for any such token.

    python3 golden/check_logits.py [build/pith [DIRECTORY]...]

Other checkpoints with an expected.npz of the same keys may be named.
"""

import os
import sys
import tempfile

import numpy as np

import families
from check_reference import HERE, LIMIT, directories
from command import Pith

MARGIN = 0.02


def check(pith, directory, scratch, *options):
    """The largest difference, and the number of wrong tokens."""
    model = os.path.join(scratch, directory.strip("/").replace("/", "-") + ".pith")
    if not os.path.exists(model):
        pith.convert(os.path.join(HERE, directory), model, "f32")
    expected = np.load(os.path.join(HERE, directory, "expected.npz"))
    config = families.read(os.path.join(HERE, directory))
    most = config.max_positions if config.rope["kind"] == "dynamic" else sys.maxsize
    largest, wrong = 0.0, 0
    for i in range(sum(key.startswith("ids_") for key in expected.files)):
        ids = expected[f"ids_{i}"]
        if len(ids) > most:
            continue  # refused: beyond the original length of dynamic RoPE every key would turn anew
        greedy = expected.get(f"greedy_{i}", np.array([], np.int32))
        logits = pith.logits(model, np.concatenate([ids, greedy[:-1]]),
                             os.path.join(scratch, "logits.npy"), *options)
        difference = np.abs(logits[expected[f"positions_{i}"]] - expected[f"logits_{i}"])
        largest = max(largest, difference.max())
        if len(greedy) > 0:
            other = logits[len(ids) - 1 :].argmax(axis=-1) != greedy
            wrong += int((other & (expected[f"greedy_margin_{i}"] > MARGIN)).sum())
    return largest, wrong


def main():
    pith = Pith(sys.argv[1] if len(sys.argv) > 1 else "build/pith")
    failed = 0
    worst = {}
    print(f"{'checkpoint':20} {'reference':12} {'BLAS off':>9} {'BLAS':>9} {'wrong':>6}")
    with tempfile.TemporaryDirectory() as scratch:
        for directory in [os.path.abspath(name) for name in sys.argv[2:]] or directories():
            name = os.path.basename(directory) if os.path.isabs(directory) else directory
            source = "numpy" if directory.startswith("extra/") else "transformers"
            results = [check(pith, directory, scratch, "--blas", "off"),
                       check(pith, directory, scratch)]
            found = [largest for largest, _ in results]
            wrong = sum(n for _, n in results)
            bad = max(found) > LIMIT or wrong > 0
            failed += bad
            worst[source] = max(worst.get(source, 0.0), *found)
            print(f"{name:20} {source:12} {found[0]:9.2e} {found[1]:9.2e} "
                  f"{wrong:6}" +
                  ("  FAILED" if bad else ""))
    for source, largest in worst.items():
        print(f"pith's f32 logits differ from those of {source} by at most {largest:.2e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
