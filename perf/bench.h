/* Timing of prompt evaluation and generation on an open model, beside the machine's limits. */
#ifndef PITH_PERF_BENCH_H
#define PITH_PERF_BENCH_H

#include "engine/random_model.h"
#include "perf/limits.h"
#include "perf/shares.h"
#include "pith.h"

/* What a run was compared with, per second: each limit right before and right after it, and of a
 * generation how fast memory was read between the tokens. */
typedef struct pith_bench_limits {
    double read_before, read_after; /* bytes, at best */
    double read_beside; /* bytes of the run over the time that plain reads of them would have taken,
                           each token's at the speed beside it; 0: a prompt, or not measured */
    double best_beside; /* the fastest stretch between tokens; 0 likewise */
    double int8_before, int8_after; /* operations; 0: not known for this instruction set */
} pith_bench_limits;

typedef struct pith_bench_result {
    size_t n_repeats;
    double tps, tps_min, tps_max; /* tokens per second, all sessions together: median, slowest,
                                     fastest repeat */
    double first_seconds;         /* until the first logits: of a prompt; of the context of `depth`
                                     tokens; else of the first token */
    double p50, p90, p99;         /* seconds per step of a generation, over all repeats; 0 for a
                                     prompt */
    size_t rss_bytes;             /* resident memory right after the test, without the memory that
                                     is only there to measure the stream; 0: unknown */

    double read_rate, linear_rate, attention_rate; /* reached at `tps`: bytes, operations per s */
    pith_bench_limits limits; /* before the first repeat and after the last; none beside it */

    /* Medians over the repeats. What each repeat was compared with is the larger of the limits
     * right before and right after it; the read limit of a generation is its own `read_beside`. */
    double read_limit, int8_limit;
    double share_of_stream; /* read rates over the read limits; -1: not known, or the weights may
                               stay in the cache */
    double share_of_int8;   /* likewise linear rates */
    double best_limit, share_of_best; /* likewise, of the fastest stretch of memory read before,
                                         during and after a repeat */
    bool failed;                      /* a share above PITH_SHARE_LIMIT, in every attempt */

    double exchange_share; /* of the time, spent in gathers with other ranks; -1: there are none */
    double pass_bytes;     /* that a forward pass reads */
    bool cached;           /* so few that they may stay in the cache: share_of_stream is -1 */
    double moved; /* largest over smallest of the limits measured before, between and after the
                     repeats, of the limit that moved more; 0: not measured */
} pith_bench_result;

/* A pass must read more than this many last-level caches for its bytes to come from memory. */
#define PITH_CACHE_MARGIN 4

/* What measures the limits beside a test: the probes of the model's instruction set. */
typedef struct pith_bench_probe {
    pith_probes probes;
    pith_probe_memory memory;
} pith_bench_probe;

typedef struct pith_bench_options {
    size_t n_repeats; /* at least 1; one more run goes before them, untimed */
    size_t n_batch;   /* most tokens per forward pass; 0: 512 */
    size_t n_context; /* of every session, all of it touched, if more than the test needs */
    pith_kv_type kv_type;
    /* Asked after every run and every generated token, with the part of the test that is done (0 to
     * 1; it starts again when a test is repeated); may be NULL. */
    bool (*go_on)(void *user, double done);
    void *go_on_user;
    const pith_bench_probe *probe; /* NULL: no limits, no shares */
    /* Seconds spent so far in gathers with other ranks; NULL: there are none. */
    double (*exchanged)(void *user);
    void *exchanged_user;
} pith_bench_options;

/* Errors: MEMORY. */
pith_status pith_bench_probe_new(pith_bench_probe *out, const pith_model *model, pith_error *error);
void pith_bench_probe_free(pith_bench_probe *probe);

/* Runs one test in sessions of its own. Tokens are drawn from the vocabulary with a fixed seed;
 * nothing is sampled. A test that comes out above a limit is tried again, three times in all.
 * Errors: as pith_session_new and pith_batch_eval, STOPPED (go_on returned false). */
pith_status pith_bench_run(const pith_model *model, const pith_bench_test *test,
                           const pith_bench_options *options, pith_bench_result *out,
                           pith_error *error);

/* Shares and rates of a single run from its tps, limits and cost. */
void pith_bench_judge(pith_bench_result *result, const pith_cost *cost, size_t cache_bytes);

/* Resident memory of the process in bytes, now and at its highest; 0 when the system does not say.
 */
void pith_bench_memory(size_t *now, size_t *peak);

/* Token ids below n_vocab: always the same sequence for one n_vocab. */
void pith_bench_draw_tokens(int32_t *tokens, size_t n, size_t n_vocab);

#endif
