/* The AVX2 kernels (with FMA and F16C), one declaration for each entry of the table in
 * simd/kernels.h.
 */
#ifndef PITH_SIMD_AVX2_H
#define PITH_SIMD_AVX2_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx2;

/* avx2_int8.c, avx2_int4.c */
pith_product_fn pith_product_int8_avx2;
pith_product_fn pith_product_int4_avx2;

/* avx2_float.c */
pith_product_fn pith_product_f32_avx2;
pith_product_fn pith_product_f16_avx2;
pith_product_fn pith_product_bf16_avx2;

/* avx2_rows.c */
pith_rmsnorm_fn pith_rmsnorm_avx2;
pith_quantize_fn pith_quantize_avx2;
pith_rmsnorm_quantize_fn pith_rmsnorm_quantize_avx2;
pith_rope_fn pith_rope_avx2;
pith_swiglu_fn pith_swiglu_avx2;
pith_f32_to_f16_fn pith_f32_to_f16_avx2;
pith_exp_fn pith_exp_avx2;

/* avx2_similarity.c */
pith_dot_int8_fn pith_dot_int8_avx2;
pith_dot_f32_fn pith_dot_f32_avx2;

/* avx2_attention.c */
pith_scores_f32_fn pith_scores_f32_avx2;
pith_scores_f16_fn pith_scores_f16_avx2;
pith_scores_int8_fn pith_scores_int8_avx2;
pith_softmax_fn pith_softmax_avx2;
pith_values_f32_fn pith_values_f32_avx2;
pith_values_f16_fn pith_values_f16_avx2;
pith_values_int8_fn pith_values_int8_avx2;
pith_multiply_fn pith_multiply_avx2;
pith_blend_fn pith_blend_avx2;

/* avx2_encoder.c */
pith_add_layernorm_fn pith_add_layernorm_avx2;
pith_bias_gelu_fn pith_bias_gelu_avx2;
pith_key_blocks_fn pith_key_blocks_avx2;
pith_affine_fn pith_affine_avx2;

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
