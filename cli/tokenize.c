/* pith tokenize and pith detokenize: lines of text to token ids and back, one JSON object a line.
 */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/model.h"

typedef struct tokenize_settings {
    const char *model;
    bool json, bos, special;
    pith_common_settings common;
} tokenize_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .help = "the model whose tokenizer is used",
     .offset = offsetof(tokenize_settings, model)},
    {.name = NULL},
};

static const pith_option tokenize_options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "read JSON Lines {\"text\": \"...\"} instead of plain lines",
     .offset = offsetof(tokenize_settings, json)},
    {.name = "bos",
     .kind = PITH_OPTION_FLAG,
     .help = "put the beginning-of-text token first, if the model has one",
     .offset = offsetof(tokenize_settings, bos)},
    {.name = "special",
     .kind = PITH_OPTION_FLAG,
     .help = "read special tokens written in the text as such",
     .offset = offsetof(tokenize_settings, special)},
    {.name = NULL},
};

static const pith_option_group tokenize_groups[] = {
    {"Options", tokenize_options, 0},
    {"Model", pith_common_options, offsetof(tokenize_settings, common)},
    {NULL, NULL, 0},
};

static const pith_option_group detokenize_groups[] = {
    {"Model", pith_common_options, offsetof(tokenize_settings, common)},
    {NULL, NULL, 0},
};

static void print_ids(pith_cli *cli, const int32_t *ids, size_t n) {
    pith_cli_print(cli, "{\"ids\": [");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, i == 0 ? "%d" : ", %d", ids[i]);
    }
    pith_cli_print(cli, "]}\n");
}

static pith_status tokenize_line(pith_cli *cli, const pith_model *model,
                                 const tokenize_settings *settings, const char *line,
                                 size_t n_bytes, pith_error *error) {
    json_t *root = NULL;
    pith_status status = PITH_OK;
    if (settings->json) {
        status = pith_line_text(line, n_bytes, &root, &line, &n_bytes, error);
    }
    unsigned flags = (settings->bos ? (unsigned)PITH_TOKENIZE_BOS : 0) |
                     (settings->special ? (unsigned)PITH_TOKENIZE_SPECIAL : 0);
    int32_t *ids = NULL;
    size_t n_ids = 0;
    if (status == PITH_OK) {
        status = pith_cli_tokenize(model, line, n_bytes, flags, &ids, &n_ids, error);
    }
    if (status == PITH_OK) {
        print_ids(cli, ids, n_ids);
    }
    free(ids);
    json_decref(root);
    return status;
}

/* Decodes ids to text; *text is malloc'ed. */
static pith_status decode_ids(const pith_model *model, const int32_t *ids, size_t n_ids,
                              char **text, size_t *n_bytes, pith_error *error) {
    pith_status status = pith_detokenize(model, ids, n_ids, NULL, 0, n_bytes, error);
    if (status != PITH_OK && status != PITH_ERROR_CAPACITY) {
        return status;
    }
    char *out = malloc(*n_bytes + 1);
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu bytes", *n_bytes);
    }
    status = pith_detokenize(model, ids, n_ids, out, *n_bytes, n_bytes, error);
    if (status != PITH_OK) {
        free(out);
        return status;
    }
    *text = out;
    return PITH_OK;
}

static pith_status detokenize_line(pith_cli *cli, const pith_model *model,
                                   const tokenize_settings *settings, const char *line,
                                   size_t n_bytes, pith_error *error) {
    (void)settings;
    int32_t *ids = NULL;
    size_t n_ids = 0;
    char *text = NULL;
    size_t n_text = 0;
    pith_status status = pith_line_ids(line, n_bytes, &ids, &n_ids, error);
    if (status == PITH_OK) {
        status = decode_ids(model, ids, n_ids, &text, &n_text, error);
    }
    if (status == PITH_OK) {
        json_t *out = json_object();
        if (json_object_set_new(out, "text", json_stringn(text, n_text)) != 0) {
            status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu bytes", n_text);
        } else {
            pith_cli_print_json(cli, out, 0);
        }
        json_decref(out);
    }
    free(text);
    free(ids);
    return status;
}

typedef pith_status (*line_fn)(pith_cli *cli, const pith_model *model,
                               const tokenize_settings *settings, const char *line, size_t n_bytes,
                               pith_error *error);

static int run_lines(pith_cli *cli, const tokenize_settings *settings, line_fn fn) {
    pith_error error;
    pith_model *model = NULL;
    pith_lines lines = {.data = NULL};
    const char *line = NULL;
    size_t n_bytes = 0;
    size_t number = 0;
    bool end = false;
    pith_status status =
        pith_cli_open_model(cli, &settings->common, settings->model, true, &model, &error);
    while (status == PITH_OK && cli->output_error == 0) {
        if (pith_interrupted()) {
            status = pith_fail(&error, PITH_ERROR_STOPPED, "interrupted");
            break;
        }
        status = pith_cli_read_line(&lines, &line, &n_bytes, &end, &error);
        if (status != PITH_OK || end) {
            break;
        }
        number++;
        status = fn(cli, model, settings, line, n_bytes, &error);
        if (status != PITH_OK) {
            pith_fail_in(&error, status, "standard input, line %zu", number);
        }
    }
    pith_lines_release(&lines);
    pith_model_free(model);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

static int run_tokenize(pith_cli *cli, const void *arguments) {
    return run_lines(cli, arguments, tokenize_line);
}

static int run_detokenize(pith_cli *cli, const void *arguments) {
    return run_lines(cli, arguments, detokenize_line);
}

const pith_command pith_command_tokenize = {
    .name = "tokenize",
    .summary = "turn lines of text into token ids",
    .description = "Reads one text per line from standard input and writes {\"ids\": [...]} for "
                   "each. The model file is mapped; its weights are not read.",
    .example = "echo 'Once upon a time' | pith tokenize tale.pith --bos",
    .operands = operands,
    .groups = tokenize_groups,
    .settings_size = sizeof(tokenize_settings),
    .run = run_tokenize,
};

const pith_command pith_command_detokenize = {
    .name = "detokenize",
    .summary = "turn token ids into text",
    .description = "Reads JSON Lines {\"ids\": [...]} from standard input and writes {\"text\": "
                   "\"...\"} for each. Special tokens give no text; bytes that are not valid UTF-8 "
                   "become U+FFFD.",
    .example = "echo '{\"ids\": [1, 403, 407]}' | pith detokenize tale.pith",
    .operands = operands,
    .groups = detokenize_groups,
    .settings_size = sizeof(tokenize_settings),
    .run = run_detokenize,
};
