"""Makes a small checkpoint from the configuration files of a large one: dimensions are shrunk, every
other key is kept as it stands, the tensors of the family are random, and the tokenizer is one of the
right kind and size with the added tokens that the files name.

    shrink_config.py SOURCE OUT

SOURCE holds config.json and what lies beside it (tokenizer_config.json, generation_config.json,
modules.json ...); files of weights and vocabularies there are not read. Only the decoders that pith
converts get weights (encoders: real_encoders.py); of another family the files are copied.
"""

import json
import os
import shutil
import struct
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
import containers  # noqa: E402
import families  # noqa: E402

LEFT_OUT = ("*.safetensors", "*.bin", "*.gguf", "tokenizer.json", "tokenizer.model", "vocab.json",
            "merges.txt", "*.md", "config.json")
HIDDEN, FFN, LAYERS, HEADS, HEAD_DIM = 32, 48, 2, 4, 8
MXFP4_FFN = 64  # whole blocks of 32


def read_json(directory, name, otherwise):
    try:
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def is_mxfp4(config):
    return (config.get("quantization_config") or {}).get("quant_method") == "mxfp4"


# ---- Configuration ------------------------------------------------------------------------------

def shrink(config):
    """The dimensions of HIDDEN and so on; the ratio of KV heads is kept as far as it goes."""
    c = dict(config)
    if families.is_wrapper(c):
        return dict(c, text_config=shrink(c["text_config"]))
    heads = c.get("num_attention_heads", 32)
    c.update(hidden_size=HIDDEN, intermediate_size=FFN, num_hidden_layers=LAYERS,
             num_attention_heads=HEADS)
    if is_mxfp4(c):
        c["intermediate_size"] = MXFP4_FFN
    if c.get("num_key_value_heads") is not None:
        c["num_key_value_heads"] = max(1, HEADS * c["num_key_value_heads"] // heads)
    if c.get("head_dim") is not None:
        c["head_dim"] = HEAD_DIM
    if c.get("moe_intermediate_size") is not None:
        c["moe_intermediate_size"] = FFN
    if c.get("layer_types") is not None:
        c["layer_types"] = c["layer_types"][-LAYERS:]
    if c.get("no_rope_layers") is not None:
        c["no_rope_layers"] = c["no_rope_layers"][-LAYERS:]  # the last one of four has no RoPE
    for section in ("rope_parameters", "rope_scaling"):
        rope = c.get(section) or {}
        pairs = int(HEAD_DIM * c.get("partial_rotary_factor", 1)) // 2
        lists = {k: v[-pairs:] for k, v in rope.items() if k in ("short_factor", "long_factor")}
        c.update({section: dict(rope, **lists)} if lists else {})
    return c


# ---- Weights ------------------------------------------------------------------------------------

def wrapped_names(config, shapes):
    """Names of the text part of a model of texts and images, as old and new checkpoints have them."""
    for name, shape in shapes:
        new = name.replace("model.", "model.language_model.", 1)
        yield (new if "dtype" in config else f"language_model.{name}"), shape
    yield "vision_tower.patch_conv.weight", (4, 4)


def tensor_shapes(c):
    """Names and shapes of the tensors of families.Config c."""
    yield "model.embed_tokens.weight", (c.vocab, HIDDEN)
    yield "model.norm.weight", (HIDDEN,)
    if c.layer_norm:
        yield "model.norm.bias", (HIDDEN,)
    if not c.tied:
        yield "lm_head.weight", (c.vocab, HIDDEN)
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    gate, up, down = c.mlp
    linears = [("self_attn.q_proj", q, HIDDEN, c.qkv_bias),
               ("self_attn.k_proj", kv, HIDDEN, c.qkv_bias),
               ("self_attn.v_proj", kv, HIDDEN, c.qkv_bias)]
    if "qkv" in c.joined:
        linears = [("self_attn.qkv_proj", q + 2 * kv, HIDDEN, False)]
    linears.append(("self_attn.o_proj", HIDDEN, q, c.o_bias))
    mlps = [f"mlp.experts.{e}." for e in range(c.experts)] or ["mlp."]
    if c.kind == "gpt_oss":
        mlps = []  # oss_shapes
    elif c.experts:
        linears.append(("mlp.gate", c.experts, HIDDEN, False))
    for mlp in mlps:
        if "gate_up" in c.joined:
            linears.append((mlp + "gate_up_proj", 2 * FFN, HIDDEN, False))
        else:
            linears += [(mlp + part, FFN, HIDDEN, c.mlp_bias) for part in (gate, up) if part]
        linears.append((mlp + down, HIDDEN, FFN, c.mlp_bias))
    for i in range(LAYERS):
        at = f"model.layers.{i}."
        if c.kind == "gpt_oss":
            yield from oss_shapes(c, at)
        for part, rows, columns, bias in linears:
            yield f"{at}{part}.weight", (rows, columns)
            if bias:
                yield f"{at}{part}.bias", (rows,)
        for norm in filter(None, c.norms):
            yield f"{at}{norm}.weight", (HIDDEN,)
            if c.layer_norm:
                yield f"{at}{norm}.bias", (HIDDEN,)
        if c.qk_norm:
            whole = c.qk_norm == "whole"
            for part, heads in zip(c.qk_names, (c.heads, c.kv_heads)):
                yield f"{at}self_attn.{part}.weight", (c.head_dim * (heads if whole else 1),)


def oss_shapes(c, at):
    """What a layer of gpt-oss has: a tensor for all experts, columns first."""
    yield at + "self_attn.sinks", (c.heads,)
    yield at + "mlp.router.weight", (c.experts, HIDDEN)
    yield at + "mlp.router.bias", (c.experts,)
    for part, rows, columns in (("gate_up", 2 * c.ffn, HIDDEN), ("down", HIDDEN, c.ffn)):
        yield f"{at}mlp.experts.{part}_proj", (c.experts, columns, rows)
        yield f"{at}mlp.experts.{part}_proj_bias", (c.experts, rows)


def random_mxfp4(numbers, experts, columns, rows):
    """Blocks and scales, rows first, of about the size of the other weights."""
    shape = (experts, rows, columns // 32)
    return {"_blocks": ("U8", numbers.integers(0, 256, (*shape, 16), np.uint8)),
            "_scales": ("U8", numbers.integers(123, 126, shape, np.uint8))}


def write_weights(path, c, shapes):
    dtype = {"float16": "F16", "bfloat16": "BF16"}.get(c.get("dtype", c.get("torch_dtype")), "F32")
    numbers = np.random.default_rng(sum(map(ord, json.dumps(c, sort_keys=True))))
    tensors = {}
    for name, shape in shapes:
        if is_mxfp4(c) and ".experts." in name and name.endswith("_proj"):
            parts = random_mxfp4(numbers, *shape)
            tensors.update({name + end: part for end, part in parts.items()})
            continue
        is_norm = "norm" in name.lower() and name.endswith("weight")
        values = numbers.standard_normal(shape, dtype=np.float32)
        values = values * (0.1 if len(shape) == 1 else 0.3) + is_norm
        tensors[name] = (dtype, {"F16": lambda v: v.astype(np.float16),
                                 "BF16": containers.f32_to_bf16,
                                 "F32": lambda v: v}[dtype](values.astype(np.float32)))
    containers.write_safetensors(path, tensors)


# ---- Tokenizers ---------------------------------------------------------------------------------

def added_tokens(source):
    """id -> token, of tokenizer_config.json and added_tokens.json."""
    settings = read_json(source, "tokenizer_config.json", {})
    tokens = {int(i): t for i, t in (settings.get("added_tokens_decoder") or {}).items()}
    for text, i in read_json(source, "added_tokens.json", {}).items():
        tokens.setdefault(i, {"content": text, "special": False})
    return tokens


def bytes_to_unicode():
    """GPT-2's printable character for each byte."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {b: chr(b) for b in kept}
    for b in range(256):
        table.setdefault(b, chr(256 + sum(k >= 256 for k in map(ord, table.values()))))
    return [table[b] for b in range(256)]


def write_byte_bpe(out, vocab_size, added):
    size = max([*added, 256]) + 1 if added else vocab_size
    vocab = {}
    pieces = iter(bytes_to_unicode())
    for i in range(size):
        if i not in added:
            vocab[next(pieces, f"unused{i}")] = i
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True}
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{**flags, **t, "id": i} for i, t in sorted(added.items())],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
                          "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
                  "byte_fallback": False, "vocab": vocab, "merges": []}}
    with open(os.path.join(out, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(tokenizer, file, ensure_ascii=False)


def proto(field, value):
    """One field of a protobuf message."""
    def varint(n):
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])
    if isinstance(value, bytes):
        return varint(field << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(field << 3 | 5) + struct.pack("<f", value)
    return varint(field << 3) + varint(value)


def write_sentencepiece(out, vocab_size, added):
    size = min([i for i in added if i >= 300] + [vocab_size])
    pieces = [("<unk>", 2), ("<s>", 3), ("</s>", 3)]
    pieces += [(f"<0x{b:02X}>", 6) for b in range(256)]
    pieces += [(letter, 1) for letter in "\u2581abcdefghijklmnopqrstuvwxyz.,"]
    pieces += [(f"unused{i}", 5) for i in range(len(pieces), size)]
    model = b"".join(proto(1, proto(1, text.encode()) + proto(2, -float(i)) + proto(3, kind))
                     for i, (text, kind) in enumerate(pieces[:size]))
    model += proto(2, proto(3, 2) + proto(35, 1))  # BPE, byte_fallback
    model += proto(3, proto(1, b"identity") + proto(3, 1) + proto(4, 0) + proto(5, 1))
    with open(os.path.join(out, "tokenizer.model"), "wb") as file:
        file.write(model)


def write_tokenizer(source, out, config):
    settings = read_json(source, "tokenizer_config.json", {})
    vocab_size = families.of(config).vocab
    added = added_tokens(source)
    sentencepiece = str(settings.get("tokenizer_class", "")).startswith(("Llama", "CodeLlama"))
    if not settings:
        sentencepiece = vocab_size < 49152
    if sentencepiece:
        write_sentencepiece(out, vocab_size, added)
    else:
        write_byte_bpe(out, vocab_size, added)


# ---- All of it ----------------------------------------------------------------------------------

def make(source, out):
    """Returns True for the families that are converted."""
    config = read_json(source, "config.json", {})
    decoder = families.kind_of(config) is not None
    shutil.copytree(source, out, ignore=shutil.ignore_patterns(*LEFT_OUT), copy_function=shutil.copyfile)
    small = shrink(config) if decoder else config
    last = max(added_tokens(source), default=0)
    if decoder and "vocab_size" in small and last >= small["vocab_size"]:
        small["vocab_size"] = last + 1  # of a configuration that somebody has cut already
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(small, file)
    if decoder:
        shapes = tensor_shapes(families.of(small))
        if families.is_wrapper(small):
            shapes = wrapped_names(small, shapes)
        write_weights(os.path.join(out, "model.safetensors"), small, shapes)
        write_tokenizer(source, out, small)
    return decoder


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    make(sys.argv[1], sys.argv[2])
