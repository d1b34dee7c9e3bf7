/* The small encoders of golden/encoders, one of each family: texts to the vectors of NumPy
 * (golden/make_encoders.py), the same bits whatever else is in the batch, on any number of threads
 * and with any kernels. */
#include "tests/golden.h"
#include "tests/simd_data.h"
#include "tests/support.h"
#include "tests/test.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXTS = 8, MAX_SIZE = 64, BATCH = 64 };

static const struct {
    const char *name;
    float least_cosine; /* of int8 to f32, by what random weights give */
    bool scores;
} cases[] = {
    {"roberta", 0.999F, false},      {"xlm-roberta", 0.999F, false}, {"mpnet", 0.999F, false},
    {"distilbert", 0.999F, false},   {"modernbert", 0.999F, false},  {"nomic", 0.999F, false},
    {"qwen3", 0.998F, false},        {"gemma3", 0.998F, false},      {"bert-scores", 0, true},
    {"xlm-roberta-scores", 0, true},
};
enum { N_CASES = sizeof cases / sizeof cases[0] };

/* What expected.json says. */
typedef struct reference {
    char name[64]; /* of the directory under golden/ */
    json_t *root;
    pith_embed_input inputs[MAX_TEXTS];
    size_t n, size;
    float vectors[MAX_TEXTS * MAX_SIZE]; /* [n, size] */
} reference;

static pith_text text_of(const json_t *value) {
    return (pith_text){json_string_value(value), json_string_length(value)};
}

static reference reference_open(const char *name) {
    reference r = {.n = 0};
    char path[128];
    snprintf(r.name, sizeof r.name, "encoders/%s", name);
    snprintf(path, sizeof path, "golden/%s/expected.json", r.name);
    r.root = json_load_file(test_root(path), 0, NULL);
    const json_t *texts = json_object_get(r.root, "texts");
    const json_t *vectors = json_object_get(r.root, "embeddings");
    r.n = json_array_size(texts);
    r.size = json_array_size(json_array_get(vectors, 0));
    CHECK(r.n > 0 && r.n <= MAX_TEXTS && r.size > 0 && r.size <= MAX_SIZE, "%s: no reference",
          name);
    for (size_t i = 0; i < r.n; i++) {
        const json_t *text = json_array_get(texts, i);
        bool pair = json_is_object(text);
        r.inputs[i].text = text_of(pair ? json_object_get(text, "text") : text);
        r.inputs[i].pair = pair ? text_of(json_object_get(text, "pair")) : (pith_text){NULL, 0};
        for (size_t d = 0; d < r.size; d++) {
            r.vectors[i * r.size + d] =
                (float)json_number_value(json_array_get(json_array_get(vectors, i), d));
        }
    }
    return r;
}

static void embed(const pith_model *model, const pith_embed_input *inputs, size_t n,
                  const pith_embed_options *options, float *out, pith_embed_result *results) {
    pith_error error = {0};
    pith_status status = pith_embed(model, inputs, n, options, out, results, &error);
    CHECK(status == PITH_OK, "%s", error.message);
}

TEST(golden_encoders, vectors_are_those_of_numpy) {
    for (size_t k = 0; k < N_CASES; k++) {
        reference r = reference_open(cases[k].name);
        pith_model *model = test_golden_open(r.name, PITH_TYPE_F32, NULL, 2, PITH_BLAS_OFF);
        pith_model_info info;
        pith_embed_result results[MAX_TEXTS];
        float out[MAX_TEXTS * MAX_SIZE];
        pith_model_get_info(model, &info);
        CHECK(info.n_embd == r.size && info.is_encoder && info.is_cross_encoder == cases[k].scores,
              "%s: %zu elements", cases[k].name, info.n_embd);
        embed(model, r.inputs, r.n, NULL, out, results);
        for (size_t i = 0; i < r.n; i++) {
            const json_t *ids = json_array_get(json_object_get(r.root, "ids"), i);
            CHECK(results[i].n_tokens == json_array_size(ids), "%s: text %zu: %zu tokens, not %zu",
                  cases[k].name, i, results[i].n_tokens, json_array_size(ids));
            for (size_t d = i * r.size; d < (i + 1) * r.size; d++) {
                CHECK(fabsf(out[d] - r.vectors[d]) <= 1e-5F, "%s: text %zu: %g, expected %g",
                      cases[k].name, i, (double)out[d], (double)r.vectors[d]);
            }
        }
        pith_model_free(model);
        json_decref(r.root);
    }
    CHECK_NO_LEAKS();
}

TEST(golden_encoders, int8_is_near) {
    for (size_t k = 0; k < N_CASES; k++) {
        reference r = reference_open(cases[k].name);
        pith_model *model = test_golden_open(r.name, PITH_TYPE_INT8, NULL, 2, PITH_BLAS_OFF);
        pith_embed_result results[MAX_TEXTS];
        float out[MAX_TEXTS * MAX_SIZE];
        embed(model, r.inputs, r.n, NULL, out, results);
        for (size_t i = 0; i < r.n; i++) {
            double cosine = pith_cosine_f32(out + i * r.size, r.vectors + i * r.size, r.size);
            bool near = cases[k].scores ? fabsf(out[i] - r.vectors[i]) < 0.05F
                                        : cosine >= (double)cases[k].least_cosine;
            CHECK(near || results[i].n_tokens < 3, "%s: text %zu: cosine %g, %g for %g",
                  cases[k].name, i, cosine, (double)out[i * r.size], (double)r.vectors[i * r.size]);
        }
        pith_model_free(model);
        json_decref(r.root);
    }
    CHECK_NO_LEAKS();
}

/* Each text alone, by one thread and the scalar kernels: what every other way must give. */
static void embed_alone(const reference *r, pith_type type, float *out) {
    pith_model *model = test_golden_open(r->name, type, "scalar", 1, PITH_BLAS_OFF);
    for (size_t i = 0; i < r->n; i++) {
        embed(model, &r->inputs[i], 1, NULL, out + i * r->size, NULL);
    }
    pith_model_free(model);
}

static void check_batch(const reference *r, const pith_model *model, const float *alone,
                        const char *how) {
    static pith_embed_input inputs[BATCH];
    static float out[BATCH * MAX_SIZE];
    for (size_t i = 0; i < BATCH; i++) {
        inputs[i] = r->inputs[i * 7 % r->n];
    }
    embed(model, inputs, BATCH, NULL, out, NULL);
    for (size_t i = 0; i < BATCH; i++) {
        size_t at =
            test_first_difference(out + i * r->size, alone + i * 7 % r->n * r->size, r->size);
        CHECK(at == r->size, "%s, %s: text %zu differs at %zu", r->name, how, i, at);
    }
}

TEST(golden_encoders, no_bit_depends_on_company_threads_or_kernels) {
    static const pith_type types[] = {PITH_TYPE_F32, PITH_TYPE_INT8};
    for (size_t k = 0; k < 2 * N_CASES; k++) {
        reference r = reference_open(cases[k / 2].name);
        pith_type type = types[k % 2];
        float alone[MAX_TEXTS * MAX_SIZE];
        embed_alone(&r, type, alone);
        for (size_t n_threads = 1; n_threads <= 3; n_threads++) {
            pith_model *model = test_golden_open(r.name, type, NULL, n_threads, PITH_BLAS_OFF);
            check_batch(&r, model, alone, n_threads == 1 ? "1 thread" : "threads");
            for (size_t i = 0; i < r.n; i++) { /* a text alone, shared by the threads */
                float out[MAX_SIZE];
                embed(model, &r.inputs[i], 1, NULL, out, NULL);
                CHECK(test_first_difference(out, alone + i * r.size, r.size) == r.size,
                      "%s: text %zu alone, %zu threads", r.name, i, n_threads);
            }
            pith_model_free(model);
        }
        for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
            pith_model *model =
                test_golden_open(r.name, type, test_golden_isa(i), 2, PITH_BLAS_OFF);
            check_batch(&r, model, alone, test_golden_isa(i));
            pith_model_free(model);
        }
        json_decref(r.root);
    }
    CHECK_NO_LEAKS();
}

/* Cut, then of length 1 again. */
TEST(golden_encoders, dimensions_are_the_first_ones_normalised) {
    reference r = reference_open("gemma3");
    pith_model *model = test_golden_open(r.name, PITH_TYPE_F32, NULL, 1, PITH_BLAS_OFF);
    pith_embed_options options = {.dimensions = 10};
    float out[MAX_TEXTS * 10];
    pith_error error = {0};
    embed(model, r.inputs, r.n, &options, out, NULL);
    for (size_t i = 0; i < r.n; i++) {
        double norm = 0;
        for (size_t d = 0; d < 10; d++) {
            norm += (double)r.vectors[i * r.size + d] * (double)r.vectors[i * r.size + d];
        }
        for (size_t d = 0; d < 10; d++) {
            double expected = (double)r.vectors[i * r.size + d] / sqrt(norm);
            CHECK(fabs((double)out[i * 10 + d] - expected) <= 1e-5, "text %zu: %g, expected %g", i,
                  (double)out[i * 10 + d], expected);
        }
    }
    options.dimensions = r.size + 1;
    CHECK(pith_embed(model, r.inputs, 1, &options, out, NULL, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "25 dimensions") != NULL,
          "%s", error.message);
    pith_model_free(model);
    json_decref(r.root);
    CHECK_NO_LEAKS();
}

/* ---- Reranking ------------------------------------------------------------------------------- */

static const pith_text documents[] = {{"the wolf at the door", 20}, {"", 0}, {"a king", 6}};
enum { N_DOCUMENTS = sizeof documents / sizeof documents[0] };

/* A cross-encoder's scores are those of the pairs. */
TEST(golden_encoders, rerank_scores_pairs) {
    pith_error error = {0};
    pith_model *model =
        test_golden_open("encoders/bert-scores", PITH_TYPE_F32, NULL, 2, PITH_BLAS_OFF);
    pith_text query = pith_text_of("who knocked");
    float scores[N_DOCUMENTS];
    pith_embed_result results[N_DOCUMENTS];
    CHECK(pith_rerank(model, query, documents, N_DOCUMENTS, NULL, scores, results, &error) ==
              PITH_OK,
          "%s", error.message);
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        pith_embed_input pair = {.text = query, .pair = documents[i]};
        float score;
        embed(model, &pair, 1, NULL, &score, NULL);
        CHECK(test_first_difference(&score, &scores[i], 1) == 1, "document %zu: %g, not %g", i,
              (double)scores[i], (double)score);
    }
    pith_embed_input single = {.text = query};
    CHECK(pith_embed(model, &single, 1, NULL, scores, NULL, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "text 0 is no pair") != NULL,
          "%s", error.message);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(golden_encoders, rerank_compares_embeddings) {
    pith_error error = {0};
    pith_model *model = test_golden_open("encoders/mpnet", PITH_TYPE_F32, NULL, 2, PITH_BLAS_OFF);
    pith_text query = pith_text_of("who knocked");
    float scores[N_DOCUMENTS];
    float vectors[(N_DOCUMENTS + 1) * 32];
    pith_embed_input inputs[N_DOCUMENTS + 1] = {{.text = query}};
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        inputs[i + 1].text = documents[i];
    }
    embed(model, inputs, N_DOCUMENTS + 1, NULL, vectors, NULL);
    CHECK(pith_rerank(model, query, documents, N_DOCUMENTS, NULL, scores, NULL, &error) == PITH_OK,
          "%s", error.message);
    for (size_t i = 0; i < N_DOCUMENTS; i++) {
        float expected = (float)pith_cosine_f32(vectors, vectors + (i + 1) * 32, 32);
        CHECK(test_first_difference(&scores[i], &expected, 1) == 1, "document %zu: %g, not %g", i,
              (double)scores[i], (double)expected);
    }
    CHECK(pith_rerank(model, query, NULL, 0, NULL, NULL, NULL, &error) == PITH_OK, "no documents");
    CHECK(pith_rerank(model, query, NULL, 1, NULL, scores, NULL, &error) == PITH_ERROR_ARGUMENT,
          "null");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
