/* config.json and generation_config.json: the family, its hyper-parameters and the special tokens.
 */
#include "convert/hf_config.h"

#include "base/status.h"
#include "convert/hf_quantised.h"
#include "families/hf_json.h"

static const char config_name[] = "config.json";
static const char generation_name[] = "generation_config.json";

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

/* generation_config.json goes before config.json, and that before the class's defaults. A key that
 * is null in config.json means that there is none. */
static pith_status read_special_ids(pith_json config, pith_json generation, pith_hf_config *out,
                                    pith_error *error) {
    const pith_family *family = out->family;
    size_t vocab_size = out->config.vocab_size;
    pith_json bos = pith_hf_json_get(generation, "bos_token_id");
    pith_json eos = pith_hf_json_get(generation, "eos_token_id");
    const char *bos_name = bos.at != NULL ? generation_name : config_name;
    const char *eos_name = eos.at != NULL ? generation_name : config_name;
    pith_status status = PITH_OK;
    bos = bos.at != NULL ? bos : pith_json_get(config, "bos_token_id");
    eos = eos.at != NULL ? eos : pith_json_get(config, "eos_token_id");
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

static pith_status read_config(pith_json config, pith_json generation, pith_hf_config *out,
                               pith_error *error) {
    /* The family goes first: other weights of one that is not supported would not help. */
    pith_status status = pith_family_recognise(&out->family, config, error);
    if (status == PITH_OK) {
        status = pith_hf_refuse_quantised(config, error);
    }
    if (status == PITH_OK) {
        status = pith_family_read(out->family, &out->config, config, error);
    }
    out->bos = -1;
    if (status != PITH_OK || out->family->role == PITH_ENCODER) {
        return status;
    }
    return read_special_ids(config, generation, out, error);
}

pith_status pith_hf_config_parse(pith_hf_config *out, char *config, size_t config_size,
                                 char *generation, size_t generation_size,
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
        status = read_config(config_json, generation_json, &parsed, error);
    }
    if (status == PITH_OK) {
        *out = parsed;
    }
    return status;
}
