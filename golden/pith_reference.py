"""The forward pass of decoders in numpy, written from the papers to check the C engine against.

Touvron et al. 2023 (Llama, Llama 2), Zhang & Sennrich 2019 (RMSNorm), Su et al. 2021 (RoPE), Chen
et al. 2023 (linear position scaling), Peng et al. 2023 (YaRN), Ainslie et al. 2023 (grouped-query
attention), Shazeer 2020 (SwiGLU), Jiang et al. 2023 (Mistral's sliding window), Bai et al. 2023
(Qwen's biases), Henry et al. 2020 (norms of q and k). families.py says which model has what. The
whole sequence goes through at once, so there is no cache; every tensor is [tokens, ...].

    model = Model.load("golden/llama-gqa")                    # float32
    model = Model.load("golden/llama-gqa", dtype=np.float64)
    model = Model.quantised("golden/llama-gqa", "int4")       # this file's own search
    model = Model.from_pith("golden/llama-gqa", "x.pith")     # the codes in a .pith file
    logits, hidden = model.forward(ids)                       # [T, vocab], [layers + 1, T, hidden]
"""

import numpy as np

import containers
import families
import packed
import quantise


def rope_frequencies(config):
    """Angle per position of each pair [head_dim / 2], float64."""
    s = config.scaling
    f = config.theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim)
    if s["kind"] in ("none", "default"):
        return f
    if s["kind"] == "linear":
        return f / s["factor"]
    if s["kind"] == "llama3":
        turns = s["original_max_position_embeddings"] * f / (2 * np.pi)
        low, high = s["low_freq_factor"], s["high_freq_factor"]
        keep = np.clip((turns - low) / (high - low), 0, 1)
        return f * (keep + (1 - keep) / s["factor"])
    if s["kind"] == "yarn":
        # The pair that turns r times over the original length, rounded outwards (section 3.2).
        low, high = (config.head_dim * np.log(s["original_max_position_embeddings"] / (r * 2 * np.pi))
                     / (2 * np.log(config.theta)) for r in (32, 1))
        low, high = max(np.floor(low), 0), min(np.ceil(high), config.head_dim - 1)
        divide = np.clip((np.arange(len(f)) - low) / (high - low), 0, 1)
        return f * (1 - divide) + f / s["factor"] * divide
    raise ValueError(f"rope_scaling {s['kind']!r} is not supported")


def rope_temperature(config):
    """What cos and sin are multiplied by (YaRN, section 3.4)."""
    s = config.scaling
    return 0.1 * np.log(s["factor"]) + 1 if s["kind"] == "yarn" else 1.0


def rotate(x, cos, sin):
    """x [T, heads, head_dim]; element i turns with element i + head_dim / 2."""
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def round_to_f16(x):
    return np.clip(x, -65504, 65504).astype(np.float16).astype(x.dtype)


class Model:
    """tensors: float32 arrays under their Hugging Face names; types: name of a matrix -> "int8",
    "int4" or "q4_0" where its inputs are quantised; kv_f16: keys and values rounded to half."""

    def __init__(self, config, tensors, types=None, dtype=np.float32, kv_f16=False):
        self.config = config
        self.dtype = dtype
        self.kv_f16 = kv_f16
        self.types = types or {}
        self.tensors = {name: array.astype(dtype) for name, array in tensors.items()}
        self.head = "model.embed_tokens" if config.tied else "lm_head"

    @staticmethod
    def load(directory, dtype=np.float32, kv_f16=False):
        return Model(families.read(directory), containers.read_checkpoint(directory), dtype=dtype,
                     kv_f16=kv_f16)

    @staticmethod
    def quantised(directory, kind, head_kind=None, dtype=np.float32):
        """Linear layers as `kind` (int8 where int4 does not fit); embedding and head as
        `head_kind`, untouched when None."""
        config = families.read(directory)
        tensors = containers.read_checkpoint(directory)
        types = {}
        for name, array in tensors.items():
            is_layer = name.startswith("model.layers.") and array.ndim == 2
            type_ = kind if is_layer else head_kind
            if array.ndim != 2 or type_ is None:
                continue
            if type_ == "int4" and array.shape[1] % 32 != 0:
                type_ = "int8"
            tensors[name] = quantise.WEIGHTS[type_](array)
            types[name] = type_
        return Model(config, tensors, types, dtype, kv_f16=True)

    @staticmethod
    def from_pith(directory, path, dtype=np.float32):
        """The weights of a .pith file converted from `directory`, as they are stored."""
        config = families.read(directory)
        tensors, types, kind = packed.read_pith(path, config)
        return Model(config, tensors, types, dtype, kv_f16=kind != "f32")

    def linear(self, name, x):
        type_ = self.types.get(name + ".weight")
        if type_ in quantise.INPUTS:
            x = quantise.INPUTS[type_](x).astype(self.dtype)
        y = x @ self.tensors[name + ".weight"].T
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias

    def rmsnorm(self, name, x):
        if self.types and self.dtype == np.float32:
            rows = x.reshape(-1, x.shape[-1])
            y = quantise.rmsnorm(rows, self.tensors[name + ".weight"], self.config.eps)
            return y.reshape(x.shape)
        mean = np.mean(np.square(x), axis=-1, keepdims=True)
        return x / np.sqrt(mean + self.dtype(self.config.eps)) * self.tensors[name + ".weight"]

    def attention(self, layer, x, cos, sin, distance):
        """x [T, hidden] normalised; returns the attention block's output [T, hidden]."""
        c = self.config
        window = c.windows[layer]
        mask = (distance >= 0) & ((distance < window) if window else True)
        name = f"model.layers.{layer}.self_attn."
        q = self.linear(name + "q_proj", x).reshape(-1, c.heads, c.head_dim)
        k = self.linear(name + "k_proj", x).reshape(-1, c.kv_heads, c.head_dim)
        v = self.linear(name + "v_proj", x).reshape(-1, c.kv_heads, c.head_dim)
        if c.head_norm:
            q, k = self.rmsnorm(name + "q_norm", q), self.rmsnorm(name + "k_norm", k)
        if c.turns[layer]:
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.kv_f16:
            k, v = round_to_f16(k), round_to_f16(v)
        group = c.heads // c.kv_heads
        out = np.empty((len(x), c.heads, c.head_dim), self.dtype)
        for h in range(c.heads):
            scores = q[:, h] @ k[:, h // group].T / self.dtype(np.sqrt(c.head_dim))
            out[:, h] = softmax(np.where(mask, scores, -np.inf)) @ v[:, h // group]
        return self.linear(name + "o_proj", out.reshape(len(x), -1))

    def mlp(self, layer, x):
        name = f"model.layers.{layer}.mlp."
        gate = self.linear(name + "gate_proj", x)
        up = self.linear(name + "up_proj", x)
        return self.linear(name + "down_proj", gate / (1 + np.exp(-gate)) * up)

    def forward(self, ids):
        """ids [T]; returns logits [T, vocab] and the hidden states [layers + 1, T, hidden]: the
        embeddings, the residual stream after each layer, the last one after the final norm."""
        c = self.config
        positions = np.arange(len(ids))
        angles = positions[:, None] * rope_frequencies(c)
        cos = (np.cos(angles) * rope_temperature(c)).astype(self.dtype)[:, None]
        sin = (np.sin(angles) * rope_temperature(c)).astype(self.dtype)[:, None]
        distance = positions[:, None] - positions

        x = self.tensors["model.embed_tokens.weight"][np.asarray(ids)]
        hidden = [x]
        for layer in range(c.layers):
            name = f"model.layers.{layer}."
            x = x + self.attention(layer, self.rmsnorm(name + "input_layernorm", x), cos, sin,
                                   distance)
            x = x + self.mlp(layer, self.rmsnorm(name + "post_attention_layernorm", x))
            hidden.append(x)
        hidden[-1] = self.rmsnorm("model.norm", x)
        return self.linear(self.head, hidden[-1]), np.stack(hidden)

    def greedy(self, ids, n):
        """n greedy tokens after ids, and the margin of each over the second best."""
        ids = list(ids)
        margins = []
        for _ in range(n):
            logits = self.forward(ids)[0][-1]
            second, first = np.sort(logits)[-2:]
            ids.append(int(np.argmax(logits)))
            margins.append(first - second)
        return ids[-n:], margins


def log_softmax(logits):
    """Float64 log-probabilities of rows of logits."""
    x = logits.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def kl_divergence(p_logits, q_logits):
    """KL(p || q) in nats of each row, float64."""
    p, q = log_softmax(p_logits), log_softmax(q_logits)
    return (np.exp(p) * (p - q)).sum(axis=-1)
