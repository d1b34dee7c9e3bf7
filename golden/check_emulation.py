"""pith with quantised weights against numpy reading the same .pith file: two implementations of the
packed layout, of activation rounding and of the f16 cache.

Where every activation rounds to the same code the two agree to the last digits (mean KL 1e-12). But
their float sums differ in the last bit, so now and then a value between two codes goes the other
way; that is a step of 1/127 of the largest value, which flips more codes in the layers and tokens
after it, until the two are as far apart as two roundings of the same model. So KL(pith || numpy) is
held to 1e-3 on short sequences, where flips are rare: the prompts of up to 33 tokens, and the long
one in pieces of 16. The long prompt as a whole (130 tokens) is held to 5e-3.

    python3 golden/check_emulation.py [build/pith] [--types f16,bf16,int8,int4]
    python3 golden/check_emulation.py build/pith --families DIR [NAME ...] [--types int8,int4]

With --families: every checkpoint within DIR (or those named) of a family that families.py knows, with
an expected.npz of larger ones (four layers, prompts of up to 300 tokens); their mean KL over the stored
positions of all prompts is held to 1.5e-3, and the logits must be the same bit for bit on every
instruction set, with 1 and 3 threads and in chunks of 1, 7 and 64 tokens. Run by hand.
"""

import argparse
import os
import sys
import tempfile

import numpy as np

import containers
import families
from check_reference import HERE, directories
from command import Pith
from pith_reference import Model, kl_divergence

LIMIT_SHORT = 1e-3
LIMIT_LONG = 5e-3
LIMIT_FAMILIES = 1.5e-3
PIECE = 16
INSTRUCTION_SETS = ("scalar", "avx2", "avx-vnni", "avx512", "avx512-vnni", "amx-int8",
                    "neon", "neon-dot", "neon-i8mm")


class Comparison:
    """One .pith file, evaluated by both."""

    def __init__(self, pith, directory, type_, scratch):
        self.pith = pith
        self.path = os.path.join(scratch, "model.pith")
        self.out = os.path.join(scratch, "logits.npy")
        pith.convert(directory, self.path, type_)
        self.model = Model.from_pith(directory, self.path)

    def logits(self, ids, *options):
        return self.pith.logits(self.path, ids, self.out, *options)

    def kl(self, sequences):
        """Mean KL(pith || numpy) over all positions of all sequences."""
        kl = []
        for ids in sequences:
            kl.append(kl_divergence(self.logits(ids), self.model.forward(ids)[0]))
        return np.concatenate(kl).mean()


def check(pith, directory, type_, scratch):
    """Mean KL on short sequences and on the long prompt."""
    expected = np.load(os.path.join(directory, "expected.npz"))
    prompts = [expected[f"ids_{i}"] for i in range(4)]
    pieces = [prompts[3][i : i + PIECE] for i in range(0, len(prompts[3]), PIECE)]
    comparison = Comparison(pith, directory, type_, scratch)
    return comparison.kl(prompts[:3] + pieces), comparison.kl(prompts[3:])


# ---- Checkpoints elsewhere -----------------------------------------------------------------------

def available_sets(comparison):
    """Those of this machine."""
    found = []
    for name in INSTRUCTION_SETS:
        try:
            comparison.logits([1], "--isa", name)
            found.append(name)
        except RuntimeError as error:
            if "is unknown or not available" not in str(error):
                raise
    return found


def count_differing(comparison, ids):
    """How many ways of computing the logits of ids give other bits than the first."""
    ways = [("--isa", name, "--threads", threads, "--chunk", chunk) for name in available_sets(comparison)
            for threads in ("1", "3") for chunk in ("1", "7", "64", "512")]
    found = [comparison.logits(ids, *way).tobytes() for way in ways]
    return sum(logits != found[0] for logits in found), len(found)


def check_family(pith, directory, type_, scratch):
    """The mean KL over the stored positions, how many ways differ in bits, and of how many."""
    expected = np.load(os.path.join(directory, "expected.npz"))
    comparison = Comparison(pith, directory, type_, scratch)
    kl = []
    config = comparison.model.config
    most = config.max_positions if config.rope["kind"] == "dynamic" else None
    for i in range(sum(key.startswith("ids_") for key in expected.files)):
        ids, positions = expected[f"ids_{i}"], expected[f"positions_{i}"]
        if most is not None and len(ids) > most:
            continue  # refused: beyond it every key would turn anew
        kl.append(kl_divergence(comparison.logits(ids)[positions],
                                comparison.model.forward(ids)[0][positions]))
    return (np.concatenate(kl).mean(), *count_differing(comparison, expected["ids_3"][:most]))


def check_families(pith, root, names, types):
    failed = n = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name in names or sorted(os.listdir(root)):
            directory = os.path.join(root, name)
            if (not os.path.exists(os.path.join(directory, "expected.npz"))
                    or families.kind_of(containers.read_config(directory)) is None):
                if names:
                    sys.exit(f"{name}: no expected.npz, or of another family")
                continue
            for type_ in types:
                n += 1
                kl, differing, ways = check_family(pith, directory, type_, scratch)
                bad = not kl <= LIMIT_FAMILIES or differing > 0
                failed += bad
                print(f"{name:22} {type_:5} {kl:9.2e}  {differing} of {ways} differ in bits"
                      + ("  FAILED" if bad else ""), flush=True)
    return 1 if failed or n == 0 else 0


# ---- All of it ------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pith", nargs="?", default="build/pith", help="the command (build/pith)")
    parser.add_argument("--types")
    parser.add_argument("--families", nargs="+", metavar=("DIR", "NAME"))
    arguments = parser.parse_args()
    pith = Pith(arguments.pith)
    types = (arguments.types or ("int8,int4" if arguments.families else "f16,bf16,int8,int4"))
    if arguments.families:
        root, *names = arguments.families
        return check_families(pith, root, names, types.split(","))
    failed = 0
    print(f"{'mean KL(pith || numpy)':22} {'type':5} {'short':>9} {'long':>9}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in directories():
            for type_ in types.split(","):
                short, long = check(pith, os.path.join(HERE, name), type_, scratch)
                bad = not (short <= LIMIT_SHORT and long <= LIMIT_LONG)
                failed += bad
                print(f"{name:22} {type_:5} {short:9.2e} {long:9.2e}" + ("  FAILED" if bad else ""),
                      flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
