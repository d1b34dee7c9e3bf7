/* Grammars of a model: the compiled schema with the model's vocabulary, and the matcher that a
 * generation has. */
#ifndef PITH_ENGINE_GRAMMAR_H
#define PITH_ENGINE_GRAMMAR_H

#include "engine/model.h"
#include "grammar/mask.h"

/* The vocabulary's texts, found when the first grammar of a model is made. Any thread. */
typedef struct pith_lexicon_cache pith_lexicon_cache;

/* Errors: MEMORY. */
pith_status pith_lexicon_cache_new(pith_lexicon_cache **out, const pith_allocator *allocator,
                                   pith_error *error);
void pith_lexicon_cache_free(pith_lexicon_cache *cache); /* accepts NULL */

/* The model that a grammar was made for. */
const pith_model *pith_grammar_model(const pith_grammar *grammar);

/* As pith_grammar_matcher_mask, with end tokens [n_ends] in place of the model's. */
void pith_grammar_matcher_shape(pith_grammar_matcher *matcher, float *logits, const int32_t *ends,
                                size_t n_ends);

#endif
