/* The JSON Lines that commands read: one object on a line. Every function reads one line [n_bytes];
 * errors are FORMAT, which says what is wrong with the line, and MEMORY. */
#ifndef PITH_CLI_JSON_LINES_H
#define PITH_CLI_JSON_LINES_H

#include <jansson.h>

#include "store/store.h"

/* {"text": "..."}: *text [*n_text] points into *root, which the caller ends with json_decref. */
pith_status pith_line_text(const char *line, size_t n_bytes, json_t **root, const char **text,
                           size_t *n_text, pith_error *error);

/* {"text": "...", "pair": "..."}, of which the second may be missing: the texts of *out point into
 * *root, as above. */
pith_status pith_line_texts(const char *line, size_t n_bytes, json_t **root, pith_embed_input *out,
                            pith_error *error);

/* {"ids": [...]}: *ids [*n_ids] is malloc'ed. */
pith_status pith_line_ids(const char *line, size_t n_bytes, int32_t **ids, size_t *n_ids,
                          pith_error *error);

/* {"id": "..." or a whole number, "text": "...", "metadata": any value or nothing}. */
typedef struct pith_line_document {
    pith_store_document document; /* key, text and metadata point to what is below */
    json_t *root;
    char *metadata; /* as compact JSON with sorted keys, or NULL */
    char number[32];
} pith_line_document;

/* *out must stay where it is until pith_line_document_release. */
pith_status pith_line_document_read(pith_line_document *out, const char *line, size_t n_bytes,
                                    pith_error *error);
void pith_line_document_release(pith_line_document *document);

#endif
