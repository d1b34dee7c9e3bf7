/* Small pieces shared by the AVX2 files: tails, the lanes tree, exp of 8 floats. */
#ifndef PITH_SIMD_AVX2_VECTOR_H
#define PITH_SIMD_AVX2_VECTOR_H

#include "simd/exp.h"
#include "simd/inline.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

/* All bits set in the first n of 8 lanes; in all of them from 8 on. */
PITH_INLINE __m256i first_lanes(size_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), lane);
}

/* `a` where the mask is set, else `b`. */
PITH_INLINE __m256 select_ps(__m256i mask, __m256 a, __m256 b) {
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(mask));
}

/* The lanes tree of simd/kernels.h over lanes 0-7 and 8-15. */
PITH_INLINE float lanes_sum(__m256 low, __m256 high) {
    __m256 eight = _mm256_add_ps(low, high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/* pith_exp. max and min return their second operand when one is NaN, so NaN passes. */
PITH_INLINE __m256 exp_8(__m256 x) {
    x = _mm256_max_ps(_mm256_set1_ps(PITH_EXP_LOW), x);
    x = _mm256_min_ps(_mm256_set1_ps(PITH_EXP_HIGH), x);
    __m256i exponent = _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(PITH_EXP_LOG2E)));
    __m256 n = _mm256_cvtepi32_ps(exponent);
    __m256 r = _mm256_fmadd_ps(n, _mm256_set1_ps(-PITH_EXP_LN2_HIGH), x);
    r = _mm256_fmadd_ps(n, _mm256_set1_ps(-PITH_EXP_LN2_LOW), r);
    __m256 p = _mm256_set1_ps(PITH_EXP_C6);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(PITH_EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(PITH_EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(PITH_EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(PITH_EXP_C2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
    __m256i bits = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(exponent, 23));
    return _mm256_castsi256_ps(bits);
}

/* Four activation codes in every lane. */
PITH_INLINE __m256i broadcast_codes(const int8_t *codes) {
    int32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return _mm256_set1_epi32(four);
}

/* Starts fetching the line `ahead` bytes after p; p + ahead may lie outside any object. */
PITH_INLINE void prefetch_ahead(const void *p, uintptr_t ahead) {
    _mm_prefetch((const char *)((uintptr_t)p + ahead), _MM_HINT_T0);
}

/* Eight 16-bit values, of which the first n are read; the others are 0. */
PITH_INLINE __m128i load_halves(const uint16_t *p, size_t n) {
    if (n >= 8) {
        return _mm_loadu_si128((const __m128i *)p);
    }
    uint16_t halves[8] = {0};
    __builtin_memcpy(halves, p, n * sizeof *p);
    return _mm_loadu_si128((const __m128i *)halves);
}

#endif
