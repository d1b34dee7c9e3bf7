"""The logits of pith against numpy reading the same .pith file with every rounding where pith has it
(exact.py): equal bit for bit, for weights of every type.

    python3 golden/check_bits.py [build/pith] [--types f32,f16,bf16,int8,int4]
    python3 golden/check_bits.py build/pith --families DIR [NAME ...] [--types int8,int4]

With --families: every checkpoint within DIR (or those named) of a family that families.py knows, with
an expected.npz; and the logits must be the same on every instruction set, with 1 and 3 threads and in
chunks of 1, 7 and 64 tokens. Run by hand.
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
from exact import Exact

# Lanes of floats take numpy long, and products are all that is different: prompts of so many tokens,
# of these checkpoints unless types are named.
LONGEST = {"f32": 7, "f16": 33, "bf16": 33}
FLOATS = ("llama-gqa", "qwen3", "extra/gemma2", "extra/starcoder2")
INSTRUCTION_SETS = ("scalar", "avx2", "avx-vnni", "avx512", "avx512-vnni", "amx-int8", "neon",
                    "neon-dot", "neon-i8mm")


class Comparison:
    """One .pith file, evaluated by both."""

    def __init__(self, pith, directory, type_, scratch):
        self.pith = pith
        self.path = os.path.join(scratch, "model.pith")
        self.out = os.path.join(scratch, "logits.npy")
        pith.convert(directory, self.path, type_)
        self.model = Exact.from_pith(directory, self.path)
        expected = np.load(os.path.join(directory, "expected.npz"))
        self.prompts = [expected[key] for key in expected.files if key.startswith("ids_")]
        if self.model.config.rope["kind"] == "dynamic":  # refused: beyond it every key would turn anew
            self.prompts = [ids[: self.model.config.max_positions] for ids in self.prompts]

    def logits(self, ids, *options):
        return self.pith.logits(self.path, ids, self.out, "--blas", "off", *options)

    def differing(self, longest):
        """How many of the logits of how many tokens differ."""
        n = n_tokens = 0
        for ids in self.prompts:
            if len(ids) <= longest:
                ours = self.model.forward(ids)[0].view(np.uint32)
                n += (self.logits(ids).view(np.uint32) != ours).sum()
                n_tokens += len(ids)
        return n, n_tokens

    def available_sets(self):
        """The instruction sets of this machine."""
        found = []
        for name in INSTRUCTION_SETS:
            try:
                self.logits([1], "--isa", name)
                found.append(name)
            except RuntimeError as error:
                if "is unknown or not available" not in str(error):
                    raise
        return found

    def differing_ways(self):
        """How many ways of computing the logits of a prompt give other bits than the first, and how
        many there are."""
        ways = [("--isa", name, "--threads", threads, "--chunk", chunk)
                for name in self.available_sets()
                for threads in ("1", "3") for chunk in ("1", "7", "64", "512")]
        found = [self.logits(self.prompts[3], *way).tobytes() for way in ways]
        return sum(logits != found[0] for logits in found), len(found)


def within(root, names):
    """The checkpoints of root that can be compared, by name."""
    found = []
    for name in names or sorted(os.listdir(root)):
        directory = os.path.join(root, name)
        if (os.path.exists(os.path.join(directory, "expected.npz"))
                and families.kind_of(containers.read_config(directory)) is not None):
            found.append((name, directory))
        elif names:
            sys.exit(f"{name}: no expected.npz, or of another family")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pith", nargs="?", default="build/pith", help="the command (build/pith)")
    parser.add_argument("--types")
    parser.add_argument("--families", nargs="+", metavar=("DIR", "NAME"))
    arguments = parser.parse_args()
    types = (arguments.types or "int8,int4").split(",")
    if arguments.families:
        cases = within(arguments.families[0], arguments.families[1:])
    else:
        cases = [(name, os.path.join(HERE, name)) for name in directories()]
    failed = n = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, directory in cases:
            also = ["f16", "bf16"] if arguments.types is None and name in FLOATS else []
            for type_ in types + also:
                comparison = Comparison(Pith(arguments.pith), directory, type_, scratch)
                differing, n_tokens = comparison.differing(LONGEST.get(type_, 1 << 30))
                line = f"{name:22} {type_:5} {n_tokens:4} tokens, {differing} logits differ"
                bad = differing > 0 or n_tokens == 0
                if arguments.families:
                    ways, of = comparison.differing_ways()
                    line += f", {ways} of {of} ways differ"
                    bad |= ways > 0
                failed += bool(bad)
                n += 1
                print(line + ("  FAILED" if bad else ""), flush=True)
    return 1 if failed or n == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
