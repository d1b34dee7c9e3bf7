/* MPNet: BERT's block without token types; a number for each distance and head, the same in all
 * layers, is added to the scores. Song et al. 2020. */
#include "families/family.h"

enum {
    OFFSET = 2, /* of positions, as RoBERTa's: the class has no key for it */
    DISTANCE = 128,
};

#define FOUR_QKV(end) "attention.attn.q" end, "attention.attn.k" end, "attention.attn.v" end

static const pith_rule rules[] = {
    {"encoder.relative_attention_bias.weight", PITH_KIND_TABLE, PITH_EXTENT_BUCKETS,
     PITH_EXTENT_N_HEADS, PITH_IN_NETWORK(relative_bias), PITH_GGUF("attn_rel_b.weight"),
     PITH_WHERE(PITH_HAS_RELATIVE), PITH_LABEL("relative bias")},
    {"attention.attn.qkv.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_FROM(FOUR_QKV(".weight")),
     PITH_GGUF("attn_q.weight", "attn_k.weight", "attn_v.weight"), PITH_LABEL("qkv")},
    {"attention.attn.qkv.bias", PITH_KIND_BIAS, PITH_EXTENT_QKV, PITH_IN_LAYER(qkv.bias),
     PITH_FROM(FOUR_QKV(".bias")), PITH_GGUF("attn_q.bias", "attn_k.bias", "attn_v.bias"),
     PITH_WHERE(PITH_HAS_QKV_BIAS)},
    {"attention.attn.o.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("attention output")},
    {"attention.attn.o.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(o.bias),
     PITH_GGUF("attn_output.bias"), PITH_WHERE(PITH_HAS_O_BIAS)},
    {"attention.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.weight), PITH_GGUF("attn_output_norm.weight")},
    {"attention.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.bias), PITH_GGUF("attn_output_norm.bias")},
};
static const pith_rule_table attention = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 30527),
    PITH_COUNT(hidden_size, 768),
    PITH_COUNT(intermediate_size, 3072),
    PITH_COUNT(num_hidden_layers, 12),
    PITH_COUNT(num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 512),
    PITH_KEY(PITH_FIELD_COUNT, "relative_attention_num_buckets", relative_buckets, 32),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-12),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    (void)json;
    (void)error;
    config->position_offset = OFFSET;
    config->relative_distance = DISTANCE;
    return PITH_OK;
}

const pith_family pith_family_mpnet = {
    .name = "mpnet",
    .classes = {"MPNetModel", "MPNetForMaskedLM"},
    .role = PITH_ENCODER,
    .rules = {&pith_rules_bert_ends, &attention, &pith_rules_bert_mlp, &pith_rules_dense},
    .layers = "encoder.layer.",
    .prefix = "mpnet.",
    .ignored = {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "gelu"}},
    .bos = -1,
    .eos = -1,
    .read = read,
};
