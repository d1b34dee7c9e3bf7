/* Typed access to the members of a Hugging Face JSON file, with messages that name file, field,
 * what was expected and what was found. The files are read as Python's json reads them. */
#ifndef PITH_FAMILIES_HF_JSON_H
#define PITH_FAMILIES_HF_JSON_H

#include "base/json.h"

/* FORMAT: "where: key: expected EXPECTED, found a string". */
pith_status pith_hf_json_fail(const char *where, const char *key, const char *expected,
                              pith_json found, pith_error *error);

/* Reads a text whose root must be an object. The text is changed, also on failure, and must outlive
 * *out. Errors: FORMAT, MEMORY. */
pith_status pith_hf_json_object(pith_json *out, char *text, size_t size, const char *where,
                                const pith_allocator *allocator, pith_error *error);

/* The readers below leave *out alone when the key is absent. Errors: FORMAT. */
pith_status pith_hf_json_count(pith_json object, const char *key, const char *where, size_t *out,
                               pith_error *error); /* 0..2^31 - 1 */
pith_status pith_hf_json_number(pith_json object, const char *key, const char *where, double *out,
                                pith_error *error); /* finite */
pith_status pith_hf_json_flag(pith_json object, const char *key, const char *where, bool *out,
                              pith_error *error);

/* A member that may also be null: absent for both null and absence. */
pith_json pith_hf_json_get(pith_json object, const char *key);

/* A string without NUL; NULL for anything else. */
const char *pith_hf_json_text(pith_json value);

#endif
