/* pith bench --tune: how weights are fetched from memory fastest on this machine. */
#ifndef PITH_CLI_BENCH_TUNE_H
#define PITH_CLI_BENCH_TUNE_H

#include "cli/cli.h"

typedef struct pith_bench_tune_settings {
    const char *isa;  /* NULL: the best */
    const char *save; /* the file to write; NULL: none */
    size_t n_threads; /* 0: one per CPU */
    size_t n_repeats; /* most rounds */
    size_t output;    /* a PITH_BENCH_ */
} pith_bench_tune_settings;

/* Times the candidates, prints a row for each, and writes the choice. Errors: UNSUPPORTED (no such
 * instruction set, or one that does not fetch ahead by a memory path), MEMORY, STOPPED, IO, FORMAT
 * (the file is no regular one). */
pith_status pith_bench_tune(pith_cli *cli, const pith_bench_tune_settings *settings,
                            pith_error *error);

#endif
