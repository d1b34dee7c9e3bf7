/* Rank 0 has no loop of its own: its command calls in when it opens a model, and from then on the
 * library gathers. */
#include "mpi/leader.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "mpi/order.h"

struct pith_led_model {
    pith_channel channel;
    pith_ranks ranks;
    pith_led_model *next;
};

static pith_status lost(pith_error *error) {
    return pith_fail(error, PITH_ERROR_IO, "another process of the model is lost");
}

static pith_status no_memory(pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the exchange with other ranks");
}

/* True when the file holds an encoder, which its header says. */
static pith_status find_encoder(const char *path, bool *is_encoder, pith_error *error) {
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF, .map = true};
    pith_model *model = NULL;
    pith_model_info info;
    pith_status status = pith_model_open(&model, path, &options, error);
    if (status == PITH_OK) {
        pith_model_get_info(model, &info);
        *is_encoder = info.is_encoder;
        pith_model_free(model);
    }
    return status;
}

/* Makes the channel of the next model. */
static pith_led_model *add_model(pith_leader *leader) {
    pith_led_model *model = calloc(1, sizeof *model);
    size_t number = 1 + leader->n_models % (PITH_MAX_CHANNELS - 1); /* 0 is that of measuring */
    if (model == NULL || !pith_channel_new(&model->channel, leader->crew, number)) {
        free(model);
        return NULL;
    }
    model->ranks = (pith_ranks){.rank = 0,
                                .n_ranks = leader->crew->n_ranks,
                                .gather = pith_channel_gather,
                                .user = &model->channel};
    pthread_mutex_lock(&leader->lock);
    leader->n_models++;
    model->next = leader->models;
    leader->models = model;
    pthread_mutex_unlock(&leader->lock);
    return model;
}

/* Fills what the other ranks cannot know. */
static pith_status describe(pith_order *order, const char *name, const pith_model_options *options,
                            pith_error *error) {
    if (strlen(name) >= sizeof order->name ||
        (options->isa != NULL && strlen(options->isa) >= sizeof order->isa)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%.60s...: the name is too long", name);
    }
    strcpy(order->name, name);
    strcpy(order->isa, options->isa != NULL ? options->isa : "");
    order->blas = (uint32_t)options->blas;
    order->map = options->map;
    order->n_threads = options->n_threads;
    order->has_tuning = options->tuning != NULL;
    if (options->tuning != NULL) {
        order->tuning = *options->tuning;
    }
    return PITH_OK;
}

/* `order` has its kind and type. */
static pith_status open_everywhere(pith_leader *leader, pith_order *order, const char *name,
                                   pith_model_options *options, pith_error *error) {
    pith_status status = describe(order, name, options, error);
    pith_led_model *model = status == PITH_OK ? add_model(leader) : NULL;
    if (model == NULL) {
        return status != PITH_OK ? status : no_memory(error);
    }
    order->number = (uint32_t)(model->channel.tag - PITH_TAG_CHANNELS);
    if (!pith_crew_order(leader->crew, order, sizeof *order)) {
        return lost(error);
    }
    options->ranks = &model->ranks;
    if (options->n_threads == 0) {
        options->n_threads = pith_crew_threads(leader->crew);
    }
    return PITH_OK;
}

static pith_status open_file(void *user, const char *path, pith_model_options *options,
                             pith_error *error) {
    pith_order order = {.kind = PITH_ORDER_FILE};
    bool is_encoder = false;
    pith_status status = find_encoder(path, &is_encoder, error);
    return status != PITH_OK || is_encoder ? status
                                           : open_everywhere(user, &order, path, options, error);
}

static pith_status open_shape(void *user, const char *shape, pith_type type,
                              pith_model_options *options, pith_error *error) {
    pith_order order = {.kind = PITH_ORDER_SHAPE, .type = (uint32_t)type};
    return open_everywhere(user, &order, shape, options, error);
}

static double spent(void *user) {
    pith_leader *leader = user;
    double seconds = 0;
    pthread_mutex_lock(&leader->lock);
    pthread_mutex_lock(&leader->crew->lock);
    for (const pith_led_model *m = leader->models; m != NULL; m = m->next) {
        seconds += m->channel.spent.seconds;
    }
    pthread_mutex_unlock(&leader->crew->lock);
    pthread_mutex_unlock(&leader->lock);
    return seconds;
}

static pith_status measure(void *user, pith_ranks_limits *out, pith_error *error) {
    pith_leader *leader = user;
    pith_order order = {.kind = PITH_ORDER_MEASURE};
    return pith_crew_order(leader->crew, &order, sizeof order)
               ? pith_measure(leader->crew, out, error)
               : lost(error);
}

void pith_leader_begin(pith_leader *leader, pith_crew *x, pith_cli_ranks *ranks) {
    *leader = (pith_leader){.crew = x};
    pthread_mutex_init(&leader->lock, NULL);
    *ranks = (pith_cli_ranks){.n_ranks = x->n_ranks,
                              .open_file = open_file,
                              .open_shape = open_shape,
                              .spent = spent,
                              .measure = measure,
                              .user = leader};
}

void pith_leader_end(pith_leader *leader) {
    pith_order order = {.kind = PITH_ORDER_END};
    pith_crew_order(leader->crew, &order, sizeof order);
    while (leader->models != NULL) {
        pith_led_model *model = leader->models;
        leader->models = model->next;
        pith_channel_free(&model->channel);
        free(model);
    }
    pthread_mutex_destroy(&leader->lock);
}
