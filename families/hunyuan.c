/* Hunyuan, dense: Llama's block with a norm of each head of q and k after RoPE, whose base grows
 * with a number of its own (NTK-aware scaling, bloc97 2023). Tencent 2025. */
#include "families/family.h"

#include "base/status.h"

#include <math.h>

static const pith_rule rules[] = {
    {"self_attn.query_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_Q_NORM,
     PITH_IN_LAYER(q.weight), PITH_GGUF("attn_q_norm.weight"), PITH_WHERE(PITH_HAS_QK_NORM)},
    {"self_attn.key_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_K_NORM, PITH_IN_LAYER(k.weight),
     PITH_GGUF("attn_k_norm.weight"), PITH_WHERE(PITH_HAS_QK_NORM)},
};
static const pith_rule_table norms = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 290943),
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

/* alpha of a dynamic scaling makes the base theta alpha^(d / (d - 2)) from the first position on;
 * what else the type means (families/config.h) applies too. 0 is none, as in transformers. */
static pith_status read_alpha(pith_config *config, pith_json json, pith_error *error) {
    pith_json section = pith_hf_json_get(json, "rope_parameters");
    section = section.at != NULL ? section : pith_hf_json_get(json, "rope_scaling");
    pith_rope_config *rope = &config->kinds[0].rope;
    double alpha = 0;
    double d = (double)config->head_dim;
    pith_status status = PITH_OK;
    if (rope->scaling == PITH_ROPE_DYNAMIC && pith_hf_json_get(section, "alpha").at != NULL) {
        status = pith_hf_json_number(section, "alpha", "config.json", &alpha, error);
    }
    if (status == PITH_OK && (alpha < 0 || (alpha != 0 && config->head_dim <= 2))) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "config.json: alpha %g of heads of %zu elements has no meaning", alpha,
                         config->head_dim);
    }
    rope->theta *= alpha != 0 ? pow(alpha, d / (d - 2)) : 1;
    return status;
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    bool normalised = true;
    pith_status status = pith_hf_json_flag(json, "use_qk_norm", "config.json", &normalised, error);
    if (status == PITH_OK && !normalised) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "config.json: use_qk_norm false is not supported");
    }
    config->qk_norm = PITH_QK_NORM_AFTER;
    config->o_bias = config->qkv_bias;
    return status == PITH_OK ? read_alpha(config, json, error) : status;
}

const pith_family pith_family_hunyuan = {
    .name = "hunyuan_v1_dense",
    .classes = {"HunYuanDenseV1ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &norms, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}, {"use_cla", NULL}, {"mlp_bias", NULL}},
    .bos = 1,
    .eos = 2,
    .read = read,
};
