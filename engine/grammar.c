/* The public functions for grammars, on top of grammar/: grammars are counted references, matchers
 * one per text. */
#include "engine/grammar.h"

#include <pthread.h>
#include <stdatomic.h>

/* ---- The vocabulary -------------------------------------------------------------------------- */

struct pith_lexicon_cache {
    pith_allocator allocator;
    pthread_mutex_t lock;
    pith_lexicon *lexicon; /* NULL: nobody has needed it */
};

pith_status pith_lexicon_cache_new(pith_lexicon_cache **out, const pith_allocator *allocator,
                                   pith_error *error) {
    pith_lexicon_cache *cache = pith_allocate_zeroed(allocator, 1, sizeof *cache);
    if (cache == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    cache->allocator = *allocator;
    pthread_mutex_init(&cache->lock, NULL); /* cannot fail with default attributes on Linux */
    *out = cache;
    return PITH_OK;
}

void pith_lexicon_cache_free(pith_lexicon_cache *cache) {
    if (cache != NULL) {
        pith_allocator allocator = cache->allocator;
        pith_lexicon_free(cache->lexicon);
        pthread_mutex_destroy(&cache->lock);
        pith_release(&allocator, cache);
    }
}

static size_t token_text(void *user, size_t token, char *out) {
    return pith_token_bytes(user, (int32_t)token, out);
}

/* Threads that arrive while it is being made wait for it. */
static pith_status get_lexicon(const pith_model *model, const pith_lexicon **out,
                               pith_error *error) {
    pith_lexicon_cache *cache = model->lexicon_cache;
    pith_status status = PITH_OK;
    pthread_mutex_lock(&cache->lock);
    if (cache->lexicon == NULL) {
        status = pith_lexicon_new(&cache->lexicon, pith_model_vocab_size(model),
                                  pith_decode_max(model->tokenizer), token_text, model->tokenizer,
                                  &cache->allocator, error);
    }
    *out = cache->lexicon;
    pthread_mutex_unlock(&cache->lock);
    return status;
}

/* ---- Grammars -------------------------------------------------------------------------------- */

struct pith_grammar {
    const pith_model *model;
    pith_rules *rules;
    const pith_lexicon *lexicon; /* the model's */
    atomic_size_t references;
};

pith_status pith_grammar_new(pith_grammar **out, const pith_model *model, pith_text schema,
                             pith_error *error) {
    if (out == NULL || model == NULL || (schema.data == NULL && schema.n_bytes != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_grammar_new: null argument");
    }
    if (model->network.config.role == PITH_ENCODER || model->tokenizer == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         model->network.config.role == PITH_ENCODER ? "an encoder generates no text"
                                                                    : "the model has no tokenizer");
    }
    pith_grammar *grammar = pith_allocate_zeroed(&model->allocator, 1, sizeof *grammar);
    if (grammar == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a grammar");
    }
    grammar->model = model;
    atomic_init(&grammar->references, 1);
    pith_status status = pith_rules_new(&grammar->rules, schema, &model->allocator, error);
    if (status == PITH_OK) {
        status = get_lexicon(model, &grammar->lexicon, error);
    }
    if (status != PITH_OK) {
        pith_grammar_free(grammar);
        return status;
    }
    *out = grammar;
    return PITH_OK;
}

pith_grammar *pith_grammar_retain(pith_grammar *grammar) {
    if (grammar != NULL) {
        atomic_fetch_add(&grammar->references, 1);
    }
    return grammar;
}

void pith_grammar_free(pith_grammar *grammar) {
    if (grammar != NULL && atomic_fetch_sub(&grammar->references, 1) == 1) {
        pith_rules_free(grammar->rules);
        pith_release(&grammar->model->allocator, grammar);
    }
}

const pith_model *pith_grammar_model(const pith_grammar *grammar) {
    return grammar->model;
}

/* ---- Matchers -------------------------------------------------------------------------------- */

struct pith_grammar_matcher {
    pith_grammar *grammar;
    pith_mask mask;
};

pith_status pith_grammar_matcher_new(pith_grammar_matcher **out, pith_grammar *grammar,
                                     pith_error *error) {
    if (out == NULL || grammar == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_grammar_matcher_new: null argument");
    }
    const pith_allocator *allocator = &grammar->model->allocator;
    pith_grammar_matcher *matcher = pith_allocate_zeroed(allocator, 1, sizeof *matcher);
    if (matcher == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a matcher");
    }
    pith_status status =
        pith_mask_init(&matcher->mask, grammar->rules, grammar->lexicon, allocator, error);
    if (status != PITH_OK) {
        pith_release(allocator, matcher);
        return status;
    }
    matcher->grammar = pith_grammar_retain(grammar);
    *out = matcher;
    return PITH_OK;
}

void pith_grammar_matcher_free(pith_grammar_matcher *matcher) {
    if (matcher != NULL) {
        pith_grammar *grammar = matcher->grammar;
        const pith_allocator *allocator = &grammar->model->allocator;
        pith_mask_release(&matcher->mask, allocator);
        pith_release(allocator, matcher);
        pith_grammar_free(grammar);
    }
}

void pith_grammar_matcher_begin(pith_grammar_matcher *matcher) {
    pith_mask_begin(&matcher->mask);
}

void pith_grammar_matcher_shape(pith_grammar_matcher *matcher, float *logits, const int32_t *ends,
                                size_t n_ends) {
    pith_mask *mask = &matcher->mask;
    bool may_end = pith_mask_may_end(mask);
    pith_mask_find(mask);
    for (size_t i = 0; i < n_ends; i++) {
        mask->allowed[ends[i]] = may_end;
    }
    pith_mask_apply(mask, logits);
}

void pith_grammar_matcher_mask(pith_grammar_matcher *matcher, float *logits) {
    const pith_model *model = matcher->grammar->model;
    pith_grammar_matcher_shape(matcher, logits, model->eos, model->n_eos);
}

pith_status pith_grammar_matcher_accept(pith_grammar_matcher *matcher, int32_t token,
                                        pith_error *error) {
    if (matcher == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_grammar_matcher_accept: null argument");
    }
    size_t n_vocab = matcher->mask.lexicon->n_tokens;
    if (token < 0 || (size_t)token >= n_vocab) {
        return pith_fail(error, PITH_ERROR_TOKEN, "token %d is outside the vocabulary of %zu",
                         (int)token, n_vocab);
    }
    if (!pith_mask_accept(&matcher->mask, (size_t)token)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the grammar does not go on with token %d",
                         (int)token);
    }
    return PITH_OK;
}

bool pith_grammar_matcher_may_end(const pith_grammar_matcher *matcher) {
    return pith_mask_may_end(&matcher->mask);
}

bool pith_grammar_matcher_is_over(const pith_grammar_matcher *matcher) {
    return matcher->mask.over;
}
