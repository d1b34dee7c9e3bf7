/* Dot products of whole vectors with AVX2. */
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_vector.h"

/* acc + the products of 16 codes, widened to 16 bits: a pair of products is at most 2^15, so
 * vpmaddwd is exact. */
PITH_INLINE __m256i dot_16(__m256i acc, const int8_t *a, const int8_t *b) {
    __m256i wide_a = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a));
    __m256i wide_b = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)b));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(wide_a, wide_b));
}

int32_t pith_dot_int8_avx2(const int8_t *a, const int8_t *b, size_t n) {
    __m256i acc0 = _mm256_setzero_si256();
    __m256i acc1 = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        acc0 = dot_16(acc0, a + i, b + i);
        acc1 = dot_16(acc1, a + i + 16, b + i + 16);
    }
    for (; i < n; i += 16) {
        int8_t tail_a[16] = {0};
        int8_t tail_b[16] = {0};
        size_t left = n - i < 16 ? n - i : 16;
        __builtin_memcpy(tail_a, a + i, left);
        __builtin_memcpy(tail_b, b + i, left);
        acc0 = dot_16(acc0, tail_a, tail_b);
    }
    acc0 = _mm256_add_epi32(acc0, acc1);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(acc0), _mm256_extracti128_si256(acc0, 1));
    __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

/* acc[j] holds lanes 4 j to 4 j + 3. */
PITH_INLINE void dot_lanes(__m256d *acc, const float *a, const float *b) {
    PITH_UNROLL
    for (size_t j = 0; j < 4; j++) {
        __m256d wide_a = _mm256_cvtps_pd(_mm_loadu_ps(a + 4 * j));
        __m256d wide_b = _mm256_cvtps_pd(_mm_loadu_ps(b + 4 * j));
        acc[j] = _mm256_fmadd_pd(wide_a, wide_b, acc[j]);
    }
}

double pith_dot_f32_avx2(const float *a, const float *b, size_t n) {
    __m256d acc[4] = {_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(),
                      _mm256_setzero_pd()};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        dot_lanes(acc, a + i, b + i);
    }
    if (i < n) {
        /* Products of the zeros add +0 to sums that are never -0: no change. */
        float tail_a[16] = {0};
        float tail_b[16] = {0};
        __builtin_memcpy(tail_a, a + i, (n - i) * sizeof *a);
        __builtin_memcpy(tail_b, b + i, (n - i) * sizeof *b);
        dot_lanes(acc, tail_a, tail_b);
    }
    __m256d four = _mm256_add_pd(_mm256_add_pd(acc[0], acc[2]), _mm256_add_pd(acc[1], acc[3]));
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
