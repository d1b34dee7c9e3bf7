"""The numpy forward pass against the expected values of every checkpoint: prints the largest
absolute difference of logits and hidden states in float32 and float64, fails beyond 5e-4 or on a
different greedy token.

    python3 golden/check_reference.py
"""

import os
import sys

import numpy as np

from pith_reference import Model

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = ["llama-mha", "llama-gqa", "codellama", "llama-tied", "llama-linear", "llama3",
             "llama-yarn", "llama-bias", "llama3-v5", "qwen2-window", "qwen3", "smollm3"]
LIMIT = 5e-4


def directories():
    extra = os.path.join(HERE, "extra")
    return REFERENCE + [os.path.join("extra", name) for name in sorted(os.listdir(extra))]


def check(directory, dtype):
    """Returns the largest logit and hidden-state differences and the count of wrong tokens."""
    model = Model.load(directory, dtype)
    expected = np.load(os.path.join(directory, "expected.npz"))
    logits_error = hidden_error = 0.0
    wrong = 0
    for i in range(sum(key.startswith("ids_") for key in expected.files)):
        ids = expected[f"ids_{i}"]
        logits, hidden = model.forward(ids)
        logits = logits[expected[f"positions_{i}"]]
        logits_error = max(logits_error, np.abs(logits - expected[f"logits_{i}"]).max())
        if i == 1:
            hidden_error = np.abs(hidden - expected["hidden_1"]).max()
        if f"greedy_{i}" in expected.files:
            greedy, _ = model.greedy(ids, len(expected[f"greedy_{i}"]))
            wrong += int((np.array(greedy) != expected[f"greedy_{i}"]).sum())
    return logits_error, hidden_error, wrong


def main():
    failed = 0
    print(f"{'checkpoint':20} {'arithmetic':10} {'logits':>9} {'hidden':>9} {'wrong tokens':>13}")
    for name in directories():
        for dtype in (np.float32, np.float64):
            logits, hidden, wrong = check(os.path.join(HERE, name), dtype)
            bad = max(logits, hidden) > LIMIT or wrong > 0
            failed += bad
            print(f"{name:20} {dtype.__name__:10} {logits:9.2e} {hidden:9.2e} {wrong:13}"
                  + ("  FAILED" if bad else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
