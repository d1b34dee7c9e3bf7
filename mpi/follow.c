/* The other ranks: a thread for each model that rank 0 has open. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/status.h"
#include "engine/random_model.h"
#include "mpi/order.h"

typedef struct pith_follower {
    pith_crew *crew;
    pith_order order;
    pith_channel channel;
    atomic_size_t *n_running;
} pith_follower;

static void log_message(void *user, pith_log_level level, const char *message) {
    const pith_follower *f = user;
    if (level == PITH_LOG_WARNING) {
        pith_crew_say("rank %zu: warning: %s", f->crew->rank, message);
    }
}

static pith_status open_model(pith_follower *f, pith_model **out, pith_error *error) {
    const pith_order *order = &f->order;
    const pith_ranks ranks = {.rank = f->crew->rank,
                              .n_ranks = f->crew->n_ranks,
                              .gather = pith_channel_gather,
                              .user = &f->channel};
    const pith_model_options options = {
        .n_threads = order->n_threads != 0 ? order->n_threads : pith_crew_threads(f->crew),
        .isa = order->isa[0] != 0 ? order->isa : NULL,
        .blas = (pith_blas)order->blas,
        .map = order->map,
        .log = log_message,
        .log_user = f,
        .tuning = order->has_tuning ? &order->tuning : NULL,
        .ranks = &ranks,
    };
    pith_crew_speak(f->crew, true);
    pith_status status =
        order->kind == PITH_ORDER_SHAPE
            ? pith_model_random(out, order->name, (pith_type)order->type, &options, error)
            : pith_model_open(out, order->name, &options, error);
    pith_crew_speak(f->crew, false);
    return status;
}

/* A model that cannot be opened is one for all ranks; what happens then is for rank 0 to decide.
 * Later errors leave the ranks in different places: only an end helps. */
static void *follow_model(void *argument) {
    pith_follower *f = argument;
    pith_error error;
    pith_model *model = NULL;
    if (open_model(f, &model, &error) != PITH_OK) {
        pith_crew_say("rank %zu on %s: %s", f->crew->rank, f->crew->peers[f->crew->rank].host,
                      error.message);
    } else if (pith_model_follow(model, &error) != PITH_OK) {
        pith_crew_say("rank %zu on %s: %s", f->crew->rank, f->crew->peers[f->crew->rank].host,
                      error.message);
        _exit(1);
    }
    pith_model_free(model);
    pith_channel_free(&f->channel);
    atomic_fetch_sub(f->n_running, 1);
    free(f);
    return NULL;
}

/* False: there is no memory or no thread, which has been said. */
static bool begin_model(pith_crew *x, const pith_order *order, atomic_size_t *n_running) {
    pthread_t thread;
    pith_follower *f = calloc(1, sizeof *f);
    bool good = f != NULL && pith_channel_new(&f->channel, x, order->number);
    if (good) {
        f->crew = x;
        f->order = *order;
        f->n_running = n_running;
        atomic_fetch_add(n_running, 1);
        good = pthread_create(&thread, NULL, follow_model, f) == 0;
    }
    if (!good) {
        pith_crew_say("rank %zu has no memory or no thread for %s", x->rank, order->name);
        return false;
    }
    pthread_detach(thread);
    return true;
}

static bool order_is_sound(pith_order *order) {
    order->name[sizeof order->name - 1] = 0;
    order->isa[sizeof order->isa - 1] = 0;
    return order->kind != 0 && order->kind < PITH_N_ORDERS && order->number < PITH_MAX_CHANNELS &&
           order->type < PITH_N_TYPES && order->blas <= PITH_BLAS_OFF;
}

/* Rank 0 has freed its models: their threads are about to end. */
static void wait_for_models(const atomic_size_t *n_running) {
    const struct timespec time = {.tv_nsec = 1000000};
    for (int i = 0; i < 2000 && atomic_load(n_running) != 0; i++) {
        nanosleep(&time, NULL);
    }
}

int pith_crew_follow(pith_crew *x) {
    static atomic_size_t n_running; /* threads use it that may outlive this function */
    pith_order order;
    for (;;) {
        pith_ranks_limits limits;
        pith_error error;
        if (!pith_crew_order(x, &order, sizeof order)) {
            return 1;
        }
        if (!order_is_sound(&order)) {
            pith_crew_say("rank %zu: an order of rank 0 makes no sense", x->rank);
            return 1;
        }
        if (order.kind == PITH_ORDER_END) {
            wait_for_models(&n_running);
            return 0;
        }
        if (order.kind != PITH_ORDER_MEASURE) {
            if (!begin_model(x, &order, &n_running)) {
                return 1;
            }
        } else if (pith_measure(x, &limits, &error) != PITH_OK) {
            pith_crew_say("rank %zu: %s", x->rank, error.message);
            return 1;
        }
    }
}
