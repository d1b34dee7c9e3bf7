/* What the few-token products of int4 and int8 share on x86. They read the packed tiles once, from
 * memory, and two things decide their speed. First, every byte is touched in the order in which it
 * lies in memory: integer sums are kept until the multipliers or scales that belong to them are
 * reached, because reading those where they are first needed is slower, prefetched or not. Second,
 * a line takes few instructions, so that loads of many further lines are under way at the same
 * time. */
#ifndef PITH_SIMD_FEW_H
#define PITH_SIMD_FEW_H

#include <stdbool.h>

#include "simd/blocks.h"
#include "simd/inline.h"
#include "simd/kernels.h"

enum {
    PITH_FEW_AHEAD = 6 << 10,          /* prefetch distance in bytes */
    PITH_FEW_AHEAD_INTO_L2 = 16 << 10, /* for prefetches into the L2 cache */
    PITH_FEW_ORDERED = 2, /* up to this many tokens int4 block sums wait (for more tokens the stores
                             cost too much) and the next activations are fetched */
    PITH_FEW_KEPT = 256,  /* sums that wait for their scales: 16 KB, a third of the L1 cache */
};

/* Starts fetching a line of weights that comes after the one at p for `n` tokens; p plus the
 * distance may lie outside any object. Both `n` and `into_l2` are constants.
 *
 * Weights that are read once go past the L2 cache, where what is used again may stay: on AMD's CPUs
 * with AVX-512 that is fastest. On Intel fetches past L2 wait in the 16 line-fill buffers of the L1
 * cache, which bounds a core to 16 x 64 bytes per memory latency (7 GB/s at 140 ns); fetches into
 * L2 have 48 places. There, with `into_l2`, they go into L2 and further ahead (Emerald Rapids, 16
 * cores, int4: 206 instead of 110 tokens/s). The same holds for AVX2 on every CPU: its loops take
 * longer than the memory, and on an AMD EPYC whose AVX-512 is masked int4 products of one token
 * gain a sixth. For more tokens a second call may read the tile again: into L1 everywhere. */
PITH_INLINE void fetch_weights(const void *p, size_t n, bool into_l2) {
    if (n > PITH_FEW_ORDERED) {
        __builtin_prefetch((const char *)((uintptr_t)p + PITH_FEW_AHEAD), 0, 3);
    } else if (into_l2) {
        __builtin_prefetch((const char *)((uintptr_t)p + PITH_FEW_AHEAD_INTO_L2), 0, 2);
    } else {
        __builtin_prefetch((const char *)((uintptr_t)p + PITH_FEW_AHEAD), 0, 0);
    }
}

/* Starts fetching the `size` bytes that follow the `size` bytes of activations at p, for the next
 * group: between two tiles the weights push some of them out of the L1 cache. */
PITH_INLINE void fetch_next(const void *p, size_t size) {
    PITH_UNROLL
    for (size_t i = size; i < 2 * size; i += PITH_LINE_BYTES) {
        __builtin_prefetch((const char *)((uintptr_t)p + i), 0, 3);
    }
}

/* The outputs of a tile for a few tokens of a product. */
typedef struct few_outputs {
    const uint16_t *scales; /* of the tile, [n_groups, 16] */
    const float *x_scales;  /* [n, scale_stride] */
    size_t scale_stride;
    float *y; /* [n, y_stride] */
    size_t y_stride;
    bool into_l2; /* a constant: how scales are fetched */
} few_outputs;

/* From row `row` and token `first` of the product on. */
PITH_INLINE few_outputs outputs_from(const pith_product *p, const uint16_t *scales, size_t row,
                                     size_t first, bool into_l2) {
    const pith_activations *x = p->x;
    return (few_outputs){scales,          x->scales + (p->first_token + first) * x->scale_stride,
                         x->scale_stride, p->y + first * p->y_stride + row,
                         p->y_stride,     into_l2};
}

/* A few_tile of constant size. */
typedef struct few_size {
    size_t n;
    void (*tile)(const pith_product *p, size_t row, size_t first);
} few_size;

/* All tiles; `sizes` in descending order, down to 1. */
PITH_INLINE void few_tokens(const pith_product *p, const few_size *sizes) {
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        size_t i = 0;
        for (size_t t = 0; t < p->n_tokens; t += sizes[i].n) {
            while (sizes[i].n > p->n_tokens - t) {
                i++;
            }
            sizes[i].tile(p, row, t);
        }
    }
}

#endif
