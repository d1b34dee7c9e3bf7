/* Loading and unloading: a thread of its own for every load, so that a client that leaves ends its
 * wait and not the load that others wait for.
 *
 * Memory. Under a limit a model counts with the size of its file and with the budget of its KV
 * caches. To make room, models that nobody uses are unloaded, the least recently used first. When
 * all are in use, the least recently used of them gets no new leases until it could be unloaded:
 * two models that are wanted all the time under a limit for one take turns. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/file.h"
#include "server/models_inside.h"

#define REMEMBER_SECONDS 5.0 /* how long the error of a failed load answers further requests */

/* ---- Unloading ------------------------------------------------------------------------------- */

static void count_bytes(pith_offer *offer, size_t bytes) {
    offer->bytes += bytes;
    offer->owner->bytes += bytes;
}

static void forget_bytes(pith_offer *offer) {
    offer->owner->bytes -= offer->bytes;
    offer->bytes = 0;
}

/* Frees what is loaded; no lock is held. */
static void free_model(pith_offer *offer) {
    pith_scheduler_free(offer->scheduler);
    pith_embedder_free(offer->embedder);
    pith_calling_free(offer->calling);
    pith_model_free(offer->model);
    offer->scheduler = NULL;
    offer->embedder = NULL;
    offer->calling = NULL;
    offer->model = NULL;
}

void pith_offer_stop(pith_offer *offer) {
    if (offer->scheduler != NULL) {
        pith_scheduler_stop(offer->scheduler);
    }
    if (offer->embedder != NULL) {
        pith_embedder_stop(offer->embedder);
    }
}

void pith_offer_unload(pith_offer *offer) {
    pith_models *models = offer->owner;
    offer->state = PITH_OFFER_UNLOADING;
    pthread_mutex_unlock(&models->lock);
    free_model(offer);
    pith_server_log_write(models->options.log, PITH_LOG_WANTED_INFO, "model %s: unloaded",
                          offer->found.name);
    pith_metrics_add(models->options.metrics, PITH_MODEL_UNLOADS, offer->found.name, 1);
    pthread_mutex_lock(&models->lock);
    forget_bytes(offer);
    offer->state = PITH_OFFER_EMPTY;
    offer->draining = false;
    offer->served = false;
    pthread_cond_broadcast(&models->changed);
}

/* ---- Room ------------------------------------------------------------------------------------ */

/* The least recently used loaded model that is in use, or that is not. A model that was loaded for
 * threads still waiting for it is left to them first. */
static pith_offer *least_used(const pith_models *models, bool in_use) {
    pith_offer *found = NULL;
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        bool wanted = offer->n_waiting != 0 && !offer->served;
        if (offer->state == PITH_OFFER_READY && (offer->n_leases != 0) == in_use && !wanted &&
            (found == NULL || offer->used < found->used)) {
            found = offer;
        }
    }
    return found;
}

static void stop_draining(pith_models *models) {
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        offer->draining = false;
    }
    pthread_cond_broadcast(&models->changed);
}

static bool is_draining(const pith_models *models) {
    for (const pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        if (offer->draining) {
            return true;
        }
    }
    return false;
}

/* True when nobody waits for the load any more. */
static bool is_unwanted(const pith_offer *offer) {
    return offer->owner->stopping || offer->n_waiting == 0;
}

static size_t megabytes(size_t bytes) {
    return bytes / 1000000 + (bytes % 1000000 != 0 ? 1 : 0);
}

/* Counts `bytes` more for an offer, under the lock, which is released while others are unloaded.
 * False: no room, or nobody waits for it any more (`abandoned`). */
static bool make_room(pith_offer *offer, size_t bytes, pith_problem *problem) {
    pith_models *models = offer->owner;
    size_t limit = models->options.memory_limit;
    size_t own = 0;
    if (limit != 0 && (!pith_add_size(offer->bytes, bytes, &own) || own > limit)) {
        pith_problem_set(problem, 503, "model_too_large", NULL,
                         "the model '%.200s' needs %zu MB, more than the server's limit of %zu MB",
                         offer->found.name, megabytes(own), limit / 1000000);
        problem->no_retry = true; /* waiting does not raise the limit */
        return false;
    }
    while (limit != 0 && models->bytes > limit - bytes) {
        pith_offer *victim = least_used(models, false);
        if (is_unwanted(offer)) {
            offer->abandoned = true;
            break;
        }
        if (victim != NULL) {
            pith_offer_unload(victim);
            pith_offer_drop_if_gone(victim);
            continue;
        }
        victim = least_used(models, true);
        if (victim != NULL && !is_draining(models)) {
            victim->draining = true;
        }
        pith_clock_wait(&models->changed, &models->lock, pith_clock() + 0.1);
    }
    stop_draining(models);
    if (offer->abandoned) {
        return pith_problem_set(problem, 503, NULL, NULL, "nobody waits for the model any more");
    }
    count_bytes(offer, bytes);
    return true;
}

/* Bytes for the KV caches of a decoder: all that its choices can fill, but under a limit at most a
 * quarter of what the weights leave, so that a second model may fit beside it; and room for one
 * whole context, if there is any. 0: no budget. */
static size_t kv_budget(const pith_offer *offer) {
    const pith_models_options *options = &offer->owner->options;
    const pith_scheduler_options *o = &options->scheduler;
    size_t limit = options->memory_limit;
    if (limit == 0) {
        return o->kv_bytes;
    }
    size_t context = o->n_context != 0 ? o->n_context : offer->info.n_context;
    size_t one = pith_model_kv_bytes(offer->model, o->kv_type, context);
    size_t all = 0;
    if (!pith_mul_size(one, o->n_parallel != 0 ? o->n_parallel : 8, &all)) {
        all = SIZE_MAX;
    }
    size_t left = limit > offer->bytes ? limit - offer->bytes : 0;
    size_t budget = o->kv_bytes != 0 ? pith_min_size(all, o->kv_bytes)
                                     : pith_min_size(all, pith_max_size(one, left / 4));
    return pith_max_size(pith_min_size(budget, left), 1);
}

/* ---- Loading --------------------------------------------------------------------------------- */

static void log_message(void *user, pith_log_level level, const char *message) {
    const pith_offer *offer = user;
    pith_server_log_write(offer->owner->options.log,
                          level == PITH_LOG_WARNING ? PITH_LOG_WANTED_WARNING
                                                    : PITH_LOG_WANTED_DEBUG,
                          "model %s: %s", offer->found.name, message);
}

static bool still_wanted(void *user) {
    pith_offer *offer = user;
    pith_models *models = offer->owner;
    pthread_mutex_lock(&models->lock);
    bool go_on = !models->stopping;
    pthread_mutex_unlock(&models->lock);
    return go_on;
}

static bool load_progress(void *user, size_t done, size_t total) {
    (void)done;
    (void)total;
    return still_wanted(user);
}

/* What a client learns of an error: the message, which names files, goes to the log only. */
static bool load_problem(const pith_offer *offer, const pith_error *error, pith_problem *problem) {
    pith_server_log_write(offer->owner->options.log, PITH_LOG_WANTED_ERROR, "model %s: %s",
                          offer->found.name, error->message);
    if (error->status == PITH_ERROR_MEMORY) {
        pith_problem_set(problem, 503, NULL, NULL,
                         "the server has no memory for the model '%.200s'", offer->found.name);
        problem->retry_after = (size_t)REMEMBER_SECONDS;
        return false;
    }
    return pith_problem_set(problem, 500, "model_load_failed", NULL,
                            "the model '%.200s' could not be loaded; the server's log says why",
                            offer->found.name);
}

/* Opens the model's file, whose size is counted already. Without OpenBLAS, whose results depend on
 * what is evaluated together. */
static pith_status open_file(pith_offer *offer, const char *path, pith_error *error) {
    const pith_models_options *given = &offer->owner->options;
    pith_model_options options = {
        .n_threads = given->n_threads,
        .tuning = given->tuning,
        .blas = PITH_BLAS_OFF,
        .log = log_message,
        .log_user = offer,
        .load = load_progress,
        .load_user = offer,
    };
    pith_status status = PITH_OK;
    if (given->before_open != NULL) {
        status = given->before_open(given->before_open_user, path, &options, error);
    }
    if (status == PITH_OK) {
        status = pith_model_open(&offer->model, path, &options, error);
    }
    if (status == PITH_OK) {
        pith_model_get_info(offer->model, &offer->info);
    }
    return status;
}

/* Starts the thread that owns the model's inference. */
static bool start_worker(pith_offer *offer, size_t kv_bytes, pith_problem *problem) {
    pith_models *models = offer->owner;
    if (offer->info.is_encoder) {
        pith_embedder_options options = {
            .turn = &models->turn,
            .metrics = models->options.metrics,
            .model = offer->found.name,
        };
        return pith_embedder_new(&offer->embedder, offer->model, &options, problem);
    }
    if (offer->info.has_tokenizer && !pith_calling_new(&offer->calling, offer->model, problem)) {
        return false;
    }
    pith_scheduler_options options = models->options.scheduler;
    options.turn = &models->turn;
    options.metrics = models->options.metrics;
    options.model = offer->found.name;
    options.kv_bytes = kv_bytes;
    return pith_scheduler_new(&offer->scheduler, offer->model, &options, problem);
}

/* Counts `bytes`, taking the lock. */
static bool reserve(pith_offer *offer, size_t bytes, pith_problem *problem) {
    pthread_mutex_lock(&offer->owner->lock);
    bool good = make_room(offer, bytes, problem);
    pthread_mutex_unlock(&offer->owner->lock);
    return good;
}

/* Opens the file and makes the model ready for leases; the caller has the right to open. */
static bool open_model(pith_offer *offer, const char *path, pith_problem *problem) {
    struct stat status;
    pith_error error;
    double began = pith_clock();
    if (stat(path, &status) != 0) {
        pith_fail_io(&error, path, "open", errno);
        return load_problem(offer, &error, problem);
    }
    if (!reserve(offer, (size_t)status.st_size, problem)) {
        return false;
    }
    if (open_file(offer, path, &error) != PITH_OK) {
        return load_problem(offer, &error, problem);
    }
    size_t kv_bytes = offer->info.is_encoder ? 0 : kv_budget(offer);
    if (!reserve(offer, kv_bytes, problem) || !start_worker(offer, kv_bytes, problem)) {
        return false;
    }
    pith_server_log_write(offer->owner->options.log, PITH_LOG_WANTED_INFO,
                          "model %s: loaded in %.1f s, %s, %s, %zu MB", offer->found.name,
                          pith_clock() - began, offer->info.architecture, offer->info.type,
                          megabytes(offer->info.weight_bytes));
    pith_metrics_add(offer->owner->options.metrics, PITH_MODEL_LOADS, offer->found.name, 1);
    return true;
}

/* One thread at a time opens models: two that both have their weights and wait for room for their
 * caches would wait for each other. */
static bool open_in_turn(pith_offer *offer, const char *path, pith_problem *problem) {
    pith_models *models = offer->owner;
    pthread_mutex_lock(&models->lock);
    while (models->opening) {
        pthread_cond_wait(&models->changed, &models->lock);
    }
    models->opening = true;
    pthread_mutex_unlock(&models->lock);
    bool good = open_model(offer, path, problem);
    if (!good) {
        free_model(offer);
    }
    pthread_mutex_lock(&models->lock);
    models->opening = false;
    pthread_cond_broadcast(&models->changed);
    pthread_mutex_unlock(&models->lock);
    return good;
}

static bool load(pith_offer *offer, pith_problem *problem) {
    const pith_models *models = offer->owner;
    pith_error error;
    if (!offer->found.checkpoint) {
        return open_in_turn(offer, offer->found.path, problem);
    }
    char *path = NULL;
    if (pith_models_convert(&offer->found, models->cache, models->options.n_threads,
                            models->options.log, still_wanted, offer, &path, &error) != PITH_OK) {
        return load_problem(offer, &error, problem);
    }
    bool good = open_in_turn(offer, path, problem);
    free(path);
    return good;
}

static void *run(void *user) {
    pith_offer *offer = user;
    pith_models *models = offer->owner;
    pith_problem problem = {0};
    bool good = load(offer, &problem);
    /* With model_load_failed the reason is in the log already. */
    if (!good && !pith_problem_is(&problem, "model_load_failed")) {
        pith_server_log_write(models->options.log, PITH_LOG_WANTED_WARNING,
                              "model %s: not loaded: %s", offer->found.name, problem.message);
    }
    pthread_mutex_lock(&models->lock);
    if (good) {
        offer->used = ++models->clock;
        offer->state = PITH_OFFER_READY;
    } else {
        forget_bytes(offer);
        offer->state = PITH_OFFER_EMPTY;
        offer->problem = problem;
        offer->failed_until = offer->abandoned ? 0 : pith_clock() + REMEMBER_SECONDS;
    }
    pthread_cond_broadcast(&models->changed);
    pith_offer_drop_if_gone(offer);
    models->n_loading--;
    pthread_cond_broadcast(&models->changed);
    pthread_mutex_unlock(&models->lock);
    return NULL;
}

bool pith_offer_begin_load(pith_offer *offer) {
    pith_models *models = offer->owner;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    offer->state = PITH_OFFER_LOADING;
    offer->abandoned = false;
    offer->failed_until = 0;
    models->n_loading++;
    bool began = pthread_create(&thread, &attributes, run, offer) == 0;
    if (!began) {
        models->n_loading--;
        offer->state = PITH_OFFER_EMPTY;
        pith_problem_set(&offer->problem, 503, NULL, NULL, "the server has no more threads");
        offer->failed_until = pith_clock() + REMEMBER_SECONDS;
    }
    pthread_attr_destroy(&attributes);
    return began;
}
