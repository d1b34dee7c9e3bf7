/* A checkpoint: what a conversion reads, in either form that models are published in, a Hugging
 * Face directory (hf_checkpoint.c) or a GGUF file (gguf_checkpoint.c). Both give a configuration, a
 * tokenizer, and tensors by the names that they have in Hugging Face's form. */
#ifndef PITH_CONVERT_CHECKPOINT_H
#define PITH_CONVERT_CHECKPOINT_H

#include "convert/hf_config.h"
#include "convert/hf_prompts.h"
#include "convert/hf_shards.h"
#include "convert/hf_tokenizer.h"
#include "convert/sources.h"

/* A tensor where it is stored, and how its rows become floats. */
typedef struct pith_checkpoint_tensor {
    const pith_file *file; /* NULL: it is not there and counts as zeros */
    const char *name;      /* in that file; owned by the checkpoint, so that equal names are equal
                              pointers */
    const char *type;      /* "BF16" */
    size_t n_dims;
    size_t shape[PITH_SAFETENSORS_MAX_DIMS]; /* rows first */
    size_t offset;                           /* in the file */
    size_t size;                             /* bytes */
    size_t block, block_bytes;               /* elements that are stored together; their bytes */
    bool quantised;
    /* Writes the floats of n elements, a multiple of the block; NULL: the type is not read. */
    void (*widen)(const unsigned char *raw, size_t n, float *out);
} pith_checkpoint_tensor;

typedef struct pith_checkpoint pith_checkpoint;

/* What the two forms do in their own ways. */
typedef struct pith_checkpoint_form {
    bool (*find)(const pith_checkpoint *checkpoint, const char *name, pith_checkpoint_tensor *out);
    bool (*at)(const pith_checkpoint *checkpoint, size_t i, pith_checkpoint_tensor *out);
    pith_status (*read_tokenizer)(pith_checkpoint *checkpoint, const char *path, pith_error *error);
    void (*close)(pith_checkpoint *checkpoint);
} pith_checkpoint_form;

struct pith_checkpoint {
    const pith_checkpoint_form *form; /* NULL: none is open */
    const pith_allocator *allocator;
    const pith_log *log;
    pith_sources sources; /* the files that were opened */
    pith_hf_config config;
    bool lowercase; /* an encoder's texts are lower-cased before they are tokenized */
    pith_hf_prompts prompts;
    pith_hf_tokenizer tokenizer;
    pith_hf_shards shards; /* of a directory */
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

/* Finds a tensor by its name in Hugging Face's form. The list of sources must not grow while the
 * tensor is in use. */
bool pith_checkpoint_find(const pith_checkpoint *checkpoint, const char *name,
                          pith_checkpoint_tensor *out);

/* Tensor i of all that are stored; false when there are no more. */
bool pith_checkpoint_at(const pith_checkpoint *checkpoint, size_t i, pith_checkpoint_tensor *out);

/* What messages call the checkpoint: its directory. */
const char *pith_checkpoint_name(const pith_checkpoint *checkpoint);

/* The two forms; for pith_checkpoint_open. */
pith_status pith_hf_checkpoint_open(pith_checkpoint *checkpoint, const char *path,
                                    pith_error *error);

#endif
