/* The table of plain C kernels: the reference that every other instruction set must match. */
#include "simd/scalar.h"

const pith_kernels pith_kernels_scalar = {
    .name = "scalar",
    .product = {[PITH_TYPE_F32] = pith_product_f32_scalar,
                [PITH_TYPE_F16] = pith_product_f16_scalar,
                [PITH_TYPE_BF16] = pith_product_bf16_scalar,
                [PITH_TYPE_INT8] = pith_product_int8_scalar,
                [PITH_TYPE_INT4] = pith_product_int4_scalar},
    .rmsnorm = pith_rmsnorm_scalar,
    .quantize = pith_quantize_scalar,
    .rmsnorm_quantize = pith_rmsnorm_quantize_scalar,
    .rope = pith_rope_scalar,
    .swiglu = pith_swiglu_scalar,
    .f32_to_f16 = pith_f32_to_f16_scalar,
    .dot_int8 = pith_dot_int8_scalar,
    .dot_f32 = pith_dot_f32_scalar,
    .scores_f32 = pith_scores_f32_scalar,
    .scores_f16 = pith_scores_f16_scalar,
    .softmax = pith_softmax_scalar,
    .values_f32 = pith_values_f32_scalar,
    .values_f16 = pith_values_f16_scalar,
    .exp = pith_exp_scalar,
    .add_layernorm = pith_add_layernorm_scalar,
    .bias_gelu = pith_bias_gelu_scalar,
    .key_blocks = pith_key_blocks_scalar,
    .affine = pith_affine_scalar,
};
