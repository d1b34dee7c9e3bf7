/* Qwen 3 with experts: Qwen 3's attention, and many small MLPs a layer, of which a token uses
 * eight. Yang et al. 2025. */
#include "families/family.h"

#include "base/status.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 151936),
    PITH_COUNT(hidden_size, 2048),
    PITH_KEY(PITH_FIELD_COUNT, "moe_intermediate_size", intermediate_size, 768),
    PITH_COUNT(num_hidden_layers, 24),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, 4, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 32768),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_KEY(PITH_FIELD_COUNT, "num_experts", n_experts, 128),
    PITH_KEY(PITH_FIELD_COUNT, "num_experts_per_tok", n_experts_used, 8),
    PITH_KEY(PITH_FIELD_FLAG, "norm_topk_prob", norm_experts, false),
};

/* Refuses layers with a single MLP, which a file may choose by number or by a step. */
static pith_status refuse_dense(pith_json json, pith_error *error) {
    size_t step = 1;
    pith_json dense = pith_hf_json_get(json, "mlp_only_layers");
    if (dense.at != NULL && !pith_json_is(dense, PITH_JSON_ARRAY)) {
        return pith_hf_json_fail("config.json", "mlp_only_layers", "an array or null", dense,
                                 error);
    }
    if (pith_json_size(dense) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "config.json: mlp_only_layers is not supported, only an empty list");
    }
    pith_status status =
        pith_hf_json_count(json, "decoder_sparse_step", "config.json", &step, error);
    return status == PITH_OK && step != 1
               ? pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "config.json: decoder_sparse_step %zu is not supported, only 1", step)
               : status;
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    /* The newer name of num_experts. */
    pith_status status =
        pith_hf_json_count(json, "num_local_experts", "config.json", &config->n_experts, error);
    config->qk_norm = PITH_QK_NORM_HEAD;
    config->o_bias = config->qkv_bias;
    return status == PITH_OK ? refuse_dense(json, error) : status;
}

const pith_family pith_family_qwen3_moe = {
    .name = "qwen3_moe",
    .classes = {"Qwen3MoeForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_qk_norm, &pith_rules_mlp_norm,
              &pith_rules_experts},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}, {"use_sliding_window", NULL}},
    .bos = -1,
    .eos = -1,
    .read = read,
};
