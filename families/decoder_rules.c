/* The tensors of Llama's block in parts that families put together: names as in the checkpoints of
 * Hugging Face, with q, k, v and gate, up joined. */
#include "families/rules.h"

static const pith_rule ends[] = {
    {"model.embed_tokens.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed), PITH_GGUF("token_embd.weight"), PITH_LABEL("embedding")},
    {"lm_head.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(head),
     PITH_GGUF("output.weight"), PITH_WHERE(PITH_HAS_HEAD), PITH_LABEL("head")},
};

static const pith_rule last_norm[] = {
    {"model.norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.weight),
     PITH_GGUF("output_norm.weight")},
};

static const pith_rule attention_norm[] = {
    {"input_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_attention.weight), PITH_GGUF("attn_norm.weight")},
};

static const pith_rule attention[] = {
    {"self_attn.qkv_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix),
     PITH_FROM("self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"),
     PITH_GGUF("attn_q.weight", "attn_k.weight", "attn_v.weight"), PITH_LABEL("qkv")},
    {"self_attn.qkv_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_QKV, PITH_IN_LAYER(qkv.bias),
     PITH_FROM("self_attn.q_proj.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias"),
     PITH_GGUF("attn_q.bias", "attn_k.bias", "attn_v.bias"), PITH_WHERE(PITH_HAS_QKV_BIAS)},
    {"self_attn.o_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("o")},
    {"self_attn.o_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(o.bias),
     PITH_GGUF("attn_output.bias"), PITH_WHERE(PITH_HAS_O_BIAS)},
};

static const pith_rule mlp_norm[] = {
    {"post_attention_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_mlp.weight), PITH_GGUF("ffn_norm.weight")},
};

static const pith_rule mlp[] = {
    {"mlp.gate_up_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_FROM("mlp.gate_proj.weight", "mlp.up_proj.weight"),
     PITH_GGUF("ffn_gate.weight", "ffn_up.weight"), PITH_LABEL("gate_up")},
    {"mlp.gate_up_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP, PITH_IN_LAYER(gate_up.bias),
     PITH_FROM("mlp.gate_proj.bias", "mlp.up_proj.bias"), PITH_GGUF("ffn_gate.bias", "ffn_up.bias"),
     PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"mlp.down_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
    {"mlp.down_proj.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(down.bias),
     PITH_GGUF("ffn_down.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
};

static const pith_rule joined_mlp[] = {
    {"mlp.gate_up_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_GGUF("ffn_up.weight"), PITH_LABEL("gate_up")},
    {"mlp.down_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
};

static const pith_rule qk_norm[] = {
    {"self_attn.q_norm.weight", PITH_KIND_NORM, PITH_EXTENT_Q_NORM, PITH_IN_LAYER(q.weight),
     PITH_GGUF("attn_q_norm.weight"), PITH_WHERE(PITH_HAS_QK_NORM)},
    {"self_attn.k_norm.weight", PITH_KIND_NORM, PITH_EXTENT_K_NORM, PITH_IN_LAYER(k.weight),
     PITH_GGUF("attn_k_norm.weight"), PITH_WHERE(PITH_HAS_QK_NORM)},
};

static const pith_rule layer_norms[] = {
    {"model.norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.weight),
     PITH_GGUF("output_norm.weight")},
    {"model.norm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.bias),
     PITH_GGUF("output_norm.bias")},
    {"input_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_attention.weight), PITH_GGUF("attn_norm.weight")},
    {"input_layernorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_attention.bias), PITH_GGUF("attn_norm.bias")},
    {"post_attention_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_mlp.weight), PITH_GGUF("ffn_norm.weight")},
    {"post_attention_layernorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(before_mlp.bias), PITH_GGUF("ffn_norm.bias")},
};

static const pith_rule norms_after[] = {
    {"post_attention_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.weight), PITH_GGUF("post_attention_norm.weight")},
    {"post_feedforward_layernorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_mlp.weight), PITH_GGUF("post_ffw_norm.weight")},
};

#define TABLE(rules) \
    { rules, sizeof(rules) / sizeof((rules)[0]) }
const pith_rule_table pith_rules_ends = TABLE(ends);
const pith_rule_table pith_rules_last_norm = TABLE(last_norm);
const pith_rule_table pith_rules_attention_norm = TABLE(attention_norm);
const pith_rule_table pith_rules_attention = TABLE(attention);
const pith_rule_table pith_rules_mlp_norm = TABLE(mlp_norm);
const pith_rule_table pith_rules_mlp = TABLE(mlp);
const pith_rule_table pith_rules_joined_mlp = TABLE(joined_mlp);
const pith_rule_table pith_rules_qk_norm = TABLE(qk_norm);
const pith_rule_table pith_rules_layer_norms = TABLE(layer_norms);
const pith_rule_table pith_rules_norms_after = TABLE(norms_after);

static const pith_rule experts[] = {
    PITH_EXPERT_RULES(PITH_FROM("mlp.gate.weight"),
                      PITH_FROM("mlp.experts.*.gate_proj.weight", "mlp.experts.*.up_proj.weight"),
                      PITH_FROM("mlp.experts.*.down_proj.weight"))};
const pith_rule_table pith_rules_experts = TABLE(experts);
