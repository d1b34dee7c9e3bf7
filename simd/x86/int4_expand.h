/* Packed int4 weights as bytes multiplier x code, with AVX-512 BW: for products of many tokens,
 * which expand a group once (vnni_int4.c, amx_product.c). */
#ifndef PITH_SIMD_INT4_EXPAND_H
#define PITH_SIMD_INT4_EXPAND_H

#include "simd/blocks.h"
#include "simd/inline.h"

#include <immintrin.h>

/* code + 10 of every nibble, for look-ups in 16 bytes. */
PITH_INLINE __m512i table_of_codes(void) {
    __m128i codes = _mm_loadu_si128((const __m128i *)pith_int4_codes);
    return _mm512_broadcast_i32x4(_mm_add_epi8(codes, _mm_set1_epi8(PITH_INT4_OFFSET)));
}

/* What turns the codes of one block of 16 rows into products. Bytes have no multiplication, so they
 * are multiplied in pairs as 16-bit words: (code + 10) x |multiplier| is at most 190, and nothing
 * carries. A negative multiplier complements the product, -p = ~p + 1, and `base` holds the rest:
 * offset -+ 10 |multiplier|. */
typedef struct expand_block {
    __m512i magnitude;
    __m512i sign;
    __m512i base;
} expand_block;

/* From the indices of the multipliers, in the low nibble of each row's lane. */
PITH_INLINE expand_block expand_block_of(__m512i index, int offset) {
    const __m512i multipliers =
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)pith_int4_multipliers));
    /* the low byte of each lane in all four */
    const __m512i every_fourth =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
    const __m512i value = _mm512_permutexvar_epi32(index, multipliers);
    expand_block b = {.magnitude = _mm512_abs_epi32(value), .sign = _mm512_srai_epi32(value, 31)};
    b.magnitude = _mm512_or_si512(b.magnitude, _mm512_slli_epi32(b.magnitude, 16));
    b.base = _mm512_mullo_epi16(value, _mm512_set1_epi32(-PITH_INT4_OFFSET));
    b.base = _mm512_sub_epi32(b.base, b.sign);
    b.base = _mm512_add_epi32(b.base, _mm512_set1_epi32(offset));
    b.base = _mm512_shuffle_epi8(b.base, every_fourth);
    return b;
}

/* Writes the first n_lines lines of a group whose packed bytes begin at `group`, as bytes
 * multiplier x code + offset, `step` bytes apart; n_lines is a multiple of 8. */
PITH_INLINE void expand_int4_group(const uint8_t *group, size_t n_lines, int offset, uint8_t *out,
                                   size_t step) {
    enum { SLICE_LINES = PITH_INT4_SLICE / 8 }; /* packed, two blocks in each */
    const __m512i codes = table_of_codes();
    const __m512i nibble = _mm512_set1_epi8(15);
    const size_t slices = n_lines / ((size_t)2 * SLICE_LINES);
    const uint8_t *packed = group + slices * SLICE_LINES * PITH_LINE_BYTES;
    for (size_t s = 0; s < slices; s++) {
        __m512i m =
            _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(packed + s * PITH_TILE_ROWS)));
        PITH_UNROLL
        for (unsigned half = 0; half < 2; half++) {
            const expand_block b = expand_block_of(half == 0 ? m : _mm512_srli_epi32(m, 4), offset);
            PITH_UNROLL
            for (size_t j = 0; j < SLICE_LINES; j++) {
                __m512i both = _mm512_load_si512(group + (s * SLICE_LINES + j) * PITH_LINE_BYTES);
                both = half == 0 ? both : _mm512_srli_epi16(both, 4);
                __m512i code = _mm512_shuffle_epi8(codes, _mm512_and_si512(both, nibble));
                __m512i product = _mm512_mullo_epi16(code, b.magnitude);
                product = _mm512_add_epi8(_mm512_xor_si512(product, b.sign), b.base);
                _mm512_store_si512(out + (half * SLICE_LINES + j) * step, product);
            }
        }
        out += 2 * SLICE_LINES * step;
    }
}

#endif
