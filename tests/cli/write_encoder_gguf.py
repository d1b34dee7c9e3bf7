#!/usr/bin/python3
"""Small GGUF files of the encoders in golden/encoders, by the rules of llama.cpp's converter.

    write_encoder_gguf.py DIRECTORY OUT.gguf [KEY=JSON ...]

The tokenizer is that of the directory: a Unigram or byte-level tokenizer.json, or BERT's vocab.txt. A KEY
replaces one of the file or joins it; null removes it; a value in a list of one is an i8, u8, i32 or f32 of
KEY:TYPE. A key that ends in ".weight" removes that tensor. Standard library and numpy only.
"""
import base64
import json
import struct
import sys
from pathlib import Path

from write_gguf import read_safetensors, text, write

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
MARK = "\u2581"
ARRAYS = {"u8": (0, "B"), "i8": (1, "b"), "i32": (5, "i"), "f32": (6, "f"), "string": (8, None)}

BERT = {
    "embeddings.word_embeddings": "token_embd", "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types", "embeddings.LayerNorm": "token_embd_norm",
    "attention.self.query": "attn_q", "attention.self.key": "attn_k", "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output", "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up", "output.dense": "ffn_down", "output.LayerNorm": "layer_output_norm",
}
NOMIC = {
    "embeddings.word_embeddings": "token_embd", "embeddings.token_type_embeddings": "token_types",
    "emb_ln": "token_embd_norm", "attn.Wqkv": "attn_qkv", "attn.out_proj": "attn_output",
    "norm1": "attn_output_norm", "mlp.fc11": "ffn_up", "mlp.fc12": "ffn_gate", "mlp.fc2": "ffn_down",
    "norm2": "layer_output_norm",
}
MODERN = {
    "embeddings.tok_embeddings": "token_embd", "embeddings.norm": "token_embd_norm",
    "final_norm": "output_norm", "attn_norm": "attn_norm", "attn.Wqkv": "attn_qkv",
    "attn.Wo": "attn_output", "mlp_norm": "ffn_norm", "mlp.Wi": "ffn_up", "mlp.Wo": "ffn_down",
}
# model_type: architecture, what stands before a layer's number, names of tensors
FAMILIES = {
    "bert": ("bert", "encoder.layer.", BERT), "roberta": ("bert", "encoder.layer.", BERT),
    "xlm-roberta": ("bert", "encoder.layer.", BERT), "nomic_bert": ("nomic-bert", "encoder.layers.", NOMIC),
    "modernbert": ("modern-bert", "layers.", MODERN),
}


def array(kind, values):
    number, code = ARRAYS[kind]
    head = struct.pack("<IIQ", 9, number, len(values))
    if code is None:
        return head + b"".join(text(value) for value in values)
    return head + struct.pack(f"<{len(values)}{code}", *values)


def architecture_keys(config):
    kind = config["model_type"]
    name = FAMILIES[kind][0]
    get = config.get
    offset = get("pad_token_id", 1) + 1 if kind in ("roberta", "xlm-roberta") else 0
    keys = {
        "context_length": get("max_position_embeddings", get("n_positions")) - offset,
        "embedding_length": get("hidden_size", get("n_embd")),
        "feed_forward_length": get("intermediate_size", get("n_inner")),
        "block_count": get("num_hidden_layers", get("n_layer")),
        "attention.head_count": get("num_attention_heads", get("n_head")),
        "attention.layer_norm_epsilon": float(
            get("layer_norm_eps", get("layer_norm_epsilon", get("norm_eps", 1e-5)))),
        "attention.causal": False,
    }
    if kind == "nomic_bert":
        keys["rope.freq_base"] = float(get("rotary_emb_base", 10000))
    if kind == "modernbert":
        keys["rope.freq_base"] = float(get("global_rope_theta", 160000))
        keys["rope.freq_base_swa"] = float(get("local_rope_theta", 10000))
        keys["rope.scaling.type"] = "none"
        keys["attention.sliding_window"] = get("local_attention", 128)
        keys["attention.sliding_window_pattern"] = get("global_attn_every_n_layers", 3)
        keys["vocab_size"] = config["vocab_size"]
        keys["hidden_activation"] = get("hidden_activation", "gelu")
    return {"general.architecture": name} | {f"{name}.{key}": value for key, value in keys.items()}


def wordpiece(directory):
    tokens = (directory / "vocab.txt").read_text(encoding="utf-8").splitlines()
    special = [token.startswith("[") and token.endswith("]") for token in tokens]
    stored = [token if s else token[2:] if token.startswith("##") else MARK + token
              for token, s in zip(tokens, special, strict=True)]
    ids = {token: i for i, token in enumerate(tokens)}
    return {
        "tokenizer.ggml.model": "bert", "tokenizer.ggml.pre": "jina-v2-en",
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": array("string", stored),
        "tokenizer.ggml.token_type": array("i32", [CONTROL if s else NORMAL for s in special]),
        "tokenizer.ggml.unknown_token_id": ids["[UNK]"],
        "tokenizer.ggml.seperator_token_id": ids["[SEP]"],
        "tokenizer.ggml.padding_token_id": ids["[PAD]"], "tokenizer.ggml.cls_token_id": ids["[CLS]"],
    }


def unigram(tokenizer, rows):
    vocab = tokenizer["model"]["vocab"]
    special = {token["id"]: token["special"] for token in tokenizer["added_tokens"]}
    tokens = [piece for piece, _ in vocab] + [f"[PAD{i}]" for i in range(len(vocab), rows)]
    scores = [score for _, score in vocab] + [-10000.0] * (rows - len(vocab))
    unknown = tokenizer["model"]["unk_id"]
    types = [UNKNOWN if i == unknown else
             UNUSED if i >= len(vocab) else
             CONTROL if special.get(i) else USER_DEFINED if i in special else NORMAL
             for i in range(rows)]
    keys = {
        "tokenizer.ggml.model": "t5", "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": array("string", tokens), "tokenizer.ggml.scores": array("f32", scores),
        "tokenizer.ggml.token_type": array("i32", types), "tokenizer.ggml.add_space_prefix": True,
        "tokenizer.ggml.token_type_count": 1, "tokenizer.ggml.remove_extra_whitespaces": True,
        "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": unknown, "tokenizer.ggml.seperator_token_id": 2,
        "tokenizer.ggml.padding_token_id": 1, "tokenizer.ggml.cls_token_id": 0,
    }
    charsmap = (tokenizer["normalizer"] or {}).get("precompiled_charsmap")
    if charsmap:
        keys["tokenizer.ggml.precompiled_charsmap"] = array("u8", base64.b64decode(charsmap))
    return keys


def byte_level(tokenizer, rows, pre):
    ids = dict(tokenizer["model"]["vocab"])
    added = {token["id"]: token for token in tokenizer["added_tokens"]}
    tokens = {i: token for token, i in ids.items()} | {i: t["content"] for i, t in added.items()}
    types = [(CONTROL if added[i]["special"] else USER_DEFINED) if i in added else
             NORMAL if i in tokens else UNUSED for i in range(rows)]
    merges = [merge if isinstance(merge, str) else " ".join(merge)
              for merge in tokenizer["model"]["merges"]]
    around = {token["id"]: token["ids"][0]
              for token in tokenizer["post_processor"]["special_tokens"].values()}
    first = next(t["SpecialToken"]["id"] for t in tokenizer["post_processor"]["single"]
                 if "SpecialToken" in t)
    last = next(t["SpecialToken"]["id"] for t in reversed(tokenizer["post_processor"]["single"])
                if "SpecialToken" in t)
    return {
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": array("string", [tokens.get(i, f"[PAD{i}]") for i in range(rows)]),
        "tokenizer.ggml.token_type": array("i32", types),
        "tokenizer.ggml.merges": array("string", merges),
        "tokenizer.ggml.bos_token_id": around[first], "tokenizer.ggml.eos_token_id": around[last],
        "tokenizer.ggml.cls_token_id": around[first], "tokenizer.ggml.seperator_token_id": around[last],
        "tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.add_eos_token": True,
        "tokenizer.ggml.add_sep_token": True,
    }


def tokenizer_keys(directory, config):
    rows = config["vocab_size"]
    path = directory / "tokenizer.json"
    if not path.exists():
        return wordpiece(directory)
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    if tokenizer["model"]["type"] == "Unigram":
        return unigram(tokenizer, rows)
    pre = "modern-bert" if config["model_type"] == "modernbert" else "roberta-bpe"
    return byte_level(tokenizer, rows, pre)


def name_of(config, name):
    _, layers, names = FAMILIES[config["model_type"]]
    stem, ending = name.rsplit(".", 1)
    if not stem.startswith(layers):
        return f"{names[stem]}.{ending}"
    layer, rest = stem.removeprefix(layers).split(".", 1)
    return f"blk.{layer}.{names[rest]}.{ending}"


def pooling(directory):
    config = json.loads((directory / "1_Pooling/config.json").read_text())
    cls = config.get("pooling_mode") == "cls" or config.get("pooling_mode_cls_token")
    return 2 if cls else 1


def stored(dtype, values):
    """Vectors are float32."""
    if values.ndim > 1 or dtype == "F32":
        return dtype, values
    wide = (values.astype("<u4") << 16).view("<f4") if dtype == "BF16" else values.astype("<f4")
    return "F32", wide


def main(source, out, *changes):
    directory = Path(source)
    config = json.loads((directory / "config.json").read_text())
    architecture = FAMILIES[config["model_type"]][0]
    keys = architecture_keys(config) | tokenizer_keys(directory, config)
    keys[f"{architecture}.pooling_type"] = pooling(directory)
    tensors = {}
    for name, dtype, values in read_safetensors(directory / "model.safetensors"):
        if "pooler" in name:
            continue
        new = name_of(config, name)
        offset = config.get("pad_token_id", 1) + 1
        cut = new == "position_embd.weight" and config["model_type"] in ("roberta", "xlm-roberta")
        tensors[new] = stored(dtype, values[offset:] if cut else values)
    for change in changes:
        key, value = change.split("=", 1)
        value = json.loads(value)
        key, _, kind = key.partition(":")
        if value is None:
            (tensors if key.endswith(".weight") else keys).pop(key)
        else:
            keys[key] = array(kind, value) if kind else value
    write(Path(out), keys, tensors)


if __name__ == "__main__":
    main(*sys.argv[1:])
