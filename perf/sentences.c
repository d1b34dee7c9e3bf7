/* Sentences of a text; see sentences.h. */
#include "perf/sentences.h"

#include <string.h>

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Copies the words up to the end of a sentence. */
static pith_sentence read_sentence(pith_sentences *s, char *buffer) {
    pith_sentence sentence = {.text = buffer};
    bool end = false;
    while (!end && s->at < s->n_bytes) {
        if (is_space(s->text[s->at])) {
            s->at++;
            continue;
        }
        size_t begin = s->at;
        while (s->at < s->n_bytes && !is_space(s->text[s->at])) {
            s->at++;
        }
        if (sentence.n_words++ > 0) {
            buffer[sentence.n_bytes++] = ' ';
        }
        memcpy(buffer + sentence.n_bytes, s->text + begin, s->at - begin);
        sentence.n_bytes += s->at - begin;
        char last = s->text[s->at - 1];
        end = last == '.' || last == '!' || last == '?';
    }
    return sentence;
}

bool pith_sentence_next(pith_sentences *sentences, char *buffer, pith_sentence *out) {
    while (sentences->at < sentences->n_bytes) {
        pith_sentence sentence = read_sentence(sentences, buffer);
        if (sentence.n_words >= PITH_SENTENCE_WORDS) {
            *out = sentence;
            return true;
        }
    }
    return false;
}
