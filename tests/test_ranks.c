/* One model over several ranks gives the logits of one process, bit for bit: by what the ranks
 * gather in one process (ranks.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture.h"
#include "tests/golden.h"
#include "tests/ranks.h"
#include "tests/support.h"
#include "tests/test.h"

enum { N_TOKENS = 70, MAX_VOCAB = 4096 };

static const pith_type types[] = {PITH_TYPE_INT4, PITH_TYPE_INT8, PITH_TYPE_F16, PITH_TYPE_F32};

/* A timeline and the logits [n, n_vocab] that one process has for it. */
typedef struct baseline {
    int32_t tokens[N_TOKENS];
    size_t n, n_vocab;
    pith_kv_type kv_type;
    float *logits;
} baseline;

static void compute_baseline(baseline *base, const char *path, pith_kv_type kv_type) {
    pith_model *model = test_open_alone(path);
    pith_model_info info;
    uint64_t seed = 5;
    pith_model_get_info(model, &info);
    base->n_vocab = info.n_vocab;
    base->kv_type = kv_type;
    base->n = N_TOKENS;
    base->logits = malloc(base->n * base->n_vocab * sizeof *base->logits);
    for (size_t i = 0; i < base->n; i++) {
        base->tokens[i] = (int32_t)(test_random(&seed) % base->n_vocab);
    }
    pith_session *session = test_session(model, (pith_session_options){.n_context = N_TOKENS,
                                                                       .kv_type = kv_type,
                                                                       .all_logits = true});
    test_eval(session, base->tokens, base->n);
    for (size_t t = 0; t < base->n; t++) {
        memcpy(base->logits + t * base->n_vocab, pith_session_logits_at(session, t),
               base->n_vocab * sizeof *base->logits);
    }
    pith_session_free(session);
    pith_model_free(model);
}

/* The logits of the last eval, of tokens first .. first + n - 1. */
static void check_same(const baseline *base, const pith_session *s, size_t first, size_t n,
                       const char *what) {
    for (size_t t = 0; t < n; t++) {
        const float *wanted = base->logits + (first + t) * base->n_vocab;
        const float *actual = pith_session_logits_at(s, t);
        for (size_t i = 0; i < base->n_vocab; i++) {
            CHECK(memcmp(&actual[i], &wanted[i], sizeof *actual) == 0,
                  "%s: logit %zu of token %zu is %a, expected %a", what, i, first + t,
                  (double)actual[i], (double)wanted[i]);
        }
    }
}

static pith_session *session_for(const baseline *base, const pith_model *model, size_t n_batch) {
    return test_session(model, (pith_session_options){.n_context = N_TOKENS,
                                                      .n_batch = n_batch,
                                                      .kv_type = base->kv_type,
                                                      .all_logits = true});
}

/* Prompts in chunks; then rewound and token by token. */
static void check_chunks(const baseline *base, const pith_model *model, const char *what) {
    static const size_t chunks[] = {1, 7, 64};
    for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
        pith_session *s = session_for(base, model, chunks[c]);
        test_eval(s, base->tokens, base->n);
        check_same(base, s, 0, base->n, what);
        CHECK(pith_session_rewind(s, base->n - 5, NULL) == PITH_OK, "rewind");
        for (size_t t = base->n - 5; t < base->n; t++) {
            test_eval(s, base->tokens + t, 1);
            check_same(base, s, t, 1, what);
        }
        pith_session_free(s);
    }
}

/* Sessions of different lengths in one pass, and a fork of one that goes on beside it. */
static void check_batch(const baseline *base, const pith_model *model, const char *what) {
    static const size_t first[3] = {1, 20, 45};
    static const size_t then[4] = {1, 3, 17, 1};
    pith_session *sessions[4];
    const int32_t *tokens[4];
    pith_error error = {0};
    for (size_t i = 0; i < 3; i++) {
        sessions[i] = session_for(base, model, 64);
        tokens[i] = base->tokens;
    }
    CHECK(pith_batch_eval(sessions, 3, tokens, first, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_fork(&sessions[3], sessions[1], &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 4; i++) {
        tokens[i] = base->tokens + pith_session_length(sessions[i]);
    }
    CHECK(pith_batch_eval(sessions, 4, tokens, then, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 4; i++) {
        size_t length = pith_session_length(sessions[i]);
        check_same(base, sessions[i], length - then[i], then[i], what);
        pith_session_free(sessions[i]);
    }
}

static void check_file(const char *path, const char *name, pith_type type, pith_kv_type kv_type) {
    baseline base;
    compute_baseline(&base, path, kv_type);
    for (size_t n = 2; n <= 4; n++) {
        test_ranks ranks = {0};
        char what[100];
        snprintf(what, sizeof what, "%s as %s by %zu ranks", name, pith_type_name(type), n);
        const pith_model *model = test_ranks_run(&ranks, path, n);
        check_chunks(&base, model, what);
        check_batch(&base, model, what);
        test_ranks_end(&ranks);
    }
    free(base.logits);
    CHECK_NO_LEAKS();
}

static void check_checkpoint(const char *name) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        check_file(test_golden_convert(name, types[i]), name, types[i], PITH_KV_AUTO);
    }
}

/* ---- Identity -------------------------------------------------------------------------------- */

TEST(ranks, llama_with_grouped_heads) {
    check_checkpoint("llama-gqa");
}

TEST(ranks, llama_with_equal_heads) {
    check_checkpoint("llama-mha");
}

TEST(ranks, llama_with_biases_and_odd_sizes) {
    check_checkpoint("llama-bias");
}

TEST(ranks, tied_embedding) {
    check_checkpoint("llama-tied");
}

TEST(ranks, qwen3) {
    check_checkpoint("qwen3");
}

TEST(ranks, gemma3) {
    check_checkpoint("extra/gemma3");
}

TEST(ranks, norms_of_all_heads) {
    check_checkpoint("extra/olmo2");
}

TEST(ranks, one_kv_head) {
    check_checkpoint("extra/mqa");
}

TEST(ranks, no_gate) {
    check_checkpoint("extra/starcoder2");
}

TEST(ranks, experts) {
    check_checkpoint("extra/mixtral");
}

/* Biases of experts and of the router are added once, sinks are those of a rank's own heads. */
TEST(ranks, sinks_and_biases_of_experts) {
    check_checkpoint("extra/gpt_oss");
}

/* Wide enough that the borders of two and three ranks are on groups: codes are gathered. */
static void write_wide(const char *path, pith_type type) {
    test_model description;
    test_model_default(&description, type);
    description.config.hidden_size = 64;
    description.config.intermediate_size = 1536;
    description.config.num_attention_heads = 12;
    description.config.num_key_value_heads = 6;
    description.config.head_dim = 128;
    test_write_model(path, &description);
}

TEST(ranks, gather_codes) {
    for (size_t i = 0; i < 2; i++) { /* int4 and int8 */
        const char *path = test_path("wide.pith");
        write_wide(path, types[i]);
        check_file(path, "wide", types[i], PITH_KV_AUTO);
    }
}

TEST(ranks, kv_types) {
    const char *path = test_golden_convert("llama-gqa", PITH_TYPE_INT8);
    check_file(path, "llama-gqa", PITH_TYPE_INT8, PITH_KV_F32);
    check_file(path, "llama-gqa", PITH_TYPE_INT8, PITH_KV_INT8);
}
