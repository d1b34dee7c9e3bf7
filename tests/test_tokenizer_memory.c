/* Every allocation of the tokenizer fails once: the result is MEMORY, nothing leaks, and what was
 * there before is untouched. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CALLS = 100000 };

/* One attempt at something; true when it succeeded. Must free whatever it made. */
typedef pith_status (*attempt)(const pith_allocator *allocator, const void *argument,
                               pith_error *error);

/* Lets the first, the second, ... allocation fail until the attempt gets through. */
static void check_attempts(const char *what, attempt fn, const void *argument) {
    test_allocator t;
    size_t n_failures = 0;
    for (size_t fail_at = 1; fail_at < MAX_CALLS; fail_at++) {
        test_allocator_init(&t);
        t.fail_at = fail_at;
        pith_error error = {0};
        pith_status status = fn(&t.allocator, argument, &error);
        CHECK(t.n_live == 0, "%s, allocation %zu: %zu blocks leaked", what, fail_at, t.n_live);
        if (t.n_calls < fail_at) {
            CHECK(status == PITH_OK, "%s: %s", what, error.message);
            CHECK(n_failures > 0, "%s never failed", what);
            CHECK_NO_LEAKS();
            return;
        }
        /* A pattern works without its machine code, so a failure there is none. */
        CHECK(status == PITH_ERROR_MEMORY || status == PITH_OK, "%s, allocation %zu: status %d: %s",
              what, fail_at, (int)status, error.message);
        n_failures += status == PITH_ERROR_MEMORY;
    }
    CHECK(false, "%s needs more than %d allocations", what, MAX_CALLS);
}

/* ---- Parsing --------------------------------------------------------------------------------- */

typedef struct text {
    const char *data;
    size_t size;
} text;

static pith_status parse_model(const pith_allocator *allocator, const void *argument,
                               pith_error *error) {
    const text *model = argument;
    pith_vocab_file file;
    pith_status status =
        pith_vocab_from_sentencepiece(&file, model->data, model->size, "m", allocator, error);
    if (status == PITH_OK) {
        pith_vocab_file_free(&file);
    }
    return status;
}

static pith_status add_tokens(const pith_allocator *allocator, const void *argument,
                              pith_error *error) {
    static const char config[] = "{\"added_tokens_decoder\":{\"1000\":{\"content\":\"<x>\"}}}";
    static const char added[] = "{\"<y>\":1001}";
    const text *model = argument;
    pith_vocab_file file;
    pith_status status =
        pith_vocab_from_sentencepiece(&file, model->data, model->size, "m", allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = test_vocab_add_tokens(&file, config, strlen(config), added, strlen(added), "c", error);
    CHECK(file.vocab.n_pieces == (status == PITH_OK ? 1002 : 1000), "%zu pieces",
          file.vocab.n_pieces);
    pith_vocab_file_free(&file);
    return status;
}

static pith_status number_as_fairseq(const pith_allocator *allocator, const void *argument,
                                     pith_error *error) {
    const text *model = argument;
    pith_vocab_file file;
    pith_status status =
        pith_vocab_from_sentencepiece(&file, model->data, model->size, "m", allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_vocab_number_as_fairseq(&file, "m", error);
    CHECK(file.vocab.n_pieces == (status == PITH_OK ? 702 : 700), "%zu pieces",
          file.vocab.n_pieces);
    pith_vocab_file_free(&file);
    return status;
}

static pith_status parse_json(const pith_allocator *allocator, const void *argument,
                              pith_error *error) {
    pith_vocab_file file;
    const char *document = argument;
    pith_status status =
        test_vocab_from_json(&file, document, strlen(document), "t", allocator, error);
    if (status == PITH_OK) {
        pith_vocab_file_free(&file);
    }
    return status;
}

/* A document with every part that allocates. */
static const char small_json[] =
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
    "\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s+|[^\\\\s]+\"},"
    "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
    "\"use_regex\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":[{\"id\":4,"
    "\"content\":\"<n>\",\"normalized\":true},{\"id\":3,\"content\":\"<s>\",\"special\":true}],"
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"a\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
    "\"merges\":[\"a b\"]}}";

/* ... and one whose pre-tokenizer is kept as steps. */
static const char steps_json[] =
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
    "{\"String\":\"-\"},\"behavior\":\"Contiguous\"},{\"type\":\"ByteLevel\"},{\"type\":\"Digits\"}"
    "]},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"ab\":2},\"merges\":[\"a b\"]}}";

TEST(tokenizer, parsing_survives_failing_allocations) {
    size_t size;
    char *data = test_read_file(test_root("golden/llama-gqa/tokenizer.model"), &size);
    text model = {data, size};
    check_attempts("model", parse_model, &model);
    check_attempts("added tokens", add_tokens, &model);
    check_attempts("json", parse_json, small_json);
    check_attempts("steps", parse_json, steps_json);
    free(data);
    data = test_read_file(test_root("golden/tokenizers/unigram/tokenizer.model"), &size);
    model = (text){data, size};
    check_attempts("fairseq", number_as_fairseq, &model);
    free(data);
}

/* ---- Building and encoding ------------------------------------------------------------------- */

static pith_status build(const pith_allocator *allocator, const void *argument, pith_error *error) {
    pith_tokenizer *t = NULL;
    pith_status status = pith_tokenizer_new(&t, argument, allocator, error);
    CHECK(status == PITH_OK || t == NULL, "a tokenizer in spite of the failure");
    pith_tokenizer_free(t);
    return status;
}

/* Builds as well, because a tokenizer allocates through the allocator it was built with. */
static pith_status encode(const pith_allocator *allocator, const void *argument,
                          pith_error *error) {
    static const char sample[] = "abab <n> e\xCC\x81 \xE4\xBA\xBA<s> ba";
    pith_tokenizer *t = NULL;
    pith_status status = pith_tokenizer_new(&t, argument, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_tokens ids;
    pith_tokens_init(&ids, allocator);
    status = pith_encode(t, sample, strlen(sample), PITH_ENCODE_SPECIAL, &ids, error);
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
    return status;
}

static pith_status chat(const pith_allocator *allocator, const void *argument, pith_error *error) {
    static const pith_message messages[] = {{"system", {"ab", 2}},
                                            {"user", {"b", 1}},
                                            {"assistant", {"a", 1}},
                                            {"user", {"ba", 2}}};
    pith_tokenizer *t = NULL;
    pith_status status = pith_tokenizer_new(&t, argument, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_tokens ids;
    pith_tokens_init(&ids, allocator);
    status = pith_chat_encode(t, "llama2", messages, 4, &ids, error);
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
    return status;
}

static void check_tokenizer(const char *what, const pith_vocab *vocab) {
    check_attempts(what, build, vocab);
    check_attempts(what, encode, vocab);
}

TEST(tokenizer, building_and_encoding_survive_failing_allocations) {
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/llama-gqa/tokenizer.model");
    t.file.vocab.add_bos = true;
    check_tokenizer("by score", &t.file.vocab);
    check_attempts("chat", chat, &t.file.vocab);
    test_tokenizer_close(&t);
    test_tokenizer_open(&t, "golden/llama-gqa/tokenizer.json");
    check_tokenizer("by rank", &t.file.vocab);
    test_tokenizer_close(&t);
    test_tokenizer_open_json(&t, small_json);
    check_tokenizer("byte-level", &t.file.vocab);
    test_tokenizer_close(&t);
    test_tokenizer_open_json(&t, steps_json);
    check_tokenizer("steps", &t.file.vocab);
    test_tokenizer_close(&t);
}
