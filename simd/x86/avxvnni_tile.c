/* The register tiles of AVX-VNNI (simd/x86/avxvnni_tile.h): 16 rows x 6 tokens are 12 sums, which
 * with two registers of weights and one of activations fill 15 of the 16 registers. */
#include "simd/x86/avxvnni_tile.h"
#include "simd/x86/avx2_packed.h"

/* One tile of a step for `n` tokens (a constant). `codes` points at every third token's, so that
 * all addresses are one of few registers plus 0, 1 or 2 strides; the empty statement keeps GCC from
 * making a pointer for every token. */
PITH_INLINE void multiply_tile(const pith_tile_step *step, size_t i_tile, size_t n) {
    const uint8_t *w = step->weights + i_tile * step->tile_stride;
    const size_t third = n > 3 ? 3 : 0;
    const int8_t *codes[2] = {step->codes, step->codes + third * step->code_stride};
    __m256i sum[HALVES * PITH_TILE_TOKENS];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        sum[i] = _mm256_set1_epi32(step->group_offset[i / HALVES * step->scale_stride]);
    }
    for (size_t j = 0; j < step->n_lines; j++) {
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            size_t t = i / HALVES;
            __m256i x = broadcast_codes(codes[t / 3] + t % 3 * step->code_stride);
            sum[i] = add_dot(sum[i], load_256(w + i % HALVES * HALF_BYTES), x);
        }
        w += PITH_LINE_BYTES;
        PITH_UNROLL
        for (size_t i = 0; i < 2; i++) {
            codes[i] += 4;
            __asm__("" : "+r"(codes[i]));
        }
    }
    add_tile(step->y + i_tile * PITH_TILE_ROWS, PITH_TILE_STRIDE, sum, step->scales[i_tile],
             step->x_scales, step->scale_stride, n);
}

void pith_multiply_6_avxvnni(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 6);
    }
}

void pith_multiply_4_avxvnni(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 4);
    }
}

void pith_multiply_2_avxvnni(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 2);
    }
}

void pith_multiply_1_avxvnni(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 1);
    }
}
