/* pith search: the chunks of a collection closest in meaning to a question. */
#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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

/* A string of bytes that need not be UTF-8, such as a path: in one that is not, all but ASCII
 * becomes
 * '?'. */
static json_t *json_name(const char *text, size_t n) {
    json_t *value = json_stringn(text, n);
    if (value != NULL) {
        return value;
    }
    char *copy = malloc(n + 1);
    for (size_t i = 0; copy != NULL && i < n; i++) {
        copy[i] = (char)((unsigned char)text[i] < 0x80 ? text[i] : '?');
    }
    value = copy != NULL ? json_stringn(copy, n) : NULL;
    free(copy);
    return value;
}

static pith_status print_json(pith_cli *cli, const pith_store_text *text, double score,
                              pith_error *error) {
    json_t *line = json_object();
    bool good = json_object_set_new(line, "id", json_name(text->key, text->n_key)) == 0 &&
                json_object_set_new(line, "score", json_real(score)) == 0 &&
                json_object_set_new(line, "begin", json_integer((json_int_t)text->begin)) == 0 &&
                json_object_set_new(line, "end", json_integer((json_int_t)text->end)) == 0 &&
                json_object_set_new(line, "text", json_name(text->text, text->n_bytes)) == 0;
    if (good && text->metadata != NULL) {
        json_t *metadata = json_loads(text->metadata, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        good =
            json_object_set_new(line, "metadata", metadata != NULL ? metadata : json_null()) == 0;
    }
    if (good) {
        pith_cli_print_json(cli, line, JSON_REAL_PRECISION(17));
    }
    json_decref(line);
    return good ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "out of memory for a result");
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
    static const char *const names[] = {"query", NULL};
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
                                           names, settings->model, &error);
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
    pith_embed_input query = {.text = settings->query, .n_bytes = strlen(settings->query)};
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
        "every vector is compared. In [0-46] stands which bytes of the document a chunk is, from "
        "the first to the one behind the last. The database is only read: one that was closed "
        "properly may be on read-only media.\n\nThe model's prompt \"query\", if it has one, else "
        "its default, is put in front of QUERY unless --prompt or --prompt-name say otherwise.",
    .example = "pith search minilm.pith notes.db notes 'how do I renew a passport' -k 3",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(search_settings),
    .run = run_search,
};
