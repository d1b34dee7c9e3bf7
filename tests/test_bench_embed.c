/* Benchmarks of encoders: sentences of a text, the arithmetic of operations and shares, and that a
 * run fills its result. Speeds themselves are not tested. */
#include <string.h>

#include "engine/model.h"
#include "perf/bench_embed.h"
#include "perf/sentences.h"
#include "tests/support.h"
#include "tests/test.h"

/* ---- Sentences ------------------------------------------------------------------------------- */

TEST(bench_embed, sentences_of_a_text) {
    static const struct {
        const char *text;
        const char *sentences[4]; /* up to NULL */
        size_t words[3];
    } cases[] = {
        {"", {NULL}, {0}},
        {" \n\t ", {NULL}, {0}},
        {"no full stop", {"no full stop"}, {3}},
        {"two words.", {NULL}, {0}},
        {"Two words. But here three!", {"But here three!"}, {3}},
        {"  A  b\n\tc .  D e f? ", {"A b c .", "D e f?"}, {4, 3}},
        {"a b c.d e f! g h i\r\n", {"a b c.d e f!", "g h i"}, {5, 3}},
        {"a b c? d e f", {"a b c?", "d e f"}, {3, 3}},
        {"He said \"no.\" Then he left", {"He said \"no.\" Then he left"}, {6}},
        {"What is it?! I see... that", {"What is it?!"}, {3}},
        {"1 2 3.\v4 5 6.\f7 8 9.", {"1 2 3.", "4 5 6.", "7 8 9."}, {3, 3, 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n_bytes = strlen(cases[i].text);
        char *text = test_guarded(n_bytes + 1); /* ends at a page that must not be touched */
        char *buffer = test_guarded(n_bytes + 1);
        memcpy(text + 1, cases[i].text, n_bytes);
        pith_sentences sentences = {.text = text + 1, .n_bytes = n_bytes};
        pith_sentence sentence;
        size_t n = 0;
        while (pith_sentence_next(&sentences, buffer + 1, &sentence)) {
            const char *expected = cases[i].sentences[n];
            CHECK(expected != NULL, "case %zu: a sentence too many: %.*s", i, (int)sentence.n_bytes,
                  sentence.text);
            CHECK(sentence.n_bytes == strlen(expected) &&
                      memcmp(sentence.text, expected, sentence.n_bytes) == 0,
                  "case %zu: %.*s, expected %s", i, (int)sentence.n_bytes, sentence.text, expected);
            CHECK(sentence.n_words == cases[i].words[n], "case %zu, sentence %zu: %zu words", i, n,
                  sentence.n_words);
            n++;
        }
        CHECK(cases[i].sentences[n] == NULL, "case %zu: only %zu sentences", i, n);
        test_guarded_free(text, n_bytes + 1);
        test_guarded_free(buffer, n_bytes + 1);
    }
}

/* ---- Arithmetic ------------------------------------------------------------------------------ */

/* hidden 64, 2 layers, intermediate 128 */
static const pith_config round_config = {PITH_ENCODER_RECIPE,    .vocab_size = 100,
                                         .hidden_size = 64,      .intermediate_size = 128,
                                         .num_hidden_layers = 2, .num_attention_heads = 4};

TEST(bench_embed, names_and_costs) {
    static const size_t lengths[] = {3, 5, 10};
    pith_bench_embed_test test = {.n_tokens = 10, .n_sentences = 4};
    pith_bench_embed_cost cost;
    CHECK(strcmp(pith_bench_embed_name(&test).text, "embed10x4") == 0, "%s",
          pith_bench_embed_name(&test).text);
    CHECK(pith_bench_embed_cost_of(&round_config, &test, &cost), "40 tokens are too many");
    /* per layer q, k, v and output 64 x 64 each, up and down 64 x 128 each */
    double weights = 2 * (4 * 4096 + 2 * 8192);
    CHECK(cost.n_tokens == 40 && test_near(cost.linear_ops, 2 * 40 * weights),
          "%zu tokens, linear %g", cost.n_tokens, cost.linear_ops);
    /* q k and p v: 2 x 64 operations each for every pair of tokens of a sentence */
    CHECK(test_near(cost.attention_ops, 2 * 4.0 * 100 * 2 * 128), "attention %g",
          cost.attention_ops);
    test = (pith_bench_embed_test){.n_sentences = 3, .lengths = lengths, .n_tokens = 77};
    CHECK(strcmp(pith_bench_embed_name(&test).text, "text3") == 0, "%s",
          pith_bench_embed_name(&test).text);
    CHECK(pith_bench_embed_cost_of(&round_config, &test, &cost), "18 tokens are too many");
    CHECK(cost.n_tokens == 18 && test_near(cost.linear_ops, 2 * 18 * weights),
          "%zu tokens, linear %g", cost.n_tokens, cost.linear_ops);
    CHECK(test_near(cost.attention_ops, 2 * (9 + 25 + 100) * 2.0 * 128), "attention %g",
          cost.attention_ops);
    test = (pith_bench_embed_test){.n_sentences = 2, .n_tokens = SIZE_MAX / 2 + 1};
    CHECK(!pith_bench_embed_cost_of(&round_config, &test, &cost),
          "more tokens than a size_t holds");
}

TEST(bench_embed, shares) {
    pith_bench_embed_cost cost = {.linear_ops = 4e9, .attention_ops = 1e9, .n_tokens = 100};
    pith_bench_embed_result r = {.tps = 1000, .before = 80e9, .after = 50e9};
    pith_bench_embed_judge(&r, &cost);
    CHECK(test_near(r.linear_rate, 40e9) && test_near(r.attention_rate, 10e9), "rates %g %g",
          r.linear_rate, r.attention_rate);
    CHECK(test_near(r.share, 0.5) && !r.failed, "share of the larger limit %g", r.share);
    r.before = 10e9;
    r.after = 39e9;
    pith_bench_embed_judge(&r, &cost);
    CHECK(r.failed, "%g is believed", r.share);
    r.after = 39.3e9;
    pith_bench_embed_judge(&r, &cost);
    CHECK(!r.failed, "%g is not believed", r.share);
    r.before = r.after = 0;
    pith_bench_embed_judge(&r, &cost);
    CHECK(r.share < 0 && !r.failed, "a share of nothing: %g", r.share);
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static bool refuse(void *user, double done) {
    size_t *left = user;
    (void)done;
    return (*left)-- > 1;
}

static void check_run(const pith_model *model, const pith_bench_embed_test *test, bool integer) {
    pith_probes probes = pith_probes_find(model->kernels->name);
    pith_bench_embed_options options = {.n_repeats = 2, .probes = &probes};
    pith_bench_embed_result r;
    pith_error error = {0};
    const char *name = pith_bench_embed_name(test).text;
    CHECK(pith_bench_embed_run(model, test, &options, &r, &error) == PITH_OK, "%s: %s", name,
          error.message);
    CHECK(r.n_repeats == 2 && r.n_calls == 1, "%s: %zu x %zu calls", name, r.n_repeats, r.n_calls);
    CHECK(r.sps_min > 0 && r.sps_min <= r.sps && r.sps <= r.sps_max, "%s: %g <= %g <= %g", name,
          r.sps_min, r.sps, r.sps_max);
    CHECK(test_near(r.tps * (double)test->n_sentences, r.sps * (double)r.n_tokens),
          "%s: %g tokens/s", name, r.tps);
    CHECK(r.first_seconds > 0 && (r.p50 > 0) == (test->lengths == NULL) && r.p50 <= r.p90 &&
              r.p90 <= r.p99,
          "%s: %g, %g %g %g", name, r.first_seconds, r.p50, r.p90, r.p99);
    CHECK(r.integer == integer, "%s: the limit is of %s", name, r.integer ? "int8" : "f32");
    const pith_peak *peak = integer ? &probes.int8 : &probes.f32;
    CHECK((peak->run != NULL) == (r.before > 0 && r.after > 0 && r.share > 0), "%s: %g %g %g", name,
          r.before, r.after, r.share);
    CHECK(peak->run == NULL ? r.moved == 0 : r.moved >= 1, "%s: the limits moved by %g", name,
          r.moved);
    size_t left = 2;
    options.go_on = refuse;
    options.go_on_user = &left;
    pith_bench_embed_result untouched = {.n_repeats = 77};
    pith_status status = pith_bench_embed_run(model, test, &options, &untouched, &error);
    CHECK(status == PITH_ERROR_STOPPED && untouched.n_repeats == 77, "%s: status %d, %zu repeats",
          name, (int)status, untouched.n_repeats);
}

TEST(bench_embed, runs_fill_their_result) {
    static const size_t lengths[] = {7, 3, 30};
    static const pith_bench_embed_test tests[] = {
        {.n_tokens = 5, .n_sentences = 1},
        {.n_tokens = 6, .n_sentences = 9},
        {.n_sentences = 3, .lengths = lengths},
    };
    static const pith_type types[] = {PITH_TYPE_INT8, PITH_TYPE_F32};
    pith_model_options model_options = {.n_threads = 2};
    pith_error error = {0};
    for (size_t t = 0; t < 2; t++) {
        pith_model *model = NULL;
        CHECK(pith_model_random(&model, "minilm-l6", types[t], &model_options, &error) == PITH_OK,
              "%s", error.message);
        for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
            check_run(model, &tests[i], types[t] == PITH_TYPE_INT8);
        }
        pith_bench_embed_options options = {.n_repeats = 1};
        pith_bench_embed_result r = {.n_repeats = 77};
        pith_bench_embed_test bad = {.n_tokens = 257, .n_sentences = 1};
        CHECK(pith_bench_embed_run(model, &bad, &options, &r, &error) == PITH_ERROR_CONTEXT,
              "257 tokens");
        bad.n_tokens = 0;
        CHECK(pith_bench_embed_run(model, &bad, &options, &r, &error) == PITH_ERROR_CONTEXT,
              "no tokens");
        bad = (pith_bench_embed_test){.n_tokens = SIZE_MAX / 2 + 1, .n_sentences = 2};
        CHECK(pith_bench_embed_run(model, &bad, &options, &r, &error) == PITH_ERROR_MEMORY,
              "SIZE_MAX tokens");
        CHECK(r.n_repeats == 77, "a failed run wrote its result");
        /* Short calls are repeated; without probes there are no limits. */
        options.seconds = 1e-2;
        CHECK(pith_bench_embed_run(model, &tests[0], &options, &r, &error) == PITH_OK, "%s",
              error.message);
        CHECK(r.n_calls >= 1 && r.share < 0 && r.before == 0, "%zu calls, share %g", r.n_calls,
              r.share);
        pith_model_free(model);
    }
    CHECK_NO_LEAKS();
}
