/* Mistral: Llama's block in which every query sees the last keys only. Jiang et al. 2023. */
#include "families/family.h"

#include "base/status.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 32000),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 14336),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, 8, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 131072),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
};

/* All layers have the same window, as in transformers. */
static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    bool sliding[PITH_MAX_LAYERS] = {true};
    bool given;
    size_t window = 0;
    pith_status status =
        pith_layer_types_read(json, config->num_hidden_layers, &given, sliding, error);
    for (size_t i = 1; status == PITH_OK && given && i < config->num_hidden_layers; i++) {
        if (sliding[i] != sliding[0]) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "config.json: layer_types: layer %zu differs from layer 0, which is "
                             "not supported for mistral",
                             i);
        }
    }
    if (status == PITH_OK && sliding[0]) {
        status = pith_window_read(json, 4096, &window, error);
    }
    config->kinds[0].sliding_window = window;
    return status;
}

const pith_family pith_family_mistral = {
    .name = "mistral",
    .architecture = "llama",
    .classes = {"MistralForCausalLM"},
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
