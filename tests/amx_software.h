/* The AMX products of simd/x86/amx_product.c and amx_tile.c and the probe of perf/probe_amx.c, the
 * same source, compiled for any x86-64: their tile instructions go to tests/tile_unit.h, their
 * vectors to software_avx512.h. */
#ifndef PITH_TESTS_AMX_SOFTWARE_H
#define PITH_TESTS_AMX_SOFTWARE_H

#include "simd/kernels.h"

/* These products alone; all other entries are NULL. Few tokens, which AMX leaves to the VNNI
 * kernels, are scalar's. */
extern const pith_kernels amx_software_kernels;

/* Products that were left to the VNNI kernels so far. */
size_t amx_software_few(void);

/* pith_probe_int8_amx. */
uint64_t amx_software_probe(const unsigned char *operands, size_t n_rounds);

#endif
