#!/usr/bin/python3
"""Checks a .pith file by docs/format.md alone, independently of the C code.

    check_pith_file.py FILE...                check; prints OK per file, or fails with status 1
    check_pith_file.py FILE --dump NAME OUT   also write matrix NAME, dequantised, as float32 .npy

Checked: the container (length field, tiling, shape x dtype, alignment), the metadata (keys, ids in
range), that every tensor the configuration calls for is there with its shape, checksums, and that
every matrix dequantises to finite numbers with padding rows of zero.
"""
import argparse
import hashlib
import json
import struct
import sys

import numpy as np

DTYPES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2,
          "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8}
CODES = np.array([-10, -8, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9], np.int32)
MULTIPLIERS = np.array([3, 4, 5, 6, 7, 8, 9, 10, -3, -4, -5, -6, -7, -8, -9, -10],
                       np.int32)
KINDS = ("sentencepiece", "llama_bpe", "byte_bpe", "wordpiece")
MAX_HEADER = 100 << 20


class Bad(Exception):
    pass


def require(condition, message):
    if not condition:
        raise Bad(message)


def round_up(n, unit):
    return (n + unit - 1) // unit * unit


# ---- Container -----------------------------------------------------------------------------------

def unique(pairs):
    keys = [key for key, _ in pairs]
    require(len(set(keys)) == len(keys), "duplicate key in JSON")
    return dict(pairs)


def parse_json(text):
    try:
        return json.loads(text, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise Bad(f"bad JSON: {error}") from error


def read_header(raw):
    """Tensors by name as (dtype, shape, first byte, end), the metadata, the offset of the data."""
    require(len(raw) >= 8, "shorter than 8 bytes")
    (length,) = struct.unpack("<Q", raw[:8].tobytes())
    require(length <= min(len(raw) - 8, MAX_HEADER), f"header length {length} out of range")
    text = raw[8:8 + length].tobytes()
    require(text[:1] == b"{", "the header does not start with '{'")
    header = parse_json(text)
    metadata = header.pop("__metadata__", {})
    require(all(isinstance(v, str) for v in metadata.values()), "metadata is not all strings")
    start = 8 + length
    tensors = {}
    for name, info in header.items():
        require(info["dtype"] in DTYPES, f"{name}: dtype {info['dtype']}")
        begin, end = info["data_offsets"]
        size = DTYPES[info["dtype"]]
        for dim in info["shape"]:
            require(isinstance(dim, int) and dim >= 0, f"{name}: shape")
            size *= dim
        require(0 <= begin <= end and end - begin == size, f"{name}: shape x dtype is {size} bytes")
        require((start + begin) % DTYPES[info["dtype"]] == 0, f"{name}: not aligned")
        tensors[name] = (info["dtype"], info["shape"], start + begin, start + end)
    at = start
    for name, (_, _, begin, end) in sorted(tensors.items(), key=lambda item: item[1][2:]):
        require(begin == at, f"{name}: starts at {begin}, expected {at}")
        at = end
    require(at == len(raw), f"the tensors end at {at}, the file at {len(raw)}")
    return tensors, metadata, start


# ---- Shapes --------------------------------------------------------------------------------------

def tile_bytes(kind, cols):
    if kind == "int8":
        return round_up(cols, 4) * 16 + round_up(-(-cols // 128) * 32, 64)
    require(cols % 32 == 0, f"int4 with {cols} columns")
    rest = cols % 256 // 32
    last = rest * 256 + round_up(rest * 16, 64)
    return cols // 256 * (2048 + 128) + last + round_up(-(-cols // 256) * 32, 64)


def llama_tensors(config):
    """(name, rows, cols, real rows); cols None: a vector."""
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    q = config["num_attention_heads"] * config["head_dim"]
    kv = config["num_key_value_heads"] * config["head_dim"]
    qkv, at = [], 0
    for rows in (q, kv, kv):
        qkv += range(at, at + rows)
        at += round_up(rows, 16)
    gate_up = [r for r in range(2 * round_up(inter, 16)) if r // 32 * 16 + r % 16 < inter]

    def plain(rows):
        return round_up(rows, 16), range(rows)

    vocab_rows, vocab_real = plain(config["vocab_size"])
    out_rows, out_real = plain(hidden)
    yield "model.embed_tokens.weight", vocab_rows, hidden, vocab_real
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", vocab_rows, hidden, vocab_real
    yield "model.norm.weight", hidden, None, range(hidden)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        yield prefix + "input_layernorm.weight", hidden, None, range(hidden)
        yield prefix + "post_attention_layernorm.weight", hidden, None, range(hidden)
        for part, rows, cols, real, bias in (
                ("self_attn.qkv_proj", at, hidden, qkv, config["qkv_bias"]),
                ("self_attn.o_proj", out_rows, q, out_real, config["o_bias"]),
                ("mlp.gate_up_proj", 2 * round_up(inter, 16), hidden, gate_up, config["mlp_bias"]),
                ("mlp.down_proj", out_rows, inter, out_real, config["mlp_bias"])):
            yield f"{prefix}{part}.weight", rows, cols, real
            if bias:
                yield f"{prefix}{part}.bias", rows, None, real


def bert_tensors(config):
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    padded = round_up(hidden, 16)
    qkv = [block * padded + row for block in range(3) for row in range(hidden)]
    for name, rows in (("word", "vocab_size"), ("position", "max_position_embeddings"),
                       ("token_type", "type_vocab_size")):
        rows = config[rows]
        yield f"embeddings.{name}_embeddings.weight", round_up(rows, 16), hidden, range(rows)
    norms = ["embeddings."]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        norms += [prefix + "attention.output.", prefix + "output."]
        for part, rows, cols, real in (
                ("attention.self.qkv", 3 * padded, hidden, qkv),
                ("attention.output.dense", padded, hidden, range(hidden)),
                ("intermediate.dense", round_up(inter, 16), hidden, range(inter)),
                ("output.dense", padded, inter, range(hidden))):
            yield f"{prefix}{part}.weight", rows, cols, real
            yield f"{prefix}{part}.bias", rows, None, real
    for norm in norms:
        yield norm + "LayerNorm.weight", hidden, None, range(hidden)
        yield norm + "LayerNorm.bias", hidden, None, range(hidden)


EXPECTED = {"llama": llama_tensors, "bert": bert_tensors}
TABLES = ("embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight")


def check_bert_config(config):
    require(config["pooling"] in ("mean", "cls", "max"), f"pooling {config['pooling']}")
    require(isinstance(config["normalize"], bool), "normalize")
    require(4 <= config["max_seq_length"] <= config["max_position_embeddings"],
            f"max_seq_length {config['max_seq_length']}")
    require(config["hidden_size"] % config["num_attention_heads"] == 0, "num_attention_heads")
    require(config["layer_norm_eps"] > 0, "layer_norm_eps")


def check_shape(name, tensor, rows, cols, kind):
    dtype, shape, begin, _ = tensor
    if cols is None:
        wanted = "F32", [rows]
    elif kind in ("int4", "int8"):
        wanted = "U8", [rows // 16, tile_bytes(kind, cols)]
    else:
        require(kind in ("f32", "f16", "bf16"), f"{name}: type {kind}")
        wanted = kind.upper(), [rows, cols]
    require((dtype, shape) == wanted, f"{name}: {dtype} {shape}, expected {wanted}")
    require(cols is None or begin % 64 == 0, f"{name}: starts at byte {begin}")


# ---- Values --------------------------------------------------------------------------------------

def widen(raw, kind):
    if kind == "bf16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    return raw.view({"f16": "<f2", "f32": "<f4"}[kind]).astype(np.float32)


def int8_tile(tile, cols):
    n_lines = round_up(cols, 4) // 4
    n_groups = -(-cols // 128)
    codes = tile[:n_lines * 64].view(np.int8).reshape(n_lines, 16, 4)
    codes = codes.transpose(1, 0, 2).reshape(16, n_lines * 4)[:, :cols].astype(np.float32)
    scales = widen(tile[n_lines * 64:n_lines * 64 + n_groups * 32], "f16").reshape(n_groups, 16)
    return codes * scales.T[:, np.arange(cols) // 128]


def int4_tile(tile, cols):
    out = np.empty((16, cols), np.float32)
    n_groups = -(-cols // 256)
    scales_at = len(tile) - round_up(n_groups * 32, 64)
    scales = widen(tile[scales_at:scales_at + n_groups * 32], "f16").reshape(n_groups, 16)
    at = 0
    for group in range(n_groups):
        n_slices = min(8, (cols - group * 256) // 32)
        lines = tile[at:at + n_slices * 256].reshape(n_slices, 4, 16, 4)
        multipliers = tile[at + n_slices * 256:at + n_slices * 272].reshape(n_slices, 16)
        at += n_slices * 256 + round_up(n_slices * 16, 64)
        for block, shift in ((0, 0), (1, 4)):
            # [slice, line, row, k % 4] -> [row, slice, 16 k]
            c = CODES[lines >> shift & 15].transpose(2, 0, 1, 3).reshape(16, n_slices, 16)
            m = MULTIPLIERS[multipliers >> shift & 15].T[:, :, None]
            view = out[:, group * 256:group * 256 + n_slices * 32].reshape(16, n_slices, 2, 16)
            view[:, :, block] = scales[group][:, None, None] * (m * c).astype(np.float32)
    return out


def dequantise(raw, tensor, rows, cols, kind):
    data = raw[tensor[2]:tensor[3]]
    if kind not in ("int4", "int8"):
        return widen(data, kind).reshape(rows, cols)
    tile = int4_tile if kind == "int4" else int8_tile
    return np.concatenate([tile(t, cols) for t in data.reshape(rows // 16, -1)])


# ---- The model -----------------------------------------------------------------------------------

def check_tokenizer(raw, tensors, tokenizer):
    n = tokenizer["n_pieces"]
    require(tokenizer["kind"] in KINDS, f"tokenizer kind {tokenizer['kind']}")
    wanted = {"bytes": ("U8", [tokenizer["n_bytes"]]), "offsets": ("U32", [n + 1]),
              "types": ("U8", [n]), "added": ("U8", [n])}
    if tokenizer["kind"] == "sentencepiece":
        wanted["scores"] = ("F32", [n])
    if tokenizer["kind"] in ("llama_bpe", "byte_bpe"):
        wanted["merges"] = ("U32", [tokenizer["n_merges"], 3])
    for part, declared in wanted.items():
        name = "tokenizer." + part
        require(name in tensors, f"{name} is missing")
        require(tensors[name][:2] == declared, f"{name}: {tensors[name][:2]}, expected {declared}")
    _, _, begin, end = tensors["tokenizer.offsets"]
    offsets = raw[begin:end].view("<u4").astype(np.int64)
    require(offsets[0] == 0 and offsets[-1] == tokenizer["n_bytes"] and
            (np.diff(offsets) >= 0).all(), "tokenizer.offsets do not ascend")
    if "merges" in wanted:
        _, _, begin, end = tensors["tokenizer.merges"]
        require((raw[begin:end].view("<u4") < n).all(), "tokenizer.merges: an id out of range")
    for token in ("bos", "eos", "unk"):
        require(-1 <= tokenizer[token] < n, f"tokenizer {token} {tokenizer[token]}")
    return set("tokenizer." + part for part in wanted)


def check_checksums(raw, tensors, notes):
    n = 0
    for name, note in notes.items():
        require(name in tensors, f"metadata describes {name}, which is not in the file")
        if "sha256" in note:
            digest = hashlib.sha256(raw[tensors[name][2]:tensors[name][3]]).hexdigest()
            require(digest == note["sha256"], f"{name}: checksum {digest}")
            n += 1
    return n


def check_weights(raw, tensors, document, dump):
    known = set()
    for name, rows, cols, real in EXPECTED[document["architecture"]](document["config"]):
        require(name in tensors, f"{name} is missing")
        kind = document["tensors"].get(name, {}).get("type")
        require((kind is None) == (cols is None), f"{name}: type {kind}")
        require(name not in TABLES or kind == "f32", f"{name}: type {kind}, not f32")
        check_shape(name, tensors[name], rows, cols, kind)
        if cols is None:
            values = widen(raw[tensors[name][2]:tensors[name][3]], "f32")
        else:
            values = dequantise(raw, tensors[name], rows, cols, kind)
        require(np.isfinite(values).all(), f"{name}: values that are not finite")
        padding = np.ones(rows, bool)
        padding[np.fromiter(real, int)] = False
        require((values[padding] == 0).all(), f"{name}: padding rows are not zero")
        if dump is not None and dump[0] == name:
            np.save(dump[1], values)
        known.add(name)
    return known


def check_file(path, dump):
    raw = np.memmap(path, np.uint8, "r")
    tensors, metadata, start = read_header(raw)
    require("pith" in metadata, "__metadata__ has no key pith")
    require(start % 4096 == 0, f"the data starts at byte {start}")
    document = parse_json(metadata["pith"])
    require(document["format_version"] == 1, f"format version {document['format_version']}")
    require(document["architecture"] in EXPECTED, f"architecture {document['architecture']}")
    if document["architecture"] == "bert":
        check_bert_config(document["config"])
    vocab_size = document["config"]["vocab_size"]
    tokens = document["tokens"]
    require(-1 <= tokens["bos"] < vocab_size, f"bos {tokens['bos']}")
    require(all(0 <= eos < vocab_size for eos in tokens["eos"]), f"eos {tokens['eos']}")
    n_checksums = check_checksums(raw, tensors, document["tensors"])
    known = check_weights(raw, tensors, document, dump)
    require(dump is None or dump[0] in known, f"no tensor {dump and dump[0]}")
    if "tokenizer" in document:
        known |= check_tokenizer(raw, tensors, document["tokenizer"])
    strangers = sorted(set(tensors) - known)
    note = f", unknown: {', '.join(strangers)}" if strangers else ""
    print(f"OK {path}: {len(tensors)} tensors, {n_checksums} checksums, "
          f"{document['type']}/{document['head_type']}{note}")


def main():
    parser = argparse.ArgumentParser(description="Checks .pith files by docs/format.md.")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--dump", nargs=2, metavar=("NAME", "OUT"))
    arguments = parser.parse_args()
    for path in arguments.files:
        try:
            check_file(path, arguments.dump)
        except (Bad, KeyError, TypeError, ValueError, OSError) as error:
            print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
