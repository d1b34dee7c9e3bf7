/* Rotary scalings of config.json: none, linear, llama3, yarn, longrope and dynamic. */
#include "families/hf_rope.h"

#include "base/status.h"
#include "families/hf_json.h"

#include <math.h>
#include <string.h>

static const char config_name[] = "config.json";
static const char original_key[] = "original_max_position_embeddings";

static const struct {
    const char *name;
    pith_rope_scaling scaling;
} types[] = {
    {"default", PITH_ROPE_NONE}, {"linear", PITH_ROPE_LINEAR},   {"llama3", PITH_ROPE_BLEND},
    {"yarn", PITH_ROPE_YARN},    {"dynamic", PITH_ROPE_DYNAMIC}, {"longrope", PITH_ROPE_LONG},
};

/* Reads the share of a head that turns; *dims is all of it. */
static pith_status read_dims(pith_json object, bool partial, size_t head_dim, size_t *dims,
                             pith_error *error) {
    static const char *const keys[] = {"partial_rotary_factor", "rotary_pct"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        double share = 1.0;
        if (pith_hf_json_get(object, keys[i]).at == NULL) {
            continue;
        }
        pith_status status = pith_hf_json_number(object, keys[i], config_name, &share, error);
        if (status != PITH_OK) {
            return status;
        }
        if (share != 1.0 && !partial) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: %s %g is not supported: all of a head must rotate", config_name,
                             keys[i], share);
        }
        if (!(share > 0 && share <= 1)) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %g, not above 0 and at most 1",
                             config_name, keys[i], share);
        }
        *dims = (size_t)((double)head_dim * share);
    }
    return PITH_OK;
}

/* Names that Phi-3's files once had for longrope; in other files they mean something else. */
static bool is_old_longrope(const pith_hf_rope *from, const char *name) {
    return from->original != 0 && (strcmp(name, "su") == 0 || strcmp(name, "yarn") == 0);
}

/* The name under "rope_type" (newer) or "type" (older); both may be there. */
static pith_status find_type(const pith_hf_rope *from, pith_json rope, const char *section,
                             pith_rope_scaling *out, pith_error *error) {
    const pith_json newer = pith_hf_json_get(rope, "rope_type");
    const pith_json older = pith_hf_json_get(rope, "type");
    const char *new_name = pith_hf_json_text(newer);
    const char *old_name = pith_hf_json_text(older);
    if ((newer.at != NULL && new_name == NULL) || (older.at != NULL && old_name == NULL)) {
        return pith_hf_json_fail(config_name, section, "a string as its type or rope_type",
                                 new_name != NULL || newer.at == NULL ? older : newer, error);
    }
    if (new_name != NULL && old_name != NULL && strcmp(new_name, old_name) != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: %s: rope_type \"%.60s\" and type \"%.60s\" contradict each other",
                         config_name, section, new_name, old_name);
    }
    const char *name = new_name != NULL ? new_name : old_name != NULL ? old_name : "default";
    name = is_old_longrope(from, name) ? "longrope" : name;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(name, types[i].name) == 0) {
            *out = types[i].scaling;
            return PITH_OK;
        }
    }
    return pith_fail(
        error, PITH_ERROR_UNSUPPORTED,
        "%s: %s of type \"%.60s\" is not supported, only linear, llama3, yarn, longrope "
        "and, up to the original length, dynamic",
        config_name, section, name);
}

static pith_status require_number(pith_json rope, const char *section, const char *key, double *out,
                                  pith_error *error) {
    if (pith_json_get(rope, key).at == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s: no %s", config_name, section, key);
    }
    return pith_hf_json_number(rope, key, config_name, out, error);
}

/* A number that may be null or absent: *out is left alone then. */
static pith_status read_number(pith_json rope, const char *key, double *out, pith_error *error) {
    return pith_hf_json_get(rope, key).at == NULL
               ? PITH_OK
               : pith_hf_json_number(rope, key, config_name, out, error);
}

/* The length before scaling: beside the section (Phi-3's place for it, which goes first in
 * transformers), in it, or max_position_embeddings. */
static pith_status read_original(const pith_hf_rope *from, pith_json rope, pith_rope_config *out,
                                 pith_error *error) {
    out->original_context = from->original != 0 ? from->original : from->n_positions;
    pith_json object =
        pith_hf_json_get(from->config, original_key).at != NULL ? from->config : rope;
    return pith_hf_json_get(object, original_key).at == NULL
               ? PITH_OK
               : pith_hf_json_count(object, original_key, config_name, &out->original_context,
                                    error);
}

static pith_status read_llama3(const pith_hf_rope *from, pith_json rope, const char *section,
                               pith_rope_config *out, pith_error *error) {
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"factor", &out->factor},
        {"low_freq_factor", &out->low_freq_factor},
        {"high_freq_factor", &out->high_freq_factor},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        pith_status status = require_number(rope, section, numbers[i].key, numbers[i].value, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return read_original(from, rope, out, error);
}

/* YaRN's temperature, Peng et al. 2023, section 3.4: what cos and sin are multiplied by. */
static double yarn_mscale(double factor, double mscale) {
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* 0 stands for null, as in transformers: the defaults hold. */
static pith_status read_yarn_numbers(pith_json rope, pith_rope_config *out, pith_error *error) {
    double mscale = 0;
    double mscale_all_dim = 0;
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"attention_factor", &out->attention_factor},
        {"mscale", &mscale},
        {"mscale_all_dim", &mscale_all_dim},
        {"beta_fast", &out->beta_fast},
        {"beta_slow", &out->beta_slow},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        pith_status status = read_number(rope, numbers[i].key, numbers[i].value, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    out->beta_fast = out->beta_fast == 0 ? 32 : out->beta_fast;
    out->beta_slow = out->beta_slow == 0 ? 1 : out->beta_slow;
    if (pith_hf_json_get(rope, "attention_factor").at == NULL) {
        bool both = mscale != 0 && mscale_all_dim != 0;
        out->attention_factor =
            both ? yarn_mscale(out->factor, mscale) / yarn_mscale(out->factor, mscale_all_dim)
                 : yarn_mscale(out->factor, 1);
    }
    return PITH_OK;
}

static pith_status read_yarn(const pith_hf_rope *from, pith_json rope, const char *section,
                             pith_rope_config *out, pith_error *error) {
    pith_status status = read_original(from, rope, out, error);
    bool null_factor = pith_json_is(pith_json_get(rope, "factor"), PITH_JSON_NULL);
    out->truncate = true;
    if (status == PITH_OK && !null_factor) {
        status = require_number(rope, section, "factor", &out->factor, error);
    } else if (out->original_context != 0) {
        out->factor = (double)from->n_positions / (double)out->original_context;
    }
    if (status == PITH_OK && pith_hf_json_get(rope, "truncate").at != NULL) {
        status = pith_hf_json_flag(rope, "truncate", config_name, &out->truncate, error);
    }
    return status == PITH_OK ? read_yarn_numbers(rope, out, error) : status;
}

/* One of longrope's lists, as floats, in which it is used. */
static pith_status read_list(pith_json rope, const char *section, const char *key, size_t n,
                             float *out, pith_error *error) {
    pith_json list = pith_json_get(rope, key);
    double number;
    if (!pith_json_is(list, PITH_JSON_ARRAY) || pith_json_size(list) != n) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: %s: %s: expected %zu numbers, one for each pair of elements that "
                         "turns, found %s of %zu",
                         config_name, section, key, n, pith_json_describe(list),
                         pith_json_size(list));
    }
    pith_json_walk walk = pith_json_begin(list);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        if (!pith_json_number(walk.value, &number) || !(fabs(number) <= 1e30)) {
            return pith_hf_json_fail(config_name, key, "an array of numbers", walk.value, error);
        }
        out[i] = (float)number;
    }
    return PITH_OK;
}

/* Without an attention_factor it follows from how much longer the context has become: Ding et al.
 * 2024, as Phi-3's report applies it. */
static pith_status read_longrope(const pith_hf_rope *from, pith_json rope, const char *section,
                                 pith_rope_config *out, pith_error *error) {
    if (from->factors == NULL) { /* a model has one pair of lists, of other layers */
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: %s: longrope of %s layers is not supported", config_name, section,
                         from->type);
    }
    if (out->dims > PITH_MAX_HEAD_DIM) { /* the lists have room for no more */
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: %s: longrope of %zu elements of a head, the limit is %d", config_name,
                         section, out->dims, PITH_MAX_HEAD_DIM);
    }
    pith_status status = read_original(from, rope, out, error);
    out->factor = 1;
    if (status == PITH_OK && out->original_context != 0) {
        out->factor = (double)from->n_positions / (double)out->original_context;
        status = read_number(rope, "factor", &out->factor, error);
    }
    out->attention_factor =
        out->factor <= 1 ? 1 : sqrt(1 + log(out->factor) / log((double)out->original_context));
    if (status == PITH_OK) {
        status = read_number(rope, "attention_factor", &out->attention_factor, error);
    }
    if (status == PITH_OK) {
        status = read_list(rope, section, "short_factor", out->dims / 2, from->factors->short_list,
                           error);
    }
    return status == PITH_OK ? read_list(rope, section, "long_factor", out->dims / 2,
                                         from->factors->long_list, error)
                             : status;
}

static bool is_by_type(pith_json section) {
    return pith_json_is(pith_json_get(section, "full_attention"), PITH_JSON_OBJECT) ||
           pith_json_is(pith_json_get(section, "sliding_attention"), PITH_JSON_OBJECT);
}

/* Finds the object of the type of layer that is asked for; *rope.at is NULL when there is none. */
static pith_status find_section(const pith_hf_rope *from, const char *section, pith_json *rope,
                                pith_error *error) {
    *rope = pith_hf_json_get(from->config, section);
    if (rope->at != NULL && !pith_json_is(*rope, PITH_JSON_OBJECT)) {
        return pith_hf_json_fail(config_name, section, "an object or null", *rope, error);
    }
    bool by_type = is_by_type(*rope);
    if (by_type && from->type == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %s by type of layer is not supported",
                         config_name, section);
    }
    if (by_type) {
        *rope = pith_hf_json_get(*rope, from->type);
    } else if (from->type != NULL && strcmp(from->type, "full_attention") != 0) {
        rope->at = NULL;
    }
    return PITH_OK;
}

static pith_status read_scaling(const pith_hf_rope *from, pith_json rope, const char *section,
                                pith_rope_config *out, pith_error *error) {
    switch (out->scaling) {
    case PITH_ROPE_NONE:
        break;
    case PITH_ROPE_LINEAR:
    case PITH_ROPE_DYNAMIC:
        return require_number(rope, section, "factor", &out->factor, error);
    case PITH_ROPE_BLEND:
        return read_llama3(from, rope, section, out, error);
    case PITH_ROPE_YARN:
        return read_yarn(from, rope, section, out, error);
    case PITH_ROPE_LONG:
        return read_longrope(from, rope, section, out, error);
    }
    return PITH_OK;
}

/* Newer configurations hold all of it, theta too, in rope_parameters. */
pith_status pith_hf_rope_read(const pith_hf_rope *from, pith_rope_config *out, pith_error *error) {
    const char *section = pith_hf_json_get(from->config, "rope_parameters").at != NULL
                              ? "rope_parameters"
                              : "rope_scaling";
    pith_json rope = {NULL};
    out->dims = from->share != 0 ? (size_t)((double)from->head_dim * from->share) : from->head_dim;
    pith_status status = read_dims(from->config, from->partial, from->head_dim, &out->dims, error);
    if (status == PITH_OK) {
        status = find_section(from, section, &rope, error);
    }
    if (status != PITH_OK || rope.at == NULL) {
        return status;
    }
    status = find_type(from, rope, section, &out->scaling, error);
    if (status == PITH_OK) {
        status = read_dims(rope, from->partial, from->head_dim, &out->dims, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_number(rope, "rope_theta", config_name, &out->theta, error);
    }
    return status == PITH_OK ? read_scaling(from, rope, section, out, error) : status;
}
