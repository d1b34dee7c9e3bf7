/* Arcee's AFM: Llama's block with an MLP that has no gate, and squared ReLU (So et al. 2021). */
#include "families/family.h"

static const pith_rule rules[] = {
    {"mlp.gate_up_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_FROM("mlp.up_proj.weight"), PITH_GGUF("ffn_up.weight"),
     PITH_LABEL("up")},
    {"mlp.gate_up_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP, PITH_IN_LAYER(gate_up.bias),
     PITH_FROM("mlp.up_proj.bias"), PITH_GGUF("ffn_up.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"mlp.down_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
    {"mlp.down_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(down.bias),
     PITH_GGUF("ffn_down.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
};
static const pith_rule_table mlp = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 32000),
    PITH_COUNT(hidden_size, 2560),
    PITH_COUNT(intermediate_size, 18432),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 4096),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_FLAG(mlp_bias, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    (void)error;
    config->activation = PITH_RELU2;
    config->gated = false;
    config->o_bias = config->qkv_bias;
    return PITH_OK;
}

const pith_family pith_family_arcee = {
    .name = "arcee",
    .classes = {"ArceeForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "relu2"}},
    .bos = 128000,
    .eos = 128001,
    .read = read,
};
