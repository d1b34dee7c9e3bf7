/* The tokens that may come next, found by the tree and what is known of strings, against the plain
 * way: every token byte by byte. Vocabularies are random cuts of JSON texts, so that tokens begin
 * and end within everything. */
#include "grammar/mask.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "tests/grammar_data.h"
#include "tests/support.h"
#include "tests/test.h"

static const char *const schemas[] = {
    "{}",
    "{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 7}",
    "{\"anyOf\": [{\"type\": \"string\", \"maxLength\": 4}, {\"type\": \"string\", \"minLength\": "
    "6}, {\"enum\": [\"king\", \"kingdom\", 12, 1]}, {\"type\": \"array\", \"items\": {\"anyOf\": "
    "[{\"$ref\": \"#\"}, {\"type\": \"number\", \"minimum\": -1, \"maximum\": 2}]}}]}",
    "{\"properties\": {\"name\": {\"type\": \"string\"}, \"na\": {\"type\": \"integer\"}, "
    "\"x\\ny\": "
    "{\"type\": \"null\"}}, \"required\": [\"na\"], \"additionalProperties\": {\"type\": "
    "[\"boolean\", \"string\"]}}",
    "{\"properties\": {\"name\": {\"type\": \"string\", \"maxLength\": 9}, \"age\": {\"type\": "
    "\"integer\", \"minimum\": 7, \"maximum\": 120}, \"list\": {\"items\": {\"$ref\": \"#\"}, "
    "\"maxItems\": 2}}, \"required\": [\"name\"]}",
    "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 2, \"maxItems\": 3}",
};
enum { N_SCHEMAS = sizeof schemas / sizeof schemas[0] };

static const char *const texts[] = {
    "{\"name\": \"k\xC3\xA9ng\", \"na\": 12, \"x\\ny\":null, \"names\":true, \"n\\u0061\": \"a\"}",
    "[\"king\", \"kingdom\",12,1, -0.5, [\"\", \"\\uD83D\\uDE00\\n\\\"\"], 1.25e3, [], {}]",
    "{\"name\":\"abc\",\"age\": 17,\"list\":[{\"name\": \"\xE6\x97\xA5\xE6\x9C\xAC\"}]}",
    "{\"a\": {\"b\": [null, true, false]}, \"\xF0\x9F\x98\x80\": \"\\\\ \\/\"}",
};
enum { N_TEXTS = sizeof texts / sizeof texts[0] };

/* Single bytes, cuts of the texts, some tokens twice, one without text and one too long. */
static void make_words(test_words *words, uint64_t *random) {
    static char longest[PITH_LEXICON_LONGEST + 1];
    memset(longest, ' ', sizeof longest);
    *words = (test_words){.n = 0};
    test_words_bytes(words);
    test_words_add(words, "", 0);
    test_words_add(words, longest, sizeof longest);
    longest[0] = '"';
    test_words_add(words, longest, sizeof longest - 1);
    for (size_t i = 0; i < 500; i++) {
        const char *text = texts[test_random(random) % N_TEXTS];
        size_t n = strlen(text);
        size_t from = test_random(random) % n;
        size_t most = n - from < 9 ? n - from : 9;
        test_words_add(words, text + from, 1 + test_random(random) % most);
    }
}

/* True when the token may come next: all of its bytes, one after the other. */
static bool may_follow(pith_automaton *a, const pith_lexicon *lexicon, size_t token) {
    size_t n;
    const unsigned char *text = pith_lexicon_text(lexicon, token, &n);
    for (size_t i = 0; i < n; i++) {
        if (!pith_automaton_step(a, i, text[i])) {
            return false;
        }
    }
    return n > 0;
}

static void check_mask(pith_mask *mask, const char *schema, uint64_t seed) {
    pith_mask_find(mask);
    for (size_t token = 0; token < mask->lexicon->n_tokens; token++) {
        size_t n;
        const unsigned char *text = pith_lexicon_text(mask->lexicon, token, &n);
        bool expected = may_follow(&mask->automaton, mask->lexicon, token);
        CHECK(mask->allowed[token] == expected, "%s: seed %llu: token %zu (%.*s) is %d, not %d",
              schema, (unsigned long long)seed, token, (int)n, (const char *)text,
              mask->allowed[token], expected);
    }
}

/* Goes on by a random one of the tokens that may come next, rather one of several bytes. */
static bool go_on(pith_mask *mask, uint64_t *random) {
    size_t n = mask->lexicon->n_tokens;
    size_t chosen = n;
    size_t n_seen = 0;
    for (size_t token = 0; token < n; token++) {
        size_t n_bytes;
        pith_lexicon_text(mask->lexicon, token, &n_bytes);
        if (mask->allowed[token] != 0 && n_bytes < 20) {
            size_t weight = n_bytes > 1 ? 8 : 1;
            n_seen += weight;
            chosen = test_random(random) % n_seen < weight ? token : chosen;
        }
    }
    CHECK(chosen < n || pith_mask_may_end(mask), "nothing may follow");
    CHECK(chosen == n || !mask->over, "something follows the end");
    return chosen < n && pith_mask_accept(mask, chosen);
}

TEST(grammar_mask, equals_every_token_by_itself) {
    for (size_t i = 0; i < N_SCHEMAS; i++) {
        pith_rules *rules = test_rules(schemas[i]);
        for (uint64_t seed = 1; seed <= 4; seed++) {
            uint64_t random = seed;
            test_words words;
            make_words(&words, &random);
            pith_lexicon *lexicon = test_words_lexicon(&words);
            pith_mask mask;
            CHECK(pith_mask_init(&mask, rules, lexicon, &pith_malloc_allocator, NULL) == PITH_OK,
                  "no memory");
            for (size_t text = 0; text < 12; text++) {
                pith_mask_begin(&mask);
                for (size_t step = 0; step < 40; step++) {
                    check_mask(&mask, schemas[i], seed);
                    if (!go_on(&mask, &random)) {
                        break;
                    }
                }
            }
            pith_mask_release(&mask, &pith_malloc_allocator);
            pith_lexicon_free(lexicon);
        }
        pith_rules_free(rules);
    }
    CHECK_NO_LEAKS();
}

/* A text in two tokens, wherever it is split, is what it is in one. */
TEST(grammar_mask, texts_split_at_every_byte) {
    static const struct {
        const char *schema, *text;
    } rows[] = {
        {"{}", "{\"name\": \"k\xC3\xA9ng\", \"na\": [12, -1.5e3,true],\"\\u00e9\":{}}"},
        {"{\"type\": \"string\", \"maxLength\": 4, \"minLength\": 4}",
         "\"\xE6\x97\xA5\\uD83D\\uDE00a\\n\""},
        {"{\"properties\": {\"a\\n\": {\"enum\": [12, 1]}, \"b\": {}}, \"required\": [\"b\"]}",
         "{\"a\\n\": 12,\"b\": [[{}]]}"},
        {"{\"properties\": {\"ab\": {}}, \"additionalProperties\": {\"type\": \"integer\"}}",
         "{\"ab\":null,\"abc\":1,\"\\u0061\": -7}"},
        {"{\"anyOf\": [{\"const\": [1]}, {\"items\": {\"type\": \"integer\"}}]}", "[1, 2,3]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pith_rules *rules = test_rules(rows[i].schema);
        const char *text = rows[i].text;
        size_t n = strlen(text);
        for (size_t split = 1; split < n; split++) {
            test_words words = {.n = 0};
            test_words_add(&words, text, split);
            test_words_add(&words, text + split, n - split);
            test_words_add(&words, text, n);
            pith_lexicon *lexicon = test_words_lexicon(&words);
            pith_mask mask;
            CHECK(pith_mask_init(&mask, rules, lexicon, &pith_malloc_allocator, NULL) == PITH_OK,
                  "no memory");
            pith_mask_find(&mask);
            CHECK(mask.allowed[0] == 1 && mask.allowed[2] == 1, "%s at %zu: it may not begin", text,
                  split);
            CHECK(pith_mask_accept(&mask, 0) && !mask.over, "%s at %zu", text, split);
            pith_mask_find(&mask);
            CHECK(mask.allowed[1] == 1 && pith_mask_accept(&mask, 1), "%s at %zu: no second half",
                  text, split);
            CHECK(mask.over && pith_mask_may_end(&mask), "%s at %zu is not over", text, split);
            pith_mask_find(&mask);
            CHECK(mask.allowed[0] + mask.allowed[1] + mask.allowed[2] == 0,
                  "%s at %zu: something follows", text, split);
            pith_mask_release(&mask, &pith_malloc_allocator);
            pith_lexicon_free(lexicon);
        }
        pith_rules_free(rules);
    }
    CHECK_NO_LEAKS();
}

TEST(grammar_mask, a_refused_token_changes_nothing) {
    test_words words = {.n = 0};
    test_words_bytes(&words);
    test_words_add(&words, "[1, x", 5);
    test_words_add(&words, "[1, ", 4);
    pith_rules *rules = test_rules("{\"items\": {\"type\": \"integer\"}}");
    pith_lexicon *lexicon = test_words_lexicon(&words);
    pith_mask mask;
    float logits[260] = {0};
    CHECK(pith_mask_init(&mask, rules, lexicon, &pith_malloc_allocator, NULL) == PITH_OK, "memory");
    for (size_t i = 0; i < 2; i++) {
        CHECK(!pith_mask_accept(&mask, 256), "[1, x");
        pith_mask_find(&mask);
        pith_mask_apply(&mask, logits);
        CHECK(logits['['] == 0 && isinf(logits['x']) && isinf(logits[256]) && logits[257] == 0,
              "the beginning is not where it was");
        memset(logits, 0, sizeof logits);
    }
    CHECK(pith_mask_accept(&mask, 257) && pith_mask_accept(&mask, '2'), "[1, 2");
    pith_mask_release(&mask, &pith_malloc_allocator);
    pith_lexicon_free(lexicon);
    pith_rules_free(rules);
    CHECK_NO_LEAKS();
}

TEST(grammar_mask, tokens_that_are_too_long) {
    static char longest[PITH_LEXICON_LONGEST + 1];
    memset(longest, 'a', sizeof longest);
    test_words words = {.n = 0};
    test_words_add(&words, "\"", 1);
    test_words_add(&words, longest, PITH_LEXICON_LONGEST);
    test_words_add(&words, longest, PITH_LEXICON_LONGEST + 1);
    pith_rules *rules = test_rules("{\"type\": \"string\"}");
    pith_lexicon *lexicon = test_words_lexicon(&words);
    pith_mask mask;
    CHECK(pith_mask_init(&mask, rules, lexicon, &pith_malloc_allocator, NULL) == PITH_OK, "memory");
    CHECK(pith_mask_accept(&mask, 0), "the opening quote");
    pith_mask_find(&mask);
    CHECK(mask.allowed[0] == 1 && mask.allowed[1] == 1 && mask.allowed[2] == 0, "%d %d %d",
          mask.allowed[0], mask.allowed[1], mask.allowed[2]);
    CHECK(pith_mask_accept(&mask, 1) && !pith_mask_accept(&mask, 2), "accepting");
    pith_mask_release(&mask, &pith_malloc_allocator);
    pith_lexicon_free(lexicon);
    pith_rules_free(rules);
    CHECK_NO_LEAKS();
}

/* More ways to read a text than are followed: no harm, and some of them stay. */
TEST(grammar_mask, many_ways_at_a_time) {
    pith_rules *rules = test_rules(
        "{\"anyOf\": [{\"items\": {\"$ref\": \"#\"}}, {\"items\": {\"anyOf\": [{\"$ref\": \"#\"}, "
        "{\"type\": \"null\"}]}}, {\"items\": {\"anyOf\": [{\"$ref\": \"#\"}, {\"const\": 1}]}}]}");
    pith_automaton a;
    CHECK(pith_automaton_init(&a, rules, &pith_malloc_allocator, NULL) == PITH_OK, "no memory");
    for (size_t i = 0; i < PITH_RULES_MAX_DEPTH; i++) {
        CHECK(test_follow(&a, "[", 1) == 1, "level %zu", i);
        CHECK(pith_automaton_n(&a, 0) <= PITH_AUTOMATON_THREADS, "%zu threads",
              pith_automaton_n(&a, 0));
        CHECK(a.n_store <= PITH_AUTOMATON_THREADS * (PITH_RULES_MAX_DEPTH + 1), "%zu frames",
              a.n_store);
    }
    CHECK(pith_automaton_n(&a, 0) == PITH_AUTOMATON_THREADS, "%zu threads",
          pith_automaton_n(&a, 0));
    for (size_t i = 0; i < PITH_RULES_MAX_DEPTH; i++) {
        CHECK(test_follow(&a, "]", 1) == 1, "level %zu", i);
    }
    CHECK(pith_automaton_is_over(&a), "not over");
    pith_automaton_release(&a, &pith_malloc_allocator);
    pith_rules_free(rules);
    CHECK_NO_LEAKS();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(grammar_mask, every_failed_allocation) {
    pith_rules *rules = test_rules("{}");
    uint64_t random = 1;
    test_words words;
    make_words(&words, &random);
    pith_lexicon *lexicon = test_words_lexicon(&words);
    for (size_t fail_at = 1; fail_at <= 4; fail_at++) {
        test_allocator memory;
        pith_mask mask;
        test_allocator_init(&memory);
        memory.fail_at = fail_at;
        pith_status status = pith_mask_init(&mask, rules, lexicon, &memory.allocator, NULL);
        CHECK(status == (fail_at <= 3 ? PITH_ERROR_MEMORY : PITH_OK), "allocation %zu", fail_at);
        pith_mask_release(&mask, &memory.allocator);
        CHECK(memory.n_live == 0, "allocation %zu: %zu blocks are left", fail_at,
              (size_t)memory.n_live);
    }
    pith_lexicon_free(lexicon);
    pith_rules_free(rules);
    CHECK_NO_LEAKS();
}
