/* Encoding: the rules that the reference files do not reach, on vocabularies small enough to follow
 * by hand, and the merge loop against a naive one. */
#include "base/utf8.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MARK "\xE2\x96\x81"

/* ---- Helpers --------------------------------------------------------------------------------- */

/* Encodes and returns the ids as text. */
static const char *ids_of(const pith_tokenizer *t, const char *text, unsigned flags) {
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    pith_status status = pith_encode(t, text, strlen(text), flags, &ids, &error);
    CHECK(status == PITH_OK, "\"%s\": %s", text, error.message);
    const char *shown = test_show_ids(ids.ids, ids.n);
    pith_tokens_release(&ids);
    return shown;
}

typedef struct encode_case {
    const char *text;
    unsigned flags;
    const char *ids;
} encode_case;

static void check_cases(const pith_tokenizer *t, const encode_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *actual = ids_of(t, cases[i].text, cases[i].flags);
        CHECK(strcmp(actual, cases[i].ids) == 0, "case %zu, \"%s\": ids %s, expected %s", i,
              cases[i].text, actual, cases[i].ids);
    }
}

#define CHECK_CASES(tokenizer, cases) \
    check_cases(tokenizer, cases, sizeof(cases) / sizeof((cases)[0]))

/* A vocabulary written out by hand. */
typedef struct piece {
    const char *text;
    float score;
    uint8_t type;
    uint8_t added;
} piece;

enum { MAX_PIECES = 64, MAX_BYTES = 512 };
enum {
    NORMAL = PITH_PIECE_NORMAL,
    UNKNOWN = PITH_PIECE_UNKNOWN,
    USER = PITH_PIECE_USER_DEFINED,
    UNUSED = PITH_PIECE_UNUSED,
    SPECIAL = PITH_ADDED_SPECIAL,
    NORMALIZED = PITH_ADDED_NORMALIZED,
};

typedef struct hand_made {
    char bytes[MAX_BYTES];
    uint32_t offsets[MAX_PIECES + 1];
    float scores[MAX_PIECES];
    uint8_t types[MAX_PIECES];
    uint8_t added[MAX_PIECES];
    pith_vocab vocab;
    pith_tokenizer *tokenizer;
} hand_made;

/* A SentencePiece vocabulary; settings are those of Llama's until `h->vocab` is changed. */
static void make_vocab(hand_made *h, const piece *pieces, size_t n) {
    memset(h, 0, sizeof *h);
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        h->offsets[i] = (uint32_t)size;
        memcpy(h->bytes + size, pieces[i].text, strlen(pieces[i].text));
        size += strlen(pieces[i].text);
        h->scores[i] = pieces[i].score;
        h->types[i] = pieces[i].type;
        h->added[i] = pieces[i].added;
    }
    h->offsets[n] = (uint32_t)size;
    h->vocab = (pith_vocab){.kind = PITH_TOKENIZER_SENTENCEPIECE,
                            .n_pieces = n,
                            .bytes = h->bytes,
                            .n_bytes = size,
                            .offsets = h->offsets,
                            .scores = h->scores,
                            .types = h->types,
                            .added = h->added,
                            .bos = -1,
                            .eos = -1,
                            .unk = 0,
                            .add_dummy_prefix = true,
                            .escape_whitespaces = true,
                            .fuse_unk = true};
}

static void open_hand_made(hand_made *h) {
    pith_error error = {0};
    CHECK(pith_vocab_check(&h->vocab, "hand-made", &error) == PITH_OK, "%s", error.message);
    CHECK(pith_tokenizer_new(&h->tokenizer, &h->vocab, NULL, &error) == PITH_OK, "%s",
          error.message);
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

TEST(tokenizer, utf8_check_finds_the_first_bad_byte) {
    static const struct {
        const char *text;
        size_t n;
        size_t valid;
    } cases[] = {
        {"", 0, 0},
        {"abc", 3, 3},
        {"a\0b", 3, 3},
        {"\xC2\x80\xDF\xBF", 4, 4},
        {"\xE0\xA0\x80\xEF\xBF\xBF", 6, 6},
        {"\xED\x9F\xBF\xEE\x80\x80", 6, 6},
        {"\xF0\x90\x80\x80\xF4\x8F\xBF\xBF", 8, 8},
        {"a\x80", 2, 1},            /* stray continuation */
        {"\xC0\x80", 2, 0},         /* overlong NUL */
        {"\xC1\xBF", 2, 0},         /* overlong */
        {"\xE0\x9F\xBF", 3, 0},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 4, 0}, /* overlong */
        {"ab\xED\xA0\x80", 5, 2},   /* surrogate */
        {"\xF4\x90\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\xF5\x80\x80\x80", 4, 0}, /* above U+10FFFF */
        {"\xFF", 1, 0},             /* never a byte of UTF-8 */
        {"ab\xE2\x96", 4, 2},       /* cut */
        {"ab\xE2\x96z", 5, 2},      /* interrupted */
        {"ab\xF0\x9F\x98", 5, 2},   /* cut */
        {"1234567\xC3\xA9", 9, 9},  /* over the edge of eight bytes */
        {"12345678\xC3", 9, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t valid = pith_utf8_check(cases[i].text, cases[i].n);
        CHECK(valid == cases[i].valid, "case %zu: %zu, expected %zu", i, valid, cases[i].valid);
    }
}

TEST(tokenizer, invalid_utf8_is_an_error_with_its_offset) {
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/llama-gqa/tokenizer.model");
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    pith_status status = pith_encode(t.tokenizer, "good\xC3(bad", 9, 0, &ids, &error);
    CHECK(status == PITH_ERROR_TEXT && error.status == PITH_ERROR_TEXT, "status %d", (int)status);
    CHECK(strstr(error.message, "byte 4") != NULL, "%s", error.message);
    CHECK(ids.n == 0, "%zu ids", ids.n);
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- SentencePiece --------------------------------------------------------------------------- */

TEST(tokenizer, equal_scores_merge_from_the_left) {
    static const piece pieces[] = {{"<unk>", 0, UNKNOWN, SPECIAL}, {"a", -9, NORMAL, 0},
                                   {"aa", -1, NORMAL, 0},          {MARK, -9, NORMAL, 0},
                                   {"b", -9, NORMAL, 0},           {"ab", -1, NORMAL, 0},
                                   {"bb", -0.0F, NORMAL, 0},       {"ba", 0, NORMAL, 0}};
    hand_made h;
    make_vocab(&h, pieces, sizeof pieces / sizeof pieces[0]);
    h.vocab.add_dummy_prefix = false;
    open_hand_made(&h);
    static const encode_case cases[] = {
        {"aaa", 0, "2 1"},     {"aab", 0, "2 4"},
        {"aaaaa", 0, "2 2 1"}, {"bba", 0, "6 1"}, /* -0 and 0 are equal */
        {"abba", 0, "1 6 1"},                     /* the better score wins over the left */
    };
    CHECK_CASES(h.tokenizer, cases);
    pith_tokenizer_free(h.tokenizer);
}

TEST(tokenizer, unused_pieces_are_taken_apart_again) {
    static const piece pieces[] = {{"<unk>", 0, UNKNOWN, SPECIAL}, {"a", -9, NORMAL, 0},
                                   {"b", -9, NORMAL, 0},           {"c", -9, NORMAL, 0},
                                   {"ab", -1, UNUSED, 0},          {"abc", -2, UNUSED, 0},
                                   {"d", -9, UNUSED, 0},           {"abcd", -3, NORMAL, 0},
                                   {MARK, -9, NORMAL, 0}};
    hand_made h;
    make_vocab(&h, pieces, sizeof pieces / sizeof pieces[0]);
    h.vocab.add_dummy_prefix = false;
    open_hand_made(&h);
    static const encode_case cases[] = {
        {"ab", 0, "1 2"},          {"abc", 0, "1 2 3"}, {"abcd", 0, "7"},
        {"abcabcd", 0, "1 2 3 7"}, {"d", 0, "6"},
    };
    CHECK_CASES(h.tokenizer, cases);
    pith_tokenizer_free(h.tokenizer);
}

TEST(tokenizer, user_defined_pieces_are_matched_whole_and_longest_first) {
    static const piece pieces[] = {{"<unk>", 0, UNKNOWN, SPECIAL},
                                   {"x", -9, NORMAL, 0},
                                   {"y", -9, NORMAL, 0},
                                   {"xy", -1, NORMAL, 0},
                                   {"yx", 0, USER, NORMALIZED},
                                   {"yxy", 0, USER, NORMALIZED},
                                   {MARK "x", 0, NORMAL, 0},
                                   {MARK, 0, NORMAL, 0},
                                   {MARK MARK, 0, USER, NORMALIZED}};
    hand_made h;
    make_vocab(&h, pieces, sizeof pieces / sizeof pieces[0]);
    open_hand_made(&h);
    static const encode_case cases[] = {
        {"xy", 0, "6 2"},   {"xyx", 0, "6 4"},
        {"xyxy", 0, "6 5"}, {"xyyx", 0, "6 2 4"},
        {" x", 0, "8 1"},   {"x  x", 0, "6 8 1"},
        {"y", 0, "7 2"},    {"xy", PITH_ENCODE_NO_PREFIX, "3"},
    };
    CHECK_CASES(h.tokenizer, cases);
    pith_tokenizer_free(h.tokenizer);
}

TEST(tokenizer, unknown_characters_without_byte_fallback_are_one_token) {
    static const piece pieces[] = {{"<unk>", 0, UNKNOWN, SPECIAL},
                                   {"a", -9, NORMAL, 0},
                                   {MARK, -9, NORMAL, 0}};
    hand_made h;
    make_vocab(&h, pieces, sizeof pieces / sizeof pieces[0]);
    open_hand_made(&h);
    static const encode_case cases[] = {{"a", 0, "2 1"}, {"bcd", 0, "2 0"}, {"bacd", 0, "2 0 1 0"}};
    CHECK_CASES(h.tokenizer, cases);
    pith_tokenizer_free(h.tokenizer);

    h.vocab.fuse_unk = false;
    open_hand_made(&h);
    static const encode_case apart[] = {{"bcd", 0, "2 0 0 0"}};
    CHECK_CASES(h.tokenizer, apart);
    pith_tokenizer_free(h.tokenizer);

    h.vocab.unk = -1;
    open_hand_made(&h);
    static const encode_case dropped[] = {{"bacd", 0, "2 1"}};
    CHECK_CASES(h.tokenizer, dropped);
    pith_tokenizer_free(h.tokenizer);
}

TEST(tokenizer, extra_white_space_is_removed_when_the_model_says_so) {
    static const piece pieces[] = {{"<unk>", 0, UNKNOWN, SPECIAL},
                                   {"a", -9, NORMAL, 0},
                                   {MARK, -9, NORMAL, 0},
                                   {MARK "a", -1, NORMAL, 0}};
    hand_made h;
    make_vocab(&h, pieces, sizeof pieces / sizeof pieces[0]);
    h.vocab.remove_extra_whitespaces = true;
    open_hand_made(&h);
    static const encode_case cases[] = {
        {"a", 0, "3"}, {"  a", 0, "3"},     {"a   a", 0, "3 3"}, {"a  ", 0, "3"},
        {"  ", 0, ""}, {"a " MARK, 0, "3"}, {MARK, 0, ""},
    };
    CHECK_CASES(h.tokenizer, cases);
    /* And decoding drops all of the leading white space, not just one. */
    static const int32_t ids[] = {2, 2, 3, 3};
    size_t n;
    char *text = test_decode(h.tokenizer, ids, 4, false, &n);
    CHECK(strcmp(text, "a a") == 0, "\"%s\"", text);
    free(text);
    pith_tokenizer_free(h.tokenizer);
    CHECK_NO_LEAKS();
}

TEST(tokenizer, special_tokens_in_text_are_text_unless_asked_for) {
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/tokenizers/llama2/tokenizer.model");
    static const encode_case cases[] = {
        {"<s>", 0, "529 29879 29958"},
        {"<s>", PITH_ENCODE_SPECIAL, "1"},
        {"a</s>a", PITH_ENCODE_SPECIAL, "263 2 263"}, /* each stretch has its own prefix */
        {"a</s>a", PITH_ENCODE_SPECIAL | PITH_ENCODE_NO_PREFIX, "29874 2 263"},
        {"a", PITH_ENCODE_NO_PREFIX, "29874"},
        {"<0x0A>", PITH_ENCODE_SPECIAL, "529 29900 29916 29900 29909 29958"},
    };
    CHECK_CASES(t.tokenizer, cases);
    test_tokenizer_close(&t);
}

/* ---- Llama-style tokenizer.json -------------------------------------------------------------- */

#define LLAMA_VOCAB                                                                      \
    "\"<unk>\":0,\"a\":1,\"b\":2,\"\\u2581\":3,\"\\u2581a\":4,\"ab\":5,\"\\u2581ab\":6," \
    "\"<tag>\":7,\"\\u2581b\":8,\"<\":9,\"t\":10"
#define LLAMA_MODEL                                                                    \
    "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":true,\"vocab\":" \
    "{" LLAMA_VOCAB "},\"merges\":[\"a b\",[\"\\u2581\",\"a\"],\"\\u2581 ab\",\"\\u2581 b\"]}"
#define LEGACY_PARTS                                                                            \
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":" \
    "\"\\u2581\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":"            \
    "\"\\u2581\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","    \
    "\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},{\"type\":\"Fuse\"},"              \
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
#define METASPACE_PARTS                                                                         \
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\\u2581\",\"prepend_scheme\":" \
    "\"first\",\"split\":false},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"    \
    "\"Replace\",\"pattern\":{\"String\":\"\\u2581\"},\"content\":\" \"},{\"type\":\"Fuse\"},"  \
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}]},"
#define TAG(flags) "\"added_tokens\":[{\"id\":7,\"content\":\"<tag>\"" flags "}],"

static void check_llama(const char *parts, const char *added, const encode_case *cases, size_t n) {
    char text[4096];
    snprintf(text, sizeof text, "{%s%s" LLAMA_MODEL "}", parts, added);
    test_tokenizer t;
    test_tokenizer_open_json(&t, text);
    check_cases(t.tokenizer, cases, n);
    test_tokenizer_close(&t);
}

#define CHECK_LLAMA(parts, added, cases) \
    check_llama(parts, added, cases, sizeof(cases) / sizeof((cases)[0]))

TEST(tokenizer, prepend_gives_every_stretch_a_prefix_and_metaspace_first_only_the_first) {
    static const encode_case legacy[] = {
        {"ab", 0, "6"},
        {" ab", 0, "3 6"},
        {"a b", 0, "4 8"},
        {"ab<tag>ab", 0, "6 7 6"},
        {"<tag>ab", 0, "7 6"},
        {"zzab", 0, "3 0 5"},
        {"ab", PITH_ENCODE_NO_PREFIX, "5"},
    };
    CHECK_LLAMA(LEGACY_PARTS, TAG(""), legacy);
    static const encode_case metaspace[] = {
        {"ab", 0, "6"},        {" ab", 0, "6"},
        {"  ab", 0, "3 6"},    {"ab<tag>ab", 0, "6 7 5"},
        {"<tag>ab", 0, "7 5"}, {"<tag> ab", 0, "7 6"},
        {MARK "ab", 0, "6"},
    };
    CHECK_LLAMA(METASPACE_PARTS, TAG(""), metaspace);
}

TEST(tokenizer, unknown_characters_are_one_token_only_when_the_file_says_so) {
    static const char *const texts[] = {
        "{" LEGACY_PARTS LLAMA_MODEL "}",
        "{" LEGACY_PARTS "\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":false,"
        "\"vocab\":{" LLAMA_VOCAB "},\"merges\":[]}}",
        "{" LEGACY_PARTS "\"model\":{\"type\":\"BPE\",\"vocab\":{" LLAMA_VOCAB "},\"merges\":[]}}",
    };
    static const encode_case cases[] = {{"zyax", 0, "3 0 1 0"},
                                        {"zyax", 0, "3 0 0 1 0"},
                                        {"zyax", 0, "3 1"}};
    for (size_t i = 0; i < 3; i++) {
        test_tokenizer t;
        test_tokenizer_open_json(&t, texts[i]);
        check_cases(t.tokenizer, &cases[i], 1);
        test_tokenizer_close(&t);
    }
}

TEST(tokenizer, added_tokens_obey_their_flags) {
    static const encode_case special[] = {{"a<tag>", PITH_ENCODE_SPECIAL, "4 7"},
                                          {"<t", 0, "3 9 10"},
                                          {"<tag>", 0, "3 9 10 1 0"}};
    CHECK_LLAMA(LEGACY_PARTS, TAG(",\"special\":true"), special);
    static const encode_case left[] = {{"a  <tag> b", 0, "4 7 3 8"}, {" <tag>", 0, "7"}};
    CHECK_LLAMA(LEGACY_PARTS, TAG(",\"lstrip\":true"), left);
    static const encode_case right[] = {{"a <tag> \n\xC2\xA0 b", 0, "4 3 7 8"},
                                        {"<tag> <tag> ", 0, "7 7"}};
    CHECK_LLAMA(LEGACY_PARTS, TAG(",\"rstrip\":true"), right);
    static const encode_case word[] = {
        {"a<tag>", 0, "4 9 10 1 0"},   {"a <tag> b", 0, "4 3 7 3 8"}, {"<tag>", 0, "7"},
        {"<tag>b", 0, "3 9 10 1 0 2"}, {".<tag>.", 0, "3 0 7 3 0"},
    };
    CHECK_LLAMA(LEGACY_PARTS, TAG(",\"single_word\":true"), word);
    /* Hugging Face normalises the token too: under Prepend it becomes "▁<tag>", which text has only
     * at its start and after a space. */
    static const encode_case normalized[] = {{"<tag>", 0, "7"},
                                             {"a <tag>b", 0, "4 7 2"},
                                             {"a<tag>", 0, "4 9 10 1 0"}};
    CHECK_LLAMA(LEGACY_PARTS, TAG(",\"normalized\":true"), normalized);
    /* Metaspace is no normaliser, so there it changes nothing. */
    static const encode_case plain[] = {{"a<tag>b", 0, "4 7 2"}};
    CHECK_LLAMA(METASPACE_PARTS, TAG(",\"normalized\":true"), plain);
}

TEST(tokenizer, the_longest_of_overlapping_added_tokens_wins) {
    static const char text[] =
        "{" LEGACY_PARTS "\"added_tokens\":["
        "{\"id\":7,\"content\":\"<tag>\"},{\"id\":11,\"content\":\"<tag><tag>\"},"
        "{\"id\":12,\"content\":\"<ta\"},{\"id\":13,\"content\":\"<tag>x\",\"special\":true}]"
        "," LLAMA_MODEL "}";
    test_tokenizer t;
    test_tokenizer_open_json(&t, text);
    static const encode_case cases[] = {
        {"<tag><tag><tag>", 0, "11 7"}, {"<ta", 0, "12"},
        {"<tag>x", 0, "7 3 0"},         {"<tag>x", PITH_ENCODE_SPECIAL, "13"},
        {"<tag><tag", 0, "7 12 3 0"},
    };
    CHECK_CASES(t.tokenizer, cases);
    test_tokenizer_close(&t);
}

/* Neither a merge that spells a special token nor a character that is one makes it. */
TEST(tokenizer, special_tokens_never_come_out_of_ordinary_text) {
    static const char text[] =
        "{" LEGACY_PARTS "\"added_tokens\":[{\"id\":5,\"content\":\"ab\",\"special\":true},"
        "{\"id\":11,\"content\":\"z\",\"special\":true}]," LLAMA_MODEL "}";
    test_tokenizer t;
    test_tokenizer_open_json(&t, text);
    static const encode_case cases[] = {
        {"ab", 0, "4 2"},
        {"ab", PITH_ENCODE_SPECIAL, "5"},
        {"az", 0, "4 0"},
        {"az", PITH_ENCODE_SPECIAL, "4 11"},
    };
    CHECK_CASES(t.tokenizer, cases);
    test_tokenizer_close(&t);
}

/* ---- Byte-level BPE -------------------------------------------------------------------------- */

/* A vocabulary of single bytes, in order: the id of a byte is its value. `merges` and `extra`
 * entries follow. Pieces are spelled in GPT-2's alphabet, of which only ASCII is written here. */
static void open_bytes(test_tokenizer *t, const char *parts, const char *extra,
                       const char *merges) {
    char text[16384];
    size_t n = (size_t)snprintf(text, sizeof text,
                                "{%s\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":"
                                "\"BPE\",\"ignore_merges\":true,\"vocab\":{",
                                parts);
    unsigned next = 256;
    for (unsigned byte = 0; byte < 256; byte++) {
        bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
        unsigned code = printable ? byte : next++;
        n += (size_t)snprintf(text + n, sizeof text - n, "\"\\u%04x\":%u,", code, byte);
    }
    snprintf(text + n, sizeof text - n, "%s\"zzzz\":300},\"merges\":[%s]}}", extra, merges);
    test_tokenizer_open_json(t, text);
}

#define BYTE_LEVEL(prefix) \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":" prefix "},"

TEST(tokenizer, byte_level_text_gets_a_space_in_front_when_the_file_says_so) {
    test_tokenizer t;
    open_bytes(&t, BYTE_LEVEL("true"), "", "");
    static const encode_case cases[] = {
        {"a", 0, "32 97"},     {" a", 0, "32 97"},
        {"\ta", 0, "32 9 97"}, {"a", PITH_ENCODE_NO_PREFIX, "97"},
        {"", 0, ""},
    };
    CHECK_CASES(t.tokenizer, cases);
    test_tokenizer_close(&t);
}

TEST(tokenizer, merges_stay_inside_pre_tokens) {
    test_tokenizer t;
    open_bytes(&t, BYTE_LEVEL("false"), "\"1a\":256,\"\\u0120a\":257,\"11\":258,",
               "\"1 a\",\"\\u0120 a\",\"1 1\"");
    static const encode_case cases[] = {
        {"1a", 0, "49 97"},
        {" a", 0, "257"},
        {"111", 0, "258 49"},
        {"  a", 0, "32 257"},
        {"zzzz", 0, "122 122 122 122"}, /* no merges lead to it ... */
    };
    for (size_t i = 0; i < 4; i++) {
        check_cases(t.tokenizer, &cases[i], 1);
    }
    /* ... but with ignore_merges a whole pre-token that is a piece is that piece. */
    CHECK(strcmp(ids_of(t.tokenizer, "zzzz", 0), "300") == 0, "ignore_merges");
    CHECK(strcmp(ids_of(t.tokenizer, "zzzzz", 0), "122 122 122 122 122") == 0, "not whole");
    test_tokenizer_close(&t);
}

/* In GPT-2's alphabet a space is U+0120, so the added token " " is another one than that piece, and
 * both are spelled the same once they are bytes. */
TEST(tokenizer, an_added_token_does_not_hide_the_piece_of_its_spelling) {
    static const char text[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
        "\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":[{\"id\":0,\"content\":\" \","
        "\"special\":true}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"\\u0120\":1,\"a\":2},"
        "\"merges\":[]}}";
    test_tokenizer t;
    test_tokenizer_open_json(&t, text);
    static const encode_case cases[] = {{"a a", 0, "2 1 2"}, {"a a", PITH_ENCODE_SPECIAL, "2 0 2"}};
    CHECK_CASES(t.tokenizer, cases);
    test_tokenizer_close(&t);
}

/* ---- The merge loop against a naive one ------------------------------------------------------ */

enum { N_LETTERS = 4, MAX_TEXT = 200, N_TEXTS = 400 };

/* A SentencePiece vocabulary of random words over a few letters and U+2581, with few different
 * scores, so that ties are common. */
static void make_random_vocab(hand_made *h, uint64_t *seed, char words[][16]) {
    static const char *const letters[N_LETTERS + 1] = {"a", "b", "\xC3\xA9", "d", MARK};
    piece pieces[40] = {{"<unk>", 0, PITH_PIECE_UNKNOWN, PITH_ADDED_SPECIAL}};
    size_t n = 1;
    bool anywhere = test_random(seed) % 2 == 0; /* U+2581 may stand inside words too */
    for (; n <= N_LETTERS + 1; n++) {
        pieces[n] = (piece){letters[n - 1], -20, PITH_PIECE_NORMAL, 0};
    }
    for (size_t k = 0; n < 40; n++, k++) {
        words[k][0] = '\0';
        size_t length = 2 + test_random(seed) % 3;
        for (size_t i = 0; i < length; i++) {
            bool mark = i == 0 || anywhere;
            size_t choice = test_random(seed) % (mark ? N_LETTERS + 1 : N_LETTERS);
            strcat(words[k], letters[choice]);
        }
        float score = -(float)(test_random(seed) % 6);
        pieces[n] = (piece){words[k], score, PITH_PIECE_NORMAL, 0};
    }
    make_vocab(h, pieces, n);
}

/* Joins the best pair, again and again, by looking at all pairs; ids [*n]. */
static void merge_naively(const pith_tokenizer *t, const char *text, int32_t *ids, size_t *n) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    size_t starts[2 * MAX_TEXT + 1];
    size_t count = 0;
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (((unsigned char)text[i] & 0xC0) != 0x80) {
            starts[count++] = i;
        }
    }
    starts[count] = strlen(text);
    for (;;) {
        size_t best = count;
        float best_score = 0;
        for (size_t i = 0; i + 1 < count; i++) {
            int32_t id = pith_tokenizer_find(t, text + starts[i], starts[i + 2] - starts[i]);
            if (id > 0 && (best == count || v->scores[id] > best_score)) {
                best = i;
                best_score = v->scores[id];
            }
        }
        if (best == count) {
            break;
        }
        memmove(starts + best + 1, starts + best + 2, (count - best - 1) * sizeof *starts);
        count--;
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = pith_tokenizer_find(t, text + starts[i], starts[i + 1] - starts[i]);
    }
    *n = count;
}

TEST(tokenizer, merging_equals_a_naive_search_for_the_best_pair) {
    static const char *const letters[] = {"a", "b", "\xC3\xA9", "d", " "};
    for (uint64_t first = 1; first <= N_TEXTS; first++) {
        uint64_t seed = first;
        hand_made h;
        char words[40][16];
        make_random_vocab(&h, &seed, words);
        open_hand_made(&h);
        char text[2 * MAX_TEXT + 1] = "";
        char normalized[4 * MAX_TEXT + 1] = MARK;
        size_t length = 1 + test_random(&seed) % (MAX_TEXT / 4);
        for (size_t i = 0; i < length; i++) {
            size_t choice = test_random(&seed) % 5;
            strcat(text, letters[choice]);
            strcat(normalized, choice == 4 ? MARK : letters[choice]);
        }
        int32_t expected[2 * MAX_TEXT];
        size_t n;
        merge_naively(h.tokenizer, normalized, expected, &n);
        pith_tokens ids;
        pith_tokens_init(&ids, NULL);
        pith_error error = {0};
        pith_status status = pith_encode(h.tokenizer, text, strlen(text), 0, &ids, &error);
        CHECK(status == PITH_OK, "seed %d: %s", (int)first, error.message);
        long at = test_first_other_token(expected, n, ids.ids, ids.n);
        CHECK(at < 0, "seed %d, \"%s\": id %ld differs\n expected %s\n actual   %s", (int)first,
              text, at, test_show_ids(expected, n), test_show_ids(ids.ids, ids.n));
        pith_tokens_release(&ids);
        pith_tokenizer_free(h.tokenizer);
    }
    CHECK_NO_LEAKS();
}
