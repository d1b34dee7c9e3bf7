/* The register tiles of AVX-VNNI: unsigned bytes weight + 128, one line of 4 k x 16 rows after the
 * other, by signed activations. int4 and int8 share them. */
#ifndef PITH_SIMD_AVXVNNI_TILE_H
#define PITH_SIMD_AVXVNNI_TILE_H

#include "simd/x86/avx2_tile.h"

/* For pith_tile_format. */
pith_tile_fn pith_multiply_6_avxvnni;
pith_tile_fn pith_multiply_4_avxvnni;
pith_tile_fn pith_multiply_2_avxvnni;
pith_tile_fn pith_multiply_1_avxvnni;

#endif
