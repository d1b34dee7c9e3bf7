/* The results of pith bench on an encoder. perf/results/README.md explains the fields. */
#include <jansson.h>

#include "cli/bench_embed.h"

static double limit(const pith_bench_embed_result *r) {
    return r->before > r->after ? r->before : r->after;
}

/* ---- Table ----------------------------------------------------------------------------------- */

static void print_head(pith_cli *cli, const pith_bench_embed_report *report) {
    pith_bench_print_model(cli, report->base);
    pith_cli_print(cli,
                   "| test         | threads | sentences/s |      min |      max |  tokens/s | "
                   "  p50 ms |   p90 ms |   p99 ms | int8 |  f32 | memory MB |\n"
                   "|--------------|--------:|------------:|---------:|---------:|----------:|"
                   "---------:|---------:|---------:|-----:|-----:|----------:|\n");
}

/* The limit of the other kind of operation says nothing about a type: "-". */
static void print_line(pith_cli *cli, const pith_bench_embed_report *report, size_t i, bool busy) {
    const pith_bench_embed_result *r = &report->results[i];
    bool calls = report->tests[i].lengths == NULL;
    bool known = r->share >= 0;
    pith_cli_print(cli, "| %-12s | %7zu | %11.1f | %8.1f | %8.1f | %9.0f | %8s | %8s | %8s |",
                   pith_bench_embed_name(&report->tests[i]).text, report->base->info.n_threads,
                   r->sps, r->sps_min, r->sps_max, r->tps,
                   pith_bench_cell_of(1e3 * r->p50, calls, "-", 3).text,
                   pith_bench_cell_of(1e3 * r->p90, calls, "-", 3).text,
                   pith_bench_cell_of(1e3 * r->p99, calls, "-", 3).text);
    pith_cli_print(
        cli, " %4s | %4s | %9.1f |%s%s\n",
        pith_bench_cell_of(r->share, known && r->integer, r->integer ? "none" : "-", 2).text,
        pith_bench_cell_of(r->share, known && !r->integer, r->integer ? "-" : "none", 2).text,
        1e-6 * (double)r->rss_bytes, r->failed ? " failed" : "", busy ? " busy" : "");
}

static void print_notes(pith_cli *cli, const pith_bench_embed_report *report) {
    double best = 0;
    bool none = false;
    bool varied = false;
    bool integer = report->results[0].integer;
    const char *name = integer ? "int8" : "f32";
    for (size_t i = 0; i < report->n_results; i++) {
        const pith_bench_embed_result *r = &report->results[i];
        best = limit(r) > best ? limit(r) : best;
        none = none || r->share < 0;
        varied = varied || report->tests[i].lengths != NULL;
    }
    pith_cli_print(cli, "\np50, p90, p99: of a call%s\n",
                   varied ? "; -: a text's only call, in which sentences differ" : "");
    if (best > 0) {
        pith_cli_print(cli,
                       "%s: share of the operations measured right before and after each test; at "
                       "best %.0f Gop/s\n",
                       name, 1e-9 * best);
    }
    pith_bench_print_reach(cli, report->base, integer && best > 0);
    if (none) {
        pith_cli_print(cli, "none: there is no probe of the %s operations for %s\n", name,
                       report->base->info.isa);
    }
    pith_cli_print(cli, "%s: -, the limit of %s weights is that of %s operations\n",
                   integer ? "f32" : "int8", report->base->info.type, name);
    pith_bench_print_company(cli, report->base);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* The limits; those of the other kind of operation were not measured. */
static json_t *make_shares(const pith_model_info *info, const pith_bench_embed_result *r) {
    const bool i = r->integer;
    const double of_kind = pith_bench_share_of_kind(info, i ? r->share : -1);
    return json_pack("{s:n,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "share_of_stream",
                     "share_of_int8", pith_bench_real_or_null(r->share, i && r->share >= 0),
                     "share_of_kind", pith_bench_real_or_null(of_kind, of_kind >= 0),
                     "share_of_f32", pith_bench_real_or_null(r->share, !i && r->share >= 0),
                     "int8_gops", pith_bench_real_or_null(1e-9 * limit(r), i), "f32_gflops",
                     pith_bench_real_or_null(1e-9 * limit(r), !i), "int8_gops_before",
                     pith_bench_real_or_null(1e-9 * r->before, i), "int8_gops_after",
                     pith_bench_real_or_null(1e-9 * r->after, i), "f32_gflops_before",
                     pith_bench_real_or_null(1e-9 * r->before, !i), "f32_gflops_after",
                     pith_bench_real_or_null(1e-9 * r->after, !i));
}

static json_t *make_row(const pith_bench_embed_report *report, size_t i) {
    const pith_bench_report *base = report->base;
    const pith_model_info *info = &base->info;
    const pith_bench_embed_test *test = &report->tests[i];
    const pith_bench_embed_result *r = &report->results[i];
    bool fixed = test->lengths == NULL;
    json_t *row =
        json_pack("{s:s,s:s,s:s,s:I,s:s,s:o,s:I,s:I,s:I,s:I}", "model", base->name, "type",
                  info->type, "isa", info->isa, "threads", (json_int_t)info->n_threads, "test",
                  pith_bench_embed_name(test).text, "tokens",
                  fixed ? json_integer((json_int_t)test->n_tokens) : json_null(), "sentences",
                  (json_int_t)test->n_sentences, "call_tokens", (json_int_t)r->n_tokens, "repeats",
                  (json_int_t)r->n_repeats, "calls", (json_int_t)r->n_calls);
    bool ok =
        pith_bench_join(row, json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:o,s:o}",
                                       "sentences_per_second", r->sps, "sentences_per_second_min",
                                       r->sps_min, "sentences_per_second_max", r->sps_max, "tps",
                                       r->tps, "tps_min", r->tps_min, "tps_max", r->tps_max,
                                       "first_seconds", r->first_seconds, "p50_seconds",
                                       pith_bench_real_or_null(r->p50, fixed), "p90_seconds",
                                       pith_bench_real_or_null(r->p90, fixed), "p99_seconds",
                                       pith_bench_real_or_null(r->p99, fixed)));
    ok = ok && pith_bench_join(row, make_shares(info, r));
    ok = ok && pith_bench_join(row, json_pack("{s:f,s:f,s:b}", "linear_gops", 1e-9 * r->linear_rate,
                                              "attention_gops", 1e-9 * r->attention_rate, "failed",
                                              (int)r->failed));
    ok = ok && pith_bench_join_memory(row, base, r->rss_bytes);
    if (!ok) {
        json_decref(row);
        return NULL;
    }
    return row;
}

/* ---- Both ------------------------------------------------------------------------------------ */

void pith_bench_embed_begin(const pith_bench_embed_report *report, pith_bench_rows *rows) {
    if (rows->format == PITH_BENCH_MD) {
        print_head(rows->cli, report);
        pith_cli_flush(rows->cli);
    }
}

pith_status pith_bench_embed_row(const pith_bench_embed_report *report, pith_bench_rows *rows,
                                 pith_error *error) {
    report->base->busy = report->base->busy || rows->company.busy;
    if (rows->format != PITH_BENCH_MD) {
        return pith_bench_rows_print(rows, make_row(report, report->n_results - 1), error);
    }
    print_line(rows->cli, report, report->n_results - 1, rows->company.busy);
    return pith_bench_rows_flush(rows, error);
}

void pith_bench_embed_end(const pith_bench_embed_report *report, pith_bench_rows *rows) {
    if (rows->format == PITH_BENCH_MD && report->n_results > 0) {
        print_notes(rows->cli, report);
    }
}
