/* pith convert: a Hugging Face model directory, a GGUF file, or random weights of a known shape, to
 * a .pith file. */
#include "convert/convert.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file_kind.h"
#include "cli/commands.h"
#include "cli/find_model.h"
#include "cli/model.h"
#include "cli/plan.h"

typedef struct convert_settings {
    const char *source, *output;
    size_t type, head_type; /* 1 + pith_type */
    const char *shape, *importance, *tokenizer;
    bool report, dry_run, verbose;
    size_t threads;
} convert_settings;

static const char *const types[] = {"f32", "f16", "bf16", "int8", "int4", NULL};

_Static_assert(PITH_TYPE_F32 == 0 && PITH_TYPE_INT4 == 4 && PITH_N_TYPES == 5,
               "--type is an index of pith_type");

static const pith_operand operands[] = {
    {.name = "SRC",
     .optional = true,
     .help = "directory with config.json, the weights (*.safetensors), the tokenizer and the small "
             "files beside them; or a GGUF file (the first, when it is split); none with --shape",
     .offset = offsetof(convert_settings, source)},
    {.name = "OUT.pith", .help = "file to write", .offset = offsetof(convert_settings, output)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "type",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = types,
     .help = "numeric type of the linear layers; required, but for a quantised GGUF file, which "
             "becomes int8",
     .offset = offsetof(convert_settings, type)},
    {.name = "head-type",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = types,
     .help = "type of the token embedding and the output head, by default int8 with int4 and int8, "
             "else --type",
     .offset = offsetof(convert_settings, head_type)},
    {.name = "importance",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help = "weigh quantisation errors by this file of 'pith importance'",
     .offset = offsetof(convert_settings, importance)},
    {.name = "shape",
     .kind = PITH_OPTION_TEXT,
     .argument = "NAME",
     .help = "write random weights of this shape instead of SRC's: llama2-7b, minilm-l6, ... (an "
             "unknown name lists all); needs --tokenizer",
     .offset = offsetof(convert_settings, shape)},
    {.name = "tokenizer",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .help = "tokenizer.json or tokenizer.model to use, by default the one in SRC; of both "
             "tokenizer.json, as AutoTokenizer does; with --shape also vocab.txt, or a directory "
             "with one of them",
     .offset = offsetof(convert_settings, tokenizer)},
    {.name = "report",
     .kind = PITH_OPTION_FLAG,
     .help = "print every matrix with its type, size and error to standard output",
     .offset = offsetof(convert_settings, report)},
    {.name = "dry-run",
     .kind = PITH_OPTION_FLAG,
     .help = "write nothing: print the size of OUT.pith and the memory that a model of it takes",
     .offset = offsetof(convert_settings, dry_run)},
    {.name = "verbose",
     .letter = 'v',
     .kind = PITH_OPTION_FLAG,
     .help = "show information messages too",
     .offset = offsetof(convert_settings, verbose)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Threads", pith_threads_options, offsetof(convert_settings, threads)},
    {NULL, NULL, 0},
};

/* The rows of the report, kept until the file is published. */
typedef struct report_list {
    pith_convert_row *rows; /* names are owned here */
    size_t n, capacity;
    bool failed; /* out of memory */
} report_list;

static void add_row(void *user, const pith_convert_row *row) {
    report_list *list = user;
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        pith_convert_row *grown = realloc(list->rows, capacity * sizeof *grown);
        if (grown == NULL) {
            list->failed = true;
            return;
        }
        list->rows = grown;
        list->capacity = capacity;
    }
    char *name = strdup(row->name);
    if (name == NULL) {
        list->failed = true;
        return;
    }
    list->rows[list->n] = *row;
    list->rows[list->n++].name = name;
}

static void free_report(report_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        free((void *)list->rows[i].name);
    }
    free(list->rows);
}

static void print_report(pith_cli *cli, const report_list *list) {
    size_t width = strlen("matrix");
    double weights = 0;
    double bits = 0;
    const pith_convert_row *worst = NULL;
    for (size_t i = 0; i < list->n; i++) {
        const pith_convert_row *row = &list->rows[i];
        double count = (double)row->rows * (double)row->cols;
        width = strlen(row->name) > width ? strlen(row->name) : width;
        weights += count;
        bits += count * row->bits_per_weight;
        worst = worst == NULL || row->relative_error > worst->relative_error ? row : worst;
    }
    pith_cli_print(cli, "%-*s  type  %15s  bits/weight  rel. error\n", (int)width, "matrix",
                   "shape");
    for (size_t i = 0; i < list->n; i++) {
        const pith_convert_row *row = &list->rows[i];
        char shape[48];
        snprintf(shape, sizeof shape, "%zu x %zu", row->rows, row->cols);
        pith_cli_print(cli, "%-*s  %-4s  %15s  %11.4f  %10.6f%s\n", (int)width, row->name,
                       pith_type_name(row->type), shape, row->bits_per_weight, row->relative_error,
                       row->fell_back ? "  columns are not a multiple of 32: int8, not int4" : "");
    }
    if (worst != NULL) {
        pith_cli_print(cli,
                       "total: %zu matrices, %.0f weights, %.4f bits/weight; largest relative "
                       "error %.6f in %s\n",
                       list->n, weights, bits / weights, worst->relative_error, worst->name);
    }
}

static bool on_progress(void *user, size_t done, size_t total) {
    pith_progress_update(user, done, total);
    return !pith_interrupted();
}

static pith_status check_paths(const convert_settings *settings, pith_error *error) {
    const char *const inputs[] = {settings->source, settings->importance, settings->tokenizer};
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        pith_status status = PITH_OK;
        if (inputs[i] != NULL) {
            status = pith_cli_check_output(settings->output, inputs[i], error);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* What the table of options cannot say about SRC, --type and --shape; NULL when all is well. */
static const char *find_misuse(const convert_settings *settings) {
    if (settings->type == 0 &&
        (settings->source == NULL || pith_file_kind_at(settings->source) != PITH_FILE_GGUF)) {
        /* gpt-oss apart, only a GGUF file is quantised already. */
        return "--type TYPE is missing: f32, f16, bf16, int8 or int4; int4 is the smallest and "
               "fastest, int8 nearly exact";
    }
    if (settings->shape == NULL) {
        /* One argument alone was read as OUT.pith. */
        return settings->source == NULL ? "OUT.pith is missing" : NULL;
    }
    return settings->source != NULL ? "give either SRC or --shape NAME, not both"
           : settings->tokenizer == NULL
               ? "--shape needs --tokenizer FILE: random weights come with no vocabulary"
           : settings->importance != NULL
               ? "--shape and --importance exclude each other: random weights are not quantised"
           : settings->report ? "--shape and --report exclude each other: random weights are not "
                                "quantised, so there are no errors"
                              : NULL;
}

static void tell_result(pith_cli *cli, const convert_settings *settings, double seconds) {
    struct stat facts;
    if (stat(settings->output, &facts) == 0) {
        pith_cli_tell(cli, "wrote %s: %s, %s, %.0f s", settings->output,
                      pith_size_format((double)facts.st_size, "B").text,
                      settings->type != 0 ? types[settings->type - 1] : "int8", seconds);
    }
}

static int convert_source(pith_cli *cli, const convert_settings *settings) {
    report_list report = {.rows = NULL};
    pith_progress progress;
    pith_error error;
    double start = pith_cli_seconds();
    const char *misuse = find_misuse(settings);
    if (misuse != NULL) {
        return pith_cli_usage(cli, "%s", misuse);
    }
    cli->verbose = settings->verbose;
    pith_convert_options convert = {
        .type = settings->type == 0 ? PITH_N_TYPES : (pith_type)(settings->type - 1),
        .head_type = settings->head_type == 0 ? PITH_N_TYPES : (pith_type)(settings->head_type - 1),
        .shape = settings->shape,
        .importance_path = settings->importance,
        .tokenizer_path = settings->tokenizer,
        .n_threads = settings->threads,
        .log = {.fn = pith_cli_log, .user = cli},
        .progress = on_progress,
        .progress_user = &progress,
        .report = settings->report ? add_row : NULL,
        .report_user = &report,
    };
    pith_status status = check_paths(settings, &error);
    if (status == PITH_OK && settings->dry_run) {
        convert.progress = NULL;
        convert.report = NULL;
        status = pith_cli_plan_conversion(cli, settings->source, &convert, &error);
        return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
    }
    if (status == PITH_OK) {
        pith_progress_begin(&progress, cli, "weights");
        status = pith_convert(settings->source, settings->output, &convert, &error);
        pith_progress_end(&progress);
    }
    if (status == PITH_OK) {
        tell_result(cli, settings, pith_cli_seconds() - start);
    }
    if (status == PITH_OK && report.failed) {
        status = pith_fail(&error, PITH_ERROR_MEMORY,
                           "%s is written, but there is no memory for "
                           "the report",
                           settings->output);
    }
    if (status == PITH_OK && settings->report) {
        print_report(cli, &report);
    }
    free_report(&report);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

/* SRC may be the name of a model that is on this machine. */
static int run(pith_cli *cli, const void *arguments) {
    convert_settings settings = *(const convert_settings *)arguments;
    pith_error error;
    char *source = NULL;
    if (settings.source != NULL &&
        pith_cli_find_path(settings.source, &source, &error) != PITH_OK) {
        return pith_cli_fail(cli, &error);
    }
    settings.source = source;
    int code = convert_source(cli, &settings);
    free(source);
    return code;
}

const pith_command pith_command_convert = {
    .name = "convert",
    .summary = "convert a Hugging Face model directory or a GGUF file to a .pith file",
    .description =
        "Reads config.json, the safetensors shards and the tokenizer of a language model (or "
        "params.json and consolidated.safetensors, Mistral's own layout), or of a sentence encoder "
        "with its modules.json, or all of that out of a GGUF file, and writes one file that the "
        "other commands open. The file appears under its name only when "
        "it is complete, and depends on nothing but the sources, the types and the importance "
        "file: any number of threads writes the same bytes."
        "\n\n"
        "With --shape there is no SRC: the file has random weights of a known shape and the "
        "tokenizer of --tokenizer, so a model of real size can be run and served without a "
        "download. It writes nonsense. The vocabulary has as many tokens as the tokenizer, at most "
        "those of the shape.",
    .example = "pith convert Llama-2-7b-chat-hf llama2.pith --type int4 --report\n"
               "pith convert llama-3.2-1b-instruct-Q4_K_M.gguf llama32.pith\n"
               "pith convert --shape minilm-l6 --type int8 --tokenizer vocab.txt random.pith",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(convert_settings),
    .run = run,
};
