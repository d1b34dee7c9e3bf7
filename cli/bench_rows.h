/* How pith bench prints: every row as soon as its test has ended, beside the machine it was
 * measured on, in four formats. What is printed stays valid when the run is interrupted between two
 * rows. */
#ifndef PITH_CLI_BENCH_ROWS_H
#define PITH_CLI_BENCH_ROWS_H

#include <jansson.h>

#include "cli/cli.h"
#include "perf/machine.h"
#include "perf/shares.h"
#include "simd/kernels.h"

/* Positions in the list of --output, from 1. */
enum { PITH_BENCH_MD = 1, PITH_BENCH_CSV, PITH_BENCH_JSON, PITH_BENCH_JSONL };

typedef struct pith_bench_rows {
    pith_cli *cli;
    size_t format; /* a PITH_BENCH_ */
    pith_machine machine;
    size_t n_rows;
    char date[24];        /* when the test began, "2026-11-22T14:03:05Z" */
    pith_cpu_time before; /* likewise */
    pith_company company; /* of the last test that ended */
    pith_company worst;   /* the largest figures of all */
} pith_bench_rows;

/* Names the machine and prints what stands before all rows. Every begin needs an end. */
void pith_bench_rows_begin(pith_bench_rows *rows, pith_cli *cli, size_t format);

/* To be called right before and right after a test; `moved` as in pith_company. */
void pith_bench_rows_before(pith_bench_rows *rows);
void pith_bench_rows_after(pith_bench_rows *rows, double moved);

/* Completes `row` (a JSON object; NULL after a failure) with the machine and the company of the
 * last test, prints it as CSV, JSON or JSON Lines, and frees it. All rows of a run have the same
 * names. Errors: MEMORY, IO (standard output has failed). */
pith_status pith_bench_rows_print(pith_bench_rows *rows, json_t *row, pith_error *error);

/* After a row of a table was printed by hand: hands it over to the reader. Errors: IO. */
pith_status pith_bench_rows_flush(pith_bench_rows *rows, pith_error *error);

/* Closes the document; warns when the machine was busy. */
void pith_bench_rows_end(pith_bench_rows *rows);

/* Sets *out to the kernels of an instruction set, with NULL the best. Errors: UNSUPPORTED (this CPU
 * has none of that name). */
pith_status pith_bench_find_kernels(const char *isa, const pith_kernels **out, pith_error *error);

/* The test that runs, for the progress bar. */
typedef struct pith_bench_running {
    pith_progress progress;
    pith_test_name name;
    size_t i, n; /* test i of n */
} pith_bench_running;

/* For the go_on of perf/bench.h and perf/bench_embed.h; `user` is a pith_bench_running. Draws the
 * bar and returns false after an interrupt. */
bool pith_bench_go_on(void *user, double done);

/* ---- Parts of rows --------------------------------------------------------------------------- */

/* Moves the members of `part`, which may be NULL after a failure, into `row`. */
bool pith_bench_join(json_t *row, json_t *part);

/* A JSON number, or null when it is not known. */
json_t *pith_bench_real_or_null(double value, bool known);

typedef struct pith_bench_cell {
    char text[24];
} pith_bench_cell;

/* A figure in a table, or the word that says why there is none. */
pith_bench_cell pith_bench_cell_of(double value, bool known, const char *absent, int decimals);

#endif
