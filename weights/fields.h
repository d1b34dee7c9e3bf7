/* Structs to JSON objects and back by a table of fields, so that every key is written once. */
#ifndef PITH_WEIGHTS_FIELDS_H
#define PITH_WEIGHTS_FIELDS_H

#include "pith.h"

#include <jansson.h>

typedef enum pith_field_kind {
    PITH_FIELD_COUNT,  /* size_t, 0..limit */
    PITH_FIELD_ID,     /* int32_t, -1..limit */
    PITH_FIELD_FLAG,   /* bool */
    PITH_FIELD_FLOAT,  /* float, finite */
    PITH_FIELD_DOUBLE, /* double, finite */
} pith_field_kind;

typedef struct pith_field {
    const char *key;
    pith_field_kind kind;
    size_t offset; /* in the struct */
    size_t limit;  /* of COUNT and ID; at most INT32_MAX for ID */
} pith_field;

/* Adds the fields of `base` to `object` in the table's order. Errors: MEMORY, ARGUMENT (a number
 * that JSON cannot hold). */
pith_status pith_fields_write(const pith_field *fields, size_t n_fields, const void *base,
                              json_t *object, pith_error *error);

/* Reads them; every key must be there. `where` and `section` name the place. Errors: FORMAT. */
pith_status pith_fields_read(const pith_field *fields, size_t n_fields, void *base,
                             const json_t *object, const char *where, const char *section,
                             pith_error *error);

#endif
