/* The int8 dot product of whole vectors with the dot product instructions. */
#include "simd/arm/dot.h"
#include "simd/inline.h"

#include <arm_neon.h>

int32_t pith_dot_int8_dot(const int8_t *a, const int8_t *b, size_t n) {
    int32x4_t acc = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        acc = vdotq_s32(acc, vld1q_s8(a + i), vld1q_s8(b + i));
    }
    if (i < n) {
        int8_t tail_a[16] = {0};
        int8_t tail_b[16] = {0};
        __builtin_memcpy(tail_a, a + i, n - i);
        __builtin_memcpy(tail_b, b + i, n - i);
        acc = vdotq_s32(acc, vld1q_s8(tail_a), vld1q_s8(tail_b));
    }
    return vaddvq_s32(acc);
}
