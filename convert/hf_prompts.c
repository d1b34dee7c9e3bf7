/* The prompts of a sentence-transformers model, and the other settings of their file. */
#include "convert/hf_prompts.h"

#include "families/hf_json.h"
#include "weights/metadata.h"

#include <stdio.h>
#include <string.h>

static pith_prompt *find_prompt(const pith_hf_prompts *prompts, const char *name) {
    for (size_t i = 0; i < prompts->n; i++) {
        if (strcmp(prompts->prompts[i].name, name) == 0) {
            return &prompts->prompts[i];
        }
    }
    return NULL;
}

/* One member of "prompts"; of equal names the last one counts. */
static pith_status add_prompt(pith_hf_prompts *out, const pith_json_walk *member, const char *where,
                              pith_error *error) {
    bool none = pith_json_is(member->value, PITH_JSON_NULL);
    const char *text = none ? "" : pith_hf_json_text(member->value);
    if (text == NULL) {
        return pith_hf_json_fail(where, "prompts", "an object of strings", member->value, error);
    }
    if (strlen(member->key) != member->key_size || member->key_size > PITH_MAX_PROMPT ||
        strlen(text) > PITH_MAX_PROMPT) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: prompts: \"%.60s\" or its name has more than %d bytes, or a NUL",
                         where, member->key, PITH_MAX_PROMPT);
    }
    pith_prompt *prompt = find_prompt(out, member->key);
    prompt = prompt != NULL ? prompt : &out->prompts[out->n++];
    *prompt = (pith_prompt){.name = member->key, .text = text};
    return PITH_OK;
}

static pith_status read_prompts(pith_hf_prompts *out, pith_json config, const char *where,
                                const pith_allocator *allocator, pith_error *error) {
    pith_json prompts = pith_hf_json_get(config, "prompts");
    size_t n = pith_json_size(prompts);
    if (prompts.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_is(prompts, PITH_JSON_OBJECT)) {
        return pith_hf_json_fail(where, "prompts", "an object of strings", prompts, error);
    }
    if (n > PITH_MAX_PROMPTS) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu prompts, the limit is %d", where, n,
                         PITH_MAX_PROMPTS);
    }
    out->prompts = pith_allocate(allocator, n + 1, sizeof *out->prompts);
    if (out->prompts == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for %zu prompts", where, n);
    }
    pith_json_walk walk = pith_json_begin(prompts);
    pith_status status = PITH_OK;
    while (status == PITH_OK && pith_json_next(&walk)) {
        status = add_prompt(out, &walk, where, error);
    }
    return status;
}

static pith_status read_default(pith_hf_prompts *out, pith_json config, const char *where,
                                pith_error *error) {
    pith_json chosen = pith_hf_json_get(config, "default_prompt_name");
    const char *name = pith_hf_json_text(chosen);
    if (chosen.at == NULL) {
        return PITH_OK;
    }
    if (name == NULL) {
        return pith_hf_json_fail(where, "default_prompt_name", "a string", chosen, error);
    }
    const pith_prompt *found = find_prompt(out, name);
    if (found != NULL) {
        out->default_prompt = found->name;
    } else if (strcmp(name, "query") != 0 && strcmp(name, "document") != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: default_prompt_name \"%.60s\" is none of the prompts", where, name);
    }
    return PITH_OK;
}

/* Checks the settings other than the prompts. */
static pith_status check_rest(pith_json config, const char *where, size_t hidden_size,
                              bool normalized, const pith_log *log, pith_error *error) {
    const char *type = pith_hf_json_text(pith_json_get(config, "model_type"));
    const char *similarity = pith_hf_json_text(pith_json_get(config, "similarity_fn_name"));
    size_t dimension = hidden_size;
    if (type != NULL && strcmp(type, "SentenceTransformer") != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: model_type %.60s is not supported, only SentenceTransformer: a model "
                         "that gives one embedding a text",
                         where, type);
    }
    if (pith_hf_json_get(config, "truncate_dim").at != NULL) {
        pith_status status = pith_hf_json_count(config, "truncate_dim", where, &dimension, error);
        if (status == PITH_OK && dimension < hidden_size) {
            status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                               "%s: truncate_dim %zu, embeddings cut short, is not supported",
                               where, dimension);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    /* For vectors of length 1 the dot product is the cosine, and the Euclidean distance gives the
     * same order. */
    bool same =
        similarity == NULL || strcmp(similarity, "cosine") == 0 ||
        (normalized && (strcmp(similarity, "dot") == 0 || strcmp(similarity, "euclidean") == 0));
    if (!same) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: similarity_fn_name is \"%.30s\", but pith search compares by cosine: "
                       "its order may differ",
                       where, similarity);
    }
    return PITH_OK;
}

pith_status pith_hf_prompts_parse(pith_hf_prompts *out, char *text, size_t size, const char *where,
                                  size_t hidden_size, bool normalized,
                                  const pith_allocator *allocator, const pith_log *log,
                                  pith_error *error) {
    pith_hf_prompts prompts = {.text = text};
    pith_json config;
    pith_status status = pith_hf_json_object(&config, text, size, where, allocator, error);
    if (status == PITH_OK) {
        status = read_prompts(&prompts, config, where, allocator, error);
    }
    if (status == PITH_OK) {
        status = read_default(&prompts, config, where, error);
    }
    if (status == PITH_OK) {
        status = check_rest(config, where, hidden_size, normalized, log, error);
    }
    if (status == PITH_OK) {
        *out = prompts;
    } else {
        pith_hf_prompts_free(&prompts, allocator);
    }
    return status;
}

void pith_hf_prompts_free(pith_hf_prompts *prompts, const pith_allocator *allocator) {
    pith_release(allocator, prompts->prompts);
    pith_release(allocator, prompts->text);
    *prompts = (pith_hf_prompts){.n = 0};
}
