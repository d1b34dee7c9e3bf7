/* Which tokens may come next: an automaton walked over the tree of a vocabulary's texts. */
#ifndef PITH_GRAMMAR_MASK_H
#define PITH_GRAMMAR_MASK_H

#include "grammar/automaton.h"
#include "grammar/lexicon.h"

typedef struct pith_mask {
    const pith_lexicon *lexicon;
    pith_automaton automaton;
    uint8_t *allowed; /* [lexicon->n_padded] 1: the token may come next */
    bool over;        /* the text is whole and nothing may follow */
} pith_mask;

/* Takes all memory that is ever needed; rules and lexicon must outlive the mask. Errors: MEMORY. */
pith_status pith_mask_init(pith_mask *mask, const pith_rules *rules, const pith_lexicon *lexicon,
                           const pith_allocator *allocator, pith_error *error);
void pith_mask_release(pith_mask *mask, const pith_allocator *allocator);

/* Back to the beginning of a text. */
void pith_mask_begin(pith_mask *mask);

/* Finds out which tokens may come next, for `allowed`. Tokens without text may not. */
void pith_mask_find(pith_mask *mask);

/* Sets the logits [n_tokens] of tokens that are not in `allowed` to -infinity. */
void pith_mask_apply(const pith_mask *mask, float *logits);

/* Advances by a token. False, with nothing changed, when it may not come next. */
bool pith_mask_accept(pith_mask *mask, size_t token);

/* True when the text may end here. */
bool pith_mask_may_end(const pith_mask *mask);

#endif
