"""What each family of decoders does otherwise than Llama, read from config.json with the defaults of
transformers' configuration classes: written from those classes and the papers, to check the C pages
against.

    config = families.read("golden/qwen3")
"""

from dataclasses import dataclass, field

import containers

# Keys that a class fills in: vocab_size, num_key_value_heads (None: as many as heads), head_dim
# (None: hidden_size / heads), rope_theta, tie_word_embeddings; and the key of the activation.
DEFAULTS = {
    "llama": (32000, None, None, 10000.0, False),
    "mistral": (32000, 8, None, 10000.0, False),
    "qwen2": (151936, 32, None, 10000.0, False),
    "qwen3": (151936, 32, 128, 10000.0, False),
    "smollm3": (128256, 4, None, 2000000.0, True),
}


@dataclass
class Config:
    kind: str
    vocab: int
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    eps: float
    theta: float
    scaling: dict  # {"kind": "none" | "linear" | "llama3" | "yarn", ...}
    max_positions: int
    tied: bool
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    head_norm: bool = False  # q and k of each head are normalised before RoPE
    windows: list = field(default_factory=list)  # of each layer: keys a query sees; 0: all
    turns: list = field(default_factory=list)  # of each layer: there is RoPE


def sliding(c, layers, otherwise):
    """Of each layer: True where layer_types says sliding_attention, else what `otherwise` says."""
    types = c.get("layer_types")
    if types is None:
        return [otherwise(i) for i in range(layers)]
    return [t == "sliding_attention" for t in types]


def read_llama(config, c):
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    config.mlp_bias = c.get("mlp_bias", False)


def read_mistral(config, c):
    window = c.get("sliding_window", 4096) or 0
    config.windows = [window if s else 0 for s in sliding(c, config.layers, lambda i: True)]


def read_upper_windows(config, c):
    window = (c.get("sliding_window", 4096) or 0) if c.get("use_sliding_window", False) else 0
    first = c.get("max_window_layers", 28)
    config.windows = [window if s else 0 for s in sliding(c, config.layers, lambda i: i >= first)]


def read_qwen2(config, c):
    config.qkv_bias = True
    read_upper_windows(config, c)


def read_qwen3(config, c):
    config.head_norm = True
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    read_upper_windows(config, c)


def read_smollm3(config, c):
    read_llama(config, c)
    interval = c.get("no_rope_layer_interval", 4)
    turns = c.get("no_rope_layers")
    if turns is None:
        turns = [(i + 1) % interval != 0 for i in range(config.layers)]
    config.turns = [bool(t) for t in turns[: config.layers]]
    window = (c.get("sliding_window") or 0) if c.get("use_sliding_window", False) else 0
    config.windows = [window if s else 0
                      for s in sliding(c, config.layers, lambda i: not config.turns[i])]


EOS = {"llama": 2, "mistral": 2, "smollm3": 128001}  # where no file names any
CLASSES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral",
           "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3",
           "SmolLM3ForCausalLM": "smollm3"}
READERS = {"llama": read_llama, "mistral": read_mistral, "qwen2": read_qwen2, "qwen3": read_qwen3,
           "smollm3": read_smollm3}


def of(c):
    """The configuration of a config.json's contents."""
    kind = kind_of(c)
    if kind is None:
        raise ValueError(f"model_type {c.get('model_type')!r} is not supported")
    vocab, kv_heads, head_dim, theta, tied = DEFAULTS[kind]
    scaling = c.get("rope_parameters") or c.get("rope_scaling") or {}
    scaling = dict(scaling, kind=scaling.get("rope_type", scaling.get("type", "none")))
    heads, hidden, layers = c["num_attention_heads"], c["hidden_size"], c["num_hidden_layers"]
    config = Config(
        kind=kind, vocab=c.get("vocab_size", vocab), hidden=hidden, ffn=c["intermediate_size"],
        layers=layers, heads=heads, kv_heads=c.get("num_key_value_heads", kv_heads) or heads,
        head_dim=c.get("head_dim") or head_dim or hidden // heads,
        eps=c.get("rms_norm_eps", 1e-6), scaling=scaling,
        theta=scaling.get("rope_theta", c.get("rope_theta", theta)),
        max_positions=c.get("max_position_embeddings", 2048),
        tied=c.get("tie_word_embeddings", tied), windows=[0] * layers, turns=[True] * layers)
    READERS[kind](config, c)
    return config


def kind_of(c):
    """The family that a config.json names, by its class or its model_type; None: another."""
    names = c.get("architectures") or [None]
    kind = CLASSES.get(names[0]) if names[0] else c.get("model_type") or "llama"
    return kind if kind in READERS and c.get("model_type", kind) == kind else None


def read(directory):
    return of(containers.read_config(directory))
