/* Rank 0 of several; see lead.h. Events of caches wait in a queue, since sessions come and go in
 * any thread, and a session must end without an error: room for the end of every cache is taken
 * when it begins. */
#include "engine/lead.h"

#include <string.h>

#include "base/checked.h"
#include "engine/pass_message.h"

enum { MANY_EVENTS = PITH_MAX_EVENTS / 4 }; /* are sent without a pass */

struct pith_leader {
    pthread_mutex_t lock;     /* of what follows; taken after the team's */
    pith_cache_event *events; /* [room], n_events of them used */
    size_t n_events, room;
    bool used[PITH_MAX_CACHES + 1]; /* numbers of caches, from 1 on */
    size_t n_caches;
};

static pith_status lost(pith_error *error) {
    return pith_fail(error, PITH_ERROR_IO, "a rank of the model is lost");
}

pith_status pith_lead_refuse(const pith_model *model, const char *what, pith_error *error) {
    if (model->team == NULL) {
        return PITH_OK;
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: not with %zu ranks", what,
                     model->team->ranks.n_ranks);
}

/* ---- Life ------------------------------------------------------------------------------------ */

pith_status pith_leader_new(pith_team *team, const pith_allocator *allocator, pith_error *error) {
    struct pith_leader *leader = pith_allocate_zeroed(allocator, 1, sizeof *leader);
    if (leader == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    pthread_mutex_init(&leader->lock, NULL); /* cannot fail with default attributes on Linux */
    team->leader = leader;
    return PITH_OK;
}

void pith_leader_free(pith_team *team, const pith_allocator *allocator) {
    if (team->leader != NULL) {
        pthread_mutex_destroy(&team->leader->lock);
        pith_release(allocator, team->leader->events);
        pith_release(allocator, team->leader);
        team->leader = NULL;
    }
}

void pith_lead_end(pith_team *team) {
    if (team->leader == NULL || !team->agreed) {
        return;
    }
    const pith_message_head head = {.mark = PITH_MESSAGE_MARK, .kind = PITH_MESSAGE_END};
    memset(team->buffer, 0, PITH_MESSAGE_FIRST);
    memcpy(team->buffer, &head, sizeof head);
    pith_team_broadcast(team, team->buffer, PITH_MESSAGE_FIRST);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static unsigned char *put(unsigned char *at, const void *data, size_t n) {
    if (n != 0) {
        memcpy(at, data, n);
    }
    return at + n;
}

/* Writes the events to the message and forgets them. */
static unsigned char *put_events(struct pith_leader *leader, pith_message_head *head,
                                 unsigned char *at) {
    pthread_mutex_lock(&leader->lock);
    head->n_events = (uint32_t)leader->n_events;
    at = put(at, leader->events, leader->n_events * sizeof *leader->events);
    leader->n_events = 0;
    pthread_mutex_unlock(&leader->lock);
    return at;
}

static unsigned char *put_extents(unsigned char *at, pith_session *const *sessions,
                                  const size_t *n_tokens, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const pith_cache_extent extent = {.cache = sessions[i]->kv.number,
                                          .n_used = (uint32_t)sessions[i]->n_tokens,
                                          .n = (uint32_t)n_tokens[i]};
        at = put(at, &extent, sizeof extent);
    }
    return at;
}

static unsigned char *put_rows(unsigned char *at, const pith_pass_token *tokens, size_t n) {
    for (size_t r = 0; r < n; r++) {
        const pith_message_row row = {.cache = tokens[r].kv->number,
                                      .position = (uint32_t)tokens[r].position,
                                      .id = tokens[r].id,
                                      .wants_logits = tokens[r].logits != NULL};
        at = put(at, &row, sizeof row);
    }
    return at;
}

/* Asks all ranks whether they are ready. */
static pith_status ask(pith_team *team, pith_error *error) {
    unsigned char ready[PITH_MAX_RANKS] = {PITH_READY};
    size_t offsets[PITH_MAX_RANKS + 1];
    for (size_t r = 0; r <= team->ranks.n_ranks; r++) {
        offsets[r] = r;
    }
    if (!pith_team_gather(team, ready, offsets, false)) {
        return lost(error);
    }
    for (size_t r = 1; r < team->ranks.n_ranks; r++) {
        if (ready[r] != PITH_READY && ready[r] != PITH_NO_MEMORY) {
            atomic_store(&team->lost, true);
            return pith_fail(error, PITH_ERROR_IO, "rank %zu did not understand rank 0", r);
        }
    }
    for (size_t r = 1; r < team->ranks.n_ranks; r++) {
        if (ready[r] == PITH_NO_MEMORY) {
            return pith_fail(error, PITH_ERROR_MEMORY,
                             "out of memory: rank %zu has no room for "
                             "the KV cache and work buffers of the pass",
                             r);
        }
    }
    return PITH_OK;
}

/* Sends the message in the buffer, whose end is given. The lock of the team is held. */
static pith_status send(pith_team *team, const pith_message_head *head, const unsigned char *end,
                        pith_error *error) {
    size_t n = (size_t)(end - team->buffer);
    memcpy(team->buffer, head, sizeof *head);
    if (!pith_team_broadcast(team, team->buffer, PITH_MESSAGE_FIRST) ||
        (n > PITH_MESSAGE_FIRST &&
         !pith_team_broadcast(team, team->buffer + PITH_MESSAGE_FIRST, n - PITH_MESSAGE_FIRST))) {
        return lost(error);
    }
    return ask(team, error);
}

/* ---- Caches ---------------------------------------------------------------------------------- */

/* Makes room for `n` events more, and for the end of every cache and what it may share, which other
 * threads may be about to add. The lock is held. */
static bool reserve(struct pith_leader *leader, const pith_allocator *allocator, size_t n) {
    size_t needed = leader->n_events + n + 2 * leader->n_caches;
    if (needed <= leader->room) {
        return true;
    }
    pith_cache_event *events =
        pith_reallocate(allocator, leader->events, 2 * needed, sizeof *events);
    if (events == NULL) {
        return false;
    }
    leader->events = events;
    leader->room = 2 * needed;
    return true;
}

static void add_event(struct pith_leader *leader, pith_cache_event event) {
    leader->events[leader->n_events++] = event;
}

/* Sends the events when there are many of them. */
static pith_status flush(pith_team *team, pith_error *error) {
    pthread_mutex_lock(&team->leader->lock);
    bool many = team->leader->n_events >= MANY_EVENTS;
    pthread_mutex_unlock(&team->leader->lock);
    pith_status status = PITH_OK;
    if (many) {
        pith_message_head head = {.mark = PITH_MESSAGE_MARK, .kind = PITH_MESSAGE_PASS};
        pthread_mutex_lock(&team->lock);
        unsigned char *end = put_events(team->leader, &head, team->buffer + sizeof head);
        status = send(team, &head, end, error);
        pthread_mutex_unlock(&team->lock);
    }
    return status;
}

/* Takes a number and the room for the events of a cache. The lock is held. */
static pith_status begin(struct pith_leader *leader, const pith_allocator *allocator,
                         pith_kv_cache *kv, size_t n_batch, pith_error *error) {
    uint32_t number = 1;
    while (number <= PITH_MAX_CACHES && leader->used[number]) {
        number++;
    }
    if (number > PITH_MAX_CACHES) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "a model of several ranks has at most %d sessions at once",
                         PITH_MAX_CACHES);
    }
    if (!reserve(leader, allocator, 3)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a session");
    }
    leader->used[number] = true;
    leader->n_caches++;
    kv->number = number;
    add_event(leader, (pith_cache_event){.kind = PITH_CACHE_BEGIN,
                                         .cache = number,
                                         .type = kv->shape.type,
                                         .n_context = (uint32_t)kv->n_context,
                                         .n_batch = (uint32_t)n_batch});
    return PITH_OK;
}

pith_status pith_lead_cache(const pith_model *model, pith_kv_cache *kv, size_t n_batch,
                            pith_error *error) {
    if (model->team == NULL) {
        return PITH_OK;
    }
    struct pith_leader *leader = model->team->leader;
    if (leader == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "rank %zu has no sessions of its own: it follows rank 0",
                         model->team->ranks.rank);
    }
    pith_status status = flush(model->team, error);
    if (status == PITH_OK || status == PITH_ERROR_MEMORY) {
        pthread_mutex_lock(&leader->lock);
        status = begin(leader, &model->allocator, kv, n_batch, error);
        pthread_mutex_unlock(&leader->lock);
    }
    return status;
}

void pith_lead_share(const pith_model *model, const pith_kv_cache *to, const pith_kv_cache *from,
                     size_t n) {
    if (model->team != NULL) {
        struct pith_leader *leader = model->team->leader;
        pthread_mutex_lock(&leader->lock);
        add_event(leader, (pith_cache_event){.kind = PITH_CACHE_SHARE,
                                             .cache = to->number,
                                             .from = from->number,
                                             .n = (uint32_t)n});
        pthread_mutex_unlock(&leader->lock);
    }
}

void pith_lead_cache_end(const pith_model *model, const pith_kv_cache *kv) {
    if (model->team != NULL && kv->number != 0) {
        struct pith_leader *leader = model->team->leader;
        pthread_mutex_lock(&leader->lock);
        add_event(leader, (pith_cache_event){.kind = PITH_CACHE_END, .cache = kv->number});
        leader->used[kv->number] = false;
        leader->n_caches--;
        pthread_mutex_unlock(&leader->lock);
    }
}

/* ---- Passes ---------------------------------------------------------------------------------- */

pith_status pith_lead_pass(const pith_forward *pass, pith_session *const *sessions,
                           const size_t *n_tokens, size_t n_sessions, pith_error *error) {
    pith_team *team = pass->compute.team;
    if (team == NULL) {
        return PITH_OK;
    }
    pith_message_head head = {.mark = PITH_MESSAGE_MARK,
                              .kind = PITH_MESSAGE_PASS,
                              .n_extents = (uint32_t)n_sessions,
                              .n_rows = (uint32_t)pass->n_rows};
    pthread_mutex_lock(&team->lock);
    unsigned char *at = put_events(team->leader, &head, team->buffer + sizeof head);
    at = put_extents(at, sessions, n_tokens, n_sessions);
    at = put_rows(at, pass->tokens, pass->n_rows);
    pith_status status = send(team, &head, at, error);
    if (status != PITH_OK) {
        pthread_mutex_unlock(&team->lock);
    }
    return status;
}

pith_status pith_lead_done(const pith_model *model, pith_error *error) {
    if (model->team == NULL) {
        return PITH_OK;
    }
    bool is_lost = atomic_load(&model->team->lost);
    pthread_mutex_unlock(&model->team->lock);
    return is_lost ? lost(error) : PITH_OK;
}
