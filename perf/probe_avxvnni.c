/* The limit of AVX-VNNI: vpdpbusd of 256 bits, 32 byte products summed in 8 lanes. */
#include "perf/probe.h"

#include <immintrin.h>

/* One round: 8 vpdpbusd per chain. */
uint64_t pith_probe_int8_avxvnni(const unsigned char *operands, size_t n_rounds) {
    enum { CHAINS = 12 };
    const __m256i a = _mm256_load_si256((const __m256i *)(const void *)operands);
    const __m256i b = _mm256_load_si256((const __m256i *)(const void *)(operands + 64));
    __m256i sums[CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < CHAINS; i++) {
        sums[i] = _mm256_set1_epi8((char)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < CHAINS; i++) {
            sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < CHAINS; i++) {
        sums[0] = _mm256_xor_si256(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(sums[0]));
}
