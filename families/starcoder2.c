/* StarCoder 2: LayerNorm, GELU without a gate, biases everywhere, RoPE and a window. Lozhkov et al.
 * 2024. */
#include "families/family.h"

static const pith_rule rules[] = {
    {"mlp.gate_up_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_FROM("mlp.c_fc.weight"), PITH_GGUF("ffn_up.weight"),
     PITH_LABEL("up")},
    {"mlp.gate_up_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP, PITH_IN_LAYER(gate_up.bias),
     PITH_FROM("mlp.c_fc.bias"), PITH_GGUF("ffn_up.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"mlp.down_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_FROM("mlp.c_proj.weight"), PITH_GGUF("ffn_down.weight"),
     PITH_LABEL("down")},
    {"mlp.down_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(down.bias),
     PITH_FROM("mlp.c_proj.bias"), PITH_GGUF("ffn_down.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
};
static const pith_rule_table mlp = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 49152),
    PITH_COUNT(hidden_size, 3072),
    PITH_COUNT(intermediate_size, 12288),
    PITH_COUNT(num_hidden_layers, 30),
    PITH_COUNT(num_attention_heads, 24),
    PITH_COUNT(num_key_value_heads, 2),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 4096),
    PITH_KEY(PITH_FIELD_FLOAT, "norm_epsilon", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, true),
    PITH_KEY(PITH_FIELD_FLAG, "use_bias", qkv_bias, true),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    config->norm_type = PITH_LAYER_NORM;
    config->activation = PITH_GELU_TANH;
    config->gated = false;
    config->o_bias = config->mlp_bias = config->qkv_bias;
    return pith_window_read(json, 0, &config->kinds[0].sliding_window, error);
}

const pith_family pith_family_starcoder2 = {
    .name = "starcoder2",
    .classes = {"Starcoder2ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_layer_norms, &pith_rules_attention, &mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "gelu_pytorch_tanh"},
              {"norm_type", "layer_norm"},
              {"mlp_type", "default"}},
    .bos = 50256,
    .eos = 50256,
    .read = read,
};
