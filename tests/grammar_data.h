/* What the tests of grammar/ share: rules of a schema, texts laid over them, small vocabularies. */
#ifndef PITH_TESTS_GRAMMAR_DATA_H
#define PITH_TESTS_GRAMMAR_DATA_H

#include "grammar/mask.h"

/* Compiles a schema; a failure ends the test with its message. */
pith_rules *test_rules(const char *schema);

/* How far an automaton at its beginning, or where it stands, goes along text [n]: n when it accepts
 * all of it. */
size_t test_follow(pith_automaton *a, const char *text, size_t n);

typedef enum test_verdict {
    TEST_REFUSED,    /* some byte is not accepted */
    TEST_UNFINISHED, /* all are, and the text may not end there */
    TEST_WHOLE,      /* ... it may end, and something may follow */
    TEST_OVER,       /* ... nothing may */
} test_verdict;

test_verdict test_judge(const pith_rules *rules, const char *text, size_t n);

/* A vocabulary of texts that are given one by one. */
typedef struct test_words {
    pith_text words[1024];
    size_t n;
} test_words;

void test_words_bytes(test_words *words); /* adds the 256 single bytes */
void test_words_add(test_words *words, const char *text, size_t n);
pith_lexicon *test_words_lexicon(test_words *words);

#endif
