/* The results of pith bench on a decoder as a table, or as rows of the other formats. */
#include "cli/bench_report.h"

#include <stdio.h>

#include "base/status.h"
#include "cli/bench_exchange.h"

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
                   "%s, %s, %.2f M parameters, %.1f MB, %s, %zu threads, loaded in %.2f s%s\n\n",
                   report->name, info->type, 1e-6 * (double)info->n_params,
                   1e-6 * (double)info->weight_bytes, info->isa, info->n_threads,
                   report->load_seconds, load_rate);
}

void pith_bench_print_company(pith_cli *cli, const pith_bench_report *report) {
    pith_cli_print(cli, "peak memory: %.1f MB\n", 1e-6 * (double)report->rss_peak);
    if (report->busy) {
        pith_cli_print(cli,
                       "busy: the limits moved by more than %.1fx during the test, or others took "
                       "CPU time\n",
                       PITH_BUSY_MOVED);
    }
}

static void print_head(pith_cli *cli, const pith_bench_report *report) {
    pith_bench_print_model(cli, report);
    pith_cli_print(
        cli, "| test         | threads | tokens/s |      min |      max | first s |   p50 ms |   "
             "p90 ms |   p99 ms | stream | int8 | memory MB |\n"
             "|--------------|--------:|---------:|---------:|---------:|--------:|---------:|---"
             "------:|---------:|-------:|-----:|----------:|\n");
}

static void print_line(pith_cli *cli, const pith_bench_report *report, size_t i, bool busy) {
    const pith_bench_result *r = &report->results[i];
    bool steps = report->tests[i].generate;
    pith_cli_print(
        cli,
        "| %-12s | %7zu | %8.2f | %8.2f | %8.2f | %7.3f | %8s | %8s | %8s | %6s | %4s | %9.1f "
        "|%s%s\n",
        pith_bench_test_name(&report->tests[i]).text, report->info.n_threads, r->tps, r->tps_min,
        r->tps_max, r->first_seconds, pith_bench_cell_of(1e3 * r->p50, steps, "-", 2).text,
        pith_bench_cell_of(1e3 * r->p90, steps, "-", 2).text,
        pith_bench_cell_of(1e3 * r->p99, steps, "-", 2).text,
        pith_bench_cell_of(r->share_of_stream, r->share_of_stream >= 0,
                           r->cached ? "cached" : "none", 2)
            .text,
        pith_bench_cell_of(r->share_of_int8, r->share_of_int8 >= 0, "none", 2).text,
        1e-6 * (double)r->rss_bytes, r->failed ? " failed" : "", busy ? " busy" : "");
}

double pith_bench_share_of_kind(const pith_model_info *info, double share_of_int8) {
    const double reach = pith_product_reach(info->isa, info->type);
    return reach > 0 && share_of_int8 >= 0 ? share_of_int8 / reach : -1;
}

/* What the rows have of each. */
typedef struct table_notes {
    double read, int8; /* limits of the shares there are */
    bool stream_share, cached, no_int8, no_steps;
} table_notes;

void pith_bench_print_reach(pith_cli *cli, const pith_bench_report *report, bool known) {
    const pith_model_info *info = &report->info;
    const double reach = pith_product_reach(info->isa, info->type);
    if (known && reach > 0 && reach < 1) {
        pith_cli_print(cli,
                       "%s products with %s can reach %.2f of them: their other multiplications "
                       "widen sums; share_of_kind in CSV and JSON is the share of that\n",
                       info->type, info->isa, reach);
    }
}

static table_notes collect_notes(const pith_bench_report *report) {
    table_notes notes = {.read = 0};
    for (size_t i = 0; i < report->n_results; i++) {
        const pith_bench_result *r = &report->results[i];
        notes.stream_share = notes.stream_share || r->share_of_stream >= 0;
        notes.read = r->share_of_stream >= 0 ? larger(notes.read, r->best_limit) : notes.read;
        notes.int8 = r->share_of_int8 >= 0 ? larger(notes.int8, r->int8_limit) : notes.int8;
        notes.cached = notes.cached || r->cached;
        notes.no_int8 = notes.no_int8 || r->share_of_int8 < 0;
        notes.no_steps = notes.no_steps || !report->tests[i].generate;
    }
    return notes;
}

static void print_notes(pith_cli *cli, const pith_bench_report *report) {
    const table_notes notes = collect_notes(report);
    pith_cli_print(cli, "\n");
    if (notes.stream_share) {
        pith_cli_print(
            cli,
            "stream: share of the read stream measured beside each test, of a generation "
            "between its tokens; at best %.1f GB/s\n",
            1e-9 * notes.read);
    }
    if (notes.int8 > 0) {
        pith_cli_print(cli,
                       "int8: share of the int8 operations measured beside each test; at best %.0f "
                       "Gop/s\n",
                       1e-9 * notes.int8);
    }
    pith_bench_print_reach(cli, report, notes.int8 > 0);
    if (notes.cached) {
        double cache = (double)pith_cache_bytes();
        pith_cli_print(cli,
                       "cached: a pass reads less than %.0f MB (%d x the last-level cache of %.1f "
                       "MB), it may stay in the cache: no share of the stream\n",
                       1e-6 * PITH_CACHE_MARGIN * cache, PITH_CACHE_MARGIN, 1e-6 * cache);
    }
    if (notes.no_int8) {
        pith_cli_print(cli, "none: there is no probe of the int8 operations for %s\n",
                       report->info.isa);
    }
    if (notes.no_steps) {
        pith_cli_print(cli, "-: a prompt has no steps\n");
    }
    pith_bench_print_exchange(cli, report);
    pith_bench_print_company(cli, report);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

bool pith_bench_join_memory(json_t *row, const pith_bench_report *report, size_t rss_bytes) {
    const pith_model_info *info = &report->info;
    return pith_bench_join(
        row,
        json_pack("{s:I,s:I,s:f,s:o,s:I,s:I}", "rss_bytes", (json_int_t)rss_bytes, "rss_peak_bytes",
                  (json_int_t)report->rss_peak, "load_seconds", report->load_seconds, "load_gbps",
                  pith_bench_real_or_null(report->load_gbps, report->load_gbps > 0), "params",
                  (json_int_t)info->n_params, "weight_bytes", (json_int_t)info->weight_bytes));
}

static json_t *make_limits(const pith_bench_result *r) {
    const pith_bench_limits *l = &r->limits;
    return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:I}", "stream_gbps_before",
                     1e-9 * l->read_before, "stream_gbps_after", 1e-9 * l->read_after,
                     "int8_gops_before", 1e-9 * l->int8_before, "int8_gops_after",
                     1e-9 * l->int8_after, "read_gbps", 1e-9 * r->read_rate, "linear_gops",
                     1e-9 * r->linear_rate, "attention_gops", 1e-9 * r->attention_rate,
                     "pass_bytes", (json_int_t)r->pass_bytes, "cache_bytes",
                     (json_int_t)pith_cache_bytes());
}

static json_t *make_row(const pith_bench_report *report, size_t i) {
    const pith_model_info *info = &report->info;
    const pith_bench_test *test = &report->tests[i];
    const pith_bench_result *r = &report->results[i];
    const double of_kind = pith_bench_share_of_kind(info, r->share_of_int8);
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
        json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:f,s:f,s:b}", "p50_seconds",
                  pith_bench_real_or_null(r->p50, steps), "p90_seconds",
                  pith_bench_real_or_null(r->p90, steps), "p99_seconds",
                  pith_bench_real_or_null(r->p99, steps), "share_of_stream",
                  pith_bench_real_or_null(r->share_of_stream, r->share_of_stream >= 0),
                  "share_of_int8", pith_bench_real_or_null(r->share_of_int8, r->share_of_int8 >= 0),
                  "share_of_kind", pith_bench_real_or_null(of_kind, of_kind >= 0), "stream_gbps",
                  1e-9 * r->read_limit, "int8_gops", 1e-9 * r->int8_limit, "failed",
                  (int)r->failed));
    ok = ok && pith_bench_join(row, json_pack("{s:o,s:f}", "share_of_best",
                                              pith_bench_real_or_null(r->share_of_best,
                                                                      r->share_of_best >= 0),
                                              "best_gbps", 1e-9 * r->best_limit));
    ok = ok && pith_bench_join(row, make_limits(r));
    ok = ok && pith_bench_join_memory(row, report, r->rss_bytes);
    ok = ok && pith_bench_join_exchange(row, report, i);
    if (!ok) {
        json_decref(row);
        return NULL;
    }
    return row;
}

/* ---- Both ------------------------------------------------------------------------------------ */

void pith_bench_report_begin(const pith_bench_report *report, pith_bench_rows *rows) {
    if (rows->format == PITH_BENCH_MD) {
        print_head(rows->cli, report);
        pith_cli_flush(rows->cli);
    }
}

pith_status pith_bench_report_row(pith_bench_report *report, pith_bench_rows *rows,
                                  pith_error *error) {
    report->busy = report->busy || rows->company.busy;
    if (rows->format != PITH_BENCH_MD) {
        return pith_bench_rows_print(rows, make_row(report, report->n_results - 1), error);
    }
    print_line(rows->cli, report, report->n_results - 1, rows->company.busy);
    return pith_bench_rows_flush(rows, error);
}

void pith_bench_report_end(const pith_bench_report *report, pith_bench_rows *rows) {
    if (rows->format == PITH_BENCH_MD && report->n_results > 0) {
        print_notes(rows->cli, report);
    }
}
