/* The many-token product shared by int4 and int8: weights already expanded to unsigned bytes. */
#ifndef PITH_SIMD_VNNI_TILE_H
#define PITH_SIMD_VNNI_TILE_H

#include "simd/kernels.h"

enum { PITH_CHUNK_LINES = 128 }; /* 512 k of two tiles take 16 KB: they stay in the L1 cache */

/* Consecutive groups of one or two tiles as bytes weight + 128, 64-byte lines of 4 k x 16 rows, the
 * two tiles in alternation. */
typedef struct pith_chunk {
    const uint8_t *lines;
    size_t n_lines;     /* lines per tile up to the end of k; the last group may be short */
    size_t group_lines; /* lines per tile of a full group */
    size_t first_group;
    size_t n_groups;
    const uint16_t *scales[2]; /* [n_groups, 16] of each tile, from first_group on */
    size_t row;                /* of y */
    size_t tiles;              /* 1 or 2 */
} pith_chunk;

/* Adds the chunk's groups to all tokens of the product; the first chunk starts from +0. */
void pith_chunk_product_vnni(const pith_product *product, const pith_chunk *chunk);

#endif
