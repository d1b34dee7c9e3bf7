/* Attention for AVX2. Scores keep the 16 keys of a block in two registers, values 8 elements of a
 * head in one; both hold a tile of query rows x vectors in registers, so that every key or value
 * loaded serves several queries and enough independent sums are in flight to hide the latency of
 * the fused multiply-add. The
 * type of the elements and the tile sizes are constants at every call. */
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_vector.h"

#include <math.h>

enum {
    TILE_ROWS = 6, /* query rows of a full tile, of two vectors */
    MAX_SUMS = 12, /* query rows x vectors of a tile */
    MAX_VECTORS = 8,
    VALUE_AHEAD = 8192, /* bytes; scores fetch ahead by the blocks of a tile */
};

typedef enum element { F32, F16, INT8 } element;

/* Eight bytes, of which the first n are read; the others are 0. */
PITH_INLINE __m128i load_bytes(const int8_t *p, size_t n) {
    if (n >= 8) {
        return _mm_loadl_epi64((const __m128i *)p);
    }
    int8_t bytes[8] = {0};
    __builtin_memcpy(bytes, p, n);
    return _mm_loadl_epi64((const __m128i *)bytes);
}

PITH_INLINE size_t size_of(element type) {
    return type == F32 ? 4 : type == F16 ? 2 : 1;
}

/* Starts fetching the lines of `size` bytes that lie `ahead` bytes after element i. */
PITH_INLINE void fetch_ahead(const void *p, size_t i, element type, size_t size, size_t ahead) {
    const char *at = (const char *)p + i * size_of(type);
    PITH_UNROLL
    for (size_t line = 0; line < (size + 63) / 64; line++) {
        prefetch_ahead(at, ahead + line * 64);
    }
}

/* Eight floats from element `i` on of an array, of which the first n are read. */
PITH_INLINE __m256 load_8(const void *p, size_t i, element type, size_t n) {
    if (type == F16) {
        return _mm256_cvtph_ps(load_halves((const uint16_t *)p + i, n));
    }
    if (type == INT8) {
        __m128i codes = load_bytes((const int8_t *)p + i, n);
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes));
    }
    const float *f = (const float *)p + i;
    return n >= 8 ? _mm256_loadu_ps(f) : _mm256_maskload_ps(f, first_lanes(n));
}

/* ---- Scores ---------------------------------------------------------------------------------- */

/* n_vectors is two per block of keys. */
PITH_INLINE void scores_tile(const float *q, size_t n_q, size_t head_dim, const void *k,
                             size_t first, size_t n_vectors, element type, float *s,
                             size_t s_stride) {
    __m256 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_vectors; i++) {
        sum[i] = _mm256_setzero_ps();
    }
    size_t step = n_vectors * 8; /* elements: the tile's blocks in the order of memory */
    for (size_t d = 0; d < head_dim; d++) {
        __m256 key[MAX_VECTORS];
        fetch_ahead(k, first * head_dim * 16 + d * step, type, step * size_of(type),
                    head_dim * step * size_of(type));
        PITH_UNROLL
        for (size_t v = 0; v < n_vectors; v++) {
            key[v] = load_8(k, ((first + v / 2) * head_dim + d) * 16 + v % 2 * 8, type, 8);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            __m256 query = _mm256_set1_ps(q[i * head_dim + d]);
            PITH_UNROLL
            for (size_t v = 0; v < n_vectors; v++) {
                sum[i * n_vectors + v] = _mm256_fmadd_ps(query, key[v], sum[i * n_vectors + v]);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i++) {
        PITH_UNROLL
        for (size_t v = 0; v < n_vectors; v++) {
            _mm256_storeu_ps(s + i * s_stride + first * 16 + v * 8, sum[i * n_vectors + v]);
        }
    }
}

PITH_INLINE void scores(const float *q, size_t n_q, size_t head_dim, const void *k, size_t n_blocks,
                        element type, float *s, size_t s_stride) {
    size_t b = 0;
    for (; n_q < 4 && b + 4 <= n_blocks; b += 4) {
        for (size_t i = 0; i < n_q; i++) {
            scores_tile(q + i * head_dim, 1, head_dim, k, b, 8, type, s + i * s_stride, s_stride);
        }
    }
    for (; b < n_blocks; b++) {
        size_t i = 0;
        for (; i + TILE_ROWS <= n_q; i += TILE_ROWS) {
            scores_tile(q + i * head_dim, TILE_ROWS, head_dim, k, b, 2, type, s + i * s_stride,
                        s_stride);
        }
        for (; i + 4 <= n_q; i += 4) {
            scores_tile(q + i * head_dim, 4, head_dim, k, b, 2, type, s + i * s_stride, s_stride);
        }
        for (; i < n_q; i++) {
            scores_tile(q + i * head_dim, 1, head_dim, k, b, 2, type, s + i * s_stride, s_stride);
        }
    }
}

void pith_scores_f32_avx2(const float *q, size_t n_q, size_t head_dim, const float *k,
                          size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, F32, s, s_stride);
}

void pith_scores_f16_avx2(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                          size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, F16, s, s_stride);
}

void pith_scores_int8_avx2(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                           size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, INT8, s, s_stride);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

static float largest_score(const float *s, size_t begin, size_t end) {
    __m256 largest = _mm256_set1_ps(-INFINITY);
    __m256 nan = _mm256_setzero_ps();
    for (size_t j = begin; j < end; j += 8) {
        __m256i m = first_lanes(end - j);
        __m256 v = select_ps(m, _mm256_maskload_ps(s + j, m), largest);
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
        largest = _mm256_max_ps(v, largest);
    }
    if (_mm256_movemask_ps(nan) != 0) {
        return NAN;
    }
    float lanes[8];
    _mm256_storeu_ps(lanes, largest);
    float result = lanes[0];
    for (size_t i = 1; i < 8; i++) {
        result = lanes[i] > result ? lanes[i] : result;
    }
    return result + 0.0f;
}

/* Lanes of the 8 scores from j on that lie in [begin, end). */
PITH_INLINE __m256i valid_lanes(size_t j, size_t begin, size_t end) {
    __m256i before_end = first_lanes(end > j ? end - j : 0);
    __m256i before_begin = first_lanes(begin > j ? begin - j : 0);
    return _mm256_andnot_si256(before_begin, before_end);
}

void pith_softmax_avx2(float *s, size_t begin, size_t end, size_t n, float *max, float *sum) {
    float largest = largest_score(s, begin, end);
    const __m256 shift = _mm256_set1_ps(largest);
    __m256 total[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t j = 0; j < n; j += 16) {
        PITH_UNROLL
        for (size_t h = 0; h < 2; h++) {
            float *at = s + j + 8 * h;
            __m256 e = exp_8(_mm256_sub_ps(_mm256_loadu_ps(at), shift));
            e = _mm256_and_ps(e, _mm256_castsi256_ps(valid_lanes(j + 8 * h, begin, end)));
            _mm256_storeu_ps(at, e);
            total[h] = _mm256_add_ps(total[h], e);
        }
    }
    *max = largest;
    *sum = lanes_sum(total[0], total[1]);
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Of the last of n_vectors vectors only `n` elements exist. */
PITH_INLINE void values_tile(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const void *v, size_t first, size_t n_vectors,
                             size_t n, element type, float *o) {
    __m256 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_vectors; i++) {
        sum[i] = _mm256_setzero_ps();
    }
    for (size_t j = 0; j < n_keys; j++) {
        __m256 value[MAX_VECTORS];
        fetch_ahead(v, j * head_dim + first, type, n_vectors * 8 * size_of(type), VALUE_AHEAD);
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            value[d] = load_8(v, j * head_dim + first + d * 8, type, n);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            __m256 weight = _mm256_set1_ps(p[i * p_stride + j]);
            PITH_UNROLL
            for (size_t d = 0; d < n_vectors; d++) {
                sum[i * n_vectors + d] = _mm256_fmadd_ps(weight, value[d], sum[i * n_vectors + d]);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i++) {
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            float *at = o + i * head_dim + first + d * 8;
            _mm256_maskstore_ps(at, first_lanes(n), sum[i * n_vectors + d]);
        }
    }
}

/* All query rows for the vectors from element `first` on. */
PITH_INLINE void values_columns(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                                size_t head_dim, const void *v, size_t first, size_t n_vectors,
                                size_t n, element type, float *o) {
    size_t i = 0;
    for (; n_vectors <= 2 && i + TILE_ROWS <= n_q; i += TILE_ROWS) {
        values_tile(p + i * p_stride, p_stride, TILE_ROWS, n_keys, head_dim, v, first, n_vectors, n,
                    type, o + i * head_dim);
    }
    for (; n_vectors <= 2 && i + 4 <= n_q; i += 4) {
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
    for (; n_q < 4 && d + 64 <= head_dim; d += 64) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 8, 8, type, o);
    }
    for (; d + 16 <= head_dim; d += 16) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 2, 8, type, o);
    }
    for (; d < head_dim; d += 8) {
        values_columns(p, p_stride, n_q, n_keys, head_dim, v, d, 1, head_dim - d, type, o);
    }
}

void pith_values_f32_avx2(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                          size_t head_dim, const float *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, F32, o);
}

void pith_values_f16_avx2(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                          size_t head_dim, const uint16_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, F16, o);
}

void pith_values_int8_avx2(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                           size_t head_dim, const int8_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, INT8, o);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

void pith_multiply_avx2(float *x, const float *factors, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 product =
            _mm256_mul_ps(_mm256_maskload_ps(x + i, m), _mm256_maskload_ps(factors + i, m));
        _mm256_maskstore_ps(x + i, m, product);
    }
}

void pith_blend_avx2(float *x, float a, const float *y, float b, size_t n) {
    const __m256 factor_x = _mm256_set1_ps(a);
    const __m256 factor_y = _mm256_set1_ps(b);
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 old = _mm256_mul_ps(_mm256_maskload_ps(x + i, m), factor_x);
        __m256 new = _mm256_mul_ps(_mm256_maskload_ps(y + i, m), factor_y);
        _mm256_maskstore_ps(x + i, m, _mm256_add_ps(old, new));
    }
}
