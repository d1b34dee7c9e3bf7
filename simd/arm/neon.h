/* The NEON kernels (AArch64 baseline), one declaration for each entry of the table in
 * simd/kernels.h.
 */
#ifndef PITH_SIMD_NEON_H
#define PITH_SIMD_NEON_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_neon;

/* neon_packed.c */
pith_product_fn pith_product_int8_neon;
pith_product_fn pith_product_int4_neon;

/* neon_float.c */
pith_product_fn pith_product_f32_neon;
pith_product_fn pith_product_f16_neon;
pith_product_fn pith_product_bf16_neon;

/* neon_rows.c */
pith_rmsnorm_fn pith_rmsnorm_neon;
pith_quantize_fn pith_quantize_neon;
pith_rmsnorm_quantize_fn pith_rmsnorm_quantize_neon;
pith_rope_fn pith_rope_neon;
pith_swiglu_fn pith_swiglu_neon;
pith_f32_to_f16_fn pith_f32_to_f16_neon;
pith_exp_fn pith_exp_neon;

/* neon_similarity.c */
pith_dot_int8_fn pith_dot_int8_neon;
pith_dot_f32_fn pith_dot_f32_neon;

/* neon_attention.c */
pith_scores_f32_fn pith_scores_f32_neon;
pith_scores_f16_fn pith_scores_f16_neon;
pith_scores_int8_fn pith_scores_int8_neon;
pith_softmax_fn pith_softmax_neon;
pith_values_f32_fn pith_values_f32_neon;
pith_values_f16_fn pith_values_f16_neon;
pith_values_int8_fn pith_values_int8_neon;
pith_multiply_fn pith_multiply_neon;
pith_blend_fn pith_blend_neon;

/* neon_encoder.c */
pith_add_layernorm_fn pith_add_layernorm_neon;
pith_bias_gelu_fn pith_bias_gelu_neon;
pith_key_blocks_fn pith_key_blocks_neon;
pith_affine_fn pith_affine_neon;

#endif
