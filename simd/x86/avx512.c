/* The AVX-512 table: F, BW, VL and DQ; integer products without VNNI. */
#include "simd/x86/avx512.h"

const pith_kernels pith_kernels_avx512 = {
    .name = "avx512",
    .product = {[PITH_TYPE_F32] = pith_product_f32_avx512,
                [PITH_TYPE_F16] = pith_product_f16_avx512,
                [PITH_TYPE_BF16] = pith_product_bf16_avx512,
                [PITH_TYPE_INT8] = pith_product_int8_avx512,
                [PITH_TYPE_INT4] = pith_product_int4_avx512},
    .dot_int8 = pith_dot_int8_avx512,
    PITH_AVX512_ENTRIES,
};
