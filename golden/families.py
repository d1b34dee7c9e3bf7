"""What each family of decoders does otherwise than Llama, read from config.json with the defaults of
transformers' configuration classes: written from those classes and the papers, to check the C pages
against.

    config = families.read("golden/qwen3")
"""

from dataclasses import dataclass, field

import containers

# Keys that a class fills in: vocab_size, num_key_value_heads (None: as many as heads), head_dim
# (None: hidden_size / heads), rms_norm_eps, rope_theta, tie_word_embeddings.
DEFAULTS = {
    "llama": (32000, None, None, 1e-6, 1e4, False),
    "mistral": (32000, 8, None, 1e-6, 1e4, False),
    "qwen2": (151936, 32, None, 1e-6, 1e4, False),
    "qwen3": (151936, 32, 128, 1e-6, 1e4, False),
    "smollm3": (128256, 4, None, 1e-6, 2e6, True),
    "granite": (32000, None, None, 1e-6, 1e4, False),
    "olmo2": (50304, None, None, 1e-5, 1e4, False),
    "phi3": (32064, None, None, 1e-5, 1e4, False),
    "ministral3": (131072, 8, 128, 1e-5, 1e4, False),
    "olmo3": (50304, None, None, 1e-5, 5e5, False),
    "mixtral": (32000, 8, None, 1e-5, 1e6, False),
    "qwen3_moe": (151936, 4, None, 1e-6, 1e4, False),
    "olmoe": (50304, None, None, 1e-5, 1e4, False),
    "granitemoe": (32000, None, None, 1e-6, 1e4, False),
    "gpt_oss": (201088, 8, 64, 1e-5, 1.5e5, False),
    "gemma2": (256000, 4, 256, 1e-6, 1e4, True),
    "gemma3_text": (262208, 4, 256, 1e-6, 1e6, True),
    "arcee": (32000, None, None, 1e-5, 1e4, False),
    "seed_oss": (155136, 8, 128, 1e-6, 1e4, False),
    "ernie4_5": (103424, 2, 128, 1e-5, 5e5, True),
    "hunyuan_v1_dense": (290943, None, None, 1e-5, 1e4, False),
    "exaone4": (102400, 32, None, 1e-5, 1e4, False),
    "glm4": (151552, 2, 128, 1.5625e-7, 1e4, False),
    "stablelm": (50304, 32, None, 1e-5, 1e4, False),
    "starcoder2": (49152, 2, None, 1e-5, 1e4, True),
}
SHARES = {"glm4": 0.5, "stablelm": 0.25}  # of a head, that turn where partial_rotary_factor is not there
EPS_KEYS = {"stablelm": "layer_norm_eps", "starcoder2": "norm_epsilon"}  # else rms_norm_eps

# Names of the norms of a layer: before and after attention, before and after the MLP.
LLAMA_NORMS = ("input_layernorm", None, "post_attention_layernorm", None)
OLMO_NORMS = (None, "post_attention_layernorm", None, "post_feedforward_layernorm")
GEMMA_NORMS = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
               "post_feedforward_layernorm")
GLM_NORMS = ("input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
             "post_mlp_layernorm")


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
    max_positions: int
    tied: bool
    rope: dict  # {"theta", "dims", "kind": "none" | "linear" | "llama3" | "yarn" | "longrope", ...}
    qkv_bias: bool = False
    o_bias: bool = False
    mlp_bias: bool = False
    norms: tuple = LLAMA_NORMS
    norm_add: float = 0.0  # the weights of norms are this much more than what is stored
    layer_norm: bool = False  # with biases, in place of RMSNorm
    qk_norm: str = None  # "head" or "whole": q and k are normalised before RoPE; "after": heads, after
    qk_names: tuple = ("q_norm", "k_norm")
    activation: str = "silu"  # or "gelu", by tanh, or "relu2"
    clamped: bool = False  # gate and up are, and up is one more: gpt-oss
    sinks: bool = False  # each head has a logit of its own in the sum of the softmax
    mlp: tuple = ("gate_proj", "up_proj", "down_proj")  # None: there is no gate
    joined: tuple = ()  # "qkv", "gate_up": these are one tensor of the checkpoint
    interleaved: bool = False  # element 2 i turns with 2 i + 1, not i with i + dims / 2
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    attention_scale: float = None  # of scores; None: 1 / sqrt(attention_dim)
    attention_dim: float = None  # None: head_dim
    logit_scale: float = 1.0
    attention_cap: float = 0.0
    logit_cap: float = 0.0
    windows: list = field(default_factory=list)  # of each layer: keys a query sees; 0: all
    ropes: list = field(default_factory=list)  # of each layer: as rope, or None
    experts: int = 0  # MLPs of a layer; 0: one, and no router
    experts_used: int = 0  # of a token
    norm_experts: bool = True  # their shares are a softmax among each other, not among all
    query_beta: float = 0.0  # queries grow by this beyond the original context


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
    config.qk_norm = "head"
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    read_upper_windows(config, c)


def read_smollm3(config, c):
    read_llama(config, c)
    interval = c.get("no_rope_layer_interval", 4)
    turns = c.get("no_rope_layers")
    if turns is None:
        turns = [(i + 1) % interval != 0 for i in range(config.layers)]
    config.ropes = [config.rope if t else None for t in turns[: config.layers]]
    window = (c.get("sliding_window") or 0) if c.get("use_sliding_window", False) else 0
    config.windows = [window if s else 0
                      for s in sliding(c, config.layers, lambda i: not turns[i])]


def read_granite(config, c):
    read_llama(config, c)
    config.embedding_scale = c.get("embedding_multiplier", 1.0)
    config.residual_scale = c.get("residual_multiplier", 1.0)
    config.attention_scale = c.get("attention_multiplier", 1.0)
    config.logit_scale = 1 / c.get("logits_scaling", 1.0)


def read_olmo2(config, c):
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    config.norms = OLMO_NORMS
    config.qk_norm = "whole"


def read_phi3(config, c):
    config.joined = ("qkv", "gate_up")
    config.windows = [c.get("sliding_window") or 0] * config.layers


def read_ministral3(config, c):
    section = c.get("rope_parameters") or c.get("rope_scaling")
    if not section:
        config.rope.update(kind="yarn", theta=1e6, factor=16.0, original=16384, mscale=1.0,
                           mscale_all_dim=1.0)
    config.query_beta = section.get("llama_4_scaling_beta", 0.0) if section else 0.1
    config.windows = [c.get("sliding_window") or 0] * config.layers


def read_olmo3(config, c):
    read_olmo2(config, c)
    slides = sliding(c, config.layers, lambda i: (i + 1) % 4 != 0)
    window = c.get("sliding_window", 4096) or 0
    local = dict(read_rope(c, "sliding_attention", 5e5), dims=config.head_dim)
    config.windows = [window if s else 0 for s in slides]
    config.ropes = [local if s else config.rope for s in slides]


def read_mixtral(config, c):
    config.experts = c.get("num_local_experts", 8)
    config.experts_used = c.get("num_experts_per_tok", 2)
    config.windows = [c.get("sliding_window") or 0] * config.layers


def read_qwen3_moe(config, c):
    config.qk_norm = "head"
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    config.ffn = c.get("moe_intermediate_size", 768)
    config.experts = c.get("num_local_experts", c.get("num_experts", 128))
    config.experts_used = c.get("num_experts_per_tok", 8)
    config.norm_experts = c.get("norm_topk_prob", False)


def read_olmoe(config, c):
    config.qk_norm = "whole"
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    config.experts = c.get("num_experts", 64)
    config.experts_used = c.get("num_experts_per_tok", 8)
    config.norm_experts = c.get("norm_topk_prob", False)


def read_granitemoe(config, c):
    read_granite(config, c)
    config.mlp_bias = False
    config.experts = c.get("num_local_experts", 8)
    config.experts_used = c.get("num_experts_per_tok", 2)


def read_gpt_oss(config, c):
    if not (c.get("rope_parameters") or c.get("rope_scaling")):
        config.rope.update(kind="yarn", factor=32.0, original=4096, truncate=False)
    config.qkv_bias = config.o_bias = c.get("attention_bias", True)
    config.mlp_bias = config.clamped = config.sinks = True
    config.experts = c.get("num_local_experts", 128)
    config.experts_used = c.get("num_experts_per_tok", 4)
    window = c.get("sliding_window", 128) or 0
    config.windows = [window if s else 0
                      for s in sliding(c, config.layers, lambda i: i % 2 == 0)]


def read_gemma2(config, c):
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    config.norms = GEMMA_NORMS
    config.norm_add = 1.0
    config.activation = "gelu"
    config.embedding_scale = config.hidden**0.5
    config.attention_dim = c.get("query_pre_attn_scalar", 256)
    gemma2 = config.kind == "gemma2"
    config.attention_cap = c.get("attn_logit_softcapping", 50.0 if gemma2 else None) or 0.0
    config.logit_cap = c.get("final_logit_softcapping", 30.0 if gemma2 else None) or 0.0
    window = c.get("sliding_window", 4096) or 0
    config.windows = [window if s else 0
                      for s in sliding(c, config.layers, lambda i: i % 2 == 0)]


def read_gemma3(config, c):
    read_gemma2(config, c)
    config.qk_norm = "head"
    pattern = c.get("sliding_window_pattern", 6)
    slides = sliding(c, config.layers, lambda i: (i + 1) % pattern != 0)
    window = c.get("sliding_window", 4096) or 0
    local = dict(read_rope(c, "sliding_attention", c.get("rope_local_base_freq", 1e4)),
                 dims=config.head_dim)
    config.windows = [window if s else 0 for s in slides]
    config.ropes = [local if s else config.rope for s in slides]


def read_arcee(config, c):
    read_llama(config, c)
    config.activation = "relu2"
    config.mlp = (None, "up_proj", "down_proj")


def read_seed_oss(config, c):
    config.qkv_bias = c.get("attention_bias", True)
    config.o_bias = c.get("attention_out_bias", False)
    config.mlp_bias = c.get("mlp_bias", False)


def read_ernie4_5(config, c):
    config.qkv_bias = config.o_bias = config.mlp_bias = c.get("use_bias", False)
    config.interleaved = True


def read_hunyuan(config, c):
    config.qkv_bias = config.o_bias = c.get("attention_bias", False)
    config.qk_norm = "after"
    config.qk_names = ("query_layernorm", "key_layernorm")
    if config.rope["kind"] == "dynamic" and config.rope.get("alpha"):
        size = config.head_dim
        config.rope["theta"] *= config.rope["alpha"] ** (size / (size - 2))


def read_exaone4(config, c):
    config.norms = OLMO_NORMS
    config.qk_norm = "head"
    window = c.get("sliding_window", 4096)
    pattern = c.get("sliding_window_pattern", 4) if window else None
    if isinstance(pattern, str):
        slides = sliding(c, config.layers, lambda i: pattern[i % len(pattern)] == "L"
                         and i < config.layers - 1)
    else:
        slides = sliding(c, config.layers, lambda i: pattern and (i + 1) % pattern != 0)
    if window:
        config.windows = [window if s else 0 for s in slides]
        config.ropes = [config.rope if s else None for s in slides]


def read_glm4(config, c):
    config.qkv_bias = c.get("attention_bias", True)
    config.norms = GLM_NORMS
    config.joined = ("gate_up",)
    config.interleaved = True


def read_stablelm(config, c):
    config.qkv_bias = c.get("use_qkv_bias", False)
    config.layer_norm = True


def read_starcoder2(config, c):
    config.qkv_bias = config.o_bias = config.mlp_bias = c.get("use_bias", True)
    config.layer_norm = True
    config.activation = "gelu"
    config.mlp = (None, "c_fc", "c_proj")
    config.windows = [c.get("sliding_window") or 0] * config.layers


CLASSES = {"LlamaForCausalLM": "llama", "MistralForCausalLM": "mistral",
           "Qwen2ForCausalLM": "qwen2", "Qwen3ForCausalLM": "qwen3",
           "SmolLM3ForCausalLM": "smollm3", "GraniteForCausalLM": "granite",
           "Olmo2ForCausalLM": "olmo2", "Phi3ForCausalLM": "phi3",
           "Ministral3ForCausalLM": "ministral3", "Olmo3ForCausalLM": "olmo3",
           "MixtralForCausalLM": "mixtral", "Qwen3MoeForCausalLM": "qwen3_moe",
           "OlmoeForCausalLM": "olmoe", "GraniteMoeForCausalLM": "granitemoe",
           "GptOssForCausalLM": "gpt_oss", "Gemma2ForCausalLM": "gemma2",
           "Gemma3ForCausalLM": "gemma3_text",
           "ArceeForCausalLM": "arcee", "SeedOssForCausalLM": "seed_oss",
           "Ernie4_5ForCausalLM": "ernie4_5", "HunYuanDenseV1ForCausalLM": "hunyuan_v1_dense",
           "Exaone4ForCausalLM": "exaone4", "Glm4ForCausalLM": "glm4",
           "StableLmForCausalLM": "stablelm", "Starcoder2ForCausalLM": "starcoder2"}
READERS = {"llama": read_llama, "mistral": read_mistral, "qwen2": read_qwen2, "qwen3": read_qwen3,
           "smollm3": read_smollm3, "granite": read_granite, "olmo2": read_olmo2,
           "phi3": read_phi3, "ministral3": read_ministral3, "olmo3": read_olmo3,
           "mixtral": read_mixtral, "qwen3_moe": read_qwen3_moe,
           "olmoe": read_olmoe, "granitemoe": read_granitemoe,
           "gpt_oss": read_gpt_oss, "gemma2": read_gemma2, "gemma3_text": read_gemma3,
           "arcee": read_arcee, "seed_oss": read_seed_oss, "ernie4_5": read_ernie4_5,
           "hunyuan_v1_dense": read_hunyuan, "exaone4": read_exaone4, "glm4": read_glm4,
           "stablelm": read_stablelm, "starcoder2": read_starcoder2}
EOS = {"llama": 2, "mistral": 2, "smollm3": 128001, "granite": 2, "olmo2": 50279, "phi3": 32000,
       "ministral3": 2, "olmo3": 50279, "mixtral": 2, "olmoe": 50279, "granitemoe": 2,
       "gemma2": 1, "gemma3_text": 1, "arcee": 128001, "seed_oss": 2, "ernie4_5": 2,
       "hunyuan_v1_dense": 2, "exaone4": 2, "glm4": [151329, 151336, 151338], "stablelm": 0,
       "starcoder2": 50256}  # where no file names any


def read_rope(c, layer_type, theta):
    """theta and scaling of the layers of a type; a section that does not tell them apart is that of
    full_attention."""
    section = c.get("rope_parameters") or c.get("rope_scaling") or {}
    if any(isinstance(section.get(t), dict) for t in ("full_attention", "sliding_attention")):
        section = section.get(layer_type) or {}
    elif layer_type != "full_attention":
        section = {}
    kind = section.get("rope_type", section.get("type", "none"))
    if kind_of(c) == "phi3" and kind in ("su", "yarn"):
        kind = "longrope"
    # Phi-3 keeps it beside the section.
    original = (c.get("original_max_position_embeddings")
                or section.get("original_max_position_embeddings")
                or (4096 if kind_of(c) == "phi3" else c.get("max_position_embeddings", 2048)))
    return dict(section, kind=kind, theta=section.get("rope_theta", theta), original=original,
                positions=c.get("max_position_embeddings", 2048))


# Classes of models of texts and images, and the family of their text part where it names none.
WRAPPERS = {"Gemma3ForConditionalGeneration": "gemma3_text",
            "Mistral3ForConditionalGeneration": "mistral"}


def is_wrapper(c):
    return (c.get("architectures") or [None])[0] in WRAPPERS


def unwrap(c):
    """The text part of a config.json's contents, or all of them."""
    if not is_wrapper(c):
        return c
    inner = {"model_type": WRAPPERS[c["architectures"][0]],
             "tie_word_embeddings": c.get("tie_word_embeddings", True)}
    inner.update((k, c[k]) for k in ("bos_token_id", "eos_token_id") if k in c)
    return dict(c["text_config"], architectures=None,
                **{k: v for k, v in inner.items() if k not in c["text_config"] or "token" in k})


def of(c):
    """The configuration of a config.json's contents."""
    c = unwrap(c)
    kind = kind_of(c)
    if kind is None:
        raise ValueError(f"model_type {c.get('model_type')!r} is not supported")
    vocab, kv_heads, head_dim, eps, theta, tied = DEFAULTS[kind]
    heads, hidden, layers = c["num_attention_heads"], c["hidden_size"], c["num_hidden_layers"]
    size = c.get("head_dim") or head_dim or hidden // heads
    rope = read_rope(c, "full_attention", c.get("rope_theta", theta))
    share = rope.get("partial_rotary_factor",
                     c.get("partial_rotary_factor", SHARES.get(kind, 1.0)))
    rope["dims"] = int(size * share)
    config = Config(
        kind=kind, vocab=c.get("vocab_size", vocab), hidden=hidden, ffn=c["intermediate_size"],
        layers=layers, heads=heads, kv_heads=c.get("num_key_value_heads", kv_heads) or heads,
        head_dim=size, eps=c.get(EPS_KEYS.get(kind, "rms_norm_eps"), eps),
        max_positions=c.get("max_position_embeddings", 2048),
        tied=c.get("tie_word_embeddings", tied), rope=rope, windows=[0] * layers,
        ropes=[rope] * layers)
    READERS[kind](config, c)
    return config


def kind_of(c):
    """The family that a config.json names, by its class or its model_type; None: another."""
    c = unwrap(c)
    names = c.get("architectures") or [None]
    kind = CLASSES.get(names[0]) if names[0] else c.get("model_type") or "llama"
    return kind if kind in READERS and c.get("model_type", kind) == kind else None


def read(directory):
    return of(containers.read_config(directory))
