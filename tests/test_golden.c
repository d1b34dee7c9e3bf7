/* f32 against the outputs of other implementations: logits at every position, greedy continuations,
 * hidden states; every checkpoint under golden/, every instruction set, with OpenBLAS and without.
 * golden/README.md says where the values come from and what typical mistakes cost. */
#include "tests/golden.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

/* The implementations compared in golden/README.md differ by up to 4e-5. */
static const float LIMIT = 5e-4f;

typedef void check_fn(const char *where, const pith_model *model, const test_npz *expected);

static void run_with_blas(const char *name, const char *isa, pith_blas blas,
                          const test_npz *expected, check_fn *check) {
    char where[128];
    pith_model_info info;
    pith_model *model = test_golden_open(name, PITH_TYPE_F32, isa, 2, blas);
    pith_model_get_info(model, &info);
    snprintf(where, sizeof where, "%s, %s kernels, BLAS %s", name, info.isa,
             info.blas ? "on" : "off");
    CHECK(strcmp(info.isa, isa) == 0, "%s: asked for %s", where, isa);
    CHECK(blas != PITH_BLAS_OFF || !info.blas, "%s: asked for it off", where);
    check(where, model, expected);
    pith_model_free(model);
}

/* Calls `check` for every checkpoint, instruction set and BLAS setting. */
static void run_everywhere(check_fn *check) {
    for (size_t c = 0; test_golden_names[c] != NULL; c++) {
        const char *name = test_golden_names[c];
        test_npz *expected = test_golden_expected(name);
        for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
            run_with_blas(name, test_golden_isa(i), PITH_BLAS_OFF, expected, check);
            run_with_blas(name, test_golden_isa(i), PITH_BLAS_AUTO, expected, check);
        }
        test_npz_free(expected);
    }
    CHECK_NO_LEAKS();
}

static void check_prompts(const char *where, const pith_model *model, const test_npz *expected,
                          size_t begin, size_t end) {
    for (size_t p = begin; p < end; p++) {
        const test_array *ids = test_npz_ints(expected, "ids", p);
        const test_array *positions = test_npz_ints(expected, "positions", p);
        const test_array *logits = test_npz_floats(expected, "logits", p);
        size_t n_vocab = logits->shape[1];
        float largest = 0;
        pith_session *session = test_golden_session(model, 0);
        test_golden_eval(session, ids->data.ints, ids->count);
        for (size_t i = 0; i < positions->count; i++) {
            size_t position = (size_t)positions->data.ints[i];
            const float *actual = pith_session_logits_at(session, position);
            CHECK(actual != NULL, "%s, prompt %zu: no logits at position %zu", where, p, position);
            const float *wanted = logits->data.floats + i * n_vocab;
            size_t at = test_golden_differs(actual, wanted, n_vocab, LIMIT, &largest);
            CHECK(at == n_vocab, "%s, prompt %zu, position %zu: logit %zu is %.9g, expected %.9g",
                  where, p, position, at, (double)actual[at], (double)wanted[at]);
        }
        pith_session_free(session);
    }
}

static void check_logits(const char *where, const pith_model *model, const test_npz *expected) {
    check_prompts(where, model, expected, 0, TEST_GOLDEN_PROMPTS);
}

TEST(golden, f32_logits_match_at_every_position) {
    run_everywhere(check_logits);
}

/* The fifth prompt has 300 tokens: more than llama-yarn's original context of 256, and more than
 * six windows of qwen2-window. */
static void check_long(const char *where, const pith_model *model, const test_npz *expected) {
    check_prompts(where, model, expected, TEST_GOLDEN_PROMPTS, TEST_GOLDEN_PROMPTS + 1);
}

TEST(golden, f32_logits_match_of_long_prompts) {
    static const char *const names[] = {"llama-yarn", "llama3-v5", "qwen2-window", "qwen3",
                                        "smollm3"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        test_npz *expected = test_golden_expected(names[n]);
        for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
            run_with_blas(names[n], test_golden_isa(i), PITH_BLAS_OFF, expected, check_long);
        }
        test_npz_free(expected);
    }
    CHECK_NO_LEAKS();
}

static void check_greedy(const char *where, const pith_model *model, const test_npz *expected) {
    for (size_t p = 0; p < TEST_GOLDEN_PROMPTS; p++) {
        const test_array *ids = test_npz_ints(expected, "ids", p);
        const test_array *greedy = test_npz_ints(expected, "greedy", p);
        size_t n_vocab = test_npz_floats(expected, "logits", p)->shape[1];
        pith_session *session = test_golden_session(model, 0);
        test_golden_eval(session, ids->data.ints, ids->count);
        for (size_t i = 0; i < greedy->count; i++) {
            int32_t token = (int32_t)test_golden_argmax(pith_session_logits(session), n_vocab);
            CHECK(token == greedy->data.ints[i], "%s, prompt %zu, step %zu: token %d, expected %d",
                  where, p, i, token, greedy->data.ints[i]);
            test_golden_eval(session, &token, 1);
        }
        pith_session_free(session);
    }
}

TEST(golden, f32_greedy_continuations_are_identical) {
    run_everywhere(check_greedy);
}

/* What an observer has to see: [0] embeddings, [l] after l layers, [n] after the final norm. */
typedef struct hidden_check {
    const char *where;
    const test_array *expected; /* [layers + 1, tokens, hidden] */
    size_t n_seen;
    char problem[256]; /* the callback must not end the test itself */
} hidden_check;

static bool hidden_index(const char *name, size_t n_layers, size_t *index) {
    size_t layer;
    int end = 0;
    if (strcmp(name, "model.embed_tokens") == 0) {
        *index = 0;
        return true;
    }
    if (strcmp(name, "model.norm") == 0) {
        *index = n_layers;
        return true;
    }
    if (sscanf(name, "model.layers.%zu%n", &layer, &end) != 1 || name[end] != '\0') {
        return false;
    }
    *index = layer + 1;
    return layer + 1 < n_layers;
}

static void observe_hidden(void *user, const char *name, const float *data, size_t n_rows,
                           size_t n_cols) {
    hidden_check *check = user;
    const size_t *shape = check->expected->shape;
    size_t index;
    float largest = 0;
    if (check->problem[0] != '\0' || !hidden_index(name, shape[0] - 1, &index)) {
        return;
    }
    if (n_rows != shape[1] || n_cols != shape[2]) {
        snprintf(check->problem, sizeof check->problem, "%s: %s is [%zu, %zu], not [%zu, %zu]",
                 check->where, name, n_rows, n_cols, shape[1], shape[2]);
        return;
    }
    size_t n = n_rows * n_cols;
    const float *wanted = check->expected->data.floats + index * n;
    size_t at = test_golden_differs(data, wanted, n, LIMIT, &largest);
    if (at != n) {
        snprintf(check->problem, sizeof check->problem,
                 "%s: %s, token %zu, element %zu is %.9g, expected %.9g", check->where, name,
                 at / n_cols, at % n_cols, (double)data[at], (double)wanted[at]);
    }
    check->n_seen++;
}

static void check_hidden(const char *where, const pith_model *model, const test_npz *expected) {
    const test_array *ids = test_npz_ints(expected, "ids", 1);
    hidden_check check = {.where = where, .expected = test_npz_floats(expected, "hidden", 1)};
    pith_session *session = test_golden_session(model, 0);
    pith_session_observe(session, observe_hidden, &check);
    test_golden_eval(session, ids->data.ints, ids->count);
    CHECK(check.problem[0] == '\0', "%s", check.problem);
    CHECK(check.n_seen == check.expected->shape[0], "%s: %zu hidden states seen, expected %zu",
          where, check.n_seen, check.expected->shape[0]);
    pith_session_free(session);
}

TEST(golden, f32_hidden_states_match_layer_by_layer) {
    run_everywhere(check_hidden);
}
