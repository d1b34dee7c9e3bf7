/* Llama 1 to 3, Code Llama, TinyLlama, SmolLM 2: RMSNorm before attention and MLP, RoPE, grouped
 * queries, SwiGLU. Touvron et al. 2023; Grattafiori et al. 2024. */
#include "families/family.h"

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
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    bool sliding[PITH_MAX_LAYERS] = {false};
    bool given;
    pith_status status =
        pith_layer_types_read(json, config->num_hidden_layers, &given, sliding, error);
    for (size_t i = 0; status == PITH_OK && i < config->num_hidden_layers; i++) {
        if (sliding[i]) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "config.json: layer_types: sliding_attention is not part of "
                             "LlamaForCausalLM");
        }
    }
    config->o_bias = config->qkv_bias;
    return status;
}

const pith_family pith_family_llama = {
    .name = "llama",
    .classes = {"LlamaForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .ignored = {"rotary_emb.inv_freq"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 1,
    .eos = 2,
    .read = read,
};
