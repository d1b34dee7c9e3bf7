/* One forward pass: the rows (tokens) that go through the network together, and the buffers they
 * use. Rows may belong to different sessions; each carries its own cache and position. */
#ifndef PITH_ENGINE_FORWARD_H
#define PITH_ENGINE_FORWARD_H

#include "engine/kv_cache.h"
#include "engine/model.h"
#include "simd/blocks.h"

typedef struct pith_row {
    const pith_kv_cache *kv;
    size_t position;
    int32_t token;
    float *logits; /* [vocab rounded up to 16] to fill, or NULL */
} pith_row;

/* Rows of one session at consecutive positions, few enough for one attention task. */
typedef struct pith_row_block {
    size_t first, n;
} pith_row_block;

/* Buffers of a pass, taken once from a session's arena. Strides are in elements. */
typedef struct pith_scratch {
    size_t max_rows;
    pith_row *rows;         /* [max_rows] */
    pith_row_block *blocks; /* [max_rows] */
    float **logits;         /* [max_rows] destinations of the head's rows */

    size_t x_stride, a_stride, h_stride, qkv_stride;
    float *x;   /* [max_rows, hidden] residual stream */
    float *a;   /* [max_rows, max(hidden, heads x head_dim)] input of a linear layer */
    float *h;   /* [max_rows, intermediate] after SwiGLU */
    float *qkv; /* [max_rows, qkv rows] */

    size_t code_stride, scale_stride, block_stride;
    int8_t *codes;         /* [max_rows, largest k] quantised input of a linear layer */
    float *scales;         /* [max_rows, groups of 128] */
    int32_t *group_offset; /* the same */
    int32_t *block_offset; /* [max_rows, blocks of 16] */

    float *cosines, *sines; /* [max_rows, head_dim / 2] */

    size_t tile_floats;
    float *tiles; /* [n_threads, tile_floats] results on their way through an epilogue */
    float *panel; /* [max_rows, PITH_BLAS_PANEL], only with BLAS */

    float *observed; /* [max_rows, widest] rows without padding, for an observer */

    size_t attend_floats;
    float *attend;  /* [n_threads, attend_floats] */
    float *partial; /* results of attention over single chunks (attention.c) */
} pith_scratch;

enum {
    PITH_BLAS_PANEL = 512,
    PITH_PIECE_PAIRS = 3, /* most pairs of 16-row tiles of one piece of a linear layer: a prompt's
                             outputs stay in the L2 cache, and AVX-512 VNNI takes tiles by threes */
};

void pith_scratch_take(pith_scratch *scratch, pith_arena *arena, const pith_model *model,
                       size_t max_rows, size_t n_context);

typedef struct pith_forward {
    const pith_model *model;
    const pith_scratch *scratch;
    const pith_row *rows; /* [n_rows] */
    size_t n_rows;
    pith_observe_fn observe; /* or NULL */
    void *observe_user;
} pith_forward;

/* Runs the rows through the network: extends their caches, fills their logits. */
void pith_llama_forward(const pith_forward *f);

/* The end of a pass alone: final norm and head of the n_rows first rows of scratch->x. The logits
 * of row t go to scratch->logits[t] [vocab rounded up to 16]. `rows` is not read. */
void pith_llama_head(const pith_forward *f);

/* Calls fn over [0, n) through the pool, or directly when there is a single piece. */
void pith_forward_each(const pith_forward *f, size_t n, size_t grain, pith_loop_fn fn, void *arg);

#endif
