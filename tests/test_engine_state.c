/* Sessions forked, saved, loaded and reused: the same logits afterwards, and nothing else accepted.
 */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/session.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, N = 37 };

static const pith_type all_types[] = {PITH_TYPE_F32, PITH_TYPE_F16, PITH_TYPE_BF16, PITH_TYPE_INT8,
                                      PITH_TYPE_INT4};
static const pith_kv_type kv_types[] = {PITH_KV_F32, PITH_KV_F16, PITH_KV_INT8};

static pith_model *open_model(pith_type type, uint64_t seed, const pith_allocator *allocator) {
    const char *path = test_path("state.pith");
    test_write_tiny_model(path, type, seed);
    pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF, .allocator = allocator};
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

/* A session over the first n of the tokens that `seed` gives. */
static pith_session *session_of(const pith_model *model, const pith_session_options *options,
                                uint64_t seed, size_t n) {
    int32_t tokens[128];
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
    }
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_new(&session, model, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    if (n != 0) {
        status = pith_session_eval(session, tokens, n, &error);
        CHECK(status == PITH_OK, "%s", error.message);
    }
    return session;
}

/* Checks that both sessions have the same timeline, cache (by the logits of what follows) and
 * logits. */
static void check_same(pith_session *a, pith_session *b, const char *what) {
    CHECK(a->n_tokens == b->n_tokens, "%s: %zu and %zu tokens", what, a->n_tokens, b->n_tokens);
    CHECK(memcmp(a->tokens, b->tokens, a->n_tokens * sizeof *a->tokens) == 0, "%s: tokens", what);
    for (int32_t token = 5; token < 10; token++) {
        const float *x = pith_session_logits(a);
        const float *y = pith_session_logits(b);
        CHECK((x == NULL) == (y == NULL), "%s: only one has logits", what);
        for (size_t i = 0; x != NULL && i < VOCAB; i++) {
            CHECK(memcmp(&x[i], &y[i], sizeof *x) == 0,
                  "%s: after %zu tokens logit %zu is %.9g, expected %.9g", what, a->n_tokens, i,
                  (double)y[i], (double)x[i]);
        }
        pith_error error;
        pith_status status = pith_session_eval(a, &token, 1, &error);
        CHECK(status == PITH_OK, "%s: %s", what, error.message);
        status = pith_session_eval(b, &token, 1, &error);
        CHECK(status == PITH_OK, "%s: %s", what, error.message);
    }
}

static pith_session *load(const pith_model *model, const char *path,
                          const pith_session_options *options) {
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_load(&session, model, path, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return session;
}

static void save(const pith_session *session, const char *path) {
    pith_error error;
    pith_status status = pith_session_save(session, path, &error);
    CHECK(status == PITH_OK, "%s", error.message);
}

TEST(engine_state, forks_and_loaded_sessions_continue_alike_in_every_type) {
    const char *path = test_path("saved.session");
    for (size_t t = 0; t < sizeof all_types / sizeof *all_types; t++) {
        pith_model *model = open_model(all_types[t], 1, NULL);
        for (size_t k = 0; k < sizeof kv_types / sizeof *kv_types; k++) {
            char what[40];
            snprintf(what, sizeof what, "type %d, kv %d", (int)all_types[t], (int)kv_types[k]);
            pith_session_options options = {.kv_type = kv_types[k]};
            pith_session_options small = {.n_context = 64, .n_batch = 3};
            pith_session *session = session_of(model, &options, t, N);
            pith_session *reference = session_of(model, &options, t, N);
            save(session, path);
            pith_session *fork = NULL;
            pith_error error;
            pith_status status = pith_session_fork(&fork, session, &error);
            CHECK(status == PITH_OK, "%s", error.message);
            pith_session *loaded = load(model, path, &small);
            CHECK(loaded->kv.shape.type == kv_types[k], "%s: loaded as %d", what,
                  (int)loaded->kv.shape.type);
            /* What the original does next must not be seen by the others. */
            const int32_t other = 250;
            status = pith_session_rewind(session, 3, &error);
            CHECK(status == PITH_OK, "%s", error.message);
            status = pith_session_eval(session, &other, 1, &error);
            CHECK(status == PITH_OK, "%s", error.message);
            pith_session_free(session);
            session = session_of(model, &options, t, N);
            check_same(session, fork, what);
            check_same(reference, loaded, what);
            pith_session_free(session);
            pith_session_free(reference);
            pith_session_free(fork);
            pith_session_free(loaded);
        }
        pith_model_free(model);
    }
    CHECK_NO_LEAKS();
}

TEST(engine_state, forks_have_the_options_of_the_original) {
    pith_model *model = open_model(PITH_TYPE_INT8, 1, NULL);
    pith_session_options options = {.n_context = 40,
                                    .n_batch = 7,
                                    .kv_type = PITH_KV_F32,
                                    .all_logits = true};
    pith_session *empty = session_of(model, &options, 2, 0);
    pith_session *full = session_of(model, &options, 2, 20);
    pith_session *forks[2] = {NULL, NULL};
    pith_error error;
    CHECK(pith_session_fork(&forks[0], empty, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_fork(&forks[1], full, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 2; i++) {
        CHECK(forks[i]->n_context == 40 && forks[i]->n_batch == 7 &&
                  forks[i]->kv.shape.type == PITH_KV_F32 && forks[i]->all_logits,
              "fork %zu has other options", i);
    }
    CHECK(pith_session_logits(forks[0]) == NULL, "logits from nowhere");
    for (size_t i = 0; i < 20; i++) {
        CHECK(memcmp(pith_session_logits_at(forks[1], i), pith_session_logits_at(full, i),
                     VOCAB * sizeof(float)) == 0,
              "row %zu differs", i);
    }
    check_same(empty, forks[0], "empty");
    check_same(full, forks[1], "all logits");
    CHECK(pith_session_fork(NULL, full, &error) == PITH_ERROR_ARGUMENT, "null accepted");
    pith_session_free(empty);
    pith_session_free(full);
    pith_session_free(forks[0]);
    pith_session_free(forks[1]);
    pith_model_free(model);
}

TEST(engine_state, reuse_keeps_the_common_beginning_short_of_the_last_token) {
    pith_model *model = open_model(PITH_TYPE_INT8, 1, NULL);
    static const struct {
        size_t differs; /* index of the first token that differs; 99: none */
        size_t n, kept;
    } cases[] = {{99, 30, 20}, {99, 20, 19}, {99, 5, 4},   {99, 1, 0},
                 {0, 9, 0},    {7, 30, 7},   {19, 30, 19}, {20, 30, 20}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        pith_session *session = session_of(model, NULL, 3, 20);
        int32_t tokens[30];
        memset(tokens, 0, sizeof tokens);
        memcpy(tokens, session->tokens, 20 * sizeof *tokens);
        if (cases[c].differs != 99) {
            tokens[cases[c].differs] = 299 - tokens[cases[c].differs];
        }
        size_t kept = 77;
        pith_error error;
        pith_status status = pith_session_reuse(session, tokens, cases[c].n, &kept, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(kept == cases[c].kept && pith_session_length(session) == kept,
              "case %zu: kept %zu, length %zu, expected %zu", c, kept, pith_session_length(session),
              cases[c].kept);
        CHECK((pith_session_logits(session) == NULL) == (kept < 20), "case %zu: logits", c);
        status = pith_session_eval(session, tokens + kept, cases[c].n - kept, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        pith_session *fresh = session_of(model, NULL, 3, 0);
        status = pith_session_eval(fresh, tokens, cases[c].n, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        check_same(fresh, session, "reused");
        status = pith_session_reuse(session, tokens, 0, &kept, &error);
        CHECK(status == PITH_ERROR_ARGUMENT, "no tokens: %d", (int)status);
        pith_session_free(session);
        pith_session_free(fresh);
    }
    pith_model_free(model);
}

TEST(engine_state, logits_are_saved_only_when_there_are_some) {
    pith_model *model = open_model(PITH_TYPE_INT4, 1, NULL);
    const char *path = test_path("saved.session");
    pith_session_options all = {.all_logits = true};
    pith_session *session = session_of(model, &all, 4, 12);
    save(session, path);
    pith_session *loaded = load(model, path, &all);
    CHECK(memcmp(pith_session_logits(loaded), pith_session_logits(session),
                 VOCAB * sizeof(float)) == 0,
          "logits differ");
    CHECK(pith_session_logits_at(loaded, 1) == NULL, "more rows than were saved");
    pith_session_free(loaded);
    pith_error error;
    CHECK(pith_session_rewind(session, 9, &error) == PITH_OK, "%s", error.message);
    save(session, path);
    loaded = load(model, path, NULL);
    CHECK(pith_session_logits(loaded) == NULL, "logits after a rewind");
    check_same(session, loaded, "rewound");
    CHECK(pith_session_rewind(session, 0, &error) == PITH_OK, "%s", error.message);
    pith_status status = pith_session_save(session, path, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "an empty session: %d", (int)status);
    pith_session_free(session);
    pith_session_free(loaded);
    pith_model_free(model);
}

static void check_refused(const pith_model *model, const char *path,
                          const pith_session_options *options, pith_status expected,
                          const char *word) {
    pith_session *session = NULL;
    pith_error error = {.status = PITH_OK};
    pith_status status = pith_session_load(&session, model, path, options, &error);
    CHECK(status == expected && session == NULL && strstr(error.message, word) != NULL,
          "status %d, expected %d with \"%s\": %s", (int)status, (int)expected, word,
          error.message);
}

TEST(engine_state, what_does_not_fit_is_refused_by_name) {
    const char *path = test_path("saved.session");
    pith_model *model = open_model(PITH_TYPE_INT8, 1, NULL);
    pith_session *session = session_of(model, NULL, 5, 20);
    save(session, path);
    pith_session_options options = {.kv_type = PITH_KV_F32};
    check_refused(model, path, &options, PITH_ERROR_ARGUMENT, "cache of f16");
    options = (pith_session_options){.n_context = 19};
    check_refused(model, path, &options, PITH_ERROR_CONTEXT, "20 tokens");
    options.n_context = 20;
    pith_session_free(load(model, path, &options));
    check_refused(model, test_path("absent.session"), NULL, PITH_ERROR_IO, "absent.session");
    check_refused(model, test_path("state.pith"), NULL, PITH_ERROR_FORMAT, "not a session file");
    check_refused(model, test_directory(), NULL, PITH_ERROR_FORMAT, "regular");

    pith_model *other = open_model(PITH_TYPE_INT8, 2, NULL);
    check_refused(other, path, NULL, PITH_ERROR_FORMAT, "another model: model is");
    pith_model_free(other);
    other = open_model(PITH_TYPE_INT4, 1, NULL);
    check_refused(other, path, NULL, PITH_ERROR_FORMAT, "type is int8, not int4");
    pith_model_free(other);
    other = open_model(PITH_TYPE_INT8, 1, NULL);
    pith_session_free(load(other, path, NULL));
    pith_model_free(other);

    pith_error error;
    pith_status status = pith_session_save(session, test_path("no/such/place"), &error);
    CHECK(status == PITH_ERROR_IO, "status %d", (int)status);
    status = pith_session_save(session, test_directory(), &error);
    CHECK(status == PITH_ERROR_FORMAT, "status %d: %s", (int)status, error.message);
    pith_session_free(session);
    pith_model_free(model);
}

/* Values that no session holds, in files whose checksum is right. */
TEST(engine_state, impossible_values_are_refused) {
    const char *path = test_path("saved.session");
    pith_model *model = open_model(PITH_TYPE_F16, 1, NULL);
    for (size_t k = 0; k < sizeof kv_types / sizeof *kv_types; k++) {
        pith_session_options options = {.kv_type = kv_types[k]};
        static const int32_t tokens[] = {VOCAB, -1, INT32_MIN};
        for (size_t i = 0; i < 3; i++) {
            pith_session *session = session_of(model, &options, 6, 20);
            session->tokens[i] = tokens[i];
            save(session, path);
            check_refused(model, path, NULL, PITH_ERROR_FORMAT, "vocabulary");
            pith_session_free(session);
        }
        for (size_t i = 0; i < 3; i++) {
            static const char *const names[] = {"logits", "layers.1.k", "layers.0.v"};
            pith_session *session = session_of(model, &options, 6, 20);
            float *place[] = {session->logits + 7,
                              (float *)(uintptr_t)pith_kv_keys(&session->kv, 1, 0, 1),
                              (float *)(uintptr_t)pith_kv_values(&session->kv, 0, 0, 19)};
            if (i == 0 || kv_types[k] == PITH_KV_F32) {
                *place[i] = k == 0 ? NAN : INFINITY;
            } else if (kv_types[k] == PITH_KV_INT8) {
                *(int8_t *)(void *)place[i] = INT8_MIN;
            } else {
                *(uint16_t *)(void *)place[i] = 0xfc00;
            }
            save(session, path);
            check_refused(model, path, NULL, PITH_ERROR_FORMAT, names[i]);
            pith_session_free(session);
        }
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_state, impossible_scales_are_refused) {
    static const float bad[] = {NAN, INFINITY, -1.0F, -INFINITY};
    const char *path = test_path("saved.session");
    pith_model *model = open_model(PITH_TYPE_F16, 1, NULL);
    const pith_session_options options = {.kv_type = PITH_KV_INT8};
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        pith_session *session = session_of(model, &options, 6, 20);
        float *scale = i % 2 == 0 ? pith_kv_key_scales(&session->kv, 0, 0, 19)
                                  : pith_kv_value_scales(&session->kv, 1, 0, 3);
        *scale = bad[i / 2];
        save(session, path);
        check_refused(model, path, NULL, PITH_ERROR_FORMAT,
                      i % 2 == 0 ? "layers.0.k_scales" : "layers.1.v_scales");
        pith_session_free(session);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* Cut anywhere or with any bit flipped, a file is refused, or gives the session it held. */
TEST(engine_state, damaged_files_are_refused_or_harmless) {
    const char *path = test_path("saved.session");
    const char *bad = test_path("bad.session");
    pith_model *model = open_model(PITH_TYPE_INT4, 1, NULL);
    pith_session_options options = {.n_context = 16, .n_batch = 4};
    pith_session *session = session_of(model, &options, 7, 5);
    save(session, path);
    size_t size = 0;
    unsigned char *bytes = test_read_file(path, &size);
    for (size_t n = 0; n < size; n += n < 4096 ? 97 : 13) {
        test_write_file(bad, bytes, n);
        pith_session *loaded = NULL;
        pith_error error;
        pith_status status = pith_session_load(&loaded, model, bad, &options, &error);
        CHECK(status == PITH_ERROR_FORMAT && loaded == NULL, "cut to %zu: %d", n, (int)status);
    }
    size_t n_accepted = 0;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] == ' ' && i % 50 != 0) {
            continue; /* padding */
        }
        unsigned char flip = (unsigned char)(1U << i % 8);
        bytes[i] ^= flip;
        test_write_file(bad, bytes, size);
        bytes[i] ^= flip;
        pith_session *loaded = NULL;
        pith_error error;
        pith_status status = pith_session_load(&loaded, model, bad, &options, &error);
        if (status == PITH_OK) {
            CHECK(memcmp(loaded->tokens, session->tokens, 5 * sizeof(int32_t)) == 0 &&
                      memcmp(loaded->logits, session->logits, VOCAB * sizeof(float)) == 0,
                  "byte %zu: another session", i);
            n_accepted++;
            pith_session_free(loaded);
        }
        CHECK(i < 4096 || status != PITH_OK, "byte %zu of %zu flipped unnoticed", i, size);
    }
    CHECK(n_accepted < 60, "%zu flips accepted", n_accepted);
    free(bytes);
    pith_session_free(session);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* The fuzz harness starts from sessions that load. */
TEST(engine_state, fuzz_seeds_are_sessions) {
    static const char *const names[] = {"f16", "f32-no-logits", "int8", "one"};
    pith_model *model = open_model(PITH_TYPE_INT8, 1, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char relative[60];
        snprintf(relative, sizeof relative, "tests/fuzz/corpus/session/%s", names[i]);
        size_t size = 0;
        unsigned char *seed = test_read_file(test_root(relative), &size);
        unsigned char *file = calloc(1, size + 4);
        CHECK(file != NULL && size > 4, "%s has %zu bytes", names[i], size);
        memcpy(file, seed, 4); /* the length field has 8 bytes, of the seed 4 */
        memcpy(file + 8, seed + 4, size - 4);
        const char *path = test_path("seed.session");
        test_write_file(path, file, size + 4);
        pith_session_free(load(model, path, NULL));
        free(file);
        free(seed);
    }
    pith_model_free(model);
}

static size_t count_files(const char *directory) {
    DIR *listing = opendir(directory);
    size_t n = 0;
    while (listing != NULL && readdir(listing) != NULL) {
        n++;
    }
    closedir(listing);
    return n;
}

/* Every allocation of a fork, a save and a load made to fail in turn. */
TEST(engine_state, failed_allocations_leave_nothing_behind) {
    const char *path = test_path("saved.session");
    test_allocator failing;
    test_allocator_init(&failing);
    pith_model *model = open_model(PITH_TYPE_INT8, 1, &failing.allocator);
    pith_session *session = session_of(model, NULL, 8, 20);
    size_t live = failing.n_live;
    size_t files = count_files(test_directory());
    size_t n_failed = 0;
    for (int step = 0; step < 3; step++) {
        for (size_t k = 1;; k++) {
            pith_session *made = NULL;
            pith_error error = {.status = PITH_OK};
            failing.fail_at = failing.n_calls + k;
            pith_status status = step == 0   ? pith_session_fork(&made, session, &error)
                                 : step == 1 ? pith_session_save(session, path, &error)
                                             : pith_session_load(&made, model, path, NULL, &error);
            failing.fail_at = 0;
            if (status == PITH_OK) {
                pith_session_free(made);
                break;
            }
            n_failed++;
            CHECK(status == PITH_ERROR_MEMORY, "step %d at %zu: status %d: %s", step, k,
                  (int)status, error.message);
            CHECK(made == NULL && failing.n_live == live, "step %d at %zu: blocks leaked", step, k);
            CHECK(step != 1 || count_files(test_directory()) == files,
                  "a failed save at %zu left a file", k);
        }
        CHECK(failing.n_live == live, "step %d leaks", step);
    }
    CHECK(n_failed > 20, "only %zu allocations", n_failed);
    CHECK(access(path, F_OK) == 0, "nothing was saved");
    pith_session_free(session);
    pith_model_free(model);
    CHECK(failing.n_live == 0, "%zu blocks leaked", (size_t)failing.n_live);
}
