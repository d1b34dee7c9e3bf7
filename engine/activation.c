/* Element-wise functions; see activation.h. Each step works on a slice, so that one call computes
 * the exponentials of many elements, and on a tile's width at a time, which lets the compiler use
 * vectors. */
#include "engine/activation.h"

#include <string.h>

#include "base/checked.h"
#include "simd/blocks.h"

enum { SLICE = 64, WIDTH = PITH_TILE_ROWS, PAIR_ROWS = 2 * PITH_TILE_ROWS };

static const float zeros[SLICE];

/* x = x / (1 + e). */
static void divide(float *restrict x, const float *restrict e, size_t n) {
    for (size_t i = 0; i < n; i += WIDTH) {
        for (size_t j = 0; j < WIDTH; j++) {
            x[i + j] = x[i + j] / (1.0F + e[i + j]);
        }
    }
}

/* x / (1 + exp(-x)). */
static void silu(const pith_kernels *kernels, float *restrict x, size_t n) {
    float e[SLICE];
    for (size_t i = 0; i < n; i += WIDTH) {
        for (size_t j = 0; j < WIDTH; j++) {
            e[i + j] = -x[i + j];
        }
    }
    kernels->exp(e, e, n);
    divide(x, e, n);
}

/* x (1 + tanh u) / 2 = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3): Hendrycks & Gimpel
 * 2016, section 2. */
static void gelu_tanh(const pith_kernels *kernels, float *restrict x, size_t n) {
    const float minus_two_root = -1.5957691216057307F;
    float e[SLICE];
    for (size_t i = 0; i < n; i += WIDTH) {
        for (size_t j = 0; j < WIDTH; j++) {
            float v = x[i + j];
            e[i + j] = minus_two_root * (v + 0.044715F * (v * v * v));
        }
    }
    kernels->exp(e, e, n);
    divide(x, e, n);
}

/* max(x, 0)^2; NaN stays NaN. */
static void relu_squared(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float positive = x[i] < 0.0F ? 0.0F : x[i];
        x[i] = positive * positive;
    }
}

/* Applies the activation to x [n], n a multiple of WIDTH and at most a slice. */
static void activate(const pith_kernels *kernels, pith_activation activation, float *x, size_t n) {
    switch (activation) {
    case PITH_SILU:
        silu(kernels, x, n);
        break;
    case PITH_GELU:
        kernels->bias_gelu(x, zeros, n);
        break;
    case PITH_GELU_TANH:
        gelu_tanh(kernels, x, n);
        break;
    case PITH_RELU2:
        relu_squared(x, n);
        break;
    case PITH_CLAMPED_SWIGLU: /* not without its gate: clamped_swiglu */
        break;
    }
}

/* A tile's y = g / (1 + exp(-1.702 g)) (u + 1), g = min(gate, 7), u = up within -7..7; NaN stays
 * NaN. */
static void clamped_swiglu(const pith_kernels *kernels, const float *gate, const float *up,
                           float *out) {
    const float limit = 7.0F;
    const float minus_alpha = -1.702F;
    float g[PITH_TILE_ROWS], e[PITH_TILE_ROWS];
    for (size_t i = 0; i < PITH_TILE_ROWS; i++) {
        g[i] = gate[i] > limit ? limit : gate[i];
        e[i] = minus_alpha * g[i];
    }
    kernels->exp(e, e, PITH_TILE_ROWS);
    for (size_t i = 0; i < PITH_TILE_ROWS; i++) {
        float above = up[i] < -limit ? -limit : up[i];
        float u = above > limit ? limit : above;
        out[i] = g[i] / (1.0F + e[i]) * (u + 1.0F);
    }
}

void pith_activate(const pith_kernels *kernels, pith_activation activation, float *x,
                   const float *bias, size_t n) {
    if (activation == PITH_GELU && bias != NULL) {
        kernels->bias_gelu(x, bias, n);
        return;
    }
    for (size_t i = 0; bias != NULL && i < n; i++) {
        x[i] += bias[i];
    }
    size_t whole = n / WIDTH * WIDTH;
    for (size_t first = 0; first < whole; first += SLICE) {
        activate(kernels, activation, x + first, pith_min_size(SLICE, whole - first));
    }
    if (whole < n) {
        float rest[WIDTH] = {0};
        memcpy(rest, x + whole, (n - whole) * sizeof *x);
        activate(kernels, activation, rest, WIDTH);
        memcpy(x + whole, rest, (n - whole) * sizeof *x);
    }
}

void pith_activate_gated(const pith_kernels *kernels, pith_activation activation, const float *y,
                         size_t n_pairs, float *out) {
    enum { PAIRS = SLICE / PITH_TILE_ROWS };
    if (activation == PITH_SILU) {
        kernels->swiglu(y, out, n_pairs);
        return;
    }
    if (activation == PITH_CLAMPED_SWIGLU) {
        for (size_t t = 0; t < n_pairs; t++) {
            const float *gate = y + t * PAIR_ROWS;
            clamped_swiglu(kernels, gate, gate + PITH_TILE_ROWS, out + t * PITH_TILE_ROWS);
        }
        return;
    }
    for (size_t first = 0; first < n_pairs; first += PAIRS) {
        size_t n = pith_min_size(PAIRS, n_pairs - first);
        float *to = out + first * PITH_TILE_ROWS;
        const float *from = y + first * PAIR_ROWS;
        for (size_t i = 0; i < n; i++) {
            memcpy(to + i * PITH_TILE_ROWS, from + i * PAIR_ROWS, PITH_TILE_ROWS * sizeof *to);
        }
        activate(kernels, activation, to, n * PITH_TILE_ROWS);
        for (size_t i = 0; i < n; i++) {
            kernels->multiply(to + i * PITH_TILE_ROWS, from + i * PAIR_ROWS + PITH_TILE_ROWS,
                              PITH_TILE_ROWS);
        }
    }
}

/* tanh z: (exp(2 z) - 1) / (exp(2 z) + 1), or near 0, where that cancels, z - z^3 / 3 + 2 z^5 /
 * 15. */
static void soft_cap(const pith_kernels *kernels, float cap, float *x, size_t n) {
    const float small = 0.0625F;
    float e[SLICE];
    for (size_t i = 0; i < n; i++) {
        e[i] = 2.0F * (x[i] / cap);
    }
    kernels->exp(e, e, n);
    for (size_t i = 0; i < n; i++) {
        float z = x[i] / cap;
        float s = z * z;
        float series = z * (1.0F - s * (1.0F / 3.0F - s * (2.0F / 15.0F)));
        float quotient = (e[i] - 1.0F) / (e[i] + 1.0F);
        x[i] = cap * (z < small && z > -small ? series : quotient);
    }
}

void pith_soft_cap(const pith_kernels *kernels, float cap, float *x, size_t n) {
    for (size_t first = 0; first < n; first += SLICE) {
        soft_cap(kernels, cap, x + first, pith_min_size(SLICE, n - first));
    }
}
