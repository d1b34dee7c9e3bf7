/* Nomic's BERT: BERT's block with RoPE in place of learned positions, SwiGLU and no biases.
 * Nussbaum et al. 2024. Keys and names are those of the checkpoints' own code; transformers' are in
 * nomic_bert_newer.c. */
#include "families/nomic_bert.h"

static const pith_rule rules[] = {
    {"embeddings.word_embeddings.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed), PITH_GGUF("token_embd.weight"), PITH_LABEL("word embedding")},
    {"embeddings.token_type_embeddings.weight", PITH_KIND_TABLE, PITH_EXTENT_TYPES,
     PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(type_embed), PITH_GGUF("token_types.weight"),
     PITH_WHERE(PITH_HAS_TYPES), PITH_LABEL("type embedding")},
    {"emb_ln.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(embed_norm.weight),
     PITH_GGUF("token_embd_norm.weight")},
    {"emb_ln.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(embed_norm.bias),
     PITH_GGUF("token_embd_norm.bias")},
    {"attn.Wqkv.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_GGUF("attn_qkv.weight"), PITH_LABEL("qkv")},
    {"attn.out_proj.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("attention output")},
    {"norm1.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(after_attention.weight),
     PITH_GGUF("attn_output_norm.weight")},
    {"norm1.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(after_attention.bias),
     PITH_GGUF("attn_output_norm.bias")},
    {"mlp.fc1.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_FROM("mlp.fc12.weight", "mlp.fc11.weight"),
     PITH_GGUF("ffn_gate.weight", "ffn_up.weight"), PITH_LABEL("gate_up")},
    {"mlp.fc2.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
    {"norm2.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(after_mlp.weight),
     PITH_GGUF("layer_output_norm.weight")},
    {"norm2.bias", PITH_KIND_NORM_BIAS, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(after_mlp.bias),
     PITH_GGUF("layer_output_norm.bias")},
};
const pith_rule_table pith_rules_nomic_bert = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 50257),
    PITH_KEY(PITH_FIELD_COUNT, "n_embd", hidden_size, 768),
    PITH_COUNT_AS("n_inner", intermediate_size, PITH_DERIVED, PITH_DERIVED),
    PITH_KEY(PITH_FIELD_COUNT, "n_layer", num_hidden_layers, 12),
    PITH_KEY(PITH_FIELD_COUNT, "n_head", num_attention_heads, 12),
    PITH_KEY(PITH_FIELD_COUNT, "n_positions", max_position_embeddings, 1024),
    PITH_COUNT(type_vocab_size, 2),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_epsilon", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "rotary_emb_base", kinds[0].rope.theta, 10000),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    /* What the class assumes, and this page too. Its second version adds experts. */
    static const pith_number_key numbers[] = {
        {"num_experts", 0, 0},
        {"moe_every_n_layers", 0, 0},
        {"rotary_emb_fraction", 0, 1},
        {"rotary_scaling_factor", 0, 0},
        {"rotary_emb_scale_base", 0, 0},
        {"rotary_emb_interleaved", 0, 0},
        {"prenorm", 0, 0},
        {"use_rms_norm", 0, 0},
        {"qkv_proj_bias", 1, 0},
        {"mlp_fc1_bias", 1, 0},
        {"mlp_fc2_bias", 1, 0},
    };
    pith_status status =
        pith_numbers_require(json, numbers, sizeof numbers / sizeof numbers[0], error);
    pith_nomic_bert_set(config);
    if (config->intermediate_size == SIZE_MAX) {
        config->intermediate_size = 4 * config->hidden_size;
    }
    return status;
}

const pith_family pith_family_nomic_bert = {
    .name = "nomic_bert",
    .classes = {"NomicBertModel", "NomicBertForPreTraining", "NomicBertForMaskedLM"},
    .role = PITH_ENCODER,
    .rules = {&pith_rules_nomic_bert, &pith_rules_dense},
    .layers = "encoder.layers.",
    .prefix = "bert.",
    .newer_page = &pith_family_nomic_bert_newer,
    .newer_key = "hidden_size",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"activation_function", "swiglu"}, {"parallel_block", NULL}, {"causal", NULL}},
    .rope = true,
    .bos = -1,
    .eos = -1,
    .read = read,
};
