/* RoBERTa: BERT's block, with positions counted from behind the id of the padding. Liu et al. 2019.
 */
#include "families/roberta.h"

static const pith_key keys[] = {PITH_COUNT(vocab_size, 50265), PITH_ROBERTA_KEYS};

pith_status pith_roberta_read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    config->position_offset++;
    return pith_types_check(config, error);
}

const pith_family pith_family_roberta = {
    .name = "roberta",
    .classes = {"RobertaModel", "RobertaForMaskedLM"},
    .score_class = "RobertaForSequenceClassification",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    PITH_ROBERTA_PAGE,
};
