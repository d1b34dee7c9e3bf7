/* What gguf.c and gguf_values.c share. */
#ifndef PITH_WEIGHTS_GGUF_INSIDE_H
#define PITH_WEIGHTS_GGUF_INSIDE_H

#include "weights/gguf.h"

/* A key and where its value lies; places are in the header. */
typedef struct pith_gguf_key {
    const pith_gguf *owner;
    size_t name, n_name;
    size_t data, size, count;
    pith_gguf_value_type type; /* of the elements, of an array */
    bool is_array;
} pith_gguf_key;

struct pith_gguf {
    const pith_allocator *allocator;
    const char *name;     /* of the file, borrowed */
    unsigned char *bytes; /* the header, and what was read beyond it */
    pith_gguf_key *keys;  /* [n_keys], by name */
    size_t n_keys;
    pith_gguf_tensor *tensors;        /* [n_tensors], by offset */
    const pith_gguf_tensor **by_name; /* [n_tensors] */
    size_t n_tensors;
};

/* A little-endian number of 1 to 8 bytes. */
static inline uint64_t pith_gguf_load(const unsigned char *bytes, size_t n) {
    uint64_t value = 0;
    for (size_t i = n; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

/* Bytes of a value; for a string those of its length field; 1 for an array. */
size_t pith_gguf_value_size(pith_gguf_value_type type);

#endif
