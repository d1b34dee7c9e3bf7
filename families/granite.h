/* What Granite has with and without experts. */
#ifndef PITH_FAMILIES_GRANITE_H
#define PITH_FAMILIES_GRANITE_H

#include "families/family.h"

/* Of the embedding, of what each sub-layer adds, of the scores, and what logits are divided by. */
#define PITH_GRANITE_SCALARS                                                    \
    PITH_KEY(PITH_FIELD_FLOAT, "embedding_multiplier", embedding_scale, 1),     \
        PITH_KEY(PITH_FIELD_FLOAT, "residual_multiplier", residual_scale, 1),   \
        PITH_KEY(PITH_FIELD_FLOAT, "attention_multiplier", attention_scale, 1), \
        PITH_KEY(PITH_FIELD_FLOAT, "logits_scaling", logit_scale, 1)

/* pith_family.read. Errors: FORMAT (attention_multiplier 0). */
pith_status pith_granite_read(pith_config *config, pith_json json, pith_error *error);

#endif
