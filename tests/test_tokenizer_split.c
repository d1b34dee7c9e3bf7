/* Pre-tokens of byte-level BPE: the patterns of the supported pre-tokenizers, the translation of
 * regular expressions, patterns from hostile files; and form C. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"
#include "tokenizer/hf_json.h"
#include "tokenizer/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* The smallest byte-level tokenizer.json with these parts. */
static pith_status read_parts(const char *parts, pith_vocab_file *file, pith_error *error) {
    char text[4096];
    snprintf(text, sizeof text,
             "{%s,\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\","
             "\"vocab\":{\"a\":0},\"merges\":[]}}",
             parts);
    return test_vocab_from_json(file, text, strlen(text), "parts", NULL, error);
}

/* Where a pattern cuts a text: the pre-tokens with '|' between them. */
static void split_text(const char *pattern, const char *text, char *out) {
    pith_error error = {0};
    pith_splitter *splitter = NULL;
    CHECK(pith_splitter_new(&splitter, pattern, &pith_malloc_allocator, &error) == PITH_OK, "%s",
          error.message);
    pith_split_walk walk;
    CHECK(pith_split_begin(&walk, splitter, 1000), "no memory");
    size_t n = strlen(text);
    size_t size = 0;
    for (size_t from = 0; from < n;) {
        size_t start = 0;
        size_t end = 0;
        pith_status status = pith_split_next(&walk, text, n, from, &start, &end, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        const size_t parts[][2] = {{from, start}, {start, end}};
        for (size_t i = 0; i < 2; i++) {
            if (parts[i][1] > parts[i][0]) {
                size += (size_t)sprintf(out + size, "%s%.*s", size > 0 ? "|" : "",
                                        (int)(parts[i][1] - parts[i][0]), text + parts[i][0]);
            }
        }
        from = end;
    }
    out[size] = '\0';
    pith_split_end(&walk);
    pith_splitter_free(splitter);
}

typedef struct split_case {
    const char *text;
    const char *parts;
} split_case;

static void check_splits(const char *parts, const split_case *cases, size_t n) {
    pith_error error = {0};
    pith_vocab_file file;
    CHECK(read_parts(parts, &file, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < n; i++) {
        char actual[512];
        split_text(file.vocab.pattern, cases[i].text, actual);
        CHECK(strcmp(actual, cases[i].parts) == 0, "case %zu: %s, expected %s", i, actual,
              cases[i].parts);
    }
    pith_vocab_file_free(&file);
}

#define CHECK_SPLITS(parts, cases) check_splits(parts, cases, sizeof(cases) / sizeof((cases)[0]))

TEST(tokenizer, gpt2_pattern_splits_words_numbers_and_spaces) {
    static const split_case cases[] = {
        {"Hello world", "Hello| world"},
        {"I'll've it's", "I|'ll|'ve| it|'s"},
        {"a  b", "a| | b"},
        {"a \n b ", "a| \n| b| "},
        {"x12 34!?", "x|12| 34|!?"},
        {"a\xC2\xA0 b", "a|\xC2\xA0| b"},
        {"\xE4\xBA\xBA\xC2\xBD", "\xE4\xBA\xBA|\xC2\xBD"}, /* a fraction is a number */
    };
    CHECK_SPLITS("\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", cases);
}

TEST(tokenizer, digits_are_split_before_the_pattern_is_applied) {
    static const split_case single[] = {
        {"x123 4", "x|1|2|3| |4"},
        {"a  1 b", "a|  |1| b"},
        {"  a  b", " | a| | b"},
        {"\xC2\xBD"
         "2",
         "\xC2\xBD|2"},
    };
    CHECK_SPLITS(
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
        "\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}",
        single);
    static const split_case together[] = {{"x123 45", "x|123| |45"}};
    CHECK_SPLITS(
        "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\","
        "\"individual_digits\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false}]}",
        together);
}

#define SPLIT(regex)                                                                               \
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":" \
    "{\"Regex\":\"" regex "\"},\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\","                \
    "\"add_prefix_space\":false,\"use_regex\":false}]}"

/* Qwen2's pattern; Llama 3's has \\p{N}{1,3}. */
#define QWEN2                                                                         \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| " \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

TEST(tokenizer, qwen2_pattern_and_form_c) {
    static const split_case cases[] = {
        {"We'LL do", "We|'LL| do"},      {"x12", "x|1|2"},
        {"a!\n\n b", "a|!\n\n| b"},      {"a \r\n\tb", "a| \r\n|\tb"},
        {"(foo)  bar", "(foo|)| | bar"},
    };
    CHECK_SPLITS("\"normalizer\":{\"type\":\"NFC\"}," SPLIT(QWEN2), cases);
    pith_error error = {0};
    pith_vocab_file file;
    CHECK(read_parts("\"normalizer\":{\"type\":\"NFC\"}," SPLIT(QWEN2), &file, &error) == PITH_OK,
          "%s", error.message);
    CHECK(file.vocab.nfc, "nfc is not set");
    pith_vocab_file_free(&file);
}

/* U+180E is no white space since Unicode 6.3; PCRE2's own \s still matches it. */
TEST(tokenizer, white_space_in_patterns_is_that_of_unicode) {
    static const split_case cases[] = {
        {"a\xE1\xA0\x8E"
         "b",
         "a\xE1\xA0\x8E"
         "b"},
        {"a\xE2\x80\x83"
         "b",
         "a|\xE2\x80\x83|b"},
        {"a\xC2\x85\x0B"
         "b\xE3\x80\x80",
         "a|\xC2\x85\x0B|b|\xE3\x80\x80"},
    };
    CHECK_SPLITS(SPLIT("\\\\s+"), cases);
}

TEST(tokenizer, regular_expressions_that_engines_read_differently_are_refused) {
    static const struct {
        const char *regex;
        const char *message; /* NULL: accepted */
    } cases[] = {
        {"a|b", NULL},
        {"[^\\S]", "\\S in a class"},
        {"\\p{Lu}?+\\p{^L}++", NULL},
        {"(?i:x)(?:y)(?=z)(?!z)(?<=z)(?<!z)(?>z)(z)", NULL},
        {"x{3}y{1,}z{1,2}", NULL},
        {"[\\-\\]a-z]\\.", NULL},
        {"\\h", "escape"},
        {"\\w\\W[\\w]\\u4e00\\A\\z\\f", NULL},
        {"[\\W]", "\\W in a class"},
        {"\\u12", "four digits"},
        {"[\\A]", "anchor in a class"},
        {"\\bx", "escape"},
        {"\\x41", "escape"},
        {"\\1", "escape"},
        {"\\", "escape"},
        {"\\pL", "property"},
        {"\\p{}", "property"},
        {"^x", NULL},
        {"x$", NULL},
        {"[a[b]]", "class in a class"},
        {"[a&&b]", "intersection"},
        {"[]a]", "empty class"},
        {"[a", "no end"},
        {"(*VERB)", "verb"},
        {"(?<name>x)", "group"},
        {"(?m:x)", "group"},
        {"x{,3}", "repetition"},
        {"x{3}+", "repetition"},
        {"x{", "repetition"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_error error = {0};
        pith_bytes out;
        pith_bytes_init(&out, NULL);
        pith_status status =
            pith_pattern_translate(cases[i].regex, strlen(cases[i].regex), "f.json", &out, &error);
        if (cases[i].message == NULL) {
            CHECK(status == PITH_OK, "%s: %s", cases[i].regex, error.message);
        } else {
            CHECK(status != PITH_OK && strstr(error.message, cases[i].message) != NULL &&
                      strstr(error.message, "f.json") != NULL,
                  "%s: \"%s\", expected \"%s\"", cases[i].regex, error.message, cases[i].message);
        }
        pith_bytes_release(&out);
    }
    CHECK_NO_LEAKS();
}

/* ---- Patterns from hostile files ------------------------------------------------------------- */

TEST(tokenizer, patterns_that_do_not_compile_are_format_errors) {
    static const char *const patterns[] = {"(", "[a", "\\C", "a{2,1}", "(?<=a+)", "\\p{Nothing}"};
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        pith_error error = {0};
        pith_splitter *splitter = NULL;
        pith_status status =
            pith_splitter_new(&splitter, patterns[i], &pith_malloc_allocator, &error);
        CHECK(status == PITH_ERROR_FORMAT && splitter == NULL, "%s: %s", patterns[i],
              error.message);
        CHECK(strstr(error.message, "split pattern") != NULL, "%s", error.message);
    }
    char nested[400];
    memset(nested, '(', 200);
    memset(nested + 200, ')', 199);
    nested[399] = '\0';
    pith_splitter *splitter = NULL;
    CHECK(pith_splitter_new(&splitter, nested, &pith_malloc_allocator, NULL) == PITH_ERROR_FORMAT,
          "200 nested groups");
    CHECK_NO_LEAKS();
}

/* A pattern with exponential backtracking runs into a limit instead of running forever. */
TEST(tokenizer, patterns_that_backtrack_without_end_are_stopped) {
    enum { LENGTH = 64 };
    pith_error error = {0};
    pith_splitter *splitter = NULL;
    CHECK(pith_splitter_new(&splitter, "(?:a|aa)+[bc]", &pith_malloc_allocator, &error) == PITH_OK,
          "%s", error.message);
    char text[LENGTH];
    memset(text, 'a', sizeof text);
    pith_split_walk walk;
    CHECK(pith_split_begin(&walk, splitter, 1000), "no memory");
    size_t start;
    size_t end;
    pith_status status = pith_split_next(&walk, text, sizeof text, 0, &start, &end, &error);
    CHECK(status == PITH_ERROR_TEXT, "status %d", (int)status);
    CHECK(strstr(error.message, "gave up at byte 0") != NULL, "%s", error.message);
    pith_split_end(&walk);
    pith_splitter_free(splitter);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, empty_matches_do_not_stall) {
    char actual[64];
    split_text("x*", "axxb", actual);
    CHECK(strcmp(actual, "a|xx|b") == 0, "%s", actual);
    split_text("(?=b)", "abab", actual);
    CHECK(strcmp(actual, "abab") == 0, "%s", actual);
}

/* ---- Normalisation forms --------------------------------------------------------------------- */

static size_t put_character(uint32_t code, char *out) {
    return (size_t)utf8proc_encode_char((utf8proc_int32_t)code, (utf8proc_uint8_t *)out);
}

/* Mostly characters that some form touches: combining marks, Hangul, precomposed letters,
 * compatibility characters. */
static uint32_t random_character(uint64_t *seed) {
    static const uint32_t ranges[][2] = {{0x41, 0x7A},     {0xC0, 0x17F},    {0x300, 0x36F},
                                         {0x300, 0x36F},   {0x1100, 0x11FF}, {0xAC00, 0xD7A3},
                                         {0x1E00, 0x1EFF}, {0x900, 0x9FF},   {0x1F00, 0x1FFF},
                                         {0x2000, 0x22FF}, {0xF900, 0xFAFF}, {0x1D100, 0x1D1FF},
                                         {0x5B0, 0x5C7},   {0x3040, 0x30FF}, {0xA0, 0xBF},
                                         {0xFB00, 0xFDFF}, {0xFF00, 0xFFEF}, {0x3200, 0x33FF}};
    const uint32_t *range = ranges[test_random(seed) % (sizeof ranges / sizeof ranges[0])];
    return range[0] + (uint32_t)(test_random(seed) % (range[1] - range[0] + 1));
}

TEST(tokenizer, forms_equal_those_of_utf8proc) {
    static utf8proc_uint8_t *(*const forms[])(const utf8proc_uint8_t *text) = {
        [PITH_FORM_C] = utf8proc_NFC,
        [PITH_FORM_D] = utf8proc_NFD,
        [PITH_FORM_KC] = utf8proc_NFKC,
        [PITH_FORM_KD] = utf8proc_NFKD,
    };
    for (uint64_t first = 1; first <= 8000; first++) {
        pith_form form = (pith_form)(first % 4);
        uint64_t seed = first;
        char text[400];
        size_t n = 0;
        size_t length = 1 + test_random(&seed) % 60;
        for (size_t i = 0; i < length; i++) {
            n += put_character(random_character(&seed), text + n);
        }
        text[n] = '\0';
        char *expected = (char *)forms[form]((const utf8proc_uint8_t *)text);
        char *actual = NULL;
        size_t n_actual = 0;
        CHECK(pith_unicode_form(&pith_malloc_allocator, form, text, n, &actual, &n_actual, NULL) ==
                  PITH_OK,
              "seed %d", (int)first);
        const char *shown = actual != NULL ? actual : text;
        CHECK(n_actual == strlen(expected) && memcmp(shown, expected, n_actual) == 0,
              "seed %d: \"%s\" gives \"%s\", expected \"%s\"", (int)first, text, shown, expected);
        free(actual);
        free(expected);
    }
    CHECK_NO_LEAKS();
}

TEST(tokenizer, long_runs_of_combining_marks_are_ordered) {
    enum { N_MARKS = 200000 };
    char *text = malloc(4 * N_MARKS + 2);
    size_t n = 0;
    text[n++] = 'q';
    for (size_t i = 0; i < N_MARKS; i++) {
        n += put_character(i % 2 == 0 ? 0x301 : 0x323, text + n); /* classes 230 and 220 */
    }
    char *actual = NULL;
    size_t n_actual = 0;
    CHECK(pith_unicode_form(&pith_malloc_allocator, PITH_FORM_C, text, n, &actual, &n_actual,
                            NULL) == PITH_OK,
          "failed");
    CHECK(n_actual == n, "%zu bytes of %zu", n_actual, n);
    for (size_t i = 0; i < N_MARKS; i++) {
        uint32_t expected = i < N_MARKS / 2 ? 0x323 : 0x301;
        char character[4];
        put_character(expected, character);
        CHECK(memcmp(actual + 1 + 2 * i, character, 2) == 0, "mark %zu", i);
    }
    free(actual);
    free(text);
}
