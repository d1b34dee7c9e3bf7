/* What only encoders need, for AVX-512: LayerNorm of a residual sum, GELU, and keys in blocks.
 * Contracts and formulas are in simd/kernels.h. */
#include "simd/gelu.h"
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

#include <math.h>

/* The steps of a LayerNorm for the lanes of a mask; all of them in whole vectors, where the mask is
 * a constant and costs nothing. */
PITH_INLINE __m512 add_16(float *x, const float *y, const float *bias, __mmask16 m, __m512 sum) {
    __m512 v = _mm512_add_ps(_mm512_maskz_loadu_ps(m, y), _mm512_maskz_loadu_ps(m, bias));
    v = _mm512_add_ps(_mm512_maskz_loadu_ps(m, x), v);
    _mm512_mask_storeu_ps(x, m, v);
    return _mm512_add_ps(sum, v);
}

PITH_INLINE __m512 square_16(const float *x, __mmask16 m, __m512 mean, __m512 squares) {
    __m512 d = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, x), mean);
    return _mm512_fmadd_ps(d, d, squares);
}

PITH_INLINE void norm_16(float *x, const float *w, const float *b, __mmask16 m, __m512 mean,
                         __m512 r) {
    __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(m, x), mean);
    __m512 v = _mm512_fmadd_ps(_mm512_mul_ps(d, r), _mm512_maskz_loadu_ps(m, w),
                               _mm512_maskz_loadu_ps(m, b));
    _mm512_mask_storeu_ps(x, m, v);
}

void pith_add_layernorm_avx512(float *x, const float *y, const float *bias, const float *w,
                               const float *b, float eps, size_t n) {
    const size_t whole = n / 16 * 16;
    const __mmask16 rest = first_lanes(n - whole);
    __m512 sum = _mm512_setzero_ps();
    __m512 squares = _mm512_setzero_ps();
#pragma GCC unroll 4
    for (size_t i = 0; i < whole; i += 16) {
        sum = add_16(x + i, y + i, bias + i, 0xffff, sum);
    }
    if (whole < n) {
        sum = add_16(x + whole, y + whole, bias + whole, rest, sum);
    }
    const __m512 mean = _mm512_set1_ps(lanes_sum(sum) / (float)n);
#pragma GCC unroll 4
    for (size_t i = 0; i < whole; i += 16) {
        squares = square_16(x + i, 0xffff, mean, squares);
    }
    if (whole < n) {
        squares = square_16(x + whole, rest, mean, squares);
    }
    const __m512 r = _mm512_set1_ps(1.0f / sqrtf(lanes_sum(squares) / (float)n + eps));
#pragma GCC unroll 4
    for (size_t i = 0; i < whole; i += 16) {
        norm_16(x + i, w + i, b + i, 0xffff, mean, r);
    }
    if (whole < n) {
        norm_16(x + whole, w + whole, b + whole, rest, mean, r);
    }
}

/* max and min return their second operand when one is NaN, so NaN passes. */
PITH_INLINE __m512 gelu_16(__m512 v) {
    __m512 x = _mm512_max_ps(_mm512_set1_ps(-PITH_GELU_BOUND), v);
    x = _mm512_min_ps(_mm512_set1_ps(PITH_GELU_BOUND), x);
    __m512 s = _mm512_mul_ps(x, x);
    __m512 p = _mm512_set1_ps(PITH_GELU_P5);
    __m512 q = _mm512_set1_ps(PITH_GELU_Q5);
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(PITH_GELU_P4));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(PITH_GELU_Q4));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(PITH_GELU_P3));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(PITH_GELU_Q3));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(PITH_GELU_P2));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(PITH_GELU_Q2));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(PITH_GELU_P1));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(PITH_GELU_Q1));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(PITH_GELU_P0));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(1.0f));
    __m512 h = _mm512_div_ps(_mm512_mul_ps(x, p), q);
    h = _mm512_max_ps(_mm512_set1_ps(-0.5f), h);
    h = _mm512_min_ps(_mm512_set1_ps(0.5f), h);
    return _mm512_mul_ps(v, _mm512_add_ps(_mm512_set1_ps(0.5f), h));
}

void pith_bias_gelu_avx512(float *x, const float *bias, size_t n) {
    size_t i = 0;
    for (; i + 32 <= n; i += 32) { /* two at a time: gelu is one long chain of operations */
        __m512 v[2];
        PITH_UNROLL
        for (size_t j = 0; j < 2; j++) {
            v[j] = gelu_16(
                _mm512_add_ps(_mm512_loadu_ps(x + i + j * 16), _mm512_loadu_ps(bias + i + j * 16)));
        }
        _mm512_storeu_ps(x + i, v[0]);
        _mm512_storeu_ps(x + i + 16, v[1]);
    }
    for (; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v =
            _mm512_add_ps(_mm512_maskz_loadu_ps(m, x + i), _mm512_maskz_loadu_ps(m, bias + i));
        _mm512_mask_storeu_ps(x + i, m, gelu_16(v));
    }
}

/* Transposes 16 x 16 floats: row j, lane d to row d, lane j. */
PITH_INLINE void transpose_16(__m512 *v) {
    __m512 t[16];
    PITH_UNROLL
    for (size_t i = 0; i < 16; i += 4) { /* 4 x 4 within the quarters of four rows */
        __m512 a = _mm512_unpacklo_ps(v[i], v[i + 1]);
        __m512 b = _mm512_unpackhi_ps(v[i], v[i + 1]);
        __m512 c = _mm512_unpacklo_ps(v[i + 2], v[i + 3]);
        __m512 d = _mm512_unpackhi_ps(v[i + 2], v[i + 3]);
        t[i] = _mm512_shuffle_ps(a, c, 0x44);
        t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
        t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
        t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    PITH_UNROLL
    for (size_t i = 0; i < 4; i++) { /* then the quarters themselves */
        __m512 a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
        __m512 b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        __m512 c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        __m512 d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        v[i] = _mm512_shuffle_f32x4(a, c, 0x88);
        v[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
        v[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
        v[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
}

void pith_key_blocks_avx512(const float *x, size_t stride, size_t n_keys, size_t head_dim,
                            float *k) {
    for (size_t j = 0; j < n_keys; j += 16) {
        for (size_t d = 0; d < head_dim; d += 16) {
            __mmask16 m = first_lanes(head_dim - d);
            __m512 v[16];
            PITH_UNROLL
            for (size_t r = 0; r < 16; r++) {
                v[r] = j + r < n_keys ? _mm512_maskz_loadu_ps(m, x + (j + r) * stride + d)
                                      : _mm512_setzero_ps();
            }
            transpose_16(v);
            PITH_UNROLL
            for (size_t r = 0; r < 16; r++) {
                if (d + r < head_dim) {
                    _mm512_storeu_ps(k + j * head_dim + (d + r) * 16, v[r]);
                }
            }
        }
    }
}

void pith_affine_avx512(const float *x, float scale, const float *shift, size_t n, float *y) {
    const __m512 factor = _mm512_set1_ps(scale);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = first_lanes(n - i);
        __m512 v = _mm512_maskz_loadu_ps(m, x + i);
        _mm512_mask_storeu_ps(y + i, m,
                              _mm512_fmadd_ps(v, factor, _mm512_maskz_loadu_ps(m, shift + i)));
    }
}
