/* A plain text as sentences, for measuring with realistic lengths. A sentence ends with '.', '!' or
 * '?' before white space, or with the text; what is not a word of it is white space. Good enough
 * for lengths, no grammar: abbreviations end sentences, quotation marks after a full stop do
 * not. */
#ifndef PITH_PERF_SENTENCES_H
#define PITH_PERF_SENTENCES_H

#include <stdbool.h>
#include <stddef.h>

enum { PITH_SENTENCE_WORDS = 3 }; /* shorter ones are passed over */

typedef struct pith_sentences {
    const char *text; /* [n_bytes] */
    size_t n_bytes;
    size_t at; /* first byte not yet read */
} pith_sentences;

typedef struct pith_sentence {
    char *text; /* [n_bytes] words with one space between them */
    size_t n_bytes;
    size_t n_words;
} pith_sentence;

/* Finds the next sentence and writes it to `buffer`, of at least sentences->n_bytes; false at the
 * end of the text. */
bool pith_sentence_next(pith_sentences *sentences, char *buffer, pith_sentence *out);

#endif
