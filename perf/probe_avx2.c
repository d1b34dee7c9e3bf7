/* The limits of AVX2: reading 32 bytes at a time, byte products by vpmaddubsw, float FMA. */
#include "perf/probe.h"

#include <immintrin.h>

enum { STEP = 512, VECTOR = 32 };

static inline __attribute__((always_inline)) uint64_t
read_streams(const unsigned char *data, size_t n_bytes, size_t n_streams, size_t ahead) {
    __m256i bits[4];
    size_t stride = n_bytes / n_streams;
#pragma GCC unroll 16
    for (size_t j = 0; j < 4; j++) {
        bits[j] = _mm256_setzero_si256();
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
                __m256i x = _mm256_load_si256((const __m256i *)(const void *)(at + j * VECTOR));
                bits[j % 4] = _mm256_or_si256(bits[j % 4], x);
            }
        }
    }
    bits[0] = _mm256_or_si256(_mm256_or_si256(bits[0], bits[1]), _mm256_or_si256(bits[2], bits[3]));
    return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(bits[0]));
}

uint64_t pith_probe_read_avx2(const unsigned char *data, size_t n_bytes,
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
uint64_t pith_probe_int8_avx2(const unsigned char *operands, size_t n_rounds) {
    enum { CHAINS = 12 };
    const __m256i b = _mm256_load_si256((const __m256i *)(const void *)(operands + 64));
    __m256i sums[CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < CHAINS; i++) {
        sums[i] = _mm256_set1_epi8((char)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < CHAINS; i++) {
            /* The chain is an operand, so that no product can be reused. */
            sums[i] = _mm256_maddubs_epi16(sums[i], b);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < CHAINS; i++) {
        sums[0] = _mm256_xor_si256(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(sums[0]));
}

/* One round: 8 fused multiply-adds per chain. */
uint64_t pith_probe_f32_avx2(const unsigned char *operands, size_t n_rounds) {
    enum { CHAINS = 12 };
    const __m256 a = _mm256_set1_ps((float)operands[0] * 0x1p-20F);
    const __m256 b = _mm256_set1_ps((float)operands[1] * 0x1p-20F);
    __m256 sums[CHAINS];
#pragma GCC unroll 16
    for (size_t i = 0; i < CHAINS; i++) {
        sums[i] = _mm256_set1_ps((float)operands[i]); /* chains differ: none can be left out */
    }
    for (size_t r = 0; r < n_rounds * 8; r++) {
#pragma GCC unroll 16
        for (size_t i = 0; i < CHAINS; i++) {
            sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
        }
    }
#pragma GCC unroll 16
    for (size_t i = 1; i < CHAINS; i++) {
        sums[0] = _mm256_add_ps(sums[0], sums[i]);
    }
    return (uint64_t)_mm_cvtsi128_si64(_mm256_castsi256_si128(_mm256_castps_si256(sums[0])));
}
