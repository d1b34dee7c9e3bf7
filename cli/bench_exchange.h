/* pith bench over several processes: what the exchange between them costs, and what it should. */
#ifndef PITH_CLI_BENCH_EXCHANGE_H
#define PITH_CLI_BENCH_EXCHANGE_H

#include "cli/bench_report.h"

/* Measures the exchange and fills report->exchange; does nothing without ranks. Errors: as
 * pith_cli_ranks.measure. */
pith_status pith_bench_measure_exchange(pith_cli *cli, pith_bench_report *report,
                                        pith_error *error);

/* The lines below the table: one on the exchange, one for each test. Nothing without ranks. */
void pith_bench_print_exchange(pith_cli *cli, const pith_bench_report *report);

/* Adds the fields of test `i` to a row. Nothing without ranks. False: out of memory. */
bool pith_bench_join_exchange(json_t *row, const pith_bench_report *report, size_t i);

#endif
