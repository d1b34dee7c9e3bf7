/* Reading the JSON Lines of pith embed, index, tokenize and detokenize. */
#include "cli/json_lines.h"

#include <stdio.h>
#include <string.h>

#include "base/json_write.h"
#include "base/status.h"

pith_status pith_line_parse(pith_json *root, char *line, size_t n_bytes,
                            const pith_allocator *allocator, pith_error *error) {
    pith_error problem;
    pith_status status =
        pith_json_read(root, line, n_bytes, PITH_JSON_PYTHON, "the line", allocator, &problem);
    if (status == PITH_ERROR_FORMAT) {
        /* The reader's message has a line number, which is always 1 here. */
        const char *column = strstr(problem.message, "column ");
        return pith_fail(error, status, "not valid JSON: %s",
                         column != NULL ? column : problem.message);
    }
    return status == PITH_OK ? status : pith_fail(error, status, "%s", problem.message);
}

/* Parses an object that has `key`. */
static pith_status parse_with(char *line, size_t n_bytes, const char *key,
                              const pith_allocator *allocator, pith_json *value,
                              pith_error *error) {
    pith_json root;
    pith_status status = pith_line_parse(&root, line, n_bytes, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    *value = pith_json_get(root, key);
    return value->at != NULL
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_FORMAT, "not a JSON object with the key \"%s\"", key);
}

pith_status pith_line_text(char *line, size_t n_bytes, const pith_allocator *allocator,
                           const char **text, size_t *n_text, pith_error *error) {
    pith_json value;
    pith_status status = parse_with(line, n_bytes, "text", allocator, &value, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!pith_json_is(value, PITH_JSON_STRING)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "\"text\" is not a string");
    }
    *text = pith_json_text(value);
    *n_text = pith_json_text_size(value);
    return PITH_OK;
}

/* The member `key`, a string; absent when `optional` allows it. */
static pith_status read_member(pith_json object, const char *key, bool optional, const char **text,
                               size_t *n_bytes, pith_error *error) {
    pith_json value = pith_json_get(object, key);
    if (value.at == NULL && optional) {
        return PITH_OK;
    }
    *text = pith_json_text(value);
    *n_bytes = pith_json_text_size(value);
    return *text != NULL
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_FORMAT, "not a JSON object with a string \"%s\"", key);
}

pith_status pith_line_texts(char *line, size_t n_bytes, const pith_allocator *allocator,
                            pith_embed_input *out, pith_error *error) {
    pith_json root;
    pith_embed_input input = {.text = {NULL, 0}};
    pith_status status = pith_line_parse(&root, line, n_bytes, allocator, error);
    if (status == PITH_OK) {
        status = read_member(root, "text", false, &input.text.data, &input.text.n_bytes, error);
    }
    if (status == PITH_OK) {
        status = read_member(root, "pair", true, &input.pair.data, &input.pair.n_bytes, error);
    }
    if (status == PITH_OK) {
        *out = input;
    }
    return status;
}

pith_status pith_line_ids(char *line, size_t n_bytes, const pith_allocator *allocator,
                          int32_t **ids, size_t *n_ids, pith_error *error) {
    pith_json array;
    pith_status status = parse_with(line, n_bytes, "ids", allocator, &array, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!pith_json_is(array, PITH_JSON_ARRAY)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "\"ids\" is not an array");
    }
    size_t n = pith_json_size(array);
    int32_t *out = pith_allocate_zeroed(allocator, n + 1, sizeof *out);
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu ids", n);
    }
    pith_json_walk walk = pith_json_begin(array);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        int64_t id;
        if (!pith_json_integer(walk.value, &id) || id < INT32_MIN || id > INT32_MAX) {
            pith_release(allocator, out);
            return pith_fail(error, PITH_ERROR_FORMAT, "\"ids\"[%zu] is not a token id", i);
        }
        out[i] = (int32_t)id;
    }
    *ids = out;
    *n_ids = n;
    return PITH_OK;
}

/* ---- Documents ------------------------------------------------------------------------------- */

/* Compact JSON with sorted keys, so that a document's hash does not depend on white space. */
static pith_status read_metadata(pith_line_document *out, pith_json metadata, pith_error *error) {
    if (pith_json_is_none(metadata)) {
        return PITH_OK;
    }
    pith_json_writer text;
    pith_json_write_begin(&text, out->allocator);
    pith_json_put_value(&text, NULL, metadata);
    pith_status status = pith_json_write_end(&text, "\"metadata\"", error);
    if (status == PITH_OK && text.bytes.size > PITH_STORE_MAX_METADATA) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "\"metadata\" has %zu bytes; the limit is %d",
                           text.bytes.size, PITH_STORE_MAX_METADATA);
    }
    if (status != PITH_OK) {
        pith_bytes_release(&text.bytes);
        return status;
    }
    out->metadata = text.bytes.data;
    out->document.metadata = text.bytes.data;
    return PITH_OK;
}

static pith_status read_document(pith_line_document *out, pith_json root, pith_error *error) {
    pith_store_document *document = &out->document;
    pith_json id = pith_json_get(root, "id");
    pith_json text = pith_json_get(root, "text");
    int64_t integer;
    document->key = pith_json_text(id);
    document->n_key = pith_json_text_size(id);
    document->text = pith_json_text(text);
    document->n_bytes = pith_json_text_size(text);
    if (pith_json_integer(id, &integer)) {
        document->n_key =
            (size_t)snprintf(out->number, sizeof out->number, "%lld", (long long)integer);
        document->key = out->number;
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
    return read_metadata(out, pith_json_get(root, "metadata"), error);
}

pith_status pith_line_document_read(pith_line_document *out, char *line, size_t n_bytes,
                                    const pith_allocator *allocator, pith_error *error) {
    pith_json root;
    *out = (pith_line_document){.allocator = allocator};
    pith_status status = pith_line_parse(&root, line, n_bytes, allocator, error);
    return status == PITH_OK ? read_document(out, root, error) : status;
}

void pith_line_document_release(pith_line_document *document) {
    pith_release(document->allocator, document->metadata);
    document->metadata = NULL;
}
