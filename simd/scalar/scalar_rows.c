/* Row operations in plain C: RMSNorm, activation quantisation, RoPE, SwiGLU, conversion, exp. */
#include "base/half.h"
#include "simd/blocks.h"
#include "simd/exp.h"
#include "simd/lanes.h"
#include "simd/scalar/scalar.h"

#include <math.h>
#include <string.h>

/* 1 / sqrt(mean(x^2) + eps). */
static float rms_factor(const float *x, float eps, size_t n) {
    float lanes[PITH_LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        lanes[i % PITH_LANES] = fmaf(x[i], x[i], lanes[i % PITH_LANES]);
    }
    return 1.0f / sqrtf(pith_lanes_sum(lanes) / (float)n + eps);
}

void pith_rmsnorm_scalar(const float *x, const float *w, float eps, size_t n, float *y) {
    float r = rms_factor(x, eps, n);
    for (size_t i = 0; i < n; i++) {
        y[i] = x[i] * r * w[i];
    }
}

/* The largest |x|; NaN when there is one, because magnitudes compare as integers. */
static float largest_magnitude(const float *x, size_t n) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    float a;
    memcpy(&a, &largest, sizeof a);
    return a;
}

static float quantize_group(const float *x, size_t n, int8_t *codes) {
    float a = largest_magnitude(x, n);
    if (!(a >= PITH_QUANTIZE_MIN && a <= 0x1.fffffep127f)) {
        memset(codes, 0, n);
        return a < PITH_QUANTIZE_MIN ? 0.0f : NAN;
    }
    float inverse = 127.0f / a;
    for (size_t i = 0; i < n; i++) {
        float code = nearbyintf(x[i] * inverse);
        codes[i] = (int8_t)(code > 127.0f ? 127.0f : code < -127.0f ? -127.0f : code);
    }
    return a / 127.0f;
}

static int32_t sum_codes(const int8_t *codes, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += codes[i];
    }
    return sum;
}

static size_t padded_codes(size_t n) {
    return pith_groups(n, PITH_INT4_GROUP) * PITH_INT4_GROUP;
}

/* The offsets of a row whose codes are complete, padding included. */
static void write_offsets(const int8_t *codes, size_t n, size_t group, int32_t *group_offset,
                          int32_t *block_offset) {
    for (size_t g = 0; g * group < n; g++) {
        group_offset[g] = -PITH_INT8_OFFSET * sum_codes(codes + g * group, group);
    }
    if (block_offset != NULL) {
        for (size_t b = 0; b < padded_codes(n) / PITH_INT4_BLOCK; b++) {
            block_offset[b] =
                -PITH_INT4_OFFSET * sum_codes(codes + b * PITH_INT4_BLOCK, PITH_INT4_BLOCK);
        }
    }
}

void pith_quantize_scalar(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                          int32_t *group_offset, int32_t *block_offset) {
    for (size_t begin = 0; begin < n; begin += group) {
        size_t count = n - begin < group ? n - begin : group;
        scales[begin / group] = quantize_group(x + begin, count, codes + begin);
    }
    memset(codes + n, 0, padded_codes(n) - n);
    write_offsets(codes, n, group, group_offset, block_offset);
}

void pith_rmsnorm_quantize_scalar(const float *x, const float *w, float eps, size_t n, size_t group,
                                  int8_t *codes, float *scales, int32_t *group_offset,
                                  int32_t *block_offset) {
    float r = rms_factor(x, eps, n);
    for (size_t begin = 0; begin < n; begin += group) {
        float normal[PITH_INT4_GROUP];
        size_t count = n - begin < group ? n - begin : group;
        for (size_t i = 0; i < count; i++) {
            normal[i] = x[begin + i] * r * w[begin + i];
        }
        scales[begin / group] = quantize_group(normal, count, codes + begin);
    }
    memset(codes + n, 0, padded_codes(n) - n);
    write_offsets(codes, n, group, group_offset, block_offset);
}

void pith_rope_scalar(float *x, size_t n_heads, size_t head_dim, const float *cos,
                      const float *sin) {
    size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *head = x + h * head_dim;
        for (size_t i = 0; i < half; i++) {
            float a = head[i];
            float b = head[i + half];
            head[i] = fmaf(-b, sin[i], a * cos[i]);
            head[i + half] = fmaf(a, sin[i], b * cos[i]);
        }
    }
}

void pith_swiglu_scalar(const float *gate_up, float *out, size_t n_tiles) {
    for (size_t i = 0; i < n_tiles * PITH_TILE_ROWS; i++) {
        size_t gate = i / PITH_TILE_ROWS * 2 * PITH_TILE_ROWS + i % PITH_TILE_ROWS;
        float g = gate_up[gate];
        out[i] = g / (1.0f + pith_exp(-g)) * gate_up[gate + PITH_TILE_ROWS];
    }
}

void pith_f32_to_f16_scalar(const float *x, uint16_t *y, size_t n) {
    const float limit = 65504.0f;
    for (size_t i = 0; i < n; i++) {
        float v = x[i];
        y[i] = pith_f32_to_f16(v > limit ? limit : v < -limit ? -limit : v);
    }
}

float pith_exp(float x) {
    if (x != x) {
        return x;
    }
    x = x < PITH_EXP_LOW ? PITH_EXP_LOW : x;
    x = x > PITH_EXP_HIGH ? PITH_EXP_HIGH : x;
    float n = nearbyintf(x * PITH_EXP_LOG2E);
    float r = fmaf(n, -PITH_EXP_LN2_HIGH, x);
    r = fmaf(n, -PITH_EXP_LN2_LOW, r);
    float p = fmaf(PITH_EXP_C6, r, PITH_EXP_C5);
    p = fmaf(p, r, PITH_EXP_C4);
    p = fmaf(p, r, PITH_EXP_C3);
    p = fmaf(p, r, PITH_EXP_C2);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    uint32_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (uint32_t)(int32_t)n << 23;
    memcpy(&p, &bits, sizeof p);
    return p;
}

void pith_exp_scalar(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i++) {
        y[i] = pith_exp(x[i]);
    }
}
