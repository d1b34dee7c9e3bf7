/* f16, bf16, int8 and int4 weights on every checkpoint and instruction set: the mean divergence of
 * the next-token distribution from the f32 reference stays near what rounding costs. Random weights
 * suffer more from rounding than trained ones, because nothing in them is redundant; what
 * they cost a trained model is measured by golden/compare_quality.py. */
#include "tests/golden.h"
#include "tests/test.h"

#include <string.h>

/* Mean KL(reference || pith) in nats over all stored positions of a checkpoint, as measured; twice
 * as much is accepted. A wrong scale, row or group costs whole nats. Where the checkpoint is stored
 * in f16 or bf16, that type loses only what the f16 cache does; llama-bias as int4 is int8
 * throughout, because none of its widths is a multiple of 32. */
static const struct {
    const char *name;
    double f16, bf16, int8, int4;
} MEASURED[] = {
    {"llama-mha", 1.8e-6, 5.4e-4, 1.1e-2, 4.5e-1},
    {"llama-gqa", 2.2e-7, 2.2e-7, 4.8e-3, 1.5e-1},
    {"codellama", 3.1e-7, 3.1e-7, 4.6e-3, 1.5e-1},
    {"llama-tied", 6.5e-6, 3.2e-4, 8.9e-3, 3.7e-1},
    {"llama-linear", 2.6e-7, 1.5e-4, 3.8e-3, 1.4e-1},
    {"llama3", 2.3e-7, 2.3e-7, 4.9e-3, 1.7e-1},
    {"llama-yarn", 1.8e-6, 4.1e-4, 1.0e-2, 3.7e-1},
    {"llama-bias", 1.7e-6, 1.0e-4, 2.7e-3, 2.7e-3},
    {"extra/mqa", 4.7e-7, 1.3e-4, 2.6e-3, 1.0e-1},
    {"extra/head-dim", 4.2e-7, 4.2e-7, 2.6e-3, 3.2e-2},
    {"extra/mlp-bias", 2.6e-6, 1.4e-4, 2.7e-3, 1.1e-1},
    {"extra/qwen2", 7.9e-7, 7.9e-7, 4.6e-3, 2.2e-1},
    {"extra/long", 3.6e-7, 1.4e-4, 3.0e-3, 1.1e-1},
    {"extra/mistral-long", 3.4e-7, 3.4e-7, 2.6e-3, 1.4e-1},
    {"extra/mistral-window", 4.0e-7, 1.4e-4, 2.5e-3, 1.3e-1},
    {"llama3-v5", 1.1e-6, 3.7e-4, 9.4e-3, 3.1e-1},
    {"qwen2-window", 1.0e-6, 4.9e-4, 8.1e-3, 3.5e-1},
    {"qwen3", 5.2e-7, 5.1e-7, 6.0e-3, 1.4e-1},
    {"smollm3", 1.8e-6, 5.5e-4, 1.5e-2, 5.9e-1},
    {"extra/granite", 1.1e-9, 1.1e-9, 3.7e-4, 1.1e-3},
    {"extra/olmo2", 3.7e-7, 1.2e-4, 2.0e-3, 1.2e-2},
    {"extra/phi3", 3.3e-7, 1.5e-4, 2.6e-3, 2.6e-3},
    {"extra/qwen3-moe", 1.2e-7, 1.2e-7, 3.2e-3, 7.2e-2},
    {"extra/mixtral", 3.3e-7, 9.6e-5, 9.0e-3, 9.0e-3},
    {"extra/olmoe", 9.5e-8, 9.5e-8, 7.8e-4, 7.1e-3},
    {"extra/granitemoe", 6.6e-9, 3.3e-4, 3.6e-4, 3.6e-4},
    {"extra/gpt_oss", 6.5e-7, 6.4e-7, 6.9e-3, 2.1e-1},
    {"extra/ministral3", 3.5e-7, 1.5e-4, 3.6e-3, 3.4e-2},
    {"extra/olmo3", 4.5e-7, 4.5e-7, 3.2e-3, 2.1e-2},
    {"extra/gemma2", 2.1e-8, 2.1e-8, 2.6e-4, 2.7e-3},
    {"extra/gemma3", 3.3e-9, 1.1e-6, 2.2e-5, 2.4e-4},
    {"extra/arcee", 1.1e-7, 1.1e-7, 9.5e-4, 4.1e-2},
    {"extra/seed_oss", 2.1e-7, 8.4e-5, 2.0e-3, 6.1e-2},
    {"extra/ernie4_5", 3.9e-7, 3.9e-7, 2.3e-3, 8.9e-2},
    {"extra/hunyuan", 2.3e-7, 1.1e-4, 2.2e-3, 7.5e-2},
    {"extra/exaone4", 5.4e-7, 5.4e-7, 2.9e-3, 1.6e-1},
    {"extra/glm4", 3.4e-7, 9.5e-5, 1.6e-3, 6.9e-2},
    {"extra/stablelm", 2.4e-7, 2.4e-7, 1.3e-3, 7.2e-2},
    {"extra/starcoder2", 1.6e-7, 3.8e-5, 8.9e-4, 6.2e-2},
};

static double limit_of(const char *name, pith_type type) {
    for (size_t i = 0; i < sizeof MEASURED / sizeof MEASURED[0]; i++) {
        if (strcmp(MEASURED[i].name, name) == 0) {
            double measured = type == PITH_TYPE_F16    ? MEASURED[i].f16
                              : type == PITH_TYPE_BF16 ? MEASURED[i].bf16
                              : type == PITH_TYPE_INT8 ? MEASURED[i].int8
                                                       : MEASURED[i].int4;
            return 2 * measured;
        }
    }
    CHECK(false, "no measured value for %s", name);
    return 0;
}

static double mean_kl(const pith_model *model, const test_npz *expected, pith_kv_type kv_type) {
    double sum = 0;
    size_t n = 0;
    for (size_t p = 0; p < TEST_GOLDEN_PROMPTS; p++) {
        const test_array *ids = test_npz_ints(expected, "ids", p);
        const test_array *positions = test_npz_ints(expected, "positions", p);
        const test_array *logits = test_npz_floats(expected, "logits", p);
        size_t n_vocab = logits->shape[1];
        pith_session *session = test_golden_session_kv(model, 0, kv_type);
        test_golden_eval(session, ids->data.ints, ids->count);
        for (size_t i = 0; i < positions->count; i++) {
            size_t position = (size_t)positions->data.ints[i];
            const float *actual = pith_session_logits_at(session, position);
            CHECK(actual != NULL, "prompt %zu: no logits at position %zu", p, position);
            sum += test_golden_kl(logits->data.floats + i * n_vocab, actual, n_vocab);
            n++;
        }
        pith_session_free(session);
    }
    return sum / (double)n;
}

static void check_type(pith_type type) {
    for (size_t c = 0; test_golden_names[c] != NULL; c++) {
        const char *name = test_golden_names[c];
        double limit = limit_of(name, type);
        test_npz *expected = test_golden_expected(name);
        for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
            const char *isa = test_golden_isa(i);
            pith_model *model = test_golden_open(name, type, isa, 2, PITH_BLAS_AUTO);
            double kl = mean_kl(model, expected, PITH_KV_AUTO);
            CHECK(kl <= limit && kl >= -1e-9,
                  "%s as %s, %s kernels: mean KL %.3g, at most %.3g expected", name,
                  pith_type_name(type), isa, kl, limit);
            pith_model_free(model);
        }
        test_npz_free(expected);
    }
    CHECK_NO_LEAKS();
}

TEST(golden, f16_stays_close) {
    check_type(PITH_TYPE_F16);
}

TEST(golden, bf16_stays_close) {
    check_type(PITH_TYPE_BF16);
}

TEST(golden, int8_stays_close) {
    check_type(PITH_TYPE_INT8);
}

TEST(golden, int4_stays_close) {
    check_type(PITH_TYPE_INT4);
}

/* f16 weights with an int8 cache: measured 8.4e-4 at most, twice as much is accepted; a scale of
 * another position costs whole nats. */
TEST(golden, an_int8_cache_stays_close) {
    double largest = 0;
    for (size_t c = 0; test_golden_names[c] != NULL; c++) {
        const char *name = test_golden_names[c];
        test_npz *expected = test_golden_expected(name);
        pith_model *model = test_golden_open(name, PITH_TYPE_F16, NULL, 2, PITH_BLAS_OFF);
        double kl = mean_kl(model, expected, PITH_KV_INT8);
        largest = kl > largest ? kl : largest;
        CHECK(kl <= 1.7e-3, "%s: mean KL %g with an int8 cache", name, kl);
        pith_model_free(model);
        test_npz_free(expected);
    }
    CHECK(largest > 0, "the int8 cache changed nothing");
}
