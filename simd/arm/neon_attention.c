/* Attention for NEON. Scores keep the 16 keys of a block in four registers, values 4 elements of a
 * head in one; both hold a tile of query rows x vectors in registers, so that every key or value
 * loaded serves several queries and enough independent sums are in flight to hide the latency of
 * the fused multiply-add. The
 * type of the elements and the tile sizes are constants at every call. */
#include "simd/arm/neon.h"
#include "simd/arm/neon_vector.h"

#include <math.h>

enum {
    MAX_SUMS = 16, /* query rows x vectors of a tile */
    MAX_VECTORS = 8,
};

typedef enum element { F32, F16, INT8 } element;

/* Four codes, of which the first n are read; the others are 0. */
PITH_INLINE float32x4_t widen_codes(const int8_t *p, size_t n) {
    int8_t codes[8] = {0};
    __builtin_memcpy(codes, p, n < 4 ? n : 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(codes)))));
}

/* Four floats from element `i` on of an array, of which the first n are read. */
PITH_INLINE float32x4_t load_4(const void *p, size_t i, element type, size_t n) {
    if (type == F16) {
        return widen_f16(load_halves((const uint16_t *)p + i, n));
    }
    if (type == INT8) {
        return widen_codes((const int8_t *)p + i, n);
    }
    return load_floats((const float *)p + i, n);
}

/* ---- Scores ---------------------------------------------------------------------------------- */

/* n_vectors is four per block of keys. */
PITH_INLINE void scores_tile(const float *q, size_t n_q, size_t head_dim, const void *k,
                             size_t first, size_t n_vectors, element type, float *s,
                             size_t s_stride) {
    float32x4_t sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_vectors; i++) {
        sum[i] = vdupq_n_f32(0.0f);
    }
    for (size_t d = 0; d < head_dim; d++) {
        float32x4_t key[MAX_VECTORS];
        PITH_UNROLL
        for (size_t v = 0; v < n_vectors; v++) {
            key[v] = load_4(k, ((first + v / 4) * head_dim + d) * 16 + v % 4 * 4, type, 4);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            float32x4_t query = vdupq_n_f32(q[i * head_dim + d]);
            PITH_UNROLL
            for (size_t v = 0; v < n_vectors; v++) {
                sum[i * n_vectors + v] = vfmaq_f32(sum[i * n_vectors + v], query, key[v]);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i++) {
        PITH_UNROLL
        for (size_t v = 0; v < n_vectors; v++) {
            vst1q_f32(s + i * s_stride + first * 16 + v * 4, sum[i * n_vectors + v]);
        }
    }
}

PITH_INLINE void scores(const float *q, size_t n_q, size_t head_dim, const void *k, size_t n_blocks,
                        element type, float *s, size_t s_stride) {
    size_t b = 0;
    for (; n_q < 4 && b + 2 <= n_blocks; b += 2) {
        for (size_t i = 0; i < n_q; i++) {
            scores_tile(q + i * head_dim, 1, head_dim, k, b, 8, type, s + i * s_stride, s_stride);
        }
    }
    for (; b < n_blocks; b++) {
        size_t i = 0;
        for (; i + 4 <= n_q; i += 4) {
            scores_tile(q + i * head_dim, 4, head_dim, k, b, 4, type, s + i * s_stride, s_stride);
        }
        for (; i < n_q; i++) {
            scores_tile(q + i * head_dim, 1, head_dim, k, b, 4, type, s + i * s_stride, s_stride);
        }
    }
}

void pith_scores_f32_neon(const float *q, size_t n_q, size_t head_dim, const float *k,
                          size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, F32, s, s_stride);
}

void pith_scores_f16_neon(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                          size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, F16, s, s_stride);
}

void pith_scores_int8_neon(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                           size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, INT8, s, s_stride);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

/* NaN when one of the scores is: fmax passes NaN. */
static float largest_score(const float *s, size_t begin, size_t end) {
    float32x4_t largest = vdupq_n_f32(-INFINITY);
    for (size_t j = begin; j < end; j += 4) {
        float32x4_t v = load_floats(s + j, end - j);
        largest = vmaxq_f32(vbslq_f32(first_lanes(end - j), v, largest), largest);
    }
    return vmaxvq_f32(largest) + 0.0f;
}

/* Lanes of the 4 scores from j on that lie in [begin, end). */
PITH_INLINE uint32x4_t valid_lanes(size_t j, size_t begin, size_t end) {
    uint32x4_t before_end = first_lanes(end > j ? end - j : 0);
    uint32x4_t before_begin = first_lanes(begin > j ? begin - j : 0);
    return vbicq_u32(before_end, before_begin);
}

void pith_softmax_neon(float *s, size_t begin, size_t end, size_t n, float *max, float *sum) {
    float largest = largest_score(s, begin, end);
    const float32x4_t shift = vdupq_n_f32(largest);
    float32x4_t total[4];
    PITH_UNROLL
    for (size_t h = 0; h < 4; h++) {
        total[h] = vdupq_n_f32(0.0f);
    }
    for (size_t j = 0; j < n; j += 16) {
        PITH_UNROLL
        for (size_t h = 0; h < 4; h++) {
            float *at = s + j + 4 * h;
            uint32x4_t e = vreinterpretq_u32_f32(exp_4(vsubq_f32(vld1q_f32(at), shift)));
            e = vandq_u32(e, valid_lanes(j + 4 * h, begin, end));
            vst1q_f32(at, vreinterpretq_f32_u32(e));
            total[h] = vaddq_f32(total[h], vreinterpretq_f32_u32(e));
        }
    }
    *max = largest;
    *sum = lanes_sum(total);
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Of the last of n_vectors vectors only `n` elements exist. */
PITH_INLINE void values_tile(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const void *v, size_t first, size_t n_vectors,
                             size_t n, element type, float *o) {
    float32x4_t sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_vectors; i++) {
        sum[i] = vdupq_n_f32(0.0f);
    }
    for (size_t j = 0; j < n_keys; j++) {
        float32x4_t value[MAX_VECTORS];
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            value[d] = load_4(v, j * head_dim + first + d * 4, type, n);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            float32x4_t weight = vdupq_n_f32(p[i * p_stride + j]);
            PITH_UNROLL
            for (size_t d = 0; d < n_vectors; d++) {
                sum[i * n_vectors + d] = vfmaq_f32(sum[i * n_vectors + d], weight, value[d]);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i++) {
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            store_floats(o + i * head_dim + first + d * 4, sum[i * n_vectors + d], n);
        }
    }
}

/* All query rows for the vectors from element `first` on. */
PITH_INLINE void values_columns(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                                size_t head_dim, const void *v, size_t first, size_t n_vectors,
                                size_t n, element type, float *o) {
    size_t i = 0;
    for (; n_vectors <= 4 && i + 4 <= n_q; i += 4) {
        values_tile(p + i * p_stride, p_stride, 4, n_keys, head_dim, v, first, n_vectors, n, type,
                    o + i * head_dim);
    }
    for (; i < n_q; i++) {
        values_tile(p + i * p_stride, p_stride, 1, n_keys, head_dim, v, first, n_vectors, n, type,
                    o + i * head_dim);
    }
}

PITH_INLINE void values(const float *p, size_t p_stride, size_t n_q, size_t n_keys, size_t head_dim,
                        const void *v, element type, float *o) {
    size_t d = 0;
    for (; n_q < 4 && d + 32 <= head_dim; d += 32) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 8, 4, type, o);
    }
    for (; d + 16 <= head_dim; d += 16) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 4, 4, type, o);
    }
    for (; d < head_dim; d += 4) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 1, head_dim - d, type, o);
    }
}

void pith_values_f32_neon(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                          size_t head_dim, const float *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, F32, o);
}

void pith_values_f16_neon(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                          size_t head_dim, const uint16_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, F16, o);
}

void pith_values_int8_neon(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                           size_t head_dim, const int8_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, INT8, o);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

void pith_multiply_neon(float *x, const float *factors, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t product = vmulq_f32(load_floats(x + i, n - i), load_floats(factors + i, n - i));
        store_floats(x + i, product, n - i);
    }
}

void pith_blend_neon(float *x, float a, const float *y, float b, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t old = vmulq_n_f32(load_floats(x + i, n - i), a);
        float32x4_t new = vmulq_n_f32(load_floats(y + i, n - i), b);
        store_floats(x + i, vaddq_f32(old, new), n - i);
    }
}
