/* Writes JSON text, the same bytes on every machine and in every locale.
 *
 *     pith_json_writer w;
 *     pith_json_write_begin(&w, allocator);
 *     pith_json_open(&w, NULL, '{');
 *     pith_json_put_text(&w, "name", "tale");
 *     pith_json_open(&w, "shape", '[');
 *     pith_json_put_integer(&w, NULL, 3);
 *     pith_json_close(&w, ']');
 *     pith_json_close(&w, '}');
 *     status = pith_json_write_end(&w, "metadata", error);      -- then w.bytes.data, w.bytes.size
 *     pith_bytes_release(&w.bytes);
 *
 * The first failure is kept and makes later calls do nothing, so that only pith_json_write_end
 * needs a check. `key` is that of a member, and NULL in an array. */
#ifndef PITH_BASE_JSON_WRITE_H
#define PITH_BASE_JSON_WRITE_H

#include "base/bytes.h"
#include "base/json.h"

typedef enum pith_json_style {
    PITH_JSON_COMPACT,  /* {"a":1,"b":[2,3]} */
    PITH_JSON_SPACED,   /* {"a": 1, "b": [2, 3]} */
    PITH_JSON_INDENTED, /* a value a line, two spaces a level */
} pith_json_style;

typedef struct pith_json_writer {
    pith_bytes bytes;
    pith_json_style style; /* compact, unless set after pith_json_write_begin */
    pith_status status;
    const char *bad_key; /* of a text that is not UTF-8, or a number that is not finite */
    const char *problem; /* "is not UTF-8" */
    size_t depth;        /* open arrays and objects */
    bool comma;          /* before the next value */
} pith_json_writer;

void pith_json_write_begin(pith_json_writer *w, const pith_allocator *allocator);

/* `bracket`: '{' or '[', and its counterpart. */
void pith_json_open(pith_json_writer *w, const char *key, char bracket);
void pith_json_close(pith_json_writer *w, char bracket);

void pith_json_put_text(pith_json_writer *w, const char *key, const char *text);
/* A text of [n] bytes, which may hold NUL bytes. */
void pith_json_put_bytes(pith_json_writer *w, const char *key, const char *text, size_t n);
void pith_json_put_null(pith_json_writer *w, const char *key);
void pith_json_put_integer(pith_json_writer *w, const char *key, int64_t value);
void pith_json_put_bool(pith_json_writer *w, const char *key, bool value);

/* 17 significant digits, which every double survives; always with a point or an exponent. */
void pith_json_put_real(pith_json_writer *w, const char *key, double value);

/* A value that is JSON text already [n], written as it is. */
void pith_json_put_raw(pith_json_writer *w, const char *key, const char *json, size_t n);

/* A value that was read, members in the order of their keys' bytes (so that equal objects give
 * equal texts), integers as they were, other numbers as pith_json_put_real. */
void pith_json_put_value(pith_json_writer *w, const char *key, pith_json value);

/* As pith_json_put_value, with members in their order and all numbers as they were written, even
 * those that are not finite (PITH_JSON_PYTHON). */
void pith_json_put_copy(pith_json_writer *w, const char *key, pith_json value);

/* `what` is written, for messages. Errors: MEMORY, ARGUMENT (a text is not UTF-8 or a number is not
 * finite; the key is named). */
pith_status pith_json_write_end(const pith_json_writer *w, const char *what, pith_error *error);

#endif
