/* The limits of the machine as a table, or as rows of the other formats. */
#include "cli/bench_limits.h"

#include "base/memory.h"
#include "base/status.h"
#include "cli/bench_rows.h"
#include "perf/limits.h"

enum { MAX_COUNTS = 4 };

static json_t *make_row(const char *isa, const pith_limits *l) {
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

static void print_head(pith_cli *cli, const char *isa) {
    pith_cli_print(
        cli,
        "%s\n\n"
        "| threads | read GB/s | sustained | on 4 KB pages | int8 Gop/s | f32 Gflop/s | bf16 "
        "Gflop/s |   GHz | dispatch us |\n"
        "|--------:|----------:|----------:|--------------:|-----------:|------------:|-------"
        "-----:|------:|------------:|\n",
        isa);
}

static void print_line(pith_cli *cli, const pith_limits *l, bool busy) {
    pith_cli_print(cli,
                   "| %7zu | %9.1f | %9.1f | %13.1f | %10s | %11s | %12s | %5.2f | %11.2f |%s\n",
                   l->n_threads, 1e-9 * l->read.best, 1e-9 * l->read.sustained,
                   1e-9 * l->read_small,
                   pith_bench_cell_of(1e-9 * l->int8, l->int8 > 0, "none", 0).text,
                   pith_bench_cell_of(1e-9 * l->f32, l->f32 > 0, "none", 0).text,
                   pith_bench_cell_of(1e-9 * l->bf16, l->bf16 > 0, "none", 0).text, 1e-9 * l->clock,
                   1e6 * l->dispatch, busy ? " busy" : "");
}

static pith_status print_row(pith_bench_rows *rows, const char *isa, const pith_limits *limits,
                             pith_error *error) {
    if (rows->format != PITH_BENCH_MD) {
        return pith_bench_rows_print(rows, make_row(isa, limits), error);
    }
    print_line(rows->cli, limits, rows->company.busy);
    return pith_bench_rows_flush(rows, error);
}

/* Says what this instruction set has no probe of, and what the words after a row mean. */
static void print_notes(pith_cli *cli, const char *isa, const pith_limits *last, bool busy) {
    bool none = last->int8 <= 0 || last->f32 <= 0 || last->bf16 <= 0;
    if (none || busy) {
        pith_cli_print(cli, "\n");
    }
    if (none) {
        pith_cli_print(cli, "none: there is no probe of these operations for %s\n", isa);
    }
    if (busy) {
        pith_cli_print(cli, "busy: the limits moved by more than %.1fx, or others took CPU time\n",
                       PITH_BUSY_MOVED);
    }
}

/* The memory was touched by as many threads as will be used at most. */
typedef struct limits_bench {
    const char *isa;
    pith_probes probes;
    pith_probe_memory huge, small;
} limits_bench;

static pith_status measure(const limits_bench *bench, size_t n_threads, pith_limits *out,
                           pith_error *error) {
    pith_pool *pool = NULL;
    pith_status status = pith_pool_new(&pool, n_threads, &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        pith_limits_measure(&bench->probes, &bench->huge, &bench->small, pool, out);
    }
    pith_pool_free(pool);
    if (status == PITH_OK && pith_interrupted()) {
        status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    return status;
}

static pith_status measure_all(pith_cli *cli, const limits_bench *bench, const size_t *counts,
                               size_t n, size_t output, pith_error *error) {
    pith_bench_rows rows;
    pith_limits limits;
    pith_status status = PITH_OK;
    size_t done = 0;
    bool busy = false;
    pith_bench_rows_begin(&rows, cli, output);
    if (output == PITH_BENCH_MD) {
        print_head(cli, bench->isa);
    }
    while (status == PITH_OK && done < n) {
        pith_bench_rows_before(&rows);
        status = measure(bench, counts[done], &limits, error);
        if (status == PITH_OK) {
            pith_bench_rows_after(&rows, limits.moved);
            busy = busy || rows.company.busy;
            status = print_row(&rows, bench->isa, &limits, error);
            done++;
        }
    }
    if (output == PITH_BENCH_MD && done > 0) {
        print_notes(cli, bench->isa, &limits, busy);
    }
    pith_bench_rows_end(&rows);
    return status;
}

pith_status pith_bench_machine_limits(pith_cli *cli, const char *isa, size_t n_threads,
                                      size_t output, pith_error *error) {
    const pith_kernels *kernels;
    size_t counts[MAX_COUNTS];
    pith_pool *pool = NULL;
    pith_status status = pith_bench_find_kernels(isa, &kernels, error);
    if (status != PITH_OK) {
        return status;
    }
    limits_bench bench = {.isa = kernels->name, .probes = pith_probes_find(kernels->name)};
    status = pith_pool_new(&pool, n_threads, &pith_malloc_allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    size_t n = pith_limits_threads(pith_pool_threads(pool), counts);
    status = pith_probe_memory_new(&bench.huge, 0, true, pool, error);
    if (status == PITH_OK) {
        status = pith_probe_memory_new(&bench.small, 0, false, pool, error);
    }
    pith_pool_free(pool);
    if (status == PITH_OK) {
        status = measure_all(cli, &bench, counts, n, output, error);
    }
    pith_probe_memory_free(&bench.huge);
    pith_probe_memory_free(&bench.small);
    return status;
}
