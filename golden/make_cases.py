"""Makes golden/extra: random checkpoints for what the reference checkpoints do not cover, with
expected values by the numpy forward pass in float64 (check_reference.py shows what that is worth).

    python3 golden/make_cases.py [OUT]

The generator is splitmix64 (Steele et al. 2014), so the checkpoints depend on nothing but the
seeds; running it again gives identical files.
"""

import json
import os
import sys

import numpy as np

import containers
import families
from pith_reference import MIXTRAL_NAMES, Model

HERE = os.path.dirname(os.path.abspath(__file__))
PROMPTS = [1, 7, 33, 130]
LONG_PROMPTS = [1, 7, 33, 600]
GREEDY = 24
MARGIN = 0.05

COMMON = {"bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu",
          "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_scaling": None,
          "rope_theta": 10000.0, "tie_word_embeddings": False}

CASES = {
    # A window far shorter than the prompts, and no head_dim key, as in the published config.
    "mistral-window": ("F16", 101, {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 64,
        "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "sliding_window": 8, "vocab_size": 256}),
    # Biases on q, k, v but not o, which no key says; a window that use_sliding_window turns off.
    "qwen2": ("BF16", 202, {
        "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_size": 64,
        "intermediate_size": 96, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "max_window_layers": 2, "rms_norm_eps": 1e-6,
        "rope_theta": 1000000.0, "sliding_window": 8, "tie_word_embeddings": True,
        "use_sliding_window": False, "vocab_size": 288}),
    # Biases in the feed-forward network; its width is not a multiple of 16.
    "mlp-bias": ("F32", 303, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
        "hidden_size": 32, "head_dim": 8, "intermediate_size": 72, "mlp_bias": True,
        "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
        "vocab_size": 257}),
    # heads x head_dim is 96, hidden is 48; the vocabulary is not a multiple of 16.
    "head-dim": ("BF16", 404, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
        "hidden_size": 48, "head_dim": 24, "intermediate_size": 128, "mlp_bias": False,
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "vocab_size": 260}),
    # One key-value head of 8 elements for eight query heads; k and v fill half a tile each.
    "mqa": ("F16", 505, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
        "hidden_size": 64, "head_dim": 8, "intermediate_size": 96, "mlp_bias": False,
        "num_attention_heads": 8, "num_hidden_layers": 2, "num_key_value_heads": 1,
        "vocab_size": 272}),
    # Enough positions for several parts of an attention that works in parts.
    "long": ("F16", 606, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "attention_bias": False,
        "hidden_size": 64, "head_dim": 16, "intermediate_size": 96, "mlp_bias": False,
        "max_position_embeddings": 1024, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "vocab_size": 256}),
    # A window that covers more than one part and begins inside one.
    "mistral-long": ("BF16", 707, {
        "architectures": ["MistralForCausalLM"], "model_type": "mistral", "hidden_size": 64,
        "head_dim": 16, "intermediate_size": 96, "max_position_embeddings": 1024,
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "sliding_window": 300, "vocab_size": 256}),
    # Four scalars, each far from 1.
    "granite": ("BF16", 808, {
        "architectures": ["GraniteForCausalLM"], "model_type": "granite",
        "attention_multiplier": 0.125, "embedding_multiplier": 6, "hidden_size": 64,
        "intermediate_size": 96, "logits_scaling": 4.0, "num_attention_heads": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "residual_multiplier": 0.5,
        "vocab_size": 256}),
    # Norms after each sub-layer, and of whole rows of q and k, whose heads are no multiple of 16.
    "olmo2": ("F16", 909, {
        "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "hidden_size": 72,
        "intermediate_size": 96, "num_attention_heads": 6, "num_hidden_layers": 2,
        "num_key_value_heads": 3, "vocab_size": 256}),
    # Joined tensors whose blocks are no multiples of 16 rows; 12 of 24 elements of a head turn.
    "phi3": ("F16", 1010, {
        "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": 72,
        "intermediate_size": 100, "num_attention_heads": 3, "num_hidden_layers": 2,
        "num_key_value_heads": 1, "partial_rotary_factor": 0.5, "sliding_window": 50,
        "vocab_size": 256}),
    # The long prompt has LongRoPE's long factors, the others its short ones; 12 of 16 elements turn.
    "phi3-longrope": ("BF16", 1313, {
        "architectures": ["Phi3ForCausalLM"], "model_type": "phi3", "hidden_size": 48,
        "intermediate_size": 96, "num_attention_heads": 3, "num_hidden_layers": 2,
        "num_key_value_heads": 1, "original_max_position_embeddings": 64,
        "partial_rotary_factor": 0.75, "vocab_size": 256, "rope_scaling": {
            "type": "longrope", "long_factor": [1, 1.5, 2.25, 4.5, 7.75, 8.125],
            "short_factor": [1.0, 1.05, 1.1, 1.4, 2.0, 2.05]}}),
    # Queries beyond the original 32 positions grow, YaRN with both of its scales.
    "ministral3": ("F16", 1414, {
        "architectures": ["Ministral3ForCausalLM"], "model_type": "ministral3", "head_dim": 16,
        "hidden_size": 48, "intermediate_size": 96, "num_attention_heads": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "sliding_window": None,
        "vocab_size": 256, "rope_parameters": {
            "beta_fast": 24.0, "beta_slow": 2.0, "factor": 16.0, "llama_4_scaling_beta": 0.4,
            "mscale": 1.0, "mscale_all_dim": 0.7, "original_max_position_embeddings": 32,
            "rope_theta": 10000.0, "rope_type": "yarn", "type": "yarn"}}),
    # Three layers with a window and plain RoPE, and one with YaRN, as the class says.
    "olmo3": ("BF16", 1515, {
        "architectures": ["Olmo3ForCausalLM"], "model_type": "olmo3", "hidden_size": 48,
        "intermediate_size": 64, "num_attention_heads": 4, "num_hidden_layers": 4,
        "num_key_value_heads": 2, "rope_theta": 500000, "sliding_window": 8, "vocab_size": 256,
        "rope_scaling": {"attention_factor": 1.1, "beta_fast": 32, "beta_slow": 1, "factor": 4.0,
                         "original_max_position_embeddings": 64, "rope_type": "yarn"}}),
    # Three of seven experts a token, by shares among all of them.
    "qwen3-moe": ("BF16", 1616, {
        "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe", "head_dim": 16,
        "hidden_size": 64, "intermediate_size": 999, "moe_intermediate_size": 32,
        "norm_topk_prob": False, "num_attention_heads": 4, "num_experts": 7,
        "num_experts_per_tok": 3, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "vocab_size": 256}),
    # Two of four, by shares among the two; tensors under Mixtral's names.
    "mixtral": ("F16", 1717, {
        "architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "hidden_size": 48,
        "intermediate_size": 56, "num_attention_heads": 4, "num_experts_per_tok": 2,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "num_local_experts": 4,
        "sliding_window": 20, "vocab_size": 256}),
    # Three of six, by shares among all; all of q normalised, and all of k.
    "olmoe": ("BF16", 2633, {
        "architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "hidden_size": 48,
        "intermediate_size": 32, "norm_topk_prob": False, "num_attention_heads": 4,
        "num_experts": 6, "num_experts_per_tok": 3, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "vocab_size": 160}),
    # Two of five; a tensor for all experts, gate and up joined in it; Granite's scalars.
    "granitemoe": ("F16", 2727, {
        "architectures": ["GraniteMoeForCausalLM"], "model_type": "granitemoe", "hidden_size": 48,
        "intermediate_size": 40, "num_attention_heads": 4, "num_experts_per_tok": 2,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "num_local_experts": 5,
        "attention_multiplier": 0.2, "embedding_multiplier": 3.0, "logits_scaling": 2.0,
        "residual_multiplier": 0.6, "vocab_size": 160}),
    # Three of five, with biases; sinks; a window in the first layer; YaRN of whole dimensions; limits
    # of gate and up that bite.
    "gpt_oss": ("BF16", 2828, {
        "architectures": ["GptOssForCausalLM"], "model_type": "gpt_oss", "attention_bias": True,
        "head_dim": 16, "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4,
        "num_experts_per_tok": 3, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "num_local_experts": 5, "rope_theta": 150000, "sliding_window": 8, "swiglu_limit": 7.0,
        "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
                         "original_max_position_embeddings": 64, "rope_type": "yarn",
                         "truncate": False},
        "vocab_size": 160}),
    # Caps that bite, heads whose scale is not that of their size, a window in the first layer.
    "gemma2": ("BF16", 1111, {
        "architectures": ["Gemma2ForCausalLM"], "model_type": "gemma2",
        "attn_logit_softcapping": 2.0, "final_logit_softcapping": 8.0, "head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 48, "intermediate_size": 96,
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "query_pre_attn_scalar": 24, "sliding_window": 8, "tie_word_embeddings": True,
        "vocab_size": 256}),
    # Two bases, one of them scaled, by layer types; norms of q and k.
    "gemma3": ("F16", 1212, {
        "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "head_dim": 16,
        "hidden_activation": "gelu_pytorch_tanh", "hidden_size": 48, "intermediate_size": 96,
        "num_attention_heads": 4, "num_hidden_layers": 3, "num_key_value_heads": 2,
        "query_pre_attn_scalar": 16, "rope_local_base_freq": 10000, "rope_theta": 1000000,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 8,
        "sliding_window_pattern": 2, "tie_word_embeddings": True, "vocab_size": 256}),
    # No gate, an MLP whose width is not a multiple of 16, biases everywhere.
    "arcee": ("BF16", 1313, {
        "architectures": ["ArceeForCausalLM"], "model_type": "arcee", "attention_bias": True,
        "hidden_act": "relu2", "hidden_size": 32, "intermediate_size": 72, "mlp_bias": True,
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 2,
        "vocab_size": 160}),
    # Biases of q, k, v without a word, and one of o; heads x head_dim is 48, hidden 32.
    "seed_oss": ("F16", 1414, {
        "architectures": ["SeedOssForCausalLM"], "model_type": "seed_oss",
        "attention_out_bias": True, "head_dim": 12, "hidden_size": 32, "intermediate_size": 64,
        "num_attention_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 1,
        "vocab_size": 160}),
    # Neighbours turn together, in heads that are no multiple of 16, with biases.
    "ernie4_5": ("BF16", 1515, {
        "architectures": ["Ernie4_5ForCausalLM"], "model_type": "ernie4_5", "head_dim": 12,
        "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4,
        "num_hidden_layers": 2, "num_key_value_heads": 2, "rope_theta": 500000.0,
        "tie_word_embeddings": True, "use_bias": True, "vocab_size": 160}),
    # Norms of q and k after RoPE, whose base alpha makes larger.
    "hunyuan": ("F16", 1616, {
        "architectures": ["HunYuanDenseV1ForCausalLM"], "model_type": "hunyuan_v1_dense",
        "head_dim": 8, "hidden_size": 32, "intermediate_size": 64,
        "max_position_embeddings": 1024, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"alpha": 50.0, "factor": 1.0, "type": "dynamic"},
        "tie_word_embeddings": True, "use_qk_norm": True, "vocab_size": 160}),
    # A window and RoPE in the first layer alone, by a word; the last one sees all keys in any case.
    "exaone4": ("BF16", 1717, {
        "architectures": ["Exaone4ForCausalLM"], "model_type": "exaone4", "head_dim": 8,
        "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4,
        "num_hidden_layers": 3, "num_key_value_heads": 2, "sliding_window": 8,
        "sliding_window_pattern": "LG", "vocab_size": 160}),
    # Neighbours turn together in half of each head; four norms a layer.
    "glm4": ("F16", 1818, {
        "architectures": ["Glm4ForCausalLM"], "model_type": "glm4", "head_dim": 24,
        "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2,
        "num_hidden_layers": 2, "num_key_value_heads": 1, "vocab_size": 160}),
    # LayerNorm; 4 of 16 elements of a head turn, which no key says.
    "stablelm": ("BF16", 1919, {
        "architectures": ["StableLmForCausalLM"], "model_type": "stablelm", "hidden_size": 32,
        "intermediate_size": 64, "layer_norm_eps": 1e-5, "num_attention_heads": 2,
        "num_hidden_layers": 2, "num_key_value_heads": 1, "use_qkv_bias": True,
        "vocab_size": 160}),
    # LayerNorm, no gate, an MLP whose width is not a multiple of 16, a window in all layers.
    "starcoder2": ("F16", 2020, {
        "architectures": ["Starcoder2ForCausalLM"], "model_type": "starcoder2",
        "hidden_act": "gelu_pytorch_tanh", "hidden_size": 32, "intermediate_size": 72,
        "norm_epsilon": 1e-5, "num_attention_heads": 4, "num_hidden_layers": 2,
        "num_key_value_heads": 2, "sliding_window": 50, "tie_word_embeddings": True,
        "vocab_size": 160}),
}
# Whose long prompt has few logits stored.
FEW = {"granite", "qwen3-moe", "mixtral", "olmo2", "phi3", "phi3-longrope", "ministral3", "olmo3", "gemma2", "gemma3",
       "arcee", "seed_oss", "ernie4_5", "hunyuan", "exaone4", "glm4", "stablelm", "starcoder2", "olmoe",
       "granitemoe", "gpt_oss"}


class Random:
    """splitmix64, many numbers at a time."""

    def __init__(self, seed):
        self.state = np.uint64(seed)

    def raw(self, n):
        step = np.uint64(0x9E3779B97F4A7C15)
        with np.errstate(over="ignore"):
            z = self.state + step * np.arange(1, n + 1, dtype=np.uint64)
            self.state = z[-1]
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    def normal(self, *shape):
        """Nearly normal: the sum of 12 uniform numbers, less 6 (exact, whatever the libm)."""
        n = int(np.prod(shape))
        uniform = (self.raw(n * 12) >> np.uint64(40)).astype(np.float64) / 2**24
        return (uniform.reshape(n, 12).sum(axis=1) - 6).reshape(shape)

    def ids(self, n, vocab):
        """Token ids from 3 up: the first three are special."""
        return (self.raw(n) % np.uint64(vocab - 3)).astype(np.int32) + 3


def make_tensors(c, random):
    """Weights scaled so that every block matters and logits have a deviation of about 3."""
    q, kv = c.heads * c.head_dim, c.kv_heads * c.head_dim
    def norm(n):
        return 1 - c.norm_add + 0.1 * random.normal(n)

    tensors = {"model.embed_tokens.weight": random.normal(c.vocab, c.hidden),
               "model.norm.weight": norm(c.hidden)}
    if c.layer_norm:
        tensors["model.norm.bias"] = 0.3 * random.normal(c.hidden)
    last = 3 / np.sqrt(c.hidden) / c.logit_scale
    if c.tied:
        tensors["model.embed_tokens.weight"] *= last
    else:
        tensors["lm_head.weight"] = random.normal(c.vocab, c.hidden) * last

    def linear(name, rows, columns, gain, bias):
        tensors[name + ".weight"] = random.normal(rows, columns) * (gain / np.sqrt(columns))
        if bias:
            tensors[name + ".bias"] = 0.3 * random.normal(rows)

    for layer in range(c.layers):
        name = f"model.layers.{layer}."
        for place in filter(None, c.norms):
            tensors[f"{name}{place}.weight"] = norm(c.hidden)
            if c.layer_norm:
                tensors[f"{name}{place}.bias"] = 0.3 * random.normal(c.hidden)
        linear(name + "self_attn.q_proj", q, c.hidden, 1.5, c.qkv_bias)
        linear(name + "self_attn.k_proj", kv, c.hidden, 1.5, c.qkv_bias)
        linear(name + "self_attn.v_proj", kv, c.hidden, 1.0, c.qkv_bias)
        linear(name + "self_attn.o_proj", c.hidden, q, 1.0, c.o_bias)
        if c.experts:
            linear(name + "mlp.gate", c.experts, c.hidden, 1.0, c.mlp_bias)
        gains = (4.0, 4.0, 0.15) if c.clamped else (1.5, 1.0, 1.0)
        for mlp in [f"mlp.experts.{e}." for e in range(c.experts)] or ["mlp."]:
            gate, up, down = (part and f"{name}{mlp}{part}" for part in c.mlp)
            if gate:
                linear(gate, c.ffn, c.hidden, gains[0], c.mlp_bias)
            linear(up, c.ffn, c.hidden, gains[1], c.mlp_bias)
            linear(down, c.hidden, c.ffn, gains[2], c.mlp_bias)
        if c.qk_norm:
            whole = c.qk_norm == "whole"
            for part, rows in zip(c.qk_names, (q, kv)):
                tensors[f"{name}self_attn.{part}.weight"] = norm(rows if whole else c.head_dim)
        if "qkv" in c.joined:
            join(tensors, name + "self_attn.qkv_proj", "q_proj", "k_proj", "v_proj")
        if "gate_up" in c.joined:
            join(tensors, name + "mlp.gate_up_proj", "gate_proj", "up_proj")
        if c.sinks:
            tensors[name + "self_attn.sinks"] = 1 + random.normal(c.heads)
    if c.kind == "granitemoe":
        stack_experts(c, tensors)
    if c.kind == "gpt_oss":
        stack_columns(c, tensors)
    return tensors


def join(tensors, name, *parts):
    """Puts the rows of some linear layers into one."""
    prefix = name.rsplit(".", 1)[0]
    tensors[name + ".weight"] = np.concatenate(
        [tensors.pop(f"{prefix}.{part}.weight") for part in parts])


def stack_experts(c, tensors):
    """Puts each layer's experts into one tensor, gate and up joined: Granite's form."""
    for layer in range(c.layers):
        prefix = f"model.layers.{layer}."
        def take(part, e):
            return tensors.pop(f"{prefix}mlp.experts.{e}.{part}_proj.weight")

        experts = range(c.experts)
        block = prefix + "block_sparse_moe."
        tensors[block + "input_linear.weight"] = np.stack(
            [np.concatenate([take("gate", e), take("up", e)]) for e in experts])
        tensors[block + "output_linear.weight"] = np.stack([take("down", e) for e in experts])
        tensors[block + "router.layer.weight"] = tensors.pop(prefix + "mlp.gate.weight")


def stack_columns(c, tensors):
    """Puts each layer's experts into one tensor, columns first, rows of gate and up in turn: the form
    of gpt-oss."""
    for layer in range(c.layers):
        prefix = f"model.layers.{layer}.mlp."
        def take(part, end):
            return np.stack([tensors.pop(f"{prefix}experts.{e}.{part}_proj.{end}")
                             for e in range(c.experts)])

        for end, suffix in (("weight", ""), ("bias", "_bias")):
            rows = [take(part, end) for part in ("gate", "up")]
            both = np.stack(rows, axis=2).reshape(c.experts, 2 * c.ffn, *rows[0].shape[2:])
            for part, array in (("gate_up", both), ("down", take("down", end))):
                tensors[f"{prefix}experts.{part}_proj{suffix}"] = (
                    array.transpose(0, 2, 1) if end == "weight" else array)
            tensors[f"{prefix}router.{end}"] = tensors.pop(f"{prefix}gate.{end}")


def stored_name(c, name):
    if c.kind == "mixtral" and ".mlp." in name:
        for old, new in MIXTRAL_NAMES:
            name = name.replace(new, old)
    return name


def stored(array, dtype):
    if dtype == "BF16":
        return containers.f32_to_bf16(array.astype(np.float32))
    return array.astype(containers.DTYPES[dtype])


def stored_positions(n, few):
    """All of a short prompt; of a long one every 40th, those around multiples of 256, the last."""
    if n <= (100 if few else 200):
        return np.arange(n, dtype=np.int32)
    return np.array([t for t in range(n) if t % 40 == 0 or t % 256 in (0, 1, 2, 254, 255)
                     or t == n - 1], np.int32)


def expected_values(model, prompts, random, few):
    """Prompts whose greedy continuation never comes near a tie, and what the model gives them."""
    values = {}
    for i, n in enumerate(prompts):
        for _ in range(200):
            ids = random.ids(n, model.config.vocab)
            if n > 1:
                ids[0] = 1
            greedy, margins = model.greedy(ids, GREEDY)
            if min(margins) >= MARGIN and 2 not in greedy:
                break
        else:
            raise RuntimeError(f"no prompt of {n} tokens keeps its margins")
        logits, hidden = model.forward(ids)
        values[f"ids_{i}"] = ids
        values[f"positions_{i}"] = stored_positions(n, few)
        values[f"logits_{i}"] = logits[stored_positions(n, few)].astype(np.float32)
        values[f"greedy_{i}"] = np.array(greedy, np.int32)
        values[f"greedy_margin_{i}"] = np.array(margins, np.float32)
        if i == 1:
            values["hidden_1"] = hidden.astype(np.float32)
    return values


def make(out, name):
    dtype, seed, config = CASES[name]
    directory = os.path.join(out, name)
    os.makedirs(directory, exist_ok=True)
    torch_dtype = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[dtype]
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(dict(COMMON, **config, torch_dtype=torch_dtype), file, indent=2, sort_keys=True)
        file.write("\n")
    random = Random(seed)
    c = families.read(directory)
    tensors = {stored_name(c, key): (dtype, stored(value, dtype))
               for key, value in make_tensors(c, random).items()}
    containers.write_safetensors(os.path.join(directory, "model.safetensors"), tensors)
    prompts = LONG_PROMPTS if c.max_positions > 512 and name not in FEW else PROMPTS
    values = expected_values(Model.load(directory, np.float64), prompts, random, name in FEW)
    np.savez(os.path.join(directory, "expected.npz"), **values)
    size = sum(os.path.getsize(os.path.join(directory, f)) for f in os.listdir(directory))
    print(f"{name:16} {size / 1000:5.0f} KB  logits' deviation {values['logits_3'].std():.2f}"
          f"  vocab {c.vocab} hidden {c.hidden}")


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "extra")
    for name in CASES:
        make(out, name)


if __name__ == "__main__":
    main()
