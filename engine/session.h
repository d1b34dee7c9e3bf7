/* A session: one timeline of tokens, its KV cache and its logits. The buffers of forward passes are
 * the model's (forward.h). */
#ifndef PITH_ENGINE_SESSION_H
#define PITH_ENGINE_SESSION_H

#include "engine/forward.h"

struct pith_session {
    const pith_model *model;
    pith_region region; /* everything below that is a pointer */
    pith_kv_cache kv;
    int32_t *tokens; /* [n_context] the timeline */
    size_t n_tokens;
    size_t n_context;
    size_t n_batch; /* most rows of a pass; may be more than n_context */
    bool all_logits;
    float *logits; /* [n_context or 1, logits_stride] */
    size_t logits_stride;
    size_t n_logits; /* rows of the last eval; 0: none available */
    pith_observer observer;
};

/* As pith_session_new with every choice made: n_batch and n_context are at least 1, the cache type
 * is not AUTO. Errors: MEMORY. */
pith_status pith_session_create(pith_session **out, const pith_model *model,
                                const pith_session_options *options, pith_error *error);

/* Evaluates tokens [1 <= n <= n_batch] in one pass, but appends the first alone, as
 * pith_session_eval does; the logits after each of the others go to ahead [n - 1, logits_stride].
 * Of these the first *n_ahead are finite, and pith_session_follow may take them over.
 * Errors: as pith_session_eval. */
pith_status pith_session_eval_ahead(pith_session *session, const int32_t *tokens, size_t n,
                                    float *ahead, size_t *n_ahead, pith_error *error);

/* Appends the next token of the last pith_session_eval_ahead, whose logits are given. */
void pith_session_follow(pith_session *session, int32_t token, const float *logits);

/* True when no value of rows [n_rows, stride] is NaN or infinite in its first n. */
bool pith_session_finite(const float *rows, size_t stride, size_t n_rows, size_t n);

#endif
