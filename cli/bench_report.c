/* The results of pith bench as a table, CSV, JSON or JSON Lines. perf/results/README.md explains
 * the fields. */
#include "cli/bench_report.h"

#include <stdio.h>

#include "base/status.h"

pith_bench_cell pith_bench_cell_of(double value, bool known, const char *absent, int decimals) {
    pith_bench_cell c;
    if (known) {
        snprintf(c.text, sizeof c.text, "%.*f", decimals, value);
    } else {
        snprintf(c.text, sizeof c.text, "%s", absent);
    }
    return c;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* ---- Table ----------------------------------------------------------------------------------- */

void pith_bench_print_model(pith_cli *cli, const pith_bench_report *report) {
    const pith_model_info *info = &report->info;
    char load_rate[32] = "";
    if (report->load_gbps > 0) {
        snprintf(load_rate, sizeof load_rate, " (%.2f GB/s)", report->load_gbps);
    }
    pith_cli_print(cli,
                   "%s, %s, %.2f M parameters, %.1f MB, %s, %zu threads, loaded in %.2f s%s, "
                   "peak memory %.1f MB\n\n",
                   report->name, info->type, 1e-6 * (double)info->n_params,
                   1e-6 * (double)info->weight_bytes, info->isa, info->n_threads,
                   report->load_seconds, load_rate, 1e-6 * (double)report->rss_peak);
}

static void print_md(pith_cli *cli, const pith_bench_report *report) {
    const pith_model_info *info = &report->info;
    double read = 0;
    double int8 = 0;
    pith_bench_print_model(cli, report);
    pith_cli_print(
        cli, "| test         | threads | tokens/s |      min |      max | first s |   p50 ms |   "
             "p90 ms |   p99 ms | stream | int8 | memory MB |\n"
             "|--------------|--------:|---------:|---------:|---------:|--------:|---------:|---"
             "------:|---------:|-------:|-----:|----------:|\n");
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_result *r = &report->results[i];
        bool steps = report->tests[i].generate;
        pith_cli_print(
            cli,
            "| %-12s | %7zu | %8.2f | %8.2f | %8.2f | %7.3f | %8s | %8s | %8s | %6s | %4s | %9.1f "
            "|%s\n",
            pith_bench_test_name(&report->tests[i]).text, info->n_threads, r->tps, r->tps_min,
            r->tps_max, r->first_seconds, pith_bench_cell_of(1e3 * r->p50, steps, "-", 2).text,
            pith_bench_cell_of(1e3 * r->p90, steps, "-", 2).text,
            pith_bench_cell_of(1e3 * r->p99, steps, "-", 2).text,
            pith_bench_cell_of(r->share_of_stream, r->share_of_stream >= 0, "-", 2).text,
            pith_bench_cell_of(r->share_of_int8, r->share_of_int8 >= 0, "-", 2).text,
            1e-6 * (double)r->rss_bytes, r->failed ? " failed" : "");
        read = larger(read, r->best_limit);
        int8 = larger(int8, r->int8_limit);
    }
    pith_cli_print(cli,
                   "\nstream, int8: share of the limits measured beside each test, the stream of a "
                   "generation between its tokens; at best %.1f GB/s and %.0f Gop/s\n",
                   1e-9 * read, 1e-9 * int8);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

void pith_bench_print_quoted(pith_cli *cli, const char *text) {
    pith_cli_write(cli, "\"", 1);
    for (const char *c = text; *c != 0; c++) {
        pith_cli_write(cli, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    }
    pith_cli_write(cli, "\"", 1);
}

static void print_csv(pith_cli *cli, const pith_bench_report *report) {
    pith_cli_print(cli, "model,type,isa,threads,test,repeats,tps,tps_min,tps_max,first_seconds,"
                        "p50_seconds,p90_seconds,p99_seconds,share_of_stream,share_of_int8,"
                        "stream_gbps,int8_gops,attention_gops,failed,rss_bytes,rss_peak_bytes,"
                        "load_seconds,load_gbps,share_of_best,best_gbps\n");
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_result *r = &report->results[i];
        bool steps = report->tests[i].generate;
        pith_bench_print_quoted(cli, report->name);
        pith_cli_print(cli, ",%s,%s,%zu,%s,%zu,%.4f,%.4f,%.4f,%.6f", report->info.type,
                       report->info.isa, report->info.n_threads,
                       pith_bench_test_name(&report->tests[i]).text, r->n_repeats, r->tps,
                       r->tps_min, r->tps_max, r->first_seconds);
        pith_cli_print(cli, ",%s,%s,%s,%s,%s,%.3f,%.3f,%.3f,%s,%zu,%zu,%.4f,%s,%s,%.3f\n",
                       pith_bench_cell_of(r->p50, steps, "", 9).text,
                       pith_bench_cell_of(r->p90, steps, "", 9).text,
                       pith_bench_cell_of(r->p99, steps, "", 9).text,
                       pith_bench_cell_of(r->share_of_stream, r->share_of_stream >= 0, "", 4).text,
                       pith_bench_cell_of(r->share_of_int8, r->share_of_int8 >= 0, "", 4).text,
                       1e-9 * r->read_limit, 1e-9 * r->int8_limit, 1e-9 * r->attention_rate,
                       r->failed ? "true" : "false", r->rss_bytes, report->rss_peak,
                       report->load_seconds,
                       pith_bench_cell_of(report->load_gbps, report->load_gbps > 0, "", 3).text,
                       pith_bench_cell_of(r->share_of_best, r->share_of_best >= 0, "", 4).text,
                       1e-9 * r->best_limit);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *pith_bench_real_or_null(double value, bool known) {
    return known ? json_real(value) : json_null();
}

bool pith_bench_join(json_t *row, json_t *part) {
    bool ok = part != NULL && row != NULL && json_object_update(row, part) == 0;
    json_decref(part);
    return ok;
}

bool pith_bench_join_memory(json_t *row, const pith_bench_report *report, size_t rss_bytes) {
    const pith_model_info *info = &report->info;
    return pith_bench_join(
        row,
        json_pack("{s:I,s:I,s:f,s:o,s:I,s:I}", "rss_bytes", (json_int_t)rss_bytes, "rss_peak_bytes",
                  (json_int_t)report->rss_peak, "load_seconds", report->load_seconds, "load_gbps",
                  pith_bench_real_or_null(report->load_gbps, report->load_gbps > 0), "params",
                  (json_int_t)info->n_params, "weight_bytes", (json_int_t)info->weight_bytes));
}

static json_t *make_row(const pith_bench_report *report, size_t i) {
    const pith_model_info *info = &report->info;
    const pith_bench_test *test = &report->tests[i];
    const pith_bench_result *r = &report->results[i];
    const pith_bench_limits *l = &r->limits;
    bool steps = test->generate;
    json_t *row = json_pack("{s:s,s:s,s:s,s:I,s:s,s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:f}", "model",
                            report->name, "type", info->type, "isa", info->isa, "threads",
                            (json_int_t)info->n_threads, "test", pith_bench_test_name(test).text,
                            "tokens", (json_int_t)test->n_tokens, "depth", (json_int_t)test->depth,
                            "sessions", (json_int_t)(test->generate ? test->n_sessions : 1),
                            "repeats", (json_int_t)r->n_repeats, "tps", r->tps, "tps_min",
                            r->tps_min, "tps_max", r->tps_max, "first_seconds", r->first_seconds);
    bool ok = pith_bench_join(
        row,
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:f,s:f,s:b}", "p50_seconds",
                  pith_bench_real_or_null(r->p50, steps), "p90_seconds",
                  pith_bench_real_or_null(r->p90, steps), "p99_seconds",
                  pith_bench_real_or_null(r->p99, steps), "share_of_stream",
                  pith_bench_real_or_null(r->share_of_stream, r->share_of_stream >= 0),
                  "share_of_int8", pith_bench_real_or_null(r->share_of_int8, r->share_of_int8 >= 0),
                  "stream_gbps", 1e-9 * r->read_limit, "int8_gops", 1e-9 * r->int8_limit, "failed",
                  (int)r->failed));
    ok = ok && pith_bench_join(row, json_pack("{s:o,s:f}", "share_of_best",
                                              pith_bench_real_or_null(r->share_of_best,
                                                                      r->share_of_best >= 0),
                                              "best_gbps", 1e-9 * r->best_limit));
    ok = ok &&
         pith_bench_join(row,
                         json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "stream_gbps_before",
                                   1e-9 * l->read_before, "stream_gbps_after", 1e-9 * l->read_after,
                                   "int8_gops_before", 1e-9 * l->int8_before, "int8_gops_after",
                                   1e-9 * l->int8_after, "read_gbps", 1e-9 * r->read_rate,
                                   "linear_gops", 1e-9 * r->linear_rate, "attention_gops",
                                   1e-9 * r->attention_rate));
    ok = ok && pith_bench_join_memory(row, report, r->rss_bytes);
    if (!ok) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static json_t *make_limits(const char *isa, const pith_limits *l) {
    return json_pack("{s:s,s:s,s:I,s:f,s:f,s:f,s:o,s:o,s:o,s:f,s:f,s:I,s:I}", "test", "limits",
                     "isa", isa, "threads", (json_int_t)l->n_threads, "stream_gbps",
                     1e-9 * l->read.best, "stream_sustained_gbps", 1e-9 * l->read.sustained,
                     "stream_4k_gbps", 1e-9 * l->read_small, "int8_gops",
                     pith_bench_real_or_null(1e-9 * l->int8, l->int8 > 0), "f32_gflops",
                     pith_bench_real_or_null(1e-9 * l->f32, l->f32 > 0), "bf16_gflops",
                     pith_bench_real_or_null(1e-9 * l->bf16, l->bf16 > 0), "clock_ghz",
                     1e-9 * l->clock, "dispatch_us", 1e6 * l->dispatch, "stream_ahead",
                     (json_int_t)l->read.pattern.ahead, "stream_streams",
                     (json_int_t)l->read.pattern.n_streams);
}

pith_status pith_bench_print_rows(pith_cli *cli, json_t *rows, bool whole, size_t output,
                                  pith_error *error) {
    if (!whole) {
        json_decref(rows);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the result");
    }
    if (output == PITH_BENCH_JSON) {
        pith_cli_print_json(cli, rows, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    } else {
        for (size_t i = 0; i < json_array_size(rows); i++) {
            pith_cli_print_json(cli, json_array_get(rows, i),
                                JSON_COMPACT | JSON_REAL_PRECISION(8));
        }
    }
    json_decref(rows);
    return PITH_OK;
}

/* ---- Both reports ---------------------------------------------------------------------------- */

pith_status pith_bench_print(pith_cli *cli, const pith_bench_report *report, size_t output,
                             pith_error *error) {
    if (output == PITH_BENCH_MD) {
        print_md(cli, report);
        return PITH_OK;
    }
    if (output == PITH_BENCH_CSV) {
        print_csv(cli, report);
        return PITH_OK;
    }
    json_t *rows = json_array();
    bool whole = rows != NULL;
    for (size_t i = 0; whole && i < report->n_tests; i++) {
        whole = json_array_append_new(rows, make_row(report, i)) == 0;
    }
    return pith_bench_print_rows(cli, rows, whole, output, error);
}

pith_status pith_limits_print(pith_cli *cli, const char *isa, const pith_limits *limits, size_t n,
                              size_t output, pith_error *error) {
    if (output == PITH_BENCH_MD) {
        pith_cli_print(
            cli,
            "%s, %.2f GHz\n\n"
            "| threads | read GB/s | sustained | on 4 KB pages | int8 Gop/s | f32 Gflop/s | bf16 "
            "Gflop/s | dispatch us |\n"
            "|--------:|----------:|----------:|--------------:|-----------:|------------:|-------"
            "-----:|------------:|\n",
            isa, 1e-9 * limits[0].clock);
        for (size_t i = 0; i < n; i++) {
            const pith_limits *l = &limits[i];
            pith_cli_print(cli, "| %7zu | %9.1f | %9.1f | %13.1f | %10s | %11s | %12s | %11.2f |\n",
                           l->n_threads, 1e-9 * l->read.best, 1e-9 * l->read.sustained,
                           1e-9 * l->read_small,
                           pith_bench_cell_of(1e-9 * l->int8, l->int8 > 0, "-", 0).text,
                           pith_bench_cell_of(1e-9 * l->f32, l->f32 > 0, "-", 0).text,
                           pith_bench_cell_of(1e-9 * l->bf16, l->bf16 > 0, "-", 0).text,
                           1e6 * l->dispatch);
        }
        return PITH_OK;
    }
    json_t *rows = json_array();
    bool whole = rows != NULL;
    for (size_t i = 0; whole && i < n; i++) {
        whole = json_array_append_new(rows, make_limits(isa, &limits[i])) == 0;
    }
    return pith_bench_print_rows(cli, rows, whole, output, error);
}
