/* Products with f32, f16 and bf16 weights for AVX2: the 16 lanes of the contract are two registers
 * per (row, token), lanes 0-7 and 8-15. A register tile is 2 rows x 3 tokens, or 4 rows x 1. */
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_vector.h"

enum {
    MAX_SUMS = 12,
    MAX_ROWS = 4,
    TOKENS = 3,
    CHUNK_BYTES = 256 << 10, /* of activations that stay in the L2 cache between rows */
};

/* Eight weights from k = i on, of which the first n are read. */
PITH_INLINE __m256 load_weights(const void *row, size_t i, size_t n, pith_type type) {
    if (type == PITH_TYPE_F32) {
        const float *w = (const float *)row + i;
        return n >= 8 ? _mm256_loadu_ps(w) : _mm256_maskload_ps(w, first_lanes(n));
    }
    __m128i half = load_halves((const uint16_t *)row + i, n);
    if (type == PITH_TYPE_F16) {
        return _mm256_cvtph_ps(half);
    }
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

/* Adds k = i .. i + 7 to half h of the sums, sum[2 * (token * rows + row) + h]; n < 8 at the end
 * of k only. */
PITH_INLINE void tile_step(const uint8_t *row, size_t row_bytes, const float *x, size_t x_stride,
                           size_t i, size_t n, pith_type type, __m256 *sum, size_t h, size_t rows,
                           size_t tokens) {
    __m256 w[MAX_ROWS];
    PITH_UNROLL
    for (size_t r = 0; r < rows; r++) {
        w[r] = load_weights(row + r * row_bytes, i, n, type);
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        __m256 v = _mm256_loadu_ps(x + t * x_stride + i);
        PITH_UNROLL
        for (size_t r = 0; r < rows; r++) {
            __m256 *s = &sum[2 * (t * rows + r) + h];
            __m256 after = _mm256_fmadd_ps(w[r], v, *s);
            *s = n >= 8 ? after : select_ps(first_lanes(n), after, *s);
        }
    }
}

/* One register tile; `row` and `x` point at its first row and token. */
PITH_INLINE void tile(const pith_product *p, const uint8_t *row, const float *x, float *y,
                      pith_type type, size_t rows, size_t tokens) {
    size_t row_bytes = p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    size_t xs = p->x->x_stride;
    __m256 sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < 2 * rows * tokens; i++) {
        sum[i] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 16 <= p->k; i += 16) {
        tile_step(row, row_bytes, x, xs, i, 8, type, sum, 0, rows, tokens);
        tile_step(row, row_bytes, x, xs, i + 8, 8, type, sum, 1, rows, tokens);
    }
    size_t left = p->k - i;
    if (left > 8) {
        tile_step(row, row_bytes, x, xs, i, 8, type, sum, 0, rows, tokens);
        tile_step(row, row_bytes, x, xs, i + 8, left - 8, type, sum, 1, rows, tokens);
    } else if (left > 0) {
        tile_step(row, row_bytes, x, xs, i, left, type, sum, 0, rows, tokens);
    }
    PITH_UNROLL
    for (size_t j = 0; j < rows * tokens; j++) {
        y[j / rows * p->y_stride + j % rows] = lanes_sum(sum[2 * j], sum[2 * j + 1]);
    }
}

/* Two rows for tokens [begin, end) of the product. */
PITH_INLINE void tile_tokens(const pith_product *p, size_t r, size_t begin, size_t end,
                             pith_type type) {
    const uint8_t *row = (const uint8_t *)p->weights + r * p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    const float *x = p->x->x + p->first_token * p->x->x_stride;
    size_t t = begin;
    for (; t + TOKENS <= end; t += TOKENS) {
        tile(p, row, x + t * p->x->x_stride, p->y + t * p->y_stride + r, type, 2, TOKENS);
    }
    for (; t < end; t++) {
        tile(p, row, x + t * p->x->x_stride, p->y + t * p->y_stride + r, type, 2, 1);
    }
}

PITH_INLINE void product(const pith_product *p, pith_type type) {
    size_t row_bytes = p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    if (p->n_tokens == 1) {
        const float *x = p->x->x + p->first_token * p->x->x_stride;
        for (size_t r = 0; r < p->n_rows; r += 4) {
            tile(p, (const uint8_t *)p->weights + r * row_bytes, x, p->y + r, type, 4, 1);
        }
        return;
    }
    size_t chunk = CHUNK_BYTES / (p->x->x_stride * sizeof(float)) / TOKENS * TOKENS;
    chunk = chunk < TOKENS ? TOKENS : chunk;
    for (size_t t = 0; t < p->n_tokens; t += chunk) {
        size_t end = p->n_tokens - t < chunk ? p->n_tokens : t + chunk;
        for (size_t r = 0; r < p->n_rows; r += 2) {
            tile_tokens(p, r, t, end, type);
        }
    }
}

void pith_product_f32_avx2(const pith_product *p) {
    product(p, PITH_TYPE_F32);
}

void pith_product_f16_avx2(const pith_product *p) {
    product(p, PITH_TYPE_F16);
}

void pith_product_bf16_avx2(const pith_product *p) {
    product(p, PITH_TYPE_BF16);
}
