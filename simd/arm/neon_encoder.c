/* What only encoders need, for NEON: LayerNorm of a residual sum, GELU, and keys in blocks.
 * Contracts and formulas are in simd/kernels.h. */
#include "simd/arm/neon.h"
#include "simd/arm/neon_vector.h"
#include "simd/gelu.h"

#include <math.h>

void pith_add_layernorm_neon(float *x, const float *y, const float *bias, const float *w,
                             const float *b, float eps, size_t n) {
    float32x4_t sum[4];
    float32x4_t squares[4];
    PITH_UNROLL
    for (size_t h = 0; h < 4; h++) {
        sum[h] = vdupq_n_f32(0.0f);
        squares[h] = vdupq_n_f32(0.0f);
    }
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = vaddq_f32(load_floats(y + i, n - i), load_floats(bias + i, n - i));
        v = vaddq_f32(load_floats(x + i, n - i), v);
        store_floats(x + i, v, n - i);
        sum[i / 4 % 4] = vaddq_f32(sum[i / 4 % 4], v);
    }
    const float32x4_t mean = vdupq_n_f32(lanes_sum(sum) / (float)n);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t d = vsubq_f32(load_floats(x + i, n - i), mean);
        d = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(d), first_lanes(n - i)));
        squares[i / 4 % 4] = vfmaq_f32(squares[i / 4 % 4], d, d);
    }
    const float r = 1.0f / sqrtf(lanes_sum(squares) / (float)n + eps);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t d = vmulq_n_f32(vsubq_f32(load_floats(x + i, n - i), mean), r);
        float32x4_t v = vfmaq_f32(load_floats(b + i, n - i), d, load_floats(w + i, n - i));
        store_floats(x + i, v, n - i);
    }
}

/* fmax and fmin give NaN when one operand is. */
PITH_INLINE float32x4_t gelu_4(float32x4_t v) {
    float32x4_t x = vmaxq_f32(vdupq_n_f32(-PITH_GELU_BOUND), v);
    x = vminq_f32(vdupq_n_f32(PITH_GELU_BOUND), x);
    float32x4_t s = vmulq_f32(x, x);
    float32x4_t p = vfmaq_f32(vdupq_n_f32(PITH_GELU_P4), vdupq_n_f32(PITH_GELU_P5), s);
    p = vfmaq_f32(vdupq_n_f32(PITH_GELU_P3), p, s);
    p = vfmaq_f32(vdupq_n_f32(PITH_GELU_P2), p, s);
    p = vfmaq_f32(vdupq_n_f32(PITH_GELU_P1), p, s);
    p = vfmaq_f32(vdupq_n_f32(PITH_GELU_P0), p, s);
    float32x4_t q = vfmaq_f32(vdupq_n_f32(PITH_GELU_Q4), vdupq_n_f32(PITH_GELU_Q5), s);
    q = vfmaq_f32(vdupq_n_f32(PITH_GELU_Q3), q, s);
    q = vfmaq_f32(vdupq_n_f32(PITH_GELU_Q2), q, s);
    q = vfmaq_f32(vdupq_n_f32(PITH_GELU_Q1), q, s);
    q = vfmaq_f32(vdupq_n_f32(1.0f), q, s);
    float32x4_t h = vdivq_f32(vmulq_f32(x, p), q);
    h = vmaxq_f32(vdupq_n_f32(-0.5f), h);
    h = vminq_f32(vdupq_n_f32(0.5f), h);
    return vmulq_f32(v, vaddq_f32(vdupq_n_f32(0.5f), h));
}

void pith_bias_gelu_neon(float *x, const float *bias, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = vaddq_f32(load_floats(x + i, n - i), load_floats(bias + i, n - i));
        store_floats(x + i, gelu_4(v), n - i);
    }
}

/* Transposes 4 x 4 floats. */
PITH_INLINE void transpose_4(float32x4_t *v) {
    float32x4x2_t a = vtrnq_f32(v[0], v[1]);
    float32x4x2_t b = vtrnq_f32(v[2], v[3]);
    v[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    v[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    v[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    v[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

void pith_key_blocks_neon(const float *x, size_t stride, size_t n_keys, size_t head_dim, float *k) {
    for (size_t j = 0; j < (n_keys + 15) / 16 * 16; j += 4) {
        float *block = k + j / 16 * 16 * head_dim + j % 16;
        for (size_t d = 0; d < head_dim; d += 4) {
            size_t n = head_dim - d;
            float32x4_t v[4];
            PITH_UNROLL
            for (size_t r = 0; r < 4; r++) {
                v[r] =
                    j + r < n_keys ? load_floats(x + (j + r) * stride + d, n) : vdupq_n_f32(0.0f);
            }
            transpose_4(v);
            PITH_UNROLL
            for (size_t r = 0; r < 4; r++) {
                if (d + r < head_dim) {
                    vst1q_f32(block + (d + r) * 16, v[r]);
                }
            }
        }
    }
}

void pith_affine_neon(const float *x, float scale, const float *shift, size_t n, float *y) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v =
            vfmaq_n_f32(load_floats(shift + i, n - i), load_floats(x + i, n - i), scale);
        store_floats(y + i, v, n - i);
    }
}
