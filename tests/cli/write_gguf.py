#!/usr/bin/python3
"""Small GGUF files of the families in golden/extra, by the rules of llama.cpp's converter.

    write_gguf.py NAME OUT [KEY=JSON ...]

NAME is a directory of golden/extra: its family, or its family and "-" and more. Writes OUT/NAME.gguf, and beside it OUT/NAME: the checkpoint with a config.json that says what the file
says, where the converter drops settings. A KEY (without the architecture) replaces one of the file or
joins it; null removes it. More block_count than the checkpoint has repeats its last layer. A key that ends
in ".weight" adds a tensor of as many zeros, or removes it. Standard library and numpy only.
"""
import json
import math
import shutil
import struct
import sys
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "golden"

OUTER = {"model.embed_tokens": "token_embd", "lm_head": "output", "model.norm": "output_norm"}
LAYER = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.qkv_proj": "attn_qkv", "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.gate_up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}
# Those of experts, a tensor for all of a layer, and of their routers.
EXPERTS = {"gate_proj": "gate", "w1": "gate", "up_proj": "up", "w3": "up", "down_proj": "down",
           "w2": "down", "output_linear": "down"}
ROUTERS = ("mlp.gate", "block_sparse_moe.gate", "block_sparse_moe.router.layer", "mlp.router")
ARCHITECTURES = {"ministral3": "mistral3", "olmo3": "olmo2", "mixtral": "llama",
                 "qwen3_moe": "qwen3moe", "gpt_oss": "gpt-oss"}  # where not the family's name
# Of gpt-oss.
OSS = {"post_attention_layernorm": "post_attention_norm", "self_attn.sinks": "attn_sinks"}
NORMS_AFTER = {
    "post_attention_layernorm": "post_attention_norm", "post_feedforward_layernorm": "post_ffw_norm",
    "pre_feedforward_layernorm": "ffn_norm",
}
# config.json's keys: of all families, then of those that have them.
COUNTS = {
    "max_position_embeddings": "context_length", "hidden_size": "embedding_length",
    "num_hidden_layers": "block_count", "intermediate_size": "feed_forward_length",
    "num_attention_heads": "attention.head_count", "num_key_value_heads": "attention.head_count_kv",
    "head_dim": "attention.key_length", "sliding_window": "attention.sliding_window",
    "num_experts": "expert_count", "num_local_experts": "expert_count",
    "num_experts_per_tok": "expert_used_count", "moe_intermediate_size": "expert_feed_forward_length",
}
NUMBERS = {
    "rms_norm_eps": "attention.layer_norm_rms_epsilon", "rope_theta": "rope.freq_base",
    "rope_local_base_freq": "rope.freq_base_swa", "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping", "attention_multiplier": "attention.scale",
    "embedding_multiplier": "embedding_scale", "residual_multiplier": "residual_scale",
    "logits_scaling": "logit_scale",
}

YARN = {
    "original_max_position_embeddings": "rope.scaling.original_context_length",
    "beta_fast": "rope.scaling.yarn_beta_fast", "beta_slow": "rope.scaling.yarn_beta_slow",
    "attention_factor": "rope.scaling.yarn_attn_factor",
    "mscale_all_dim": "rope.scaling.yarn_log_multiplier",
    "llama_4_scaling_beta": "attention.temperature_scale",
}


def name_of(family, name):
    name += ".weight" if name.endswith("sinks") else ""
    stem, ending = name.rsplit(".", 1)
    if not stem.startswith("model.layers."):
        return f"{OUTER[stem]}.{ending}"
    layer, rest = stem.removeprefix("model.layers.").split(".", 1)
    if rest in ROUTERS:
        return f"blk.{layer}.ffn_gate_inp.{ending}"
    names = LAYER | NORMS_AFTER if family in ("gemma2", "gemma3", "olmo2", "olmo3") else LAYER
    names = LAYER | OSS if family == "gpt_oss" else names
    return f"blk.{layer}.{names[rest]}.{ending}"


def read_safetensors(path):
    data = path.read_bytes()
    n = int.from_bytes(data[:8], "little")
    for name, t in json.loads(data[8 : 8 + n]).items():
        if name != "__metadata__":
            first, last = t["data_offsets"]
            kind = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[t["dtype"]]
            values = np.frombuffer(data[8 + n + first : 8 + n + last], kind).reshape(t["shape"])
            yield name, t["dtype"], values


def interleave(rows, heads):
    """The two halves of a head's rows take turns."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1)
    return halves.swapaxes(1, 2).reshape(rows.shape)


def stored(family, config, name, dtype, values):
    if values.ndim == 1:  # vectors are float32; Gemma's norms are stored as 1 + w
        wide = values.astype("<u4") << 16 if dtype == "BF16" else values.astype("<f4")
        wide = wide.view("<f4")
        return "F32", wide + np.float32(1) if family in ("gemma2", "gemma3") else wide
    heads = {"attn_q": "num_attention_heads", "attn_k": "num_key_value_heads"}
    key = heads.get(name.split(".")[-2])
    if family in ("granite", "ministral3", "granitemoe", "mixtral") and key is not None:
        values = interleave(values, config[key])
    return dtype, values


def put_turns(tensors, name, dtype, values):
    """Experts of gpt-oss: columns first, rows of gate and up in turn; biases are float32."""
    layer, last = name.split(".")[2], name.rsplit(".", 1)[1]
    ending = "weight"
    if last.endswith("_bias"):
        ending, dtype = "bias", "F32"
        values = (values.astype("<u4") << 16).view("<f4")
    else:
        values = values.transpose(0, 2, 1)
    parts = {"down": values} if "down" in last else {"gate": values[:, ::2], "up": values[:, 1::2]}
    for part, rows in parts.items():
        tensors[f"blk.{layer}.ffn_{part}_exps.{ending}"] = (dtype, np.ascontiguousarray(rows))


def put_expert(tensors, name, dtype, values):
    """True when the tensor is one of experts, which then are, or become, one for all."""
    if ".experts." in name and name.endswith(("_proj", "_proj_bias")):
        put_turns(tensors, name, dtype, values)
        return True
    stem = name.removesuffix(".weight")
    layer, last = stem.split(".")[2], stem.rsplit(".", 1)[1]
    if last == "input_linear":  # gate and up of each, one after another
        for kind, part in zip(("gate", "up"), np.split(values, 2, axis=1)):
            tensors[f"blk.{layer}.ffn_{kind}_exps.weight"] = (dtype, np.ascontiguousarray(part))
        return True
    if ".experts." not in stem and last != "output_linear":
        return False
    place = f"blk.{layer}.ffn_{EXPERTS[last]}_exps.weight"
    if ".experts." in stem:
        expert = int(stem.split(".experts.")[1].split(".")[0])
        _, old = tensors.get(place, (dtype, {}))
        values = {**old, expert: values}
    tensors[place] = (dtype, values)
    return True


def keys_of(family, config):
    case, family = family, ARCHITECTURES.get(family, family)
    keys = {"general.architecture": family}
    for table, convert in ((COUNTS, int), (NUMBERS, float)):
        for key, name in table.items():
            if config.get(key) is not None:
                keys[f"{family}.{name}"] = convert(config[key])
    scaling = config.get("rope_scaling") or config.get("rope_parameters")
    if case == "olmo3":
        layers = range(config["num_hidden_layers"])
        keys[f"{family}.attention.sliding_window_pattern"] = [(i + 1) % 4 != 0 for i in layers]
    if scaling and "long_factor" in scaling:
        original = config["original_max_position_embeddings"]
        stretched = math.log(config["max_position_embeddings"] / original)
        keys[f"{family}.rope.scaling.original_context_length"] = original
        keys[f"{family}.rope.scaling.attn_factor"] = math.sqrt(1 + stretched / math.log(original))
    elif scaling:
        keys[f"{family}.rope.scaling.type"] = scaling["rope_type"]
        keys[f"{family}.rope.scaling.factor"] = scaling["factor"]
        for key, name in YARN.items():
            if key in scaling:
                keys[f"{family}.{name}"] = scaling[key]
    if case == "gpt_oss":
        keys[f"{family}.expert_feed_forward_length"] = config["intermediate_size"]
    if "rope_parameters" in config:
        keys[f"{family}.rope.freq_base"] = scaling["rope_theta"]
    if "partial_rotary_factor" in config:
        size = config["hidden_size"] // config["num_attention_heads"]
        keys[f"{family}.rope.dimension_count"] = int(size * config["partial_rotary_factor"])
    return keys


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value):
    if isinstance(value, bytes):  # a type and a value already
        return value
    if isinstance(value, bool):
        return struct.pack("<IB", 7, value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 7, len(value)) + bytes(value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + text(value)
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)


def pad(data):
    return data + bytes(-len(data) % 32)


def write(path, keys, tensors):
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    head += b"".join(text(k) + typed(v) for k, v in keys.items())
    body = b""
    for name, (dtype, values) in tensors.items():
        shape = values.shape
        if dtype == "MXFP4":  # bytes of blocks of 32
            shape = (*shape[:-2], shape[-2] * 32)
        head += text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", {"F32": 0, "F16": 1, "BF16": 30, "MXFP4": 39}[dtype], len(body))
        body += pad(values.tobytes())
    path.write_bytes(pad(head) + body)


def tensors_of(family, config, checkpoint):
    tensors = {}
    for name, dtype, values in read_safetensors(checkpoint / "model.safetensors"):
        if name.startswith("model.layers.") and put_expert(tensors, name, dtype, values):
            continue
        name = name_of(family, name)
        tensors[name] = stored(family, config, name, dtype, values)
    for name, (dtype, values) in tensors.items():
        if isinstance(values, dict):  # by expert, in any order
            tensors[name] = (dtype, np.stack([values[e] for e in sorted(values)]))
    return tensors


def main(case, out, *changes):
    checkpoint = GOLDEN / "extra" / case
    family = {"qwen3-moe": "qwen3_moe"}.get(case, case.split("-")[0])
    architecture = ARCHITECTURES.get(family, family)
    config = json.loads((checkpoint / "config.json").read_text())
    keys = keys_of(family, config)
    tensors = tensors_of(family, config, checkpoint)
    for kind in ("long", "short"):
        factors = (config.get("rope_scaling") or {}).get(f"{kind}_factor")
        if factors:
            tensors[f"rope_factors_{kind}.weight"] = ("F32", np.array(factors, "<f4"))
    for change in changes:
        key, value = change.split("=", 1)
        value = json.loads(value)
        if key.endswith(".weight") and value is None:
            del tensors[key]
        elif key.endswith(".weight"):
            tensors[key] = ("F32", np.zeros(value, "<f4"))
        elif value is None:
            del keys[f"{architecture}.{key}"]
        else:
            keys[f"{architecture}.{key}"] = value
    last = config["num_hidden_layers"] - 1
    for layer in range(last + 1, keys[f"{architecture}.block_count"]):
        for name in [n for n in tensors if n.startswith(f"blk.{last}.")]:
            tensors[name.replace(f"blk.{last}.", f"blk.{layer}.")] = tensors[name]
    write(Path(out) / f"{case}.gguf", keys, tensors)
    says = Path(out) / case
    shutil.copytree(checkpoint, says, dirs_exist_ok=True)
    if family.startswith("gemma"):  # the format has neither; readers know them
        config.pop("sliding_window_pattern", None)
        config["query_pre_attn_scalar"] = config["head_dim"]
    factor = keys.get(f"{architecture}.rope.scaling.attn_factor")
    if factor is not None:  # a float in the file
        config["rope_scaling"]["attention_factor"] = float(str(np.float32(factor)))
    (says / "config.json").write_text(json.dumps(config))


if __name__ == "__main__":
    main(*sys.argv[1:])
