/* The AArch64 dot product kernels: what differs from simd/arm/neon.h. */
#ifndef PITH_SIMD_DOT_H
#define PITH_SIMD_DOT_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_neon_dot;

/* dot_packed.c */
pith_product_fn pith_product_int4_dot;
pith_product_fn pith_product_int8_dot;

/* dot_similarity.c */
pith_dot_int8_fn pith_dot_int8_dot;

#endif
