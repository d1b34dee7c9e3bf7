/* The tensors of BERT's encoder in parts that families put together, by the names of its
 * checkpoints at Hugging Face with q, k, v joined; and the dense layers that any encoder may end
 * with. */
#include "families/rules.h"

#define DENSE_QKV(end) \
    "attention.self.query" end, "attention.self.key" end, "attention.self.value" end

static const pith_rule ends[] = {
    {"embeddings.word_embeddings.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed), PITH_GGUF("token_embd.weight"), PITH_LABEL("word embedding")},
    {"embeddings.position_embeddings.weight", PITH_KIND_TABLE, PITH_EXTENT_POSITIONS,
     PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(position_embed), PITH_GGUF("position_embd.weight"),
     PITH_WHERE(PITH_HAS_POSITIONS), PITH_LABEL("position embedding")},
    {"embeddings.token_type_embeddings.weight", PITH_KIND_TABLE, PITH_EXTENT_TYPES,
     PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(type_embed), PITH_GGUF("token_types.weight"),
     PITH_WHERE(PITH_HAS_TYPES), PITH_LABEL("type embedding")},
    {"embeddings.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed_norm.weight), PITH_GGUF("token_embd_norm.weight")},
    {"embeddings.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed_norm.bias), PITH_GGUF("token_embd_norm.bias")},
};

static const pith_rule attention[] = {
    {"attention.self.qkv.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_FROM(DENSE_QKV(".weight")),
     PITH_GGUF("attn_q.weight", "attn_k.weight", "attn_v.weight"), PITH_LABEL("qkv")},
    {"attention.self.qkv.bias", PITH_KIND_BIAS, PITH_EXTENT_QKV, PITH_IN_LAYER(qkv.bias),
     PITH_FROM(DENSE_QKV(".bias")), PITH_GGUF("attn_q.bias", "attn_k.bias", "attn_v.bias"),
     PITH_WHERE(PITH_HAS_QKV_BIAS)},
    {"attention.output.dense.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("attention output")},
    {"attention.output.dense.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(o.bias),
     PITH_GGUF("attn_output.bias"), PITH_WHERE(PITH_HAS_O_BIAS)},
    {"attention.output.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.weight), PITH_GGUF("attn_output_norm.weight")},
    {"attention.output.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.bias), PITH_GGUF("attn_output_norm.bias")},
};

static const pith_rule mlp[] = {
    {"intermediate.dense.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_GGUF("ffn_up.weight"), PITH_LABEL("up")},
    {"intermediate.dense.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP, PITH_IN_LAYER(gate_up.bias),
     PITH_GGUF("ffn_up.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"output.dense.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
    {"output.dense.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(down.bias),
     PITH_GGUF("ffn_down.bias"), PITH_WHERE(PITH_HAS_MLP_BIAS)},
    {"output.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(after_mlp.weight),
     PITH_GGUF("layer_output_norm.weight")},
    {"output.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_mlp.bias), PITH_GGUF("layer_output_norm.bias")},
};

static const pith_rule dense[] = {
    {"dense.0.weight", PITH_KIND_TABLE, PITH_EXTENT_DENSE_0, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(dense[0].matrix), PITH_GGUF("dense_2.weight"), PITH_WHERE(PITH_HAS_DENSE_0),
     PITH_LABEL("dense")},
    {"dense.0.bias", PITH_KIND_BIAS, PITH_EXTENT_DENSE_0, PITH_IN_NETWORK(dense[0].bias),
     PITH_GGUF("dense_2.bias"), PITH_WHERE(PITH_HAS_DENSE_0)},
    {"dense.1.weight", PITH_KIND_TABLE, PITH_EXTENT_DENSE_1, PITH_EXTENT_DENSE_0,
     PITH_IN_NETWORK(dense[1].matrix), PITH_GGUF("dense_3.weight"), PITH_WHERE(PITH_HAS_DENSE_1),
     PITH_LABEL("dense")},
    {"dense.1.bias", PITH_KIND_BIAS, PITH_EXTENT_DENSE_1, PITH_IN_NETWORK(dense[1].bias),
     PITH_GGUF("dense_3.bias"), PITH_WHERE(PITH_HAS_DENSE_1)},
};

static const pith_rule headless_embed[] = {
    {"embed_tokens.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed), PITH_GGUF("token_embd.weight"), PITH_LABEL("embedding")},
};

static const pith_rule headless_norm[] = {
    {"norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.weight),
     PITH_GGUF("output_norm.weight")},
};

#define TABLE(rules) \
    { rules, sizeof(rules) / sizeof((rules)[0]) }
const pith_rule_table pith_rules_bert_ends = TABLE(ends);
const pith_rule_table pith_rules_bert_attention = TABLE(attention);
const pith_rule_table pith_rules_bert_mlp = TABLE(mlp);
const pith_rule_table pith_rules_headless_embed = TABLE(headless_embed);
const pith_rule_table pith_rules_headless_norm = TABLE(headless_norm);
const pith_rule_table pith_rules_dense = TABLE(dense);
