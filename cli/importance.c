/* pith importance: the mean squared input of every linear layer over a text, for the quantiser. */
#include "convert/importance.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/model.h"
#include "cli/windows.h"

typedef struct importance_settings {
    const char *model, *text, *output;
    size_t context, windows;
    pith_common_settings common;
    size_t bos;
} importance_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .help = "the model, best in f32 or bf16",
     .offset = offsetof(importance_settings, model)},
    {.name = "TEXTFILE",
     .help = "text of the kind the model will meet; - reads standard input",
     .offset = offsetof(importance_settings, text)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "out",
     .letter = 'o',
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .required = true,
     .help = "file to write, for 'pith convert --importance'",
     .offset = offsetof(importance_settings, output)},
    {.name = "context",
     .letter = 'c',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .initial = "512",
     .help = "tokens of a window, no more than the model's context",
     .offset = offsetof(importance_settings, context)},
    {.name = "windows",
     .letter = 'w',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "use only the first N windows",
     .offset = offsetof(importance_settings, windows)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Beginning", pith_bos_options, offsetof(importance_settings, bos)},
    {"Model", pith_common_options, offsetof(importance_settings, common)},
    {NULL, NULL, 0},
};

typedef struct collector {
    pith_importance *importance;
    pith_status status; /* of the first failure */
    pith_error *error;
} collector;

/* "X.input" holds the rows that go into the matrix "X.weight". */
static void collect(void *user, const char *name, const float *data, size_t n_rows, size_t n_cols) {
    collector *to = user;
    static const char suffix[] = ".input";
    size_t n = strlen(name);
    char matrix[160];
    if (to->status != PITH_OK || n < sizeof suffix ||
        strcmp(name + n - (sizeof suffix - 1), suffix) != 0) {
        return;
    }
    snprintf(matrix, sizeof matrix, "%.*s.weight", (int)(n - (sizeof suffix - 1)), name);
    to->status = pith_importance_add(to->importance, matrix, data, n_rows, n_cols, to->error);
}

static pith_status collect_all(pith_cli *cli, pith_session *session, const pith_windows *windows,
                               collector *to, pith_error *error) {
    int32_t *inputs = calloc(windows->length, sizeof *inputs);
    if (inputs == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu tokens", windows->length);
    }
    pith_progress progress;
    pith_status status = PITH_OK;
    size_t total = pith_windows_targets(windows);
    size_t done = 0;
    pith_session_observe(session, collect, to);
    pith_progress_begin(&progress, cli, "tokens");
    for (size_t i = 0; status == PITH_OK && i < windows->n; i++) {
        const int32_t *targets;
        size_t n = pith_windows_get(windows, i, inputs, &targets);
        status = pith_session_rewind(session, 0, error);
        if (status == PITH_OK) {
            status = pith_session_eval(session, inputs, n, error);
        }
        if (status == PITH_OK) {
            status = to->status;
        }
        if (status == PITH_OK && pith_interrupted()) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        }
        done += n;
        pith_progress_update(&progress, done, total);
    }
    pith_progress_end(&progress);
    pith_session_observe(session, NULL, NULL);
    free(inputs);
    return status;
}

static pith_status check_output(const importance_settings *settings, pith_error *error) {
    pith_status status = pith_cli_check_output(settings->output, settings->model, error);
    return status == PITH_OK ? pith_cli_check_output(settings->output, settings->text, error)
                             : status;
}

static int run(pith_cli *cli, const void *arguments) {
    const importance_settings *settings = arguments;
    pith_error error;
    pith_model *model = NULL;
    pith_session *session = NULL;
    pith_windows windows = {.tokens = NULL};
    collector to = {.status = PITH_OK, .error = &error};
    pith_model_info info;
    pith_status status = check_output(settings, &error);
    if (status == PITH_OK) {
        status = pith_cli_open_decoder(cli, &settings->common, settings->model, &model, &error);
    }
    if (status != PITH_OK) {
        goto done;
    }
    pith_model_get_info(model, &info);
    if (info.n_experts != 0) {
        status = pith_fail(&error, PITH_ERROR_UNSUPPORTED,
                           "%s: a mixture of experts: a text may use some of them only, so it is "
                           "converted without an importance file",
                           settings->model);
        goto done;
    }
    size_t length = settings->context < info.n_context ? settings->context : info.n_context;
    status = pith_windows_load(cli, &windows, model, settings->text, settings->bos, length,
                               settings->windows, &error);
    if (status != PITH_OK) {
        goto done;
    }
    pith_session_options session_options = {
        .n_context = length,
        .n_batch = length < 512 ? length : 512,
        .kv_type = (pith_kv_type)settings->common.kv,
        .all_logits = true, /* so that the head sees every position */
    };
    status = pith_session_new(&session, model, &session_options, &error);
    if (status == PITH_OK) {
        status = pith_importance_new(&to.importance, &pith_malloc_allocator, &error);
    }
    if (status == PITH_OK) {
        status = collect_all(cli, session, &windows, &to, &error);
    }
    if (status == PITH_OK) {
        status = pith_importance_save(to.importance, settings->output, &error);
    }
    if (status == PITH_OK) {
        pith_cli_tell(cli, "wrote %s, from %zu tokens: give it to pith convert --importance",
                      settings->output, pith_windows_targets(&windows));
    }
done:
    pith_importance_free(to.importance);
    pith_windows_release(&windows);
    pith_session_free(session);
    pith_model_free(model);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_importance = {
    .name = "importance",
    .summary = "measure which inputs matter, for better quantisation",
    .description =
        "Runs a text through the model window by window and writes, for every linear layer, the "
        "mean square of each input column. 'pith convert --importance' weighs quantisation errors "
        "by it.",
    .example = "pith importance llama2-bf16.pith sample.txt --out llama2.importance",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(importance_settings),
    .run = run,
};
