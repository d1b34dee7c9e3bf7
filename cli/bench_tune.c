/* The candidates of a memory path as two tables, or as rows of the other formats. */
#include "cli/bench_tune.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "cli/bench_rows.h"
#include "perf/tune.h"
#include "simd/tuning.h"

#define TUNE_SECONDS 40.0 /* of timing; setting up takes a few more */

typedef struct tune_bench {
    const pith_bench_tune_settings *settings;
    const pith_kernels *kernels;
    size_t n_threads;
    pith_kernel_timer timer;
    pith_tune_result result;
    pith_bench_rows rows;
    pith_bench_running running;
} tune_bench;

/* ---- Rows ------------------------------------------------------------------------------------ */

/* A candidate's GB/s with this kernel and number of tokens; null when there is no such shape. */
static json_t *rate_of(const pith_tune_group *group, size_t candidate, const char *kernel,
                       size_t tokens) {
    for (size_t s = 0; s < group->n_shapes; s++) {
        if (group->shapes[s].shape->tokens == tokens &&
            strcmp(group->shapes[s].bench->name, kernel) == 0) {
            return json_real(1e-9 * group->candidates[candidate].rates[s]);
        }
    }
    return json_null();
}

/* The number of rounds of the shape that has fewest. */
static size_t rounds_of(const pith_tune_group *group) {
    size_t n = group->shapes[0].n_rounds;
    for (size_t s = 1; s < group->n_shapes; s++) {
        n = group->shapes[s].n_rounds < n ? group->shapes[s].n_rounds : n;
    }
    return n;
}

static json_t *make_row(const tune_bench *bench, const pith_tune_group *group, size_t i) {
    const struct pith_tune_candidate *c = &group->candidates[i];
    return json_pack("{s:s,s:s,s:s,s:I,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:f,s:b,s:b,s:b}",
                     "test", "tune", "tokens", group == &bench->result.few ? "1-2" : "3-", "isa",
                     bench->kernels->name, "threads", (json_int_t)bench->n_threads, "hint",
                     pith_hint_names[c->fetch.hint], "distance", (json_int_t)c->fetch.distance,
                     "repeats", (json_int_t)rounds_of(group), "int4_1_gbps",
                     rate_of(group, i, "product_int4", 1), "int4_2_gbps",
                     rate_of(group, i, "product_int4", 2), "int4_4_gbps",
                     rate_of(group, i, "product_int4", 4), "int8_1_gbps",
                     rate_of(group, i, "product_int8", 1), "int8_2_gbps",
                     rate_of(group, i, "product_int8", 2), "int8_4_gbps",
                     rate_of(group, i, "product_int8", 4), "score", c->score, "table",
                     (int)(i == group->table), "fastest", (int)(i == group->fastest), "chosen",
                     (int)(i == group->chosen));
}

static void print_group(const tune_bench *bench, const pith_tune_group *group, const char *title) {
    pith_cli *cli = bench->rows.cli;
    pith_cli_print(cli, "\n%s, GB/s\n\n| fetch     |", title);
    for (size_t s = 0; s < group->n_shapes; s++) {
        pith_cli_print(cli, " %s x %zu |", group->shapes[s].bench->name + strlen("product_"),
                       group->shapes[s].shape->tokens);
    }
    pith_cli_print(cli, " of the best |\n|-----------|");
    for (size_t s = 0; s < group->n_shapes; s++) {
        pith_cli_print(cli, "---------:|");
    }
    pith_cli_print(cli, "------------:|\n");
    for (size_t i = 0; i < group->n_candidates; i++) {
        const struct pith_tune_candidate *c = &group->candidates[i];
        pith_cli_print(cli, "| %-9s |", pith_fetch_describe(c->fetch).text);
        for (size_t s = 0; s < group->n_shapes; s++) {
            pith_cli_print(cli, " %8.1f |", 1e-9 * c->rates[s]);
        }
        pith_cli_print(cli, " %11.3f |%s%s%s\n", c->score, i == group->fastest ? " fastest" : "",
                       i == group->table ? " table" : "", i == group->chosen ? " CHOSEN" : "");
    }
}

static void print_tables(const tune_bench *bench) {
    const pith_cpu_id cpu = pith_cpu_identify();
    pith_cli *cli = bench->rows.cli;
    pith_cli_print(cli, "%s, %zu thread%s, at least %zu rounds; a window of %s%s\n",
                   bench->kernels->name, bench->n_threads, bench->n_threads == 1 ? "" : "s at once",
                   rounds_of(&bench->result.few),
                   pith_size_format((double)bench->timer.window.size, "B").text,
                   bench->rows.company.busy ? "; busy" : "");
    print_group(bench, &bench->result.few, "one and two tokens");
    print_group(bench, &bench->result.more, "more tokens");
    pith_cli_print(cli,
                   "\nfetch: nta past the L2 cache, t1 into it, t0 into L1 too, so far ahead\n"
                   "of the best: geometric mean over the columns of the speed beside all others in "
                   "the same rounds\n"
                   "table: what the library chooses for this CPU (%s); it stays the choice from "
                   "%.3f on, else the first line that reaches that\n",
                   pith_memory_path_row(&cpu, bench->kernels->name)->measured, PITH_TUNE_TIE);
}

static pith_status print_result(tune_bench *bench, pith_error *error) {
    const pith_tune_group *groups[] = {&bench->result.few, &bench->result.more};
    pith_status status = PITH_OK;
    if (bench->rows.format == PITH_BENCH_MD) {
        print_tables(bench);
        return pith_bench_rows_flush(&bench->rows, error);
    }
    for (size_t g = 0; g < 2; g++) {
        for (size_t i = 0; status == PITH_OK && i < groups[g]->n_candidates; i++) {
            status = pith_bench_rows_print(&bench->rows, make_row(bench, groups[g], i), error);
        }
    }
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static pith_status save(const tune_bench *bench, pith_error *error) {
    const pith_tune_group *few = &bench->result.few;
    const pith_tune_group *more = &bench->result.more;
    const pith_cpu_id cpu = pith_cpu_identify();
    pith_tuning tuning = {.few = few->candidates[few->chosen].fetch,
                          .more = more->candidates[more->chosen].fetch};
    snprintf(tuning.cpu, sizeof tuning.cpu, "%s", pith_cpu_describe(&cpu).text);
    snprintf(tuning.isa, sizeof tuning.isa, "%s", bench->kernels->name);
    return pith_tuning_save(&tuning, bench->settings->save, error);
}

/* Finds out before the measurement, not after it, that the file cannot be written. */
static pith_status check_save(const char *path, pith_error *error) {
    pith_output *output = NULL;
    pith_status status =
        path != NULL ? pith_output_create(&output, path, &pith_malloc_allocator, error) : PITH_OK;
    pith_output_discard(output);
    return status;
}

static pith_status measure(pith_cli *cli, tune_bench *bench, pith_error *error) {
    pith_progress_begin(&bench->running.progress, cli, "sweeps");
    pith_bench_rows_begin(&bench->rows, cli, bench->settings->output);
    pith_bench_rows_before(&bench->rows);
    pith_status status = pith_tune_measure(&bench->timer, TUNE_SECONDS, &bench->result, error);
    pith_progress_end(&bench->running.progress);
    if (status == PITH_OK && bench->settings->save != NULL) {
        status = save(bench, error); /* before a reader of the output can go away */
    }
    if (status == PITH_OK) {
        pith_bench_rows_after(&bench->rows, bench->result.moved);
        status = print_result(bench, error);
    }
    pith_bench_rows_end(&bench->rows);
    return status;
}

static pith_status find_kernels(const char *isa, const pith_kernels **out, pith_error *error) {
    pith_status status = pith_bench_find_kernels(isa, out, error);
    if (status == PITH_OK && !(*out)->takes_path) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "the %s kernels have one way to fetch weights: there is nothing to tune",
                           (*out)->name);
    }
    return status;
}

pith_status pith_bench_tune(pith_cli *cli, const pith_bench_tune_settings *settings,
                            pith_error *error) {
    tune_bench bench = {.settings = settings};
    pith_pool *pool = NULL;
    pith_status status = find_kernels(settings->isa, &bench.kernels, error);
    if (status == PITH_OK) {
        status = check_save(settings->save, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    status = pith_pool_new(&pool, settings->n_threads, &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        bench.n_threads = pith_pool_threads(pool);
        status =
            pith_kernel_timer_new(&bench.timer, bench.kernels, pool, settings->n_repeats, error);
    }
    bench.running.n = 1;
    snprintf(bench.running.name.text, sizeof bench.running.name.text, "tuning");
    bench.timer.go_on = pith_bench_go_on;
    bench.timer.go_on_user = &bench.running;
    if (status == PITH_OK) {
        status = pith_kernel_timer_memory(&bench.timer, 0, error);
    }
    if (status == PITH_OK) {
        status = measure(cli, &bench, error);
    }
    pith_kernel_timer_free(&bench.timer);
    pith_pool_free(pool);
    return status;
}
