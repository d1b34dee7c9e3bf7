/* The inside of the service's models. */
#ifndef PITH_SERVER_MODELS_INSIDE_H
#define PITH_SERVER_MODELS_INSIDE_H

#include <pthread.h>

#include "server/models_found.h"

typedef enum pith_offer_state {
    PITH_OFFER_EMPTY,
    PITH_OFFER_LOADING, /* a thread is loading it; others wait */
    PITH_OFFER_READY,
    PITH_OFFER_UNLOADING,
} pith_offer_state;

/* A model that is offered, loaded or not. Everything but `found` and what a lease shows is guarded
 * by the models' lock. */
typedef struct pith_offer {
    struct pith_offer *next;
    pith_models *owner;
    pith_found found;
    pith_offer_state state;
    bool gone;           /* no directory has it any more: freed when nobody uses it */
    bool draining;       /* memory is wanted: no new leases, unloaded when the last is returned */
    bool served;         /* leased since it was loaded */
    bool abandoned;      /* nobody waits for the load under way any more */
    size_t n_leases;     /* in use */
    size_t n_waiting;    /* threads in pith_models_lease */
    uint64_t used;       /* rises; the lowest is unloaded first */
    size_t bytes;        /* of the memory limit: weights, and the budget of KV caches */
    double failed_until; /* pith_clock(); before it, `problem` is the answer */
    pith_problem problem;

    /* Loaded. */
    pith_model *model;
    pith_model_info info;
    pith_scheduler *scheduler;
    pith_embedder *embedder;
    pith_calling *calling; /* of a decoder with a tokenizer */
} pith_offer;

typedef struct pith_alias {
    char *name;
    char *target;
} pith_alias;

typedef struct pith_alias_list {
    pith_alias *items; /* [n] */
    size_t n;
} pith_alias_list;

struct pith_models {
    pith_models_options options; /* strings of our own, no aliases */
    char *cache;
    pith_turn turn;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* any offer's state */
    pith_offer *offers;     /* in the order of the lists */
    pith_alias_list aliases;
    size_t n_loading; /* threads */
    bool opening;     /* one of them reads weights: memory is counted for one at a time */
    bool stopping;
    size_t bytes; /* of all offers */
    uint64_t clock;
};

/* ---- models.c -------------------------------------------------------------------------------- */

/* Frees an offer that was replaced or removed, unloading it first, unless it is still in use. The
 * lock is held, and released meanwhile. */
void pith_offer_drop_if_gone(pith_offer *offer);

/* ---- models_load.c --------------------------------------------------------------------------- */

/* Starts a thread that loads an empty offer, under the lock; false with the offer's problem set
 * when there is no thread to be had. */
bool pith_offer_begin_load(pith_offer *offer);

/* Has the work of an offer that is READY end with 503. */
void pith_offer_stop(pith_offer *offer);

/* Unloads an offer that is READY and not leased; releases the lock meanwhile. */
void pith_offer_unload(pith_offer *offer);

/* ---- models_convert.c ------------------------------------------------------------------------ */

/* The .pith file of a checkpoint in the cache directory, converted now unless it is there already;
 * malloc'ed. Errors: those of pith_convert; STOPPED when `go_on` returns false; UNSUPPORTED (no
 * cache directory). */
pith_status pith_models_convert(const pith_found *found, const char *cache, size_t n_threads,
                                pith_server_log *log, bool (*go_on)(void *user), void *user,
                                char **path, pith_error *error);

#endif
