"""The forward pass of decoders in numpy, written from the papers to check the C engine against.

Touvron et al. 2023 (Llama, Llama 2), Zhang & Sennrich 2019 (RMSNorm), Su et al. 2021 (RoPE), Chen
et al. 2023 (linear position scaling), Peng et al. 2023 (YaRN), Ding et al. 2024 (LongRoPE), Ainslie et
al. 2023 (grouped-query attention), Shazeer 2020 (SwiGLU), Jiang et al. 2023 (Mistral's sliding window),
Bai et al. 2023 (Qwen's biases), Henry et al. 2020 (norms of q and k), Gemma team 2024 (caps, norms
after). families.py says which model has what. The whole sequence goes through at once, so there is no cache; every tensor
is [tokens, ...].

    model = Model.load("golden/llama-gqa")                    # float32
    model = Model.load("golden/llama-gqa", dtype=np.float64)
    model = Model.quantised("golden/llama-gqa", "int4")       # this file's own search
    model = Model.from_pith("golden/llama-gqa", "x.pith")     # the codes in a .pith file; exact.py has
                                                              # the same with pith's own roundings
    logits, hidden = model.forward(ids)                       # [T, vocab], [layers + 1, T, hidden]
"""

import numpy as np

import containers
import families
import packed
import quantise


def rope_frequencies(rope, context, single=False):
    """Angle per position of each pair [dims / 2], float64, in a context of so many tokens; `single`:
    rounded to float32 before it is scaled."""
    dims, theta = rope["dims"], rope["theta"]
    f = theta ** (-np.arange(0, dims, 2) / dims)
    if single:
        f = (1 / theta ** (np.arange(0, dims, 2) / dims)).astype(np.float32).astype(np.float64)
    dynamic = rope["kind"] == "dynamic" and context <= rope["positions"]
    if rope["kind"] in ("none", "default") or dynamic:  # dynamic NTK begins beyond the original
        return f
    if rope["kind"] == "linear":
        return f / rope["factor"]
    if rope["kind"] == "llama3":
        turns = rope["original_max_position_embeddings"] * f / (2 * np.pi)
        low, high = rope["low_freq_factor"], rope["high_freq_factor"]
        keep = np.clip((turns - low) / (high - low), 0, 1)
        return f * (keep + (1 - keep) / rope["factor"])
    if rope["kind"] == "yarn":
        # The pair that turns r times over the original length, rounded outwards (section 3.2).
        low, high = (dims * np.log(rope["original"] / (r * 2 * np.pi)) / (2 * np.log(theta))
                     for r in (rope.get("beta_fast") or 32, rope.get("beta_slow") or 1))
        if rope.get("truncate", True):
            low, high = np.floor(low), np.ceil(high)
        low, high = max(low, 0), min(high, dims - 1)
        divide = np.clip((np.arange(len(f)) - low) / (high - low), 0, 1)
        return f * (1 - divide) + f / rope["factor"] * divide
    if rope["kind"] == "longrope":
        factors = rope["long_factor" if context > rope["original"] else "short_factor"]
        return f / np.array(factors, np.float32)
    raise ValueError(f"rope_scaling {rope['kind']!r} is not supported")


def rope_temperature(rope):
    """What cos and sin are multiplied by (YaRN, section 3.4; LongRoPE as Phi-3 has it)."""
    if rope["kind"] == "longrope":
        factor = rope.get("factor") or rope["positions"] / rope["original"]
        otherwise = np.sqrt(1 + np.log(max(factor, 1)) / np.log(rope["original"]))
        return rope.get("attention_factor") or otherwise
    if rope["kind"] != "yarn":
        return 1.0
    scales = [0.1 * m * np.log(rope["factor"]) + 1 if rope["factor"] > 1 else 1.0
              for m in (rope.get("mscale") or 0, rope.get("mscale_all_dim") or 0, 1)]
    both = rope.get("mscale") and rope.get("mscale_all_dim")
    return rope.get("attention_factor") or (scales[0] / scales[1] if both else scales[2])


def query_scales(config, positions, dtype):
    """What queries are multiplied by [T, 1, 1]: Llama 4's temperature of attention."""
    steps = np.floor(positions / config.rope["original"])
    return (1 + config.query_beta * np.log(1 + steps)).astype(dtype)[:, None, None]


def rope_tables(rope, positions, dtype, context):
    """cos and sin [T, 1, dims / 2]."""
    angles = positions[:, None] * rope_frequencies(rope, context)
    scale = rope_temperature(rope)
    return ((np.cos(angles) * scale).astype(dtype)[:, None],
            (np.sin(angles) * scale).astype(dtype)[:, None])


def rotate(x, cos, sin, interleaved=False):
    """x [T, heads, head_dim]; of the first dims elements, i turns with i + dims / 2, or 2 i with
    2 i + 1."""
    n = cos.shape[-1]
    rest = x[..., 2 * n :]
    a, b = (x[..., : 2 * n : 2], x[..., 1 : 2 * n : 2]) if interleaved else (
        x[..., :n], x[..., n : 2 * n])
    turned = [a * cos - b * sin, b * cos + a * sin]
    if interleaved:
        turned = [np.stack(turned, axis=-1).reshape(*x.shape[:-1], 2 * n)]
    return np.concatenate([*turned, rest], axis=-1)


def cap(x, limit):
    """Gemma 2 report, section 2."""
    return limit * np.tanh(x / limit) if limit else x


def gelu(x):
    """Hendrycks & Gimpel 2016, by tanh."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def activate(x, kind):
    if kind == "silu":
        return x / (1 + np.exp(-x))
    return gelu(x) if kind == "gelu" else np.square(np.maximum(x, 0))  # So et al. 2021


def clamped_swiglu(gate, up):
    """OpenAI 2025 (gpt-oss)."""
    gate, up = np.minimum(gate, 7), np.clip(up, -7, 7)
    return gate / (1 + np.exp(-1.702 * gate)) * (up + 1)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def round_to_f16(x):
    return np.clip(x, -65504, 65504).astype(np.float16).astype(x.dtype)


# Names of experts in checkpoints, and what the forward pass calls them.
MIXTRAL_NAMES = (("block_sparse_moe.", "mlp."), (".w1.", ".gate_proj."), (".w2.", ".down_proj."),
                 (".w3.", ".up_proj."))
EXPERT_NAMES = (*MIXTRAL_NAMES, ("router.layer.", "gate."), ("mlp.router.", "mlp.gate."))
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def from_mxfp4(blocks, scales):
    """OCP Microscaling Formats 1.0, 5.2 and 6.3: blocks [..., groups, 16] of two E2M1 numbers a byte,
    the first in the low bits; scales [..., groups], exponents with a bias of 127."""
    values = np.stack([FP4[blocks & 15], FP4[blocks >> 4]], axis=-1)
    values = values.reshape(*blocks.shape[:-1], 32)
    values = np.ldexp(values, scales.astype(np.int32)[..., None] - 127)
    return values.reshape(*blocks.shape[:-2], -1)


class Model:
    """tensors: float32 arrays under their Hugging Face names; types: name of a matrix -> "int8",
    "int4" or "q4_0" where its inputs are quantised; kv_f16: keys and values rounded to half."""

    def __init__(self, config, tensors, types=None, dtype=np.float32, kv_f16=False):
        self.config = config
        self.dtype = dtype
        self.kv_f16 = kv_f16
        self.types = types or {}
        self.tensors = {name: array.astype(dtype) for name, array in tensors.items()}
        self.interleaved = config.interleaved
        self.head = "model.embed_tokens" if config.tied else "lm_head"

    @staticmethod
    def read_tensors(config, directory):
        """Those of a checkpoint as the forward pass names them: q, k, v and gate, up apart, norms
        with the weights that they multiply by."""
        tensors = containers.read_checkpoint(directory)
        for name in list(tensors):  # of a model of texts and images: its text part's
            short = name.replace("model.language_model.", "model.").removeprefix("language_model.")
            for old, new in EXPERT_NAMES:
                short = short.replace(old, new)
            tensors[short] = tensors.pop(name)
        Model.take_experts_apart(tensors)
        Model.take_turns_apart(tensors)
        for name in list(tensors):
            if config.norm_add and name.endswith("norm.weight"):
                tensors[name] = tensors[name] + np.float32(config.norm_add)
            if name.endswith(tuple(f"{part}_proj.weight" for part in config.joined)):
                prefix, joined = name.rsplit(".", 2)[0] + ".", tensors.pop(name)
                q, kv = config.heads * config.head_dim, config.kv_heads * config.head_dim
                parts = {"q_proj": joined[:q], "k_proj": joined[q : q + kv],
                         "v_proj": joined[q + kv :]}
                if "gate_up" in name:
                    parts = {"gate_proj": joined[: config.ffn], "up_proj": joined[config.ffn :]}
                tensors.update({f"{prefix}{part}.weight": w for part, w in parts.items()})
        return tensors

    @staticmethod
    def take_experts_apart(tensors):
        """Granite's are one tensor [experts, rows, columns] each, gate and up joined."""
        for name in [n for n in tensors if n.endswith(("input_linear.weight", "output_linear.weight"))]:
            prefix, all_of_them = name.rsplit(".", 2)[0] + ".experts.", tensors.pop(name)
            for e, w in enumerate(all_of_them):
                parts = ({"down_proj": w} if "output" in name else
                         dict(zip(("gate_proj", "up_proj"), np.split(w, 2))))
                tensors.update({f"{prefix}{e}.{part}.weight": w for part, w in parts.items()})

    @staticmethod
    def take_turns_apart(tensors):
        """Those of gpt-oss: [experts, columns, rows], or blocks of [experts, rows, columns]; rows of
        gate and up in turn."""
        for name in [n for n in tensors if n.endswith("_proj_blocks")]:
            name = name.removesuffix("_blocks")
            w = from_mxfp4(*(tensors.pop(f"{name}_{part}").astype(np.uint8)
                             for part in ("blocks", "scales")))
            tensors[name] = w.transpose(0, 2, 1)
        for name in [n for n in tensors if ".experts." in n and n.endswith(("_proj", "_proj_bias"))]:
            prefix, part = name.rsplit(".", 1)
            bias = part.endswith("_bias")
            end = "bias" if bias else "weight"
            for e, w in enumerate(tensors.pop(name)):
                w = w if bias else w.T
                parts = ({"down_proj": w} if "down" in part else
                         {"gate_proj": w[::2], "up_proj": w[1::2]})
                tensors.update({f"{prefix}.{e}.{part}.{end}": w for part, w in parts.items()})

    @staticmethod
    def load(directory, dtype=np.float32, kv_f16=False):
        config = families.read(directory)
        return Model(config, Model.read_tensors(config, directory), dtype=dtype, kv_f16=kv_f16)

    @staticmethod
    def quantised(directory, kind, head_kind=None, dtype=np.float32):
        """Linear layers as `kind` (int8 where int4 does not fit); embedding and head as
        `head_kind`, untouched when None."""
        config = families.read(directory)
        tensors = Model.read_tensors(config, directory)
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
        model = Model(config, tensors, types, dtype, kv_f16=kind != "f32")
        model.interleaved = False  # the rows are put in order there
        return model

    # The steps that exact.py rounds in another way.
    rotate = staticmethod(rotate)
    cap = staticmethod(cap)
    activate = staticmethod(activate)
    clamped_swiglu = staticmethod(clamped_swiglu)

    def rope_tables(self, rope, positions, context):
        return rope_tables(rope, positions, self.dtype, context)

    def linear(self, name, x):
        type_ = self.types.get(name + ".weight")
        if type_ in quantise.INPUTS:
            x = quantise.INPUTS[type_](x).astype(self.dtype)
        y = x @ self.tensors[name + ".weight"].T
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias

    def rmsnorm(self, name, x):
        mean = np.mean(np.square(x), axis=-1, keepdims=True)
        return x / np.sqrt(mean + self.dtype(self.config.eps)) * self.tensors[name + ".weight"]

    def norm(self, name, x):
        if not self.config.layer_norm:
            return self.rmsnorm(name, x)
        x = x - np.mean(x, axis=-1, keepdims=True)
        variance = np.mean(np.square(x), axis=-1, keepdims=True)
        y = x / np.sqrt(variance + self.dtype(self.config.eps)) * self.tensors[name + ".weight"]
        return y + self.tensors.get(name + ".bias", self.dtype(0))

    def heads(self, name, x, n, rope, norm):
        """Projection `name` of x as n heads, normalised and turned: [T, n, head_dim]."""
        c = self.config
        y = self.linear(name, x)
        if norm and c.qk_norm == "whole":
            y = self.rmsnorm(norm, y)
        y = y.reshape(-1, n, c.head_dim)
        if norm and c.qk_norm == "head":
            y = self.rmsnorm(norm, y)
        y = self.rotate(y, *rope, self.interleaved) if rope else y
        return self.rmsnorm(norm, y) if norm and c.qk_norm == "after" else y

    def attention(self, layer, x, rope, distance):
        """x [T, hidden] normalised; returns the attention block's output [T, hidden]."""
        c = self.config
        name = f"model.layers.{layer}.self_attn."
        window = c.windows[layer]
        mask = (distance >= 0) & ((distance < window) if window else True)
        q = self.heads(name + "q_proj", x, c.heads, rope, name + c.qk_names[0])
        q = q * query_scales(c, np.arange(len(x)), self.dtype)
        k = self.heads(name + "k_proj", x, c.kv_heads, rope, name + c.qk_names[1])
        v = self.heads(name + "v_proj", x, c.kv_heads, None, None)
        if self.kv_f16:
            k, v = round_to_f16(k), round_to_f16(v)
        scale = (self.dtype(c.attention_scale) if c.attention_scale is not None
                 else self.dtype(1) / np.sqrt(self.dtype(c.attention_dim or c.head_dim)))
        group = c.heads // c.kv_heads
        out = np.empty((len(x), c.heads, c.head_dim), self.dtype)
        for h in range(c.heads):
            sink = self.tensors[name + "sinks"][h] if c.sinks else None
            out[:, h] = self.attend(q[:, h], k[:, h // group], v[:, h // group], mask, scale, sink)
        return self.linear(name + "o_proj", out.reshape(len(x), -1))

    def attend(self, q, k, v, mask, scale, sink):
        """One head: q [T, head_dim], k and v [keys, head_dim], mask [T, keys]."""
        scores = self.cap(q @ k.T * scale, self.dtype(self.config.attention_cap))
        scores = np.where(mask, scores, -np.inf)
        if sink is None:
            return softmax(scores) @ v
        # A key whose value is zero: Xiao et al. 2023.
        scores = np.concatenate([scores, np.full((len(q), 1), sink)], axis=1)
        return softmax(scores)[:, :-1] @ v

    def experts(self, layer, x):
        """Shazeer et al. 2017, Jiang et al. 2024: each token's own few of many MLPs."""
        c = self.config
        logits = self.linear(f"model.layers.{layer}.mlp.gate", x)
        chosen = np.argsort(-logits, axis=-1, kind="stable")[:, : c.experts_used]
        shares = self.shares(logits, chosen)
        out = np.zeros_like(x)
        for e in range(c.experts):
            rows, k = np.nonzero(chosen == e)
            if len(rows):
                y = self.mlp(layer, x[rows], f"experts.{e}.")
                out[rows] += shares[rows, k, None].astype(self.dtype) * y
        return out

    def shares(self, logits, chosen):
        """Of each token's experts: their softmax among each other, or among all."""
        if self.config.norm_experts:
            return softmax(np.take_along_axis(logits, chosen, axis=-1))
        return np.take_along_axis(softmax(logits), chosen, axis=-1)

    def mlp(self, layer, x, expert=""):
        name = f"model.layers.{layer}.mlp.{expert}"
        gate, up, down = self.config.mlp
        if self.config.clamped:
            h = self.clamped_swiglu(self.linear(name + gate, x), self.linear(name + up, x))
            return self.linear(name + down, h.astype(self.dtype))
        h = self.activate(self.linear(name + (gate or up), x), self.config.activation)
        h = h * self.linear(name + up, x) if gate else h
        return self.linear(name + down, h.astype(self.dtype))

    def sub_layer(self, x, f, before, after):
        """x plus what f makes of it, between two norms that may be absent."""
        y = f(self.norm(before, x) if before else x)
        y = self.norm(after, y) if after else y
        return x + y * self.dtype(self.config.residual_scale)

    def forward(self, ids, context=None):
        """ids [T]; returns logits [T, vocab] and the hidden states [layers + 1, T, hidden]: the
        embeddings, the residual stream after each layer, the last one after the final norm.
        LongRoPE's factors are those of a session of this context, by default T."""
        c = self.config
        positions = np.arange(len(ids))
        distance = positions[:, None] - positions
        tables = {id(r): self.rope_tables(r, positions, context or len(ids))
                  for r in c.ropes if r}

        x = self.tensors["model.embed_tokens.weight"][np.asarray(ids)]
        x = x * self.dtype(c.embedding_scale)
        hidden = [x]
        for layer in range(c.layers):
            norms = [f"model.layers.{layer}.{n}" if n else None for n in c.norms]
            rope = tables[id(c.ropes[layer])] if c.ropes[layer] else None
            x = self.sub_layer(x, lambda a: self.attention(layer, a, rope, distance), *norms[:2])
            mlp = self.experts if c.experts else self.mlp
            x = self.sub_layer(x, lambda a: mlp(layer, a), *norms[2:])
            hidden.append(x)
        hidden[-1] = self.norm("model.norm", x)
        logits = self.linear(self.head, hidden[-1]) * self.dtype(c.logit_scale)
        return self.cap(logits, self.dtype(c.logit_cap)), np.stack(hidden)

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
