/* The AVX2 table. */
#include "simd/x86/avx2.h"

const pith_kernels pith_kernels_avx2 = {
    .name = "avx2",
    .takes_path = true,
    .product = {[PITH_TYPE_F32] = pith_product_f32_avx2,
                [PITH_TYPE_F16] = pith_product_f16_avx2,
                [PITH_TYPE_BF16] = pith_product_bf16_avx2,
                [PITH_TYPE_INT8] = pith_product_int8_avx2,
                [PITH_TYPE_INT4] = pith_product_int4_avx2},
    .dot_int8 = pith_dot_int8_avx2,
    PITH_AVX2_ENTRIES,
};
