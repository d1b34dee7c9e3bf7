/* The AVX-512 VNNI table: the AVX-512 one with integer products of their own. */
#include "simd/x86/vnni.h"
#include "simd/x86/avx512.h"

const pith_kernels pith_kernels_avx512_vnni = {
    .name = "avx512-vnni",
    .takes_path = true,
    .product = {[PITH_TYPE_F32] = pith_product_f32_avx512,
                [PITH_TYPE_F16] = pith_product_f16_avx512,
                [PITH_TYPE_BF16] = pith_product_bf16_avx512,
                [PITH_TYPE_INT8] = pith_product_int8_vnni,
                [PITH_TYPE_INT4] = pith_product_int4_vnni},
    .dot_int8 = pith_dot_int8_vnni,
    PITH_AVX512_ENTRIES,
};
