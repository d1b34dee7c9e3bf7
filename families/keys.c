/* Reading the keys of a config.json by a table, and the kinds of layers. */
#include "families/keys.h"

#include "base/status.h"

#include <math.h>
#include <string.h>

static const char config_name[] = "config.json";

/* Puts a number into a field; a double beyond the range of float becomes infinite, which the check
 * of the configuration refuses. */
static void set_field(const pith_key *key, double value, char *at) {
    switch (key->kind) {
    case PITH_FIELD_COUNT:
        memcpy(at, &(size_t){value < 0 ? SIZE_MAX : (size_t)value}, sizeof(size_t));
        break;
    case PITH_FIELD_FLAG:
        memcpy(at, &(bool){value != 0}, sizeof(bool));
        break;
    case PITH_FIELD_FLOAT:
        memcpy(at, &(float){fabs(value) < 1e30 ? (float)value : INFINITY}, sizeof(float));
        break;
    case PITH_FIELD_DOUBLE:
        memcpy(at, &value, sizeof value);
        break;
    case PITH_FIELD_ID:
        break; /* the ids of special tokens are no part of a configuration */
    }
}

static pith_status read_key(const pith_key *key, pith_config *out, pith_json json,
                            pith_error *error) {
    pith_json found = pith_json_get(json, key->key);
    double value = key->otherwise;
    size_t count = 0;
    bool flag = false;
    pith_status status = PITH_OK;
    if (pith_json_is(found, PITH_JSON_NULL) && key->null != PITH_REFUSED) {
        value = key->null;
    } else if (found.at == NULL) {
        value = key->otherwise;
    } else if (key->kind == PITH_FIELD_COUNT) {
        status = pith_hf_json_count(json, key->key, config_name, &count, error);
        value = (double)count;
    } else if (key->kind == PITH_FIELD_FLAG) {
        status = pith_hf_json_flag(json, key->key, config_name, &flag, error);
        value = flag;
    } else {
        status = pith_hf_json_number(json, key->key, config_name, &value, error);
    }
    if (status == PITH_OK) {
        set_field(key, value, (char *)out + key->offset);
    }
    return status;
}

pith_status pith_keys_read(const pith_key *keys, size_t n_keys, pith_config *out, pith_json json,
                           pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; i < n_keys && status == PITH_OK; i++) {
        status = read_key(&keys[i], out, json, error);
    }
    return status;
}

pith_status pith_torch_activation_read(pith_dense_activation *out, pith_json value,
                                       const char *where, const char *key, pith_error *error) {
    static const struct {
        const char *name; /* behind "torch.nn.modules." */
        pith_dense_activation activation;
    } known[] = {
        {"linear.Identity", PITH_DENSE_IDENTITY},   {"activation.Tanh", PITH_DENSE_TANH},
        {"activation.Sigmoid", PITH_DENSE_SIGMOID}, {"activation.ReLU", PITH_DENSE_RELU},
        {"activation.GELU", PITH_DENSE_GELU},
    };
    static const char module[] = "torch.nn.modules.";
    const char *text = pith_hf_json_text(value);
    if (pith_json_is_none(value)) {
        return PITH_OK;
    }
    if (text == NULL) {
        return pith_hf_json_fail(where, key, "a string", value, error);
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strncmp(text, module, sizeof module - 1) == 0 &&
            strcmp(text + sizeof module - 1, known[i].name) == 0) {
            *out = known[i].activation;
            return PITH_OK;
        }
    }
    return pith_fail(
        error, PITH_ERROR_UNSUPPORTED,
        "%s: %s %.80s is not supported, only Identity, Tanh, Sigmoid, ReLU and GELU of "
        "torch.nn.modules",
        where, key, text);
}

pith_status pith_numbers_require(pith_json json, const pith_number_key *keys, size_t n,
                                 pith_error *error) {
    for (size_t i = 0; i < n; i++) {
        double number = keys[i].otherwise;
        bool flag;
        pith_json value = pith_json_get(json, keys[i].key);
        if (pith_json_bool(value, &flag)) {
            number = flag;
        } else {
            pith_status status =
                pith_json_is_none(value)
                    ? PITH_OK
                    : pith_hf_json_number(json, keys[i].key, config_name, &number, error);
            if (status != PITH_OK) {
                return status;
            }
        }
        if (number != keys[i].value) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %s %g%s is not supported, only %g",
                             config_name, keys[i].key, number,
                             pith_json_is_none(value) ? " (where it is not said)" : "",
                             keys[i].value);
        }
    }
    return PITH_OK;
}

pith_status pith_gelu_or_silu_read(pith_config *config, pith_json json, pith_error *error) {
    static const char key[] = "hidden_activation";
    const char *text = pith_hf_json_text(pith_json_get(json, key));
    bool silu = text != NULL && strcmp(text, "silu") == 0;
    config->activation = silu ? PITH_SILU : PITH_GELU;
    return silu ? PITH_OK : pith_key_require(json, key, "gelu", error);
}

pith_status pith_types_check(const pith_config *config, pith_error *error) {
    return config->type_vocab_size != 0
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_FORMAT, "%s: type_vocab_size is 0", config_name);
}

static pith_status refuse_flag(pith_json json, const char *key, pith_error *error) {
    bool set = false;
    pith_status status = pith_hf_json_flag(json, key, config_name, &set, error);
    return set ? pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %s true is not supported",
                           config_name, key)
               : status;
}

pith_status pith_key_require(pith_json json, const char *key, const char *value,
                             pith_error *error) {
    pith_json found = pith_hf_json_get(json, key);
    const char *text = pith_hf_json_text(found);
    if (found.at == NULL) {
        return PITH_OK;
    }
    if (value == NULL) {
        return refuse_flag(json, key, error);
    }
    if (text == NULL) {
        return pith_hf_json_fail(config_name, key, "a string", found, error);
    }
    if (strcmp(text, value) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: %s \"%.60s\" is not supported, only \"%s\"", config_name, key, text,
                         value);
    }
    return PITH_OK;
}

/* ---- Layers that differ ---------------------------------------------------------------------- */

pith_status pith_layer_types_read(pith_json json, size_t n_layers, bool *given, bool *sliding,
                                  pith_error *error) {
    pith_json list = pith_hf_json_get(json, "layer_types");
    *given = list.at != NULL;
    if (list.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_is(list, PITH_JSON_ARRAY) || pith_json_size(list) != n_layers) {
        return pith_hf_json_fail(config_name, "layer_types", "one string for each layer", list,
                                 error);
    }
    pith_json_walk walk = pith_json_begin(list);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        const char *type = pith_hf_json_text(walk.value);
        if (type == NULL) {
            return pith_hf_json_fail(config_name, "layer_types", "an array of strings", list,
                                     error);
        }
        sliding[i] = strcmp(type, "sliding_attention") == 0;
        if (!sliding[i] && strcmp(type, "full_attention") != 0) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: layer_types: \"%.60s\" in layer %zu is not supported, only "
                             "full_attention and sliding_attention",
                             config_name, type, i);
        }
    }
    return PITH_OK;
}

pith_status pith_window_read(pith_json json, size_t otherwise, size_t *out, pith_error *error) {
    size_t window = otherwise;
    if (pith_json_is(pith_json_get(json, "sliding_window"), PITH_JSON_NULL)) {
        *out = 0;
        return PITH_OK;
    }
    pith_status status = pith_hf_json_count(json, "sliding_window", config_name, &window, error);
    if (status == PITH_OK && window == 0 && otherwise != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: sliding_window: expected a positive integer or null, found 0",
                         config_name);
    }
    *out = window;
    return status;
}

pith_status pith_upper_windows_read(pith_config *config, pith_json json, pith_error *error) {
    bool sliding[PITH_MAX_LAYERS] = {false};
    bool used = false;
    bool given = false;
    size_t first = 28;
    size_t window = 0;
    pith_status status =
        pith_layer_types_read(json, config->num_hidden_layers, &given, sliding, error);
    if (status == PITH_OK) {
        status = pith_hf_json_flag(json, "use_sliding_window", config_name, &used, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_count(json, "max_window_layers", config_name, &first, error);
    }
    if (status == PITH_OK && used) {
        status = pith_window_read(json, 4096, &window, error);
    }
    if (status == PITH_OK && window != 0) {
        for (size_t i = first; !given && i < config->num_hidden_layers; i++) {
            sliding[i] = true;
        }
        pith_config_set_windows(config, sliding, window);
    }
    return status;
}

pith_status pith_alternate_windows_read(pith_config *config, pith_json json, size_t otherwise,
                                        pith_error *error) {
    bool sliding[PITH_MAX_LAYERS];
    bool given;
    size_t window = 0;
    for (size_t i = 0; i < config->num_hidden_layers; i++) {
        sliding[i] = i % 2 == 0;
    }
    pith_status status =
        pith_layer_types_read(json, config->num_hidden_layers, &given, sliding, error);
    if (status == PITH_OK) {
        status = pith_window_read(json, otherwise, &window, error);
    }
    if (status == PITH_OK) {
        pith_config_set_windows(config, sliding, window);
    }
    return status;
}

static bool same_rope(const pith_rope_config *a, const pith_rope_config *b) {
    return a->dims == b->dims && a->theta == b->theta && a->scaling == b->scaling &&
           a->factor == b->factor && a->low_freq_factor == b->low_freq_factor &&
           a->high_freq_factor == b->high_freq_factor &&
           a->original_context == b->original_context &&
           a->attention_factor == b->attention_factor && a->beta_fast == b->beta_fast &&
           a->beta_slow == b->beta_slow && a->truncate == b->truncate &&
           a->query_beta == b->query_beta;
}

bool pith_config_set_kind(pith_config *config, size_t layer, const pith_layer_kind *kind) {
    size_t n = layer == 0 ? 0 : config->n_kinds;
    size_t i = 0;
    while (i < n && (config->kinds[i].sliding_window != kind->sliding_window ||
                     !same_rope(&config->kinds[i].rope, &kind->rope))) {
        i++;
    }
    if (i == PITH_MAX_LAYER_KINDS) {
        return false;
    }
    if (i == n) {
        config->kinds[i] = *kind;
        config->n_kinds = n + 1;
    }
    config->kind_of[layer] = (uint8_t)i;
    return true;
}

void pith_config_set_windows(pith_config *config, const bool *sliding, size_t window) {
    pith_layer_kind full = config->kinds[0];
    pith_layer_kind local = full;
    full.sliding_window = 0;
    local.sliding_window = window;
    for (size_t i = 0; i < config->num_hidden_layers; i++) {
        pith_config_set_kind(config, i, sliding[i] ? &local : &full);
    }
}
