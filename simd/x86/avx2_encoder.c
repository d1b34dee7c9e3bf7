/* What only encoders need, for AVX2: LayerNorm of a residual sum, GELU, and keys in blocks.
 * Contracts and formulas are in simd/kernels.h. */
#include "simd/gelu.h"
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_vector.h"

#include <math.h>

void pith_add_layernorm_avx2(float *x, const float *y, const float *bias, const float *w,
                             const float *b, float eps, size_t n) {
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256 squares[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 v = _mm256_add_ps(_mm256_maskload_ps(y + i, m), _mm256_maskload_ps(bias + i, m));
        v = _mm256_add_ps(_mm256_maskload_ps(x + i, m), v);
        _mm256_maskstore_ps(x + i, m, v);
        sum[i / 8 % 2] = _mm256_add_ps(sum[i / 8 % 2], v);
    }
    const __m256 mean = _mm256_set1_ps(lanes_sum(sum[0], sum[1]) / (float)n);
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 d = _mm256_sub_ps(_mm256_maskload_ps(x + i, m), mean);
        d = _mm256_and_ps(d, _mm256_castsi256_ps(m));
        squares[i / 8 % 2] = _mm256_fmadd_ps(d, d, squares[i / 8 % 2]);
    }
    const float variance = lanes_sum(squares[0], squares[1]) / (float)n;
    const __m256 r = _mm256_set1_ps(1.0f / sqrtf(variance + eps));
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 d = _mm256_sub_ps(_mm256_maskload_ps(x + i, m), mean);
        __m256 v = _mm256_fmadd_ps(_mm256_mul_ps(d, r), _mm256_maskload_ps(w + i, m),
                                   _mm256_maskload_ps(b + i, m));
        _mm256_maskstore_ps(x + i, m, v);
    }
}

/* max and min return their second operand when one is NaN, so NaN passes. */
PITH_INLINE __m256 gelu_8(__m256 v) {
    __m256 x = _mm256_max_ps(_mm256_set1_ps(-PITH_GELU_BOUND), v);
    x = _mm256_min_ps(_mm256_set1_ps(PITH_GELU_BOUND), x);
    __m256 s = _mm256_mul_ps(x, x);
    __m256 p = _mm256_set1_ps(PITH_GELU_P5);
    __m256 q = _mm256_set1_ps(PITH_GELU_Q5);
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(PITH_GELU_P4));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(PITH_GELU_Q4));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(PITH_GELU_P3));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(PITH_GELU_Q3));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(PITH_GELU_P2));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(PITH_GELU_Q2));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(PITH_GELU_P1));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(PITH_GELU_Q1));
    p = _mm256_fmadd_ps(p, s, _mm256_set1_ps(PITH_GELU_P0));
    q = _mm256_fmadd_ps(q, s, _mm256_set1_ps(1.0f));
    __m256 h = _mm256_div_ps(_mm256_mul_ps(x, p), q);
    h = _mm256_max_ps(_mm256_set1_ps(-0.5f), h);
    h = _mm256_min_ps(_mm256_set1_ps(0.5f), h);
    return _mm256_mul_ps(v, _mm256_add_ps(_mm256_set1_ps(0.5f), h));
}

void pith_bias_gelu_avx2(float *x, const float *bias, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 v = _mm256_add_ps(_mm256_maskload_ps(x + i, m), _mm256_maskload_ps(bias + i, m));
        _mm256_maskstore_ps(x + i, m, gelu_8(v));
    }
}

/* Transposes 8 x 8 floats. */
PITH_INLINE void transpose_8(__m256 *v) {
    __m256 t[8];
    PITH_UNROLL
    for (size_t i = 0; i < 8; i += 4) {
        __m256 a = _mm256_unpacklo_ps(v[i], v[i + 1]);
        __m256 b = _mm256_unpackhi_ps(v[i], v[i + 1]);
        __m256 c = _mm256_unpacklo_ps(v[i + 2], v[i + 3]);
        __m256 d = _mm256_unpackhi_ps(v[i + 2], v[i + 3]);
        t[i] = _mm256_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    PITH_UNROLL
    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
        v[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
}

void pith_key_blocks_avx2(const float *x, size_t stride, size_t n_keys, size_t head_dim, float *k) {
    for (size_t j = 0; j < (n_keys + 15) / 16 * 16; j += 8) {
        float *block = k + j / 16 * 16 * head_dim + j % 16;
        for (size_t d = 0; d < head_dim; d += 8) {
            __m256i m = first_lanes(head_dim - d);
            __m256 v[8];
            PITH_UNROLL
            for (size_t r = 0; r < 8; r++) {
                v[r] = j + r < n_keys ? _mm256_maskload_ps(x + (j + r) * stride + d, m)
                                      : _mm256_setzero_ps();
            }
            transpose_8(v);
            PITH_UNROLL
            for (size_t r = 0; r < 8; r++) {
                if (d + r < head_dim) {
                    _mm256_storeu_ps(block + (d + r) * 16, v[r]);
                }
            }
        }
    }
}

void pith_affine_avx2(const float *x, float scale, const float *shift, size_t n, float *y) {
    const __m256 factor = _mm256_set1_ps(scale);
    for (size_t i = 0; i < n; i += 8) {
        __m256i m = first_lanes(n - i);
        __m256 v = _mm256_maskload_ps(x + i, m);
        _mm256_maskstore_ps(y + i, m, _mm256_fmadd_ps(v, factor, _mm256_maskload_ps(shift + i, m)));
    }
}
