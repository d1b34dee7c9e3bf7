/* The AVX-512 VNNI table: the AVX-512 one with integer products of its own. */
#include "simd/vnni.h"
#include "simd/avx512.h"

const pith_kernels pith_kernels_avx512_vnni = {
    .name = "avx512-vnni",
    .product = {[PITH_TYPE_F32] = pith_product_f32_avx512,
                [PITH_TYPE_F16] = pith_product_f16_avx512,
                [PITH_TYPE_BF16] = pith_product_bf16_avx512,
                [PITH_TYPE_INT8] = pith_product_int8_vnni,
                [PITH_TYPE_INT4] = pith_product_int4_vnni},
    .rmsnorm = pith_rmsnorm_avx512,
    .quantize = pith_quantize_avx512,
    .rmsnorm_quantize = pith_rmsnorm_quantize_avx512,
    .rope = pith_rope_avx512,
    .swiglu = pith_swiglu_avx512,
    .f32_to_f16 = pith_f32_to_f16_avx512,
    .dot_int8 = pith_dot_int8_vnni,
    .dot_f32 = pith_dot_f32_avx512,
    .scores_f32 = pith_scores_f32_avx512,
    .scores_f16 = pith_scores_f16_avx512,
    .scores_int8 = pith_scores_int8_avx512,
    .softmax = pith_softmax_avx512,
    .values_f32 = pith_values_f32_avx512,
    .values_f16 = pith_values_f16_avx512,
    .values_int8 = pith_values_int8_avx512,
    .multiply = pith_multiply_avx512,
    .blend = pith_blend_avx512,
    .exp = pith_exp_avx512,
    .add_layernorm = pith_add_layernorm_avx512,
    .bias_gelu = pith_bias_gelu_avx512,
    .key_blocks = pith_key_blocks_avx512,
    .affine = pith_affine_avx512,
};
