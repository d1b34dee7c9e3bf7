/* The processes that run a model together with this one, as commands see them. The plain command
 * has none; pith-mpi (mpi/) connects them, and knows what travels between them. */
#ifndef PITH_CLI_RANKS_H
#define PITH_CLI_RANKS_H

#include "pith.h"
#include "simd/kernels.h"

/* What the exchange can do at most, measured with all ranks at once. */
typedef struct pith_ranks_limits {
    double latency;   /* seconds of a gather of a few bytes, over log2(n_ranks) */
    double bandwidth; /* bytes per second that a rank receives in a gather of 256 KB */
} pith_ranks_limits;

/* This process is rank 0 of n_ranks > 1; functions are called by one thread at a time, but `spent`.
 */
typedef struct pith_cli_ranks {
    size_t n_ranks;

    /* Called before a model is opened by pith_model_open or pith_model_random: makes the other
     * ranks open the same one and sets options->ranks, which stays valid for as long as the process
     * runs. An encoder is left to this process alone. Errors: those of opening the file for its
     * header, IO (a rank is lost). */
    pith_status (*open_file)(void *user, const char *path, pith_model_options *options,
                             pith_error *error);
    pith_status (*open_shape)(void *user, const char *shape, pith_type type,
                              pith_model_options *options, pith_error *error);

    /* Seconds spent in gathers by all models so far, waiting for slower ranks included. */
    double (*spent)(void *user);

    /* Measures for some 0.2 s. Errors: IO (a rank is lost), MEMORY. */
    pith_status (*measure)(void *user, pith_ranks_limits *out, pith_error *error);
    void *user;
} pith_cli_ranks;

/* Tokens per second of a generation by the formula 1 / (W/(nB) + S log2(n) L + V(n-1)/n/b): W/(nB)
 * is `seconds`, in which a rank computes its share of a token, L and b are the limits, S the
 * gathers of a token and V their bytes. */
double pith_ranks_predict(const pith_ranks_limits *limits, const pith_model_info *info,
                          double seconds);

#endif
