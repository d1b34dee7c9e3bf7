/* Small pieces shared by the AVX-512 files: masks for tails, the lanes tree, exp of 16 floats. */
#ifndef PITH_SIMD_AVX512_VECTOR_H
#define PITH_SIMD_AVX512_VECTOR_H

#include "simd/exp.h"
#include "simd/inline.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* The first n of 16 lanes; all of them from 16 on. */
PITH_INLINE __mmask16 first_lanes(size_t n) {
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

/* The lanes tree of simd/kernels.h. */
PITH_INLINE float lanes_sum(__m512 v) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* pith_exp. max and min return their second operand when one is NaN, so NaN passes. */
PITH_INLINE __m512 exp_16(__m512 x) {
    x = _mm512_max_ps(_mm512_set1_ps(PITH_EXP_LOW), x);
    x = _mm512_min_ps(_mm512_set1_ps(PITH_EXP_HIGH), x);
    __m512i exponent = _mm512_cvtps_epi32(_mm512_mul_ps(x, _mm512_set1_ps(PITH_EXP_LOG2E)));
    __m512 n = _mm512_cvtepi32_ps(exponent);
    __m512 r = _mm512_fmadd_ps(n, _mm512_set1_ps(-PITH_EXP_LN2_HIGH), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(-PITH_EXP_LN2_LOW), r);
    __m512 p = _mm512_set1_ps(PITH_EXP_C6);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(PITH_EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(PITH_EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(PITH_EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(PITH_EXP_C2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    __m512i bits = _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(exponent, 23));
    return _mm512_castsi512_ps(bits);
}

/* Four activation codes, or one 32-bit integer, in every lane. */
PITH_INLINE __m512i broadcast_codes(const int8_t *codes) {
    int32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return _mm512_set1_epi32(four);
}

/* Starts fetching the line `ahead` bytes after p; p + ahead may lie outside any object. */
PITH_INLINE void prefetch_ahead(const void *p, uintptr_t ahead) {
    _mm_prefetch((const char *)((uintptr_t)p + ahead), _MM_HINT_T0);
}

#endif
