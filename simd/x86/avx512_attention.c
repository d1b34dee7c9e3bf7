/* Attention for AVX-512. Scores keep the 16 keys of a block in the lanes, values 16 elements of a
 * head; both hold a tile of query rows x vectors in registers, so that every key or value loaded
 * and widened serves several queries and enough independent sums are in flight to hide the latency
 * of the fused multiply-add. One row (decoding without groups) streams instead, over many vectors;
 * the few rows of a group take the values in short runs of keys, so that what the next columns need
 * is still in a cache and memory is read in its order. The type of the elements and the tile sizes
 * are constants at every call. */
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

#include <math.h>
#include <stdbool.h>

enum {
    TILE_ROWS = 12, /* query rows of a full tile, of two vectors */
    MAX_SUMS = 24,  /* query rows x vectors of a tile */
    MAX_VECTORS = 8,
    GROUP_ROWS = 8,   /* up to this many query rows are a group that reads memory */
    GROUP_KEYS = 128, /* whose values are read at a time */
    CODE_BLOCKS = 4,  /* of codes, in a tile with few query rows; of floats 2: memory is read in few
                         streams, and two sums hide enough of the latency */
    KEY_AHEAD = 12288, /* bytes */
    VALUE_AHEAD = 8192,
};

typedef enum element { F32, F16, INT8 } element;

PITH_INLINE size_t size_of(element type) {
    return type == F32 ? 4 : type == F16 ? 2 : 1;
}

/* 16 elements from `i` on as floats. */
PITH_INLINE __m512 load_16(const void *p, size_t i, element type) {
    if (type == F16) {
        return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)((const uint16_t *)p + i)));
    }
    if (type == INT8) {
        __m128i codes = _mm_loadu_si128((const __m128i *)((const int8_t *)p + i));
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
    }
    return _mm512_loadu_ps((const float *)p + i);
}

/* The lanes in the mask only; the others are 0. */
PITH_INLINE __m512 load_part(const void *p, size_t i, element type, __mmask16 mask) {
    if (type == F16) {
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, (const uint16_t *)p + i));
    }
    if (type == INT8) {
        __m128i codes = _mm_maskz_loadu_epi8(mask, (const int8_t *)p + i);
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes));
    }
    return _mm512_maskz_loadu_ps(mask, (const float *)p + i);
}

/* Starts fetching the lines of `size` bytes that lie `ahead` bytes after element i. */
PITH_INLINE void fetch_ahead(const void *p, size_t i, element type, size_t size, size_t ahead) {
    const char *at = (const char *)p + i * size_of(type);
    PITH_UNROLL
    for (size_t line = 0; line < (size + 63) / 64; line++) {
        prefetch_ahead(at, ahead + line * 64);
    }
}

/* Where the factors of n_q <= TILE_ROWS rows lie, one pointer for three rows: an address can reach
 * two rows more, which leaves registers for the rest. */
typedef struct factor_rows {
    const float *at[TILE_ROWS / 3];
    size_t stride;
} factor_rows;

PITH_INLINE factor_rows factors_of(const float *p, size_t stride, size_t n_q) {
    factor_rows f = {.stride = stride};
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i += 3) {
        f.at[i / 3] = p + i * stride;
    }
    return f;
}

/* Row i's factor in all lanes. */
PITH_INLINE __m512 factor(const factor_rows *f, size_t i) {
    return _mm512_set1_ps(f->at[i / 3][i % 3 * f->stride]);
}

PITH_INLINE void next_factors(factor_rows *f, size_t n_q) {
    PITH_UNROLL
    for (size_t i = 0; i < n_q; i += 3) {
        f->at[i / 3]++;
    }
}

/* ---- Scores ---------------------------------------------------------------------------------- */

PITH_INLINE void scores_tile(const float *q, size_t n_q, size_t head_dim, const void *k,
                             size_t first, size_t n_blocks, element type, float *s,
                             size_t s_stride) {
    __m512 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_blocks; i++) {
        sum[i] = _mm512_setzero_ps();
    }
    size_t step = n_blocks * 16; /* elements: the tile's blocks in the order of memory */
    factor_rows queries = factors_of(q, head_dim, n_q);
    for (size_t d = 0; d < head_dim; d++, next_factors(&queries, n_q)) {
        __m512 key[MAX_VECTORS];
        fetch_ahead(k, first * head_dim * 16 + d * step, type, step * size_of(type), KEY_AHEAD);
        PITH_UNROLL
        for (size_t b = 0; b < n_blocks; b++) {
            key[b] = load_16(k, ((first + b) * head_dim + d) * 16, type);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            __m512 query = factor(&queries, i);
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
                               size_t first, size_t n_blocks, element type, float *s,
                               size_t s_stride) {
    for (; n_blocks <= 2 && n_q >= TILE_ROWS; n_q -= TILE_ROWS) {
        scores_tile(q, TILE_ROWS, head_dim, k, first, n_blocks, type, s, s_stride);
        q += TILE_ROWS * head_dim;
        s += TILE_ROWS * s_stride;
    }
    if (n_blocks <= 2 && n_q >= 8) {
        scores_tile(q, 8, head_dim, k, first, n_blocks, type, s, s_stride);
        n_q -= 8;
        q += 8 * head_dim;
        s += 8 * s_stride;
    }
    PITH_UNROLL
    for (size_t rows = 1; rows < 8; rows++) { /* what is left, in one tile */
        if (rows * n_blocks < 16 && n_q == rows) {
            scores_tile(q, rows, head_dim, k, first, n_blocks, type, s, s_stride);
        }
    }
}

PITH_INLINE void scores(const float *q, size_t n_q, size_t head_dim, const void *k, size_t n_blocks,
                        element type, float *s, size_t s_stride) {
    size_t b = 0;
    for (; n_q < 4 && type == INT8 && b + CODE_BLOCKS <= n_blocks; b += CODE_BLOCKS) {
        scores_blocks(q, n_q, head_dim, k, b, CODE_BLOCKS, type, s, s_stride);
    }
    for (; b + 2 <= n_blocks; b += 2) {
        scores_blocks(q, n_q, head_dim, k, b, 2, type, s, s_stride);
    }
    for (; b < n_blocks; b++) {
        scores_blocks(q, n_q, head_dim, k, b, 1, type, s, s_stride);
    }
}

void pith_scores_f32_avx512(const float *q, size_t n_q, size_t head_dim, const float *k,
                            size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, F32, s, s_stride);
}

void pith_scores_f16_avx512(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                            size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, F16, s, s_stride);
}

void pith_scores_int8_avx512(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                             size_t n_blocks, float *s, size_t s_stride) {
    scores(q, n_q, head_dim, k, n_blocks, INT8, s, s_stride);
}

/* ---- Softmax --------------------------------------------------------------------------------- */

/* Lanes of the 16 scores from j on that lie in [begin, end). */
PITH_INLINE __mmask16 valid_lanes(size_t j, size_t begin, size_t end) {
    __mmask16 before_end = end > j ? first_lanes(end - j) : 0;
    __mmask16 before_begin = begin > j ? first_lanes(begin - j) : 0;
    return (__mmask16)(before_end & ~before_begin);
}

static float largest_score(const float *s, size_t begin, size_t end) {
    __m512 tops[4];
    __mmask16 nan = 0;
    size_t j = begin;
    for (size_t i = 0; i < 4; i++) {
        tops[i] = _mm512_set1_ps(-INFINITY);
    }
    for (; j + 64 <= end; j += 64) { /* four chains, one comparison for two vectors */
        PITH_UNROLL
        for (size_t i = 0; i < 4; i += 2) {
            __m512 a = _mm512_loadu_ps(s + j + i * 16);
            __m512 b = _mm512_loadu_ps(s + j + i * 16 + 16);
            nan |= _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q);
            tops[i] = _mm512_max_ps(a, tops[i]);
            tops[i + 1] = _mm512_max_ps(b, tops[i + 1]);
        }
    }
    __m512 largest =
        _mm512_max_ps(_mm512_max_ps(tops[0], tops[1]), _mm512_max_ps(tops[2], tops[3]));
    for (; j + 16 <= end; j += 16) {
        __m512 v = _mm512_loadu_ps(s + j);
        nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        largest = _mm512_max_ps(v, largest);
    }
    if (j < end) {
        __m512 v = _mm512_mask_loadu_ps(largest, first_lanes(end - j), s + j);
        nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        largest = _mm512_max_ps(v, largest);
    }
    return nan != 0 ? NAN : _mm512_reduce_max_ps(largest) + 0.0f;
}

void pith_softmax_avx512(float *s, size_t begin, size_t end, size_t n, float *max, float *sum) {
    float largest = largest_score(s, begin, end);
    const __m512 shift = _mm512_set1_ps(largest);
    __m512 total = _mm512_setzero_ps();
    size_t j = 0;
    for (; j + 16 <= begin; j += 16) {
        _mm512_storeu_ps(s + j, _mm512_setzero_ps());
    }
    if (j < begin) {
        __m512 e = exp_16(_mm512_sub_ps(_mm512_loadu_ps(s + j), shift));
        e = _mm512_maskz_mov_ps(valid_lanes(j, begin, end), e);
        _mm512_storeu_ps(s + j, e);
        total = _mm512_add_ps(total, e);
        j += 16;
    }
    for (; j + 64 <= end; j += 64) { /* four at a time: exp is one long chain of operations */
        __m512 e[4];
        PITH_UNROLL
        for (size_t i = 0; i < 4; i++) {
            e[i] = exp_16(_mm512_sub_ps(_mm512_loadu_ps(s + j + i * 16), shift));
        }
        PITH_UNROLL
        for (size_t i = 0; i < 4; i++) {
            _mm512_storeu_ps(s + j + i * 16, e[i]);
            total = _mm512_add_ps(total, e[i]);
        }
    }
    for (; j < end; j += 16) {
        __m512 e = exp_16(_mm512_sub_ps(_mm512_loadu_ps(s + j), shift));
        e = _mm512_maskz_mov_ps(first_lanes(end - j), e);
        _mm512_storeu_ps(s + j, e);
        total = _mm512_add_ps(total, e);
    }
    for (; j < n; j += 16) {
        _mm512_storeu_ps(s + j, _mm512_setzero_ps());
    }
    *max = largest;
    *sum = lanes_sum(total);
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* The values of some keys, and from where on they are summed up. */
typedef struct value_part {
    const void *v;
    size_t n_keys;
    size_t head_dim;
    size_t first;   /* element of the tile's first vector */
    size_t n;       /* of the last vector; only a tile of one vector may have less than 16 */
    bool continued; /* o holds the sums over earlier keys */
    bool in_order;  /* fetch line after line, not the tile's columns */
    size_t ahead;   /* bytes from v to what the first key's step fetches */
} value_part;

PITH_INLINE void values_tile(const value_part *part, const float *p, size_t p_stride, size_t n_q,
                             size_t n_vectors, element type, float *o) {
    const void *v = part->v;
    size_t head_dim = part->head_dim;
    size_t first = part->first;
    size_t line = n_vectors * 16 * size_of(type);
    size_t step = part->in_order ? line : head_dim * size_of(type);
    __mmask16 mask = first_lanes(part->n);
    __m512 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < n_q * n_vectors; i++) {
        sum[i] = _mm512_setzero_ps();
    }
    if (n_q > 1 && part->continued) {
        PITH_UNROLL
        for (size_t i = 0; i < n_q * n_vectors; i++) {
            const float *from = o + i / n_vectors * head_dim + first + i % n_vectors * 16;
            sum[i] = _mm512_maskz_loadu_ps(mask, from);
        }
    }
    factor_rows weights = factors_of(p, p_stride, n_q);
    for (size_t j = 0; j < part->n_keys; j++, next_factors(&weights, n_q)) {
        __m512 value[MAX_VECTORS];
        if (n_q == 1) {
            fetch_ahead(v, j * head_dim + first, type, line, VALUE_AHEAD);
        } else {
            fetch_ahead(v, 0, type, line, part->ahead + j * step);
        }
        PITH_UNROLL
        for (size_t d = 0; d < n_vectors; d++) {
            size_t at = j * head_dim + first + d * 16;
            value[d] = n_vectors == 1 ? load_part(v, at, type, mask) : load_16(v, at, type);
        }
        PITH_UNROLL
        for (size_t i = 0; i < n_q; i++) {
            __m512 weight = factor(&weights, i);
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

/* All query rows for the next n_vectors vectors, which `part` is moved past. */
PITH_INLINE void values_columns(value_part *part, const float *p, size_t p_stride, size_t n_q,
                                size_t n_vectors, element type, float *o) {
    size_t head_dim = part->head_dim;
    part->n = head_dim - part->first < 16 ? head_dim - part->first : 16;
    for (; n_vectors <= 2 && n_q >= TILE_ROWS; n_q -= TILE_ROWS) {
        values_tile(part, p, p_stride, TILE_ROWS, n_vectors, type, o);
        p += TILE_ROWS * p_stride;
        o += TILE_ROWS * head_dim;
    }
    if (n_vectors <= 2 && n_q >= 8) {
        values_tile(part, p, p_stride, 8, n_vectors, type, o);
        n_q -= 8;
        p += 8 * p_stride;
        o += 8 * head_dim;
    }
    PITH_UNROLL
    for (size_t rows = 1; rows < 8; rows++) { /* what is left, in one tile */
        if (rows * n_vectors <= MAX_SUMS && n_q == rows) {
            values_tile(part, p, p_stride, rows, n_vectors, type, o);
        }
    }
    size_t line = n_vectors * 16 * size_of(type);
    part->first += n_vectors * 16;
    part->ahead += part->in_order ? part->n_keys * line : line;
}

/* All columns of a part. Wide tiles for few rows: enough sums, and most in one pass. */
PITH_INLINE void values_part(value_part *part, const float *p, size_t p_stride, size_t n_q,
                             element type, float *o) {
    while (n_q == 1 && part->first + 128 <= part->head_dim) {
        values_columns(part, p, p_stride, n_q, 8, type, o);
    }
    while (n_q * 4 <= MAX_SUMS && part->first + 64 <= part->head_dim) {
        values_columns(part, p, p_stride, n_q, 4, type, o);
    }
    while (part->first + 32 <= part->head_dim) {
        values_columns(part, p, p_stride, n_q, 2, type, o);
    }
    while (part->first < part->head_dim) {
        values_columns(part, p, p_stride, n_q, 1, type, o);
    }
}

PITH_INLINE void values(const float *p, size_t p_stride, size_t n_q, size_t n_keys, size_t head_dim,
                        const void *v, element type, float *o) {
    size_t row = head_dim * size_of(type);
    bool group = n_q > 1 && n_q <= GROUP_ROWS;
    size_t step = group ? GROUP_KEYS : n_keys;
    for (size_t j = 0; j < n_keys; j += step) {
        value_part part = {.v = (const char *)v + j * row,
                           .n_keys = n_keys - j < step ? n_keys - j : step,
                           .head_dim = head_dim,
                           .continued = j > 0,
                           .in_order = group,
                           .ahead = group ? GROUP_KEYS * row : VALUE_AHEAD};
        values_part(&part, p + j, p_stride, n_q, type, o);
    }
}

void pith_values_f32_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const float *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, F32, o);
}

void pith_values_f16_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const uint16_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, F16, o);
}

void pith_values_int8_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const int8_t *v, float *o) {
    values(p, p_stride, n_q, n_keys, head_dim, v, INT8, o);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

void pith_multiply_avx512(float *x, const float *factors, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 product =
            _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), _mm512_maskz_loadu_ps(m, factors + i));
        _mm512_mask_storeu_ps(x + i, m, product);
    }
}

void pith_blend_avx512(float *x, float a, const float *y, float b, size_t n) {
    const __m512 factor_x = _mm512_set1_ps(a);
    const __m512 factor_y = _mm512_set1_ps(b);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 old = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), factor_x);
        __m512 new = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, y + i), factor_y);
        _mm512_mask_storeu_ps(x + i, m, _mm512_add_ps(old, new));
    }
}
