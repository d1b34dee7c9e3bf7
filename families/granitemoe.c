/* Granite 3 with experts: Granite's four scalars, and many small MLPs a layer, of which a token
 * uses eight. Granite team 2024. */
#include "families/family.h"
#include "families/granite.h"

static const pith_rule rules[] = {
    PITH_EXPERT_RULES(PITH_FROM("block_sparse_moe.router.layer.weight"),
                      PITH_FROM("block_sparse_moe.input_linear.weight"),
                      PITH_FROM("block_sparse_moe.output_linear.weight"))};
static const pith_rule_table experts = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 32000),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 11008),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 2048),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_KEY(PITH_FIELD_COUNT, "num_local_experts", n_experts, 8),
    PITH_KEY(PITH_FIELD_COUNT, "num_experts_per_tok", n_experts_used, 2),
    PITH_GRANITE_SCALARS,
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    config->norm_experts = true;
    return pith_granite_read(config, json, error);
}

const pith_family pith_family_granitemoe = {
    .name = "granitemoe",
    .classes = {"GraniteMoeForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &experts},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 1,
    .eos = 2,
    .read = read,
};
