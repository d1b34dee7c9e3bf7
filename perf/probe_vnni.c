/* The limit of AVX-512 VNNI: vpdpbusd, 64 byte products summed in 16 lanes. */
#include "perf/probe.h"

#include <immintrin.h>

/* One round: 8 vpdpbusd per chain. */
uint64_t pith_probe_int8_vnni(const unsigned char *operands, size_t n_rounds) {
    const __m512i a = _mm512_load_si512(operands);
    const __m512i b = _mm512_load_si512(operands + 64);
    __m512i sums[PITH_PROBE_CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < PITH_PROBE_CHAINS; i++) {
        sums[i] = _mm512_set1_epi8((char)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < PITH_PROBE_CHAINS; i++) {
            sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < PITH_PROBE_CHAINS; i++) {
        sums[0] = _mm512_xor_si512(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(sums[0]));
}
