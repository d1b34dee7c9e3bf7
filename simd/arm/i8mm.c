/* The NEON table with the int8 matrix instructions for the integer products. */
#include "simd/arm/i8mm.h"
#include "simd/arm/dot.h"
#include "simd/arm/neon.h"

const pith_kernels pith_kernels_neon_i8mm = {
    .name = "neon-i8mm",
    .product = {[PITH_TYPE_F32] = pith_product_f32_neon,
                [PITH_TYPE_F16] = pith_product_f16_neon,
                [PITH_TYPE_BF16] = pith_product_bf16_neon,
                [PITH_TYPE_INT8] = pith_product_int8_i8mm,
                [PITH_TYPE_INT4] = pith_product_int4_i8mm},
    .rmsnorm = pith_rmsnorm_neon,
    .quantize = pith_quantize_neon,
    .rmsnorm_quantize = pith_rmsnorm_quantize_neon,
    .rope = pith_rope_neon,
    .swiglu = pith_swiglu_neon,
    .f32_to_f16 = pith_f32_to_f16_neon,
    .dot_int8 = pith_dot_int8_dot,
    .dot_f32 = pith_dot_f32_neon,
    .scores_f32 = pith_scores_f32_neon,
    .scores_f16 = pith_scores_f16_neon,
    .scores_int8 = pith_scores_int8_neon,
    .softmax = pith_softmax_neon,
    .values_f32 = pith_values_f32_neon,
    .values_f16 = pith_values_f16_neon,
    .values_int8 = pith_values_int8_neon,
    .multiply = pith_multiply_neon,
    .blend = pith_blend_neon,
    .exp = pith_exp_neon,
    .add_layernorm = pith_add_layernorm_neon,
    .bias_gelu = pith_bias_gelu_neon,
    .key_blocks = pith_key_blocks_neon,
    .affine = pith_affine_neon,
};
