/* StableLM 2 and StableLM 3B: Llama's block with LayerNorm; a quarter of each head turns.
 * Bellagente et al. 2024. */
#include "families/family.h"

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 50304),
    PITH_COUNT(hidden_size, 2560),
    PITH_COUNT(intermediate_size, 6912),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT(num_key_value_heads, 32),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 4096),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "use_qkv_bias", qkv_bias, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    (void)error;
    config->norm_type = PITH_LAYER_NORM;
    return PITH_OK;
}

const pith_family pith_family_stablelm = {
    .name = "stablelm",
    .classes = {"StableLmForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_layer_norms, &pith_rules_attention, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}, {"qk_layernorm", NULL}, {"use_parallel_residual", NULL}},
    .partial_rope = true,
    .share = 0.25,
    .bos = 0,
    .eos = 0,
    .read = read,
};
