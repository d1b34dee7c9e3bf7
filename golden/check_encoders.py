"""The command on encoders of every family against NumPy (encoders.py): ids, embeddings and scores of
golden/encoders, and of any directories like them.

    python3 golden/check_encoders.py [build/pith [DIRECTORY]]

In DIRECTORY each directory may have an expected.json with "texts", "ids" (cut) and "ids_uncut", and
an expected.npz with "embeddings", by sentence-transformers; NumPy and pith are both checked against
them, and int8 against f32.
"""

import json
import os
import sys
import tempfile

import numpy as np

import encoders
from check_reference import HERE
from command import Pith

LIMIT = 1e-5  # of one element, f32
ROUNDED = {"qwen3": 0.997, "modernbert": 0.996, "gemma3_text": 0.998}  # least cosine of int8; .999


def embed(pith, model, texts, *options):
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    return [json.loads(line) for line in
            pith.run("embed", model, "--json", *options, text=lines).splitlines()]


def check(pith, directory, scratch):
    """A line of what was found, and whether it is wrong."""
    expected = encoders.read_json(directory, "expected.json")
    texts, model = expected["texts"], encoders.Model(directory)
    pairs = [t if isinstance(t, dict) else {"text": t} for t in texts]
    f32, int8 = (os.path.join(scratch, name) for name in ("f32.pith", "int8.pith"))
    pith.convert(directory, f32, "f32")
    pith.convert(directory, int8, "int8")
    problems = []
    if not model.scores:
        uncut = pith.tokenize(f32, texts)
        if "ids_uncut" in expected and uncut != expected["ids_uncut"]:
            problems.append("ids")
    found = embed(pith, f32, pairs, "--blas", "off")
    if [line["tokens"] for line in found] != [len(ids) for ids in expected["ids"]]:
        problems.append("lengths")
    vectors = np.array([line["embedding"] for line in found])
    types = expected.get("types", [None] * len(texts))
    own = np.array([model.embed(ids, t) for ids, t in zip(expected["ids"], types)])
    reference = os.path.join(directory, "expected.npz")
    given = np.load(reference)["embeddings"] if os.path.exists(reference) else \
        np.array(expected["embeddings"])
    rounded = np.array([line["embedding"] for line in embed(pith, int8, pairs, "--blas", "off")])
    off = [np.abs(vectors - given).max(), np.abs(own - given).max()]
    if not max(off) <= LIMIT:
        problems.append("vectors")
    cosines = (vectors * rounded).sum(1) / np.linalg.norm(vectors, axis=1) / \
        np.linalg.norm(rounded, axis=1)
    least = min(c for c, ids in zip(cosines, expected["ids"]) if len(ids) >= 3)
    if not model.scores and not least >= ROUNDED.get(model.kind, 0.999):
        problems.append("int8")
    return (f"f32 within {off[0]:.1e}, NumPy {off[1]:.1e}, int8 cosine {least:.5f}"
            f"{'  WRONG: ' + ', '.join(problems) if problems else ''}"), bool(problems)


def main():
    pith = Pith(sys.argv[1] if len(sys.argv) > 1 else "build/pith")
    root = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "encoders")
    failed = n = 0
    for name in sorted(os.listdir(root)):
        directory = os.path.join(root, name)
        if os.path.exists(os.path.join(directory, "expected.json")):
            with tempfile.TemporaryDirectory() as scratch:
                said, wrong = check(pith, directory, scratch)
            print(f"{name:24} {said}", flush=True)
            failed, n = failed + wrong, n + 1
    print(f"{n - failed} of {n} as they should be")
    return 1 if failed or n == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
