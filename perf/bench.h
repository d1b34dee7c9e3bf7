/* Timing of prompt evaluation and generation on an open model. */
#ifndef PITH_PERF_BENCH_H
#define PITH_PERF_BENCH_H

#include "engine/random_model.h"
#include "pith.h"

/* One test: evaluating `n_tokens` from an empty context, in one go (a prompt) or one by one. */
typedef struct pith_bench_test {
    bool generate;
    size_t n_tokens;
} pith_bench_test;

typedef struct pith_bench_result {
    size_t n_repeats;
    double tps, tps_min, tps_max; /* tokens per second: median, slowest, fastest repeat */
    size_t rss_bytes;             /* resident memory right after the test; 0: unknown */
} pith_bench_result;

typedef struct pith_bench_options {
    size_t n_repeats; /* at least 1; one more run goes before them, untimed */
    size_t n_batch;   /* most tokens per forward pass; 0: 512 */
    pith_kv_type kv_type;
    bool (*go_on)(void *user); /* asked after every run and every generated token; may be NULL */
    void *go_on_user;
} pith_bench_options;

/* Runs one test in a session of its own. Tokens are drawn from the vocabulary with a fixed seed;
 * nothing is sampled. Errors: as pith_session_new and pith_session_eval, STOPPED (go_on said no).
 */
pith_status pith_bench_run(const pith_model *model, const pith_bench_test *test,
                           const pith_bench_options *options, pith_bench_result *out,
                           pith_error *error);

/* Resident memory of the process in bytes, now and at its highest; 0 when the system does not say.
 */
void pith_bench_memory(size_t *now, size_t *peak);

#endif
