/* What pith bench prints, in every format. */
#ifndef PITH_CLI_BENCH_REPORT_H
#define PITH_CLI_BENCH_REPORT_H

#include <jansson.h>

#include "cli/cli.h"
#include "perf/bench.h"

enum { PITH_BENCH_MAX_TESTS = 64 };

/* Positions in the list of --output, from 1. */
enum { PITH_BENCH_MD = 1, PITH_BENCH_CSV, PITH_BENCH_JSON, PITH_BENCH_JSONL };

typedef struct pith_bench_report {
    const char *name; /* of the model */
    pith_model_info info;
    double load_seconds;
    double load_gbps; /* bytes of weights / load_seconds / 10^9; 0: not from a file, or mapped */
    size_t n_tests;
    pith_bench_test tests[PITH_BENCH_MAX_TESTS];
    pith_bench_result results[PITH_BENCH_MAX_TESTS];
    size_t rss_peak;
} pith_bench_report;

/* Errors: MEMORY. */
pith_status pith_bench_print(pith_cli *cli, const pith_bench_report *report, size_t output,
                             pith_error *error);

/* ---- Shared with the report on encoders -------------------------------------------------------
 */

typedef struct pith_bench_cell {
    char text[24];
} pith_bench_cell;

/* A figure, or what stands for one that there is not. */
pith_bench_cell pith_bench_cell_of(double value, bool known, const char *absent, int decimals);

/* The line above a table, and an empty one. */
void pith_bench_print_model(pith_cli *cli, const pith_bench_report *report);

void pith_bench_print_quoted(pith_cli *cli, const char *text); /* as a CSV field */

/* Moves the members of `part`, which may be NULL after a failure, into `row`. */
bool pith_bench_join(json_t *row, json_t *part);

/* A JSON number, or null for one that there is not. */
json_t *pith_bench_real_or_null(double value, bool known);

/* What every row ends with: resident memory after its test and at its peak, loading, size. */
bool pith_bench_join_memory(json_t *row, const pith_bench_report *report, size_t rss_bytes);

/* Prints rows [json array] as one document or one per line, and frees them. Errors: MEMORY (not
 * `whole`). */
pith_status pith_bench_print_rows(pith_cli *cli, json_t *rows, bool whole, size_t output,
                                  pith_error *error);

/* The limits of the machine at several thread counts; `output` is not CSV. Errors: MEMORY. */
pith_status pith_limits_print(pith_cli *cli, const char *isa, const pith_limits *limits, size_t n,
                              size_t output, pith_error *error);

#endif
