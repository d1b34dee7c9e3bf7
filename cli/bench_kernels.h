/* pith bench --kernels: every inner loop alone. */
#ifndef PITH_CLI_BENCH_KERNELS_H
#define PITH_CLI_BENCH_KERNELS_H

#include "cli/cli.h"

typedef struct pith_bench_kernels_settings {
    const char *isa;    /* NULL: the best */
    const char *tuning; /* a file with the memory path of products; NULL: the table's */
    const char *begin;  /* of the names of the kernels to time; NULL: all */
    size_t n_threads;   /* 0: one per CPU */
    size_t n_repeats;
    size_t output; /* a PITH_BENCH_ */
} pith_bench_kernels_settings;

/* Times kernels and prints a row for each shape. Errors: ARGUMENT (no kernel has such a name),
 * UNSUPPORTED (the instruction set), MEMORY, STOPPED, IO. */
pith_status pith_bench_kernels(pith_cli *cli, const pith_bench_kernels_settings *settings,
                               pith_error *error);

#endif
