/* Hyper-parameters from config.json, with the defaults of transformers' configuration classes. */
#include "convert/hf_config.h"

#include "base/status.h"
#include "convert/hf_bert.h"
#include "convert/hf_quantised.h"
#include "families/hf_json.h"
#include "families/hf_rope.h"

#include <math.h>
#include <string.h>

static const char config_name[] = "config.json";
static const char generation_name[] = "generation_config.json";

/* An architecture with what its configuration class assumes for absent keys. Common to all:
 * rms_norm_eps 1e-6, rope_theta 10000, an untied head, no biases. */
typedef struct family {
    const char *architecture;
    const char *model_type;
    size_t vocab_size, intermediate_size, num_key_value_heads, max_position_embeddings;
    int32_t bos, eos;
} family;

enum { LLAMA, MISTRAL, QWEN2, N_FAMILIES };

static const family families[N_FAMILIES] = {
    [LLAMA] = {"LlamaForCausalLM", "llama", 32000, 11008, 0, 2048, 1, 2},
    [MISTRAL] = {"MistralForCausalLM", "mistral", 32000, 14336, 8, 131072, 1, 2},
    [QWEN2] = {"Qwen2ForCausalLM", "qwen2", 151936, 22016, 32, 32768, -1, -1},
};

/* ---- What the model is ----------------------------------------------------------------------- */

static pith_status find_family(pith_json config, const family **out, pith_error *error) {
    pith_json list = pith_hf_json_get(config, "architectures");
    pith_json type = pith_hf_json_get(config, "model_type");
    const char *architecture = pith_hf_json_text(pith_json_at(list, 0));
    const char *model_type = pith_hf_json_text(type);
    if (type.at != NULL && model_type == NULL) {
        return pith_hf_json_fail(config_name, "model_type", "a string", type, error);
    }
    if (list.at == NULL && type.at == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: neither architectures nor model_type",
                         config_name);
    }
    if (list.at != NULL && architecture == NULL) {
        return pith_hf_json_fail(config_name, "architectures", "an array of strings", list, error);
    }
    for (size_t i = 0; i < N_FAMILIES; i++) {
        const family *f = &families[i];
        if ((architecture == NULL || strcmp(architecture, f->architecture) == 0) &&
            (model_type == NULL || strcmp(model_type, f->model_type) == 0)) {
            *out = f;
            return PITH_OK;
        }
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.100s with model_type %.100s is not supported; supported "
                     "are LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and BertModel",
                     config_name, architecture != NULL ? architecture : "(none)",
                     model_type != NULL ? model_type : "(none)");
}

/* Keys that change what the network computes, in a way pith does not follow. */
static pith_status refuse_unknown_parts(pith_json config, pith_error *error) {
    pith_json activation = pith_hf_json_get(config, "hidden_act");
    const char *name = pith_hf_json_text(activation);
    if (activation.at != NULL && name == NULL) {
        return pith_hf_json_fail(config_name, "hidden_act", "a string", activation, error);
    }
    if (name != NULL && strcmp(name, "silu") != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: hidden_act \"%.60s\" is not supported, only \"silu\"", config_name,
                         name);
    }
    return PITH_OK;
}

/* ---- Sizes ----------------------------------------------------------------------------------- */

static pith_status read_sizes(pith_json config, const family *f, pith_config *out,
                              pith_error *error) {
    const struct {
        const char *key;
        size_t *value;
        size_t otherwise;
    } counts[] = {
        {"vocab_size", &out->vocab_size, f->vocab_size},
        {"hidden_size", &out->hidden_size, 4096},
        {"intermediate_size", &out->intermediate_size, f->intermediate_size},
        {"num_hidden_layers", &out->num_hidden_layers, 32},
        {"num_attention_heads", &out->num_attention_heads, 32},
        {"max_position_embeddings", &out->max_position_embeddings, f->max_position_embeddings},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        *counts[i].value = counts[i].otherwise;
        pith_status status =
            pith_hf_json_count(config, counts[i].key, config_name, counts[i].value, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* num_key_value_heads and head_dim follow from others when they are null. */
static pith_status read_head_sizes(pith_json config, const family *f, pith_config *out,
                                   pith_error *error) {
    pith_json kv_heads = pith_json_get(config, "num_key_value_heads");
    out->num_key_value_heads = f->num_key_value_heads;
    if (pith_json_is(kv_heads, PITH_JSON_NULL) ||
        (kv_heads.at == NULL && f->num_key_value_heads == 0)) {
        out->num_key_value_heads = out->num_attention_heads;
    } else {
        pith_status status = pith_hf_json_count(config, "num_key_value_heads", config_name,
                                                &out->num_key_value_heads, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    if (pith_hf_json_get(config, "head_dim").at != NULL) {
        return pith_hf_json_count(config, "head_dim", config_name, &out->head_dim, error);
    }
    if (out->num_attention_heads == 0 || out->hidden_size % out->num_attention_heads != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: hidden_size %zu is no multiple of num_attention_heads %zu, and there "
                         "is no head_dim",
                         config_name, out->hidden_size, out->num_attention_heads);
    }
    out->head_dim = out->hidden_size / out->num_attention_heads;
    return PITH_OK;
}

static pith_status read_numbers(pith_json config, const family *f, pith_config *out,
                                pith_error *error) {
    double epsilon = 1e-6;
    out->kinds[0].rope.theta = 10000.0;
    pith_status status = pith_hf_json_number(config, "rms_norm_eps", config_name, &epsilon, error);
    if (status == PITH_OK) {
        status = pith_hf_json_number(config, "rope_theta", config_name, &out->kinds[0].rope.theta,
                                     error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_flag(config, "tie_word_embeddings", config_name,
                                   &out->tie_word_embeddings, error);
    }
    if (status == PITH_OK && f == &families[LLAMA]) {
        status = pith_hf_json_flag(config, "attention_bias", config_name, &out->qkv_bias, error);
        out->o_bias = out->qkv_bias;
        if (status == PITH_OK) {
            status = pith_hf_json_flag(config, "mlp_bias", config_name, &out->mlp_bias, error);
        }
    }
    if (f == &families[QWEN2]) {
        out->qkv_bias = true;
    }
    /* Beyond the range of float the cast below would be undefined. */
    out->norm_eps = fabs(epsilon) < 1e30 ? (float)epsilon : INFINITY;
    return status;
}

/* ---- Sliding window -------------------------------------------------------------------------- */

/* What layer_types, where there is one, says of all layers. */
typedef enum attention { UNSAID, FULL, SLIDING } attention;

static pith_status read_layer_types(pith_json config, size_t n_layers, attention *out,
                                    pith_error *error) {
    pith_json list = pith_hf_json_get(config, "layer_types");
    *out = UNSAID;
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
        attention this = strcmp(type, "full_attention") == 0      ? FULL
                         : strcmp(type, "sliding_attention") == 0 ? SLIDING
                                                                  : UNSAID;
        if (this == UNSAID || (i > 0 && this != *out)) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: layer_types: \"%.60s\" in layer %zu is not supported: all layers "
                             "must have full_attention, or all sliding_attention",
                             config_name, type, i);
        }
        *out = this;
    }
    return PITH_OK;
}

/* Qwen2 has the window only with use_sliding_window, from layer max_window_layers on. */
static pith_status read_qwen2_window(pith_json config, size_t n_layers, attention types, bool *used,
                                     pith_error *error) {
    size_t first = 28;
    *used = false;
    pith_status status = pith_hf_json_flag(config, "use_sliding_window", config_name, used, error);
    if (status == PITH_OK) {
        status = pith_hf_json_count(config, "max_window_layers", config_name, &first, error);
    }
    if (status != PITH_OK || !*used || types != UNSAID) {
        return status;
    }
    if (first > 0 && first < n_layers) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: use_sliding_window with max_window_layers %zu of %zu layers is not "
                         "supported: all layers must have the same window",
                         config_name, first, n_layers);
    }
    *used = first == 0;
    return PITH_OK;
}

static pith_status read_window(pith_json config, const family *f, pith_config *out,
                               pith_error *error) {
    attention types;
    bool used = f == &families[MISTRAL];
    size_t window = 4096;
    pith_status status = read_layer_types(config, out->num_hidden_layers, &types, error);
    if (status == PITH_OK && f == &families[QWEN2]) {
        status = read_qwen2_window(config, out->num_hidden_layers, types, &used, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (f == &families[LLAMA] && types == SLIDING) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: layer_types: sliding_attention is not part of LlamaForCausalLM",
                         config_name);
    }
    if (!used || types == FULL) {
        return PITH_OK;
    }
    if (pith_json_is(pith_json_get(config, "sliding_window"), PITH_JSON_NULL)) {
        return PITH_OK;
    }
    status = pith_hf_json_count(config, "sliding_window", config_name, &window, error);
    if (status == PITH_OK && window == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: sliding_window: expected a positive integer or null, found 0",
                         config_name);
    }
    out->kinds[0].sliding_window = window;
    return status;
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

/* generation_config.json goes before config.json, and that before the class's defaults. A key that
 * is null in config.json means that there is none. */
static pith_status read_special_ids(pith_json config, pith_json generation, const family *f,
                                    pith_hf_config *out, pith_error *error) {
    size_t vocab_size = out->config.vocab_size;
    pith_json bos = pith_hf_json_get(generation, "bos_token_id");
    pith_json eos = pith_hf_json_get(generation, "eos_token_id");
    const char *bos_name = bos.at != NULL ? generation_name : config_name;
    const char *eos_name = eos.at != NULL ? generation_name : config_name;
    pith_status status = PITH_OK;
    bos = bos.at != NULL ? bos : pith_json_get(config, "bos_token_id");
    eos = eos.at != NULL ? eos : pith_json_get(config, "eos_token_id");
    out->bos = -1;
    if (bos.at == NULL && f->bos >= 0 && (size_t)f->bos < vocab_size) {
        out->bos = f->bos;
    } else if (!pith_json_is_none(bos)) {
        status = read_bos(bos, bos_name, out, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (eos.at == NULL && f->eos >= 0 && (size_t)f->eos < vocab_size) {
        out->eos[0] = f->eos;
        out->n_eos = 1;
    } else if (!pith_json_is_none(eos)) {
        status = read_eos(eos, eos_name, out, error);
    }
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static pith_status read_config(pith_json config, pith_json generation, pith_hf_config *out,
                               pith_error *error) {
    const family *f = NULL;
    /* The family goes first: other weights of one that is not supported would not help. */
    if (pith_hf_is_bert(config)) {
        out->architecture = PITH_ARCHITECTURE_BERT;
        out->bos = -1;
        pith_status bert = pith_hf_bert_config(&out->config, config, error);
        return bert == PITH_OK ? pith_hf_refuse_quantised(config, error) : bert;
    }
    pith_status status = find_family(config, &f, error);
    if (status == PITH_OK) {
        status = pith_hf_refuse_quantised(config, error);
    }
    if (status == PITH_OK) {
        status = refuse_unknown_parts(config, error);
    }
    out->config = (pith_config){PITH_DECODER_RECIPE};
    if (status == PITH_OK) {
        status = read_sizes(config, f, &out->config, error);
    }
    if (status == PITH_OK) {
        status = read_head_sizes(config, f, &out->config, error);
    }
    if (status == PITH_OK) {
        status = read_numbers(config, f, &out->config, error);
    }
    if (status == PITH_OK) {
        status = read_window(config, f, &out->config, error);
    }
    out->config.kinds[0].rope.dims = out->config.head_dim;
    if (status == PITH_OK) {
        status = pith_hf_rope_read(config, out->config.max_position_embeddings,
                                   &out->config.kinds[0].rope, error);
    }
    if (status == PITH_OK) {
        status = pith_config_check(&out->config, config_name, error);
    }
    return status == PITH_OK ? read_special_ids(config, generation, f, out, error) : status;
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
