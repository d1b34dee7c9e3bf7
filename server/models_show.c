/* What clients can see of the models: the list, gauges for /metrics, health. */
#include <stdlib.h>
#include <string.h>

#include "server/models_inside.h"

/* ---- The list -------------------------------------------------------------------------------- */

static pith_model_kind kind_of(const pith_offer *offer) {
    if (offer->state != PITH_OFFER_READY) {
        return offer->found.kind;
    }
    return offer->embedder != NULL ? PITH_MODEL_ENCODER : PITH_MODEL_DECODER;
}

static pith_model_entry describe(const pith_offer *offer) {
    return (pith_model_entry){
        .name = offer->found.name,
        .loaded = offer->state == PITH_OFFER_READY,
        .shipped = offer->found.shipped,
        .created = offer->found.changed,
        .kind = kind_of(offer),
        .bytes = offer->found.size,
        .stamp = offer->found.stamp,
        .info = offer->state == PITH_OFFER_READY ? &offer->info : NULL,
    };
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const pith_model_entry *)a)->name, ((const pith_model_entry *)b)->name);
}

/* Fills entries [n] (NULL: only counts); returns how many there are. */
static size_t collect(const pith_models *models, pith_model_entry *entries) {
    size_t n = 0;
    for (const pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        if (offer->gone) {
            continue;
        }
        if (entries != NULL) {
            entries[n] = describe(offer);
        }
        n++;
        for (size_t i = 0; i < models->aliases.n; i++) {
            const pith_alias *alias = &models->aliases.items[i];
            if (strcmp(alias->target, offer->found.name) != 0) {
                continue;
            }
            if (entries != NULL) {
                entries[n] = describe(offer);
                entries[n].name = alias->name;
                entries[n].alias_of = offer->found.name;
            }
            n++;
        }
    }
    return n;
}

void pith_models_each(pith_models *models, void (*fn)(void *user, const pith_model_entry *entry),
                      void *user) {
    pthread_mutex_lock(&models->lock);
    size_t n = collect(models, NULL);
    pith_model_entry *entries = calloc(n + 1, sizeof *entries);
    if (entries != NULL) {
        collect(models, entries);
        if (n > 1) {
            qsort(entries, n, sizeof *entries, by_name);
        }
        for (size_t i = 0; i < n; i++) {
            fn(user, &entries[i]);
        }
    }
    pthread_mutex_unlock(&models->lock);
    free(entries);
}

/* ---- Gauges ---------------------------------------------------------------------------------- */

typedef struct gauge {
    const char *name, *help;
    double (*value)(const pith_offer *offer);
} gauge;

static double is_loaded(const pith_offer *offer) {
    return offer->state == PITH_OFFER_READY ? 1 : 0;
}

static double memory_bytes(const pith_offer *offer) {
    return offer->state == PITH_OFFER_READY ? (double)offer->info.weight_bytes : 0;
}

static double running(const pith_offer *offer) {
    pith_scheduler_state state = {0};
    pith_embedder_state texts = {0};
    if (offer->state == PITH_OFFER_READY && offer->scheduler != NULL) {
        pith_scheduler_get_state(offer->scheduler, &state);
    } else if (offer->state == PITH_OFFER_READY) {
        pith_embedder_get_state(offer->embedder, &texts);
    }
    return (double)(state.running + texts.running);
}

static double waiting(const pith_offer *offer) {
    pith_scheduler_state state = {0};
    pith_embedder_state texts = {0};
    if (offer->state == PITH_OFFER_READY && offer->scheduler != NULL) {
        pith_scheduler_get_state(offer->scheduler, &state);
    } else if (offer->state == PITH_OFFER_READY) {
        pith_embedder_get_state(offer->embedder, &texts);
    }
    return (double)(state.waiting + texts.waiting);
}

static double kv_bytes(const pith_offer *offer) {
    pith_scheduler_state state = {0};
    if (offer->state == PITH_OFFER_READY && offer->scheduler != NULL) {
        pith_scheduler_get_state(offer->scheduler, &state);
    }
    return (double)state.kv_bytes;
}

static double idle_sessions(const pith_offer *offer) {
    pith_scheduler_state state = {0};
    if (offer->state == PITH_OFFER_READY && offer->scheduler != NULL) {
        pith_scheduler_get_state(offer->scheduler, &state);
    }
    return (double)state.idle_sessions;
}

void pith_models_write_metrics(pith_models *models, pith_bytes *out) {
    static const gauge gauges[] = {
        {"pith_model_loaded", "1 while the model is in memory", is_loaded},
        {"pith_model_weight_bytes", "Bytes of the model's weights in memory", memory_bytes},
        {"pith_requests_running", "Answers being generated, or texts being embedded", running},
        {"pith_requests_waiting", "Requests, or texts to embed, that wait for a place", waiting},
        {"pith_kv_bytes", "Bytes of KV cache in use, idle sessions included", kv_bytes},
        {"pith_idle_sessions", "Finished sessions kept for requests that begin alike",
         idle_sessions},
    };
    pthread_mutex_lock(&models->lock);
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0]; i++) {
        pith_metrics_write_head(out, gauges[i].name, "gauge", gauges[i].help);
        for (const pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
            if (!offer->gone) {
                pith_metrics_write_gauge(out, gauges[i].name, "model", offer->found.name,
                                         gauges[i].value(offer));
            }
        }
    }
    pthread_mutex_unlock(&models->lock);
}

bool pith_models_loading(pith_models *models) {
    bool ready = false;
    pthread_mutex_lock(&models->lock);
    for (const pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        ready = ready || offer->state == PITH_OFFER_READY;
    }
    bool loading = models->n_loading != 0 && !ready;
    pthread_mutex_unlock(&models->lock);
    return loading;
}
