/* An open model: weights, kernels, threads, tokenizer, and the work buffers of evaluations. To its
 * users it is immutable once open; sessions borrow it. */
#ifndef PITH_ENGINE_MODEL_H
#define PITH_ENGINE_MODEL_H

#include "base/memory.h"
#include "base/pool.h"
#include "base/status.h"
#include "engine/blas.h"
#include "simd/kernels.h"
#include "tokenizer/tokenizer.h"
#include "weights/pith_file.h"

struct pith_model {
    pith_allocator allocator;
    pith_log log;
    const pith_kernels *kernels;
    pith_memory_path path; /* of products of few tokens */
    pith_pool *pool;
    pith_sgemm_fn sgemm; /* NULL: f32 products on our own kernels too */

    pith_model_file *file; /* NULL for a random model */
    pith_region random;    /* weights of a random model */
    pith_layer *random_layers;
    pith_expert *random_experts;
    pith_network network;      /* pointers into the file or the random region */
    const char *architecture;  /* as in the metadata of a file */
    pith_tokenizer *tokenizer; /* NULL: the file has none */
    pith_infill_ids infill;

    struct pith_team *team; /* the ranks that share the model (team.h); NULL: this process alone */
    size_t held_bytes;      /* of weight_bytes, what this process holds */

    struct pith_embed_cache *embed_cache;     /* an encoder's buffers between calls (embed.h) */
    struct pith_scratch_cache *scratch_cache; /* a decoder's (forward.h) */
    struct pith_lexicon_cache *lexicon_cache; /* a decoder's (grammar.h) */

    pith_type type;                /* of the linear layers */
    int32_t bos;                   /* the tokenizer's; config.json's where that has none; -1 */
    bool add_bos, add_eos;         /* the tokenizer puts them around a text */
    int32_t eos[PITH_MAX_EOS + 1]; /* with room for <EOT> of infilling */
    size_t n_eos;
    const char *chat_format;
    const char *chat_template;
    const pith_chat_template *chat_templates; /* [n_chat_templates] */
    size_t n_chat_templates;
    size_t n_params;
    size_t weight_bytes;
    size_t token_bytes;

    size_t rope_half; /* pairs that turn in a head, of the kind of layer that turns most */
    float *inv_freq;  /* [kinds of layers, rope_half] rotary frequencies (rope.h) */
    float *long_freq; /* the same for contexts beyond LongRoPE's original one; NULL: no longrope */
    float *zeros;    /* [hidden] what a LayerNorm without bias adds; NULL: there is no LayerNorm. An
                        encoder always has them, [rows of qkv] if those are more */
    float *relative; /* pith_encoder_relative_table; NULL: there are no relative positions */
};

/* What the ranks of one model must have in common. */
typedef struct pith_identity {
    uint64_t file_size;   /* of a random model 0 */
    uint64_t header_hash; /* of its file, or of its name and type */
} pith_identity;

/* Rows of the token embedding. */
size_t pith_model_vocab_size(const pith_model *model);

/* The KV heads [first, first + n) of a decoder that this process has in its caches. */
typedef struct pith_kv_heads {
    size_t first, n;
} pith_kv_heads;

pith_kv_heads pith_model_kv_heads(const pith_model *model);

/* The rotary frequencies [dims / 2] of a kind of layer in a session of this context. */
const float *pith_model_frequencies(const pith_model *model, size_t kind, size_t n_context);

/* What every way of making a model shares: allocator, log, kernels, pool. On failure the caller
 * passes the model to pith_model_free all the same. */
pith_status pith_model_prepare(pith_model **out, const pith_model_options *options,
                               pith_error *error);

/* With several ranks asks the others whether they have the same model, and could open it; `status`
 * says whether this one could, and is returned when not. `model` is not read then. */
pith_status pith_model_agree(pith_model *model, const pith_ranks *ranks, pith_status status,
                             pith_identity identity, pith_error *error);

/* Completes a model whose weights and `type` are set: BLAS, work buffers, and for a decoder rotary
 * frequencies and byte counts. */
pith_status pith_model_complete(pith_model *model, pith_blas blas, pith_error *error);

#endif
