/* Pre-tokenizers of several steps: what each step and each behavior makes of a text, sequences as
 * published models have them, and Metaspace. The pieces are those of the tests of Hugging Face's
 * tokenizers, the ids those of its JavaScript library. */
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"
#include "tokenizer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEQUENCE(steps) "{\"type\":\"Sequence\",\"pretokenizers\":[" steps "]}"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define BYTES_BY_REGEX "{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define SPLIT(kind, pattern, behavior, invert)                                                \
    "{\"type\":\"Split\",\"pattern\":{\"" kind "\":\"" pattern "\"},\"behavior\":\"" behavior \
    "\",\"invert\":" invert "}"
#define DIGITS(individual) "{\"type\":\"Digits\",\"individual_digits\":" individual "}"

/* ---- Pieces ---------------------------------------------------------------------------------- */

static pith_status join_piece(void *user, const char *text, size_t n_bytes) {
    char *out = user;
    size_t n = strlen(out);
    snprintf(out + n, 256 - n, "%s%.*s", n > 0 ? "|" : "", (int)n_bytes, text);
    return PITH_OK;
}

typedef struct steps_case {
    const char *steps; /* in front of ByteLevel, or with it when `bytes` is false */
    const char *text;
    const char *pieces;
} steps_case;

static void check_pieces(size_t index, const steps_case *c) {
    char document[2048];
    char actual[256] = "";
    snprintf(document, sizeof document,
             "{\"pre_tokenizer\":%s,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
             "\"BPE\",\"vocab\":{\"a\":0},\"merges\":[]}}",
             c->steps);
    test_tokenizer t;
    test_tokenizer_open_json(&t, document);
    CHECK(t.file.vocab.pattern == NULL && t.file.vocab.n_steps > 0, "case %zu has no steps", index);
    pith_error error = {0};
    pith_cutting cutting;
    size_t n = strlen(c->text);
    pith_status status = pith_steps_begin(&cutting, t.tokenizer, n, join_piece, actual, &error);
    CHECK(status == PITH_OK, "case %zu: %s", index, error.message);
    status = pith_steps_cut(&cutting, c->text, n, true);
    CHECK(status == PITH_OK, "case %zu: %s", index, error.message);
    pith_steps_end(&cutting);
    CHECK(strcmp(actual, c->pieces) == 0, "case %zu: %s, expected %s", index, actual, c->pieces);
    test_tokenizer_close(&t);
}

#define COUNTDOWN "the-final--countdown"

TEST(tokenizer_steps, every_behavior_is_that_of_hugging_face) {
    static const steps_case cases[] = {
        {SEQUENCE(SPLIT("String", "-", "Removed", "false") "," BYTES), COUNTDOWN,
         "the|final|countdown"},
        {SEQUENCE(SPLIT("String", "-", "Isolated", "false") "," BYTES), COUNTDOWN,
         "the|-|final|-|-|countdown"},
        {SEQUENCE(SPLIT("String", "-", "MergedWithPrevious", "false") "," BYTES), COUNTDOWN,
         "the-|final-|-|countdown"},
        {SEQUENCE(SPLIT("String", "-", "MergedWithNext", "false") "," BYTES), COUNTDOWN,
         "the|-final|-|-countdown"},
        {SEQUENCE(SPLIT("String", "-", "Contiguous", "false") "," BYTES), COUNTDOWN,
         "the|-|final|--|countdown"},
        {SEQUENCE(SPLIT("Regex", "[a-z]+", "Removed", "true") "," BYTES), COUNTDOWN,
         "the|final|countdown"},
        {SEQUENCE(SPLIT("Regex", "[a-z]+", "MergedWithPrevious", "true") "," BYTES), COUNTDOWN,
         "the-|final--|countdown"},
        {SEQUENCE(SPLIT("Regex", "[a-z]+", "MergedWithNext", "true") "," BYTES), COUNTDOWN,
         "the|-final|--countdown"},
        {SEQUENCE(SPLIT("Regex", "[a-z]", "Contiguous", "true") "," BYTES), COUNTDOWN,
         "the|-|final|--|countdown"},
        {SEQUENCE(SPLIT("String", "a.c", "Isolated", "false") "," BYTES), "abca.c", "abc|a.c"},
        {SEQUENCE(SPLIT("String", "-", "MergedWithNext", "false") "," BYTES), "--a-", "-|-a|-"},
        {SEQUENCE(SPLIT("String", "-", "MergedWithPrevious", "false") "," BYTES), "--a-", "-|-|a-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_pieces(i, &cases[i]);
    }
    CHECK_NO_LEAKS();
}

TEST(tokenizer_steps, every_kind_of_step_cuts_as_hugging_face) {
    static const steps_case cases[] = {
        {SEQUENCE(DIGITS("true") "," DIGITS("true") "," BYTES), "a12\xC2\xB2 3",
         "a|1|2|\xC2\xB2| |3"},
        {SEQUENCE(DIGITS("false") "," BYTES), "a12\xC2\xB2 3", "a|12\xC2\xB2| |3"},
        {SEQUENCE("{\"type\":\"Punctuation\"}," BYTES), "Hey man!! $5\xE2\x80\xA6",
         "Hey man|!|!| |$|5|\xE2\x80\xA6"},
        {SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," BYTES), "a!!b",
         "a|!!|b"},
        {SEQUENCE("{\"type\":\"Whitespace\"}," BYTES), "Hey man! d\xC3\xA9j\xC3\xA0-vu_2",
         "Hey|man|!|d\xC3\xA9j\xC3\xA0|-|vu_2"},
        {SEQUENCE("{\"type\":\"WhitespaceSplit\"}," BYTES), " Hey,  man!\xE3\x80\x80x",
         "Hey,|man!|x"},
        {SEQUENCE("{\"type\":\"BertPreTokenizer\"}," BYTES), "Hey friend!  How-to",
         "Hey|friend|!|How|-|to"},
        {SEQUENCE("{\"type\":\"CharDelimiterSplit\",\"delimiter\":\".\"}," BYTES), "a.b..c",
         "a|b|c"},
        {SEQUENCE("{\"type\":\"FixedLength\",\"length\":2}," BYTES), "abc\xC3\xA9\nx",
         "ab|c\xC3\xA9|\nx"},
        /* Expressions that match nothing cut all the same; ^ and $ are those of a line, and what a
         * step looks at ends with the piece. */
        {SEQUENCE(SPLIT("Regex", "(?=[A-Z])", "Isolated", "false") "," BYTES), "aBcDE", "a|Bc|D|E"},
        {SEQUENCE(SPLIT("Regex", "x*", "Isolated", "false") "," BYTES), "axxb", "a|xx|b"},
        {SEQUENCE(SPLIT("Regex", "\\\\s+$", "Isolated", "false") "," BYTES_BY_REGEX), "a  \nb  ",
         "a|  |\n|b|  "},
        {SEQUENCE(SPLIT("Regex", "^.", "Isolated", "false") "," DIGITS("true") "," BYTES),
         "ab1\ncd", "a|b|1|\n|c|d"},
        {SEQUENCE(DIGITS("true") "," SPLIT("Regex", "^.", "Isolated", "false") "," BYTES), "ab1cd",
         "a|b|1|c|d"},
        /* A space in front of every piece that has none. */
        {SEQUENCE(DIGITS("true") ",{\"type\":\"ByteLevel\",\"use_regex\":false}"), "ab1 c",
         " ab| 1| c"},
        /* Steps behind ByteLevel see its alphabet, where a space is a letter. */
        {SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," BYTES_BY_REGEX
                  "," DIGITS("false") "," SPLIT("Regex", "[0-9][0-9][0-9]", "Isolated", "false")),
         "a 12345, b\xC3\xA9", "a| |123|45|,| b\xC3\xA9"},
        {SEQUENCE(SEQUENCE(DIGITS("true") ",{\"type\":\"Punctuation\"}") "," BYTES), "a1.b",
         "a|1|.|b"},
        {SEQUENCE(BYTES "," SPLIT("Regex", "\\\\p{L}+", "Isolated", "false")), "a b.c", "a b|.|c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_pieces(i, &cases[i]);
    }
    CHECK_NO_LEAKS();
}

/* ---- Ids ------------------------------------------------------------------------------------- */

static void open_edited(test_tokenizer *t, const char *relative, const char *edits) {
    size_t size;
    char *base = test_read_file(test_root(relative), &size);
    char *text = test_edit_json(base, edits);
    test_tokenizer_open_json(t, text);
    free(text);
    free(base);
}

static void check_ids(const test_tokenizer *t, const char *text, const char *expected) {
    pith_tokens ids;
    pith_error error = {0};
    pith_tokens_init(&ids, NULL);
    CHECK(pith_encode(t->tokenizer, text, strlen(text), PITH_ENCODE_SPECIAL, &ids, &error) ==
              PITH_OK,
          "%s: %s", text, error.message);
    const char *actual = test_show_ids(ids.ids, ids.n);
    CHECK(strcmp(actual, expected) == 0, "\"%s\": %s, expected %s", text, actual, expected);
    pith_tokens_release(&ids);
}

static const char *const texts[] = {"let x = 12345;\r\n  y", "The 1st, 22nd!  ",
                                    "\u4f60\u597d world 3.14"};

TEST(tokenizer_steps, sequences_of_published_models_give_the_ids_of_hugging_face) {
    static const struct {
        const char *steps;
        const char *ids[3];
    } cases[] = {
        {/* DeepSeek Coder */
         SEQUENCE(SPLIT("Regex", "[\\r\\n]", "Isolated", "false") "," SPLIT(
             "Regex", "\\\\s?\\\\p{L}+", "Isolated",
             "false") "," SPLIT("Regex", "\\\\s?\\\\p{P}+", "Isolated",
                                "false") "," DIGITS("true") "," BYTES),
         {"273 83 220 87 284 220 16 17 18 19 20 26 201 198 220 379",
          "51 383 220 16 267 11 220 17 17 303 0 256",
          "160 121 254 161 98 121 289 269 509 220 18 13 16 19"}},
        {/* Falcon */
         SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," BYTES_BY_REGEX
                  "," DIGITS("false") "," SPLIT("Regex", "[0-9][0-9][0-9]", "Isolated", "false")),
         {"273 83 220 87 220 28 220 717 18 19 20 26 319 220 379",
          "51 383 220 16 267 11 220 17 17 303 0 256",
          "160 121 254 161 98 121 289 269 509 220 18 13 16 19"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char edits[2048];
        snprintf(edits, sizeof edits, "{\"pre_tokenizer\":%s}", cases[i].steps);
        test_tokenizer t;
        open_edited(&t, "golden/llama3/tokenizer.json", edits);
        for (size_t k = 0; k < 3; k++) {
            check_ids(&t, texts[k], cases[i].ids[k]);
        }
        test_tokenizer_close(&t);
    }
    CHECK_NO_LEAKS();
}

TEST(tokenizer_steps, metaspace_prepends_by_its_scheme) {
    static const char *const metaspace_texts[] = {"hi</s>there", " hi</s> there", "a   b",
                                                  "</s>there"};
    static const struct {
        const char *scheme;
        const char *ids[4];
    } cases[] = {
        {"first", {"267 953 2 948 499", "267 953 2 423", "261 946 946 271", "2 948 499"}},
        {"always", {"267 953 2 423", "267 953 2 423", "261 946 946 271", "2 423"}},
        {"never", {"950 953 2 948 499", "267 953 2 423", "949 946 946 271", "2 948 499"}},
    };
    static const char *const splits[] = {"true", "false"};
    for (size_t i = 0; i < 6; i++) {
        char edits[1024];
        snprintf(edits, sizeof edits,
                 "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\","
                 "\"prepend_scheme\":\"%s\",\"split\":%s},\"decoder\":{\"type\":\"Sequence\","
                 "\"decoders\":[{\"type\":\"ByteFallback\"},{\"type\":\"Metaspace\","
                 "\"replacement\":\"\\u2581\",\"prepend_scheme\":\"%s\"}]}}",
                 cases[i / 2].scheme, splits[i % 2], cases[i / 2].scheme);
        test_tokenizer t;
        open_edited(&t, "golden/llama-gqa/tokenizer.json", edits);
        CHECK((t.file.vocab.n_steps != 0) == (i % 2 == 0), "%zu steps", t.file.vocab.n_steps);
        for (size_t k = 0; k < 4; k++) {
            check_ids(&t, metaspace_texts[k], cases[i / 2].ids[k]);
        }
        test_tokenizer_close(&t);
    }
    CHECK_NO_LEAKS();
}

/* Gemma: spaces replaced by the normaliser, a Split that finds none of them, no prefix. */
TEST(tokenizer_steps, steps_cut_normalised_text_of_the_llama_kind) {
    test_tokenizer t;
    open_edited(
        &t, "golden/llama-gqa/tokenizer.json",
        "{\"normalizer\":{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":"
        "\"\\u2581\"},\"pre_tokenizer\":" SPLIT(
            "String", " ", "MergedWithPrevious",
            "false") ","
                     "\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
                     "\"pattern\":"
                     "{\"String\":\"\\u2581\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},"
                     "{\"type\":\"Fuse\"}]}}");
    check_ids(&t, "hi</s>there", "950 953 2 948 499");
    check_ids(&t, "a   b", "949 946 946 271");
    test_tokenizer_close(&t);
}
