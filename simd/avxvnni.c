/* The AVX-VNNI table: the AVX2 one with integer products of its own. */
#include "simd/avxvnni.h"
#include "simd/avx2.h"

const pith_kernels pith_kernels_avx_vnni = {
    .name = "avx-vnni",
    .product = {[PITH_TYPE_F32] = pith_product_f32_avx2,
                [PITH_TYPE_F16] = pith_product_f16_avx2,
                [PITH_TYPE_BF16] = pith_product_bf16_avx2,
                [PITH_TYPE_INT8] = pith_product_int8_avxvnni,
                [PITH_TYPE_INT4] = pith_product_int4_avxvnni},
    .rmsnorm = pith_rmsnorm_avx2,
    .quantize = pith_quantize_avx2,
    .rmsnorm_quantize = pith_rmsnorm_quantize_avx2,
    .rope = pith_rope_avx2,
    .swiglu = pith_swiglu_avx2,
    .f32_to_f16 = pith_f32_to_f16_avx2,
    .scores_f32 = pith_scores_f32_avx2,
    .scores_f16 = pith_scores_f16_avx2,
    .scores_int8 = pith_scores_int8_avx2,
    .softmax = pith_softmax_avx2,
    .values_f32 = pith_values_f32_avx2,
    .values_f16 = pith_values_f16_avx2,
    .values_int8 = pith_values_int8_avx2,
    .multiply = pith_multiply_avx2,
    .blend = pith_blend_avx2,
    .exp = pith_exp_avx2,
    .add_layernorm = pith_add_layernorm_avx2,
    .bias_gelu = pith_bias_gelu_avx2,
    .key_blocks = pith_key_blocks_avx2,
    .affine = pith_affine_avx2,
    .dot_int8 = pith_dot_int8_avx2,
    .dot_f32 = pith_dot_f32_avx2,
};
