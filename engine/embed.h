/* Sentence embeddings: texts sorted by length into packs, one pack per thread; and the buffers of
 * packs that a model keeps from call to call. */
#ifndef PITH_ENGINE_EMBED_H
#define PITH_ENGINE_EMBED_H

#include "engine/encoder.h"

/* Buffers not in use, for any thread to take; a call that finds none makes its own. */
typedef struct pith_embed_cache pith_embed_cache;

/* Errors: MEMORY. */
pith_status pith_embed_cache_new(pith_embed_cache **out, const pith_allocator *allocator,
                                 pith_error *error);
void pith_embed_cache_free(pith_embed_cache *cache); /* accepts NULL */

/* The progress function of pith_embed_options: false stops. */
typedef bool (*pith_embed_progress_fn)(void *user, size_t n_done, size_t n_inputs);

/* Texts of a call that go through together; windows bound the memory of a call. */
enum { PITH_EMBED_WINDOW = 2048 };

/* The size of a window for a model: less than PITH_EMBED_WINDOW where texts may be long. */
size_t pith_embed_window_size(const pith_model *model);

typedef struct pith_embed_window {
    const pith_encoder_text *texts; /* [n_texts] */
    size_t n_texts;
    float *out;  /* [n_texts, size] */
    size_t size; /* elements of an embedding that are kept */
    pith_embed_progress_fn progress;
    void *user;
    size_t first, n_total; /* index of texts[0] in the call, and the call's texts */
} pith_embed_window;

/* Errors: as pith_embed_tokens. */
pith_status pith_embed_run(const pith_model *model, const pith_embed_window *window,
                           pith_error *error);

/* Embeds token ids, in windows: out [n_texts, embedding size].
 * Errors: MEMORY, STOPPED, NUMERIC (with the index), TOKEN and CONTEXT (likewise). */
pith_status pith_embed_tokens(const pith_model *model, const pith_encoder_text *texts,
                              size_t n_texts, pith_embed_progress_fn progress, void *user,
                              float *out, pith_error *error);

#endif
