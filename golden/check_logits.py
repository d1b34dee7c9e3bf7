"""The command on every reference checkpoint, converted to f32: prints the largest absolute difference
of its logits from the expected ones, of all positions of all prompts, without OpenBLAS and with it
(where it is installed); fails beyond 5e-4.

    python3 golden/check_logits.py [build/pith]
"""

import os
import sys
import tempfile

import numpy as np

from check_reference import HERE, LIMIT, REFERENCE, directories
from command import Pith


def check(pith, directory, scratch, *options):
    """The largest difference."""
    model = os.path.join(scratch, directory.replace("/", "-") + ".pith")
    if not os.path.exists(model):
        pith.convert(os.path.join(HERE, directory), model, "f32")
    expected = np.load(os.path.join(HERE, directory, "expected.npz"))
    largest = 0.0
    for i in range(sum(key.startswith("ids_") for key in expected.files)):
        logits = pith.logits(model, expected[f"ids_{i}"], os.path.join(scratch, "logits.npy"),
                             *options)
        difference = np.abs(logits[expected[f"positions_{i}"]] - expected[f"logits_{i}"])
        largest = max(largest, difference.max())
    return largest


def main():
    pith = Pith(sys.argv[1] if len(sys.argv) > 1 else "build/pith")
    failed = 0
    worst = {}
    print(f"{'checkpoint':20} {'reference':12} {'BLAS off':>9} {'BLAS':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        for directory in directories():
            source = "transformers" if directory in REFERENCE else "numpy"
            found = [check(pith, directory, scratch, "--blas", "off"),
                     check(pith, directory, scratch)]
            bad = max(found) > LIMIT
            failed += bad
            worst[source] = max(worst.get(source, 0.0), *found)
            print(f"{directory:20} {source:12} {found[0]:9.2e} {found[1]:9.2e}" +
                  ("  FAILED" if bad else ""))
    for source, largest in worst.items():
        print(f"pith's f32 logits differ from those of {source} by at most {largest:.2e}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
