/* Ministral 3: Llama's block with YaRN, and queries that grow with their position beyond the length
 * before scaling. The text part of Mistral3ForConditionalGeneration, too. Mistral AI 2025. */
#include "families/family.h"

#include "base/status.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 131072),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 14336),
    PITH_COUNT(num_hidden_layers, 34),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, 8, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, 128, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 262144),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
};

/* What its class takes for rope_parameters when there are none. */
static void set_rope(pith_rope_config *rope) {
    *rope = (pith_rope_config){.dims = rope->dims,
                               .theta = 1e6,
                               .scaling = PITH_ROPE_YARN,
                               .factor = 16,
                               .original_context = 16384,
                               .attention_factor = 1,
                               .beta_fast = 32,
                               .beta_slow = 1,
                               .truncate = true,
                               .query_beta = 0.1};
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    static const char beta[] = "llama_4_scaling_beta";
    pith_rope_config *rope = &config->kinds[0].rope;
    pith_json section = pith_hf_json_get(json, "rope_parameters");
    if (section.at == NULL) {
        section = pith_hf_json_get(json, "rope_scaling");
    }
    if (section.at == NULL) {
        set_rope(rope);
    }
    pith_json object = pith_hf_json_get(section, beta).at != NULL ? section : json;
    pith_status status = PITH_OK;
    if (pith_hf_json_get(object, beta).at != NULL) {
        status = pith_hf_json_number(object, beta, "config.json", &rope->query_beta, error);
    }
    return status == PITH_OK ? pith_window_read(json, 0, &config->kinds[0].sliding_window, error)
                             : status;
}

const pith_family pith_family_ministral3 = {
    .name = "ministral3",
    .classes = {"Ministral3ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .bos = 1,
    .eos = 2,
    .read = read,
};
