/* config.json and generation_config.json: the family, its hyper-parameters and the special tokens.
 */
#include "convert/hf_config.h"

#include "base/status.h"
#include "convert/convert.h"
#include "convert/hf_quantised.h"
#include "families/hf_json.h"

#include <string.h>

static const char config_name[] = "config.json";
static const char generation_name[] = "generation_config.json";

/* ---- Models of texts and images -------------------------------------------------------------- */

/* Classes whose language model is that of a family, and the model_type that it may have; the first
 * one where it has none. */
static const struct wrapper {
    const char *class, *type;
    const char *texts[2];
} wrappers[] = {
    {"Gemma3ForConditionalGeneration", "gemma3", {"gemma3_text", NULL}},
    {"Mistral3ForConditionalGeneration", "mistral3", {"mistral", "ministral3"}},
};

static const struct wrapper *find_wrapper(pith_json config) {
    const char *class = pith_hf_json_text(pith_json_at(pith_json_get(config, "architectures"), 0));
    const char *type = pith_hf_json_text(pith_json_get(config, "model_type"));
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        if (class != NULL ? strcmp(class, wrappers[i].class) == 0
                          : type != NULL && strcmp(type, wrappers[i].type) == 0) {
            return &wrappers[i];
        }
    }
    return NULL;
}

/* Finds the configuration of the text part, and its family. */
static pith_status open_wrapper(const struct wrapper *wrapper, pith_json config, pith_json *text,
                                const pith_family **family, pith_error *error) {
    *text = pith_json_get(config, "text_config");
    if (!pith_json_is(*text, PITH_JSON_OBJECT)) {
        return pith_hf_json_fail(config_name, "text_config", "an object", *text, error);
    }
    pith_json type = pith_hf_json_get(*text, "model_type");
    const char *name = type.at == NULL ? wrapper->texts[0] : pith_hf_json_text(type);
    for (size_t i = 0; i < 2 && name != NULL; i++) {
        if (wrapper->texts[i] != NULL && strcmp(name, wrapper->texts[i]) == 0) {
            *family = pith_family_find(name);
            return PITH_OK;
        }
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: text_config of model_type %.60s is not supported in %s", config_name,
                     name != NULL ? name : "(no string)", wrapper->class);
}

/* The text part need not say whether its head is tied: the class of the whole has true. */
static pith_status read_tied(pith_json config, pith_json text, pith_config *out,
                             pith_error *error) {
    static const char key[] = "tie_word_embeddings";
    if (pith_json_get(text, key).at != NULL) {
        return PITH_OK;
    }
    out->tie_word_embeddings = true;
    return pith_hf_json_flag(config, key, config_name, &out->tie_word_embeddings, error);
}

/* ---- Special tokens -------------------------------------------------------------------------- */

/* Reads a token id; -1 when no token can have it, as -1 itself and ids beyond the vocabulary are
 * used for "none". transformers compares such an id with every token and finds it equal to none. */
static pith_status read_id(pith_json value, const char *where, const char *key, size_t vocab_size,
                           int32_t *out, pith_error *error) {
    size_t id;
    if (!pith_json_is_integer(value)) {
        return pith_hf_json_fail(where, key, "a token id", value, error);
    }
    *out = pith_json_count(value, &id) && id < vocab_size ? (int32_t)id : -1;
    return PITH_OK;
}

/* An id, or a list with at most one. */
static pith_status read_bos(pith_json value, const char *where, pith_hf_config *out,
                            pith_error *error) {
    size_t n = pith_json_is(value, PITH_JSON_ARRAY) ? pith_json_size(value) : 1;
    if (n > 1) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: bos_token_id: a list of %zu ids is not supported, only of one", where,
                         n);
    }
    if (n == 0) {
        return PITH_OK;
    }
    pith_json id = pith_json_is(value, PITH_JSON_ARRAY) ? pith_json_at(value, 0) : value;
    return read_id(id, where, "bos_token_id", out->config.vocab_size, &out->bos, error);
}

static pith_status add_eos(pith_json value, const char *where, pith_hf_config *out,
                           pith_error *error) {
    int32_t id = -1;
    pith_status status = read_id(value, where, "eos_token_id", out->config.vocab_size, &id, error);
    if (status != PITH_OK || id < 0) {
        return status;
    }
    if (out->n_eos == PITH_MAX_EOS) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: eos_token_id: more ids than the limit of %d", where, PITH_MAX_EOS);
    }
    out->eos[out->n_eos++] = id;
    return PITH_OK;
}

/* An id, or a list of ids. */
static pith_status read_eos(pith_json value, const char *where, pith_hf_config *out,
                            pith_error *error) {
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return add_eos(value, where, out, error);
    }
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(value);
    while (status == PITH_OK && pith_json_next(&walk)) {
        status = add_eos(walk.value, where, out, error);
    }
    return status;
}

static pith_json get_either(pith_json first, pith_json second, const char *key) {
    pith_json found = pith_json_get(first, key);
    return found.at != NULL ? found : pith_json_get(second, key);
}

/* generation_config.json takes precedence over config.json, that over its text part, and that over
 * the class's defaults. A key that is null in config.json means that there is none. */
static pith_status read_special_ids(pith_json config, pith_json text, pith_json generation,
                                    pith_hf_config *out, pith_error *error) {
    const pith_family *family = out->family;
    size_t vocab_size = out->config.vocab_size;
    pith_json bos = pith_hf_json_get(generation, "bos_token_id");
    pith_json eos = pith_hf_json_get(generation, "eos_token_id");
    const char *bos_name = bos.at != NULL ? generation_name : config_name;
    const char *eos_name = eos.at != NULL ? generation_name : config_name;
    pith_status status = PITH_OK;
    bos = bos.at != NULL ? bos : get_either(config, text, "bos_token_id");
    eos = eos.at != NULL ? eos : get_either(config, text, "eos_token_id");
    out->bos = -1;
    if (bos.at == NULL && family->bos >= 0 && (size_t)family->bos < vocab_size) {
        out->bos = family->bos;
    } else if (!pith_json_is_none(bos)) {
        status = read_bos(bos, bos_name, out, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (eos.at == NULL) {
        const int32_t ends[] = {family->eos, family->more_eos[0], family->more_eos[1]};
        for (size_t i = 0; i < 3; i++) {
            if (ends[i] >= (i > 0) && (size_t)ends[i] < vocab_size) {
                out->eos[out->n_eos++] = ends[i];
            }
        }
    } else if (!pith_json_is_none(eos)) {
        status = read_eos(eos, eos_name, out, error);
    }
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static pith_status read_config(pith_json config, pith_json generation, bool embeds,
                               pith_hf_config *out, pith_error *error) {
    const struct wrapper *wrapper = find_wrapper(config);
    pith_json text = config;
    /* The family is checked first: for one that is not supported, other weights would not help. */
    pith_status status = wrapper != NULL
                             ? open_wrapper(wrapper, config, &text, &out->family, error)
                             : pith_family_recognise(&out->family, config, embeds, error);
    out->wrapped = wrapper != NULL;
    if (status == PITH_OK) {
        status = pith_hf_refuse_quantised(config, out->family, error);
    }
    if (status == PITH_OK) {
        status = pith_family_read(out->family, &out->config, text, error);
    }
    if (status == PITH_OK && wrapper != NULL) {
        status = read_tied(config, text, &out->config, error);
    }
    out->bos = -1;
    if (status != PITH_OK || out->family->role == PITH_ENCODER) {
        return status;
    }
    return read_special_ids(config, text, generation, out, error);
}

pith_status pith_hf_config_parse(pith_hf_config *out, char *config, size_t config_size,
                                 char *generation, size_t generation_size, bool embeds,
                                 const pith_allocator *allocator, pith_error *error) {
    pith_json config_json;
    pith_json generation_json = {NULL};
    pith_hf_config parsed = {0};
    pith_status status =
        pith_hf_json_object(&config_json, config, config_size, config_name, allocator, error);
    if (status == PITH_OK && generation != NULL) {
        status = pith_hf_json_object(&generation_json, generation, generation_size, generation_name,
                                     allocator, error);
    }
    if (status == PITH_OK) {
        status = read_config(config_json, generation_json, embeds, &parsed, error);
    }
    if (status == PITH_OK) {
        *out = parsed;
    }
    return status;
}

bool pith_convert_names_encoder(const char *model_type, const char *class_name) {
    const pith_family *family = pith_family_named(model_type, class_name);
    return family != NULL && family->role == PITH_ENCODER;
}
