#!/usr/bin/python3
"""golden/encoders/nomic as transformers 5 would write it: respell_nomic.py OUT [tensors]

config.json has the keys of its NomicBertConfig; with "tensors" the weights have the names of its
NomicBertModel too, else those of the checkpoints' own code.
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
sys.path.insert(0, str(GOLDEN))
from containers import read_safetensors, write_safetensors  # noqa: E402

KEYS = {"n_embd": "hidden_size", "n_inner": "intermediate_size", "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads", "n_positions": "max_position_embeddings",
        "layer_norm_epsilon": "layer_norm_eps", "vocab_size": "vocab_size"}
NAMES = {"encoder.layers": "layers", "emb_ln": "embeddings.LayerNorm", "attn.out_proj": "self_attn.o_proj",
         "fc11": "up_proj", "fc12": "gate_proj", "fc2": "down_proj", "norm1": "post_attention_layernorm",
         "norm2": "post_mlp_layernorm"}


def renamed(tensors):
    for name, (kind, values) in tensors.items():
        for old, new in NAMES.items():
            name = name.replace(old, new)
        if "attn.Wqkv" not in name:
            yield name, (kind, values)
            continue
        for part, rows in zip("qkv", np.split(values, 3), strict=True):
            yield name.replace("attn.Wqkv", f"self_attn.{part}_proj"), (kind, rows)


def main(out, what="config"):
    shutil.copytree(GOLDEN / "encoders/nomic", out)
    path = Path(out) / "config.json"
    old = json.loads(path.read_text())
    config = {new: old[key] for key, new in KEYS.items()}
    config.update(architectures=["NomicBertModel"], model_type="nomic_bert", hidden_act="silu",
                  type_vocab_size=2, head_dim=old["n_embd"] // old["n_head"], pad_token_id=0,
                  rope_parameters={"rope_theta": float(old["rotary_emb_base"]), "rope_type": "default"},
                  transformers_version="5.5.0")
    path.write_text(json.dumps(config))
    if what == "tensors":
        path = Path(out) / "model.safetensors"
        _, tensors = read_safetensors(path)
        path.unlink()
        write_safetensors(path, dict(renamed(tensors)))


if __name__ == "__main__":
    main(*sys.argv[1:])
