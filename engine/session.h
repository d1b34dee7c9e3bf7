/* A session: one timeline of tokens, its KV cache and its logits. The buffers of forward passes are
 * the model's (forward.h). */
#ifndef PITH_ENGINE_SESSION_H
#define PITH_ENGINE_SESSION_H

#include "engine/forward.h"

enum { PITH_MAX_CONTEXT = 1 << 24 };

/* Tokens whose evaluation looks ahead: of `tokens` the last n_ahead are not appended to the
 * timeline, they only show what would come after them. */
typedef struct pith_ahead {
    const int32_t *tokens; /* [n] */
    size_t n;
    size_t n_ahead; /* less than n */
    float *logits;  /* [n_ahead, logits_stride] after each of them, filled by the evaluation */
    size_t n_good;  /* the first n_good of these rows are finite: set by the evaluation */
} pith_ahead;

struct pith_session {
    const pith_model *model;
    pith_kv_cache kv;
    int32_t *tokens; /* [tokens_room + 1] the timeline, and a place for the token after it */
    size_t tokens_room;
    size_t n_tokens;
    size_t n_context;
    size_t n_batch; /* most rows of a pass; may be more than n_context */
    bool all_logits;
    pith_region logits_region;
    float *logits; /* [logits_room, logits_stride], in the region */
    size_t logits_room;
    size_t logits_stride;
    size_t n_logits; /* rows of the last eval; 0: none available */
    pith_observer observer;
    pith_ahead *ahead; /* of the next evaluation, if it is one of these tokens; NULL: of none */
};

/* As pith_session_new with every choice made: n_batch and n_context are at least 1, the cache type
 * is not AUTO. Errors: MEMORY. */
pith_status pith_session_create(pith_session **out, const pith_model *model,
                                const pith_session_options *options, pith_error *error);

/* Makes the next evaluation look ahead, if it is one of exactly ahead->tokens on this session,
 * alone or in a batch. `ahead` stays the caller's, until that evaluation has succeeded or NULL
 * takes its place. */
void pith_session_look_ahead(pith_session *session, pith_ahead *ahead);

/* The cache type that AUTO stands for. */
pith_kv_type pith_session_default_kv(const pith_model *model);

/* The shape of a cache of this type, which is not AUTO, with the heads of this process. */
pith_kv_shape pith_session_kv_shape(const pith_model *model, pith_kv_type type);

/* Takes the memory that n more tokens need, 1 <= n <= n_context - n_tokens, and n_logits rows of
 * logits, as far as the session has none: in the cache, the token array and the logits. The
 * timeline and its logits stay. Errors: MEMORY, with the context in the message. */
pith_status pith_session_grow(pith_session *session, size_t n, size_t n_logits, pith_error *error);

/* Room for n_tokens tokens and n_logits rows of logits in all, but none in the cache.
 * Errors: as pith_session_grow. */
pith_status pith_session_make_room(pith_session *session, size_t n_tokens, size_t n_logits,
                                   pith_error *error);

/* Appends the next token that was evaluated ahead, whose logits are given and finite. */
void pith_session_follow(pith_session *session, int32_t token, const float *logits);

/* Errors: ARGUMENT, CONTEXT (no room for tokens [n >= 1] in the session), TOKEN. */
pith_status pith_session_check(const pith_session *session, const int32_t *tokens, size_t n,
                               pith_error *error);

/* True when no value of rows [n_rows, stride] is NaN or infinite in its first n. */
bool pith_session_finite(const float *rows, size_t stride, size_t n_rows, size_t n);

#endif
