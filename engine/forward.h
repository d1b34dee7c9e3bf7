/* One forward pass: the tokens that go through the network together, each a row of every step, and
 * the buffers they use. Tokens may belong to different sessions; each carries its own cache,
 * position and observer.
 *
 * The buffers belong to the model: a pass takes a set that no other pass uses and gives it back. */
#ifndef PITH_ENGINE_FORWARD_H
#define PITH_ENGINE_FORWARD_H

#include "engine/kv_cache.h"
#include "engine/model.h"
#include "engine/rows.h"

/* Watches the inside of the network (pith_session_observe); fn NULL: nobody does. */
typedef struct pith_observer {
    pith_observe_fn fn;
    void *user;
} pith_observer;

/* One token at one position of one session: what a row of a pass stands for. */
typedef struct pith_pass_token {
    const pith_kv_cache *kv; /* of its session: rows of one session follow one another */
    size_t position;
    int32_t id;
    float *logits;                 /* [vocab rounded up to 16] to fill, or NULL */
    const pith_observer *observer; /* of its session, or NULL */
} pith_pass_token;

/* Rows of one session at consecutive positions, few enough for one attention task. */
typedef struct pith_row_block {
    size_t first, n;
} pith_row_block;

/* Which experts the rows of a pass use; choice i is one of row i / n_experts_used. */
typedef struct pith_expert_choice {
    size_t *experts; /* [rows, n_experts_used] of experts, those of larger logits first */
    float *shares;   /* [rows, n_experts_used] */
    size_t *first;   /* [n_experts + 2] where an expert's choices begin in ... */
    size_t *sorted;  /* [rows x n_experts_used] ... the choices by expert */
} pith_expert_choice;

/* What the buffers of a pass have room for. */
typedef struct pith_scratch_size {
    size_t rows;   /* of a pass */
    size_t chunks; /* of keys that a row attends to (attention.h) */
} pith_scratch_size;

/* The buffers of a pass, laid out for its size. max_rows is size.rows. */
typedef struct pith_scratch pith_scratch;
struct pith_scratch {
    pith_region region;     /* holds this object */
    pith_scratch *next;     /* in a list of those not in use */
    pith_scratch_size room; /* the largest size that the region has room for */
    pith_scratch_size size;
    pith_pass_token *tokens; /* [max_rows] */
    pith_row_block *blocks;  /* [max_rows] */
    float **logits;          /* [max_rows] destinations of the head's rows */

    pith_rows x;   /* [max_rows, hidden] residual stream; its codes are those of a */
    pith_rows y;   /* [max_rows, hidden] what a norm after a sub-layer reads, or the sum of experts;
                      or no rows */
    pith_rows a;   /* [max_rows, max(hidden, heads x head_dim)] input of qkv, o, gate_up */
    pith_rows h;   /* [max_rows, intermediate] input of down */
    pith_rows qkv; /* [max_rows, qkv rows] */

    pith_rows router;   /* [max_rows, experts] logits; no rows without experts, as the next */
    pith_rows gathered; /* [max_rows, hidden] inputs of one expert */
    pith_rows expert;   /* [max_rows, hidden] and its results */
    pith_expert_choice choice; /* (experts.h) */

    float *cosines, *sines; /* [max_rows, kinds of layers, rope_half of the model] */

    size_t tile_floats;
    float **tiles; /* [n_threads] of [tile_floats] (linear.h) */

    float *observed; /* [max_rows, widest] rows without padding, for an observer */

    size_t attend_floats;
    float *attend;  /* [n_threads, attend_floats] */
    float *partial; /* results of attention over single chunks (attention.c) */
};

/* The buffers of a model. All that are not in use have the same room, for the largest size needed
 * so far, so any of them serves any pass that is no larger. There are never more than the largest
 * number of passes that ran at once, or one before the first pass. */
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
    pith_compute compute;          /* of the model, with the buffers of the scratch */
    const pith_pass_token *tokens; /* [n_rows], those of the scratch */
    size_t n_rows;
    pith_kv_heads kv_heads; /* those of this process */
} pith_forward;

/* A pass of the n_rows first tokens of the scratch. */
pith_forward pith_forward_begin(const pith_model *model, const pith_scratch *scratch,
                                size_t n_rows);

/* Runs the rows through the network: extends their caches, fills their logits. Changes the tokens.
 */
void pith_decoder_forward(const pith_forward *f);

/* The end of a pass alone: final norm and head of the n_rows first rows of scratch->x. The logits
 * of row t go to scratch->logits[t] [vocab rounded up to 16]. Without observers `tokens` is not
 * read. */
void pith_decoder_head(const pith_forward *f);

#endif
