/* What a generation's choice of a token brings and what may change it: log probabilities, biases,
 * the hooks of a grammar. */
#include <math.h>
#include <string.h>

#include "engine/logprobs.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, MAX_TOP = 20 };

static pith_model *open_model(void) {
    const char *path = test_path("choice.pith");
    test_write_tiny_model(path, PITH_TYPE_INT8, 3);
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

static const int32_t prompt[4] = {1, 280, 290, 270};

/* A generation on a session of its own. */
typedef struct driven {
    pith_session *session;
    pith_generation *generation;
} driven;

static driven begin(const pith_model *model, const pith_generate_params *params) {
    driven d = {NULL, NULL};
    pith_error error;
    CHECK(pith_session_new(&d.session, model, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_generation_new(&d.generation, d.session, prompt, 4, params, &error) == PITH_OK, "%s",
          error.message);
    return d;
}

static void end(driven *d) {
    pith_generation_free(d->generation);
    pith_session_free(d->session);
}

/* Evaluates what is due; afterwards the session has the logits that a step chooses from. */
static void evaluate(const driven *d) {
    const int32_t *tokens;
    size_t n;
    pith_error error;
    CHECK(pith_generation_next(d->generation, 0, &tokens, &n, &error) == PITH_OK, "%s",
          error.message);
    CHECK(n == 0 || pith_session_eval(d->session, tokens, n, &error) == PITH_OK, "%s",
          error.message);
}

static pith_step step(const driven *d) {
    pith_step out;
    pith_error error;
    evaluate(d);
    CHECK(pith_generation_step(d->generation, &out, &error) == PITH_OK, "%s", error.message);
    return out;
}

/* ---- Log probabilities ----------------------------------------------------------------------- */

/* log softmax by the definition, in long double. */
static double reference(const float *logits, size_t n, size_t token) {
    long double most = (long double)logits[0];
    long double sum = 0;
    for (size_t i = 1; i < n; i++) {
        most = fmaxl(most, (long double)logits[i]);
    }
    for (size_t i = 0; i < n; i++) {
        sum += expl((long double)logits[i] - most);
    }
    return (double)((long double)logits[token] - most - logl(sum));
}

/* A token's rank: how many are more likely, or as likely with a lower id. */
static size_t rank(const float *logits, size_t n, size_t token) {
    size_t before = 0;
    for (size_t i = 0; i < n; i++) {
        before += logits[i] > logits[token] || (logits[i] == logits[token] && i < token);
    }
    return before;
}

static void check_top(const float *logits, size_t n, const pith_scored_token *top, size_t n_top) {
    for (size_t i = 0; i < n_top; i++) {
        size_t token = (size_t)top[i].token;
        double expected = reference(logits, n, token);
        CHECK(rank(logits, n, token) == i, "%zu tokens: number %zu has rank %zu", n, i,
              rank(logits, n, token));
        CHECK(fabs((double)top[i].logprob - expected) <= 1e-6 * fmax(1, fabs(expected)),
              "%zu tokens, number %zu: %.9g, expected %.9g", n, i, (double)top[i].logprob,
              expected);
    }
}

TEST(engine_logprobs, are_log_softmax) {
    static const float scales[] = {1e-3F, 1.0F, 30.0F, 3e4F, 1e37F}; /* large ones would overflow */
    static float logits[1000];
    uint64_t random = 1;
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        for (size_t n = 1; n <= 1000; n += n < 30 ? 1 : 97) {
            pith_scored_token top[MAX_TOP + 1] = {{.token = -1}};
            size_t n_top = n < MAX_TOP ? n : MAX_TOP;
            for (size_t i = 0; i < n; i++) { /* some are equal */
                logits[i] = scales[s] * (roundf(64.0F * test_random_normal(&random)) / 64.0F);
            }
            top[n_top].token = -7;
            pith_top_logprobs(logits, n, pith_log_sum_exp(logits, n), top, n_top);
            check_top(logits, n, top, n_top);
            CHECK(top[n_top].token == -7, "%zu tokens: written past the end", n);
        }
    }
}

TEST(engine_choice, logprobs_are_those_of_the_plain_logits) {
    static const float temperatures[] = {0.0F, 1.5F};
    pith_model *model = open_model();
    for (size_t k = 0; k < 2; k++) {
        const pith_logit_bias bias[2] = {{40, 3.0F}, {50, -INFINITY}};
        const pith_generate_params params = {.sampling = {.temperature = temperatures[k],
                                                          .repeat_penalty = 1.3F,
                                                          .seed = 5},
                                             .max_tokens = 40,
                                             .ignore_eos = true,
                                             .speculate = 6,
                                             .logprobs = true,
                                             .n_top_logprobs = k == 0 ? 0 : MAX_TOP,
                                             .bias = bias,
                                             .n_bias = 2};
        driven d = begin(model, &params);
        pith_step s;
        do {
            evaluate(&d);
            float logits[VOCAB];
            memcpy(logits, pith_session_logits(d.session), sizeof logits);
            s = step(&d);
            double expected = reference(logits, VOCAB, (size_t)s.token);
            CHECK(s.has_token && fabs((double)s.logprob - expected) < 1e-5, "%g, expected %g",
                  (double)s.logprob, expected);
            CHECK(s.n_top == params.n_top_logprobs, "%zu tokens", s.n_top);
            check_top(logits, VOCAB, s.top, s.n_top);
        } while (!s.done);
        end(&d);
    }
    const pith_generate_params silent = {.max_tokens = 1};
    driven d = begin(model, &silent);
    pith_step s = step(&d);
    CHECK(s.done && s.logprob == 0.0F && s.n_top == 0, "log probabilities unasked");
    end(&d);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Biases ---------------------------------------------------------------------------------- */

TEST(engine_choice, biases_are_added_before_all_else) {
    pith_model *model = open_model();
    /* So large a bias decides; two of a token add up; -infinity wins over any. */
    static const struct {
        pith_logit_bias bias[3];
        int32_t expected;
    } cases[] = {
        {{{33, 50.0F}, {34, 40.0F}, {35, 0.0F}}, 33},
        {{{33, 50.0F}, {34, 40.0F}, {34, 40.0F}}, 34},
        {{{33, 1000.0F}, {34, 60.0F}, {33, -INFINITY}}, 34},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const pith_generate_params params = {.sampling = {.temperature = 1.0F, .seed = i},
                                             .max_tokens = 8,
                                             .bias = cases[i].bias,
                                             .n_bias = 3};
        driven d = begin(model, &params);
        for (size_t k = 0; k < 8; k++) {
            pith_step s = step(&d);
            CHECK(s.token == cases[i].expected, "case %zu: token %d", i, (int)s.token);
        }
        end(&d);
    }
    /* The penalty of a token in the prompt works on the biased logit: 50 / 100 loses to 10. */
    const pith_logit_bias bias[2] = {{280, 50.0F}, {34, 10.0F}};
    const pith_generate_params params = {.sampling = {.repeat_penalty = 100.0F},
                                         .max_tokens = 1,
                                         .bias = bias,
                                         .n_bias = 2};
    driven d = begin(model, &params);
    pith_step s = step(&d);
    CHECK(s.token == 34, "token %d", (int)s.token);
    end(&d);
    pith_model_free(model);
}

/* ---- Grammar --------------------------------------------------------------------------------- */

/* Allows a token of the residue that is due, modulo 3; then the end token. */
typedef struct grammar {
    size_t n_masked, n_accepted;
    size_t last; /* tokens before the end token */
    int32_t eos;
    int32_t accepted[64];
    bool shut;
} grammar;

static void mask(void *user, float *logits) {
    grammar *g = user;
    g->n_masked++;
    for (size_t i = 0; i < VOCAB; i++) {
        bool wanted =
            g->n_accepted < g->last ? i % 3 == g->n_accepted % 3 && i > 3 : i == (size_t)g->eos;
        if (g->shut || !wanted) {
            logits[i] = -INFINITY;
        }
    }
}

static void accept(void *user, int32_t token) {
    grammar *g = user;
    g->accepted[g->n_accepted++] = token;
}

TEST(engine_choice, a_grammar_decides_what_may_come) {
    pith_model *model = open_model();
    for (size_t speculate = 0; speculate < 8; speculate += 7) {
        for (uint64_t seed = 0; seed < 6; seed++) {
            grammar g = {.last = 30, .eos = 7};
            const pith_generate_params params = {.sampling = {.temperature =
                                                                  seed % 2 == 0 ? 0.0F : 1.5F,
                                                              .seed = seed},
                                                 .speculate = speculate,
                                                 .ignore_eos = true,
                                                 .eos = &g.eos,
                                                 .n_eos = 1,
                                                 .mask = mask,
                                                 .accept = accept,
                                                 .mask_user = &g};
            driven d = begin(model, &params);
            size_t n = 0;
            pith_step s;
            do {
                s = step(&d);
                CHECK(s.token == g.accepted[n] && g.n_accepted == n + 1 && g.n_masked == n + 1,
                      "token %zu: %zu accepted, %zu masked", n, g.n_accepted, g.n_masked);
                CHECK(n == g.last ? s.token == 7 : s.token % 3 == (int32_t)(n % 3),
                      "seed %zu, token %zu is %d", (size_t)seed, n, (int)s.token);
                n++;
            } while (!s.done);
            CHECK(s.finish == PITH_FINISH_EOS && n == g.last + 1, "finish %d after %zu",
                  (int)s.finish, n);
            end(&d);
        }
    }
    pith_model_free(model);
}

TEST(engine_choice, a_grammar_that_allows_nothing_is_an_error) {
    pith_model *model = open_model();
    grammar g = {.last = 9, .shut = true};
    const pith_generate_params params = {.mask = mask, .accept = accept, .mask_user = &g};
    driven d = begin(model, &params);
    pith_step s = {.token = 77};
    pith_error error;
    evaluate(&d);
    for (size_t i = 0; i < 2; i++) {
        pith_status status = pith_generation_step(d.generation, &s, &error);
        CHECK(status == PITH_ERROR_ARGUMENT && s.token == 77 && g.n_accepted == 0, "status %d",
              (int)status);
        CHECK(strstr(error.message, "every token is ruled out") != NULL, "%s", error.message);
    }
    g.shut = false; /* the same step, made again */
    CHECK(pith_generation_step(d.generation, &s, &error) == PITH_OK && s.token % 3 == 0, "%s",
          error.message);
    end(&d);
    /* pith_generate reports it too. */
    g = (grammar){.last = 9, .shut = true};
    pith_session *session = NULL;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error) ==
              PITH_ERROR_ARGUMENT,
          "accepted");
    pith_session_free(session);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
