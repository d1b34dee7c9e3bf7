/* A checkpoint: what a conversion reads, in a form that models are published in, a Hugging Face
 * directory (hf_checkpoint.c), one in Mistral's own layout (mistral_checkpoint.c), or a GGUF file
 * (gguf_checkpoint.c). All give a configuration, a tokenizer, and tensors by the names of Hugging
 * Face or of GGUF, which a family's rules know. */
#ifndef PITH_CONVERT_CHECKPOINT_H
#define PITH_CONVERT_CHECKPOINT_H

#include "convert/gguf_parts.h"
#include "convert/hf_config.h"
#include "convert/hf_prompts.h"
#include "convert/hf_shards.h"
#include "convert/hf_tokenizer.h"
#include "convert/sources.h"

/* A tensor where it is stored, and how its rows become floats. */
typedef struct pith_checkpoint_tensor {
    const pith_file *file; /* NULL: there is none, and all values are zero */
    const char *name;      /* in that file; owned by the checkpoint, so that equal names are equal
                              pointers */
    const char *type;      /* "BF16" */
    size_t n_dims;
    size_t shape[PITH_SAFETENSORS_MAX_DIMS]; /* rows first */
    size_t offset;                           /* in the file */
    size_t size;                             /* bytes */
    size_t block, block_bytes;               /* elements that are stored together; their bytes */
    /* Of MXFP4 in two tensors (convert/hf_mxfp4.h) the second one: a byte for each block. */
    struct {
        const pith_file *file; /* NULL: there is none */
        const char *name;
        size_t offset;
        void (*widen)(const unsigned char *raw, const unsigned char *scales, size_t n, float *out);
    } scales;
    bool quantised;     /* by somebody else: floats times small integers */
    size_t row_step;    /* rows of the file from one of the tensor to the next one; 0: 1 */
    size_t column_rows; /* not 0: the file has columns one after another, each of so many rows; of
                           several such matrices, one after another */
    size_t head_rows;   /* rows of a head of queries or keys that RoPE turns by neighbours, ... */
    size_t turned_rows; /* ... of which the first turned_rows alternate in the file, where in pith
                           one half follows the other; 0: all rows are in pith's order */
    /* Writes the floats of n elements, a multiple of the block; NULL: the type is not read, or
     * it has scales. */
    void (*widen)(const unsigned char *raw, size_t n, float *out);
} pith_checkpoint_tensor;

typedef struct pith_checkpoint pith_checkpoint;

enum { PITH_CHECKPOINT_MAX_NAME = 128 }; /* bytes of a tensor's name, with its end */

/* What differs between the forms. */
typedef struct pith_checkpoint_form {
    pith_naming naming;   /* of tensors */
    const char *settings; /* "config.json asks" */
    const char *types;    /* of tensors that are read */
    bool reads_quantised; /* weights that are quantised already */
    bool (*find)(const pith_checkpoint *checkpoint, const char *name, pith_checkpoint_tensor *out);
    bool (*at)(const pith_checkpoint *checkpoint, size_t i, pith_checkpoint_tensor *out);
    pith_status (*read_tokenizer)(pith_checkpoint *checkpoint, const char *path, pith_error *error);
    void (*close)(pith_checkpoint *checkpoint);
} pith_checkpoint_form;

struct pith_checkpoint {
    const pith_checkpoint_form *form; /* NULL: none is open */
    const pith_allocator *allocator;
    const pith_log *log;
    const char *name;     /* in messages: the directory, or the file */
    pith_sources sources; /* the files that were opened */
    pith_hf_config config;
    bool lowercase; /* an encoder's texts are lower-cased before they are tokenized */
    pith_hf_prompts prompts;
    pith_hf_tokenizer tokenizer;
    pith_hf_shards shards;                /* of a directory */
    pith_hf_shards dense[PITH_MAX_DENSE]; /* of its dense modules */
    pith_gguf_parts parts;                /* of a GGUF file, as the next one */
    bool interleaved;                     /* rows of queries and keys */
};

/* Opens a checkpoint and reads all but its tokenizer and its weights. `log` must outlive it.
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
pith_status pith_checkpoint_open(pith_checkpoint *out, const char *path,
                                 const pith_allocator *allocator, const pith_log *log,
                                 pith_error *error);
void pith_checkpoint_close(pith_checkpoint *checkpoint);

/* Reads the tokenizer, from the file at `path` unless that is NULL.
 * Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
pith_status pith_checkpoint_read_tokenizer(pith_checkpoint *checkpoint, const char *path,
                                           pith_error *error);

/* Finds a tensor by its name in this form. The list of sources must not grow while the
 * tensor is in use. */
bool pith_checkpoint_find(const pith_checkpoint *checkpoint, const char *name,
                          pith_checkpoint_tensor *out);

/* Tensor i of all that are stored; false when there are no more. */
bool pith_checkpoint_at(const pith_checkpoint *checkpoint, size_t i, pith_checkpoint_tensor *out);

/* True when weights of the checkpoint are quantised already. */
bool pith_checkpoint_quantised(const pith_checkpoint *checkpoint);

/* What the forms in directories share. */
#define PITH_HF_TYPES "F32, F16 and BF16"
bool pith_hf_find_tensor(const pith_checkpoint *checkpoint, const char *name,
                         pith_checkpoint_tensor *out);
bool pith_hf_tensor_at(const pith_checkpoint *checkpoint, size_t i, pith_checkpoint_tensor *out);
pith_status pith_hf_read_tokenizer(pith_checkpoint *checkpoint, const char *path,
                                   pith_error *error);
void pith_hf_close_shards(pith_checkpoint *checkpoint);

/* Directories and files; for pith_checkpoint_open. */
pith_status pith_hf_checkpoint_open(pith_checkpoint *checkpoint, const char *path,
                                    pith_error *error);
pith_status pith_gguf_checkpoint_open(pith_checkpoint *checkpoint, const char *path,
                                      pith_error *error);

#endif
