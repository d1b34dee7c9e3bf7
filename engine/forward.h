/* One forward pass: the rows (tokens) that go through the network together, and the buffers they
 * use. Rows may belong to different sessions; each carries its own cache, position and observer.
 *
 * The buffers belong to the model: a pass takes a set that no other pass uses and gives it back. */
#ifndef PITH_ENGINE_FORWARD_H
#define PITH_ENGINE_FORWARD_H

#include "engine/kv_cache.h"
#include "engine/model.h"
#include "simd/blocks.h"

/* Watches the inside of the network (pith_session_observe); fn NULL: nobody does. */
typedef struct pith_observer {
    pith_observe_fn fn;
    void *user;
} pith_observer;

typedef struct pith_row {
    const pith_kv_cache *kv; /* of its session: rows of one session follow one another */
    size_t position;
    int32_t token;
    float *logits;                 /* [vocab rounded up to 16] to fill, or NULL */
    const pith_observer *observer; /* of its session, or NULL */
} pith_row;

/* Rows of one session at consecutive positions, few enough for one attention task. */
typedef struct pith_row_block {
    size_t first, n;
} pith_row_block;

/* What the buffers of a pass have room for. */
typedef struct pith_scratch_size {
    size_t rows;   /* of a pass */
    size_t chunks; /* of keys that a row attends to (attention.h) */
} pith_scratch_size;

/* The buffers of a pass, laid out for its size. Strides are in elements, max_rows is size.rows. */
typedef struct pith_scratch pith_scratch;
struct pith_scratch {
    pith_region region;     /* holds this object */
    pith_scratch *next;     /* in a list of those not in use */
    pith_scratch_size room; /* the largest size that the region has room for */
    pith_scratch_size size;
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
};

enum {
    PITH_BLAS_PANEL = 512,
    PITH_PIECE_PAIRS = 3, /* most pairs of 16-row tiles of one piece of a linear layer: a prompt's
                             outputs stay in the L2 cache, and AVX-512 VNNI takes tiles by threes */
};

/* The buffers of a model. All that are not in use have the same room, for the largest size needed
 * so far, so any of them serves any pass that is no larger. There are never more than passes have
 * run at once, but for one before the first pass. */
typedef struct pith_scratch_cache pith_scratch_cache;

/* Errors: MEMORY. */
pith_status pith_scratch_cache_new(pith_scratch_cache **out, const pith_allocator *allocator,
                                   pith_error *error);
void pith_scratch_cache_free(pith_scratch_cache *cache); /* accepts NULL */

/* The size for passes of n_rows rows of timelines of at most n_context tokens. */
pith_scratch_size pith_scratch_size_for(const pith_model *model, size_t n_rows, size_t n_context);

/* Makes sure that buffers of at least this size exist, in use or not. Any thread.
 * Errors: MEMORY. */
pith_status pith_scratch_reserve(const pith_model *model, pith_scratch_size size,
                                 pith_error *error);

/* Takes buffers of this size, which nobody else uses until they are given back. Allocates
 * when all are in use or too small. Any thread. Errors: MEMORY. */
pith_status pith_scratch_take(pith_scratch **out, const pith_model *model, pith_scratch_size size,
                              pith_error *error);
void pith_scratch_give(const pith_model *model, pith_scratch *scratch);

typedef struct pith_forward {
    const pith_model *model;
    const pith_scratch *scratch;
    const pith_row *rows; /* [n_rows], those of the scratch */
    size_t n_rows;
    bool observed; /* some row has an observer */
} pith_forward;

/* Runs the rows through the network: extends their caches, fills their logits. Changes the rows. */
void pith_llama_forward(const pith_forward *f);

/* The end of a pass alone: final norm and head of the n_rows first rows of scratch->x. The logits
 * of row t go to scratch->logits[t] [vocab rounded up to 16]. Without observers `rows` is not read.
 */
void pith_llama_head(const pith_forward *f);

#endif
