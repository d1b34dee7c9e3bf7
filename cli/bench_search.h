/* Timing of searches, for pith bench. */
#ifndef PITH_CLI_BENCH_SEARCH_H
#define PITH_CLI_BENCH_SEARCH_H

#include "cli/cli.h"

/* Times pith_store_search over n random vectors, n_repeats times after the first, and prints
 * the times of the first query after opening and of later ones (`output` is a PITH_BENCH_). With
 * `map` the database is mapped. Errors: those of the store; NUMERIC (an answer differs from a plain
 * double ranking). */
pith_status pith_bench_search(pith_cli *cli, size_t n, size_t n_repeats, bool map, size_t output,
                              pith_error *error);

#endif
