/* The types of tensors in a GGUF file, and what their bytes mean: floats, or blocks of a few scales
 * and many small integers (ggml's ggml-common.h and ggml-quants.c). */
#ifndef PITH_WEIGHTS_GGUF_BLOCKS_H
#define PITH_WEIGHTS_GGUF_BLOCKS_H

#include "pith.h"

/* Writes the values of `n` elements, a multiple of the block, to out [n]: bit for bit those of
 * gguf-py's dequantize. `blocks` needs no alignment. */
typedef void (*pith_gguf_widen_fn)(const unsigned char *blocks, size_t n, float *out);

typedef struct pith_gguf_type {
    unsigned number;  /* in files */
    const char *name; /* "Q4_K" */
    size_t block;     /* elements of a block; a row is a multiple of it */
    size_t block_bytes;
    bool quantised;           /* its values are scales times small integers */
    pith_gguf_widen_fn widen; /* NULL: a type that pith does not read */
} pith_gguf_type;

enum { PITH_GGUF_MAX_BLOCK = 256 };

/* NULL when the number is not known; *removed is set for types that ggml has removed. */
const pith_gguf_type *pith_gguf_type_find(unsigned number, bool *removed);

/* The types in the order of their numbers; NULL at the end. */
const pith_gguf_type *pith_gguf_type_at(size_t i);

#endif
