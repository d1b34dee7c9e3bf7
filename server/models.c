/* The list of models and the leases on them. */
#include "server/models.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/models_inside.h"

/* ---- Aliases --------------------------------------------------------------------------------- */

static void release_aliases(pith_alias_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
        free(list->items[i].target);
    }
    free(list->items);
    *list = (pith_alias_list){0};
}

static const pith_alias *find_alias(const pith_alias_list *list, const char *name) {
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            return &list->items[i];
        }
    }
    return NULL;
}

static bool is_found(const pith_found_list *found, const char *name) {
    for (size_t i = 0; i < found->n; i++) {
        if (strcmp(found->items[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_alias(pith_alias_list *list, const char *text, const pith_found_list *found,
                      pith_problem *problem) {
    const char *equals = strchr(text, '=');
    if (equals == NULL || equals == text || equals[1] == '\0' || equals - text > PITH_MODEL_NAME) {
        return pith_problem_set(problem, 400, NULL, NULL, "alias '%.200s' is not NAME=MODEL", text);
    }
    pith_alias *alias = &list->items[list->n];
    *alias = (pith_alias){strndup(text, (size_t)(equals - text)), strdup(equals + 1)};
    list->n++;
    if (alias->name == NULL || alias->target == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    }
    if (is_found(found, alias->name)) {
        return pith_problem_set(problem, 400, NULL, NULL,
                                "alias '%.200s' is the name of a model already", alias->name);
    }
    if (find_alias(list, alias->name) != alias) {
        return pith_problem_set(problem, 400, NULL, NULL, "alias '%.200s' is there twice",
                                alias->name);
    }
    if (!is_found(found, alias->target)) {
        return pith_problem_set(problem, 400, NULL, NULL,
                                "alias '%.200s' leads to '%.200s', and there is no such model",
                                alias->name, alias->target);
    }
    return true;
}

static bool make_aliases(pith_alias_list *out, const pith_models_options *options,
                         const pith_found_list *found, pith_problem *problem) {
    pith_alias_list list = {.items = calloc(options->n_aliases + 1, sizeof *list.items)};
    if (list.items == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    }
    for (size_t i = 0; i < options->n_aliases; i++) {
        if (!add_alias(&list, options->aliases[i], found, problem)) {
            release_aliases(&list);
            return false;
        }
    }
    *out = list;
    return true;
}

/* ---- Offers, under the lock ------------------------------------------------------------------ */

static pith_offer *find_offer(const pith_models *models, const char *name) {
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        if (!offer->gone && strcmp(offer->found.name, name) == 0) {
            return offer;
        }
    }
    return NULL;
}

static void free_offer(pith_offer *offer) {
    pith_found_item_release(&offer->found);
    free(offer);
}

static void unlink_offer(pith_offer *offer) {
    pith_offer **at = &offer->owner->offers;
    while (*at != offer) {
        at = &(*at)->next;
    }
    *at = offer->next;
}

static bool is_left(const pith_offer *offer, pith_offer_state state) {
    return offer->gone && offer->n_leases == 0 && offer->n_waiting == 0 && offer->state == state;
}

void pith_offer_drop_if_gone(pith_offer *offer) {
    if (is_left(offer, PITH_OFFER_READY)) {
        pith_offer_unload(offer);
    }
    /* Without the lock a reload may have found the model again, and a client asked for it. */
    if (is_left(offer, PITH_OFFER_EMPTY)) {
        unlink_offer(offer);
        free_offer(offer);
    }
}

static bool is_same(const pith_found *a, const pith_found *b) {
    return strcmp(a->name, b->name) == 0 && strcmp(a->path, b->path) == 0 &&
           strcmp(a->stamp, b->stamp) == 0 && a->shipped == b->shipped;
}

/* Makes offers for a list; offers that exist already stay as they are. Takes ownership of the
 * items. False: out of memory, nothing has changed. */
static bool make_offers(pith_models *models, pith_found_list *list) {
    pith_offer **fresh = calloc(list->n + 1, sizeof *fresh);
    bool good = fresh != NULL;
    for (size_t i = 0; i < list->n && good; i++) {
        fresh[i] = calloc(1, sizeof **fresh);
        good = fresh[i] != NULL;
    }
    if (!good) {
        for (size_t i = 0; fresh != NULL && i < list->n; i++) {
            free(fresh[i]);
        }
        free(fresh);
        return false;
    }
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        offer->gone = true;
    }
    /* From the end, so that the list is in order and comes before what is gone. */
    for (size_t i = list->n; i > 0; i--) {
        pith_offer *old = models->offers;
        while (old != NULL && !(old->gone && is_same(&old->found, &list->items[i - 1]))) {
            old = old->next;
        }
        if (old != NULL) {
            unlink_offer(old);
            old->gone = false;
            free(fresh[i - 1]);
            fresh[i - 1] = old;
        } else {
            fresh[i - 1]->owner = models;
            fresh[i - 1]->found = list->items[i - 1];
            list->items[i - 1] = (pith_found){0};
        }
        fresh[i - 1]->next = models->offers;
        models->offers = fresh[i - 1];
    }
    free(fresh);
    return true;
}

/* The first offer that is gone and not in use. */
static pith_offer *find_gone(const pith_models *models) {
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        if (is_left(offer, PITH_OFFER_READY) || is_left(offer, PITH_OFFER_EMPTY)) {
            return offer;
        }
    }
    return NULL;
}

/* ---- Making and freeing ---------------------------------------------------------------------- */

bool pith_models_reload(pith_models *models, const pith_models_options *options,
                        pith_problem *problem) {
    pith_found_list found;
    pith_alias_list aliases;
    if (!pith_found_scan(&found, options->directory, options->shipped, problem)) {
        return false;
    }
    if (!make_aliases(&aliases, options, &found, problem)) {
        pith_found_release(&found);
        return false;
    }
    pthread_mutex_lock(&models->lock);
    bool good = make_offers(models, &found);
    if (good) {
        pith_alias_list old = models->aliases;
        models->aliases = aliases;
        aliases = old;
        for (pith_offer *offer = find_gone(models); offer != NULL; offer = find_gone(models)) {
            pith_offer_drop_if_gone(offer);
        }
    }
    pthread_mutex_unlock(&models->lock);
    release_aliases(&aliases);
    pith_found_release(&found);
    return good || pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
}

bool pith_models_new(pith_models **out, const pith_models_options *options, pith_problem *problem) {
    pith_models *models = calloc(1, sizeof *models);
    if (models == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    }
    models->options = *options;
    models->options.directory = NULL; /* as much as the others, only looked at by the reload */
    models->options.shipped = NULL;
    models->options.cache = NULL;
    models->options.aliases = NULL;
    models->cache = options->cache == NULL ? NULL : strdup(options->cache);
    pith_turn_init(&models->turn);
    pthread_mutex_init(&models->lock, NULL);
    pith_clock_init(&models->changed);
    if (options->cache != NULL && models->cache == NULL) {
        pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    } else if (pith_models_reload(models, options, problem)) {
        *out = models;
        return true;
    }
    pith_models_free(models);
    return false;
}

void pith_models_stop(pith_models *models) {
    pthread_mutex_lock(&models->lock);
    models->stopping = true;
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        if (offer->state == PITH_OFFER_READY) {
            pith_offer_stop(offer);
        }
    }
    pthread_cond_broadcast(&models->changed);
    pthread_mutex_unlock(&models->lock);
}

void pith_models_free(pith_models *models) {
    if (models == NULL) {
        return;
    }
    pthread_mutex_lock(&models->lock);
    models->stopping = true;
    pthread_cond_broadcast(&models->changed);
    while (models->n_loading != 0) {
        pthread_cond_wait(&models->changed, &models->lock);
    }
    while (models->offers != NULL) {
        pith_offer *offer = models->offers;
        if (offer->state == PITH_OFFER_READY) {
            pith_offer_unload(offer);
        }
        unlink_offer(offer);
        free_offer(offer);
    }
    release_aliases(&models->aliases);
    pthread_mutex_unlock(&models->lock);
    pthread_cond_destroy(&models->changed);
    pthread_mutex_destroy(&models->lock);
    pith_turn_destroy(&models->turn);
    free(models->cache);
    free(models);
}

/* ---- Leases ---------------------------------------------------------------------------------- */

static bool wrong_kind(const pith_offer *offer, pith_model_kind kind, pith_problem *problem) {
    return pith_problem_set(problem, 400, NULL, "model",
                            kind == PITH_MODEL_DECODER
                                ? "the model '%.200s' is a sentence encoder and generates no text"
                                : "the model '%.200s' generates text and gives no embeddings",
                            offer->found.name);
}

/* True for some time after its file turned out to be no model that can be loaded. */
static bool is_broken(const pith_offer *offer, double now) {
    return offer->state == PITH_OFFER_EMPTY && now < offer->failed_until &&
           pith_problem_is(&offer->problem, "model_load_failed");
}

/* The first offer of a kind that is not broken, or the first of all. */
static pith_offer *first_of(const pith_models *models, pith_model_kind kind, double now) {
    pith_offer *found = NULL;
    for (pith_offer *offer = models->offers; offer != NULL; offer = offer->next) {
        if (!offer->gone && (kind == PITH_MODEL_ANY || offer->found.kind == kind) &&
            (found == NULL || is_broken(found, now))) {
            found = offer;
        }
    }
    return found;
}

/* Finds the offer for a name, or the first of a kind; NULL with the problem. */
static pith_offer *choose(const pith_models *models, const char *name, pith_model_kind kind,
                          pith_problem *problem) {
    if (name != NULL) {
        const pith_alias *alias = find_alias(&models->aliases, name);
        pith_offer *offer = find_offer(models, alias != NULL ? alias->target : name);
        if (offer == NULL) {
            pith_problem_set(
                problem, 404, "model_not_found", "model",
                "the model '%.100s' does not exist; GET /v1/models lists those that do", name);
        }
        return offer;
    }
    pith_offer *offer = first_of(models, kind, pith_clock());
    if (offer == NULL) {
        pith_problem_set(problem, 404, "model_not_found", "model",
                         kind == PITH_MODEL_ENCODER
                             ? "the server has no sentence encoder"
                             : "the server has no model that generates text");
    }
    return offer;
}

/* Waits until the offer's model may be leased, loading it when it is not there. Under the lock. */
static bool wait_ready(pith_offer *offer, bool (*keep_waiting)(void *user), void *user,
                       pith_problem *problem) {
    pith_models *models = offer->owner;
    while (models->stopping || offer->state != PITH_OFFER_READY || offer->draining) {
        if (models->stopping) {
            return pith_problem_stopping(problem);
        }
        if (offer->state == PITH_OFFER_EMPTY) {
            if (pith_clock() < offer->failed_until) {
                *problem = offer->problem;
                return false;
            }
            if (!pith_offer_begin_load(offer)) {
                continue;
            }
        }
        pith_clock_wait(&models->changed, &models->lock, pith_clock() + 0.1);
        pthread_mutex_unlock(&models->lock);
        bool wanted = keep_waiting == NULL || keep_waiting(user);
        pthread_mutex_lock(&models->lock);
        if (!wanted) {
            return pith_problem_set(problem, 499, NULL, NULL, "the client went away");
        }
    }
    return true;
}

static bool is_kind(const pith_offer *offer, pith_model_kind kind) {
    return kind == PITH_MODEL_ANY || (kind == PITH_MODEL_ENCODER) == (offer->embedder != NULL);
}

/* A lease of that offer; false with the problem. The offer may be gone then. Under the lock. */
static bool lease(pith_offer *offer, pith_model_kind kind, bool (*keep_waiting)(void *user),
                  void *user, pith_lease *out, pith_problem *problem) {
    if (kind != PITH_MODEL_ANY && offer->found.kind != PITH_MODEL_ANY &&
        offer->found.kind != kind) {
        return wrong_kind(offer, kind, problem);
    }
    offer->n_waiting++;
    bool good = wait_ready(offer, keep_waiting, user, problem);
    offer->n_waiting--;
    if (good && !is_kind(offer, kind)) {
        good = wrong_kind(offer, kind, problem);
    }
    if (!good) {
        pith_offer_drop_if_gone(offer);
        return false;
    }
    offer->n_leases++;
    offer->served = true;
    offer->used = ++offer->owner->clock;
    *out = (pith_lease){
        .name = offer->found.name,
        .created = offer->found.changed,
        .model = offer->model,
        .info = offer->info,
        .scheduler = offer->scheduler,
        .embedder = offer->embedder,
        .calling = offer->calling,
        .entry = offer,
    };
    return true;
}

bool pith_models_lease(pith_models *models, const char *name, pith_model_kind kind,
                       bool (*keep_waiting)(void *user), void *user, pith_lease *out,
                       pith_problem *problem) {
    const double began = pith_clock();
    pthread_mutex_lock(&models->lock);
    pith_offer *offer = choose(models, name, kind, problem);
    bool good = false;
    while (offer != NULL && !good) {
        good = lease(offer, kind, keep_waiting, user, out, problem);
        offer = NULL;
        if (!good && name == NULL && pith_problem_is(problem, "model_load_failed")) {
            /* What has failed since this began stays so: it is another one every time. */
            pith_offer *next = first_of(models, kind, began);
            offer = next != NULL && !is_broken(next, began) ? next : NULL;
        }
    }
    pthread_mutex_unlock(&models->lock);
    return good;
}

void pith_models_return(pith_models *models, pith_lease *lease) {
    pith_offer *offer = lease->entry;
    if (offer == NULL) {
        return;
    }
    *lease = (pith_lease){0};
    pthread_mutex_lock(&models->lock);
    offer->n_leases--;
    offer->used = ++models->clock;
    if (offer->n_leases == 0) {
        pthread_cond_broadcast(&models->changed);
    }
    pith_offer_drop_if_gone(offer);
    pthread_mutex_unlock(&models->lock);
}

bool pith_models_unload(pith_models *models, const char *name, pith_problem *problem) {
    pthread_mutex_lock(&models->lock);
    pith_offer *offer = choose(models, name, PITH_MODEL_ANY, problem);
    if (offer != NULL && offer->state == PITH_OFFER_READY && offer->n_leases == 0 &&
        offer->n_waiting == 0) {
        pith_offer_unload(offer);
        pith_offer_drop_if_gone(offer);
    }
    pthread_mutex_unlock(&models->lock);
    return offer != NULL;
}
