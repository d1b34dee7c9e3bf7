/* pith index: texts into a collection of a database, from JSON Lines or from files. */
#include <sodium.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"
#include "cli/index_run.h"

static const char *const vector_types[] = {"int8", "f32", NULL};

_Static_assert(PITH_VECTOR_INT8 == 1 && PITH_VECTOR_F32 == 2, "--type is an index");

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "an encoder", .offset = offsetof(pith_index_settings, model)},
    {.name = "DB",
     .help = "the database, made when there is none, for its owner only",
     .offset = offsetof(pith_index_settings, database)},
    {.name = "COLLECTION",
     .help = "the collection, made when there is none",
     .offset = offsetof(pith_index_settings, collection)},
    {.name = "PATH",
     .many = true,
     .help = "files or directories of texts; without any, JSON Lines come from standard input",
     .offset = offsetof(pith_index_settings, paths)},
    {.name = NULL},
};

static const pith_option index_options[] = {
    {.name = "chunk",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 20,
     .help = "tokens of a chunk at most, by default what the model reads at once",
     .offset = offsetof(pith_index_settings, chunk)},
    {.name = "overlap",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 20,
     .help = "tokens that a chunk repeats of the one before, by default an eighth of a chunk",
     .offset = offsetof(pith_index_settings, overlap)},
    {.name = "type",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = vector_types,
     .help = "how vectors of a new collection are stored: int8 (the default) or f32",
     .offset = offsetof(pith_index_settings, type)},
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "write {\"id\": ..., \"chunks\": N} for every document once it is committed",
     .offset = offsetof(pith_index_settings, json)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", index_options, 0},
    {"Prompt", pith_prompt_options, offsetof(pith_index_settings, prompt)},
    {"Model", pith_encoder_options, offsetof(pith_index_settings, common)},
    {NULL, NULL, 0},
};

/* The collection as the options want it; chunk sizes are settled only where it is new. */
static pith_status use_collection(pith_index *run, pith_error *error) {
    const pith_index_settings *settings = run->settings;
    pith_store_collection wanted;
    pith_status status =
        pith_encoder_identify(&run->encoder, settings->model, settings->collection, &wanted, error);
    if (status != PITH_OK) {
        return status;
    }
    if (run->encoder.max_tokens == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the prompt leaves no room for a text: the model reads %zu tokens",
                         run->encoder.info.n_context);
    }
    if (settings->chunk > run->encoder.max_tokens) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "--chunk is %zu; the model reads %zu tokens%s",
                         settings->chunk, run->encoder.max_tokens,
                         run->encoder.prompt[0] != '\0' ? " behind the prompt" : "");
    }
    pith_store_collection old;
    wanted.type = (pith_vector_type)settings->type;
    wanted.chunk_tokens = settings->chunk;
    wanted.overlap_tokens = settings->overlap;
    if (pith_store_collection_find(run->store, wanted.name, &old, NULL) != PITH_OK) {
        wanted.chunk_tokens = settings->chunk != 0 ? settings->chunk : run->encoder.max_tokens;
        wanted.overlap_tokens =
            settings->overlap != 0 ? settings->overlap : wanted.chunk_tokens / 8;
        if (wanted.overlap_tokens >= wanted.chunk_tokens) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "--overlap is %zu; it must be less than the %zu tokens of a chunk",
                             wanted.overlap_tokens, wanted.chunk_tokens);
        }
    }
    return pith_store_collection_use(run->store, &wanted, true, &run->collection, error);
}

static pith_status index_everything(pith_index *run, pith_error *error) {
    const pith_arguments *paths = &run->settings->paths;
    return paths->n == 0 ? pith_index_lines(run, error) : pith_index_paths(run, paths, error);
}

static int run_index(pith_cli *cli, const void *arguments) {
    pith_error error;
    pith_index run = {.cli = cli, .settings = arguments};
    pith_indexer_options how = {.count = pith_index_count,
                                .embed = pith_index_embed,
                                .committed = pith_index_committed,
                                .user = &run};
    if (pith_prompt_misused(cli, &run.settings->prompt)) {
        return PITH_EXIT_USAGE;
    }
    pith_status status =
        pith_encoder_open(&run.encoder, cli, &run.settings->common, &run.settings->prompt,
                          PITH_PROMPT_DOCUMENT, run.settings->model, &error);
    if (status == PITH_OK) {
        const pith_store_options opening = {.map = run.settings->common.map};
        status = pith_store_open(&run.store, run.settings->database, &opening, &error);
    }
    if (status == PITH_OK) {
        status = use_collection(&run, &error);
    }
    if (status == PITH_OK) {
        status = pith_indexer_new(&run.indexer, run.store, &run.collection, &how, &error);
    }
    pith_progress_begin(&run.progress, cli, "B");
    if (status == PITH_OK) {
        status = index_everything(&run, &error);
    }
    if (status == PITH_OK) {
        status = pith_indexer_flush(run.indexer, &error);
    }
    pith_progress_end(&run.progress);
    pith_indexer_free(run.indexer);
    pith_store_close(run.store);
    pith_encoder_close(&run.encoder);
    if (status != PITH_OK) {
        return pith_cli_fail(cli, &error);
    }
    pith_cli_message(cli,
                     "%zu documents (%zu chunks) indexed, %zu unchanged, %zu removed, %zu "
                     "binary files skipped, %zu refused",
                     run.n_indexed, run.n_chunks, run.n_unchanged, run.n_removed, run.n_binary,
                     run.n_refused);
    return run.n_refused == 0 ? PITH_EXIT_OK : PITH_EXIT_FAILURE;
}

const pith_command pith_command_index = {
    .name = "index",
    .summary = "put texts into a database to search by meaning",
    .description =
        "Cuts texts into chunks, embeds them, and keeps text and vectors in a SQLite database. "
        "JSON Lines {\"id\": \"...\", \"text\": \"...\", \"metadata\": ...} come from standard "
        "input, or text files from PATH; hidden files, symbolic links and binary files in "
        "directories are passed over, and files that are not UTF-8 are reported and fail the "
        "command at its end.\n\nDocuments that have not changed are left alone, files that have "
        "vanished below a directory are removed. A document is committed as a whole; after an "
        "interrupt or a crash the same command continues where it stopped.\n\nThe model's prompt "
        "\"document\", \"passage\" or \"corpus\", the first that it has, else its default, is put "
        "in "
        "front of every chunk unless --prompt or --prompt-name say otherwise. A collection has "
        "one: what was indexed with another does not compare.",
    .example = "pith index minilm.pith notes.db notes ~/notes\n"
               "pith index minilm.pith notes.db faq --json < faq.jsonl",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(pith_index_settings),
    .run = run_index,
};
