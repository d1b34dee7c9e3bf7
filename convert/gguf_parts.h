/* The files of a GGUF model: one, or the parts PREFIX-00001-of-0000N.gguf, whose first part has the
 * keys. */
#ifndef PITH_CONVERT_GGUF_PARTS_H
#define PITH_CONVERT_GGUF_PARTS_H

#include "convert/sources.h"
#include "weights/gguf.h"

typedef struct pith_gguf_parts {
    const pith_allocator *allocator;
    size_t n;
    struct pith_gguf_part {
        size_t source; /* place in sources */
        pith_gguf *header;
    } * parts; /* [n] */
} pith_gguf_parts;

/* Opens the file at `path` and the parts that belong to it, which join `sources`. On failure there
 * is nothing to close. Errors: IO, FORMAT (also a part that is missing, and a later part given
 * alone), UNSUPPORTED, MEMORY. */
pith_status pith_gguf_parts_open(pith_gguf_parts *out, pith_sources *sources, const char *path,
                                 pith_error *error);
void pith_gguf_parts_close(pith_gguf_parts *parts);

/* The header with the keys. */
const pith_gguf *pith_gguf_keys(const pith_gguf_parts *parts);

/* Finds a tensor by its name in the files; *source is the place of its file. NULL: there is none.
 */
const pith_gguf_tensor *pith_gguf_parts_find(const pith_gguf_parts *parts, const char *name,
                                             size_t *source);

/* Tensor i of all; NULL when there are no more. */
const pith_gguf_tensor *pith_gguf_parts_at(const pith_gguf_parts *parts, size_t i, size_t *source);

#endif
