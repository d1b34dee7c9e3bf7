/* The AVX-512 kernels (F, BW, VL, DQ), one declaration per entry of the table in simd/kernels.h. */
#ifndef PITH_SIMD_AVX512_H
#define PITH_SIMD_AVX512_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx512;

/* avx512_int8.c, avx512_int4.c */
void pith_product_int8_avx512(const pith_product *product);
void pith_product_int4_avx512(const pith_product *product);

/* avx512_float.c */
void pith_product_f32_avx512(const pith_product *product);
void pith_product_f16_avx512(const pith_product *product);
void pith_product_bf16_avx512(const pith_product *product);

/* avx512_rows.c */
void pith_rmsnorm_avx512(const float *x, const float *w, float eps, size_t n, float *y);
void pith_quantize_avx512(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                          int32_t *group_offset, int32_t *block_offset);
void pith_rmsnorm_quantize_avx512(const float *x, const float *w, float eps, size_t n, size_t group,
                                  int8_t *codes, float *scales, int32_t *group_offset,
                                  int32_t *block_offset);
void pith_rope_avx512(float *x, size_t n_heads, size_t head_dim, const float *cos,
                      const float *sin);
void pith_swiglu_avx512(const float *gate_up, float *out, size_t n_tiles);
void pith_f32_to_f16_avx512(const float *x, uint16_t *y, size_t n);
void pith_exp_avx512(const float *x, float *y, size_t n);

/* avx512_similarity.c */
int32_t pith_dot_int8_avx512(const int8_t *a, const int8_t *b, size_t n);
double pith_dot_f32_avx512(const float *a, const float *b, size_t n);

/* avx512_attention.c */
void pith_scores_f32_avx512(const float *q, size_t n_q, size_t head_dim, const float *k,
                            size_t n_blocks, float *s, size_t s_stride);
void pith_scores_f16_avx512(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                            size_t n_blocks, float *s, size_t s_stride);
void pith_scores_int8_avx512(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                             size_t n_blocks, float *s, size_t s_stride);
void pith_softmax_avx512(float *s, size_t begin, size_t end, size_t n, float *max, float *sum);
void pith_values_f32_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const float *v, float *o);
void pith_values_f16_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const uint16_t *v, float *o);
void pith_values_int8_avx512(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const int8_t *v, float *o);
void pith_multiply_avx512(float *x, const float *factors, size_t n);
void pith_blend_avx512(float *x, float a, const float *y, float b, size_t n);

/* avx512_encoder.c */
void pith_add_layernorm_avx512(float *x, const float *y, const float *bias, const float *w,
                               const float *b, float eps, size_t n);
void pith_bias_gelu_avx512(float *x, const float *bias, size_t n);
void pith_key_blocks_avx512(const float *x, size_t stride, size_t n_keys, size_t head_dim,
                            float *k);
void pith_affine_avx512(const float *x, float scale, const float *shift, size_t n, float *y);

/* The entries that every table built on AVX-512 shares. */
#define PITH_AVX512_ENTRIES                                                               \
    .rmsnorm = pith_rmsnorm_avx512, .quantize = pith_quantize_avx512,                     \
    .rmsnorm_quantize = pith_rmsnorm_quantize_avx512, .rope = pith_rope_avx512,           \
    .swiglu = pith_swiglu_avx512, .f32_to_f16 = pith_f32_to_f16_avx512,                   \
    .dot_f32 = pith_dot_f32_avx512, .scores_f32 = pith_scores_f32_avx512,                 \
    .scores_f16 = pith_scores_f16_avx512, .scores_int8 = pith_scores_int8_avx512,         \
    .softmax = pith_softmax_avx512, .values_f32 = pith_values_f32_avx512,                 \
    .values_f16 = pith_values_f16_avx512, .values_int8 = pith_values_int8_avx512,         \
    .multiply = pith_multiply_avx512, .blend = pith_blend_avx512, .exp = pith_exp_avx512, \
    .add_layernorm = pith_add_layernorm_avx512, .bias_gelu = pith_bias_gelu_avx512,       \
    .key_blocks = pith_key_blocks_avx512, .affine = pith_affine_avx512

#endif
