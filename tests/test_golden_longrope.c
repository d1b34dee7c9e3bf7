/* LongRoPE: a session's context decides which of the two lists of factors turns its keys. Both
 * against numpy's logits; sessions of both kinds in one batch; forks and files. */
#include "tests/golden.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

/* The checkpoint's original context, and a longer one. */
enum { ORIGINAL = 64, LONGER = 512, VOCAB = 256, MOST = 130 };

static const char NAME[] = "extra/phi3-longrope";

static pith_session *session_of(const pith_model *model, size_t n_context) {
    const pith_session_options options = {.n_context = n_context, .all_logits = true};
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, &options, &error) == PITH_OK, "%s", error.message);
    return session;
}

/* Logits [n, VOCAB] of the first n tokens in a session of this context. */
static void logits_of(const pith_model *model, size_t n_context, const int32_t *ids, size_t n,
                      float *out) {
    pith_session *session = session_of(model, n_context);
    test_golden_eval(session, ids, n);
    for (size_t t = 0; t < n; t++) {
        memcpy(out + t * VOCAB, pith_session_logits_at(session, t), VOCAB * sizeof *out);
    }
    pith_session_free(session);
}

static void check_prompt(const pith_model *model, const char *isa, const test_npz *expected,
                         size_t p) {
    static float actual[MOST * VOCAB];
    const test_array *ids = test_npz_ints(expected, "ids", p);
    const test_array *positions = test_npz_ints(expected, "positions", p);
    const test_array *logits = test_npz_floats(expected, "logits", p);
    const test_array *greedy = test_npz_ints(expected, "greedy", p);
    const size_t n_context = ids->count <= ORIGINAL ? ORIGINAL : LONGER;
    float largest = 0;
    logits_of(model, n_context, ids->data.ints, ids->count, actual);
    for (size_t i = 0; i < positions->count; i++) {
        const float *row = actual + (size_t)positions->data.ints[i] * VOCAB;
        const float *wanted = logits->data.floats + i * VOCAB;
        size_t at = test_golden_differs(row, wanted, VOCAB, 5e-4F, &largest);
        CHECK(at == VOCAB, "%s, prompt %zu, position %d: logit %zu is %.9g, expected %.9g", isa, p,
              (int)positions->data.ints[i], at, (double)row[at], (double)wanted[at]);
    }
    size_t first = test_golden_argmax(actual + (ids->count - 1) * VOCAB, VOCAB);
    CHECK((int32_t)first == greedy->data.ints[0], "%s, prompt %zu: token %zu, expected %d", isa, p,
          first, (int)greedy->data.ints[0]);
}

TEST(golden_longrope, both_lists_give_the_reference_logits) {
    test_npz *expected = test_golden_expected(NAME);
    for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
        const char *isa = test_golden_isa(i);
        pith_model *model = test_golden_open(NAME, PITH_TYPE_F32, isa, 2, PITH_BLAS_OFF);
        for (size_t p = 0; p < TEST_GOLDEN_PROMPTS; p++) {
            check_prompt(model, isa, expected, p);
        }
        pith_model_free(model);
    }
    test_npz_free(expected);
    CHECK_NO_LEAKS();
}

/* The list is the context's, not the position's: one more position changes them all. */
TEST(golden_longrope, the_context_alone_chooses_the_list) {
    static float of_64[33 * VOCAB], of_40[33 * VOCAB], of_65[33 * VOCAB], of_512[33 * VOCAB];
    test_npz *expected = test_golden_expected(NAME);
    const int32_t *ids = test_npz_ints(expected, "ids", 2)->data.ints;
    pith_model *model = test_golden_open(NAME, PITH_TYPE_F32, NULL, 1, PITH_BLAS_OFF);
    logits_of(model, ORIGINAL, ids, 33, of_64);
    logits_of(model, 40, ids, 33, of_40);
    logits_of(model, ORIGINAL + 1, ids, 33, of_65);
    logits_of(model, LONGER, ids, 33, of_512);
    CHECK(memcmp(of_64, of_40, sizeof of_64) == 0, "40 and 64 positions differ");
    CHECK(memcmp(of_65, of_512, sizeof of_65) == 0, "65 and 512 positions differ");
    float largest = 0;
    CHECK(test_golden_differs(of_64, of_65, VOCAB, 1e-4F, &largest) == VOCAB,
          "position 0 turns by no angle, and yet differs by %g", (double)largest);
    size_t at = test_golden_differs(of_64 + 32 * VOCAB, of_65 + 32 * VOCAB, VOCAB, 0.05F, &largest);
    CHECK(at < VOCAB, "the lists differ by %g at most", (double)largest);
    pith_model_free(model);
    test_npz_free(expected);
}

/* Evaluates the prompt in sessions of both contexts in one batch, `chunk` tokens at a time, and
 * compares with each alone. */
static void check_batch(const pith_model *model, const int32_t *ids, size_t chunk,
                        const float *const wanted[2], const char *what) {
    pith_session *sessions[2] = {session_of(model, ORIGINAL), session_of(model, LONGER)};
    pith_error error;
    for (size_t first = 0; first < 33; first += chunk) {
        const size_t n = 33 - first < chunk ? 33 - first : chunk;
        const int32_t *const tokens[2] = {ids + first, ids + first};
        const size_t counts[2] = {n, n};
        CHECK(pith_batch_eval(sessions, 2, tokens, counts, &error) == PITH_OK, "%s", error.message);
        for (size_t s = 0; s < 2; s++) {
            for (size_t t = 0; t < n; t++) {
                const float *row = pith_session_logits_at(sessions[s], t);
                CHECK(memcmp(row, wanted[s] + (first + t) * VOCAB, VOCAB * sizeof *row) == 0,
                      "%s, chunks of %zu: session %zu, token %zu differs from alone", what, chunk,
                      s, first + t);
            }
        }
    }
    pith_session_free(sessions[0]);
    pith_session_free(sessions[1]);
}

TEST(golden_longrope, sessions_of_both_contexts_share_a_batch) {
    static const pith_type types[] = {PITH_TYPE_F32, PITH_TYPE_INT8, PITH_TYPE_INT4};
    static float of_short[33 * VOCAB], of_long[33 * VOCAB];
    static const float *const wanted[2] = {of_short, of_long};
    test_npz *expected = test_golden_expected(NAME);
    const int32_t *ids = test_npz_ints(expected, "ids", 2)->data.ints;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        pith_model *model = test_golden_open(NAME, types[t], "scalar", 1, PITH_BLAS_OFF);
        logits_of(model, ORIGINAL, ids, 33, of_short);
        logits_of(model, LONGER, ids, 33, of_long);
        pith_model_free(model);
        for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
            model = test_golden_open(NAME, types[t], test_golden_isa(i), 3, PITH_BLAS_OFF);
            check_batch(model, ids, 33, wanted, test_golden_isa(i));
            check_batch(model, ids, 7, wanted, test_golden_isa(i));
            check_batch(model, ids, 1, wanted, test_golden_isa(i));
            pith_model_free(model);
        }
    }
    test_npz_free(expected);
    CHECK_NO_LEAKS();
}

/* ---- Keys that have been turned already ------------------------------------------------------ */

static void check_continues(pith_session *session, const int32_t *ids, const float *wanted,
                            const char *what) {
    size_t n = pith_session_length(session);
    test_golden_eval(session, ids + n, 33 - n);
    for (size_t t = n; t < 33; t++) {
        const float *row = pith_session_logits_at(session, t - n);
        CHECK(memcmp(row, wanted + t * VOCAB, VOCAB * sizeof *row) == 0, "%s: token %zu", what, t);
    }
    pith_session_free(session);
}

static void check_load(const pith_model *model, const char *path, size_t n_context,
                       const char *words) {
    const pith_session_options options = {.n_context = n_context, .all_logits = true};
    pith_session *session = NULL;
    pith_error error = {0};
    pith_status status = pith_session_load(&session, model, path, &options, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, words) != NULL && session == NULL,
          "a context of %zu: %s: %s", n_context, pith_status_name(status), error.message);
}

static void check_state(const pith_model *model, const int32_t *ids, size_t n_context,
                        size_t other_context, size_t wrong_context, const char *words) {
    static float wanted[33 * VOCAB];
    const char *path = test_path("longrope.session");
    const pith_session_options options = {.n_context = other_context, .all_logits = true};
    pith_error error;
    logits_of(model, n_context, ids, 33, wanted);
    pith_session *session = session_of(model, n_context);
    test_golden_eval(session, ids, 20);
    pith_session *fork = NULL;
    pith_session *loaded = NULL;
    CHECK(pith_session_fork(&fork, session, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_save(session, path, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_load(&loaded, model, path, &options, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_session_rewind(session, 11, &error) == PITH_OK, "%s", error.message);
    check_continues(session, ids, wanted, "rewound");
    check_continues(fork, ids, wanted, "a fork");
    check_continues(loaded, ids, wanted, "loaded");
    check_load(model, path, wrong_context, words);
}

TEST(golden_longrope, a_timeline_keeps_its_list) {
    test_npz *expected = test_golden_expected(NAME);
    const int32_t *ids = test_npz_ints(expected, "ids", 2)->data.ints;
    pith_model *model = test_golden_open(NAME, PITH_TYPE_F32, NULL, 2, PITH_BLAS_OFF);
    check_state(model, ids, ORIGINAL, 40, 65, "other factors of longrope: rope is short, not long");
    check_state(model, ids, ORIGINAL, 64, 0, "rope is short, not long");
    check_state(model, ids, LONGER, 65, 64, "rope is long, not short");
    pith_model_free(model);
    test_npz_free(expected);
    CHECK_NO_LEAKS();
}
