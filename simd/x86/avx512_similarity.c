/* Dot products of whole vectors with AVX-512. */
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

/* A pair of 16-bit products is at most 2^15, so vpmaddwd is exact. */
int32_t pith_dot_int8_avx512(const int8_t *a, const int8_t *b, size_t n) {
    __m512i acc = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 32) {
        __mmask32 some = n - i >= 32 ? ~(__mmask32)0 : ((__mmask32)1 << (n - i)) - 1;
        __m512i wide_a = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(some, a + i));
        __m512i wide_b = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(some, b + i));
        acc = _mm512_add_epi32(acc, _mm512_madd_epi16(wide_a, wide_b));
    }
    return _mm512_reduce_add_epi32(acc);
}

double pith_dot_f32_avx512(const float *a, const float *b, size_t n) {
    __m512d low = _mm512_setzero_pd();
    __m512d high = _mm512_setzero_pd();
    for (size_t i = 0; i < n; i += 16) {
        /* Products of the masked zeros add +0 to sums that are never -0: no change. */
        __m512 x = _mm512_maskz_loadu_ps(first_lanes(n - i), a + i);
        __m512 y = _mm512_maskz_loadu_ps(first_lanes(n - i), b + i);
        low = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm512_castps512_ps256(x)),
                              _mm512_cvtps_pd(_mm512_castps512_ps256(y)), low);
        high = _mm512_fmadd_pd(_mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1)),
                               _mm512_cvtps_pd(_mm512_extractf32x8_ps(y, 1)), high);
    }
    __m512d eight = _mm512_add_pd(low, high);
    __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
