/* The AArch64 dot product kernels: what differs from simd/arm/neon.h. */
#ifndef PITH_SIMD_DOT_H
#define PITH_SIMD_DOT_H

#include "simd/kernels.h"

extern const pith_kernels pith_kernels_neon_dot;

/* dot_packed.c */
void pith_product_int4_dot(const pith_product *product);
void pith_product_int8_dot(const pith_product *product);

/* dot_similarity.c */
int32_t pith_dot_int8_dot(const int8_t *a, const int8_t *b, size_t n);

#endif
