/* The hyper-parameters of a GGUF file. Its keys were made from config.json, under other names. They
 * are turned back into a config.json, so that one reader, with its checks and defaults, serves both
 * forms. */
#ifndef PITH_CONVERT_GGUF_CONFIG_H
#define PITH_CONVERT_GGUF_CONFIG_H

#include "base/status.h"
#include "convert/gguf_parts.h"
#include "convert/hf_config.h"

/* Steps that not all architectures have. */
enum {
    PITH_GGUF_WINDOW = 1, /* of some models, whose files have its key */
    PITH_GGUF_CAPS = 2,   /* of scores and logits */
    PITH_GGUF_SCALES = 4, /* Granite's multipliers */
    PITH_GGUF_GROWTH = 8, /* of queries with their position */
    PITH_GGUF_EXPERTS = 16,
};

/* What general.architecture names. */
typedef struct pith_gguf_architecture {
    const char *name;       /* "llama" */
    const char *model_type; /* in config.json */
    bool encoder;
    bool interleaved; /* rows of q and k: see pith_gguf_architecture_find */
    unsigned steps;   /* which of those */
    size_t pattern;   /* of each group of this many layers the last one sees all keys; 0: all layers
                         are alike */
    size_t wide;      /* Gemma only: layers of its 27B model, whose scores have another scale */
    const struct pith_gguf_mixture *mixture; /* with PITH_GGUF_EXPERTS (convert/gguf_experts.h) */
} pith_gguf_architecture;

/* Finds the architecture of a file. Where q and k are interleaved, row 2 i + half of a head is what
 * Hugging Face's form has in row half x head_dim / 2 + i: the two elements that RoPE turns together
 * are neighbours. Errors: FORMAT, UNSUPPORTED (named, with those that are supported). */
pith_status pith_gguf_architecture_find(const pith_gguf *gguf, const pith_gguf_architecture **out,
                                        pith_error *error);

/* Reads the configuration. `sources` has the files of `parts`.
 * Errors: IO, FORMAT (the key is named), UNSUPPORTED, MEMORY. */
pith_status pith_gguf_config_read(pith_hf_config *out, const pith_gguf_parts *parts,
                                  const pith_sources *sources, const pith_log *log,
                                  pith_error *error);

#endif
