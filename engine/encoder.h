/* The forward pass of an encoder over a pack of texts, and its buffers. The texts of a pack lie
 * back to back, without padding; a pass is run by one thread alone, or by a pool for a pack that
 * has no others beside it. Which it is, and which texts share a pack, changes no result. */
#ifndef PITH_ENGINE_ENCODER_H
#define PITH_ENGINE_ENCODER_H

#include "engine/model.h"
#include "engine/rows.h"

typedef struct pith_encoder_text {
    const int32_t *ids; /* [n_tokens], each below vocab_size */
    size_t n_tokens;    /* 1 .. pith_encoder_max_tokens of the model */
    size_t n_first;     /* tokens of type 0; the rest are of type 1 */
    size_t n_skipped;   /* tokens at the beginning that pooling leaves out */
} pith_encoder_text;

/* Buffers for packs of up to max_tokens tokens. */
typedef struct pith_encoder_scratch pith_encoder_scratch;
struct pith_encoder_scratch {
    pith_region region;
    pith_encoder_scratch *next; /* in a list of those not in use */
    size_t max_tokens;
    size_t *begin; /* [max_tokens + 1] first row of each text */

    pith_rows x;   /* [max_tokens, hidden] the hidden states */
    pith_rows y;   /* [max_tokens, hidden] what a block adds to them */
    pith_rows a;   /* [max_tokens, max(hidden, heads x head_dim)] x after a norm, and attention's
                      output; its codes are those of x */
    pith_rows qkv; /* [max_tokens, qkv rows]; a thread alone: [max_tokens, those of a few heads] */
    pith_rows h;   /* [max_tokens, intermediate]; codes alone where all that read it do */

    float *cosines, *sines; /* [max_tokens, kinds of layers, rope_half of the model] */

    float *pooled[2]; /* [hidden, or the widest dense layer; up to 16] a text's vector on its way */

    float **tiles; /* [threads of the model] the buffers below of every thread of a pass */
    size_t tile_floats;
    float *tile; /* [tile_floats] (linear.h) */

    /* One text and head (encoder_attention.c). */
    float *keys;   /* [blocks of 16, head_dim, 16] */
    float *values; /* [tokens, head_dim] */
    float *query;  /* [PITH_ENCODER_QUERIES, head_dim] */
    float *output; /* the same */
    float *scores; /* [PITH_ENCODER_QUERIES, tokens up to 16] */
    float *shift;  /* [head_dim] */
};

enum { PITH_ENCODER_QUERIES = 16 }; /* query rows whose scores are held at a time */

typedef struct pith_encoder_pass {
    const pith_model *model;
    pith_encoder_scratch *const *scratches; /* [threads of the pool, or 1]; the rows are in the
                                               first one, the others lend their tiles and their
                                               buffers of a text and head */
    const pith_encoder_text *texts;         /* [n_texts]; together at most max_tokens tokens */
    size_t n_texts;
    size_t n_rows; /* tokens of all texts */
    pith_compute compute;
} pith_encoder_pass;

/* Upper bound on the tokens that the model reads of a text. */
size_t pith_encoder_max_tokens(const pith_network *network);

/* Errors: MEMORY. */
pith_status pith_encoder_scratch_new(pith_encoder_scratch **out, const pith_model *model,
                                     size_t max_tokens, pith_error *error);
void pith_encoder_scratch_free(pith_encoder_scratch *scratch); /* accepts NULL */

/* A pass over texts, whose work `pool` shares; NULL: the caller alone. */
pith_encoder_pass pith_encoder_begin(const pith_model *model, pith_pool *pool,
                                     pith_encoder_scratch *const *scratches,
                                     const pith_encoder_text *texts, size_t n_texts);

/* Runs the pack through the network: scratches[0]->x has the last hidden states, text i from row
 * begin[i] on. Allocates nothing. */
void pith_encoder_forward(const pith_encoder_pass *pass);

/* The embedding of text i after a forward pass: out [size], the first `size` elements of it, which
 * are normalised where the model says so or some are left out. False when it is not finite. */
bool pith_encoder_embedding(const pith_encoder_pass *pass, size_t i, size_t size, float *out);

/* a = softmax(s q k^T + ..) v for every text and head of a layer, q, k and v from the rows x, which
 * are ready for its `qkv`: W x with its biases. Returns the rows of a. */
pith_rows pith_encoder_attention(const pith_encoder_pass *pass, size_t layer, pith_rows x);

/* [heads, 2 longest - 1] what is added to the score of a key: of head h at longest - 1 + key -
 * query, longest being pith_encoder_max_tokens. */
void pith_encoder_relative_table(const pith_network *network, float *table);

#endif
