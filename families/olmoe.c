/* OLMoE: 64 small MLPs a layer, of which a token uses eight. All of q and all of k are normalised
 * before RoPE. Muennighoff et al. 2024. */
#include "families/family.h"

#include "base/status.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 50304),
    PITH_COUNT(hidden_size, 2048),
    PITH_COUNT(intermediate_size, 2048),
    PITH_COUNT(num_hidden_layers, 16),
    PITH_COUNT(num_attention_heads, 16),
    PITH_COUNT_OR_NULL(num_key_value_heads, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 4096),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_KEY(PITH_FIELD_COUNT, "num_experts", n_experts, 64),
    PITH_KEY(PITH_FIELD_COUNT, "num_experts_per_tok", n_experts_used, 8),
    PITH_KEY(PITH_FIELD_FLAG, "norm_topk_prob", norm_experts, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    config->qk_norm = PITH_QK_NORM_WHOLE;
    config->o_bias = config->qkv_bias;
    return pith_hf_json_get(json, "clip_qkv").at == NULL
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "config.json: clip_qkv is not supported, only null");
}

const pith_family pith_family_olmoe = {
    .name = "olmoe",
    .classes = {"OlmoeForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_qk_norm, &pith_rules_mlp_norm,
              &pith_rules_experts},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = -1,
    .eos = 50279,
    .read = read,
};
