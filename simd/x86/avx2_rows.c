/* Row operations for AVX2: RMSNorm, activation quantisation, RoPE, SwiGLU, conversion, exp.
 * Contracts and formulas are in simd/kernels.h. */
#include "simd/blocks.h"
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_vector.h"

#include <math.h>
#include <string.h>

/* 1 / sqrt(mean(x^2) + eps). */
static float rms_factor(const float *x, float eps, size_t n) {
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_maskload_ps(x + i, first_lanes(n - i));
        sum[i / 8 % 2] = _mm256_fmadd_ps(v, v, sum[i / 8 % 2]);
    }
    return 1.0f / sqrtf(lanes_sum(sum[0], sum[1]) / (float)n + eps);
}

static void scale_row(const float *x, const float *w, float factor, size_t n, float *y) {
    const __m256 r = _mm256_set1_ps(factor);
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 v = _mm256_mul_ps(_mm256_maskload_ps(x + i, m), r);
        _mm256_maskstore_ps(y + i, m, _mm256_mul_ps(v, _mm256_maskload_ps(w + i, m)));
    }
}

void pith_rmsnorm_avx2(const float *x, const float *w, float eps, size_t n, float *y) {
    scale_row(x, w, rms_factor(x, eps, n), n, y);
}

/* The largest |x|; NaN when there is one, because magnitudes compare as integers. */
static float largest_magnitude(const float *x, size_t n) {
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256i largest = _mm256_setzero_si256();
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_and_ps(_mm256_maskload_ps(x + i, first_lanes(n - i)), magnitude);
        largest = _mm256_max_epu32(largest, _mm256_castps_si256(v));
    }
    uint32_t lanes[8];
    _mm256_storeu_si256((__m256i *)lanes, largest);
    uint32_t bits = 0;
    for (size_t i = 0; i < 8; i++) {
        bits = lanes[i] > bits ? lanes[i] : bits;
    }
    float a;
    memcpy(&a, &bits, sizeof a);
    return a;
}

PITH_INLINE __m256i code_8(const float *x, size_t n, __m256 inverse) {
    __m256 v = _mm256_maskload_ps(x, first_lanes(n));
    __m256i code = _mm256_cvtps_epi32(_mm256_mul_ps(v, inverse));
    code = _mm256_min_epi32(code, _mm256_set1_epi32(127));
    return _mm256_max_epi32(code, _mm256_set1_epi32(-127));
}

/* Writes 16 codes at a time: up to n rounded up to 16, zeros after n. Returns the scale. */
static float quantize_group(const float *x, size_t n, int8_t *codes) {
    float a = largest_magnitude(x, n);
    if (!(a >= PITH_QUANTIZE_MIN && a <= 0x1.fffffep127f)) {
        memset(codes, 0, n);
        return a < PITH_QUANTIZE_MIN ? 0.0f : NAN;
    }
    const __m256 inverse = _mm256_set1_ps(127.0f / a);
    for (size_t i = 0; i < n; i += 16) {
        __m256i low = code_8(x + i, n - i, inverse);
        __m256i high = n - i > 8 ? code_8(x + i + 8, n - i - 8, inverse) : _mm256_setzero_si256();
        __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
        __m128i bytes =
            _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storeu_si128((__m128i *)(codes + i), bytes);
    }
    return a / 127.0f;
}

/* Sum of 16 codes. */
PITH_INLINE int32_t sum_16(const int8_t *codes) {
    __m128i pairs = _mm_maddubs_epi16(_mm_set1_epi8(1), _mm_loadu_si128((const __m128i *)codes));
    __m128i fours = _mm_madd_epi16(pairs, _mm_set1_epi16(1));
    fours = _mm_add_epi32(fours, _mm_shuffle_epi32(fours, 0x4e));
    fours = _mm_add_epi32(fours, _mm_shuffle_epi32(fours, 0xb1));
    return _mm_cvtsi128_si32(fours);
}

/* Zeroes the codes after n and writes the offsets. */
static void finish_row(int8_t *codes, size_t n, size_t group, int32_t *group_offset,
                       int32_t *block_offset) {
    size_t padded = pith_groups(n, PITH_INT4_GROUP) * PITH_INT4_GROUP;
    memset(codes + n, 0, padded - n);
    for (size_t begin = 0; begin < n; begin += group) {
        int32_t sum = 0;
        for (size_t i = begin; i < begin + group; i += PITH_INT4_BLOCK) {
            sum += sum_16(codes + i);
        }
        group_offset[begin / group] = -PITH_INT8_OFFSET * sum;
    }
    if (block_offset == NULL) {
        return;
    }
    for (size_t i = 0; i < padded; i += PITH_INT4_BLOCK) {
        block_offset[i / PITH_INT4_BLOCK] = -PITH_INT4_OFFSET * sum_16(codes + i);
    }
}

void pith_quantize_avx2(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                        int32_t *group_offset, int32_t *block_offset) {
    for (size_t begin = 0; begin < n; begin += group) {
        size_t count = n - begin < group ? n - begin : group;
        scales[begin / group] = quantize_group(x + begin, count, codes + begin);
    }
    finish_row(codes, n, group, group_offset, block_offset);
}

void pith_rmsnorm_quantize_avx2(const float *x, const float *w, float eps, size_t n, size_t group,
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

void pith_rope_avx2(float *x, size_t n_heads, size_t head_dim, const float *cos, const float *sin) {
    size_t half = head_dim / 2;
    for (size_t h = 0; h < n_heads; h++) {
        float *head = x + h * head_dim;
        for (size_t i = 0; i < half; i += 8) {
            __m256i m = first_lanes(half - i);
            __m256 a = _mm256_maskload_ps(head + i, m);
            __m256 b = _mm256_maskload_ps(head + half + i, m);
            __m256 c = _mm256_maskload_ps(cos + i, m);
            __m256 s = _mm256_maskload_ps(sin + i, m);
            _mm256_maskstore_ps(head + i, m, _mm256_fnmadd_ps(b, s, _mm256_mul_ps(a, c)));
            _mm256_maskstore_ps(head + half + i, m, _mm256_fmadd_ps(a, s, _mm256_mul_ps(b, c)));
        }
    }
}

void pith_swiglu_avx2(const float *gate_up, float *out, size_t n_tiles) {
    for (size_t i = 0; i < n_tiles * PITH_TILE_ROWS; i += 8) {
        const float *gate = gate_up + i / PITH_TILE_ROWS * PITH_TILE_ROWS + i;
        __m256 g = _mm256_loadu_ps(gate);
        __m256 u = _mm256_loadu_ps(gate + PITH_TILE_ROWS);
        __m256 e = exp_8(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));
        __m256 silu = _mm256_div_ps(g, _mm256_add_ps(_mm256_set1_ps(1.0f), e));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(silu, u));
    }
}

void pith_f32_to_f16_avx2(const float *x, uint16_t *y, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        __m256 v = _mm256_maskload_ps(x + i, first_lanes(n - i));
        v = _mm256_min_ps(_mm256_set1_ps(65504.0f), v);
        v = _mm256_max_ps(_mm256_set1_ps(-65504.0f), v);
        __m128i half = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        memcpy(y + i, &half, (n - i < 8 ? n - i : 8) * sizeof *y);
    }
}

void pith_exp_avx2(const float *x, float *y, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        _mm256_maskstore_ps(y + i, m, exp_8(_mm256_maskload_ps(x + i, m)));
    }
}
