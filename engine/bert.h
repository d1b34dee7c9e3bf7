/* The forward pass of a BERT encoder over a pack of texts, and its buffers. The texts of a pack lie
 * back to back, without padding; a pass is run by one thread alone, or by a pool for a pack that
 * has no others beside it. Which it is, and which texts share a pack, changes no result. */
#ifndef PITH_ENGINE_BERT_H
#define PITH_ENGINE_BERT_H

#include "engine/model.h"

typedef struct pith_bert_text {
    const int32_t *ids; /* [n_tokens], each below vocab_size */
    size_t n_tokens;    /* 1 .. pith_bert_max_tokens of the model */
    size_t n_first;     /* tokens of type 0; the rest are of type 1 */
    size_t n_skipped;   /* tokens at the beginning that pooling leaves out */
} pith_bert_text;

/* Rows quantised for a linear layer; the fields are those of pith_activations. */
typedef struct pith_bert_codes {
    size_t code_stride, scale_stride, block_stride;
    int8_t *codes;
    float *scales;
    int32_t *group_offset;
    int32_t *block_offset;
} pith_bert_codes;

/* Buffers for packs of up to max_tokens tokens. Strides are in elements. */
typedef struct pith_bert_scratch pith_bert_scratch;
struct pith_bert_scratch {
    pith_region region;
    pith_bert_scratch *next; /* in a list of those not in use */
    size_t max_tokens;
    size_t *begin; /* [max_tokens + 1] first row of each text */

    size_t x_stride, y_stride, qkv_stride, h_stride;
    float *x;   /* [max_tokens, hidden] the hidden states */
    float *y;   /* [max_tokens, hidden up to 16] what a block adds to them */
    float *a;   /* [max_tokens, hidden] attention's output; padding zero */
    float *qkv; /* [max_tokens, qkv rows]; a thread alone: [max_tokens, those of a few heads] */
    float *h;   /* [max_tokens, intermediate]; with quantised weights [max_tokens, PANEL] */
    pith_bert_codes narrow; /* [max_tokens, hidden] */
    pith_bert_codes wide;   /* [max_tokens, intermediate] */

    /* One text and head (bert_attention.c). */
    float *keys;   /* [blocks of 16, head_dim, 16] */
    float *values; /* [tokens, head_dim] */
    float *query;  /* [PITH_BERT_QUERIES, head_dim] */
    float *output; /* the same */
    float *scores; /* [PITH_BERT_QUERIES, tokens up to 16] */
    float *shift;  /* [head_dim] */
};

enum {
    PITH_BERT_PANEL = 256,  /* rows of a product that go through the GELU together */
    PITH_BERT_QUERIES = 16, /* query rows whose scores are held at a time */
};

typedef struct pith_bert_pass {
    const pith_model *model;
    pith_pool *pool;                     /* shares the work; NULL: the caller alone */
    pith_bert_scratch *const *scratches; /* [threads of the pool, or 1]; the rows are in the first
                                            one, the others lend their buffers of a text and head
                                            and of a panel */
    const pith_bert_text *texts;         /* [n_texts]; together at most max_tokens tokens */
    size_t n_texts;
} pith_bert_pass;

/* Most tokens of a text that the model reads. */
size_t pith_bert_max_tokens(const pith_network *bert);

/* Errors: MEMORY. */
pith_status pith_bert_scratch_new(pith_bert_scratch **out, const pith_model *model,
                                  size_t max_tokens, pith_error *error);
void pith_bert_scratch_free(pith_bert_scratch *scratch); /* accepts NULL */

/* Runs the pack through the network: scratches[0]->x holds the last hidden states, text i from row
 * begin[i] on. Allocates nothing. */
void pith_bert_forward(const pith_bert_pass *pass);

/* The sentence embedding [hidden] of text i after a forward pass; false when it is not finite. */
bool pith_bert_embedding(const pith_bert_pass *pass, size_t i, float *out);

/* Calls fn over [0, n) through the pass's pool, or at once without one. */
void pith_bert_each(const pith_bert_pass *pass, size_t n, size_t grain, pith_loop_fn fn, void *arg);

/* a = softmax(q k^T / sqrt(head_dim)) v for every text and head, from qkv without its biases. */
void pith_bert_attention(const pith_bert_pass *pass, const float *qkv_bias);

/* Whether the next one can do it, and pays. */
bool pith_bert_attends_by_heads(const pith_bert_pass *pass, const pith_matrix *qkv);

/* The same from the quantised rows in `narrow`, the product with qkv included. */
void pith_bert_attention_by_heads(const pith_bert_pass *pass, const pith_matrix *qkv,
                                  const float *qkv_bias);

/* Rows [row, row + n) of a quantised w with `narrow` for all rows of the pack: y [rows, stride];
 * row and n are multiples of 16. */
void pith_bert_product(const pith_bert_pass *pass, const pith_matrix *w, size_t row, size_t n,
                       float *y, size_t stride);

#endif
