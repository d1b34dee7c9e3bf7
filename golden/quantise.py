"""Quantisers emulated: what a weight or an activation becomes after rounding to a format.

Every function takes float32 values and returns float32 values: code times scale, the number the
format can hold. Formats: int8 and int4 of pith (docs/kernels.md), and Q4_0 with Q8_0 activations,
the plainest 4-bit format in wide use, to compare with.
"""

import numpy as np

CODES = np.array([-10, -8, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9], np.float32)
MULTIPLIERS = np.array([3, 4, 5, 6, 7, 8, 9, 10, -3, -4, -5, -6, -7, -8, -9, -10], np.float32)

# Midpoints between neighbouring codes are multiples of 1/2, so floor(2 x) finds the nearest code.
_NEAREST = np.array([CODES[np.argmin(np.abs(CODES - (i + 0.5) / 2))] for i in range(-24, 24)])


def _groups(x, size):
    """[rows, k] -> [rows, groups, size], zeros after k."""
    rows, k = x.shape
    n = -(-k // size)
    padded = np.zeros((rows, n * size), np.float32)
    padded[:, :k] = x
    return padded.reshape(rows, n, size)


def _f16(x):
    return np.clip(x, -65504, 65504).astype(np.float16).astype(np.float32)


# ---- Activations --------------------------------------------------------------------------------


def activation_codes(x, group):
    """One token per row: scale = max|x| / 127 in float32, nearest even, per `group` elements: codes
    [rows, groups, group], zeros after k, and scales [rows, groups, 1]."""
    g = _groups(x.astype(np.float32), group)
    top = np.abs(g).max(axis=2, keepdims=True)
    live = top >= np.finfo(np.float32).tiny
    inverse = np.divide(np.float32(127), top, out=np.zeros_like(top), where=live)
    scale = np.where(live, top / np.float32(127), np.float32(0))
    return np.clip(np.rint(g * inverse), -127, 127), scale


def activations(x, group):
    codes, scale = activation_codes(x, group)
    return (codes * scale).reshape(len(x), -1)[:, : x.shape[1]]


def activations_q8_0(x):
    """Blocks of 32, the scale stored in half precision, halves rounded away from zero."""
    k = x.shape[1]
    g = _groups(x.astype(np.float32), 32)
    scale = np.abs(g).max(axis=2, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), scale, out=np.zeros_like(scale), where=scale > 0)
    scaled = g * inverse
    codes = np.sign(scaled) * np.floor(np.abs(scaled) + np.float32(0.5))
    return (codes * _f16(scale)).reshape(len(x), -1)[:, :k]


# ---- Weights ------------------------------------------------------------------------------------


def weights_q4_0(w):
    """Blocks of 32: d = (the element of largest magnitude) / -8, code = trunc(w / d + 8.5) in
    0..15, value (code - 8) * d; codes are chosen with d in float32, d is stored in half."""
    rows, k = w.shape
    g = _groups(w, 32)
    top = np.take_along_axis(g, np.abs(g).argmax(axis=2)[..., None], axis=2)
    d = top / np.float32(-8)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    codes = np.clip(np.trunc(g * inverse + np.float32(8.5)), 0, 15) - 8
    return (codes * _f16(d)).reshape(rows, -1)[:, :k]


def weights_int8(w, group=128):
    """Groups of 128 with an f16 scale: nearest codes, the scale refitted to them once by least
    squares, the better of both kept."""
    rows, k = w.shape
    g = _groups(w, group)
    best = np.zeros_like(g)
    error = np.full(g.shape[:2] + (1,), np.inf, np.float32)
    d = _f16(np.abs(g).max(axis=2, keepdims=True) / np.float32(127))
    for _ in range(2):
        inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
        codes = np.clip(np.rint(g * inverse), -127, 127)
        trial = codes * d
        e = np.square(g - trial).sum(axis=2, keepdims=True)
        best = np.where(e < error, trial, best)
        error = np.minimum(e, error)
        square = np.square(codes).sum(axis=2, keepdims=True)
        d = _f16(np.divide((g * codes).sum(axis=2, keepdims=True), square,
                           out=np.zeros_like(d), where=square > 0))
    return best.reshape(rows, -1)[:, :k]


def _int4_blocks(g, d):
    """The best integer multiplier x code of every block of 16 for the scales d; g is
    [groups, 16, 16], the result integers of that shape and the squared errors [groups]."""
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)[:, None, None]
    scaled = g * inverse
    best = np.zeros_like(g)
    error = np.full(g.shape[:2] + (1,), np.inf, np.float32)
    for m in MULTIPLIERS:
        index = np.clip(np.floor(scaled * np.float32(2 / m)), -24, 23).astype(np.int32) + 24
        trial = np.float32(m) * _NEAREST[index]
        e = np.square(scaled - trial).sum(axis=2, keepdims=True)
        better = e < error
        best = np.where(better, trial, best)
        error = np.where(better, e, error)
    return best, np.square(g - best * d[:, None, None]).sum(axis=(1, 2))


def weights_int4(w, factors=np.linspace(0.74, 1.18, 12)):
    """Groups of 256 with an f16 scale d, blocks of 16 with a multiplier: for several d around
    max|w| / 90 the best multipliers and codes, then d refitted to them by least squares."""
    rows, k = w.shape
    assert k % 32 == 0, "int4 needs a multiple of 32 columns"
    flat = _groups(w, 256).reshape(-1, 16, 16)
    out = np.zeros_like(flat)
    for begin in range(0, len(flat), 4096):
        g = flat[begin : begin + 4096]
        best = np.zeros_like(g)
        error = np.full(len(g), np.inf, np.float32)
        start = np.abs(g).max(axis=(1, 2)) / np.float32(90)
        for factor in factors:
            d = _f16(start * np.float32(factor))
            for _ in range(2):
                integers, e = _int4_blocks(g, d)
                better = e < error
                best[better] = integers[better] * d[better, None, None]
                error = np.minimum(error, e)
                square = np.square(integers).sum(axis=(1, 2))
                d = _f16(np.divide((g * integers).sum(axis=(1, 2)), square,
                                   out=np.zeros_like(d), where=square > 0))
        out[begin : begin + 4096] = best
    return out.reshape(rows, -1)[:, :k]


# By the name of a weight type: what becomes of a matrix, and of the inputs it is multiplied with.
WEIGHTS = {"int8": weights_int8, "int4": weights_int4, "q4_0": weights_q4_0}
INPUTS = {"int8": lambda x: activations(x, 128), "int4": lambda x: activations(x, 256),
          "q4_0": activations_q8_0}
