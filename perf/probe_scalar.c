/* The limits of plain C, as the compiler vectorises it for the base instruction set (this file is
 * built with -O3), and the clock. */
#include "perf/probe.h"

#include <string.h>

/* The largest power of two is 4 streams of 8 lines each: PITH_PROBE_BLOCK bytes. */
enum { STEP = 512 };

uint64_t pith_probe_read_scalar(const unsigned char *data, size_t n_bytes,
                                pith_probe_pattern pattern) {
    uint64_t bits[8] = {0};
    size_t stride = n_bytes / pattern.n_streams;
    for (size_t i = 0; i < stride; i += STEP) {
        for (size_t s = 0; s < pattern.n_streams; s++) {
            const unsigned char *at = data + s * stride + i;
            for (size_t line = 0; line < STEP; line += 64) {
                uint64_t words[8];
                if (pattern.ahead != 0) {
                    __builtin_prefetch(at + line + pattern.ahead, 0, 3);
                }
                memcpy(words, at + line, sizeof words);
                for (size_t j = 0; j < 8; j++) {
                    bits[j] |= words[j];
                }
            }
        }
    }
    uint64_t all = 0;
    for (size_t j = 0; j < 8; j++) {
        all |= bits[j];
    }
    return all;
}

/* One round: a dot product of PITH_PROBE_BYTES bytes from the L1 cache. */
uint64_t pith_probe_int8_scalar(const unsigned char *operands, size_t n_rounds) {
    int8_t a[PITH_PROBE_BYTES];
    int8_t b[PITH_PROBE_BYTES];
    for (size_t i = 0; i < PITH_PROBE_BYTES; i++) {
        a[i] = (int8_t)(operands[i % PITH_PROBE_OPERANDS] & 63);
        b[i] = (int8_t)(operands[(i * 7) % PITH_PROBE_OPERANDS] & 63);
    }
    int64_t total = 0;
    for (size_t r = 0; r < n_rounds; r++) {
        int32_t sum = 0;
        for (size_t i = 0; i < PITH_PROBE_BYTES; i++) {
            sum += (int32_t)a[i] * b[i];
        }
        total += sum;
        a[r % PITH_PROBE_BYTES] ^= 1; /* the next sum is not this one */
    }
    return (uint64_t)total;
}

/* One round: 8 steps of PITH_PROBE_CHAINS x 4 chains. */
uint64_t pith_probe_f32_scalar(const unsigned char *operands, size_t n_rounds) {
    float sums[PITH_PROBE_CHAINS * 4] = {0};
    float factor = 1.0F + (float)operands[0] * 0x1p-20F;
    float term = (float)operands[1] * 0x1p-20F;
    for (size_t r = 0; r < n_rounds * 8; r++) {
        for (size_t i = 0; i < PITH_PROBE_CHAINS * 4; i++) {
            sums[i] = sums[i] * factor + term;
        }
    }
    uint32_t bits = 0;
    for (size_t i = 0; i < PITH_PROBE_CHAINS * 4; i++) {
        uint32_t word;
        memcpy(&word, &sums[i], sizeof word);
        bits ^= word;
    }
    return bits;
}

/* One round: PITH_PROBE_CLOCK_ADDS additions, each waiting for the one before: one cycle each on
 * every CPU. The empty statement keeps the compiler from joining them; the term is in a register
 * because some CPUs fold additions of constants. */
uint64_t pith_probe_clock(const unsigned char *operands, size_t n_rounds) {
    uint64_t sum = operands[0];
    uint64_t term = operands[1];
    for (size_t r = 0; r < n_rounds; r++) {
#pragma GCC unroll 64
        for (size_t i = 0; i < PITH_PROBE_CLOCK_ADDS; i++) {
            sum += term;
            __asm__ volatile("" : "+r"(sum));
        }
    }
    return sum;
}
