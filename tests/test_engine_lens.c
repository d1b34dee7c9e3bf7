/* The logit lens: the forward pass's own logits for the rows after its last layer, for any rows
 * what the formula says. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "engine/random_model.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { HIDDEN = 32, N = 40, LAYERS = 2 };

/* Types of linear layers and head, and rows of the head: not a multiple of 16, and one. */
typedef struct kind {
    pith_type type, head_type;
    size_t vocab;
} kind;

static const kind kinds[] = {
    {PITH_TYPE_F32, PITH_TYPE_F32, 300},   {PITH_TYPE_F16, PITH_TYPE_F16, 304},
    {PITH_TYPE_BF16, PITH_TYPE_BF16, 300}, {PITH_TYPE_INT8, PITH_TYPE_INT8, 304},
    {PITH_TYPE_INT4, PITH_TYPE_INT8, 300}, {PITH_TYPE_INT4, PITH_TYPE_INT4, 309},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

static pith_model *open_kind(const kind *k, size_t n_threads, const pith_allocator *allocator) {
    test_model description;
    test_model_default(&description, k->type);
    description.head_type = k->head_type;
    description.config.vocab_size = k->vocab;
    description.tokenizer = false;
    const char *path = test_path("lens.pith");
    test_write_model(path, &description);
    const pith_model_options options = {.n_threads = n_threads,
                                        .blas = PITH_BLAS_OFF,
                                        .allocator = allocator};
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

/* The residual stream of one eval: of the embedding, and after each layer. */
typedef struct stream {
    float rows[LAYERS + 1][N * HIDDEN];
    size_t n[LAYERS + 1];
} stream;

static void keep_rows(void *user, const char *name, const float *data, size_t n_rows,
                      size_t n_cols) {
    stream *s = user;
    static const char *const names[LAYERS + 1] = {"model.embed_tokens", "model.layers.0",
                                                  "model.layers.1"};
    for (size_t i = 0; i <= LAYERS; i++) {
        if (strcmp(name, names[i]) == 0) {
            memcpy(s->rows[i] + s->n[i] * n_cols, data, n_rows * n_cols * sizeof *data);
            s->n[i] += n_rows;
        }
    }
}

/* A session with the logits of all N tokens; what it saw goes to `seen`. */
static pith_session *eval_watched(const pith_model *model, size_t n_batch, stream *seen) {
    const pith_session_options options = {.n_batch = n_batch, .all_logits = true};
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_new(&session, model, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    int32_t tokens[N];
    uint64_t seed = 3;
    for (size_t i = 0; i < N; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % 300);
    }
    memset(seen, 0, sizeof *seen);
    pith_session_observe(session, keep_rows, seen);
    status = pith_session_eval(session, tokens, N, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    for (size_t i = 0; i <= LAYERS; i++) {
        CHECK(seen->n[i] == N, "layer %zu: %zu rows were seen", i, seen->n[i]);
    }
    return session;
}

TEST(engine_lens, the_last_layer_gives_the_sessions_logits) {
    static stream seen;
    static const size_t groups[] = {1, 7, N};
    for (size_t k = 0; k < N_KINDS; k++) {
        for (size_t n_threads = 1; n_threads <= 3; n_threads += 2) {
            const size_t vocab = kinds[k].vocab;
            pith_model *model = open_kind(&kinds[k], n_threads, NULL);
            pith_session *session = eval_watched(model, 17, &seen);
            /* The results end where nothing may be written. */
            float *logits = test_guarded(N * vocab * sizeof *logits);
            for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
                memset(logits, 0xff, N * vocab * sizeof *logits);
                for (size_t done = 0; done < N; done += groups[g]) {
                    size_t n = N - done < groups[g] ? N - done : groups[g];
                    pith_error error;
                    pith_status status = pith_logit_lens(model, seen.rows[LAYERS] + done * HIDDEN,
                                                         n, logits + done * vocab, &error);
                    CHECK(status == PITH_OK, "%s", error.message);
                }
                for (size_t i = 0; i < N; i++) {
                    CHECK(memcmp(logits + i * vocab, pith_session_logits_at(session, i),
                                 vocab * sizeof *logits) == 0,
                          "kind %zu, %zu threads, groups of %zu: row %zu differs", k, n_threads,
                          groups[g], i);
                }
            }
            test_guarded_free(logits, N * vocab * sizeof *logits);
            pith_session_free(session);
            pith_model_free(model);
        }
    }
    CHECK_NO_LEAKS();
}

/* More rows than one pass takes, in an order of their own. */
TEST(engine_lens, a_row_does_not_depend_on_its_company) {
    enum { MANY = 1100, VOCAB = 309 };
    static stream seen;
    static float rows[MANY * HIDDEN];
    static float logits[MANY * VOCAB];
    pith_model *model = open_kind(&kinds[5], 2, NULL);
    pith_session_free(eval_watched(model, 0, &seen));
    for (size_t i = 0; i < MANY; i++) {
        memcpy(rows + i * HIDDEN, seen.rows[i % (LAYERS + 1)] + i % N * HIDDEN,
               HIDDEN * sizeof *rows);
    }
    pith_error error;
    pith_status status = pith_logit_lens(model, rows, MANY, logits, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < MANY; i += 7) {
        float alone[VOCAB];
        status = pith_logit_lens(model, rows + i * HIDDEN, 1, alone, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(memcmp(alone, logits + i * VOCAB, sizeof alone) == 0, "row %zu differs", i);
    }
    pith_model_free(model);
}

/* H RMSNorm(x) in double precision. */
static double expected_logit(const pith_network *llama, const float *x, size_t token) {
    float weights[HIDDEN];
    double squares = 0;
    double sum = 0;
    pith_matrix_row(&llama->head, token, weights);
    for (size_t i = 0; i < HIDDEN; i++) {
        squares += (double)x[i] * (double)x[i];
    }
    double scale = 1 / sqrt(squares / HIDDEN + (double)llama->config.norm_eps);
    for (size_t i = 0; i < HIDDEN; i++) {
        sum += (double)x[i] * scale * (double)llama->norm.weight[i] * (double)weights[i];
    }
    return sum;
}

TEST(engine_lens, other_layers_give_what_the_formula_says) {
    enum { VOCAB = 300 };
    static stream seen;
    static float logits[N * VOCAB];
    pith_model *model = open_kind(&kinds[0], 2, NULL);
    pith_session_free(eval_watched(model, 0, &seen));
    for (size_t layer = 0; layer <= LAYERS; layer++) {
        pith_error error;
        pith_status status = pith_logit_lens(model, seen.rows[layer], N, logits, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        for (size_t i = 0; i < N * VOCAB; i++) {
            double expected =
                expected_logit(&model->network, seen.rows[layer] + i / VOCAB * HIDDEN, i % VOCAB);
            CHECK(fabs((double)logits[i] - expected) < 1e-5 * (1 + fabs(expected)),
                  "layer %zu, row %zu, token %zu: %.9g, expected %.9g", layer, i / VOCAB, i % VOCAB,
                  (double)logits[i], expected);
        }
    }
    pith_model_free(model);
}

TEST(engine_lens, bad_arguments_are_refused) {
    enum { VOCAB = 304 };
    static float rows[3 * HIDDEN];
    static float logits[3 * VOCAB];
    pith_model *model = open_kind(&kinds[3], 2, NULL);
    pith_error error;
    pith_status status = pith_logit_lens(NULL, rows, 1, logits, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "null model: %d", (int)status);
    status = pith_logit_lens(model, NULL, 1, logits, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "null rows: %d", (int)status);
    status = pith_logit_lens(model, rows, 1, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "null logits: %d", (int)status);
    status = pith_logit_lens(model, NULL, 0, NULL, &error);
    CHECK(status == PITH_OK, "no rows: %d", (int)status);
    for (size_t i = 0; i < 3 * HIDDEN; i++) {
        rows[i] = 1;
    }
    rows[2 * HIDDEN + 5] = NAN;
    status = pith_logit_lens(model, rows, 3, logits, &error);
    CHECK(status == PITH_ERROR_NUMERIC && strstr(error.message, "row 2") != NULL, "NaN: %d: %s",
          (int)status, error.message);
    pith_model_free(model);
}

TEST(engine_lens, an_encoder_has_no_head) {
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_random(&model, "minilm-l6", PITH_TYPE_INT8, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    float row = 0;
    float logit = 0;
    status = pith_logit_lens(model, &row, 1, &logit, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "encoder") != NULL, "%d: %s",
          (int)status, error.message);
    pith_model_free(model);
}

/* The lens on the last row of every layer, from within the pass that makes it. */
typedef struct inside {
    const pith_model *model;
    float logits[LAYERS][304];
    size_t n;
    pith_status status;
} inside;

static void look(void *user, const char *name, const float *data, size_t n_rows, size_t n_cols) {
    inside *in = user;
    unsigned layer;
    char rest;
    if (sscanf(name, "model.layers.%u%c", &layer, &rest) == 1 && in->status == PITH_OK) {
        in->status =
            pith_logit_lens(in->model, data + (n_rows - 1) * n_cols, 1, in->logits[layer], NULL);
        in->n++;
    }
}

TEST(engine_lens, may_be_called_within_an_observer) {
    static stream seen;
    pith_model *model = open_kind(&kinds[3], 3, NULL);
    pith_session *session = eval_watched(model, 0, &seen);
    int32_t tokens[N];
    memcpy(tokens, pith_session_tokens(session), sizeof tokens);
    float plain[304];
    memcpy(plain, pith_session_logits(session), sizeof plain);
    pith_error error;
    pith_status status = pith_session_rewind(session, 0, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    static inside in;
    in = (inside){.model = model};
    pith_session_observe(session, look, &in);
    status = pith_session_eval(session, tokens, N, &error);
    CHECK(status == PITH_OK && in.status == PITH_OK && in.n == LAYERS, "%d, %d, %zu calls",
          (int)status, (int)in.status, in.n);
    CHECK(memcmp(in.logits[LAYERS - 1], plain, sizeof plain) == 0, "the last layer differs");
    CHECK(memcmp(pith_session_logits(session), plain, sizeof plain) == 0, "the pass was disturbed");
    for (size_t layer = 0; layer < LAYERS; layer++) {
        float after[304];
        status = pith_logit_lens(model, seen.rows[layer + 1] + (N - 1) * HIDDEN, 1, after, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(memcmp(after, in.logits[layer], sizeof after) == 0, "layer %zu differs", layer);
    }
    pith_session_free(session);
    pith_model_free(model);
}

typedef struct worker {
    const pith_model *model;
    const float *rows;
    float logits[N * 300];
    pith_status status;
} worker;

static void *run_worker(void *argument) {
    worker *w = argument;
    for (size_t i = 0; i < 5 && w->status == PITH_OK; i++) {
        w->status = pith_logit_lens(w->model, w->rows, N, w->logits, NULL);
    }
    return NULL;
}

TEST(engine_lens, threads_share_a_model) {
    enum { WORKERS = 3 };
    static stream seen;
    static worker workers[WORKERS];
    pthread_t threads[WORKERS];
    pith_model *model = open_kind(&kinds[4], 2, NULL);
    pith_session *session = eval_watched(model, 0, &seen);
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.model = model, .rows = seen.rows[LAYERS]};
        CHECK(pthread_create(&threads[i], NULL, run_worker, &workers[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
    }
    for (size_t i = 0; i < WORKERS * N; i++) {
        const worker *w = &workers[i / N];
        CHECK(w->status == PITH_OK, "worker %zu: %d", i / N, (int)w->status);
        CHECK(memcmp(w->logits + i % N * 300, pith_session_logits_at(session, i % N),
                     300 * sizeof(float)) == 0,
              "worker %zu, row %zu differs", i / N, i % N);
    }
    pith_session_free(session);
    pith_model_free(model);
}

TEST(engine_lens, a_failed_allocation_is_an_error_without_a_leak) {
    test_allocator failing;
    test_allocator_init(&failing);
    pith_model *model = open_kind(&kinds[0], 2, &failing.allocator);
    static float row[HIDDEN] = {1};
    static float logits[300];
    size_t n_failures = 0;
    pith_error error;
    for (;;) {
        size_t before = failing.n_live;
        failing.fail_at = failing.n_calls + n_failures + 1;
        pith_status status = pith_logit_lens(model, row, 1, logits, &error);
        if (status == PITH_OK) {
            break;
        }
        n_failures++;
        CHECK(status == PITH_ERROR_MEMORY, "at %zu: status %d", n_failures, (int)status);
        CHECK(logits[0] == 0 && failing.n_live == before, "at %zu: something was written or kept",
              n_failures);
    }
    CHECK(n_failures != 0, "nothing was allocated");
    size_t kept = failing.n_live;
    failing.fail_at = 0;
    pith_status status = pith_logit_lens(model, row, 1, logits, &error);
    CHECK(status == PITH_OK && failing.n_live == kept, "a second call: %d", (int)status);
    pith_model_free(model);
    CHECK(failing.n_live == 0, "%zu blocks leaked", (size_t)failing.n_live);
}
