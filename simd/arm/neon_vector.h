/* Small pieces shared by the NEON files: tails, the lanes tree, exp of 4 floats. */
#ifndef PITH_SIMD_NEON_VECTOR_H
#define PITH_SIMD_NEON_VECTOR_H

#include "simd/exp.h"
#include "simd/inline.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>

/* All bits set in the first n of 4 lanes; in all of them from 4 on. */
PITH_INLINE uint32x4_t first_lanes(size_t n) {
    const uint32_t lanes[4] = {0, 1, 2, 3};
    return vcltq_u32(vld1q_u32(lanes), vdupq_n_u32(n >= 4 ? 4 : (uint32_t)n));
}

/* Four floats, of which the first n are read; the others are 0. */
PITH_INLINE float32x4_t load_floats(const float *p, size_t n) {
    if (n >= 4) {
        return vld1q_f32(p);
    }
    float floats[4] = {0};
    __builtin_memcpy(floats, p, n * sizeof *p);
    return vld1q_f32(floats);
}

/* Writes the first n of 4 floats; all of them from 4 on. */
PITH_INLINE void store_floats(float *p, float32x4_t v, size_t n) {
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    float floats[4];
    vst1q_f32(floats, v);
    __builtin_memcpy(p, floats, n * sizeof *p);
}

/* Four 16-bit values, of which the first n are read; the others are 0. */
PITH_INLINE uint16x4_t load_halves(const uint16_t *p, size_t n) {
    if (n >= 4) {
        return vld1_u16(p);
    }
    uint16_t halves[4] = {0};
    __builtin_memcpy(halves, p, n * sizeof *p);
    return vld1_u16(halves);
}

PITH_INLINE float32x4_t widen_f16(uint16x4_t halves) {
    return vcvt_f32_f16(vreinterpret_f16_u16(halves));
}

/* The lanes tree of simd/kernels.h; sum[i] holds lanes 4 i to 4 i + 3. */
PITH_INLINE float lanes_sum(const float32x4_t *sum) {
    float32x4_t four = vaddq_f32(vaddq_f32(sum[0], sum[2]), vaddq_f32(sum[1], sum[3]));
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* pith_exp. fmax and fmin give NaN when one operand is; a NaN's exponent converts to 0. */
PITH_INLINE float32x4_t exp_4(float32x4_t x) {
    x = vmaxq_f32(vdupq_n_f32(PITH_EXP_LOW), x);
    x = vminq_f32(vdupq_n_f32(PITH_EXP_HIGH), x);
    int32x4_t exponent = vcvtnq_s32_f32(vmulq_f32(x, vdupq_n_f32(PITH_EXP_LOG2E)));
    float32x4_t n = vcvtq_f32_s32(exponent);
    float32x4_t r = vfmaq_f32(x, n, vdupq_n_f32(-PITH_EXP_LN2_HIGH));
    r = vfmaq_f32(r, n, vdupq_n_f32(-PITH_EXP_LN2_LOW));
    float32x4_t p = vfmaq_f32(vdupq_n_f32(PITH_EXP_C5), vdupq_n_f32(PITH_EXP_C6), r);
    p = vfmaq_f32(vdupq_n_f32(PITH_EXP_C4), p, r);
    p = vfmaq_f32(vdupq_n_f32(PITH_EXP_C3), p, r);
    p = vfmaq_f32(vdupq_n_f32(PITH_EXP_C2), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.0f), p, r);
    int32x4_t bits = vaddq_s32(vreinterpretq_s32_f32(p), vshlq_n_s32(exponent, 23));
    return vreinterpretq_f32_s32(bits);
}

#endif
