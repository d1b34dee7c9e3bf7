/* ModernBERT: LayerNorms before each sub-layer, GeGLU, RoPE; every third layer sees all of a text,
 * the others a window. Warner et al. 2024. */
#include "families/family.h"

#include "base/status.h"
#include "families/hf_rope.h"

static const pith_rule rules[] = {
    {"embeddings.tok_embeddings.weight", PITH_KIND_HEAD, PITH_EXTENT_VOCAB, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed), PITH_GGUF("token_embd.weight"), PITH_LABEL("embedding")},
    {"embeddings.norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN,
     PITH_IN_NETWORK(embed_norm.weight), PITH_GGUF("token_embd_norm.weight")},
    {"final_norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_NETWORK(norm.weight),
     PITH_GGUF("output_norm.weight")},
    {"attn_norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(before_attention.weight),
     PITH_GGUF("attn_norm.weight"), PITH_FROM_LAYER(1)}, /* the first one has the embedding's */
    {"attn.Wqkv.weight", PITH_KIND_LINEAR, PITH_EXTENT_QKV, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(qkv.matrix), PITH_GGUF("attn_qkv.weight"), PITH_LABEL("qkv")},
    {"attn.Wo.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_HEADS,
     PITH_IN_LAYER(o.matrix), PITH_GGUF("attn_output.weight"), PITH_LABEL("attention output")},
    {"mlp_norm.weight", PITH_KIND_NORM, PITH_EXTENT_HIDDEN, PITH_IN_LAYER(before_mlp.weight),
     PITH_GGUF("ffn_norm.weight")},
    {"mlp.Wi.weight", PITH_KIND_LINEAR, PITH_EXTENT_GATE_UP, PITH_EXTENT_HIDDEN,
     PITH_IN_LAYER(gate_up.matrix), PITH_GGUF("ffn_up.weight"), PITH_LABEL("gate_up")},
    {"mlp.Wo.weight", PITH_KIND_LINEAR, PITH_EXTENT_HIDDEN, PITH_EXTENT_INTERMEDIATE,
     PITH_IN_LAYER(down.matrix), PITH_GGUF("ffn_down.weight"), PITH_LABEL("down")},
};
static const pith_rule_table table = {rules, sizeof rules / sizeof rules[0]};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 50368),
    PITH_COUNT(hidden_size, 768),
    PITH_COUNT(intermediate_size, 1152),
    PITH_COUNT(num_hidden_layers, 22),
    PITH_COUNT(num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 8192),
    PITH_KEY(PITH_FIELD_FLOAT, "norm_eps", norm_eps, 1e-5),
    PITH_KEY(PITH_FIELD_DOUBLE, "global_rope_theta", kinds[0].rope.theta, 160000),
    PITH_KEY(PITH_FIELD_DOUBLE, "local_rope_theta", kinds[1].rope.theta, 10000),
    PITH_KEY(PITH_FIELD_COUNT, "local_attention", kinds[1].sliding_window, 128),
};

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    const size_t n_layers = config->num_hidden_layers;
    bool sliding[PITH_MAX_LAYERS];
    bool given;
    size_t every = 3;
    pith_layer_kind full = config->kinds[0];
    pith_layer_kind local = config->kinds[1];
    const pith_hf_rope from = {.config = json,
                               .head_dim = config->head_dim,
                               .type = "sliding_attention"};
    pith_status status =
        pith_hf_json_count(json, "global_attn_every_n_layers", "config.json", &every, error);
    for (size_t i = 0; i < n_layers; i++) {
        sliding[i] = every != 0 && i % every != 0;
    }
    if (status == PITH_OK) {
        status = pith_layer_types_read(json, n_layers, &given, sliding, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_rope_read(&from, &local.rope, error);
    }
    local.sliding_window = local.sliding_window / 2 + 1; /* half of it on each side */
    for (size_t i = 0; status == PITH_OK && i < n_layers; i++) {
        pith_config_set_kind(config, i, sliding[i] ? &local : &full);
    }
    config->gated = true;
    config->norm_sums = config->qkv_bias = config->o_bias = config->mlp_bias = false;
    config->no_positions = true;
    return status == PITH_OK ? pith_gelu_or_silu_read(config, json, error) : status;
}

const pith_family pith_family_modernbert = {
    .name = "modernbert",
    .classes = {"ModernBertModel", "ModernBertForMaskedLM"},
    .role = PITH_ENCODER,
    .rules = {&table, &pith_rules_dense},
    .layers = "layers.",
    .prefix = "model.",
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"attention_bias", NULL}, {"mlp_bias", NULL}, {"norm_bias", NULL}},
    .rope = true,
    .rope_type = "full_attention",
    .bos = -1,
    .eos = -1,
    .read = read,
};
