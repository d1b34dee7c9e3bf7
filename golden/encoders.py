"""Sentence encoders in NumPy, float64, of every family that pith knows: written from the papers and
from transformers' classes, to check the C code against. BERT's own block is in check_bert.py.

    model = encoders.Model("golden/encoders/mpnet")
    vector = model.embed(ids)             # or, of a cross-encoder, the score: [1]
"""

import json
import math
import os

import numpy as np

from containers import read_checkpoint, read_safetensors, to_f32

ERF = np.vectorize(math.erf)


def gelu(x):
    return x * 0.5 * (1 + ERF(x / math.sqrt(2)))


def gelu_tanh(x):
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + np.exp(-x))


ACTIVATIONS = {"Identity": lambda x: x, "Tanh": np.tanh, "ReLU": lambda x: np.maximum(x, 0),
               "GELU": gelu, "Sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def layer_norm(x, weight, bias, eps):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight
    return x if bias is None else x + bias


def rms_norm(x, weight, eps):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight


def turn(x, theta):
    """RoPE of x [n, heads, size]: the halves of a head turn against each other."""
    n, _, size = x.shape
    angles = np.arange(n)[:, None] * theta ** (-np.arange(0, size, 2) / size)[None]
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    a, b = x[..., : size // 2], x[..., size // 2 :]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)


def bucket(distance, buckets=32, most=128):
    """MPNet's bucket of key - query (Raffel et al. 2020)."""
    half = buckets // 2
    first = half if distance > 0 else 0
    distance = abs(distance)
    exact = half // 2
    if distance < exact:
        return first + distance
    large = math.log(distance / exact) / math.log(most / exact) * (half - exact)
    return first + min(exact + int(large + 1e-9), half - 1)


def attend(q, k, v, scale, mask, bias=0.0):
    """q [n, heads, size]; k, v [n, KV heads, size]; mask [n, n], true where a key is seen."""
    group = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
    scores = np.einsum("qhd,khd->hqk", q, k) * scale + bias
    scores = np.where(mask, scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    scores /= scores.sum(-1, keepdims=True)
    return np.einsum("hqk,khd->qhd", scores, v).reshape(len(q), -1)


def read_json(*path):
    name = os.path.join(*path)
    if not os.path.exists(name):
        return None
    with open(name, encoding="utf-8") as file:
        return json.load(file)


def widen(tensors):
    return {name: to_f32(*t).astype(np.float64) for name, t in tensors.items()}


class Model:
    def __init__(self, directory):
        self.config = read_json(directory, "config.json")
        self.w = {n: a.astype(np.float64) for n, a in read_checkpoint(directory).items()}
        self.kind = self.config["model_type"]
        for prefix in "bert.", "roberta.", "mpnet.", "distilbert.", "model.":
            self.w.update({n[len(prefix):]: a for n, a in self.w.items() if n.startswith(prefix)})
        self.scores = "SequenceClassification" in (self.config.get("architectures") or [""])[0]
        self.pooling, self.dense, self.normalize = "mean", [], False
        for module in [] if self.scores else read_json(directory, "modules.json") or []:
            kind, path = module["type"].rsplit(".", 1)[1], module["path"]
            settings = read_json(directory, path, "config.json") or {}
            if kind == "Pooling":
                names = {"pooling_mode_cls_token": "cls", "pooling_mode_max_tokens": "max",
                         "pooling_mode_lasttoken": "lasttoken", "pooling_mode_mean_tokens": "mean"}
                self.pooling = settings.get("pooling_mode") or \
                    next(mode for key, mode in names.items() if settings.get(key))
            if kind == "Dense":
                file = os.path.join(directory, path, "model.safetensors")
                self.dense.append((settings["activation_function"].rsplit(".", 1)[1],
                                   widen(read_safetensors(file)[1])))
            self.normalize = self.normalize or kind == "Normalize"

    def linear(self, name, x):
        y = x @ self.w[name + ".weight"].T
        return y + self.w[name + ".bias"] if name + ".bias" in self.w else y

    def norm(self, name, x):
        c = self.config
        eps = c.get("norm_eps", 1e-5) if self.kind == "modernbert" else \
            c.get("layer_norm_eps", c.get("layer_norm_epsilon", 1e-12))
        return layer_norm(x, self.w[name + ".weight"], self.w.get(name + ".bias"), eps)

    def embeddings(self, ids, types):
        w, kind = self.w, self.kind
        x = w["embeddings.word_embeddings.weight"][ids]
        offset = {"mpnet": 2}.get(kind, self.config.get("pad_token_id", 1) + 1)
        if kind in ("bert", "distilbert"):
            x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
        elif kind != "nomic_bert":
            real = np.array(ids) != offset - 1
            positions = np.where(real, np.cumsum(real) + offset - 1, offset - 1)
            x = x + w["embeddings.position_embeddings.weight"][positions]
        table = w.get("embeddings.token_type_embeddings.weight")
        if table is not None:
            x = x + table[[t if len(table) > 1 else 0 for t in types]]
        return self.norm("emb_ln" if kind == "nomic_bert" else "embeddings.LayerNorm", x)

    # Names of q, k, v (or of all), o, up, down and of the norms after the sub-layers.
    POST = {"distilbert": ("transformer.layer.", ["attention.q_lin", "attention.k_lin",
                                                  "attention.v_lin"], "attention.out_lin",
                           "sa_layer_norm", "ffn.lin1", "ffn.lin2", "output_layer_norm"),
            "mpnet": ("encoder.layer.", ["attention.attn.q", "attention.attn.k",
                                         "attention.attn.v"], "attention.attn.o",
                      "attention.LayerNorm", "intermediate.dense", "output.dense",
                      "output.LayerNorm"),
            "nomic_bert": ("encoder.layers.", ["attn.Wqkv"], "attn.out_proj", "norm1", None,
                           "mlp.fc2", "norm2"),
            None: ("encoder.layer.", ["attention.self.query", "attention.self.key",
                                      "attention.self.value"], "attention.output.dense",
                   "attention.output.LayerNorm", "intermediate.dense", "output.dense",
                   "output.LayerNorm")}

    def bert(self, ids, types):
        """BERT and what differs from it in names, positions or the feed-forward layer."""
        c, n = self.config, len(ids)
        heads = c.get("num_attention_heads", c.get("n_heads", c.get("n_head")))
        layers = c.get("num_hidden_layers", c.get("n_layers", c.get("n_layer")))
        where, qkv, o, first, up, down, second = self.POST.get(self.kind, self.POST[None])
        x, bias = self.embeddings(ids, types), 0.0
        if self.kind == "mpnet":
            table = self.w["encoder.relative_attention_bias.weight"]
            rows = [[bucket(k - q) for k in range(n)] for q in range(n)]
            bias = np.moveaxis(table[np.array(rows)], -1, 0)
        for i in range(layers):
            p = f"{where}{i}."
            parts = [self.linear(p + name, x) for name in qkv]
            q, k, v = parts if len(parts) == 3 else np.split(parts[0], 3, -1)
            q, k, v = (part.reshape(n, heads, -1) for part in (q, k, v))
            if self.kind == "nomic_bert":
                q, k = (turn(part, c["rotary_emb_base"]) for part in (q, k))
            a = attend(q, k, v, q.shape[-1] ** -0.5, np.ones((n, n), bool), bias)
            x = self.norm(p + first, x + self.linear(p + o, a))
            h = gelu(self.linear(p + up, x)) if up else \
                self.linear(p + "mlp.fc11", x) * silu(self.linear(p + "mlp.fc12", x))
            x = self.norm(p + second, x + self.linear(p + down, h))
        return x

    def modernbert(self, ids):
        c, n = self.config, len(ids)
        heads, every = c["num_attention_heads"], c.get("global_attn_every_n_layers", 3)
        far = np.abs(np.arange(n)[:, None] - np.arange(n))
        act = {"silu": silu}.get(c.get("hidden_activation"), gelu)
        ropes = c.get("rope_parameters", {})
        x = self.norm("embeddings.norm", self.w["embeddings.tok_embeddings.weight"][ids])
        for i in range(c["num_hidden_layers"]):
            p = f"layers.{i}."
            full = i % every == 0
            kind = "full_attention" if full else "sliding_attention"
            theta = ropes.get(kind, {}).get("rope_theta") or \
                c.get("global_rope_theta" if full else "local_rope_theta", 160000 if full else 10000)
            a = x if i == 0 else self.norm(p + "attn_norm", x)
            q, k, v = (part.reshape(n, heads, -1)
                       for part in np.split(self.linear(p + "attn.Wqkv", a), 3, -1))
            mask = far <= (n if full else c.get("local_attention", 128) // 2)
            a = attend(turn(q, theta), turn(k, theta), v, q.shape[-1] ** -0.5, mask)
            x = x + self.linear(p + "attn.Wo", a)
            h, gate = np.split(self.linear(p + "mlp.Wi", self.norm(p + "mlp_norm", x)), 2, -1)
            x = x + self.linear(p + "mlp.Wo", act(h) * gate)
        return self.norm("final_norm", x)

    def decoder(self, ids):
        """Qwen 3 and Gemma 3 without their heads."""
        c, n = self.config, len(ids)
        gemma, eps = self.kind == "gemma3_text", c["rms_norm_eps"]
        heads, groups, size = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        here = np.arange(n)[:, None] - np.arange(n)
        both = c.get("use_bidirectional_attention", False)
        ropes = c.get("rope_parameters", {})
        x = self.w["embed_tokens.weight"][ids] * (math.sqrt(c["hidden_size"]) if gemma else 1)

        def norm(name, x):
            return rms_norm(x, self.w[name + ".weight"] + gemma, eps)

        for i in range(c["num_hidden_layers"]):
            p = f"layers.{i}."
            local = gemma and c["layer_types"][i] == "sliding_attention"
            theta = c.get("rope_local_base_freq", 1e4) if local else \
                c.get("rope_theta", 1e6 if gemma else 1e4)
            own = ropes.get("sliding_attention" if local else "full_attention", ropes)
            theta = own.get("rope_theta", theta)
            mask = np.ones((n, n), bool) if both else here >= 0
            if local:
                window = c["sliding_window"] // 2 + 1 if both else c["sliding_window"]
                mask = mask & (np.abs(here) < window)
            a = norm(p + "input_layernorm", x)
            q, k, v = (self.linear(p + f"self_attn.{part}_proj", a).reshape(n, -1, size)
                       for part in "qkv")
            q, k = (turn(norm(p + f"self_attn.{name}_norm", part), theta)
                    for name, part in (("q", q), ("k", k)))
            assert q.shape[1] == heads and k.shape[1] == groups
            scale = c["query_pre_attn_scalar"] ** -0.5 if gemma else size ** -0.5
            a = self.linear(p + "self_attn.o_proj", attend(q, k, v, scale, mask))
            x = x + (norm(p + "post_attention_layernorm", a) if gemma else a)
            a = norm(p + ("pre_feedforward_layernorm" if gemma else "post_attention_layernorm"), x)
            act = gelu_tanh if gemma else silu
            h = act(self.linear(p + "mlp.gate_proj", a)) * self.linear(p + "mlp.up_proj", a)
            h = self.linear(p + "mlp.down_proj", h)
            x = x + (norm(p + "post_feedforward_layernorm", h) if gemma else h)
        return norm("norm", x)

    def score(self, first):
        """What the class for sequences makes of the first token's vector, before its sigmoid."""
        if "pooler.dense.weight" in self.w:
            return self.linear("classifier", np.tanh(self.linear("pooler.dense", first)))
        return self.linear("classifier.out_proj", np.tanh(self.linear("classifier.dense", first)))

    def embed(self, ids, types=None, dimensions=None):
        types = types or [0] * len(ids)
        x = self.modernbert(ids) if self.kind == "modernbert" else \
            self.decoder(ids) if self.kind in ("qwen3", "gemma3_text") else self.bert(ids, types)
        if self.scores:
            act = self.config.get("sentence_transformers", {}).get("activation_fn", "x.Sigmoid")
            return ACTIVATIONS[act.rsplit(".", 1)[1]](self.score(x[0]))
        x = {"mean": x.mean(0), "cls": x[0], "max": x.max(0), "lasttoken": x[-1]}[self.pooling]
        for activation, w in self.dense:
            x = ACTIVATIONS[activation](x @ w["linear.weight"].T + w.get("linear.bias", 0.0))
        x = x[:dimensions]
        return x / max(np.linalg.norm(x), 1e-12) if self.normalize or dimensions else x
