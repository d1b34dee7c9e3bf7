/* ERNIE 4.5, dense: Llama's block with heads whose size is said, not derived, in which neighbours
 * turn together; one key for the biases of all linear layers. Baidu 2025. */
#include "families/family.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 103424),
    PITH_COUNT(hidden_size, 1024),
    PITH_COUNT(intermediate_size, 3072),
    PITH_COUNT(num_hidden_layers, 18),
    PITH_COUNT(num_attention_heads, 16),
    PITH_COUNT_OR_NULL(num_key_value_heads, 2, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, 128, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 131072),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 500000),
    PITH_FLAG(tie_word_embeddings, true),
    PITH_KEY(PITH_FIELD_FLAG, "use_bias", qkv_bias, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    (void)error;
    config->o_bias = config->mlp_bias = config->qkv_bias;
    return PITH_OK;
}

const pith_family pith_family_ernie4_5 = {
    .name = "ernie4_5",
    .classes = {"Ernie4_5ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .interleaved = true,
    .bos = 1,
    .eos = 2,
    .read = read,
};
