/* The AVX2 kernels (with FMA and F16C), one declaration per entry of the table in simd/kernels.h.
 */
#ifndef PITH_SIMD_AVX2_H
#define PITH_SIMD_AVX2_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx2;

/* avx2_int8.c, avx2_int4.c */
void pith_product_int8_avx2(const pith_product *product);
void pith_product_int4_avx2(const pith_product *product);

/* avx2_float.c */
void pith_product_f32_avx2(const pith_product *product);
void pith_product_f16_avx2(const pith_product *product);
void pith_product_bf16_avx2(const pith_product *product);

/* avx2_rows.c */
void pith_rmsnorm_avx2(const float *x, const float *w, float eps, size_t n, float *y);
void pith_quantize_avx2(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                        int32_t *group_offset, int32_t *block_offset);
void pith_rmsnorm_quantize_avx2(const float *x, const float *w, float eps, size_t n, size_t group,
                                int8_t *codes, float *scales, int32_t *group_offset,
                                int32_t *block_offset);
void pith_rope_avx2(float *x, size_t n_heads, size_t head_dim, const float *cos, const float *sin);
void pith_swiglu_avx2(const float *gate_up, float *out, size_t n_tiles);
void pith_f32_to_f16_avx2(const float *x, uint16_t *y, size_t n);
void pith_exp_avx2(const float *x, float *y, size_t n);

/* avx2_similarity.c */
int32_t pith_dot_int8_avx2(const int8_t *a, const int8_t *b, size_t n);
double pith_dot_f32_avx2(const float *a, const float *b, size_t n);

/* avx2_attention.c */
void pith_scores_f32_avx2(const float *q, size_t n_q, size_t head_dim, const float *k,
                          size_t n_blocks, float *s, size_t s_stride);
void pith_scores_f16_avx2(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                          size_t n_blocks, float *s, size_t s_stride);
void pith_scores_int8_avx2(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                           size_t n_blocks, float *s, size_t s_stride);
void pith_softmax_avx2(float *s, size_t begin, size_t end, size_t n, float *max, float *sum);
void pith_values_f32_avx2(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                          size_t head_dim, const float *v, float *o);
void pith_values_f16_avx2(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                          size_t head_dim, const uint16_t *v, float *o);
void pith_values_int8_avx2(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                           size_t head_dim, const int8_t *v, float *o);
void pith_multiply_avx2(float *x, const float *factors, size_t n);
void pith_blend_avx2(float *x, float a, const float *y, float b, size_t n);

/* avx2_encoder.c */
void pith_add_layernorm_avx2(float *x, const float *y, const float *bias, const float *w,
                             const float *b, float eps, size_t n);
void pith_bias_gelu_avx2(float *x, const float *bias, size_t n);
void pith_key_blocks_avx2(const float *x, size_t stride, size_t n_keys, size_t head_dim, float *k);
void pith_affine_avx2(const float *x, float scale, const float *shift, size_t n, float *y);

/* The entries that every table built on AVX2 shares. */
#define PITH_AVX2_ENTRIES                                                                         \
    .rmsnorm = pith_rmsnorm_avx2, .quantize = pith_quantize_avx2,                                 \
    .rmsnorm_quantize = pith_rmsnorm_quantize_avx2, .rope = pith_rope_avx2,                       \
    .swiglu = pith_swiglu_avx2, .f32_to_f16 = pith_f32_to_f16_avx2, .dot_f32 = pith_dot_f32_avx2, \
    .scores_f32 = pith_scores_f32_avx2, .scores_f16 = pith_scores_f16_avx2,                       \
    .scores_int8 = pith_scores_int8_avx2, .softmax = pith_softmax_avx2,                           \
    .values_f32 = pith_values_f32_avx2, .values_f16 = pith_values_f16_avx2,                       \
    .values_int8 = pith_values_int8_avx2, .multiply = pith_multiply_avx2,                         \
    .blend = pith_blend_avx2, .exp = pith_exp_avx2, .add_layernorm = pith_add_layernorm_avx2,     \
    .bias_gelu = pith_bias_gelu_avx2, .key_blocks = pith_key_blocks_avx2,                         \
    .affine = pith_affine_avx2

#endif
