/* The AVX-512 VNNI kernels: what differs from simd/x86/avx512.h. */
#ifndef PITH_SIMD_VNNI_H
#define PITH_SIMD_VNNI_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx512_vnni;

/* vnni_int4.c, vnni_int8.c */
pith_product_fn pith_product_int4_vnni;
pith_product_fn pith_product_int8_vnni;

/* vnni_similarity.c */
pith_dot_int8_fn pith_dot_int8_vnni;

#endif
