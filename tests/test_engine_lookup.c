/* Guessing ahead, by look-up and by a draft model: guesses, the gates, and above all that nothing
 * but speed changes. */
#include <math.h>
#include <string.h>

#include "engine/draft.h"
#include "engine/lookup.h"
#include "engine/session.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, MAX_CALLS = 256 };

static pith_model *open_model(pith_type type, uint64_t seed, const pith_model_options *options) {
    const char *path = test_path("lookup.pith");
    test_write_tiny_model(path, type, seed);
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

TEST(engine_lookup, guesses_what_followed_the_longest_latest_match) {
    static const struct {
        int32_t tokens[10];
        size_t n;
        int32_t draft[4];
        size_t n_draft;
    } cases[] = {
        {{1, 2, 3, 4}, 4, {0}, 0},
        {{1}, 1, {0}, 0},
        {{7, 7}, 2, {7, 7, 7, 7}, 4},                              /* goes on with itself */
        {{1, 2, 1, 2}, 4, {1, 2, 1, 2}, 4},                        /* two tokens match */
        {{5, 9, 6, 9, 8, 9}, 6, {8, 9, 8, 9}, 4},                  /* the latest of equals */
        {{1, 2, 3, 40, 9, 3, 50, 1, 2, 3}, 10, {40, 9, 3, 50}, 4}, /* three beat a later one */
        {{2, 3, 40, 9, 3, 50, 1, 2, 3}, 9, {40, 9, 3, 50}, 4}, /* so do two, at the very front */
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        int32_t draft[5] = {-7, -7, -7, -7, -7};
        size_t n = pith_lookup(cases[c].tokens, cases[c].n, 1, draft, 4);
        CHECK(n == cases[c].n_draft, "case %zu: %zu tokens, expected %zu", c, n, cases[c].n_draft);
        CHECK(memcmp(draft, cases[c].draft, n * sizeof *draft) == 0 && draft[4] == -7,
              "case %zu: %d %d %d %d", c, (int)draft[0], (int)draft[1], (int)draft[2],
              (int)draft[3]);
    }
}

TEST(engine_lookup, the_gate_closes_while_guesses_fail) {
    pith_lookup_gate gate = {.most = 12};
    CHECK(pith_lookup_gate_next(&gate) == 12, "the first draft is not a whole one");
    static const size_t pauses[] = {2, 4, 8, 16, 32, 64, 64};
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        pith_lookup_gate_tell(&gate, 3, 0);
        size_t pause = 0;
        size_t next;
        while ((next = pith_lookup_gate_next(&gate)) == 0 && pause < 100) {
            pause++;
        }
        CHECK(pause == pauses[i], "miss %zu: a pause of %zu, expected %zu", i, pause, pauses[i]);
        CHECK(next == 1, "miss %zu: then %zu tokens", i, next);
    }
    static const struct {
        size_t n, accepted, next;
    } steps[] = {{1, 1, 2}, {2, 2, 4}, {4, 4, 8}, {8, 8, 12}, {12, 5, 6}, {6, 1, 2}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        pith_lookup_gate_tell(&gate, steps[i].n, steps[i].accepted);
        size_t next = pith_lookup_gate_next(&gate);
        CHECK(next == steps[i].next, "step %zu: %zu tokens, expected %zu", i, next, steps[i].next);
    }
}

/* All that a caller can see of a generation. */
typedef struct outcome {
    const pith_session *session;
    char text[4096];
    size_t n_text;
    size_t lengths[MAX_CALLS]; /* of the timeline, at each call */
    size_t n_calls, stop_after;
    pith_usage usage;
    int32_t tokens[256];
    size_t n_tokens;
    float logits[VOCAB];
} outcome;

static bool collect(void *user, pith_text text) {
    outcome *o = user;
    CHECK(o->n_text + text.n_bytes < sizeof o->text && o->n_calls < MAX_CALLS, "too much text");
    if (text.n_bytes != 0) {
        memcpy(o->text + o->n_text, text.data, text.n_bytes);
    }
    o->n_text += text.n_bytes;
    o->lengths[o->n_calls++] = pith_session_length(o->session);
    return o->n_calls != o->stop_after;
}

static outcome generate(const pith_model *model, const pith_session_options *options,
                        const int32_t *prompt, size_t n_prompt, pith_generate_params params,
                        size_t stop_after) {
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_new(&session, model, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    outcome o = {.session = session, .stop_after = stop_after};
    status = pith_generate(session, prompt, n_prompt, &params, collect, &o, &o.usage, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    o.n_tokens = pith_session_length(session);
    memcpy(o.tokens, pith_session_tokens(session), o.n_tokens * sizeof *o.tokens);
    memcpy(o.logits, pith_session_logits(session), sizeof o.logits);
    pith_session_free(session);
    return o;
}

static void check_same(const outcome *a, const outcome *b, const char *what, uint64_t seed) {
    CHECK(a->n_text == b->n_text && memcmp(a->text, b->text, a->n_text) == 0,
          "%s, seed %llu: \"%s\", expected \"%s\"", what, (unsigned long long)seed, b->text,
          a->text);
    CHECK(a->usage.finish == b->usage.finish &&
              a->usage.generated_tokens == b->usage.generated_tokens &&
              a->usage.prompt_tokens == b->usage.prompt_tokens,
          "%s, seed %llu: finish %d after %zu tokens, expected %d after %zu", what,
          (unsigned long long)seed, (int)b->usage.finish, b->usage.generated_tokens,
          (int)a->usage.finish, a->usage.generated_tokens);
    CHECK(a->n_tokens == b->n_tokens && memcmp(a->tokens, b->tokens, a->n_tokens * 4) == 0,
          "%s, seed %llu: timelines of %zu and %zu differ", what, (unsigned long long)seed,
          b->n_tokens, a->n_tokens);
    CHECK(memcmp(a->logits, b->logits, sizeof a->logits) == 0, "%s, seed %llu: last logits", what,
          (unsigned long long)seed);
    CHECK(a->n_calls == b->n_calls && memcmp(a->lengths, b->lengths, sizeof a->lengths) == 0,
          "%s, seed %llu: the callback saw other timelines", what, (unsigned long long)seed);
}

/* A prompt that repeats itself, so that drafts come from the start. */
static void make_prompt(int32_t *prompt, size_t n, uint64_t seed) {
    size_t period = 2 + test_random(&seed) % 7;
    for (size_t i = 0; i < n; i++) {
        prompt[i] =
            i < period ? (int32_t)(3 + test_random(&seed) % (VOCAB - 3)) : prompt[i - period];
    }
}

static pith_generate_params params_of(uint64_t seed) {
    static const char *const stops[] = {"he", "zz"};
    static const float temperatures[] = {0.0F, 0.05F, 0.6F, 1.2F};
    return (pith_generate_params){
        .sampling = {.temperature = temperatures[seed % 4],
                     .top_k = seed % 3 == 0 ? 5 : 0,
                     .top_p = seed % 5 == 0 ? 0.9F : 0.0F,
                     .repeat_penalty = seed % 7 == 0 ? 1.1F : 0.0F,
                     .seed = seed},
        .max_tokens = seed % 2 == 0 ? 1 + seed * 3 % 90 : 0,
        .stops = stops,
        .n_stops = seed % 6 == 1 ? 2 : 0,
        .ignore_eos = seed % 4 != 3,
    };
}

TEST(engine_lookup, the_output_is_the_same_with_and_without) {
    static const pith_type types[] = {PITH_TYPE_F32, PITH_TYPE_F16, PITH_TYPE_BF16, PITH_TYPE_INT8,
                                      PITH_TYPE_INT4};
    static const size_t drafts[] = {1, 2, 5, 16};
    size_t drafted = 0;
    size_t accepted = 0;
    size_t n_finishes[5] = {0};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        pith_model *model = open_model(types[t], 1 + t, NULL); /* f32: with OpenBLAS */
        for (uint64_t seed = 0; seed < 24; seed++) {
            int32_t prompt[24];
            make_prompt(prompt, 24, seed);
            pith_session_options options = {.n_batch = seed % 8 == 5 ? seed % 3 + 1 : 0,
                                            .all_logits = seed % 9 == 4,
                                            .kv_type = seed % 2 == 0 ? PITH_KV_F32 : PITH_KV_F16};
            size_t stop_after = seed % 8 == 7 ? seed : 0;
            pith_generate_params params = params_of(seed);
            outcome plain = generate(model, &options, prompt, 24, params, stop_after);
            CHECK(plain.usage.drafted_tokens == 0, "drafts unasked");
            n_finishes[plain.usage.finish]++;
            params.speculate = drafts[(seed + t) % 4];
            outcome ahead = generate(model, &options, prompt, 24, params, stop_after);
            check_same(&plain, &ahead, pith_type_name(types[t]), seed);
            CHECK(ahead.usage.accepted_tokens <= ahead.usage.drafted_tokens &&
                      ahead.usage.accepted_tokens <= ahead.usage.generated_tokens,
                  "seed %llu: %zu of %zu", (unsigned long long)seed, ahead.usage.accepted_tokens,
                  ahead.usage.drafted_tokens);
            drafted += ahead.usage.drafted_tokens;
            accepted += ahead.usage.accepted_tokens;
        }
        pith_model_free(model);
    }
    CHECK(accepted > 50 && drafted > accepted, "%zu of %zu accepted: not much of a test", accepted,
          drafted);
    for (size_t i = 0; i < 5; i++) {
        CHECK(n_finishes[i] != 0 || i == PITH_FINISH_EOS, "no text finished by %zu", i);
    }
    CHECK_NO_LEAKS();
}

/* An end token within a draft that is right: the text ends there, and the timeline before it. */
TEST(engine_lookup, an_end_token_in_a_draft_ends_the_text) {
    pith_model *model = open_model(PITH_TYPE_INT8, 4, NULL);
    int32_t prompt[24];
    size_t n_inside = 0;
    for (uint64_t seed = 0; seed < 12; seed++) {
        make_prompt(prompt, 24, seed);
        pith_generate_params params = {.max_tokens = 60, .ignore_eos = true};
        outcome whole = generate(model, NULL, prompt, 24, params, 0);
        params.ignore_eos = false;
        for (size_t at = 25; at < whole.n_tokens; at += 7) {
            model->eos[0] = whole.tokens[at];
            model->n_eos = 1;
            params.speculate = 0;
            outcome plain = generate(model, NULL, prompt, 24, params, 0);
            params.speculate = 16;
            outcome ahead = generate(model, NULL, prompt, 24, params, 0);
            check_same(&plain, &ahead, "eos", seed);
            CHECK(plain.usage.finish == PITH_FINISH_EOS, "finish %d", (int)plain.usage.finish);
            n_inside += ahead.usage.accepted_tokens != 0;
        }
    }
    CHECK(n_inside != 0, "no draft was ever right");
    pith_model_free(model);
}

TEST(engine_lookup, repetitive_text_is_drafted_right) {
    pith_model *model = open_model(PITH_TYPE_INT8, 4, NULL);
    int32_t prompt[8];
    make_prompt(prompt, 8, 1);
    /* Greedy text of a tiny model soon runs in circles. */
    pith_generate_params params = {.speculate = 8, .ignore_eos = true};
    outcome o = generate(model, NULL, prompt, 8, params, 0);
    CHECK(o.usage.accepted_tokens > 0, "%zu of %zu", o.usage.accepted_tokens,
          o.usage.drafted_tokens);
    params.speculate = PITH_MAX_DRAFT + 1;
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    pith_status status = pith_generate(session, prompt, 8, &params, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error.message, "17") != NULL, "%s",
          error.message);
    pith_session_free(session);
    pith_model_free(model);
}

/* The passes of a generation after a prompt of 24. */
typedef struct passes {
    const pith_session *session;
    size_t max_tokens, most, n;
} passes;

static void watch(void *user, const char *name, const float *data, size_t n_rows, size_t n_cols) {
    passes *p = user;
    (void)data;
    (void)n_cols;
    size_t length = pith_session_length(p->session);
    if (strcmp(name, "model.embed_tokens") != 0 || length < 24) {
        return;
    }
    size_t n_generated = length - 24 + 1;
    CHECK(n_generated + n_rows <= p->max_tokens, "%zu rows after %zu of %zu tokens", n_rows,
          n_generated, p->max_tokens);
    p->most = n_rows > p->most ? n_rows : p->most;
    p->n++;
}

/* Nothing is evaluated beyond what can be generated from. */
TEST(engine_lookup, passes_are_no_larger_than_useful) {
    const pith_model_options options = {.blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_F32, 4, &options);
    for (size_t max_tokens = 2; max_tokens < 60; max_tokens += 3) {
        int32_t prompt[24];
        make_prompt(prompt, 24, max_tokens);
        passes p = {.max_tokens = max_tokens};
        pith_session *session = NULL;
        pith_error error;
        CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
        p.session = session;
        pith_session_observe(session, watch, &p);
        pith_generate_params params = {.max_tokens = max_tokens,
                                       .speculate = 16,
                                       .ignore_eos = true};
        pith_usage usage;
        pith_status status =
            pith_generate(session, prompt, 24, &params, NULL, NULL, &usage, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(p.n == max_tokens - 1 - usage.accepted_tokens, "%zu passes, %zu accepted", p.n,
              usage.accepted_tokens);
        CHECK(p.most <= 17 && (max_tokens < 20 || p.most >= 8), "a pass of %zu rows for %zu tokens",
              p.most, max_tokens);
        pith_session_free(session);
    }
    pith_model_free(model);
}

/* But for the cache and the list of tokens, where the timeline enters a new block of positions. */
TEST(engine_lookup, allocations_do_not_grow_with_tokens) {
    enum { BLOCKS = 2 }; /* 32 and 64, from 24 to 24 + 90 tokens */
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT4, 4, &options);
    int32_t prompt[24];
    make_prompt(prompt, 24, 1);
    size_t calls[3]; /* the first makes the model's work buffers */
    for (size_t i = 0; i < 3; i++) {
        pith_generate_params params = {.max_tokens = i < 2 ? 2 : 90,
                                       .speculate = 6,
                                       .ignore_eos = true};
        size_t before = counting.n_calls;
        generate(model, NULL, prompt, 24, params, 0);
        calls[i] = counting.n_calls - before;
    }
    CHECK(calls[2] == calls[1] + 2 * BLOCKS, "%zu allocations for 2 tokens, %zu for 90", calls[1],
          calls[2]);
    CHECK(calls[0] == calls[1] + 1, "%zu and %zu allocations", calls[0], calls[1]);
    /* Each of them failing. */
    size_t live = counting.n_live;
    for (size_t k = 1; k <= calls[1]; k++) {
        pith_session *session = NULL;
        counting.fail_at = counting.n_calls + k;
        pith_generate_params params = {.max_tokens = 2, .speculate = 6};
        pith_status status = pith_session_new(&session, model, NULL, NULL);
        if (status == PITH_OK) {
            status = pith_generate(session, prompt, 24, &params, NULL, NULL, NULL, NULL);
        }
        CHECK(status == PITH_ERROR_MEMORY, "allocation %zu: status %d", k, (int)status);
        counting.fail_at = 0;
        pith_session_free(session);
        CHECK(counting.n_live == live, "allocation %zu: blocks leaked", k);
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* Evaluates tokens [n] of which all but the first are ahead; *n_good rows of ahead are good. */
static pith_status eval_ahead(pith_session *session, const int32_t *tokens, size_t n, float *logits,
                              size_t *n_good, pith_error *error) {
    pith_ahead ahead = {.tokens = tokens, .n = n, .n_ahead = n - 1, .logits = logits};
    pith_session_look_ahead(session, &ahead);
    pith_status status = pith_session_eval(session, tokens, n, error);
    CHECK((session->ahead == NULL) == (status == PITH_OK), "after status %d", (int)status);
    pith_session_look_ahead(session, NULL);
    *n_good = ahead.n_good;
    return status;
}

/* A draft with a token that breaks the network: what comes before it counts, and the error comes
 * when the token itself does. */
TEST(engine_lookup, a_draft_that_breaks_the_network_is_cut) {
    pith_model_options options = {.blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_F32, 1, &options);
    float *embed = (float *)(uintptr_t)model->network.embed.data;
    embed[77 * model->network.embed.cols] = NAN;
    pith_session *session = NULL;
    pith_session *plain = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_new(&plain, model, NULL, &error) == PITH_OK, "%s", error.message);
    const int32_t tokens[5] = {5, 6, 77, 8, 9};
    static float ahead[4 * 304];
    for (size_t i = 0; i < 2; i++) {
        size_t n = 99; /* first two good tokens, the second taken over, then one before the bad */
        pith_status status = eval_ahead(session, tokens, i == 0 ? 2 : 5, ahead, &n, &error);
        CHECK(status == PITH_OK && n == 1 - i, "pass %zu: status %d, %zu rows", i, (int)status, n);
        if (i == 0) {
            pith_session_follow(session, tokens[1], ahead);
            CHECK(pith_session_eval(plain, tokens, 1, &error) == PITH_OK, "%s", error.message);
        }
        CHECK(pith_session_eval(plain, &tokens[1 - i], 1, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_session_length(session) == 2 + i, "length %zu", pith_session_length(session));
        CHECK(memcmp(session->tokens, plain->tokens, (2 + i) * sizeof *tokens) == 0, "tokens");
        CHECK(memcmp(pith_session_logits(session), pith_session_logits(plain),
                     VOCAB * sizeof(float)) == 0,
              "logits after pass %zu differ", i);
    }
    size_t n = 99;
    pith_status status = eval_ahead(session, tokens + 2, 3, ahead, &n, &error);
    CHECK(status == PITH_ERROR_NUMERIC && pith_session_length(session) == 3, "status %d",
          (int)status);
    const int32_t outside[2] = {5, VOCAB};
    status = eval_ahead(session, outside, 2, ahead, &n, &error);
    CHECK(status == PITH_ERROR_TOKEN && pith_session_length(session) == 3, "status %d",
          (int)status);
    /* The rejected rows leave no trace. */
    CHECK(pith_session_eval(session, tokens + 3, 2, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_eval(plain, tokens + 3, 2, &error) == PITH_OK, "%s", error.message);
    CHECK(memcmp(pith_session_logits(session), pith_session_logits(plain), VOCAB * sizeof(float)) ==
              0,
          "logits after a rejected draft differ");
    pith_session_free(session);
    pith_session_free(plain);
    pith_model_free(model);
}

/* How the prompt came into the timeline, at once or in two parts, does not matter to the text. */
TEST(engine_lookup, generation_goes_on_alike_after_a_reused_beginning) {
    pith_model *model = open_model(PITH_TYPE_INT8, 3, NULL);
    for (size_t cut = 1; cut < 24; cut += 2) {
        int32_t prompt[24];
        make_prompt(prompt, 24, cut);
        prompt[0] = 1;
        pith_generate_params params = {.sampling = {.temperature = 1.0F,
                                                    .repeat_penalty = 1.3F,
                                                    .seed = cut},
                                       .max_tokens = 30,
                                       .ignore_eos = true,
                                       .speculate = cut % 4};
        outcome whole = generate(model, NULL, prompt, 24, params, 0);
        pith_session *session = NULL;
        pith_error error;
        CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_session_eval(session, prompt, cut, &error) == PITH_OK, "%s", error.message);
        outcome parts = {.session = session};
        pith_status status = pith_generate(session, prompt + cut, 24 - cut, &params, collect,
                                           &parts, &parts.usage, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(whole.n_text == parts.n_text && memcmp(whole.text, parts.text, whole.n_text) == 0,
              "cut at %zu: \"%s\", expected \"%s\"", cut, parts.text, whole.text);
        pith_session_free(session);
    }
    pith_model_free(model);
}

/* ---- A draft model --------------------------------------------------------------------------- */

static pith_session *open_session(const pith_model *model, size_t n_context) {
    pith_session *session = NULL;
    pith_error error;
    const pith_session_options options = {.n_context = n_context};
    pith_status status = pith_session_new(&session, model, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return session;
}

/* Drafts by the model's own int4 form, by another model, and by one whose context is shorter than
 * the text; each session goes on from what the last generation left in it. */
TEST(engine_lookup, the_output_is_the_same_with_a_draft_model) {
    pith_model *model = open_model(PITH_TYPE_INT8, 4, NULL);
    pith_model *own = open_model(PITH_TYPE_INT4, 4, NULL);
    pith_model *other = open_model(PITH_TYPE_F16, 9, NULL);
    pith_session *sessions[] = {open_session(own, 0), open_session(other, 0),
                                open_session(own, 40)};
    size_t accepted[3] = {0};
    size_t drafted[3] = {0};
    for (uint64_t seed = 0; seed < 48; seed++) {
        int32_t prompt[24];
        make_prompt(prompt, 24, seed);
        if (seed % 3 != 0) { /* nothing to look up */
            for (size_t i = 0; i < 24; i++) {
                prompt[i] = (int32_t)(3 + (seed * 7 + i * 11) % (VOCAB - 3));
            }
        }
        pith_generate_params params = params_of(seed);
        outcome plain = generate(model, NULL, prompt, 24, params, 0);
        params.draft = sessions[seed % 3];
        params.speculate = seed % 4 == 0 ? 3 : 0;
        outcome ahead = generate(model, NULL, prompt, 24, params, 0);
        check_same(&plain, &ahead, "draft", seed);
        accepted[seed % 3] += ahead.usage.accepted_tokens;
        drafted[seed % 3] += ahead.usage.drafted_tokens;
    }
    CHECK(accepted[0] > 0 && drafted[1] > 0, "drafts of %zu, %zu and %zu tokens, %zu accepted",
          drafted[0], drafted[1], drafted[2], accepted[0]);
    for (size_t i = 0; i < 3; i++) {
        pith_session_free(sessions[i]);
    }
    pith_model_free(model);
    pith_model_free(own);
    pith_model_free(other);
    CHECK_NO_LEAKS();
}

TEST(engine_lookup, a_draft_model_that_does_not_pay_is_left_out) {
    pith_draft draft;
    pith_error error;
    int32_t tokens[300];
    int32_t out[PITH_MAX_DRAFT];
    pith_model *model = open_model(PITH_TYPE_INT8, 4, NULL);
    pith_session *session = open_session(model, 0);
    for (size_t i = 0; i < 300; i++) {
        tokens[i] = (int32_t)(3 + i * 7 % (VOCAB - 3));
    }
    CHECK(pith_draft_init(&draft, session, model, 8, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_draft_guess(&draft, tokens, 20, out, 8) == 0, "before a plain pass is known");
    /* Seconds of passes far above what this model takes: only what is told counts. */
    size_t n_drafts = 0;
    for (size_t n = 20; n < 120; n++) {
        size_t guessed = pith_draft_guess(&draft, tokens, n, out, 8);
        if (guessed > 0) {
            n_drafts++;
            pith_draft_tell(&draft, guessed, 0, 200); /* nothing right, and twice as long */
        } else {
            pith_draft_tell_plain(&draft, 100);
        }
    }
    CHECK(n_drafts >= 1 && n_drafts <= 3, "%zu drafts in 100 tokens, none of them right", n_drafts);
    CHECK(-draft.balance <= 0.03 * draft.total + 200, "%g s lost of %g", -draft.balance,
          draft.total);
    n_drafts = 0;
    CHECK(pith_draft_init(&draft, session, model, 8, &error) == PITH_OK, "%s", error.message);
    pith_draft_tell_plain(&draft, 100);
    for (size_t n = 20; n < 100; n += 2) {
        size_t guessed = pith_draft_guess(&draft, tokens, n, out, 8);
        n_drafts += guessed > 0;
        pith_draft_tell(&draft, guessed, guessed, 120);
    }
    CHECK(n_drafts == 40 && draft.length >= 8, "%zu drafts, the next of %zu tokens", n_drafts,
          draft.length);
    pith_session_free(session);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_lookup, a_draft_model_has_the_same_vocabulary) {
    test_model other;
    pith_error error;
    pith_model *drafting = NULL;
    const char *path = test_path("other.pith");
    pith_model *model = open_model(PITH_TYPE_INT8, 4, NULL);
    test_model_default(&other, PITH_TYPE_INT8);
    other.config.vocab_size += 16;
    other.tokenizer = false;
    test_write_model(path, &other);
    pith_status status = pith_model_open(&drafting, path, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_session *session = open_session(model, 0);
    pith_session *draft = open_session(drafting, 0);
    const pith_generate_params params = {.draft = draft};
    const int32_t prompt[] = {1, 5};
    status = pith_generate(session, prompt, 2, &params, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error.message, "vocabulary") != NULL, "%s",
          error.message);
    pith_session_free(draft);
    pith_session_free(session);
    pith_model_free(drafting);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
