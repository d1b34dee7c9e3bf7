/* Structs to JSON objects and back by a table of fields, so that every key is written once. */
#ifndef PITH_FAMILIES_FIELDS_H
#define PITH_FAMILIES_FIELDS_H

#include "base/json.h"
#include "base/json_write.h"

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

/* Writes the fields of `base` as members, in the table's order. */
void pith_fields_write(const pith_field *fields, size_t n_fields, const void *base,
                       pith_json_writer *to);

/* Reads them; every key must be there. `where` and `section` name the place. Errors: FORMAT. */
pith_status pith_fields_read(const pith_field *fields, size_t n_fields, void *base,
                             pith_json object, const char *where, const char *section,
                             pith_error *error);

#endif
