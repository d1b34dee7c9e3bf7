/* See tokens.h. */
#include "tests/tokens.h"

#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Noreturn static void give_up(const char *what, const char *why) {
    fprintf(stderr, "test tokenizers: %s: %s\n", what, why);
    exit(3);
}

/* ---- Constant texts -------------------------------------------------------------------------- */

/* A text that becomes a JSON document, or none. */
typedef struct document {
    char *copy;
    pith_json root;
} document;

static pith_status read_document(document *out, const char *text, size_t size, const char *name,
                                 const pith_allocator *allocator, pith_error *error) {
    *out = (document){NULL, {NULL}};
    return text == NULL ? PITH_OK
                        : pith_json_read_copy(&out->root, &out->copy, text, size, PITH_JSON_PYTHON,
                                              name, allocator, error);
}

pith_status test_vocab_from_json(pith_vocab_file *out, const char *text, size_t size,
                                 const char *name, const pith_allocator *allocator,
                                 pith_error *error) {
    char *copy = malloc(size > 0 ? size : 1); /* of its own, so that reading beyond is seen */
    if (copy == NULL) {
        give_up(name, "no memory");
    }
    if (size > 0) {
        memcpy(copy, text, size);
    }
    pith_status status = pith_vocab_from_json(out, copy, size, name, allocator, error);
    free(copy);
    return status;
}

pith_status test_vocab_from_wordpiece(pith_vocab_file *out, const char *lines, size_t size,
                                      const char *name, const char *config, size_t config_size,
                                      const char *map, size_t map_size,
                                      const pith_allocator *allocator, pith_error *error) {
    document documents[2];
    allocator = pith_allocator_or_default(allocator);
    pith_status status = read_document(&documents[0], config, config_size, name, allocator, error);
    documents[1] = (document){NULL, {NULL}};
    if (status == PITH_OK) {
        status = read_document(&documents[1], map, map_size, name, allocator, error);
    }
    if (status == PITH_OK) {
        status = pith_vocab_from_wordpiece(out, lines, size, name, documents[0].root,
                                           documents[1].root, allocator, error);
    }
    pith_release(allocator, documents[0].copy);
    pith_release(allocator, documents[1].copy);
    return status;
}

pith_status test_vocab_add_tokens(pith_vocab_file *file, const char *config, size_t config_size,
                                  const char *added, size_t added_size, const char *name,
                                  pith_error *error) {
    document documents[2];
    const pith_allocator *allocator = file->allocator;
    pith_status status = read_document(&documents[0], config, config_size, name, allocator, error);
    documents[1] = (document){NULL, {NULL}};
    if (status == PITH_OK) {
        status = read_document(&documents[1], added, added_size, name, allocator, error);
    }
    if (status == PITH_OK) {
        status = pith_vocab_add_tokens(file, documents[0].root, documents[1].root, name, error);
    }
    pith_release(allocator, documents[0].copy);
    pith_release(allocator, documents[1].copy);
    return status;
}

/* ---- Tokenizers ------------------------------------------------------------------------------ */

static void open_vocab(test_tokenizer *out, const char *what) {
    pith_error error = {0};
    if (pith_tokenizer_new(&out->tokenizer, &out->file.vocab, NULL, &error) != PITH_OK) {
        give_up(what, error.message);
    }
}

/* The text of the file beside another, or NULL. */
static char *read_beside(const char *path, const char *name, size_t *size) {
    char beside[4096];
    int n_directory = (int)(strrchr(path, '/') - path) + 1;
    snprintf(beside, sizeof beside, "%.*s%s", n_directory, path, name);
    return access(beside, R_OK) == 0 ? test_read_file(beside, size) : NULL;
}

static pith_status read_wordpiece(test_tokenizer *out, const char *relative, const char *data,
                                  size_t size, pith_error *error) {
    size_t config_size = 0;
    size_t map_size = 0;
    const char *path = test_root(relative);
    char *config = read_beside(path, "tokenizer_config.json", &config_size);
    char *map = read_beside(path, "special_tokens_map.json", &map_size);
    pith_status status = test_vocab_from_wordpiece(&out->file, data, size, relative, config,
                                                   config_size, map, map_size, NULL, error);
    if (status == PITH_OK) {
        status = test_vocab_add_tokens(&out->file, config, config_size, NULL, 0, relative, error);
    }
    free(config);
    free(map);
    return status;
}

void test_tokenizer_open(test_tokenizer *out, const char *relative) {
    pith_error error = {0};
    size_t size;
    char *data = test_read_file(test_root(relative), &size);
    const char *ending = strrchr(relative, '.');
    pith_status status;
    if (ending != NULL && strcmp(ending, ".model") == 0) {
        status = pith_vocab_from_sentencepiece(&out->file, data, size, relative, NULL, &error);
    } else if (ending != NULL && strcmp(ending, ".txt") == 0) {
        status = read_wordpiece(out, relative, data, size, &error);
    } else {
        status = test_vocab_from_json(&out->file, data, size, relative, NULL, &error);
    }
    free(data);
    if (status != PITH_OK) {
        give_up(relative, error.message);
    }
    open_vocab(out, relative);
}

void test_tokenizer_open_fairseq(test_tokenizer *out, const char *relative) {
    pith_error error = {0};
    size_t size;
    char *data = test_read_file(test_root(relative), &size);
    pith_status status =
        pith_vocab_from_sentencepiece(&out->file, data, size, relative, NULL, &error);
    free(data);
    if (status == PITH_OK) {
        status = pith_vocab_number_as_fairseq(&out->file, relative, &error);
    }
    if (status != PITH_OK) {
        give_up(relative, error.message);
    }
    open_vocab(out, relative);
}

void test_tokenizer_open_json(test_tokenizer *out, const char *text) {
    pith_error error = {0};
    if (test_vocab_from_json(&out->file, text, strlen(text), "text", NULL, &error) != PITH_OK) {
        give_up(text, error.message);
    }
    open_vocab(out, text);
}

void test_tokenizer_close(test_tokenizer *t) {
    pith_tokenizer_free(t->tokenizer);
    pith_vocab_file_free(&t->file);
}

json_t *test_json_lines(const char *relative) {
    size_t size;
    char *data = test_read_file(test_root(relative), &size);
    json_t *lines = json_array();
    for (char *line = data; *line != '\0';) {
        char *end = strchr(line, '\n');
        size_t n = end != NULL ? (size_t)(end - line) : strlen(line);
        json_error_t problem;
        json_t *value = json_loadb(line, n, JSON_ALLOW_NUL, &problem);
        if (value == NULL) {
            give_up(relative, problem.text);
        }
        json_array_append_new(lines, value);
        line += n + (end != NULL);
    }
    free(data);
    return lines;
}

int32_t *test_ids(const json_t *array, size_t *n) {
    *n = json_array_size(array);
    int32_t *ids = malloc((*n + 1) * sizeof *ids);
    if (ids == NULL) {
        give_up("ids", "no memory");
    }
    for (size_t i = 0; i < *n; i++) {
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    }
    return ids;
}

const char *test_show_ids(const int32_t *ids, size_t n) {
    enum { N_BUFFERS = 4, SIZE = 1200, ROOM = 16 };
    static char buffers[N_BUFFERS][SIZE];
    static size_t next;
    char *buffer = buffers[next++ % N_BUFFERS];
    size_t size = 0;
    buffer[0] = '\0';
    for (size_t i = 0; i < n && size + ROOM < SIZE; i++) {
        size += (size_t)snprintf(buffer + size, SIZE - size, "%s%d", i > 0 ? " " : "", ids[i]);
    }
    return buffer;
}

long test_first_other_token(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b) {
    size_t n = n_a < n_b ? n_a : n_b;
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return (long)i;
        }
    }
    return n_a == n_b ? -1 : (long)n;
}

char *test_decode(const pith_tokenizer *tokenizer, const int32_t *ids, size_t n, bool show_special,
                  size_t *n_bytes) {
    char *text = malloc((n + 1) * pith_decode_max(tokenizer) + 1);
    if (text == NULL) {
        give_up("decode", "no memory");
    }
    pith_decode_state state;
    pith_decode_begin(&state, show_special);
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += pith_decode_push(tokenizer, &state, ids[i], text + size);
    }
    size += pith_decode_finish(tokenizer, &state, text + size);
    text[size] = '\0';
    *n_bytes = size;
    return text;
}
