/* Texts of several origins: a special token counts only where it lies wholly in the template's own
 * text. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

static const char *const vocabularies[] = {
    "golden/tokenizers/llama2/tokenizer.model", "golden/tokenizers/llama2/tokenizer.json",
    "golden/tokenizers/llama3/tokenizer.json",  "golden/tokenizers/gpt2/tokenizer.json",
    "golden/llama-gqa/tokenizer.json",
};
enum { N_VOCABULARIES = sizeof vocabularies / sizeof *vocabularies };

static bool is_special(const pith_vocab *v, size_t id) {
    return v->types[id] == PITH_PIECE_CONTROL || (v->added[id] & PITH_ADDED_SPECIAL) != 0;
}

static void check_same(const pith_tokens *actual, const pith_tokens *expected, const char *what) {
    long at = test_first_other_token(expected->ids, expected->n, actual->ids, actual->n);
    CHECK(at < 0, "%s: id %ld differs\n expected %s\n actual   %s", what, at,
          test_show_ids(expected->ids, expected->n), test_show_ids(actual->ids, actual->n));
}

/* Encodes text [n] whose bytes [start, end) are the template's and all others data. */
static void encode_between(const pith_tokenizer *t, const char *text, size_t n, size_t start,
                           size_t end, pith_tokens *out) {
    const pith_template_span spans[] = {{0, start, PITH_ORIGIN_DATA},
                                        {start, end - start, PITH_ORIGIN_TEMPLATE},
                                        {end, n - end, PITH_ORIGIN_DATA}};
    pith_error error = {0};
    out->n = 0;
    CHECK(pith_encode_spans(t, text, n, spans, 3, out, &error) == PITH_OK, "%s", error.message);
}

/* "a<token>b" with every place where the template may begin and end. */
static void check_token(const pith_tokenizer *t, size_t id, pith_tokens *ids) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    char text[64];
    size_t n_token = v->offsets[id + 1] - v->offsets[id];
    CHECK(n_token + 3 < sizeof text, "token %zu is long", id);
    int n = snprintf(text, sizeof text, "a%.*sb", (int)n_token, v->bytes + v->offsets[id]);
    pith_error error = {0};
    for (int special = 0; special < 2; special++) {
        ids[special].n = 0;
        pith_encode(t, text, (size_t)n, special != 0 ? PITH_ENCODE_SPECIAL : 0, &ids[special],
                    &error);
    }
    for (size_t start = 0; start <= (size_t)n; start++) {
        for (size_t end = start; end <= (size_t)n; end++) {
            bool whole = start <= 1 && end >= 1 + n_token;
            encode_between(t, text, (size_t)n, start, end, &ids[2]);
            check_same(&ids[2], &ids[whole ? 1 : 0], text);
        }
    }
}

TEST(spans, a_special_token_is_one_only_in_the_template) {
    for (size_t k = 0; k < N_VOCABULARIES; k++) {
        test_tokenizer t;
        pith_tokens ids[3];
        test_tokenizer_open(&t, vocabularies[k]);
        for (size_t i = 0; i < 3; i++) {
            pith_tokens_init(&ids[i], NULL);
        }
        const pith_vocab *v = pith_tokenizer_vocab(t.tokenizer);
        size_t n_special = 0;
        for (size_t id = 0; id < v->n_pieces; id++) {
            if (is_special(v, id)) {
                check_token(t.tokenizer, id, ids);
                n_special++;
            }
        }
        CHECK(n_special > 0, "%s has no special token", vocabularies[k]);
        for (size_t i = 0; i < 3; i++) {
            pith_tokens_release(&ids[i]);
        }
        test_tokenizer_close(&t);
    }
    CHECK_NO_LEAKS();
}

/* A text on its way, of parts that are the template's or data. */
typedef struct mixed {
    char text[512];
    size_t n;
    pith_template_span spans[32];
    size_t n_spans;
} mixed;

static void add_part(mixed *m, const char *part, size_t n, pith_origin origin) {
    memcpy(m->text + m->n, part, n);
    if (n > 0 && m->n_spans > 0 && m->spans[m->n_spans - 1].origin == origin) {
        m->spans[m->n_spans - 1].size += n;
    } else if (n > 0) {
        m->spans[m->n_spans++] = (pith_template_span){m->n, n, origin};
    }
    m->n += n;
}

static bool all_template(const mixed *m, size_t start, size_t end) {
    for (size_t i = 0; i < m->n_spans; i++) {
        const pith_template_span *s = &m->spans[i];
        if (s->start <= start && end <= s->start + s->size) {
            return s->origin == PITH_ORIGIN_TEMPLATE;
        }
    }
    return false;
}

/* What the rule says, by looking for each token at each place: byte-level vocabularies put nothing
 * in front of a text, so the stretches between the tokens are encoded by themselves. */
static void encode_by_rule(const pith_tokenizer *t, const mixed *m, pith_tokens *out) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    pith_error error = {0};
    size_t from = 0;
    out->n = 0;
    for (size_t at = 0; at < m->n; at++) {
        size_t best = SIZE_MAX;
        size_t n_best = 0;
        for (size_t id = 0; id < v->n_pieces; id++) {
            size_t n = v->offsets[id + 1] - v->offsets[id];
            if (is_special(v, id) && n > n_best && at + n <= m->n &&
                memcmp(m->text + at, v->bytes + v->offsets[id], n) == 0 &&
                all_template(m, at, at + n)) {
                best = id;
                n_best = n;
            }
        }
        if (best != SIZE_MAX) {
            pith_encode(t, m->text + from, at - from, 0, out, &error);
            pith_tokens_push(out, (int32_t)best);
            from = at + n_best;
            at = from - 1;
        }
    }
    pith_encode(t, m->text + from, m->n - from, 0, out, &error);
}

TEST(spans, mixed_texts_follow_the_rule) {
    static const char *const words[] = {
        "<|eot_id|>", "<|eot", "_id|>", "<|begin_of_text|>", "\n\n", "Hello", " world",
        "<|",         " ",     "\n",    "<|end_of_text|>",   "é"};
    test_tokenizer t;
    test_tokenizer_open(&t, "golden/tokenizers/llama3/tokenizer.json");
    pith_tokens actual;
    pith_tokens expected;
    pith_tokens_init(&actual, NULL);
    pith_tokens_init(&expected, NULL);
    uint64_t seed = 11;
    for (size_t round = 0; round < 300; round++) {
        mixed m = {.n = 0};
        size_t n_parts = 1 + test_random(&seed) % 12;
        for (size_t i = 0; i < n_parts; i++) {
            const char *word = words[test_random(&seed) % (sizeof words / sizeof *words)];
            add_part(&m, word, strlen(word), (pith_origin)(test_random(&seed) % 2));
        }
        pith_error error = {0};
        actual.n = 0;
        CHECK(pith_encode_spans(t.tokenizer, m.text, m.n, m.spans, m.n_spans, &actual, &error) ==
                  PITH_OK,
              "%s", error.message);
        encode_by_rule(t.tokenizer, &m, &expected);
        m.text[m.n] = '\0';
        check_same(&actual, &expected, m.text);
    }
    pith_tokens_release(&actual);
    pith_tokens_release(&expected);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}
