/* pith logits: the logits at every position of a text or token sequence, of the whole network or,
 * with --layer, of its residual stream so far, as a NumPy file (format version 1.0 of
 * numpy.lib.format). */
#include <assert.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/model.h"
#include "cli/npy.h"

enum { MAX_LAYERS = 1024 }; /* of any model that a file can hold */

typedef struct logits_settings {
    const char *model, *tokens, *text, *output;
    pith_number layer;
    size_t chunk, context;
    pith_common_settings common;
    size_t bos;
} logits_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "the model", .offset = offsetof(logits_settings, model)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "text",
     .kind = PITH_OPTION_TEXT,
     .argument = "TEXT",
     .help = "text to evaluate, tokenised as 'pith run' does with its prompt",
     .offset = offsetof(logits_settings, text)},
    {.name = "tokens",
     .kind = PITH_OPTION_COUNTS,
     .argument = "IDS",
     .low = 0,
     .high = INT32_MAX,
     .help = "token ids separated by commas, instead of a text; nothing is added to them",
     .offset = offsetof(logits_settings, tokens)},
    {.name = "layer",
     .kind = PITH_OPTION_NUMBER,
     .argument = "N",
     .low = 0,
     .high = MAX_LAYERS,
     .help = "logit lens: final norm and head applied after layer N already; 0 is the embedding, "
             "the model's last layer gives the ordinary logits",
     .offset = offsetof(logits_settings, layer)},
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
     .help = "most tokens, by default the model's context; with longrope it decides which factors "
             "they have, by default those of a context of just these tokens",
     .offset = offsetof(logits_settings, context)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Beginning of --text", pith_bos_options, offsetof(logits_settings, bos)},
    {"Model", pith_common_options, offsetof(logits_settings, common)},
    {NULL, NULL, 0},
};

/* The checked list as an array; *tokens is malloc'ed. */
static pith_status read_list(const char *list, int32_t **tokens, size_t *n_tokens,
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

/* A run of the command. */
typedef struct evaluation {
    pith_cli *cli;
    const pith_model *model;
    pith_session *session;
    int32_t *tokens; /* [n_tokens] */
    size_t n_tokens;
    size_t chunk;
    size_t n_embd, n_vocab;

    /* With --layer, else NULL or 0. */
    char layer[40]; /* the name that an observer knows it by */
    float *rows;    /* [chunk, n_embd] the residual stream of a chunk, of which n_rows are there */
    size_t n_rows;
    float *logits; /* [chunk, n_vocab] */
} evaluation;

static pith_status prepare_layer(evaluation *e, size_t layer, size_t n_layers, pith_error *error) {
    if (layer > n_layers) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "--layer %zu is beyond the model's %zu layers",
                         layer, n_layers);
    }
    if (layer == 0) {
        snprintf(e->layer, sizeof e->layer, "model.embed_tokens");
    } else {
        snprintf(e->layer, sizeof e->layer, "model.layers.%zu", layer - 1);
    }
    e->rows = calloc(e->chunk, e->n_embd * sizeof *e->rows);
    e->logits = calloc(e->chunk, e->n_vocab * sizeof *e->logits);
    return e->rows != NULL && e->logits != NULL
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the logits of %zu tokens",
                           e->chunk);
}

static void keep_rows(void *user, const char *name, const float *data, size_t n_rows,
                      size_t n_cols) {
    evaluation *e = user;
    if (strcmp(name, e->layer) == 0 && n_rows <= e->chunk - e->n_rows) {
        memcpy(e->rows + e->n_rows * n_cols, data, n_rows * n_cols * sizeof *data);
        e->n_rows += n_rows;
    }
}

static pith_status begin(evaluation *e, const logits_settings *settings, pith_error *error) {
    pith_model_info info;
    pith_model_get_info(e->model, &info);
    size_t context = settings->context != 0 ? settings->context : info.n_context;
    if (e->n_tokens > context) {
        return pith_fail(error, PITH_ERROR_CONTEXT, "%zu tokens do not fit the context of %zu",
                         e->n_tokens, context);
    }
    e->chunk = settings->chunk < e->n_tokens ? settings->chunk : e->n_tokens;
    e->n_embd = info.n_embd;
    e->n_vocab = info.n_vocab;
    const pith_session_options session_options = {
        .n_context = settings->context != 0 ? settings->context : e->n_tokens,
        .n_batch = e->chunk,
        .kv_type = (pith_kv_type)settings->common.kv,
        .all_logits = !settings->layer.given,
    };
    pith_status status = pith_session_new(&e->session, e->model, &session_options, error);
    if (status == PITH_OK && settings->layer.given) {
        status = prepare_layer(e, settings->layer.value, info.n_layers, error);
        pith_session_observe(e->session, keep_rows, e);
    }
    return status;
}

/* Evaluates n <= chunk tokens, in one pass; the logits of the i-th are then chunk_logits(e, i). */
static pith_status eval_chunk(evaluation *e, const int32_t *tokens, size_t n, pith_error *error) {
    e->n_rows = 0;
    pith_status status = pith_session_eval(e->session, tokens, n, error);
    if (status == PITH_OK && e->rows != NULL) {
        assert(e->n_rows == n);
        status = pith_logit_lens(e->model, e->rows, n, e->logits, error);
    }
    return status;
}

static const float *chunk_logits(const evaluation *e, size_t i) {
    return e->rows != NULL ? e->logits + i * e->n_vocab : pith_session_logits_at(e->session, i);
}

static pith_status write_logits(evaluation *e, pith_output *output, pith_error *error) {
    size_t offset = PITH_NPY_HEADER;
    pith_progress progress;
    pith_status status = pith_npy_write_header(output, e->n_tokens, e->n_vocab, error);
    pith_progress_begin(&progress, e->cli, "tokens");
    for (size_t done = 0; status == PITH_OK && done < e->n_tokens;) {
        size_t n = e->n_tokens - done < e->chunk ? e->n_tokens - done : e->chunk;
        status = eval_chunk(e, e->tokens + done, n, error);
        for (size_t i = 0; status == PITH_OK && i < n; i++) {
            size_t size = e->n_vocab * sizeof(float);
            status = pith_output_write(output, offset, chunk_logits(e, i), size, error);
            offset += size;
        }
        if (status == PITH_OK && pith_interrupted()) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        }
        done += n;
        pith_progress_update(&progress, done, e->n_tokens);
    }
    pith_progress_end(&progress);
    return status;
}

static pith_status write_file(evaluation *e, const char *path, pith_error *error) {
    pith_output *output = NULL;
    pith_status status = pith_output_create(&output, path, &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        status = write_logits(e, output, error);
    }
    if (status == PITH_OK) {
        return pith_output_commit(output, error);
    }
    pith_output_discard(output);
    return status;
}

static int run(pith_cli *cli, const void *arguments) {
    const logits_settings *settings = arguments;
    pith_error error;
    pith_model *model = NULL;
    evaluation e = {.cli = cli};
    if (settings->text == NULL && settings->tokens == NULL) {
        return pith_cli_usage(cli, "--text TEXT or --tokens IDS is missing");
    }
    if (settings->text != NULL && settings->tokens != NULL) {
        return pith_cli_usage(cli, "--text and --tokens exclude each other");
    }
    pith_status status = pith_cli_check_output(settings->output, settings->model, &error);
    if (status == PITH_OK) {
        status = pith_cli_open_decoder(cli, &settings->common, settings->model, &model, &error);
    }
    if (status == PITH_OK) {
        e.model = model;
        status =
            settings->tokens != NULL
                ? read_list(settings->tokens, &e.tokens, &e.n_tokens, &error)
                : pith_cli_tokenize_prompt(cli, model, settings->text, strlen(settings->text),
                                           settings->bos, false, &e.tokens, &e.n_tokens, &error);
    }
    if (status == PITH_OK) {
        status = begin(&e, settings, &error);
    }
    if (status == PITH_OK) {
        status = write_file(&e, settings->output, &error);
    }
    pith_session_free(e.session);
    pith_model_free(model);
    free(e.rows);
    free(e.logits);
    free(e.tokens);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_logits = {
    .name = "logits",
    .summary = "write the logits of every position to a NumPy file",
    .description =
        "Evaluates a text or tokens from an empty context and writes the logits of every "
        "position. How the tokens are cut into chunks does not change them.\n\n"
        "With --layer the logits are those that the residual stream gives at that "
        "depth (the logit lens), through the same norm and head in the same numbers.",
    .example = "pith logits tale.pith --text 'Once upon a time' --out logits.npy\n"
               "pith logits tale.pith --tokens 1,403,407 --layer 3 --out after-3.npy",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(logits_settings),
    .run = run,
};
