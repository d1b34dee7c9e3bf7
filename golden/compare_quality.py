"""What each weight type costs on held-out text: mean KL divergence to f32 and perplexity of the
model in golden/tale on windows of 512 tokens of golden/tale-valid.txt.

    python3 golden/compare_quality.py [build/pith] [--windows N | --quick]

f32, f16, bf16, int8 and int4 are pith's own logits. Q4_0, the plain 4-bit format (round to nearest,
blocks of 32, 4.5 bits), is emulated in numpy with Q8_0 activations, for scale. Where the row says
so, only the linear layers are quantised; else embedding and head, stored once, are int8.

Tokens are [bos] story [eos], story after story; window i is tokens 512 i .. 512 i + 511, each
predicting the next; windows do not respect the borders of stories.
"""

import argparse
import os
import sys
import tempfile

import numpy as np

from check_reference import HERE
from command import Pith
from pith_reference import Model
from quality import Quality

WINDOW = 512
BOS, EOS = 1, 2


def windows(pith, model, text_path, count):
    """[(inputs [512], targets [512])]"""
    with open(text_path, encoding="utf-8") as file:
        stories = [story.strip() for story in file.read().split("<|story|>")]
    ids = []
    for story in pith.tokenize(model, stories):
        ids += [BOS] + story + [EOS]
    ids = np.array(ids)
    count = min(count, (len(ids) - 1) // WINDOW)
    return [(ids[i : i + WINDOW], ids[i + 1 : i + WINDOW + 1])
            for i in range(0, count * WINDOW, WINDOW)]


class Measured:
    """A .pith file of one type and the quality of its logits."""

    def __init__(self, pith, source, scratch, label, type_, *options):
        self.label, self.pith, self.quality = label, pith, Quality()
        self.path = os.path.join(scratch, label.replace(" ", "-") + ".pith")
        self.out = os.path.join(scratch, "logits.npy")
        pith.convert(source, self.path, type_, *options)

    def logits(self, ids):
        return self.pith.logits(self.path, ids, self.out)

    def size(self):
        return f"{os.path.getsize(self.path) / 1e6:.2f}"


class Emulated:
    """The numpy forward pass on weights rounded to a format."""

    def __init__(self, source, label, kind, head_kind):
        self.label, self.quality = label, Quality()
        self.model = Model.quantised(source, kind, head_kind)

    def logits(self, ids):
        return self.model.forward(ids)[0]

    def size(self):
        return "-"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("pith", nargs="?", default="build/pith", help="the command (build/pith)")
    parser.add_argument("--model", default=os.path.join(HERE, "tale"))
    parser.add_argument("--text", default=os.path.join(HERE, "tale-valid.txt"))
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="two windows")
    arguments = parser.parse_args()
    pith = Pith(arguments.pith)
    source = arguments.model
    with tempfile.TemporaryDirectory() as scratch:
        rows = [Measured(pith, source, scratch, type_, type_)
                for type_ in ("f32", "f16", "bf16", "int8", "int4")]
        rows.append(Measured(pith, source, scratch, "int4, linear layers only", "int4",
                             "--head-type", "bf16"))
        rows.append(Emulated(source, "Q4_0, linear layers only", "q4_0", None))
        rows.append(Emulated(source, "Q4_0, head int8", "q4_0", "int8"))
        count = 2 if arguments.quick else arguments.windows
        cut = windows(pith, rows[0].path, arguments.text, count)
        for ids, targets in cut:
            reference = rows[0].logits(ids)
            for row in rows:
                logits = reference if row is rows[0] else row.logits(ids)
                row.quality.add(reference, logits, targets)
        print(f"{len(cut)} windows of {WINDOW} tokens of {os.path.basename(arguments.text)}")
        print(f"{'weights':26} {'MB':>6} {'perplexity':>11} {'KL to f32':>10} {'same top-1':>11}")
        for row in rows:
            q = row.quality
            print(f"{row.label:26} {row.size():>6} {q.perplexity():11.4f} {q.mean_kl():10.6f}"
                  f" {100 * q.agreement():10.2f}%")
    by_label = {row.label: row.quality.mean_kl() for row in rows}
    return 0 if by_label["int4"] <= by_label["Q4_0, linear layers only"] else 1


if __name__ == "__main__":
    sys.exit(main())
