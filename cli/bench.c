/* pith bench: tokens per second, of a model file or of random weights of a known shape. */
#include "perf/bench.h"

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/model.h"

typedef struct bench_settings {
    const char *model, *shape;
    size_t type; /* 1 + pith_type */
    const char *prompts, *generations;
    size_t repeats, output, batch;
    pith_common_settings common;
} bench_settings;

enum { OUTPUT_MD = 1, OUTPUT_CSV, OUTPUT_JSON };
static const char *const outputs[] = {"md", "csv", "json", NULL};
static const char *const types[] = {"f32", "f16", "bf16", "int8", "int4", NULL};

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .optional = true,
     .help = "the model; without it --shape and --type",
     .offset = offsetof(bench_settings, model)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "shape",
     .kind = PITH_OPTION_TEXT,
     .argument = "NAME",
     .help =
         "make random weights of this shape in memory: llama2-7b, tinyllama-1b, ... (an unknown "
         "name lists all)",
     .offset = offsetof(bench_settings, shape)},
    {.name = "type",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = types,
     .help = "type of the random weights",
     .offset = offsetof(bench_settings, type)},
    {.name = "prompt",
     .letter = 'p',
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 0,
     .high = 1 << 20,
     .initial = "512",
     .help = "time prompts of N tokens; 0 leaves them out",
     .offset = offsetof(bench_settings, prompts)},
    {.name = "generate",
     .letter = 'n',
     .kind = PITH_OPTION_COUNTS,
     .argument = "N[,N...]",
     .low = 0,
     .high = 1 << 20,
     .initial = "128",
     .help = "time the generation of N tokens; 0 leaves it out",
     .offset = offsetof(bench_settings, generations)},
    {.name = "repeat",
     .letter = 'r',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1000,
     .initial = "5",
     .help = "timed runs of each test",
     .offset = offsetof(bench_settings, repeats)},
    {.name = "output",
     .letter = 'o',
     .kind = PITH_OPTION_CHOICE,
     .argument = "FORMAT",
     .choices = outputs,
     .initial = "md",
     .help = "format of the result",
     .offset = offsetof(bench_settings, output)},
    {.name = "batch",
     .letter = 'b',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 16,
     .initial = "512",
     .help = "most tokens in one forward pass",
     .offset = offsetof(bench_settings, batch)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Model", pith_common_options, offsetof(bench_settings, common)},
    {NULL, NULL, 0},
};

enum { MAX_TESTS = 32 };

typedef struct bench_report {
    const char *name; /* of the model */
    pith_model_info info;
    double load_seconds;
    size_t n_tests;
    pith_bench_test tests[MAX_TESTS];
    pith_bench_result results[MAX_TESTS];
    size_t rss_peak;
} bench_report;

typedef struct test_name {
    char text[32];
} test_name;

/* "pp512", "tg128" */
static test_name name_test(const pith_bench_test *test) {
    test_name name;
    snprintf(name.text, sizeof name.text, "%s%zu", test->generate ? "tg" : "pp", test->n_tokens);
    return name;
}

static bool add_tests(bench_report *report, const char *list, bool generate) {
    size_t n;
    while (pith_counts_next(&list, &n)) {
        if (n == 0) {
            continue;
        }
        if (report->n_tests == MAX_TESTS) {
            return false;
        }
        report->tests[report->n_tests++] = (pith_bench_test){.generate = generate, .n_tokens = n};
    }
    return true;
}

static void print_md(pith_cli *cli, const bench_report *report) {
    const pith_model_info *info = &report->info;
    pith_cli_print(cli,
                   "%s, %s, %.2f M parameters, %.1f MB, %s, %zu threads, loaded in %.2f s, "
                   "peak memory %.1f MB\n\n",
                   report->name, info->type, 1e-6 * (double)info->n_params,
                   1e-6 * (double)info->weight_bytes, info->isa, info->n_threads,
                   report->load_seconds, 1e-6 * (double)report->rss_peak);
    pith_cli_print(cli, "| test   | threads | tokens/s |      min |      max | memory MB |\n"
                        "|--------|--------:|---------:|---------:|---------:|----------:|\n");
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_result *r = &report->results[i];
        pith_cli_print(cli, "| %-6s | %7zu | %8.2f | %8.2f | %8.2f | %9.1f |\n",
                       name_test(&report->tests[i]).text, info->n_threads, r->tps, r->tps_min,
                       r->tps_max, 1e-6 * (double)r->rss_bytes);
    }
}

static void print_csv(pith_cli *cli, const bench_report *report) {
    pith_cli_print(cli, "model,type,isa,threads,test,repeats,tps,tps_min,tps_max,rss_bytes,"
                        "rss_peak_bytes,load_seconds\n");
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_result *r = &report->results[i];
        pith_cli_write(cli, "\"", 1);
        for (const char *c = report->name; *c != 0; c++) {
            pith_cli_write(cli, *c == '"' ? "\"\"" : c, *c == '"' ? 2 : 1);
        }
        pith_cli_print(cli, "\",%s,%s,%zu,%s,%zu,%.4f,%.4f,%.4f,%zu,%zu,%.4f\n", report->info.type,
                       report->info.isa, report->info.n_threads, name_test(&report->tests[i]).text,
                       r->n_repeats, r->tps, r->tps_min, r->tps_max, r->rss_bytes, report->rss_peak,
                       report->load_seconds);
    }
}

static pith_status print_json(pith_cli *cli, const bench_report *report, pith_error *error) {
    json_t *list = json_array();
    for (size_t i = 0; i < report->n_tests; i++) {
        const pith_bench_result *r = &report->results[i];
        json_t *row =
            json_pack("{s:s,s:s,s:s,s:I,s:s,s:I,s:f,s:f,s:f,s:I,s:I,s:f,s:I,s:I}", "model",
                      report->name, "type", report->info.type, "isa", report->info.isa, "threads",
                      (json_int_t)report->info.n_threads, "test", name_test(&report->tests[i]).text,
                      "repeats", (json_int_t)r->n_repeats, "tps", r->tps, "tps_min", r->tps_min,
                      "tps_max", r->tps_max, "rss_bytes", (json_int_t)r->rss_bytes,
                      "rss_peak_bytes", (json_int_t)report->rss_peak, "load_seconds",
                      report->load_seconds, "params", (json_int_t)report->info.n_params,
                      "weight_bytes", (json_int_t)report->info.weight_bytes);
        if (row == NULL || json_array_append_new(list, row) != 0) {
            json_decref(list);
            return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the result");
        }
    }
    pith_cli_print_json(cli, list, JSON_INDENT(2) | JSON_REAL_PRECISION(8));
    json_decref(list);
    return PITH_OK;
}

static bool go_on(void *user) {
    (void)user;
    return !pith_interrupted();
}

static pith_status open_model(pith_cli *cli, const bench_settings *settings, pith_model **out,
                              pith_error *error) {
    if (settings->model != NULL) {
        return pith_cli_open_model(cli, &settings->common, settings->model, false, out, error);
    }
    pith_model_options model_options = pith_cli_model_options(cli, &settings->common);
    return pith_model_random(out, settings->shape, (pith_type)(settings->type - 1), &model_options,
                             error);
}

static pith_status bench(pith_cli *cli, const bench_settings *settings, bench_report *report,
                         pith_error *error) {
    pith_model *model = NULL;
    size_t now;
    pith_progress progress;
    pith_bench_options bench_options = {
        .n_repeats = settings->repeats,
        .n_batch = settings->batch,
        .kv_type = (pith_kv_type)settings->common.kv,
        .go_on = go_on,
    };
    double start = pith_cli_seconds();
    pith_status status = open_model(cli, settings, &model, error);
    if (status != PITH_OK) {
        return status;
    }
    report->load_seconds = pith_cli_seconds() - start;
    pith_model_get_info(model, &report->info);
    pith_progress_begin(&progress, cli, "tests");
    for (size_t i = 0; status == PITH_OK && i < report->n_tests; i++) {
        status =
            pith_bench_run(model, &report->tests[i], &bench_options, &report->results[i], error);
        pith_progress_update(&progress, i + 1, report->n_tests);
    }
    pith_progress_end(&progress);
    pith_bench_memory(&now, &report->rss_peak);
    for (size_t i = 0; i < report->n_tests; i++) { /* the kernel's two counts may differ a little */
        size_t rss = report->results[i].rss_bytes;
        report->rss_peak = rss > report->rss_peak ? rss : report->rss_peak;
    }
    if (status == PITH_OK && settings->output == OUTPUT_JSON) {
        status = print_json(cli, report, error);
    } else if (status == PITH_OK && settings->output == OUTPUT_CSV) {
        print_csv(cli, report);
    } else if (status == PITH_OK) {
        print_md(cli, report);
    }
    pith_model_free(model);
    return status;
}

static int run(pith_cli *cli, const void *arguments) {
    const bench_settings *settings = arguments;
    pith_error error;
    bench_report report = {.n_tests = 0};
    if ((settings->model != NULL) == (settings->shape != NULL)) {
        return pith_cli_usage(cli, "give either MODEL.pith or --shape NAME");
    }
    if ((settings->shape != NULL) != (settings->type != 0)) {
        return pith_cli_usage(cli, "--shape and --type go together");
    }
    if (!add_tests(&report, settings->prompts, false) ||
        !add_tests(&report, settings->generations, true)) {
        return pith_cli_usage(cli, "at most %d tests", MAX_TESTS);
    }
    if (report.n_tests == 0) {
        return pith_cli_usage(cli, "--prompt 0 and --generate 0 leave nothing to time");
    }
    report.name = settings->model != NULL ? settings->model : settings->shape;
    pith_status status = bench(cli, settings, &report, &error);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_bench = {
    .name = "bench",
    .summary = "measure tokens per second",
    .description =
        "Times the forward pass: ppN evaluates a prompt of N tokens from an empty context, tgN "
        "generates N tokens one by one, without sampling. Prints the median and the extremes of "
        "the repeats and the resident memory after each test. Random weights of a known shape "
        "show the speed of a model without downloading it.",
    .example = "pith bench tale.pith -p 128,512 -n 64\n"
               "pith bench --shape llama2-7b --type int4 -r 3 -o json",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(bench_settings),
    .run = run,
};
