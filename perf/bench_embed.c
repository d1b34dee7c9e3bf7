/* Speed of sentence embeddings. A repeat makes the same call as often as fits its time, so that a
 * single short sentence is timed as well as a thousand long ones. */
#include "perf/bench_embed.h"

#include <math.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "engine/embed.h"
#include "perf/machine.h"
#include "perf/team.h"

enum { MAX_ATTEMPTS = 3, MAX_CALLS = 10000, WARM_UP_CALLS = 2 };

pith_test_name pith_bench_embed_name(const pith_bench_embed_test *test) {
    pith_test_name name;
    if (test->lengths != NULL) {
        snprintf(name.text, sizeof name.text, "text%zu", test->n_sentences);
    } else {
        snprintf(name.text, sizeof name.text, "embed%zux%zu", test->n_tokens, test->n_sentences);
    }
    return name;
}

static size_t length_of(const pith_bench_embed_test *test, size_t i) {
    return test->lengths != NULL ? test->lengths[i] : test->n_tokens;
}

bool pith_bench_embed_cost_of(const pith_config *config, const pith_bench_embed_test *test,
                              pith_bench_embed_cost *out) {
    double layers = (double)config->num_hidden_layers;
    double hidden = (double)config->hidden_size;
    double weights = layers * hidden * (4 * hidden + 2 * (double)config->intermediate_size);
    double squares = 0;
    size_t n_tokens = 0;
    for (size_t i = 0; i < test->n_sentences; i++) {
        size_t length = length_of(test, i);
        if (!pith_add_size(n_tokens, length, &n_tokens)) {
            return false;
        }
        squares += (double)length * (double)length;
    }
    *out = (pith_bench_embed_cost){.linear_ops = 2 * weights * (double)n_tokens,
                                   .attention_ops = layers * 4 * hidden * squares,
                                   .n_tokens = n_tokens};
    return true;
}

void pith_bench_embed_judge(pith_bench_embed_result *r, const pith_bench_embed_cost *cost) {
    double calls_per_second = r->tps / (double)cost->n_tokens;
    r->linear_rate = cost->linear_ops * calls_per_second;
    r->attention_rate = cost->attention_ops * calls_per_second;
    r->share = pith_share(r->linear_rate, r->before > r->after ? r->before : r->after);
    r->failed = r->share > PITH_SHARE_LIMIT;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Everything one test needs. */
typedef struct bench {
    const pith_model *model;
    const pith_bench_embed_test *test;
    const pith_bench_embed_options *options;
    pith_bench_embed_cost cost;
    size_t n_calls;           /* of a repeat; 0 in the warm-up, which says how many */
    size_t run;               /* 0: the warm-up; then the repeats */
    size_t call;              /* of the repeat */
    int32_t *ids;             /* [cost.n_tokens] */
    pith_encoder_text *texts; /* [n_sentences] */
    float *out;               /* [n_sentences, hidden] */
    double *times;            /* [n_repeats] */
    double *firsts;           /* [n_repeats] time of the first call */
    double *calls;            /* [n_repeats, n_calls] */
} bench;

static void release(bench *b) {
    void *blocks[] = {b->ids, b->texts, b->out, b->times, b->firsts, b->calls};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        pith_release(&pith_malloc_allocator, blocks[i]);
    }
}

static pith_status prepare(bench *b, pith_error *error) {
    const pith_allocator *allocator = &pith_malloc_allocator;
    const pith_config *config = &b->model->network.config;
    size_t n = b->test->n_sentences;
    size_t n_floats;
    if (!pith_bench_embed_cost_of(config, b->test, &b->cost) ||
        !pith_mul_size(n, config->hidden_size, &n_floats)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "a test of %zu sentences is too large", n);
    }
    b->ids = pith_allocate(allocator, b->cost.n_tokens, sizeof *b->ids);
    b->texts = pith_allocate(allocator, n, sizeof *b->texts);
    b->out = pith_allocate(allocator, n_floats, sizeof *b->out);
    b->times = pith_allocate(allocator, b->options->n_repeats, sizeof *b->times);
    b->firsts = pith_allocate(allocator, b->options->n_repeats, sizeof *b->firsts);
    if (b->ids == NULL || b->texts == NULL || b->out == NULL || b->times == NULL ||
        b->firsts == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu sentences of %zu tokens",
                         n, b->cost.n_tokens);
    }
    pith_bench_draw_tokens(b->ids, b->cost.n_tokens, config->vocab_size);
    size_t begin = 0;
    for (size_t i = 0; i < n; i++) {
        size_t length = length_of(b->test, i);
        b->texts[i] =
            (pith_encoder_text){.ids = b->ids + begin, .n_tokens = length, .n_first = length};
        begin += length;
    }
    return PITH_OK;
}

static bool go_on(void *user, size_t n_done, size_t n_inputs) {
    const bench *b = user;
    double call = (double)n_done / (double)n_inputs;
    double part = b->n_calls > 0 ? ((double)b->call + call) / (double)b->n_calls : 0;
    double done = ((double)b->run + part) / (double)(b->options->n_repeats + 1);
    return b->options->go_on == NULL || b->options->go_on(b->options->go_on_user, done);
}

static pith_status run_call(bench *b, double *seconds, pith_error *error) {
    double start = pith_seconds();
    pith_status status =
        pith_embed_tokens(b->model, b->texts, b->test->n_sentences, go_on, b, b->out, error);
    *seconds = pith_seconds() - start;
    return status;
}

/* Touches memory for the first time and lets the clock rise; the time of the last call decides how
 * many make a repeat. */
static pith_status warm_up(bench *b, pith_error *error) {
    double start = pith_seconds();
    double last = 0;
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK &&
                       (i < WARM_UP_CALLS || pith_seconds() - start < b->options->seconds / 2);
         i++) {
        status = run_call(b, &last, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    double wanted = last > 0 ? ceil(b->options->seconds / last) : MAX_CALLS;
    b->n_calls = wanted < MAX_CALLS ? pith_max_size((size_t)wanted, 1) : MAX_CALLS;
    size_t n_times;
    if (pith_mul_size(b->n_calls, b->options->n_repeats, &n_times)) {
        b->calls = pith_allocate(&pith_malloc_allocator, n_times, sizeof *b->calls);
    }
    if (b->calls == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu repeats of %zu calls",
                         b->options->n_repeats, b->n_calls);
    }
    return PITH_OK;
}

static pith_status run_all(bench *b, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t r = 0; status == PITH_OK && r < b->options->n_repeats; r++) {
        double *calls = b->calls + r * b->n_calls;
        double start = pith_seconds();
        b->run = r + 1;
        for (b->call = 0; status == PITH_OK && b->call < b->n_calls; b->call++) {
            status = run_call(b, &calls[b->call], error);
        }
        b->times[r] = pith_seconds() - start;
        b->firsts[r] = calls[0];
    }
    return status;
}

/* Computes the figures from the times; sorts the arrays. */
static void summarise(bench *b, pith_bench_embed_result *result) {
    size_t n = b->options->n_repeats;
    double sentences = (double)b->test->n_sentences * (double)b->n_calls;
    double tokens = (double)b->cost.n_tokens / (double)b->test->n_sentences; /* of a sentence */
    pith_sort_figures(b->times, n);
    pith_sort_figures(b->firsts, n);
    result->n_repeats = n;
    result->n_calls = b->n_calls;
    result->n_tokens = b->cost.n_tokens;
    result->sps = sentences / pith_median(b->times, n);
    result->sps_min = sentences / b->times[n - 1];
    result->sps_max = sentences / b->times[0];
    result->tps = result->sps * tokens;
    result->tps_min = result->sps_min * tokens;
    result->tps_max = result->sps_max * tokens;
    result->first_seconds = pith_median(b->firsts, n);
    if (b->test->lengths == NULL) {
        size_t n_times = n * b->n_calls;
        pith_sort_figures(b->calls, n_times);
        result->p50 = pith_quantile(b->calls, n_times, 0.5);
        result->p90 = pith_quantile(b->calls, n_times, 0.9);
        result->p99 = pith_quantile(b->calls, n_times, 0.99);
    }
}

/* The limit that counts for a type: int8 and int4 weights meet int8 activations. */
static double measure_limit(const bench *b, bool integer) {
    const double seconds = 0.2;
    const pith_probes *probes = b->options->probes;
    return probes == NULL ? 0
                          : pith_limit_compute(integer ? &probes->int8 : &probes->f32,
                                               b->model->pool, seconds);
}

pith_status pith_bench_embed_run(const pith_model *model, const pith_bench_embed_test *test,
                                 const pith_bench_embed_options *options,
                                 pith_bench_embed_result *out, pith_error *error) {
    bench b = {.model = model, .test = test, .options = options};
    pith_bench_embed_result result = {.failed = true};
    if (model->network.config.role != PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is no encoder: it gives no sentence embeddings to time");
    }
    result.integer = model->type == PITH_TYPE_INT8 || model->type == PITH_TYPE_INT4;
    pith_status status = prepare(&b, error);
    if (status == PITH_OK) {
        status = warm_up(&b, error);
    }
    for (size_t i = 0; status == PITH_OK && result.failed && i < MAX_ATTEMPTS; i++) {
        result.before = measure_limit(&b, result.integer);
        status = run_all(&b, error);
        if (status != PITH_OK) {
            break;
        }
        result.after = measure_limit(&b, result.integer);
        result.moved = pith_moved((const double[]){result.before, result.after}, 2);
        summarise(&b, &result);
        pith_bench_embed_judge(&result, &b.cost);
    }
    if (status == PITH_OK) {
        size_t peak;
        pith_bench_memory(&result.rss_bytes, &peak);
        *out = result;
    }
    release(&b);
    return status;
}
