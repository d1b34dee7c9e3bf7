/* The optional steps of a decoder's pass: what they compute, against formulas in double precision,
 * and that no cut of the work and no instruction set changes a bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/activation.h"
#include "engine/session.h"
#include "tests/decoder.h"
#include "tests/support.h"
#include "tests/test.h"

/* Longer than a chunk of attention; enough for identity, longer than every window here. */
enum { N = 270, N_SHORT = 70, VOCAB = TEST_DECODER_VOCAB };

#define ROPE \
    { .dims = 24, .theta = 10000 }
#define PLAIN PITH_DECODER_RECIPE, .kinds = {{.rope = ROPE}}

static const test_recipe recipes[] = {
    {.name = "plain", .config = {PLAIN}},
    {.name = "all biases", .config = {PLAIN, .qkv_bias = true, .o_bias = true, .mlp_bias = true}},
    {.name = "GELU", .config = {PLAIN, .activation = PITH_GELU}},
    {.name = "GELU by tanh", .config = {PLAIN, .activation = PITH_GELU_TANH}},
    {.name = "clamped SwiGLU",
     .config = {PLAIN, .activation = PITH_CLAMPED_SWIGLU, .mlp_bias = true}},
    {.name = "sinks", .config = {PLAIN, .attention_sinks = true}},
    {.name = "kinds of layers with sinks",
     .config = {PITH_DECODER_RECIPE, .attention_sinks = true, .attention_cap = 2}},
    {.name = "squared ReLU", .config = {PLAIN, .activation = PITH_RELU2}},
    {.name = "ungated squared ReLU",
     .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = ROPE}}, .activation = PITH_RELU2}},
    {.name = "ungated SiLU", .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = ROPE}}}},
    {.name = "ungated GELU",
     .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = ROPE}}, .activation = PITH_GELU}},
    {.name = "norms of single heads", .config = {PLAIN, .qk_norm = PITH_QK_NORM_HEAD}},
    {.name = "norms of single heads after RoPE", .config = {PLAIN, .qk_norm = PITH_QK_NORM_AFTER}},
    {.name = "norms of whole rows, norms after alone",
     .no_norm_before = true,
     .norm_after = true,
     .config = {PLAIN, .qk_norm = PITH_QK_NORM_WHOLE}},
    {.name = "norms before and after", .norm_after = true, .config = {PLAIN}},
    {.name = "scales",
     .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = ROPE}}, .attention_scale = 0.7F}},
    {.name = "scales with norms after",
     .norm_after = true,
     .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = ROPE}}}},
    {.name = "caps",
     .config = {PLAIN, .attention_scale = 3, .attention_cap = 1.5F, .logit_cap = 0.6F}},
    {.name = "partial RoPE",
     .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = {.dims = 18, .theta = 500}}}}},
    {.name = "queries that grow",
     .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = {.dims = 24,
                                                         .theta = 10000,
                                                         .original_context = 30,
                                                         .query_beta = 0.5}}}}},
    {.name = "no RoPE", .config = {PITH_DECODER_RECIPE, .kinds = {{.rope = {0}}}}},
    {.name = "kinds of layers", .config = {PITH_DECODER_RECIPE, .qk_norm = PITH_QK_NORM_HEAD}},
    {.name = "a layer without RoPE", .config = {PITH_DECODER_RECIPE}},
    {.name = "LayerNorm", .norm_bias = true, .config = {PLAIN, .norm_type = PITH_LAYER_NORM}},
    {.name = "LayerNorm without bias, before and after",
     .norm_after = true,
     .config = {PLAIN, .norm_type = PITH_LAYER_NORM}},
};
enum { N_RECIPES = sizeof recipes / sizeof recipes[0] };

/* The recipe, with what an initializer above would have said twice. */
static test_recipe recipe_of(size_t i) {
    test_recipe r = recipes[i];
    pith_config *c = &r.config;
    if (strncmp(r.name, "ungated", 7) == 0) {
        c->gated = false;
    } else if (strncmp(r.name, "scales", 6) == 0) {
        c->embedding_scale = 8;
        c->residual_scale = 0.22F;
        c->logit_scale = 0.15F;
    } else if (strncmp(r.name, "kinds of layers", 15) == 0) {
        c->n_kinds = 2;
        c->kinds[0] = (pith_layer_kind){.sliding_window = 20, .rope = ROPE};
        c->kinds[1].rope =
            (pith_rope_config){.dims = 16, .theta = 1e6, .scaling = PITH_ROPE_LINEAR, .factor = 8};
        c->kind_of[1] = 1;
    } else if (strcmp(r.name, "a layer without RoPE") == 0) {
        c->n_kinds = 2;
        c->kinds[0].rope = (pith_rope_config)ROPE;
        c->kind_of[2] = 1;
    }
    return r;
}

static void make_tokens(int32_t *tokens) {
    uint64_t seed = 3;
    for (size_t i = 0; i < N; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
    }
}

/* Logits [n, VOCAB] of the first n tokens, `chunk` tokens an evaluation. */
static float *logits_of(const pith_model *model, const int32_t *tokens, size_t n_tokens,
                        size_t chunk) {
    const pith_session_options options = {.n_context = 300, .n_batch = 300, .all_logits = true};
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, &options, &error) == PITH_OK, "%s", error.message);
    float *out = calloc(n_tokens * VOCAB, sizeof *out);
    CHECK(out != NULL, "memory");
    for (size_t first = 0; first < n_tokens; first += chunk) {
        size_t n = n_tokens - first < chunk ? n_tokens - first : chunk;
        CHECK(pith_session_eval(session, tokens + first, n, &error) == PITH_OK, "%s",
              error.message);
        for (size_t i = 0; i < n; i++) {
            memcpy(out + (first + i) * VOCAB, pith_session_logits_at(session, i),
                   VOCAB * sizeof *out);
        }
    }
    pith_session_free(session);
    return out;
}

TEST(engine_recipe, every_optional_step_is_its_formula) {
    static double expected[N * VOCAB];
    int32_t tokens[N];
    make_tokens(tokens);
    for (size_t i = 0; i < N_RECIPES; i++) {
        test_recipe recipe = recipe_of(i);
        pith_model *model = test_decoder_new(&recipe, PITH_TYPE_F32, NULL, 1);
        float *actual = logits_of(model, tokens, N, N);
        test_decoder_reference(model, tokens, N, expected);
        double largest = 0;
        for (size_t j = 0; j < N * VOCAB; j++) {
            largest = fmax(largest, fabs(expected[j]));
        }
        for (size_t j = 0; j < N * VOCAB; j++) {
            CHECK(fabs((double)actual[j] - expected[j]) <= 3e-5 * largest,
                  "%s: token %zu, logit %zu is %.9g, expected %.9g (largest %g)", recipe.name,
                  j / VOCAB, j % VOCAB, (double)actual[j], expected[j], largest);
        }
        free(actual);
        pith_model_free(model);
    }
}

/* Every recipe is another function: none of the steps above is left out for all. */
TEST(engine_recipe, every_recipe_gives_other_logits) {
    int32_t tokens[N];
    float *all[N_RECIPES];
    make_tokens(tokens);
    for (size_t i = 0; i < N_RECIPES; i++) {
        test_recipe recipe = recipe_of(i);
        pith_model *model = test_decoder_new(&recipe, PITH_TYPE_F32, NULL, 1);
        all[i] = logits_of(model, tokens, N_SHORT, N_SHORT);
        pith_model_free(model);
        for (size_t j = 0; j < i; j++) {
            double difference = 0;
            for (size_t k = 0; k < N_SHORT * VOCAB; k++) {
                difference = fmax(difference, fabs((double)all[i][k] - (double)all[j][k]));
            }
            CHECK(difference > 1e-3, "%s and %s differ by %g", recipe.name, recipes[j].name,
                  difference);
        }
    }
    for (size_t i = 0; i < N_RECIPES; i++) {
        free(all[i]);
    }
}

static void check_same(const test_recipe *recipe, pith_type type, const char *isa, size_t n_threads,
                       size_t chunk, const float *expected) {
    int32_t tokens[N];
    make_tokens(tokens);
    pith_model *model = test_decoder_new(recipe, type, isa, n_threads);
    float *actual = logits_of(model, tokens, N_SHORT, chunk);
    CHECK(memcmp(actual, expected, N_SHORT * VOCAB * sizeof *actual) == 0,
          "%s, type %d: %s with %zu threads, %zu tokens at a time", recipe->name, (int)type,
          isa != NULL ? isa : "the best", n_threads, chunk);
    free(actual);
    pith_model_free(model);
}

static void check_identity(pith_type type) {
    int32_t tokens[N];
    make_tokens(tokens);
    for (size_t i = 0; i < N_RECIPES; i++) {
        test_recipe recipe = recipe_of(i);
        pith_model *model = test_decoder_new(&recipe, type, NULL, 1);
        float *expected = logits_of(model, tokens, N_SHORT, N_SHORT);
        pith_model_free(model);
        check_same(&recipe, type, NULL, 1, 1, expected);
        check_same(&recipe, type, NULL, 3, N_SHORT, expected);
        check_same(&recipe, type, NULL, 2, 27, expected);
        for (size_t k = 0; pith_kernel_names[k] != NULL; k++) {
            if (pith_kernels_find(pith_kernel_names[k]) != NULL) {
                check_same(&recipe, type, pith_kernel_names[k], 1, 69, expected);
            }
        }
        free(expected);
    }
}

TEST(engine_recipe, f32_is_identical_however_it_is_cut) {
    check_identity(PITH_TYPE_F32);
}

TEST(engine_recipe, int8_is_identical_however_it_is_cut) {
    check_identity(PITH_TYPE_INT8);
}

TEST(engine_recipe, int4_is_identical_however_it_is_cut) {
    check_identity(PITH_TYPE_INT4);
}

static pith_session *new_session(const pith_model *model) {
    const pith_session_options options = {.n_context = 300};
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, &options, &error) == PITH_OK, "%s", error.message);
    return session;
}

static void check_logits(const pith_session *actual, const pith_session *expected,
                         const char *name) {
    CHECK(memcmp(pith_session_logits(actual), pith_session_logits(expected),
                 VOCAB * sizeof(float)) == 0,
          "%s: a batch changed the logits", name);
}

/* A prompt and a single token behind another text, in one pass and each alone. */
TEST(engine_recipe, a_batch_is_identical_to_sessions_alone) {
    enum { TEXT = 41, PROMPT = 30 };
    int32_t tokens[N];
    pith_error error;
    make_tokens(tokens);
    for (size_t i = 0; i < N_RECIPES; i++) {
        test_recipe recipe = recipe_of(i);
        pith_model *model = test_decoder_new(&recipe, PITH_TYPE_INT8, NULL, 2);
        pith_session *alone[2] = {new_session(model), new_session(model)};
        pith_session *batch[2] = {new_session(model), new_session(model)};
        const int32_t *const parts[2] = {tokens + TEXT, tokens + 100};
        const size_t lengths[2] = {1, PROMPT};
        CHECK(pith_session_eval(alone[0], tokens, TEXT, &error) == PITH_OK &&
                  pith_session_eval(batch[0], tokens, TEXT, &error) == PITH_OK &&
                  pith_session_eval(alone[0], parts[0], 1, &error) == PITH_OK &&
                  pith_session_eval(alone[1], parts[1], PROMPT, &error) == PITH_OK &&
                  pith_batch_eval(batch, 2, parts, lengths, &error) == PITH_OK,
              "%s: %s", recipe.name, error.message);
        for (size_t j = 0; j < 2; j++) {
            check_logits(batch[j], alone[j], recipe.name);
            pith_session_free(batch[j]);
            pith_session_free(alone[j]);
        }
        pith_model_free(model);
    }
}

/* ---- Functions of single elements ------------------------------------------------------------ */

TEST(engine_recipe, soft_caps_are_close_and_odd) {
    const pith_kernels *kernels = pith_kernels_find("scalar");
    for (int i = -3000; i <= 3000; i++) {
        float cap = i % 2 == 0 ? 50 : 0.7F;
        float x = (float)i * 0.011F * cap;
        float pair[2] = {x, -x};
        pith_soft_cap(kernels, cap, pair, 2);
        double expected = (double)cap * tanh((double)x / (double)cap);
        CHECK(fabs((double)pair[0] - expected) <= 2e-6 * fabs(expected), "%g capped at %g is %.9g",
              (double)x, (double)cap, (double)pair[0]);
        CHECK(fabs((double)pair[0] + (double)pair[1]) <= 2e-6 * fabs(expected), "not odd at %g",
              (double)x);
    }
    float odd[3] = {INFINITY, -INFINITY, NAN};
    pith_soft_cap(kernels, 5, odd, 3);
    CHECK(odd[0] == 5 && odd[1] == -5 && odd[2] != odd[2], "%g %g %g", (double)odd[0],
          (double)odd[1], (double)odd[2]);
}

/* Both sides of the limits, of many tiles and of one; NaN stays where it is. */
TEST(engine_recipe, clamped_swiglu_is_its_formula) {
    enum { PAIRS = 9, WIDTH = 16 * PAIRS };
    const pith_kernels *kernels = pith_kernels_find("scalar");
    float y[2 * WIDTH], out[WIDTH], one[16];
    for (size_t i = 0; i < 2 * WIDTH; i++) {
        y[i] = (float)((i * 37) % 97) * 0.25F - 12;
    }
    y[5] = y[32 + 16 + 3] = NAN;
    pith_activate_gated(kernels, PITH_CLAMPED_SWIGLU, y, PAIRS, out);
    for (size_t t = 0; t < PAIRS; t++) {
        pith_activate_gated(kernels, PITH_CLAMPED_SWIGLU, y + 32 * t, 1, one);
        for (size_t r = 0; r < 16; r++) {
            double gate = fmin((double)y[32 * t + r], 7);
            double up = fmin(fmax((double)y[32 * t + 16 + r], -7), 7);
            double expected = gate / (1 + exp(-1.702 * gate)) * (up + 1);
            float actual = out[16 * t + r];
            if ((t == 0 && r == 5) || (t == 1 && r == 3)) {
                CHECK(actual != actual, "tile %zu, row %zu: %g", t, r, (double)actual);
                continue;
            }
            CHECK(fabs((double)actual - expected) <= 1e-6 * fabs(expected) + 1e-12,
                  "tile %zu, row %zu: %.9g, not %.9g", t, r, (double)actual, expected);
            CHECK(memcmp(&actual, &one[r], sizeof actual) == 0, "tile %zu alone, row %zu", t, r);
        }
    }
}

TEST(engine_recipe, activations_of_any_length_and_of_nan) {
    static const pith_activation all[] = {PITH_SILU, PITH_GELU, PITH_GELU_TANH, PITH_RELU2};
    const pith_kernels *kernels = pith_kernels_find("scalar");
    for (size_t a = 0; a < sizeof all / sizeof all[0]; a++) {
        for (size_t n = 1; n <= 150; n += 7) {
            float x[150];
            float y[151];
            float bias[150];
            for (size_t i = 0; i < n; i++) {
                x[i] = (float)i * 0.3F - 9;
                y[i] = x[i] - 0.25F;
                bias[i] = 0.25F;
            }
            x[n / 2] = y[n / 2] = NAN;
            y[n] = 77;
            pith_activate(kernels, all[a], y, bias, n);
            for (size_t i = 0; i < n; i++) {
                float one = x[i];
                pith_activate(kernels, all[a], &one, NULL, 1);
                CHECK(i == n / 2 ? y[i] != y[i] : memcmp(&y[i], &one, sizeof one) == 0,
                      "activation %d: element %zu of %zu is %g", (int)all[a], i, n, (double)y[i]);
            }
            CHECK(y[n] == 77, "activation %d wrote behind %zu", (int)all[a], n);
        }
    }
}
