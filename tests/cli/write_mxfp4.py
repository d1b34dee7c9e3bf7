#!/usr/bin/python3
"""golden/extra/gpt_oss with experts in MXFP4 and the cut of gpt-oss's tokenizer, in three forms of the
same values.

    write_mxfp4.py OUT [TENSOR=CHANGE]

OUT/blocks: as published, blocks and scales, in two files; OUT/values: their floats, as transformers
saves them, columns first; OUT/gguf.gguf: by the rules of llama.cpp's converter, and OUT/zeros: as values,
without the negative zeros, which llama.cpp's tables do not have. The floats are made here from the bits of E2M1 and E8M0 (OCP Microscaling Formats 1.0), by nothing that pith or llama.cpp has.
A CHANGE of a tensor of blocks or scales: `absent`, `narrow` (a row less), `half` (its type), or `nan` (one
scale of 255). Standard library and numpy only.
"""
import json
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "golden"))
import containers  # noqa: E402
import write_gguf  # noqa: E402

CASE = write_gguf.GOLDEN / "extra/gpt_oss"
TOKENIZER = write_gguf.GOLDEN / "tokenizers/gptoss/tokenizer.json"


def widen(blocks, scales):
    """A nibble: sign, two bits of exponent (bias 1), one of mantissa; without an exponent m / 2."""
    nibbles = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], 32)
    exponent, mantissa = (nibbles >> 1 & 3).astype(int), nibbles & 1
    size = np.where(exponent == 0, mantissa / 2, (1 + mantissa / 2) * 2.0 ** (exponent - 1))
    value = np.where(nibbles & 8, -size, size) * 2.0 ** (scales.astype(int)[..., None] - 127)
    wide = value.reshape(*scales.shape[:-1], -1)
    narrow = wide.astype(np.float32)
    assert (narrow == wide).all()  # every one of them is a float32
    return narrow


def random_bytes(name, *shape):
    return np.random.default_rng(sum(map(ord, name))).integers(0, 256, shape, np.uint8)


def draw(name, n_experts, rows, columns):
    """Every nibble; scales near those of a model's weights, and a few at the ends of what floats hold."""
    blocks = random_bytes(name, n_experts, rows, columns // 32, 16)
    scales = random_bytes(name + "s", n_experts, rows, columns // 32) % 6 + 120
    scales[0, 0, 0], scales[0, 1, 0], scales[1, 2, -1], scales[2, 3, 0] = 0, 1, 2, 140
    return blocks, scales


def to_ggml(blocks, scales):
    """A block of ggml: the scale, then 16 bytes whose low nibbles are the first 16 elements."""
    nibbles = np.stack([blocks & 15, blocks >> 4], axis=-1).reshape(*blocks.shape[:-1], 32)
    packed = nibbles[..., :16] | nibbles[..., 16:] << 4
    return np.concatenate([scales[..., None], packed], axis=-1).astype(np.uint8)


def experts(config):
    n, hidden, ffn = (config[k] for k in ("num_local_experts", "hidden_size", "intermediate_size"))
    for layer in range(config["num_hidden_layers"]):
        stem = f"model.layers.{layer}.mlp.experts."
        yield layer, stem + "gate_up_proj", *draw(stem + "gate_up", n, 2 * ffn, hidden)
        yield layer, stem + "down_proj", *draw(stem + "down", n, hidden, ffn)


def widen_vocabulary(config, tensors):
    """As many rows of embedding and head as the tokenizer has tokens."""
    tokenizer = json.loads(TOKENIZER.read_text())
    config["vocab_size"] = len(tokenizer["model"]["vocab"]) + len(tokenizer["added_tokens"])
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        rows = np.resize(tensors[name][1], (config["vocab_size"], config["hidden_size"]))
        tensors[name] = ("BF16", rows)


def array(kind, values, pack):
    return struct.pack("<IIQ", 9, kind, len(values)) + b"".join(pack(v) for v in values)


def tokenizer_keys():
    tokenizer = json.loads(TOKENIZER.read_text())
    tokens = {i: (t, 1) for t, i in tokenizer["model"]["vocab"].items()}
    tokens.update((t["id"], (t["content"], 3)) for t in tokenizer["added_tokens"])
    tokens = [tokens[i] for i in range(len(tokens))]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-4o",
            "tokenizer.ggml.tokens": array(8, [t for t, _ in tokens], write_gguf.text),
            "tokenizer.ggml.token_type": array(5, [k for _, k in tokens],
                                               lambda k: struct.pack("<i", k)),
            "tokenizer.ggml.merges": array(8, tokenizer["model"]["merges"], write_gguf.text),
            "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2}


def change(tensors, name, what):
    dtype, array = tensors.pop(name)
    if what == "narrow":
        tensors[name] = (dtype, array[:, 1:])
    elif what == "half":
        tensors[name] = ("F16", array.astype(np.float16))
    elif what == "nan":
        array = array.copy()
        array[1, 2, 0] = 255
        tensors[name] = (dtype, array)


def save(directory, config, parts):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(json.dumps(config))
    shutil.copy(TOKENIZER, directory)
    for i, tensors in enumerate(parts):
        name = f"model-{i + 1:05}-of-{len(parts):05}.safetensors"
        containers.write_safetensors(directory / name, tensors)


def main(out, *changes):
    out = Path(out)
    config = json.loads((CASE / "config.json").read_text())
    _, plain = containers.read_safetensors(CASE / "model.safetensors")
    widen_vocabulary(config, plain)
    blocks, scales = {}, {}
    values = dict(plain)
    gguf = write_gguf.tensors_of("gpt_oss", config, CASE)
    gguf["token_embd.weight"] = plain["model.embed_tokens.weight"]
    gguf["output.weight"] = plain["lm_head.weight"]
    for layer, name, b, s in experts(config):
        del plain[name]
        blocks[name + "_blocks"], scales[name + "_scales"] = ("U8", b), ("U8", s)
        values[name] = ("F32", np.ascontiguousarray(widen(b, s).transpose(0, 2, 1)))
        parts = {"down": (b, s)} if "down" in name else {
            "gate": (b[:, ::2], s[:, ::2]), "up": (b[:, 1::2], s[:, 1::2])}
        for part, pair in parts.items():
            gguf[f"blk.{layer}.ffn_{part}_exps.weight"] = ("MXFP4", to_ggml(*pair))
    for text in changes:
        name, what = text.split("=")
        change(blocks if name in blocks else scales, name, what)
    save(out / "values", config, [values])
    save(out / "zeros", config, [{k: (t, v + np.float32(0)) if t == "F32" else (t, v)
                                  for k, (t, v) in values.items()}])
    quantised = {"modules_to_not_convert": ["lm_head"], "quant_method": "mxfp4"}
    save(out / "blocks", dict(config, quantization_config=quantised), [{**plain, **blocks}, scales])
    keys = write_gguf.keys_of("gpt_oss", config) | tokenizer_keys()
    write_gguf.write(out / "gguf.gguf", keys, gguf)


if __name__ == "__main__":
    main(*sys.argv[1:])
