/* Jobs: a copy of what is to be generated, and a list of pieces between two threads. */
#include "server/job_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"

/* A piece that waits, followed by the data that it refers to. */
struct pith_job_node {
    pith_job_node *next;
    size_t size; /* bytes of the node */
    size_t choice;
    bool has_token, done;
    int32_t token;
    float logprob;
    pith_finish finish;
    size_t n_text, n_top;
    pith_scored_token top[]; /* [n_top], then the text [n_text] */
};

/* ---- Making ---------------------------------------------------------------------------------- */

static void *copy_into(pith_arena *arena, const void *from, size_t count, size_t size) {
    void *to = pith_arena_take(arena, count, size);
    if (to != NULL && count != 0) {
        memcpy(to, from, count * size);
    }
    return to;
}

/* Copies what the spec points to; on an arena that measures, only adds it up. */
static void lay_out(pith_job *job, const pith_job_spec *spec, pith_arena *arena) {
    bool measuring = arena->base == NULL;
    const pith_generate_params *params = &spec->params;
    const int32_t **prompts = pith_arena_take(arena, spec->n_prompts, sizeof *prompts);
    size_t *n_tokens = copy_into(arena, spec->n_tokens, spec->n_prompts, sizeof *n_tokens);
    for (size_t i = 0; i < spec->n_prompts; i++) {
        int32_t *tokens =
            copy_into(arena, spec->prompts[i], spec->n_tokens[i], sizeof *spec->prompts[i]);
        if (!measuring) {
            prompts[i] = tokens;
        }
    }
    const char **stops = pith_arena_take(arena, params->n_stops, sizeof *stops);
    for (size_t i = 0; i < params->n_stops; i++) {
        char *stop = copy_into(arena, params->stops[i], strlen(params->stops[i]) + 1, 1);
        if (!measuring) {
            stops[i] = stop;
        }
    }
    int32_t *eos = copy_into(arena, params->eos, params->n_eos, sizeof *eos);
    int32_t *shown = copy_into(arena, params->shown, params->n_shown, sizeof *shown);
    pith_logit_bias *bias = copy_into(arena, params->bias, params->n_bias, sizeof *bias);
    if (!measuring) {
        job->prompts = prompts;
        job->n_tokens = n_tokens;
        job->params.stops = stops;
        job->params.eos = eos;
        job->params.shown = shown;
        job->params.bias = bias;
    }
}

static bool check_spec(const pith_job_spec *spec, pith_problem *problem) {
    if (spec->n_prompts == 0 || spec->n_choices == 0) {
        return pith_problem_set(problem, 400, NULL, NULL, "nothing is to be generated");
    }
    for (size_t i = 0; i < spec->n_prompts; i++) {
        if (spec->n_tokens[i] == 0) {
            return pith_problem_set(problem, 400, NULL, "prompt", "prompt %zu has no tokens", i);
        }
    }
    return true;
}

static bool no_memory(pith_problem *problem) {
    return pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
}

bool pith_job_new(pith_job **out, const pith_job_spec *spec, pith_problem *problem) {
    if (!check_spec(spec, problem)) {
        return false;
    }
    pith_arena arena = {0};
    pith_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return no_memory(problem);
    }
    lay_out(job, spec, &arena);
    if (arena.overflow || pith_region_allocate(&job->region, arena.used, NULL, NULL) != PITH_OK) {
        free(job);
        return no_memory(problem);
    }
    job->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (job->fd < 0) {
        pith_region_release(&job->region);
        free(job);
        return pith_problem_set(problem, 503, NULL, NULL,
                                "the server has too many descriptors open");
    }
    job->params = spec->params;
    pith_grammar_retain(job->params.grammar);
    job->guards = spec->guards;
    job->n_prompts = spec->n_prompts;
    job->n_choices = spec->n_choices;
    job->key = spec->key;
    job->deadline = spec->deadline;
    arena = (pith_arena){.base = job->region.data};
    lay_out(job, spec, &arena);
    atomic_init(&job->references, 1);
    pthread_mutex_init(&job->lock, NULL);
    job->item.owner = job;
    *out = job;
    return true;
}

void pith_job_retain(pith_job *job) {
    atomic_fetch_add(&job->references, 1);
}

void pith_job_release(pith_job *job) {
    if (job == NULL || atomic_fetch_sub(&job->references, 1) != 1) {
        return;
    }
    for (pith_job_node *node = job->first; node != NULL;) {
        pith_job_node *next = node->next;
        free(node);
        node = next;
    }
    free(job->taken);
    pith_grammar_free(job->params.grammar);
    if (job->guards.owner != NULL) {
        job->guards.release(job->guards.owner);
    }
    close(job->fd);
    pthread_mutex_destroy(&job->lock);
    pith_region_release(&job->region);
    free(job);
}

/* ---- The scheduler's side -------------------------------------------------------------------- */

void pith_job_attach(pith_job *job, void (*wake)(void *user), void *user) {
    pthread_mutex_lock(&job->lock);
    job->wake = wake;
    job->wake_user = user;
    job->submitted = pith_clock();
    pthread_mutex_unlock(&job->lock);
}

void pith_job_detach(pith_job *job) {
    pthread_mutex_lock(&job->lock);
    job->wake = NULL;
    if (job->ended <= 0) {
        job->ended = pith_clock();
    }
    pthread_mutex_unlock(&job->lock);
}

/* Makes the descriptor readable, under the lock. An eventfd that counts to 1 is never full. */
static void signal_reader(pith_job *job) {
    if (!job->signalled) {
        job->signalled = eventfd_write(job->fd, 1) == 0;
    }
}

static void quiet_reader(pith_job *job) {
    eventfd_t count;
    if (job->signalled) {
        job->signalled = eventfd_read(job->fd, &count) != 0;
    }
}

static pith_job_node *new_node(const pith_job_piece *piece) {
    size_t size = 0;
    if (!pith_mul_size(piece->n_top, sizeof *piece->top, &size) ||
        !pith_add_size(size, piece->text.n_bytes, &size) ||
        !pith_add_size(size, sizeof(pith_job_node), &size)) {
        return NULL;
    }
    pith_job_node *node = malloc(size);
    if (node == NULL) {
        return NULL;
    }
    *node = (pith_job_node){
        .size = size,
        .choice = piece->choice,
        .has_token = piece->has_token,
        .token = piece->token,
        .logprob = piece->logprob,
        .done = piece->done,
        .finish = piece->finish,
        .n_text = piece->text.n_bytes,
        .n_top = piece->n_top,
    };
    if (node->n_top != 0) {
        memcpy(node->top, piece->top, node->n_top * sizeof *node->top);
    }
    if (node->n_text != 0) {
        memcpy(node->top + node->n_top, piece->text.data, node->n_text);
    }
    return node;
}

bool pith_job_push(pith_job *job, const pith_job_piece *piece) {
    pith_job_node *node = new_node(piece);
    if (node == NULL) {
        return false;
    }
    pthread_mutex_lock(&job->lock);
    if (job->last == NULL) {
        job->first = node;
    } else {
        job->last->next = node;
    }
    job->last = node;
    atomic_fetch_add(&job->n_backlog, node->size);
    job->n_done += piece->done ? 1 : 0;
    if (job->n_done == pith_job_total(job)) {
        job->ended = pith_clock();
    }
    signal_reader(job);
    pthread_mutex_unlock(&job->lock);
    return true;
}

void pith_job_fail(pith_job *job, const pith_problem *problem) {
    pthread_mutex_lock(&job->lock);
    if (!atomic_load(&job->failed) && job->n_done < pith_job_total(job)) {
        job->problem = *problem;
        job->ended = pith_clock();
        atomic_store(&job->failed, true);
        signal_reader(job);
    }
    pthread_mutex_unlock(&job->lock);
}

void pith_job_count(pith_job *job, size_t n_prompt, size_t n_cached, size_t n_generated) {
    pthread_mutex_lock(&job->lock);
    job->usage.prompt_tokens += n_prompt;
    job->usage.cached_tokens += n_cached;
    job->usage.generated_tokens += n_generated;
    pthread_mutex_unlock(&job->lock);
}

static bool note_time(pith_job *job, double *at, double *seconds) {
    pthread_mutex_lock(&job->lock);
    bool first = *at <= 0;
    if (first) {
        *at = pith_clock();
        *seconds = *at - job->submitted;
    }
    pthread_mutex_unlock(&job->lock);
    return first;
}

bool pith_job_begin(pith_job *job, double *seconds) {
    return note_time(job, &job->begun, seconds);
}

bool pith_job_first_token(pith_job *job, double *seconds) {
    return note_time(job, &job->first_token, seconds);
}

/* ---- The connection's side ------------------------------------------------------------------- */

void pith_job_cancel(pith_job *job) {
    atomic_store(&job->cancelled, true);
    pthread_mutex_lock(&job->lock);
    if (job->wake != NULL) {
        job->wake(job->wake_user);
    }
    pthread_mutex_unlock(&job->lock);
}

int pith_job_fd(const pith_job *job) {
    return job->fd;
}

/* Takes the first node off the list, under the lock. */
static void take_node(pith_job *job, pith_job_piece *out) {
    pith_job_node *node = job->first;
    job->first = node->next;
    if (job->first == NULL) {
        job->last = NULL;
    }
    job->taken = node;
    bool was_full = pith_job_is_full(job);
    atomic_fetch_sub(&job->n_backlog, node->size);
    if (was_full && !pith_job_is_full(job) && job->wake != NULL) {
        job->wake(job->wake_user);
    }
    out->choice = node->choice;
    out->text = (pith_text){(const char *)(node->top + node->n_top), node->n_text};
    out->has_token = node->has_token;
    out->token = node->token;
    out->logprob = node->logprob;
    out->top = node->top;
    out->n_top = node->n_top;
    out->done = node->done;
    out->finish = node->finish;
}

bool pith_job_take(pith_job *job, pith_job_piece *out) {
    bool took = true;
    *out = (pith_job_piece){0};
    pthread_mutex_lock(&job->lock);
    free(job->taken);
    job->taken = NULL;
    bool failure = atomic_load(&job->failed) && !job->failure_taken;
    if (job->first != NULL) {
        take_node(job, out);
    } else if (failure) {
        out->failed = true;
        out->problem = job->problem;
        job->failure_taken = true;
        failure = false;
    } else {
        took = false;
    }
    if (job->first == NULL && !failure) {
        quiet_reader(job);
    }
    pthread_mutex_unlock(&job->lock);
    return took;
}

bool pith_job_finished(const pith_job *job) {
    pith_job *open = (pith_job *)job; /* for its lock */
    pthread_mutex_lock(&open->lock);
    bool over = job->failure_taken || job->n_done == pith_job_total(job);
    bool finished = over && job->first == NULL;
    pthread_mutex_unlock(&open->lock);
    return finished;
}

void pith_job_get_usage(const pith_job *job, pith_job_usage *out) {
    pith_job *open = (pith_job *)job;
    pthread_mutex_lock(&open->lock);
    *out = job->usage;
    if (job->submitted > 0) {
        double now = job->ended > 0 ? job->ended : pith_clock();
        out->queue_seconds = (job->begun > 0 ? job->begun : now) - job->submitted;
        out->first_token_seconds = job->first_token > 0 ? job->first_token - job->submitted : 0;
        out->total_seconds = now - job->submitted;
    }
    pthread_mutex_unlock(&open->lock);
}
