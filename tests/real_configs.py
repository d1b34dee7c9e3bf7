"""Configuration files of published models, shrunk and run.

    real_configs.py PITH DIRECTORY [NAME]...

Every directory within DIRECTORY (or those named) is shrunk by shrink_config.py and converted. One of a
supported family must convert and run, with the logits of golden/pith_reference.py; any other must be
refused by the name of what is not supported. Encoders are left to real_encoders.py. Prints a
line for each, fails when one does not do what it should.
"""

import json
import os
import sys
import tempfile

import numpy as np

from real_encoders import is_encoder
import shrink_config
from shrink_config import read_json

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import families  # noqa: E402
from command import Pith  # noqa: E402
from pith_reference import Model  # noqa: E402

IDS = [5, 270, 17, 5, 99, 262, 41, 7]
LIMIT = 5e-4


def refusal(source, decoder):
    """What the message must name, or None for a model that must run."""
    config = read_json(source, "config.json", {})
    if not decoder:
        return (config.get("architectures") or [config.get("model_type")])[0]
    return "embedding model" if os.path.exists(os.path.join(source, "modules.json")) else None


def end_tokens(source):
    """Those that end a generation: generation_config.json goes first, ids of no token do not count."""
    config = read_json(source, "config.json", {})
    ends = read_json(source, "generation_config.json", {}).get("eos_token_id")
    if ends is None:
        ends = families.unwrap(config).get("eos_token_id",
                                           families.EOS.get(families.kind_of(config)))
    ends = ends if isinstance(ends, list) else [ends]
    return [i for i in ends if i is not None and 0 <= i < families.of(config).vocab]


def check_decoder(pith, small, model, scratch):
    found = json.loads(pith.run("inspect", model, "--json"))["eos"]
    if found != end_tokens(small):
        raise RuntimeError(f"the end tokens are {found}, not {end_tokens(small)}")
    pith.run("run", model, "-p", "hello", "-n", "4", "--temp", "0", "--ignore-eos", "-c", "64")
    found = pith.logits(model, IDS, os.path.join(scratch, "logits.npy"), "--blas", "off")
    expected, _ = Model.load(small).forward(IDS)
    difference = np.abs(found - expected).max()
    if not difference <= LIMIT:
        raise RuntimeError(f"the logits differ by {difference:.2g}")
    return f"runs, logits within {difference:.1e}"


def refuse(pith, small, model, word):
    try:
        pith.convert(small, model, "f32")
    except RuntimeError as error:
        if word not in str(error):
            raise
        return
    raise RuntimeError(f"converts, but should be refused for {word}")


def check(pith, source, scratch):
    """What happened, in words; raises when that is not what should."""
    small = os.path.join(scratch, "small")
    model = os.path.join(scratch, "small.pith")
    if is_encoder(source):
        return "an encoder, left out"
    word = refusal(source, shrink_config.make(source, small))
    if word is not None:
        refuse(pith, small, model, word)
        return f"refused: {word}"
    config = read_json(small, "config.json", {})
    if not shrink_config.is_mxfp4(config) and config.pop("quantization_config", None) is not None:
        refuse(pith, small, model, "already quantised")
        with open(os.path.join(small, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
    pith.convert(small, model, "f32")
    return check_decoder(pith, small, model, scratch)


def main():
    pith, root = Pith(sys.argv[1]), sys.argv[2]
    names = sys.argv[3:] or sorted(os.listdir(root))
    failed = 0
    for name in names:
        source = os.path.join(root, name)
        if not os.path.isdir(source):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            try:
                print(f"{name:40} {check(pith, source, scratch)}", flush=True)
            except (RuntimeError, KeyError) as error:
                failed += 1
                print(f"{name:40} FAILED: {error}", flush=True)
    print(f"{failed} failed" if failed else "all as they should be")
    return 1 if failed else 0


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    sys.exit(main())
