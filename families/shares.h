/* How the matrices of a decoder are cut among the ranks that run it together: by rows, in
 * contiguous ranges, so that every dot product is one rank's. q, k and v go by KV heads, gate and
 * up by elements of the MLP, the rest by rows of their outputs; vectors, and matrices that every
 * rank reads whole, are not cut. Borders suit the reader of the rows: whole groups of the codes of
 * int8 and int4 layers where that costs no rank more than a tenth. */
#ifndef PITH_FAMILIES_SHARES_H
#define PITH_FAMILIES_SHARES_H

#include "families/rules.h"
#include "pith.h"

/* Rank r has the elements [borders[r], borders[r + 1]) of a row; the last border is the end. */
typedef struct pith_shares {
    size_t rank, n_ranks;                /* at least 2 */
    size_t kv_heads[PITH_MAX_RANKS + 1]; /* of num_key_value_heads */
    size_t q[PITH_MAX_RANKS + 1];        /* of heads x head_dim: the queries of those */
    size_t kv[PITH_MAX_RANKS + 1];       /* of KV heads x head_dim */
    size_t mlp[PITH_MAX_RANKS + 1];      /* of intermediate_size rounded up to 16 */
    size_t hidden[PITH_MAX_RANKS + 1];   /* of hidden_size rounded up to 16 */
    size_t vocab[PITH_MAX_RANKS + 1];    /* of vocab_size rounded up to 16 */
} pith_shares;

/* `config` is checked, `rank` less than n_ranks, n_ranks at most PITH_MAX_RANKS. */
pith_shares pith_shares_of(const pith_config *config, size_t rank, size_t n_ranks);

/* Rows [first, first + n) of a matrix, which are rows [at, at + n) of what is held of it. All are
 * multiples of 16, and of 32 where gate and up take turns. */
typedef struct pith_run {
    size_t first, n, at;
} pith_run;

/* The rows of a matrix that a process holds. */
typedef struct pith_held {
    pith_run runs[PITH_MAX_BLOCKS]; /* [n_runs], ascending */
    size_t n_runs;
    size_t n_rows; /* of all runs */
} pith_held;

/* Those of all `rows`, as a process alone holds them. */
pith_held pith_held_whole(size_t rows);

/* Those of this rank, of a matrix that has `rows` rows by the extent `extent`. */
pith_held pith_shares_held(const pith_shares *shares, const pith_config *config, pith_extent extent,
                           size_t rows);

/* The run that holds row `at`. */
const pith_run *pith_held_run(const pith_held *held, size_t at);

#endif
