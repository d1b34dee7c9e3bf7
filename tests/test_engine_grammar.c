/* Generations that keep to a grammar: what they write, where they end, what they cost. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture.h"
#include "tests/grammar_data.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, BYTE = 3, EOS = 2 }; /* the token of byte b is BYTE + b */

static pith_model *open_with(const test_model *description, const pith_allocator *allocator) {
    const char *path = test_path("grammar.pith");
    test_write_model(path, description);
    const pith_model_options options = {.n_threads = 1, .allocator = allocator};
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

static pith_model *open_model(const pith_allocator *allocator) {
    test_model description;
    test_model_default(&description, PITH_TYPE_INT8);
    return open_with(&description, allocator);
}

static pith_grammar *grammar_of(const pith_model *model, const char *schema) {
    pith_grammar *grammar = NULL;
    pith_error error = {.message = ""};
    CHECK(pith_grammar_new(&grammar, model, pith_text_of(schema), &error) == PITH_OK, "%s",
          error.message);
    return grammar;
}

static pith_session *session_of(const pith_model *model) {
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    return session;
}

static const int32_t prompt[4] = {1, 280, 290, 270};

/* ---- Texts ----------------------------------------------------------------------------------- */

typedef struct written {
    char text[2048];
    size_t n;
    pith_usage usage;
} written;

static bool keep(void *user, pith_text text) {
    written *w = user;
    if (text.n_bytes > 0) {
        memcpy(w->text + w->n, text.data, text.n_bytes);
        w->n += text.n_bytes;
    }
    return true;
}

static written write_text(const pith_model *model, const int32_t *tokens, size_t n,
                          const pith_generate_params *params) {
    written w = {.n = 0};
    pith_error error;
    pith_session *session = session_of(model);
    pith_status status = pith_generate(session, tokens, n, params, keep, &w, &w.usage, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_session_free(session);
    return w;
}

static const char *const schemas[] = {
    "{\"type\": \"object\"}",
    "{}",
    "{\"type\": \"integer\", \"minimum\": -20, \"maximum\": 300}",
    "{\"properties\": {\"a\": {\"type\": \"string\", \"maxLength\": 6}, \"b\": {\"items\": "
    "{\"enum\": [1, 12, \"x\", null]}, \"maxItems\": 3}}, \"required\": [\"a\", \"b\"]}",
    "{\"anyOf\": [{\"type\": \"boolean\"}, {\"type\": \"number\"}, {\"type\": \"string\", "
    "\"minLength\": 2, \"maxLength\": 3}]}",
};

TEST(engine_grammar, texts_keep_to_the_schema) {
    pith_model *model = open_model(NULL);
    size_t n_finishes[PITH_FINISH_COMPLETE + 1] = {0};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        const char *schema = schemas[i];
        pith_rules *rules = test_rules(schema);
        pith_grammar *grammar = grammar_of(model, schema);
        for (uint64_t seed = 0; seed < 40; seed++) {
            const pith_generate_params params = {
                .sampling = {.temperature = 0.5F * (float)(seed % 4), .seed = seed},
                .max_tokens = seed % 8 == 0 ? 5 : 0,
                .speculate = seed % 2 == 0 ? 0 : 7,
                .grammar = grammar,
            };
            written w = write_text(model, prompt, 4, &params);
            test_verdict verdict = test_judge(rules, w.text, w.n);
            n_finishes[w.usage.finish]++;
            test_verdict least = w.usage.finish == PITH_FINISH_COMPLETE ? TEST_OVER
                                 : w.usage.finish == PITH_FINISH_EOS    ? TEST_WHOLE
                                                                        : TEST_UNFINISHED;
            CHECK(verdict >= least, "%s, seed %zu: verdict %d, finish %d on %.*s", schema,
                  (size_t)seed, (int)verdict, (int)w.usage.finish, (int)w.n, w.text);
        }
        pith_grammar_free(grammar);
        pith_rules_free(rules);
    }
    CHECK(n_finishes[PITH_FINISH_COMPLETE] > 20 && n_finishes[PITH_FINISH_EOS] > 3 &&
              n_finishes[PITH_FINISH_LENGTH] > 3,
          "%zu complete, %zu by end token, %zu by length", n_finishes[PITH_FINISH_COMPLETE],
          n_finishes[PITH_FINISH_EOS], n_finishes[PITH_FINISH_LENGTH]);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* Speculation, and stepping, change nothing. */
TEST(engine_grammar, every_way_to_generate_gives_the_same) {
    pith_model *model = open_model(NULL);
    pith_grammar *grammar = grammar_of(model, schemas[3]);
    for (uint64_t seed = 0; seed < 10; seed++) {
        pith_generate_params params = {.sampling = {.temperature = 1, .seed = seed},
                                       .grammar = grammar};
        written plain = write_text(model, prompt, 4, &params);
        params.speculate = 9;
        written drafted = write_text(model, prompt, 4, &params);
        CHECK(plain.n == drafted.n && memcmp(plain.text, drafted.text, plain.n) == 0, "%.*s",
              (int)drafted.n, drafted.text);
        CHECK(plain.usage.finish == drafted.usage.finish, "seed %zu", (size_t)seed);
    }
    pith_grammar_free(grammar);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* By hand: mask, sample, accept. */
TEST(engine_grammar, a_matcher_by_hand_gives_the_same) {
    pith_model *model = open_model(NULL);
    pith_grammar *grammar = grammar_of(model, schemas[3]);
    const pith_generate_params params = {.sampling = {.temperature = 1, .seed = 5},
                                         .grammar = grammar};
    written w = write_text(model, prompt, 4, &params);
    pith_session *session = session_of(model);
    pith_grammar_matcher *matcher = NULL;
    pith_sampler *sampler = NULL;
    pith_decoder *decoder = NULL;
    pith_error error;
    CHECK(pith_grammar_matcher_new(&matcher, grammar, &error) == PITH_OK &&
              pith_sampler_new(&sampler, model, &params.sampling, &error) == PITH_OK &&
              pith_decoder_new(&decoder, model, &error) == PITH_OK,
          "%s", error.message);
    CHECK(pith_session_eval(session, prompt, 4, &error) == PITH_OK, "%s", error.message);
    char text[2048];
    size_t n = 0;
    while (!pith_grammar_matcher_is_over(matcher)) {
        float logits[VOCAB];
        int32_t token;
        pith_text piece;
        memcpy(logits, pith_session_logits(session), sizeof logits);
        pith_grammar_matcher_mask(matcher, logits);
        CHECK(isinf(logits[EOS]) != pith_grammar_matcher_may_end(matcher), "the end token");
        CHECK(pith_sample(sampler, logits, &token, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_grammar_matcher_accept(matcher, token, &error) == PITH_OK &&
                  pith_decoder_push(decoder, token, &piece, &error) == PITH_OK &&
                  pith_session_eval(session, &token, 1, &error) == PITH_OK,
              "%s", error.message);
        memcpy(text + n, piece.data, piece.n_bytes);
        n += piece.n_bytes;
    }
    CHECK(n == w.n && memcmp(text, w.text, n) == 0, "%.*s, not %.*s", (int)n, text, (int)w.n,
          w.text);
    CHECK(pith_grammar_matcher_may_end(matcher), "over and may not end");
    pith_grammar_matcher_begin(matcher);
    CHECK(!pith_grammar_matcher_is_over(matcher) && !pith_grammar_matcher_may_end(matcher),
          "the beginning");
    CHECK(pith_grammar_matcher_accept(matcher, BYTE + 'x', &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "does not go on with token 123") != NULL,
          "%s", error.message);
    CHECK(pith_grammar_matcher_accept(matcher, VOCAB, &error) == PITH_ERROR_TOKEN &&
              pith_grammar_matcher_accept(matcher, -1, &error) == PITH_ERROR_TOKEN &&
              pith_grammar_matcher_accept(matcher, EOS, &error) == PITH_ERROR_ARGUMENT &&
              pith_grammar_matcher_accept(matcher, BYTE + '{', &error) == PITH_OK,
          "%s", error.message);
    pith_decoder_free(decoder);
    pith_sampler_free(sampler);
    pith_grammar_matcher_free(matcher);
    pith_session_free(session);
    pith_grammar_free(grammar);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Ends ------------------------------------------------------------------------------------ */

/* A text ends with an end token only where it may, whichever that is, and without one where nothing
 * may follow. */
TEST(engine_grammar, ends_are_where_the_value_is_whole) {
    pith_model *model = open_model(NULL);
    pith_grammar *grammar = grammar_of(model, "{\"enum\": [1, 12]}");
    const int32_t quote = BYTE + '"';
    /* The end tokens, and "1" and "2", are what the model would choose. */
    const pith_logit_bias bias[] = {{EOS, 500}, {quote, 400}, {BYTE + '1', 300}, {BYTE + '2', 200}};
    static const struct {
        bool ignore_eos;
        size_t n_eos;
        const char *text;
        pith_finish finish;
    } rows[] = {{false, 0, "1", PITH_FINISH_EOS},
                {true, 0, "12", PITH_FINISH_COMPLETE},
                {true, 1, "1", PITH_FINISH_EOS},
                {false, 1, "1", PITH_FINISH_EOS}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const pith_generate_params params = {.ignore_eos = rows[i].ignore_eos,
                                             .eos = &quote,
                                             .n_eos = rows[i].n_eos,
                                             .bias = bias,
                                             .n_bias = 4,
                                             .max_tokens = 2,
                                             .grammar = grammar};
        written w = write_text(model, prompt, 4, &params);
        CHECK(w.n == strlen(rows[i].text) && memcmp(w.text, rows[i].text, w.n) == 0 &&
                  w.usage.finish == rows[i].finish && w.usage.generated_tokens == w.n,
              "row %zu: %.*s, finish %d", i, (int)w.n, w.text, (int)w.usage.finish);
    }
    pith_grammar_free(grammar);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* Bytes that the prompt leaves unfinished are no part of the text. */
TEST(engine_grammar, a_prompt_that_ends_within_a_character) {
    pith_model *model = open_model(NULL);
    pith_grammar *grammar = grammar_of(model, "{\"const\": 7}");
    const pith_generate_params params = {.grammar = grammar};
    const int32_t tokens[] = {1, BYTE + 0xE4};
    written w = write_text(model, tokens, 2, &params);
    CHECK(w.n == 1 && w.text[0] == '7' && w.usage.finish == PITH_FINISH_COMPLETE, "%.*s", (int)w.n,
          w.text);
    pith_grammar_free(grammar);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void prefer_x(void *user, float *logits) {
    (void)user;
    logits[BYTE + 'x'] = 1000;
}

TEST(engine_grammar, a_mask_that_leads_out_of_the_grammar_is_an_error) {
    pith_model *model = open_model(NULL);
    pith_grammar *grammar = grammar_of(model, "{}");
    pith_session *session = session_of(model);
    const pith_generate_params params = {.grammar = grammar, .mask = prefer_x};
    pith_error error;
    CHECK(pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error) ==
                  PITH_ERROR_ARGUMENT &&
              strstr(error.message, "does not go on with token 123") != NULL,
          "%s", error.message);
    pith_session_free(session);
    pith_grammar_free(grammar);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_grammar, what_cannot_have_one) {
    test_model plain;
    test_model_default(&plain, PITH_TYPE_INT8);
    plain.tokenizer = false;
    pith_model *model = open_model(NULL);
    pith_model *other = open_model(NULL);
    pith_model *mute = open_with(&plain, NULL);
    pith_grammar *grammar = grammar_of(other, "{}");
    pith_grammar *none = NULL;
    pith_session *session = session_of(model);
    const pith_generate_params params = {.grammar = grammar};
    pith_error error;
    CHECK(pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error) ==
                  PITH_ERROR_ARGUMENT &&
              strstr(error.message, "made for another model") != NULL,
          "%s", error.message);
    CHECK(pith_grammar_new(&none, mute, pith_text_of("{}"), &error) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "no tokenizer") != NULL,
          "%s", error.message);
    CHECK(pith_grammar_new(&none, model, pith_text_of("{\"not\": {}}"), &error) ==
                  PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "#: \"not\" is not supported") != NULL,
          "%s", error.message);
    CHECK(pith_grammar_new(NULL, model, pith_text_of("{}"), NULL) == PITH_ERROR_ARGUMENT &&
              pith_grammar_new(&none, NULL, pith_text_of("{}"), NULL) == PITH_ERROR_ARGUMENT &&
              pith_grammar_new(&none, model, (pith_text){NULL, 3}, NULL) == PITH_ERROR_ARGUMENT &&
              pith_grammar_matcher_new(NULL, grammar, NULL) == PITH_ERROR_ARGUMENT &&
              pith_grammar_matcher_accept(NULL, 1, NULL) == PITH_ERROR_ARGUMENT && none == NULL,
          "null arguments");
    pith_session_free(session);
    pith_grammar_free(grammar);
    pith_grammar_free(NULL);
    pith_grammar_matcher_free(NULL);
    pith_model_free(mute);
    pith_model_free(other);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Steps take no memory but for blocks of the cache, which begin at 16 and 32. */
TEST(engine_grammar, steps_allocate_nothing) {
    test_allocator memory;
    test_allocator_init(&memory);
    pith_model *model = open_model(&memory.allocator);
    pith_grammar *grammar =
        grammar_of(model, "{\"items\": {\"type\": \"string\"}, \"minItems\": 9}");
    pith_session *session = session_of(model);
    pith_generation *generation = NULL;
    pith_error error;
    const pith_generate_params params = {.sampling = {.temperature = 1.5F}, .grammar = grammar};
    CHECK(pith_generation_new(&generation, session, prompt, 4, &params, &error) == PITH_OK, "%s",
          error.message);
    pith_grammar_free(grammar); /* the generation has its own reference */
    size_t n_calls = 0;
    while (pith_session_length(session) < 31) {
        const int32_t *tokens;
        size_t n;
        pith_step step;
        CHECK(pith_generation_next(generation, 0, &tokens, &n, &error) == PITH_OK &&
                  pith_session_eval(session, tokens, n, &error) == PITH_OK &&
                  pith_generation_step(generation, &step, &error) == PITH_OK,
              "%s", error.message);
        if (pith_session_length(session) == 17) {
            n_calls = memory.n_calls;
        }
    }
    CHECK(memory.n_calls == n_calls, "%zu allocations in 14 steps",
          (size_t)memory.n_calls - n_calls);
    pith_generation_free(generation);
    pith_session_free(session);
    pith_model_free(model);
    CHECK(memory.n_live == 0, "%zu blocks are left", (size_t)memory.n_live);
}

TEST(engine_grammar, every_failed_allocation) {
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator memory;
        test_allocator_init(&memory);
        pith_model *model = open_model(&memory.allocator);
        pith_session *session = session_of(model);
        pith_grammar *grammar = NULL;
        pith_generation *generation = NULL;
        pith_generate_params params = {.max_tokens = 3};
        pith_error error = {.message = ""};
        size_t n_before = memory.n_calls;
        memory.fail_at = n_before + fail_at;
        pith_status status = pith_grammar_new(&grammar, model, pith_text_of("{}"), &error);
        if (status == PITH_OK) {
            params.grammar = grammar;
            status = pith_generation_new(&generation, session, prompt, 4, &params, &error);
        }
        bool failed = memory.n_calls >= memory.fail_at;
        CHECK(status == (failed ? PITH_ERROR_MEMORY : PITH_OK), "allocation %zu: status %d (%s)",
              fail_at, (int)status, error.message);
        pith_generation_free(generation);
        pith_grammar_free(grammar);
        pith_session_free(session);
        pith_model_free(model);
        CHECK(memory.n_live == 0, "allocation %zu: %zu blocks are left", fail_at,
              (size_t)memory.n_live);
        if (!failed) {
            CHECK(fail_at > 30, "only %zu allocations", fail_at);
            return;
        }
    }
}

/* ---- Threads --------------------------------------------------------------------------------- */

typedef struct worker {
    pthread_t thread;
    const pith_model *model;
    pith_grammar *shared;
    written texts[2];
    bool good;
} worker;

/* Two texts: under a grammar of the thread's own, and the shared one. */
static void *work(void *user) {
    worker *w = user;
    pith_grammar *own = NULL;
    pith_session *session = NULL;
    w->good = pith_session_new(&session, w->model, NULL, NULL) == PITH_OK &&
              pith_grammar_new(&own, w->model, pith_text_of(schemas[3]), NULL) == PITH_OK;
    for (size_t i = 0; w->good && i < 2; i++) {
        const pith_generate_params params = {.grammar =
                                                 i == 0 || w->shared == NULL ? own : w->shared};
        written *text = &w->texts[i];
        w->good =
            pith_session_rewind(session, 0, NULL) == PITH_OK &&
            pith_generate(session, prompt, 4, &params, keep, text, &text->usage, NULL) == PITH_OK;
    }
    pith_grammar_free(own);
    pith_session_free(session);
    return NULL;
}

/* The first grammars of a model at once, and then one grammar for all. */
TEST(engine_grammar, threads_share_models_and_grammars) {
    pith_model *model = open_model(NULL);
    worker workers[4];
    pith_grammar *shared = NULL;
    for (size_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 4; i++) {
            workers[i] = (worker){.model = model, .shared = shared};
            pthread_create(&workers[i].thread, NULL, work, &workers[i]);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(workers[i].thread, NULL);
        }
        const written *first = &workers[0].texts[0];
        for (size_t i = 0; i < 8; i++) {
            const written *w = &workers[i / 2].texts[i % 2];
            CHECK(workers[i / 2].good && w->n > 10 && w->n == first->n &&
                      memcmp(w->text, first->text, w->n) == 0,
                  "round %zu, thread %zu: %.*s", round, i / 2, (int)w->n, w->text);
        }
        shared = round == 0 ? grammar_of(model, schemas[3]) : shared;
    }
    pith_grammar_free(shared);
    pith_model_free(model);
}
