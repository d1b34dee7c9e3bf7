/* JSON text of a file to a jansson value, with pith's errors. */
#ifndef PITH_WEIGHTS_JSON_H
#define PITH_WEIGHTS_JSON_H

#include "pith.h"

#include <jansson.h>

/* Parses `text` [n]; duplicate keys, invalid UTF-8 and NUL characters are refused. `where` names
 * the source in messages. The caller ends with json_decref(*out). Errors: FORMAT, MEMORY. */
pith_status pith_json_parse(json_t **out, const char *text, size_t n, const char *where,
                            pith_error *error);

#endif
