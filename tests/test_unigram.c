/* Unigram: the ids of sentencepiece and of the Rust library, and of a Viterbi search without any
 * cleverness on random vocabularies. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"
#include "tokenizer/internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N_PIECES = 60,
    MAX_PIECE = 16,
    MAX_TEXT = 120,
    UNKNOWN_ID = 0,
};

/* A vocabulary with an unknown piece, and with `bytes` the pieces of four of them. */
typedef struct random_vocab {
    pith_vocab vocab;
    char bytes[(N_PIECES + 4) * MAX_PIECE];
    uint32_t offsets[N_PIECES + 5];
    double scores[N_PIECES + 4];
    uint8_t types[N_PIECES + 4], added[N_PIECES + 4];
} random_vocab;

static const char *const letters[] = {
    "a", "b", "c", "\xC3\xA9", "\xE6\x97\xA5", "\xF0\x9F\x8E\x89"};

static size_t random_text(uint64_t *seed, size_t most, char *out) {
    size_t n = 0;
    size_t length = 1 + test_random(seed) % most;
    for (size_t i = 0; i < length; i++) {
        const char *letter = letters[test_random(seed) % 6];
        memcpy(out + n, letter, strlen(letter));
        n += strlen(letter);
    }
    return n;
}

static double rounded(const random_vocab *r, double score) {
    return r->vocab.single_precision ? (float)score : score;
}

static void put_piece(random_vocab *r, const char *text, size_t n, double score, uint8_t type) {
    pith_vocab *v = &r->vocab;
    size_t id = v->n_pieces++;
    memcpy(r->bytes + v->n_bytes, text, n);
    v->n_bytes += n;
    r->offsets[id + 1] = (uint32_t)v->n_bytes;
    r->scores[id] = rounded(r, score);
    r->types[id] = type;
}

/* Scores are multiples of 1/8 often enough that ways of equal score are common. */
static void make_vocab(random_vocab *r, uint64_t *seed) {
    memset(r, 0, sizeof *r);
    bool bytes = test_random(seed) % 2 == 0;
    r->vocab = (pith_vocab){.kind = PITH_TOKENIZER_UNIGRAM,
                            .bytes = r->bytes,
                            .offsets = r->offsets,
                            .log_probabilities = r->scores,
                            .types = r->types,
                            .added = r->added,
                            .bos = -1,
                            .eos = -1,
                            .unk = UNKNOWN_ID,
                            .byte_fallback = bytes,
                            .single_precision = test_random(seed) % 2 == 0};
    put_piece(r, "<unk>", 5, 0, PITH_PIECE_UNKNOWN);
    bool coarse = test_random(seed) % 2 == 0;
    for (size_t i = 1; i < N_PIECES; i++) {
        char text[MAX_PIECE];
        size_t n = random_text(seed, 4, text);
        double score = coarse ? -(double)(test_random(seed) % 40) / 8
                              : -8 * fabs((double)test_random_float(seed));
        put_piece(r, text, n, score, PITH_PIECE_NORMAL);
    }
    static const char *const spelled[] = {"<0xC3>", "<0xA9>", "<0x61>", "<0x62>"};
    for (size_t i = 0; bytes && i < 4; i++) {
        put_piece(r, spelled[i], 6, 0, PITH_PIECE_BYTE);
    }
}

/* ---- The slow search ------------------------------------------------------------------------- */

/* The last piece of that spelling, or -1. */
static int32_t find_piece(const random_vocab *r, const char *text, size_t n) {
    for (size_t id = r->vocab.n_pieces; id-- > 1;) {
        if (r->types[id] == PITH_PIECE_NORMAL && r->offsets[id + 1] - r->offsets[id] == n &&
            memcmp(r->bytes + r->offsets[id], text, n) == 0) {
            return (int32_t)id;
        }
    }
    return -1;
}

static double least_score(const random_vocab *r) {
    double least = INFINITY;
    for (size_t id = 0; id < r->vocab.n_pieces; id++) {
        if (r->types[id] == PITH_PIECE_NORMAL || !r->vocab.single_precision) {
            least = fmin(least, r->scores[id]);
        }
    }
    return least;
}

static bool begins_character(char byte) {
    return ((unsigned char)byte & 0xC0) != 0x80;
}

static int32_t byte_piece(const random_vocab *r, unsigned char byte) {
    char spelled[8];
    snprintf(spelled, sizeof spelled, "<0x%02X>", byte);
    for (size_t id = N_PIECES; id < r->vocab.n_pieces; id++) {
        if (memcmp(r->bytes + r->offsets[id], spelled, 6) == 0) {
            return (int32_t)id;
        }
    }
    return -1;
}

/* Ids of unknown text: its bytes if there are pieces for all of them. */
static size_t put_unknown(const random_vocab *r, const char *text, size_t n, int32_t *out) {
    bool all = r->vocab.byte_fallback;
    for (size_t i = 0; i < n; i++) {
        all = all && byte_piece(r, (unsigned char)text[i]) >= 0;
    }
    for (size_t i = 0; all && i < n; i++) {
        out[i] = byte_piece(r, (unsigned char)text[i]);
    }
    out[0] = all ? out[0] : UNKNOWN_ID;
    return all ? n : 1;
}

/* Every place is reached by the best of all pieces that end there. */
static size_t search(const random_vocab *r, const char *text, size_t n, int32_t *out) {
    double best[MAX_TEXT + 1] = {0};
    size_t from[MAX_TEXT + 1] = {0};
    int32_t ids[MAX_TEXT + 1];
    double unknown = rounded(r, least_score(r) - 10);
    for (size_t end = 1; end <= n; end++) {
        bool reached = false;
        for (size_t start = 0; start < end; start++) {
            if (!begins_character(text[start]) || (end < n && !begins_character(text[end]))) {
                continue;
            }
            int32_t id = find_piece(r, text + start, end - start);
            size_t n_characters = 0;
            for (size_t i = start; i < end; i++) {
                n_characters += begins_character(text[i]);
            }
            if (id < 0 && n_characters > 1) {
                continue;
            }
            double sum = best[start] + (id >= 0 ? r->scores[id] : unknown);
            sum = id < 0 ? rounded(r, sum) : sum; /* the sum of two floats there */
            if (!reached || sum > best[end]) {
                best[end] = rounded(r, sum);
                from[end] = start;
                ids[end] = id;
                reached = true;
            }
        }
    }
    size_t places[MAX_TEXT + 1];
    size_t n_places = 0;
    for (size_t at = n; at > 0; at = from[at]) {
        places[n_places++] = at;
    }
    size_t n_out = 0;
    while (n_places > 0) {
        size_t end = places[--n_places];
        size_t start = from[end];
        if (ids[end] >= 0) {
            out[n_out++] = ids[end];
            continue;
        }
        while (n_places > 0 && ids[places[n_places - 1]] < 0) {
            end = places[--n_places];
        }
        n_out += put_unknown(r, text + start, end - start, out + n_out);
    }
    return n_out;
}

TEST(unigram, ids_are_those_of_a_slow_search) {
    for (uint64_t first = 1; first <= 1000; first++) {
        uint64_t seed = first;
        random_vocab r;
        make_vocab(&r, &seed);
        pith_error error = {0};
        pith_tokenizer *t = NULL;
        CHECK(pith_vocab_check(&r.vocab, "random", &error) == PITH_OK &&
                  pith_tokenizer_new(&t, &r.vocab, NULL, &error) == PITH_OK,
              "seed %d: %s", (int)first, error.message);
        for (size_t k = 0; k < 20; k++) {
            char text[MAX_TEXT];
            int32_t expected[MAX_TEXT];
            size_t n = random_text(&seed, 28, text);
            size_t n_expected = search(&r, text, n, expected);
            pith_tokens actual;
            pith_tokens_init(&actual, NULL);
            CHECK(pith_encode(t, text, n, 0, &actual, &error) == PITH_OK, "%s", error.message);
            long at = test_first_other_token(expected, n_expected, actual.ids, actual.n);
            CHECK(at < 0, "seed %d, \"%.*s\": id %ld differs\n expected %s\n actual   %s",
                  (int)first, (int)n, text, at, test_show_ids(expected, n_expected),
                  test_show_ids(actual.ids, actual.n));
            pith_tokens_release(&actual);
        }
        pith_tokenizer_free(t);
    }
    CHECK_NO_LEAKS();
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* A character without a piece and no unknown piece: the text cannot be spelled. */
TEST(unigram, text_without_a_spelling_is_refused) {
    static const char json[] =
        "{\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":null,"
        "\"vocab\":[[\"a\",-1.0],[\"b\",-1.5]]}}";
    test_tokenizer t;
    test_tokenizer_open_json(&t, json);
    pith_error error = {0};
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    CHECK(pith_encode(t.tokenizer, "ab", 2, 0, &ids, &error) == PITH_OK && ids.n == 2, "%s",
          error.message);
    CHECK(pith_encode(t.tokenizer, "axb", 3, 0, &ids, &error) == PITH_ERROR_TEXT &&
              strstr(error.message, "no unknown token") != NULL,
          "%s", error.message);
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* The spellings of added tokens are normalised when the tokenizer is made. */
TEST(unigram, an_added_token_that_cannot_be_normalised_is_refused) {
    static const char form[] =
        "{\"added_tokens\":[{\"id\":2,\"content\":\"%s\",\"normalized\":true,\"special\":false}],"
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaaaaaaaa\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaaaaaaaa\"}]},"
        "\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"
        "\"vocab\":[[\"<unk>\",0],[\"a\",-1.0]]}}";
    enum { N = 100 };
    char content[N + 1] = "";
    char json[sizeof form + N];
    memset(content, 'a', N);
    snprintf(json, sizeof json, form, content);
    pith_error error = {0};
    pith_vocab_file file;
    pith_tokenizer *tokenizer = NULL;
    CHECK(test_vocab_from_json(&file, json, strlen(json), "text", NULL, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_tokenizer_new(&tokenizer, &file.vocab, NULL, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "added token 2: the normalizer makes more than") != NULL,
          "%s", error.message);
    pith_vocab_file_free(&file);
    CHECK_NO_LEAKS();
}

/* A map of characters may replace one by a long text, again and again. */
TEST(unigram, a_normalizer_cannot_make_a_text_grow_without_end) {
    static const char json[] =
        "{\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":["
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaaaaaaaa\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"},\"content\":\"aaaaaaaaaaaaaaaa\"}]},"
        "\"decoder\":{\"type\":\"Fuse\"},\"model\":{\"type\":\"Unigram\",\"unk_id\":0,"
        "\"vocab\":[[\"<unk>\",0],[\"a\",-1.0]]}}";
    enum { N = 100000 };
    static char text[N];
    memset(text, 'a', N);
    test_tokenizer t;
    test_tokenizer_open_json(&t, json);
    pith_error error = {0};
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    CHECK(pith_encode(t.tokenizer, text, 16, 0, &ids, &error) == PITH_OK && ids.n == 4096, "%s",
          error.message);
    CHECK(pith_encode(t.tokenizer, text, N, 0, &ids, &error) == PITH_ERROR_TEXT &&
              strstr(error.message, "the normalizer makes more than") != NULL,
          "%s", error.message);
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}
