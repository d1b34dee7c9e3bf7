/* What pith bench prints of a model, test by test. */
#ifndef PITH_CLI_BENCH_REPORT_H
#define PITH_CLI_BENCH_REPORT_H

#include "cli/bench_rows.h"
#include "perf/bench.h"

enum { PITH_BENCH_MAX_TESTS = 64 };

typedef struct pith_bench_report {
    const char *name; /* of the model */
    pith_model_info info;
    pith_ranks_limits exchange; /* with ranks */
    double load_seconds;
    double load_gbps; /* bytes of weights / load_seconds / 10^9; 0: not from a file, or mapped */
    size_t n_tests;
    pith_bench_test tests[PITH_BENCH_MAX_TESTS];
    size_t n_results; /* of the tests that have ended */
    pith_bench_result results[PITH_BENCH_MAX_TESTS];
    size_t rss_peak; /* so far */
    bool busy;       /* the machine was, in a test that has ended */
} pith_bench_report;

/* The lines above the rows; one row, of the last result; and the lines below, which say why figures
 * are missing. Errors: as pith_bench_rows_print. */
void pith_bench_report_begin(const pith_bench_report *report, pith_bench_rows *rows);
pith_status pith_bench_report_row(pith_bench_report *report, pith_bench_rows *rows,
                                  pith_error *error);
void pith_bench_report_end(const pith_bench_report *report, pith_bench_rows *rows);

/* ---- Shared with the report on encoders ------------------------------------------------------ */

/* The lines above and below a table. */
void pith_bench_print_model(pith_cli *cli, const pith_bench_report *report);
/* A share of the int8 operations over the most that products of the model's type can reach of them;
 * -1: not known, or a float type. */
double pith_bench_share_of_kind(const pith_model_info *info, double share_of_int8);
/* A note on the share of the int8 operations that products of the model's type can reach at most,
 * where that is not all of them; none when `known`, that the operations were measured, is false. */
void pith_bench_print_reach(pith_cli *cli, const pith_bench_report *report, bool known);
void pith_bench_print_company(pith_cli *cli, const pith_bench_report *report);

/* What every row ends with: resident memory after its test and at its peak, loading, size. */
bool pith_bench_join_memory(json_t *row, const pith_bench_report *report, size_t rss_bytes);

#endif
