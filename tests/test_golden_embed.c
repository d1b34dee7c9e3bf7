/* pith_embed on the reference checkpoint: texts to vectors. */
#include "engine/embed.h"
#include "engine/random_model.h"
#include "tests/golden.h"
#include "tests/simd_data.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { N_TEXTS = 40, HIDDEN = 48, MAX_TOKENS = 256 };

/* The reference's texts and what becomes of them. */
typedef struct reference {
    json_t *root;
    test_npz *npz;
    pith_embed_input inputs[N_TEXTS];
    const float *embeddings; /* [N_TEXTS, HIDDEN] */
} reference;

static reference reference_open(void) {
    reference r = {.npz = test_golden_expected("minilm")};
    r.root = json_load_file(test_root("golden/minilm/expected.json"), 0, NULL);
    const json_t *items = json_object_get(r.root, "items");
    const test_array *embeddings = test_npz_find(r.npz, "embeddings");
    CHECK(json_array_size(items) == N_TEXTS && embeddings != NULL, "no reference");
    r.embeddings = embeddings->data.floats;
    for (size_t i = 0; i < N_TEXTS; i++) {
        const json_t *text = json_object_get(json_array_get(items, i), "text");
        r.inputs[i] =
            (pith_embed_input){.text = {json_string_value(text), json_string_length(text)}};
    }
    return r;
}

static void reference_close(reference *r) {
    json_decref(r->root);
    test_npz_free(r->npz);
}

static size_t reference_tokens(const reference *r, size_t i) {
    return test_npz_ints(r->npz, "ids", i)->count;
}

TEST(embed, texts_give_the_reference_vectors) {
    reference r = reference_open();
    pith_error error = {0};
    float out[N_TEXTS * HIDDEN];
    pith_embed_result results[N_TEXTS];
    for (int blas = 0; blas <= 1; blas++) {
        pith_model *model = test_golden_open("minilm", PITH_TYPE_F32, NULL, 2,
                                             blas != 0 ? PITH_BLAS_AUTO : PITH_BLAS_OFF);
        pith_status status = pith_embed(model, r.inputs, N_TEXTS, NULL, out, results, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        for (size_t i = 0; i < N_TEXTS; i++) {
            CHECK(results[i].n_tokens == reference_tokens(&r, i), "text %zu: %zu tokens, not %zu",
                  i, results[i].n_tokens, reference_tokens(&r, i));
            CHECK(results[i].truncated == (i >= 38), "text %zu: truncated %d", i,
                  (int)results[i].truncated);
            for (size_t d = 0; d < HIDDEN; d++) {
                float expected = r.embeddings[i * HIDDEN + d];
                float actual = out[i * HIDDEN + d];
                CHECK(fabsf(actual - expected) <= 5e-6f, "text %zu, element %zu: %g, expected %g",
                      i, d, (double)actual, (double)expected);
            }
        }
        pith_model_free(model);
    }
    reference_close(&r);
    CHECK_NO_LEAKS();
}

TEST(embed, no_text_and_empty_texts) {
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_F16, NULL, 2, PITH_BLAS_OFF);
    pith_embed_input empty = {.text = {NULL, 0}};
    pith_embed_result result;
    float out[HIDDEN];
    CHECK(pith_embed(model, NULL, 0, NULL, NULL, NULL, &error) == PITH_OK, "no texts");
    CHECK(pith_embed(model, &empty, 1, NULL, out, &result, &error) == PITH_OK, "%s", error.message);
    CHECK(result.n_tokens == 2 && !result.truncated, "%zu tokens of nothing", result.n_tokens);
    for (size_t d = 0; d < HIDDEN; d++) { /* text 5 of the reference is empty */
        CHECK(fabsf(out[d] - r.embeddings[5 * HIDDEN + d]) <= 5e-6f, "element %zu: %g", d,
              (double)out[d]);
    }
    pith_model_free(model);
    reference_close(&r);
    CHECK_NO_LEAKS();
}

/* A pair is [CLS] a [SEP] b [SEP], and tokens after the first [SEP] are of type 1. */
TEST(embed, pairs_are_read_together) {
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_F32, NULL, 1, PITH_BLAS_OFF);
    static const char first[] = "a stone";
    static const char second[] = "the wolf";
    pith_embed_input inputs[] = {{pith_text_of(first), pith_text_of(second)},
                                 {pith_text_of(first), pith_text_of("")}};
    pith_embed_result results[2];
    float out[2 * HIDDEN];
    float expected[HIDDEN];
    CHECK(pith_embed(model, inputs, 2, NULL, out, results, &error) == PITH_OK, "%s", error.message);
    pith_tokens tokens;
    pith_encoded info;
    pith_tokens_init(&tokens, &model->allocator);
    CHECK(pith_encode_for_encoder(model->tokenizer, first, strlen(first), second, strlen(second), 0,
                                  &tokens, &info, &error) == PITH_OK,
          "%s", error.message);
    CHECK(info.n_first == 4 && tokens.n == 7 && results[0].n_tokens == 7, "%zu of %zu, %zu",
          info.n_first, tokens.n, results[0].n_tokens);
    pith_encoder_text text = {.ids = tokens.ids, .n_tokens = 7, .n_first = 4};
    CHECK(pith_embed_tokens(model, &text, 1, NULL, NULL, expected, &error) == PITH_OK, "%s",
          error.message);
    CHECK(test_first_difference(out, expected, HIDDEN) == HIDDEN, "the pair's vector differs");
    text.n_first = 7;
    CHECK(pith_embed_tokens(model, &text, 1, NULL, NULL, expected, &error) == PITH_OK, "%s",
          error.message);
    CHECK(test_first_difference(out, expected, HIDDEN) < HIDDEN, "types do not matter");
    CHECK(results[1].n_tokens == 5, "an empty second text: %zu tokens", results[1].n_tokens);
    pith_tokens_release(&tokens);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(embed, too_long_texts_are_an_error_when_asked) {
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_INT8, NULL, 2, PITH_BLAS_OFF);
    float out[N_TEXTS * HIDDEN];
    pith_embed_options options = {.no_truncate = true};
    pith_status status = pith_embed(model, r.inputs, N_TEXTS, &options, out, NULL, &error);
    CHECK(status == PITH_ERROR_CONTEXT && strstr(error.message, "text 38 ") != NULL, "%d: %s",
          (int)status, error.message);
    CHECK(pith_embed(model, r.inputs, 38, &options, out, NULL, &error) == PITH_OK, "%s",
          error.message);
    pith_model_free(model);
    reference_close(&r);
}

/* The first bad text is named, however many follow it and whichever thread meets one first. */
TEST(embed, bad_utf8_names_the_first_text) {
    enum { MANY = 3000 };
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_INT8, NULL, 3, PITH_BLAS_OFF);
    static pith_embed_input inputs[MANY];
    float *out = calloc((size_t)MANY * HIDDEN, sizeof *out);
    CHECK(out != NULL, "no memory");
    for (size_t first = 0; first < MANY; first += 1333) {
        for (size_t i = 0; i < MANY; i++) {
            inputs[i] = i >= first && i % 3 == first % 3
                            ? (pith_embed_input){{"ab\xffz", 4}, {NULL, 0}}
                            : (pith_embed_input){{"ab", 2}, {NULL, 0}};
        }
        char name[32];
        snprintf(name, sizeof name, "text %zu:", first);
        pith_status status = pith_embed(model, inputs, MANY, NULL, out, NULL, &error);
        CHECK(status == PITH_ERROR_TEXT && strstr(error.message, name) != NULL, "%d: %s, not %s",
              (int)status, error.message, name);
    }
    free(out);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(embed, wrong_arguments) {
    pith_error error = {0};
    float out[HIDDEN];
    pith_embed_input input = {{"a", 1}, {NULL, 0}};
    pith_embed_input null_text = {{NULL, 1}, {NULL, 0}};
    pith_embed_input null_pair = {{"a", 1}, {NULL, 1}};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_INT8, NULL, 1, PITH_BLAS_OFF);
    CHECK(pith_embed(NULL, &input, 1, NULL, out, NULL, &error) == PITH_ERROR_ARGUMENT, "model");
    CHECK(pith_embed(model, NULL, 1, NULL, out, NULL, &error) == PITH_ERROR_ARGUMENT, "inputs");
    CHECK(pith_embed(model, &input, 1, NULL, NULL, NULL, &error) == PITH_ERROR_ARGUMENT, "out");
    CHECK(pith_embed(model, &null_text, 1, NULL, out, NULL, &error) == PITH_ERROR_ARGUMENT,
          "a null text");
    CHECK(pith_embed(model, &null_pair, 1, NULL, out, NULL, &error) == PITH_ERROR_ARGUMENT,
          "a null pair");
    pith_model_free(model);
    model = test_golden_open("llama-mha", PITH_TYPE_INT8, NULL, 1, PITH_BLAS_OFF);
    CHECK(pith_embed(model, &input, 1, NULL, out, NULL, &error) == PITH_ERROR_UNSUPPORTED,
          "a decoder");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Several callers ------------------------------------------------------------------------- */

typedef struct caller {
    const pith_model *model;
    const reference *r;
    const float *expected;
    size_t n_different;
} caller;

static void *call(void *argument) {
    caller *c = argument;
    float out[N_TEXTS * HIDDEN];
    for (size_t i = 0; i < 8; i++) {
        pith_error error = {0};
        size_t n = i % 2 == 0 ? N_TEXTS : 3;
        if (pith_embed(c->model, c->r->inputs, n, NULL, out, NULL, &error) != PITH_OK ||
            test_first_difference(out, c->expected, n * HIDDEN) != n * HIDDEN) {
            c->n_different++;
        }
    }
    return NULL;
}

TEST(embed, concurrent_calls_share_a_model) {
    reference r = reference_open();
    pith_error error = {0};
    pith_model *model = test_golden_open("minilm", PITH_TYPE_INT8, NULL, 2, PITH_BLAS_OFF);
    float expected[N_TEXTS * HIDDEN];
    CHECK(pith_embed(model, r.inputs, N_TEXTS, NULL, expected, NULL, &error) == PITH_OK, "%s",
          error.message);
    caller callers[3];
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) {
        callers[i] = (caller){model, &r, expected, 0};
        CHECK(pthread_create(&threads[i], NULL, call, &callers[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        CHECK(callers[i].n_different == 0, "caller %zu: %zu calls differ", i,
              callers[i].n_different);
    }
    pith_model_free(model);
    reference_close(&r);
    CHECK_NO_LEAKS();
}

TEST(embed, allocation_failures) {
    reference r = reference_open();
    const char *path = test_golden_convert("minilm", PITH_TYPE_INT8);
    pith_error error = {0};
    test_allocator allocator;
    test_allocator_init(&allocator);
    pith_model_options options = {.n_threads = 1, .allocator = &allocator.allocator};
    pith_model *model = NULL;
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
    bool done = false;
    for (size_t n = 1; !done; n++) {
        float out[N_TEXTS * HIDDEN];
        allocator.fail_at = atomic_load(&allocator.n_calls) + n;
        pith_status status = pith_embed(model, r.inputs, N_TEXTS, NULL, out, NULL, &error);
        done = atomic_load(&allocator.n_calls) < allocator.fail_at;
        CHECK(status == (done ? PITH_OK : PITH_ERROR_MEMORY), "allocation %zu: status %d", n,
              (int)status);
        CHECK(n < 2000, "more than %zu allocations", n);
    }
    pith_model_free(model);
    CHECK(atomic_load(&allocator.n_live) == 0, "%zu blocks left",
          (size_t)atomic_load(&allocator.n_live));
    reference_close(&r);
}

/* Heads of 16, 32 and more have a path of their own when a thread has a pack to itself; the
 * reference checkpoint's heads of 12 do not take it. */
enum { WIDE = 384, WIDE_TEXTS = 4 };

static void embed_wide(pith_type type, const char *isa, size_t n_threads, size_t together,
                       float *out) {
    static const size_t lengths[WIDE_TEXTS] = {37, 61, 5, 129};
    int32_t ids[160];
    pith_error error = {0};
    pith_model *model = NULL;
    pith_model_options options = {.n_threads = n_threads, .isa = isa};
    pith_status status = pith_model_random(&model, "minilm-l6", type, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        ids[i] = (int32_t)(i * 7919 % 30522);
    }
    pith_encoder_text texts[WIDE_TEXTS];
    for (size_t i = 0; i < WIDE_TEXTS; i++) {
        texts[i] =
            (pith_encoder_text){.ids = ids + i, .n_tokens = lengths[i], .n_first = lengths[i]};
    }
    for (size_t i = 0; i < WIDE_TEXTS; i += together) {
        status = pith_embed_tokens(model, texts + i, together, NULL, NULL, out + i * WIDE, &error);
        CHECK(status == PITH_OK, "%s", error.message);
    }
    pith_model_free(model);
}

TEST(embed, wide_heads_are_the_same_alone_and_shared) {
    static const pith_type types[] = {PITH_TYPE_INT8, PITH_TYPE_INT4};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        float own[WIDE_TEXTS * WIDE];
        float other[WIDE_TEXTS * WIDE];
        embed_wide(types[i], NULL, 1, WIDE_TEXTS, own);
        CHECK(own[0] != 0, "no embedding");
        embed_wide(types[i], NULL, 2, 1, other); /* one pack shared by two threads */
        CHECK(memcmp(own, other, sizeof own) == 0, "type %d: shared packs differ", (int)types[i]);
        if (pith_kernels_find("avx2") != NULL) {
            embed_wide(types[i], "avx2", 1, WIDE_TEXTS, other);
            CHECK(memcmp(own, other, sizeof own) == 0, "type %d: AVX2 differs", (int)types[i]);
        }
    }
}
