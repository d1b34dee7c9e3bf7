/* WordPiece rule by rule: cleaning, ideographs, accents, case, splitting, matching, special tokens,
 * decoding; and the two kinds of files, with what is refused in them. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One piece a line. */
#define SPECIAL "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
enum { UNK = 1, CLS = 2, SEP = 3 };

static pith_status parse(pith_vocab_file *out, const char *lines, const char *config,
                         const char *map, pith_error *error) {
    return test_vocab_from_wordpiece(out, lines, strlen(lines), "vocab.txt", config,
                                     config != NULL ? strlen(config) : 0, map,
                                     map != NULL ? strlen(map) : 0, NULL, error);
}

static void open_lines(test_tokenizer *t, const char *lines, const char *config) {
    pith_error error = {0};
    CHECK(parse(&t->file, lines, config, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_tokenizer_new(&t->tokenizer, &t->file.vocab, NULL, &error) == PITH_OK, "%s",
          error.message);
}

/* The pieces that a text becomes, joined by '|', in a static buffer. */
static const char *pieces_of(const pith_tokenizer *t, const char *text, size_t n) {
    static char joined[4096];
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    CHECK(pith_encode(t, text, n, 0, &ids, &error) == PITH_OK, "\"%s\": %s", text, error.message);
    size_t size = 0;
    joined[0] = '\0';
    for (size_t i = 0; i < ids.n; i++) {
        const char *piece = "";
        size_t n_piece = 0;
        pith_tokenizer_piece(t, ids.ids[i], &piece, &n_piece);
        CHECK(size + n_piece + 2 < sizeof joined, "too many pieces");
        size += (size_t)snprintf(joined + size, sizeof joined - size, "%s%.*s", i > 0 ? "|" : "",
                                 (int)n_piece, piece);
    }
    pith_tokens_release(&ids);
    return joined;
}

typedef struct text_case {
    const char *text, *pieces;
} text_case;

static void check_texts(const pith_tokenizer *t, const text_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *actual = pieces_of(t, cases[i].text, strlen(cases[i].text));
        CHECK(strcmp(actual, cases[i].pieces) == 0, "case %zu, \"%s\": \"%s\", expected \"%s\"", i,
              cases[i].text, actual, cases[i].pieces);
    }
}

static void check_with(const char *lines, const char *config, const text_case *cases, size_t n) {
    test_tokenizer t;
    open_lines(&t, lines, config);
    check_texts(t.tokenizer, cases, n);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

#define N_CASES(cases) (sizeof(cases) / sizeof((cases)[0]))

/* ---- Cleaning -------------------------------------------------------------------------------- */

TEST(wordpiece, control_characters_go_and_white_space_becomes_spaces) {
    static const text_case cases[] = {
        {"a\tb\nc\rd", "a|b|c|d"},
        {"a\x01\x0B\x0C\x1F\x7F"
         "b",
         "ab"},
        {"a\xC2\x85"
         "b\xC2\xAD\xE2\x80\x8B\xEF\xBB\xBF",
         "ab"}, /* U+0085, soft hyphen, U+200B, BOM */
        {"a\xEF\xBF\xBD\xEE\x80\x80\xF3\xB0\x80\x80"
         "b",
         "ab"}, /* U+FFFD, private use */
        {"a\xC2\xA0"
         "b\xE3\x80\x80"
         "c\xE2\x80\xA8"
         "d\xE2\x80\xA9",
         "a|b|c|d"},
        {"a\xE1\xA0\x8E"
         "b",
         "ab"}, /* U+180E is a format character */
        {"", ""},
        {" \t\n ", ""},
        {"\x01\xE2\x80\x8B", ""},
    };
    check_with(SPECIAL "a\nb\nc\nd\nab\n", NULL, cases, N_CASES(cases));
}

TEST(wordpiece, zero_bytes_are_dropped) {
    test_tokenizer t;
    open_lines(&t, SPECIAL "a\nb\nab\n", NULL);
    const char *actual = pieces_of(t.tokenizer, "a\0b", 3);
    CHECK(strcmp(actual, "ab") == 0, "\"%s\"", actual);
    test_tokenizer_close(&t);
}

TEST(wordpiece, unassigned_and_newer_characters_stay_in_words) {
    static const text_case cases[] = {
        {"a\xCD\xB8", "a|##\xCD\xB8"},                 /* U+0378, unassigned */
        {"a\xE2\xB9\x92", "a|##\xE2\xB9\x92"},         /* U+2E52, punctuation since Unicode 13 */
        {"a\xE0\xA3\xA0", "a|##\xE0\xA3\xA0"},         /* U+08E0, a mark since Unicode 9 */
        {"a\xF0\x93\x90\xB0", "a|##\xF0\x93\x90\xB0"}, /* U+13430, a format character since 12 */
        {"a\xE2\xB9\x80", "a|\xE2\xB9\x80"},           /* U+2E40, punctuation in Unicode 7 */
        {"a\xE1\x99\xAD", "a|\xE1\x99\xAD"},           /* U+166D, once punctuation, now a symbol */
        {"a\xE1\x9C\xB4", "a"},                        /* U+1734, once nonspacing */
        {"a\xF0\x91\x87\x89", "a|\xF0\x91\x87\x89"},   /* U+111C9, once punctuation */
    };
    check_with(SPECIAL "a\n##\xCD\xB8\n##\xE2\xB9\x92\n##\xE0\xA3\xA0\n##\xF0\x93\x90\xB0\n"
                       "\xE2\xB9\x80\n\xE1\x99\xAD\n\xF0\x91\x87\x89\n",
               NULL, cases, N_CASES(cases));
}

/* ---- Ideographs ------------------------------------------------------------------------------ */

/* Code points as UTF-8 in a static buffer. */
static const char *utf8(uint32_t code) {
    static char text[5];
    if (code < 0x10000) {
        snprintf(text, sizeof text, "%c%c%c", (char)(0xE0 | code >> 12),
                 (char)(0x80 | (code >> 6 & 0x3F)), (char)(0x80 | (code & 0x3F)));
    } else {
        snprintf(text, sizeof text, "%c%c%c%c", (char)(0xF0 | code >> 18),
                 (char)(0x80 | (code >> 12 & 0x3F)), (char)(0x80 | (code >> 6 & 0x3F)),
                 (char)(0x80 | (code & 0x3F)));
    }
    return text;
}

TEST(wordpiece, ideographs_stand_alone_by_the_exact_ranges) {
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},   {0x20000, 0x2A6DF},
        {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F},
    };
    test_tokenizer t;
    open_lines(&t, SPECIAL "a\n", NULL);
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const struct {
            uint32_t code;
            const char *pieces;
        } edges[] = {
            {ranges[i].first - 1, "[UNK]"},
            {ranges[i].first, "a|[UNK]|a"},
            {ranges[i].last, "a|[UNK]|a"},
            {ranges[i].last + 1, "[UNK]"},
        };
        for (size_t k = 0; k < 4; k++) {
            char text[16];
            uint32_t code = edges[k].code;
            bool private = code == 0xF8FF; /* cleaned away */
            snprintf(text, sizeof text, "a%sa", utf8(code));
            const char *actual = pieces_of(t.tokenizer, text, strlen(text));
            const char *expected = edges[k].pieces;
            if (private) {
                expected = "[UNK]"; /* "aa" */
            }
            CHECK(strcmp(actual, expected) == 0, "U+%X: \"%s\", expected \"%s\"", code, actual,
                  expected);
        }
    }
    test_tokenizer_close(&t);
    static const text_case off[] = {{"a\xE4\xB8\x80", "a|##\xE4\xB8\x80"}};
    check_with(SPECIAL "a\n##\xE4\xB8\x80\n", "{\"tokenize_chinese_chars\": false}", off, 1);
}

/* ---- Accents and case ------------------------------------------------------------------------ */

TEST(wordpiece, accents_are_stripped_composed_or_not) {
    static const text_case cases[] = {
        {"\xC3\xA9", "e"},
        {"e\xCC\x81", "e"},
        {"\xC3\x89\xCC\x81\xCC\xA3", "e"},
        {"\xE1\xBA\xAD", "a"},                                          /* two accents */
        {"\xEA\xB0\x81", "\xE1\x84\x80|##\xE1\x85\xA1|##\xE1\x86\xA8"}, /* a Hangul syllable */
        {"\xE2\x84\xAB", "a"},                                          /* ANGSTROM SIGN */
        {"\xCC\x81", ""},
        {"\xC3\xB8", "\xC3\xB8"}, /* o with stroke does not decompose */
    };
    check_with(SPECIAL "e\na\n\xE1\x84\x80\n##\xE1\x85\xA1\n##\xE1\x86\xA8\n\xC3\xB8\n", NULL,
               cases, N_CASES(cases));
}

/* Two marks that stay, as they are spacing, and are put in canonical order: U+302E (class 224)
 * comes before U+1D165 (216) and must end up behind it, whatever is stripped between them. */
TEST(wordpiece, marks_that_stay_are_in_canonical_order) {
    static const text_case cases[] = {
        {"a\xE3\x80\xAE\xF0\x9D\x85\xA5", "a|##\xF0\x9D\x85\xA5|##\xE3\x80\xAE"},
        {"a\xE3\x80\xAE\xCC\x81\xF0\x9D\x85\xA5", "a|##\xF0\x9D\x85\xA5|##\xE3\x80\xAE"},
        {"a\xE3\x80\xAE\x01\xF0\x9D\x85\xA5", "a|##\xF0\x9D\x85\xA5|##\xE3\x80\xAE"},
        {"a\xE3\x80\xAE"
         "a\xF0\x9D\x85\xA5",
         "a|##\xE3\x80\xAE|##a|##\xF0\x9D\x85\xA5"},
        /* U+0901, a mark without class, keeps them apart though it goes. */
        {"a\xE3\x80\xAE\xE0\xA4\x81\xF0\x9D\x85\xA5", "a|##\xE3\x80\xAE|##\xF0\x9D\x85\xA5"},
        /* Unicode 9 did not know the class of U+16FF0. */
        {"a\xE3\x80\xAE\xF0\x96\xBF\xB0", "a|##\xE3\x80\xAE|##\xF0\x96\xBF\xB0"},
    };
    check_with(SPECIAL "a\n##a\n##\xE3\x80\xAE\n##\xF0\x9D\x85\xA5\n##\xF0\x96\xBF\xB0\n", NULL,
               cases, N_CASES(cases));
}

TEST(wordpiece, letters_are_made_small_one_by_one) {
    static const text_case cases[] = {
        {"A", "a"},
        {"\xCE\xA3\xCE\xA3", "\xCF\x83|##\xCF\x83"}, /* a final sigma is like any other */
        {"\xE2\x84\xAA", "k"},                       /* KELVIN SIGN */
        {"\xC4\xB0", "i"},                           /* I with dot: the dot is an accent */
        {"\xC7\x85", "d"},                           /* titlecase Dz with caron, cut */
        {"\xF0\x90\x90\x80", "\xF0\x90\x90\xA8"},    /* Deseret */
    };
    check_with(SPECIAL "a\n\xCF\x83\n##\xCF\x83\nk\ni\n\xF0\x90\x90\xA8\n", NULL, cases, 4);
    check_with(SPECIAL "a\n\xF0\x90\x90\xA8\n", NULL, cases + 5, 1);
}

TEST(wordpiece, the_settings_decide_about_case_and_accents) {
    static const char lines[] = SPECIAL "E\ne\n\xC3\xA9\n\xC3\x89\ni\xCC\x87\n";
    static const text_case cased[] = {{"E", "E"}, {"\xC3\x89", "\xC3\x89"}};
    static const text_case accents[] = {{"\xC3\x89", "\xC3\xA9"}, {"\xC4\xB0", "i\xCC\x87"}};
    static const text_case stripped[] = {{"\xC3\x89", "E"}, {"E", "E"}};
    check_with(lines, "{\"do_lower_case\": false}", cased, 2);
    check_with(lines, "{\"do_lower_case\": true, \"strip_accents\": false}", accents, 2);
    check_with(lines, "{\"do_lower_case\": false, \"strip_accents\": true}", stripped, 2);
}

/* ---- Words ----------------------------------------------------------------------------------- */

TEST(wordpiece, punctuation_is_a_word_of_its_own) {
    char lines[1024] = SPECIAL "a\n";
    char text[256] = "";
    char expected[512] = "";
    for (char c = '!'; c <= '~'; c++) {
        bool symbol = !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
        if (symbol) {
            size_t n = strlen(lines);
            snprintf(lines + n, sizeof lines - n, "%c\n", c);
            n = strlen(text);
            snprintf(text + n, sizeof text - n, "a%c", c);
            n = strlen(expected);
            snprintf(expected + n, sizeof expected - n, "%sa|%c", n > 0 ? "|" : "", c);
        }
    }
    strcat(lines, "\xE2\x80\xA6\n\xE3\x80\x82\n\xC2\xBF\n##\xC2\xB1\n");
    const text_case cases[] = {
        {text, expected},
        {"a\xE2\x80\xA6\xE3\x80\x82\xC2\xBF", "a|\xE2\x80\xA6|\xE3\x80\x82|\xC2\xBF"},
        {"a\xC2\xB1", "a|##\xC2\xB1"}, /* a symbol beyond ASCII is not punctuation */
    };
    check_with(lines, NULL, cases, N_CASES(cases));
}

TEST(wordpiece, the_longest_piece_wins_and_no_word_is_half_known) {
    static const text_case cases[] = {
        {"abcd", "abc|##d"},
        {"abce", "[UNK]"}, /* "ab" and "##ce" would do, but the longest piece was taken */
        {"ab", "ab"},
        {"abd", "ab|##d"},
        {"d", "[UNK]"}, /* only inside a word */
        {"abx ab", "[UNK]|ab"},
        {"##d", "[UNK]|[UNK]|[UNK]"},
        {"ababab", "ab|##ab|##ab"},
    };
    check_with(SPECIAL "ab\nabc\n##d\n##ce\n##ab\n##\n", NULL, cases, N_CASES(cases));
}

TEST(wordpiece, words_of_over_a_hundred_characters_are_unknown) {
    test_tokenizer t;
    open_lines(&t, SPECIAL "\xC3\xB8\n##\xC3\xB8\n", NULL);
    char text[512] = "";
    for (size_t n = 1; n <= 102; n++) {
        strcat(text, "\xC3\xB8");
        pith_tokens ids;
        pith_tokens_init(&ids, NULL);
        CHECK(pith_encode(t.tokenizer, text, strlen(text), 0, &ids, NULL) == PITH_OK, "%zu", n);
        CHECK(ids.n == (n <= 100 ? n : 1), "%zu characters: %zu ids", n, ids.n);
        CHECK((ids.ids[0] == UNK) == (n > 100), "%zu characters: id %d", n, ids.ids[0]);
        pith_tokens_release(&ids);
    }
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(wordpiece, special_tokens_in_the_text_are_always_read) {
    static const text_case cases[] = {
        {"a[SEP]b", "a|[SEP]|b"}, {"[CLS] [MASK][PAD]", "[CLS]|[MASK]|[PAD]"},
        {"[UNK]", "[UNK]"},       {"[sep]", "[|[UNK]|]"},
        {"[SEP", "[|[UNK]"},
    };
    check_with(SPECIAL "a\nb\n[\n]\n", NULL, cases, N_CASES(cases));
}

TEST(wordpiece, added_tokens_beyond_the_vocabulary_make_no_words) {
    static const char config[] = "{\"added_tokens_decoder\": {"
                                 "\"7\": {\"content\": \"abc\", \"special\": false},"
                                 "\"8\": {\"content\": \"XY\", \"normalized\": true}}}";
    test_tokenizer t;
    pith_error error = {0};
    CHECK(parse(&t.file, SPECIAL "ab\n##c\n", config, NULL, &error) == PITH_OK, "%s",
          error.message);
    pith_status status =
        test_vocab_add_tokens(&t.file, config, strlen(config), NULL, 0, "config", &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(pith_tokenizer_new(&t.tokenizer, &t.file.vocab, NULL, &error) == PITH_OK, "%s",
          error.message);
    static const text_case cases[] = {
        {"abc", "abc"},           /* matched as given */
        {"ABC", "ab|##c"},        /* not when it has to be made small first */
        {"xy Xy XY", "XY|XY|XY"}, /* matched in normalised text */
    };
    check_texts(t.tokenizer, cases, N_CASES(cases));
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(wordpiece, of_equal_lines_the_last_counts_and_empty_ones_keep_their_number) {
    test_tokenizer t;
    open_lines(&t, SPECIAL "a\r\n\na\nb\r", NULL);
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    CHECK(t.file.vocab.n_pieces == 9, "%zu pieces", t.file.vocab.n_pieces);
    CHECK(pith_encode(t.tokenizer, "a b", 3, 0, &ids, NULL) == PITH_OK, "encode");
    CHECK(ids.n == 2 && ids.ids[0] == 7 && ids.ids[1] == 8, "%s", test_show_ids(ids.ids, ids.n));
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(wordpiece, invalid_utf8_is_refused_with_its_place) {
    test_tokenizer t;
    open_lines(&t, SPECIAL "a\n", NULL);
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    pith_status status =
        pith_encode_for_encoder(t.tokenizer, "a\xFF", 2, NULL, 0, 0, &ids, NULL, &error);
    CHECK(status == PITH_ERROR_TEXT && strstr(error.message, "byte 1") != NULL, "%s",
          error.message);
    status = pith_encode_for_encoder(t.tokenizer, "a", 1, "aa\xC3", 3, 0, &ids, NULL, &error);
    CHECK(status == PITH_ERROR_TEXT && strstr(error.message, "second text: ") != NULL &&
              strstr(error.message, "byte 2") != NULL,
          "%s", error.message);
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- Pairs and limits ------------------------------------------------------------------------ */

TEST(wordpiece, the_longer_text_of_a_pair_is_cut_first) {
    static const struct {
        size_t n_first, n_second, limit, kept_first, kept_second;
    } cases[] = {
        {2, 8, 10, 2, 5}, {8, 2, 10, 5, 2}, {4, 4, 10, 3, 4}, {8, 4, 10, 4, 3}, {4, 8, 10, 3, 4},
        {4, 4, 4, 0, 1},  {0, 4, 4, 0, 1},  {4, 0, 4, 1, 0},  {4, 4, 11, 4, 4}, {4, 4, 0, 4, 4},
        {8, 7, 6, 2, 1},  {7, 8, 6, 1, 2},  {3, 8, 9, 3, 3},  {8, 3, 9, 3, 3},  {1, 8, 5, 1, 1},
    };
    test_tokenizer t;
    open_lines(&t, SPECIAL "a\nb\n", NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_tokens ids;
        pith_tokens_init(&ids, NULL);
        pith_encoded info;
        pith_tokens_push(&ids, 77); /* what is there stays */
        pith_status status =
            pith_encode_for_encoder(t.tokenizer, "a a a a a a a a ", 2 * cases[i].n_first,
                                    "b b b b b b b b ", 2 * cases[i].n_second, cases[i].limit, &ids,
                                    &info, NULL);
        CHECK(status == PITH_OK, "case %zu", i);
        size_t a = cases[i].kept_first;
        size_t b = cases[i].kept_second;
        CHECK(ids.n == 4 + a + b && info.n_first == a + 2, "case %zu: %zu ids, first %zu", i, ids.n,
              info.n_first);
        CHECK(info.truncated == (a + b < cases[i].n_first + cases[i].n_second), "case %zu", i);
        CHECK(ids.ids[0] == 77 && ids.ids[1] == CLS && ids.ids[a + 2] == SEP &&
                  ids.ids[ids.n - 1] == SEP,
              "case %zu: %s", i, test_show_ids(ids.ids, ids.n));
        for (size_t k = 0; k < a + b; k++) {
            CHECK(ids.ids[k + 2 + (k >= a)] == (k < a ? 5 : 6), "case %zu: %s", i,
                  test_show_ids(ids.ids, ids.n));
        }
        pith_tokens_release(&ids);
    }
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(wordpiece, encoding_for_an_encoder_checks_its_arguments) {
    test_tokenizer t;
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    open_lines(&t, SPECIAL "a\n", NULL);
    for (size_t limit = 1; limit <= 4; limit++) {
        pith_status one =
            pith_encode_for_encoder(t.tokenizer, "a", 1, NULL, 0, limit, &ids, NULL, &error);
        pith_status two =
            pith_encode_for_encoder(t.tokenizer, "a", 1, "a", 1, limit, &ids, NULL, &error);
        CHECK(one == (limit < 3 ? PITH_ERROR_ARGUMENT : PITH_OK), "limit %zu: %d", limit, one);
        CHECK(two == (limit < 4 ? PITH_ERROR_ARGUMENT : PITH_OK), "limit %zu: %d", limit, two);
    }
    test_tokenizer_close(&t);
    test_tokenizer_open(&t, "golden/llama-gqa/tokenizer.model");
    /* A tokenizer with a beginning and no end: a token is all that must fit. */
    for (size_t limit = 1; limit <= 2; limit++) {
        pith_status status =
            pith_encode_for_encoder(t.tokenizer, "a", 1, NULL, 0, limit, &ids, NULL, &error);
        CHECK(status == (limit < 2 ? PITH_ERROR_ARGUMENT : PITH_OK), "limit %zu: %d", limit,
              (int)status);
    }
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* A text that will be cut is not read to its end, which must not show: whatever the limit, the ids
 * are the first of all of them. Runs of text without white space, control characters, marks in the
 * wrong order and added tokens stand wherever a stretch may end. */
TEST(wordpiece, a_long_text_is_cut_as_if_read_whole) {
    enum { ROOM = 40000 };
    static const char *const parts[] = {
        "ab ",          "a",       " ",      "\t\n",
        "[MASK]",       " [SEP] ", "b\x01 ", "a\xCC\x81",
        "\xE4\xB8\xAD", ".",       "\r\x0B", "\xE0\xBE\xB2\xCC\xA7",
        "\xC2\xA0",     "abab",    "new",    "New York ",
        "york\t",       "[MA",
    };
    static const char single_word[] =
        "{\"additional_special_tokens\": [{\"content\": \"york\", \"normalized\": true, "
        "\"single_word\": true, \"lstrip\": true}]}";
    static const char *const tokens[] = {
        "{}",
        "{\"additional_special_tokens\": [{\"content\": \"a b\", \"normalized\": false}]}",
        "{\"additional_special_tokens\": [{\"content\": \"new york\", \"normalized\": true}]}",
        single_word,
    };
    char *text = malloc(ROOM + 16);
    for (unsigned i = 0; i < 24; i++) {
        test_tokenizer t;
        open_lines(&t, SPECIAL "a b\nnew york\na\nb\n##a\n##b\n.\nnew\nyork\n", tokens[i % 4]);
        uint64_t random = i + 1;
        size_t n = 0;
        size_t n_parts = i % 3 == 0 ? 4 : sizeof parts / sizeof parts[0];
        while (n < ROOM) {
            const char *part = parts[test_random(&random) % n_parts];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        pith_tokens all;
        pith_tokens_init(&all, NULL);
        CHECK(pith_encode(t.tokenizer, text, n, 0, &all, NULL) == PITH_OK, "seed %u", i);
        for (size_t limit = 3; limit < all.n + 4; limit += limit < 6 ? 1 : limit / 2) {
            pith_tokens ids;
            pith_tokens_init(&ids, NULL);
            pith_encoded info;
            pith_status status =
                pith_encode_for_encoder(t.tokenizer, text, n, NULL, 0, limit, &ids, &info, NULL);
            size_t kept = all.n < limit - 2 ? all.n : limit - 2;
            CHECK(status == PITH_OK && ids.n == kept + 2 && info.truncated == (kept < all.n),
                  "seed %u, limit %zu: %zu ids of %zu", i, limit, ids.n, all.n);
            CHECK(memcmp(ids.ids + 1, all.ids, kept * sizeof *all.ids) == 0, "seed %u, limit %zu",
                  i, limit);
            pith_tokens_release(&ids);
        }
        pith_tokens_release(&all);
        test_tokenizer_close(&t);
    }
    free(text);
    CHECK_NO_LEAKS();
}

/* Memory shows how far a text was read; what follows has to be UTF-8 all the same. */
TEST(wordpiece, a_long_text_is_not_read_beyond_the_limit) {
    enum { SIZE = 4 << 20 };
    char *text = malloc(SIZE);
    memset(text, 'a', SIZE);
    for (size_t i = 1; i < SIZE; i += 2) {
        text[i] = ' ';
    }
    test_tokenizer t;
    open_lines(&t, SPECIAL "a\n", NULL);
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    pith_status status =
        pith_encode_for_encoder(t.tokenizer, text, SIZE, NULL, 0, 256, &ids, NULL, &error);
    CHECK(status == PITH_OK && ids.n == 256, "%zu ids", ids.n);
    CHECK(ids.capacity < SIZE / 256, "room for %zu ids", ids.capacity);
    text[SIZE - 1] = '\xFF';
    status = pith_encode_for_encoder(t.tokenizer, text, SIZE, NULL, 0, 256, &ids, NULL, &error);
    CHECK(status == PITH_ERROR_TEXT && strstr(error.message, "byte 4194303") != NULL, "%s",
          error.message);
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    free(text);
    CHECK_NO_LEAKS();
}

/* ---- Decoding -------------------------------------------------------------------------------- */

TEST(wordpiece, pieces_are_joined_and_cleaned_up) {
    test_tokenizer t;
    open_lines(&t, SPECIAL "he\n##llo\n.\n,\n!\n?\n'\n's\n'm\nn't\n'ves\ndo not\n##.\n;\n", NULL);
    static const struct {
        int32_t ids[6];
        size_t n;
        const char *text;
    } cases[] = {
        {{5, 6, 5}, 3, "hello he"},
        {{6, 5}, 2, "##llo he"}, /* nothing before it to go on from */
        {{CLS, 6, 6, SEP}, 4, "##llollo"},
        {{7, 5, 7, 8, 9, 10}, 6, ". he.,!?"},
        {{5, 11, 12, 13, 14}, 5, "he ''s'mn't"},
        {{5, 15, 16, 5, 17}, 5, "he'ves don't he."},
        {{5, 18}, 2, "he ;"},
        {{5, UNK, 5}, 3, "he he"},
        {{0}, 0, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n;
        char *text = test_decode(t.tokenizer, cases[i].ids, cases[i].n, false, &n);
        CHECK(strcmp(text, cases[i].text) == 0, "case %zu: \"%s\", expected \"%s\"", i, text,
              cases[i].text);
        free(text);
    }
    size_t n;
    char *text = test_decode(t.tokenizer, (const int32_t[]){CLS, 5, SEP}, 3, true, &n);
    CHECK(strcmp(text, "[CLS] he [SEP]") == 0, "shown: \"%s\"", text);
    free(text);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}
