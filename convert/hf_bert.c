/* BERT's hyper-parameters with the defaults of transformers' BertConfig, and the modules with those
 * of sentence-transformers. */
#include "convert/hf_bert.h"

#include "convert/hf_json.h"

#include <math.h>
#include <string.h>

enum { MAX_TEXT = 16 << 20 };

static const char config_name[] = "config.json";
static const char modules_name[] = "modules.json";
static const char sentence_name[] = "sentence_bert_config.json";
static const char tokenizer_name[] = "tokenizer_config.json";

/* ---- config.json ----------------------------------------------------------------------------- */

bool pith_hf_is_bert(pith_json config) {
    const char *type = pith_hf_json_text(pith_json_get(config, "model_type"));
    pith_json list = pith_json_get(config, "architectures");
    const char *architecture = pith_hf_json_text(pith_json_at(list, 0));
    if (type != NULL) {
        return strcmp(type, "bert") == 0;
    }
    return architecture != NULL && strncmp(architecture, "Bert", 4) == 0;
}

/* Heads for other tasks sit on other things than the last hidden state. */
static pith_status check_architecture(pith_json config, pith_error *error) {
    static const char *const names[] = {"BertModel", "BertForMaskedLM", "BertForPreTraining"};
    pith_json list = pith_hf_json_get(config, "architectures");
    if (list.at == NULL) {
        return PITH_OK;
    }
    const char *name = pith_hf_json_text(pith_json_at(list, 0));
    if (name == NULL) {
        return pith_hf_json_fail(config_name, "architectures", "an array of strings", list, error);
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return PITH_OK;
        }
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: architecture %.100s is not supported; supported of BERT are BertModel, "
                     "BertForMaskedLM and BertForPreTraining",
                     config_name, name);
}

/* A key that must be absent or have one value. */
static pith_status require_text(pith_json config, const char *key, const char *value,
                                pith_error *error) {
    pith_json found = pith_hf_json_get(config, key);
    const char *text = pith_hf_json_text(found);
    if (found.at == NULL) {
        return PITH_OK;
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

/* True for an object with members. */
static bool is_filled(pith_json value) {
    return pith_json_is(value, PITH_JSON_OBJECT) && pith_json_size(value) > 0;
}

static pith_status refuse_other_parts(pith_json config, pith_error *error) {
    static const char *const flags[] = {"is_decoder", "add_cross_attention", "is_encoder_decoder"};
    pith_status status = require_text(config, "hidden_act", "gelu", error);
    if (status == PITH_OK) {
        status = require_text(config, "position_embedding_type", "absolute", error);
    }
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && status == PITH_OK; i++) {
        bool set = false;
        status = pith_hf_json_flag(config, flags[i], config_name, &set, error);
        if (set) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: %s is not supported, only BERT as an encoder", config_name,
                             flags[i]);
        }
    }
    if (status == PITH_OK && is_filled(pith_json_get(config, "pruned_heads"))) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: pruned_heads is not supported",
                         config_name);
    }
    return status;
}

static pith_status read_shape(pith_bert_config *out, pith_json config, pith_error *error) {
    double epsilon = 1e-12;
    *out = (pith_bert_config){
        .vocab_size = 30522,
        .hidden_size = 768,
        .intermediate_size = 3072,
        .num_hidden_layers = 12,
        .num_attention_heads = 12,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .pooling = PITH_POOLING_MEAN,
    };
    const struct {
        const char *key;
        size_t *value;
    } counts[] = {
        {"vocab_size", &out->vocab_size},
        {"hidden_size", &out->hidden_size},
        {"intermediate_size", &out->intermediate_size},
        {"num_hidden_layers", &out->num_hidden_layers},
        {"num_attention_heads", &out->num_attention_heads},
        {"max_position_embeddings", &out->max_position_embeddings},
        {"type_vocab_size", &out->type_vocab_size},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        pith_status status =
            pith_hf_json_count(config, counts[i].key, config_name, counts[i].value, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    pith_status status =
        pith_hf_json_number(config, "layer_norm_eps", config_name, &epsilon, error);
    /* Beyond the range of float the cast would be undefined. */
    out->layer_norm_eps = fabs(epsilon) < 1e30 ? (float)epsilon : INFINITY;
    out->max_seq_length = out->max_position_embeddings;
    return status;
}

pith_status pith_hf_bert_config(pith_bert_config *out, pith_json config, pith_error *error) {
    pith_bert_config parsed;
    pith_status status = check_architecture(config, error);
    if (status == PITH_OK) {
        status = refuse_other_parts(config, error);
    }
    if (status == PITH_OK) {
        status = read_shape(&parsed, config, error);
    }
    if (status == PITH_OK) {
        status = pith_bert_config_check(&parsed, config_name, error);
    }
    if (status == PITH_OK) {
        *out = parsed;
    }
    return status;
}

pith_bert_config pith_hf_bert_minilm(void) {
    return (pith_bert_config){
        .vocab_size = 30522,
        .hidden_size = 384,
        .intermediate_size = 1536,
        .num_hidden_layers = 6,
        .num_attention_heads = 12,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .layer_norm_eps = 1e-12F,
        .max_seq_length = 512,
        .pooling = PITH_POOLING_MEAN,
    };
}

/* ---- modules.json ---------------------------------------------------------------------------- */

/* A directory inside the checkpoint. */
static bool is_inner_path(const char *path) {
    size_t n = strlen(path);
    return n + 2 <= PITH_HF_MAX_MODULE_PATH && path[0] != '/' && strstr(path, "..") == NULL;
}

/* Transformer, then pooling, then any number of normalisations: 0, 1, 2 in *n_seen. */
static pith_status add_module(pith_hf_modules *out, size_t *n_seen, pith_json module,
                              pith_error *error) {
    static const char *const expected[] = {"Transformer", "Pooling", "Normalize"};
    const char *type = pith_hf_json_text(pith_json_get(module, "type"));
    const char *path = pith_hf_json_text(pith_json_get(module, "path"));
    if (type == NULL || path == NULL || !is_inner_path(path)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: expected modules with a type and a path in the same directory",
                         modules_name);
    }
    const char *dot = strrchr(type, '.');
    if (dot == NULL || strcmp(dot + 1, expected[*n_seen]) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: module %.80s is not supported %s; supported are Transformer, "
                         "Pooling and, optionally, Normalize, in this order",
                         modules_name, type, *n_seen == 0 ? "as the first" : "there");
    }
    if (*n_seen == 1) {
        strcpy(out->pooling, path); /* is_inner_path bounds it */
    }
    out->normalize = *n_seen == 2;
    *n_seen += *n_seen < 2;
    return PITH_OK;
}

pith_status pith_hf_modules_parse(pith_hf_modules *out, char *text, size_t size,
                                  const pith_allocator *allocator, pith_error *error) {
    pith_hf_modules modules = {.normalize = false};
    pith_json list;
    size_t n_seen = 0;
    pith_status status =
        pith_json_read(&list, text, size, PITH_JSON_PYTHON, modules_name, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!pith_json_is(list, PITH_JSON_ARRAY)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: expected an array of modules",
                         modules_name);
    }
    pith_json_walk walk = pith_json_begin(list);
    while (status == PITH_OK && pith_json_next(&walk)) {
        status = add_module(&modules, &n_seen, walk.value, error);
    }
    if (status == PITH_OK && n_seen < 2) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: without the modules Transformer and Pooling there is no embedding "
                           "of a text",
                           modules_name);
    }
    if (status == PITH_OK) {
        *out = modules;
    }
    return status;
}

/* ---- Prompts --------------------------------------------------------------------------------- */

pith_status pith_hf_prompts_check(char *text, size_t size, const char *where,
                                  const pith_allocator *allocator, pith_error *error) {
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_json chosen = pith_hf_json_get(config, "default_prompt_name");
    const char *name = pith_hf_json_text(chosen);
    pith_json prompts = pith_hf_json_get(config, "prompts");
    bool empty = name != NULL && pith_json_is_text(pith_json_get(prompts, name), "");
    if (chosen.at != NULL && !empty) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: default_prompt_name \"%.60s\": a prompt in front of every text is "
                         "not supported",
                         where, name != NULL ? name : "(not a string)");
    }
    if (pith_hf_json_get(config, "truncate_dim").at != NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: truncate_dim, embeddings cut short, is not supported", where);
    }
    return PITH_OK;
}

/* ---- Pooling --------------------------------------------------------------------------------- */

/* The older form: a flag for each mode. */
static pith_status read_flags(pith_json config, const char *where, const char **mode,
                              pith_error *error) {
    static const struct {
        const char *key, *mode;
    } flags[] = {
        {"pooling_mode_cls_token", "cls"},
        {"pooling_mode_max_tokens", "max"},
        {"pooling_mode_mean_tokens", "mean"},
        {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
        {"pooling_mode_weightedmean_tokens", "weightedmean"},
        {"pooling_mode_lasttoken", "lasttoken"},
    };
    *mode = NULL;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool set = strcmp(flags[i].mode, "mean") == 0; /* its default */
        pith_status status = pith_hf_json_flag(config, flags[i].key, where, &set, error);
        if (status != PITH_OK) {
            return status;
        }
        if (set && *mode != NULL) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: pooling by %s and %s at once is not supported", where, *mode,
                             flags[i].mode);
        }
        *mode = set ? flags[i].mode : *mode;
    }
    return PITH_OK;
}

static pith_status read_mode(pith_json config, const char *where, pith_pooling *out,
                             pith_error *error) {
    pith_json named = pith_hf_json_get(config, "pooling_mode");
    const char *mode = pith_hf_json_text(named);
    if (named.at == NULL) {
        pith_status status = read_flags(config, where, &mode, error);
        if (status != PITH_OK) {
            return status;
        }
    } else if (mode == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: pooling_mode: only one mode, a string, is supported", where);
    }
    if (mode == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: no pooling mode is chosen", where);
    }
    if (!pith_pooling_find(mode, out)) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: pooling by %.60s is not supported, only mean, cls and max", where,
                         mode);
    }
    return PITH_OK;
}

pith_status pith_hf_pooling_parse(pith_pooling *out, size_t hidden_size, char *text, size_t size,
                                  const char *where, const pith_allocator *allocator,
                                  pith_error *error) {
    pith_pooling pooling = PITH_POOLING_MEAN;
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    size_t width = hidden_size;
    const char *key = pith_json_get(config, "embedding_dimension").at != NULL
                          ? "embedding_dimension"
                          : "word_embedding_dimension";
    status = pith_hf_json_count(config, key, where, &width, error);
    if (status == PITH_OK && width != hidden_size) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %zu, but hidden_size is %zu", where,
                           key, width, hidden_size);
    }
    if (status == PITH_OK) {
        status = read_mode(config, where, &pooling, error);
    }
    if (status == PITH_OK) {
        *out = pooling;
    }
    return status;
}

/* ---- Length of a text ------------------------------------------------------------------------ */

pith_status pith_hf_sentence_parse(pith_hf_sentence *out, char *text, size_t size,
                                   const pith_allocator *allocator, pith_error *error) {
    pith_hf_sentence sentence = {0};
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, sentence_name, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    if (pith_hf_json_get(config, "max_seq_length").at != NULL) {
        status = pith_hf_json_count(config, "max_seq_length", sentence_name,
                                    &sentence.max_seq_length, error);
        if (status == PITH_OK && sentence.max_seq_length < PITH_BERT_LEAST_TOKENS) {
            status = pith_fail(error, PITH_ERROR_FORMAT, "%s: max_seq_length is %zu, less than %d",
                               sentence_name, sentence.max_seq_length, PITH_BERT_LEAST_TOKENS);
        }
    }
    if (status == PITH_OK) {
        status =
            pith_hf_json_flag(config, "do_lower_case", sentence_name, &sentence.lowercase, error);
    }
    if (status == PITH_OK && (is_filled(pith_json_get(config, "tokenizer_args")) ||
                              is_filled(pith_json_get(config, "config_args")))) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: tokenizer_args and config_args are not supported", sentence_name);
    }
    if (status == PITH_OK) {
        *out = sentence;
    }
    return status;
}

pith_status pith_hf_model_max_length(size_t *out, char *text, size_t size,
                                     const pith_allocator *allocator, pith_error *error) {
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, tokenizer_name, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    double length = 0;
    pith_json_number(pith_json_get(config, "model_max_length"), &length);
    *out =
        length >= PITH_BERT_LEAST_TOKENS && length <= PITH_BERT_MAX_POSITIONS ? (size_t)length : 0;
    return PITH_OK;
}

/* ---- All of a directory ---------------------------------------------------------------------- */

static pith_status read_pooling(pith_bert_config *config, const pith_hf_modules *modules,
                                pith_sources *sources, pith_error *error) {
    char name[PITH_HF_MAX_MODULE_PATH + sizeof "/config.json"];
    char *text;
    size_t size;
    size_t n = strlen(modules->pooling);
    if (n == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the Pooling module has no directory",
                         modules_name);
    }
    memcpy(name, modules->pooling, n);
    strcpy(name + n, "/config.json");
    pith_status status = pith_sources_read_optional(sources, name, MAX_TEXT, &text, &size, error);
    if (status == PITH_OK && text == NULL) {
        status = pith_fail(error, PITH_ERROR_FORMAT,
                           "%s: %s is missing, which the Pooling module needs", modules_name, name);
    }
    if (status != PITH_OK) {
        return status;
    }
    status = pith_hf_pooling_parse(&config->pooling, config->hidden_size, text, size, name,
                                   sources->allocator, error);
    pith_release(sources->allocator, text);
    return status;
}

pith_status pith_hf_bert_enter_model(pith_sources *sources, pith_error *error) {
    char *text;
    size_t size;
    pith_json list;
    pith_status status =
        pith_sources_read_optional(sources, modules_name, MAX_TEXT, &text, &size, error);
    if (status != PITH_OK || text == NULL) {
        return status;
    }
    status = pith_json_read(&list, text, size, PITH_JSON_PYTHON, modules_name, sources->allocator,
                            error);
    if (status == PITH_OK) {
        pith_json first = pith_json_at(list, 0);
        const char *type = pith_hf_json_text(pith_json_get(first, "type"));
        const char *path = pith_hf_json_text(pith_json_get(first, "path"));
        const char *dot = type != NULL ? strrchr(type, '.') : NULL;
        if (dot != NULL && strcmp(dot, ".Transformer") == 0 && path != NULL) {
            pith_sources_enter(sources, path);
        }
    } else {
        pith_fail_in(error, status, "%s", sources->directory);
    }
    pith_release(sources->allocator, text);
    return status;
}

static pith_status read_prompts(pith_sources *sources, pith_error *error) {
    static const char name[] = "config_sentence_transformers.json";
    char *text;
    size_t size;
    pith_status status = pith_sources_read_optional(sources, name, MAX_TEXT, &text, &size, error);
    if (status == PITH_OK && text != NULL) {
        status = pith_hf_prompts_check(text, size, name, sources->allocator, error);
        pith_release(sources->allocator, text);
    }
    return status;
}

/* These files lie at the top. */
static pith_status read_modules(pith_bert_config *config, pith_sources *sources,
                                const pith_log *log, pith_error *error) {
    pith_hf_modules modules;
    char *text;
    size_t size;
    pith_status status =
        pith_sources_read_optional(sources, modules_name, MAX_TEXT, &text, &size, error);
    if (status != PITH_OK) {
        return status;
    }
    if (text == NULL) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: no %s: embeddings are the mean over all tokens, not normalised, as "
                       "sentence-transformers does for a bare model",
                       sources->directory, modules_name);
        return PITH_OK;
    }
    status = pith_hf_modules_parse(&modules, text, size, sources->allocator, error);
    pith_release(sources->allocator, text);
    if (status == PITH_OK) {
        config->normalize = modules.normalize;
        status = read_pooling(config, &modules, sources, error);
    }
    return status == PITH_OK ? read_prompts(sources, error) : status;
}

static pith_status read_length(pith_bert_config *config, bool *lowercase, pith_sources *sources,
                               const pith_log *log, pith_error *error) {
    pith_hf_sentence sentence = {0};
    char *text;
    size_t size;
    size_t *length = &sentence.max_seq_length;
    pith_status status =
        pith_sources_read_optional(sources, sentence_name, MAX_TEXT, &text, &size, error);
    if (status == PITH_OK && text != NULL) {
        status = pith_hf_sentence_parse(&sentence, text, size, sources->allocator, error);
        pith_release(sources->allocator, text);
    }
    if (status == PITH_OK && *length > config->max_position_embeddings) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: max_seq_length %zu is more than the model's %zu positions: texts will "
                       "be cut there",
                       sentence_name, *length, config->max_position_embeddings);
    } else if (status == PITH_OK && *length == 0) {
        status = pith_sources_read_optional(sources, tokenizer_name, MAX_TEXT, &text, &size, error);
        if (status == PITH_OK && text != NULL) {
            status = pith_hf_model_max_length(length, text, size, sources->allocator, error);
            pith_release(sources->allocator, text);
        }
    }
    if (status != PITH_OK) {
        return status;
    }
    if (*length > 0 && *length < config->max_position_embeddings) {
        config->max_seq_length = *length;
    }
    *lowercase = sentence.lowercase;
    return PITH_OK;
}

pith_status pith_hf_bert_read_modules(pith_bert_config *config, bool *lowercase,
                                      pith_sources *sources, const pith_log *log,
                                      pith_error *error) {
    pith_bert_config read = *config;
    bool lower = false;
    char inner[PITH_SOURCES_MAX_INNER];
    strcpy(inner, sources->inner);
    sources->inner[0] = '\0';
    pith_status status = read_modules(&read, sources, log, error);
    strcpy(sources->inner, inner);
    if (status == PITH_OK) {
        status = read_length(&read, &lower, sources, log, error);
    }
    if (status == PITH_OK) {
        *config = read;
        *lowercase = lower;
    } else if (status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED) {
        pith_fail_in(error, status, "%s", sources->directory);
    }
    return status;
}
