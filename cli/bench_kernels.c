/* The kernels of an instruction set as a table, or as rows of the other formats. */
#include "cli/bench_kernels.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "cli/bench_rows.h"
#include "perf/kernels.h"
#include "simd/tuning.h"

typedef struct kernels_bench {
    const pith_bench_kernels_settings *settings;
    const char *isa;
    size_t n_threads, n_failed;
    pith_kernel_timer timer;
    pith_bench_rows rows;
    pith_bench_running running; /* test i of n is a shape */
} kernels_bench;

/* ---- Which ----------------------------------------------------------------------------------- */

static bool wanted(const kernels_bench *bench, const pith_kernel_bench *kernel) {
    const char *begin = bench->settings->begin;
    return begin == NULL || strncmp(kernel->name, begin, strlen(begin)) == 0;
}

/* Counts the wanted shapes; *memory: one of them comes from memory. */
static size_t count_shapes(const kernels_bench *bench, bool *memory) {
    const pith_kernel_bench *kernel;
    size_t n = 0;
    *memory = false;
    for (size_t i = 0; (kernel = pith_kernel_bench_at(i)) != NULL; i++) {
        for (size_t j = 0; wanted(bench, kernel) && j < kernel->n_shapes; j++) {
            *memory = *memory || kernel->shapes[j].memory;
            n++;
        }
    }
    return n;
}

static pith_status refuse_name(const char *begin, pith_error *error) {
    char names[600] = "";
    size_t n = 0;
    const pith_kernel_bench *kernel;
    for (size_t i = 0; n < sizeof names && (kernel = pith_kernel_bench_at(i)) != NULL; i++) {
        n +=
            (size_t)snprintf(names + n, sizeof names - n, "%s%s", i == 0 ? "" : ", ", kernel->name);
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT,
                     "no kernel's name begins with \"%s\": there are %s", begin, names);
}

/* ---- Rows ------------------------------------------------------------------------------------ */

typedef struct shape_text {
    char text[48];
} shape_text;

/* "12 x 256 x 128": the sizes that the kernel has. */
static shape_text text_of(const pith_kernel_shape *shape) {
    shape_text t;
    if (shape->tokens != 0) {
        snprintf(t.text, sizeof t.text, "%zu x %zu x %zu", shape->tokens, shape->rows, shape->n);
    } else if (shape->rows != 0) {
        snprintf(t.text, sizeof t.text, "%zu x %zu", shape->rows, shape->n);
    } else {
        snprintf(t.text, sizeof t.text, "%zu", shape->n);
    }
    return t;
}

static json_t *size_or_null(size_t n) {
    return n != 0 ? json_integer((json_int_t)n) : json_null();
}

/* The limit and the share of one bound; null in the fields of the others. */
static json_t *pack_bound(const char *limit, const char *share, bool this_one,
                          const pith_kernel_result *r) {
    return json_pack("{s:o,s:o}", limit,
                     pith_bench_real_or_null(1e-9 * r->limit, this_one && r->limit > 0), share,
                     pith_bench_real_or_null(r->share, this_one && r->share >= 0));
}

static json_t *make_row(const kernels_bench *bench, const pith_kernel_bench *kernel,
                        const pith_kernel_shape *shape, const pith_kernel_result *r) {
    pith_kernel_cost cost = kernel->cost(kernel, shape);
    json_t *row = json_pack(
        "{s:s,s:s,s:s,s:I,s:s,s:s,s:o,s:o,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:o,s:f,s:o,s:f,s:f,s:b}",
        "test", "kernel", "kernel", kernel->name, "isa", bench->isa, "threads",
        (json_int_t)bench->n_threads, "shape", text_of(shape).text, "operands",
        shape->memory ? "memory" : "cached", "tokens", size_or_null(shape->tokens), "rows",
        size_or_null(shape->rows), "n", (json_int_t)shape->n, "repeats", (json_int_t)r->n_rounds,
        "calls", (json_int_t)r->n_calls, "seconds", r->seconds, "seconds_min", r->seconds_min,
        "seconds_max", r->seconds_max, "bytes", cost.bytes, "ops",
        pith_bench_real_or_null(cost.ops, cost.ops > 0), "gbps", 1e-9 * r->byte_rate, "gops",
        pith_bench_real_or_null(1e-9 * r->op_rate, cost.ops > 0), "scalar_seconds",
        r->scalar_seconds, "times_scalar", r->times_scalar, "failed", (int)r->failed);
    bool good = pith_bench_join(row, pack_bound("stream_gbps", "share_of_stream",
                                                shape->bound == PITH_BOUND_STREAM, r)) &&
                pith_bench_join(row, pack_bound("int8_gops", "share_of_int8",
                                                shape->bound == PITH_BOUND_INT8, r)) &&
                pith_bench_join(row, pack_bound("f32_gflops", "share_of_f32",
                                                shape->bound == PITH_BOUND_F32, r));
    if (!good) {
        json_decref(row);
        return NULL;
    }
    return row;
}

static void print_head(pith_cli *cli, const kernels_bench *bench, bool memory) {
    pith_cli_print(cli, "%s, %zu thread%s", bench->isa, bench->n_threads,
                   bench->n_threads == 1 ? "" : "s at once, each with operands of its own");
    if (memory) {
        pith_cli_print(cli, "; memory: a window of %s, in turn with plain reads",
                       pith_size_format((double)bench->timer.window.size, "B").text);
    }
    pith_cli_print(cli,
                   "\n\n"
                   "| kernel           | shape           | operands |     us/call |    GB/s |   "
                   "Gop/s | share      | x scalar |\n"
                   "|------------------|-----------------|----------|------------:|--------:|----"
                   "----:|------------|---------:|\n");
}

static pith_bench_cell share_cell(const pith_kernel_shape *shape, const pith_kernel_result *r) {
    static const char *const names[] = {
        [PITH_BOUND_STREAM] = "stream", [PITH_BOUND_INT8] = "int8", [PITH_BOUND_F32] = "f32"};
    pith_bench_cell cell = {"-"};
    if (r->failed) {
        snprintf(cell.text, sizeof cell.text, "failed");
    } else if (shape->bound != PITH_BOUND_NONE && r->share >= 0) {
        snprintf(cell.text, sizeof cell.text, "%.0f%% %s", 100 * r->share, names[shape->bound]);
    } else if (shape->bound != PITH_BOUND_NONE) {
        snprintf(cell.text, sizeof cell.text, "none");
    }
    return cell;
}

static void print_line(const kernels_bench *bench, const pith_kernel_bench *kernel,
                       const pith_kernel_shape *shape, const pith_kernel_result *r) {
    pith_cli_print(bench->rows.cli,
                   "| %-16s | %-15s | %-8s | %11.3f | %7.1f | %7s | %-10s | %8.2f |%s\n",
                   kernel->name, text_of(shape).text, shape->memory ? "memory" : "cached",
                   1e6 * r->seconds, 1e-9 * r->byte_rate,
                   pith_bench_cell_of(1e-9 * r->op_rate, r->op_rate > 0, "-", 1).text,
                   share_cell(shape, r).text, r->times_scalar,
                   bench->rows.company.busy ? " busy" : "");
}

static void print_notes(pith_cli *cli) {
    pith_cli_print(
        cli,
        "\nshape: tokens x rows x k of products; queries x keys x head_dim of scores and values; "
        "heads x head_dim of rope; keys x head_dim of key_blocks; vectors x elements of dot "
        "products; elements of a group x of the row of quantize and rmsnorm_quantize; else "
        "elements\n"
        "memory: weights, keys, values or vectors are another piece in every call; GB/s count "
        "them alone, else all operands and results\n"
        "share: of the stream of plain reads, or of the int8 or f32 operations, measured before "
        "and after each run; none: no probe of them for this instruction set\n"
        "failed: it came out above that limit three times\n"
        "-: not made of multiplications and additions alone, or there is nothing to compare "
        "with\n");
}

/* ---- All of it ------------------------------------------------------------------------------- */

static pith_status time_shape(kernels_bench *bench, const pith_kernel_bench *kernel,
                              const pith_kernel_shape *shape, pith_error *error) {
    pith_kernel_result result;
    snprintf(bench->running.name.text, sizeof bench->running.name.text, "%s %s", kernel->name,
             text_of(shape).text);
    pith_bench_rows_before(&bench->rows);
    pith_status status = pith_kernel_time(&bench->timer, kernel, shape, &result, error);
    pith_progress_end(&bench->running.progress);
    if (status != PITH_OK) {
        return status;
    }
    bench->running.i++;
    bench->n_failed += result.failed ? 1 : 0;
    pith_bench_rows_after(&bench->rows, result.moved);
    if (bench->rows.format != PITH_BENCH_MD) {
        return pith_bench_rows_print(&bench->rows, make_row(bench, kernel, shape, &result), error);
    }
    print_line(bench, kernel, shape, &result);
    return pith_bench_rows_flush(&bench->rows, error);
}

static pith_status time_all(kernels_bench *bench, pith_error *error) {
    const pith_kernel_bench *kernel;
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && (kernel = pith_kernel_bench_at(i)) != NULL; i++) {
        for (size_t j = 0; status == PITH_OK && wanted(bench, kernel) && j < kernel->n_shapes;
             j++) {
            status = time_shape(bench, kernel, &kernel->shapes[j], error);
        }
    }
    return status;
}

static pith_status print_all(pith_cli *cli, kernels_bench *bench, bool memory, pith_error *error) {
    bool table = bench->settings->output == PITH_BENCH_MD;
    pith_progress_begin(&bench->running.progress, cli, "kernels");
    pith_bench_rows_begin(&bench->rows, cli, bench->settings->output);
    if (table) {
        print_head(cli, bench, memory);
    }
    pith_status status = time_all(bench, error);
    if (table) {
        print_notes(cli);
    }
    pith_bench_rows_end(&bench->rows);
    if (bench->n_failed > 0) {
        char text[120];
        snprintf(text, sizeof text,
                 "%zu of %zu measurements failed: they came out above a limit of the machine",
                 bench->n_failed, bench->running.i);
        pith_cli_log(cli, PITH_LOG_WARNING, text);
    }
    return status;
}

/* Times with a file's memory path in place of the table's. */
static pith_status load_tuning(pith_cli *cli, const char *path, pith_kernel_timer *timer,
                               pith_error *error) {
    const pith_kernels *kernels = timer->kernels;
    pith_tuning tuning;
    pith_status status = pith_tuning_load(&tuning, path, error);
    if (status != PITH_OK) {
        return status;
    }
    timer->path.few = tuning.few;
    timer->path.more = tuning.more;
    pith_tuning_log(&tuning, kernels, &(pith_log){.fn = pith_cli_log, .user = cli});
    if (!kernels->takes_path) {
        char text[120];
        snprintf(text, sizeof text,
                 "the %s kernels have one way to fetch weights: the tuning changes nothing",
                 kernels->name);
        pith_cli_log(cli, PITH_LOG_WARNING, text);
    }
    return PITH_OK;
}

pith_status pith_bench_kernels(pith_cli *cli, const pith_bench_kernels_settings *settings,
                               pith_error *error) {
    const pith_kernels *kernels;
    kernels_bench bench = {.settings = settings};
    pith_pool *pool = NULL;
    bool memory;
    pith_status status = pith_bench_find_kernels(settings->isa, &kernels, error);
    if (status != PITH_OK) {
        return status;
    }
    bench.isa = kernels->name;
    bench.running.n = count_shapes(&bench, &memory);
    if (bench.running.n == 0) {
        return refuse_name(settings->begin, error);
    }
    status = pith_pool_new(&pool, settings->n_threads, &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        bench.n_threads = pith_pool_threads(pool);
        status = pith_kernel_timer_new(&bench.timer, kernels, pool, settings->n_repeats, error);
    }
    if (status == PITH_OK && settings->tuning != NULL) {
        status = load_tuning(cli, settings->tuning, &bench.timer, error);
    }
    bench.timer.go_on = pith_bench_go_on;
    bench.timer.go_on_user = &bench.running;
    if (status == PITH_OK && memory) {
        status = pith_kernel_timer_memory(&bench.timer, 0, error);
    }
    if (status == PITH_OK) {
        status = print_all(cli, &bench, memory, error);
    }
    pith_kernel_timer_free(&bench.timer);
    pith_pool_free(pool);
    return status;
}
