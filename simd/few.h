/* What the few-token products of int4 and int8 share on x86. They read the packed tiles once, from
 * memory, and two things decide their speed. First, every byte is touched in the order in which it
 * lies in memory: integer sums are kept until the multipliers or scales that belong to them are
 * reached, because reading those where they are first needed is slower, prefetched or not. Second,
 * a line takes few instructions, so that loads of many further lines are under way at the same
 * time. */
#ifndef PITH_SIMD_FEW_H
#define PITH_SIMD_FEW_H

#include "simd/blocks.h"
#include "simd/inline.h"
#include "simd/kernels.h"

enum {
    PITH_FEW_ORDERED = 2, /* up to this many tokens int4 block sums wait (for more tokens the stores
                             cost too much) and the next activations are fetched */
    PITH_FEW_KEPT = 256,  /* sums that wait for their scales: 16 KB, a third of the L1 cache */
};

/* The part of the product's memory path that is for `n` tokens. */
PITH_INLINE pith_fetch path_of(const pith_product *p, size_t n) {
    return n <= PITH_FEW_ORDERED ? p->path.few : p->path.more;
}

/* How a call for `n` tokens prefetches weights: by a hint that is a constant, as every hint has
 * functions of its own, and at a distance that is known at run time only. */
PITH_INLINE pith_fetch fetch_of(const pith_product *p, size_t n, pith_hint hint) {
    return (pith_fetch){hint, path_of(p, n).distance};
}

/* Prefetches the line of weights at the distance after p, which may lie outside any object. */
PITH_INLINE void fetch_weights(const void *p, pith_fetch fetch) {
    const char *line = (const char *)((uintptr_t)p + fetch.distance);
    if (fetch.hint == PITH_HINT_NTA) {
        __builtin_prefetch(line, 0, 0);
    } else if (fetch.hint == PITH_HINT_T1) {
        __builtin_prefetch(line, 0, 2);
    } else if (fetch.hint == PITH_HINT_T0) {
        __builtin_prefetch(line, 0, 3);
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
    pith_fetch fetch; /* of scales */
} few_outputs;

/* From row `row` and token `first` of the product on. */
PITH_INLINE few_outputs outputs_from(const pith_product *p, const uint16_t *scales, size_t row,
                                     size_t first, pith_fetch fetch) {
    const pith_activations *x = p->x;
    return (few_outputs){scales,          x->scales + (p->first_token + first) * x->scale_stride,
                         x->scale_stride, p->y + first * p->y_stride + row,
                         p->y_stride,     fetch};
}

/* Computes the tile at row `row` of a product, for the tokens from `first` on. */
typedef void few_tile_fn(const pith_product *p, size_t row, size_t first);

/* Defines such a function by body(p, row, first, n, hint), where n and hint are constants. */
#define PITH_FEW_TILE(name, body, n, hint)                              \
    static void name(const pith_product *p, size_t row, size_t first) { \
        body(p, row, first, n, hint);                                   \
    }

/* The functions for n tokens, by hint. Products of many tokens read a tile several times, so it
 * should stay in a cache of the core: for more than PITH_FEW_ORDERED there is T1, and T0 in place
 * of all other hints. */
typedef struct few_size {
    size_t n;
    few_tile_fn *tile[PITH_N_HINTS];
} few_size;

#define PITH_FEW_HINTS(none, nta, t1, t0)                                          \
    {                                                                              \
        [PITH_HINT_NONE] = (none), [PITH_HINT_NTA] = (nta), [PITH_HINT_T1] = (t1), \
        [PITH_HINT_T0] = (t0)                                                      \
    }
#define PITH_FEW_CACHED(t1, t0) PITH_FEW_HINTS(t0, t0, t1, t0)

/* Defines few_tile_N_HINT by body(p, row, first, N, hint): all that `sizes` lists for up to 4
 * tokens. */
#define PITH_FEW_TILES(body)                                \
    PITH_FEW_TILE(few_tile_1_none, body, 1, PITH_HINT_NONE) \
    PITH_FEW_TILE(few_tile_1_nta, body, 1, PITH_HINT_NTA)   \
    PITH_FEW_TILE(few_tile_1_t1, body, 1, PITH_HINT_T1)     \
    PITH_FEW_TILE(few_tile_1_t0, body, 1, PITH_HINT_T0)     \
    PITH_FEW_TILE(few_tile_2_none, body, 2, PITH_HINT_NONE) \
    PITH_FEW_TILE(few_tile_2_nta, body, 2, PITH_HINT_NTA)   \
    PITH_FEW_TILE(few_tile_2_t1, body, 2, PITH_HINT_T1)     \
    PITH_FEW_TILE(few_tile_2_t0, body, 2, PITH_HINT_T0)     \
    PITH_FEW_TILE(few_tile_3_t1, body, 3, PITH_HINT_T1)     \
    PITH_FEW_TILE(few_tile_3_t0, body, 3, PITH_HINT_T0)     \
    PITH_FEW_TILE(few_tile_4_t1, body, 4, PITH_HINT_T1)     \
    PITH_FEW_TILE(few_tile_4_t0, body, 4, PITH_HINT_T0)

/* Their entries of a list of sizes, the last ones. */
#define PITH_FEW_SIZES                                                                        \
    {4, PITH_FEW_CACHED(few_tile_4_t1, few_tile_4_t0)},                                       \
        {3, PITH_FEW_CACHED(few_tile_3_t1, few_tile_3_t0)},                                   \
        {2, PITH_FEW_HINTS(few_tile_2_none, few_tile_2_nta, few_tile_2_t1, few_tile_2_t0)}, { \
        1, PITH_FEW_HINTS(few_tile_1_none, few_tile_1_nta, few_tile_1_t1, few_tile_1_t0)      \
    }

/* All tiles; `sizes` in descending order, down to 1. */
PITH_INLINE void few_tokens(const pith_product *p, const few_size *sizes) {
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        size_t i = 0;
        for (size_t t = 0; t < p->n_tokens; t += sizes[i].n) {
            while (sizes[i].n > p->n_tokens - t) {
                i++;
            }
            sizes[i].tile[path_of(p, sizes[i].n).hint](p, row, t);
        }
    }
}

#endif
