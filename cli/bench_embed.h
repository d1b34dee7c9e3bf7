/* pith bench on an encoder: sentence embeddings of fixed lengths and of the sentences of a text. */
#ifndef PITH_CLI_BENCH_EMBED_H
#define PITH_CLI_BENCH_EMBED_H

#include "cli/bench_report.h"
#include "perf/bench_embed.h"

typedef struct pith_bench_embed_settings {
    const char *tokens;   /* comma list; NULL: the usual lengths that the model reads */
    const char *per_call; /* comma list */
    const char *text;     /* path or NULL */
    size_t sentences;     /* of the text, at most */
} pith_bench_embed_settings;

extern const pith_option pith_bench_embed_options_table[];

/* Results on an encoder. */
typedef struct pith_bench_embed_report {
    pith_bench_report *base; /* the model; no tests */
    size_t n_tests;
    pith_bench_embed_test tests[PITH_BENCH_MAX_TESTS];
    pith_bench_embed_result results[PITH_BENCH_MAX_TESTS];
    size_t *lengths; /* malloc'ed, of the text's sentences */
} pith_bench_embed_report;

/* Whether any of the settings only an encoder has was given. */
bool pith_bench_embed_wanted(const pith_bench_embed_settings *settings);

/* Runs every test `repeats` times and prints the results. Errors: as pith_bench_embed_run and
 * pith_cli_read; ARGUMENT (too many tests), FORMAT (a text without sentences), NUMERIC (a share
 * that cannot be true). */
pith_status pith_bench_embed(pith_cli *cli, const pith_bench_embed_settings *settings,
                             const pith_model *model, size_t repeats, size_t output,
                             pith_bench_report *base, pith_error *error);

/* Errors: MEMORY. */
pith_status pith_bench_embed_print(pith_cli *cli, const pith_bench_embed_report *report,
                                   size_t output, pith_error *error);

#endif
