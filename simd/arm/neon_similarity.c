/* Dot products of whole vectors with NEON. */
#include "simd/arm/neon.h"
#include "simd/arm/neon_vector.h"

PITH_INLINE int32x4_t dot_16(int32x4_t acc, const int8_t *a, const int8_t *b) {
    int8x16_t x = vld1q_s8(a);
    int8x16_t y = vld1q_s8(b);
    acc = vpadalq_s16(acc, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    return vpadalq_s16(acc, vmull_high_s8(x, y));
}

int32_t pith_dot_int8_neon(const int8_t *a, const int8_t *b, size_t n) {
    int32x4_t acc = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        acc = dot_16(acc, a + i, b + i);
    }
    if (i < n) {
        int8_t tail_a[16] = {0};
        int8_t tail_b[16] = {0};
        __builtin_memcpy(tail_a, a + i, n - i);
        __builtin_memcpy(tail_b, b + i, n - i);
        acc = dot_16(acc, tail_a, tail_b);
    }
    return vaddvq_s32(acc);
}

/* acc[j] holds lanes 2 j and 2 j + 1. */
PITH_INLINE void dot_lanes(float64x2_t *acc, const float *a, const float *b) {
    PITH_UNROLL
    for (size_t j = 0; j < 4; j++) {
        float32x4_t x = vld1q_f32(a + 4 * j);
        float32x4_t y = vld1q_f32(b + 4 * j);
        acc[2 * j] =
            vfmaq_f64(acc[2 * j], vcvt_f64_f32(vget_low_f32(x)), vcvt_f64_f32(vget_low_f32(y)));
        acc[2 * j + 1] = vfmaq_f64(acc[2 * j + 1], vcvt_high_f64_f32(x), vcvt_high_f64_f32(y));
    }
}

double pith_dot_f32_neon(const float *a, const float *b, size_t n) {
    float64x2_t acc[8];
    PITH_UNROLL
    for (size_t j = 0; j < 8; j++) {
        acc[j] = vdupq_n_f64(0);
    }
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
    PITH_UNROLL
    for (size_t j = 0; j < 4; j++) {
        acc[j] = vaddq_f64(acc[j], acc[j + 4]);
    }
    float64x2_t two = vaddq_f64(vaddq_f64(acc[0], acc[2]), vaddq_f64(acc[1], acc[3]));
    return vaddvq_f64(two);
}
