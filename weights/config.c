/* Hyper-parameters to JSON and back; docs/format.md lists the keys. Those of the plain decoder and
 * the plain encoder are always there; of the others only what differs from its recipe, so that the
 * files of plain models are as they always were. */
#include "weights/config.h"

#include "base/status.h"
#include "families/fields.h"

#include <stdio.h>
#include <string.h>

/* ---- Tables ---------------------------------------------------------------------------------- */

#define COUNT(key, field, limit) \
    { key, PITH_FIELD_COUNT, offsetof(pith_config, field), limit }
#define FLAG(key, field) \
    { key, PITH_FIELD_FLAG, offsetof(pith_config, field), 0 }
#define FLOAT(key, field) \
    { key, PITH_FIELD_FLOAT, offsetof(pith_config, field), 0 }
#define DOUBLE(key, field) \
    { key, PITH_FIELD_DOUBLE, offsetof(pith_config, field), 0 }

typedef struct table {
    const pith_field *fields; /* [n] */
    size_t n;
} table;

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
static const char short_key[] = "rope_short_factors";
static const char long_key[] = "rope_long_factors";

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

/* There where they differ from the recipe, or for head sizes from what follows from others. */
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
};

/* Of dense layer 0; the others as kinds of layers are. */
static const pith_field dense_fields[] = {COUNT("width", dense[0].width, PITH_MAX_WIDTH)};

static const table sizes = TABLE(size_fields), decoder_sizes = TABLE(decoder_size_fields),
                   window = TABLE(window_fields), rms_norm = TABLE(rms_norm_fields),
                   rope = TABLE(rope_fields), yarn = TABLE(yarn_fields),
                   attention_factor = {yarn_fields, 1}, beta = TABLE(beta_fields),
                   dims = TABLE(dims_fields), decoder_flags = TABLE(decoder_flag_fields),
                   encoder = TABLE(encoder_fields),
                   encoder_optional = TABLE(encoder_optional_fields),
                   optional = TABLE(optional_fields), dense = TABLE(dense_fields);

/* An enumeration is a word in the file. */
typedef struct word {
    const char *key;
    size_t offset;        /* of an unsigned */
    const char *names[6]; /* by value */
} word;

_Static_assert(sizeof(pith_rope_scaling) == sizeof(unsigned) &&
                   sizeof(pith_pooling) == sizeof(unsigned) &&
                   sizeof(pith_qk_norm) == sizeof(unsigned) &&
                   sizeof(pith_activation) == sizeof(unsigned) &&
                   sizeof(pith_dense_activation) == sizeof(unsigned) &&
                   sizeof(pith_norm_type) == sizeof(unsigned),
               "words are stored as unsigned integers");

static const word scaling_word = {"rope_scaling",
                                  offsetof(pith_config, kinds[0].rope.scaling),
                                  {"none", "linear", "llama3", "yarn", "dynamic", "longrope"}};
static const word pooling_word = {"pooling",
                                  offsetof(pith_config, pooling),
                                  {"mean", "cls", "max", "lasttoken"}};
static const word dense_word = {"activation",
                                offsetof(pith_config, dense[0].activation),
                                {"identity", "tanh", "sigmoid", "relu", "gelu"}};
static const word optional_words[] = {
    {"norm_type", offsetof(pith_config, norm_type), {"rms", "layer"}},
    {"qk_norm", offsetof(pith_config, qk_norm), {"none", "head", "whole", "after"}},
    {"activation", offsetof(pith_config, activation), {"silu", "gelu", "gelu_tanh", "relu2"}},
};

enum {
    N_WORD_NAMES = sizeof scaling_word.names / sizeof scaling_word.names[0],
    N_OPTIONAL_WORDS = sizeof optional_words / sizeof optional_words[0],
};

static pith_config recipe_of(pith_role role) {
    return role == PITH_ENCODER ? (pith_config){PITH_ENCODER_RECIPE}
                                : (pith_config){PITH_DECODER_RECIPE};
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_table(table t, const void *base, pith_json_writer *to) {
    pith_fields_write(t.fields, t.n, base, to);
}

static unsigned word_value(const word *w, const void *base) {
    unsigned value;
    memcpy(&value, (const char *)base + w->offset, sizeof value);
    return value;
}

static void write_word(const word *w, const void *base, pith_json_writer *to) {
    pith_json_put_text(to, w->key, w->names[word_value(w, base)]);
}

static size_t field_size(pith_field_kind kind) {
    switch (kind) {
    case PITH_FIELD_COUNT:
        return sizeof(size_t);
    case PITH_FIELD_ID:
        return sizeof(int32_t);
    case PITH_FIELD_FLAG:
        return sizeof(bool);
    case PITH_FIELD_FLOAT:
        return sizeof(float);
    case PITH_FIELD_DOUBLE:
        break;
    }
    return sizeof(double);
}

static void write_differing(table t, const pith_config *c, const pith_config *recipe,
                            pith_json_writer *to) {
    for (size_t i = 0; i < t.n; i++) {
        const pith_field *field = &t.fields[i];
        if (memcmp((const char *)c + field->offset, (const char *)recipe + field->offset,
                   field_size(field->kind)) != 0) {
            pith_fields_write(field, 1, c, to);
        }
    }
}

static void write_optional(const pith_config *c, pith_json_writer *to) {
    pith_config recipe = recipe_of(c->role);
    if (c->role == PITH_ENCODER) {
        recipe.hidden_size = c->hidden_size;
        recipe.num_attention_heads = c->num_attention_heads;
        pith_config_set_encoder_heads(&recipe);
        write_differing(encoder_optional, c, &recipe, to);
    }
    write_differing(optional, c, &recipe, to);
    for (size_t i = 0; i < N_OPTIONAL_WORDS; i++) {
        if (word_value(&optional_words[i], c) != word_value(&optional_words[i], &recipe)) {
            write_word(&optional_words[i], c, to);
        }
    }
}

/* The tables name members of kind 0: with the address moved by so much they are those of kind i. */
static const void *kind_base(const pith_config *c, size_t i) {
    return (const char *)c + i * sizeof c->kinds[0];
}

/* What the keys of plain models leave open of a kind. */
static void write_rest_of_kind(const pith_config *c, size_t i, pith_json_writer *to) {
    const void *base = kind_base(c, i);
    if (c->kinds[i].rope.scaling == PITH_ROPE_YARN) {
        write_table(yarn, base, to);
    } else if (c->kinds[i].rope.scaling == PITH_ROPE_LONG) {
        write_table(attention_factor, base, to);
    }
    write_word(&scaling_word, base, to);
    if (c->kinds[i].rope.query_beta != 0) {
        write_table(beta, base, to);
    }
    if (c->kinds[i].rope.dims != c->head_dim) {
        write_table(dims, base, to);
    }
}

/* Kind 0 has the keys of plain models; those of the others are in a list. */
static void write_kinds(const pith_config *c, pith_json_writer *to) {
    if (c->n_kinds == 1) {
        return;
    }
    pith_json_open(to, "layer_kinds", '[');
    for (size_t i = 1; i < c->n_kinds; i++) {
        pith_json_open(to, NULL, '{');
        write_table(window, kind_base(c, i), to);
        write_table(rope, kind_base(c, i), to);
        write_rest_of_kind(c, i, to);
        pith_json_close(to, '}');
    }
    pith_json_close(to, ']');
    pith_json_open(to, "kind_of_layer", '[');
    for (size_t i = 0; i < c->num_hidden_layers; i++) {
        pith_json_put_integer(to, NULL, c->kind_of[i]);
    }
    pith_json_close(to, ']');
}

static void write_list(const char *key, const float *list, size_t n, pith_json_writer *to) {
    pith_json_open(to, key, '[');
    for (size_t i = 0; i < n; i++) {
        pith_json_put_real(to, NULL, (double)list[i]);
    }
    pith_json_close(to, ']');
}

/* With the address moved by so much the members of dense layer 0 are those of layer i. */
static const void *dense_base(const pith_config *c, size_t i) {
    return (const char *)c + i * sizeof c->dense[0];
}

static void write_dense(const pith_config *c, pith_json_writer *to) {
    if (c->dense[0].width == 0) {
        return;
    }
    pith_json_open(to, "dense", '[');
    for (size_t i = 0; i < PITH_MAX_DENSE && c->dense[i].width != 0; i++) {
        pith_json_open(to, NULL, '{');
        write_table(dense, dense_base(c, i), to);
        write_word(&dense_word, dense_base(c, i), to);
        pith_json_close(to, '}');
    }
    pith_json_close(to, ']');
}

/* As many factors as the kind with most needs. */
static size_t n_factors(const pith_config *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_kinds; i++) {
        bool has = c->kinds[i].rope.scaling == PITH_ROPE_LONG;
        n = has && c->kinds[i].rope.dims / 2 > n ? c->kinds[i].rope.dims / 2 : n;
    }
    return n;
}

static void write_factors(const pith_config *c, pith_json_writer *to) {
    size_t n = n_factors(c);
    if (n != 0) {
        write_list(short_key, c->rope_factors.short_list, n, to);
        write_list(long_key, c->rope_factors.long_list, n, to);
    }
}

static bool has_kinds(const pith_config *c) {
    return c->n_kinds > 1 || c->kinds[0].rope.dims != 0 || c->kinds[0].sliding_window != 0;
}

void pith_config_write_further(const pith_config *c, pith_json_writer *to) {
    write_optional(c, to);
    write_dense(c, to);
    if (has_kinds(c)) {
        write_table(window, c, to);
        write_table(rope, c, to);
        write_rest_of_kind(c, 0, to);
        write_kinds(c, to);
    }
}

static void write_encoder(const pith_config *c, pith_json_writer *to) {
    write_table(encoder, c, to);
    write_word(&pooling_word, c, to);
    pith_config_write_further(c, to);
}

/* Readers of version 1 know one encoder, and would pass over the dense layers of another. */
int pith_config_format_version(const pith_config *config) {
    return config->dense[0].width != 0 ? 2 : 1;
}

void pith_config_write(const pith_config *config, pith_json_writer *to) {
    write_table(sizes, config, to);
    if (config->role == PITH_ENCODER) {
        write_encoder(config, to);
        return;
    }
    write_table(decoder_sizes, config, to);
    write_table(window, config, to);
    write_table(rms_norm, config, to);
    write_table(rope, config, to);
    write_table(decoder_flags, config, to);
    write_rest_of_kind(config, 0, to);
    write_optional(config, to);
    write_kinds(config, to);
    write_factors(config, to);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Where a configuration is read from and to. */
typedef struct reading {
    pith_config *config;
    pith_json object;
    const char *where;
    const char *section; /* in messages: "config" */
    pith_error *error;
} reading;

static pith_status read_table(const reading *r, table t, void *base) {
    return pith_fields_read(t.fields, t.n, base, r->object, r->where, r->section, r->error);
}

static pith_status fail_word(const reading *r, const word *w) {
    char names[80] = "";
    for (size_t i = 0; i < N_WORD_NAMES && w->names[i] != NULL; i++) {
        bool last = i + 1 == N_WORD_NAMES || w->names[i + 1] == NULL;
        size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%s",
                 i == 0 ? ""
                 : last ? " or "
                        : ", ",
                 w->names[i]);
    }
    return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: metadata %s.%s is missing or not %s",
                     r->where, r->section, w->key, names);
}

static pith_status read_word(const reading *r, const word *w, void *base) {
    const char *text = pith_json_text(pith_json_get(r->object, w->key));
    for (unsigned i = 0; i < N_WORD_NAMES && w->names[i] != NULL; i++) {
        if (text != NULL && strcmp(text, w->names[i]) == 0) {
            memcpy((char *)base + w->offset, &i, sizeof i);
            return PITH_OK;
        }
    }
    return fail_word(r, w);
}

static bool has(const reading *r, const char *key) {
    return pith_json_get(r->object, key).at != NULL;
}

static pith_status read_present(const reading *r, table t) {
    pith_status status = PITH_OK;
    for (size_t i = 0; i < t.n && status == PITH_OK; i++) {
        if (has(r, t.fields[i].key)) {
            status = read_table(r, (table){&t.fields[i], 1}, r->config);
        }
    }
    return status;
}

static pith_status read_optional(const reading *r) {
    pith_status status = read_present(r, optional);
    for (size_t i = 0; i < N_OPTIONAL_WORDS && status == PITH_OK; i++) {
        if (has(r, optional_words[i].key)) {
            status = read_word(r, &optional_words[i], r->config);
        }
    }
    return status;
}

static pith_status read_rest_of_kind(const reading *r, void *base, pith_rope_config *of_kind) {
    pith_status status = read_word(r, &scaling_word, base);
    if (status == PITH_OK && of_kind->scaling == PITH_ROPE_YARN) {
        status = read_table(r, yarn, base);
    } else if (status == PITH_OK && of_kind->scaling == PITH_ROPE_LONG) {
        status = read_table(r, attention_factor, base);
    }
    if (status == PITH_OK && has(r, beta_fields[0].key)) {
        status = read_table(r, beta, base);
    }
    of_kind->dims = r->config->head_dim;
    return status == PITH_OK && has(r, dims_fields[0].key) ? read_table(r, dims, base) : status;
}

static pith_status read_kind(const reading *r, size_t i) {
    void *base = (char *)r->config + i * sizeof r->config->kinds[0];
    pith_status status = read_table(r, window, base);
    if (status == PITH_OK) {
        status = read_table(r, rope, base);
    }
    return status == PITH_OK ? read_rest_of_kind(r, base, &r->config->kinds[i].rope) : status;
}

static pith_status bad_list(const reading *r, const char *key, const char *what) {
    return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: metadata config.%s is missing or not %s",
                     r->where, key, what);
}

static pith_status read_kinds(const reading *r) {
    pith_json kinds = pith_json_get(r->object, "layer_kinds");
    pith_json list = pith_json_get(r->object, "kind_of_layer");
    pith_config *c = r->config;
    if (kinds.at == NULL && list.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_is(kinds, PITH_JSON_ARRAY) || pith_json_size(kinds) == 0 ||
        pith_json_size(kinds) >= PITH_MAX_LAYER_KINDS) {
        return bad_list(r, "layer_kinds", "an array of 1 to 3 objects");
    }
    if (!pith_json_is(list, PITH_JSON_ARRAY) || pith_json_size(list) != c->num_hidden_layers ||
        c->num_hidden_layers > PITH_MAX_LAYERS) {
        return bad_list(r, "kind_of_layer", "an array of one number for each layer");
    }
    pith_json_walk walk = pith_json_begin(kinds);
    for (c->n_kinds = 1; pith_json_next(&walk); c->n_kinds++) {
        reading of_kind = *r;
        of_kind.object = walk.value;
        of_kind.section = "config.layer_kinds";
        pith_status status = read_kind(&of_kind, c->n_kinds);
        if (status != PITH_OK) {
            return status;
        }
    }
    walk = pith_json_begin(list);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        size_t kind;
        if (!pith_json_count(walk.value, &kind) || kind >= c->n_kinds) {
            return bad_list(r, "kind_of_layer", "an array of numbers of kinds");
        }
        c->kind_of[i] = (uint8_t)kind;
    }
    return PITH_OK;
}

static pith_status read_list(const reading *r, const char *key, float *list, size_t n) {
    pith_json array = pith_json_get(r->object, key);
    double number;
    if (!pith_json_is(array, PITH_JSON_ARRAY) || pith_json_size(array) != n) {
        return bad_list(r, key, "an array of one number for each pair of elements");
    }
    pith_json_walk walk = pith_json_begin(array);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        /* The check of the configuration has closer limits; this one is float's. */
        if (!pith_json_number(walk.value, &number) || !(number >= 0 && number <= 1e30)) {
            return bad_list(r, key, "an array of positive numbers");
        }
        list[i] = (float)number;
    }
    return PITH_OK;
}

static pith_status read_factors(const reading *r) {
    size_t n = n_factors(r->config);
    if (n == 0) {
        return PITH_OK;
    }
    pith_status status = read_list(r, short_key, r->config->rope_factors.short_list, n);
    return status == PITH_OK ? read_list(r, long_key, r->config->rope_factors.long_list, n)
                             : status;
}

static pith_status read_decoder(const reading *r) {
    const table tables[] = {sizes, decoder_sizes, window, rms_norm, rope, decoder_flags};
    pith_status status = PITH_OK;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0] && status == PITH_OK; i++) {
        status = read_table(r, tables[i], r->config);
    }
    if (status == PITH_OK) {
        status = read_rest_of_kind(r, r->config, &r->config->kinds[0].rope);
    }
    if (status == PITH_OK) {
        status = read_kinds(r);
    }
    return status == PITH_OK ? read_factors(r) : status;
}

static pith_status read_dense(const reading *r) {
    pith_json list = pith_json_get(r->object, "dense");
    pith_status status = PITH_OK;
    if (list.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_is(list, PITH_JSON_ARRAY) || pith_json_size(list) == 0 ||
        pith_json_size(list) > PITH_MAX_DENSE) {
        return bad_list(r, "dense", "an array of 1 or 2 objects");
    }
    pith_json_walk walk = pith_json_begin(list);
    for (size_t i = 0; status == PITH_OK && pith_json_next(&walk); i++) {
        void *base = (char *)r->config + i * sizeof r->config->dense[0];
        reading of_layer = *r;
        of_layer.object = walk.value;
        of_layer.section = "config.dense";
        status = read_table(&of_layer, dense, base);
        if (status == PITH_OK) {
            status = read_word(&of_layer, &dense_word, base);
        }
    }
    return status;
}

/* RoPE and windows, of an encoder that has any. */
static pith_status read_encoder_kinds(const reading *r) {
    if (!has(r, rope_fields[0].key)) {
        return PITH_OK;
    }
    pith_status status = read_table(r, window, r->config);
    if (status == PITH_OK) {
        status = read_table(r, rope, r->config);
    }
    if (status == PITH_OK) {
        status = read_rest_of_kind(r, r->config, &r->config->kinds[0].rope);
    }
    return status == PITH_OK ? read_kinds(r) : status;
}

static pith_status read_encoder(const reading *r) {
    pith_status status = read_table(r, sizes, r->config);
    if (status == PITH_OK) {
        status = read_table(r, encoder, r->config);
    }
    if (status == PITH_OK) {
        status = read_word(r, &pooling_word, r->config);
    }
    pith_config_set_encoder_heads(r->config);
    if (status == PITH_OK) {
        status = read_present(r, encoder_optional);
    }
    if (status == PITH_OK) {
        status = read_dense(r);
    }
    return status == PITH_OK ? read_encoder_kinds(r) : status;
}

pith_status pith_config_read(pith_config *out, pith_role role, pith_json object, const char *where,
                             pith_error *error) {
    pith_config config = recipe_of(role);
    const reading r = {&config, object, where, "config", error};
    pith_status status = role == PITH_ENCODER ? read_encoder(&r) : read_decoder(&r);
    if (status == PITH_OK) {
        status = read_optional(&r);
    }
    if (status == PITH_OK) {
        status = pith_config_check(&config, where, error);
    }
    if (status == PITH_OK) {
        *out = config;
    }
    return status;
}
