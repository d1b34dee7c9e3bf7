/* What programs do with a model of several ranks beside evaluating: options, counts, threads,
 * generation, models of random weights; and how matrices are cut. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "tests/encoder.h"
#include "tests/fixture.h"
#include "tests/ranks.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/shapes.h"

enum { VOCAB = 300 };

/* ---- Options --------------------------------------------------------------------------------- */

/* A gather of a rank whose others all say what it says. */
static bool echo(void *user, void *data, const size_t *offsets, bool first_only) {
    const pith_ranks *ranks = user;
    const size_t own = ranks->rank;
    unsigned char *bytes = data;
    (void)first_only;
    for (size_t r = 0; r < ranks->n_ranks; r++) {
        if (offsets[r + 1] - offsets[r] == offsets[own + 1] - offsets[own]) {
            memmove(bytes + offsets[r], bytes + offsets[own], offsets[own + 1] - offsets[own]);
        }
    }
    return true;
}

static void check_options(const char *path, pith_model_options options, pith_ranks ranks,
                          pith_status expected, const char *message) {
    pith_model *model = NULL;
    pith_error error = {0};
    ranks.user = &ranks;
    options.ranks = &ranks;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == expected && model == NULL && strstr(error.message, message) != NULL,
          "\"%s\" expected: %s, \"%s\"", message, pith_status_name(status), error.message);
}

TEST(ranks_use, options_are_checked) {
    const char *path = test_ranks_write(PITH_TYPE_F32);
    const char *encoder = test_path("encoder.pith");
    pith_error error;
    const pith_model_options none = {.n_threads = 1};
    const pith_ranks two = {.rank = 0, .n_ranks = 2, .gather = echo};
    check_options(path, none, (pith_ranks){.rank = 2, .n_ranks = 2, .gather = echo},
                  PITH_ERROR_ARGUMENT, "rank 2 of 2");
    check_options(path, none, (pith_ranks){.rank = 0, .n_ranks = 0, .gather = echo},
                  PITH_ERROR_ARGUMENT, "rank 0 of 0");
    check_options(path, none,
                  (pith_ranks){.rank = 0, .n_ranks = PITH_MAX_RANKS + 1, .gather = echo},
                  PITH_ERROR_ARGUMENT, "at most 64");
    check_options(path, none, (pith_ranks){.rank = 0, .n_ranks = 2}, PITH_ERROR_ARGUMENT, "gather");
    check_options(path, (pith_model_options){.n_threads = 1, .map = true}, two,
                  PITH_ERROR_UNSUPPORTED, "mapping the file");
    check_options(path, (pith_model_options){.n_threads = 1, .blas = PITH_BLAS_ON}, two,
                  PITH_ERROR_UNSUPPORTED, "BLAS");
    pith_status status = test_convert_encoder(test_make_encoder("encoder", &(test_encoder){0}),
                                              encoder, PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    check_options(encoder, none, two, PITH_ERROR_UNSUPPORTED, "encoder");
    CHECK_NO_LEAKS();
}

TEST(ranks_use, one_rank_is_a_process_alone) {
    pith_ranks one = {.n_ranks = 1};
    const pith_model_options options = {.n_threads = 1, .map = true, .ranks = &one};
    pith_model *model = NULL;
    pith_error error;
    pith_model_info info;
    pith_status status = pith_model_open(&model, test_ranks_write(PITH_TYPE_F32), &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_model_get_info(model, &info);
    CHECK(info.n_ranks == 1 && info.rank == 0 && info.rank_bytes == info.weight_bytes &&
              info.n_gathers == 0,
          "%zu of %zu", info.rank, info.n_ranks);
    CHECK(pith_model_follow(model, &error) == PITH_ERROR_ARGUMENT, "a model alone follows");
    pith_model_free(model);
}

static void observe(void *user, const char *name, const float *data, size_t n_rows, size_t n_cols) {
    (void)user;
    (void)name;
    (void)data;
    (void)n_rows;
    (void)n_cols;
}

static void check_unsupported(pith_status status, const pith_error *error, const char *message) {
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error->message, message) != NULL,
          "\"%s\" expected: %s", message, error->message);
}

TEST(ranks_use, what_ranks_cannot_do_is_named) {
    static const int32_t token = 5;
    test_ranks ranks = {0};
    const pith_model *model = test_ranks_run(&ranks, test_ranks_write(PITH_TYPE_INT8), 2);
    pith_session *s = test_session(model, (pith_session_options){.n_context = 20});
    pith_session *loaded = NULL;
    float row[32] = {0};
    float logits[VOCAB];
    pith_error error;
    test_eval(s, &token, 1);
    check_unsupported(pith_session_save(s, test_path("s.state"), &error), &error, "saving");
    check_unsupported(pith_session_load(&loaded, model, test_path("s.state"), NULL, &error), &error,
                      "loading");
    check_unsupported(pith_logit_lens(model, row, 1, logits, &error), &error, "lens");
    pith_session_observe(s, observe, NULL);
    check_unsupported(pith_session_eval(s, &token, 1, &error), &error, "observing");
    pith_session_observe(s, NULL, NULL);
    test_eval(s, &token, 1);
    pith_session_free(s);
    CHECK(pith_model_follow(test_ranks_model(&ranks), &error) == PITH_ERROR_ARGUMENT, "rank 0");
    test_ranks_end(&ranks);

    pith_ranks second = {.rank = 1, .n_ranks = 2, .gather = echo, .user = &second};
    const pith_model_options options = {.n_threads = 1, .ranks = &second};
    pith_model *other = NULL;
    CHECK(pith_model_open(&other, test_path("ranks.pith"), &options, &error) == PITH_OK, "%s",
          error.message);
    check_unsupported(pith_session_new(&s, other, NULL, &error), &error, "rank 1 has no sessions");
    pith_model_free(other);
    CHECK_NO_LEAKS();
}

/* ---- Counts ---------------------------------------------------------------------------------- */

TEST(ranks_use, gathers_and_bytes_of_a_token) {
    static const pith_type types[] = {PITH_TYPE_F32, PITH_TYPE_INT8, PITH_TYPE_INT4};
    static const int32_t tokens[2] = {5, 6};
    for (size_t i = 0; i < 3; i++) {
        for (size_t n = 2; n <= 4; n++) {
            test_ranks ranks = {0};
            pith_model *model = test_ranks_run(&ranks, test_ranks_write(types[i]), n);
            pith_model_info info;
            pith_session *s = test_session(model, (pith_session_options){.n_context = 20});
            pith_model_get_info(model, &info);
            test_eval(s, tokens, 1);
            size_t n_gathers = ranks.n_gathers;
            size_t n_bytes = ranks.n_bytes;
            test_eval(s, tokens + 1, 1);
            CHECK(info.n_ranks == n && info.rank == 0 &&
                      ranks.n_gathers - n_gathers == info.n_gathers &&
                      ranks.n_bytes - n_bytes == info.gather_bytes,
                  "%zu gathers of %zu bytes, not %zu of %zu", ranks.n_gathers - n_gathers,
                  ranks.n_bytes - n_bytes, info.n_gathers, info.gather_bytes);
            pith_session_free(s);
            test_ranks_end(&ranks);
        }
    }
}

TEST(ranks_use, weights_and_cache_are_shared_out) {
    test_ranks ranks = {0};
    static const int32_t token = 5;
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    pith_model *alone = test_open_alone(path);
    const pith_model *model = test_ranks_run(&ranks, path, 2);
    const pith_model_info *first = &ranks.ranks[0].info;
    pith_session *s = test_session(model, (pith_session_options){.n_context = 20});
    pith_session *other = test_session(alone, (pith_session_options){.n_context = 20});
    test_eval(s, &token, 1);
    test_eval(other, &token, 1);
    size_t bytes = pith_session_memory(s);
    size_t whole = pith_session_memory(other);
    CHECK(bytes < whole && bytes == pith_model_kv_bytes(model, PITH_KV_AUTO, 1), "%zu bytes of %zu",
          bytes, whole);
    pith_session_free(other);
    pith_session_free(s);
    pith_model_free(alone);
    test_ranks_end(&ranks);
    size_t sum = first->rank_bytes + ranks.ranks[1].info.rank_bytes;
    CHECK(first->rank_bytes < first->weight_bytes && sum >= first->weight_bytes &&
              sum < first->weight_bytes + first->weight_bytes / 4,
          "%zu and %zu of %zu", first->rank_bytes, ranks.ranks[1].info.rank_bytes,
          first->weight_bytes);
}

TEST(ranks_use, nothing_is_allocated_for_a_token) {
    test_allocator allocators[3];
    test_ranks ranks = {0};
    int32_t tokens[40] = {0};
    for (size_t r = 0; r < 3; r++) {
        test_allocator_init(&allocators[r]);
        ranks.allocators[r] = &allocators[r].allocator;
    }
    pith_model *model = test_ranks_run(&ranks, test_ranks_write(PITH_TYPE_INT4), 3);
    pith_session *s = test_session(model, (pith_session_options){.n_context = 120});
    test_eval(s, tokens, 40);
    size_t n[3];
    for (size_t r = 0; r < 3; r++) {
        n[r] = allocators[r].n_calls;
    }
    for (size_t i = 0; i < 20; i++) { /* within the block of positions 32 to 63 */
        test_eval(s, tokens, 1);
    }
    for (size_t r = 0; r < 3; r++) {
        CHECK(allocators[r].n_calls == n[r], "rank %zu allocated %zu times", r,
              allocators[r].n_calls - n[r]);
    }
    pith_session_free(s);
    test_ranks_end(&ranks);
}

/* ---- Threads --------------------------------------------------------------------------------- */

typedef struct worker {
    const pith_model *model;
    const float *expected; /* [VOCAB] after the tokens */
    pthread_t thread;
    size_t n_wrong;
} worker;

static const int32_t chat[9] = {5, 77, 9, 200, 31, 8, 8, 150, 2};

static void *work(void *argument) {
    worker *w = argument;
    for (size_t i = 0; i < 12; i++) {
        pith_session *s = NULL;
        pith_session *fork = NULL;
        const pith_session_options options = {.n_context = 32, .n_batch = 4};
        bool good = pith_session_new(&s, w->model, &options, NULL) == PITH_OK &&
                    pith_session_eval(s, chat, 6, NULL) == PITH_OK &&
                    pith_session_fork(&fork, s, NULL) == PITH_OK &&
                    pith_session_eval(s, chat + 6, 1, NULL) == PITH_OK &&
                    pith_session_eval(fork, chat + 6, 3, NULL) == PITH_OK &&
                    memcmp(pith_session_logits(fork), w->expected, VOCAB * sizeof(float)) == 0;
        w->n_wrong += !good;
        pith_session_free(s);
        pith_session_free(fork);
    }
    return NULL;
}

/* Forks a session in the middle of another fork, as a second thread may: in one of its allocations.
 */
typedef struct nested_fork {
    pith_allocator allocator;
    size_t n_calls, at; /* the allocation to do it in; 0: none */
    const pith_session *of;
    pith_session *made;
} nested_fork;

static void count_allocation(nested_fork *f) {
    if (++f->n_calls == f->at) {
        pith_status status = pith_session_fork(&f->made, f->of, NULL);
        CHECK(status == PITH_OK, "status %d", (int)status);
    }
}

static void *nesting_allocate(void *user, size_t size) {
    count_allocation(user);
    return malloc(size);
}

static void *nesting_reallocate(void *user, void *block, size_t size) {
    count_allocation(user);
    return realloc(block, size);
}

static void nesting_release(void *user, void *block) {
    (void)user;
    free(block);
}

/* Forks a session, and once more in the allocation `at` of that; false when there are fewer. The
 * logits of several tokens are allocated when the fork is known and what it shares is not. */
static bool fork_twice(const char *path, size_t at) {
    nested_fork f = {.allocator = {&f, nesting_allocate, nesting_reallocate, nesting_release}};
    test_ranks ranks = {.allocators = {&f.allocator}};
    const pith_model *model = test_ranks_run(&ranks, path, 2);
    pith_session *s =
        test_session(model, (pith_session_options){.n_context = 32, .all_logits = true});
    pith_session *fork = NULL;
    test_eval(s, chat, 6);
    f.of = s;
    f.at = f.n_calls + at;
    CHECK(pith_session_fork(&fork, s, NULL) == PITH_OK, "the outer fork");
    bool nested = f.made != NULL;
    f.at = 0;
    pith_session_free(fork);
    pith_session_free(f.made);
    pith_session_free(s);
    test_ranks_end(&ranks);
    return nested;
}

/* The events of both forks and of all three ends have room, without a pass in between. */
TEST(ranks_use, forks_at_once) {
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    size_t n = 1;
    while (fork_twice(path, n)) {
        n++;
    }
    CHECK(n > 4, "a fork has %zu allocations", n - 1);
    CHECK_NO_LEAKS();
}

TEST(ranks_use, threads_of_rank_0_take_turns) {
    enum { WORKERS = 3 };
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    float expected[VOCAB];
    pith_model *alone = test_open_alone(path);
    pith_session *s = test_session(alone, (pith_session_options){.n_context = 32});
    test_eval(s, chat, 9);
    memcpy(expected, pith_session_logits(s), sizeof expected);
    pith_session_free(s);
    pith_model_free(alone);
    test_ranks ranks = {.n_threads = 2};
    worker workers[WORKERS];
    const pith_model *model = test_ranks_run(&ranks, path, 2);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.model = model, .expected = expected};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(workers[i].thread, NULL);
        CHECK(workers[i].n_wrong == 0, "thread %zu: %zu rounds went wrong", i, workers[i].n_wrong);
    }
    test_ranks_end(&ranks);
    CHECK_NO_LEAKS();
}

/* The others hear of sessions that are never evaluated, too. */
TEST(ranks_use, many_sessions_come_and_go) {
    test_ranks ranks = {0};
    const pith_model *model = test_ranks_run(&ranks, test_ranks_write(PITH_TYPE_INT8), 2);
    size_t n_gathers = ranks.n_gathers;
    for (size_t i = 0; i < 6000; i++) {
        pith_session_free(test_session(model, (pith_session_options){.n_context = 16}));
    }
    CHECK(ranks.n_gathers > n_gathers, "%zu gathers", ranks.n_gathers - n_gathers);
    pith_session *s = test_session(model, (pith_session_options){.n_context = 16});
    test_eval(s, chat, 9);
    pith_session_free(s);
    test_ranks_end(&ranks);
}

TEST(ranks_use, too_many_sessions) {
    enum { MOST = 4096 };
    static pith_session *sessions[MOST];
    test_ranks ranks = {0};
    const pith_model *model = test_ranks_run(&ranks, test_ranks_write(PITH_TYPE_INT8), 2);
    pith_session *more = NULL;
    pith_error error;
    for (size_t i = 0; i < MOST; i++) {
        sessions[i] = test_session(model, (pith_session_options){.n_context = 16});
    }
    check_unsupported(pith_session_new(&more, model, NULL, &error), &error, "at most 4096");
    for (size_t i = 0; i < MOST; i++) {
        pith_session_free(sessions[i]);
    }
    more = test_session(model, (pith_session_options){.n_context = 16});
    test_eval(more, chat, 9);
    pith_session_free(more);
    test_ranks_end(&ranks);
    CHECK_NO_LEAKS();
}

/* ---- Generation ------------------------------------------------------------------------------ */

typedef struct text {
    char bytes[4096];
    size_t n;
} text;

static bool append(void *user, pith_text piece) {
    text *t = user;
    memcpy(t->bytes + t->n, piece.data, piece.n_bytes);
    t->n += piece.n_bytes;
    return true;
}

static void generate(const pith_model *model, pith_session *draft, text *out, pith_usage *usage) {
    static const int32_t prompt[] = {1, 50, 60, 70, 80, 50, 60, 70, 80, 50, 60};
    const pith_generate_params params = {
        .max_tokens = 60,
        .ignore_eos = true,
        .speculate = 6,
        .draft = draft,
    };
    pith_session *s = test_session(model, (pith_session_options){.n_context = 100});
    pith_error error;
    pith_status status = pith_generate(s, prompt, sizeof prompt / sizeof prompt[0], &params, append,
                                       out, usage, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_session_free(s);
}

TEST(ranks_use, speculation_writes_the_same_text) {
    static text expected, actual;
    const char *path = test_ranks_write(PITH_TYPE_INT4);
    pith_usage usage = {0};
    pith_usage usage_alone = {0};
    pith_model *alone = test_open_alone(path);
    pith_session *draft = test_session(alone, (pith_session_options){.n_context = 100});
    generate(alone, NULL, &expected, &usage_alone);
    for (size_t n = 2; n <= 3; n++) {
        test_ranks ranks = {0};
        const pith_model *model = test_ranks_run(&ranks, path, n);
        actual.n = 0;
        generate(model, NULL, &actual, &usage);
        CHECK(actual.n == expected.n && memcmp(actual.bytes, expected.bytes, actual.n) == 0,
              "%zu ranks write \"%.*s\"", n, (int)actual.n, actual.bytes);
        CHECK(usage.drafted_tokens == usage_alone.drafted_tokens && usage.drafted_tokens > 0,
              "%zu and %zu tokens were drafted", usage.drafted_tokens, usage_alone.drafted_tokens);
        actual.n = 0;
        generate(model, draft, &actual, &usage);
        CHECK(actual.n == expected.n && memcmp(actual.bytes, expected.bytes, actual.n) == 0 &&
                  usage.accepted_tokens > 10,
              "%zu ranks with a draft write \"%.*s\", %zu", n, (int)actual.n, actual.bytes,
              usage.accepted_tokens);
        test_ranks_end(&ranks);
    }
    pith_session_free(draft);
    pith_model_free(alone);
    CHECK_NO_LEAKS();
}

/* ---- Shares ---------------------------------------------------------------------------------- */

static void check_borders(const char *name, const char *what, const size_t *borders, size_t n_ranks,
                          size_t end, size_t unit) {
    CHECK(borders[0] == 0 && borders[n_ranks] == end, "%s: %s of %zu ranks end at %zu, not %zu",
          name, what, n_ranks, borders[n_ranks], end);
    for (size_t r = 0; r < n_ranks; r++) {
        CHECK(borders[r] <= borders[r + 1] && borders[r] % unit == 0, "%s: %s of %zu ranks: %zu",
              name, what, n_ranks, borders[r]);
    }
}

/* Bytes of a decoder of int4 that one rank holds; all of them with n_ranks 1. */
static size_t held_bytes(const pith_shape *shape, size_t rank, size_t n_ranks) {
    const pith_config *c = &shape->config;
    const pith_shares shares = pith_shares_of(c, rank, n_ranks);
    size_t bytes = 0;
    for (unsigned part = 0; part < pith_family_n_parts(shape->family); part++) {
        const pith_rule *rule = pith_family_rule(shape->family, part);
        pith_slot slot;
        for (size_t i = 0; pith_family_slot(shape->family, c, part, i, &slot); i++) {
            pith_type type = slot.kind == PITH_KIND_TABLE  ? PITH_TYPE_F32
                             : slot.kind == PITH_KIND_HEAD ? PITH_TYPE_INT8
                                                           : PITH_TYPE_INT4;
            size_t rows = n_ranks == 1 ? slot.rows
                                       : pith_shares_held(&shares, c, rule->rows, slot.rows).n_rows;
            bytes += slot.is_matrix ? rows / 16 * pith_matrix_tile_bytes(type, slot.cols)
                                    : slot.rows * sizeof(float);
        }
    }
    return bytes;
}

TEST(ranks_use, borders_of_all_shapes) {
    for (size_t i = 0; pith_shape_at(i) != NULL; i++) {
        const pith_shape *shape = pith_shape_at(i);
        const pith_config *c = &shape->config;
        for (size_t n = 2; n <= PITH_MAX_RANKS && c->role == PITH_DECODER; n++) {
            const pith_shares s = pith_shares_of(c, 0, n);
            size_t of_q = c->num_attention_heads / c->num_key_value_heads * c->head_dim;
            check_borders(shape->name, "KV heads", s.kv_heads, n, c->num_key_value_heads, 1);
            check_borders(shape->name, "q", s.q, n, c->num_attention_heads * c->head_dim, of_q);
            check_borders(shape->name, "mlp", s.mlp, n, pith_round_up(c->intermediate_size, 16),
                          16);
            check_borders(shape->name, "hidden", s.hidden, n, pith_round_up(c->hidden_size, 16),
                          16);
            check_borders(shape->name, "vocab", s.vocab, n, pith_round_up(c->vocab_size, 16), 16);
        }
    }
}

/* Two ranks of a 13B model hold at most 53 % of it each, four at most 28 %. */
TEST(ranks_use, shares_are_about_equal) {
    const pith_shape *shape = NULL;
    pith_error error;
    CHECK(pith_shape_find(&shape, "llama2-13b", &error) == PITH_OK, "%s", error.message);
    double whole = (double)held_bytes(shape, 0, 1);
    for (size_t n = 2; n <= 4; n++) {
        double sum = 0;
        for (size_t r = 0; r < n; r++) {
            double share = (double)held_bytes(shape, r, n) / whole;
            sum += share;
            CHECK(share <= 1.06 / (double)n + 0.01, "rank %zu of %zu holds %.4f", r, n, share);
        }
        CHECK(sum >= 1 && sum < 1.01, "%zu ranks hold %.4f", n, sum);
    }
}
