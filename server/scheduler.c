/* The scheduler's thread: drops jobs that nobody waits for, admits those that fit, runs a pass, and
 * sleeps when there is nothing to do. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "server/metrics.h"
#include "server/scheduler_inside.h"

/* ---- Waking and ending ----------------------------------------------------------------------- */

static void wake(void *user) {
    pith_scheduler *s = user;
    pthread_mutex_lock(&s->lock);
    s->signalled = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* Ends the scheduler's part in a job that has left its queue and its slots. */
static void let_go(pith_scheduler *s, pith_job *job) {
    pith_job_usage usage;
    pith_job_detach(job);
    pith_job_get_usage(job, &usage);
    double seconds = usage.total_seconds - usage.queue_seconds;
    if (usage.generated_tokens != 0) {
        pthread_mutex_lock(&s->lock);
        s->job_seconds += s->job_seconds > 0 ? 0.2 * (seconds - s->job_seconds) : seconds;
        pthread_mutex_unlock(&s->lock);
    }
    pith_job_release(job);
}

void pith_scheduler_end_choice(pith_scheduler *s, pith_choice *choice, bool keep) {
    pith_job *job = choice->job;
    pith_scheduler_close(s, choice, keep);
    *choice = (pith_choice){0};
    s->n_running--;
    s->stepped = true;
    job->n_running--;
    if (job->n_running == 0 && job->item.lane == NULL) {
        let_go(s, job);
    }
}

/* Why a job must end now; false: it goes on. */
static bool must_end(const pith_job *job, double now, pith_problem *problem) {
    if (atomic_load(&job->cancelled)) {
        pith_problem_set(problem, 499, NULL, NULL, "the client went away");
        return true;
    }
    if (job->deadline > 0 && now >= job->deadline) {
        pith_problem_set(problem, 504, "deadline", NULL,
                         "the request was not finished within its time limit");
        return true;
    }
    return atomic_load(&job->failed);
}

static bool over(void *user, pith_fair_item *item) {
    pith_problem problem;
    return must_end(item->owner, *(const double *)user, &problem);
}

/* Ends the jobs that were cancelled, have failed or are late, in the queue and in the slots. */
static void drop_ended(pith_scheduler *s) {
    double now = pith_clock();
    pith_problem problem = {0};
    for (;;) {
        pthread_mutex_lock(&s->lock);
        pith_fair_item *item = pith_fair_find(&s->queue, over, &now);
        if (item != NULL) {
            pith_fair_remove(&s->queue, item);
        }
        pthread_mutex_unlock(&s->lock);
        if (item == NULL) {
            break;
        }
        pith_job *job = item->owner;
        must_end(job, now, &problem);
        pith_job_fail(job, &problem);
        if (job->n_running == 0) {
            let_go(s, job);
        }
    }
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        pith_choice *choice = &s->choices[i];
        if (choice->job != NULL && must_end(choice->job, now, &problem)) {
            pith_job_fail(choice->job, &problem);
            pith_scheduler_end_choice(s, choice, true);
        }
    }
}

/* ---- Admission ------------------------------------------------------------------------------- */

/* A choice whose prompt another choice of the job is evaluating waits, and forks that one's
 * session when the prompt is there. */
static bool can_start(void *user, pith_fair_item *item) {
    const pith_scheduler *s = user;
    const pith_job *job = item->owner;
    size_t prompt = job->n_started / job->n_choices;
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        const pith_choice *other = &s->choices[i];
        if (other->job == job && other->prompt == prompt && other->n_left > 1) {
            return false;
        }
    }
    return true;
}

static pith_choice *free_slot(pith_scheduler *s) {
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        if (s->choices[i].job == NULL) {
            return &s->choices[i];
        }
    }
    return NULL;
}

/* Takes the next choice from the queue that can start. One that does not fit in the budget keeps
 * its place and those behind it wait, so that small requests do not hold up a large one for ever.
 */
static bool take_choice(pith_scheduler *s, pith_choice *out) {
    bool took = false;
    pthread_mutex_lock(&s->lock);
    pith_fair_item *item = pith_fair_find(&s->queue, can_start, s);
    if (item != NULL) {
        pith_job *job = item->owner;
        size_t prompt = job->n_started / job->n_choices;
        if (pith_scheduler_has_room(s, pith_scheduler_need(s, job, prompt))) {
            *out = (pith_choice){
                .job = job,
                .index = job->n_started++,
                .prompt = prompt,
                .age = ++s->clock,
            };
            pith_fair_served(&s->queue, item);
            if (job->n_started == pith_job_total(job)) {
                pith_fair_remove(&s->queue, item);
            }
            took = true;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return took;
}

/* Starts a choice in a slot. */
static void start(pith_scheduler *s, pith_choice *choice) {
    pith_job *job = choice->job;
    pith_error error;
    job->n_running++;
    s->n_running++;
    if (pith_scheduler_open(s, choice, &error) != PITH_OK) {
        pith_problem problem;
        pith_problem_from(&problem, &error);
        pith_job_fail(job, &problem);
        pith_scheduler_end_choice(s, choice, false);
        return;
    }
    size_t n_cached = job->n_tokens[choice->prompt] - choice->n_left;
    if (choice->index % job->n_choices == 0) {
        pith_job_count(job, n_cached, n_cached, 0);
        pith_metrics_add(s->options.metrics, PITH_PROMPT_TOKENS, s->name, n_cached);
        pith_metrics_add(s->options.metrics, PITH_CACHED_TOKENS, s->name, n_cached);
    }
}

static void admit(pith_scheduler *s) {
    for (pith_choice *slot = free_slot(s); slot != NULL && take_choice(s, slot);
         slot = free_slot(s)) {
        start(s, slot);
    }
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void publish_state(pith_scheduler *s) {
    size_t bytes = 0;
    for (size_t i = 0; i < s->n_idle; i++) {
        bytes += s->idle[i].bytes;
    }
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        if (s->choices[i].session != NULL) {
            bytes += pith_session_memory(s->choices[i].session);
        }
    }
    pthread_mutex_lock(&s->lock);
    s->state.running = s->n_running;
    s->state.idle_sessions = s->n_idle;
    s->state.kv_bytes = bytes;
    pthread_mutex_unlock(&s->lock);
}

/* Finds the item whose deadline comes first. */
static bool note_deadline(void *user, pith_fair_item *item) {
    double *first = user;
    const pith_job *job = item->owner;
    if (job->deadline > 0 && (*first <= 0 || job->deadline < *first)) {
        *first = job->deadline;
    }
    return false;
}

/* Sleeps until something changes or a deadline passes; false: the scheduler is to stop. */
static bool wait_for_work(pith_scheduler *s, bool busy) {
    double until = 0;
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        if (s->choices[i].job != NULL) {
            note_deadline(&until, &s->choices[i].job->item);
        }
    }
    pthread_mutex_lock(&s->lock);
    pith_fair_find(&s->queue, note_deadline, &until);
    while (!busy && !s->signalled && !s->stopping && (until <= 0 || pith_clock() < until)) {
        pith_clock_wait(&s->changed, &s->lock, until);
    }
    s->signalled = false;
    bool go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

/* Fails everything that is left. Nothing is submitted any more. */
static void stop_all(pith_scheduler *s) {
    pith_problem problem;
    pith_problem_stopping(&problem);
    pith_fair_item *item;
    while ((item = pith_fair_find(&s->queue, NULL, NULL)) != NULL) {
        pith_job *job = item->owner;
        pthread_mutex_lock(&s->lock);
        pith_fair_remove(&s->queue, item);
        pthread_mutex_unlock(&s->lock);
        pith_job_fail(job, &problem);
        if (job->n_running == 0) {
            let_go(s, job);
        }
    }
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        if (s->choices[i].job != NULL) {
            pith_job_fail(s->choices[i].job, &problem);
            pith_scheduler_end_choice(s, &s->choices[i], false);
        }
    }
    pith_scheduler_drop_idle(s);
}

static void *run(void *user) {
    pith_scheduler *s = user;
    bool busy = false;
    while (wait_for_work(s, busy)) {
        drop_ended(s);
        admit(s);
        busy = pith_scheduler_pass(s);
        publish_state(s);
    }
    stop_all(s);
    return NULL;
}

/* ---- The public side ------------------------------------------------------------------------- */

/* The longest timeline whose cache fits in the budget alone, so that no choice waits for ever. */
static size_t bounded_context(const pith_model *model, const pith_scheduler_options *options) {
    size_t least = 0;
    size_t most = options->n_context;
    if (options->kv_bytes == 0 ||
        pith_model_kv_bytes(model, options->kv_type, most) <= options->kv_bytes) {
        return most;
    }
    while (most - least > 1) {
        size_t middle = least + (most - least) / 2;
        bool fits = pith_model_kv_bytes(model, options->kv_type, middle) <= options->kv_bytes;
        least = fits ? middle : least;
        most = fits ? most : middle;
    }
    return least;
}

static size_t or_default(size_t value, size_t instead) {
    return value != 0 ? value : instead;
}

static void set_options(pith_scheduler *s, const pith_scheduler_options *options) {
    pith_model_info info;
    pith_model_get_info(s->model, &info);
    pith_scheduler_options *o = &s->options;
    *o = *options;
    o->n_context = or_default(o->n_context, info.n_context);
    o->n_context = bounded_context(s->model, o);
    o->n_parallel = or_default(o->n_parallel, PITH_SCHEDULER_PARALLEL);
    o->n_queue = or_default(o->n_queue, PITH_SCHEDULER_QUEUE);
    o->prefill_chunk = or_default(o->prefill_chunk, PITH_SCHEDULER_CHUNK);
    o->model = s->name;
}

static bool allocate(pith_scheduler *s) {
    size_t n = s->options.n_parallel;
    s->choices = calloc(n, sizeof *s->choices);
    s->idle = calloc(n, sizeof *s->idle);
    s->order = calloc(n, sizeof *s->order);
    s->pass.choices = calloc(n, sizeof *s->pass.choices);
    s->pass.sessions = calloc(n, sizeof *s->pass.sessions);
    s->pass.tokens = calloc(n, sizeof *s->pass.tokens);
    s->pass.n_tokens = calloc(n, sizeof *s->pass.n_tokens);
    return s->choices != NULL && s->idle != NULL && s->order != NULL && s->pass.choices != NULL &&
           s->pass.sessions != NULL && s->pass.tokens != NULL && s->pass.n_tokens != NULL;
}

static void destroy(pith_scheduler *s) {
    free(s->choices);
    free(s->idle);
    free(s->order);
    free(s->pass.choices);
    free(s->pass.sessions);
    free((void *)s->pass.tokens);
    free(s->pass.n_tokens);
    free(s->name);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

bool pith_scheduler_new(pith_scheduler **out, const pith_model *model,
                        const pith_scheduler_options *options, pith_problem *problem) {
    pith_scheduler *s = calloc(1, sizeof *s);
    char *name = strdup(options->model != NULL ? options->model : "");
    if (s == NULL || name == NULL) {
        free(s);
        free(name);
        return pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    }
    s->model = model;
    s->name = name;
    pthread_mutex_init(&s->lock, NULL);
    pith_clock_init(&s->changed);
    set_options(s, options);
    if (s->options.n_context < 2) {
        pith_problem_set(problem, 503, "model_too_large", NULL,
                         "the memory limit leaves no room for the context of this model");
        problem->no_retry = true; /* waiting does not raise the limit */
    } else if (!allocate(s) || pthread_create(&s->thread, NULL, run, s) != 0) {
        pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    } else {
        *out = s;
        return true;
    }
    destroy(s);
    return false;
}

void pith_scheduler_stop(pith_scheduler *s) {
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

void pith_scheduler_free(pith_scheduler *s) {
    if (s == NULL) {
        return;
    }
    pith_scheduler_stop(s);
    pthread_join(s->thread, NULL);
    destroy(s);
}

size_t pith_scheduler_context(const pith_scheduler *s) {
    return s->options.n_context;
}

/* Seconds until the queue has probably moved on, under the lock. */
static size_t estimate_wait(const pith_scheduler *s) {
    double seconds = s->job_seconds * (double)s->queue.n_items / (double)s->options.n_parallel;
    return seconds <= 1 ? 1 : seconds >= 60 ? 60 : (size_t)seconds;
}

bool pith_scheduler_check_prompt(const pith_scheduler *s, size_t n_tokens, pith_problem *problem) {
    return n_tokens < s->options.n_context ||
           pith_problem_set(problem, 400, "context_length_exceeded", NULL,
                            "the prompt has %zu tokens, and the context of %zu must leave room for "
                            "one more",
                            n_tokens, s->options.n_context);
}

static bool fail_full(pith_problem *problem, size_t wait) {
    pith_problem_set(problem, 503, "queue_full", NULL,
                     "too many requests are waiting for this model");
    problem->retry_after = wait;
    return false;
}

bool pith_scheduler_check_room(pith_scheduler *s, pith_problem *problem) {
    pthread_mutex_lock(&s->lock);
    bool full = s->queue.n_items >= s->options.n_queue;
    size_t wait = estimate_wait(s);
    pthread_mutex_unlock(&s->lock);
    return !full || fail_full(problem, wait);
}

bool pith_scheduler_submit(pith_scheduler *s, pith_job *job, pith_problem *problem) {
    for (size_t i = 0; i < job->n_prompts; i++) {
        if (!pith_scheduler_check_prompt(s, job->n_tokens[i], problem)) {
            return false;
        }
    }
    pith_job_retain(job);
    pith_job_attach(job, wake, s);
    pthread_mutex_lock(&s->lock);
    bool full = s->queue.n_items >= s->options.n_queue;
    size_t wait = estimate_wait(s);
    bool stopping = s->stopping;
    bool added = !full && !stopping && pith_fair_add(&s->queue, &job->item, job->key);
    if (added) {
        s->signalled = true;
        pthread_cond_signal(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    if (added) {
        return true;
    }
    pith_job_detach(job);
    pith_job_release(job);
    if (stopping) {
        return pith_problem_stopping(problem);
    }
    if (full) {
        return fail_full(problem, wait);
    }
    pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    problem->retry_after = wait;
    return false;
}

void pith_scheduler_get_state(pith_scheduler *s, pith_scheduler_state *out) {
    pthread_mutex_lock(&s->lock);
    *out = s->state;
    out->waiting = s->queue.n_items;
    pthread_mutex_unlock(&s->lock);
}
