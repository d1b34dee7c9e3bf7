/* Seed-OSS: Llama's block with biases of q, k and v, and heads whose size is said, not derived.
 * ByteDance Seed 2025. */
#include "families/family.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 155136),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 27648),
    PITH_COUNT(num_hidden_layers, 64),
    PITH_COUNT(num_attention_heads, 80),
    PITH_COUNT_OR_NULL(num_key_value_heads, 8, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, 128, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 524288),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, true),
    PITH_KEY(PITH_FIELD_FLAG, "attention_out_bias", o_bias, false),
    PITH_FLAG(mlp_bias, false),
};

const pith_family pith_family_seed_oss = {
    .name = "seed_oss",
    .classes = {"SeedOssForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 0,
    .eos = 2,
};
