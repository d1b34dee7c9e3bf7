/* The module files of a sentence-transformers directory, with its defaults: how the vectors of a
 * text's tokens become its embedding, and how long a text may be. */
#include "convert/hf_bert.h"

#include "families/hf_json.h"

#include <string.h>

enum { MAX_TEXT = 16 << 20 };

static const char modules_name[] = "modules.json";
static const char tokenizer_name[] = "tokenizer_config.json";

/* ---- modules.json ---------------------------------------------------------------------------- */

/* A directory inside the checkpoint. */
static bool is_inner_path(const char *path) {
    size_t n = strlen(path);
    return n + 2 <= PITH_HF_MAX_MODULE_PATH && path[0] != '/' && strstr(path, "..") == NULL;
}

/* The last part of a type's name: sentence-transformers has moved its modules from version to
 * version. "" for code of the checkpoint's own. */
static const char *module_name(const char *type) {
    const char *dot = strrchr(type, '.');
    return dot != NULL && strncmp(type, "sentence_transformers.", 22) == 0 ? dot + 1 : "";
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
    const char *name = module_name(type);
    if (strcmp(name, "Dropout") == 0) { /* for training only */
        return PITH_OK;
    }
    if (strcmp(name, expected[*n_seen]) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: module %.80s is not supported %s; supported are Transformer, "
                         "Pooling and, optionally, Normalize, in this order, of "
                         "sentence-transformers' own",
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

/* ---- Pooling --------------------------------------------------------------------------------- */

/* The older form: a flag for each mode. Without any, or with all false, it is the mean. */
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
    const char *found = NULL;
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        bool set = false;
        pith_status status = PITH_OK;
        if (pith_hf_json_get(config, flags[i].key).at != NULL) {
            status = pith_hf_json_flag(config, flags[i].key, where, &set, error);
        }
        if (status != PITH_OK) {
            return status;
        }
        if (set && found != NULL) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                             "%s: pooling by %s and %s at once is not supported", where, found,
                             flags[i].mode);
        }
        found = set ? flags[i].mode : found;
    }
    *mode = found != NULL ? found : "mean";
    return PITH_OK;
}

static pith_status read_mode(pith_json config, const char *where, pith_pooling *out,
                             pith_error *error) {
    pith_json named = pith_hf_json_get(config, "pooling_mode");
    bool list = pith_json_is(named, PITH_JSON_ARRAY);
    const char *mode = pith_hf_json_text(list ? pith_json_at(named, 0) : named);
    if (named.at == NULL) {
        pith_status status = read_flags(config, where, &mode, error);
        if (status != PITH_OK) {
            return status;
        }
    } else if (mode == NULL) {
        return pith_hf_json_fail(where, "pooling_mode", "a string", named, error);
    } else if (list && pith_json_size(named) > 1) {
        const char *second = pith_hf_json_text(pith_json_at(named, 1));
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: pooling by %.30s and %.30s at once is not supported", where, mode,
                         second != NULL ? second : "another");
    }
    if (!pith_pooling_find(mode, out)) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: pooling by %.60s is not supported, only mean, cls and max", where,
                         mode);
    }
    return PITH_OK;
}

pith_status pith_hf_pooling_parse(pith_hf_pooling *out, char *text, size_t size, const char *where,
                                  const pith_allocator *allocator, pith_error *error) {
    pith_hf_pooling pooling = {.mode = PITH_POOLING_MEAN, .include_prompt = true};
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    const char *key = pith_json_get(config, "embedding_dimension").at != NULL
                          ? "embedding_dimension"
                          : "word_embedding_dimension";
    status = pith_hf_json_count(config, key, where, &pooling.width, error);
    if (status == PITH_OK) {
        status = read_mode(config, where, &pooling.mode, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_flag(config, "include_prompt", where, &pooling.include_prompt, error);
    }
    if (status == PITH_OK) {
        *out = pooling;
    }
    return status;
}

/* ---- Length of a text ------------------------------------------------------------------------ */

/* Members of an object that change embeddings and that pith does not do; `harmless` ends with NULL.
 */
static pith_status refuse_others(pith_json object, const char *key, const char *const *harmless,
                                 const char *where, pith_error *error) {
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk)) {
        size_t i = 0;
        while (harmless[i] != NULL && strcmp(walk.key, harmless[i]) != 0) {
            i++;
        }
        if (harmless[i] == NULL && !pith_json_is(walk.value, PITH_JSON_NULL)) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %s: %.60s is not supported", where,
                             key, walk.key);
        }
    }
    return PITH_OK;
}

/* A limit of tokens under `name` in an object. */
static pith_status read_limit(pith_json object, const char *name, const char *where, size_t *out,
                              pith_error *error) {
    if (pith_hf_json_get(object, name).at == NULL) {
        return PITH_OK;
    }
    pith_status status = pith_hf_json_count(object, name, where, out, error);
    if (status == PITH_OK && *out < PITH_MIN_SEQ_LENGTH) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %zu, less than %d", where, name,
                           *out, PITH_MIN_SEQ_LENGTH);
    }
    return status;
}

/* What the tokenizer is made with, and called with: a limit of its own goes before max_seq_length,
 * and the call's before that. Padding changes nothing. */
static pith_status read_arguments(pith_hf_sentence *out, pith_json config, const char *where,
                                  pith_error *error) {
    static const char *const makers[] = {"tokenizer_args", "processor_kwargs"};
    static const char *const of_makers[] = {"model_max_length", "padding_side", "use_fast",
                                            "trust_remote_code", NULL};
    static const char *const callers[] = {"common", "text"};
    static const char *const of_callers[] = {"max_length",     "padding",
                                             "padding_side",   "pad_to_multiple_of",
                                             "return_tensors", "return_attention_mask",
                                             "truncation",     NULL};
    static const char *const of_calls[] = {"common", "text",          "audio", "image",
                                           "video",  "chat_template", NULL};
    pith_status status = PITH_OK;
    for (size_t i = 0; i < 2 && status == PITH_OK; i++) {
        pith_json object = pith_hf_json_get(config, makers[i]);
        status = refuse_others(object, makers[i], of_makers, where, error);
        if (status == PITH_OK) {
            status = read_limit(object, "model_max_length", where, &out->max_seq_length, error);
        }
    }
    pith_json calls = pith_hf_json_get(config, "processing_kwargs");
    if (status == PITH_OK) {
        status = refuse_others(calls, "processing_kwargs", of_calls, where, error);
    }
    for (size_t i = 0; i < 2 && status == PITH_OK; i++) {
        pith_json object = pith_hf_json_get(calls, callers[i]);
        pith_json cut = pith_hf_json_get(object, "truncation");
        status = refuse_others(object, "processing_kwargs", of_callers, where, error);
        if (status == PITH_OK && cut.at != NULL && !pith_json_is_true(cut) &&
            !pith_json_is_text(cut, "longest_first")) {
            status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                               "%s: processing_kwargs: truncation is not supported other than by "
                               "longest_first",
                               where);
        }
        if (status == PITH_OK) {
            status = read_limit(object, "max_length", where, &out->max_seq_length, error);
        }
    }
    return status;
}

/* Settings of other tasks, and arguments of the model's configuration. */
static pith_status check_sentence(pith_json config, const char *where, pith_error *error) {
    static const char *const objects[] = {"config_args", "config_kwargs"};
    static const char *const none[] = {"trust_remote_code", NULL};
    static const char *const others[] = {"query_length", "document_length", "query_expansion"};
    const char *task = pith_hf_json_text(pith_json_get(config, "transformer_task"));
    const char *output = pith_hf_json_text(pith_json_get(config, "module_output_name"));
    if (task != NULL && strcmp(task, "feature-extraction") != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: transformer_task %.60s is not supported, only feature-extraction",
                         where, task);
    }
    if (output != NULL && strcmp(output, "token_embeddings") != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: module_output_name %.60s is not supported, only token_embeddings",
                         where, output);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (pith_hf_json_get(config, others[i]).at != NULL) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %s is not supported", where,
                             others[i]);
        }
    }
    pith_status status = PITH_OK;
    for (size_t i = 0; i < 2 && status == PITH_OK; i++) {
        status =
            refuse_others(pith_hf_json_get(config, objects[i]), objects[i], none, where, error);
    }
    return status;
}

pith_status pith_hf_sentence_parse(pith_hf_sentence *out, char *text, size_t size,
                                   const char *where, const pith_allocator *allocator,
                                   pith_error *error) {
    pith_hf_sentence sentence = {0};
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status == PITH_OK) {
        status = check_sentence(config, where, error);
    }
    if (status == PITH_OK) {
        status = read_limit(config, "max_seq_length", where, &sentence.max_seq_length, error);
    }
    if (status == PITH_OK) {
        status = read_arguments(&sentence, config, where, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_flag(config, "do_lower_case", where, &sentence.lowercase, error);
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
    *out = length >= PITH_MIN_SEQ_LENGTH && length <= PITH_MAX_POSITIONS ? (size_t)length : 0;
    return PITH_OK;
}

/* ---- All of a directory ---------------------------------------------------------------------- */

static pith_status read_pooling(pith_config *config, const pith_hf_modules *modules,
                                pith_sources *sources, const pith_log *log, pith_error *error) {
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
    pith_hf_pooling pooling;
    status = pith_hf_pooling_parse(&pooling, text, size, name, sources->allocator, error);
    if (status == PITH_OK) {
        config->pooling = pooling.mode;
        config->skip_prompt = !pooling.include_prompt;
        if (pooling.width != 0 && pooling.width != config->hidden_size) {
            pith_log_write(log, PITH_LOG_WARNING,
                           "%s: embeddings of %zu elements are declared, the model's have %zu",
                           name, pooling.width, config->hidden_size);
        }
    }
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
        if (type != NULL && strcmp(module_name(type), "Transformer") == 0 && path != NULL) {
            pith_sources_enter(sources, path);
        }
    } else {
        pith_fail_in(error, status, "%s", sources->directory);
    }
    pith_release(sources->allocator, text);
    return status;
}

static pith_status read_prompts(pith_hf_prompts *out, const pith_config *config,
                                pith_sources *sources, const pith_log *log, pith_error *error) {
    static const char name[] = "config_sentence_transformers.json";
    char *text;
    size_t size;
    pith_status status = pith_sources_read_optional(sources, name, MAX_TEXT, &text, &size, error);
    return status == PITH_OK && text != NULL
               ? pith_hf_prompts_parse(out, text, size, name, config->hidden_size,
                                       config->normalize, sources->allocator, log, error)
               : status;
}

/* These files lie at the top. */
static pith_status read_modules(pith_config *config, pith_hf_prompts *prompts,
                                pith_sources *sources, const pith_log *log, pith_error *error) {
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
        status = read_pooling(config, &modules, sources, log, error);
    }
    return status == PITH_OK ? read_prompts(prompts, config, sources, log, error) : status;
}

/* The first of the names that sentence-transformers has used, in the order it looks for them. *text
 * is NULL when there is none. */
static pith_status read_sentence_file(pith_sources *sources, const char **name, char **text,
                                      size_t *size, pith_error *error) {
    static const char *const names[] = {
        "sentence_bert_config.json",       "sentence_roberta_config.json",
        "sentence_distilbert_config.json", "sentence_camembert_config.json",
        "sentence_albert_config.json",     "sentence_xlm-roberta_config.json",
        "sentence_xlnet_config.json",
    };
    pith_status status = PITH_OK;
    *text = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && status == PITH_OK && *text == NULL;
         i++) {
        *name = names[i];
        status = pith_sources_read_optional(sources, names[i], MAX_TEXT, text, size, error);
    }
    return status;
}

static pith_status read_length(pith_config *config, bool *lowercase, pith_sources *sources,
                               const pith_log *log, pith_error *error) {
    pith_hf_sentence sentence = {0};
    const char *name;
    char *text;
    size_t size;
    size_t *length = &sentence.max_seq_length;
    pith_status status = read_sentence_file(sources, &name, &text, &size, error);
    if (status == PITH_OK && text != NULL) {
        status = pith_hf_sentence_parse(&sentence, text, size, name, sources->allocator, error);
        pith_release(sources->allocator, text);
    }
    if (status == PITH_OK && *length > config->max_position_embeddings) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: max_seq_length %zu is more than the model's %zu positions: texts will "
                       "be cut there",
                       name, *length, config->max_position_embeddings);
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

pith_status pith_hf_bert_read_modules(pith_config *config, bool *lowercase,
                                      pith_hf_prompts *prompts, pith_sources *sources,
                                      const pith_log *log, pith_error *error) {
    pith_config read = *config;
    pith_hf_prompts found = {.n = 0};
    bool lower = false;
    char inner[PITH_SOURCES_MAX_INNER];
    strcpy(inner, sources->inner);
    sources->inner[0] = '\0';
    pith_status status = read_modules(&read, &found, sources, log, error);
    strcpy(sources->inner, inner);
    if (status == PITH_OK) {
        status = read_length(&read, &lower, sources, log, error);
    }
    if (status == PITH_OK) {
        *config = read;
        *lowercase = lower;
        *prompts = found;
        return PITH_OK;
    }
    pith_hf_prompts_free(&found, sources->allocator);
    if (status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED) {
        pith_fail_in(error, status, "%s", sources->directory);
    }
    return status;
}
