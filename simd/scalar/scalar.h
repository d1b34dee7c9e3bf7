/* The scalar kernels, one declaration for each entry of the table in simd/kernels.h. The vector
 * tables have theirs in simd/x86/avx2.h, simd/x86/avx512.h and simd/x86/vnni.h. */
#ifndef PITH_SIMD_SCALAR_H
#define PITH_SIMD_SCALAR_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_scalar;

/* scalar_product.c */
pith_product_fn pith_product_f32_scalar;
pith_product_fn pith_product_f16_scalar;
pith_product_fn pith_product_bf16_scalar;
pith_product_fn pith_product_int8_scalar;
pith_product_fn pith_product_int4_scalar;

/* scalar_rows.c */
pith_rmsnorm_fn pith_rmsnorm_scalar;
pith_quantize_fn pith_quantize_scalar;
pith_rmsnorm_quantize_fn pith_rmsnorm_quantize_scalar;
pith_rope_fn pith_rope_scalar;
pith_swiglu_fn pith_swiglu_scalar;
pith_f32_to_f16_fn pith_f32_to_f16_scalar;
pith_exp_fn pith_exp_scalar;

/* scalar_similarity.c */
pith_dot_int8_fn pith_dot_int8_scalar;
pith_dot_f32_fn pith_dot_f32_scalar;

/* scalar_attention.c */
pith_scores_f32_fn pith_scores_f32_scalar;
pith_scores_f16_fn pith_scores_f16_scalar;
pith_scores_int8_fn pith_scores_int8_scalar;
pith_softmax_fn pith_softmax_scalar;
pith_values_f32_fn pith_values_f32_scalar;
pith_values_f16_fn pith_values_f16_scalar;
pith_values_int8_fn pith_values_int8_scalar;
pith_multiply_fn pith_multiply_scalar;
pith_blend_fn pith_blend_scalar;

/* scalar_encoder.c */
pith_add_layernorm_fn pith_add_layernorm_scalar;
pith_bias_gelu_fn pith_bias_gelu_scalar;
pith_key_blocks_fn pith_key_blocks_scalar;
pith_affine_fn pith_affine_scalar;

#endif
