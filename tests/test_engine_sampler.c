/* The sampler: generator, penalties, filters, ties, errors. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "engine/sampler.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 50 };

/* A model with nothing but a vocabulary size and kernels: all that a sampler looks at. */
static pith_model small_model(size_t n_vocab) {
    pith_model model = {0};
    model.allocator = pith_malloc_allocator;
    model.kernels = pith_kernels_find(NULL);
    model.network.config.vocab_size = n_vocab;
    return model;
}

static pith_sampler *new_sampler(const pith_model *model, const pith_sampling *settings) {
    pith_error error;
    pith_sampler *sampler = NULL;
    pith_status status = pith_sampler_new(&sampler, model, settings, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return sampler;
}

static int32_t sample(pith_sampler *sampler, const float *logits) {
    pith_error error;
    int32_t token = -1;
    pith_status status = pith_sample(sampler, logits, &token, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return token;
}

static void fill(float *logits, uint64_t seed, float spread) {
    for (size_t i = 0; i < VOCAB; i++) {
        logits[i] = spread * test_random_normal(&seed);
    }
}

/* The first outputs of pcg32 seeded with 42 and stream 54 (O'Neill's pcg32-demo) use another
 * increment; this checks the output function and the recurrence against an independent rendering.
 */
TEST(engine_sampler, generator_is_pcg_xsh_rr) {
    pith_pcg pcg;
    pith_pcg_seed(&pcg, 42);
    const uint64_t a = 6364136223846793005ULL;
    const uint64_t c = 1442695040888963407ULL;
    uint64_t state = (42 + c) * a + c;
    for (int i = 0; i < 100; i++) {
        uint32_t x = (uint32_t)((state ^ (state >> 18)) >> 27);
        unsigned r = (unsigned)(state >> 59);
        uint32_t expected = r == 0 ? x : (x >> r | x << (32 - r));
        uint32_t actual = pith_pcg_next(&pcg);
        CHECK(actual == expected, "draw %d: %u, expected %u", i, actual, expected);
        state = state * a + c;
    }
    for (int i = 0; i < 1000; i++) {
        double u = pith_pcg_uniform(&pcg);
        CHECK(u >= 0.0 && u < 1.0, "uniform gave %g", u);
    }
}

TEST(engine_sampler, greedy_takes_the_largest_and_the_lower_id_of_equals) {
    pith_model model = small_model(VOCAB);
    pith_sampler *sampler = new_sampler(&model, NULL);
    float logits[VOCAB];
    fill(logits, 1, 1.0F);
    logits[31] = logits[17] = 9.0F;
    CHECK(sample(sampler, logits) == 17, "expected 17");
    pith_sampler_free(sampler);
    CHECK_NO_LEAKS();
}

TEST(engine_sampler, same_seed_same_tokens_other_seed_others) {
    pith_model model = small_model(VOCAB);
    float logits[VOCAB];
    fill(logits, 2, 1.0F);
    int32_t runs[3][64];
    for (int run = 0; run < 3; run++) {
        pith_sampling settings = {.temperature = 1.0F, .seed = run == 2 ? 8 : 7};
        pith_sampler *sampler = new_sampler(&model, &settings);
        for (int i = 0; i < 64; i++) {
            runs[run][i] = sample(sampler, logits);
        }
        pith_sampler_free(sampler);
    }
    CHECK(memcmp(runs[0], runs[1], sizeof runs[0]) == 0, "same seed gave other tokens");
    CHECK(memcmp(runs[0], runs[2], sizeof runs[0]) != 0, "other seed gave the same tokens");
}

/* Which of two tokens a heap has higher up: the likelier, among equals the lower id. */
static bool is_above(const float *logits, int32_t a, int32_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

/* The textbook heap of the tokens of `logits` that are not ruled out; returns their number. */
static size_t plain_heap(const float *logits, size_t n_vocab, int32_t *heap) {
    size_t n = 0;
    for (size_t i = 0; i < n_vocab; i++) {
        if (logits[i] != -INFINITY) {
            heap[n++] = (int32_t)i;
        }
    }
    for (size_t start = n / 2; start-- > 0;) {
        for (size_t i = start; 2 * i + 1 < n;) {
            size_t child = 2 * i + 1;
            child += child + 1 < n && is_above(logits, heap[child + 1], heap[child]);
            if (is_above(logits, heap[i], heap[child])) {
                break;
            }
            int32_t token = heap[i];
            heap[i] = heap[child];
            heap[child] = token;
            i = child;
        }
    }
    return n;
}

/* One draw without filters as the documentation tells it: weights add up from the heap's end. */
static int32_t plain_draw(const float *logits, size_t n_vocab, float temperature, pith_pcg *pcg,
                          int32_t *heap) {
    const size_t n = plain_heap(logits, n_vocab, heap);
    double total = 0.0;
    for (size_t i = n; i-- > 0;) {
        total += (double)pith_exp((logits[heap[i]] - logits[heap[0]]) / temperature);
    }
    const double target = pith_pcg_uniform(pcg) * total;
    double sum = 0.0;
    for (size_t i = n; i-- > 0;) {
        sum += (double)pith_exp((logits[heap[i]] - logits[heap[0]]) / temperature);
        if (sum > target) {
            return heap[i];
        }
    }
    return heap[0];
}

/* A seed must give the same tokens for ever: any other order of the heap or of the sums shows. */
TEST(engine_sampler, draws_are_those_of_the_plain_heap) {
    enum { MOST = 5003 };
    static const size_t sizes[] = {1, 2, 3, 255, 256, 257, 512, 1000, MOST};
    static float logits[MOST];
    static int32_t heap[MOST];
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const pith_sampling settings = {.temperature = i % 2 == 0 ? 1.0F : 0.8F, .seed = i};
        pith_model model = small_model(sizes[i]);
        pith_sampler *sampler = new_sampler(&model, &settings);
        pith_pcg pcg;
        uint64_t seed = 60 + i;
        pith_pcg_seed(&pcg, settings.seed);
        for (int draw = 0; draw < 200; draw++) {
            for (size_t j = 0; j < sizes[i]; j++) {
                float logit = 2.0F * test_random_normal(&seed);
                logits[j] =
                    draw % 3 == 0 ? rintf(logit) : logit; /* ties, and zeros of both signs */
                logits[j] = j > 0 && draw % 2 == 0 && j % 5 == 0 ? -INFINITY : logits[j];
            }
            int32_t expected = plain_draw(logits, sizes[i], settings.temperature, &pcg, heap);
            int32_t actual = sample(sampler, logits);
            CHECK(actual == expected, "%zu tokens, draw %d: token %d, expected %d", sizes[i], draw,
                  actual, expected);
        }
        pith_sampler_free(sampler);
    }
    CHECK_NO_LEAKS();
}

/* Frequencies against softmax(logits / T), by a chi-square bound far in the tail. */
static void check_frequencies(const pith_sampling *settings, const float *logits,
                              const double *expected) {
    enum { DRAWS = 200000 };
    pith_model model = small_model(VOCAB);
    pith_sampler *sampler = new_sampler(&model, settings);
    size_t counts[VOCAB] = {0};
    for (int i = 0; i < DRAWS; i++) {
        counts[sample(sampler, logits)]++;
    }
    pith_sampler_free(sampler);
    double chi = 0.0;
    for (size_t i = 0; i < VOCAB; i++) {
        double want = expected[i] * DRAWS;
        CHECK(want > 0.0 || counts[i] == 0, "token %zu was drawn but has no probability", i);
        if (want > 0.0) {
            chi += ((double)counts[i] - want) * ((double)counts[i] - want) / want;
        }
    }
    CHECK(chi < 130.0, "chi-square %g over %d tokens", chi, VOCAB);
}

static int by_logit_down(const void *a, const void *b) {
    const float *x = a;
    const float *y = b;
    return (*x < *y) - (*x > *y);
}

/* Probabilities after keeping logits >= the k-th largest, then softmax at T, top-p, min-p. */
static void expect(const float *logits, const pith_sampling *s, double *p) {
    float sorted[VOCAB];
    memcpy(sorted, logits, sizeof sorted);
    qsort(sorted, VOCAB, sizeof *sorted, by_logit_down);
    size_t k = s->top_k != 0 ? s->top_k : VOCAB;
    double weights[VOCAB];
    double total = 0.0;
    for (size_t i = 0; i < k; i++) {
        weights[i] = exp(((double)sorted[i] - (double)sorted[0]) / (double)s->temperature);
        total += weights[i];
    }
    size_t kept = k;
    if (s->top_p > 0.0F && s->top_p < 1.0F) {
        double sum = 0.0;
        for (kept = 0; kept < k && sum < (double)s->top_p * total;) {
            sum += weights[kept++];
        }
    }
    while (kept > 1 && weights[kept - 1] < (double)s->min_p) {
        kept--;
    }
    double sum = 0.0;
    for (size_t i = 0; i < VOCAB; i++) {
        p[i] = logits[i] >= sorted[kept - 1]
                   ? exp(((double)logits[i] - (double)sorted[0]) / (double)s->temperature)
                   : 0.0;
        sum += p[i];
    }
    for (size_t i = 0; i < VOCAB; i++) {
        p[i] /= sum;
    }
}

TEST(engine_sampler, frequencies_follow_the_filters) {
    const pith_sampling cases[] = {
        {.temperature = 1.0F, .seed = 1},
        {.temperature = 0.5F, .seed = 2},
        {.temperature = 1.0F, .top_k = 5, .seed = 3},
        {.temperature = 1.3F, .top_p = 0.7F, .seed = 4},
        {.temperature = 1.0F, .min_p = 0.2F, .seed = 5},
        {.temperature = 0.9F, .top_k = 20, .top_p = 0.8F, .seed = 6},
        {.temperature = 1.1F, .top_k = 30, .top_p = 0.95F, .min_p = 0.1F, .seed = 7},
        {.temperature = 1.1F, .top_p = 0.95F, .min_p = 0.1F, .seed = 8},
        {.temperature = 1.0F, .top_k = 1, .seed = 9},
    };
    float logits[VOCAB];
    fill(logits, 3, 1.5F);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double p[VOCAB];
        expect(logits, &cases[i], p);
        check_frequencies(&cases[i], logits, p);
    }
}

TEST(engine_sampler, penalties_change_the_logits_as_documented) {
    pith_model model = small_model(4);
    const float logits[4] = {2.0F, 1.9F, -1.0F, 0.5F};
    /* 2.0 / 1.2 = 1.67 < 1.9 */
    pith_sampling repeat = {.repeat_penalty = 1.2F};
    pith_sampler *sampler = new_sampler(&model, &repeat);
    CHECK(sample(sampler, logits) == 0, "no penalty before a token was accepted");
    pith_sampler_accept(sampler, 0);
    CHECK(sample(sampler, logits) == 1, "token 0 should have been penalised");
    pith_sampler_free(sampler);

    /* Twice in the window: 2.0 - 2 x 0.06 < 1.9; once: 2.0 - 0.06 > 1.9 */
    pith_sampling frequency = {.frequency_penalty = 0.06F};
    sampler = new_sampler(&model, &frequency);
    pith_sampler_accept(sampler, 0);
    CHECK(sample(sampler, logits) == 0, "one occurrence is not enough");
    pith_sampler_accept(sampler, 0);
    CHECK(sample(sampler, logits) == 1, "two occurrences are");
    pith_sampler_free(sampler);

    pith_sampling presence = {.presence_penalty = 0.2F};
    sampler = new_sampler(&model, &presence);
    pith_sampler_accept(sampler, 0);
    CHECK(sample(sampler, logits) == 1, "presence penalty");
    pith_sampler_free(sampler);

    const float negative[4] = {-1.0F, -1.1F, -5.0F, -5.0F}; /* -1.0 x 1.2 < -1.1 */
    sampler = new_sampler(&model, &repeat);
    pith_sampler_accept(sampler, 0);
    CHECK(sample(sampler, negative) == 1, "negative logits are multiplied");
    pith_sampler_free(sampler);
}

TEST(engine_sampler, the_penalty_window_forgets) {
    pith_model model = small_model(4);
    const float logits[4] = {2.0F, 1.9F, -1.0F, 0.5F};
    pith_sampling settings = {.repeat_penalty = 1.5F, .repeat_last_n = 3};
    pith_sampler *sampler = new_sampler(&model, &settings);
    pith_sampler_accept(sampler, 0);
    pith_sampler_accept(sampler, 2);
    pith_sampler_accept(sampler, 2);
    CHECK(sample(sampler, logits) == 1, "still in the window");
    pith_sampler_accept(sampler, 2);
    CHECK(sample(sampler, logits) == 0, "out of the window");
    pith_sampler_free(sampler);
}

TEST(engine_sampler, refuses_settings_out_of_range_by_name) {
    pith_model model = small_model(4);
    const struct {
        pith_sampling settings;
        const char *name;
    } cases[] = {
        {{.temperature = -1.0F}, "temperature"},
        {{.temperature = NAN}, "temperature"},
        {{.top_p = 1.5F}, "top_p"},
        {{.min_p = -0.1F}, "min_p"},
        {{.repeat_penalty = -2.0F}, "repeat_penalty"},
        {{.frequency_penalty = INFINITY}, "frequency_penalty"},
        {{.presence_penalty = 1e6F}, "presence_penalty"},
        {{.repeat_last_n = (size_t)1 << 30}, "repeat_last_n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_error error;
        pith_sampler *sampler = NULL;
        pith_status status = pith_sampler_new(&sampler, &model, &cases[i].settings, &error);
        CHECK(status == PITH_ERROR_ARGUMENT && sampler == NULL, "case %zu: %d", i, (int)status);
        CHECK(strstr(error.message, cases[i].name) != NULL, "case %zu: %s", i, error.message);
    }
}

TEST(engine_sampler, nan_and_infinity_are_errors) {
    pith_model model = small_model(4);
    const float bad[3] = {NAN, INFINITY, -NAN};
    for (int temperature = 0; temperature < 2; temperature++) {
        pith_sampling settings = {.temperature = (float)temperature};
        pith_sampler *sampler = new_sampler(&model, &settings);
        for (int i = 0; i < 3; i++) {
            const float logits[4] = {1.0F, 2.0F, bad[i], 0.0F};
            pith_error error;
            int32_t token = 77;
            pith_status status = pith_sample(sampler, logits, &token, &error);
            CHECK(status == PITH_ERROR_NUMERIC && token == 77, "case %d: %d", i, (int)status);
        }
        pith_sampler_free(sampler);
    }
}

/* Tokens with the logit -infinity are as if the vocabulary had none of them: the choices are those
 * of a smaller vocabulary, with every filter. */
TEST(engine_sampler, minus_infinity_rules_a_token_out) {
    enum { N = 60, KEPT = 20 };
    static const pith_sampling settings[] = {
        {.temperature = 0.0F},
        {.temperature = 3.0F},
        {.temperature = 1.0F, .top_k = 7},
        {.temperature = 2.0F, .top_k = 30},
        {.temperature = 1.0F, .top_p = 0.8F},
        {.temperature = 2.0F, .top_p = 0.9F, .top_k = 40},
        {.temperature = 1.0F, .min_p = 0.05F},
    };
    pith_model large = small_model(N);
    pith_model small = small_model(KEPT);
    float logits[N];
    float kept[KEPT];
    uint64_t random = 5;
    for (size_t i = 0; i < N; i++) {
        logits[i] = -INFINITY;
        if (i % 3 == 1) {
            kept[i / 3] = logits[i] = test_random_normal(&random);
        }
    }
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        pith_sampler *a = new_sampler(&large, &settings[i]);
        pith_sampler *b = new_sampler(&small, &settings[i]);
        for (size_t k = 0; k < 300; k++) {
            int32_t x = -1;
            int32_t y = -1;
            CHECK(pith_sample(a, logits, &x, NULL) == PITH_OK &&
                      pith_sample(b, kept, &y, NULL) == PITH_OK,
                  "case %zu", i);
            CHECK(x == 3 * y + 1, "case %zu, draw %zu: token %d, expected %d", i, k, (int)x,
                  (int)(3 * y + 1));
        }
        pith_sampler_free(a);
        pith_sampler_free(b);
    }
    pith_sampler *sampler = new_sampler(&small, &settings[1]);
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = -INFINITY;
    }
    pith_error error;
    int32_t token = 77;
    CHECK(pith_sample(sampler, kept, &token, &error) == PITH_ERROR_ARGUMENT && token == 77,
          "token %d of none", (int)token);
    CHECK(strstr(error.message, "every token is ruled out") != NULL, "%s", error.message);
    pith_sampler_free(sampler);
}

TEST(engine_sampler, every_failed_allocation_is_an_error_without_a_leak) {
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator failing;
        test_allocator_init(&failing);
        failing.fail_at = fail_at;
        pith_model model = small_model(100);
        model.allocator = failing.allocator;
        pith_sampler *sampler = NULL;
        pith_error error;
        pith_status status = pith_sampler_new(&sampler, &model, NULL, &error);
        if (status == PITH_OK) {
            pith_sampler_free(sampler);
            CHECK(failing.n_live == 0 && fail_at > 1, "%zu blocks live", (size_t)failing.n_live);
            return;
        }
        CHECK(status == PITH_ERROR_MEMORY && sampler == NULL, "at %zu: %s", fail_at, error.message);
        CHECK(failing.n_live == 0, "at %zu: %zu blocks leaked", fail_at, (size_t)failing.n_live);
    }
}
