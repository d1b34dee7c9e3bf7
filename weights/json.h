/* JSON text of a file to a jansson value, and text into one, with pith's errors. */
#ifndef PITH_WEIGHTS_JSON_H
#define PITH_WEIGHTS_JSON_H

#include "pith.h"

#include <jansson.h>

/* Parses `text` [n]; duplicate keys, invalid UTF-8 and NUL characters are refused. `where` names
 * the source in messages. The caller ends with json_decref(*out). Errors: FORMAT, MEMORY. */
pith_status pith_json_parse(json_t **out, const char *text, size_t n, const char *where,
                            pith_error *error);

/* Sets object[key] to a string. Errors: MEMORY, ARGUMENT (the text is not UTF-8). */
pith_status pith_json_set_text(json_t *object, const char *key, const char *text,
                               pith_error *error);

#endif
