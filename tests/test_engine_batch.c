/* Sessions of different contexts together: every result is that of a session alone; and the work
 * buffers that the sessions of a model share. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/attention.h"
#include "engine/session.h"
#include "tests/calls.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, LONGEST = 2400, MEMBERS = 4, STEPS = 5 };

/* Two heads share a KV head; timelines may have ten chunks of keys. */
static pith_model *open_model(pith_type type, size_t window, const pith_model_options *options) {
    test_model description;
    test_model_default(&description, type);
    description.config.num_key_value_heads = 2;
    description.config.max_position_embeddings = LONGEST;
    description.config.kinds[0].sliding_window = window;
    const char *path = test_path("batch.pith");
    test_write_model(path, &description);
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

static void make_tokens(int32_t *tokens, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
    }
}

/* ---- Contexts -------------------------------------------------------------------------------- */

typedef struct member {
    size_t n_context, n_batch;
} member;

/* What is evaluated together; a member with context 0 ends a case. Passes of one to four tokens cut
 * attention into runs of chunks. */
static const member cases[][MEMBERS] = {
    {{64, 16}, {1100, 256}},
    {{16, 512}, {2400, 7}},
    {{2400, 0}, {16, 1}},
    {{40, 1}, {1300, 1}},
    {{300, 2}, {1290, 3}},
    {{48, 48}, {600, 5}, {24, 512}, {700, 4}},
    {{1024, 1}, {2300, 2}, {31, 31}, {257, 3}},
    {{17, 2}, {16, 2}, {1800, 2}},
};

/* Tokens that each member gets in each step. */
static const size_t steps[STEPS][MEMBERS] = {
    {1, 1, 1, 1}, {2, 1, 1, 1}, {1, 1, 2, 3}, {1, 3, 1, 1}, {1, 1, 1, 1}};

/* All logits of a timeline, from a session that has nothing else to do. */
static pith_session *evaluate_alone(const pith_model *model, const int32_t *tokens, size_t n,
                                    pith_kv_type kv_type) {
    pith_session *session = test_session(model, (pith_session_options){.n_context = LONGEST,
                                                                       .kv_type = kv_type,
                                                                       .all_logits = true});
    test_eval(session, tokens, n);
    return session;
}

static void check_member(const pith_session *s, const int32_t *tokens, const pith_session *alone,
                         size_t index, size_t i) {
    size_t n = pith_session_length(s);
    CHECK(memcmp(pith_session_tokens(s), tokens, n * sizeof *tokens) == 0,
          "case %zu: the timeline of member %zu changed", index, i);
    CHECK(memcmp(pith_session_logits(s), pith_session_logits_at(alone, n - 1),
                 VOCAB * sizeof(float)) == 0,
          "case %zu: logits of member %zu at %zu differ", index, i, n);
}

/* Fills the contexts one by one, but for what the steps need, and goes on together; the timelines
 * are compared with those that `other`, the same model, evaluates one by one. */
static void check_case(const pith_model *model, const pith_model *other, size_t index,
                       pith_kv_type kv_type) {
    static int32_t tokens[MEMBERS][LONGEST];
    pith_session *sessions[MEMBERS];
    pith_session *alone[MEMBERS];
    size_t n = 0;
    for (; n < MEMBERS && cases[index][n].n_context != 0; n++) {
        const member *m = &cases[index][n];
        sessions[n] = test_session(model, (pith_session_options){.n_context = m->n_context,
                                                                 .n_batch = m->n_batch,
                                                                 .kv_type = kv_type});
        make_tokens(tokens[n], m->n_context, 10 * index + n);
        size_t needed = 0;
        for (size_t step = 0; step < STEPS; step++) {
            needed += steps[step][n];
        }
        test_eval(sessions[n], tokens[n], m->n_context - needed);
        alone[n] = evaluate_alone(other, tokens[n], m->n_context, kv_type);
    }
    for (size_t step = 0; step < STEPS; step++) {
        const int32_t *next[MEMBERS];
        for (size_t i = 0; i < n; i++) {
            next[i] = tokens[i] + pith_session_length(sessions[i]);
        }
        pith_error error;
        pith_status status = pith_batch_eval(sessions, n, next, steps[step], &error);
        CHECK(status == PITH_OK, "case %zu: %s", index, error.message);
        for (size_t i = 0; i < n; i++) {
            check_member(sessions[i], tokens[i], alone[i], index, i);
        }
    }
    for (size_t i = 0; i < n; i++) {
        pith_session_free(sessions[i]);
        pith_session_free(alone[i]);
    }
}

static void check_type(pith_type type, size_t window, size_t n_threads) {
    static const pith_kv_type kv_types[] = {PITH_KV_F32, PITH_KV_F16, PITH_KV_INT8};
    pith_model_options options = {.n_threads = n_threads, .blas = PITH_BLAS_OFF};
    pith_model *other = open_model(type, window, &options);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        pith_model *model = open_model(type, window, &options); /* whose buffers are small still */
        check_case(model, other, c, kv_types[(c + (size_t)type) % 3]);
        check_case(model, other, c, kv_types[(c + (size_t)type + 1) % 3]);
        pith_model_free(model);
    }
    pith_model_free(other);
    CHECK_NO_LEAKS();
}

TEST(engine_batch, f32_sessions_of_any_contexts_equal_separate_ones) {
    check_type(PITH_TYPE_F32, 0, 1);
}

TEST(engine_batch, f16_sessions_of_any_contexts_equal_separate_ones) {
    check_type(PITH_TYPE_F16, 0, 2);
}

TEST(engine_batch, bf16_sessions_of_any_contexts_equal_separate_ones) {
    check_type(PITH_TYPE_BF16, 0, 3);
}

TEST(engine_batch, int8_sessions_of_any_contexts_equal_separate_ones) {
    check_type(PITH_TYPE_INT8, 0, 1);
}

TEST(engine_batch, int4_sessions_of_any_contexts_equal_separate_ones) {
    check_type(PITH_TYPE_INT4, 0, 2);
}

TEST(engine_batch, sessions_of_a_windowed_model_equal_separate_ones) {
    check_type(PITH_TYPE_INT8, 700, 2);
    check_type(PITH_TYPE_INT4, 1, 1);
}

/* A query that sees `window` keys, at any place of the timeline. */
TEST(engine_batch, no_row_attends_to_more_chunks_than_are_kept) {
    enum { CHUNK = 256 };
    pith_config config = {PITH_DECODER_RECIPE};
    for (size_t window = 0; window < 1100; window++) {
        config.kinds[0].sliding_window = window;
        size_t most = 0;
        for (size_t position = 0; position < 1500; position++) {
            size_t first = window != 0 && position >= window ? position - window + 1 : 0;
            size_t n = position / CHUNK - first / CHUNK + 1;
            most = n > most ? n : most;
            size_t kept = pith_attention_max_chunks(&config, position + 1);
            CHECK(kept == most, "window %zu, %zu tokens: %zu chunks, expected %zu", window,
                  position + 1, kept, most);
        }
    }
}

/* ---- Observers ------------------------------------------------------------------------------- */

enum { N_NAMES = 16, MOST_FLOATS = 20 * 96 };

/* What an observer saw of every tensor, rows of one call after those of the call before. */
typedef struct seen {
    char names[N_NAMES][64];
    float data[N_NAMES][MOST_FLOATS];
    size_t n_floats[N_NAMES];
} seen;

static void note(void *user, const char *name, const float *data, size_t n_rows, size_t n_cols) {
    seen *s = user;
    size_t i = 0;
    while (i < N_NAMES && s->names[i][0] != '\0' && strcmp(s->names[i], name) != 0) {
        i++;
    }
    CHECK(i < N_NAMES && s->n_floats[i] + n_rows * n_cols <= MOST_FLOATS, "too much of %s", name);
    strncpy(s->names[i], name, sizeof s->names[i] - 1);
    memcpy(s->data[i] + s->n_floats[i], data, n_rows * n_cols * sizeof *data);
    s->n_floats[i] += n_rows * n_cols;
}

/* Three sessions of which the first and the last are observed, in one pass and in several. */
TEST(engine_batch, observers_see_their_own_session_alone) {
    static const size_t counts[3] = {5, 7, 4};
    static const bool all[3] = {true, true, false};
    static seen together[3];
    static seen alone[3];
    pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT4, 0, &options);
    for (size_t n_batch = 3; n_batch <= 48; n_batch *= 4) {
        memset(together, 0, sizeof together);
        memset(alone, 0, sizeof alone);
        pith_session *sessions[3];
        pith_session *separate[3];
        int32_t tokens[3][7];
        const int32_t *lists[3];
        for (size_t i = 0; i < 3; i++) {
            pith_session_options how = {.n_context = 20, .n_batch = n_batch, .all_logits = all[i]};
            sessions[i] = test_session(model, how);
            separate[i] = test_session(model, how);
            make_tokens(tokens[i], 7, i);
            lists[i] = tokens[i];
            if (i != 1) {
                pith_session_observe(sessions[i], note, &together[i]);
                pith_session_observe(separate[i], note, &alone[i]);
            }
            test_eval(separate[i], tokens[i], counts[i]);
        }
        pith_error error;
        pith_status status = pith_batch_eval(sessions, 3, lists, counts, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        for (size_t i = 0; i < 3; i++) {
            CHECK((together[i].n_floats[0] != 0) == (i != 1), "observer %zu: %zu floats", i,
                  together[i].n_floats[0]);
            CHECK(memcmp(&together[i], &alone[i], sizeof alone[i]) == 0,
                  "n_batch %zu: observer %zu saw other rows", n_batch, i);
            CHECK(memcmp(pith_session_logits(sessions[i]), pith_session_logits(separate[i]),
                         VOCAB * sizeof(float)) == 0,
                  "n_batch %zu: logits %zu differ", n_batch, i);
            pith_session_free(sessions[i]);
            pith_session_free(separate[i]);
        }
    }
    pith_model_free(model);
}

/* ---- Work buffers ---------------------------------------------------------------------------- */

enum { OWN_BLOCKS = 4 }; /* of a new session: itself, tokens, logits, the list of its chunks */

/* Bytes of what is the session's own. */
static size_t own_bytes(const pith_session *s) {
    return pith_session_memory(s) + s->n_context * sizeof *s->tokens +
           s->logits_stride * sizeof *s->logits;
}

TEST(engine_batch, a_session_costs_its_cache_and_little_more) {
    enum { SESSIONS = 10, LITTLE = 1024 + 6 * PITH_ARENA_GAP }; /* bytes */
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT4, 0, &options);
    pith_session *sessions[SESSIONS];
    int32_t tokens[32];
    make_tokens(tokens, 32, 3);
    for (size_t i = 0; i < SESSIONS; i++) {
        size_t before = counting.n_bytes;
        sessions[i] = test_session(model, (pith_session_options){.n_context = 32});
        test_eval(sessions[i], tokens, 32);
        size_t cost = counting.n_bytes - before;
        size_t own = own_bytes(sessions[i]);
        CHECK(i == 0 || cost <= own + LITTLE, "session %zu costs %zu bytes, %zu are its own", i,
              cost, own);
        CHECK(i != 0 || cost > 10 * own, "%zu bytes with work buffers", cost);
    }
    for (size_t i = 0; i < SESSIONS; i++) {
        pith_session_free(sessions[i]);
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* Evaluating one session at a time allocates no buffers, whatever sessions came and went; the cache
 * of each has grown before. */
TEST(engine_batch, buffers_fit_every_session_that_was_made) {
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT8, 0, &options);
    static const member made[] = {{40, 2}, {1300, 5}, {16, 512}, {600, 64}, {2400, 1}};
    enum { N = sizeof made / sizeof *made };
    static int32_t tokens[LONGEST];
    make_tokens(tokens, LONGEST, 4);
    pith_session *sessions[N];
    for (size_t i = 0; i < N; i++) {
        sessions[i] = test_session(model, (pith_session_options){.n_context = made[i].n_context,
                                                                 .n_batch = made[i].n_batch});
        CHECK(pith_session_grow(sessions[i], made[i].n_context, 1, NULL) == PITH_OK, "growth");
        size_t calls = counting.n_calls;
        for (size_t j = 0; j <= i; j++) {
            CHECK(pith_session_rewind(sessions[j], 0, NULL) == PITH_OK, "rewind");
            test_eval(sessions[j], tokens, made[j].n_context - 1);
            test_eval(sessions[j], tokens, 1);
        }
        CHECK(counting.n_calls == calls, "%zu allocations with %zu sessions",
              (size_t)counting.n_calls - calls, i + 1);
        size_t live = counting.n_live;
        pith_session_free(
            test_session(model, (pith_session_options){.n_context = 30, .n_batch = 2}));
        CHECK(counting.n_live == live && counting.n_calls == calls + OWN_BLOCKS,
              "a small session made buffers: %zu blocks, %zu allocations",
              (size_t)counting.n_live - live, (size_t)counting.n_calls - calls);
    }
    for (size_t i = 0; i < N; i++) {
        pith_session_free(sessions[i]);
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* Bytes from the start of a set of buffers to the last of them. */
static size_t span_of(const pith_model *model, size_t n_rows) {
    pith_scratch *scratch = NULL;
    pith_status status =
        pith_scratch_take(&scratch, model, pith_scratch_size_for(model, n_rows, 100), NULL);
    CHECK(status == PITH_OK && scratch->size.rows == n_rows, "no buffers for %zu rows", n_rows);
    size_t span = (size_t)((unsigned char *)scratch->partial - (unsigned char *)scratch);
    pith_scratch_give(model, scratch);
    return span;
}

/* So that a token does not touch pages all over the room that a prefill needs. */
TEST(engine_batch, buffers_of_few_rows_lie_together) {
    pith_model *model = open_model(PITH_TYPE_INT8, 0, NULL);
    pith_session_free(test_session(model, (pith_session_options){.n_context = 600}));
    size_t many = span_of(model, 512);
    size_t one = span_of(model, 1);
    CHECK(one < many / 5, "%zu bytes for a row, %zu for 512", one, many);
    CHECK(span_of(model, 512) == many, "the room shrank");
    pith_model_free(model);
}

/* A batch of more rows than any session has gets them in one pass; without memory for that, nothing
 * has changed. */
TEST(engine_batch, a_batch_without_memory_changes_nothing) {
    enum { SESSIONS = 12 };
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT8, 0, &options);
    pith_session *sessions[SESSIONS];
    pith_session *alone[SESSIONS];
    int32_t tokens[SESSIONS][4];
    const int32_t *lists[SESSIONS];
    size_t ones[SESSIONS];
    float before[SESSIONS][VOCAB];
    for (size_t i = 0; i < SESSIONS; i++) {
        sessions[i] = test_session(model, (pith_session_options){.n_context = 5});
        alone[i] = test_session(model, (pith_session_options){.n_context = 5});
        make_tokens(tokens[i], 4, i);
        test_eval(sessions[i], tokens[i], 3);
        test_eval(alone[i], tokens[i], 4);
        memcpy(before[i], pith_session_logits(sessions[i]), sizeof before[i]);
        lists[i] = tokens[i] + 3;
        ones[i] = 1;
    }
    size_t live = counting.n_live;
    pith_error error;
    counting.fail_at = counting.n_calls + 1;
    pith_status status = pith_batch_eval(sessions, SESSIONS, lists, ones, &error);
    CHECK(status == PITH_ERROR_MEMORY && counting.n_live == live, "status %d", (int)status);
    for (size_t i = 0; i < SESSIONS; i++) {
        CHECK(pith_session_length(sessions[i]) == 3 &&
                  memcmp(pith_session_tokens(sessions[i]), tokens[i], 3 * sizeof(int32_t)) == 0 &&
                  memcmp(pith_session_logits(sessions[i]), before[i], sizeof before[i]) == 0,
              "session %zu changed", i);
    }
    size_t calls = counting.n_calls;
    status = pith_batch_eval(sessions, SESSIONS, lists, ones, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(counting.n_calls == calls + 1 && counting.n_live == live,
          "%zu allocations, %zu blocks more", (size_t)counting.n_calls - calls,
          (size_t)counting.n_live - live);
    for (size_t i = 0; i < SESSIONS; i++) {
        CHECK(memcmp(pith_session_logits(sessions[i]), pith_session_logits(alone[i]),
                     sizeof before[i]) == 0,
              "logits %zu differ", i);
        lists[i] = tokens[i];
    }
    status = pith_batch_eval(sessions, SESSIONS, lists, ones, &error);
    CHECK(status == PITH_OK && counting.n_calls == calls + 1, "the second allocates again");
    for (size_t i = 0; i < SESSIONS; i++) {
        pith_session_free(sessions[i]);
        pith_session_free(alone[i]);
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* An evaluation in the middle of another, as two threads have it. */
typedef struct inner {
    pith_session *session;
    int32_t tokens[3];
    size_t n_runs;
    pith_status status;
    pith_error error;
} inner;

static void eval_inside(void *user, const char *name, const float *data, size_t n_rows,
                        size_t n_cols) {
    inner *in = user;
    (void)data;
    (void)n_rows;
    (void)n_cols;
    if (strcmp(name, "model.layers.0") == 0) {
        in->status = pith_session_eval(in->session, in->tokens, 3, &in->error);
        in->n_runs++;
    }
}

TEST(engine_batch, evaluations_at_once_have_buffers_of_their_own) {
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT8, 0, &options);
    const pith_session_options small = {.n_context = 30};
    pith_session *outer = test_session(model, small);
    pith_session *plain = test_session(model, small);
    pith_session *expected = test_session(model, small);
    inner in = {.session = test_session(model, small), .tokens = {5, 6, 7}};
    int32_t tokens[12];
    make_tokens(tokens, 12, 5);
    CHECK(pith_session_grow(outer, 12, 1, NULL) == PITH_OK, "growth");
    CHECK(pith_session_grow(in.session, 12, 1, NULL) == PITH_OK, "growth");
    pith_session_observe(outer, eval_inside, &in);
    size_t calls = counting.n_calls;
    counting.fail_at = calls + 1;
    test_eval(outer, tokens, 4); /* holds the only buffers */
    CHECK(in.n_runs == 1 && in.status == PITH_ERROR_MEMORY && counting.n_calls == calls + 1,
          "%zu runs, status %d, %zu allocations", in.n_runs, (int)in.status,
          (size_t)counting.n_calls - calls);
    CHECK(pith_session_length(in.session) == 0 && in.error.status == in.status, "it changed");
    test_eval(outer, tokens + 4, 4);
    CHECK(in.status == PITH_OK && counting.n_calls == calls + 2, "%s", in.error.message);
    test_eval(outer, tokens + 8, 4);
    CHECK(in.status == PITH_OK && counting.n_calls == calls + 2, "the third allocates again");
    test_eval(plain, tokens, 12);
    CHECK(memcmp(pith_session_logits(outer), pith_session_logits(plain), VOCAB * 4) == 0,
          "logits of the outer session differ");
    test_eval(expected, in.tokens, 3);
    test_eval(expected, in.tokens, 3);
    CHECK(memcmp(pith_session_logits(in.session), pith_session_logits(expected), VOCAB * 4) == 0,
          "logits of the inner session differ");
    pith_session_free(outer);
    pith_session_free(plain);
    pith_session_free(expected);
    pith_session_free(in.session);
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* A larger session is made while small buffers are in use. */
static void make_inside(void *user, const char *name, const float *data, size_t n_rows,
                        size_t n_cols) {
    inner *in = user;
    (void)data;
    (void)n_rows;
    (void)n_cols;
    if (strcmp(name, "model.layers.0") == 0) {
        pith_session_options large = {.n_context = 1500, .n_batch = 100};
        in->status = pith_session_new(&in->session, in->session->model, &large, &in->error);
        in->n_runs++;
    }
}

TEST(engine_batch, buffers_that_became_too_small_are_released) {
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT8, 0, &options);
    pith_session *small = test_session(model, (pith_session_options){.n_context = 30});
    static int32_t tokens[1500];
    make_tokens(tokens, 1500, 6);
    inner in = {.session = small};
    CHECK(pith_session_grow(small, 30, 1, NULL) == PITH_OK, "growth");
    pith_session_observe(small, make_inside, &in);
    size_t live = counting.n_live;
    test_eval(small, tokens, 10);
    CHECK(in.n_runs == 1 && in.status == PITH_OK && in.session != small, "%s", in.error.message);
    CHECK(counting.n_live == live + OWN_BLOCKS, "%zu blocks more, %d are the session",
          (size_t)counting.n_live - live, OWN_BLOCKS);
    CHECK(pith_session_grow(in.session, 1500, 1, NULL) == PITH_OK, "growth");
    size_t calls = counting.n_calls;
    pith_session_observe(small, NULL, NULL);
    test_eval(in.session, tokens, 1500);
    test_eval(small, tokens, 10);
    CHECK(counting.n_calls == calls, "%zu allocations", (size_t)counting.n_calls - calls);
    pith_session_free(in.session);
    pith_session_free(small);
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* ---- Threads --------------------------------------------------------------------------------- */

enum { WORKERS = 5, ROUNDS = 6 };

/* Makes sessions, larger ones from round to round, and evaluates them alone and together. */
typedef struct worker {
    const pith_model *model;
    const int32_t *tokens; /* [LONGEST] */
    size_t index;
    pith_status status;
    float logits[ROUNDS][2][VOCAB];
} worker;

static size_t context_of(size_t index, size_t round) {
    return 20 + round * 130 + index * 7;
}

static void *run_worker(void *argument) {
    worker *w = argument;
    for (size_t round = 0; round < ROUNDS && w->status == PITH_OK; round++) {
        size_t n = context_of(w->index, round);
        const size_t contexts[2] = {10, n};
        pith_session *two[2] = {NULL, NULL};
        for (size_t i = 0; i < 2 && w->status == PITH_OK; i++) {
            pith_session_options options = {.n_context = contexts[i],
                                            .n_batch = 3 + 20 * w->index + round};
            w->status = pith_session_new(&two[i], w->model, &options, NULL);
            if (w->status == PITH_OK) {
                w->status = pith_session_eval(two[i], w->tokens, contexts[i] - 1, NULL);
            }
        }
        if (w->status == PITH_OK) {
            const int32_t *next[2] = {w->tokens + 9, w->tokens + n - 1};
            w->status = pith_batch_eval(two, 2, next, (const size_t[2]){1, 1}, NULL);
        }
        for (size_t i = 0; i < 2; i++) {
            if (w->status == PITH_OK) {
                memcpy(w->logits[round][i], pith_session_logits(two[i]), VOCAB * sizeof(float));
            }
            pith_session_free(two[i]);
        }
    }
    return NULL;
}

TEST(engine_batch, threads_take_buffers_of_one_model) {
    pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF};
    pith_model *model = open_model(PITH_TYPE_INT8, 0, &options);
    pith_model *other = open_model(PITH_TYPE_INT8, 0, &options);
    static int32_t tokens[LONGEST];
    make_tokens(tokens, LONGEST, 8);
    static worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.model = model, .tokens = tokens, .index = i};
        CHECK(pthread_create(&threads[i], NULL, run_worker, &workers[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    pith_session *alone = evaluate_alone(other, tokens, context_of(WORKERS, ROUNDS), PITH_KV_F16);
    for (size_t i = 0; i < WORKERS; i++) {
        CHECK(workers[i].status == PITH_OK, "worker %zu: status %d", i, (int)workers[i].status);
        for (size_t round = 0; round < ROUNDS; round++) {
            const size_t lengths[2] = {10, context_of(i, round)};
            for (size_t j = 0; j < 2; j++) {
                CHECK(memcmp(workers[i].logits[round][j],
                             pith_session_logits_at(alone, lengths[j] - 1),
                             VOCAB * sizeof(float)) == 0,
                      "worker %zu, round %zu: logits after %zu differ", i, round, lengths[j]);
            }
        }
    }
    pith_session_free(alone);
    pith_model_free(model);
    pith_model_free(other);
    CHECK_NO_LEAKS();
}
