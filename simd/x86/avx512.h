/* The AVX-512 kernels (F, BW, VL, DQ), one declaration for each entry of the table in
 * simd/kernels.h. */
#ifndef PITH_SIMD_AVX512_H
#define PITH_SIMD_AVX512_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx512;

/* avx512_int8.c, avx512_int4.c */
pith_product_fn pith_product_int8_avx512;
pith_product_fn pith_product_int4_avx512;

/* avx512_float.c */
pith_product_fn pith_product_f32_avx512;
pith_product_fn pith_product_f16_avx512;
pith_product_fn pith_product_bf16_avx512;

/* avx512_rows.c */
pith_rmsnorm_fn pith_rmsnorm_avx512;
pith_quantize_fn pith_quantize_avx512;
pith_rmsnorm_quantize_fn pith_rmsnorm_quantize_avx512;
pith_rope_fn pith_rope_avx512;
pith_swiglu_fn pith_swiglu_avx512;
pith_f32_to_f16_fn pith_f32_to_f16_avx512;
pith_exp_fn pith_exp_avx512;

/* avx512_similarity.c */
pith_dot_int8_fn pith_dot_int8_avx512;
pith_dot_f32_fn pith_dot_f32_avx512;

/* avx512_attention.c */
pith_scores_f32_fn pith_scores_f32_avx512;
pith_scores_f16_fn pith_scores_f16_avx512;
pith_scores_int8_fn pith_scores_int8_avx512;
pith_softmax_fn pith_softmax_avx512;
pith_values_f32_fn pith_values_f32_avx512;
pith_values_f16_fn pith_values_f16_avx512;
pith_values_int8_fn pith_values_int8_avx512;
pith_multiply_fn pith_multiply_avx512;
pith_blend_fn pith_blend_avx512;

/* avx512_encoder.c */
pith_add_layernorm_fn pith_add_layernorm_avx512;
pith_bias_gelu_fn pith_bias_gelu_avx512;
pith_key_blocks_fn pith_key_blocks_avx512;
pith_affine_fn pith_affine_avx512;

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
