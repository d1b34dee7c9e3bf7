/* JSON Lines for pith index, and what both sources share. */
#include "base/memory.h"
#include "base/utf8.h"
#include "cli/index_run.h"
#include "cli/json_lines.h"

#include <errno.h>
#include <string.h>

pith_status pith_index_embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                             pith_error *error) {
    pith_index *run = user;
    return pith_encoder_embed(&run->encoder, inputs, n, out, error);
}

pith_status pith_index_count(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                             pith_error *error) {
    pith_index *run = user;
    return pith_encoder_count(&run->encoder, text, n_bytes, n_tokens, error);
}

void pith_index_committed(void *user, const pith_store_document *document, size_t n_chunks) {
    pith_index *run = user;
    run->n_indexed++;
    run->n_chunks += n_chunks;
    if (!run->settings->json) {
        return;
    }
    pith_json_writer line;
    pith_json_write_begin(&line, NULL);
    line.style = PITH_JSON_SPACED;
    pith_json_open(&line, NULL, '{');
    /* A path that is not UTF-8 has no spelling in JSON. */
    if (pith_utf8_check(document->key, document->n_key) == document->n_key) {
        pith_json_put_bytes(&line, "id", document->key, document->n_key);
    } else {
        pith_json_put_null(&line, "id");
    }
    pith_json_put_integer(&line, "chunks", (int64_t)n_chunks);
    pith_json_close(&line, '}');
    if (pith_cli_print_document(run->cli, &line, NULL) != PITH_OK) {
        run->cli->output_error = ENOMEM;
    }
    pith_cli_flush(run->cli);
}

pith_status pith_index_document(pith_index *run, pith_store_document *document, pith_error *error) {
    pith_store_state state;
    pith_store_hash(document);
    pith_status status = pith_store_find(run->store, &run->collection, document->key,
                                         document->n_key, &state, error);
    if (status != PITH_OK) {
        return status;
    }
    /* A queued document with the same key would be committed over the one that was found. */
    if (!state.found || state.is_file != document->is_file ||
        memcmp(state.hash, document->hash, sizeof state.hash) != 0 ||
        pith_indexer_holds(run->indexer, document->key, document->n_key)) {
        return pith_indexer_add(run->indexer, document, error);
    }
    run->n_unchanged++;
    if (document->is_file && (state.size != document->size || state.mtime != document->mtime)) {
        return pith_store_touch(run->store, &run->collection, document->key, document->n_key,
                                document->size, document->mtime, error);
    }
    return PITH_OK;
}

/* *bad is set when the line is the cause of a failure, and not the database. */
static pith_status index_line(pith_index *run, char *line, size_t n_bytes, bool *bad,
                              pith_error *error) {
    pith_line_document read;
    pith_status status =
        pith_line_document_read(&read, line, n_bytes, &pith_malloc_allocator, error);
    *bad = status != PITH_OK && status != PITH_ERROR_MEMORY;
    if (status == PITH_OK) {
        status = pith_index_document(run, &read.document, error);
        pith_line_document_release(&read);
    }
    return status;
}

pith_status pith_index_lines(pith_index *run, pith_error *error) {
    pith_lines lines = {.data = NULL};
    pith_cli_await(run->cli, "JSON Lines");
    char *line = NULL;
    size_t n_bytes = 0;
    bool end = false;
    bool bad = false;
    pith_status status = PITH_OK;
    while (status == PITH_OK && run->cli->output_error == 0) {
        status = pith_cli_read_json_line(&lines, &line, &n_bytes, &end, error);
        bad = status == PITH_ERROR_FORMAT;
        if (status != PITH_OK || end) {
            break;
        }
        status = index_line(run, line, n_bytes, &bad, error);
        if (bad) {
            pith_fail_in(error, status, "standard input, line %zu", lines.number);
        }
    }
    pith_lines_release(&lines);
    if (bad) { /* the documents before the bad line are good */
        pith_error other;
        pith_status flushed = pith_indexer_flush(run->indexer, &other);
        return flushed == PITH_OK ? status : pith_fail(error, flushed, "%s", other.message);
    }
    return status;
}
