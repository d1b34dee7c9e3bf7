/* Which tokenizer file decides, and what is still read from the others: ids of a directory's
 * tokenizer as transformers gives them. */
#include "convert/hf_tokenizer.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads the directory's tokenizer; `warnings` [4096] may be NULL. */
static pith_status try_read(const char *directory, size_t vocab_size, pith_hf_tokenizer *out,
                            char *warnings, pith_error *error) {
    pith_sources sources;
    pith_log log = {0};
    if (warnings != NULL) {
        warnings[0] = '\0';
        log = (pith_log){test_collect_warnings, warnings};
    }
    *error = (pith_error){0};
    CHECK(pith_sources_open(&sources, directory, &pith_malloc_allocator, error) == PITH_OK, "%s",
          error->message);
    pith_status status = pith_hf_tokenizer_read(out, &sources, NULL, vocab_size, &log, error);
    pith_sources_close(&sources);
    return status;
}

static void check_ids(const pith_vocab *vocab, const char *text, const char *expected,
                      const char *label) {
    pith_tokenizer *t = NULL;
    pith_error error = {0};
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    CHECK(pith_tokenizer_new(&t, vocab, NULL, &error) == PITH_OK, "%s: %s", label, error.message);
    CHECK(pith_encode(t, text, strlen(text), PITH_ENCODE_SPECIAL, &ids, &error) == PITH_OK,
          "%s: %s", label, error.message);
    const char *actual = test_show_ids(ids.ids, ids.n);
    CHECK(strcmp(actual, expected) == 0, "%s, \"%s\": %s, expected %s", label, text, actual,
          expected);
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
}

static void check_directory(const char *directory, const char *text, const char *expected) {
    pith_hf_tokenizer t;
    pith_error error;
    CHECK(try_read(directory, 1010, &t, NULL, &error) == PITH_OK, "%s: %s", directory,
          error.message);
    check_ids(&t.file.vocab, text, expected, directory);
    pith_hf_tokenizer_free(&t);
}

/* A directory with the tokenizer files of golden/llama-gqa; `edits` is laid over tokenizer.json,
 * NULL: there is none. */
static const char *make(const char *name, bool model, const char *edits, const char *config) {
    const char *directory = test_make_directory(name);
    size_t size;
    if (model) {
        char *data = test_read_file(test_root("golden/llama-gqa/tokenizer.model"), &size);
        test_write_file(test_join(directory, "tokenizer.model"), data, size);
        free(data);
    }
    if (edits != NULL) {
        char *base = test_read_file(test_root("golden/llama-gqa/tokenizer.json"), &size);
        char *text = test_edit_json(base, edits);
        test_write_text(directory, "tokenizer.json", text);
        free(text);
        free(base);
    }
    if (config != NULL) {
        test_write_text(directory, "tokenizer_config.json", config);
    }
    return directory;
}

#define LLAMA "\"tokenizer_class\":\"LlamaTokenizer\""
#define TOKEN(id, content, flags)                                                    \
    "{\"id\":" id ",\"content\":\"" content "\",\"special\":false,\"lstrip\":false," \
    "\"rstrip\":false,\"single_word\":false,\"normalized\":true" flags "}"
#define SPECIALS                                                               \
    "{\"id\":0,\"content\":\"<unk>\",\"special\":true},{\"id\":1,\"content\":" \
    "\"<s>\",\"special\":true},{\"id\":2,\"content\":\"</s>\",\"special\":true}"

TEST(convert_tokenizer, tokenizer_json_decides_where_both_files_are) {
    check_directory(make("both", true, "{}", "{\"legacy\":true," LLAMA "}"), "hi</s>there",
                    "267 953 2 948 499");
    check_directory(make("both-added", true,
                         "{\"added_tokens\":[" SPECIALS "," TOKEN("1000", "<|c|>", "") "]}", NULL),
                    "x <|c|> y", "946 990 946 1000 306");
    CHECK_NO_LEAKS();
}

TEST(convert_tokenizer, legacy_decides_for_tokenizer_model_alone) {
    static const struct {
        const char *config;
        const char *behind; /* "hi</s>there" */
        const char *space;  /* " hi" */
    } cases[] = {
        {NULL, "267 953 2 423", "946 267 953"},
        {"{}", "267 953 2 423", "946 267 953"},
        {"{" LLAMA "}", "267 953 2 423", "946 267 953"},
        {"{\"legacy\":null," LLAMA "}", "267 953 2 423", "946 267 953"},
        {"{\"legacy\":true," LLAMA "}", "267 953 2 423", "946 267 953"},
        {"{\"legacy\":false," LLAMA "}", "267 953 2 948 499", "946 267 953"},
        {"{\"legacy\":false,\"tokenizer_class\":\"LlamaTokenizerFast\"}", "267 953 2 948 499",
         "946 267 953"},
        {"{\"legacy\":false,\"add_prefix_space\":false," LLAMA "}", "950 953 2 948 499", "267 953"},
        {"{\"tokenizer_class\":\"CodeLlamaTokenizer\"}", "267 953 2 948 499", "946 267 953"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "legacy-%zu", i);
        const char *directory = make(name, true, NULL, cases[i].config);
        check_directory(directory, "hi</s>there", cases[i].behind);
        check_directory(directory, " hi", cases[i].space);
        check_directory(directory, "</s>there",
                        cases[i].behind[strlen(cases[i].behind) - 1] == '9' ? "2 948 499"
                                                                            : "2 423");
    }
    CHECK_NO_LEAKS();
}

/* Only in front of a special token the prefix is taken back. */
TEST(convert_tokenizer, an_added_token_at_the_beginning_has_a_prefix_before_it) {
    static const char config[] =
        "{\"legacy\":false," LLAMA ",\"added_tokens_decoder\":{\"1000\":{\"content\":\"<|c|>\"},"
        "\"1001\":{\"content\":\"<|d|>\",\"special\":true}}}";
    const char *directory = make("lone", true, NULL, config);
    check_directory(directory, "<|c|>there", "946 1000 948 499");
    check_directory(directory, "<|d|>there", "1001 948 499");
}

TEST(convert_tokenizer, tokens_that_tokenizer_json_lacks_are_added) {
    static const char config[] = "{" LLAMA ",\"added_tokens_decoder\":{"
                                 "\"1001\":{\"content\":\"<|e|>\",\"special\":true},"
                                 "\"1000\":{\"content\":\"<|d|>\"},\"1\":{\"content\":\"<s>\"},"
                                 "\"953\":{\"content\":\"i\"}}}";
    const char *directory = make("lacks", false, "{}", config);
    test_write_text(directory, "added_tokens.json", "{\"<|f|>\":1002,\"<|d|>\":1000}");
    check_directory(directory, "x<|d|> <|e|>y<|f|>", "946 990 1000 946 1001 964 1002");
    pith_hf_tokenizer t;
    pith_error error;
    CHECK(try_read(directory, 1010, &t, NULL, &error) == PITH_OK, "%s", error.message);
    const pith_vocab *v = &t.file.vocab;
    CHECK(v->n_pieces >= 1003 && v->types[1000] == PITH_PIECE_USER_DEFINED &&
              v->types[1001] == PITH_PIECE_CONTROL && v->types[1002] == PITH_PIECE_USER_DEFINED &&
              v->types[1] == PITH_PIECE_CONTROL && v->types[953] == PITH_PIECE_USER_DEFINED,
          "%zu pieces", v->n_pieces);
    pith_hf_tokenizer_free(&t);
    CHECK_NO_LEAKS();
}

TEST(convert_tokenizer, a_json_that_cannot_be_used_names_the_other_file) {
    pith_hf_tokenizer t;
    pith_error error;
    const char *directory =
        make("other", true, "{\"normalizer\":{\"type\":\"Louder\"}}", "{" LLAMA "}");
    pith_status status = try_read(directory, 1000, &t, NULL, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "\"Louder\"") != NULL &&
              strstr(error.message, "--tokenizer ") != NULL &&
              strstr(error.message, "/tokenizer.model") != NULL,
          "%s", error.message);
    directory = make("alone", false, "{\"normalizer\":{\"type\":\"Louder\"}}", NULL);
    status = try_read(directory, 1000, &t, NULL, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "--tokenizer") == NULL, "%s",
          error.message);
    CHECK_NO_LEAKS();
}

/* Rows of the embedding end before the tokens do. */
TEST(convert_tokenizer, tokens_without_rows_are_refused_only_when_text_becomes_them) {
    static const char special[] = "{\"added_tokens\":[" SPECIALS
                                  ",{\"id\":1000,\"content\":\"<|image|>\",\"special\":true}]}";
    static const char plain[] = "{\"added_tokens\":[" SPECIALS "," TOKEN("1000", "<|c|>", "") "]}";
    pith_hf_tokenizer t;
    pith_error error;
    char warnings[4096];
    const char *directory = make("rows", false, special, NULL);
    CHECK(try_read(directory, 1000, &t, warnings, &error) == PITH_OK, "%s", error.message);
    CHECK(t.file.vocab.n_pieces == 1000 && strstr(warnings, "special tokens 1000 to 1000") != NULL,
          "%zu pieces: %s", t.file.vocab.n_pieces, warnings);
    check_ids(&t.file.vocab, "x", "946 990", "rows");
    pith_hf_tokenizer_free(&t);
    directory = make("rows-needed", false, plain, NULL);
    CHECK(try_read(directory, 1000, &t, warnings, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "<|c|>") != NULL,
          "%s", error.message);
    CHECK(try_read(directory, 1001, &t, warnings, &error) == PITH_OK, "%s", error.message);
    pith_hf_tokenizer_free(&t);
    CHECK_NO_LEAKS();
}

/* ---- sentencepiece.bpe.model ----------------------------------------------------------------- */

/* A directory with golden/tokenizers/unigram's model under XLM-R's name. */
static const char *make_fairseq(const char *name, const char *config) {
    const char *directory = test_make_directory(name);
    size_t size;
    char *data = test_read_file(test_root("golden/tokenizers/unigram/tokenizer.model"), &size);
    test_write_file(test_join(directory, "sentencepiece.bpe.model"), data, size);
    free(data);
    if (config != NULL) {
        test_write_text(directory, "tokenizer_config.json", config);
    }
    return directory;
}

TEST(convert_tokenizer, sentencepiece_bpe_model_is_numbered_as_fairseq) {
    static const char *const configs[] = {
        NULL,
        "{\"tokenizer_class\":\"XLMRobertaTokenizer\",\"bos_token\":\"<s>\",\"eos_token\":"
        "\"</s>\",\"mask_token\":{\"content\":\"<mask>\",\"lstrip\":true,\"__type\":"
        "\"AddedToken\"},\"add_prefix_space\":true,\"added_tokens_decoder\":{\"0\":{"
        "\"content\":\"<s>\",\"special\":true},\"701\":{\"content\":\"<mask>\",\"lstrip\":"
        "true,\"special\":true}}}",
        "{\"tokenizer_class\":\"TokenizersBackend\",\"backend\":\"tokenizers\"}",
    };
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        char name[32];
        pith_hf_tokenizer t;
        pith_error error;
        snprintf(name, sizeof name, "fairseq-%zu", i);
        CHECK(try_read(make_fairseq(name, configs[i]), 702, &t, NULL, &error) == PITH_OK, "%s",
              error.message);
        const pith_vocab *v = &t.file.vocab;
        CHECK(v->n_pieces == 702 && v->bos == 0 && v->eos == 2 && v->unk == 3 && v->add_bos &&
                  v->add_eos && v->pair_form == PITH_PAIR_DOUBLED,
              "configuration %zu: %zu pieces, %d, %d, %d", i, v->n_pieces, v->bos, v->eos, v->unk);
        check_ids(v, "the <mask> king", "8 701 179", name);
        pith_hf_tokenizer_free(&t);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_tokenizer, other_classes_of_sentencepiece_bpe_model_are_refused) {
    static const char *const cases[][2] = {
        {"{\"tokenizer_class\":\"CamembertTokenizer\"}",
         "tokenizer_class CamembertTokenizer with sentencepiece.bpe.model is not supported"},
        {"{\"tokenizer_class\":7}", "tokenizer_class that is no text"},
        {"{\"add_prefix_space\":false}", "add_prefix_space false with sentencepiece.bpe.model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        pith_hf_tokenizer t;
        pith_error error;
        snprintf(name, sizeof name, "fairseq-no-%zu", i);
        CHECK(try_read(make_fairseq(name, cases[i][0]), 702, &t, NULL, &error) ==
                      PITH_ERROR_UNSUPPORTED &&
                  strstr(error.message, "tokenizer_config.json: ") != NULL &&
                  strstr(error.message, cases[i][1]) != NULL,
              "%s", error.message);
    }
    CHECK_NO_LEAKS();
}
