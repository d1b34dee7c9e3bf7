/* The tokens around a text that a decoder reads: those that are asked for, and those that the
 * tokenizer's own post-processor puts there. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <string.h>

enum { AUTO = PITH_TOKENIZE_AUTO, BOS = PITH_TOKENIZE_BOS, SPECIAL = PITH_TOKENIZE_SPECIAL };

#define ID(name) "{\"SpecialToken\":{\"id\":\"" name "\"}}"

/* "a" is token 0, "b" 1, "ab" 2, "<s>" 3 and "</s>" 4; one token more stands on each side. */
static const char json[] =
    "{\"added_tokens\":[{\"id\":3,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":4,\"content\":\"</s>\",\"special\":true}],"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[" ID("<s>") "," ID(
        "b") ","
             "{\"Sequence\":{\"id\":\"A\"}}," ID("ab") "," ID(
                 "</s>") "],\"special_tokens\":{"
                         "\"<s>\":{\"ids\":[3]},\"b\":{\"ids\":[1]},\"ab\":{\"ids\":[2]},\"</"
                         "s>\":{\"ids\":[4]}}},"
                         "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
                         "\"use_regex\":true},"
                         "\"decoder\":{\"type\":\"ByteLevel\"},"
                         "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},"
                         "\"merges\":[\"a b\"]}}";

typedef struct around_case {
    unsigned flags;
    int32_t bos;
    const char *ids; /* of "a", with SPECIAL of "a</s>" */
} around_case;

static void check_cases(const pith_tokenizer *t, const around_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pith_tokens ids;
        pith_error error = {0};
        pith_tokens_init(&ids, NULL);
        pith_status status =
            pith_encode_for_decoder(t,
                                    (pith_text){"a</s>", (cases[i].flags & SPECIAL) != 0 ? 5 : 1},
                                    cases[i].flags, cases[i].bos, &ids, &error);
        CHECK(status == PITH_OK && strcmp(test_show_ids(ids.ids, ids.n), cases[i].ids) == 0,
              "case %zu, flags %u: ids %s, expected %s %s", i, cases[i].flags,
              test_show_ids(ids.ids, ids.n), cases[i].ids, error.message);
        pith_tokens_release(&ids);
    }
}

TEST(tokenizer_around, a_text_has_what_is_asked_for) {
    static const around_case cases[] = {
        {0, 3, "0"},         {BOS, 3, "3 0"},
        {BOS, -1, "0"},      {AUTO, 3, "3 1 0 2 4"},
        {AUTO, -1, "0 2 4"}, {BOS | AUTO, 3, "3 1 0 2 4"},
        {SPECIAL, 3, "0 4"}, {BOS | SPECIAL, 0, "0 0 4"},
    };
    test_tokenizer t;
    test_tokenizer_open_json(&t, json);
    check_cases(t.tokenizer, cases, sizeof cases / sizeof cases[0]);
    pith_tokenizer_free(t.tokenizer);

    /* A file may ask for an end that it does not name, or for none. */
    static const around_case endless[] = {{AUTO, 3, "3 1 0"}};
    static const around_case bare[] = {{AUTO, 3, "0"}, {BOS, 3, "3 0"}};
    pith_error error = {0};
    t.file.vocab.eos = -1;
    CHECK(pith_tokenizer_new(&t.tokenizer, &t.file.vocab, NULL, &error) == PITH_OK, "%s",
          error.message);
    check_cases(t.tokenizer, endless, 1);
    pith_tokenizer_free(t.tokenizer);
    t.file.vocab.add_bos = t.file.vocab.add_eos = false;
    CHECK(pith_tokenizer_new(&t.tokenizer, &t.file.vocab, NULL, &error) == PITH_OK, "%s",
          error.message);
    check_cases(t.tokenizer, bare, 2);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}
