/* The rotary embedding of a Hugging Face decoder: rope_theta with rope_scaling (older) or
 * rope_parameters (transformers 5) of config.json. */
#ifndef PITH_FAMILIES_HF_ROPE_H
#define PITH_FAMILIES_HF_ROPE_H

#include "base/json.h"
#include "families/config.h"

/* Reads the scaling and, where the section holds one, rope_theta into *out, whose theta and dims
 * are set already; n_positions (max_position_embeddings) is the original length where none is
 * named. What the keys leave open is filled in as transformers does, so that a .pith file holds
 * every number of the formula. Errors: FORMAT, UNSUPPORTED (a type by its name, partial rotation).
 */
pith_status pith_hf_rope_read(pith_json config, size_t n_positions, pith_rope_config *out,
                              pith_error *error);

#endif
