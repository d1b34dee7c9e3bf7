/* The limit of AVX-512 BF16: vdpbf16ps, 32 products summed in 16 lanes. */
#include "perf/probe.h"

#include <immintrin.h>

/* One round: 8 vdpbf16ps per chain. */
uint64_t pith_probe_bf16_avx512(const unsigned char *operands, size_t n_rounds) {
    const __m512 small = _mm512_set1_ps((float)operands[0] * 0x1p-20F);
    const __m512bh a = _mm512_cvtne2ps_pbh(small, small);
    __m512 sums[PITH_PROBE_CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < PITH_PROBE_CHAINS; i++) {
        sums[i] = _mm512_set1_ps((float)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < PITH_PROBE_CHAINS; i++) {
            sums[i] = _mm512_dpbf16_ps(sums[i], a, a);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < PITH_PROBE_CHAINS; i++) {
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_castps_si512(sums[0])));
}
