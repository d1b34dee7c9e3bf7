/* Reading the JSON Lines of pith embed, index, tokenize and detokenize. */
#include "cli/json_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

static pith_status parse(const char *line, size_t n_bytes, json_t **root, pith_error *error) {
    json_error_t problem;
    *root = json_loadb(line, n_bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    return *root != NULL ? PITH_OK
                         : pith_fail(error, PITH_ERROR_FORMAT, "not valid JSON: %s (byte %d)",
                                     problem.text, problem.position);
}

/* Parses an object that has `key`; on failure there is nothing to release. */
static pith_status parse_with(const char *line, size_t n_bytes, const char *key, json_t **root,
                              const json_t **value, pith_error *error) {
    json_t *object;
    pith_status status = parse(line, n_bytes, &object, error);
    if (status != PITH_OK) {
        return status;
    }
    *value = json_object_get(object, key);
    if (*value == NULL) {
        json_decref(object);
        return pith_fail(error, PITH_ERROR_FORMAT, "not a JSON object with the key \"%s\"", key);
    }
    *root = object;
    return PITH_OK;
}

pith_status pith_line_text(const char *line, size_t n_bytes, json_t **root, const char **text,
                           size_t *n_text, pith_error *error) {
    json_t *object;
    const json_t *value;
    pith_status status = parse_with(line, n_bytes, "text", &object, &value, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!json_is_string(value)) {
        json_decref(object);
        return pith_fail(error, PITH_ERROR_FORMAT, "\"text\" is not a string");
    }
    *root = object;
    *text = json_string_value(value);
    *n_text = json_string_length(value);
    return PITH_OK;
}

/* The member `key`, a string; absent when `optional` allows it. */
static pith_status read_member(const json_t *object, const char *key, bool optional,
                               const char **text, size_t *n_bytes, pith_error *error) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL && optional) {
        return PITH_OK;
    }
    if (!json_is_string(value)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "not a JSON object with a string \"%s\"", key);
    }
    *text = json_string_value(value);
    *n_bytes = json_string_length(value);
    return PITH_OK;
}

pith_status pith_line_texts(const char *line, size_t n_bytes, json_t **root, pith_embed_input *out,
                            pith_error *error) {
    json_t *object;
    pith_embed_input input = {.text = NULL};
    pith_status status = parse(line, n_bytes, &object, error);
    if (status != PITH_OK) {
        return status;
    }
    status = read_member(object, "text", false, &input.text, &input.n_bytes, error);
    if (status == PITH_OK) {
        status = read_member(object, "pair", true, &input.pair, &input.n_pair_bytes, error);
    }
    if (status != PITH_OK) {
        json_decref(object);
        return status;
    }
    *root = object;
    *out = input;
    return PITH_OK;
}

static pith_status read_ids(const json_t *array, int32_t **ids, size_t *n_ids, pith_error *error) {
    if (!json_is_array(array)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "\"ids\" is not an array");
    }
    size_t n = json_array_size(array);
    int32_t *out = calloc(n + 1, sizeof *out);
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu ids", n);
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(array, i);
        json_int_t id = json_integer_value(item);
        if (!json_is_integer(item) || id < INT32_MIN || id > INT32_MAX) {
            free(out);
            return pith_fail(error, PITH_ERROR_FORMAT, "\"ids\"[%zu] is not a token id", i);
        }
        out[i] = (int32_t)id;
    }
    *ids = out;
    *n_ids = n;
    return PITH_OK;
}

pith_status pith_line_ids(const char *line, size_t n_bytes, int32_t **ids, size_t *n_ids,
                          pith_error *error) {
    json_t *root;
    const json_t *value;
    pith_status status = parse_with(line, n_bytes, "ids", &root, &value, error);
    if (status == PITH_OK) {
        status = read_ids(value, ids, n_ids, error);
        json_decref(root);
    }
    return status;
}

/* ---- Documents ------------------------------------------------------------------------------- */

static pith_status read_document(pith_line_document *out, pith_error *error) {
    const json_t *id = json_object_get(out->root, "id");
    const json_t *text = json_object_get(out->root, "text");
    const json_t *facts = json_object_get(out->root, "metadata");
    pith_store_document *document = &out->document;
    document->text = json_string_value(text);
    document->n_bytes = json_string_length(text);
    if (json_is_integer(id)) {
        snprintf(out->number, sizeof out->number, "%lld", (long long)json_integer_value(id));
        document->key = out->number;
        document->n_key = strlen(out->number);
    } else {
        document->key = json_string_value(id);
        document->n_key = json_string_length(id);
    }
    if (document->text == NULL || document->key == NULL || document->n_key == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "not an object with \"id\" (a string or a whole number) and \"text\" "
                         "(a string)");
    }
    if (document->n_key > PITH_STORE_MAX_KEY) {
        return pith_fail(error, PITH_ERROR_FORMAT, "\"id\" has %zu bytes; the limit is %d",
                         document->n_key, PITH_STORE_MAX_KEY);
    }
    if (facts != NULL && !json_is_null(facts)) {
        out->metadata = json_dumps(facts, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
        if (out->metadata == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the metadata");
        }
    }
    document->metadata = out->metadata;
    return PITH_OK;
}

pith_status pith_line_document_read(pith_line_document *out, const char *line, size_t n_bytes,
                                    pith_error *error) {
    *out = (pith_line_document){.root = NULL};
    pith_status status = parse(line, n_bytes, &out->root, error);
    if (status == PITH_OK) {
        status = read_document(out, error);
    }
    if (status != PITH_OK) {
        pith_line_document_release(out);
    }
    return status;
}

void pith_line_document_release(pith_line_document *document) {
    free(document->metadata);
    json_decref(document->root);
    *document = (pith_line_document){.root = NULL};
}
