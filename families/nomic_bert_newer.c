/* Nomic's BERT (nomic_bert.c) as transformers 5 writes it: the keys are BERT's, RoPE stands in
 * rope_parameters. Tensors have the names of its NomicBertModel, or still those of the checkpoints'
 * own code, to which it puts them back when it saves what it has read by those. */
#include "families/nomic_bert.h"

#include "base/status.h"

static const pith_newer_name newer[] = {
    {"emb_ln.weight", {"embeddings.LayerNorm.weight"}},
    {"emb_ln.bias", {"embeddings.LayerNorm.bias"}},
    {"attn.Wqkv.weight",
     {"self_attn.q_proj.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}},
    {"attn.out_proj.weight", {"self_attn.o_proj.weight"}},
    {"norm1.weight", {"post_attention_layernorm.weight"}},
    {"norm1.bias", {"post_attention_layernorm.bias"}},
    {"mlp.fc12.weight", {"mlp.gate_proj.weight", "mlp.up_proj.weight"}},
    {"mlp.fc2.weight", {"mlp.down_proj.weight"}},
    {"norm2.weight", {"post_mlp_layernorm.weight"}},
    {"norm2.bias", {"post_mlp_layernorm.bias"}},
};

static const pith_key keys[] = {
    PITH_COUNT(vocab_size, 30528),
    PITH_COUNT(hidden_size, 768),
    PITH_COUNT(intermediate_size, 3072),
    PITH_COUNT(num_hidden_layers, 12),
    PITH_COUNT(num_attention_heads, 12),
    PITH_COUNT(max_position_embeddings, 2048),
    PITH_COUNT(type_vocab_size, 2),
    PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-12),
    PITH_KEY(PITH_FIELD_DOUBLE, "rope_theta", kinds[0].rope.theta, 0),
};

/* What versions of the class have assumed differently, so that a file must say it. */
static pith_status require_said(pith_json json, pith_error *error) {
    pith_json rope = pith_json_get(json, "rope_parameters");
    bool theta = !pith_json_is_none(pith_json_get(json, "rope_theta")) ||
                 !pith_json_is_none(pith_json_get(rope, "rope_theta"));
    bool act = !pith_json_is_none(pith_json_get(json, "hidden_act"));
    const char *missing = !act ? "hidden_act" : !theta ? "rope_theta" : NULL;
    return missing == NULL ? PITH_OK
                           : pith_fail(error, PITH_ERROR_UNSUPPORTED,
                                       "config.json: there is no %s, which versions of "
                                       "transformers assume differently",
                                       missing);
}

static pith_status read(pith_config *config, pith_json json, pith_error *error) {
    const double head_dim = (double)config->head_dim;
    const double heads = (double)config->num_attention_heads;
    const pith_number_key numbers[] = {
        {"head_dim", head_dim, head_dim}, {"num_key_value_heads", heads, heads},
        {"rotary_emb_fraction", 1, 1},    {"rotary_emb_interleaved", 0, 0},
        {"rotary_emb_scale_base", 0, 0},  {"num_experts", 0, 0},
        {"moe_every_n_layers", 0, 0},
    };
    pith_status status = require_said(json, error);
    if (status == PITH_OK) {
        status = pith_numbers_require(json, numbers, sizeof numbers / sizeof numbers[0], error);
    }
    pith_nomic_bert_set(config);
    return status;
}

const pith_family pith_family_nomic_bert_newer = {
    .name = "nomic_bert",
    .classes = {"NomicBertModel", "NomicBertForMaskedLM"},
    .role = PITH_ENCODER,
    .rules = {&pith_rules_nomic_bert, &pith_rules_dense},
    .layers = "encoder.layers.",
    .prefix = "nomic_bert.",
    .newer = newer,
    .n_newer = sizeof newer / sizeof newer[0],
    .newer_layers = "layers.",
    .ignored = {"pooler.dense.weight", "pooler.dense.bias", "rotary_emb.inv_freq"},
    .keys = keys,
    .n_keys = sizeof keys / sizeof keys[0],
    .fixed = {{"hidden_act", "silu"}, {"attention_bias", NULL}, {"is_decoder", NULL}},
    .rope = true,
    .bos = -1,
    .eos = -1,
    .read = read,
};
