/* Granite 3: Llama's block with four scalars: of the embedding, of what each sub-layer adds, of the
 * scores and of the logits. Granite team 2024. */
#include "families/granite.h"

#include "base/status.h"

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
    PITH_FLAG(mlp_bias, false),
    PITH_GRANITE_SCALARS,
};

pith_status pith_granite_read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    if (config->attention_scale == 0) { /* would stand for 1 / sqrt(head_dim) */
        return pith_fail(error, PITH_ERROR_FORMAT, "config.json: attention_multiplier is 0");
    }
    config->logit_scale = 1 / config->logit_scale; /* logits are divided by the key's number */
    config->o_bias = config->qkv_bias;
    return PITH_OK;
}

const pith_family pith_family_granite = {
    .name = "granite",
    .classes = {"GraniteForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 1,
    .eos = 2,
    .read = pith_granite_read,
};
