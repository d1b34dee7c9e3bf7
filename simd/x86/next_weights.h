/* Fetching the packed weights and scales that a many-token product needs next into the L2 cache,
 * while the present ones meet the tokens. */
#ifndef PITH_SIMD_NEXT_WEIGHTS_H
#define PITH_SIMD_NEXT_WEIGHTS_H

#include "simd/blocks.h"
#include "simd/inline.h"

/* A share of them is fetched between other work, as many register tiles come before them. */
typedef struct next_weights {
    uintptr_t at;   /* in the first tile; an address that may lie outside */
    size_t n_lines; /* of each tile, still to fetch */
    size_t share;
    size_t tile_bytes;
} next_weights;

/* The next share of `tiles` (a constant) tiles. */
PITH_INLINE void fetch_weights(next_weights *next, size_t tiles) {
    size_t n = next->share < next->n_lines ? next->share : next->n_lines;
    for (size_t i = 0; i < n; i++) {
        PITH_UNROLL
        for (size_t tile = 0; tile < tiles; tile++) {
            __builtin_prefetch((const void *)(next->at + tile * next->tile_bytes), 0, 2);
        }
        next->at += PITH_LINE_BYTES;
    }
    next->n_lines -= n;
}

/* The scales of `tiles` tiles, the first at `tile`, from group `group` on. A chunk has a line of
 * them or half of one. */
PITH_INLINE void fetch_scales(uintptr_t tile, size_t tile_bytes, size_t scales_at, size_t group,
                              size_t tiles) {
    for (size_t i = 0; i < tiles; i++) {
        __builtin_prefetch((const void *)(tile + i * tile_bytes + scales_at +
                                          group * PITH_TILE_ROWS * sizeof(uint16_t)),
                           0, 2);
    }
}

#endif
