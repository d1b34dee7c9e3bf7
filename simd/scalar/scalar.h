/* The scalar kernels, one declaration per entry of the table in simd/kernels.h. The vector tables
 * have theirs in simd/x86/avx2.h, simd/x86/avx512.h and simd/x86/vnni.h. */
#ifndef PITH_SIMD_SCALAR_H
#define PITH_SIMD_SCALAR_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_scalar;

/* scalar_product.c */
void pith_product_f32_scalar(const pith_product *product);
void pith_product_f16_scalar(const pith_product *product);
void pith_product_bf16_scalar(const pith_product *product);
void pith_product_int8_scalar(const pith_product *product);
void pith_product_int4_scalar(const pith_product *product);

/* scalar_rows.c */
void pith_rmsnorm_scalar(const float *x, const float *w, float eps, size_t n, float *y);
void pith_quantize_scalar(const float *x, size_t n, size_t group, int8_t *codes, float *scales,
                          int32_t *group_offset, int32_t *block_offset);
void pith_rmsnorm_quantize_scalar(const float *x, const float *w, float eps, size_t n, size_t group,
                                  int8_t *codes, float *scales, int32_t *group_offset,
                                  int32_t *block_offset);
void pith_rope_scalar(float *x, size_t n_heads, size_t head_dim, const float *cos,
                      const float *sin);
void pith_swiglu_scalar(const float *gate_up, float *out, size_t n_tiles);
void pith_f32_to_f16_scalar(const float *x, uint16_t *y, size_t n);
void pith_exp_scalar(const float *x, float *y, size_t n);

/* scalar_similarity.c */
int32_t pith_dot_int8_scalar(const int8_t *a, const int8_t *b, size_t n);
double pith_dot_f32_scalar(const float *a, const float *b, size_t n);

/* scalar_attention.c */
void pith_scores_f32_scalar(const float *q, size_t n_q, size_t head_dim, const float *k,
                            size_t n_blocks, float *s, size_t s_stride);
void pith_scores_f16_scalar(const float *q, size_t n_q, size_t head_dim, const uint16_t *k,
                            size_t n_blocks, float *s, size_t s_stride);
void pith_scores_int8_scalar(const float *q, size_t n_q, size_t head_dim, const int8_t *k,
                             size_t n_blocks, float *s, size_t s_stride);
void pith_softmax_scalar(float *s, size_t begin, size_t end, size_t n, float *max, float *sum);
void pith_values_f32_scalar(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const float *v, float *o);
void pith_values_f16_scalar(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                            size_t head_dim, const uint16_t *v, float *o);
void pith_values_int8_scalar(const float *p, size_t p_stride, size_t n_q, size_t n_keys,
                             size_t head_dim, const int8_t *v, float *o);
void pith_multiply_scalar(float *x, const float *factors, size_t n);
void pith_blend_scalar(float *x, float a, const float *y, float b, size_t n);

/* scalar_encoder.c */
void pith_add_layernorm_scalar(float *x, const float *y, const float *bias, const float *w,
                               const float *b, float eps, size_t n);
void pith_bias_gelu_scalar(float *x, const float *bias, size_t n);
void pith_key_blocks_scalar(const float *x, size_t stride, size_t n_keys, size_t head_dim,
                            float *k);
void pith_affine_scalar(const float *x, float scale, const float *shift, size_t n, float *y);

#endif
