/* The guards of one request's choices: see strict.h. A guard is the mask of one generation
 * (pith_generate_params.mask and accept). */
#ifndef PITH_SERVER_STRICT_GUARD_H
#define PITH_SERVER_STRICT_GUARD_H

#include "server/strict.h"

typedef struct pith_guards pith_guards;

/* Guards for n_choices answers to one prompt with tools that the model may call; nothing of the
 * request is needed afterwards, the model and its calling are. `reasons` as in pith_opening.
 * Problems: those of pith_strict_grammar, 400 (a name that the form cannot hold), 503. */
bool pith_guards_new(pith_guards **out, const pith_model *model, pith_calling *calling,
                     const pith_request *request, bool reasons, size_t n_choices,
                     pith_problem *problem);
void pith_guards_free(void *guards); /* accepts NULL */

/* The guard of a choice, and what a generation calls with it. When out of memory every token is
 * ruled out, which ends the generation. */
void *pith_guards_of(void *guards, size_t choice);
void pith_guard_mask(void *guard, float *logits /* [n_vocab] */);
void pith_guard_accept(void *guard, int32_t token);

#endif
