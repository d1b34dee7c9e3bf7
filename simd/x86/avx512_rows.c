/* Row operations for AVX-512: RMSNorm, activation quantisation, RoPE, SwiGLU, conversion, exp.
 * Contracts and formulas are in simd/kernels.h. */
#include "simd/blocks.h"
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* 1 / sqrt(mean(x^2) + eps). */
static float rms_factor(const float *x, float eps, size_t n) {
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        sum = _mm512_fmadd_ps(v, v, sum);
    }
    return 1.0f / sqrtf(lanes_sum(sum) / (float)n + eps);
}

static void scale_row(const float *x, const float *w, float factor, size_t n, float *y) {
    const __m512 r = _mm512_set1_ps(factor);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), r);
        _mm512_mask_storeu_ps(y + i, m, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(m, w + i)));
    }
}

void pith_rmsnorm_avx512(const float *x, const float *w, float eps, size_t n, float *y) {
    scale_row(x, w, rms_factor(x, eps, n), n, y);
}

/* The largest of magnitudes as floats; NaN when there is one, because they compare as integers. */
static float largest_of(__m512i magnitudes) {
    uint32_t bits = (uint32_t)_mm512_reduce_max_epu32(magnitudes);
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

PITH_INLINE __m512i magnitudes_of(__m512 v) {
    return _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32(0x7fffffff));
}

/* Codes are within [-127, 127] as they are: |x| (127 / a) < 127.5 for |x| <= a. */
PITH_INLINE __m512i store_codes(__m512 v, __m512 inverse, int8_t *codes) {
    __m512i code = _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse));
    _mm_storeu_si128((__m128i *)codes, _mm512_cvtepi32_epi8(code));
    return code;
}

/* The scale of a group that has no codes: zeros, or something not finite. */
static float no_codes(float a, size_t n, int8_t *codes) {
    memset(codes, 0, n);
    return a < PITH_QUANTIZE_MIN ? 0.0f : NAN;
}

static bool has_codes(float a) {
    return a >= PITH_QUANTIZE_MIN && a <= 0x1.fffffep127f;
}

/* quantize_group for n elements (a constant, 64 to 256 by 64), which stay in registers. */
PITH_INLINE float quantize_whole(const float *x, size_t n, int8_t *codes, int32_t *sum) {
    __m512 v[PITH_INT4_GROUP / 16];
    __m512i largest[4];
    PITH_UNROLL
    for (size_t i = 0; i < n / 16; i++) {
        v[i] = _mm512_loadu_ps(x + i * 16);
        __m512i magnitudes = magnitudes_of(v[i]);
        largest[i % 4] = i < 4 ? magnitudes : _mm512_max_epu32(largest[i % 4], magnitudes);
    }
    largest[0] = _mm512_max_epu32(largest[0], largest[1]);
    largest[2] = _mm512_max_epu32(largest[2], largest[3]);
    float a = largest_of(_mm512_max_epu32(largest[0], largest[2]));
    *sum = 0;
    if (!has_codes(a)) {
        return no_codes(a, n, codes);
    }
    const __m512 inverse = _mm512_set1_ps(127.0f / a);
    __m512i total = _mm512_setzero_si512();
    PITH_UNROLL
    for (size_t i = 0; i < n / 16; i++) {
        total = _mm512_add_epi32(total, store_codes(v[i], inverse, codes + i * 16));
    }
    *sum = _mm512_reduce_add_epi32(total);
    return a / 127.0f;
}

/* Writes 16 codes at a time: up to n rounded up to 16, zeros after n. Returns the scale. */
static float quantize_group(const float *x, size_t n, int8_t *codes, int32_t *sum) {
    if (n == PITH_INT8_GROUP) {
        return quantize_whole(x, PITH_INT8_GROUP, codes, sum);
    }
    if (n == PITH_INT4_GROUP) {
        return quantize_whole(x, PITH_INT4_GROUP, codes, sum);
    }
    __m512i largest = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        largest = _mm512_max_epu32(largest, magnitudes_of(v));
    }
    float a = largest_of(largest);
    *sum = 0;
    if (!has_codes(a)) {
        return no_codes(a, n, codes);
    }
    const __m512 inverse = _mm512_set1_ps(127.0f / a);
    __m512i total = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(first_lanes(n - i), x + i);
        total = _mm512_add_epi32(total, store_codes(v, inverse, codes + i));
    }
    *sum = _mm512_reduce_add_epi32(total);
    return a / 127.0f;
}

/* Sums of four neighbouring codes, 16 of them. */
static __m512i sums_of_four(const int8_t *codes) {
    __m512i pairs = _mm512_maddubs_epi16(_mm512_set1_epi8(1), _mm512_loadu_si512(codes));
    return _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}

/* Zeroes the codes after n and writes the offsets of blocks. */
static void finish_row(int8_t *codes, size_t n, int32_t *block_offset) {
    const __m512i first_of_four = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12, 8, 4, 0);
    size_t padded = pith_groups(n, PITH_INT4_GROUP) * PITH_INT4_GROUP;
    memset(codes + n, 0, padded - n);
    if (block_offset == NULL) {
        return;
    }
    for (size_t i = 0; i < padded; i += 64) {
        __m512i sum = sums_of_four(codes + i);
        sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_CDAB));
        sum = _mm512_add_epi32(sum, _mm512_shuffle_epi32(sum, _MM_PERM_BADC));
        sum = _mm512_mullo_epi32(sum, _mm512_set1_epi32(-PITH_INT4_OFFSET));
        sum = _mm512_permutexvar_epi32(first_of_four, sum);
        _mm_storeu_si128((__m128i *)(block_offset + i / PITH_INT4_BLOCK),
                         _mm512_castsi512_si128(sum));
    }
}

void pith_quantize_avx512(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                          int32_t *group_offset, int32_t *block_offset) {
    for (size_t begin = 0; begin < n; begin += group) {
        size_t count = n - begin < group ? n - begin : group;
        int32_t sum;
        scales[begin / group] = quantize_group(x + begin, count, codes + begin, &sum);
        group_offset[begin / group] = -PITH_INT8_OFFSET * sum;
    }
    finish_row(codes, n, block_offset);
}

void pith_rmsnorm_quantize_avx512(const float *x, const float *w, float eps, size_t n, size_t group,
                                  int8_t *codes, float *scales, int32_t *group_offset,
                                  int32_t *block_offset) {
    float factor = rms_factor(x, eps, n);
    for (size_t begin = 0; begin < n; begin += group) {
        float normal[PITH_INT4_GROUP];
        size_t count = n - begin < group ? n - begin : group;
        scale_row(x + begin, w + begin, factor, count, normal);
        int32_t sum;
        scales[begin / group] = quantize_group(normal, count, codes + begin, &sum);
        group_offset[begin / group] = -PITH_INT8_OFFSET * sum;
    }
    finish_row(codes, n, block_offset);
}

void pith_rope_avx512(float *x, size_t n_heads, size_t head_dim, const float *cos,
                      const float *sin) {
    size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *head = x + h * head_dim;
        for (size_t i = 0; i < half; i += 16) {
            __mmask16 m = first_lanes(half - i);
            __m512 a = _mm512_maskz_loadu_ps(m, head + i);
            __m512 b = _mm512_maskz_loadu_ps(m, head + half + i);
            __m512 c = _mm512_maskz_loadu_ps(m, cos + i);
            __m512 s = _mm512_maskz_loadu_ps(m, sin + i);
            _mm512_mask_storeu_ps(head + i, m, _mm512_fnmadd_ps(b, s, _mm512_mul_ps(a, c)));
            _mm512_mask_storeu_ps(head + half + i, m, _mm512_fmadd_ps(a, s, _mm512_mul_ps(b, c)));
        }
    }
}

void pith_swiglu_avx512(const float *gate_up, float *out, size_t n_tiles) {
    for (size_t t = 0; t < n_tiles; t++) {
        __m512 g = _mm512_loadu_ps(gate_up + t * 2 * PITH_TILE_ROWS);
        __m512 u = _mm512_loadu_ps(gate_up + t * 2 * PITH_TILE_ROWS + PITH_TILE_ROWS);
        __m512 e = exp_16(_mm512_xor_ps(g, _mm512_set1_ps(-0.0f)));
        __m512 silu = _mm512_div_ps(g, _mm512_add_ps(_mm512_set1_ps(1.0f), e));
        _mm512_storeu_ps(out + t * PITH_TILE_ROWS, _mm512_mul_ps(silu, u));
    }
}

void pith_f32_to_f16_avx512(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, x + i);
        v = _mm512_min_ps(_mm512_set1_ps(65504.0f), v);
        v = _mm512_max_ps(_mm512_set1_ps(-65504.0f), v);
        __m256i half = _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm256_mask_storeu_epi16(y + i, m, half);
    }
}

void pith_exp_avx512(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        _mm512_mask_storeu_ps(y + i, m, exp_16(_mm512_maskz_loadu_ps(m, x + i)));
    }
}
