/* How much of the machine a test used: the bytes that had to be read and the operations that had to
 * be done, from the model's shape alone, over the time it took and the limits measured beside it.
 *
 * Bytes: weights and scales once per forward pass (the embedding is a lookup and does not count),
 * keys and values of every position a token attends to. Operations: two per weight of the linear
 * layers and token, and of the head for every position whose logits were computed. */
#ifndef PITH_PERF_SHARES_H
#define PITH_PERF_SHARES_H

#include <stdbool.h>

#include "families/family.h"

/* What one token costs. */
typedef struct pith_work {
    size_t layer_bytes;  /* weights and scales of all layers, of the experts that one token uses */
    double expert_bytes; /* of one expert, in all layers */
    size_t n_experts, n_experts_used;
    size_t head_bytes; /* of the head */
    size_t kv_bytes;   /* keys and values of one position, all layers */
    size_t n_windows;
    struct pith_work_window {
        size_t size;  /* most positions a token attends to; 0: all */
        double share; /* of the layers */
    } windows[PITH_MAX_LAYER_KINDS];
    double linear_weights; /* real weights of the linear layers, padding excluded */
    double head_weights;
    double attention_ops; /* of one token and one position: q k and p v, all layers and heads */
} pith_work;

/* `token_bytes` as in pith_model_info, `kv_element` the bytes of one element of the cache: 1 for
 * int8 codes, with an f32 scale for each head's key and value. */
pith_work pith_work_of(const pith_family *family, const pith_network *network, size_t token_bytes,
                       size_t kv_element);

/* One test. Without `generate`: n_tokens at once from an empty context. With it: n_tokens one by
 * one in each of n_sessions sessions together, all after depth tokens. */
typedef struct pith_bench_test {
    bool generate;
    size_t n_tokens;
    size_t depth;
    size_t n_sessions; /* 0 counts as 1 */
} pith_bench_test;

/* "pp512", "tg64", "tg64@d4032", "tg64x4", "tg64@d512x4" */
typedef struct pith_test_name {
    char text[80];
} pith_test_name;
pith_test_name pith_bench_test_name(const pith_bench_test *test);

/* What one run of a test costs when a pass holds at most max_rows tokens. */
typedef struct pith_cost {
    double read_bytes;
    double linear_ops;
    double attention_ops;
    double n_passes;
    size_t n_tokens; /* of all sessions */
} pith_cost;
pith_cost pith_cost_of(const pith_work *work, const pith_bench_test *test, size_t max_rows);

/* Sum over `n` tokens that follow `depth` others of the positions each attends to, itself included,
 * at most `window` (0: all). */
double pith_attended(size_t depth, size_t n, size_t window);

/* Seconds in which plain reads would have fetched bytes[0, n), one token after the other, at the
 * speed that memory had beside each: rates [pith_stretches(n, every)] are bytes per second, the
 * first before any token, then one after every `every` > 0 tokens and one after the last. A token
 * is compared with the median of the nearest four, two before it and two after: rates scatter, so
 * the larger of two would be more than reads as long as a token reach, and a rate that was
 * disturbed must not count. */
double pith_stream_seconds(const double *bytes, size_t n, const double *rates, size_t every);

/* The number of rates that this needs; and the index of the rate that is measured right after a
 * token, 0 for none. */
size_t pith_stretches(size_t n_tokens, size_t every);
size_t pith_stretch_after(size_t token, size_t n_tokens, size_t every);

/* After how many tokens memory is to be read again, given the seconds of a token and of a read:
 * after each token that takes 20 ms or more, else so seldom that reading takes about a tenth of the
 * time. */
size_t pith_tokens_between(double token_seconds, double read_seconds);

/* Largest share that is accepted; more can only come from a disturbed limit. */
#define PITH_SHARE_LIMIT 1.02

/* rate / limit; -1 when the limit is not known (0). */
double pith_share(double rate, double limit);

void pith_sort_figures(double *values, size_t n); /* ascending */

/* The q-th quantile (0 < q <= 1) of ascending values [n >= 1] by nearest rank: the least value that
 * at least q of them do not exceed. */
double pith_quantile(const double *ascending, size_t n, double q);
double pith_median(const double *ascending, size_t n); /* the mean of the middle two of an even n */

#endif
