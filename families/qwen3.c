/* Qwen 3, dense: Llama's block with an RMSNorm of each head of q and k before RoPE, and heads whose
 * size is said, not derived. Yang et al. 2025. */
#include "families/qwen3.h"

const pith_key pith_qwen3_keys[12] = {
    PITH_COUNT(vocab_size, 151936),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 22016),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, 32, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, 128, 128),
    PITH_COUNT(max_position_embeddings, 32768),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
};

pith_status pith_qwen3_layers_read(pith_config *config, pith_json json, pith_error *error) {
    config->qk_norm = PITH_QK_NORM_HEAD;
    config->o_bias = config->qkv_bias;
    return pith_upper_windows_read(config, json, error);
}

const pith_family pith_family_qwen3 = {
    .name = "qwen3",
    .classes = {"Qwen3ForCausalLM"},
    .encoder = &pith_family_qwen3_embedding,
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_qk_norm, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = pith_qwen3_keys,
    .n_keys = sizeof pith_qwen3_keys / sizeof pith_qwen3_keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = -1,
    .eos = -1,
    .read = pith_qwen3_layers_read,
};
