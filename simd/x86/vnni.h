/* The AVX-512 VNNI kernels: what differs from simd/x86/avx512.h. */
#ifndef PITH_SIMD_VNNI_H
#define PITH_SIMD_VNNI_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_avx512_vnni;
extern const pith_kernels pith_kernels_avx512_vnni_l2; /* with products ending in _l2 */

/* vnni_int4.c, vnni_int8.c */
void pith_product_int4_vnni(const pith_product *product);
void pith_product_int8_vnni(const pith_product *product);
void pith_product_int4_vnni_l2(const pith_product *product); /* weights through the L2 cache */
void pith_product_int8_vnni_l2(const pith_product *product);

/* vnni_similarity.c */
int32_t pith_dot_int8_vnni(const int8_t *a, const int8_t *b, size_t n);

#endif
