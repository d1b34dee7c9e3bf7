/* Generations that are driven step by step, many together: each must be that of pith_generate
 * alone, whatever else is in the batch, and whatever the chunks of its prompt and the drafts
 * are. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/session.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, MEMBERS = 8, MAX_TEXT = 4096, CONTEXT = 128 };

static pith_model *open_model(pith_type type, const pith_allocator *allocator) {
    const char *path = test_path("generation.pith");
    test_write_tiny_model(path, type, 4);
    pith_model *model = NULL;
    pith_error error;
    pith_model_options options = {.allocator = allocator, .n_threads = 2, .blas = PITH_BLAS_OFF};
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

/* What one of the generations is. */
typedef struct member {
    pith_session_options options;
    pith_generate_params params;
    int32_t prompt[64];
    size_t n_prompt;
    pith_logit_bias bias[2];
    int32_t eos[1];
} member;

/* Prompts of 1 to 64 tokens, half of which repeat themselves, so that drafts come from the start.
 */
static void make_prompt(member *m, uint64_t seed) {
    m->n_prompt = 1 + test_random(&seed) % 64;
    size_t period = seed % 2 == 0 ? 64 : 2 + test_random(&seed) % 7;
    for (size_t i = 0; i < m->n_prompt; i++) {
        m->prompt[i] =
            i < period ? (int32_t)(3 + test_random(&seed) % (VOCAB - 3)) : m->prompt[i - period];
    }
}

static void make_member(member *m, uint64_t seed) {
    static const char *const stops[] = {"he", "zz", "a"};
    static const float temperatures[] = {0.0F, 0.05F, 0.6F, 1.2F};
    static const size_t speculate[] = {0, 16, 3, 0, 7};
    *m = (member){.eos = {(int32_t)(seed * 7 % VOCAB)}};
    make_prompt(m, seed);
    m->bias[0] = (pith_logit_bias){(int32_t)(seed * 31 % VOCAB), 4.0F};
    m->bias[1] = (pith_logit_bias){(int32_t)(seed * 17 % VOCAB), -INFINITY};
    m->options = (pith_session_options){.n_context = CONTEXT,
                                        .n_batch = seed % 8 == 5 ? seed % 3 + 1 : 0,
                                        .all_logits = seed % 9 == 4,
                                        .kv_type = (pith_kv_type)(seed % 4)};
    m->params = (pith_generate_params){
        .sampling = {.temperature = temperatures[seed % 4],
                     .top_k = seed % 3 == 0 ? 5 : 0,
                     .repeat_penalty = seed % 7 == 0 ? 1.1F : 0.0F,
                     .seed = seed},
        .max_tokens = seed % 2 == 0 ? 1 + seed * 3 % 50 : 0,
        .stops = stops,
        .n_stops = seed % 6 == 1 ? 3 : 0,
        .ignore_eos = seed % 4 != 3,
        .speculate = speculate[seed % 5],
        .eos = m->eos,
        .n_eos = seed % 3 == 2,
        .logprobs = seed % 3 == 1,
        .n_top_logprobs = seed % 3 == 1 ? 4 : 0,
        .bias = m->bias,
        .n_bias = seed % 5 == 3 ? 2 : 0,
    };
}

/* All that a caller can see of a generation. */
typedef struct outcome {
    char text[MAX_TEXT];
    size_t n_text;
    pith_usage usage;
    int32_t tokens[CONTEXT];
    size_t n_tokens;
    float logits[VOCAB];
} outcome;

static bool collect(void *user, pith_text text) {
    outcome *o = user;
    CHECK(o->n_text + text.n_bytes <= MAX_TEXT, "too much text");
    if (text.n_bytes != 0) {
        memcpy(o->text + o->n_text, text.data, text.n_bytes);
    }
    o->n_text += text.n_bytes;
    return true;
}

static void remember(outcome *o, const pith_session *session) {
    o->n_tokens = pith_session_length(session);
    memcpy(o->tokens, pith_session_tokens(session), o->n_tokens * sizeof *o->tokens);
    memcpy(o->logits, pith_session_logits(session), sizeof o->logits);
}

static pith_session *new_session(const pith_model *model, const pith_session_options *options) {
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_new(&session, model, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return session;
}

static void generate_alone(const pith_model *model, const member *m, outcome *o) {
    pith_session *session = new_session(model, &m->options);
    pith_error error;
    *o = (outcome){.n_text = 0};
    pith_status status =
        pith_generate(session, m->prompt, m->n_prompt, &m->params, collect, o, &o->usage, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    remember(o, session);
    pith_session_free(session);
}

/* Generations that are evaluated together. */
typedef struct company {
    pith_session *sessions[MEMBERS];
    pith_generation *generations[MEMBERS]; /* NULL: done */
    size_t n_going;
} company;

static pith_generation *new_generation(pith_session *session, const member *m) {
    pith_generation *generation = NULL;
    pith_error error;
    /* What params and prompt point at may go at once. */
    member gone = *m;
    gone.params.eos = gone.eos;
    gone.params.bias = gone.bias;
    char stops[3][8];
    const char *pointers[3];
    for (size_t i = 0; i < m->params.n_stops; i++) {
        snprintf(stops[i], sizeof stops[i], "%s", m->params.stops[i]);
        pointers[i] = stops[i];
    }
    gone.params.stops = pointers;
    pith_status status =
        pith_generation_new(&generation, session, gone.prompt, gone.n_prompt, &gone.params, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    memset(&gone, 0x55, sizeof gone);
    memset(stops, 0x55, sizeof stops);
    return generation;
}

/* One evaluation of all that need one, then a step of each. */
static void step_together(company *r, size_t most, outcome *outcomes) {
    pith_session *sessions[MEMBERS];
    const int32_t *tokens[MEMBERS];
    size_t n_tokens[MEMBERS];
    size_t n = 0;
    pith_error error;
    for (size_t i = 0; i < MEMBERS; i++) {
        if (r->generations[i] == NULL) {
            continue;
        }
        pith_status status =
            pith_generation_next(r->generations[i], most, &tokens[n], &n_tokens[n], &error);
        CHECK(status == PITH_OK, "member %zu: %s", i, error.message);
        sessions[n] = r->sessions[i];
        n += n_tokens[n] != 0;
    }
    if (n != 0) {
        CHECK(pith_batch_eval(sessions, n, tokens, n_tokens, &error) == PITH_OK, "%s",
              error.message);
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        if (r->generations[i] == NULL) {
            continue;
        }
        pith_step step;
        pith_status status = pith_generation_step(r->generations[i], &step, &error);
        CHECK(status == PITH_OK, "member %zu: %s", i, error.message);
        collect(&outcomes[i], step.text);
        if (step.done) {
            pith_generation_usage(r->generations[i], &outcomes[i].usage);
            CHECK(outcomes[i].usage.finish == step.finish, "member %zu: finish", i);
            remember(&outcomes[i], r->sessions[i]);
            pith_generation_free(r->generations[i]);
            r->generations[i] = NULL;
            r->n_going--;
        }
    }
}

static void begin(company *r, const pith_model *model, const member *members) {
    *r = (company){.n_going = MEMBERS};
    for (size_t i = 0; i < MEMBERS; i++) {
        r->sessions[i] = new_session(model, &members[i].options);
        r->generations[i] = new_generation(r->sessions[i], &members[i]);
    }
}

static void end(company *r) {
    for (size_t i = 0; i < MEMBERS; i++) {
        pith_generation_free(r->generations[i]);
        pith_session_free(r->sessions[i]);
    }
}

static void check_same(const outcome *a, const outcome *b, const char *what, uint64_t seed) {
    CHECK(a->n_text == b->n_text && memcmp(a->text, b->text, a->n_text) == 0,
          "%s, seed %llu: \"%.*s\", expected \"%.*s\"", what, (unsigned long long)seed,
          (int)b->n_text, b->text, (int)a->n_text, a->text);
    const pith_usage *x = &a->usage;
    const pith_usage *y = &b->usage;
    CHECK(x->finish == y->finish && x->prompt_tokens == y->prompt_tokens &&
              x->generated_tokens == y->generated_tokens &&
              x->drafted_tokens == y->drafted_tokens && x->accepted_tokens == y->accepted_tokens,
          "%s, seed %llu: finish %d after %zu (drafts %zu, %zu), expected %d after %zu (%zu, %zu)",
          what, (unsigned long long)seed, (int)y->finish, y->generated_tokens, y->drafted_tokens,
          y->accepted_tokens, (int)x->finish, x->generated_tokens, x->drafted_tokens,
          x->accepted_tokens);
    CHECK(y->prompt_seconds >= 0 && y->generate_seconds >= 0, "%s, seed %llu: times", what,
          (unsigned long long)seed);
    CHECK(a->n_tokens == b->n_tokens &&
              memcmp(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens) == 0,
          "%s, seed %llu: timelines of %zu and %zu differ", what, (unsigned long long)seed,
          b->n_tokens, a->n_tokens);
    CHECK(memcmp(a->logits, b->logits, sizeof a->logits) == 0, "%s, seed %llu: last logits", what,
          (unsigned long long)seed);
}

/* ---- Together and alone ---------------------------------------------------------------------- */

TEST(engine_generation, together_is_as_alone) {
    static const pith_type types[] = {PITH_TYPE_F32, PITH_TYPE_F16, PITH_TYPE_INT8, PITH_TYPE_INT4};
    static const size_t mosts[] = {0, 1, 7, 64};
    static outcome together[MEMBERS];
    static outcome alone;
    static member members[MEMBERS];
    size_t n_finishes[5] = {0};
    size_t accepted = 0;
    for (size_t t = 0; t < 4; t++) {
        pith_model *model = open_model(types[t], NULL);
        for (uint64_t seed = 0; seed < 12; seed++) {
            company r;
            memset(together, 0, sizeof together);
            for (size_t i = 0; i < MEMBERS; i++) {
                make_member(&members[i], seed * MEMBERS + i);
            }
            begin(&r, model, members);
            while (r.n_going != 0) {
                step_together(&r, mosts[(seed + t) % 4], together);
            }
            end(&r);
            for (size_t i = 0; i < MEMBERS; i++) {
                generate_alone(model, &members[i], &alone);
                check_same(&alone, &together[i], pith_type_name(types[t]), seed * MEMBERS + i);
                n_finishes[alone.usage.finish]++;
                accepted += alone.usage.accepted_tokens;
            }
        }
        pith_model_free(model);
    }
    CHECK(accepted > 50, "%zu tokens accepted: not much of a test", accepted);
    for (size_t i = 0; i < PITH_FINISH_STOPPED; i++) {
        CHECK(n_finishes[i] != 0, "no text finished by %zu", i);
    }
    CHECK_NO_LEAKS();
}

/* Freed at any point, each in the midst of others, the sessions go on with what they hold. */
TEST(engine_generation, may_be_freed_midway) {
    static outcome outcomes[MEMBERS];
    static member members[MEMBERS];
    pith_model *model = open_model(PITH_TYPE_INT8, NULL);
    for (size_t n_steps = 0; n_steps < 24; n_steps++) {
        company r;
        memset(outcomes, 0, sizeof outcomes);
        for (size_t i = 0; i < MEMBERS; i++) {
            make_member(&members[i], i);
        }
        begin(&r, model, members);
        for (size_t k = 0; k < n_steps && r.n_going != 0; k++) {
            step_together(&r, 7, outcomes);
        }
        const pith_session_options options = {.n_context = CONTEXT};
        for (size_t i = 0; i < MEMBERS; i++) {
            const int32_t *tokens;
            size_t n = 0;
            pith_error error;
            if (r.generations[i] != NULL && i % 2 == 0) {
                CHECK(pith_generation_next(r.generations[i], 0, &tokens, &n, &error) == PITH_OK,
                      "%s", error.message);
            }
            if (n != 0 && i % 4 == 0) {
                CHECK(pith_session_eval(r.sessions[i], tokens, n, &error) == PITH_OK, "%s",
                      error.message);
            }
            pith_generation_free(r.generations[i]);
            r.generations[i] = NULL;
            CHECK(r.sessions[i]->ahead == NULL, "a draft outlives its generation");
            if (pith_session_length(r.sessions[i]) == CONTEXT) {
                continue;
            }
            const int32_t more[1] = {9};
            CHECK(pith_session_eval(r.sessions[i], more, 1, &error) == PITH_OK, "%s",
                  error.message);
            pith_session_options same = options;
            same.kv_type = members[i].options.kv_type;
            pith_session *plain = new_session(model, &same);
            CHECK(pith_session_eval(plain, pith_session_tokens(r.sessions[i]),
                                    pith_session_length(r.sessions[i]), &error) == PITH_OK,
                  "%s", error.message);
            CHECK(memcmp(pith_session_logits(plain), pith_session_logits(r.sessions[i]),
                         VOCAB * sizeof(float)) == 0,
                  "step %zu, member %zu: logits differ", n_steps, i);
            pith_session_free(plain);
        }
        end(&r);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Errors ---------------------------------------------------------------------------------- */

static void expect(pith_status status, const pith_error *error, const char *words) {
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error->message, words) != NULL,
          "status %d, \"%s\", expected \"%s\"", (int)status, error->message, words);
}

TEST(engine_generation, calls_out_of_order_are_refused) {
    pith_model *model = open_model(PITH_TYPE_INT8, NULL);
    const pith_session_options options = {.n_context = CONTEXT};
    pith_session *session = new_session(model, &options);
    const int32_t prompt[5] = {5, 6, 7, 5, 6};
    const pith_generate_params params = {.max_tokens = 3, .ignore_eos = true, .speculate = 4};
    pith_generation *g = NULL;
    pith_step step = {.token = 77};
    pith_error error = {.message = ""};
    const int32_t *tokens = NULL;
    size_t n = 0;
    CHECK(pith_generation_new(&g, session, prompt, 5, &params, &error) == PITH_OK, "%s",
          error.message);
    expect(pith_generation_step(g, &step, &error), &error, "pith_generation_next");
    CHECK(pith_generation_next(g, 3, &tokens, &n, NULL) == PITH_OK && n == 3, "%zu tokens", n);
    expect(pith_generation_step(g, &step, &error), &error, "not evaluated");
    CHECK(pith_generation_next(g, 2, &tokens, &n, NULL) == PITH_OK && n == 2, "%zu tokens", n);
    CHECK(pith_session_eval(session, tokens, n, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_generation_next(g, 2, &tokens, &n, NULL) == PITH_OK && n == 0, "%zu tokens", n);
    CHECK(pith_generation_step(g, &step, &error) == PITH_OK && !step.has_token && !step.done, "%s",
          error.message);
    /* Something else is evaluated, and taken back. */
    const int32_t other[3] = {9, 9, 9};
    CHECK(pith_generation_next(g, 0, &tokens, &n, NULL) == PITH_OK && n == 3, "%zu tokens", n);
    CHECK(pith_session_eval(session, other, 3, &error) == PITH_OK, "%s", error.message);
    expect(pith_generation_step(g, &step, &error), &error, "not evaluated");
    expect(pith_generation_next(g, 0, &tokens, &n, &error), &error, "its generation left 2");
    CHECK(pith_session_rewind(session, 2, NULL) == PITH_OK, "rewind");
    CHECK(pith_generation_next(g, 0, &tokens, &n, NULL) == PITH_OK && n == 3, "%zu tokens", n);
    CHECK(pith_session_eval(session, tokens, n, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_rewind(session, 5, NULL) == PITH_OK, "rewind");
    expect(pith_generation_step(g, &step, &error), &error, "no logits");
    CHECK(step.token == 0 && !step.has_token, "the last step was changed");
    pith_generation_free(g);
    CHECK(pith_session_rewind(session, 0, NULL) == PITH_OK, "rewind");
    CHECK(pith_generation_new(&g, session, prompt, 5, &params, &error) == PITH_OK, "%s",
          error.message);
    do {
        CHECK(pith_generation_next(g, 0, &tokens, &n, &error) == PITH_OK, "%s", error.message);
        CHECK(n == 0 || pith_session_eval(session, tokens, n, &error) == PITH_OK, "%s",
              error.message);
        CHECK(pith_generation_step(g, &step, &error) == PITH_OK, "%s", error.message);
    } while (!step.done);
    expect(pith_generation_next(g, 0, &tokens, &n, &error), &error, "done");
    expect(pith_generation_step(g, &step, &error), &error, "done");
    expect(pith_generation_step(NULL, &step, &error), &error, "null");
    expect(pith_generation_next(g, 0, NULL, &n, &error), &error, "null");
    pith_generation_free(g);
    pith_generation_free(NULL);
    pith_session_free(session);
    pith_model_free(model);
}

TEST(engine_generation, a_bad_beginning_is_refused) {
    pith_model *model = open_model(PITH_TYPE_INT8, NULL);
    const pith_session_options options = {.n_context = CONTEXT};
    pith_session *session = new_session(model, &options);
    static const int32_t prompt[CONTEXT + 1] = {5};
    static const int32_t outside[2] = {5, VOCAB};
    static const pith_logit_bias bias[3] = {{VOCAB, 1.0F}, {5, NAN}, {5, INFINITY}};
    static const struct {
        const int32_t *prompt;
        size_t n;
        pith_generate_params params;
        pith_status status;
        const char *words;
    } cases[] = {
        {prompt, 0, {.max_tokens = 0}, PITH_ERROR_ARGUMENT, "a prompt"},
        {prompt, CONTEXT + 1, {.max_tokens = 0}, PITH_ERROR_CONTEXT, "129 tokens"},
        {outside, 2, {.max_tokens = 0}, PITH_ERROR_TOKEN, "token 300 at index 1"},
        {prompt, 1, {.n_top_logprobs = 1}, PITH_ERROR_ARGUMENT, "without logprobs"},
        {prompt, 1, {.logprobs = true, .n_top_logprobs = 21}, PITH_ERROR_ARGUMENT, "more than 20"},
        {prompt, 1, {.bias = bias, .n_bias = 1}, PITH_ERROR_TOKEN, "biased token 300"},
        {prompt, 1, {.bias = bias + 1, .n_bias = 1}, PITH_ERROR_ARGUMENT, "nan"},
        {prompt, 1, {.bias = bias + 2, .n_bias = 1}, PITH_ERROR_ARGUMENT, "inf"},
        {prompt, 1, {.bias = bias, .n_bias = 1025}, PITH_ERROR_ARGUMENT, "at most 1024"},
        {prompt, 1, {.n_bias = 1}, PITH_ERROR_ARGUMENT, "1 logit biases"},
        {prompt, 1, {.sampling = {.top_p = 2.0F}}, PITH_ERROR_ARGUMENT, "top_p"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_generation *g = NULL;
        pith_error error;
        pith_status status =
            pith_generation_new(&g, session, cases[i].prompt, cases[i].n, &cases[i].params, &error);
        CHECK(status == cases[i].status && g == NULL &&
                  strstr(error.message, cases[i].words) != NULL,
              "case %zu: status %d, %s", i, (int)status, error.message);
    }
    pith_session_free(session);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Numbers that are none ------------------------------------------------------------------- */

/* From now on token 77 makes every row of the network that sees it NaN. */
static void break_token(pith_model *model) {
    float *embed = (float *)(uintptr_t)model->network.embed.data;
    embed[77 * model->network.embed.cols] = NAN;
}

/* Prompts that are full of a token which breaks the network from then on: every draft has it. */
TEST(engine_generation, a_broken_draft_fails_nothing) {
    static outcome outcomes[2][MEMBERS];
    static member members[MEMBERS];
    size_t drafted = 0;
    memset(outcomes, 0, sizeof outcomes);
    for (size_t with = 0; with < 2; with++) {
        pith_model *model = open_model(PITH_TYPE_F32, NULL);
        company r;
        for (size_t i = 0; i < MEMBERS; i++) {
            member *m = &members[i];
            *m = (member){.n_prompt = 20, .bias = {{77, -INFINITY}}};
            m->options = (pith_session_options){.n_context = CONTEXT};
            m->params = (pith_generate_params){.sampling = {.temperature = 3.0F, .seed = i},
                                               .max_tokens = 20,
                                               .ignore_eos = true,
                                               .speculate = with == 1 && i % 2 == 0 ? 6 : 0,
                                               .bias = m->bias,
                                               .n_bias = 1};
            for (size_t k = 0; k < m->n_prompt; k++) {
                m->prompt[k] = k % 2 == 0 ? 77 : (int32_t)(10 + 12 * k + i);
            }
        }
        begin(&r, model, members);
        step_together(&r, 0, outcomes[with]); /* the prompt, while the model is sound */
        break_token(model);
        while (r.n_going != 0) {
            step_together(&r, 0, outcomes[with]);
        }
        end(&r);
        pith_model_free(model);
    }
    for (size_t i = 0; i < MEMBERS; i++) {
        drafted += outcomes[1][i].usage.drafted_tokens;
        outcomes[1][i].usage.drafted_tokens = outcomes[1][i].usage.accepted_tokens = 0;
        check_same(&outcomes[0][i], &outcomes[1][i], "broken drafts", i);
    }
    CHECK(drafted > 0, "nothing was drafted");
}

TEST(engine_generation, the_others_survive_a_session_that_breaks) {
    pith_model *model = open_model(PITH_TYPE_F32, NULL);
    const pith_session_options options = {.n_context = CONTEXT};
    pith_session *sessions[3];
    const int32_t first[3] = {5, 6, 7};
    const int32_t bad[1] = {77};
    const int32_t *tokens[3] = {first, bad, first + 1};
    const size_t n_tokens[3] = {2, 1, 2};
    pith_error error;
    for (size_t i = 0; i < 3; i++) {
        sessions[i] = new_session(model, &options);
        CHECK(pith_session_eval(sessions[i], first, 1 + i, &error) == PITH_OK, "%s", error.message);
    }
    break_token(model);
    pith_status status = pith_batch_eval(sessions, 3, tokens, n_tokens, &error);
    CHECK(status == PITH_ERROR_NUMERIC && strstr(error.message, "session 1: ") != NULL &&
              strstr(error.message, "position 2") != NULL,
          "status %d, %s", (int)status, error.message);
    for (size_t i = 0; i < 3; i++) {
        CHECK(pith_session_length(sessions[i]) == 1 + i, "session %zu has %zu tokens", i,
              pith_session_length(sessions[i]));
    }
    pith_session *sound[2] = {sessions[0], sessions[2]};
    const int32_t *sound_tokens[2] = {tokens[0], tokens[2]};
    const size_t n_sound[2] = {2, 2};
    status = pith_batch_eval(sound, 2, sound_tokens, n_sound, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 2; i++) {
        pith_session *plain = new_session(model, &options);
        CHECK(pith_session_eval(plain, pith_session_tokens(sound[i]), pith_session_length(sound[i]),
                                &error) == PITH_OK,
              "%s", error.message);
        CHECK(memcmp(pith_session_logits(plain), pith_session_logits(sound[i]),
                     VOCAB * sizeof(float)) == 0,
              "logits of session %zu", 2 * i);
        pith_session_free(plain);
    }
    for (size_t i = 0; i < 3; i++) {
        pith_session_free(sessions[i]);
    }
    pith_model_free(model);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(engine_generation, nothing_is_allocated_after_the_beginning) {
    static outcome outcomes[MEMBERS];
    static member members[MEMBERS];
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model *model = open_model(PITH_TYPE_INT4, &counting.allocator);
    for (size_t i = 0; i < MEMBERS; i++) {
        make_member(&members[i], 8 + i);
        members[i].options.n_batch = 64;
    }
    for (size_t k = 0; k < 2; k++) { /* the first round makes the model's work buffers */
        company r;
        memset(outcomes, 0, sizeof outcomes);
        begin(&r, model, members);
        for (size_t i = 0; i < MEMBERS; i++) { /* a session may take memory as it grows */
            static const int32_t tokens[CONTEXT] = {1};
            pith_error error;
            CHECK(pith_session_eval(r.sessions[i], tokens, CONTEXT, &error) == PITH_OK &&
                      pith_session_rewind(r.sessions[i], 0, &error) == PITH_OK,
                  "%s", error.message);
        }
        size_t before = counting.n_calls;
        while (r.n_going != 0) {
            step_together(&r, 0, outcomes);
        }
        CHECK(k == 0 || counting.n_calls == before, "%zu allocations", counting.n_calls - before);
        end(&r);
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

TEST(engine_generation, every_failed_allocation_is_an_error_without_a_leak) {
    test_allocator failing;
    test_allocator_init(&failing);
    pith_model *model = open_model(PITH_TYPE_INT8, &failing.allocator);
    static member m;
    make_member(&m, 13); /* with everything: stops, a bias, logprobs, drafts */
    m.params.n_bias = 2;
    m.params.speculate = 4;
    pith_session *session = new_session(model, &m.options);
    size_t live = failing.n_live;
    size_t fail_at = 0;
    pith_status status;
    do {
        pith_generation *g = NULL;
        pith_error error = {.status = PITH_OK};
        failing.fail_at = failing.n_calls + ++fail_at;
        status = pith_generation_new(&g, session, m.prompt, m.n_prompt, &m.params, &error);
        failing.fail_at = 0;
        CHECK((status == PITH_OK) == (g != NULL), "at %zu", fail_at);
        CHECK(status == PITH_OK || (status == PITH_ERROR_MEMORY && error.status == status),
              "at %zu: status %d", fail_at, (int)status);
        pith_generation_free(g);
        CHECK(failing.n_live == live, "at %zu: blocks leaked", fail_at);
    } while (status != PITH_OK);
    CHECK(fail_at > 3, "%zu allocations", fail_at - 1);
    pith_session_free(session);
    pith_model_free(model);
}
