/* The tokenizers against the reference files of golden/tokenizers: every case of every file. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

/* How one reference file is compared. */
typedef struct reference {
    const char *tokenizer;
    const char *cases;
    const char *ids;      /* member that holds the ids */
    const char *ids_else; /* member to use where that one is missing, or NULL */
    unsigned flags;
    bool decode;
    bool show_special;
    bool fairseq; /* the pieces of a model are numbered as XLM-R's */
    size_t n_cases;
} reference;

static const char *text_of(const json_t *line, const char *key) {
    return json_string_value(json_object_get(line, key));
}

static void check_encoding(const reference *r, const pith_tokenizer *t, const json_t *line,
                           size_t index) {
    const json_t *list = json_object_get(line, r->ids);
    if (list == NULL && r->ids_else != NULL) {
        list = json_object_get(line, r->ids_else);
    }
    size_t n;
    int32_t *expected = test_ids(list, &n);
    pith_tokens actual;
    pith_tokens_init(&actual, NULL);
    pith_error error = {0};
    const json_t *text = json_object_get(line, "text");
    pith_status status = pith_encode(t, json_string_value(text), json_string_length(text), r->flags,
                                     &actual, &error);
    CHECK(status == PITH_OK, "%s:%zu: %s", r->cases, index + 1, error.message);
    long at = test_first_other_token(expected, n, actual.ids, actual.n);
    CHECK(at < 0, "%s:%zu with %s: id %ld differs\n expected %s\n actual   %s", r->cases, index + 1,
          r->tokenizer, at, test_show_ids(expected, n), test_show_ids(actual.ids, actual.n));
    pith_tokens_release(&actual);
    free(expected);
}

static void check_decoding(const reference *r, const pith_tokenizer *t, const json_t *line,
                           size_t index) {
    size_t n;
    int32_t *ids = test_ids(json_object_get(line, "ids"), &n);
    const json_t *expected = json_object_get(line, "decoded");
    size_t n_bytes;
    char *text = test_decode(t, ids, n, r->show_special, &n_bytes);
    CHECK(n_bytes == json_string_length(expected) &&
              memcmp(text, json_string_value(expected), n_bytes) == 0,
          "%s:%zu with %s: decoded\n expected %s\n actual   %s", r->cases, index + 1, r->tokenizer,
          json_string_value(expected), text);
    free(text);
    free(ids);
}

static void check_reference(const reference *r) {
    test_tokenizer t;
    if (r->fairseq) {
        test_tokenizer_open_fairseq(&t, r->tokenizer);
    } else {
        test_tokenizer_open(&t, r->tokenizer);
    }
    json_t *lines = test_json_lines(r->cases);
    CHECK(json_array_size(lines) == r->n_cases, "%s has %zu cases, not %zu", r->cases,
          json_array_size(lines), r->n_cases);
    for (size_t i = 0; i < r->n_cases; i++) {
        const json_t *line = json_array_get(lines, i);
        if (r->ids != NULL) {
            check_encoding(r, t.tokenizer, line, i);
        }
        if (r->decode) {
            check_decoding(r, t.tokenizer, line, i);
        }
    }
    json_decref(lines);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, llama2_model_gives_the_ids_and_text_of_sentencepiece) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/llama2/tokenizer.model",
                                 .cases = "golden/tokenizers/llama2.jsonl",
                                 .ids = "ids",
                                 .decode = true,
                                 .n_cases = 343});
}

TEST(tokenizer, llama2_json_gives_the_ids_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/llama2/tokenizer.json",
                                 .cases = "golden/tokenizers/llama2.jsonl",
                                 .ids = "hf_ids",
                                 .ids_else = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .decode = true,
                                 .n_cases = 343});
}

TEST(tokenizer, llama2_json_without_special_tokens_gives_the_ids_of_sentencepiece) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/llama2/tokenizer.json",
                                 .cases = "golden/tokenizers/llama2.jsonl",
                                 .ids = "ids",
                                 .n_cases = 343});
}

TEST(tokenizer, llama2_model_with_special_tokens_gives_the_ids_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/llama2/tokenizer.model",
                                 .cases = "golden/tokenizers/llama2.jsonl",
                                 .ids = "hf_ids",
                                 .ids_else = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .n_cases = 343});
}

TEST(tokenizer, small_model_gives_the_ids_and_text_of_sentencepiece) {
    check_reference(&(reference){.tokenizer = "golden/llama-gqa/tokenizer.model",
                                 .cases = "golden/tokenizers/tiny.jsonl",
                                 .ids = "ids",
                                 .decode = true,
                                 .n_cases = 343});
}

TEST(tokenizer, metaspace_json_gives_the_ids_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/llama-gqa/tokenizer.json",
                                 .cases = "golden/tokenizers/tiny.jsonl",
                                 .ids = "hf_ids",
                                 .ids_else = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .decode = true,
                                 .n_cases = 343});
}

TEST(tokenizer, gpt2_gives_the_ids_and_text_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/gpt2/tokenizer.json",
                                 .cases = "golden/tokenizers/gpt2.jsonl",
                                 .ids = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .decode = true,
                                 .show_special = true,
                                 .n_cases = 343});
}

TEST(tokenizer, llama3_gives_the_ids_and_text_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/llama3/tokenizer.json",
                                 .cases = "golden/tokenizers/llama3.jsonl",
                                 .ids = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .decode = true,
                                 .show_special = true,
                                 .n_cases = 343});
}

/* Cuts of published vocabularies, with all their rules. */
TEST(tokenizer, cut_vocabularies_give_the_ids_and_text_of_hugging_face) {
    static const char *const names[][2] = {
        {"golden/tokenizers/qwen3/tokenizer.json", "golden/tokenizers/qwen3.jsonl"},
        {"golden/tokenizers/gptoss/tokenizer.json", "golden/tokenizers/gptoss.jsonl"},
        {"golden/tokenizers/deepseek_v3/tokenizer.json", "golden/tokenizers/deepseek_v3.jsonl"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        check_reference(&(reference){.tokenizer = names[i][0],
                                     .cases = names[i][1],
                                     .ids = "ids",
                                     .flags = PITH_ENCODE_SPECIAL,
                                     .decode = true,
                                     .n_cases = 116});
    }
}

TEST(tokenizer, unigram_json_gives_the_ids_and_text_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/unigram/tokenizer.json",
                                 .cases = "golden/tokenizers/unigram.jsonl",
                                 .ids = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .decode = true,
                                 .n_cases = 343});
}

TEST(tokenizer, unigram_model_gives_the_ids_of_sentencepiece) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/unigram/tokenizer.model",
                                 .cases = "golden/tokenizers/unigram_model.jsonl",
                                 .ids = "ids",
                                 .n_cases = 343});
}

TEST(tokenizer, unigram_model_numbered_as_fairseq_gives_the_ids_of_hugging_face) {
    check_reference(&(reference){.tokenizer = "golden/tokenizers/unigram/tokenizer.model",
                                 .cases = "golden/tokenizers/xlm_roberta.jsonl",
                                 .ids = "ids",
                                 .flags = PITH_ENCODE_SPECIAL,
                                 .decode = true,
                                 .fairseq = true,
                                 .n_cases = 343});
}

TEST(tokenizer, arbitrary_ids_decode_as_in_sentencepiece) {
    static const char *const tokenizers[] = {"golden/tokenizers/llama2/tokenizer.model",
                                             "golden/tokenizers/llama2/tokenizer.json"};
    for (size_t i = 0; i < 2; i++) {
        check_reference(&(reference){.tokenizer = tokenizers[i],
                                     .cases = "golden/tokenizers/llama2_decode.jsonl",
                                     .decode = true,
                                     .n_cases = 80});
    }
}

/* bytes_hex: the bytes of the pieces before the leading space is dropped. Broken parts aside, the
 * text is those bytes. */
TEST(tokenizer, valid_ids_decode_to_the_bytes_of_their_pieces) {
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/tokenizers/llama2/tokenizer.model");
    json_t *lines = test_json_lines("golden/tokenizers/llama2_decode.jsonl");
    size_t n_valid = 0;
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        if (!json_is_true(json_object_get(line, "valid_utf8"))) {
            continue;
        }
        n_valid++;
        size_t n;
        int32_t *ids = test_ids(json_object_get(line, "ids"), &n);
        size_t n_bytes;
        char *text = test_decode(t.tokenizer, ids, n, false, &n_bytes);
        const char *hex = text_of(line, "bytes_hex");
        const char *piece = "";
        size_t n_piece = 0;
        pith_tokenizer_piece(t.tokenizer, ids[0], &piece, &n_piece);
        bool dropped = n_piece >= 3 && memcmp(piece, "\xE2\x96\x81", 3) == 0;
        hex += dropped ? 2 : 0;
        CHECK(strlen(hex) == 2 * n_bytes, "line %zu: %zu bytes, expected %zu", i + 1, n_bytes,
              strlen(hex) / 2);
        for (size_t k = 0; k < n_bytes; k++) {
            char digits[3] = {hex[2 * k], hex[2 * k + 1], '\0'};
            unsigned expected = (unsigned)strtoul(digits, NULL, 16);
            CHECK((unsigned char)text[k] == expected, "line %zu, byte %zu: %02x, expected %02x",
                  i + 1, k, (unsigned char)text[k], expected);
        }
        free(text);
        free(ids);
    }
    CHECK(n_valid == 42, "%zu of the cases are valid UTF-8", n_valid);
    json_decref(lines);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* Llama 2's vocabulary with the tokens Code Llama puts behind it, as its files spell them. */
static void open_codellama(test_tokenizer *t) {
    pith_error error = {0};
    size_t size;
    const char *path = "golden/tokenizers/llama2/tokenizer.model";
    char *data = test_read_file(test_root(path), &size);
    pith_status status = pith_vocab_from_sentencepiece(&t->file, data, size, path, NULL, &error);
    free(data);
    CHECK(status == PITH_OK, "%s", error.message);
    static const char added[] =
        "{\"<a>\": 32000, \"<b>\": 32001, \"<c>\": 32002, \"<d>\": 32003, \"<e>\": 32004,"
        " \"<f>\": 32005, \"<g>\": 32006}";
    static const char config[] = "{\"add_bos_token\": true, \"added_tokens_decoder\": {"
                                 "\"32007\": {\"content\": \"\\u2581<PRE>\", \"special\": true},"
                                 "\"32008\": {\"content\": \"\\u2581<SUF>\", \"special\": true},"
                                 "\"32009\": {\"content\": \"\\u2581<MID>\", \"special\": true},"
                                 "\"32010\": {\"content\": \"\\u2581<EOT>\", \"special\": true}}}";
    status = test_vocab_add_tokens(&t->file, config, strlen(config), added, strlen(added), "config",
                                   &error);
    CHECK(status == PITH_OK, "%s", error.message);
    status = pith_tokenizer_new(&t->tokenizer, &t->file.vocab, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
}

TEST(tokenizer, infilling_prompts_are_those_of_the_reference_code) {
    test_tokenizer t;
    open_codellama(&t);
    pith_infill_ids ids = pith_tokenizer_infill(t.tokenizer);
    CHECK(ids.prefix == 32007 && ids.suffix == 32008 && ids.middle == 32009 && ids.end == 32010,
          "ids %d %d %d %d", ids.prefix, ids.suffix, ids.middle, ids.end);
    json_t *lines = test_json_lines("golden/tokenizers/infill.jsonl");
    CHECK(json_array_size(lines) == 68, "%zu cases", json_array_size(lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const json_t *prefix = json_object_get(line, "prefix");
        const json_t *suffix = json_object_get(line, "suffix");
        size_t n;
        int32_t *expected = test_ids(json_object_get(line, "ids"), &n);
        pith_tokens actual;
        pith_tokens_init(&actual, NULL);
        pith_error error = {0};
        pith_status status =
            pith_infill_encode(t.tokenizer,
                               (pith_text){json_string_value(prefix), json_string_length(prefix)},
                               (pith_text){json_string_value(suffix), json_string_length(suffix)},
                               json_is_true(json_object_get(line, "suffix_first")), &actual,
                               &error);
        CHECK(status == PITH_OK, "line %zu: %s", i + 1, error.message);
        long at = test_first_other_token(expected, n, actual.ids, actual.n);
        CHECK(at < 0, "line %zu: id %ld differs\n expected %s\n actual   %s", i + 1, at,
              test_show_ids(expected, n), test_show_ids(actual.ids, actual.n));
        pith_tokens_release(&actual);
        free(expected);
    }
    json_decref(lines);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, chat_prompts_are_those_of_the_reference_code) {
    enum { MAX_MESSAGES = 16 };
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/tokenizers/llama2/tokenizer.model");
    json_t *lines = test_json_lines("golden/tokenizers/llama2_chat.jsonl");
    CHECK(json_array_size(lines) == 20, "%zu cases", json_array_size(lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const json_t *dialog = json_object_get(line, "dialog");
        pith_message messages[MAX_MESSAGES];
        size_t n_messages = json_array_size(dialog);
        CHECK(n_messages <= MAX_MESSAGES, "line %zu: %zu messages", i + 1, n_messages);
        for (size_t k = 0; k < n_messages; k++) {
            const json_t *content = json_object_get(json_array_get(dialog, k), "content");
            messages[k] = (pith_message){.role = text_of(json_array_get(dialog, k), "role"),
                                         .content = {json_string_value(content),
                                                     json_string_length(content)}};
        }
        size_t n;
        int32_t *expected = test_ids(json_object_get(line, "ids"), &n);
        pith_tokens actual;
        pith_tokens_init(&actual, NULL);
        pith_error error = {0};
        pith_status status =
            pith_chat_encode(t.tokenizer, "llama2", messages, n_messages, &actual, &error);
        CHECK(status == PITH_OK, "line %zu: %s", i + 1, error.message);
        long at = test_first_other_token(expected, n, actual.ids, actual.n);
        CHECK(at < 0, "line %zu: id %ld differs\n expected %s\n actual   %s", i + 1, at,
              test_show_ids(expected, n), test_show_ids(actual.ids, actual.n));
        pith_tokens_release(&actual);
        free(expected);
    }
    json_decref(lines);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* Encoders of other kinds than WordPiece, and MPNet: texts whole and cut, and pairs, with the
 * tokens around them. */
TEST(tokenizer, encoders_read_what_their_post_processors_say) {
    static const char path[] = "golden/tokenizers/encoders.jsonl";
    json_t *lines = test_json_lines(path);
    test_tokenizer t = {.tokenizer = NULL};
    const char *open = "";
    CHECK(json_array_size(lines) == 300, "%zu cases", json_array_size(lines));
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        if (strcmp(open, text_of(line, "tokenizer")) != 0) {
            test_tokenizer_close(&t);
            open = text_of(line, "tokenizer");
            test_tokenizer_open(&t, open);
        }
        size_t n;
        int32_t *expected = test_ids(json_object_get(line, "ids"), &n);
        const char *text = text_of(line, "text");
        const char *pair = text_of(line, "pair");
        size_t limit = (size_t)json_integer_value(json_object_get(line, "limit"));
        pith_error error = {0};
        pith_tokens actual;
        pith_tokens_init(&actual, NULL);
        pith_status status =
            pith_encode_for_encoder(t.tokenizer, text, strlen(text), pair,
                                    pair != NULL ? strlen(pair) : 0, limit, &actual, NULL, &error);
        CHECK(status == PITH_OK, "%s:%zu: %s", path, i + 1, error.message);
        long at = test_first_other_token(expected, n, actual.ids, actual.n);
        CHECK(at < 0, "%s:%zu: id %ld differs\n expected %s\n actual   %s", path, i + 1, at,
              test_show_ids(expected, n), test_show_ids(actual.ids, actual.n));
        pith_tokens_release(&actual);
        free(expected);
    }
    test_tokenizer_close(&t);
    json_decref(lines);
    CHECK_NO_LEAKS();
}
