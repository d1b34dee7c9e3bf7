"""A BERT encoder in NumPy, float64 (Devlin et al. 2019), and random checkpoints of other shapes than
the reference one: wide heads, every pooling, with and without normalisation. The NumPy code must
give the reference's embeddings; `pith embed` must give NumPy's on every checkpoint.

    python3 golden/check_bert.py [build/pith]
"""

import json
import math
import os
import shutil
import sys
import tempfile

import numpy as np

from check_encoder import read_expected
from check_reference import HERE
from command import Pith
from containers import read_checkpoint, read_config, write_safetensors

LIMIT = 5e-6  # of one element of a unit vector, f32
ERF = np.vectorize(math.erf)
TEXTS = ["", "a", "The cat sits outside.", "How many people live in Berlin?",
         "once upon a time there was a king " * 12]


def linear(w, name, x):
    return x @ w[name + ".weight"].T + w[name + ".bias"]


def layer_norm(w, name, x, eps):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x * w[name + ".weight"] + w[name + ".bias"]


def hidden_states(w, config, ids):
    """[T, hidden] of one text: post-norm layers, erf GELU, absolute positions, token type 0."""
    eps = config["layer_norm_eps"]
    heads = config["num_attention_heads"]
    n = len(ids)
    x = w["embeddings.word_embeddings.weight"][ids] \
        + w["embeddings.position_embeddings.weight"][:n] \
        + w["embeddings.token_type_embeddings.weight"][0]
    x = layer_norm(w, "embeddings.LayerNorm", x, eps)
    size = x.shape[1] // heads
    for i in range(config["num_hidden_layers"]):
        p = f"encoder.layer.{i}."
        q, k, v = (linear(w, p + "attention.self." + part, x).reshape(n, heads, size)
                   for part in ("query", "key", "value"))
        scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        scores /= scores.sum(-1, keepdims=True)
        a = np.einsum("hqk,khd->qhd", scores, v).reshape(n, heads * size)
        x = layer_norm(w, p + "attention.output.LayerNorm",
                       x + linear(w, p + "attention.output.dense", a), eps)
        h = linear(w, p + "intermediate.dense", x)
        h = h * 0.5 * (1 + ERF(h / math.sqrt(2)))
        x = layer_norm(w, p + "output.LayerNorm", x + linear(w, p + "output.dense", h), eps)
    return x


def embed(w, config, ids, pooling="mean", normalize=True):
    x = hidden_states(w, config, ids)
    x = {"mean": x.mean(0), "cls": x[0], "max": x.max(0)}[pooling]
    return x / max(np.linalg.norm(x), 1e-12) if normalize else x


def read_weights(directory):
    return {name: array.astype(np.float64) for name, array in read_checkpoint(directory).items()}


def make_checkpoint(directory, seed, hidden, heads, intermediate, layers, pooling, normalize):
    """A directory like the reference one, with the reference's tokenizer and random weights."""
    source = os.path.join(HERE, "minilm")
    shutil.copytree(source, directory, ignore=shutil.ignore_patterns("expected.*", "model.*"))
    rng = np.random.default_rng(seed)
    config = read_config(directory)
    config.update(hidden_size=hidden, num_attention_heads=heads, intermediate_size=intermediate,
                  num_hidden_layers=layers)
    tensors = {}
    for name, array in read_checkpoint(source).items():
        parts = name.split(".")
        if name == "embeddings.position_ids" or parts[0] == "pooler":
            continue
        copies = range(layers) if parts[0] == "encoder" and parts[2] == "0" else \
            [] if parts[0] == "encoder" else [None]
        for layer in copies:
            key = name if layer is None else name.replace("layer.0.", f"layer.{layer}.")
            shape = [{48: hidden, 192: intermediate}.get(n, n) for n in array.shape]
            values = rng.normal(0, 0.3 / math.sqrt(shape[-1]) if len(shape) > 1 else 0.1, shape)
            tensors[key] = ("F32", values + (key.endswith("LayerNorm.weight")))
    write_safetensors(os.path.join(directory, "model.safetensors"), tensors)
    pooling_config = {"word_embedding_dimension": hidden}
    for mode, name in (("cls", "cls_token"), ("mean", "mean_tokens"), ("max", "max_tokens")):
        pooling_config["pooling_mode_" + name] = mode == pooling
    with open(os.path.join(directory, "modules.json")) as file:
        modules = json.load(file)
    for path, value in (("config.json", config), ("1_Pooling/config.json", pooling_config),
                        ("modules.json", modules if normalize else modules[:2])):
        with open(os.path.join(directory, path), "w") as file:
            json.dump(value, file)


def difference(pith, directory, scratch, pooling, normalize):
    model = os.path.join(scratch, "encoder.pith")
    pith.convert(directory, model, "f32")
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS)
    found = [json.loads(line)["embedding"]
             for line in pith.run("embed", model, "--json", text=lines).splitlines()]
    w, config = read_weights(directory), read_config(directory)
    worst = 0.0
    for ids, vector in zip(pith.tokenize(model, TEXTS), found):
        expected = embed(w, config, ids, pooling, normalize)
        scale = max(1.0, np.abs(expected).max())
        worst = max(worst, np.abs(np.array(vector) - expected).max() / scale)
    return worst


def main():
    pith = Pith(sys.argv[1] if len(sys.argv) > 1 else "build/pith")
    items, _, expected = read_expected()
    w, config = read_weights(os.path.join(HERE, "minilm")), read_config(os.path.join(HERE, "minilm"))
    own = max(np.abs(embed(w, config, items[i]["ids"]) - expected[i]).max() for i in range(0, 40, 3))
    print(f"NumPy against the reference: {own:.1e}")
    failed = not own <= LIMIT
    cases = [(1, 64, 2, 96, 2, "mean", True), (2, 96, 3, 384, 1, "cls", True),
             (3, 80, 5, 160, 2, "max", True), (4, 128, 2, 256, 2, "mean", False)]
    for case in cases:
        with tempfile.TemporaryDirectory() as scratch:
            directory = os.path.join(scratch, "checkpoint")
            make_checkpoint(directory, *case)
            worst = difference(pith, directory, scratch, *case[-2:])
        print(f"seed {case[0]}, hidden {case[1]}, {case[2]} heads, {case[5]} pooling: {worst:.1e}")
        failed = failed or not worst <= LIMIT
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
