/* Attention in plain C: scores of queries against blocks of 16 keys, the softmax of one row, and
 * the weighted sum of values. Vaswani et al. 2017, equation 1, cut at the softmax so that a caller
 * can stream over keys (Milakov & Gimelshein 2018). */
#include "base/half.h"
#include "simd/lanes.h"
#include "simd/scalar/scalar.h"

#include <math.h>
#include <string.h>

void pith_scores_f32_scalar(const float *q, size_t n_q, size_t head_dim, const float *k,
                            size_t n_blocks, float *s, size_t s_stride) {
    for (size_t i = 0; i < n_q; i++) {
        for (size_t b = 0; b < n_blocks; b++) {
            float sums[PITH_LANES] = {0};
            for (size_t d = 0; d < head_dim; d++) {
                for (size_t j = 0; j < PITH_LANES; j++) {
                    float key = k[(b * head_dim + d) * PITH_LANES + j];
                    sums[j] = fmaf(q[i * head_dim + d], key, sums[j]);
                }
            }
            memcpy(s + i * s_stride + b * PITH_LANES, sums, sizeof sums);
        }
    }
}

void pith_scores_f16_scalar(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                            size_t n_blocks, float *s, size_t s_stride) {
    for (size_t i = 0; i < n_q; i++) {
        for (size_t b = 0; b < n_blocks; b++) {
            float sums[PITH_LANES] = {0};
            for (size_t d = 0; d < head_dim; d++) {
                for (size_t j = 0; j < PITH_LANES; j++) {
                    float key = pith_f16_to_f32(k[(b * head_dim + d) * PITH_LANES + j]);
                    sums[j] = fmaf(q[i * head_dim + d], key, sums[j]);
                }
            }
            memcpy(s + i * s_stride + b * PITH_LANES, sums, sizeof sums);
        }
    }
}

void pith_scores_int8_scalar(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                             size_t n_blocks, float *s, size_t s_stride) {
    for (size_t i = 0; i < n_q; i++) {
        for (size_t b = 0; b < n_blocks; b++) {
            float sums[PITH_LANES] = {0};
            for (size_t d = 0; d < head_dim; d++) {
                for (size_t j = 0; j < PITH_LANES; j++) {
                    float key = (float)k[(b * head_dim + d) * PITH_LANES + j];
                    sums[j] = fmaf(q[i * head_dim + d], key, sums[j]);
                }
            }
            memcpy(s + i * s_stride + b * PITH_LANES, sums, sizeof sums);
        }
    }
}

void pith_softmax_scalar(float *s, size_t begin, size_t end, size_t n, float *max, float *sum) {
    float largest = -INFINITY;
    for (size_t j = begin; j < end; j++) {
        if (s[j] > largest || s[j] != s[j]) {
            largest = s[j];
        }
        if (largest != largest) {
            break;
        }
    }
    largest += 0.0f;
    float lanes[PITH_LANES] = {0};
    for (size_t j = 0; j < n; j++) {
        s[j] = j >= begin && j < end ? pith_exp(s[j] - largest) : 0.0f;
        lanes[j % PITH_LANES] += s[j];
    }
    *max = largest;
    *sum = pith_lanes_sum(lanes);
}

void pith_values_f32_scalar(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const float *v, float *o) {
    for (size_t i = 0; i < n_q; i++) {
        for (size_t d = 0; d < head_dim; d++) {
            float sum = 0.0f;
            for (size_t j = 0; j < n_keys; j++) {
                sum = fmaf(p[i * p_stride + j], v[j * head_dim + d], sum);
            }
            o[i * head_dim + d] = sum;
        }
    }
}

void pith_values_f16_scalar(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const uint16_t *v, float *o) {
    for (size_t i = 0; i < n_q; i++) {
        for (size_t d = 0; d < head_dim; d++) {
            float sum = 0.0f;
            for (size_t j = 0; j < n_keys; j++) {
                sum = fmaf(p[i * p_stride + j], pith_f16_to_f32(v[j * head_dim + d]), sum);
            }
            o[i * head_dim + d] = sum;
        }
    }
}

void pith_values_int8_scalar(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const int8_t *v, float *o) {
    for (size_t i = 0; i < n_q; i++) {
        for (size_t d = 0; d < head_dim; d++) {
            float sum = 0.0f;
            for (size_t j = 0; j < n_keys; j++) {
                sum = fmaf(p[i * p_stride + j], (float)v[j * head_dim + d], sum);
            }
            o[i * head_dim + d] = sum;
        }
    }
}

void pith_multiply_scalar(float *x, const float *factors, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] *= factors[i];
    }
}

void pith_blend_scalar(float *x, float a, const float *y, float b, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] = x[i] * a + y[i] * b;
    }
}
