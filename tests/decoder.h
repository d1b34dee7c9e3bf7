/* Decoders in memory, of any configuration, with random weights; and their forward pass in double
 * precision, written from the formulas. */
#ifndef PITH_TESTS_DECODER_H
#define PITH_TESTS_DECODER_H

#include "engine/model.h"

enum { TEST_DECODER_VOCAB = 100, TEST_DECODER_LAYERS = 3 };

/* What a configuration does not say: where there are norms. */
typedef struct test_recipe {
    const char *name;
    bool no_norm_before, norm_after, norm_bias;
    pith_config config; /* what differs from PITH_DECODER_RECIPE; sizes are set by the two below */
} test_recipe;

/* Hidden 64, intermediate 96, 3 layers, 4 heads of 24 over 2 KV heads, 100 tokens, 512 positions.
 * Ends the test on failure. */
pith_model *test_decoder_new(const test_recipe *recipe, pith_type type, const char *isa,
                             size_t n_threads);

/* Logits [n, vocab] of a model with f32 weights for n tokens from position 0 on. */
void test_decoder_reference(const pith_model *model, const int32_t *tokens, size_t n,
                            double *logits);

#endif
