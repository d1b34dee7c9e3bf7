/* Bit identity: a token's logits do not depend on the instruction set, the number of threads, how
 * the prompt was cut into chunks, or what else was in the batch (BLAS off). All five weight types
 * on three checkpoints that between them have grouped heads, two shards and wide rows (llama-gqa),
 * odd sizes, biases and int8 fallback (llama-bias), and a sliding window (mistral-window); one type
 * again with an int8 cache. */
#include "tests/golden.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static const char *const NAMES[] = {"llama-gqa", "llama-bias", "extra/mistral-long"};
static const size_t CHUNKS[] = {1, 7, 64, 512};

enum {
    N_NAMES = sizeof NAMES / sizeof NAMES[0],
    N_CHUNKS = sizeof CHUNKS / sizeof CHUNKS[0],
    N_BATCH = 5,
    MAX_THREADS = 4,
};

/* The longest prompt and its logits by the scalar kernels, one thread, one chunk. */
typedef struct baseline {
    const char *name;
    pith_type type;
    pith_kv_type kv_type;
    const int32_t *ids; /* [n_tokens] */
    size_t n_tokens;
    size_t n_vocab;
    float *logits; /* [n_tokens, n_vocab] */
} baseline;

/* Compares the logits of the last eval with those of tokens first .. first + n - 1. */
static void check_same(const baseline *base, const pith_session *session, size_t first, size_t n,
                       const char *isa, size_t n_threads, const char *what, size_t size) {
    for (size_t t = 0; t < n; t++) {
        const float *actual = pith_session_logits_at(session, t);
        const float *wanted = base->logits + (first + t) * base->n_vocab;
        CHECK(actual != NULL, "no logits of token %zu", t);
        if (memcmp(actual, wanted, base->n_vocab * sizeof *actual) == 0) {
            continue;
        }
        size_t i = 0;
        while (i + 1 < base->n_vocab && memcmp(&actual[i], &wanted[i], sizeof *actual) == 0) {
            i++;
        }
        CHECK(false, "%s as %s, %s, %zu threads, %s %zu: logit %zu of token %zu is %a, expected %a",
              base->name, pith_type_name(base->type), isa, n_threads, what, size, i, first + t,
              (double)actual[i], (double)wanted[i]);
    }
}

static void compute_baseline(baseline *base) {
    pith_model *model = test_golden_open(base->name, base->type, "scalar", 1, PITH_BLAS_OFF);
    pith_session *session = test_golden_session_kv(model, 512, base->kv_type);
    pith_model_info info;
    pith_model_get_info(model, &info);
    base->n_vocab = info.n_vocab;
    base->logits = malloc(base->n_tokens * base->n_vocab * sizeof *base->logits);
    CHECK(base->logits != NULL, "out of memory");
    test_golden_eval(session, base->ids, base->n_tokens);
    for (size_t t = 0; t < base->n_tokens; t++) {
        const float *row = pith_session_logits_at(session, t);
        CHECK(row != NULL, "no logits of token %zu", t);
        memcpy(base->logits + t * base->n_vocab, row, base->n_vocab * sizeof *row);
    }
    pith_session_free(session);
    pith_model_free(model);
}

/* One eval that the session cuts into chunks, and one eval after another, after a rewind; for chunk
 * sizes CHUNKS[first] .. CHUNKS[end - 1]. */
static void check_chunks(const baseline *base, const pith_model *model, const char *isa,
                         size_t n_threads, size_t first, size_t end) {
    for (size_t c = first; c < end; c++) {
        pith_session *session = test_golden_session_kv(model, CHUNKS[c], base->kv_type);
        test_golden_eval(session, base->ids, base->n_tokens);
        check_same(base, session, 0, base->n_tokens, isa, n_threads, "n_batch", CHUNKS[c]);
        size_t kept = base->n_tokens / 3;
        CHECK(pith_session_rewind(session, kept, NULL) == PITH_OK, "rewind to %zu", kept);
        for (size_t t = kept; t < base->n_tokens;) {
            size_t n = CHUNKS[c] < base->n_tokens - t ? CHUNKS[c] : base->n_tokens - t;
            test_golden_eval(session, base->ids + t, n);
            check_same(base, session, t, n, isa, n_threads, "evals of", CHUNKS[c]);
            t += n;
        }
        pith_session_free(session);
    }
}

/* Five sessions at different lengths in one pass, twice: whole prompts, then the tokens after them,
 * one for some and several for others. */
static void check_batch(const baseline *base, const pith_model *model, const char *isa,
                        size_t n_threads) {
    const size_t first[N_BATCH] = {1, 7, 33, base->n_tokens - 10, 64};
    static const size_t then[N_BATCH] = {1, 1, 20, 1, 3};
    pith_session *sessions[N_BATCH];
    const int32_t *tokens[N_BATCH];
    pith_error error = {0};
    for (size_t s = 0; s < N_BATCH; s++) {
        sessions[s] = test_golden_session_kv(model, 64, base->kv_type);
        tokens[s] = base->ids;
    }
    pith_status status = pith_batch_eval(sessions, N_BATCH, tokens, first, &error);
    CHECK(status == PITH_OK, "batch: %s", error.message);
    for (size_t s = 0; s < N_BATCH; s++) {
        check_same(base, sessions[s], 0, first[s], isa, n_threads, "batch member", s);
        tokens[s] = base->ids + first[s];
    }
    status = pith_batch_eval(sessions, N_BATCH, tokens, then, &error);
    CHECK(status == PITH_OK, "second batch: %s", error.message);
    for (size_t s = 0; s < N_BATCH; s++) {
        check_same(base, sessions[s], first[s], then[s], isa, n_threads, "second batch member", s);
        pith_session_free(sessions[s]);
    }
}

/* The best instruction set with 1 to 4 threads, the others with one and two; scalar, the baseline
 * and by far the slowest, with one thread and one chunk size. */
static void check_checkpoint(const baseline *base) {
    for (size_t i = 0; test_golden_isa(i) != NULL; i++) {
        const char *isa = test_golden_isa(i);
        bool scalar = strcmp(isa, "scalar") == 0;
        size_t max_threads = scalar ? 1 : i == 0 ? MAX_THREADS : 2;
        for (size_t n_threads = 1; n_threads <= max_threads; n_threads++) {
            pith_model *model =
                test_golden_open(base->name, base->type, isa, n_threads, PITH_BLAS_OFF);
            check_chunks(base, model, isa, n_threads, scalar ? 1 : 0, scalar ? 2 : N_CHUNKS);
            check_batch(base, model, isa, n_threads);
            pith_model_free(model);
        }
    }
}

static void check_name(const char *name, pith_type type, pith_kv_type kv_type) {
    test_npz *expected = test_golden_expected(name);
    const test_array *ids = test_npz_ints(expected, "ids", TEST_GOLDEN_PROMPTS - 1);
    baseline base = {.name = name,
                     .type = type,
                     .kv_type = kv_type,
                     .ids = ids->data.ints,
                     .n_tokens = ids->count};
    compute_baseline(&base);
    check_checkpoint(&base);
    free(base.logits);
    test_npz_free(expected);
}

static void check_identity(pith_type type, pith_kv_type kv_type) {
    for (size_t c = 0; c < N_NAMES; c++) {
        check_name(NAMES[c], type, kv_type);
    }
    CHECK_NO_LEAKS();
}

TEST(golden, f32_is_identical_however_it_is_computed) {
    check_identity(PITH_TYPE_F32, PITH_KV_AUTO);
}

TEST(golden, f16_is_identical_however_it_is_computed) {
    check_identity(PITH_TYPE_F16, PITH_KV_AUTO);
}

TEST(golden, bf16_is_identical_however_it_is_computed) {
    check_identity(PITH_TYPE_BF16, PITH_KV_AUTO);
}

TEST(golden, int8_is_identical_however_it_is_computed) {
    check_identity(PITH_TYPE_INT8, PITH_KV_AUTO);
}

TEST(golden, int4_is_identical_however_it_is_computed) {
    check_identity(PITH_TYPE_INT4, PITH_KV_AUTO);
}

TEST(golden, int8_cache_is_identical_however_it_is_computed) {
    check_identity(PITH_TYPE_INT8, PITH_KV_INT8);
}

/* Layers that differ in window and RoPE, norms of q and k and after each sub-layer, GELU. */
TEST(golden, families_are_identical_however_they_are_computed) {
    check_name("smollm3", PITH_TYPE_F16, PITH_KV_AUTO);
    check_name("extra/olmo2", PITH_TYPE_F32, PITH_KV_AUTO);
    check_name("extra/ministral3", PITH_TYPE_INT8, PITH_KV_AUTO);
    check_name("extra/qwen3-moe", PITH_TYPE_INT4, PITH_KV_AUTO);
    check_name("extra/mixtral", PITH_TYPE_INT8, PITH_KV_AUTO);
    check_name("extra/granitemoe", PITH_TYPE_INT8, PITH_KV_AUTO);
    check_name("extra/gpt_oss", PITH_TYPE_F32, PITH_KV_AUTO);
    check_name("extra/gpt_oss", PITH_TYPE_INT4, PITH_KV_INT8);
    check_name("extra/mixtral", PITH_TYPE_F32, PITH_KV_AUTO);
    check_name("extra/olmo3", PITH_TYPE_INT4, PITH_KV_AUTO);
    check_name("extra/gemma2", PITH_TYPE_INT4, PITH_KV_AUTO);
    check_name("extra/gemma3", PITH_TYPE_INT8, PITH_KV_INT8);
    CHECK_NO_LEAKS();
}

/* Its temperature multiplies the tables that every kernel reads. */
TEST(golden, yarn_is_identical_however_it_is_computed) {
    check_name("llama-yarn", PITH_TYPE_F16, PITH_KV_AUTO);
    CHECK_NO_LEAKS();
}
