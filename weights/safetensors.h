/* The safetensors container: header parsing for source checkpoints and for .pith files alike.
 *
 * Layout: 8-byte little-endian header length N, N bytes of JSON, data. The JSON maps tensor names
 * to {"dtype", "shape", "data_offsets": [begin, end]} (relative to the data), and "__metadata__" to
 * an object of strings. Nothing in the header is trusted: the length is bounded by the file and by
 * PITH_SAFETENSORS_MAX_HEADER, the text must start with '{', keys are unique, spans tile the data
 * exactly (no gap, no overlap, to the end of the file), and shape x dtype equals the span with
 * checked arithmetic. A message names the file and the tensor. A header costs at most 4 bytes of
 * memory for each byte of its text, whatever it contains. */
#ifndef PITH_WEIGHTS_SAFETENSORS_H
#define PITH_WEIGHTS_SAFETENSORS_H

#include "base/file.h"

enum {
    PITH_SAFETENSORS_MAX_HEADER = 100 << 20, /* as the reference implementation */
    PITH_SAFETENSORS_MAX_DIMS = 8,
};

typedef enum pith_dtype {
    PITH_DTYPE_BOOL,
    PITH_DTYPE_U8,
    PITH_DTYPE_I8,
    PITH_DTYPE_F8_E4M3,
    PITH_DTYPE_F8_E5M2,
    PITH_DTYPE_I16,
    PITH_DTYPE_U16,
    PITH_DTYPE_F16,
    PITH_DTYPE_BF16,
    PITH_DTYPE_I32,
    PITH_DTYPE_U32,
    PITH_DTYPE_F32,
    PITH_DTYPE_I64,
    PITH_DTYPE_U64,
    PITH_DTYPE_F64,
    PITH_N_DTYPES,
} pith_dtype;

const char *pith_dtype_name(pith_dtype dtype); /* "BF16" */
size_t pith_dtype_size(pith_dtype dtype);

typedef struct pith_tensor {
    const char *name; /* owned by the pith_safetensors */
    pith_dtype dtype;
    size_t n_dims;
    size_t shape[PITH_SAFETENSORS_MAX_DIMS];
    size_t offset; /* in the file */
    size_t size;   /* bytes */
} pith_tensor;

typedef struct pith_safetensors pith_safetensors;

/* Parses a header already in memory, of which it keeps a copy: `text` [n] is the JSON, data starts
 * at 8 + n of a file of `file_size` bytes. `name` is used in messages. Errors: FORMAT, MEMORY,
 * UNSUPPORTED (dtype). */
pith_status pith_safetensors_parse(pith_safetensors **out, const char *text, size_t n,
                                   size_t file_size, const char *name,
                                   const pith_allocator *allocator, pith_error *error);

/* Reads and parses the header of a file. Errors: those of pith_safetensors_parse, and IO. */
pith_status pith_safetensors_read(pith_safetensors **out, const pith_file *file,
                                  const pith_allocator *allocator, pith_error *error);
void pith_safetensors_free(pith_safetensors *st);

/* Tensors are one array in order of file offset: `find(st, name) - at(st, 0)` is the index. */
size_t pith_safetensors_count(const pith_safetensors *st);
const pith_tensor *pith_safetensors_at(const pith_safetensors *st, size_t i); /* by file offset */
const pith_tensor *pith_safetensors_find(const pith_safetensors *st,
                                         const char *name);      /* or NULL */
size_t pith_safetensors_data_offset(const pith_safetensors *st); /* 8 + header length */

/* A value of "__metadata__", or NULL. */
const char *pith_safetensors_metadata(const pith_safetensors *st, const char *key);

/* As pith_safetensors_metadata, for a caller that changes the value in place, such as a JSON
 * document that pith_json_read decodes; it lives as long as `st`, which then has no metadata any
 * more. */
char *pith_safetensors_take_metadata(pith_safetensors *st, const char *key);

#endif
