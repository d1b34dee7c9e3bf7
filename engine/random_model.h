/* Models with random weights, made in memory: speed depends on the shape only, so it can be
 * measured without a download. */
#ifndef PITH_ENGINE_RANDOM_MODEL_H
#define PITH_ENGINE_RANDOM_MODEL_H

#include "families/matrix.h"
#include "pith.h"

/* A model of a known shape (weights/shapes.h): linear layers of `type`, embedding and head int8
 * when type is int8 or int4, else of `type`. Weights are seeded by their place and of about the
 * usual size; logits are finite. The model has no tokenizer: pith_session_eval works, text
 * functions give UNSUPPORTED. Errors: ARGUMENT (unknown shape, the message lists those known),
 * MEMORY, UNSUPPORTED. */
pith_status pith_model_random(pith_model **out, const char *shape, pith_type type,
                              const pith_model_options *options, pith_error *error);

#endif
