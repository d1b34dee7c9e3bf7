/* The tables behind pith_kernel_bench_at, and what they share. */
#ifndef PITH_PERF_KERNELS_INSIDE_H
#define PITH_PERF_KERNELS_INSIDE_H

#include "perf/kernels.h"

enum { PITH_KERNEL_ATTENTION = 7, PITH_KERNEL_ROWS = 15 };

extern const pith_kernel_bench pith_kernel_products[PITH_N_TYPES];
extern const pith_kernel_bench pith_kernel_attention[PITH_KERNEL_ATTENTION];
extern const pith_kernel_bench pith_kernel_rows[PITH_KERNEL_ROWS];

/* Fills x [n] with floats in [-1, 1), always the same for one `seed`. */
void pith_kernel_fill(float *x, size_t n, uint64_t seed);

#endif
