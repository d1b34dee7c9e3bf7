/* What the two pages of Nomic's BERT share. */
#ifndef PITH_FAMILIES_NOMIC_BERT_H
#define PITH_FAMILIES_NOMIC_BERT_H

#include "families/family.h"

extern const pith_rule_table pith_rules_nomic_bert;

/* The page of the keys that transformers writes: newer_page of the other one. */
extern const pith_family pith_family_nomic_bert_newer;

/* Sets up the block: no positions, a gate with SiLU, no biases. */
static inline void pith_nomic_bert_set(pith_config *config) {
    config->no_positions = config->gated = true;
    config->qkv_bias = config->o_bias = config->mlp_bias = false;
    config->activation = PITH_SILU;
}

#endif
