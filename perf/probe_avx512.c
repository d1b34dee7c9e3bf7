/* The limits of AVX-512: reading 64 bytes at a time, byte products by vpmaddubsw, float FMA. */
#include "perf/probe.h"

#include <immintrin.h>

enum { STEP = 512, VECTOR = 64 };

static inline __attribute__((always_inline)) uint64_t
read_streams(const unsigned char *data, size_t n_bytes, size_t n_streams, size_t ahead) {
    __m512i bits[4];
    size_t stride = n_bytes / n_streams;
#pragma GCC unroll 16
    for (size_t j = 0; j < 4; j++) {
        bits[j] = _mm512_setzero_si512();
    }
    for (size_t i = 0; i < stride; i += STEP) {
        for (size_t s = 0; s < n_streams; s++) {
            const unsigned char *at = data + s * stride + i;
            if (ahead != 0) {
#pragma GCC unroll 8
                for (size_t line = 0; line < STEP; line += 64) {
                    _mm_prefetch((const char *)at + ahead + line, _MM_HINT_T0);
                }
            }
#pragma GCC unroll 16
            for (size_t j = 0; j < STEP / VECTOR; j++) {
                __m512i x = _mm512_load_si512((const __m512i *)(const void *)(at + j * VECTOR));
                bits[j % 4] = _mm512_or_si512(bits[j % 4], x);
            }
        }
    }
    bits[0] = _mm512_or_si512(_mm512_or_si512(bits[0], bits[1]), _mm512_or_si512(bits[2], bits[3]));
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(bits[0]));
}

uint64_t pith_probe_read_avx512(const unsigned char *data, size_t n_bytes,
                                pith_probe_pattern pattern) {
    switch (pattern.n_streams) {
    case 1:
        return read_streams(data, n_bytes, 1, pattern.ahead);
    case 2:
        return read_streams(data, n_bytes, 2, pattern.ahead);
    default:
        return read_streams(data, n_bytes, 4, pattern.ahead);
    }
}

/* One round: 8 vpmaddubsw per chain. A kernel also has to add the products up; leaving that out
 * keeps this an upper limit. */
uint64_t pith_probe_int8_avx512(const unsigned char *operands, size_t n_rounds) {
    enum { CHAINS = 16 };
    const __m512i b = _mm512_load_si512((const __m512i *)(const void *)(operands + 64));
    __m512i sums[CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < CHAINS; i++) {
        sums[i] = _mm512_set1_epi8((char)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < CHAINS; i++) {
            /* The chain is an operand, so that no product can be reused. */
            sums[i] = _mm512_maddubs_epi16(sums[i], b);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < CHAINS; i++) {
        sums[0] = _mm512_xor_si512(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(sums[0]));
}

/* One round: 8 fused multiply-adds per chain. */
uint64_t pith_probe_f32_avx512(const unsigned char *operands, size_t n_rounds) {
    enum { CHAINS = 16 };
    const __m512 a = _mm512_set1_ps((float)operands[0] * 0x1p-20F);
    const __m512 b = _mm512_set1_ps((float)operands[1] * 0x1p-20F);
    __m512 sums[CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < CHAINS; i++) {
        sums[i] = _mm512_set1_ps((float)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < CHAINS; i++) {
            sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < CHAINS; i++) {
        sums[0] = _mm512_add_ps(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_castps_si512(sums[0])));
}
