/* Attention for AVX-512. Scores keep the 16 keys of a block in the lanes, values 16 elements of a
 * head; both hold a tile of query rows x vectors in registers, so that every key or value loaded
 * serves several queries and enough independent sums are in flight to hide the latency of the
 * fused multiply-add. `half` (f16 or f32) and the tile sizes are constants at every call. */
#include "simd/avx512.h"
#include "simd/avx512_vector.h"

#include <math.h>
#include <stdbool.h>

enum {
    MAX_SUMS = 16, /* query rows x vectors of a tile */
    MAX_VECTORS = 8,
};

/* 16 floats from element `i` on of an f32 or f16 array. */
PITH_INLINE __m512 load_16(const void *p, size_t i, bool half, __mmask16 mask) {
    if (half) {
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)p + i));
    }
    return _mm512_maskz_loadu_ps(mask, (const float *)p + i);
}

/* ---- Scores ---------------------------------------------------------------------------------- */

PITH_INLINE void scores_tile(const float *q, size_t n_q, size_t head_dim, const void *k,
                             size_t first, size_t n_blocks, bool half, float *s, size_t s_stride) {
    __m512 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_blocks; i++) {
        sum[i] = _mm512_setzero_ps();
    }
    for (size_t d = 0; d < head_dim; d++) {
        __m512 key[MAX_VECTORS];
        PITH_UNROLL
        for (size_t b = 0; b < n_blocks; b++) {
            key[b] = load_16(k, ((first + b) * head_dim + d) * 16, half, 0xffff);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            __m512 query = _mm512_set1_ps(q[i * head_dim + d]);
            PITH_UNROLL
            for (size_t b = 0; b < n_blocks; b++) {
                sum[i * n_blocks + b] = _mm512_fmadd_ps(query, key[b], sum[i * n_blocks + b]);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i++) {
        PITH_UNROLL
        for (size_t b = 0; b < n_blocks; b++) {
            _mm512_storeu_ps(s + i * s_stride + (first + b) * 16, sum[i * n_blocks + b]);
        }
    }
}

/* All query rows against `n_blocks` blocks from `first` on. */
PITH_INLINE void scores_blocks(const float *q, size_t n_q, size_t head_dim, const void *k,
                               size_t first, size_t n_blocks, bool half, float *s,
                               size_t s_stride) {
    size_t i = 0;
    for (; n_blocks <= 4 && i + 4 <= n_q; i += 4) {
        scores_tile(q + i * head_dim, 4, head_dim, k, first, n_blocks, half, s + i * s_stride,
                    s_stride);
    }
    for (; i < n_q; i++) {
        scores_tile(q + i * head_dim, 1, head_dim, k, first, n_blocks, half, s + i * s_stride,
                    s_stride);
    }
}

PITH_INLINE void scores(const float *q, size_t n_q, size_t head_dim, const void *k, size_t n_blocks,
                        bool half, float *s, size_t s_stride) {
    size_t b = 0;
    for (; n_q < 4 && b + 8 <= n_blocks; b += 8) {
        scores_blocks(q, n_q, head_dim, k, b, 8, half, s, s_stride);
    }
    for (; b + 4 <= n_blocks; b += 4) {
        scores_blocks(q, n_q, head_dim, k, b, 4, half, s, s_stride);
    }
    for (; b < n_blocks; b++) {
        scores_blocks(q, n_q, head_dim, k, b, 1, half, s, s_stride);
    }
}

void pith_scores_f32_avx512(const float *q, size_t n_q, size_t head_dim, const float *k,
                            size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, false, s, s_stride);
}

void pith_scores_f16_avx512(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                            size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, true, s, s_stride);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

/* Lanes of the 16 scores from j on that lie in [begin, end). */
PITH_INLINE __mmask16 valid_lanes(size_t j, size_t begin, size_t end) {
    __mmask16 before_end = end > j ? first_lanes(end - j) : 0;
    __mmask16 before_begin = begin > j ? first_lanes(begin - j) : 0;
    return (__mmask16)(before_end & ~before_begin);
}

static float largest_score(const float *s, size_t begin, size_t end) {
    __m512 largest = _mm512_set1_ps(-INFINITY);
    __mmask16 nan = 0;
    for (size_t j = begin; j < end; j += 16) {
        __mmask16 m = first_lanes(end - j);
        __m512 v = _mm512_mask_loadu_ps(largest, m, s + j);
        nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        largest = _mm512_max_ps(v, largest);
    }
    return nan != 0 ? NAN : _mm512_reduce_max_ps(largest) + 0.0f;
}

void pith_softmax_avx512(float *s, size_t begin, size_t end, size_t n, float *max, float *sum) {
    float largest = largest_score(s, begin, end);
    const __m512 shift = _mm512_set1_ps(largest);
    __m512 total = _mm512_setzero_ps();
    for (size_t j = 0; j < n; j += 16) {
        __m512 e = exp_16(_mm512_sub_ps(_mm512_loadu_ps(s + j), shift));
        e = _mm512_maskz_mov_ps(valid_lanes(j, begin, end), e);
        _mm512_storeu_ps(s + j, e);
        total = _mm512_add_ps(total, e);
    }
    *max = largest;
    *sum = lanes_sum(total);
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* `mask` cuts the last of n_vectors vectors. */
PITH_INLINE void values_tile(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const void *v, size_t first, size_t n_vectors,
                             __mmask16 mask, bool half, float *o) {
    __m512 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_vectors; i++) {
        sum[i] = _mm512_setzero_ps();
    }
    for (size_t j = 0; j < n_keys; j++) {
        __m512 value[MAX_VECTORS];
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            value[d] = load_16(v, j * head_dim + first + d * 16, half, mask);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            __m512 weight = _mm512_set1_ps(p[i * p_stride + j]);
            PITH_UNROLL
            for (size_t d = 0; d < n_vectors; d++) {
                sum[i * n_vectors + d] = _mm512_fmadd_ps(weight, value[d], sum[i * n_vectors + d]);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i++) {
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            _mm512_mask_storeu_ps(o + i * head_dim + first + d * 16, mask, sum[i * n_vectors + d]);
        }
    }
}

/* All query rows for the vectors from element `first` on. */
PITH_INLINE void values_columns(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                                size_t head_dim, const void *v, size_t first, size_t n_vectors,
                                __mmask16 mask, bool half, float *o) {
    size_t i = 0;
    for (; n_vectors <= 4 && i + 4 <= n_q; i += 4) {
        values_tile(p + i * p_stride, p_stride, 4, n_keys, head_dim, v, first, n_vectors, mask,
                    half, o + i * head_dim);
    }
    for (; i < n_q; i++) {
        values_tile(p + i * p_stride, p_stride, 1, n_keys, head_dim, v, first, n_vectors, mask,
                    half, o + i * head_dim);
    }
}

PITH_INLINE void values(const float *p, size_t p_stride, size_t n_q, size_t n_keys, size_t head_dim,
                        const void *v, bool half, float *o) {
    size_t d = 0;
    for (; n_q < 4 && d + 128 <= head_dim; d += 128) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 8, 0xffff, half, o);
    }
    for (; d + 64 <= head_dim; d += 64) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 4, 0xffff, half, o);
    }
    for (; d < head_dim; d += 16) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 1, first_lanes(head_dim - d), half,
                       o);
    }
}

void pith_values_f32_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const float *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, false, o);
}

void pith_values_f16_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const uint16_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, true, o);
}
