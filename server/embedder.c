/* A queue of jobs and a thread that embeds their texts, up to a batch at a time.
 *
 * Jobs borrow their caller's texts, so freeing a job waits for the batch that reads them. The lock
 * is shared by embedder and jobs and lives as long as any of them. */
#include "server/embedder.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/utf8.h"
#include "server/fair.h"
#include "server/metrics.h"

enum {
    DEFAULT_QUEUE = 4096,
    DEFAULT_BATCH = 32,
};

struct pith_embed_job {
    pith_embedder *embedder;
    pith_fair_item item;
    const pith_embed_input *inputs; /* [n_inputs] */
    size_t n_inputs;
    const char *prompt;         /* NULL: the model's default */
    float *vectors;             /* [n_inputs, n_embd] */
    pith_embed_result *results; /* [n_inputs] */
    int fd;
    size_t n_taken;   /* texts that left the queue */
    size_t n_running; /* of these, in the batch under way */
    bool over, failed;
    pith_problem problem;
};

/* Where a text of the batch comes from. */
typedef struct source {
    pith_embed_job *job;
    size_t index;
} source;

struct pith_embedder {
    size_t references; /* the owner's and one per job, under the lock */
    const pith_model *model;
    pith_embedder_options options;
    size_t n_embd;
    char *name;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;  /* for the thread */
    pthread_cond_t ended; /* for those who wait for a job */
    pith_fair_queue queue;
    size_t n_waiting; /* texts */
    bool stopping;
    size_t n_batch;     /* texts of the batch under way */
    const char *prompt; /* in front of each of them; a job's that has texts among them */

    /* The thread's own, [options.n_batch] each. */
    source *sources;
    pith_embed_input *inputs;
    pith_embed_result *results;
    float *vectors; /* [options.n_batch, n_embd] */
};

/* ---- Jobs, under the lock -------------------------------------------------------------------- */

static void leave_queue(pith_embedder *e, pith_embed_job *job) {
    if (job->item.lane != NULL) {
        pith_fair_remove(&e->queue, &job->item);
        e->n_waiting -= job->n_inputs - job->n_taken;
    }
}

/* Ends a job that has no text in a batch. */
static void end_job(pith_embedder *e, pith_embed_job *job) {
    job->over = true;
    eventfd_write(job->fd, 1);
    pthread_cond_broadcast(&e->ended);
}

static void fail_job(pith_embedder *e, pith_embed_job *job, const pith_problem *problem) {
    leave_queue(e, job);
    if (!job->failed) {
        job->failed = true;
        job->problem = *problem;
    }
    if (job->n_running == 0 && !job->over) {
        end_job(e, job);
    }
}

/* ---- Batches --------------------------------------------------------------------------------- */

static bool same_prompt(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* True when a job has the prompt of the batch that has been begun. */
static bool fits(void *user, pith_fair_item *item) {
    const pith_embedder *e = user;
    const pith_embed_job *job = item->owner;
    return e->n_batch == 0 || same_prompt(job->prompt, e->prompt);
}

/* Fills the batch from the queue, under the lock: a text of each key in turn, as far as they share
 * the prompt of the first one. */
static void take_batch(pith_embedder *e) {
    e->n_batch = 0;
    pith_fair_item *item;
    while (e->n_batch < e->options.n_batch && (item = pith_fair_find(&e->queue, fits, e)) != NULL) {
        pith_embed_job *job = item->owner;
        e->prompt = job->prompt;
        pith_fair_served(&e->queue, item);
        e->inputs[e->n_batch] = job->inputs[job->n_taken];
        e->sources[e->n_batch++] = (source){job, job->n_taken};
        job->n_taken++;
        job->n_running++;
        e->n_waiting--;
        if (job->n_taken == job->n_inputs) {
            pith_fair_remove(&e->queue, item);
        }
    }
}

/* Delivers the result of the batch's i-th text, under the lock. `error` NULL: it was embedded. */
static void settle(pith_embedder *e, size_t i, const pith_error *error) {
    const source *from = &e->sources[i];
    pith_embed_job *job = from->job;
    job->n_running--;
    if (error != NULL) {
        pith_problem problem;
        pith_problem_from(&problem, error);
        fail_job(e, job, &problem);
        return;
    }
    memcpy(job->vectors + from->index * e->n_embd, e->vectors + i * e->n_embd,
           e->n_embd * sizeof *job->vectors);
    job->results[from->index] = e->results[i];
    bool last = job->n_running == 0 && (job->failed || job->n_taken == job->n_inputs);
    if (last && !job->over) {
        end_job(e, job);
    }
}

static pith_status embed(pith_embedder *e, size_t first, size_t n, pith_error *error) {
    const pith_embed_options options = {.prompt = e->prompt};
    pith_turn_take(e->options.turn);
    pith_status status = pith_embed(e->model, e->inputs + first, n, &options,
                                    e->vectors + first * e->n_embd, e->results + first, error);
    pith_turn_give(e->options.turn);
    return status;
}

/* Embeds the batch; when that fails, its texts one by one, so that only the jobs whose texts fail
 * by themselves end with a problem. */
static void embed_batch(pith_embedder *e) {
    pith_error error;
    pith_status together = embed(e, 0, e->n_batch, &error);
    size_t n_tokens = 0;
    for (size_t i = 0; i < e->n_batch; i++) {
        pith_status status = together == PITH_OK ? PITH_OK : embed(e, i, 1, &error);
        n_tokens += status == PITH_OK ? e->results[i].n_tokens : 0;
        pthread_mutex_lock(&e->lock);
        settle(e, i, status == PITH_OK ? NULL : &error);
        pthread_mutex_unlock(&e->lock);
    }
    pith_metrics_add(e->options.metrics, PITH_EMBEDDED_TOKENS, e->name, n_tokens);
}

static void *run(void *user) {
    pith_embedder *e = user;
    pthread_mutex_lock(&e->lock);
    while (!e->stopping) {
        take_batch(e);
        if (e->n_batch == 0) {
            pthread_cond_wait(&e->work, &e->lock);
            continue;
        }
        pthread_mutex_unlock(&e->lock);
        embed_batch(e);
        pthread_mutex_lock(&e->lock);
        e->n_batch = 0;
    }
    pith_problem problem;
    pith_problem_stopping(&problem);
    pith_fair_item *item;
    while ((item = pith_fair_find(&e->queue, NULL, NULL)) != NULL) {
        fail_job(e, item->owner, &problem);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

static bool allocate(pith_embedder *e) {
    size_t n = e->options.n_batch;
    e->sources = calloc(n, sizeof *e->sources);
    e->inputs = calloc(n, sizeof *e->inputs);
    e->results = calloc(n, sizeof *e->results);
    e->vectors = calloc(n, e->n_embd * sizeof *e->vectors);
    return e->sources != NULL && e->inputs != NULL && e->results != NULL && e->vectors != NULL;
}

/* Drops a reference, with the lock held, which it releases; the last one frees. */
static void release(pith_embedder *e) {
    bool last = --e->references == 0;
    pthread_mutex_unlock(&e->lock);
    if (!last) {
        return;
    }
    free(e->sources);
    free(e->inputs);
    free(e->results);
    free(e->vectors);
    free(e->name);
    pthread_cond_destroy(&e->work);
    pthread_cond_destroy(&e->ended);
    pthread_mutex_destroy(&e->lock);
    free(e);
}

static bool no_memory(pith_problem *problem) {
    return pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
}

bool pith_embedder_new(pith_embedder **out, const pith_model *model,
                       const pith_embedder_options *options, pith_problem *problem) {
    pith_model_info info;
    pith_embedder *e = calloc(1, sizeof *e);
    char *name = strdup(options->model != NULL ? options->model : "");
    if (e == NULL || name == NULL) {
        free(e);
        free(name);
        return no_memory(problem);
    }
    pith_model_get_info(model, &info);
    e->model = model;
    e->options = *options;
    e->options.n_queue = options->n_queue != 0 ? options->n_queue : DEFAULT_QUEUE;
    e->options.n_batch = options->n_batch != 0 ? options->n_batch : DEFAULT_BATCH;
    e->name = name;
    e->n_embd = info.n_embd;
    e->references = 1;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->work, NULL);
    pthread_cond_init(&e->ended, NULL);
    if (!allocate(e) || pthread_create(&e->thread, NULL, run, e) != 0) {
        pthread_mutex_lock(&e->lock);
        release(e);
        return no_memory(problem);
    }
    *out = e;
    return true;
}

void pith_embedder_stop(pith_embedder *e) {
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_signal(&e->work);
    pthread_mutex_unlock(&e->lock);
}

void pith_embedder_free(pith_embedder *e) {
    if (e == NULL) {
        return;
    }
    pith_embedder_stop(e);
    pthread_join(e->thread, NULL);
    pthread_mutex_lock(&e->lock);
    release(e);
}

/* ---- The caller's side ----------------------------------------------------------------------- */

static bool check_text(pith_text text, size_t index, pith_problem *problem) {
    size_t good = text.n_bytes == 0 ? 0 : pith_utf8_check(text.data, text.n_bytes);
    if (good == text.n_bytes) {
        return true;
    }
    char param[sizeof problem->param];
    snprintf(param, sizeof param, "input[%zu]", index);
    return pith_problem_set(problem, 400, NULL, param,
                            "input[%zu] is not valid UTF-8 at byte offset %zu", index, good);
}

static bool check_inputs(const pith_embed_input *inputs, size_t n, pith_problem *problem) {
    if (n == 0) {
        return pith_problem_set(problem, 400, NULL, "input", "input has no texts");
    }
    for (size_t i = 0; i < n; i++) {
        if (!check_text(inputs[i].text, i, problem) ||
            (inputs[i].pair.data != NULL && !check_text(inputs[i].pair, i, problem))) {
            return false;
        }
    }
    return true;
}

/* Puts the job into the queue; false when there is no room for all of its texts. */
static bool enqueue(pith_embedder *e, pith_embed_job *job, int64_t key, pith_problem *problem) {
    pthread_mutex_lock(&e->lock);
    bool full =
        job->n_inputs > e->options.n_queue || e->n_waiting > e->options.n_queue - job->n_inputs;
    bool stopping = e->stopping;
    bool added = !full && !stopping && pith_fair_add(&e->queue, &job->item, key);
    if (added) {
        e->n_waiting += job->n_inputs;
        e->references++;
        pthread_cond_signal(&e->work);
    }
    pthread_mutex_unlock(&e->lock);
    if (stopping) {
        return pith_problem_stopping(problem);
    }
    if (!added) {
        pith_problem_set(problem, 503, full ? "queue_full" : NULL, NULL,
                         full ? "too many texts are waiting for this model"
                              : "the server is out of memory");
        problem->retry_after = 1;
    }
    return added;
}

bool pith_embedder_submit(pith_embedder *e, const pith_embed_input *inputs, size_t n_inputs,
                          const char *prompt, float *vectors, pith_embed_result *results,
                          int64_t key, pith_embed_job **out, pith_problem *problem) {
    if (!check_inputs(inputs, n_inputs, problem)) {
        return false;
    }
    pith_embed_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return no_memory(problem);
    }
    *job = (pith_embed_job){
        .embedder = e,
        .item.owner = job,
        .inputs = inputs,
        .n_inputs = n_inputs,
        .prompt = prompt,
        .vectors = vectors,
        .results = results,
        .fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
    };
    bool queued = false;
    if (job->fd < 0) {
        pith_problem_set(problem, 503, NULL, NULL, "the server has too many descriptors open");
    } else {
        queued = enqueue(e, job, key, problem);
    }
    if (!queued) {
        if (job->fd >= 0) {
            close(job->fd);
        }
        free(job);
        return false;
    }
    *out = job;
    return true;
}

int pith_embed_job_fd(const pith_embed_job *job) {
    return job->fd;
}

bool pith_embed_job_wait(pith_embed_job *job, pith_problem *problem) {
    pith_embedder *e = job->embedder;
    pthread_mutex_lock(&e->lock);
    while (!job->over) {
        pthread_cond_wait(&e->ended, &e->lock);
    }
    bool failed = job->failed;
    if (failed) {
        *problem = job->problem;
    }
    pthread_mutex_unlock(&e->lock);
    return !failed;
}

void pith_embed_job_free(pith_embed_job *job) {
    if (job == NULL) {
        return;
    }
    pith_embedder *e = job->embedder;
    pthread_mutex_lock(&e->lock);
    leave_queue(e, job);
    job->failed = true;
    while (job->n_running != 0) {
        pthread_cond_wait(&e->ended, &e->lock);
    }
    release(e);
    close(job->fd);
    free(job);
}

void pith_embedder_get_state(pith_embedder *e, pith_embedder_state *out) {
    pthread_mutex_lock(&e->lock);
    *out = (pith_embedder_state){.running = e->n_batch, .waiting = e->n_waiting};
    pthread_mutex_unlock(&e->lock);
}
