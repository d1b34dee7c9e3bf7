"""pith with quantised weights against numpy reading the same .pith file: two implementations of the
packed layout, of activation rounding and of the f16 cache.

Where every activation rounds to the same code the two agree to the last digits (mean KL 1e-12). But
their float sums differ in the last bit, so now and then a value between two codes goes the other
way; that is a step of 1/127 of the largest value, which flips more codes in the layers and tokens
after it, until the two are as far apart as two roundings of the same model. So KL(pith || numpy) is
held to 1e-3 on short sequences, where flips are rare: the prompts of up to 33 tokens, and the long
one in pieces of 16. The long prompt as a whole (130 tokens) is held to 5e-3.

    python3 golden/check_emulation.py [build/pith] [--types f16,bf16,int8,int4]
"""

import argparse
import os
import sys
import tempfile

import numpy as np

from check_reference import HERE, directories
from command import Pith
from pith_reference import Model, kl_divergence

LIMIT_SHORT = 1e-3
LIMIT_LONG = 5e-3
PIECE = 16


class Comparison:
    """One .pith file, evaluated by both."""

    def __init__(self, pith, directory, type_, scratch):
        self.pith = pith
        self.path = os.path.join(scratch, "model.pith")
        self.out = os.path.join(scratch, "logits.npy")
        pith.convert(directory, self.path, type_)
        self.model = Model.from_pith(directory, self.path)

    def kl(self, sequences):
        """Mean KL(pith || numpy) over all positions of all sequences."""
        kl = []
        for ids in sequences:
            theirs = self.pith.logits(self.path, ids, self.out)
            kl.append(kl_divergence(theirs, self.model.forward(ids)[0]))
        return np.concatenate(kl).mean()


def check(pith, directory, type_, scratch):
    """Mean KL on short sequences and on the long prompt."""
    expected = np.load(os.path.join(directory, "expected.npz"))
    prompts = [expected[f"ids_{i}"] for i in range(4)]
    pieces = [prompts[3][i : i + PIECE] for i in range(0, len(prompts[3]), PIECE)]
    comparison = Comparison(pith, directory, type_, scratch)
    return comparison.kl(prompts[:3] + pieces), comparison.kl(prompts[3:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pith", nargs="?", default="build/pith", help="the command (build/pith)")
    parser.add_argument("--types", default="f16,bf16,int8,int4")
    arguments = parser.parse_args()
    pith = Pith(arguments.pith)
    failed = 0
    print(f"{'mean KL(pith || numpy)':22} {'type':5} {'short':>9} {'long':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in directories():
            for type_ in arguments.types.split(","):
                short, long = check(pith, os.path.join(HERE, name), type_, scratch)
                bad = not (short <= LIMIT_SHORT and long <= LIMIT_LONG)
                failed += bad
                print(f"{name:22} {type_:5} {short:9.2e} {long:9.2e}" + ("  FAILED" if bad else ""),
                      flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
