/* Timing of sentence embeddings on an open encoder, beside the machine's limits. Token ids are
 * drawn at random: only their number matters, and no time goes into the tokenizer. */
#ifndef PITH_PERF_BENCH_EMBED_H
#define PITH_PERF_BENCH_EMBED_H

#include "perf/bench.h"

/* One call: n_sentences texts, handed over together in the order given. */
typedef struct pith_bench_embed_test {
    size_t n_sentences;    /* at least 1 */
    size_t n_tokens;       /* of every sentence, special tokens included; unused with lengths */
    const size_t *lengths; /* [n_sentences] tokens of each, as a text has them; or NULL */
} pith_bench_embed_test;

/* "embed128x32": 32 sentences of 128 tokens; "text10000": 10000 sentences of a text */
pith_test_name pith_bench_embed_name(const pith_bench_embed_test *test);

/* What a call costs: two operations per weight of the linear layers and token, nothing for padding;
 * attention by the square of each length. */
typedef struct pith_bench_embed_cost {
    double linear_ops;
    double attention_ops;
    size_t n_tokens;
} pith_bench_embed_cost;

/* False when the number of tokens does not fit in size_t. */
bool pith_bench_embed_cost_of(const pith_config *config, const pith_bench_embed_test *test,
                              pith_bench_embed_cost *out);

typedef struct pith_bench_embed_options {
    size_t n_repeats; /* at least 1 */
    double seconds;   /* a repeat makes calls for about this time, at least one */
    bool (*go_on)(void *user, double done); /* asked after every pack of texts, with the part of the
                                               test that is done; may be NULL */
    void *go_on_user;
    const pith_probes *probes; /* NULL: no limits, no shares */
} pith_bench_embed_options;

typedef struct pith_bench_embed_result {
    size_t n_repeats;
    size_t n_calls;          /* of one repeat */
    size_t n_tokens;         /* of one call */
    double sps;              /* sentences per second: median of the repeats */
    double sps_min, sps_max; /* slowest and fastest repeat */
    double tps;              /* tokens per second at `sps` */
    double tps_min, tps_max; /* likewise */
    double first_seconds;    /* first call of a repeat, median */
    double p50, p90, p99;    /* seconds of a call, over all repeats; 0 with lengths */
    size_t rss_bytes;        /* resident memory right after the test; 0: unknown */
    double linear_rate;      /* operations per second reached at `tps` */
    double attention_rate;   /* likewise */
    bool integer;            /* the limit is that of int8 operations, else of f32 ones */
    double before, after;    /* that limit right before and after; 0: not known */
    double share;            /* linear_rate / the larger of the two; -1: not known */
    double moved;            /* the larger of the two over the smaller; 0: not known */
    bool failed;             /* a share above PITH_SHARE_LIMIT in every attempt */
} pith_bench_embed_result;

/* Runs one test. A few calls go before it, untimed; a test that comes out above the limit is tried
 * again, three times in all.
 * Errors: as pith_embed_tokens, UNSUPPORTED (not an encoder), STOPPED (go_on returned false). */
pith_status pith_bench_embed_run(const pith_model *model, const pith_bench_embed_test *test,
                                 const pith_bench_embed_options *options,
                                 pith_bench_embed_result *out, pith_error *error);

/* Rates and share from tps, the limits and the cost. */
void pith_bench_embed_judge(pith_bench_embed_result *result, const pith_bench_embed_cost *cost);

#endif
