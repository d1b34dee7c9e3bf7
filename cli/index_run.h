/* One run of pith index, and the two places documents come from. */
#ifndef PITH_CLI_INDEX_RUN_H
#define PITH_CLI_INDEX_RUN_H

#include "cli/encoder.h"
#include "store/indexer.h"

typedef struct pith_index_settings {
    const char *model, *database, *collection;
    pith_arguments paths;
    size_t chunk, overlap;
    size_t type; /* as pith_vector_type */
    bool json;
    pith_prompt_settings prompt;
    pith_common_settings common;
} pith_index_settings;

typedef struct pith_index {
    pith_cli *cli;
    const pith_index_settings *settings;
    pith_encoder encoder;
    pith_store *store;
    pith_store_collection collection;
    pith_indexer *indexer;
    pith_progress progress;
    size_t n_indexed, n_chunks, n_unchanged, n_removed, n_binary, n_refused;
} pith_index;

/* The functions of the indexer; `user` is the pith_index. */
pith_status pith_index_embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                             pith_error *error);
pith_status pith_index_count(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                             pith_error *error);
void pith_index_committed(void *user, const pith_store_document *document, size_t n_chunks);

/* Adds a document to the indexer unless the collection has it unchanged. */
pith_status pith_index_document(pith_index *run, pith_store_document *document, pith_error *error);

/* JSON Lines from standard input, up to the first bad line; those before it are committed. */
pith_status pith_index_lines(pith_index *run, pith_error *error);

/* Files, and every text file below directories, each once however often it is named; what vanished
 * there is removed. Files that cannot be read or are not UTF-8 are reported and counted in
 * n_refused. */
pith_status pith_index_paths(pith_index *run, const pith_arguments *paths, pith_error *error);

#endif
