/* A bounded JSON reader (RFC 8259) without a tree: the document is checked once and stays where it
 * is, a value is a place in it.
 *
 *     pith_json root;
 *     status = pith_json_read(&root, text, n, PITH_JSON_STRICT, path, allocator, error);
 *     const char *type = pith_json_text(pith_json_get(root, "type"));     -- NULL: none, no string
 *     pith_json_walk walk = pith_json_begin(pith_json_get(root, "layers"));
 *     while (pith_json_next(&walk)) ...walk.key, walk.value...
 *
 * Reading costs no memory but four bytes a key of the objects that are open at once, given back
 * before pith_json_read returns. Strings are decoded in place, so that they come out as C strings
 * that live as long as the document. Numbers stay text until they are read.
 *
 * The form of a checked document. A string is a quote, its bytes, and NUL; the bytes that escapes
 * have set free, and the closing quote's, are 0xFF, which UTF-8 never uses. A string that holds
 * U+0000 (Python's mode only) begins with 0xFE and its size in four bytes instead: the escape
 * has six bytes, so there is room. Everything else is as it was. */
#ifndef PITH_BASE_JSON_H
#define PITH_BASE_JSON_H

#include "pith.h"

enum {
    PITH_JSON_MAX_DEPTH = 128,    /* arrays and objects inside each other */
    PITH_JSON_MAX_NUMBER = 400,   /* characters of a number: the longest double has 324 digits */
    PITH_JSON_MAX_SIZE = 1 << 30, /* bytes of a document: places in it are uint32_t */
};

typedef enum pith_json_mode {
    PITH_JSON_STRICT, /* RFC 8259; refuses a key that stands twice in an object, and U+0000 */
    PITH_JSON_PYTHON, /* what Python's json.loads reads: of equal keys the last one counts, and NaN,
                         Infinity and -Infinity are numbers */
} pith_json_mode;

/* A value in a checked document; {NULL} is the absence of one. Every function below accepts any
 * value; its comment says what it returns for a value of another kind. */
typedef struct pith_json {
    const char *at;
} pith_json;

/* Checks text [n], whose root must be an array or object, and turns it into the form above.
 * `text` is changed, also on failure, and must outlive all values. `where` names the document in
 * messages, which give line and column. Errors: FORMAT, MEMORY. */
pith_status pith_json_read(pith_json *root, char *text, size_t n, pith_json_mode mode,
                           const char *where, const pith_allocator *allocator, pith_error *error);

/* As pith_json_read, for a text that must not change: *copy [n] is the document and the caller's to
 * release, also on failure (NULL when there was no memory for it). */
pith_status pith_json_read_copy(pith_json *root, char **copy, const char *text, size_t n,
                                pith_json_mode mode, const char *where,
                                const pith_allocator *allocator, pith_error *error);

/* ---- Values ---------------------------------------------------------------------------------- */

typedef enum pith_json_kind {
    PITH_JSON_ABSENT,
    PITH_JSON_NULL,
    PITH_JSON_BOOL,
    PITH_JSON_NUMBER,
    PITH_JSON_STRING,
    PITH_JSON_ARRAY,
    PITH_JSON_OBJECT,
} pith_json_kind;

pith_json_kind pith_json_kind_of(pith_json value);

/* "a string", "an integer", "nothing": for messages. */
const char *pith_json_describe(pith_json value);

static inline bool pith_json_is(pith_json value, pith_json_kind kind) {
    return pith_json_kind_of(value) == kind;
}

/* Absent or null. */
static inline bool pith_json_is_none(pith_json value) {
    return pith_json_kind_of(value) <= PITH_JSON_NULL;
}

/* Member of an object, found by walking it; absent when there is none or `object` is none. */
pith_json pith_json_get(pith_json object, const char *key);

/* The i-th element of an array, found by walking it; absent when out of range. Use pith_json_walk
 * for whole arrays. */
pith_json pith_json_at(pith_json array, size_t i);

/* Elements of an array or members of an object, counted by walking it; 0 for other kinds. */
size_t pith_json_size(pith_json value);

/* A string: NUL-terminated UTF-8 in the document; NULL for other kinds. With PITH_JSON_PYTHON it
 * may hold NUL bytes too: pith_json_text_size counts them. */
const char *pith_json_text(pith_json value);
size_t pith_json_text_size(pith_json value); /* bytes; 0 for other kinds */

/* True when value is a string equal to `text`. */
bool pith_json_is_text(pith_json value, const char *text);

/* False, and *out untouched, when the value is not a number written as an integer (no fraction, no
 * exponent) within int64_t. */
bool pith_json_integer(pith_json value, int64_t *out);

/* As pith_json_integer, and false for a number below 0. */
bool pith_json_count(pith_json value, size_t *out);

/* Any number, rounded to the nearest double; beyond its range, infinite. False for other kinds. */
bool pith_json_number(pith_json value, double *out);

/* True when the value is a number written as an integer, of any size. */
bool pith_json_is_integer(pith_json value);

/* Characters of a number, which begin at value.at; 0 for other kinds. */
size_t pith_json_number_size(pith_json value);

/* False when the value is neither true nor false. */
bool pith_json_bool(pith_json value, bool *out);

/* True for true. */
bool pith_json_is_true(pith_json value);

/* ---- Walking --------------------------------------------------------------------------------- */

/* The elements of an array or members of an object, in the document's order. */
typedef struct pith_json_walk {
    const char *key; /* of an object's member, NUL-terminated; NULL in an array */
    size_t key_size; /* bytes */
    pith_json value;
    const char *next; /* private */
} pith_json_walk;

/* A walk over no container ends at once. */
pith_json_walk pith_json_begin(pith_json container);

/* Moves to the next element; false after the last one. */
bool pith_json_next(pith_json_walk *walk);

#endif
