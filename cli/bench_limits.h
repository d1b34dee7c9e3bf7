/* pith bench --limits: what the machine can do at most. */
#ifndef PITH_CLI_BENCH_LIMITS_H
#define PITH_CLI_BENCH_LIMITS_H

#include "cli/cli.h"

/* Measures and prints the limits at several numbers of threads up to `n_threads` (0: one per CPU)
 * with the probes of an instruction set (NULL: the best). `output` is a PITH_BENCH_. Errors:
 * UNSUPPORTED (the instruction set), MEMORY, STOPPED, IO. */
pith_status pith_bench_machine_limits(pith_cli *cli, const char *isa, size_t n_threads,
                                      size_t output, pith_error *error);

#endif
