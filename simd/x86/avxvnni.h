/* The AVX-VNNI kernels (vpdpbusd of 256 bits, for CPUs without AVX-512): what differs from
 * simd/x86/avx2.h. */
#ifndef PITH_SIMD_AVXVNNI_H
#define PITH_SIMD_AVXVNNI_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx_vnni;

/* avxvnni_int4.c, avxvnni_int8.c */
pith_product_fn pith_product_int4_avxvnni;
pith_product_fn pith_product_int8_avxvnni;

#endif
