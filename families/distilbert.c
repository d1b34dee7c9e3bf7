/* DistilBERT: BERT's block under other names, without token types. Sanh et al. 2019. */
#include "families/family.h"

#define LIN_QKV(end) "attention.q_lin" end, "attention.k_lin" end, "attention.v_lin" end

static const pith_rule rules[] = {
    {"attention.qkv_lin.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_FROM(LIN_QKV(".weight")),
     PITH_GGUF("attn_q.weight", "attn_k.weight", "attn_v.weight"), PITH_LABEL("qkv")},
    {"attention.qkv_lin.bias", PITH_KIND_BIAS, PITH_EXTENT_QKV, PITH_IN_LAYER(qkv.bias),
     PITH_FROM(LIN_QKV(".bias")), PITH_GGUF("attn_q.bias", "attn_k.bias", "attn_v.bias"),
     PITH_WHERE(PITH_HAS_QKV_BIAS)},
    {"attention.out_lin.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("attention output")},
    {"attention.out_lin.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(o.bias),
     PITH_GGUF("attn_output.bias"), PITH_WHERE(PITH_HAS_O_BIAS)},
    {"sa_layer_norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.weight), PITH_GGUF("attn_output_norm.weight")},
    {"sa_layer_norm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.bias), PITH_GGUF("attn_output_norm.bias")},
    {"ffn.lin1.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_GGUF("ffn_up.weight"), PITH_LABEL("up")},
    {"ffn.lin1.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP, PITH_IN_LAYER(gate_up.bias),
     PITH_GGUF("ffn_up.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"ffn.lin2.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
    {"ffn.lin2.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(down.bias),
     PITH_GGUF("ffn_down.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"output_layer_norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_mlp.weight), PITH_GGUF("layer_output_norm.weight")},
    {"output_layer_norm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_mlp.bias), PITH_GGUF("layer_output_norm.bias")},
};
static const pith_rule_table block = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 30522),
    PITH_KEY(PITH_FIELD_COUNT, "dim", hidden_size, 768),
    PITH_KEY(PITH_FIELD_COUNT, "hidden_dim", intermediate_size, 3072),
    PITH_KEY(PITH_FIELD_COUNT, "n_layers", num_hidden_layers, 6),
    PITH_KEY(PITH_FIELD_COUNT, "n_heads", num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 512),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    (void)error;
    config->norm_eps = 1e-12F; /* no key says it */
    return PITH_OK;
}

const pith_family pith_family_distilbert = {
    .name = "distilbert",
    .classes = {"DistilBertModel", "DistilBertForMaskedLM"},
    .role = PITH_ENCODER,
    .score_class = "DistilBertForSequenceClassification",
    .score_layers = {"pre_classifier", "classifier"},
    .score_activation = PITH_DENSE_RELU,
    .rules = {&pith_rules_bert_ends, &block, &pith_rules_dense},
    .layers = "transformer.layer.",
    .prefix = "distilbert.",
    .ignored = {"embeddings.position_ids"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"activation", "gelu"}},
    .bos = -1,
    .eos = -1,
    .read = read,
};
