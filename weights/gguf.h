/* The GGUF container, versions 2 and 3, little-endian: keys with typed values, then tensors.
 *
 * Layout: "GGUF", u32 version, u64 number of tensors, u64 number of keys; each key is a string, a
 * u32 type and a value; each tensor a string, u32 number of dimensions, u64 dimensions (the row
 * length first), u32 type and u64 offset; padding to general.alignment; data
 * (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). A string is a u64 length and bytes.
 *
 * Nothing in the header is trusted. Every length is compared with what is left of the file before
 * anything is read or allocated by it, names are unique, tensors lie one after the other as the
 * reference demands, and each ends within the file. Values stay where they were read: a header
 * costs its own bytes, 64 for each key and 136 for each tensor. A message names the file and the
 * key or tensor. */
#ifndef PITH_WEIGHTS_GGUF_H
#define PITH_WEIGHTS_GGUF_H

#include "base/file.h"
#include "weights/gguf_blocks.h"

enum {
    /* The vocabulary makes the header: 256,000 tokens with their merges are 15 MB. */
    PITH_GGUF_MAX_HEADER = 256 << 20,
    PITH_GGUF_MAX_KEYS = 1 << 16,    /* the largest published files have about 60 */
    PITH_GGUF_MAX_TENSORS = 1 << 16, /* ... and about 2,000 */
    PITH_GGUF_MAX_KEY = 65535,       /* bytes of a key, the format's own limit */
    PITH_GGUF_MAX_NAME = 63,         /* bytes of a tensor's name, as in the reference */
    PITH_GGUF_MAX_DIMS = 4,
    PITH_GGUF_MAX_ALIGNMENT = 1 << 20,
};

/* Types of values, by the numbers of the format. */
typedef enum pith_gguf_value_type {
    PITH_GGUF_U8,
    PITH_GGUF_I8,
    PITH_GGUF_U16,
    PITH_GGUF_I16,
    PITH_GGUF_U32,
    PITH_GGUF_I32,
    PITH_GGUF_F32,
    PITH_GGUF_BOOL,
    PITH_GGUF_STRING,
    PITH_GGUF_ARRAY,
    PITH_GGUF_U64,
    PITH_GGUF_I64,
    PITH_GGUF_F64,
    PITH_GGUF_N_VALUE_TYPES,
} pith_gguf_value_type;

typedef struct pith_gguf_tensor {
    char name[PITH_GGUF_MAX_NAME + 1];
    const pith_gguf_type *type;
    size_t n_dims;                    /* 1 to 4 */
    size_t shape[PITH_GGUF_MAX_DIMS]; /* rows first: the reverse of the file's order; none is 0 */
    size_t offset;                    /* in the file */
    size_t size;                      /* bytes */
} pith_gguf_tensor;

typedef struct pith_gguf pith_gguf;

/* Reads the header of a file. Errors: IO, FORMAT, MEMORY, UNSUPPORTED (big-endian, a version, an
 * array of arrays, a type of tensor that is not known). */
pith_status pith_gguf_read(pith_gguf **out, const pith_file *file, const pith_allocator *allocator,
                           pith_error *error);
/* Reads the header of a file whose bytes [n] are all in memory; `name` is used in messages. */
pith_status pith_gguf_parse(pith_gguf **out, const void *bytes, size_t n, const char *name,
                            const pith_allocator *allocator, pith_error *error);
void pith_gguf_free(pith_gguf *gguf);

/* The name that messages use: the path of the file. */
const char *pith_gguf_name(const pith_gguf *gguf);

size_t pith_gguf_n_tensors(const pith_gguf *gguf);
const pith_gguf_tensor *pith_gguf_tensor_at(const pith_gguf *gguf, size_t i); /* by file offset */
const pith_gguf_tensor *pith_gguf_find_tensor(const pith_gguf *gguf,
                                              const char *name); /* or NULL */

/* ---- Values (gguf_values.c) ------------------------------------------------------------------ */

/* A value where it lies in the header. */
typedef struct pith_gguf_value {
    pith_gguf_value_type type; /* of the elements, of an array */
    bool is_array;
    size_t count;              /* elements; 1 when it is no array */
    const unsigned char *data; /* [size]; of a string without its length */
    size_t size;
} pith_gguf_value;

/* False, with *out unchanged, when the file has no such key. */
bool pith_gguf_find(const pith_gguf *gguf, const char *key, pith_gguf_value *out);

/* The readers below return PITH_OK and leave *out unchanged when the file has no such key.
 * Errors: FORMAT (the value is of another type, or does not fit). */

/* An integer of any width that is not negative. */
pith_status pith_gguf_count(const pith_gguf *gguf, const char *key, size_t *out, pith_error *error);
/* A float of any width, or an integer. */
pith_status pith_gguf_number(const pith_gguf *gguf, const char *key, double *out,
                             pith_error *error);
pith_status pith_gguf_flag(const pith_gguf *gguf, const char *key, bool *out, pith_error *error);
/* The text is not followed by a NUL, and may be any bytes. */
pith_status pith_gguf_text(const pith_gguf *gguf, const char *key, pith_text *out,
                           pith_error *error);
/* An array whose elements have this type. */
pith_status pith_gguf_array(const pith_gguf *gguf, const char *key, pith_gguf_value_type type,
                            pith_gguf_value *out, pith_error *error);

/* FORMAT unless the file has the key. */
pith_status pith_gguf_require(const pith_gguf *gguf, const char *key, pith_error *error);

/* Reads element i of an array of integers, or the value itself; false when it is not an integer or
 * does not fit. */
bool pith_gguf_integer_at(const pith_gguf_value *value, size_t i, int64_t *out);

/* A walk over the elements of an array of strings; begins with `rest` at the array. */
typedef struct pith_gguf_strings {
    pith_gguf_value rest;
} pith_gguf_strings;

bool pith_gguf_next_string(pith_gguf_strings *walk, pith_text *out);

const char *pith_gguf_value_type_name(pith_gguf_value_type type); /* "u32" */

#endif
