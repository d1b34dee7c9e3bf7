/* BERT's tokenizer against the reference files: the ids and texts that Hugging Face's tokenizers
 * give, pairs and limits by golden/make_pairs.py; read from tokenizer.json and from vocab.txt. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

static const char *const tokenizers[] = {"golden/minilm/tokenizer.json", "golden/minilm/vocab.txt"};

enum { N_TOKENIZERS = sizeof tokenizers / sizeof tokenizers[0] };

/* What a line of a reference file is called in messages. */
typedef struct place {
    const char *tokenizer, *cases;
    size_t line;
} place;

static void check_ids(const place *p, const json_t *list, const pith_tokens *actual) {
    size_t n;
    int32_t *expected = test_ids(list, &n);
    long at = test_first_other_token(expected, n, actual->ids, actual->n);
    CHECK(at < 0, "%s:%zu with %s: id %ld differs\n expected %s\n actual   %s", p->cases, p->line,
          p->tokenizer, at, test_show_ids(expected, n), test_show_ids(actual->ids, actual->n));
    free(expected);
}

/* Encodes the text, and the pair unless it is null. */
static pith_encoded encode(const place *p, const pith_tokenizer *t, const json_t *line,
                           size_t limit, pith_tokens *out) {
    const json_t *text = json_object_get(line, "text");
    const json_t *pair = json_object_get(line, "pair");
    pith_error error = {0};
    pith_encoded info = {0};
    pith_tokens_init(out, NULL);
    pith_status status =
        pith_encode_for_encoder(t, json_string_value(text), json_string_length(text),
                                json_string_value(pair), json_string_length(pair), limit, out,
                                &info, &error);
    CHECK(status == PITH_OK, "%s:%zu: %s", p->cases, p->line, error.message);
    return info;
}

static void check_decoded(const place *p, const pith_tokenizer *t, const json_t *line) {
    size_t n;
    size_t n_bytes;
    int32_t *ids = test_ids(json_object_get(line, "ids"), &n);
    const json_t *expected = json_object_get(line, "decoded");
    char *text = test_decode(t, ids, n, false, &n_bytes);
    CHECK(n_bytes == json_string_length(expected) &&
              memcmp(text, json_string_value(expected), n_bytes) == 0,
          "%s:%zu with %s: decoded\n expected %s\n actual   %s", p->cases, p->line, p->tokenizer,
          json_string_value(expected), text);
    free(text);
    free(ids);
}

typedef void (*check_line)(const place *p, const pith_tokenizer *t, const json_t *line);

static void check_lines(const char *cases, const json_t *lines, size_t n_cases, check_line check) {
    CHECK(json_array_size(lines) == n_cases, "%s has %zu cases, not %zu", cases,
          json_array_size(lines), n_cases);
    for (size_t k = 0; k < N_TOKENIZERS; k++) {
        test_tokenizer t;
        test_tokenizer_open(&t, tokenizers[k]);
        for (size_t i = 0; i < n_cases; i++) {
            place p = {tokenizers[k], cases, i + 1};
            check(&p, t.tokenizer, json_array_get(lines, i));
        }
        test_tokenizer_close(&t);
    }
}

static void check_file(const char *cases, size_t n_cases, check_line check) {
    json_t *lines = test_json_lines(cases);
    check_lines(cases, lines, n_cases, check);
    json_decref(lines);
    CHECK_NO_LEAKS();
}

static void check_single(const place *p, const pith_tokenizer *t, const json_t *line) {
    pith_tokens ids;
    pith_encoded info = encode(p, t, line, 0, &ids);
    check_ids(p, json_object_get(line, "ids"), &ids);
    CHECK(info.n_first == ids.n && !info.truncated, "%s:%zu: %zu of %zu, truncated %d", p->cases,
          p->line, info.n_first, ids.n, info.truncated);
    pith_tokens_release(&ids);
    check_decoded(p, t, line);
}

TEST(wordpiece, minilm_gives_the_ids_and_text_of_hugging_face) {
    check_file("golden/tokenizers/minilm.jsonl", 343, check_single);
}

/* The same without [CLS] and [SEP]. */
static void check_plain(const place *p, const pith_tokenizer *t, const json_t *line) {
    const json_t *text = json_object_get(line, "text");
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    pith_status status =
        pith_encode(t, json_string_value(text), json_string_length(text), 0, &ids, &error);
    CHECK(status == PITH_OK, "%s:%zu: %s", p->cases, p->line, error.message);
    json_t *expected = json_copy(json_object_get(line, "ids"));
    json_array_remove(expected, json_array_size(expected) - 1);
    json_array_remove(expected, 0);
    check_ids(p, expected, &ids);
    json_decref(expected);
    pith_tokens_release(&ids);
}

TEST(wordpiece, plain_encoding_has_no_special_tokens_around_it) {
    check_file("golden/tokenizers/minilm.jsonl", 343, check_plain);
}

static void check_limited(const place *p, const pith_tokenizer *t, const json_t *line) {
    pith_tokens ids;
    size_t limit = (size_t)json_integer_value(json_object_get(line, "limit"));
    size_t n_first = (size_t)json_integer_value(json_object_get(line, "n_first"));
    bool truncated = json_is_true(json_object_get(line, "truncated"));
    pith_encoded info = encode(p, t, line, limit, &ids);
    check_ids(p, json_object_get(line, "ids"), &ids);
    CHECK(info.n_first == n_first, "%s:%zu: the first text has %zu ids, expected %zu", p->cases,
          p->line, info.n_first, n_first);
    CHECK(info.truncated == truncated, "%s:%zu: truncated %d", p->cases, p->line, info.truncated);
    pith_tokens_release(&ids);
}

TEST(wordpiece, pairs_and_limits_are_those_of_the_independent_implementation) {
    check_file("golden/tokenizers/minilm_pairs.jsonl", 150, check_limited);
}

/* sentence-transformers takes the white space at both ends off first, which changes no id. */
static void check_sentence(const place *p, const pith_tokenizer *t, const json_t *line) {
    pith_tokens ids;
    pith_encoded info = encode(p, t, line, 256, &ids);
    check_ids(p, json_object_get(line, "ids"), &ids);
    CHECK(info.truncated == (p->line >= 39), "%s:%zu: truncated %d", p->cases, p->line,
          info.truncated);
    pith_tokens_release(&ids);
}

TEST(wordpiece, sentences_are_cut_to_256_tokens_as_in_sentence_transformers) {
    const char *path = "golden/minilm/expected.json";
    size_t size;
    char *text = test_read_file(test_root(path), &size);
    json_t *root = json_loadb(text, size, JSON_ALLOW_NUL, NULL);
    CHECK(root != NULL, "%s is not JSON", path);
    check_lines(path, json_object_get(root, "items"), 40, check_sentence);
    json_decref(root);
    free(text);
    CHECK_NO_LEAKS();
}
