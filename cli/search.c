/* pith search: the chunks of a collection closest in meaning to a question. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/encoder.h"

typedef struct search_settings {
    const char *model, *database, *collection, *query;
    size_t count;
    bool json;
    pith_prompt_settings prompt;
    pith_common_settings common;
} search_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith",
     .help = "the encoder that the collection was made with",
     .offset = offsetof(search_settings, model)},
    {.name = "DB",
     .help = "the database that pith index wrote",
     .offset = offsetof(search_settings, database)},
    {.name = "COLLECTION",
     .help = "the collection to search",
     .offset = offsetof(search_settings, collection)},
    {.name = "QUERY", .help = "the text to look for", .offset = offsetof(search_settings, query)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "count",
     .letter = 'k',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 100000,
     .initial = "5",
     .help = "how many chunks to show",
     .offset = offsetof(search_settings, count)},
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "one JSON object a line",
     .offset = offsetof(search_settings, json)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Prompt", pith_prompt_options, offsetof(search_settings, prompt)},
    {"Model", pith_encoder_options, offsetof(search_settings, common)},
    {NULL, NULL, 0},
};

/* Bytes that need not be UTF-8, such as a path: in those that are not, all but ASCII becomes '?'.
 */
static pith_status put_name(pith_json_writer *json, const char *key, const char *text, size_t n,
                            pith_error *error) {
    if (pith_utf8_check(text, n) == n) {
        pith_json_put_bytes(json, key, text, n);
        return PITH_OK;
    }
    char *copy = malloc(n + 1);
    if (copy == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for a result");
    }
    for (size_t i = 0; i < n; i++) {
        copy[i] = (char)((unsigned char)text[i] < 0x80 ? text[i] : '?');
    }
    pith_json_put_bytes(json, key, copy, n);
    free(copy);
    return PITH_OK;
}

/* Any JSON value as a text; null when the text in the database is none. Brackets around it make a
 * document of what may be a scalar. */
static pith_status put_metadata(pith_json_writer *json, const char *text, pith_error *error) {
    pith_bytes document;
    pith_json root;
    pith_bytes_init(&document, NULL);
    if (!pith_bytes_append_text(&document, "[") || !pith_bytes_append_text(&document, text) ||
        !pith_bytes_append_text(&document, "]")) {
        pith_bytes_release(&document);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for a result");
    }
    pith_status status = pith_json_read(&root, document.data, document.size, PITH_JSON_PYTHON,
                                        "metadata", document.allocator, error);
    if (status == PITH_OK && pith_json_size(root) == 1) {
        pith_json_put_value(json, "metadata", pith_json_at(root, 0));
    } else if (status != PITH_ERROR_MEMORY) {
        pith_json_put_null(json, "metadata");
        status = PITH_OK;
    }
    pith_bytes_release(&document);
    return status;
}

static pith_status print_json(pith_cli *cli, const pith_store_text *text, double score,
                              pith_error *error) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    pith_status status = put_name(&json, "id", text->key, text->n_key, error);
    pith_json_put_real(&json, "score", score);
    pith_json_put_integer(&json, "begin", (int64_t)text->begin);
    pith_json_put_integer(&json, "end", (int64_t)text->end);
    if (status == PITH_OK) {
        status = put_name(&json, "text", text->text, text->n_bytes, error);
    }
    if (status == PITH_OK && text->metadata != NULL) {
        status = put_metadata(&json, text->metadata, error);
    }
    if (status != PITH_OK) {
        pith_bytes_release(&json.bytes);
        return status;
    }
    pith_json_close(&json, '}');
    return pith_cli_print_document(cli, &json, error);
}

/* White space becomes single spaces, so that a result is two lines. */
static void print_plain(pith_cli *cli, const pith_store_text *text, double score) {
    enum { MOST = 300 };
    char line[MOST + 1];
    size_t n = 0;
    size_t i = 0;
    for (; i < text->n_bytes && n < MOST; i++) {
        char c = text->text[i];
        bool space = c == ' ' || (c >= '\t' && c <= '\r');
        if (!space || (n > 0 && line[n - 1] != ' ')) {
            line[n++] = space ? ' ' : c;
        }
    }
    if (i < text->n_bytes) { /* back to where a character begins */
        while (n > 0 && ((unsigned char)text->text[i--] & 0xc0) == 0x80) {
            n--;
        }
    }
    line[n] = 0;
    pith_cli_print(cli, "%.4f  ", score);
    pith_cli_print_name(cli, text->key);
    pith_cli_print(cli, " [%zu-%zu]\n        ", text->begin, text->end);
    pith_cli_print_name(cli, line);
    pith_cli_print(cli, i < text->n_bytes ? " ...\n" : "\n");
}

static pith_status print_hits(pith_cli *cli, const search_settings *settings, pith_store *store,
                              const pith_store_hit *hits, size_t n, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < n && cli->output_error == 0; i++) {
        pith_store_text text;
        status = pith_store_read(store, hits[i].chunk, &text, error);
        if (status != PITH_OK) {
            break;
        }
        if (settings->json) {
            status = print_json(cli, &text, hits[i].score, error);
        } else {
            print_plain(cli, &text, hits[i].score);
        }
        pith_store_text_release(store, &text);
    }
    return status;
}

static int run_search(pith_cli *cli, const void *arguments) {
    const search_settings *settings = arguments;
    pith_error error;
    pith_encoder encoder = {.model = NULL};
    pith_store_collection wanted;
    pith_store_collection collection;
    pith_store *store = NULL;
    pith_store_options how = {.read_only = true, .map = settings->common.map};
    float *vector = NULL;
    pith_store_hit *hits = NULL;
    size_t n = 0;
    if (pith_prompt_misused(cli, &settings->prompt)) {
        return PITH_EXIT_USAGE;
    }
    pith_status status = pith_encoder_open(&encoder, cli, &settings->common, &settings->prompt,
                                           PITH_PROMPT_QUERY, settings->model, &error);
    if (status == PITH_OK) {
        status =
            pith_encoder_identify(&encoder, settings->model, settings->collection, &wanted, &error);
    }
    wanted.any_prompt = true; /* the collection's is that of documents */
    if (status == PITH_OK) {
        status = pith_store_open(&store, settings->database, &how, &error);
    }
    if (status == PITH_OK) {
        status = pith_store_begin_reading(store, &error);
    }
    if (status == PITH_OK) {
        status = pith_store_collection_use(store, &wanted, false, &collection, &error);
    }
    if (status != PITH_OK) {
        goto done;
    }
    vector = calloc(collection.dimension, sizeof *vector);
    hits = calloc(settings->count, sizeof *hits);
    if (vector == NULL || hits == NULL) {
        status =
            pith_fail(&error, PITH_ERROR_MEMORY, "out of memory for %zu results", settings->count);
        goto done;
    }
    pith_embed_input query = {.text = pith_text_of(settings->query)};
    status = pith_encoder_embed(&encoder, &query, 1, vector, &error);
    if (status == PITH_OK) {
        status = pith_store_search(store, &collection, vector, settings->count, hits, &n, &error);
    }
    if (status == PITH_OK) {
        status = print_hits(cli, settings, store, hits, n, &error);
    }
done:
    free(hits);
    free(vector);
    pith_store_close(store);
    pith_encoder_close(&encoder);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_search = {
    .name = "search",
    .summary = "find the chunks of a collection closest to a text",
    .description =
        "Embeds QUERY and shows the chunks whose vectors are closest to it by cosine, best first; "
        "every vector is compared. [0-46] gives the bytes of the document that a chunk covers: the "
        "first, and the one behind the last. The database is only read: one that was closed "
        "properly may be on read-only media.\n\nThe model's prompt \"query\", if it has one, else "
        "its default, is put in front of QUERY unless --prompt or --prompt-name say otherwise.",
    .example = "pith search minilm.pith notes.db notes 'how do I renew a passport' -k 3",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(search_settings),
    .run = run_search,
};
