#include "cli/bench_exchange.h"

#include <math.h>

double pith_ranks_predict(const pith_ranks_limits *limits, const pith_model_info *info,
                          double seconds) {
    const double n = (double)info->n_ranks;
    const double v = (double)info->gather_bytes;
    return 1 / (seconds + (double)info->n_gathers * log2(n) * limits->latency +
                v * (n - 1) / n / limits->bandwidth);
}

pith_status pith_bench_measure_exchange(pith_cli *cli, pith_bench_report *report,
                                        pith_error *error) {
    if (report->info.n_ranks < 2 || cli->ranks == NULL) {
        return PITH_OK;
    }
    return cli->ranks->measure(cli->ranks->user, &report->exchange, error);
}

/* Seconds of a token of test `i` in which this rank computed; 0: it is a prompt, or of several
 * sessions, of which the formula says nothing. */
static double compute_seconds(const pith_bench_report *report, size_t i) {
    const pith_bench_result *r = &report->results[i];
    return report->tests[i].generate && report->tests[i].n_sessions == 1
               ? (1 - r->exchange_share) / r->tps
               : 0;
}

void pith_bench_print_exchange(pith_cli *cli, const pith_bench_report *report) {
    const pith_ranks_limits *limits = &report->exchange;
    const pith_model_info *info = &report->info;
    if (info->n_ranks < 2) {
        return;
    }
    pith_cli_print(
        cli,
        "%zu ranks: latency %.1f us, %.2f GB/s; a token: %zu gathers of %.3f MB; this rank "
        "holds %.0f%% of the weights\n",
        info->n_ranks, 1e6 * limits->latency, 1e-9 * limits->bandwidth, info->n_gathers,
        1e-6 * (double)info->gather_bytes,
        100 * (double)info->rank_bytes / (double)info->weight_bytes);
    for (size_t i = 0; i < report->n_results; i++) {
        const double seconds = compute_seconds(report, i);
        pith_cli_print(cli, "%s: %.1f%% of the time in exchange",
                       pith_bench_test_name(&report->tests[i]).text,
                       100 * report->results[i].exchange_share);
        if (seconds > 0) {
            pith_cli_print(cli, ", the formula predicts %.2f tokens/s",
                           pith_ranks_predict(limits, info, seconds));
        }
        pith_cli_print(cli, "\n");
    }
}

bool pith_bench_join_exchange(json_t *row, const pith_bench_report *report, size_t i) {
    const pith_ranks_limits *limits = &report->exchange;
    const pith_model_info *info = &report->info;
    if (info->n_ranks < 2) {
        return true;
    }
    const double seconds = compute_seconds(report, i);
    const double predicted = seconds > 0 ? pith_ranks_predict(limits, info, seconds) : 0;
    return pith_bench_join(
        row, json_pack("{s:I,s:I,s:I,s:I,s:f,s:f,s:f,s:o}", "ranks", (json_int_t)info->n_ranks,
                       "rank_bytes", (json_int_t)info->rank_bytes, "gathers",
                       (json_int_t)info->n_gathers, "gather_bytes", (json_int_t)info->gather_bytes,
                       "exchange_share", report->results[i].exchange_share, "exchange_latency",
                       limits->latency, "exchange_gbps", 1e-9 * limits->bandwidth, "predicted_tps",
                       pith_bench_real_or_null(predicted, predicted > 0)));
}
