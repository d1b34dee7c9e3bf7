/* Which session a choice gets, and what the KV caches of all of them may take.
 *
 * A choice is admitted only when the cache that its prompt and all of its tokens could need fits
 * beside what the running choices may come to need, so that none of them fails for memory later.
 * Idle sessions fill what is left and are dropped, the least recently used first, to make room.
 *
 * A prefix is shared only between requests of one key: otherwise the time to the first token would
 * tell one client what another has asked. */
#include <stdlib.h>

#include "base/checked.h"
#include "server/scheduler_inside.h"

/* A prefix shorter than this saves less than a pass of decoding costs. */
enum { LEAST_PREFIX = 16 };

size_t pith_scheduler_need(const pith_scheduler *s, const pith_job *job, size_t prompt) {
    size_t n = s->options.n_context;
    size_t total = 0;
    if (job->params.max_tokens != 0 &&
        pith_add_size(job->n_tokens[prompt], job->params.max_tokens, &total)) {
        n = pith_min_size(n, total);
    }
    return pith_model_kv_bytes(s->model, s->options.kv_type, n);
}

bool pith_scheduler_has_room(const pith_scheduler *s, size_t bytes) {
    size_t limit = s->options.kv_bytes;
    return limit == 0 || s->reserved == 0 || (s->reserved <= limit && bytes <= limit - s->reserved);
}

/* ---- Idle sessions --------------------------------------------------------------------------- */

static void remove_idle(pith_scheduler *s, size_t i) {
    s->idle[i] = s->idle[--s->n_idle];
}

static void drop_oldest(pith_scheduler *s) {
    size_t oldest = 0;
    for (size_t i = 1; i < s->n_idle; i++) {
        oldest = s->idle[i].used < s->idle[oldest].used ? i : oldest;
    }
    pith_session_free(s->idle[oldest].session);
    remove_idle(s, oldest);
}

static size_t idle_bytes(const pith_scheduler *s) {
    size_t sum = 0;
    for (size_t i = 0; i < s->n_idle; i++) {
        sum += s->idle[i].bytes;
    }
    return sum;
}

/* Drops idle sessions until `bytes` more fit. */
static void make_room(pith_scheduler *s, size_t bytes) {
    size_t limit = s->options.kv_bytes;
    while (limit != 0 && s->n_idle > 0 && idle_bytes(s) + s->reserved + bytes > limit) {
        drop_oldest(s);
    }
}

static void keep_session(pith_scheduler *s, pith_session *session, int64_t key) {
    if (s->n_idle == s->options.n_parallel) {
        drop_oldest(s);
    }
    s->idle[s->n_idle++] = (pith_idle){
        .session = session,
        .key = key,
        .used = ++s->clock,
        .bytes = pith_session_memory(session),
    };
    make_room(s, 0);
}

void pith_scheduler_drop_idle(pith_scheduler *s) {
    while (s->n_idle > 0) {
        pith_session_free(s->idle[--s->n_idle].session);
    }
}

/* ---- Prefixes -------------------------------------------------------------------------------- */

/* Where the longest beginning of a prompt is at hand. */
typedef struct prefix {
    pith_session *session; /* NULL: nowhere */
    size_t idle;           /* index of the idle session; n_idle: of a choice in progress */
    size_t n_common;
} prefix;

/* Tokens that the timeline shares with the prompt, short of the prompt's last. */
static size_t common(const pith_session *session, const int32_t *tokens, size_t n_tokens) {
    const int32_t *timeline = pith_session_tokens(session);
    size_t most = pith_min_size(pith_session_length(session), n_tokens - 1);
    size_t n = 0;
    while (n < most && timeline[n] == tokens[n]) {
        n++;
    }
    return n;
}

static void consider(prefix *best, pith_session *session, size_t idle, const int32_t *tokens,
                     size_t n_tokens) {
    size_t n = common(session, tokens, n_tokens);
    if (n > best->n_common) {
        *best = (prefix){session, idle, n};
    }
}

static prefix find_prefix(const pith_scheduler *s, const pith_job *job, size_t prompt) {
    const int32_t *tokens = job->prompts[prompt];
    size_t n_tokens = job->n_tokens[prompt];
    prefix best = {.idle = s->n_idle};
    for (size_t i = 0; i < s->n_idle; i++) {
        if (s->idle[i].key == job->key) {
            consider(&best, s->idle[i].session, i, tokens, n_tokens);
        }
    }
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        const pith_choice *c = &s->choices[i];
        if (c->job != NULL && c->session != NULL && c->job->key == job->key) {
            consider(&best, c->session, s->n_idle, tokens, n_tokens);
        }
    }
    if (best.n_common < pith_min_size(LEAST_PREFIX, n_tokens - 1)) {
        best = (prefix){.idle = s->n_idle};
    }
    return best;
}

/* True when an idle session is better copied than rewound: most of what it holds is of another
 * conversation, which may go on, and there is room for both. */
static bool worth_copying(const pith_scheduler *s, const prefix *from, size_t need) {
    const pith_idle *idle = &s->idle[from->idle];
    size_t limit = s->options.kv_bytes;
    return pith_session_length(idle->session) > 2 * from->n_common &&
           s->n_idle < s->options.n_parallel &&
           (limit == 0 || s->reserved + need + idle->bytes <= limit);
}

static pith_status fresh_session(pith_scheduler *s, pith_session **out, pith_error *error) {
    pith_session_options options = {
        .n_context = s->options.n_context,
        .n_batch = s->options.prefill_chunk + s->options.n_parallel * PITH_SCHEDULER_DRAFT,
        .kv_type = s->options.kv_type,
    };
    return pith_session_new(out, s->model, &options, error);
}

static pith_status fork_session(pith_session **out, const prefix *from, pith_error *error) {
    pith_session *fork = NULL;
    pith_status status = pith_session_fork(&fork, from->session, error);
    if (status == PITH_OK) {
        status = pith_session_rewind(fork, from->n_common, error);
    }
    if (status != PITH_OK) {
        pith_session_free(fork);
        return status;
    }
    *out = fork;
    return PITH_OK;
}

/* A session whose timeline is a beginning of the prompt, *n_kept tokens long. */
static pith_status get_session(pith_scheduler *s, const pith_job *job, size_t prompt, size_t need,
                               pith_session **out, size_t *n_kept, pith_error *error) {
    prefix from = find_prefix(s, job, prompt);
    *n_kept = from.n_common;
    if (from.session == NULL) {
        make_room(s, need);
        return fresh_session(s, out, error);
    }
    if (from.idle < s->n_idle && !worth_copying(s, &from, need)) {
        *out = from.session;
        remove_idle(s, from.idle);
        make_room(s, need);
        return pith_session_rewind(*out, from.n_common, error);
    }
    if (from.idle < s->n_idle) {
        s->idle[from.idle].used = ++s->clock; /* so that it is the last to make room */
    }
    pith_status status = fork_session(out, &from, error);
    make_room(s, need);
    return status;
}

/* ---- Opening and closing --------------------------------------------------------------------- */

pith_status pith_scheduler_open(pith_scheduler *s, pith_choice *choice, pith_error *error) {
    const pith_job *job = choice->job;
    const int32_t *tokens = job->prompts[choice->prompt];
    size_t n_tokens = job->n_tokens[choice->prompt];
    size_t need = pith_scheduler_need(s, job, choice->prompt);
    pith_generate_params params = job->params;
    params.sampling.seed += choice->index;
    if (job->guards.owner != NULL) {
        params.mask = job->guards.mask;
        params.accept = job->guards.accept;
        params.mask_user = job->guards.of(job->guards.owner, choice->index);
    }
    pith_session *session = NULL;
    size_t n_kept = 0;
    pith_status status = get_session(s, job, choice->prompt, need, &session, &n_kept, error);
    if (status == PITH_ERROR_MEMORY && session == NULL) { /* the system has less than the budget */
        pith_scheduler_drop_idle(s);
        status = get_session(s, job, choice->prompt, need, &session, &n_kept, error);
    }
    if (status == PITH_OK) {
        status = pith_generation_new(&choice->generation, session, tokens + n_kept,
                                     n_tokens - n_kept, &params, error);
    }
    if (status != PITH_OK) {
        pith_session_free(session);
        return status;
    }
    choice->session = session;
    choice->n_left = n_tokens - n_kept;
    choice->reserved = pith_max_size(need, pith_session_memory(session));
    s->reserved += choice->reserved;
    return PITH_OK;
}

void pith_scheduler_close(pith_scheduler *s, pith_choice *choice, bool keep) {
    pith_generation_free(choice->generation);
    s->reserved -= choice->reserved;
    if (choice->session != NULL && keep && pith_session_length(choice->session) > 0) {
        keep_session(s, choice->session, choice->job->key);
    } else {
        pith_session_free(choice->session);
    }
    choice->generation = NULL;
    choice->session = NULL;
    choice->reserved = 0;
}
