/* gpt-oss: a window in every other layer, a sink for each head, and many MLPs a layer with biases
 * and a clamped SwiGLU, of which a token uses four. OpenAI 2025. */
#include "families/family.h"

#include "base/status.h"

#include <math.h>

/* A checkpoint has one tensor of all experts, [experts, cols, rows] as transformers saves it, rows
 * of gate and up in turn; published are the blocks and scales of MXFP4 of [experts, rows, cols]. */
static const pith_rule rules[] = {
    {"self_attn.sinks.weight", PITH_KIND_SCALARS, PITH_EXTENT_N_HEADS, PITH_IN_LAYER(sinks),
     PITH_FROM("self_attn.sinks"), PITH_GGUF("attn_sinks.weight"), PITH_WHERE(PITH_HAS_SINKS)},
    {"post_attention_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_mlp.weight), PITH_GGUF("post_attention_norm.weight")},
    PITH_EXPERT_RULES(PITH_FROM("mlp.router.weight"),
                      PITH_FROM_COLUMNS_IN_TURN("mlp.experts.gate_up_proj"),
                      PITH_FROM_COLUMNS("mlp.experts.down_proj")),
    {"mlp.gate.bias", PITH_KIND_BIAS, PITH_EXTENT_EXPERTS, PITH_IN_LAYER(router.bias),
     PITH_FROM("mlp.router.bias"), PITH_GGUF("ffn_gate_inp.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"mlp.experts.*.gate_up_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP,
     PITH_IN_EXPERT(gate_up.bias), PITH_FROM_TURNS("mlp.experts.gate_up_proj_bias"),
     PITH_GGUF("ffn_gate_exps.bias", "ffn_up_exps.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"mlp.experts.*.down_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_EXPERT(down.bias),
     PITH_FROM("mlp.experts.down_proj_bias"), PITH_GGUF("ffn_down_exps.bias"),
     PITH_WHERE(PITH_HAS_MLP_BIAS)},
};
static const pith_rule_table experts = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 201088),
    PITH_COUNT(hidden_size, 2880),
    PITH_COUNT(intermediate_size, 2880),
    PITH_COUNT(num_hidden_layers, 36),
    PITH_COUNT(num_attention_heads, 64),
    PITH_COUNT_OR_NULL(num_key_value_heads, 8, PITH_DERIVED),
    PITH_COUNT_OR_NULL(head_dim, 64, PITH_DERIVED),
    PITH_COUNT(max_position_embeddings, 131072),
    PITH_KEY(PITH_FIELD_FLOAT, "rms_norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 150000),
    PITH_FLAG(tie_word_embeddings, false),
    PITH_KEY(PITH_FIELD_FLAG, "attention_bias", qkv_bias, true),
    PITH_KEY(PITH_FIELD_COUNT, "num_local_experts", n_experts, 128),
    PITH_KEY(PITH_FIELD_COUNT, "num_experts_per_tok", n_experts_used, 4),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    static const pith_number_key fixed[] = {{"swiglu_limit", 7, 7}};
    pith_rope_config *rope = &config->kinds[0].rope;
    if (pith_hf_json_get(json, "rope_parameters").at == NULL &&
        pith_hf_json_get(json, "rope_scaling").at == NULL) {
        *rope = (pith_rope_config){rope->dims,
                                   rope->theta,
                                   PITH_ROPE_YARN,
                                   .factor = 32,
                                   .original_context = 4096,
                                   .beta_fast = 32,
                                   .beta_slow = 1,
                                   .attention_factor = 0.1 * log(32) + 1};
    }
    config->o_bias = config->qkv_bias;
    config->mlp_bias = config->attention_sinks = config->norm_experts = true;
    config->activation = PITH_CLAMPED_SWIGLU;
    pith_status status = pith_numbers_require(json, fixed, 1, error);
    return status == PITH_OK ? pith_alternate_windows_read(config, json, 128, error) : status;
}

const pith_family pith_family_gpt_oss = {
    .name = "gpt_oss",
    .classes = {"GptOssForCausalLM"},
    .rules = {&pith_rules_ends, &pith_rules_last_norm, &pith_rules_attention_norm,
              &pith_rules_attention, &experts},
    .layers = "model.layers.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}},
    .mxfp4 = true,
    .bos = -1,
    .eos = -1,
    .read = read,
};
