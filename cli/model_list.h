/* The models in the usual places of this machine, and finding one by its name:
 *
 *     $PITH_MODELS                        NAME.pith, NAME.gguf, NAME/ with config.json
 *     $HF_HUB_CACHE, $HF_HOME/hub or      models--OWNER--NAME/snapshots/COMMIT/...: OWNER/NAME,
 *     ~/.cache/huggingface/hub            OWNER/NAME/FILE.gguf, as Hugging Face's tools store it
 *     $XDG_CACHE_HOME/pith or             converted GGUF files: NAME
 *     ~/.cache/pith
 */
#ifndef PITH_CLI_MODEL_LIST_H
#define PITH_CLI_MODEL_LIST_H

#include "base/status.h"

typedef struct pith_listed_model {
    char *name; /* that finds it */
    char *path;
    size_t bytes; /* of its files */
} pith_listed_model;

typedef struct pith_model_list {
    pith_listed_model *items; /* [n] place after place, by name in each */
    size_t n, capacity;
} pith_model_list;

/* Looks through all places; one that is not there is empty. Errors: MEMORY. */
pith_status pith_model_list_scan(pith_model_list *out, pith_error *error);
void pith_model_list_free(pith_model_list *list);

/* Finds the model that is called `name`: by its whole name, or by what is behind the last slash,
 * with or without ".gguf". *path is malloc'ed, and NULL when there is none of that name. Also the
 * directory models--OWNER--NAME of a cache, given as a path, becomes that of its snapshot.
 * Errors: ARGUMENT (several have that name), MEMORY. */
pith_status pith_model_list_find(const char *name, char **path, pith_error *error);

#endif
