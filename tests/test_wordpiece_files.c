/* WordPiece vocabularies from files: what is refused in them, the way through a converted model to
 * the public text functions, failing allocations, and long texts. */
#include "convert/convert.h"
#include "engine/model.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

#define SPECIAL "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

/* ---- Refusals -------------------------------------------------------------------------------- */

#define NORMALIZER "\"normalizer\":{\"type\":\"BertNormalizer\"},"
#define SPLITTER "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
#define DECODER "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
#define PROCESSOR(type) \
    "\"post_processor\":{\"type\":\"" type "\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
#define VOCAB "\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##b\":4}"
#define MODEL(more) "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\"," more VOCAB "}"
#define FILE_WITH(normalizer, splitter, decoder, processor, model) \
    "{" normalizer splitter decoder processor model "}"
#define TOKEN(name, type) "{\"SpecialToken\":{\"id\":\"" name "\",\"type_id\":" type "}}"
#define SEQUENCE(name, type) "{\"Sequence\":{\"id\":\"" name "\",\"type_id\":" type "}}"
#define ONE TOKEN("[CLS]", "0") "," SEQUENCE("A", "0") "," TOKEN("[SEP]", "0")
#define TEMPLATE(single, pair)                                                                    \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[" pair \
    "],\"special_tokens\":{\"[CLS]\":{\"ids\":[1]},\"[SEP]\":{\""                                 \
    "ids\":[2]},\"a\":{\"ids\":[3]}}},"
#define BERT PROCESSOR("BertProcessing")

typedef struct file_case {
    const char *text;
    pith_status status;
    const char *message;
} file_case;

TEST(wordpiece, json_that_would_change_ids_or_text_is_refused_by_name) {
    static const file_case cases[] = {
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, BERT, MODEL("")), PITH_OK, ""},
        {FILE_WITH("", SPLITTER, DECODER, BERT, MODEL("")), PITH_OK, ""},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER,
                   TEMPLATE(ONE, ONE "," SEQUENCE("B", "1") "," TOKEN("[SEP]", "1")), MODEL("")),
         PITH_OK, ""},
        {FILE_WITH("\"normalizer\":{\"type\":\"Lowercase\"},", SPLITTER, DECODER, BERT, MODEL("")),
         PITH_ERROR_UNSUPPORTED, "normalizer \"Lowercase\""},
        {FILE_WITH("\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":"
                   "\"BertNormalizer\"},{\"type\":\"NFC\"}]},",
                   SPLITTER, DECODER, BERT, MODEL("")),
         PITH_ERROR_UNSUPPORTED, "normalizer \"NFC\""},
        {FILE_WITH("\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":1},", SPLITTER,
                   DECODER, BERT, MODEL("")),
         PITH_ERROR_FORMAT, "\"lowercase\""},
        {FILE_WITH(NORMALIZER, "", DECODER, BERT, MODEL("")), PITH_ERROR_UNSUPPORTED,
         "pre_tokenizer \"none"},
        {FILE_WITH(NORMALIZER, "\"pre_tokenizer\":{\"type\":\"Whitespace\"},", DECODER, BERT,
                   MODEL("")),
         PITH_ERROR_UNSUPPORTED, "pre_tokenizer \"Whitespace\""},
        {FILE_WITH(NORMALIZER, SPLITTER, "", BERT, MODEL("")), PITH_ERROR_UNSUPPORTED, "decoder"},
        {FILE_WITH(NORMALIZER, SPLITTER,
                   "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"@@\",\"cleanup\":true},", BERT,
                   MODEL("")),
         PITH_ERROR_UNSUPPORTED, "decoder \"WordPiece with another prefix"},
        {FILE_WITH(NORMALIZER, SPLITTER,
                   "\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":false},",
                   BERT, MODEL("")),
         PITH_ERROR_UNSUPPORTED, "without cleanup"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, "", MODEL("")), PITH_ERROR_UNSUPPORTED,
         "post_processor"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, PROCESSOR("RobertaProcessing"), MODEL("")),
         PITH_OK, ""},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, PROCESSOR("OtherProcessing"), MODEL("")),
         PITH_ERROR_UNSUPPORTED, "OtherProcessing"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER,
                   "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2]},",
                   MODEL("")),
         PITH_ERROR_FORMAT, "\"cls\" or \"sep\""},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER,
                   TEMPLATE(ONE, ONE "," SEQUENCE("B", "0") "," TOKEN("[SEP]", "1")), MODEL("")),
         PITH_ERROR_UNSUPPORTED, "TemplateProcessing unlike"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER,
                   TEMPLATE(ONE, ONE "," TOKEN("[SEP]", "0") "," SEQUENCE("B", "1")), MODEL("")),
         PITH_ERROR_UNSUPPORTED, "TemplateProcessing unlike"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, TEMPLATE(SEQUENCE("A", "0"), ONE), MODEL("")),
         PITH_ERROR_UNSUPPORTED, "TemplateProcessing unlike"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER,
                   TEMPLATE(ONE, ONE "," SEQUENCE("B", "1") "," TOKEN("a", "1")), MODEL("")),
         PITH_ERROR_UNSUPPORTED, "other tokens for pairs"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER,
                   TEMPLATE(TOKEN("x", "0") "," SEQUENCE("A", "0") "," TOKEN("[SEP]", "0"), ONE),
                   MODEL("")),
         PITH_ERROR_FORMAT, "no id"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, BERT,
                   MODEL("\"continuing_subword_prefix\":\"@@\",")),
         PITH_ERROR_UNSUPPORTED, "another prefix"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, BERT, MODEL("\"max_input_chars_per_word\":0,")),
         PITH_ERROR_FORMAT, "max_input_chars_per_word"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, BERT,
                   MODEL("\"max_input_chars_per_word\":1025,")),
         PITH_ERROR_UNSUPPORTED, "1024"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, BERT,
                   "\"model\":{\"type\":\"WordPiece\"," VOCAB "}"),
         PITH_ERROR_FORMAT, "unk_token"},
        {FILE_WITH(NORMALIZER, SPLITTER, DECODER, BERT,
                   "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"x\"," VOCAB "}"),
         PITH_ERROR_FORMAT, "unk_token"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_vocab_file file;
        pith_error error = {0};
        pith_status status =
            test_vocab_from_json(&file, cases[i].text, strlen(cases[i].text), "t", NULL, &error);
        CHECK(status == cases[i].status, "case %zu: status %d: %s", i, (int)status, error.message);
        CHECK(strstr(error.message, cases[i].message) != NULL, "case %zu: no \"%s\" in \"%s\"", i,
              cases[i].message, error.message);
        if (status == PITH_OK) {
            CHECK(file.vocab.bos == 1 && file.vocab.eos == 2 && file.vocab.unk == 0, "case %zu", i);
            pith_vocab_file_free(&file);
        }
    }
    CHECK_NO_LEAKS();
}

/* An added token that the model's vocabulary lacks is no piece of words, and one that is normalised
 * to nothing is never found. */
TEST(wordpiece, added_tokens_of_a_json_are_matched_but_make_no_words) {
    static const char text[] =
        "{\"added_tokens\":[{\"id\":5,\"content\":\"ab\"},{\"id\":6,\"content\":\"\\u0301\","
        "\"normalized\":true}]," NORMALIZER SPLITTER DECODER BERT MODEL("") "}";
    static const int32_t expected[] = {5, 3, 4};
    test_tokenizer t;
    test_tokenizer_open_json(&t, text);
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    CHECK(pith_encode(t.tokenizer, "ab AB", 5, 0, &ids, NULL) == PITH_OK, "encode");
    CHECK(test_first_other_token(expected, 3, ids.ids, ids.n) < 0, "%s",
          test_show_ids(ids.ids, ids.n));
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(wordpiece, vocab_txt_is_checked_with_what_stands_beside_it) {
    static const struct {
        const char *lines, *config, *map;
        pith_status status;
        const char *message;
    } cases[] = {
        {SPECIAL, NULL, NULL, PITH_OK, ""},
        {"", NULL, NULL, PITH_ERROR_FORMAT, "0 lines"},
        {"[UNK]\n[CLS]\na\n", NULL, NULL, PITH_ERROR_FORMAT, "sep_token ([SEP])"},
        {"[UNK]\n[SEP]\na\n", NULL, NULL, PITH_ERROR_FORMAT, "cls_token"},
        {"[CLS]\n[SEP]\na\n", NULL, NULL, PITH_ERROR_FORMAT, "unk_token"},
        {SPECIAL "\xFF\n", NULL, NULL, PITH_ERROR_FORMAT, "piece 5 is not UTF-8"},
        {"<s>\n[SEP]\n[UNK]\n", "{\"cls_token\": \"<s>\"}", NULL, PITH_OK, ""},
        {"<s>\n[SEP]\n[UNK]\n", NULL, "{\"cls_token\": {\"content\": \"<s>\"}}", PITH_OK, ""},
        {"<s>\n[SEP]\n[UNK]\n", "{\"cls_token\": null}", "{\"cls_token\": \"<s>\"}", PITH_OK, ""},
        {SPECIAL, "{\"model_max_length\": 1000000000000000019884624838656}", NULL, PITH_OK, ""},
        {SPECIAL, "{\"do_lower_case\": \"yes\"}", NULL, PITH_ERROR_FORMAT, "do_lower_case"},
        {SPECIAL, "{\"do_basic_tokenize\": false}", NULL, PITH_ERROR_UNSUPPORTED,
         "do_basic_tokenize"},
        {SPECIAL, "{\"tokenizer_class\": \"BertTokenizerFast\"}", NULL, PITH_OK, ""},
        {SPECIAL, "{\"tokenizer_class\": \"BertJapaneseTokenizer\"}", NULL, PITH_ERROR_UNSUPPORTED,
         "BertJapaneseTokenizer"},
        {SPECIAL, "{\"tokenizer_class\": 1}", NULL, PITH_ERROR_UNSUPPORTED, "tokenizer_class"},
        {SPECIAL, "{\"cls_token\": \"<s>\"}", NULL, PITH_ERROR_FORMAT, "cls_token (<s>)"},
        {SPECIAL, "{\"cls_token\": 1}", NULL, PITH_ERROR_FORMAT, "special token is neither"},
        {SPECIAL, NULL, "{\"additional_special_tokens\": [\"[PAD]\", {\"id\": 1}]}",
         PITH_ERROR_FORMAT, "special token is neither"},
        {SPECIAL, NULL, "{\"additional_special_tokens\": [null, \"x\"]}", PITH_OK, ""},
        {SPECIAL, "{\"mask_token\": {\"content\": \"[MASK]\", \"lstrip\": 1}}", NULL,
         PITH_ERROR_FORMAT, "lstrip"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *config = cases[i].config;
        const char *map = cases[i].map;
        pith_vocab_file file;
        pith_error error = {0};
        pith_status status =
            test_vocab_from_wordpiece(&file, cases[i].lines, strlen(cases[i].lines), "vocab.txt",
                                      config, config != NULL ? strlen(config) : 0, map,
                                      map != NULL ? strlen(map) : 0, NULL, &error);
        CHECK(status == cases[i].status, "case %zu: status %d: %s", i, (int)status, error.message);
        CHECK(strstr(error.message, cases[i].message) != NULL, "case %zu: no \"%s\" in \"%s\"", i,
              cases[i].message, error.message);
        if (status == PITH_OK) {
            pith_vocab_file_free(&file);
        }
    }
    CHECK_NO_LEAKS();
}

/* Each of them is looked for in every piece, so there must not be any number of them. */
TEST(wordpiece, too_many_additional_special_tokens_are_refused) {
    for (size_t n = 1024; n <= 1025; n++) {
        json_t *list = json_array();
        for (size_t i = 0; i < n; i++) {
            json_array_append_new(list, json_string("[MASK]"));
        }
        json_t *root = json_pack("{s:o}", "additional_special_tokens", list);
        char *config = json_dumps(root, 0);
        json_decref(root);
        pith_vocab_file file;
        pith_error error = {0};
        pith_status status =
            test_vocab_from_wordpiece(&file, SPECIAL, strlen(SPECIAL), "vocab.txt", config,
                                      strlen(config), NULL, 0, NULL, &error);
        free(config);
        CHECK(status == (n <= 1024 ? PITH_OK : PITH_ERROR_FORMAT), "%zu tokens: %s: %s", n,
              pith_status_name(status), error.message);
        CHECK(status == PITH_OK || strstr(error.message, "the limit is 1024") != NULL, "%s",
              error.message);
        if (status == PITH_OK) {
            pith_vocab_file_free(&file);
        }
    }
    CHECK_NO_LEAKS();
}

TEST(wordpiece, the_check_asks_for_the_three_tokens_and_a_word_length) {
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/minilm/vocab.txt");
    int32_t *const ids[] = {&t.file.vocab.bos, &t.file.vocab.eos, &t.file.vocab.unk};
    pith_error error = {0};
    for (size_t i = 0; i < 3; i++) {
        int32_t kept = *ids[i];
        *ids[i] = -1;
        CHECK(pith_vocab_check(&t.file.vocab, "f", &error) == PITH_ERROR_FORMAT, "%zu", i);
        CHECK(strstr(error.message, "WordPiece needs") != NULL, "%s", error.message);
        *ids[i] = kept;
    }
    static const size_t bad[] = {0, PITH_VOCAB_MAX_WORD_CHARS + 1, SIZE_MAX};
    for (size_t i = 0; i < 3; i++) {
        t.file.vocab.max_word_chars = bad[i];
        CHECK(pith_vocab_check(&t.file.vocab, "f", &error) == PITH_ERROR_FORMAT, "%zu", i);
        CHECK(strstr(error.message, "words of at most") != NULL, "%s", error.message);
    }
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- Through a model ------------------------------------------------------------------------- */

static void copy_file(const char *directory, const char *name) {
    char from[64] = "golden/minilm/";
    strcat(from, name);
    size_t size;
    void *data = test_read_file(test_root(from), &size);
    test_write_file(test_join(directory, name), data, size);
    free(data);
}

static void check_model_text(const pith_model *model) {
    json_t *lines = test_json_lines("golden/tokenizers/minilm.jsonl");
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *line = json_array_get(lines, i);
        const json_t *text = json_object_get(line, "text");
        const json_t *decoded = json_object_get(line, "decoded");
        size_t n_expected;
        int32_t *expected = test_ids(json_object_get(line, "ids"), &n_expected);
        int32_t *ids = malloc(n_expected * sizeof *ids);
        char *out = malloc(json_string_length(decoded) + 1);
        size_t n = 0;
        pith_error error = {0};
        unsigned flags = (unsigned)i % 4; /* they do not matter */
        pith_status status =
            pith_tokenize(model, (pith_text){json_string_value(text), json_string_length(text)},
                          flags, ids, n_expected, &n, &error);
        CHECK(status == PITH_OK, "line %zu: %s", i + 1, error.message);
        long at = test_first_other_token(expected, n_expected, ids, n);
        CHECK(at < 0, "line %zu: id %ld differs: %s", i + 1, at, test_show_ids(ids, n));
        status = pith_detokenize(model, ids, n, out, json_string_length(decoded) + 1, &n, &error);
        CHECK(status == PITH_OK, "line %zu: %s", i + 1, error.message);
        CHECK(n == json_string_length(decoded) && memcmp(out, json_string_value(decoded), n) == 0,
              "line %zu: %.*s", i + 1, (int)n, out);
        free(expected);
        free(ids);
        free(out);
    }
    json_decref(lines);
}

static void check_decoder(const pith_model *model) {
    static const int32_t ids[] = {101, 7592, 1010, 2088, 2015, 102}; /* hello , world ##s */
    static const char *const texts[] = {"", "hello", ",", " world", "s", ""};
    pith_decoder *decoder;
    CHECK(pith_decoder_new(&decoder, model, NULL) == PITH_OK, "no decoder");
    for (size_t k = 0; k < 2; k++) { /* after finish it begins anew */
        pith_text text;
        for (size_t i = 0; i < 6; i++) {
            CHECK(pith_decoder_push(decoder, ids[i], &text, NULL) == PITH_OK, "%zu", i);
            CHECK(text.n_bytes == strlen(texts[i]) &&
                      memcmp(text.data, texts[i], text.n_bytes) == 0,
                  "%zu: %.*s", i, (int)text.n_bytes, text.data);
        }
        pith_decoder_finish(decoder, &text);
        CHECK(text.n_bytes == 0, "%zu bytes at the end", text.n_bytes);
    }
    pith_text text;
    CHECK(pith_decoder_push(decoder, 30522, &text, NULL) == PITH_ERROR_TOKEN, "beyond");
    pith_decoder_free(decoder);
}

/* The vocabulary's way through a .pith file does not depend on the architecture. */
static void check_conversion(const char *name, bool json) {
    const char *directory = test_make_checkpoint(name, "{\"vocab_size\": 30522}");
    pith_config config = test_checkpoint_config();
    config.vocab_size = 30522;
    test_tensors tensors = test_checkpoint_tensors(&config, 7);
    test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
    test_tensors_free(&tensors);
    copy_file(directory, json ? "tokenizer.json" : "vocab.txt");
    copy_file(directory, "tokenizer_config.json");
    copy_file(directory, "special_tokens_map.json");
    pith_convert_options options = {.type = PITH_TYPE_INT4,
                                    .head_type = PITH_N_TYPES,
                                    .n_threads = 1};
    pith_error error = {0};
    const char *path = test_path("wordpiece.pith");
    CHECK(pith_convert(directory, path, &options, &error) == PITH_OK, "%s", error.message);
    pith_model *model;
    pith_model_options open_options = {.n_threads = 1};
    CHECK(pith_model_open(&model, path, &open_options, &error) == PITH_OK, "%s", error.message);
    const pith_vocab *v = pith_tokenizer_vocab(model->tokenizer);
    CHECK(v->kind == PITH_TOKENIZER_WORDPIECE && v->bos == 101 && v->eos == 102 && v->unk == 100 &&
              v->lowercase && v->strip_accents && v->clean_text && v->split_cjk &&
              v->max_word_chars == 100,
          "a setting is lost");
    check_model_text(model);
    check_decoder(model);
    pith_model_free(model);
}

TEST(wordpiece, a_converted_model_tokenizes_as_the_reference_does) {
    check_conversion("bert-json", true);
    check_conversion("bert-txt", false);
    CHECK_NO_LEAKS();
}

/* ---- Failing allocations --------------------------------------------------------------------- */

enum { MAX_CALLS = 10000 };

/* Parses, builds and encodes once. */
static pith_status work(const pith_allocator *allocator, pith_error *error) {
    static const char lines[] = SPECIAL "a\n##b\nab\n\xE1\x84\x80\n";
    static const char config[] = "{\"added_tokens_decoder\": {\"9\": {\"content\": \"Q\", "
                                 "\"normalized\": true}}, \"cls_token\": \"[CLS]\"}";
    static const char sample[] = "AB abb \xEA\xB0\x81 [SEP]\xE4\xB8\x80 a\xE3\x80\xAE\xF0\x9D\x85"
                                 "\xA5 Q";
    pith_vocab_file file;
    pith_status status =
        test_vocab_from_wordpiece(&file, lines, strlen(lines), "v", config, strlen(config), config,
                                  strlen(config), allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = test_vocab_add_tokens(&file, config, strlen(config), NULL, 0, "c", error);
    pith_tokenizer *t = NULL;
    pith_tokens ids;
    pith_tokens_init(&ids, allocator);
    if (status == PITH_OK) {
        status = pith_tokenizer_new(&t, &file.vocab, allocator, error);
    }
    for (size_t i = 0; status == PITH_OK && i < 8; i++) {
        status = pith_encode_for_encoder(t, sample, strlen(sample), sample, strlen(sample), 0, &ids,
                                         NULL, error);
    }
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
    pith_vocab_file_free(&file);
    return status;
}

TEST(wordpiece, every_allocation_may_fail) {
    size_t n_failures = 0;
    for (size_t fail_at = 1; fail_at < MAX_CALLS; fail_at++) {
        test_allocator a;
        test_allocator_init(&a);
        a.fail_at = fail_at;
        pith_error error = {0};
        pith_status status = work(&a.allocator, &error);
        CHECK(a.n_live == 0, "allocation %zu: %zu blocks leaked", fail_at, a.n_live);
        if (a.n_calls < fail_at) {
            CHECK(status == PITH_OK, "%s", error.message);
            CHECK(n_failures > 20, "only %zu allocations", n_failures);
            CHECK_NO_LEAKS();
            return;
        }
        CHECK(status == PITH_ERROR_MEMORY, "allocation %zu: status %d: %s", fail_at, (int)status,
              error.message);
        n_failures++;
    }
    CHECK(false, "more than %d allocations", MAX_CALLS);
}

/* ---- Long texts ------------------------------------------------------------------------------ */

/* Ten megabytes of what is worst for a tokenizer that takes more than linear time. */
TEST(wordpiece, long_texts_take_linear_time) {
    enum { LENGTH = 10 << 20 };
    static const char *const units[] = {
        "a",
        " ",
        "!",
        "xq",
        "\xE4\xBA\xBA",
        "\xCC\x81",
        "\xE3\x80\xAE\xF0\x9D\x85\xA5",
        "[SEP",
        "[CLS]",
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq ",
        "\xEA\xB0\x81",
        "\x01",
        "Hello, world! "};
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/minilm/tokenizer.json");
    char *text = malloc(LENGTH);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i]);
        size_t size = 0;
        for (; size + n <= LENGTH; size += n) {
            memcpy(text + size, units[i], n);
        }
        pith_tokens ids;
        pith_encoded info;
        pith_error error = {0};
        pith_tokens_init(&ids, NULL);
        pith_status status =
            pith_encode_for_encoder(t.tokenizer, text, size, NULL, 0, 256, &ids, &info, &error);
        CHECK(status == PITH_OK, "\"%s\": %s", units[i], error.message);
        CHECK(ids.n >= 2 && ids.n <= 256 && ids.ids[ids.n - 1] == 102, "\"%s\": %zu ids", units[i],
              ids.n);
        pith_tokens_release(&ids);
    }
    free(text);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}
