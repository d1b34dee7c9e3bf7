/* pith bench on an encoder: sentence embeddings of fixed lengths and of the sentences of a text. */
#ifndef PITH_CLI_BENCH_EMBED_H
#define PITH_CLI_BENCH_EMBED_H

#include "cli/bench_report.h"
#include "perf/bench_embed.h"

typedef struct pith_bench_embed_settings {
    const char *tokens;   /* comma list; NULL: the usual lengths that the model reads */
    const char *per_call; /* comma list; NULL: the usual ones */
    const char *text;     /* path or NULL */
    size_t sentences;     /* of the text, at most; 0: the usual number */
} pith_bench_embed_settings;

extern const pith_option pith_bench_embed_options_table[];

/* Results on an encoder. */
typedef struct pith_bench_embed_report {
    pith_bench_report *base; /* the model; no tests */
    size_t n_tests;
    pith_bench_embed_test tests[PITH_BENCH_MAX_TESTS];
    size_t n_results; /* of the tests that have ended */
    pith_bench_embed_result results[PITH_BENCH_MAX_TESTS];
    size_t *lengths; /* malloc'ed, of the text's sentences */
} pith_bench_embed_report;

/* True when a setting that only an encoder has was given. */
bool pith_bench_embed_wanted(const pith_bench_embed_settings *settings);

/* Runs every test `repeats` times and prints each result when it is there. Errors: as
 * pith_bench_embed_run and pith_cli_read; ARGUMENT (too many tests), FORMAT (a text without
 * sentences), NUMERIC (a share that cannot be true). */
pith_status pith_bench_embed(pith_cli *cli, const pith_bench_embed_settings *settings,
                             const pith_model *model, size_t repeats, size_t output,
                             pith_bench_report *base, pith_error *error);

/* What stands above the rows, the last result, and what stands below. Errors: as
 * pith_bench_rows_print. */
void pith_bench_embed_begin(const pith_bench_embed_report *report, pith_bench_rows *rows);
pith_status pith_bench_embed_row(const pith_bench_embed_report *report, pith_bench_rows *rows,
                                 pith_error *error);
void pith_bench_embed_end(const pith_bench_embed_report *report, pith_bench_rows *rows);

#endif
