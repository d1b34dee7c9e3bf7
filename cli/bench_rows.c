/* Rows of pith bench in every format. perf/results/README.md explains the fields. */
#include "cli/bench_rows.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/status.h"

bool pith_bench_join(json_t *row, json_t *part) {
    bool ok = part != NULL && row != NULL && json_object_update(row, part) == 0;
    json_decref(part);
    return ok;
}

json_t *pith_bench_real_or_null(double value, bool known) {
    return known ? json_real(value) : json_null();
}

pith_bench_cell pith_bench_cell_of(double value, bool known, const char *absent, int decimals) {
    pith_bench_cell c;
    if (known) {
        snprintf(c.text, sizeof c.text, "%.*f", decimals, value);
    } else {
        snprintf(c.text, sizeof c.text, "%s", absent);
    }
    return c;
}

pith_status pith_bench_find_kernels(const char *isa, const pith_kernels **out, pith_error *error) {
    const pith_kernels *kernels = pith_kernels_find(isa);
    if (kernels == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "no kernels \"%s\" that this CPU can run",
                         isa);
    }
    *out = kernels;
    return PITH_OK;
}

/* ---- The machine ----------------------------------------------------------------------------- */

static void set_date(pith_bench_rows *rows) {
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) == NULL ||
        strftime(rows->date, sizeof rows->date, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
        rows->date[0] = 0;
    }
}

static void print_machine(const pith_bench_rows *rows) {
    const pith_machine *m = &rows->machine;
    char load[32] = "";
    if (m->load >= 0) {
        snprintf(load, sizeof load, ", load %.2f", m->load);
    }
    pith_cli_print(rows->cli, "%s, %zu CPUs, %s, %s\npith %s, %s%s\n\n", m->cpu, m->n_cpus,
                   pith_size_format((double)m->memory_bytes, "B").text, m->system, pith_version(),
                   rows->date, load);
}

static bool join_machine(const pith_bench_rows *rows, json_t *row) {
    const pith_machine *m = &rows->machine;
    const pith_company *c = &rows->company;
    return pith_bench_join(row, json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:o}", "cpu", m->cpu, "n_cpus",
                                          (json_int_t)m->n_cpus, "memory_bytes",
                                          (json_int_t)m->memory_bytes, "system", m->system,
                                          "version", pith_version(), "date", rows->date, "load",
                                          pith_bench_real_or_null(m->load, m->load >= 0))) &&
           pith_bench_join(row,
                           json_pack("{s:o,s:o,s:o,s:b}", "limits_moved",
                                     pith_bench_real_or_null(c->moved, c->moved > 0), "steal",
                                     pith_bench_real_or_null(c->steal, c->steal >= 0), "others",
                                     pith_bench_real_or_null(c->others, c->others >= 0), "busy",
                                     (int)c->busy));
}

static void warn_busy(const pith_bench_rows *rows) {
    const pith_company *c = &rows->worst;
    char text[240] = "";
    size_t n = 0;
    if (c->moved > PITH_BUSY_MOVED) {
        n += (size_t)snprintf(text + n, sizeof text - n,
                              ", the limits moved by %.1fx during a test", c->moved);
    }
    if (c->others > PITH_BUSY_OTHERS) {
        n += (size_t)snprintf(text + n, sizeof text - n,
                              ", other processes took %.0f%% of the CPU time", 100 * c->others);
    }
    if (c->steal > PITH_BUSY_STEAL) {
        n += (size_t)snprintf(text + n, sizeof text - n,
                              ", other machines on this host took %.0f%% of the CPU time",
                              100 * c->steal);
    }
    if (n > 2) {
        snprintf(text + n, sizeof text - n, ": neighbours; repeat on a quiet machine");
        pith_cli_log(rows->cli, PITH_LOG_WARNING, text + 2);
    }
}

/* ---- Tests ----------------------------------------------------------------------------------- */

void pith_bench_rows_before(pith_bench_rows *rows) {
    set_date(rows);
    rows->before = pith_cpu_time_now("");
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

void pith_bench_rows_after(pith_bench_rows *rows, double moved) {
    pith_cpu_time now = pith_cpu_time_now("");
    pith_company *worst = &rows->worst;
    rows->company = pith_company_of(&rows->before, &now, moved);
    worst->moved = larger(worst->moved, rows->company.moved);
    worst->steal = larger(worst->steal, rows->company.steal);
    worst->others = larger(worst->others, rows->company.others);
}

bool pith_bench_go_on(void *user, double done) {
    pith_bench_running *running = user;
    char text[128];
    snprintf(text, sizeof text, "%s, %zu of %zu", running->name.text, running->i + 1, running->n);
    pith_progress_show(&running->progress, ((double)running->i + done) / (double)running->n, text);
    return !pith_interrupted();
}

/* ---- Documents ------------------------------------------------------------------------------- */

void pith_bench_rows_begin(pith_bench_rows *rows, pith_cli *cli, size_t format) {
    *rows = (pith_bench_rows){.cli = cli, .format = format};
    pith_machine_find(&rows->machine, "");
    set_date(rows);
    if (format == PITH_BENCH_MD) {
        print_machine(rows);
    } else if (format == PITH_BENCH_JSON) {
        pith_cli_print(cli, "[\n");
    }
    pith_cli_flush(cli);
}

pith_status pith_bench_rows_flush(pith_bench_rows *rows, pith_error *error) {
    if (!pith_cli_flush(rows->cli)) {
        return pith_fail(error, PITH_ERROR_IO, "standard output cannot be written");
    }
    return PITH_OK;
}

static void print_quoted(pith_cli *cli, const char *text) {
    pith_cli_write(cli, "\"", 1);
    for (const char *c = text; *c != 0; c++) {
        pith_cli_write(cli, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
    }
    pith_cli_write(cli, "\"", 1);
}

static void print_csv_value(pith_cli *cli, const json_t *value) {
    if (json_is_string(value)) {
        print_quoted(cli, json_string_value(value));
    } else if (json_is_boolean(value)) {
        pith_cli_print(cli, "%s", json_is_true(value) ? "true" : "false");
    } else if (json_is_integer(value)) {
        pith_cli_print(cli, "%lld", (long long)json_integer_value(value));
    } else if (json_is_real(value)) {
        pith_cli_print(cli, "%.9g", json_real_value(value));
    }
}

/* The names before the first row; null is an empty field. */
static void print_csv(pith_cli *cli, json_t *row, bool first) {
    const char *comma = "";
    for (void *at = json_object_iter(row); first && at != NULL;
         at = json_object_iter_next(row, at)) {
        pith_cli_print(cli, "%s%s", comma, json_object_iter_key(at));
        comma = ",";
    }
    pith_cli_print(cli, "%s", first ? "\n" : "");
    comma = "";
    for (void *at = json_object_iter(row); at != NULL; at = json_object_iter_next(row, at)) {
        pith_cli_print(cli, "%s", comma);
        print_csv_value(cli, json_object_iter_value(at));
        comma = ",";
    }
    pith_cli_print(cli, "\n");
}

pith_status pith_bench_rows_print(pith_bench_rows *rows, json_t *row, pith_error *error) {
    bool first = rows->n_rows == 0;
    if (row == NULL || !join_machine(rows, row)) {
        json_decref(row);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the result");
    }
    if (rows->format == PITH_BENCH_CSV) {
        print_csv(rows->cli, row, first);
    } else {
        pith_cli_print(rows->cli, "%s", rows->format == PITH_BENCH_JSON && !first ? "," : "");
        pith_cli_print_json(rows->cli, row, JSON_COMPACT | JSON_REAL_PRECISION(8));
    }
    rows->n_rows++;
    json_decref(row);
    return pith_bench_rows_flush(rows, error);
}

void pith_bench_rows_end(pith_bench_rows *rows) {
    if (rows->format == PITH_BENCH_JSON) {
        pith_cli_print(rows->cli, "]\n");
    }
    pith_cli_flush(rows->cli);
    warn_busy(rows);
}
