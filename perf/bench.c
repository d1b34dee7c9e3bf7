/* Speed of the forward pass. Every repeat starts from the same context; the first run, which
 * touches memory for the first time, is not counted.
 *
 * On a shared machine the speed of memory changes within seconds, in the middle of a repeat. So
 * between the tokens of a generation, outside their times, a stretch of other memory is read, and
 * each token is compared with what the reads beside it reached. */
#include "perf/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "engine/session.h"
#include "perf/machine.h"
#include "perf/team.h"

enum {
    WARM_UP_TOKENS = 4,
    DEFAULT_BATCH = 512,
    MAX_ATTEMPTS = 3,
    N_FIGURES = 6, /* of a repeat: three limits and the shares of them */
    PAGE = 4096,   /* bytes of the smallest page */
};

void pith_bench_memory(size_t *now, size_t *peak) {
    *now = 0;
    *peak = 0;
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        size_t kilobytes;
        if (sscanf(line, "VmRSS: %zu kB", &kilobytes) == 1) {
            *now = kilobytes * 1024;
        } else if (sscanf(line, "VmHWM: %zu kB", &kilobytes) == 1) {
            *peak = kilobytes * 1024;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* ---- The limits beside a test ---------------------------------------------------------------- */

pith_status pith_bench_probe_new(pith_bench_probe *out, const pith_model *model,
                                 pith_error *error) {
    pith_bench_probe probe = {.probes = pith_probes_find(model->kernels->name)};
    pith_status status = pith_probe_memory_new(&probe.memory, 0, true, model->pool, error);
    if (status == PITH_OK) {
        *out = probe;
    }
    return status;
}

void pith_bench_probe_free(pith_bench_probe *probe) {
    pith_probe_memory_free(&probe->memory);
}

/* The limits at one moment; all 0 without a probe. */
typedef struct limits_now {
    pith_read_limit read;
    double int8;
} limits_now;

/* How fast memory was during one repeat of a generation; see pith_bench_limits. */
typedef struct limits_beside {
    double read, best;
} limits_beside;

static pith_bench_limits around(const limits_now *before, const limits_beside *beside,
                                const limits_now *after) {
    return (pith_bench_limits){.read_before = before->read.best,
                               .read_after = after->read.best,
                               .read_beside = beside->read,
                               .best_beside = beside->best,
                               .int8_before = before->int8,
                               .int8_after = after->int8};
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

void pith_bench_judge(pith_bench_result *r, const pith_cost *cost, size_t cache_bytes) {
    double runs_per_second = r->tps / (double)cost->n_tokens;
    r->read_rate = cost->read_bytes * runs_per_second;
    r->linear_rate = cost->linear_ops * runs_per_second;
    r->attention_rate = cost->attention_ops * runs_per_second;
    double around = larger(r->limits.read_before, r->limits.read_after);
    r->read_limit = r->limits.read_beside > 0 ? r->limits.read_beside : around;
    r->best_limit = larger(around, r->limits.best_beside);
    r->int8_limit = larger(r->limits.int8_before, r->limits.int8_after);
    r->share_of_stream = -1;
    r->share_of_best = -1;
    r->pass_bytes = cost->read_bytes / cost->n_passes;
    r->cached = r->pass_bytes < (double)cache_bytes * PITH_CACHE_MARGIN;
    if (!r->cached) {
        r->share_of_stream = pith_share(r->read_rate, r->read_limit);
        r->share_of_best = pith_share(r->read_rate, r->best_limit);
    }
    r->share_of_int8 = pith_share(r->linear_rate, r->int8_limit);
    r->failed = r->share_of_stream > PITH_SHARE_LIMIT || r->share_of_int8 > PITH_SHARE_LIMIT;
}

/* ---- Runs ------------------------------------------------------------------------------------ */

/* Everything one test needs. Session s evaluates tokens[depth + i + s] as its i-th. */
typedef struct bench {
    const pith_bench_test *test;
    const pith_bench_options *options;
    size_t n_sessions;
    size_t max_rows; /* of a forward pass */
    pith_session **sessions;
    const int32_t **next;  /* [n_sessions] for pith_batch_eval */
    size_t *ones;          /* [n_sessions] */
    int32_t *tokens;       /* [depth + n_tokens + n_sessions] */
    double *times;         /* [n_repeats] */
    double *firsts;        /* [n_repeats] time of the first step */
    double *steps;         /* [n_repeats, n_tokens] of a generation */
    limits_now *limits;    /* [n_repeats + 1] before, between and after the repeats */
    limits_beside *beside; /* [n_repeats] */
    double *shares;        /* [N_FIGURES, n_repeats + 1] see judge_repeats */
    double fill_seconds;   /* filling the first session's context */
    size_t n_runs;         /* so far: filling the contexts, the warm-up and the repeats */

    pith_pool *pool;
    size_t next_stretch;        /* of the probe's memory */
    double *bytes;              /* [n_tokens] that each step of a generation has to read */
    double *rates;              /* [n_tokens + 1] stretches read between the steps of a repeat */
    double token_seconds;       /* of a step, as the warm-up had it */
    double exchanged;           /* seconds of the timed steps that were spent in gathers */
    size_t every;               /* steps between two stretches; 0: none are read */
    pith_probe_pattern pattern; /* of the stretches */
} bench;

/* splitmix64 (Steele, Lea & Flood 2014). */
void pith_bench_draw_tokens(int32_t *tokens, size_t n, size_t n_vocab) {
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        tokens[i] = (int32_t)((z ^ (z >> 31)) % n_vocab);
    }
}

/* Calls go_on with the part of the test that is done; `part` is that of the current run. */
static pith_status check_go_on(const bench *b, double part, pith_error *error) {
    bool fills = b->test->generate && b->test->depth != 0;
    double n_runs = (double)(b->options->n_repeats + (fills ? 2 : 1));
    double done = ((double)b->n_runs + part) / n_runs;
    if (b->options->go_on != NULL && !b->options->go_on(b->options->go_on_user, done)) {
        return pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    return PITH_OK;
}

static void release(bench *b) {
    for (size_t s = 0; b->sessions != NULL && s < b->n_sessions; s++) {
        pith_session_free(b->sessions[s]);
    }
    void *blocks[] = {b->sessions, b->next,   b->ones,   b->tokens, b->times, b->firsts,
                      b->steps,    b->limits, b->beside, b->shares, b->bytes, b->rates};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        pith_release(&pith_malloc_allocator, blocks[i]);
    }
}

/* Makes every page of memory resident without changing what is in it, also between the blocks of an
 * arena. */
__attribute__((no_sanitize_address)) static void touch(const pith_region *region) {
    volatile unsigned char *data = region->data;
    for (size_t i = 0; i < region->size; i += PAGE) {
        data[i] = data[i];
    }
}

/* Makes the whole context of a session resident. */
static pith_status touch_context(pith_session *s, pith_error *error) {
    pith_status status = pith_session_grow(s, s->n_context, 1, error);
    for (size_t c = 0; status == PITH_OK && c < s->kv.n_chunks; c++) {
        touch(pith_kv_region(&s->kv, c));
    }
    return status;
}

static pith_status prepare(bench *b, const pith_model *model, pith_error *error) {
    const pith_allocator *allocator = &pith_malloc_allocator;
    const pith_bench_test *test = b->test;
    size_t depth = test->generate ? test->depth : 0;
    size_t n_context;
    size_t n_drawn;
    size_t n_steps;
    size_t n_generated = test->generate ? test->n_tokens : 0;
    b->pool = model->pool;
    b->n_sessions = test->generate ? pith_max_size(test->n_sessions, 1) : 1;
    if (!pith_add_size(depth, test->n_tokens, &n_context) ||
        !pith_add_size(n_context, b->n_sessions, &n_drawn) ||
        !pith_mul_size(b->options->n_repeats, n_generated, &n_steps)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "a test of %zu tokens after %zu is too large",
                         test->n_tokens, depth);
    }
    size_t n_batch = b->options->n_batch != 0 ? b->options->n_batch : DEFAULT_BATCH;
    n_context = pith_max_size(n_context, b->options->n_context);
    b->max_rows = n_batch;
    b->sessions = pith_allocate_zeroed(allocator, b->n_sessions, sizeof(pith_session *));
    b->next = pith_allocate(allocator, b->n_sessions, sizeof(const int32_t *));
    b->ones = pith_allocate(allocator, b->n_sessions, sizeof(size_t));
    b->tokens = pith_allocate(allocator, n_drawn, sizeof(int32_t));
    b->times = pith_allocate(allocator, b->options->n_repeats, sizeof(double));
    b->firsts = pith_allocate(allocator, b->options->n_repeats, sizeof(double));
    b->steps = pith_allocate(allocator, n_steps, sizeof(double));
    b->limits = pith_allocate(allocator, b->options->n_repeats + 1, sizeof *b->limits);
    b->beside = pith_allocate_zeroed(allocator, b->options->n_repeats, sizeof *b->beside);
    b->shares = pith_allocate(allocator, b->options->n_repeats + 1, N_FIGURES * sizeof(double));
    b->bytes = pith_allocate(allocator, n_generated, sizeof(double));
    b->rates = pith_allocate(allocator, n_generated + 1, sizeof(double));
    if (b->sessions == NULL || b->next == NULL || b->ones == NULL || b->tokens == NULL ||
        b->times == NULL || b->firsts == NULL || b->steps == NULL || b->limits == NULL ||
        b->beside == NULL || b->shares == NULL || b->bytes == NULL || b->rates == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens and %zu repeats",
                         n_drawn, b->options->n_repeats);
    }
    pith_bench_draw_tokens(b->tokens, n_drawn, pith_model_vocab_size(model));
    pith_status status = PITH_OK;
    pith_session_options session_options = {.n_context = n_context,
                                            .n_batch = n_batch,
                                            .kv_type = b->options->kv_type};
    for (size_t s = 0; status == PITH_OK && s < b->n_sessions; s++) {
        b->ones[s] = 1;
        status = pith_session_new(&b->sessions[s], model, &session_options, error);
        if (status == PITH_OK && b->options->n_context != 0) {
            status = touch_context(b->sessions[s], error);
        }
    }
    return status;
}

/* The part of the work that falls to this process; all of it where it is alone. */
static double own_part(const pith_model *model) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    return info.n_ranks > 1 ? (double)info.rank_bytes / (double)info.weight_bytes : 1;
}

static void count_bytes(bench *b, const pith_work *work, double part) {
    pith_bench_test step = *b->test;
    step.n_tokens = 1;
    for (size_t i = 0; b->test->generate && i < b->test->n_tokens; i++) {
        step.depth = b->test->depth + i;
        b->bytes[i] = part * pith_cost_of(work, &step, b->max_rows).read_bytes;
    }
}

/* Gives every session its context. */
static pith_status fill_contexts(bench *b, pith_error *error) {
    pith_status status = PITH_OK;
    size_t depth = b->test->generate ? b->test->depth : 0;
    for (size_t s = 0; status == PITH_OK && s < b->n_sessions; s++) {
        double start = pith_seconds();
        for (size_t i = 0; status == PITH_OK && i < depth; i += b->max_rows) {
            size_t n = pith_min_size(b->max_rows, depth - i);
            status = pith_session_eval(b->sessions[s], b->tokens + i, n, error);
            if (status == PITH_OK) {
                double part = (double)s + (double)(i + n) / (double)depth;
                status = check_go_on(b, part / (double)b->n_sessions, error);
            }
        }
        if (s == 0) {
            b->fill_seconds = pith_seconds() - start;
        }
    }
    return status;
}

static double exchanged_so_far(const bench *b) {
    return b->options->exchanged != NULL ? b->options->exchanged(b->options->exchanged_user) : 0;
}

static pith_status run_prompt(bench *b, size_t repeat, pith_error *error) {
    pith_status status = pith_session_rewind(b->sessions[0], 0, error);
    double before = exchanged_so_far(b);
    double start = pith_seconds();
    if (status == PITH_OK) {
        status = pith_session_eval(b->sessions[0], b->tokens, b->test->n_tokens, error);
    }
    b->times[repeat] = b->firsts[repeat] = pith_seconds() - start;
    b->exchanged += exchanged_so_far(b) - before;
    return status == PITH_OK ? check_go_on(b, 1, error) : status;
}

static double read_one_stretch(bench *b) {
    const pith_bench_probe *probe = b->options->probe;
    return pith_limit_stretch(&probe->probes, &probe->memory, b->pool, b->pattern,
                              &b->next_stretch);
}

static pith_status run_generation(bench *b, size_t repeat, size_t n_tokens, pith_error *error) {
    pith_status status = PITH_OK;
    double *steps = b->steps + repeat * b->test->n_tokens;
    for (size_t s = 0; status == PITH_OK && s < b->n_sessions; s++) {
        status = pith_session_rewind(b->sessions[s], b->test->depth, error);
    }
    double seconds = 0;
    if (b->every != 0) {
        b->rates[0] = read_one_stretch(b);
    }
    for (size_t i = 0; status == PITH_OK && i < n_tokens; i++) {
        for (size_t s = 0; s < b->n_sessions; s++) {
            b->next[s] = b->tokens + b->test->depth + i + s;
        }
        double before = exchanged_so_far(b);
        double start = pith_seconds();
        status = pith_batch_eval(b->sessions, b->n_sessions, b->next, b->ones, error);
        steps[i] = pith_seconds() - start;
        b->exchanged += exchanged_so_far(b) - before;
        seconds += steps[i];
        if (status == PITH_OK) {
            status = check_go_on(b, (double)(i + 1) / (double)n_tokens, error);
        }
        size_t stretch = b->every != 0 ? pith_stretch_after(i, n_tokens, b->every) : 0;
        if (status == PITH_OK && stretch != 0) {
            b->rates[stretch] = read_one_stretch(b);
        }
    }
    b->times[repeat] = seconds;
    b->firsts[repeat] = steps[0];
    return status;
}

static limits_now measure_limits(bench *b) {
    const double seconds = 0.2; /* each */
    const pith_bench_probe *probe = b->options->probe;
    limits_now now = {.int8 = 0};
    if (probe != NULL) {
        now.int8 = pith_limit_compute(&probe->probes.int8, b->pool, seconds);
        now.read =
            pith_limit_read_on(&probe->probes, &probe->memory, b->pool, seconds, &b->next_stretch);
    }
    return now;
}

/* How the stretches between the steps of a repeat are to be read, from what was measured before it.
 */
static void plan_stretches(bench *b, const pith_read_limit *before) {
    if (b->test->generate && b->options->probe != NULL) {
        b->pattern = before->pattern;
        b->every = pith_tokens_between(b->token_seconds, before->stretch / before->sustained);
    }
}

static limits_beside judge_stretches(const bench *b) {
    limits_beside beside = {0};
    if (b->every != 0) {
        double bytes = 0;
        size_t n = b->test->n_tokens;
        for (size_t i = 0; i < n; i++) {
            bytes += b->bytes[i];
        }
        beside.read = bytes / pith_stream_seconds(b->bytes, n, b->rates, b->every);
        for (size_t i = 0; i < pith_stretches(n, b->every); i++) {
            beside.best = larger(beside.best, b->rates[i]);
        }
    }
    return beside;
}

/* The limits are measured between the repeats too: on a shared machine they change within seconds,
 * and each repeat is to be compared with what held beside it. */
static pith_status run_all(bench *b, pith_error *error) {
    pith_status status = PITH_OK;
    b->exchanged = 0;
    b->limits[0] = measure_limits(b);
    for (size_t r = 0; status == PITH_OK && r < b->options->n_repeats; r++) {
        plan_stretches(b, &b->limits[r].read);
        status = b->test->generate ? run_generation(b, r, b->test->n_tokens, error)
                                   : run_prompt(b, r, error);
        if (status == PITH_OK) {
            b->beside[r] = judge_stretches(b);
            b->limits[r + 1] = measure_limits(b);
            b->n_runs++;
        }
    }
    return status;
}

/* Memory is touched for the first time in an untimed run: all of a prompt, some generation. */
static pith_status warm_up(bench *b, pith_error *error) {
    if (!b->test->generate) {
        return run_prompt(b, 0, error);
    }
    pith_status status = fill_contexts(b, error);
    if (status != PITH_OK) {
        return status;
    }
    b->n_runs = b->test->depth != 0 ? 1 : 0;
    size_t n = pith_min_size(b->test->n_tokens, WARM_UP_TOKENS);
    status = run_generation(b, 0, n, error);
    if (status == PITH_OK) {
        pith_sort_figures(b->steps, n);
        b->token_seconds = b->steps[0];
    }
    return status;
}

/* Computes the figures from the times; sorts the arrays. */
static void summarise(bench *b, pith_bench_result *result) {
    size_t n = b->options->n_repeats;
    double count = (double)(b->test->n_tokens * b->n_sessions);
    double seconds = 0;
    for (size_t i = 0; i < n; i++) {
        seconds += b->times[i];
    }
    result->exchange_share = b->options->exchanged != NULL ? b->exchanged / seconds : -1;
    pith_sort_figures(b->times, n);
    pith_sort_figures(b->firsts, n);
    result->n_repeats = n;
    result->tps = count / pith_median(b->times, n);
    result->tps_min = count / b->times[n - 1];
    result->tps_max = count / b->times[0];
    result->first_seconds = pith_median(b->firsts, n);
    if (b->test->generate) {
        size_t n_steps = n * b->test->n_tokens;
        pith_sort_figures(b->steps, n_steps);
        result->p50 = pith_quantile(b->steps, n_steps, 0.5);
        result->p90 = pith_quantile(b->steps, n_steps, 0.9);
        result->p99 = pith_quantile(b->steps, n_steps, 0.99);
        if (b->test->depth != 0) {
            result->first_seconds = b->fill_seconds;
        }
    }
}

/* How far the limits moved before, between and after the repeats. */
static double limits_moved(const bench *b) {
    const size_t n = b->options->n_repeats + 1;
    for (size_t i = 0; i < n; i++) {
        b->shares[i] = b->limits[i].read.best;
    }
    double moved = pith_moved(b->shares, n);
    for (size_t i = 0; i < n; i++) {
        b->shares[i] = b->limits[i].int8;
    }
    return larger(moved, pith_moved(b->shares, n));
}

/* Compares each repeat with the limits beside it, then summarises: speed, limits and shares are
 * medians over the repeats. */
static void judge_repeats(bench *b, const pith_cost *cost, pith_bench_result *result) {
    const size_t n = b->options->n_repeats;
    const size_t cache_bytes = pith_cache_bytes();
    result->moved = limits_moved(b);
    double *figures[N_FIGURES];
    for (size_t i = 0; i < N_FIGURES; i++) {
        figures[i] = b->shares + i * n;
    }
    for (size_t i = 0; i < n; i++) {
        pith_bench_result one = {.tps = (double)cost->n_tokens / b->times[i],
                                 .limits = around(&b->limits[i], &b->beside[i], &b->limits[i + 1])};
        pith_bench_judge(&one, cost, cache_bytes);
        figures[0][i] = one.read_limit;
        figures[1][i] = one.share_of_stream;
        figures[2][i] = one.best_limit;
        figures[3][i] = one.share_of_best;
        figures[4][i] = one.int8_limit;
        figures[5][i] = one.share_of_int8;
    }
    summarise(b, result);
    result->limits = around(&b->limits[0], &(limits_beside){0}, &b->limits[n]);
    pith_bench_judge(result, cost, cache_bytes); /* the rates */
    double *medians[N_FIGURES] = {&result->read_limit, &result->share_of_stream,
                                  &result->best_limit, &result->share_of_best,
                                  &result->int8_limit, &result->share_of_int8};
    for (size_t i = 0; i < N_FIGURES; i++) {
        pith_sort_figures(figures[i], n);
        *medians[i] = pith_median(figures[i], n);
    }
    result->failed =
        result->share_of_stream > PITH_SHARE_LIMIT || result->share_of_int8 > PITH_SHARE_LIMIT;
}

pith_status pith_bench_run(const pith_model *model, const pith_bench_test *test,
                           const pith_bench_options *options, pith_bench_result *out,
                           pith_error *error) {
    bench b = {.test = test, .options = options};
    pith_bench_result result = {.failed = true};
    if (model->network.config.role == PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is an encoder: there are no prompts to time");
    }
    pith_status status = prepare(&b, model, error);
    pith_cost cost = {0};
    if (status == PITH_OK) {
        pith_work work = pith_work_of(pith_family_find(model->architecture), &model->network,
                                      model->token_bytes, b.sessions[0]->kv.shape.element);
        const double part = own_part(model);
        cost = pith_cost_of(&work, test, b.max_rows);
        cost.read_bytes *= part;
        cost.linear_ops *= part;
        cost.attention_ops *= part;
        count_bytes(&b, &work, part);
        status = warm_up(&b, error);
    }
    const size_t n_warm = b.n_runs + 1;
    for (size_t i = 0; status == PITH_OK && result.failed && i < MAX_ATTEMPTS; i++) {
        b.n_runs = n_warm;
        status = run_all(&b, error);
        if (status == PITH_OK) {
            judge_repeats(&b, &cost, &result);
        }
    }
    if (status == PITH_OK) {
        size_t peak;
        size_t probes = options->probe != NULL ? options->probe->memory.size : 0;
        pith_bench_memory(&result.rss_bytes, &peak);
        result.rss_bytes -= pith_min_size(result.rss_bytes, probes);
        *out = result;
    }
    release(&b);
    return status;
}
