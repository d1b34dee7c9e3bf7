/* pith models: what the usual places of this machine hold, and whether pith can run it. */
#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/model_list.h"
#include "convert/convert.h"
#include "weights/model_operand.h"
#include "weights/pith_file.h"

typedef struct models_settings {
    bool json;
} models_settings;

static const pith_operand operands[] = {{.name = NULL}};

static const pith_option options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "print a JSON object a line",
     .offset = offsetof(models_settings, json)},
    {.name = NULL},
};

static const pith_option_group groups[] = {{"Options", options, 0}, {NULL, NULL, 0}};

/* What a look at a model's files has found. */
typedef struct verdict {
    char family[32];  /* "" when it is not known */
    bool runs;        /* as it is, or by way of the cache */
    char reason[500]; /* why not, or what is to be done first */
} verdict;

/* A .pith file: its header says all. */
static pith_status look_at_file(const char *path, verdict *out, pith_error *error) {
    pith_file opened;
    pith_model_file *file = NULL;
    pith_status status = pith_file_open(&opened, path, error);
    if (status == PITH_OK) {
        status = pith_model_file_open_to_check(&file, &opened, &pith_malloc_allocator, error);
        pith_file_close(&opened);
    }
    if (status != PITH_OK) {
        return pith_explain_model_operand(path, status, &pith_malloc_allocator, error);
    }
    snprintf(out->family, sizeof out->family, "%s", file->metadata.architecture);
    out->runs = true;
    pith_model_file_close(file);
    return PITH_OK;
}

/* A checkpoint: quantised GGUF files run, others are converted by hand first. */
static pith_status look_at_checkpoint(const char *path, verdict *out, pith_error *error) {
    pith_convert_facts facts;
    pith_status status = pith_convert_look(path, &facts, NULL, error);
    if (status == PITH_OK) {
        snprintf(out->family, sizeof out->family, "%s", facts.architecture);
        out->runs = facts.quantised;
        snprintf(out->reason, sizeof out->reason, "%s",
                 facts.quantised ? ""
                                 : "convert it first: 'pith convert NAME OUT.pith --type int8'");
    }
    return status;
}

/* Messages begin with the path, which is shown anyway. */
static void keep_reason(verdict *out, const char *path, const char *message) {
    size_t n = strlen(path);
    bool named = strncmp(message, path, n) == 0 && strncmp(message + n, ": ", 2) == 0;
    snprintf(out->reason, sizeof out->reason, "%s", message + (named ? n + 2 : 0));
}

static verdict look_at(const pith_listed_model *model) {
    verdict out = {.runs = false};
    pith_error error;
    pith_status status = pith_ends_with(model->path, ".pith")
                             ? look_at_file(model->path, &out, &error)
                             : look_at_checkpoint(model->path, &out, &error);
    if (status != PITH_OK) {
        keep_reason(&out, model->path, error.message);
    }
    return out;
}

static bool print_json(pith_cli *cli, const pith_listed_model *model, const verdict *v) {
    pith_json_writer json;
    pith_error error;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_put_text(&json, "name", model->name);
    pith_json_put_text(&json, "path", model->path);
    pith_json_put_integer(&json, "bytes", (int64_t)model->bytes);
    pith_json_put_text(&json, "family", v->family);
    pith_json_put_bool(&json, "runs", v->runs);
    pith_json_put_text(&json, "reason", v->reason);
    pith_json_close(&json, '}');
    return pith_cli_print_document(cli, &json, &error) == PITH_OK;
}

static void print_text(pith_cli *cli, const pith_listed_model *model, const verdict *v) {
    pith_cli_print_name(cli, model->name);
    pith_cli_print(cli, "\n    %s, %s, ", v->family[0] != '\0' ? v->family : "unknown family",
                   pith_size_format((double)model->bytes, "B").text);
    pith_cli_print(cli, v->runs ? "runs" : "does not run: ");
    pith_cli_print_name(cli, v->reason);
    pith_cli_print(cli, "\n    ");
    pith_cli_print_name(cli, model->path);
    pith_cli_print(cli, "\n");
}

/* Says so when $PITH_MODELS names no directory. */
static void warn_of_place(pith_cli *cli) {
    const char *own = getenv("PITH_MODELS");
    if (own == NULL || own[0] == '\0') {
        return;
    }
    DIR *directory = opendir(own);
    if (directory == NULL) {
        pith_cli_message(cli, "warning: $PITH_MODELS, %s: %s", own, strerror(errno));
    } else {
        closedir(directory);
    }
}

static int run(pith_cli *cli, const void *arguments) {
    const models_settings *settings = arguments;
    pith_model_list list;
    pith_error error;
    pith_status status = pith_model_list_scan(&list, &error);
    if (status != PITH_OK) {
        return pith_cli_fail(cli, &error);
    }
    for (size_t i = 0; i < list.n && !pith_interrupted(); i++) {
        const pith_listed_model *model = &list.items[i];
        verdict v = look_at(model);
        if (settings->json) {
            print_json(cli, model, &v);
        } else {
            print_text(cli, model, &v);
        }
    }
    warn_of_place(cli);
    if (list.n == 0) {
        pith_cli_message(cli, "no models in $PITH_MODELS, the Hugging Face cache, pith's cache or "
                              "where pith is installed");
    }
    pith_model_list_free(&list);
    return PITH_EXIT_OK;
}

const pith_command pith_command_models = {
    .name = "models",
    .summary = "list the models on this machine and whether pith can run them",
    .description =
        "Looks through $PITH_MODELS (.pith and .gguf files, checkpoint directories), the cache of "
        "Hugging Face's tools, the cache of converted GGUF files and the models that ship with "
        "pith, and reads the headers of what is there. A name that it prints, or the part behind "
        "the last slash, can be given to the "
        "other commands in place of a path.",
    .example = "pith models\npith run Llama-3.2-1B-Instruct-Q4_K_M -p 'Once upon a time'",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(models_settings),
    .run = run,
};
