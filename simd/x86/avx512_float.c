/* Products with f32, f16 and bf16 weights for AVX-512: the 16 lanes of the contract are one
 * register per (row, token). A register tile is 4 rows x up to 6 tokens (8 rows for a single
 * token), so a widened weight vector serves all tokens of the tile. */
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

enum {
    MAX_ROWS = 8,
    MAX_TOKENS = 6,
    MAX_SUMS = 24,
    CHUNK_BYTES = 512 << 10, /* of activations that stay in the L2 cache between rows */
};

PITH_INLINE __m512 load_weights(const void *row, size_t i, pith_type type, __mmask16 mask) {
    if (type == PITH_TYPE_F32) {
        return _mm512_maskz_loadu_ps(mask, (const float *)row + i);
    }
    __m256i half = _mm256_maskz_loadu_epi16(mask, (const uint16_t *)row + i);
    if (type == PITH_TYPE_F16) {
        return _mm512_cvtph_ps(half);
    }
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

/* The lanes trees of four vectors; the same additions as lanes_sum for each. */
PITH_INLINE __m128 lanes_sum_4(__m512 a, __m512 b, __m512 c, __m512 d) {
    const __m512i pick = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
    __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    __m512 four =
        _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    __m512 two = _mm512_add_ps(four, _mm512_permute_ps(four, 0x4e));
    __m512 one = _mm512_add_ps(two, _mm512_permute_ps(two, 0xb1));
    return _mm512_castps512_ps128(_mm512_permutexvar_ps(pick, one));
}

/* Sixteen k of a register tile; `mask` is not full at the end of k only. */
PITH_INLINE void tile_step(const uint8_t *row, size_t row_bytes, const float *x, size_t x_stride,
                           size_t i, pith_type type, __mmask16 mask, __m512 *sum, size_t rows,
                           size_t tokens) {
    __m512 w[MAX_ROWS];
    PITH_UNROLL
    for (size_t r = 0; r < rows; r++) {
        w[r] = load_weights(row + r * row_bytes, i, type, mask);
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        __m512 v = _mm512_loadu_ps(x + t * x_stride + i);
        PITH_UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m512 *s = &sum[t * rows + r];
            *s = mask == 0xffff ? _mm512_fmadd_ps(w[r], v, *s)
                                : _mm512_mask3_fmadd_ps(w[r], v, *s, mask);
        }
    }
}

/* One register tile; `row` and `x` point at its first row and token. */
PITH_INLINE void tile(const pith_product *p, const uint8_t *row, const float *x, float *y,
                      pith_type type, size_t rows, size_t tokens) {
    size_t row_bytes = p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    size_t xs = p->x->x_stride;
    __m512 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < rows * tokens; i++) {
        sum[i] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 16 <= p->k; i += 16) {
        tile_step(row, row_bytes, x, xs, i, type, 0xffff, sum, rows, tokens);
    }
    if (i < p->k) {
        tile_step(row, row_bytes, x, xs, i, type, first_lanes(p->k - i), sum, rows, tokens);
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        PITH_UNROLL
        for (size_t r = 0; r < rows; r += 4) {
            const __m512 *s = &sum[t * rows + r];
            _mm_storeu_ps(y + t * p->y_stride + r, lanes_sum_4(s[0], s[1], s[2], s[3]));
        }
    }
}

/* Four rows for tokens [begin, end) of the product. */
PITH_INLINE void tile_tokens(const pith_product *p, size_t r, size_t begin, size_t end,
                             pith_type type) {
    size_t row_bytes = p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    const uint8_t *row = (const uint8_t *)p->weights + r * row_bytes;
    const float *x = p->x->x + p->first_token * p->x->x_stride;
    size_t xs = p->x->x_stride;
    size_t ys = p->y_stride;
    float *y = p->y + r;
    size_t t = begin;
    for (; t + 6 <= end; t += 6) {
        tile(p, row, x + t * xs, y + t * ys, type, 4, 6);
    }
    for (; t + 4 <= end; t += 4) {
        tile(p, row, x + t * xs, y + t * ys, type, 4, 4);
    }
    for (; t + 2 <= end; t += 2) {
        tile(p, row, x + t * xs, y + t * ys, type, 4, 2);
    }
    if (t < end) {
        tile(p, row, x + t * xs, y + t * ys, type, 4, 1);
    }
}

PITH_INLINE void product(const pith_product *p, pith_type type) {
    size_t row_bytes = p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    if (p->n_tokens == 1) {
        const float *x = p->x->x + p->first_token * p->x->x_stride;
        for (size_t r = 0; r < p->n_rows; r += 8) {
            tile(p, (const uint8_t *)p->weights + r * row_bytes, x, p->y + r, type, 8, 1);
        }
        return;
    }
    size_t chunk = CHUNK_BYTES / (p->x->x_stride * sizeof(float)) / MAX_TOKENS * MAX_TOKENS;
    chunk = chunk < MAX_TOKENS ? MAX_TOKENS : chunk;
    for (size_t t = 0; t < p->n_tokens; t += chunk) {
        size_t end = p->n_tokens - t < chunk ? p->n_tokens : t + chunk;
        for (size_t r = 0; r < p->n_rows; r += 4) {
            tile_tokens(p, r, t, end, type);
        }
    }
}

void pith_product_f32_avx512(const pith_product *p) {
    product(p, PITH_TYPE_F32);
}

void pith_product_f16_avx512(const pith_product *p) {
    product(p, PITH_TYPE_F16);
}

void pith_product_bf16_avx512(const pith_product *p) {
    product(p, PITH_TYPE_BF16);
}
