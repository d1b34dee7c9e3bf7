/* pith rerank: sorts lines of text by how well they answer a query. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/rank.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/json_lines.h"
#include "cli/model.h"

typedef struct rerank_settings {
    const char *model, *query;
    bool json, no_truncate;
    size_t top_n; /* 0: all */
    pith_common_settings common;
} rerank_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .help = "a cross-encoder, or an encoder whose embeddings are compared",
     .offset = offsetof(rerank_settings, model)},
    {.name = "QUERY",
     .help = "what the texts are compared with",
     .offset = offsetof(rerank_settings, query)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "read JSON Lines {\"text\": \"...\"} instead of plain lines, and print {\"index\": N, "
             "\"relevance_score\": X, \"text\": \"...\"}",
     .offset = offsetof(rerank_settings, json)},
    {.name = "top-n",
     .letter = 'n',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1e9,
     .help = "print the N best texts only",
     .offset = offsetof(rerank_settings, top_n)},
    {.name = "no-truncate",
     .kind = PITH_OPTION_FLAG,
     .help = "texts longer than the model reads are an error instead of being cut",
     .offset = offsetof(rerank_settings, no_truncate)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Model", pith_encoder_options, offsetof(rerank_settings, common)},
    {NULL, NULL, 0},
};

/* A run of the command. */
typedef struct reranking {
    pith_cli *cli;
    const rerank_settings *settings;
    pith_lines lines;
    char **kept;      /* [room] malloc'ed, what `texts` points into; [n] of them are set */
    pith_text *texts; /* [room] */
    size_t *numbers;  /* [room] of their lines */
    size_t n, room;
    float *scores;              /* [n] */
    pith_embed_result *results; /* [n] */
    pith_ranked *order;         /* [n] best first */
} reranking;

static void release(reranking *r) {
    for (size_t i = 0; i < r->n; i++) {
        free(r->kept[i]);
    }
    pith_lines_release(&r->lines);
    free(r->kept);
    free(r->texts);
    free(r->numbers);
    free(r->scores);
    free(r->results);
    free(r->order);
}

static pith_status no_memory(const reranking *r, pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu texts", r->n + 1);
}

static bool grow(reranking *r) {
    size_t room = r->room < 64 ? 64 : 2 * r->room;
    char **kept = realloc(r->kept, room * sizeof *kept);
    r->kept = kept != NULL ? kept : r->kept;
    pith_text *texts = realloc(r->texts, room * sizeof *texts);
    r->texts = texts != NULL ? texts : r->texts;
    size_t *numbers = realloc(r->numbers, room * sizeof *numbers);
    r->numbers = numbers != NULL ? numbers : r->numbers;
    r->room = kept != NULL && texts != NULL && numbers != NULL ? room : r->room;
    return r->n < r->room;
}

static pith_status add_line(reranking *r, const char *line, size_t n_bytes, pith_error *error) {
    char *copy = malloc(n_bytes + 1);
    if (copy == NULL || (r->n == r->room && !grow(r))) {
        free(copy);
        return no_memory(r, error);
    }
    memcpy(copy, line, n_bytes);
    pith_text text = {copy, n_bytes};
    pith_status status = PITH_OK;
    size_t good = pith_utf8_check(copy, n_bytes);
    if (r->settings->json) {
        status =
            pith_line_text(copy, n_bytes, &pith_malloc_allocator, &text.data, &text.n_bytes, error);
    } else if (good != n_bytes) {
        status = pith_fail(error, PITH_ERROR_TEXT, "invalid UTF-8 at byte %zu", good);
    }
    if (status != PITH_OK) {
        free(copy);
        return pith_fail_in(error, status, "standard input, line %zu", r->lines.number);
    }
    r->kept[r->n] = copy;
    r->numbers[r->n] = r->lines.number;
    r->texts[r->n++] = text;
    return PITH_OK;
}

static pith_status read_lines(reranking *r, pith_error *error) {
    pith_status status = PITH_OK;
    bool end = false;
    while (status == PITH_OK && !end) {
        char *line;
        size_t n_bytes;
        status = r->settings->json
                     ? pith_cli_read_json_line(&r->lines, &line, &n_bytes, &end, error)
                     : pith_cli_read_line(&r->lines, &line, &n_bytes, &end, error);
        if (status == PITH_OK && !end) {
            status = add_line(r, line, n_bytes, error);
        }
    }
    return status;
}

static bool not_interrupted(void *user, size_t n_done, size_t n_inputs) {
    (void)user;
    (void)n_done;
    (void)n_inputs;
    return !pith_interrupted();
}

static pith_status rank(reranking *r, const pith_model *model, pith_error *error) {
    const pith_rerank_options how = {.no_truncate = r->settings->no_truncate,
                                     .progress = not_interrupted};
    r->scores = calloc(r->n + 1, sizeof *r->scores);
    r->results = calloc(r->n + 1, sizeof *r->results);
    r->order = calloc(r->n + 1, sizeof *r->order);
    if (r->scores == NULL || r->results == NULL || r->order == NULL) {
        return no_memory(r, error);
    }
    pith_status status = pith_rerank(model, pith_text_of(r->settings->query), r->texts, r->n, &how,
                                     r->scores, r->results, error);
    if (status != PITH_OK && status != PITH_ERROR_STOPPED) {
        pith_cli_name_line(r->numbers, r->n, error);
    }
    if (status == PITH_OK) {
        pith_rank(r->scores, r->n, r->order);
    }
    return status;
}

/* Nine digits are enough for a float to be read back as it was. */
static pith_status print_one(const reranking *r, const pith_ranked *one, pith_error *error) {
    const pith_text *text = &r->texts[one->index];
    if (!r->settings->json) {
        pith_cli_print(r->cli, "%.9g\t", (double)one->score);
        pith_cli_write(r->cli, text->data, text->n_bytes);
        pith_cli_write(r->cli, "\n", 1);
        return PITH_OK;
    }
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    pith_json_put_integer(&json, "index", (int64_t)one->index);
    pith_json_put_real(&json, "relevance_score", (double)one->score);
    pith_json_put_bytes(&json, "text", text->data, text->n_bytes);
    pith_json_close(&json, '}');
    return pith_cli_print_document(r->cli, &json, error);
}

static void tell_cut(const reranking *r, size_t most) {
    size_t n_cut = 0;
    for (size_t i = 0; i < r->n; i++) {
        n_cut += r->results[i].truncated;
    }
    if (n_cut != 0) {
        pith_cli_message(r->cli, "%zu of %zu texts were longer than %zu tokens and cut", n_cut,
                         r->n, most);
    }
}

static int run(pith_cli *cli, const void *arguments) {
    const rerank_settings *settings = arguments;
    pith_error error;
    pith_model *model = NULL;
    pith_model_info info = {0};
    reranking r = {.cli = cli, .settings = settings};
    pith_status status =
        pith_cli_open_model(cli, &settings->common, settings->model, false, &model, &error);
    if (status == PITH_OK) {
        pith_model_get_info(model, &info);
        if (!info.is_encoder) {
            status =
                pith_fail(&error, PITH_ERROR_UNSUPPORTED,
                          "%s: the model is no encoder: it compares no texts", settings->model);
        }
    }
    if (status == PITH_OK) {
        pith_cli_await(cli, settings->json ? "JSON Lines" : "texts, one a line");
        status = read_lines(&r, &error);
    }
    if (status == PITH_OK) {
        status = rank(&r, model, &error);
    }
    size_t n = settings->top_n != 0 && settings->top_n < r.n ? settings->top_n : r.n;
    for (size_t i = 0; status == PITH_OK && i < n && cli->output_error == 0; i++) {
        status = print_one(&r, &r.order[i], &error);
    }
    if (status == PITH_OK) {
        tell_cut(&r, info.n_context);
    }
    release(&r);
    pith_model_free(model);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_rerank = {
    .name = "rerank",
    .summary = "sort lines of text by how well they answer a query",
    .description =
        "Reads one text per line from standard input and prints them, the best first, each behind "
        "its score and a tab. A cross-encoder (a checkpoint of ...ForSequenceClassification with "
        "one label) reads the query and each text together. Of any other encoder the score is the "
        "cosine of the embeddings, the query behind the model's prompt \"query\", the texts behind "
        "the first of \"document\", \"passage\" and \"corpus\" that it has.",
    .example = "pith rerank minilm.pith 'who knocked?' < texts.txt",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(rerank_settings),
    .run = run,
};
