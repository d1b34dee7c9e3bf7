/* BERT: a LayerNorm after each sub-layer and its residual, learned positions, GELU without a gate,
 * biases everywhere. Devlin et al. 2019. */
#include "families/family.h"

#include "base/status.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 30522),
    PITH_COUNT(hidden_size, 768),
    PITH_COUNT(intermediate_size, 3072),
    PITH_COUNT(num_hidden_layers, 12),
    PITH_COUNT(num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 512),
    PITH_COUNT(type_vocab_size, 2),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-12),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    pith_json pruned = pith_hf_json_get(json, "pruned_heads");
    if (pruned.at != NULL && !pith_json_is(pruned, PITH_JSON_OBJECT)) {
        return pith_hf_json_fail("config.json", "pruned_heads", "an object or null", pruned, error);
    }
    if (pith_json_size(pruned) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "config.json: pruned_heads is not supported");
    }
    return pith_types_check(config, error);
}

const pith_family pith_family_bert = {
    .name = "bert",
    .classes = {"BertModel", "BertForMaskedLM", "BertForPreTraining"},
    .role = PITH_ENCODER,
    .score_class = "BertForSequenceClassification",
    .score_layers = {"pooler.dense", "classifier"},
    .score_activation = PITH_DENSE_TANH,
    .rules = {&pith_rules_bert_ends, &pith_rules_bert_attention, &pith_rules_bert_mlp,
              &pith_rules_dense},
    .layers = "encoder.layer.",
    .prefix = "bert.",
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
