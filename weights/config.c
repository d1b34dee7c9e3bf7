/* Hyper-parameters to JSON; docs/format.md lists the keys. Those of the plain decoder and
 * the plain encoder are always there; of the others only what differs from its recipe, so that the
 * files of plain models are as they always were. */
#include "weights/config.h"

#include "weights/config_members.h"

#include <string.h>

static const struct pith_config_members *const members = &pith_config_members;

static void write_table(pith_config_table t, const void *base, pith_json_writer *to) {
    pith_fields_write(t.fields, t.n, base, to);
}

static unsigned word_value(const pith_config_word *w, const void *base) {
    unsigned value;
    memcpy(&value, (const char *)base + w->offset, sizeof value);
    return value;
}

static void write_word(const pith_config_word *w, const void *base, pith_json_writer *to) {
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

static void write_differing(pith_config_table t, const pith_config *c, const pith_config *recipe,
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
    pith_config recipe = pith_config_recipe(c->role);
    if (c->role == PITH_ENCODER) {
        recipe.hidden_size = c->hidden_size;
        recipe.num_attention_heads = c->num_attention_heads;
        pith_config_set_encoder_heads(&recipe);
        write_differing(members->encoder_optional, c, &recipe, to);
    }
    write_differing(members->optional, c, &recipe, to);
    for (size_t i = 0; i < PITH_CONFIG_OPTIONAL_WORDS; i++) {
        if (word_value(&members->optional_words[i], c) !=
            word_value(&members->optional_words[i], &recipe)) {
            write_word(&members->optional_words[i], c, to);
        }
    }
}

/* The tables name members of kind 0. Returns the base address at which they are those of kind i. */
static const void *kind_base(const pith_config *c, size_t i) {
    return (const char *)c + i * sizeof c->kinds[0];
}

/* Writes what the keys of plain models do not say about a kind. */
static void write_rest_of_kind(const pith_config *c, size_t i, pith_json_writer *to) {
    const void *base = kind_base(c, i);
    if (c->kinds[i].rope.scaling == PITH_ROPE_YARN) {
        write_table(members->yarn, base, to);
    } else if (c->kinds[i].rope.scaling == PITH_ROPE_LONG) {
        write_table(members->attention_factor, base, to);
    }
    write_word(&members->scaling, base, to);
    if (c->kinds[i].rope.query_beta != 0) {
        write_table(members->beta, base, to);
    }
    if (c->kinds[i].rope.dims != c->head_dim) {
        write_table(members->dims, base, to);
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
        write_table(members->window, kind_base(c, i), to);
        write_table(members->rope, kind_base(c, i), to);
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

/* Returns the base address at which the members of dense layer 0 are those of layer i. */
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
        write_table(members->dense, dense_base(c, i), to);
        write_word(&members->dense_activation, dense_base(c, i), to);
        pith_json_close(to, '}');
    }
    pith_json_close(to, ']');
}

static void write_factors(const pith_config *c, pith_json_writer *to) {
    size_t n = pith_config_n_factors(c);
    if (n != 0) {
        write_list(pith_config_short_key, c->rope_factors.short_list, n, to);
        write_list(pith_config_long_key, c->rope_factors.long_list, n, to);
    }
}

static bool has_kinds(const pith_config *c) {
    return c->n_kinds > 1 || c->kinds[0].rope.dims != 0 || c->kinds[0].sliding_window != 0;
}

void pith_config_write_further(const pith_config *c, pith_json_writer *to) {
    write_optional(c, to);
    write_dense(c, to);
    if (has_kinds(c)) {
        write_table(members->window, c, to);
        write_table(members->rope, c, to);
        write_rest_of_kind(c, 0, to);
        write_kinds(c, to);
    }
}

static void write_encoder(const pith_config *c, pith_json_writer *to) {
    write_table(members->encoder, c, to);
    write_word(&members->pooling, c, to);
    pith_config_write_further(c, to);
}

/* Readers of version 1 know one encoder and would ignore the dense layers of another. */
int pith_config_format_version(const pith_config *config) {
    return config->dense[0].width != 0 ? 2 : 1;
}

void pith_config_write(const pith_config *config, pith_json_writer *to) {
    write_table(members->sizes, config, to);
    if (config->role == PITH_ENCODER) {
        write_encoder(config, to);
        return;
    }
    write_table(members->decoder_sizes, config, to);
    write_table(members->window, config, to);
    write_table(members->rms_norm, config, to);
    write_table(members->rope, config, to);
    write_table(members->decoder_flags, config, to);
    write_rest_of_kind(config, 0, to);
    write_optional(config, to);
    write_kinds(config, to);
    write_factors(config, to);
}
