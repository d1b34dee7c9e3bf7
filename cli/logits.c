/* pith logits: the logits at every position of a token sequence, as a NumPy file (format version
 * 1.0 of numpy.lib.format). */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/model.h"
#include "cli/npy.h"

typedef struct logits_settings {
    const char *model, *tokens, *output;
    size_t chunk, context;
    pith_common_settings common;
} logits_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "the model", .offset = offsetof(logits_settings, model)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "tokens",
     .kind = PITH_OPTION_COUNTS,
     .argument = "IDS",
     .low = 0,
     .high = INT32_MAX,
     .required = true,
     .help = "token ids separated by commas; nothing is added to them",
     .offset = offsetof(logits_settings, tokens)},
    {.name = "out",
     .letter = 'o',
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE.npy",
     .required = true,
     .help = "file to write: float32 [tokens, vocabulary]",
     .offset = offsetof(logits_settings, output)},
    {.name = "chunk",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 16,
     .initial = "512",
     .help = "tokens in one forward pass",
     .offset = offsetof(logits_settings, chunk)},
    {.name = "context",
     .letter = 'c',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "tokens of context, by default the model's",
     .offset = offsetof(logits_settings, context)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Model", pith_common_options, offsetof(logits_settings, common)},
    {NULL, NULL, 0},
};

/* The checked list as an array; *tokens is malloc'ed. */
static pith_status read_tokens(const char *list, int32_t **tokens, size_t *n_tokens,
                               pith_error *error) {
    size_t n = 0;
    size_t id;
    int32_t *out = calloc(strlen(list) / 2 + 1, sizeof *out);
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the tokens");
    }
    while (pith_counts_next(&list, &id)) {
        out[n++] = (int32_t)id;
    }
    *tokens = out;
    *n_tokens = n;
    return PITH_OK;
}

static pith_status write_logits(pith_cli *cli, pith_session *session, const int32_t *tokens,
                                size_t n_tokens, size_t n_vocab, size_t chunk, pith_output *output,
                                pith_error *error) {
    size_t offset = PITH_NPY_HEADER;
    pith_progress progress;
    pith_status status = pith_npy_write_header(output, n_tokens, n_vocab, error);
    pith_progress_begin(&progress, cli, "tokens");
    for (size_t done = 0; status == PITH_OK && done < n_tokens;) {
        size_t n = n_tokens - done < chunk ? n_tokens - done : chunk;
        status = pith_session_eval(session, tokens + done, n, error);
        for (size_t i = 0; status == PITH_OK && i < n; i++) {
            size_t size = n_vocab * sizeof(float);
            status =
                pith_output_write(output, offset, pith_session_logits_at(session, i), size, error);
            offset += size;
        }
        if (status == PITH_OK && pith_interrupted()) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        }
        done += n;
        pith_progress_update(&progress, done, n_tokens);
    }
    pith_progress_end(&progress);
    return status;
}

static int run(pith_cli *cli, const void *arguments) {
    const logits_settings *settings = arguments;
    pith_error error;
    pith_model *model = NULL;
    pith_session *session = NULL;
    pith_output *output = NULL;
    int32_t *tokens = NULL;
    size_t n_tokens = 0;
    pith_model_info info;
    pith_status status = pith_cli_check_output(settings->output, settings->model, &error);
    if (status == PITH_OK) {
        status = read_tokens(settings->tokens, &tokens, &n_tokens, &error);
    }
    if (status == PITH_OK) {
        status = pith_cli_open_decoder(cli, &settings->common, settings->model, &model, &error);
    }
    if (status != PITH_OK) {
        goto done;
    }
    pith_model_get_info(model, &info);
    size_t context = settings->context != 0 ? settings->context : info.n_context;
    if (n_tokens > context) {
        status = pith_fail(&error, PITH_ERROR_CONTEXT, "%zu tokens do not fit the context of %zu",
                           n_tokens, context);
        goto done;
    }
    pith_session_options session_options = {
        .n_context = n_tokens,
        .n_batch = settings->chunk,
        .kv_type = (pith_kv_type)settings->common.kv,
        .all_logits = true,
    };
    status = pith_session_new(&session, model, &session_options, &error);
    if (status == PITH_OK) {
        status = pith_output_create(&output, settings->output, &pith_malloc_allocator, &error);
    }
    if (status == PITH_OK) {
        status = write_logits(cli, session, tokens, n_tokens, info.n_vocab, settings->chunk, output,
                              &error);
    }
    if (status == PITH_OK) {
        status = pith_output_commit(output, &error);
        output = NULL;
    }
done:
    pith_output_discard(output);
    pith_session_free(session);
    pith_model_free(model);
    free(tokens);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_logits = {
    .name = "logits",
    .summary = "write the logits of every position to a NumPy file",
    .description = "Evaluates the tokens from an empty context and writes the logits of every "
                   "position. How the tokens are cut into chunks does not change them.",
    .example = "pith logits tale.pith --tokens 1,403,407 --out logits.npy",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(logits_settings),
    .run = run,
};
