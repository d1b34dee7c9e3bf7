/* The AMX kernels for int8 tiles: what differs from simd/x86/vnni.h. */
#ifndef PITH_SIMD_AMX_H
#define PITH_SIMD_AMX_H

#include "simd/kernels.h"

/* Its few-token products, as its other kernels, are those of AVX-512 VNNI. */
extern const pith_kernels pith_kernels_amx_int8;

/* amx_product.c */
pith_product_fn pith_product_int4_amx;
pith_product_fn pith_product_int8_amx;

#endif
