"""The forward pass of decoders in numpy with every rounding of pith's: the same bits as the C engine.

pith_reference.py says what is computed; here each step is rounded to float32 in the order that
simd/kernels.h and engine/ fix, so that the logits of a .pith file can be compared for equality and not
by a distance: a float sum that differs in its last bit turns a code between two values over, and after
some layers two right implementations are as far apart as two roundings of the same model.

    model = Exact.from_pith("golden/llama-gqa", "x.pith")  # of any type; f32 as with --blas off
    logits, hidden = model.forward(ids)
"""

import math

import numpy as np

import packed
import pith_reference
import quantise

F = np.float32
LANES = 16
CHUNK = 256  # keys whose softmax is one step
GROUPS = {"int8": 128, "int4": 256}


# ---- Arithmetic ----------------------------------------------------------------------------------


def fma(a, b, c):
    """a b + c of float32 arrays, rounded once. The product is exact in float64; the sum is rounded
    to odd there, after which rounding to float32 is right (Boldo & Melquiond 2008)."""
    product = np.multiply(a, b, dtype=np.float64)
    total = np.asarray(product + c)
    back = total - product
    lost = (product - (total - back)) + (c - back)
    bits = total.view(np.int64)
    away = np.where((lost > 0) == (total > 0), 1, -1)
    odd = bits + np.where((lost != 0) & (bits % 2 == 0), away, 0)
    return odd.view(np.float64).astype(F)


def add_lanes(lanes):
    """lanes [..., 16] as a tree."""
    for half in (8, 4, 2, 1):
        lanes = lanes[..., :half] + lanes[..., half : 2 * half]
    return lanes[..., 0]


def dot_lanes(a, b):
    """Sums over the last axis of a b, whose other axes are broadcast."""
    shape = np.broadcast_shapes(a.shape, b.shape)[:-1]
    lanes = np.zeros((*shape, LANES), F)
    for i in range(0, a.shape[-1], LANES):
        x, y = a[..., i : i + LANES], b[..., i : i + LANES]
        n = x.shape[-1]
        lanes[..., :n] = fma(x, y, lanes[..., :n])
    return add_lanes(lanes)


def sum_lanes(x):
    lanes = np.zeros((*x.shape[:-1], LANES), F)
    for i in range(0, x.shape[-1], LANES):
        part = x[..., i : i + LANES]
        lanes[..., : part.shape[-1]] += part
    return add_lanes(lanes)


def exp(x):
    """pith_exp: simd/exp.h."""
    x = np.clip(x, F(-87.3), F(88.7))
    n = np.rint(x * F(float.fromhex("0x1.715476p+0")))
    r = fma(n, F(-float.fromhex("0x1.63p-1")), x)
    r = fma(n, F(float.fromhex("0x1.bd0106p-13")), r)
    p = np.full_like(r, float.fromhex("0x1.6a23d0p-10"))
    for c in ("0x1.123a20p-7", "0x1.5558f2p-5", "0x1.555492p-3", "0x1.fffffcp-2", "1", "1"):
        p = fma(p, r, F(float.fromhex(c)))
    return (p.view(np.int32) + (n.astype(np.int32) << 23)).view(F)


# ---- Steps ---------------------------------------------------------------------------------------


def rmsnorm(x, w, eps):
    mean = dot_lanes(x, x) / F(x.shape[-1])
    r = F(1) / np.sqrt(mean + F(eps))
    return x * r[..., None] * w


def layernorm(x, w, b, eps):
    n = F(x.shape[-1])
    off = x - (sum_lanes(x) / n)[..., None]
    r = F(1) / np.sqrt(dot_lanes(off, off) / n + F(eps))
    return fma(off * r[..., None], w, b)


def cap(x, limit):
    z = x / limit
    e = exp(F(2) * z)
    s = z * z
    series = z * (F(1) - s * (F(1) / F(3) - s * (F(2) / F(15))))
    small = (z < F(0.0625)) & (z > F(-0.0625))
    return limit * np.where(small, series, (e - F(1)) / (e + F(1)))


def activate(x, kind):
    if kind == "relu2":
        positive = np.where(x < 0, F(0), x)
        return positive * positive
    if kind == "silu":
        return x / (F(1) + exp(-x))
    u = F(-1.5957691216057307) * (x + F(0.044715) * (x * x * x))
    return x / (F(1) + exp(u))


def clamped_swiglu(gate, up):
    gate = np.where(gate > 7, F(7), gate)
    up = np.clip(up, F(-7), F(7))
    return gate / (F(1) + exp(F(-1.702) * gate)) * (up + F(1))


def rotate(x, cos, sin):
    n = cos.shape[-1]
    a, b = x[..., :n], x[..., n : 2 * n]
    return np.concatenate([fma(-b, sin, a * cos), fma(a, sin, b * cos), x[..., 2 * n :]], axis=-1)


class Exact(pith_reference.Model):
    @staticmethod
    def from_pith(directory, path):
        model = pith_reference.Model.from_pith(directory, path)
        scales = packed.read_pith(path, model.config, scales=True)[0]
        model.__class__ = Exact
        model.groups = {name: model.split_groups(name, scales[name])
                        for name, type_ in model.types.items() if type_ in GROUPS}
        return model

    def split_groups(self, name, scales):
        """The integers [rows, group] and the scales [rows] of each group of columns. An element is
        the product of both, which float32 holds exactly."""
        values, size = self.tensors[name], GROUPS[self.types[name]]
        found = []
        for k in range(0, values.shape[1], size):
            d = scales[:, k]
            part = values[:, k : k + size].astype(np.float64)
            of = d[:, None].astype(np.float64)
            found.append((np.divide(part, of, out=np.zeros_like(part), where=of != 0), d))
        return found

    def linear(self, name, x):
        weight = name + ".weight"
        if weight in self.groups:
            y = self.quantised_product(weight, x)
        else:
            y = np.stack([dot_lanes(self.tensors[weight], row[None]) for row in x]) if len(x) else (
                np.zeros((0, len(self.tensors[weight])), F))
        bias = self.tensors.get(name + ".bias")
        return y if bias is None else y + bias

    def quantised_product(self, weight, x):
        size = GROUPS[self.types[weight]]
        codes, scales = quantise.activation_codes(x, size)
        y = np.zeros((len(x), len(self.tensors[weight])), F)
        for g, (integers, d) in enumerate(self.groups[weight]):
            total = codes[:, g, : integers.shape[1]].astype(np.float64) @ integers.T
            y = fma(total.astype(F), d * scales[:, g], y)
        return y

    def rmsnorm(self, name, x):
        return rmsnorm(x, self.tensors[name + ".weight"], self.config.eps)

    def norm(self, name, x):
        if not self.config.layer_norm:
            return self.rmsnorm(name, x)
        w = self.tensors[name + ".weight"]
        return layernorm(x, w, self.tensors.get(name + ".bias", np.zeros_like(w)), self.config.eps)

    rotate = staticmethod(lambda x, cos, sin, interleaved: rotate(x, cos, sin))
    cap = staticmethod(lambda x, limit: cap(x, limit) if limit else x)
    activate = staticmethod(activate)
    clamped_swiglu = staticmethod(clamped_swiglu)

    def rope_tables(self, rope, positions, context):
        """Frequencies are rounded to float32 before and after they are scaled, angles too."""
        f = pith_reference.rope_frequencies(rope, context, single=True).astype(F)
        angles = (positions.astype(F)[:, None] * f).astype(np.float64)
        scale = F(pith_reference.rope_temperature(rope))
        tables = (np.vectorize(t, otypes=[np.float64])(angles) for t in (math.cos, math.sin))
        return tuple((t.astype(F) * scale)[:, None] for t in tables)

    def attend(self, q, k, v, mask, scale, sink):
        """Chunks of keys one after the other, the sink in front: Milakov & Gimelshein 2018."""
        q = q * scale + F(0)
        m = np.full(len(q), -np.inf if sink is None else sink, F)
        l = np.full(len(q), 0 if sink is None else 1, F)
        o = np.zeros_like(q)
        for key in range(0, len(k), CHUNK):
            seen = mask[:, key : key + CHUNK]
            rows = seen.any(axis=1)
            part = self.attend_chunk(q[rows], k[key : key + CHUNK], v[key : key + CHUNK], seen[rows])
            top = np.maximum(m[rows], part[0])
            old, new = exp(m[rows] - top), exp(part[0] - top)
            m[rows] = top
            l[rows] = l[rows] * old + part[1] * new
            o[rows] = o[rows] * old[:, None] + part[2] * new[:, None]
        return o * (F(1) / l)[:, None] + F(0)

    def attend_chunk(self, q, k, v, seen):
        """The largest score of each row, the sum of exp(score - it), and of that times v."""
        scores = np.zeros((len(q), len(k)), F)
        for d in range(q.shape[1]):
            scores = fma(q[:, d, None], k[None, :, d], scores)
        scores = self.cap(scores, F(self.config.attention_cap))
        m = np.where(seen, scores, -np.inf).max(axis=1).astype(F) + F(0)
        p = np.where(seen, exp(scores - m[:, None]), F(0))
        o = np.zeros((len(q), v.shape[1]), F)
        for j in range(len(k)):
            o = fma(p[:, j, None], v[j][None], o)
        return m, sum_lanes(p), o

    def shares(self, logits, chosen):
        """In float64, from the best of a row on."""
        best = np.take_along_axis(logits, chosen, axis=-1).astype(np.float64)
        among = best if self.config.norm_experts else logits.astype(np.float64)
        e = np.vectorize(math.exp, otypes=[np.float64])
        total = np.zeros(len(logits))
        for i in range(among.shape[1]):
            total = total + e(among[:, i] - best[:, 0])
        return (e(best - best[:, :1]) / total[:, None]).astype(F)
