/* The module files of a sentence-transformers directory, with its defaults: how the vectors of a
 * text's tokens become its embedding, and how long a text may be. */
#include "convert/hf_bert.h"

#include "families/hf_json.h"

#include <string.h>

static const char modules_name[] = "modules.json";
static const char tokenizer_name[] = "tokenizer_config.json";

/* ---- modules.json ---------------------------------------------------------------------------- */

/* A directory inside the checkpoint. */
static bool is_inner_path(const char *path) {
    size_t n = strlen(path);
    return n + 2 <= PITH_HF_MAX_MODULE_PATH && path[0] != '/' && strstr(path, "..") == NULL;
}

const char *pith_hf_module_name(const char *type) {
    const char *dot = strrchr(type, '.');
    return dot != NULL && strncmp(type, "sentence_transformers.", 22) == 0 ? dot + 1 : "";
}

/* The modules in their order, those from Dense on optional. */
typedef enum stage { TRANSFORMER, POOLING, DENSE, NORMALIZE, N_STAGES } stage;
static const char *const stage_names[N_STAGES] = {"Transformer", "Pooling", "Dense", "Normalize"};

/* The stage of a module that may follow `last`; N_STAGES when it may not. */
static stage next_stage(const char *name, stage last, size_t n_seen) {
    for (size_t i = 0; i < N_STAGES; i++) {
        bool follows = i < DENSE ? n_seen == i : n_seen > POOLING && i >= (size_t)last;
        if (follows && strcmp(name, stage_names[i]) == 0) {
            return (stage)i;
        }
    }
    return N_STAGES;
}

static pith_status add_module(pith_hf_modules *out, stage *last, size_t *n_seen, pith_json module,
                              pith_error *error) {
    const char *type = pith_hf_json_text(pith_json_get(module, "type"));
    const char *path = pith_hf_json_text(pith_json_get(module, "path"));
    if (type == NULL || path == NULL || !is_inner_path(path)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: expected modules with a type and a path in the same directory",
                         modules_name);
    }
    const char *name = pith_hf_module_name(type);
    if (strcmp(name, "Dropout") == 0) { /* for training only */
        return PITH_OK;
    }
    stage found = next_stage(name, *last, *n_seen);
    if (found == N_STAGES || (found == DENSE && out->n_dense == PITH_MAX_DENSE)) {
        return pith_fail(
            error, PITH_ERROR_UNSUPPORTED,
            "%s: module %.80s is not supported %s; supported are Transformer, "
            "Pooling and, optionally, up to %d of Dense, and Normalize, in this order, "
            "of sentence-transformers' own",
            modules_name, type, *n_seen == 0 ? "as the first" : "there", PITH_MAX_DENSE);
    }
    if (found == POOLING) {
        strcpy(out->pooling, path); /* is_inner_path bounds it, and the next one */
    } else if (found == DENSE) {
        strcpy(out->dense[out->n_dense++], path);
    }
    out->normalize = found == NORMALIZE;
    *last = found;
    ++*n_seen;
    return PITH_OK;
}

pith_status pith_hf_modules_parse(pith_hf_modules *out, char *text, size_t size,
                                  const pith_allocator *allocator, pith_error *error) {
    pith_hf_modules modules = {.normalize = false};
    pith_json list;
    stage last = TRANSFORMER;
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
        status = add_module(&modules, &last, &n_seen, walk.value, error);
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
                         "%s: pooling by %.60s is not supported, only mean, cls, max and lasttoken",
                         where, mode);
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

/* ---- Dense layers ---------------------------------------------------------------------------- */

pith_status pith_hf_dense_parse(pith_dense *out, bool *bias, size_t width, char *text, size_t size,
                                const char *where, const pith_allocator *allocator,
                                pith_error *error) {
    pith_dense dense = {.activation = PITH_DENSE_TANH};
    size_t in_features = width;
    bool has_bias = true;
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status == PITH_OK) {
        status = pith_hf_json_count(config, "in_features", where, &in_features, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_count(config, "out_features", where, &dense.width, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_json_flag(config, "bias", where, &has_bias, error);
    }
    if (status == PITH_OK && (in_features != width || dense.width == 0)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: in_features %zu and out_features %zu, of vectors of %zu elements",
                         where, in_features, dense.width, width);
    }
    if (status == PITH_OK) {
        status = pith_torch_activation_read(&dense.activation,
                                            pith_json_get(config, "activation_function"), where,
                                            "activation_function", error);
    }
    if (status == PITH_OK) {
        *out = dense;
        *bias = has_bias;
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

/* Reads the arguments that the tokenizer is constructed and called with: its own limit takes
 * precedence over max_seq_length, and the call's over both. Padding changes nothing. */
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
static pith_status check_sentence(pith_json config, bool scores, const char *where,
                                  pith_error *error) {
    static const char *const objects[] = {"config_args", "config_kwargs"};
    const char *known_task = scores ? "sequence-classification" : "feature-extraction";
    const char *known_output = scores ? "scores" : "token_embeddings";
    static const char *const none[] = {"trust_remote_code", NULL};
    static const char *const others[] = {"query_length", "document_length", "query_expansion"};
    const char *task = pith_hf_json_text(pith_json_get(config, "transformer_task"));
    const char *output = pith_hf_json_text(pith_json_get(config, "module_output_name"));
    if (task != NULL && strcmp(task, known_task) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: transformer_task %.60s is not supported, only %s", where, task,
                         known_task);
    }
    if (output != NULL && strcmp(output, known_output) != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: module_output_name %.60s is not supported, only %s", where, output,
                         known_output);
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

pith_status pith_hf_sentence_parse(pith_hf_sentence *out, bool scores, char *text, size_t size,
                                   const char *where, const pith_allocator *allocator,
                                   pith_error *error) {
    pith_hf_sentence sentence = {0};
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status == PITH_OK) {
        status = check_sentence(config, scores, where, error);
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
