/* The models that a service offers: found at start, loaded when first asked for, the least recently
 * used unloaded when memory is short. */
#ifndef PITH_SERVER_MODELS_H
#define PITH_SERVER_MODELS_H

#include "server/calling.h"
#include "server/embedder.h"
#include "server/log.h"
#include "server/metrics.h"
#include "server/scheduler.h"

typedef struct pith_models pith_models;

typedef struct pith_models_options {
    const char *directory;      /* --models; NULL: the shipped ones only */
    const char *shipped;        /* directory of those that ship; NULL: none was found */
    const char *cache;          /* directory for converted files */
    const char *const *aliases; /* [n_aliases] "NAME=MODEL" */
    size_t n_aliases;
    size_t memory_limit; /* bytes of the files and KV budgets of all loaded models; 0: none. With
                            a limit, kv_bytes 0 means: at most a quarter of what a model leaves */
    size_t n_threads;    /* of a pass; 0: all */
    const pith_tuning *tuning; /* or NULL */
    pith_status (*before_open)(void *user, const char *path, pith_model_options *options,
                               pith_error *error); /* as in pith_serve_options; or NULL */
    void *before_open_user;
    pith_scheduler_options scheduler; /* what all decoders share; turn and model are set here */
    pith_server_log *log;
    pith_metrics *metrics; /* may be NULL */
} pith_models_options;

/* Lists the models that are there and loads none. Names are file names without ".pith", or names of
 * Hugging Face directories, which are converted when first asked for; a model that ships is hidden
 * by one of the same name. Problems are for the operator and name files: 500 (`directory` cannot be
 * read), 400 (an alias: no such model, a name there is already), 503 (memory). */
bool pith_models_new(pith_models **out, const pith_models_options *options, pith_problem *problem);
/* Refuses new leases with 503, and has work that is under way or waits end so. */
void pith_models_stop(pith_models *models);
/* All leases have been returned. Ends loads and conversions that are under way. */
void pith_models_free(pith_models *models);

/* Looks at directories and aliases again (SIGHUP); other options stay as they were. Models that
 * changed or are gone stay until their leases are returned. On failure nothing changes. */
bool pith_models_reload(pith_models *models, const pith_models_options *options,
                        pith_problem *problem);

/* A model in use: not unloaded before it is returned. */
typedef struct pith_lease {
    const char *name; /* the model's own, for metrics and usage */
    int64_t created;  /* the file's time, seconds since 1970 */
    const pith_model *model;
    pith_model_info info;
    pith_scheduler *scheduler; /* of a decoder */
    pith_embedder *embedder;   /* of an encoder */
    pith_calling *calling;     /* of a decoder with a tokenizer, else NULL */
    void *entry;               /* private */
} pith_lease;

typedef enum pith_model_kind {
    PITH_MODEL_ANY,
    PITH_MODEL_DECODER,
    PITH_MODEL_ENCODER
} pith_model_kind;

/* The model of that name or alias, loaded (and converted) now when it is not; `name` NULL: the
 * first of that kind, those of the directory before those that ship. Blocks while it loads; other
 * models are served meanwhile. `keep_waiting` is asked every 100 ms and ends the wait with 499 when
 * it returns false; may be NULL. Under a memory limit models that nobody uses are unloaded; when
 * all are in use, waits for one. A load that failed is not tried again for 5 seconds; without a
 * name the next of the kind is tried.
 * Problems: 404 model_not_found, 400 (an encoder where a decoder is wanted), 503 (no memory, a
 * model over the limit, shutting_down), 500. */
bool pith_models_lease(pith_models *models, const char *name, pith_model_kind kind,
                       bool (*keep_waiting)(void *user), void *user, pith_lease *out,
                       pith_problem *problem);
void pith_models_return(pith_models *models, pith_lease *lease);

/* Unloads the model of that name or alias unless somebody uses it, waits for it or loads it.
 * Problems: 404 model_not_found. */
bool pith_models_unload(pith_models *models, const char *name, pith_problem *problem);

/* Calls fn, which must not call back, for every name and alias, sorted. `created`: the file's time,
 * seconds since 1970. */
typedef struct pith_model_entry {
    const char *name, *alias_of; /* alias_of NULL: a model of its own */
    bool loaded, shipped;        /* shipped: comes with pith, not from the directory */
    int64_t created;
    pith_model_kind kind;        /* ANY: not known before it is loaded */
    size_t bytes;                /* of its files */
    const char *stamp;           /* 32 hexadecimal digits that change with the files */
    const pith_model_info *info; /* of a model that is loaded, else NULL */
} pith_model_entry;
void pith_models_each(pith_models *models, void (*fn)(void *user, const pith_model_entry *entry),
                      void *user);

/* Gauges of all models for /metrics. */
void pith_models_write_metrics(pith_models *models, pith_bytes *out);

/* True while a model is being converted or loaded and none is ready: /health says 503 "loading". */
bool pith_models_loading(pith_models *models);

#endif
