/* Models and sessions: evaluation, identity however the work is cut, limits, errors, allocation. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "engine/session.h"
#include "tests/calls.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, CONTEXT = 128 };

static const pith_type all_types[] = {PITH_TYPE_F32, PITH_TYPE_F16, PITH_TYPE_BF16, PITH_TYPE_INT8,
                                      PITH_TYPE_INT4};

static pith_model *open_tiny(pith_type type, const pith_model_options *options) {
    const char *path = test_path("tiny.pith");
    test_write_tiny_model(path, type, 1);
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

static pith_session *new_session(const pith_model *model, const pith_session_options *options) {
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_new(&session, model, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return session;
}

static void make_tokens(int32_t *tokens, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
    }
}

static void check_same(const float *actual, const float *expected, const char *what) {
    for (size_t i = 0; i < VOCAB; i++) {
        CHECK(memcmp(&actual[i], &expected[i], sizeof *actual) == 0,
              "%s: logit %zu is %.9g, expected %.9g", what, i, (double)actual[i],
              (double)expected[i]);
    }
}

TEST(engine_session, token_by_token_equals_one_prefill) {
    int32_t tokens[100];
    make_tokens(tokens, 100, 5);
    for (size_t t = 0; t < sizeof all_types / sizeof *all_types; t++) {
        pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF};
        pith_model *model = open_tiny(all_types[t], &options);
        pith_session_options whole = {.all_logits = true};
        pith_session_options small = {.all_logits = true, .n_batch = 7};
        pith_session *a = new_session(model, &whole);
        pith_session *b = new_session(model, &small);
        pith_session *c = new_session(model, NULL);
        test_eval(a, tokens, 100);
        test_eval(b, tokens, 100);
        for (size_t i = 0; i < 100; i++) {
            test_eval(c, &tokens[i], 1);
            check_same(pith_session_logits_at(b, i), pith_session_logits_at(a, i), "chunks of 7");
            check_same(pith_session_logits(c), pith_session_logits_at(a, i), "one by one");
        }
        pith_session_free(a);
        pith_session_free(b);
        pith_session_free(c);
        pith_model_free(model);
    }
    CHECK_NO_LEAKS();
}

TEST(engine_session, a_batch_equals_separate_evals) {
    enum { SESSIONS = 5 };
    static const size_t lengths[SESSIONS] = {1, 40, 17, 3, 64};
    pith_model_options options = {.n_threads = 3, .blas = PITH_BLAS_OFF};
    pith_model *model = open_tiny(PITH_TYPE_INT4, &options);
    int32_t tokens[SESSIONS][64];
    pith_session *alone[SESSIONS];
    pith_session *together[SESSIONS];
    const int32_t *lists[SESSIONS];
    for (size_t i = 0; i < SESSIONS; i++) {
        make_tokens(tokens[i], 64, 100 + i);
        alone[i] = new_session(model, NULL);
        together[i] = new_session(model, NULL);
        test_eval(alone[i], tokens[i], lengths[i]);
        lists[i] = tokens[i];
    }
    pith_error error;
    pith_status status = pith_batch_eval(together, SESSIONS, lists, lengths, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    const size_t one[SESSIONS] = {1, 1, 1, 1, 1};
    for (size_t step = 0; step < 4; step++) {
        for (size_t i = 0; i < SESSIONS; i++) {
            check_same(pith_session_logits(together[i]), pith_session_logits(alone[i]), "batch");
            test_eval(alone[i], &tokens[i][step], 1);
            lists[i] = &tokens[i][step];
        }
        status = pith_batch_eval(together, SESSIONS, lists, one, &error);
        CHECK(status == PITH_OK, "%s", error.message);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        pith_session_free(alone[i]);
        pith_session_free(together[i]);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* A sliding window that is shorter than the text, over several attention chunks. */
TEST(engine_session, a_sliding_window_crosses_chunks_in_any_cut) {
    enum { N = 700 };
    test_model description;
    test_model_default(&description, PITH_TYPE_INT8);
    description.config.max_position_embeddings = 1024;
    description.config.kinds[0].sliding_window = 300;
    const char *path = test_path("window.pith");
    test_write_model(path, &description);
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    int32_t tokens[N];
    make_tokens(tokens, N, 9);
    pith_session *whole = new_session(model, NULL);
    pith_session *parts = new_session(model, NULL);
    test_eval(whole, tokens, N);
    test_eval(parts, tokens, 550);
    for (size_t i = 550; i < N; i++) {
        test_eval(parts, &tokens[i], 1);
    }
    check_same(pith_session_logits(parts), pith_session_logits(whole), "window");

    /* What lies before every window of the last two layers cannot matter. */
    int32_t other[N];
    memcpy(other, tokens, sizeof tokens);
    other[3] = (other[3] + 1) % VOCAB;
    status = pith_session_rewind(parts, 0, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    test_eval(parts, other, N);
    check_same(pith_session_logits(parts), pith_session_logits(whole), "outside the window");
    other[N - 600] = (other[N - 600] + 1) % VOCAB; /* two layers see 598 back */
    other[N - 10] = (other[N - 10] + 1) % VOCAB;
    status = pith_session_rewind(parts, 0, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    test_eval(parts, other, N);
    CHECK(memcmp(pith_session_logits(parts), pith_session_logits(whole), VOCAB * 4) != 0,
          "a token inside the window changed nothing");
    pith_session_free(whole);
    pith_session_free(parts);
    pith_model_free(model);
}

/* One thread takes all chunks of a head in one go, several threads cut them. */
TEST(engine_session, runs_of_chunks_equal_one_prefill) {
    enum { N = 1290, SINGLE = 4 };
    int32_t tokens[N];
    make_tokens(tokens, N, 10);
    for (size_t window = 0; window <= 700; window += 700) {
        test_model description;
        test_model_default(&description, PITH_TYPE_INT8);
        description.config.max_position_embeddings = 2048;
        description.config.kinds[0].sliding_window = window;
        const char *path = test_path("runs.pith");
        test_write_model(path, &description);
        for (size_t n_threads = 1; n_threads <= 3; n_threads += 2) {
            pith_model *model = NULL;
            pith_error error;
            pith_model_options options = {.n_threads = n_threads};
            pith_status status = pith_model_open(&model, path, &options, &error);
            CHECK(status == PITH_OK, "%s", error.message);
            pith_session *whole = new_session(model, NULL);
            pith_session *parts = new_session(model, NULL);
            test_eval(whole, tokens, N);
            test_eval(parts, tokens, N - SINGLE);
            for (size_t i = N - SINGLE; i < N; i++) {
                test_eval(parts, &tokens[i], 1);
            }
            check_same(pith_session_logits(parts), pith_session_logits(whole),
                       n_threads == 1 ? "one thread" : "three threads");
            pith_session_free(whole);
            pith_session_free(parts);
            pith_model_free(model);
        }
    }
}

TEST(engine_session, rewind_replays_to_the_same_logits) {
    pith_model *model = open_tiny(PITH_TYPE_F16, NULL);
    pith_session *session = new_session(model, NULL);
    int32_t tokens[50];
    make_tokens(tokens, 50, 11);
    float before[VOCAB];
    test_eval(session, tokens, 50);
    memcpy(before, pith_session_logits(session), sizeof before);
    pith_error error;
    pith_status status = pith_session_rewind(session, 20, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(pith_session_logits(session) == NULL, "logits must not outlive a rewind");
    CHECK(pith_session_length(session) == 20, "length %zu", pith_session_length(session));
    test_eval(session, tokens + 20, 30);
    check_same(pith_session_logits(session), before, "replayed");
    CHECK(memcmp(pith_session_tokens(session), tokens, sizeof tokens) == 0, "timeline differs");
    status = pith_session_rewind(session, 51, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "rewound forward");
    pith_session_free(session);
    pith_model_free(model);
}

TEST(engine_session, the_context_is_never_exceeded) {
    pith_model *model = open_tiny(PITH_TYPE_INT8, NULL);
    pith_session_options options = {.n_context = 10};
    pith_session *session = new_session(model, &options);
    int32_t tokens[11];
    make_tokens(tokens, 11, 13);
    pith_error error;
    pith_status status = pith_session_eval(session, tokens, 11, &error);
    CHECK(status == PITH_ERROR_CONTEXT, "status %d", (int)status);
    CHECK(strstr(error.message, "11") != NULL && strstr(error.message, "10") != NULL, "%s",
          error.message);
    CHECK(pith_session_length(session) == 0, "the timeline changed");
    test_eval(session, tokens, 10);
    status = pith_session_eval(session, tokens, 1, &error);
    CHECK(status == PITH_ERROR_CONTEXT && pith_session_length(session) == 10, "one more went in");
    CHECK(pith_session_logits(session) != NULL, "a refused eval must leave the logits");
    pith_session_free(session);
    pith_model_free(model);
}

TEST(engine_session, bad_arguments_are_refused_and_change_nothing) {
    pith_model *model = open_tiny(PITH_TYPE_INT8, NULL);
    pith_session *session = new_session(model, NULL);
    pith_error error;
    const int32_t bad[3] = {5, VOCAB, -1};
    pith_status status = pith_session_eval(session, bad, 2, &error);
    CHECK(status == PITH_ERROR_TOKEN && strstr(error.message, "300") != NULL, "%s", error.message);
    status = pith_session_eval(session, bad + 2, 1, &error);
    CHECK(status == PITH_ERROR_TOKEN, "negative token: %d", (int)status);
    status = pith_session_eval(session, bad, 0, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "no tokens: %d", (int)status);
    pith_session *twice[2] = {session, session};
    const int32_t *lists[2] = {bad, bad};
    const size_t counts[2] = {1, 1};
    status = pith_batch_eval(twice, 2, lists, counts, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "a session twice: %d", (int)status);
    CHECK(pith_session_length(session) == 0, "the timeline changed");

    pith_session *refused = NULL;
    pith_session_options options = {.kv_type = PITH_KV_INT8};
    size_t head_dim = model->network.config.head_dim;
    model->network.config.head_dim = 258;
    status = pith_session_new(&refused, model, &options, &error);
    model->network.config.head_dim = head_dim;
    CHECK(status == PITH_ERROR_UNSUPPORTED && refused == NULL, "int8 cache: %d", (int)status);
    options = (pith_session_options){.n_context = (size_t)1 << 40};
    status = pith_session_new(&refused, model, &options, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && refused == NULL, "context: %d", (int)status);
    pith_session_free(session);
    pith_model_free(model);
}

TEST(engine_session, nan_weights_end_in_an_error_in_every_type) {
    for (size_t t = 0; t < sizeof all_types / sizeof *all_types; t++) {
        pith_model *model = open_tiny(all_types[t], NULL);
        float *norm = (float *)(uintptr_t)model->network.layers[1].before_mlp.weight;
        norm[3] = t % 2 == 0 ? NAN : INFINITY;
        pith_session *session = new_session(model, NULL);
        const int32_t token = 7;
        pith_error error;
        pith_status status = pith_session_eval(session, &token, 1, &error);
        CHECK(status == PITH_ERROR_NUMERIC, "type %d: status %d", (int)all_types[t], (int)status);
        CHECK(pith_session_length(session) == 0 && pith_session_logits(session) == NULL,
              "the failed token stayed");
        norm[3] = 1.0F;
        test_eval(session, &token, 1);
        pith_session_free(session);
        pith_model_free(model);
    }
}

/* What the cache of new positions takes is in test_engine_memory.c. */
TEST(engine_session, nothing_is_allocated_by_an_eval_where_the_cache_has_room) {
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_tiny(PITH_TYPE_INT4, &options);
    pith_session *session = new_session(model, NULL);
    pith_sampler *sampler = NULL;
    pith_sampling settings = {.temperature = 1.0F, .top_p = 0.9F, .repeat_penalty = 1.1F};
    pith_error error;
    pith_status status = pith_sampler_new(&sampler, model, &settings, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(pith_session_grow(session, 50, 1, &error) == PITH_OK, "%s", error.message);
    size_t before = counting.n_calls;
    int32_t token = 1;
    for (int i = 0; i < 50; i++) {
        test_eval(session, &token, 1);
        status = pith_sample(sampler, pith_session_logits(session), &token, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        pith_sampler_accept(sampler, token);
    }
    CHECK(counting.n_calls == before, "%zu allocations", (size_t)counting.n_calls - before);
    pith_sampler_free(sampler);
    pith_session_free(session);
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* Every allocation of opening, a session, an eval and a tokenisation made to fail in turn. */
TEST(engine_session, every_failed_allocation_is_an_error_without_a_leak) {
    const char *path = test_path("tiny.pith");
    test_write_tiny_model(path, PITH_TYPE_INT4, 1);
    bool done = false;
    size_t fail_at = 0;
    while (!done) {
        test_allocator failing;
        test_allocator_init(&failing);
        failing.fail_at = ++fail_at;
        pith_model_options options = {.allocator = &failing.allocator, .n_threads = 2};
        pith_model *model = NULL;
        pith_session *session = NULL;
        pith_decoder *decoder = NULL;
        int32_t tokens[16];
        size_t n = 0;
        pith_error error = {.status = PITH_OK};
        pith_status status = pith_model_open(&model, path, &options, &error);
        if (status == PITH_OK) {
            status = pith_session_new(&session, model, NULL, &error);
        }
        if (status == PITH_OK) {
            status = pith_tokenize(model, pith_text_of("the hen"), PITH_TOKENIZE_BOS, tokens, 16,
                                   &n, &error);
        }
        if (status == PITH_OK) {
            status = pith_session_eval(session, tokens, n, &error);
        }
        if (status == PITH_OK) {
            status = pith_decoder_new(&decoder, model, &error);
        }
        done = status == PITH_OK;
        CHECK(done || status == PITH_ERROR_MEMORY, "at %zu: status %d: %s", fail_at, (int)status,
              error.message);
        pith_decoder_free(decoder);
        pith_session_free(session);
        pith_model_free(model);
        CHECK(failing.n_live == 0, "at %zu: %zu blocks leaked", fail_at, (size_t)failing.n_live);
    }
    CHECK(fail_at > 10, "only %zu allocations", fail_at);
    CHECK_NO_LEAKS();
}

typedef struct worker {
    const pith_model *model;
    const int32_t *tokens;
    float logits[VOCAB];
    pith_status status;
} worker;

static void *run_worker(void *argument) {
    worker *w = argument;
    pith_session *session = NULL;
    w->status = pith_session_new(&session, w->model, NULL, NULL);
    for (size_t i = 0; i < 30 && w->status == PITH_OK; i += 3) {
        w->status = pith_session_eval(session, w->tokens + i, 3, NULL);
    }
    if (w->status == PITH_OK) {
        memcpy(w->logits, pith_session_logits(session), sizeof w->logits);
    }
    pith_session_free(session);
    return NULL;
}

TEST(engine_session, threads_share_a_model) {
    enum { WORKERS = 4 };
    pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF};
    pith_model *model = open_tiny(PITH_TYPE_INT8, &options);
    int32_t tokens[30];
    make_tokens(tokens, 30, 21);
    static worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.model = model, .tokens = tokens};
        CHECK(pthread_create(&threads[i], NULL, run_worker, &workers[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pith_session *session = new_session(model, NULL);
    test_eval(session, tokens, 30);
    for (size_t i = 0; i < WORKERS; i++) {
        CHECK(workers[i].status == PITH_OK, "worker %zu: %d", i, (int)workers[i].status);
        check_same(workers[i].logits, pith_session_logits(session), "a worker");
    }
    pith_session_free(session);
    pith_model_free(model);
}

static void count_rows(void *user, const char *name, const float *data, size_t n_rows,
                       size_t n_cols) {
    size_t *counts = user;
    CHECK(isfinite(data[n_rows * n_cols - 1]), "%s is not finite", name);
    counts[0] += strcmp(name, "model.embed_tokens") == 0 && n_rows == 5 && n_cols == 32;
    counts[1] += strcmp(name, "model.layers.1") == 0 && n_rows == 5 && n_cols == 32;
    counts[2] += strcmp(name, "model.norm") == 0 && n_rows == 1 && n_cols == 32;
    counts[3] += strcmp(name, "model.layers.0.mlp.down_proj.input") == 0 && n_cols == 96;
}

TEST(engine_session, observers_see_the_network_and_change_nothing) {
    pith_model *model = open_tiny(PITH_TYPE_INT4, NULL);
    pith_session *plain = new_session(model, NULL);
    pith_session *watched = new_session(model, NULL);
    size_t counts[4] = {0};
    pith_session_observe(watched, count_rows, counts);
    int32_t tokens[5];
    make_tokens(tokens, 5, 23);
    test_eval(plain, tokens, 5);
    test_eval(watched, tokens, 5);
    for (size_t i = 0; i < 4; i++) {
        CHECK(counts[i] == 1, "tensor %zu was seen %zu times", i, counts[i]);
    }
    check_same(pith_session_logits(watched), pith_session_logits(plain), "observed");
    pith_session_free(plain);
    pith_session_free(watched);
    pith_model_free(model);
}

TEST(engine_session, mapped_and_loaded_models_agree) {
    pith_model_options map = {.map = true};
    pith_model *mapped = open_tiny(PITH_TYPE_INT4, &map);
    pith_model *loaded = open_tiny(PITH_TYPE_INT4, NULL);
    pith_session *a = new_session(mapped, NULL);
    pith_session *b = new_session(loaded, NULL);
    int32_t tokens[9];
    make_tokens(tokens, 9, 25);
    test_eval(a, tokens, 9);
    test_eval(b, tokens, 9);
    check_same(pith_session_logits(a), pith_session_logits(b), "mapped");
    pith_session_free(a);
    pith_session_free(b);
    pith_model_free(mapped);
    pith_model_free(loaded);
}

TEST(engine_session, options_that_cannot_be_had_are_named) {
    const char *path = test_path("tiny.pith");
    test_write_tiny_model(path, PITH_TYPE_INT4, 1);
    pith_error error;
    pith_model *model = NULL;
    pith_model_options options = {.isa = "mmx"};
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "mmx") != NULL, "%s",
          error.message);
    options = (pith_model_options){.n_threads = 100000};
    status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && model == NULL, "threads: %d", (int)status);
    status = pith_model_open(&model, test_path("absent.pith"), NULL, &error);
    CHECK(status == PITH_ERROR_IO && strstr(error.message, "absent.pith") != NULL, "%s",
          error.message);
}

/* What does not fit in memory is the KV cache, which the context limits. */
TEST(engine_session, a_cache_too_large_for_memory_names_the_context) {
    const char *path = test_path("tiny.pith");
    test_write_tiny_model(path, PITH_TYPE_INT4, 1);
    test_allocator failing;
    pith_model_options options = {.n_threads = 1, .allocator = &failing.allocator};
    pith_session_options wide = {.n_context = 4096};
    pith_model *model = NULL;
    pith_session *session = NULL;
    pith_error error = {0};
    test_allocator_init(&failing);
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
    failing.fail_at = failing.n_calls + 2; /* after the session's struct */
    pith_status status = pith_session_new(&session, model, &wide, &error);
    CHECK(status == PITH_ERROR_MEMORY && session == NULL, "%s", pith_status_name(status));
    CHECK(strstr(error.message, "a context of 4096") != NULL, "%s", error.message);
    status = pith_session_new(&session, model, &wide, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    const int32_t token = 1;
    failing.fail_at = failing.n_calls + 1;
    status = pith_session_eval(session, &token, 1, &error);
    CHECK(status == PITH_ERROR_MEMORY, "%s", pith_status_name(status));
    CHECK(strstr(error.message, "out of memory: 1 of the context's 4096 positions take 0.0") !=
                  NULL &&
              strstr(error.message, " GB of KV cache; -c N (n_context) sets a limit") != NULL,
          "%s", error.message);
    pith_session_free(session);
    pith_model_free(model);
}
