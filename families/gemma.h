/* What the pages of Gemma share: norms whose weight is 1 + w, before and after each sub-layer. */
#ifndef PITH_FAMILIES_GEMMA_H
#define PITH_FAMILIES_GEMMA_H

#include "families/family.h"

extern const pith_rule_table pith_rules_gemma_norms;       /* the last one and four of each layer */
extern const pith_rule_table pith_rules_gemma_layer_norms; /* those of each layer alone */
extern const pith_rule_table pith_rules_gemma_qk_norm;     /* of each head of q and k */

extern const pith_key pith_gemma3_keys[16];

/* Sets up Gemma 3's layers: the recipe, the two kinds, the windows. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_gemma3_layers_read(pith_config *config, pith_json json, pith_error *error);

/* Sets what all have: GELU by tanh, sqrt(hidden_size) as the embedding's scale, and the scores'
 * scale 1 / sqrt(query_pre_attn_scalar), which the keys have put into attention_scale. */
void pith_gemma_set_recipe(pith_config *config);

#endif
