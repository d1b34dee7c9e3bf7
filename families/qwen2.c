/* Qwen 2 and 2.5: Llama's block with biases of q, k and v; some models have a window in the upper
 * layers. Yang et al. 2024. */
#include "families/family.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 151936),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 22016),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, 32, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 32768),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    config->qkv_bias = true;
    return pith_upper_windows_read(config, json, error);
}

const pith_family pith_family_qwen2 = {
    .name = "qwen2",
    .architecture = "llama",
    .classes = {"Qwen2ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .ignored = {"rotary_emb.inv_freq"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = -1,
    .eos = -1,
    .read = read,
};
