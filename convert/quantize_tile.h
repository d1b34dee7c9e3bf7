/* Between the quantisers: what one tile is made from, and small exact helpers that compilers turn
 * into vector code without -ffast-math. */
#ifndef PITH_CONVERT_QUANTIZE_TILE_H
#define PITH_CONVERT_QUANTIZE_TILE_H

#include "simd/blocks.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct pith_tile_source {
    const float *rows; /* [n_rows, stride], cols in use */
    size_t stride;
    size_t n_rows; /* at most 16; the rest of the tile is zero */
    size_t cols;
    const float *importance; /* [cols] or NULL */
} pith_tile_source;

typedef struct pith_tile_error {
    double error;  /* sum of (w - w')^2 */
    double weight; /* sum of w^2 */
} pith_tile_error;

/* One tile of packed weights at `out`; adds to *sums in a fixed order. */
void pith_quantize_int4_tile(const pith_tile_source *source, unsigned char *out,
                             pith_tile_error *sums);
void pith_quantize_int8_tile(const pith_tile_source *source, unsigned char *out,
                             pith_tile_error *sums);

/* Copies importance [begin, begin + n), divided by the largest of them, to out [n]: only ratios
 * matter, and so squared errors keep clear of the ends of the float range. Ones without. */
void pith_quantize_importance(const float *importance, size_t begin, size_t n, float *out);

/* The scale nearest to `scale` that an f16 can hold, never 0 or infinite. */
float pith_quantize_scale(float scale);

/* Comparing floats makes gcc keep branches, comparing their bits does not. Floats of like sign
 * (here: none negative) are ordered as their bits are. */
static inline int32_t pith_float_bits(float x) {
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float pith_float_of_bits(int32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The smaller of two that are not negative; b when a is NaN. */
static inline float pith_float_least(float a, float b) {
    int32_t x = pith_float_bits(a);
    int32_t y = pith_float_bits(b);
    return pith_float_of_bits(x < y ? x : y);
}

/* a > b ? value : 0, for a and b that are not negative. */
static inline float pith_float_above(float a, float b, float value) {
    int32_t above = -(int32_t)(pith_float_bits(a) > pith_float_bits(b));
    return pith_float_of_bits(pith_float_bits(value) & above);
}

/* To the nearest integer, ties to even, for 0 <= x < 2^22: adding 1.5 * 2^23 leaves no bits for the
 * fraction. */
static inline float pith_float_round(float x) {
    return (x + 12582912.0f) - 12582912.0f;
}

#endif
