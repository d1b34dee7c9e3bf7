/* BERT: a LayerNorm after each sub-layer and its residual, learned positions, GELU without a gate,
 * biases everywhere. Devlin et al. 2019. */
#include "families/family.h"

#include "base/status.h"

#define DENSE_QKV(end) \
    "attention.self.query" end, "attention.self.key" end, "attention.self.value" end

static const pith_rule rules[] = {
    {"embeddings.word_embeddings.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed), PITH_GGUF("token_embd.weight"), PITH_LABEL("word embedding")},
    {"embeddings.position_embeddings.weight", PITH_KIND_TABLE, PITH_EXTENT_POSITIONS,
     PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(position_embed), PITH_GGUF("position_embd.weight"),
     PITH_LABEL("position embedding")},
    {"embeddings.token_type_embeddings.weight", PITH_KIND_TABLE, PITH_EXTENT_TYPES,
     PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(type_embed), PITH_GGUF("token_types.weight"),
     PITH_WHERE(PITH_HAS_TYPES), PITH_LABEL("type embedding")},
    {"embeddings.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed_norm.weight), PITH_GGUF("token_embd_norm.weight")},
    {"embeddings.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed_norm.bias), PITH_GGUF("token_embd_norm.bias")},
    {"attention.self.qkv.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_FROM(DENSE_QKV(".weight")),
     PITH_GGUF("attn_q.weight", "attn_k.weight", "attn_v.weight"), PITH_LABEL("qkv")},
    {"attention.self.qkv.bias", PITH_KIND_BIAS, PITH_EXTENT_QKV, PITH_IN_LAYER(qkv.bias),
     PITH_FROM(DENSE_QKV(".bias")), PITH_GGUF("attn_q.bias", "attn_k.bias", "attn_v.bias")},
    {"attention.output.dense.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("attention output")},
    {"attention.output.dense.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(o.bias),
     PITH_GGUF("attn_output.bias")},
    {"attention.output.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.weight), PITH_GGUF("attn_output_norm.weight")},
    {"attention.output.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_attention.bias), PITH_GGUF("attn_output_norm.bias")},
    {"intermediate.dense.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_GGUF("ffn_up.weight"), PITH_LABEL("up")},
    {"intermediate.dense.bias", PITH_KIND_BIAS, PITH_EXTENT_GATE_UP, PITH_IN_LAYER(gate_up.bias),
     PITH_GGUF("ffn_up.bias")},
    {"output.dense.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
    {"output.dense.bias", PITH_KIND_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(down.bias),
     PITH_GGUF("ffn_down.bias")},
    {"output.LayerNorm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(after_mlp.weight),
     PITH_GGUF("layer_output_norm.weight")},
    {"output.LayerNorm.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(after_mlp.bias), PITH_GGUF("layer_output_norm.bias")},
};
static const pith_rule_table table = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 30522),
    PITH_COUNT(hidden_size, 768),
    PITH_COUNT(intermediate_size, 3072),
    PITH_COUNT(num_hidden_layers, 12),
    PITH_COUNT(num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 512),
    PITH_COUNT(type_vocab_size, 2),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-12),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    if (pith_json_size(pith_json_get(json, "pruned_heads")) > 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "config.json: pruned_heads is not supported");
    }
    config->max_seq_length = config->max_position_embeddings;
    return PITH_OK;
}

const pith_family pith_family_bert = {
    .name = "bert",
    .classes = {"BertModel", "BertForMaskedLM", "BertForPreTraining"},
    .role = PITH_ENCODER,
    .rules = {&table},
    .layers = "encoder.layer.",
    .prefix = "bert.",
    .ignored = {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight",
                "pooler.dense.bias"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "gelu"},
              {"position_embedding_type", "absolute"},
              {"is_decoder", NULL},
              {"add_cross_attention", NULL},
              {"is_encoder_decoder", NULL}},
    .bos = -1,
    .eos = -1,
    .read = read,
};
