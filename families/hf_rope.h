/* The rotary embedding of a Hugging Face decoder: rope_theta with rope_scaling (older) or
 * rope_parameters (transformers 5) of config.json. */
#ifndef PITH_FAMILIES_HF_ROPE_H
#define PITH_FAMILIES_HF_ROPE_H

#include "base/json.h"
#include "families/config.h"

typedef struct pith_hf_rope {
    pith_json config; /* config.json */
    size_t n_positions;
    size_t head_dim;
    bool partial;    /* a share of each head may turn */
    double share;    /* where no key names one; 0: all of it */
    size_t original; /* what Phi-3's class takes for longrope's original length where no key names
                        one; "su" and "yarn" mean longrope to that class. 0: another family */
    pith_rope_factors *factors; /* where longrope's go; NULL: it is refused */
    const char *type; /* "full_attention" or "sliding_attention", which rope_parameters may tell
                         apart; where it does not, it is that of the first. NULL: it must not */
} pith_hf_rope;

/* Reads dims, the scaling and, where the section holds one, rope_theta into *out, whose theta is
 * set already; n_positions is the original length where none is named. What the keys leave open is
 * filled in as transformers does, so that a .pith file holds every number of the formula. Errors:
 * FORMAT, UNSUPPORTED (a type by its name, partial rotation). */
pith_status pith_hf_rope_read(const pith_hf_rope *from, pith_rope_config *out, pith_error *error);

#endif
