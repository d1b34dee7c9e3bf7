/* Products with f32, f16 and bf16 weights for NEON: the 16 lanes of the contract are four registers
 * per (row, token). A register tile is 2 rows x 3 tokens, or 4 rows x 1. */
#include "simd/arm/neon.h"
#include "simd/arm/neon_vector.h"

enum {
    QUARTERS = 4, /* registers of a sum */
    MAX_SUMS = 6 * QUARTERS,
    MAX_ROWS = 4,
    TOKENS = 3,
    CHUNK_BYTES = 256 << 10, /* of activations that stay in the L2 cache between rows */
};

/* Four weights from k = i on, of which the first n are read. */
PITH_INLINE float32x4_t load_weights(const void *row, size_t i, size_t n, pith_type type) {
    if (type == PITH_TYPE_F32) {
        return load_floats((const float *)row + i, n);
    }
    uint16x4_t half = load_halves((const uint16_t *)row + i, n);
    if (type == PITH_TYPE_F16) {
        return widen_f16(half);
    }
    return vreinterpretq_f32_u32(vshll_n_u16(half, 16));
}

/* Adds k = i .. i + 3 to quarter h of the sums, sum[4 * (token * rows + row) + h]; n < 4 at the end
 * of k only. */
PITH_INLINE void tile_step(const uint8_t *row, size_t row_bytes, const float *x, size_t x_stride,
                           size_t i, size_t n, pith_type type, float32x4_t *sum, size_t h,
                           size_t rows, size_t tokens) {
    float32x4_t w[MAX_ROWS];
    PITH_UNROLL
    for (size_t r = 0; r < rows; r++) {
        w[r] = load_weights(row + r * row_bytes, i, n, type);
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        float32x4_t v = vld1q_f32(x + t * x_stride + i);
        PITH_UNROLL
        for (size_t r = 0; r < rows; r++) {
            float32x4_t *s = &sum[QUARTERS * (t * rows + r) + h];
            float32x4_t after = vfmaq_f32(*s, w[r], v);
            *s = n >= 4 ? after : vbslq_f32(first_lanes(n), after, *s);
        }
    }
}

/* One register tile; `row` and `x` point at its first row and token. */
PITH_INLINE void tile(const pith_product *p, const uint8_t *row, const float *x, float *y,
                      pith_type type, size_t rows, size_t tokens) {
    size_t row_bytes = p->k * (type == PITH_TYPE_F32 ? 4 : 2);
    size_t xs = p->x->x_stride;
    float32x4_t sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < QUARTERS * rows * tokens; i++) {
        sum[i] = vdupq_n_f32(0.0f);
    }
    size_t i = 0;
    for (; i + 16 <= p->k; i += 16) {
        PITH_UNROLL
        for (size_t h = 0; h < QUARTERS; h++) {
            tile_step(row, row_bytes, x, xs, i + 4 * h, 4, type, sum, h, rows, tokens);
        }
    }
    PITH_UNROLL
    for (size_t h = 0; h < QUARTERS; h++) {
        size_t at = i + 4 * h;
        if (at < p->k) {
            tile_step(row, row_bytes, x, xs, at, p->k - at, type, sum, h, rows, tokens);
        }
    }
    PITH_UNROLL
    for (size_t j = 0; j < rows * tokens; j++) {
        y[j / rows * p->y_stride + j % rows] = lanes_sum(sum + QUARTERS * j);
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

void pith_product_f32_neon(const pith_product *p) {
    product(p, PITH_TYPE_F32);
}

void pith_product_f16_neon(const pith_product *p) {
    product(p, PITH_TYPE_F16);
}

void pith_product_bf16_neon(const pith_product *p) {
    product(p, PITH_TYPE_BF16);
}
