/* Reading parts of a file into memory, by all threads at once. */
#ifndef PITH_WEIGHTS_EXTRACTS_H
#define PITH_WEIGHTS_EXTRACTS_H

#include "base/file.h"
#include "base/pool.h"

/* Told how far reading is. */
typedef struct pith_load_watch {
    pith_load_fn fn; /* may be NULL */
    void *user;
} pith_load_watch;

/* Bytes of a file and where they go. */
typedef struct pith_extract {
    size_t offset;  /* in the file */
    size_t n;       /* bytes, at least 1 */
    size_t at;      /* in memory */
    size_t n_ahead; /* pieces of the extracts in front of it: set by pith_read_extracts */
} pith_extract;

/* Reads extracts [n_extracts >= 1], which lie in the file, to data. `pool` and `watch` may be NULL.
 * Errors: IO, STOPPED. */
pith_status pith_read_extracts(const pith_file *file, pith_extract *extracts, size_t n_extracts,
                               unsigned char *data, pith_pool *pool, const pith_load_watch *watch,
                               pith_error *error);

#endif
