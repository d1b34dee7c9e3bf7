/* Prompt-lookup decoding: guessing the next tokens from the text so far. A guess is checked by
 * evaluating it, so it changes the speed of a generation, never its result. After Leviathan et al.
 * 2023 (speculative decoding), with Saxena 2023's n-gram look-up in place of a draft model. */
#ifndef PITH_ENGINE_LOOKUP_H
#define PITH_ENGINE_LOOKUP_H

#include "pith.h"

enum {
    PITH_MAX_DRAFT = 16,  /* tokens guessed at a time */
    PITH_LOOKUP_GRAM = 3, /* tokens at the end that an earlier place should share */
};

/* Guesses what follows tokens [n]: what followed the latest earlier place that shares the longest
 * ending, of PITH_LOOKUP_GRAM tokens down to `least` >= 1. Writes at most `most` tokens to draft
 * and returns how many; a guess that reaches the end of the text goes on with itself, as a
 * repetition does. */
size_t pith_lookup(const int32_t *tokens, size_t n, size_t least, int32_t *draft, size_t most);

/* Decides how much to draft from how earlier drafts went. After a draft of which n tokens were
 * accepted, the next has n + 1; after one accepted in full, twice as many. After one of which none
 * was accepted nothing is drafted during a pause, which doubles each time up to 64 tokens. To
 * initialise, set `most` and zero the rest. */
typedef struct pith_lookup_gate {
    size_t most;   /* tokens of a draft, at most */
    size_t length; /* of the next draft; 0: not known yet */
    size_t misses; /* drafts in a row of which nothing was accepted */
    size_t pause;  /* tokens until the next draft */
} pith_lookup_gate;

/* Tokens to draft now: called once for every token that needs a pass. */
size_t pith_lookup_gate_next(pith_lookup_gate *gate);

/* Records how a draft of n >= 1 tokens went. */
void pith_lookup_gate_tell(pith_lookup_gate *gate, size_t n, size_t n_accepted);

#endif
