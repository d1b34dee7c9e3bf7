/* The few-token products (simd/few.h) with AVX-512 VNNI. */
#ifndef PITH_SIMD_VNNI_FEW_H
#define PITH_SIMD_VNNI_FEW_H

#include "simd/few.h"
#include "simd/x86/avx512_vector.h"

enum { PITH_FEW_STEP = 8 }; /* most tokens of a call */

/* sum + w x four codes, which the instruction itself broadcasts: GCC 12 has no pattern for it. */
PITH_INLINE __m512i add_broadcast(__m512i sum, __m512i w, const int8_t *codes) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const int8_t(*)[4])codes));
    return sum;
}

/* Groups [begin, end) for `n` tokens (a constant), whose sums are [end - begin, n]. */
PITH_INLINE void add_kept(const few_outputs *o, const __m512i *sums, size_t begin, size_t end,
                          size_t n) {
    __m512 y[PITH_FEW_STEP];
    PITH_UNROLL
    for (size_t t = 0; t < n; t++) {
        y[t] = begin == 0 ? _mm512_setzero_ps() : _mm512_load_ps(o->y + t * o->y_stride);
    }
    for (size_t g = begin; g < end; g++) {
        const uint16_t *scales = o->scales + g * PITH_TILE_ROWS;
        fetch_weights(scales, o->fetch);
        __m512 d = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)scales));
        PITH_UNROLL
        for (size_t t = 0; t < n; t++) {
            __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(o->x_scales[t * o->scale_stride + g]));
            y[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[(g - begin) * n + t]), scale, y[t]);
        }
    }
    PITH_UNROLL
    for (size_t t = 0; t < n; t++) {
        _mm512_store_ps(o->y + t * o->y_stride, y[t]);
    }
}

#endif
