/* Packed weights (simd/blocks.h) in 256-bit registers, shared by the AVX2 and the AVX-VNNI
 * products: decoding of int4, one step of a sum of byte products and the float step that ends a
 * group. A 16-row line is two registers of 8 rows each. `vnni` is a constant at every call; it
 * tells the two instruction sets apart:
 *  - without it vpmaddubsw sums pairs in 16 bits. Codes of int4 (code + 10, at most 19) may sum a
 *    block of 16 that way, 8 products of at most 19 x 127 per half of a lane; int8 weights give
 *    their sign to the activation (2 x 127 x 127 < 2^15) and vpmaddwd widens every pair.
 *  - with it vpdpbusd sums four products in 32 bits; int8 weights are made unsigned by flipping the
 *    top bit, and each sum starts at -128 x the activations' sum. */
#ifndef PITH_SIMD_AVX2_PACKED_H
#define PITH_SIMD_AVX2_PACKED_H

#include "simd/blocks.h"
#include "simd/kernels.h"
#include "simd/x86/avx2_vector.h"

#include <stdbool.h>

enum {
    HALVES = 2, /* registers of a line */
    HALF_BYTES = PITH_LINE_BYTES / HALVES,
    HALF_ROWS = PITH_TILE_ROWS / HALVES,
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full int4 group */
    LINES = 4,                                /* packed lines of a slice, lines of a block */
    MULTIPLIER_SHIFT = 8,                     /* of multipliers of int4, as decoded */
};

PITH_INLINE __m256i load_256(const void *p) {
    return _mm256_load_si256((const __m256i *)p);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* Additions in assembly keep their order and their registers: GCC would reassociate the sums of an
 * unrolled loop and run out of registers. */
PITH_INLINE __m256i add_16(__m256i sum, __m256i v) {
    __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(v));
    return sum;
}

PITH_INLINE __m256i add_32(__m256i sum, __m256i v) {
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(v));
    return sum;
}

/* vpdpbusd, unsigned w x signed x, in the encoding of AVX-VNNI. */
PITH_INLINE __m256i add_dot(__m256i sum, __m256i w, __m256i x) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(x));
    return sum;
}

/* vpdpwssd, 16-bit by 16-bit in pairs, in the encoding of AVX-VNNI. */
PITH_INLINE __m256i add_dot_16(__m256i sum, __m256i v, __m256i m) {
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(m), "xm"(v));
    return sum;
}

/* ---- int4 ------------------------------------------------------------------------------------ */

PITH_INLINE __m256i table_of_codes(void) {
    __m128i codes = _mm_loadu_si128((const __m128i *)pith_int4_codes);
    return _mm256_broadcastsi128_si256(_mm_add_epi8(codes, _mm_set1_epi8(PITH_INT4_OFFSET)));
}

/* Half a line: code + 10 of its first block (low nibbles) or second. */
PITH_INLINE __m256i decode_half(__m256i both, __m256i table, size_t block) {
    both = block == 0 ? both : _mm256_srli_epi16(both, 4);
    return _mm256_shuffle_epi8(table, _mm256_and_si256(both, _mm256_set1_epi8(15)));
}

/* The multipliers of a slice's two blocks, m[block * HALVES + half], times 256: in both halves of
 * every 32-bit lane, or, with VNNI, in the lower one alone. A shuffle can place a byte at the top
 * of 16 bits but not extend its sign, so a group's sum comes out 256 times too large; it is at most
 * 256 x 100 x 127 in magnitude and stays so within 2^30. */
PITH_INLINE void decode_multipliers(const uint8_t *packed, __m256i *m, bool vnni) {
    const __m256i low_nibble = _mm256_set1_epi8(15);
    const __m256i table =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pith_int4_multipliers));
    /* the index of a row's byte, above a byte with the top bit, which gives 0 */
    const __m256i rows =
        _mm256_setr_epi32(0x0080, 0x0180, 0x0280, 0x0380, 0x0480, 0x0580, 0x0680, 0x0780);
    const __m256i first = vnni ? _mm256_or_si256(rows, _mm256_set1_epi32((int)0x80800000))
                               : _mm256_or_si256(rows, _mm256_slli_epi32(rows, 16));
    const __m256i second = _mm256_add_epi8(first, _mm256_set1_epi32(vnni ? 0x0800 : 0x08000800));
    __m256i bytes = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)packed));
    PITH_UNROLL
    for (size_t block = 0; block < 2; block++) {
        __m256i index = block == 0 ? bytes : _mm256_srli_epi16(bytes, 4);
        __m256i rows_of_block = _mm256_shuffle_epi8(table, _mm256_and_si256(index, low_nibble));
        m[block * HALVES] = _mm256_shuffle_epi8(rows_of_block, first);
        m[block * HALVES + 1] = _mm256_shuffle_epi8(rows_of_block, second);
    }
}

/* The start of a block's sum. Without VNNI it lies in the lower half of every 32-bit lane: both
 * halves are added up later. */
PITH_INLINE __m256i start_block(const int32_t *offset, bool vnni) {
    __m256i start = _mm256_set1_epi32(*offset);
    return vnni ? start : _mm256_blend_epi16(start, _mm256_setzero_si256(), 0xaa);
}

PITH_INLINE __m256i add_codes(__m256i sum, __m256i w, __m256i x, bool vnni) {
    return vnni ? add_dot(sum, w, x) : add_16(sum, _mm256_maddubs_epi16(w, x));
}

/* Adds to a sum that stays in memory while others have the registers. */
PITH_INLINE void add_to_memory(__m256i *sum, __m256i v) {
    __asm__("vpaddd %0, %1, %1\n\tvmovdqa %1, %0" : "+m"(*sum), "+x"(v));
}

/* ---- The end of a group ---------------------------------------------------------------------- */

/* y = fma((float)sum, d x s, y) for 8 rows; d is the weights' scale, s the token's. */
PITH_INLINE __m256 scaled(__m256i sum, __m256 d, float s, __m256 y) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(d, _mm256_set1_ps(s)), y);
}

PITH_INLINE __m256 load_scales(const uint16_t *scales) {
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)scales));
}

/* Adds a group of a many-token product, sum[HALVES * token + half], to n rows of y. */
PITH_INLINE void add_tile(float *y, size_t y_stride, const __m256i *sum, const uint16_t *scales,
                          const float *x_scales, size_t scale_stride, size_t n) {
    const __m256 d[HALVES] = {load_scales(scales), load_scales(scales + HALF_ROWS)};
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        float *to = y + i / HALVES * y_stride + i % HALVES * HALF_ROWS;
        float s = x_scales[i / HALVES * scale_stride];
        _mm256_store_ps(to, scaled(sum[i], d[i % HALVES], s, _mm256_load_ps(to)));
    }
}

#endif
