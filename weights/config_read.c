/* Hyper-parameters out of JSON: see weights/config.c, which writes them. */
#include "weights/config.h"

#include "base/status.h"
#include "weights/config_members.h"

#include <stdio.h>
#include <string.h>

static const struct pith_config_members *const members = &pith_config_members;

/* Where a configuration is read from and to. */
typedef struct reading {
    pith_config *config;
    pith_json object;
    const char *where;
    const char *section; /* in messages: "config" */
    pith_error *error;
} reading;

static pith_status read_table(const reading *r, pith_config_table t, void *base) {
    return pith_fields_read(t.fields, t.n, base, r->object, r->where, r->section, r->error);
}

static pith_status fail_word(const reading *r, const pith_config_word *w) {
    char names[80] = "";
    for (size_t i = 0; i < PITH_CONFIG_WORD_NAMES && w->names[i] != NULL; i++) {
        bool last = i + 1 == PITH_CONFIG_WORD_NAMES || w->names[i + 1] == NULL;
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

static pith_status read_word(const reading *r, const pith_config_word *w, void *base) {
    const char *text = pith_json_text(pith_json_get(r->object, w->key));
    for (unsigned i = 0; i < PITH_CONFIG_WORD_NAMES && w->names[i] != NULL; i++) {
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

static pith_status read_present(const reading *r, pith_config_table t) {
    pith_status status = PITH_OK;
    for (size_t i = 0; i < t.n && status == PITH_OK; i++) {
        if (has(r, t.fields[i].key)) {
            status = read_table(r, (pith_config_table){&t.fields[i], 1}, r->config);
        }
    }
    return status;
}

static pith_status read_optional(const reading *r) {
    pith_status status = read_present(r, members->optional);
    for (size_t i = 0; i < PITH_CONFIG_OPTIONAL_WORDS && status == PITH_OK; i++) {
        if (has(r, members->optional_words[i].key)) {
            status = read_word(r, &members->optional_words[i], r->config);
        }
    }
    return status;
}

static pith_status read_rest_of_kind(const reading *r, void *base, pith_rope_config *of_kind) {
    pith_status status = read_word(r, &members->scaling, base);
    if (status == PITH_OK && of_kind->scaling == PITH_ROPE_YARN) {
        status = read_table(r, members->yarn, base);
    } else if (status == PITH_OK && of_kind->scaling == PITH_ROPE_LONG) {
        status = read_table(r, members->attention_factor, base);
    }
    if (status == PITH_OK && has(r, members->beta.fields[0].key)) {
        status = read_table(r, members->beta, base);
    }
    of_kind->dims = r->config->head_dim;
    return status == PITH_OK && has(r, members->dims.fields[0].key)
               ? read_table(r, members->dims, base)
               : status;
}

static pith_status read_kind(const reading *r, size_t i) {
    void *base = (char *)r->config + i * sizeof r->config->kinds[0];
    pith_status status = read_table(r, members->window, base);
    if (status == PITH_OK) {
        status = read_table(r, members->rope, base);
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
        /* The check of the configuration has tighter limits; this one keeps the number within
         * float. */
        if (!pith_json_number(walk.value, &number) || !(number >= 0 && number <= 1e30)) {
            return bad_list(r, key, "an array of positive numbers");
        }
        list[i] = (float)number;
    }
    return PITH_OK;
}

static pith_status read_factors(const reading *r) {
    size_t n = pith_config_n_factors(r->config);
    if (n == 0) {
        return PITH_OK;
    }
    pith_status status = read_list(r, pith_config_short_key, r->config->rope_factors.short_list, n);
    return status == PITH_OK
               ? read_list(r, pith_config_long_key, r->config->rope_factors.long_list, n)
               : status;
}

static pith_status read_decoder(const reading *r) {
    const pith_config_table tables[] = {members->sizes,  members->decoder_sizes,
                                        members->window, members->rms_norm,
                                        members->rope,   members->decoder_flags};
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
        status = read_table(&of_layer, members->dense, base);
        if (status == PITH_OK) {
            status = read_word(&of_layer, &members->dense_activation, base);
        }
    }
    return status;
}

/* RoPE and windows of an encoder that has them. */
static pith_status read_encoder_kinds(const reading *r) {
    if (!has(r, members->rope.fields[0].key)) {
        return PITH_OK;
    }
    pith_status status = read_table(r, members->window, r->config);
    if (status == PITH_OK) {
        status = read_table(r, members->rope, r->config);
    }
    if (status == PITH_OK) {
        status = read_rest_of_kind(r, r->config, &r->config->kinds[0].rope);
    }
    return status == PITH_OK ? read_kinds(r) : status;
}

static pith_status read_encoder(const reading *r) {
    pith_status status = read_table(r, members->sizes, r->config);
    if (status == PITH_OK) {
        status = read_table(r, members->encoder, r->config);
    }
    if (status == PITH_OK) {
        status = read_word(r, &members->pooling, r->config);
    }
    pith_config_set_encoder_heads(r->config);
    if (status == PITH_OK) {
        status = read_present(r, members->encoder_optional);
    }
    if (status == PITH_OK) {
        status = read_dense(r);
    }
    return status == PITH_OK ? read_encoder_kinds(r) : status;
}

pith_status pith_config_read(pith_config *out, pith_role role, pith_json object, const char *where,
                             pith_error *error) {
    pith_config config = pith_config_recipe(role);
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
