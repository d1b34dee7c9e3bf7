/* The encoder's forward pass on the reference checkpoint (golden/minilm, random weights in the
 * layout of all-MiniLM-L6-v2): hidden states and embeddings against transformers' on every
 * instruction set, and that a text's vector depends on nothing but the text. */
#include "engine/embed.h"
#include "tests/golden.h"
#include "tests/simd_data.h"
#include "tests/test.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { N_TEXTS = 40, HIDDEN = 48 };

/* The reference's 40 texts as ids. */
typedef struct reference {
    test_npz *npz;
    pith_encoder_text texts[N_TEXTS];
    const float *embeddings; /* [N_TEXTS, HIDDEN] */
} reference;

static reference reference_open(void) {
    reference r = {.npz = test_golden_expected("minilm")};
    const test_array *embeddings = test_npz_find(r.npz, "embeddings");
    CHECK(embeddings != NULL && embeddings->count == (size_t)N_TEXTS * HIDDEN, "no embeddings");
    r.embeddings = embeddings->data.floats;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const test_array *ids = test_npz_ints(r.npz, "ids", i);
        r.texts[i] = (pith_encoder_text){.ids = ids->data.ints,
                                         .n_tokens = ids->count,
                                         .n_first = ids->count};
    }
    return r;
}

static void embed(const pith_model *model, const pith_encoder_text *texts, size_t n, float *out) {
    pith_error error = {0};
    pith_status status = pith_embed_tokens(model, texts, n, NULL, NULL, out, &error);
    CHECK(status == PITH_OK, "embedding %zu texts: %s", n, error.message);
}

static double largest_difference(const float *a, const float *b, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        largest = d <= largest ? largest : d; /* NaN counts */
    }
    return largest;
}

static double cosine(const float *a, const float *b) {
    double ab = 0;
    double aa = 0;
    double bb = 0;
    for (size_t i = 0; i < HIDDEN; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* ---- Against the reference ------------------------------------------------------------------- */

/* Hidden states of the texts whose states the reference holds. */
static void check_hidden_states(const pith_model *model, const reference *r) {
    static const size_t stored[] = {0, 13, 37};
    pith_error error = {0};
    pith_encoder_scratch *scratch = NULL;
    CHECK(pith_encoder_scratch_new(&scratch, model, 600, &error) == PITH_OK, "%s", error.message);
    pith_encoder_text texts[] = {r->texts[0], r->texts[13], r->texts[37]};
    pith_encoder_pass pass = pith_encoder_begin(model, NULL, &scratch, texts, 3);
    pith_encoder_forward(&pass);
    for (size_t i = 0; i < 3; i++) {
        const test_array *expected = test_npz_floats(r->npz, "last_hidden_state", stored[i]);
        CHECK(expected->count == texts[i].n_tokens * HIDDEN, "text %zu: %zu values", stored[i],
              expected->count);
        for (size_t t = 0; t < texts[i].n_tokens; t++) {
            const float *x = scratch->x.data + (scratch->begin[i] + t) * scratch->x.stride;
            double d = largest_difference(x, expected->data.floats + t * HIDDEN, HIDDEN);
            CHECK(d <= 2e-5, "%s: hidden state of text %zu, token %zu is %g off",
                  model->kernels->name, stored[i], t, d);
        }
    }
    pith_encoder_scratch_free(scratch);
}

static void check_reference(pith_type type, pith_blas blas) {
    reference r = reference_open();
    float out[N_TEXTS * HIDDEN];
    const pith_kernels *k;
    for (size_t i = 0; (k = test_table(i)) != NULL; i++) {
        pith_model *model = test_golden_open("minilm", type, k->name, 2, blas);
        check_hidden_states(model, &r);
        embed(model, r.texts, N_TEXTS, out);
        for (size_t t = 0; t < N_TEXTS; t++) {
            double d = largest_difference(out + t * HIDDEN, r.embeddings + t * HIDDEN, HIDDEN);
            CHECK(d <= 5e-6, "%s %s: embedding of text %zu is %g off", k->name,
                  pith_type_name(type), t, d);
        }
        pith_model_free(model);
    }
    test_npz_free(r.npz);
    CHECK_NO_LEAKS();
}

TEST(encoder, f32_matches_the_reference) {
    check_reference(PITH_TYPE_F32, PITH_BLAS_OFF);
}

TEST(encoder, f32_through_blas_matches_the_reference) {
    check_reference(PITH_TYPE_F32, PITH_BLAS_AUTO);
}

/* The checkpoint is f16, so that f16 weights lose nothing. */
TEST(encoder, f16_matches_the_reference) {
    check_reference(PITH_TYPE_F16, PITH_BLAS_OFF);
}

static void check_cosines(pith_type type, double least) {
    reference r = reference_open();
    float out[N_TEXTS * HIDDEN];
    pith_model *model = test_golden_open("minilm", type, NULL, 2, PITH_BLAS_OFF);
    embed(model, r.texts, N_TEXTS, out);
    for (size_t t = 0; t < N_TEXTS; t++) {
        double c = cosine(out + t * HIDDEN, r.embeddings + t * HIDDEN);
        CHECK(c >= least || r.texts[t].n_tokens < 3, "%s: cosine of text %zu is %.6f",
              pith_type_name(type), t, c);
    }
    pith_model_free(model);
    test_npz_free(r.npz);
}

TEST(encoder, quantised_embeddings_stay_close) {
    check_cosines(PITH_TYPE_BF16, 0.9999);
    check_cosines(PITH_TYPE_INT8, 0.999);
    check_cosines(PITH_TYPE_INT4, 0.9);
}

/* ---- What a vector must not depend on -------------------------------------------------------- */

static void check_same(const float *expected, const float *actual, pith_type type, const char *what,
                       size_t text) {
    size_t i = test_first_difference(expected, actual, HIDDEN);
    CHECK(i == HIDDEN, "%s, %s: element %zu of text %zu is %a, expected %a", pith_type_name(type),
          what, i, text, (double)actual[i], (double)expected[i]);
}

/* Alone, all together, a batch of 64 in another order, by 1, 2 and 3 threads, on every table. */
static void check_invariance(pith_type type) {
    reference r = reference_open();
    float alone[N_TEXTS * HIDDEN];
    float out[64 * HIDDEN];
    pith_encoder_text batch[64];
    for (size_t i = 0; i < 64; i++) {
        batch[i] = r.texts[(i * 7 + 3) % N_TEXTS];
    }
    const pith_kernels *k;
    for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
        for (size_t i = 0; (k = test_table(i)) != NULL && (i == 0 || n_threads == 1); i++) {
            pith_model *model = test_golden_open("minilm", type, k->name, n_threads, PITH_BLAS_OFF);
            for (size_t t = 0; t < N_TEXTS; t++) {
                embed(model, &r.texts[t], 1, n_threads == 1 && i == 0 ? alone + t * HIDDEN : out);
                check_same(alone + t * HIDDEN, n_threads == 1 && i == 0 ? alone + t * HIDDEN : out,
                           type, k->name, t);
            }
            embed(model, r.texts, N_TEXTS, out);
            for (size_t t = 0; t < N_TEXTS; t++) {
                check_same(alone + t * HIDDEN, out + t * HIDDEN, type, "together", t);
            }
            embed(model, batch, 64, out);
            for (size_t t = 0; t < 64; t++) {
                check_same(alone + (t * 7 + 3) % N_TEXTS * HIDDEN, out + t * HIDDEN, type,
                           "a batch of 64", t);
            }
            pith_model_free(model);
        }
    }
    test_npz_free(r.npz);
    CHECK_NO_LEAKS();
}

TEST(encoder, company_and_threads_change_nothing_f32) {
    check_invariance(PITH_TYPE_F32);
}

TEST(encoder, company_and_threads_change_nothing_f16) {
    check_invariance(PITH_TYPE_F16);
}

TEST(encoder, company_and_threads_change_nothing_bf16) {
    check_invariance(PITH_TYPE_BF16);
}

TEST(encoder, company_and_threads_change_nothing_int8) {
    check_invariance(PITH_TYPE_INT8);
}

TEST(encoder, company_and_threads_change_nothing_int4) {
    check_invariance(PITH_TYPE_INT4);
}

TEST(encoder, company_matters_little_through_blas) {
    reference r = reference_open();
    float alone[N_TEXTS * HIDDEN];
    float together[N_TEXTS * HIDDEN];
    pith_model *model = test_golden_open("minilm", PITH_TYPE_F32, NULL, 2, PITH_BLAS_AUTO);
    embed(model, r.texts, N_TEXTS, together);
    for (size_t t = 0; t < N_TEXTS; t++) {
        embed(model, &r.texts[t], 1, alone + t * HIDDEN);
        double d = largest_difference(alone + t * HIDDEN, together + t * HIDDEN, HIDDEN);
        CHECK(d <= 1e-6, "text %zu differs by %g", t, d);
    }
    pith_model_free(model);
    test_npz_free(r.npz);
}

/* ---- Pooling --------------------------------------------------------------------------------- */

/* A forward pass of text 13, pooled in every way from its own hidden states. */
TEST(encoder, pooling_modes) {
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_F32, NULL, 1, PITH_BLAS_OFF);
    pith_config *config = &model->network.config;
    pith_encoder_scratch *scratch = NULL;
    float out[HIDDEN];
    const pith_encoder_text *text = &r.texts[13];
    CHECK(pith_encoder_scratch_new(&scratch, model, 300, &error) == PITH_OK, "%s", error.message);
    pith_encoder_pass pass = pith_encoder_begin(model, NULL, &scratch, text, 1);
    pith_encoder_forward(&pass);
    for (unsigned pooling = 0; pooling < PITH_N_POOLINGS; pooling++) {
        for (int normalize = 0; normalize <= 1; normalize++) {
            double expected[HIDDEN];
            double norm = 0;
            const float *last = scratch->x.data + (text->n_tokens - 1) * scratch->x.stride;
            config->pooling = (pith_pooling)pooling;
            config->normalize = normalize != 0;
            for (size_t d = 0; d < HIDDEN; d++) {
                double sum = 0;
                double largest = -INFINITY;
                for (size_t t = 0; t < text->n_tokens; t++) {
                    sum += (double)scratch->x.data[t * scratch->x.stride + d];
                    largest = fmax(largest, (double)scratch->x.data[t * scratch->x.stride + d]);
                }
                expected[d] = pooling == PITH_POOLING_MEAN  ? sum / (double)text->n_tokens
                              : pooling == PITH_POOLING_CLS ? (double)scratch->x.data[d]
                              : pooling == PITH_POOLING_MAX ? largest
                                                            : (double)last[d];
                norm += expected[d] * expected[d];
            }
            CHECK(pith_encoder_embedding(&pass, 0, HIDDEN, out), "not finite");
            for (size_t d = 0; d < HIDDEN; d++) {
                double e = normalize != 0 ? expected[d] / sqrt(norm) : expected[d];
                CHECK(fabs((double)out[d] - e) <= 2e-6,
                      "%s, normalize %d: element %zu is %g, not "
                      "%g",
                      pith_pooling_name((pith_pooling)pooling), normalize, d, (double)out[d], e);
            }
        }
    }
    pith_encoder_scratch_free(scratch);
    pith_model_free(model);
    test_npz_free(r.npz);
}

/* ---- Failures -------------------------------------------------------------------------------- */

typedef struct watcher {
    size_t n_calls, stop_at, last;
} watcher;

static bool watch(void *user, size_t n_done, size_t n_inputs) {
    watcher *w = user;
    CHECK(n_done >= w->last && n_done <= n_inputs, "%zu of %zu after %zu", n_done, n_inputs,
          w->last);
    w->last = n_done;
    return ++w->n_calls != w->stop_at;
}

/* More than one window of texts, so that progress spans them. */
TEST(encoder, progress_and_stop) {
    enum { MANY = 5000 };
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_INT8, NULL, 2, PITH_BLAS_OFF);
    pith_encoder_text *texts = calloc(MANY, sizeof *texts);
    float *out = calloc((size_t)MANY * HIDDEN, sizeof *out);
    CHECK(texts != NULL && out != NULL, "no memory");
    for (size_t i = 0; i < MANY; i++) {
        texts[i] = r.texts[i % 8];
    }
    watcher w = {0};
    CHECK(pith_embed_tokens(model, texts, MANY, watch, &w, out, &error) == PITH_OK, "%s",
          error.message);
    CHECK(w.last == MANY && w.n_calls >= 3, "%zu calls, the last of %zu", w.n_calls, w.last);
    for (size_t i = 0; i < MANY; i++) {
        double c = cosine(out + i * HIDDEN, r.embeddings + i % 8 * HIDDEN);
        CHECK(c > 0.99, "text %zu: cosine %g", i, c);
    }
    for (size_t stop = 1; stop <= 3; stop++) {
        w = (watcher){.stop_at = stop};
        pith_status status = pith_embed_tokens(model, texts, MANY, watch, &w, out, &error);
        CHECK(status == PITH_ERROR_STOPPED, "stopped at %zu: %d", stop, (int)status);
        CHECK(w.n_calls == stop, "%zu calls after no", w.n_calls);
    }
    free(texts);
    free(out);
    pith_model_free(model);
    test_npz_free(r.npz);
    CHECK_NO_LEAKS();
}

TEST(encoder, bad_ids_and_lengths_are_refused) {
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_F16, NULL, 2, PITH_BLAS_OFF);
    int32_t ids[300] = {0};
    float out[3 * HIDDEN];
    pith_encoder_text texts[3] = {r.texts[0],
                                  {.ids = ids, .n_tokens = 257, .n_first = 257},
                                  r.texts[1]};
    CHECK(pith_embed_tokens(model, texts, 3, NULL, NULL, out, &error) == PITH_ERROR_CONTEXT &&
              strstr(error.message, "text 1 ") != NULL,
          "too long: %s", error.message);
    texts[1].n_tokens = 0;
    CHECK(pith_embed_tokens(model, texts, 3, NULL, NULL, out, &error) == PITH_ERROR_CONTEXT,
          "no tokens: %s", error.message);
    texts[1].n_tokens = 3;
    for (int i = 0; i < 2; i++) {
        ids[1] = i == 0 ? 30522 : -1;
        CHECK(pith_embed_tokens(model, texts, 3, NULL, NULL, out, &error) == PITH_ERROR_TOKEN &&
                  strstr(error.message, "text 1") != NULL,
              "id %d: %s", ids[1], error.message);
    }
    CHECK(pith_embed_tokens(model, texts, 0, NULL, NULL, NULL, &error) == PITH_OK, "no texts");
    pith_model_free(model);
    test_npz_free(r.npz);
    CHECK_NO_LEAKS();
}

TEST(encoder, vectors_that_are_not_finite_are_an_error) {
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_INT8, NULL, 2, PITH_BLAS_OFF);
    float norm[HIDDEN];
    float out[N_TEXTS * HIDDEN];
    memcpy(norm, model->network.embed_norm.bias, sizeof norm);
    norm[5] = NAN;
    model->network.embed_norm.bias = norm;
    pith_status status = pith_embed_tokens(model, r.texts, N_TEXTS, NULL, NULL, out, &error);
    CHECK(status == PITH_ERROR_NUMERIC && strstr(error.message, "text 0 ") != NULL, "%d: %s",
          (int)status, error.message);
    pith_model_free(model);
    test_npz_free(r.npz);
}

/* Every allocation of a call fails once; then the call works. */
TEST(encoder, allocation_failures) {
    reference r = reference_open();
    const char *path = test_golden_convert("minilm", PITH_TYPE_INT8);
    pith_error error = {0};
    test_allocator allocator;
    test_allocator_init(&allocator);
    pith_model_options options = {.n_threads = 2, .allocator = &allocator.allocator};
    bool done = false;
    for (size_t n = 1; !done; n++) {
        pith_model *model = NULL;
        float out[8 * HIDDEN];
        allocator.fail_at = 0;
        CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
        allocator.fail_at = atomic_load(&allocator.n_calls) + n;
        pith_status status = pith_embed_tokens(model, r.texts + 8, 8, NULL, NULL, out, &error);
        done = atomic_load(&allocator.n_calls) < allocator.fail_at;
        CHECK(status == (done ? PITH_OK : PITH_ERROR_MEMORY), "allocation %zu: status %d", n,
              (int)status);
        allocator.fail_at = 0;
        embed(model, r.texts + 8, 8, out);
        for (size_t t = 0; t < 8; t++) {
            double c = cosine(out + t * HIDDEN, r.embeddings + (t + 8) * HIDDEN);
            CHECK(c > 0.999, "text %zu after a failure: cosine %g", t + 8, c);
        }
        pith_model_free(model);
        CHECK(n < 100, "more than %zu allocations", n);
    }
    CHECK(atomic_load(&allocator.n_live) == 0, "%zu blocks left",
          (size_t)atomic_load(&allocator.n_live));
    test_npz_free(r.npz);
}

/* Later calls find their buffers: only a few small blocks are allocated for a single text. */
TEST(encoder, buffers_are_kept) {
    reference r = reference_open();
    pith_error error = {0};
    test_allocator allocator;
    test_allocator_init(&allocator);
    pith_model_options options = {.n_threads = 2, .allocator = &allocator.allocator};
    pith_model *model = NULL;
    float out[HIDDEN];
    const char *path = test_golden_convert("minilm", PITH_TYPE_INT8);
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
    embed(model, r.texts, 1, out);
    size_t live = atomic_load(&allocator.n_live);
    for (size_t i = 0; i < 10; i++) {
        embed(model, r.texts + i, 1, out);
    }
    CHECK(atomic_load(&allocator.n_live) == live, "%zu blocks, before %zu",
          (size_t)atomic_load(&allocator.n_live), live);
    pith_model_free(model);
    test_npz_free(r.npz);
    CHECK_NO_LEAKS();
}
