/* Linear layers: y = W x + b for the rows of a pass, with what follows the product fused into it.
 * The only place that knows how the outputs of a layer are shared among threads and ranks, and
 * BLAS. */
#ifndef PITH_ENGINE_LINEAR_H
#define PITH_ENGINE_LINEAR_H

#include "engine/rows.h"

enum {
    PITH_BLAS_MIN_ROWS = 32, /* with fewer, whose inputs sgemm packs too, our own are faster */
    PITH_BLAS_PANEL = 256,   /* rows of W in one call of sgemm at most */
    PITH_PIECE_PAIRS = 3,    /* pairs of 16-row tiles of one piece of a linear layer at most: a
                               prompt's outputs stay in the L2 cache, and AVX-512 VNNI takes tiles
                               by threes */
};

typedef enum pith_epilogue {
    PITH_STORE,    /* rows = y + b */
    PITH_HEADS,    /* the same for q, k and v: of several ranks each has those of its heads */
    PITH_ADD,      /* rows += residual scale x (y + b): the residual connection */
    PITH_ACTIVATE, /* rows = the activation of the MLP, of y + b; where the rows have a group: their
                      codes alone, a panel of the product at a time while it is in the cache */
    PITH_LOGITS,   /* row t goes to logits[t], scaled and capped */
} pith_epilogue;

/* Where the results of a layer go. */
typedef struct pith_into {
    pith_epilogue epilogue;
    pith_rows rows;
    float *const *logits; /* PITH_LOGITS: [n] of [rows of W] */
} pith_into;

/* Applies W to rows that are ready for it; returns the rows written. Of several ranks each applies
 * the rows of W that it holds; then they gather the results, but those of HEADS, and of ACTIVATE,
 * whose rows come back with borders. Logits come to rank 0. */
pith_rows pith_linear(const pith_compute *c, const pith_weights *w, pith_rows in, pith_into out);

/* Rows [row, row + n) of what is held of W alone, without bias, by the calling thread: y [in.n,
 * stride]; row and n are multiples of 16. */
void pith_linear_part(const pith_compute *c, const pith_matrix *w, const pith_rows *in, size_t row,
                      size_t n, float *y, size_t stride);

/* Floats of a thread's buffer for passes of n_rows rows, wide enough for BLAS and for codes made of
 * an activation when `wide`. */
size_t pith_linear_tile_floats(size_t n_rows, bool wide);

#endif
