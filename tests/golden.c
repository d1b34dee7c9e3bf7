/* Set-up and comparisons for the golden tests (golden/README.md describes the data). */
#include "tests/golden.h"

#include "convert/convert.h"
#include "simd/kernels.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *const test_golden_names[] = {
    "llama-mha",
    "llama-gqa",
    "codellama",
    "llama-tied",
    "llama-linear",
    "llama3",
    "llama-yarn",
    "llama-bias",
    "extra/mqa",
    "extra/head-dim",
    "extra/mlp-bias",
    "extra/qwen2",
    "extra/long",
    "extra/mistral-window",
    "extra/mistral-long",
    "llama3-v5",
    "qwen2-window",
    "qwen3",
    "smollm3",
    "extra/granite",
    "extra/olmo2",
    "extra/phi3",
    "extra/ministral3",
    "extra/qwen3-moe",
    "extra/mixtral",
    "extra/olmoe",
    "extra/granitemoe",
    "extra/gpt_oss",
    "extra/olmo3",
    "extra/gemma2",
    "extra/gemma3",
    "extra/arcee",
    "extra/seed_oss",
    "extra/ernie4_5",
    "extra/hunyuan",
    "extra/exaone4",
    "extra/glm4",
    "extra/stablelm",
    "extra/starcoder2",
    NULL,
};

test_npz *test_golden_expected(const char *name) {
    char relative[256];
    snprintf(relative, sizeof relative, "golden/%s/expected.npz", name);
    return test_npz_open(test_root(relative));
}

const char *test_golden_convert(const char *name, pith_type type) {
    char source[256];
    char file[256];
    pith_error error = {0};
    pith_convert_options options = {.type = type, .head_type = PITH_N_TYPES, .n_threads = 1};
    snprintf(source, sizeof source, "golden/%s", name);
    snprintf(file, sizeof file, "%s-%s.pith", name, pith_type_name(type));
    for (char *at = file; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '-';
        }
    }
    const char *path = test_path(file);
    if (access(path, R_OK) != 0) {
        pith_status status = pith_convert(test_root(source), path, &options, &error);
        CHECK(status == PITH_OK, "converting %s to %s: %s", name, pith_type_name(type),
              error.message);
    }
    return path;
}

pith_model *test_golden_open(const char *name, pith_type type, const char *isa, size_t n_threads,
                             pith_blas blas) {
    pith_error error = {0};
    pith_model *model = NULL;
    pith_model_options options = {.n_threads = n_threads, .isa = isa, .blas = blas};
    const char *path = test_golden_convert(name, type);
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "opening %s as %s with %s kernels: %s", name, pith_type_name(type),
          isa == NULL ? "the best" : isa, error.message);
    return model;
}

pith_session *test_golden_session(const pith_model *model, size_t n_batch) {
    return test_golden_session_kv(model, n_batch, PITH_KV_AUTO);
}

pith_session *test_golden_session_kv(const pith_model *model, size_t n_batch,
                                     pith_kv_type kv_type) {
    pith_error error = {0};
    pith_session *session = NULL;
    pith_session_options options = {.n_context = TEST_GOLDEN_CONTEXT,
                                    .n_batch = n_batch,
                                    .kv_type = kv_type,
                                    .all_logits = true};
    pith_status status = pith_session_new(&session, model, &options, &error);
    CHECK(status == PITH_OK, "session: %s", error.message);
    return session;
}

void test_golden_eval(pith_session *session, const int32_t *tokens, size_t n) {
    pith_error error = {0};
    pith_status status = pith_session_eval(session, tokens, n, &error);
    CHECK(status == PITH_OK, "evaluating %zu tokens: %s", n, error.message);
}

const char *test_golden_isa(size_t n) {
    for (size_t i = 0; pith_kernel_names[i] != NULL; i++) {
        if (pith_kernels_find(pith_kernel_names[i]) != NULL && n-- == 0) {
            return pith_kernel_names[i];
        }
    }
    return NULL;
}

size_t test_golden_differs(const float *a, const float *b, size_t n, float limit, float *largest) {
    size_t first = n;
    for (size_t i = 0; i < n; i++) {
        float difference = fabsf(a[i] - b[i]);
        if (!(difference <= limit) && first == n) {
            first = i;
        }
        if (difference > *largest) {
            *largest = difference;
        }
    }
    return first;
}

/* log of the sum of exponentials, and the largest logit it was taken against. */
static double log_sum_exp(const float *x, size_t n) {
    double top = x[test_golden_argmax(x, n)];
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)x[i] - top);
    }
    return top + log(sum);
}

double test_golden_kl(const float *p, const float *q, size_t n) {
    double p_norm = log_sum_exp(p, n);
    double q_norm = log_sum_exp(q, n);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double log_p = (double)p[i] - p_norm;
        sum += exp(log_p) * (log_p - ((double)q[i] - q_norm));
    }
    return sum;
}

size_t test_golden_argmax(const float *logits, size_t n) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    return best;
}
