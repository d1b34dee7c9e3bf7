/* Benchmarks: the arithmetic of bytes, operations, shares and quantiles, and that a run fills its
 * result. Speeds themselves are not tested. */
#include <math.h>
#include <string.h>

#include "engine/model.h"
#include "perf/bench.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

TEST(bench, names_of_tests) {
    static const struct {
        pith_bench_test test;
        const char *name;
    } cases[] = {
        {{.n_tokens = 512}, "pp512"},
        {{.n_tokens = 512, .depth = 9, .n_sessions = 3}, "pp512"},
        {{.generate = true, .n_tokens = 64}, "tg64"},
        {{.generate = true, .n_tokens = 64, .n_sessions = 1}, "tg64"},
        {{.generate = true, .n_tokens = 64, .depth = 4032, .n_sessions = 1}, "tg64@d4032"},
        {{.generate = true, .n_tokens = 64, .n_sessions = 4}, "tg64x4"},
        {{.generate = true, .n_tokens = 64, .depth = 512, .n_sessions = 4}, "tg64@d512x4"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_test_name name = pith_bench_test_name(&cases[i].test);
        CHECK(strcmp(name.text, cases[i].name) == 0, "case %zu: %s, expected %s", i, name.text,
              cases[i].name);
    }
}

TEST(bench, attended_positions_agree_with_counting) {
    for (size_t depth = 0; depth < 12; depth++) {
        for (size_t n = 0; n < 12; n++) {
            for (size_t window = 0; window < 16; window++) {
                size_t expected = 0;
                for (size_t i = 0; i < n; i++) {
                    size_t keys = depth + i + 1;
                    expected += window != 0 && keys > window ? window : keys;
                }
                double actual = pith_attended(depth, n, window);
                CHECK(test_near(actual, (double)expected) || expected == 0,
                      "depth %zu, n %zu, window %zu: %g, expected %zu", depth, n, window, actual,
                      expected);
                CHECK(expected != 0 || actual == 0, "no tokens attend to %g positions", actual);
            }
        }
    }
}

/* A model of round numbers: hidden 64, 2 layers, 4 heads and 2 KV heads of 16, FFN 128, vocab 100.
 */
static const pith_network round_model = {
    .config = {PITH_DECODER_RECIPE, .vocab_size = 100, .hidden_size = 64, .intermediate_size = 128,
               .num_hidden_layers = 2, .num_attention_heads = 4, .num_key_value_heads = 2,
               .head_dim = 16},
    .head = {.size = 7000},
};

/* The rows of a pass choose different experts: of four, two a row, three rows read 3.5 of them. */
TEST(bench, several_rows_read_more_experts) {
    pith_expert experts[8] = {{.gate_up.matrix.size = 1000, .down.matrix.size = 500}};
    pith_network network = round_model;
    network.config.n_experts = 4;
    network.config.n_experts_used = 2;
    network.experts = experts;
    pith_work work = pith_work_of(&pith_family_mixtral, &network, 50000, 2);
    static const struct {
        pith_bench_test test;
        double bytes; /* of weights */
    } cases[] = {
        {{.generate = true, .n_tokens = 1, .n_sessions = 1}, 50000},
        {{.generate = true, .n_tokens = 1, .n_sessions = 3}, 50000 + 1.5 * 3000},
        {{.n_tokens = 1}, 50000},
        {{.n_tokens = 3}, 50000 + 1.5 * 3000},
        {{.n_tokens = 512}, 50000 + 2 * 3000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_cost cost = pith_cost_of(&work, &cases[i].test, 512);
        double kv = cases[i].test.generate ? 256 * (double)cases[i].test.n_sessions : 0;
        CHECK(test_near(cost.read_bytes, cases[i].bytes + kv), "case %zu: %g bytes", i,
              cost.read_bytes);
    }
}

TEST(bench, work_of_a_model) {
    pith_work work = pith_work_of(&pith_family_llama, &round_model, 50000, 2);
    CHECK(work.layer_bytes == 43000, "layer bytes %zu", work.layer_bytes);
    CHECK(work.head_bytes == 7000, "head bytes %zu", work.head_bytes);
    /* k and v, 2 layers, 2 heads of 16, 2 bytes */
    CHECK(work.kv_bytes == 256, "KV bytes %zu", work.kv_bytes);
    /* 16 codes of a byte and a scale of four */
    CHECK(pith_work_of(&pith_family_llama, &round_model, 50000, 1).kv_bytes == 2 * 2 * 2 * 20,
          "KV bytes %zu in int8",
          pith_work_of(&pith_family_llama, &round_model, 50000, 1).kv_bytes);
    /* per layer q 64 x 64, k and v 32 x 64 each, o 64 x 64, gate, up and down 128 x 64 each */
    CHECK(test_near(work.linear_weights, 2 * (4096 + 2 * 2048 + 4096 + 3 * 8192)),
          "linear weights %g", work.linear_weights);
    CHECK(test_near(work.head_weights, 6400), "head weights %g", work.head_weights);
    /* per layer and head 16 multiply-adds for q k and 16 for p v */
    CHECK(test_near(work.attention_ops, 2 * 4 * (32 + 32)), "attention %g", work.attention_ops);
}

TEST(bench, cost_of_a_prompt) {
    pith_work work = pith_work_of(&pith_family_llama, &round_model, 50000, 2);
    pith_bench_test test = {.n_tokens = 10};
    pith_cost cost = pith_cost_of(&work, &test, 10);
    CHECK(test_near(cost.linear_ops, 2 * (10 * work.linear_weights + work.head_weights)),
          "linear %g", cost.linear_ops);
    CHECK(test_near(cost.attention_ops, 55 * work.attention_ops), "attention %g",
          cost.attention_ops);
    CHECK(test_near(cost.read_bytes, 50000), "bytes %g", cost.read_bytes);
    CHECK(cost.n_tokens == 10 && test_near(cost.n_passes, 1), "%zu tokens, %g passes",
          cost.n_tokens, cost.n_passes);
    cost = pith_cost_of(&work, &test, 4); /* three passes, the head in the last */
    CHECK(test_near(cost.read_bytes, 3 * 43000 + 7000), "bytes in three passes %g",
          cost.read_bytes);
    CHECK(test_near(cost.n_passes, 3), "%g passes", cost.n_passes);
}

/* One layer of two has a window of 50 keys: the mean of both counts. */
TEST(bench, cost_where_layers_differ) {
    pith_network mixed = round_model;
    mixed.config.n_kinds = 2;
    mixed.config.kinds[1] = mixed.config.kinds[0];
    mixed.config.kinds[1].sliding_window = 50;
    mixed.config.kind_of[1] = 1;
    pith_work work = pith_work_of(&pith_family_llama, &mixed, 50000, 2);
    pith_bench_test test = {.generate = true, .n_tokens = 3, .depth = 100};
    pith_cost cost = pith_cost_of(&work, &test, 512);
    double attended = ((101 + 102 + 103) + 3 * 50) / 2.0;
    CHECK(test_near(cost.attention_ops, attended * work.attention_ops), "attention %g",
          cost.attention_ops);
    CHECK(test_near(cost.read_bytes, 3 * 50000 + attended * 256), "bytes %g", cost.read_bytes);
}

TEST(bench, cost_of_a_generation) {
    pith_work work = pith_work_of(&pith_family_llama, &round_model, 50000, 2);
    pith_bench_test test = {.generate = true, .n_tokens = 3, .depth = 100};
    pith_cost cost = pith_cost_of(&work, &test, 512);
    CHECK(test_near(cost.read_bytes, 3 * 50000 + (101 + 102 + 103) * 256), "bytes %g",
          cost.read_bytes);
    CHECK(test_near(cost.linear_ops, 3 * 2 * (work.linear_weights + work.head_weights)),
          "linear %g", cost.linear_ops);
    CHECK(test_near(cost.attention_ops, 306 * work.attention_ops), "attention %g",
          cost.attention_ops);
    test.n_sessions = 5; /* weights are read once for all, keys and values for each */
    cost = pith_cost_of(&work, &test, 512);
    CHECK(test_near(cost.read_bytes, 3 * 50000 + 5 * 306 * 256), "bytes of 5 %g", cost.read_bytes);
    CHECK(cost.n_tokens == 15, "%zu tokens", cost.n_tokens);
    cost = pith_cost_of(&work, &test, 2); /* three passes a step */
    CHECK(test_near(cost.read_bytes, 9 * 50000 + 5 * 306 * 256), "bytes of 5 by 2 %g",
          cost.read_bytes);
}

TEST(bench, shares) {
    pith_cost cost = {
        .read_bytes = 1e9, .linear_ops = 4e9, .attention_ops = 5e8, .n_passes = 10, .n_tokens = 10};
    pith_bench_result r = {.tps = 200,
                           .limits = {.read_before = 30e9,
                                      .read_after = 40e9,
                                      .int8_before = 160e9,
                                      .int8_after = 100e9}};
    pith_bench_judge(&r, &cost, 1000000);
    CHECK(test_near(r.read_rate, 20e9) && test_near(r.linear_rate, 80e9) &&
              test_near(r.attention_rate, 10e9),
          "rates %g %g %g", r.read_rate, r.linear_rate, r.attention_rate);
    CHECK(test_near(r.share_of_stream, 0.5), "share of the larger stream limit %g",
          r.share_of_stream);
    CHECK(test_near(r.share_of_best, 0.5) && test_near(r.best_limit, 40e9),
          "share of the best %g of %g", r.share_of_best, r.best_limit);
    CHECK(test_near(r.share_of_int8, 0.5), "share of the larger int8 limit %g", r.share_of_int8);
    CHECK(!r.failed, "half of a limit is no failure");
    r.tps = 407.9;
    pith_bench_judge(&r, &cost, 1000000);
    CHECK(!r.failed, "%g is still believed", r.share_of_stream);
    r.tps = 408.1;
    pith_bench_judge(&r, &cost, 1000000);
    CHECK(r.failed, "%g is believed", r.share_of_stream);
    pith_bench_judge(&r, &cost, 25000001); /* a pass of 100 MB in caches of 25 MB */
    CHECK(r.share_of_stream < 0, "a share of what may be cached: %g", r.share_of_stream);
    CHECK(r.share_of_best < 0, "a share of what may be cached: %g", r.share_of_best);
    CHECK(r.cached && test_near(r.pass_bytes, 100e6), "a pass of %g bytes is not cached",
          r.pass_bytes);
    pith_bench_judge(&r, &cost, 25000000);
    CHECK(!r.cached && r.share_of_stream > 0, "four caches may be in one");
    pith_bench_judge(&r, &cost, 25000001);
    CHECK(r.failed, "the share of int8, %g, is believed", r.share_of_int8);
    r.limits.int8_before = r.limits.int8_after = 0;
    pith_bench_judge(&r, &cost, 25000001);
    CHECK(r.share_of_int8 < 0 && !r.failed, "a share of nothing: %g", r.share_of_int8);
    r.limits.read_beside = 19.5e9; /* at 20.4 GB/s */
    r.tps = 204;
    pith_bench_judge(&r, &cost, 1000000);
    CHECK(r.failed, "%g of what was read beside the tokens is believed", r.share_of_stream);
    CHECK(test_near(r.share_of_best, 0.51), "share of the best %g", r.share_of_best);
}

/* Steps of one byte each, four of them, in the order of the seconds they should take. */
TEST(bench, seconds_of_the_stream) {
    static const struct {
        size_t every;
        double rates[5], expected;
    } cases[] = {
        {1, {2, 2, 2, 2, 2}, 4 * 0.5},
        {1, {1, 2, 4, 5, 10}, 1 / 2.0 + 1 / 3.0 + 1 / 4.5 + 1 / 5.0},
        {1, {10, 5, 4, 2, 1}, 1 / 5.0 + 1 / 4.5 + 1 / 3.0 + 1 / 2.0},
        {1, {1, 1, 8, 1, 1}, 4},         /* a fast one alone counts for nothing */
        {1, {8, 8, 1, 8, 8}, 4 * 0.125}, /* nor does a slow one */
        {1, {4, 4, 4, 1, 1}, 1 / 4.0 + 1 / 4.0 + 1 / 2.5 + 1},
        {2, {1, 2, 4}, 4 * 0.5},
        {3, {1, 4, 2}, 4 * 0.5}, /* a last part of one */
        {4, {4, 1}, 4 / 2.5},
        {9, {4, 5}, 4 / 4.5},
    };
    static const double bytes[4] = {1, 1, 1, 1};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double actual = pith_stream_seconds(bytes, 4, cases[i].rates, cases[i].every);
        CHECK(test_near(actual, cases[i].expected), "case %zu: %g seconds, expected %g", i, actual,
              cases[i].expected);
    }
    static const double growing[3] = {10, 20, 30};
    static const double rates[4] = {1, 2, 1, 10};
    double actual = pith_stream_seconds(growing, 3, rates, 1);
    CHECK(test_near(actual, 10 + 20 / 1.5 + 30 / 2.0), "growing tokens: %g seconds", actual);
}

TEST(bench, stretches_between_tokens) {
    for (size_t n = 1; n < 20; n++) {
        for (size_t every = 1; every < 25; every++) {
            size_t expected = 1; /* before the first token */
            for (size_t i = 1; i <= n; i++) {
                bool due = i % every == 0 || i == n;
                size_t stretch = pith_stretch_after(i - 1, n, every);
                CHECK(stretch == (due ? expected : 0),
                      "%zu tokens, every %zu: stretch %zu after %zu, expected %zu", n, every,
                      stretch, i, due ? expected : 0);
                /* Every token lies between two that are measured around it. */
                size_t before = (i - 1) / every;
                CHECK(before + 1 == expected,
                      "%zu tokens, every %zu: token %zu is not beside stretch %zu", n, every, i,
                      expected);
                expected += due;
            }
            size_t actual = pith_stretches(n, every);
            CHECK(actual == expected, "%zu tokens, every %zu: %zu stretches, expected %zu", n,
                  every, actual, expected);
        }
    }
    static const struct {
        double token, read;
        size_t expected;
    } cases[] = {
        {0.07, 0.0013, 1},    {0.013, 0.0012, 1}, {0.013, 0.0013, 1},
        {0.001, 0.0012, 12},  {0.02, 0.1, 1},     {0.0199, 0.1, 50},
        {0.0001, 0.001, 100}, {0.01, 0, 1},       {1e-9, 1, 1000000},
        {0, 0.001, 1000000},  {0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t actual = pith_tokens_between(cases[i].token, cases[i].read);
        CHECK(actual == cases[i].expected, "case %zu: every %zu tokens, expected %zu", i, actual,
              cases[i].expected);
    }
}

/* A run that gets 0.9 of what memory gives has that share, whatever memory does meanwhile. */
TEST(bench, shares_when_memory_changes) {
    enum { N = 12 };
    static const double memory[][N + 1] = {
        {50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50}, /* steady */
        {50, 50, 50, 50, 50, 50, 25, 25, 25, 25, 25, 25, 25}, /* halves in the middle */
        {25, 25, 25, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50}, /* doubles */
        {25, 25, 25, 50, 50, 50, 25, 25, 25, 80, 80, 80, 80}, /* neighbours come and go */
        {50, 50, 50, 50, 90, 50, 50, 50, 50, 50, 3, 50, 50},  /* one read is lucky, one is not */
    };
    const double share = 0.9;
    pith_cost cost = {.read_bytes = N * 4e9, .n_passes = N, .n_tokens = N};
    for (size_t k = 0; k < sizeof memory / sizeof memory[0]; k++) {
        double bytes[N];
        double rates[N + 1];
        double seconds = 0;
        double best = 0;
        for (size_t i = 0; i <= N; i++) {
            rates[i] = 1e9 * memory[k][i];
            best = rates[i] > best ? rates[i] : best;
        }
        for (size_t i = 0; i < N; i++) { /* what a token meets of the speeds beside it */
            double met = 1e9 * (k == 4 ? 50 : (memory[k][i] + memory[k][i + 1]) / 2);
            bytes[i] = 4e9;
            seconds += bytes[i] / (share * met);
        }
        double ideal = pith_stream_seconds(bytes, N, rates, 1);
        pith_bench_result r = {.tps = N / seconds,
                               .limits = {.read_before = rates[0],
                                          .read_after = rates[N],
                                          .read_beside = cost.read_bytes / ideal,
                                          .best_beside = best}};
        pith_bench_judge(&r, &cost, 1000000);
        CHECK(test_near(r.share_of_stream, share), "memory %zu: %g of the stream, expected %g", k,
              r.share_of_stream, share);
        CHECK(test_near(r.read_limit, cost.read_bytes / ideal), "memory %zu: a stream of %g", k,
              r.read_limit);
        CHECK(test_near(r.best_limit, best), "memory %zu: %g at best, expected %g", k, r.best_limit,
              best);
        CHECK(test_near(r.share_of_best, r.read_rate / best), "memory %zu: %g of the best", k,
              r.share_of_best);
        CHECK(k == 0 ? test_near(r.share_of_best, share) : r.share_of_best < share - 0.05,
              "memory %zu: %g of the best stretch", k, r.share_of_best);
        CHECK(!r.failed, "memory %zu: not believed", k);
    }
}

TEST(bench, quantiles_by_nearest_rank) {
    double values[100];
    for (size_t i = 0; i < 100; i++) {
        values[i] = (double)(i + 1);
    }
    static const struct {
        size_t n;
        double q, expected;
    } cases[] = {{100, 0.5, 50}, {100, 0.9, 90}, {100, 0.99, 99}, {100, 1, 100}, {1, 0.5, 1},
                 {1, 0.99, 1},   {2, 0.5, 1},    {2, 0.9, 2},     {5, 0.5, 3},   {10, 0.99, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double actual = pith_quantile(values, cases[i].n, cases[i].q);
        CHECK(actual == cases[i].expected, "case %zu: %g, expected %g", i, actual,
              cases[i].expected);
    }
    CHECK(pith_median(values, 5) == 3, "median of 5: %g", pith_median(values, 5));
    CHECK(pith_median(values, 4) == 2.5, "median of 4: %g", pith_median(values, 4));
}

TEST(bench, thread_counts_of_limits) {
    static const struct {
        size_t n_threads, n, counts[4];
    } cases[] = {{1, 1, {1}},       {2, 2, {1, 2}},       {3, 2, {1, 3}},
                 {4, 3, {1, 2, 4}}, {8, 4, {1, 2, 4, 8}}, {64, 4, {1, 16, 32, 64}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t counts[4] = {0};
        size_t n = pith_limits_threads(cases[i].n_threads, counts);
        CHECK(n == cases[i].n, "case %zu: %zu counts", i, n);
        CHECK(memcmp(counts, cases[i].counts, sizeof counts) == 0, "case %zu: %zu %zu %zu %zu", i,
              counts[0], counts[1], counts[2], counts[3]);
    }
}

/* Every probe gives a positive figure, on one thread and on three. */
TEST(bench, limits_of_every_instruction_set) {
    for (size_t n_threads = 1; n_threads <= 3; n_threads += 2) {
        pith_pool *pool = NULL;
        pith_probe_memory memory = {0};
        pith_error error = {0};
        CHECK(pith_pool_new(&pool, n_threads, NULL, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_probe_memory_new(&memory, (size_t)9 << 20, false, pool, &error) == PITH_OK, "%s",
              error.message);
        CHECK(memory.size == (size_t)8 << 20, "%zu bytes", memory.size);
        for (size_t i = 0; pith_kernel_names[i] != NULL; i++) {
            const char *isa = pith_kernel_names[i];
            pith_probes probes = pith_probes_find(isa);
            CHECK(probes.read != NULL, "%s does not read", isa);
            pith_read_limit read = pith_limit_read(&probes, &memory, pool, 0);
            CHECK(isfinite(read.best) && read.sustained > 0 && read.sustained <= read.best,
                  "%s reads %g at best, %g sustained", isa, read.best, read.sustained);
            CHECK(read.stretch > 0 && read.stretch <= (double)memory.size, "%s: stretches of %g",
                  isa, read.stretch);
            size_t next = 0;
            double rate = pith_limit_stretch(&probes, &memory, pool, read.pattern, &next);
            CHECK(isfinite(rate) && rate > 0, "%s reads a stretch at %g", isa, rate);
            double int8 = pith_limit_compute(&probes.int8, pool, 0);
            CHECK(isfinite(int8) && (int8 > 0) == (probes.int8.run != NULL), "%s int8 %g", isa,
                  int8);
            double f32 = pith_limit_compute(&probes.f32, pool, 0);
            CHECK(isfinite(f32) && (f32 > 0) == (probes.f32.run != NULL), "%s f32 %g", isa, f32);
            double bf16 = pith_limit_compute(&probes.bf16, pool, 0);
            CHECK(isfinite(bf16) && (bf16 > 0) == (probes.bf16.run != NULL), "%s bf16 %g", isa,
                  bf16);
        }
        CHECK(pith_limit_dispatch(pool) > 0, "no time passes in a loop");
        pith_probe_memory_free(&memory);
        CHECK(memory.data == NULL, "freed memory is still named");
        pith_pool_free(pool);
    }
    CHECK(pith_limit_clock() > 0, "no cycles");
    CHECK_NO_LEAKS();
}

/* Stretches are read one after the other, and the first again after the last. */
TEST(bench, stretches_follow_one_another) {
    pith_pool *pool = NULL;
    pith_probe_memory memory = {0};
    pith_error error = {0};
    CHECK(pith_pool_new(&pool, 1, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_probe_memory_new(&memory, (size_t)200 << 20, false, pool, &error) == PITH_OK, "%s",
          error.message);
    pith_probes probes = pith_probes_find("scalar");
    size_t next = 0;
    for (size_t i = 1; i < 8; i++) { /* three of 64 MB */
        (void)pith_limit_stretch(&probes, &memory, pool, (pith_probe_pattern){0, 1}, &next);
        CHECK(next == i % 3, "after %zu stretches comes %zu", i, next);
    }
    pith_read_limit read = pith_limit_read_on(&probes, &memory, pool, 0, &next);
    CHECK(read.stretch > 60e6 && read.stretch < 68e6, "stretches of %g bytes", read.stretch);
    CHECK(next == (7 + 7) % 3, "after one stretch of each pattern comes %zu", next);
    pith_probe_memory_free(&memory);
    pith_pool_free(pool);
}

/* The reading loops see all of their bytes, whatever the pattern. */
TEST(bench, read_probes_read_everything) {
    enum { SIZE = 2 * PITH_PROBE_BLOCK };
    unsigned char *data = test_guarded(SIZE);
    static const size_t streams[] = {1, 2, 4};
    memset(data, 0, SIZE);
    for (size_t k = 0; pith_kernel_names[k] != NULL; k++) {
        pith_probes probes = pith_probes_find(pith_kernel_names[k]);
        for (size_t s = 0; s < 3; s++) {
            for (size_t ahead = 0; ahead <= 2048; ahead += 2048) {
                pith_probe_pattern pattern = {ahead, streams[s]};
                CHECK(probes.read(data, SIZE, pattern) == 0, "%s: something in zeros", probes.isa);
                /* One lane of the widest vector ends up in the checksum. */
                for (size_t i = 0; i < SIZE; i += 64) {
                    data[i] = 1;
                    CHECK(probes.read(data, SIZE, pattern) != 0,
                          "%s, %zu streams, ahead %zu: byte %zu is not read", probes.isa,
                          streams[s], ahead, i);
                    data[i] = 0;
                }
            }
        }
    }
    test_guarded_free(data, SIZE);
}

static bool refuse(void *user, double done) {
    size_t *left = user;
    (void)done;
    return (*left)-- > 1;
}

/* What go_on was called with. */
typedef struct heard {
    double last;
    size_t n, falls;
} heard;

static bool listen(void *user, double done) {
    heard *h = user;
    h->falls += done < h->last;
    h->last = done;
    h->n++;
    return true;
}

TEST(bench, products_reach_the_part_of_the_int8_operations_that_multiplies_codes) {
    static const struct {
        const char *isa;
        const char *type;
        double reach;
    } cases[] = {{"avx2", "int8", 0.5},      {"avx2", "int4", 8.0 / 9}, {"avx512", "int4", 0.8},
                 {"avx512-vnni", "int8", 1}, {"neon-dot", "int4", 1},   {"avx2", "f16", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double reach = pith_product_reach(cases[i].isa, cases[i].type);
        CHECK(test_near(reach, cases[i].reach), "%s %s: %g, expected %g", cases[i].isa,
              cases[i].type, reach, cases[i].reach);
    }
}

TEST(bench, runs_fill_their_result) {
    const char *path = test_path("bench.pith");
    test_write_tiny_model(path, PITH_TYPE_INT4, 3);
    pith_model *model = NULL;
    pith_error error = {0};
    pith_model_options model_options = {.n_threads = 2};
    CHECK(pith_model_open(&model, path, &model_options, &error) == PITH_OK, "%s", error.message);
    pith_bench_probe probe = {.probes = pith_probes_find(model->kernels->name)};
    CHECK(pith_probe_memory_new(&probe.memory, (size_t)8 << 20, true, model->pool, &error) ==
              PITH_OK,
          "%s", error.message);
    pith_bench_options options = {.n_repeats = 3, .n_batch = 2, .probe = &probe};
    static const pith_bench_test tests[] = {
        {.n_tokens = 5, .n_sessions = 1},
        {.generate = true, .n_tokens = 3, .n_sessions = 1},
        {.generate = true, .n_tokens = 3, .depth = 7, .n_sessions = 1},
        {.generate = true, .n_tokens = 2, .depth = 3, .n_sessions = 5},
        {.generate = true, .n_tokens = 1, .n_sessions = 5},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        pith_bench_result r;
        pith_status status = pith_bench_run(model, &tests[i], &options, &r, &error);
        CHECK(status == PITH_OK, "test %zu: %s", i, error.message);
        CHECK(r.n_repeats == 3 && r.tps_min > 0 && r.tps_min <= r.tps && r.tps <= r.tps_max,
              "test %zu: %g <= %g <= %g", i, r.tps_min, r.tps, r.tps_max);
        CHECK(r.first_seconds > 0, "test %zu: first %g", i, r.first_seconds);
        CHECK(tests[i].generate == (r.p50 > 0) && r.p50 <= r.p90 && r.p90 <= r.p99,
              "test %zu: %g %g %g", i, r.p50, r.p90, r.p99);
        CHECK(r.limits.read_before > 0 && r.limits.read_after > 0, "test %zu: no stream", i);
        CHECK(r.read_limit > 0 && r.int8_limit > 0, "test %zu: compared with nothing", i);
        CHECK(r.best_limit >= r.read_limit * (1 - 1e-9), "test %zu: a best of %g below %g", i,
              r.best_limit, r.read_limit);
        CHECK(r.read_rate > 0 && r.linear_rate > 0 && r.attention_rate > 0, "test %zu: %g %g %g", i,
              r.read_rate, r.linear_rate, r.attention_rate);
        CHECK(r.share_of_stream < 0 && r.share_of_best < 0 && r.cached && r.pass_bytes > 0,
              "test %zu: %g of the stream from the cache, a pass of %g bytes", i, r.share_of_stream,
              r.pass_bytes);
        CHECK(r.moved >= 1, "test %zu: the limits moved by %g", i, r.moved);
        size_t left = 2;
        pith_bench_options stopped = options;
        stopped.go_on = refuse;
        stopped.go_on_user = &left;
        pith_bench_result untouched = {.n_repeats = 77};
        status = pith_bench_run(model, &tests[i], &stopped, &untouched, &error);
        CHECK(status == PITH_ERROR_STOPPED, "test %zu: status %d", i, (int)status);
        CHECK(untouched.n_repeats == 77, "test %zu: a stopped run wrote its result", i);
    }
    pith_bench_result blind;
    pith_bench_options without = options;
    without.probe = NULL;
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        CHECK(pith_bench_run(model, &tests[i], &without, &blind, &error) == PITH_OK, "%s",
              error.message);
        CHECK(blind.read_limit == 0 && blind.best_limit == 0 && blind.share_of_stream < 0 &&
                  blind.tps > 0,
              "test %zu: limits without a probe", i);
        CHECK(blind.moved == 0, "test %zu: what was not measured moved by %g", i, blind.moved);
        heard h = {.n = 0};
        pith_bench_options told = without; /* without limits no test is tried again */
        told.go_on = listen;
        told.go_on_user = &h;
        CHECK(pith_bench_run(model, &tests[i], &told, &blind, &error) == PITH_OK, "%s",
              error.message);
        CHECK(h.falls == 0 && test_near(h.last, 1) && h.n >= 4,
              "test %zu: told %zu times, %zu less than before, %g at the end", i, h.n, h.falls,
              h.last);
    }
    pith_bench_result roomy;
    pith_bench_options with_context = options;
    with_context.n_context = 200000; /* 2 layers x k, v x 8 values of f16: 64 bytes a token */
    CHECK(pith_bench_run(model, &tests[0], &with_context, &roomy, &error) == PITH_OK, "%s",
          error.message);
    CHECK(roomy.rss_bytes > ((size_t)8 << 20) + (size_t)12000000, "only %zu bytes resident",
          roomy.rss_bytes);
    pith_bench_test huge = {.generate = true, .n_tokens = SIZE_MAX / 2, .depth = SIZE_MAX / 2 + 9};
    pith_bench_result r;
    CHECK(pith_bench_run(model, &huge, &options, &r, &error) == PITH_ERROR_MEMORY,
          "a test of SIZE_MAX tokens");
    pith_bench_probe_free(&probe);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
