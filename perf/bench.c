/* Speed of the forward pass. Every repeat starts from an empty context; the first run, which
 * touches memory for the first time, is not counted. */
#include "perf/bench.h"

#include "base/memory.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { WARM_UP_TOKENS = 4 };

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

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

/* Token ids below n_vocab; splitmix64 (Steele, Lea & Flood 2014). */
static void draw_tokens(int32_t *tokens, size_t n, size_t n_vocab) {
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        tokens[i] = (int32_t)((z ^ (z >> 31)) % n_vocab);
    }
}

static bool may_go_on(const pith_bench_options *options) {
    return options->go_on == NULL || options->go_on(options->go_on_user);
}

/* One run; *elapsed in seconds. */
static pith_status run_once(pith_session *session, const pith_bench_test *test,
                            const int32_t *tokens, const pith_bench_options *options,
                            double *elapsed, pith_error *error) {
    size_t step = test->generate ? 1 : test->n_tokens;
    pith_status status = pith_session_rewind(session, 0, error);
    double start = seconds();
    for (size_t i = 0; status == PITH_OK && i < test->n_tokens; i += step) {
        status = pith_session_eval(session, tokens + i, step, error);
        if (status == PITH_OK && !may_go_on(options)) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        }
    }
    *elapsed = seconds() - start;
    return status;
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

pith_status pith_bench_run(const pith_model *model, const pith_bench_test *test,
                           const pith_bench_options *options, pith_bench_result *out,
                           pith_error *error) {
    pith_session *session = NULL;
    pith_model_info info;
    pith_model_get_info(model, &info);
    int32_t *tokens = pith_allocate(&pith_malloc_allocator, test->n_tokens, sizeof *tokens);
    double *times = pith_allocate(&pith_malloc_allocator, options->n_repeats, sizeof *times);
    pith_session_options session_options = {.n_context = test->n_tokens,
                                            .n_batch = options->n_batch,
                                            .kv_type = options->kv_type};
    /* Memory is touched for the first time in an untimed run: all of a prompt, some generation. */
    pith_bench_test warm_up = *test;
    double unused;
    if (test->generate && test->n_tokens > WARM_UP_TOKENS) {
        warm_up.n_tokens = WARM_UP_TOKENS;
    }
    pith_status status = PITH_OK;
    if (tokens == NULL || times == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens and %zu times",
                           test->n_tokens, options->n_repeats);
        goto done;
    }
    draw_tokens(tokens, test->n_tokens, info.n_vocab);
    status = pith_session_new(&session, model, &session_options, error);
    if (status == PITH_OK) {
        status = run_once(session, &warm_up, tokens, options, &unused, error);
    }
    for (size_t r = 0; status == PITH_OK && r < options->n_repeats; r++) {
        status = run_once(session, test, tokens, options, &times[r], error);
    }
    if (status == PITH_OK) {
        size_t n = options->n_repeats;
        double count = (double)test->n_tokens;
        size_t peak;
        qsort(times, n, sizeof *times, compare_doubles);
        double median = (times[(n - 1) / 2] + times[n / 2]) / 2;
        *out = (pith_bench_result){.n_repeats = n,
                                   .tps = count / median,
                                   .tps_min = count / times[n - 1],
                                   .tps_max = count / times[0]};
        pith_bench_memory(&out->rss_bytes, &peak);
    }
done:
    pith_session_free(session);
    pith_release(&pith_malloc_allocator, tokens);
    pith_release(&pith_malloc_allocator, times);
    return status;
}
