"""How far logits are from a reference: mean KL divergence, agreement on the most likely token, and
perplexity. All sums in float64.

    pith logits f32.pith  --tokens 1,5,9 --out f32.npy
    pith logits int4.pith --tokens 1,5,9 --out int4.npy
    python3 golden/quality.py f32.npy int4.npy [...] [--tokens 1,5,9]

Files hold float32 [T, vocab]. Perplexity needs the tokens: row t predicts token t + 1.
"""

import argparse

import numpy as np

from pith_reference import kl_divergence, log_softmax


class Quality:
    """Sums over any number of sequences."""

    def __init__(self):
        self.kl, self.same, self.loss = [], [], []

    def add(self, reference, logits, targets):
        """reference, logits [T, vocab]; targets: the next token of the first len(targets) rows."""
        self.kl.append(kl_divergence(reference, logits))
        self.same.append(reference.argmax(axis=-1) == logits.argmax(axis=-1))
        rows = np.arange(len(targets))
        self.loss.append(-log_softmax(logits[: len(targets)])[rows, targets])

    def mean_kl(self):
        return float(np.concatenate(self.kl).mean())

    def agreement(self):
        return float(np.concatenate(self.same).mean())

    def perplexity(self):
        loss = np.concatenate(self.loss)
        return float(np.exp(loss.mean())) if len(loss) else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("reference")
    parser.add_argument("others", nargs="+")
    parser.add_argument("--tokens", help="comma-separated ids that were evaluated")
    arguments = parser.parse_args()
    tokens = [int(t) for t in arguments.tokens.split(",")] if arguments.tokens else []
    reference = np.load(arguments.reference)
    print(f"{'file':30} {'mean KL':>10} {'same top-1':>11} {'perplexity':>11}")
    for path in [arguments.reference] + arguments.others:
        quality = Quality()
        quality.add(reference, np.load(path), np.array(tokens[1:], int))
        print(f"{path:30} {quality.mean_kl():10.6f} {100 * quality.agreement():10.2f}%"
              f" {quality.perplexity():11.4f}")


if __name__ == "__main__":
    main()
