/* See grammar_data.h. */
#include "tests/grammar_data.h"

#include <string.h>

#include "tests/test.h"

pith_rules *test_rules(const char *schema) {
    pith_rules *rules = NULL;
    pith_error error = {.message = ""};
    pith_status status =
        pith_rules_new(&rules, pith_text_of(schema), &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s: %s", schema, error.message);
    return rules;
}

size_t test_follow(pith_automaton *a, const char *text, size_t n) {
    size_t i = 0;
    while (i < n && pith_automaton_step(a, 0, (unsigned char)text[i])) {
        pith_automaton_settle(a, 1);
        i++;
    }
    return i;
}

test_verdict test_judge(const pith_rules *rules, const char *text, size_t n) {
    pith_automaton a;
    CHECK(pith_automaton_init(&a, rules, &pith_malloc_allocator, NULL) == PITH_OK, "no memory");
    test_verdict verdict = TEST_REFUSED;
    if (test_follow(&a, text, n) == n) {
        verdict = !pith_automaton_may_end(&a)   ? TEST_UNFINISHED
                  : !pith_automaton_is_over(&a) ? TEST_WHOLE
                                                : TEST_OVER;
    }
    pith_automaton_release(&a, &pith_malloc_allocator);
    return verdict;
}

void test_words_bytes(test_words *words) {
    static char bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)i;
        test_words_add(words, bytes + i, 1);
    }
}

void test_words_add(test_words *words, const char *text, size_t n) {
    CHECK(words->n < sizeof words->words / sizeof words->words[0], "too many words");
    words->words[words->n++] = (pith_text){text, n};
}

static size_t word_text(void *user, size_t token, char *out) {
    const test_words *words = user;
    pith_text word = words->words[token];
    if (word.n_bytes > 0) {
        memcpy(out, word.data, word.n_bytes);
    }
    return word.n_bytes;
}

pith_lexicon *test_words_lexicon(test_words *words) {
    pith_lexicon *lexicon = NULL;
    size_t longest = 1;
    for (size_t i = 0; i < words->n; i++) {
        longest = words->words[i].n_bytes > longest ? words->words[i].n_bytes : longest;
    }
    CHECK(pith_lexicon_new(&lexicon, words->n, longest, word_text, words, &pith_malloc_allocator,
                           NULL) == PITH_OK,
          "no memory");
    return lexicon;
}
