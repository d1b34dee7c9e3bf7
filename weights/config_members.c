/* The members of the section "config": keys, and where their values are in a configuration. */
#include "weights/config_members.h"

#include <stddef.h>

/* ---- Tables ---------------------------------------------------------------------------------- */

#define COUNT(key, field, limit) \
    { key, PITH_FIELD_COUNT, offsetof(pith_config, field), limit }
#define FLAG(key, field) \
    { key, PITH_FIELD_FLAG, offsetof(pith_config, field), 0 }
#define FLOAT(key, field) \
    { key, PITH_FIELD_FLOAT, offsetof(pith_config, field), 0 }
#define DOUBLE(key, field) \
    { key, PITH_FIELD_DOUBLE, offsetof(pith_config, field), 0 }

#define TABLE(fields) \
    { fields, sizeof(fields) / sizeof((fields)[0]) }

static const pith_field size_fields[] = {
    COUNT("vocab_size", vocab_size, PITH_MAX_VOCAB),
    COUNT("hidden_size", hidden_size, PITH_MAX_WIDTH),
    COUNT("intermediate_size", intermediate_size, PITH_MAX_WIDTH),
    COUNT("num_hidden_layers", num_hidden_layers, PITH_MAX_LAYERS),
    COUNT("num_attention_heads", num_attention_heads, PITH_MAX_HEADS),
};

static const pith_field decoder_size_fields[] = {
    COUNT("num_key_value_heads", num_key_value_heads, PITH_MAX_HEADS),
    COUNT("head_dim", head_dim, PITH_MAX_HEAD_DIM),
    COUNT("max_position_embeddings", max_position_embeddings, PITH_MAX_POSITIONS),
};

static const pith_field window_fields[] = {
    COUNT("sliding_window", kinds[0].sliding_window, PITH_MAX_POSITIONS),
};

static const pith_field rms_norm_fields[] = {FLOAT("rms_norm_eps", norm_eps)};

static const pith_field rope_fields[] = {
    DOUBLE("rope_theta", kinds[0].rope.theta),
    DOUBLE("rope_factor", kinds[0].rope.factor),
    DOUBLE("rope_low_freq_factor", kinds[0].rope.low_freq_factor),
    DOUBLE("rope_high_freq_factor", kinds[0].rope.high_freq_factor),
    COUNT("rope_original_context", kinds[0].rope.original_context, PITH_MAX_POSITIONS),
};

static const pith_field yarn_fields[] = {
    DOUBLE("rope_attention_factor", kinds[0].rope.attention_factor), /* longrope's too */
    DOUBLE("rope_beta_fast", kinds[0].rope.beta_fast),
    DOUBLE("rope_beta_slow", kinds[0].rope.beta_slow),
    FLAG("rope_truncate", kinds[0].rope.truncate),
};

static const pith_field beta_fields[] = {
    DOUBLE("rope_query_beta", kinds[0].rope.query_beta),
};

/* LongRoPE's lists, of all kinds of layers. */
const char pith_config_short_key[] = "rope_short_factors";
const char pith_config_long_key[] = "rope_long_factors";

static const pith_field dims_fields[] = {
    COUNT("rope_dims", kinds[0].rope.dims, PITH_MAX_HEAD_DIM),
};

static const pith_field decoder_flag_fields[] = {
    FLAG("tie_word_embeddings", tie_word_embeddings),
    FLAG("qkv_bias", qkv_bias),
    FLAG("o_bias", o_bias),
    FLAG("mlp_bias", mlp_bias),
};

static const pith_field encoder_fields[] = {
    COUNT("max_position_embeddings", max_position_embeddings, PITH_MAX_POSITIONS),
    COUNT("type_vocab_size", type_vocab_size, PITH_MAX_TOKEN_TYPES),
    FLOAT("layer_norm_eps", norm_eps),
    COUNT("max_seq_length", max_seq_length, PITH_MAX_POSITIONS),
    FLAG("normalize", normalize),
};

/* Written where they differ from the recipe, or for head sizes from what the other members
 * imply. */
static const pith_field encoder_optional_fields[] = {
    COUNT("num_key_value_heads", num_key_value_heads, PITH_MAX_HEADS),
    COUNT("head_dim", head_dim, PITH_MAX_HEAD_DIM),
    FLAG("qkv_bias", qkv_bias),
    FLAG("o_bias", o_bias),
    FLAG("mlp_bias", mlp_bias),
    FLAG("no_positions", no_positions),
    COUNT("position_offset", position_offset, PITH_MAX_POSITIONS),
    COUNT("relative_buckets", relative_buckets, PITH_MAX_BUCKETS),
    COUNT("relative_distance", relative_distance, PITH_MAX_POSITIONS),
    FLAG("causal", causal),
    FLAG("scores", scores),
    FLAG("skip_prompt", skip_prompt),
};

static const pith_field optional_fields[] = {
    FLAG("norm_sums", norm_sums),
    FLAG("gated", gated),
    FLOAT("embedding_scale", embedding_scale),
    FLOAT("residual_scale", residual_scale),
    FLOAT("attention_scale", attention_scale),
    FLOAT("logit_scale", logit_scale),
    FLOAT("attention_cap", attention_cap),
    FLOAT("logit_cap", logit_cap),
    COUNT("n_experts", n_experts, PITH_MAX_EXPERTS),
    COUNT("n_experts_used", n_experts_used, PITH_MAX_EXPERTS),
    FLAG("norm_experts", norm_experts),
    FLAG("attention_sinks", attention_sinks),
};

/* Members of dense layer 0; those of the other layers are found as those of the kinds of layers
 * are. */
static const pith_field dense_fields[] = {COUNT("width", dense[0].width, PITH_MAX_WIDTH)};

_Static_assert(sizeof(pith_rope_scaling) == sizeof(unsigned) &&
                   sizeof(pith_pooling) == sizeof(unsigned) &&
                   sizeof(pith_qk_norm) == sizeof(unsigned) &&
                   sizeof(pith_activation) == sizeof(unsigned) &&
                   sizeof(pith_dense_activation) == sizeof(unsigned) &&
                   sizeof(pith_norm_type) == sizeof(unsigned),
               "words are stored as unsigned integers");

const struct pith_config_members pith_config_members = {
    .sizes = TABLE(size_fields),
    .decoder_sizes = TABLE(decoder_size_fields),
    .window = TABLE(window_fields),
    .rms_norm = TABLE(rms_norm_fields),
    .rope = TABLE(rope_fields),
    .yarn = TABLE(yarn_fields),
    .attention_factor = {yarn_fields, 1},
    .beta = TABLE(beta_fields),
    .dims = TABLE(dims_fields),
    .decoder_flags = TABLE(decoder_flag_fields),
    .encoder = TABLE(encoder_fields),
    .encoder_optional = TABLE(encoder_optional_fields),
    .optional = TABLE(optional_fields),
    .dense = TABLE(dense_fields),
    .scaling = {"rope_scaling",
                offsetof(pith_config, kinds[0].rope.scaling),
                {"none", "linear", "llama3", "yarn", "dynamic", "longrope"}},
    .pooling = {"pooling", offsetof(pith_config, pooling), {"mean", "cls", "max", "lasttoken"}},
    .dense_activation = {"activation",
                         offsetof(pith_config, dense[0].activation),
                         {"identity", "tanh", "sigmoid", "relu", "gelu"}},
    .optional_words =
        {
            {"norm_type", offsetof(pith_config, norm_type), {"rms", "layer"}},
            {"qk_norm", offsetof(pith_config, qk_norm), {"none", "head", "whole", "after"}},
            {"activation",
             offsetof(pith_config, activation),
             {"silu", "gelu", "gelu_tanh", "relu2", "clamped_swiglu"}},
        },
};

pith_config pith_config_recipe(pith_role role) {
    return role == PITH_ENCODER ? (pith_config){PITH_ENCODER_RECIPE}
                                : (pith_config){PITH_DECODER_RECIPE};
}

/* As many factors as the kind of layer that needs the most. */
size_t pith_config_n_factors(const pith_config *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_kinds; i++) {
        bool has = c->kinds[i].rope.scaling == PITH_ROPE_LONG;
        n = has && c->kinds[i].rope.dims / 2 > n ? c->kinds[i].rope.dims / 2 : n;
    }
    return n;
}
