/* GLM 4 of 2025: Llama's block with norms after the sub-layers too, biases of q, k and v, gate and
 * up in one tensor; of each head half turns, neighbours together. Z.ai 2025. */
#include "families/family.h"

static const pith_rule rules[] = {
    {"post_self_attn_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.weight), PITH_GGUF("post_attention_norm.weight")},
    {"post_mlp_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_mlp.weight), PITH_GGUF("post_ffw_norm.weight")},
};
static const pith_rule_table norms_after = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 151552),
    PITH_COUNT(hidden_size, 4096),
    PITH_COUNT(intermediate_size, 13696),
    PITH_COUNT(num_hidden_layers, 40),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT(num_key_value_heads, 2),
    PITH_COUNT(head_dim, 128),
    PITH_COUNT(max_position_embeddings, 131072),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1.5625e-7),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, true),
};

const pith_family pith_family_glm4 = {
    .name = "glm4",
    .classes = {"Glm4ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &pith_rules_mlp_norm, &norms_after, &pith_rules_joined_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .partial_rope = true,
    .share = 0.5,
    .interleaved = true,
    .bos = -1,
    .eos = 151329,
    .more_eos = {151336, 151338},
};
