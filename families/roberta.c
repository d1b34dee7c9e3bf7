/* RoBERTa: BERT's block, with positions counted from behind the id of the padding. Liu et al. 2019.
 */
#include "families/family.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 50265),
    PITH_COUNT(hidden_size, 768),
    PITH_COUNT(intermediate_size, 3072),
    PITH_COUNT(num_hidden_layers, 12),
    PITH_COUNT(num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 512),
    PITH_COUNT(type_vocab_size, 2),
    PITH_KEY(PITH_FIELD_COUNT, "pad_token_id", position_offset, 1),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-12),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    config->position_offset++;
    return pith_types_check(config, error);
}

const pith_family pith_family_roberta = {
    .name = "roberta",
    .classes = {"RobertaModel", "RobertaForMaskedLM"},
    .role = PITH_ENCODER,
    .score_class = "RobertaForSequenceClassification",
    .score_layers = {"classifier.dense", "classifier.out_proj"},
    .score_activation = PITH_DENSE_TANH,
    .rules = {&pith_rules_bert_ends, &pith_rules_bert_attention, &pith_rules_bert_mlp,
              &pith_rules_dense},
    .layers = "encoder.layer.",
    .prefix = "roberta.",
    .ignored = {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight",
                "pooler.dense.bias"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "gelu"},
              {"position_embedding_type", "absolute"},
              {"is_decoder", NULL},
              {"add_cross_attention", NULL},
              {"is_encoder_decoder", NULL}},
    .bos = -1,
    .eos = -1,
    .read = read,
};
