/* A session: one timeline of tokens, its KV cache, and the buffers of its forward passes. */
#ifndef PITH_ENGINE_SESSION_H
#define PITH_ENGINE_SESSION_H

#include "engine/forward.h"

struct pith_session {
    const pith_model *model;
    pith_region region; /* everything below that is a pointer */
    pith_kv_cache kv;
    pith_scratch scratch;
    int32_t *tokens; /* [n_context] the timeline */
    size_t n_tokens;
    size_t n_context;
    bool all_logits;
    float *logits; /* [n_context or 1, logits_stride] */
    size_t logits_stride;
    size_t n_logits; /* rows of the last eval; 0: none available */
    pith_observe_fn observe;
    void *observe_user;
};

#endif
