/* Conversion of a checkpoint, a Hugging Face model directory or a GGUF file, to a .pith file;
 * random weights of a known shape in one. */
#ifndef PITH_CONVERT_CONVERT_H
#define PITH_CONVERT_CONVERT_H

#include "base/pool.h"
#include "base/status.h"
#include "families/matrix.h"

/* The result of converting one matrix. */
typedef struct pith_convert_row {
    const char *name;  /* tensor in the .pith file */
    pith_type type;    /* as stored */
    bool fell_back;    /* int4 was asked for but columns are not a multiple of 32: stored as int8 */
    size_t rows, cols; /* without padding */
    double bits_per_weight;
    double relative_error; /* sqrt(sum (w - w')^2 / sum w^2) against the source's values */
} pith_convert_row;

typedef struct pith_convert_options {
    pith_type type; /* PITH_N_TYPES: int8 for weights that are quantised already (of a GGUF file),
                       whose values it holds nearly exactly; others ask for a type */
    size_t memory; /* bytes of memory: when a model whose type was chosen so does not fit, a warning
                      says what int4 would need; 0: those of this machine */
    pith_type head_type;         /* PITH_N_TYPES: int8 when type is int8 or int4, else type */
    bool without_weights;        /* writes all of the file but its weights, which are a hole in it:
                                    for measuring what a model takes. Its hashes are zeros */
    const char *importance_path; /* file made by `pith importance`, or NULL */
    const char *shape; /* random weights of this shape (weights/shapes.h) are written; NULL: those
                          of the source */
    const char *tokenizer_path; /* tokenizer.model or tokenizer.json to use; NULL: the directory's
                                   tokenizer.json, else its tokenizer.model; a GGUF file has its
                                   own. With `shape` it must be
                                   given, and may be a directory with one of these or vocab.txt */
    size_t n_threads;           /* 0: one per usable CPU */
    const pith_allocator *allocator; /* NULL: malloc */
    pith_log log;
    /* Called after every piece of work from the thread that called pith_convert; false cancels
     * (STOPPED). May be NULL. */
    bool (*progress)(void *user, size_t weights_done, size_t weights_total);
    void *progress_user;
    /* One call per matrix, in file order. May be NULL. */
    void (*report)(void *user, const pith_convert_row *row);
    void *report_user;
} pith_convert_options;

/* Reads the directory or GGUF file `source`, writes `out_path` atomically. Resident memory stays
 * under the largest tensor x 4 bytes + 256 MB (mapped pages excluded). The output depends only on
 * the inputs and on type, head type and importance: same bytes for any number of threads.
 *
 * With options->shape there is no checkpoint: `source` is NULL, and so are importance_path and
 * report, as nothing is quantised. The weights are random, the same for a shape and type on every
 * machine; the vocabulary has the tokenizer's size, which must not be above the shape's.
 * Errors: ARGUMENT, IO, FORMAT, UNSUPPORTED, MEMORY, STOPPED; nothing is published then. */
pith_status pith_convert(const char *source, const char *out_path,
                         const pith_convert_options *options, pith_error *error);

/* True when the model_type or, where that is NULL, the class in a config.json is that of an
 * encoder. Any other is a decoder's, unless there is a modules.json beside it. */
bool pith_convert_names_encoder(const char *model_type, const char *class_name);

/* Likewise for general.architecture in a GGUF file. */
bool pith_convert_gguf_names_encoder(const char *architecture);

/* What is known of a checkpoint without converting it. */
typedef struct pith_convert_facts {
    char architecture[32]; /* in a .pith file of it: "llama" */
    bool quantised;        /* already */
    size_t n_weights;
} pith_convert_facts;

/* Reads all but the weights of a checkpoint and plans its conversion: what succeeds here can be
 * converted, unless a weight is no number. Errors: those of pith_convert. */
pith_status pith_convert_look(const char *source, pith_convert_facts *out,
                              const pith_allocator *allocator, pith_error *error);

/* Where a checkpoint is kept when it has been converted once. */
typedef struct pith_convert_cache {
    const char *directory; /* made when it is not there; NULL: there is none */
    const char *name;      /* that the file's name begins with */
    const char *stamp; /* a text that changes when the checkpoint's files do; NULL: for a GGUF file,
                          its size and time */
    void (*begin)(void *user, const char *path); /* called before a conversion; may be NULL */
    void *user;
} pith_convert_cache;

/* Finds the .pith file of a checkpoint in the cache, or converts it into the cache and removes the
 * .pith files of its older states. *path is malloc'ed. Errors: those of pith_convert; UNSUPPORTED
 * (no cache directory). */
pith_status pith_convert_cached(const char *source, const pith_convert_cache *cache,
                                const pith_convert_options *options, char **path,
                                pith_error *error);

#endif
