"""Reads the weights of a .pith file: the packed int4 and int8 tiles (docs/format.md) and the joined
qkv and gate_up matrices, back to float32 matrices under their Hugging Face names.
"""

import json

import numpy as np

import containers
from quantise import CODES, MULTIPLIERS

TILE = 16
LINE = 64


def _round_up(n, unit):
    return -(-n // unit) * unit


def _scales(tiles, k, group):
    """The f16 scales at the end of every tile, a row's per group, repeated to [tiles, 16, k]."""
    n = -(-k // group)
    size = _round_up(n * TILE * 2, 64)
    raw = np.ascontiguousarray(tiles[:, -size:][:, : n * TILE * 2]).view("<f2")
    by_row = raw.reshape(-1, n, TILE).astype(np.float32).transpose(0, 2, 1)
    return np.repeat(by_row, group, axis=2)[:, :, :k]


def unpack_int8(data, rows, k, scales=False):
    """data: the bytes of a [rows (padded), k] matrix; returns float32 [rows, k], the elements or
    their scales."""
    lines = -(-k // 4)
    tiles = data.reshape(rows // TILE, -1)
    if scales:
        return _scales(tiles, k, 128).reshape(rows, k)
    codes = tiles[:, : lines * LINE].view(np.int8).reshape(-1, lines, TILE, 4)
    codes = codes.transpose(0, 2, 1, 3).reshape(-1, TILE, lines * 4)[:, :, :k]
    return (codes.astype(np.float32) * _scales(tiles, k, 128)).reshape(rows, k)


def unpack_int4(data, rows, k, scales=False):
    tiles = data.reshape(rows // TILE, -1)
    if scales:
        return _scales(tiles, k, 256).reshape(rows, k)
    parts = []
    offset = 0
    for first in range(0, k, 256):
        slices = (min(k, first + 256) - first) // 32
        n = slices * 4 * LINE
        nibbles = tiles[:, offset : offset + n].reshape(-1, slices, 4, TILE, 4)
        index = np.stack([nibbles & 15, nibbles >> 4], axis=2)  # [tile, slice, half, 4, row, 4]
        packed = tiles[:, offset + n : offset + n + slices * TILE].reshape(-1, slices, TILE)
        m = MULTIPLIERS[np.stack([packed & 15, packed >> 4], axis=2)]  # [tile, slice, half, row]
        integers = CODES[index] * m[:, :, :, None, :, None]
        parts.append(integers.transpose(0, 4, 1, 2, 3, 5).reshape(-1, TILE, slices * 32))
        offset += n + _round_up(slices * TILE, 64)
    return (np.concatenate(parts, axis=2) * _scales(tiles, k, 256)).reshape(rows, k)


def _matrix(entry, type_, rows, k, scales):
    """A stored matrix with `rows` padded rows as float32 [rows, k]."""
    dtype, array = entry
    if type_ == "int8":
        return unpack_int8(array.reshape(-1), rows, k, scales)
    if type_ == "int4":
        return unpack_int4(array.reshape(-1), rows, k, scales)
    if dtype == "U8":
        array = array.reshape(-1).view({"f32": "<f4", "f16": "<f2", "bf16": "<u2"}[type_])
        dtype = {"f32": "F32", "f16": "F16", "bf16": "BF16"}[type_]
    return containers.to_f32(dtype, array).reshape(rows, k)


def split_qkv(joined, config):
    """Rows of q, k and v out of the joined matrix or bias, each block padded to 16 rows."""
    q = config.heads * config.head_dim
    kv = config.kv_heads * config.head_dim
    k_begin = _round_up(q, TILE)
    v_begin = k_begin + _round_up(kv, TILE)
    return {"q_proj": joined[:q], "k_proj": joined[k_begin : k_begin + kv],
            "v_proj": joined[v_begin : v_begin + kv]}


def split_gate_up(joined, config):
    """16-row tiles of gate and up alternate; without a gate it is up alone."""
    if config.mlp[0] is None:
        return {config.mlp[1]: joined[: config.ffn]}
    pairs = joined.reshape((-1, 2, TILE) + joined.shape[1:])
    flat = (-1,) + joined.shape[1:]
    return {"gate_proj": pairs[:, 0].reshape(flat)[: config.ffn],
            "up_proj": pairs[:, 1].reshape(flat)[: config.ffn]}


def read_pith(path, config, scales=False):
    """Returns (tensors, types, kind): float32 arrays by Hugging Face name, the stored type of each
    matrix, and the type of the linear layers. With `scales` the scale of each element of int8 and
    int4 matrices stands in its place."""
    metadata, entries = containers.read_safetensors(path)
    document = json.loads(metadata["pith"])
    stored = stored_types(document)
    c = config
    tensors, types = {}, {}

    def take(name, rows, k, split):
        if name + ".weight" not in entries:
            return
        type_ = stored[name + ".weight"]
        matrix = _matrix(entries[name + ".weight"], type_, _round_up(rows, TILE), k, scales)
        bias = entries.get(name + ".bias")
        pieces = split(matrix)
        biases = split(bias[1]) if bias is not None else {}
        for piece, array in pieces.items():
            tensors[piece + ".weight"] = array
            types[piece + ".weight"] = type_
            if bias is not None:
                tensors[piece + ".bias"] = biases[piece]

    def whole(name, rows):
        return lambda joined: {name: joined[:rows]}

    def under(prefix, split):
        return lambda joined: {prefix + key: part for key, part in split(joined, c).items()}

    take("model.embed_tokens", c.vocab, c.hidden, whole("model.embed_tokens", c.vocab))
    take("lm_head", c.vocab, c.hidden, whole("lm_head", c.vocab))
    def take_norm(name):
        for part in (".weight", ".bias"):
            if name + part in entries:
                tensors[name + part] = entries[name + part][1]

    take_norm("model.norm")
    q_rows = _round_up(c.heads * c.head_dim, TILE)
    kv_rows = _round_up(c.kv_heads * c.head_dim, TILE)
    for layer in range(c.layers):
        name = f"model.layers.{layer}."
        norms = [n for n in c.norms if n]
        norms += [f"self_attn.{part}" for part in c.qk_names] if c.qk_norm else []
        for norm in norms:
            take_norm(name + norm)
        attn, mlp = name + "self_attn.", name + "mlp."
        if c.sinks:
            tensors[attn + "sinks"] = entries[attn + "sinks.weight"][1]
        take(attn + "qkv_proj", q_rows + 2 * kv_rows, c.hidden, under(attn, split_qkv))
        take(attn + "o_proj", c.hidden, c.heads * c.head_dim, whole(attn + "o_proj", c.hidden))
        blocks = 2 if c.mlp[0] else 1
        take(mlp + "gate", c.experts, c.hidden, whole(mlp + "gate", c.experts))
        for e in range(c.experts):
            of = f"{mlp}experts.{e}."
            take(of + "gate_up_proj", blocks * _round_up(c.ffn, TILE), c.hidden,
                 under(of, split_gate_up))
            take(of + "down_proj", c.hidden, c.ffn, whole(of + c.mlp[2], c.hidden))
        take(mlp + "gate_up_proj", blocks * _round_up(c.ffn, TILE), c.hidden,
             under(mlp, split_gate_up))
        take(mlp + "down_proj", c.hidden, c.ffn, whole(mlp + c.mlp[2], c.hidden))
    return tensors, types, document["type"]


def stored_types(document):
    """name -> type of every matrix, from the metadata document."""
    return {name: note["type"] for name, note in document["tensors"].items() if "type" in note}
