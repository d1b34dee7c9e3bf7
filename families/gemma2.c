/* Gemma 2: norms before and after each sub-layer, GELU, a window in every second layer, scores and
 * logits that cannot grow beyond a cap. Gemma team 2024. */
#include "families/gemma.h"

#include <math.h>

#define NORM(name, member, gguf)                                                          \
    {                                                                                     \
        name, PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(member), PITH_GGUF(gguf), \
            PITH_PLUS(1)                                                                  \
    }

static const pith_rule norms[] = {
    {"model.norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.weight),
     PITH_GGUF("output_norm.weight"), PITH_PLUS(1)},
    NORM("input_layernorm.weight", before_attention.weight, "attn_norm.weight"),
    NORM("post_attention_layernorm.weight", after_attention.weight, "post_attention_norm.weight"),
    NORM("pre_feedforward_layernorm.weight", before_mlp.weight, "ffn_norm.weight"),
    NORM("post_feedforward_layernorm.weight", after_mlp.weight, "post_ffw_norm.weight"),
};
const pith_rule_table pith_rules_gemma_norms = {norms, sizeof norms / sizeof norms[0]};
const pith_rule_table pith_rules_gemma_layer_norms = {norms + 1,
                                                      sizeof norms / sizeof norms[0] - 1};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 256000),
    PITH_COUNT(hidden_size, 2304),
    PITH_COUNT(intermediate_size, 9216),
    PITH_COUNT(num_hidden_layers, 26),
    PITH_COUNT(num_attention_heads, 8),
    PITH_COUNT(num_key_value_heads, 4),
    PITH_COUNT(head_dim, 256),
    PITH_COUNT(max_position_embeddings, 8192),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-6),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, true),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, false),
    PITH_KEY(PITH_FIELD_FLOAT, "query_pre_attn_scalar", attention_scale, 256),
    PITH_FLOAT_OR_NULL("attn_logit_softcapping", attention_cap, 50, 0),
    PITH_FLOAT_OR_NULL("final_logit_softcapping", logit_cap, 30, 0),
};

void pith_gemma_set_recipe(pith_config *config) {
    config->activation = PITH_GELU_TANH;
    config->embedding_scale = sqrtf((float)config->hidden_size);
    config->attention_scale = 1 / sqrtf(config->attention_scale);
    config->o_bias = config->qkv_bias;
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    pith_gemma_set_recipe(config);
    return pith_alternate_windows_read(config, json, 4096, error);
}

const pith_family pith_family_gemma2 = {
    .name = "gemma2",
    .classes = {"Gemma2ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_gemma_norms, &pith_rules_attention, &pith_rules_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_activation", "gelu_pytorch_tanh"}, {"use_bidirectional_attention", NULL}},
    .bos = 2,
    .eos = 1,
    .read = read,
};
