"""The command on the converted reference encoder: `pith tokenize` gives the ids of every text in
tokenizers/minilm.jsonl and minilm/expected.json, `pith embed` the embeddings of the latter, as JSON
Lines and as a NumPy file, with what it says about texts that are too long.

    python3 golden/check_encoder.py [build/pith]
"""

import json
import os
import sys
import tempfile

import numpy as np

from check_reference import HERE
from command import Pith

LIMIT = 5e-6  # of one element, f32
SEP = 102


def read_texts():
    """Texts of minilm.jsonl and their ids, not cut."""
    with open(os.path.join(HERE, "tokenizers", "minilm.jsonl"), encoding="ascii") as file:
        cases = [json.loads(line) for line in file]
    return [case["text"] for case in cases], [case["ids"] for case in cases]


def read_expected():
    directory = os.path.join(HERE, "minilm")
    with open(os.path.join(directory, "expected.json"), encoding="utf-8") as file:
        expected = json.load(file)
    return expected["items"], expected["max_seq_length"], \
        np.load(os.path.join(directory, "expected.npz"))["embeddings"]


def check_ids(pith, model):
    """Ids that differ; encoders read special tokens and add [CLS] and [SEP] without being asked."""
    texts, ids = read_texts()
    wrong = [i for i, found in enumerate(pith.tokenize(model, texts)) if found != ids[i]]
    items, length, _ = read_expected()
    for i, found in enumerate(pith.tokenize(model, [item["text"] for item in items])):
        cut = found if len(found) <= length else found[:length - 1] + [SEP]
        if cut != items[i]["ids"]:
            wrong.append(len(texts) + i)
    return wrong


def check_embeddings(pith, model, scratch):
    """The largest difference of an element, and messages about everything else."""
    items, length, expected = read_expected()
    lines = "".join(json.dumps({"text": item["text"]}) + "\n" for item in items)
    found = [json.loads(line) for line in pith.run("embed", model, "--json", text=lines).split("\n")
             if line]
    vectors = np.array([line["embedding"] for line in found], dtype=np.float32)
    out = os.path.join(scratch, "vectors.npy")
    pith.run("embed", model, "--json", "--out", out, text=lines)
    problems = []
    if not np.array_equal(np.load(out), vectors):
        problems.append("the NumPy file holds other vectors than the JSON Lines")
    uncut = pith.tokenize(model, [item["text"] for item in items])
    for i, line in enumerate(found):
        if line["tokens"] != len(items[i]["ids"]) or line["truncated"] != (len(uncut[i]) > length):
            problems.append(f"text {i}: tokens {line['tokens']}, truncated {line['truncated']}")
    first_long = next(i for i, ids in enumerate(uncut) if len(ids) > length)
    try:
        pith.run("embed", model, "--json", "--no-truncate", text=lines)
        problems.append("--no-truncate lets long texts pass")
    except RuntimeError as error:
        if f"line {first_long + 1}: the text has more than {length} tokens" not in str(error):
            problems.append(f"--no-truncate: {error}")
    return np.abs(vectors - expected).max(), problems


def main():
    pith = Pith(sys.argv[1] if len(sys.argv) > 1 else "build/pith")
    with tempfile.TemporaryDirectory() as scratch:
        model = os.path.join(scratch, "minilm.pith")
        pith.convert(os.path.join(HERE, "minilm"), model, "f32")
        wrong = check_ids(pith, model)
        difference, problems = check_embeddings(pith, model, scratch)
    print(f"{len(wrong)} texts with other ids {wrong[:10]}, embeddings within {difference:.1e}")
    for problem in problems:
        print(problem)
    return 1 if wrong or problems or not difference <= LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
