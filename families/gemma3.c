/* Gemma 3, the text models: Gemma 2's block without caps, with a norm of each head of q and k; five
 * of six layers have a window and another base of RoPE. Gemma team 2025. */
#include "families/gemma.h"

#include "base/status.h"
#include "families/hf_rope.h"

static const pith_rule norms[] = {
    {"self_attn.q_norm.weight", PITH_KIND_NORM, PITH_EXTENT_Q_NORM, PITH_IN_LAYER(q.weight),
     PITH_GGUF("attn_q_norm.weight"), PITH_WHERE(PITH_HAS_QK_NORM), PITH_PLUS(1)},
    {"self_attn.k_norm.weight", PITH_KIND_NORM, PITH_EXTENT_K_NORM, PITH_IN_LAYER(k.weight),
     PITH_GGUF("attn_k_norm.weight"), PITH_WHERE(PITH_HAS_QK_NORM), PITH_PLUS(1)},
};
const pith_rule_table pith_rules_gemma_qk_norm = {norms, sizeof norms / sizeof norms[0]};

const pith_key pith_gemma3_keys[16] = {
    PITH_COUNT(vocab_size, 262208),
    PITH_COUNT(hidden_size, 2304),
    PITH_COUNT(intermediate_size, 9216),
    PITH_COUNT(num_hidden_layers, 26),
    PITH_COUNT(num_attention_heads, 8),
    PITH_COUNT(num_key_value_heads, 4),
    PITH_COUNT(head_dim, 256),
    PITH_COUNT(max_position_embeddings, 131072),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 1e6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_local_base_freq", kinds[1].rope.theta, 1e4),
    PITH_FLAG(tie_word_embeddings, true),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_KEY(PITH_FIELD_FLOAT, "query_pre_attn_scalar", attention_scale, 256),
    PITH_FLOAT_OR_NULL("attn_logit_softcapping", attention_cap, 0, 0),
    PITH_FLOAT_OR_NULL("final_logit_softcapping", logit_cap, 0, 0),
};

/* layer_types, else every sliding_window_pattern-th layer sees all keys. */
static pith_status read_sliding(pith_json json, size_t n_layers, bool *sliding, pith_error *error) {
    bool given;
    size_t pattern = 6;
    pith_status status =
        pith_hf_json_count(json, "sliding_window_pattern", "config.json", &pattern, error);
    for (size_t i = 0; i < n_layers; i++) {
        sliding[i] = pattern == 0 || (i + 1) % pattern != 0;
    }
    return status == PITH_OK ? pith_layer_types_read(json, n_layers, &given, sliding, error)
                             : status;
}

pith_status pith_gemma3_layers_read(pith_config *config, pith_json json, pith_error *error) {
    bool sliding[PITH_MAX_LAYERS];
    pith_layer_kind full = config->kinds[0];
    pith_layer_kind local = config->kinds[1];
    const pith_hf_rope from = {.config = json,
                               .n_positions = config->max_position_embeddings,
                               .head_dim = config->head_dim,
                               .type = "sliding_attention"};
    pith_gemma_set_recipe(config);
    config->qk_norm = PITH_QK_NORM_HEAD;
    pith_status status = read_sliding(json, config->num_hidden_layers, sliding, error);
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

const pith_family pith_family_gemma3 = {
    .name = "gemma3_text",
    .classes = {"Gemma3ForCausalLM"},
    .encoder = &pith_family_gemma3_embedding,
    .rules = {&pith_rules_ends, &pith_rules_gemma_norms, &pith_rules_attention,
              &pith_rules_gemma_qk_norm, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = pith_gemma3_keys,
    .n_keys = sizeof pith_gemma3_keys / sizeof pith_gemma3_keys[0],
    .fixed = {{"hidden_activation", "gelu_pytorch_tanh"}, {"use_bidirectional_attention", NULL}},
    .rope_type = "full_attention",
    .bos = 2,
    .eos = 1,
    .read = pith_gemma3_layers_read,
};
