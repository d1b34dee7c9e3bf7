/* Phi 3, 3.5 and 4: Llama's block with q, k, v in one tensor of the checkpoint, and gate, up in
 * another; in Phi 4 mini three quarters of each head turn. The models with a context of 131,072
 * have longrope. Abdin et al. 2024. */
#include "families/family.h"

#include "base/status.h"

static const pith_rule rules[] = {
    {"self_attn.qkv_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_GGUF("attn_qkv.weight"), PITH_LABEL("qkv")},
    {"self_attn.o_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("o")},
};
static const pith_rule_table joined = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 32064),
    PITH_COUNT(hidden_size, 3072),
    PITH_COUNT(intermediate_size, 8192),
    PITH_COUNT(num_hidden_layers, 32),
    PITH_COUNT(num_attention_heads, 32),
    PITH_COUNT_OR_NULL(num_key_value_heads, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, PITH_DERIVED, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 4096),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 10000),
    PITH_FLAG(tie_word_embeddings, false),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    pith_rope_scaling scaling = config->kinds[0].rope.scaling;
    if (scaling != PITH_ROPE_NONE && scaling != PITH_ROPE_LONG) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "config.json: a scaling of RoPE other than longrope is not supported for "
                         "phi3, whose class knows no other");
    }
    return pith_window_read(json, 0, &config->kinds[0].sliding_window, error);
}

const pith_family pith_family_phi3 = {
    .name = "phi3",
    .classes = {"Phi3ForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_mlp_norm, &joined, &pith_rules_joined_mlp},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .partial_rope = true,
    .rope_original = 4096,
    .bos = 1,
    .eos = 32000,
    .read = read,
};
