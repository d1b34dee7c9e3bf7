/* What only encoders need, in plain C: LayerNorm of a residual sum and GELU. */
#include "simd/gelu.h"
#include "simd/lanes.h"
#include "simd/scalar/scalar.h"

#include <math.h>
#include <string.h>

void pith_add_layernorm_scalar(float *x, const float *y, const float *bias, const float *w,
                               const float *b, float eps, size_t n) {
    float sum[PITH_LANES] = {0};
    float squares[PITH_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        x[i] += y[i] + bias[i];
        sum[i % PITH_LANES] += x[i];
    }
    float mean = pith_lanes_sum(sum) / (float)n;
    for (size_t i = 0; i < n; i++) {
        float d = x[i] - mean;
        squares[i % PITH_LANES] = fmaf(d, d, squares[i % PITH_LANES]);
    }
    float r = 1.0f / sqrtf(pith_lanes_sum(squares) / (float)n + eps);
    for (size_t i = 0; i < n; i++) {
        x[i] = fmaf((x[i] - mean) * r, w[i], b[i]);
    }
}

/* Phi(x) - 1/2; NaN stays NaN. */
static float half_erf(float x) {
    x = x < -PITH_GELU_BOUND ? -PITH_GELU_BOUND : x;
    x = x > PITH_GELU_BOUND ? PITH_GELU_BOUND : x;
    float s = x * x;
    float p = fmaf(PITH_GELU_P5, s, PITH_GELU_P4);
    p = fmaf(p, s, PITH_GELU_P3);
    p = fmaf(p, s, PITH_GELU_P2);
    p = fmaf(p, s, PITH_GELU_P1);
    p = fmaf(p, s, PITH_GELU_P0);
    float q = fmaf(PITH_GELU_Q5, s, PITH_GELU_Q4);
    q = fmaf(q, s, PITH_GELU_Q3);
    q = fmaf(q, s, PITH_GELU_Q2);
    q = fmaf(q, s, PITH_GELU_Q1);
    q = fmaf(q, s, 1.0f);
    float h = x * p / q;
    h = h < -0.5f ? -0.5f : h;
    return h > 0.5f ? 0.5f : h;
}

void pith_bias_gelu_scalar(float *x, const float *bias, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float v = x[i] + bias[i];
        x[i] = v * (0.5f + half_erf(v));
    }
}

void pith_key_blocks_scalar(const float *x, size_t stride, size_t n_keys, size_t head_dim,
                            float *k) {
    for (size_t j = 0; j < (n_keys + 15) / 16 * 16; j++) {
        float *to = k + j / 16 * 16 * head_dim + j % 16;
        for (size_t d = 0; d < head_dim; d++) {
            to[d * 16] = j < n_keys ? x[j * stride + d] : 0.0f;
        }
    }
}

void pith_affine_scalar(const float *x, float scale, const float *shift, size_t n, float *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = fmaf(x[i], scale, shift[i]);
    }
}
