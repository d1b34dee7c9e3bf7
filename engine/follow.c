/* The ranks other than 0: each keeps a cache for every session of rank 0, of its own heads, and
 * runs the same passes. What rank 0 sends is checked as if it were a file: a message may be damaged
 * on its way. See pass_message.h for messages, lead.c for the other end. */
#include <string.h>

#include "base/checked.h"
#include "engine/lead.h"
#include "engine/pass_message.h"

/* The cache of one session of rank 0. */
typedef struct copy {
    pith_kv_cache kv;
    bool used;
    bool broken;     /* there was no memory for it: its session cannot be evaluated */
    size_t n_filled; /* positions that have been written, at most the context */
    size_t n_ready;  /* positions that can be */
    size_t pass;     /* the last one that had rows of it */
} copy;

typedef struct follower {
    const pith_model *model;
    pith_team *team;
    copy *copies;             /* [PITH_MAX_CACHES + 1], by number; the first is not used */
    size_t pass;              /* counts them */
    size_t n_rows, n_context; /* of the pass: rows, and positions of its longest timeline */
    pith_scratch *scratch;    /* of the pass, or NULL */
    pith_readiness ready;
} follower;

static pith_status nonsense(const char *what, pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "what rank 0 sent makes no sense: %s", what);
}

static pith_status lost(pith_error *error) {
    return pith_fail(error, PITH_ERROR_IO, "a rank of the model is lost");
}

/* ---- Caches ---------------------------------------------------------------------------------- */

/* The copy of this number, which must be there; or NULL. */
static copy *find(const follower *f, uint32_t number) {
    return number >= 1 && number <= PITH_MAX_CACHES && f->copies[number].used ? &f->copies[number]
                                                                              : NULL;
}

static pith_status begin_copy(follower *f, const pith_cache_event *event, pith_error *error) {
    size_t head_dim = f->model->network.config.head_dim;
    if (event->cache < 1 || event->cache > PITH_MAX_CACHES || f->copies[event->cache].used) {
        return nonsense("the number of a new cache", error);
    }
    if (event->type < PITH_KV_F32 || event->type > PITH_KV_INT8 ||
        (event->type == PITH_KV_INT8 && head_dim > PITH_KV_MAX_INT8_DIM)) {
        return nonsense("the type of a cache", error);
    }
    if (event->n_context < 1 || event->n_context > PITH_MAX_CONTEXT || event->n_batch < 1 ||
        event->n_batch > PITH_MAX_PASS_ROWS) {
        return nonsense("the size of a cache", error);
    }
    copy *c = &f->copies[event->cache];
    pith_kv_shape shape = pith_session_kv_shape(f->model, (pith_kv_type)event->type);
    size_t n_rows = pith_min_size(event->n_batch, event->n_context);
    *c = (copy){.used = true};
    c->broken =
        !pith_kv_begin(&c->kv, &shape, event->n_context, &f->model->allocator) ||
        pith_scratch_reserve(f->model, pith_scratch_size_for(f->model, n_rows, event->n_context),
                             NULL) != PITH_OK;
    return PITH_OK;
}

static pith_status share_copy(follower *f, const pith_cache_event *event, pith_error *error) {
    copy *to = find(f, event->cache);
    const copy *from = find(f, event->from);
    if (to == NULL || from == NULL || to == from || to->n_ready != 0 || to->kv.n_chunks != 0) {
        return nonsense("the numbers of shared caches", error);
    }
    to->broken = to->broken || from->broken;
    if (to->broken) {
        return PITH_OK;
    }
    if (event->n > from->n_filled || to->kv.n_context != from->kv.n_context ||
        to->kv.shape.type != from->kv.shape.type) {
        return nonsense("the positions of a shared cache", error);
    }
    pith_kv_share(&to->kv, &from->kv, event->n);
    to->n_filled = event->n;
    return PITH_OK;
}

static pith_status apply_event(follower *f, const pith_cache_event *event, pith_error *error) {
    copy *c = find(f, event->cache);
    switch (event->kind) {
    case PITH_CACHE_BEGIN:
        return begin_copy(f, event, error);
    case PITH_CACHE_SHARE:
        return share_copy(f, event, error);
    case PITH_CACHE_END:
        if (c == NULL) {
            return nonsense("the number of a cache that ends", error);
        }
        pith_kv_end(&c->kv);
        *c = (copy){.used = false};
        return PITH_OK;
    default:
        return nonsense("what happens to a cache", error);
    }
}

static pith_status extend_copy(follower *f, const pith_cache_extent *extent, pith_error *error) {
    copy *c = find(f, extent->cache);
    if (c == NULL) {
        return nonsense("the number of a cache that grows", error);
    }
    if (c->broken) {
        f->ready = PITH_NO_MEMORY;
        return PITH_OK;
    }
    if (extent->n < 1 || extent->n_used > c->n_filled ||
        extent->n > c->kv.n_context - extent->n_used) {
        return nonsense("the positions of a cache that grows", error);
    }
    c->n_ready = extent->n_used;
    if (pith_kv_extend(&c->kv, extent->n_used, extent->n)) {
        c->n_ready += extent->n;
    } else {
        f->ready = PITH_NO_MEMORY;
    }
    c->n_filled = pith_min_size(c->n_filled, c->n_ready);
    return PITH_OK;
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* Checks a row; rows of one cache follow one another, at consecutive positions. */
static pith_status check_row(follower *f, const pith_message_row *row,
                             const pith_message_row *before, pith_error *error) {
    copy *c = find(f, row->cache);
    if (c == NULL) {
        return nonsense("the cache of a row", error);
    }
    if (row->id < 0 || (size_t)row->id >= f->model->network.config.vocab_size ||
        row->wants_logits > 1) {
        return nonsense("the token of a row", error);
    }
    bool follows = before != NULL && before->cache == row->cache;
    if ((!follows && c->pass == f->pass) || (follows && row->position != before->position + 1)) {
        return nonsense("the order of rows", error);
    }
    c->pass = f->pass;
    if (f->ready != PITH_READY) {
        return PITH_OK; /* positions depend on memory that is not there */
    }
    if (c->broken || row->position >= c->n_ready || (!follows && row->position > c->n_filled)) {
        return nonsense("the position of a row", error);
    }
    f->n_context = pith_max_size(f->n_context, row->position + 1);
    return PITH_OK;
}

static pith_status check_rows(follower *f, const unsigned char *rows, size_t n, pith_error *error) {
    pith_message_row before;
    pith_status status = PITH_OK;
    f->pass++;
    f->n_rows = n;
    f->n_context = 1;
    for (size_t r = 0; r < n && status == PITH_OK; r++) {
        pith_message_row row;
        memcpy(&row, rows + r * sizeof row, sizeof row);
        status = check_row(f, &row, r != 0 ? &before : NULL, error);
        before = row;
    }
    return status;
}

/* Takes the buffers of the pass and puts its rows there. */
static void take_rows(follower *f, const unsigned char *rows) {
    const pith_scratch_size size = pith_scratch_size_for(f->model, f->n_rows, f->n_context);
    if (f->n_rows == 0 || f->ready != PITH_READY) {
        return;
    }
    if (pith_scratch_take(&f->scratch, f->model, size, NULL) != PITH_OK) {
        f->ready = PITH_NO_MEMORY;
        return;
    }
    for (size_t r = 0; r < f->n_rows; r++) {
        pith_message_row row;
        memcpy(&row, rows + r * sizeof row, sizeof row);
        f->scratch->tokens[r] = (pith_pass_token){
            .kv = &f->copies[row.cache].kv,
            .position = row.position,
            .id = row.id,
            /* not written to: logits go to rank 0 */
            .logits = row.wants_logits != 0 ? (float *)(void *)f->team->buffer : NULL,
        };
    }
}

/* ---- Passes ---------------------------------------------------------------------------------- */

/* Reads the body of a message: all that is left when it returns is the pass itself. */
static pith_status read_body(follower *f, const pith_message_head *head, pith_error *error) {
    const unsigned char *at = f->team->buffer + sizeof *head;
    pith_status status = PITH_OK;
    for (size_t i = 0; i < head->n_events && status == PITH_OK;
         i++, at += sizeof(pith_cache_event)) {
        pith_cache_event event;
        memcpy(&event, at, sizeof event);
        status = apply_event(f, &event, error);
    }
    for (size_t i = 0; i < head->n_extents && status == PITH_OK;
         i++, at += sizeof(pith_cache_extent)) {
        pith_cache_extent extent;
        memcpy(&extent, at, sizeof extent);
        status = extend_copy(f, &extent, error);
    }
    if (status == PITH_OK) {
        status = check_rows(f, at, head->n_rows, error);
    }
    if (status == PITH_OK) {
        take_rows(f, at);
    }
    return status;
}

/* Tells the others whether this rank is ready; *all is set when every rank is. */
static pith_status answer(follower *f, bool *all, pith_error *error) {
    unsigned char ready[PITH_MAX_RANKS];
    size_t offsets[PITH_MAX_RANKS + 1];
    const size_t n_ranks = f->team->ranks.n_ranks;
    for (size_t r = 0; r <= n_ranks; r++) {
        offsets[r] = r;
    }
    ready[f->team->ranks.rank] = (unsigned char)f->ready;
    if (!pith_team_gather(f->team, ready, offsets, false)) {
        return lost(error);
    }
    *all = true;
    for (size_t r = 0; r < n_ranks; r++) {
        if (ready[r] != PITH_READY && ready[r] != PITH_NO_MEMORY) {
            return pith_fail(error, PITH_ERROR_IO, "rank %zu did not understand rank 0", r);
        }
        *all = *all && ready[r] == PITH_READY;
    }
    return PITH_OK;
}

static pith_status run_pass(follower *f, pith_error *error) {
    for (size_t r = 0; r < f->n_rows; r++) {
        const pith_pass_token *token = &f->scratch->tokens[r];
        copy *c = (copy *)((unsigned char *)(uintptr_t)token->kv - offsetof(copy, kv));
        c->n_filled = token->position + 1;
    }
    pith_forward pass = pith_forward_begin(f->model, f->scratch, f->n_rows);
    pith_decoder_forward(&pass);
    return atomic_load(&f->team->lost) ? lost(error) : PITH_OK;
}

/* Takes part in one pass; *end is set when rank 0 sends the others home instead. */
static pith_status follow_pass(follower *f, bool *end, pith_error *error) {
    pith_team *team = f->team;
    pith_message_head head;
    if (!pith_team_broadcast(team, team->buffer, PITH_MESSAGE_FIRST)) {
        return lost(error);
    }
    memcpy(&head, team->buffer, sizeof head);
    size_t n = pith_message_bytes(&head);
    if (n == 0) {
        return nonsense("the head of a message", error);
    }
    *end = head.kind == PITH_MESSAGE_END;
    if (*end) {
        return PITH_OK;
    }
    if (n > PITH_MESSAGE_FIRST &&
        !pith_team_broadcast(team, team->buffer + PITH_MESSAGE_FIRST, n - PITH_MESSAGE_FIRST)) {
        return lost(error);
    }
    pith_error why;
    bool all = false;
    f->ready = PITH_READY;
    pith_status refused = read_body(f, &head, &why);
    if (refused != PITH_OK) {
        f->ready = PITH_NONSENSE;
    }
    pith_status status = answer(f, &all, error);
    if (refused != PITH_OK) {
        status = pith_fail(error, refused, "%s", why.message);
    }
    if (status == PITH_OK && all && f->n_rows != 0) {
        status = run_pass(f, error);
    }
    if (f->scratch != NULL) {
        pith_scratch_give(f->model, f->scratch);
        f->scratch = NULL;
    }
    return status;
}

pith_status pith_model_follow(pith_model *model, pith_error *error) {
    if (model == NULL || model->team == NULL || model->team->ranks.rank == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "pith_model_follow is for ranks other than 0 of a model of several");
    }
    follower f = {.model = model, .team = model->team};
    bool end = false;
    pith_status status = PITH_OK;
    f.copies = pith_allocate_zeroed(&model->allocator, PITH_MAX_CACHES + 1, sizeof *f.copies);
    if (f.copies == NULL) {
        atomic_store(&model->team->lost, true);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory to follow rank 0");
    }
    while (status == PITH_OK && !end) {
        status = follow_pass(&f, &end, error);
    }
    if (status != PITH_OK) {
        atomic_store(&model->team->lost, true);
    }
    for (size_t i = 0; i <= PITH_MAX_CACHES; i++) {
        pith_kv_end(&f.copies[i].kv);
    }
    pith_release(&model->allocator, f.copies);
    return status;
}
