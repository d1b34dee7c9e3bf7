/* Tokenizers of many pipelines against the Rust library: every normaliser, pre-tokenizer and
 * decoder that a tokenizer.json can hold, alone and in sequences (golden/make_pipelines.py). */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

static const char cases_path[] = "golden/tokenizers/pipelines.jsonl";
static const char map_path[] = "golden/tokenizers/unigram/tokenizer.model";

/* The base64 of [n] bytes, to be freed. */
static char *base64(const uint8_t *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = calloc(n / 3 * 4 + 5, 1);
    size_t size = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16;
        group |= i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0;
        group |= i + 2 < n ? (uint32_t)bytes[i + 2] : 0;
        out[size++] = digits[group >> 18];
        out[size++] = digits[group >> 12 & 63];
        out[size++] = i + 1 < n ? digits[group >> 6 & 63] : '=';
        out[size++] = i + 2 < n ? digits[group & 63] : '=';
    }
    return out;
}

/* A map of characters in a pipeline is named by the model that has it: puts it there. */
static void fill_maps(json_t *value, const char *map) {
    const char *key;
    json_t *member;
    size_t index;
    json_object_foreach(value, key, member) {
        const char *text = json_string_value(member);
        if (text != NULL && strcmp(text, map_path) == 0) {
            json_string_set(member, map);
        }
        fill_maps(member, map);
    }
    json_array_foreach(value, index, member) {
        fill_maps(member, map);
    }
}

static void open_pipeline(test_tokenizer *out, const json_t *line, const char *map) {
    size_t size;
    char *text = test_read_file(test_root(json_string_value(json_object_get(line, "base"))), &size);
    json_t *document = json_loadb(text, size, 0, NULL);
    json_object_update(document, json_object_get(line, "replace"));
    json_object_update(json_object_get(document, "model"), json_object_get(line, "model"));
    fill_maps(json_object_get(document, "normalizer"), map);
    char *changed = json_dumps(document, JSON_COMPACT);
    test_tokenizer_open_json(out, changed);
    free(changed);
    json_decref(document);
    free(text);
}

static void check_case(const test_tokenizer *t, const json_t *item, size_t line, size_t index) {
    size_t n;
    int32_t *expected = test_ids(json_object_get(item, "ids"), &n);
    const json_t *text = json_object_get(item, "text");
    const json_t *decoded = json_object_get(item, "decoded");
    pith_error error = {0};
    pith_tokens actual;
    pith_tokens_init(&actual, NULL);
    pith_status status =
        pith_encode(t->tokenizer, json_string_value(text), json_string_length(text),
                    PITH_ENCODE_SPECIAL, &actual, &error);
    CHECK(status == PITH_OK, "%s:%zu, case %zu: %s", cases_path, line + 1, index, error.message);
    long at = test_first_other_token(expected, n, actual.ids, actual.n);
    CHECK(at < 0, "%s:%zu, case %zu: id %ld differs\n expected %s\n actual   %s", cases_path,
          line + 1, index, at, test_show_ids(expected, n), test_show_ids(actual.ids, actual.n));
    size_t n_bytes;
    char *shown = test_decode(t->tokenizer, expected, n, false, &n_bytes);
    CHECK(n_bytes == json_string_length(decoded) &&
              memcmp(shown, json_string_value(decoded), n_bytes) == 0,
          "%s:%zu, case %zu: decoded\n expected %s\n actual   %s", cases_path, line + 1, index,
          json_string_value(decoded), shown);
    free(shown);
    pith_tokens_release(&actual);
    free(expected);
}

TEST(tokenizer, pipelines_give_the_ids_and_text_of_hugging_face) {
    test_tokenizer model;
    test_tokenizer_open(&model, map_path);
    const pith_vocab *v = &model.file.vocab;
    char *map = base64(v->charsmap, v->n_charsmap);
    json_t *lines = test_json_lines(cases_path);
    CHECK(json_array_size(lines) == 150, "%zu pipelines", json_array_size(lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const json_t *cases = json_object_get(line, "cases");
        test_tokenizer t;
        open_pipeline(&t, line, map);
        CHECK(json_array_size(cases) == 14, "%s:%zu", cases_path, i + 1);
        for (size_t k = 0; k < json_array_size(cases); k++) {
            check_case(&t, json_array_get(cases, k), i, k);
        }
        test_tokenizer_close(&t);
    }
    json_decref(lines);
    free(map);
    test_tokenizer_close(&model);
    CHECK_NO_LEAKS();
}
