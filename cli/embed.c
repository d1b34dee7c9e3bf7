/* pith embed: lines of text to sentence embeddings, as JSON Lines or a NumPy file. Texts go to the
 * library in chunks, so that any number of them takes little memory. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/encoder.h"
#include "cli/json_lines.h"
#include "cli/npy.h"

enum {
    CHUNK_TEXTS = 4096,
    CHUNK_BYTES = 16 << 20, /* a chunk ends with the text that reaches this many */
};

typedef struct embed_settings {
    const char *model, *text, *output;
    bool json, no_truncate;
    size_t dimensions; /* 0: all */
    pith_prompt_settings prompt;
    pith_common_settings common;
} embed_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "an encoder", .offset = offsetof(embed_settings, model)},
    {.name = "TEXT",
     .optional = true,
     .help = "the text to embed; without it, texts come from standard input",
     .offset = offsetof(embed_settings, text)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "read JSON Lines {\"text\": \"...\"} instead of plain lines; \"pair\" adds a second "
             "text that is read with the first",
     .offset = offsetof(embed_settings, json)},
    {.name = "out",
     .letter = 'o',
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE.npy",
     .help = "write the vectors there, float32 [texts, dimensions], and nothing to standard output",
     .offset = offsetof(embed_settings, output)},
    {.name = "dimensions",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1e6,
     .help = "keep the first N elements of each embedding, normalised, as models that were trained "
             "for it allow (Matryoshka)",
     .offset = offsetof(embed_settings, dimensions)},
    {.name = "no-truncate",
     .kind = PITH_OPTION_FLAG,
     .help = "texts longer than the model reads are an error instead of being cut",
     .offset = offsetof(embed_settings, no_truncate)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Prompt", pith_prompt_options, offsetof(embed_settings, prompt)},
    {"Model", pith_encoder_options, offsetof(embed_settings, common)},
    {NULL, NULL, 0},
};

/* A run of the command. */
typedef struct embedding {
    pith_cli *cli;
    const embed_settings *settings;
    const pith_model *model;
    pith_output *output; /* or NULL */
    size_t n_embd;

    pith_lines lines;
    bool end;
    pith_embed_input *inputs;   /* [CHUNK_TEXTS] */
    char **lines_kept;          /* [CHUNK_TEXTS] malloc'ed, what `inputs` points into */
    size_t *line_numbers;       /* [CHUNK_TEXTS] of the input, from 1 */
    pith_embed_result *results; /* [CHUNK_TEXTS] */
    float *vectors;             /* [CHUNK_TEXTS, n_embd] */
    size_t n;                   /* texts of this chunk, of chunk_bytes in all */
    size_t chunk_bytes;

    size_t n_before, bytes_before; /* of earlier chunks */
    size_t n_cut;
    size_t total_bytes; /* of the input; 0: unknown */
    pith_progress progress;
} embedding;

static pith_status allocate(embedding *e, pith_error *error) {
    e->inputs = calloc(CHUNK_TEXTS, sizeof *e->inputs);
    e->lines_kept = calloc(CHUNK_TEXTS, sizeof *e->lines_kept);
    e->line_numbers = calloc(CHUNK_TEXTS, sizeof *e->line_numbers);
    e->results = calloc(CHUNK_TEXTS, sizeof *e->results);
    e->vectors = calloc(CHUNK_TEXTS, e->n_embd * sizeof *e->vectors);
    if (e->inputs == NULL || e->lines_kept == NULL || e->line_numbers == NULL ||
        e->results == NULL || e->vectors == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %d texts", CHUNK_TEXTS);
    }
    return PITH_OK;
}

static void drop_texts(embedding *e) {
    for (size_t i = 0; i < e->n; i++) {
        free(e->lines_kept[i]);
    }
    e->n = 0;
    e->chunk_bytes = 0;
}

static void release(embedding *e) {
    if (e->lines_kept != NULL) {
        drop_texts(e);
    }
    pith_lines_release(&e->lines);
    free(e->inputs);
    free(e->line_numbers);
    free(e->lines_kept);
    free(e->results);
    free(e->vectors);
}

/* Adds the text of a line to the chunk. */
static pith_status add_line(embedding *e, const char *line, size_t n_bytes, pith_error *error) {
    char *copy = malloc(n_bytes + 1);
    if (copy == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu bytes", n_bytes);
    }
    memcpy(copy, line, n_bytes);
    pith_embed_input input = {.text = {copy, n_bytes}};
    pith_status status = PITH_OK;
    if (e->settings->json) {
        status = pith_line_texts(copy, n_bytes, &pith_malloc_allocator, &input, error);
    } else {
        size_t good = pith_utf8_check(line, n_bytes);
        if (good != n_bytes) {
            status = pith_fail(error, PITH_ERROR_TEXT, "invalid UTF-8 at byte %zu", good);
        }
    }
    if (status != PITH_OK) {
        free(copy);
        return status;
    }
    e->line_numbers[e->n] = e->lines.number;
    e->lines_kept[e->n] = copy;
    e->inputs[e->n++] = input;
    e->chunk_bytes += n_bytes + 1;
    return PITH_OK;
}

static pith_status read_chunk(embedding *e, pith_error *error) {
    pith_status status = PITH_OK;
    if (e->settings->text != NULL) {
        e->end = true;
        return add_line(e, e->settings->text, strlen(e->settings->text), error);
    }
    while (status == PITH_OK && e->n < CHUNK_TEXTS && e->chunk_bytes < CHUNK_BYTES) {
        char *line;
        size_t n_bytes;
        status = e->settings->json
                     ? pith_cli_read_json_line(&e->lines, &line, &n_bytes, &e->end, error)
                     : pith_cli_read_line(&e->lines, &line, &n_bytes, &e->end, error);
        if (status != PITH_OK || e->end) {
            return status;
        }
        status = add_line(e, line, n_bytes, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "standard input, line %zu", e->lines.number);
        }
    }
    return status;
}

static bool go_on(void *user, size_t n_done, size_t n_inputs) {
    embedding *e = user;
    double share = (double)n_done / (double)n_inputs;
    if (e->total_bytes != 0) {
        size_t done = e->bytes_before + (size_t)(share * (double)e->chunk_bytes);
        pith_progress_update(&e->progress, done, e->total_bytes);
    }
    return !pith_interrupted();
}

/* Nine digits are enough for a float to be read back as it was. */
static void print_result(pith_cli *cli, const float *vector, size_t n,
                         const pith_embed_result *result) {
    pith_cli_print(cli, "{\"embedding\": [");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, i == 0 ? "%.9g" : ", %.9g", (double)vector[i]);
    }
    pith_cli_print(cli, "], \"tokens\": %zu, \"truncated\": %s}\n", result->n_tokens,
                   result->truncated ? "true" : "false");
}

static pith_status give_chunk(embedding *e, pith_error *error) {
    pith_status status = PITH_OK;
    size_t row = e->n_embd * sizeof *e->vectors;
    if (e->output != NULL) {
        status = pith_output_write(e->output, PITH_NPY_HEADER + e->n_before * row, e->vectors,
                                   e->n * row, error);
    }
    for (size_t i = 0; i < e->n; i++) {
        e->n_cut += e->results[i].truncated ? 1 : 0;
        if (e->output == NULL) {
            print_result(e->cli, e->vectors + i * e->n_embd, e->n_embd, &e->results[i]);
        }
    }
    return status;
}

static pith_status embed_chunks(embedding *e, pith_error *error) {
    pith_embed_options embed_options = {.no_truncate = e->settings->no_truncate,
                                        .prompt = e->settings->prompt.text,
                                        .prompt_name = e->settings->prompt.name,
                                        .dimensions = e->settings->dimensions,
                                        .progress = go_on,
                                        .user = e};
    pith_status status = PITH_OK;
    while (status == PITH_OK && !e->end && e->cli->output_error == 0) {
        status = read_chunk(e, error);
        if (status == PITH_OK && e->n != 0) {
            status = pith_embed(e->model, e->inputs, e->n, &embed_options, e->vectors, e->results,
                                error);
            if (status != PITH_OK && status != PITH_ERROR_STOPPED) {
                pith_cli_name_line(e->settings->text == NULL ? e->line_numbers : NULL, e->n, error);
            }
        }
        if (status == PITH_OK) {
            status = give_chunk(e, error);
            e->n_before += e->n;
            e->bytes_before += e->chunk_bytes;
            drop_texts(e);
        }
    }
    return status;
}

/* Bytes of standard input when it is a file. */
static size_t input_bytes(void) {
    struct stat facts;
    bool known = fstat(STDIN_FILENO, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0;
    return known ? (size_t)facts.st_size : 0;
}

static pith_status embed_all(embedding *e, pith_error *error) {
    pith_status status = allocate(e, error);
    if (status == PITH_OK && e->settings->output != NULL) {
        status = pith_output_create(&e->output, e->settings->output, &pith_malloc_allocator, error);
    }
    if (status == PITH_OK) {
        e->total_bytes = input_bytes();
        pith_progress_begin(&e->progress, e->cli, "B");
        status = embed_chunks(e, error);
        pith_progress_end(&e->progress);
    }
    if (status == PITH_OK && e->output != NULL) {
        status = pith_npy_write_header(e->output, e->n_before, e->n_embd, error);
    }
    if (status == PITH_OK && e->output != NULL) {
        status = pith_output_commit(e->output, error);
        e->output = NULL;
    }
    pith_output_discard(e->output);
    return status;
}

static int run(pith_cli *cli, const void *arguments) {
    const embed_settings *settings = arguments;
    pith_error error;
    pith_model *model = NULL;
    pith_model_info info = {0};
    embedding e = {.cli = cli, .settings = settings};
    if (pith_prompt_misused(cli, &settings->prompt)) {
        return PITH_EXIT_USAGE;
    }
    if (settings->text != NULL && settings->json) {
        return pith_cli_usage(cli, "TEXT and --json exclude each other");
    }
    pith_status status = PITH_OK;
    if (settings->output != NULL) {
        status = pith_cli_check_output(settings->output, settings->model, &error);
    }
    if (status == PITH_OK) {
        status =
            pith_cli_open_model(cli, &settings->common, settings->model, false, &model, &error);
    }
    if (status == PITH_OK) {
        pith_model_get_info(model, &info);
        if (!info.is_encoder) {
            status = pith_fail(&error, PITH_ERROR_UNSUPPORTED,
                               "%s: the model is no encoder: it gives no sentence embeddings",
                               settings->model);
        }
    }
    if (status == PITH_OK) { /* of no text: whatever is wrong with the options */
        const pith_embed_options how = {.prompt = settings->prompt.text,
                                        .prompt_name = settings->prompt.name,
                                        .dimensions = settings->dimensions};
        status = pith_embed(model, NULL, 0, &how, NULL, NULL, &error);
    }
    if (status == PITH_OK) {
        e.model = model;
        e.n_embd = settings->dimensions != 0 ? settings->dimensions : info.n_embd;
        if (settings->text == NULL) {
            pith_cli_await(cli, settings->json ? "JSON Lines" : "texts, one a line");
        }
        status = embed_all(&e, &error);
    }
    if (status == PITH_OK && e.n_cut != 0) {
        pith_cli_message(cli, "%zu of %zu texts were longer than %zu tokens and cut", e.n_cut,
                         e.n_before, info.n_context);
    }
    release(&e);
    pith_model_free(model);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_embed = {
    .name = "embed",
    .summary = "turn lines of text into sentence embeddings",
    .description =
        "Embeds TEXT, or reads one text per line from standard input, and writes {\"embedding\": "
        "[...], \"tokens\": N, \"truncated\": false} for each. A text longer than the model reads "
        "is cut, as sentence-transformers does; how many were is reported on standard error.\n\nA "
        "model's default prompt, if it has one, is put in front of every text unless --prompt or "
        "--prompt-name say otherwise; it counts as part of the text.",
    .example = "pith embed minilm.pith 'The wolf knocked at the door.'\n"
               "pith embed minilm.pith --out vectors.npy < texts.txt",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(embed_settings),
    .run = run,
};
