/* The weights of a checkpoint in safetensors files: model.safetensors, or the shards that
 * model.safetensors.index.json lists, or shards by their names where the index was not downloaded,
 * seen as one set of named tensors. In Mistral's own layout the files are called "consolidated". */
#ifndef PITH_CONVERT_HF_SHARDS_H
#define PITH_CONVERT_HF_SHARDS_H

#include "base/json.h"
#include "base/status.h"
#include "convert/sources.h"
#include "weights/safetensors.h"

enum {
    PITH_HF_MAX_SHARDS = 512,
    PITH_HF_MAX_INDEX = 64 << 20, /* bytes of the index */
};

/* The index: which tensor is in which shard. */
typedef struct pith_hf_index {
    pith_json weight_map;                   /* tensor name -> shard name */
    const char *shards[PITH_HF_MAX_SHARDS]; /* names, each once, in order of appearance */
    size_t n_shards;
} pith_hf_index;

/* Parses an index; shard names must be plain names in the same directory. The text is changed, also
 * on failure, and must outlive the index. `where` is its name in messages. Errors: FORMAT,
 * MEMORY. */
pith_status pith_hf_index_parse(pith_hf_index *out, char *text, size_t size, const char *where,
                                const pith_allocator *allocator, pith_error *error);

typedef struct pith_hf_shards {
    const pith_allocator *allocator;
    const pith_sources *sources;
    size_t n;
    struct pith_hf_shard {
        size_t source; /* place in sources */
        pith_safetensors *header;
    } * shards; /* [n] */
} pith_hf_shards;

/* A tensor and the file that holds it. */
typedef struct pith_hf_tensor {
    const pith_file *file;
    const pith_tensor *tensor;
} pith_hf_tensor;

/* What the names of the files begin with. */
#define PITH_HF_STEM "model"
#define PITH_MISTRAL_STEM "consolidated"

/* Returns true when the directory has weights of any of these forms. */
bool pith_hf_shards_are_there(const pith_sources *sources, const char *stem);

/* Opens all shards and checks the index against them; `sources` must outlive the shards, and its
 * list must not grow while a pith_hf_tensor is in use. Errors: IO, FORMAT, UNSUPPORTED, MEMORY. */
pith_status pith_hf_shards_open(pith_hf_shards *out, pith_sources *sources, const char *stem,
                                pith_error *error);
void pith_hf_shards_close(pith_hf_shards *shards);

bool pith_hf_shards_find(const pith_hf_shards *shards, const char *name, pith_hf_tensor *out);

#endif
