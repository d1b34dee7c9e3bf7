/* The AArch64 int8 matrix kernels: what differs from simd/arm/neon.h. */
#ifndef PITH_SIMD_I8MM_H
#define PITH_SIMD_I8MM_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_neon_i8mm;

/* i8mm_packed.c */
pith_product_fn pith_product_int4_i8mm;
pith_product_fn pith_product_int8_i8mm;

#endif
