/* OLMo 2: Llama's sub-layers without a norm before them: the norm is on what they return, before it
 * is added. All of q and all of k are normalised before RoPE. OLMo team 2024. */
#include "families/family.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 50304),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 11008),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 2048),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    (void)error;
    config->qk_norm = PITH_QK_NORM_WHOLE;
    config->o_bias = config->qkv_bias;
    return PITH_OK;
}

const pith_family pith_family_olmo2 = {
    .name = "olmo2",
    .classes = {"Olmo2ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention, &pith_rules_qk_norm,
              &pith_rules_norms_after, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = -1,
    .eos = 50279,
    .read = read,
};
