/* SmolLM 3: Llama's block without RoPE in every fourth layer (Yang et al. 2025, RoPE to NoPE and
 * back), which may have a window there. Bakouch et al. 2025. */
#include "families/family.h"

#include "base/status.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 128256),
    PITH_COUNT(hidden_size, 2048),
    PITH_COUNT(intermediate_size, 11008),
    PITH_COUNT(num_hidden_layers, 36),
    PITH_COUNT(num_attention_heads, 16),
    PITH_COUNT_OR_NULL(num_key_value_heads, 4, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 32768),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 2e6),
    PITH_FLAG(tie_word_embeddings, true),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_FLAG(mlp_bias, false),
};

/* no_rope_layers, whose 1 means that there is RoPE; else all layers but every interval-th have. */
static pith_status read_turning(pith_json json, size_t n_layers, bool *turns, pith_error *error) {
    pith_json list = pith_hf_json_get(json, "no_rope_layers");
    size_t interval = 4;
    pith_status status =
        pith_hf_json_count(json, "no_rope_layer_interval", "config.json", &interval, error);
    if (status == PITH_OK && list.at == NULL && interval == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "config.json: no_rope_layer_interval: expected a positive integer");
    }
    for (size_t i = 0; status == PITH_OK && i < n_layers; i++) {
        size_t number = list.at == NULL && (i + 1) % interval == 0 ? 0 : 1;
        if (list.at != NULL && !pith_json_count(pith_json_at(list, i), &number)) {
            return pith_hf_json_fail("config.json", "no_rope_layers", "0 or 1 for each layer", list,
                                     error);
        }
        turns[i] = number != 0;
    }
    return status;
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    size_t n_layers = config->num_hidden_layers;
    bool turns[PITH_MAX_LAYERS] = {false};
    bool sliding[PITH_MAX_LAYERS] = {false};
    bool given = false;
    bool used = false;
    size_t window = 0;
    pith_status status = read_turning(json, n_layers, turns, error);
    if (status == PITH_OK) {
        status = pith_layer_types_read(json, n_layers, &given, sliding, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_flag(json, "use_sliding_window", "config.json", &used, error);
    }
    if (status == PITH_OK && used) {
        status = pith_window_read(json, 0, &window, error);
    }
    const pith_layer_kind turning = config->kinds[0];
    for (size_t i = 0; status == PITH_OK && i < n_layers; i++) {
        bool local = given ? sliding[i] : !turns[i];
        pith_layer_kind kind = {.sliding_window = local ? window : 0};
        kind.rope = turns[i] ? turning.rope : kind.rope;
        pith_config_set_kind(config, i, &kind);
    }
    config->o_bias = config->qkv_bias;
    return status;
}

const pith_family pith_family_smollm3 = {
    .name = "smollm3",
    .classes = {"SmolLM3ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 128000,
    .eos = 128001,
    .read = read,
};
