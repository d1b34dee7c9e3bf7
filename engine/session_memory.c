/* What memory a session takes as its timeline grows: the token array and the logits double, the
 * cache grows by chunks (kv_cache.h), all of it before the first pass of an evaluation. A fork
 * shares the chunks of its original. */
#include <string.h>

#include "base/checked.h"
#include "engine/lead.h"
#include "engine/session.h"

/* ---- Growth ---------------------------------------------------------------------------------- */

/* The next size of an array that needs n of at most `most` elements: 16 doubled as often as
 * necessary. */
static size_t next_room(size_t room, size_t n, size_t most) {
    enum { LEAST = 16 };
    room = pith_max_size(room, LEAST);
    while (room < n) {
        room *= 2; /* far from SIZE_MAX: n is at most n_context */
    }
    return pith_min_size(room, most);
}

static pith_status grow_tokens(pith_session *s, size_t n, pith_error *error) {
    if (n <= s->tokens_room) {
        return PITH_OK;
    }
    size_t room = next_room(s->tokens_room, n, s->n_context);
    int32_t *tokens = pith_reallocate(&s->model->allocator, s->tokens, room + 1, sizeof *tokens);
    if (tokens == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY,
                         "out of memory: cannot keep %zu tokens in a context of %zu", room,
                         s->n_context);
    }
    s->tokens = tokens;
    s->tokens_room = room;
    return PITH_OK;
}

static pith_status grow_logits(pith_session *s, size_t n, pith_error *error) {
    if (n <= s->logits_room) {
        return PITH_OK;
    }
    size_t room = n == 1 ? 1 : next_room(s->logits_room, n, s->n_context);
    size_t row = s->logits_stride * sizeof *s->logits;
    pith_region region;
    /* A vocabulary of at most 2^20, a context of at most 2^24: far from SIZE_MAX. */
    if (pith_region_allocate(&region, room * row, &s->model->allocator, NULL) != PITH_OK) {
        return pith_fail(
            error, PITH_ERROR_MEMORY,
            "out of memory: the logits of %zu tokens take %.3f GB, in a context of %zu", room,
            (double)room * (double)row / 1e9, s->n_context);
    }
    if (s->n_logits != 0) {
        memcpy(region.data, s->logits, s->n_logits * row);
    }
    pith_region_release(&s->logits_region);
    s->logits_region = region;
    s->logits = region.data;
    s->logits_room = room;
    return PITH_OK;
}

pith_status pith_session_make_room(pith_session *s, size_t n_tokens, size_t n_logits,
                                   pith_error *error) {
    pith_status status = grow_tokens(s, n_tokens, error);
    return status == PITH_OK ? grow_logits(s, n_logits, error) : status;
}

pith_status pith_session_grow(pith_session *s, size_t n, size_t n_logits, pith_error *error) {
    size_t n_tokens = s->n_tokens + n;
    pith_status status = pith_session_make_room(s, n_tokens, n_logits, error);
    if (status == PITH_OK && !pith_kv_extend(&s->kv, s->n_tokens, n)) {
        size_t bytes = pith_kv_bytes(&s->kv.shape, n_tokens);
        status = pith_fail(error, PITH_ERROR_MEMORY,
                           "out of memory: %zu of the context's %zu positions take %.*f GB of KV "
                           "cache; -c N (n_context) sets a limit",
                           n_tokens, s->n_context, bytes < 100000000 ? 3 : 1, (double)bytes / 1e9);
    }
    return status;
}

/* ---- Sharing --------------------------------------------------------------------------------- */

pith_status pith_session_fork(pith_session **out, const pith_session *session, pith_error *error) {
    if (out == NULL || session == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_session_fork: null argument");
    }
    const pith_session_options options = {.n_context = session->n_context,
                                          .n_batch = session->n_batch,
                                          .kv_type = session->kv.shape.type,
                                          .all_logits = session->all_logits};
    pith_session *s = NULL;
    pith_status status = pith_session_create(&s, session->model, &options, error);
    if (status == PITH_OK) {
        status = pith_session_make_room(s, session->n_tokens, session->n_logits, error);
    }
    if (status != PITH_OK) {
        pith_session_free(s);
        return status;
    }
    pith_kv_share(&s->kv, &session->kv, session->n_tokens);
    pith_lead_share(s->model, &s->kv, &session->kv, session->n_tokens);
    memcpy(s->tokens, session->tokens, session->n_tokens * sizeof *s->tokens);
    memcpy(s->logits, session->logits, session->n_logits * s->logits_stride * sizeof *s->logits);
    s->n_tokens = session->n_tokens;
    s->n_logits = session->n_logits;
    *out = s;
    return PITH_OK;
}

/* ---- Counting -------------------------------------------------------------------------------- */

size_t pith_session_memory(const pith_session *s) {
    return pith_kv_held(&s->kv);
}

size_t pith_model_kv_bytes(const pith_model *model, pith_kv_type type, size_t n_positions) {
    if (model->network.config.role == PITH_ENCODER || (unsigned)type > PITH_KV_INT8) {
        return 0;
    }
    type = type == PITH_KV_AUTO ? pith_session_default_kv(model) : type;
    pith_kv_shape shape = pith_session_kv_shape(model, type);
    return pith_kv_bytes(&shape, n_positions);
}
