/* Row operations for NEON: RMSNorm, activation quantisation, RoPE, SwiGLU, conversion, exp.
 * Contracts and formulas are in simd/kernels.h. */
#include "simd/arm/neon.h"
#include "simd/arm/neon_vector.h"
#include "simd/blocks.h"

#include <math.h>
#include <string.h>

/* 1 / sqrt(mean(x^2) + eps). */
static float rms_factor(const float *x, float eps, size_t n) {
    float32x4_t sum[4];
    PITH_UNROLL
    for (size_t h = 0; h < 4; h++) {
        sum[h] = vdupq_n_f32(0.0f);
    }
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        PITH_UNROLL
        for (size_t h = 0; h < 4; h++) {
            float32x4_t v = vld1q_f32(x + i + 4 * h);
            sum[h] = vfmaq_f32(sum[h], v, v);
        }
    }
    PITH_UNROLL
    for (size_t h = 0; h < 4; h++) {
        if (i + 4 * h < n) {
            float32x4_t v = load_floats(x + i + 4 * h, n - i - 4 * h);
            sum[h] = vfmaq_f32(sum[h], v, v);
        }
    }
    return 1.0f / sqrtf(lanes_sum(sum) / (float)n + eps);
}

static void scale_row(const float *x, const float *w, float factor, size_t n, float *y) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = vmulq_n_f32(load_floats(x + i, n - i), factor);
        store_floats(y + i, vmulq_f32(v, load_floats(w + i, n - i)), n - i);
    }
}

void pith_rmsnorm_neon(const float *x, const float *w, float eps, size_t n, float *y) {
    scale_row(x, w, rms_factor(x, eps, n), n, y);
}

/* The largest |x|; NaN when there is one, because magnitudes compare as integers. */
static float largest_magnitude(const float *x, size_t n) {
    uint32x4_t largest = vdupq_n_u32(0);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = vabsq_f32(load_floats(x + i, n - i));
        largest = vmaxq_u32(largest, vreinterpretq_u32_f32(v));
    }
    uint32_t bits = vmaxvq_u32(largest);
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

/* Four rounded codes of which the first n are meant, or zeros past the end. */
PITH_INLINE int16x4_t code_4(const float *x, size_t i, size_t n, float inverse) {
    if (i >= n) {
        return vdup_n_s16(0);
    }
    return vqmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(load_floats(x + i, n - i), inverse)));
}

/* Writes 16 codes at a time: up to n rounded up to 16, zeros after n. Returns the scale. */
static float quantize_group(const float *x, size_t n, int8_t *codes) {
    float a = largest_magnitude(x, n);
    if (!(a >= PITH_QUANTIZE_MIN && a <= 0x1.fffffep127f)) {
        memset(codes, 0, n);
        return a < PITH_QUANTIZE_MIN ? 0.0f : NAN;
    }
    float inverse = 127.0f / a;
    for (size_t i = 0; i < n; i += 16) {
        int16x8_t low = vcombine_s16(code_4(x, i, n, inverse), code_4(x, i + 4, n, inverse));
        int16x8_t high = vcombine_s16(code_4(x, i + 8, n, inverse), code_4(x, i + 12, n, inverse));
        int8x16_t bytes = vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
        vst1q_s8(codes + i, vmaxq_s8(bytes, vdupq_n_s8(-127)));
    }
    return a / 127.0f;
}

/* Zeroes the codes after n and writes the offsets. */
static void finish_row(int8_t *codes, size_t n, size_t group, int32_t *group_offset,
                       int32_t *block_offset) {
    size_t padded = pith_groups(n, PITH_INT4_GROUP) * PITH_INT4_GROUP;
    memset(codes + n, 0, padded - n);
    for (size_t begin = 0; begin < n; begin += group) {
        int32_t sum = 0;
        for (size_t i = begin; i < begin + group; i += PITH_INT4_BLOCK) {
            sum += vaddlvq_s8(vld1q_s8(codes + i));
        }
        group_offset[begin / group] = -PITH_INT8_OFFSET * sum;
    }
    if (block_offset == NULL) {
        return;
    }
    for (size_t i = 0; i < padded; i += PITH_INT4_BLOCK) {
        block_offset[i / PITH_INT4_BLOCK] = -PITH_INT4_OFFSET * vaddlvq_s8(vld1q_s8(codes + i));
    }
}

void pith_quantize_neon(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                        int32_t *group_offset, int32_t *block_offset) {
    for (size_t begin = 0; begin < n; begin += group) {
        size_t count = n - begin < group ? n - begin : group;
        scales[begin / group] = quantize_group(x + begin, count, codes + begin);
    }
    finish_row(codes, n, group, group_offset, block_offset);
}

void pith_rmsnorm_quantize_neon(const float *x, const float *w, float eps, size_t n, size_t group,
                                int8_t *codes, float *scales, int32_t *group_offset,
                                int32_t *block_offset) {
    float factor = rms_factor(x, eps, n);
    for (size_t begin = 0; begin < n; begin += group) {
        float normal[PITH_INT4_GROUP];
        size_t count = n - begin < group ? n - begin : group;
        scale_row(x + begin, w + begin, factor, count, normal);
        scales[begin / group] = quantize_group(normal, count, codes + begin);
    }
    finish_row(codes, n, group, group_offset, block_offset);
}

void pith_rope_neon(float *x, size_t n_heads, size_t head_dim, const float *cos, const float *sin) {
    size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *head = x + h * head_dim;
        for (size_t i = 0; i < half; i += 4) {
            size_t n = half - i;
            float32x4_t a = load_floats(head + i, n);
            float32x4_t b = load_floats(head + half + i, n);
            float32x4_t c = load_floats(cos + i, n);
            float32x4_t s = load_floats(sin + i, n);
            store_floats(head + i, vfmsq_f32(vmulq_f32(a, c), b, s), n);
            store_floats(head + half + i, vfmaq_f32(vmulq_f32(b, c), a, s), n);
        }
    }
}

void pith_swiglu_neon(const float *gate_up, float *out, size_t n_tiles) {
    for (size_t i = 0; i < n_tiles * PITH_TILE_ROWS; i += 4) {
        const float *gate = gate_up + i / PITH_TILE_ROWS * PITH_TILE_ROWS + i;
        float32x4_t g = vld1q_f32(gate);
        float32x4_t u = vld1q_f32(gate + PITH_TILE_ROWS);
        float32x4_t e = exp_4(vnegq_f32(g));
        float32x4_t silu = vdivq_f32(g, vaddq_f32(vdupq_n_f32(1.0f), e));
        vst1q_f32(out + i, vmulq_f32(silu, u));
    }
}

void pith_f32_to_f16_neon(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = load_floats(x + i, n - i);
        v = vminq_f32(vdupq_n_f32(65504.0f), v);
        v = vmaxq_f32(vdupq_n_f32(-65504.0f), v);
        uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(v));
        memcpy(y + i, &half, (n - i < 4 ? n - i : 4) * sizeof *y);
    }
}

void pith_exp_neon(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i += 4) {
        store_floats(y + i, exp_4(load_floats(x + i, n - i)), n - i);
    }
}
