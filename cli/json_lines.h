/* The JSON Lines that commands read: one object on a line, as Python would read it. Every function
 * reads one line [n_bytes] in place: the line is changed, also on failure, and what is read points
 * into it. Errors are FORMAT, which says what is wrong with the line, and MEMORY. */
#ifndef PITH_CLI_JSON_LINES_H
#define PITH_CLI_JSON_LINES_H

#include "base/json.h"
#include "base/memory.h"
#include "store/store.h"

/* Any object or array, of which *root is the root. */
pith_status pith_line_parse(pith_json *root, char *line, size_t n_bytes,
                            const pith_allocator *allocator, pith_error *error);

/* {"text": "..."}: *text [*n_text]. */
pith_status pith_line_text(char *line, size_t n_bytes, const pith_allocator *allocator,
                           const char **text, size_t *n_text, pith_error *error);

/* {"text": "...", "pair": "..."}, of which the second may be missing. */
pith_status pith_line_texts(char *line, size_t n_bytes, const pith_allocator *allocator,
                            pith_embed_input *out, pith_error *error);

/* {"ids": [...]}: *ids [*n_ids] is the caller's to release. */
pith_status pith_line_ids(char *line, size_t n_bytes, const pith_allocator *allocator,
                          int32_t **ids, size_t *n_ids, pith_error *error);

/* {"id": "..." or a whole number, "text": "...", "metadata": any value or nothing}. */
typedef struct pith_line_document {
    pith_store_document document; /* points into the line and to what is below */
    char *metadata;               /* as compact JSON with sorted keys, or NULL */
    char number[32];              /* an "id" that is a number */
    const pith_allocator *allocator;
} pith_line_document;

/* *out must stay where it is until pith_line_document_release; on failure there is nothing to
 * release. Errors: as above, and ARGUMENT (a number of "metadata" is not finite). */
pith_status pith_line_document_read(pith_line_document *out, char *line, size_t n_bytes,
                                    const pith_allocator *allocator, pith_error *error);
void pith_line_document_release(pith_line_document *document);

#endif
