/* Typed access to the members of a JSON object, with messages that name file, field, what was
 * expected and what was found. */
#ifndef PITH_CONVERT_HF_JSON_H
#define PITH_CONVERT_HF_JSON_H

#include "pith.h"

#include <jansson.h>

/* FORMAT: "where: key: expected EXPECTED, found a string". */
pith_status pith_hf_json_fail(const char *where, const char *key, const char *expected,
                              const json_t *found, pith_error *error);

/* Parses a text whose root must be an object. The caller ends with json_decref(*out).
 * Errors: FORMAT, MEMORY. */
pith_status pith_hf_json_object(json_t **out, const char *text, size_t size, const char *where,
                                pith_error *error);

/* The same for a document whose numbers do not matter: tokenizer_config.json holds integers beyond
 * 64 bits (model_max_length is 10^30), so all of them are read as fractional numbers. */
pith_status pith_hf_json_texts(json_t **out, const char *text, size_t size, const char *where,
                               pith_error *error);

/* The readers below leave *out alone when the key is absent. Errors: FORMAT. */
pith_status pith_hf_json_count(const json_t *object, const char *key, const char *where,
                               size_t *out, pith_error *error); /* 0..2^31 - 1 */
pith_status pith_hf_json_number(const json_t *object, const char *key, const char *where,
                                double *out, pith_error *error); /* finite */
pith_status pith_hf_json_flag(const json_t *object, const char *key, const char *where, bool *out,
                              pith_error *error);

/* A member that may also be null: NULL for both null and absence. */
const json_t *pith_hf_json_get(const json_t *object, const char *key);

#endif
