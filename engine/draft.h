/* Draft-model decoding: a smaller model with the same vocabulary guesses the next tokens, and the
 * model itself checks them in one pass. Leviathan et al. 2023; Chen et al. 2023. Like every guess
 * it changes the speed of a generation, never its text.
 *
 * Whether that pays depends on both models, the text and the machine, so it is measured: what each
 * draft has saved and cost, in seconds of plain passes. Where the losses would exceed a small share
 * of the time so far, nothing is drafted for a while. */
#ifndef PITH_ENGINE_DRAFT_H
#define PITH_ENGINE_DRAFT_H

#include "pith.h"

typedef struct pith_draft {
    pith_session *session; /* of the draft model; NULL: there is none */
    size_t most;           /* tokens of a draft, at most */
    size_t from;           /* index in the text at which the draft's timeline begins */
    bool failed;           /* the session could not be evaluated: nothing is drafted any more */

    size_t length;        /* of the next draft */
    size_t misses, pause; /* drafts in a row that did not pay; tokens until the next draft */

    /* Seconds. */
    double plain;   /* of a pass of one token, the shortest recently; 0: not known */
    double token;   /* of the draft model for one token; 0: not known */
    double reading; /* of the draft model for a token of a text that it reads; 0: not known */
    double guess;   /* that the last draft took */
    double total;   /* of all passes and drafts */
    double balance; /* saved by drafts so far, less what they cost */
} pith_draft;

/* Sets up drafts of at most `most` tokens by `session` (NULL: none) for generations by `model`.
 * Errors: ARGUMENT (another vocabulary). */
pith_status pith_draft_init(pith_draft *draft, pith_session *session, const pith_model *model,
                            size_t most, pith_error *error);

/* Guesses what follows tokens [n]: writes at most `most` tokens to out and returns how many. */
size_t pith_draft_guess(pith_draft *draft, const int32_t *tokens, size_t n, int32_t *out,
                        size_t most);

/* Records the time of a pass in seconds: of one token; and of a pass with the last draft, of whose
 * n tokens n_accepted were right. */
void pith_draft_tell_plain(pith_draft *draft, double seconds);
void pith_draft_tell(pith_draft *draft, size_t n, size_t n_accepted, double seconds);

#endif
