/* The module files of a sentence-transformers directory, read together: what becomes of them in a
 * configuration, and where the weights of the dense layers are. */
#include "convert/hf_bert.h"

#include "families/hf_json.h"

#include <string.h>

enum { MAX_TEXT = 16 << 20 };

static const char modules_name[] = "modules.json";
static const char tokenizer_name[] = "tokenizer_config.json";
static const char sentence_name[] = "config_sentence_transformers.json";

/* ---- Modules --------------------------------------------------------------------------------- */

/* The text of `path`/config.json, which the module needs. */
static pith_status read_module(pith_sources *sources, const char *path, const char *module,
                               char name[PITH_HF_MODULE_CONFIG], char **text, size_t *size,
                               pith_error *error) {
    if (path[0] == '\0') {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the %s module has no directory",
                         modules_name, module);
    }
    strcpy(name, path); /* is_inner_path bounds it */
    strcat(name, "/config.json");
    pith_status status = pith_sources_read_optional(sources, name, MAX_TEXT, text, size, error);
    if (status == PITH_OK && *text == NULL) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is missing, which the %s module needs",
                           modules_name, name, module);
    }
    return status;
}

static pith_status read_pooling(pith_config *config, const pith_hf_modules *modules,
                                pith_sources *sources, const pith_log *log, pith_error *error) {
    char name[PITH_HF_MODULE_CONFIG];
    char *text;
    size_t size;
    pith_status status =
        read_module(sources, modules->pooling, "Pooling", name, &text, &size, error);
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

static pith_status read_dense(pith_config *config, pith_hf_beside *beside,
                              const pith_hf_modules *modules, pith_sources *sources,
                              pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < modules->n_dense; i++) {
        char name[PITH_HF_MODULE_CONFIG];
        char *text;
        size_t size;
        status = read_module(sources, modules->dense[i], "Dense", name, &text, &size, error);
        if (status == PITH_OK) {
            size_t width = pith_config_embedding_size(config);
            status = pith_hf_dense_parse(&config->dense[i], &beside->dense_bias[i], width, text,
                                         size, name, sources->allocator, error);
            pith_release(sources->allocator, text);
        }
    }
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
        if (type != NULL && strcmp(pith_hf_module_name(type), "Transformer") == 0 && path != NULL) {
            pith_sources_enter(sources, path);
        }
    } else {
        pith_fail_in(error, status, "%s", sources->directory);
    }
    pith_release(sources->allocator, text);
    return status;
}

/* Reads the prompts and, for a cross-encoder, the activation of its last layer. */
static pith_status read_sentence_transformers(pith_config *config, pith_hf_prompts *out,
                                              pith_sources *sources, const pith_log *log,
                                              pith_error *error) {
    char *text;
    size_t size;
    pith_status status =
        pith_sources_read_optional(sources, sentence_name, MAX_TEXT, &text, &size, error);
    if (status != PITH_OK || text == NULL) {
        return status;
    }
    if (config->scores) {
        pith_json json;
        status = pith_hf_json_object(&json, text, size, sentence_name, sources->allocator, error);
        if (status == PITH_OK) {
            status = pith_torch_activation_read(&config->dense[PITH_MAX_DENSE - 1].activation,
                                                pith_json_get(json, "activation_fn"), sentence_name,
                                                "activation_fn", error);
        }
        pith_release(sources->allocator, text);
        return status;
    }
    return pith_hf_prompts_parse(out, text, size, sentence_name, config->hidden_size,
                                 config->normalize, sources->allocator, log, error);
}

/* These files lie at the top. */
static pith_status read_modules(pith_config *config, pith_hf_beside *beside, pith_sources *sources,
                                const pith_log *log, pith_error *error) {
    pith_hf_modules modules;
    char *text;
    size_t size;
    if (config->scores) { /* all of the model is in its Transformer module */
        return read_sentence_transformers(config, &beside->prompts, sources, log, error);
    }
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
        memcpy(beside->dense, modules.dense, sizeof beside->dense);
        status = read_pooling(config, &modules, sources, log, error);
    }
    if (status == PITH_OK) {
        status = read_dense(config, beside, &modules, sources, error);
    }
    return status == PITH_OK
               ? read_sentence_transformers(config, &beside->prompts, sources, log, error)
               : status;
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
    size_t positions = pith_config_positions(config);
    pith_status status = read_sentence_file(sources, &name, &text, &size, error);
    if (status == PITH_OK && text != NULL) {
        status = pith_hf_sentence_parse(&sentence, config->scores, text, size, name,
                                        sources->allocator, error);
        pith_release(sources->allocator, text);
    }
    if (status == PITH_OK && *length > positions) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: max_seq_length %zu is more than the model's %zu positions: texts will "
                       "be cut there",
                       name, *length, positions);
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
    if (*length > 0 && *length < positions) {
        config->max_seq_length = *length;
    }
    *lowercase = sentence.lowercase;
    return PITH_OK;
}

pith_status pith_hf_bert_read_modules(pith_config *config, pith_hf_beside *beside,
                                      pith_sources *sources, const pith_log *log,
                                      pith_error *error) {
    pith_config read = *config;
    pith_hf_beside found;
    char inner[PITH_SOURCES_MAX_INNER];
    memset(&found, 0, sizeof found);
    strcpy(inner, sources->inner);
    sources->inner[0] = '\0';
    pith_status status = read_modules(&read, &found, sources, log, error);
    strcpy(sources->inner, inner);
    if (status == PITH_OK) {
        status = read_length(&read, &found.lowercase, sources, log, error);
    }
    if (status == PITH_OK) { /* with what the modules made of it */
        status = pith_config_check(&read, "config.json and its modules", error);
    }
    if (status == PITH_OK) {
        *config = read;
        *beside = found;
        return PITH_OK;
    }
    pith_hf_prompts_free(&found.prompts, sources->allocator);
    if (status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED) {
        pith_fail_in(error, status, "%s", sources->directory);
    }
    return status;
}

pith_status pith_hf_truncation_check(pith_sources *sources, pith_error *error) {
    char *text;
    size_t size;
    pith_json config = {NULL};
    pith_status status =
        pith_sources_read_optional(sources, tokenizer_name, MAX_TEXT, &text, &size, error);
    if (status != PITH_OK || text == NULL) {
        return status;
    }
    status = pith_hf_json_object(&config, text, size, tokenizer_name, sources->allocator, error);
    const char *side = pith_hf_json_text(pith_json_get(config, "truncation_side"));
    if (status == PITH_OK && side != NULL && strcmp(side, "right") != 0) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: truncation_side \"%.60s\" is not supported, only \"right\"",
                           tokenizer_name, side);
    }
    pith_release(sources->allocator, text);
    return status;
}
