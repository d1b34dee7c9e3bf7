/* OLMo 3: OLMo 2's block with a window in three of four layers; the scaling of RoPE is that of the
 * other layers alone. OLMo team 2025. */
#include "families/family.h"

#include "base/status.h"
#include "families/hf_rope.h"

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
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 5e5),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    bool sliding[PITH_MAX_LAYERS];
    bool given;
    pith_layer_kind full = config->kinds[0];
    /* Its class gives these layers its own base, whatever rope_theta says. */
    pith_layer_kind local = {.rope = {.theta = 5e5}};
    const pith_hf_rope from = {.config = json,
                               .n_positions = config->max_position_embeddings,
                               .head_dim = config->head_dim,
                               .type = "sliding_attention"};
    config->qk_norm = PITH_QK_NORM_WHOLE;
    config->o_bias = config->qkv_bias;
    for (size_t i = 0; i < config->num_hidden_layers; i++) {
        sliding[i] = (i + 1) % 4 != 0;
    }
    pith_status status =
        pith_layer_types_read(json, config->num_hidden_layers, &given, sliding, error);
    if (status == PITH_OK) {
        status = pith_window_read(json, 4096, &local.sliding_window, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_rope_read(&from, &local.rope, error);
    }
    for (size_t i = 0; status == PITH_OK && i < config->num_hidden_layers; i++) {
        pith_config_set_kind(config, i, sliding[i] ? &local : &full);
    }
    return status;
}

const pith_family pith_family_olmo3 = {
    .name = "olmo3",
    .classes = {"Olmo3ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention, &pith_rules_qk_norm,
              &pith_rules_norms_after, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .rope_type = "full_attention",
    .bos = -1,
    .eos = 50279,
    .read = read,
};
