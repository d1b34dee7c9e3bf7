/* The AMX table: the AVX-512 VNNI one with products of many tokens of its own. */
#include "simd/x86/amx.h"
#include "simd/x86/avx512.h"
#include "simd/x86/vnni.h"

const pith_kernels pith_kernels_amx_int8 = {
    .name = "amx-int8",
    .takes_path = true,
    .product = {[PITH_TYPE_F32] = pith_product_f32_avx512,
                [PITH_TYPE_F16] = pith_product_f16_avx512,
                [PITH_TYPE_BF16] = pith_product_bf16_avx512,
                [PITH_TYPE_INT8] = pith_product_int8_amx,
                [PITH_TYPE_INT4] = pith_product_int4_amx},
    .dot_int8 = pith_dot_int8_vnni,
    PITH_AVX512_ENTRIES,
};
