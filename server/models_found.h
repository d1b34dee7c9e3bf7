/* What model directories hold, without opening any model. */
#ifndef PITH_SERVER_MODELS_FOUND_H
#define PITH_SERVER_MODELS_FOUND_H

#include "server/models.h"

enum {
    PITH_MODEL_NAME = 200, /* most bytes of a name: part of a file name in the cache, too */
    PITH_MODEL_STAMP = 33, /* 32 hexadecimal digits and a NUL */
};

typedef struct pith_found {
    char *name;
    char *path;                   /* a .pith file, a GGUF file, or a Hugging Face directory */
    bool gguf;                    /* the second */
    bool checkpoint;              /* the last two: to be converted */
    bool shipped;                 /* comes with pith */
    pith_model_kind kind;         /* ANY: its header or config.json cannot be read */
    size_t size;                  /* bytes of its files */
    int64_t changed;              /* seconds since 1970, of the newest file */
    char stamp[PITH_MODEL_STAMP]; /* hash of names, sizes and times of its files */
} pith_found;

typedef struct pith_found_list {
    pith_found *items; /* [n] sorted by name, those of `directory` before the shipped ones */
    size_t n, capacity;
} pith_found_list;

/* Lists the models of a directory (may be NULL) in the layouts that docs/scheduling.md names, and
 * the .pith files of `shipped` (may be NULL), except those whose name the directory has too. On
 * failure there is nothing to release. Problems: 500 (the directory cannot be read), 503 (memory).
 */
bool pith_found_scan(pith_found_list *out, const char *directory, const char *shipped,
                     pith_problem *problem);
void pith_found_release(pith_found_list *list);
void pith_found_item_release(pith_found *item);

/* "directory/name", malloc'ed; NULL: no memory. */
char *pith_found_join(const char *directory, const char *name);

#endif
