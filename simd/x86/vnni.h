/* The AVX-512 VNNI kernels: what differs from simd/x86/avx512.h. */
#ifndef PITH_SIMD_VNNI_H
#define PITH_SIMD_VNNI_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx512_vnni;
extern const pith_kernels pith_kernels_avx512_vnni_l2; /* with products ending in _l2 */

/* vnni_int4.c, vnni_int8.c */
pith_product_fn pith_product_int4_vnni;
pith_product_fn pith_product_int8_vnni;
pith_product_fn pith_product_int4_vnni_l2; /* weights through the L2 cache */
pith_product_fn pith_product_int8_vnni_l2;

/* vnni_similarity.c */
pith_dot_int8_fn pith_dot_int8_vnni;

#endif
