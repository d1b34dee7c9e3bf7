/* Models with random weights, made in memory: speed depends on the shape only, so it can be
 * measured without a download. */
#ifndef PITH_ENGINE_RANDOM_MODEL_H
#define PITH_ENGINE_RANDOM_MODEL_H

#include "simd/kernels.h"
#include "weights/bert.h"
#include "weights/llama.h"

typedef struct pith_model_shape {
    const char *name; /* "llama2-7b" */
    pith_llama_config config;
} pith_model_shape;

/* Known shapes, ended by one whose name is NULL. */
extern const pith_model_shape pith_model_shapes[];

typedef struct pith_encoder_shape {
    const char *name; /* "minilm-l6" */
    pith_bert_config config;
} pith_encoder_shape;

extern const pith_encoder_shape pith_encoder_shapes[]; /* likewise */

/* A model of a known shape: linear layers of `type`, embedding and head int8 when type is int8 or
 * int4, else of `type`. Weights are seeded by their place, about normal in size, logits finite. The
 * model has no tokenizer: pith_session_eval works, text functions give UNSUPPORTED.
 * Errors: ARGUMENT (unknown shape, the message lists those known), MEMORY, UNSUPPORTED. */
pith_status pith_model_random(pith_model **out, const char *shape, pith_type type,
                              const pith_model_options *options, pith_error *error);

#endif
