/* XLM-R: RoBERTa with a vocabulary of a hundred languages. Conneau et al. 2020. */
#include "families/roberta.h"

static const pith_key keys[] = {PITH_COUNT(vocab_size, 30522), PITH_ROBERTA_KEYS};

const pith_family pith_family_xlm_roberta = {
    .name = "xlm-roberta",
    .classes = {"XLMRobertaModel", "XLMRobertaForMaskedLM"},
    .score_class = "XLMRobertaForSequenceClassification",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    PITH_ROBERTA_PAGE,
};
