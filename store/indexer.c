/* Writing documents into a collection. The database is locked for writing only while a batch is
 * written, not while it is embedded. */
#include "store/indexer.h"

#include "base/memory.h"
#include "base/status.h"

#include <string.h>

enum {
    DEFAULT_BATCH = 128,
    MAX_QUEUED_BYTES = 16 << 20, /* a text of white space has no chunks that would end a batch */
};

typedef struct queued {
    pith_store_document document; /* key, text and metadata owned */
    pith_store_chunk *chunks;
    size_t n_chunks;
} queued;

struct pith_indexer {
    pith_store *store;
    const pith_store_collection *collection;
    pith_indexer_options options;
    const pith_allocator *allocator;
    queued *queue; /* [options.batch] */
    size_t n_queued, n_chunks, n_bytes;
};

static void release_queued(const pith_allocator *allocator, queued *entry) {
    pith_release(allocator, (void *)(uintptr_t)entry->document.key);
    pith_release(allocator, (void *)(uintptr_t)entry->document.text);
    pith_release(allocator, (void *)(uintptr_t)entry->document.metadata);
    pith_release(allocator, entry->chunks);
    *entry = (queued){.n_chunks = 0};
}

pith_status pith_indexer_new(pith_indexer **out, pith_store *store,
                             const pith_store_collection *collection,
                             const pith_indexer_options *options, pith_error *error) {
    const pith_allocator *allocator = pith_allocator_or_default(options->allocator);
    if (collection->chunk_tokens < 1 || collection->overlap_tokens >= collection->chunk_tokens) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "chunks of %zu tokens cannot overlap by %zu",
                         collection->chunk_tokens, collection->overlap_tokens);
    }
    pith_indexer *indexer = pith_allocate_zeroed(allocator, 1, sizeof *indexer);
    size_t batch = options->batch != 0 ? options->batch : DEFAULT_BATCH;
    if (indexer != NULL) {
        indexer->queue = pith_allocate_zeroed(allocator, batch, sizeof *indexer->queue);
    }
    if (indexer == NULL || indexer->queue == NULL) {
        pith_release(allocator, indexer);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for an indexer");
    }
    indexer->store = store;
    indexer->collection = collection;
    indexer->options = *options;
    indexer->options.batch = batch;
    indexer->allocator = allocator;
    *out = indexer;
    return PITH_OK;
}

void pith_indexer_free(pith_indexer *indexer) {
    if (indexer != NULL) {
        for (size_t i = 0; i < indexer->n_queued; i++) {
            release_queued(indexer->allocator, &indexer->queue[i]);
        }
        pith_release(indexer->allocator, indexer->queue);
        pith_release(indexer->allocator, indexer);
    }
}

static pith_status write_batch(pith_indexer *indexer, const float *vectors, pith_error *error) {
    pith_status status = pith_store_begin(indexer->store, error);
    if (status != PITH_OK) {
        return status;
    }
    for (size_t i = 0; status == PITH_OK && i < indexer->n_queued; i++) {
        const queued *entry = &indexer->queue[i];
        status = pith_store_put(indexer->store, indexer->collection, &entry->document,
                                entry->chunks, entry->n_chunks, vectors, error);
        vectors += entry->n_chunks * indexer->collection->dimension;
    }
    if (status != PITH_OK) {
        pith_store_rollback(indexer->store);
        return status;
    }
    return pith_store_commit(indexer->store, error);
}

pith_status pith_indexer_flush(pith_indexer *indexer, pith_error *error) {
    const pith_allocator *allocator = indexer->allocator;
    size_t n_chunks = indexer->n_chunks;
    size_t n = 0;
    pith_status status = PITH_OK;
    pith_embed_input *inputs = pith_allocate_zeroed(allocator, n_chunks, sizeof *inputs);
    float *vectors =
        pith_allocate(allocator, n_chunks, indexer->collection->dimension * sizeof *vectors);
    if (inputs == NULL || vectors == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu vectors", n_chunks);
        goto done;
    }
    for (size_t i = 0; i < indexer->n_queued; i++) {
        const queued *entry = &indexer->queue[i];
        for (size_t c = 0; c < entry->n_chunks; c++) {
            const pith_store_chunk *chunk = &entry->chunks[c];
            inputs[n++] = (pith_embed_input){
                .text = {entry->document.text + chunk->begin, chunk->end - chunk->begin}};
        }
    }
    if (n != 0) {
        status = indexer->options.embed(indexer->options.user, inputs, n, vectors, error);
    }
    if (status == PITH_OK && indexer->n_queued != 0) {
        status = write_batch(indexer, vectors, error);
    }
    if (status == PITH_OK) {
        for (size_t i = 0; i < indexer->n_queued; i++) {
            queued *entry = &indexer->queue[i];
            if (indexer->options.committed != NULL) {
                indexer->options.committed(indexer->options.user, &entry->document,
                                           entry->n_chunks);
            }
            release_queued(allocator, entry);
        }
        indexer->n_queued = 0;
        indexer->n_chunks = 0;
        indexer->n_bytes = 0;
    }
done:
    pith_release(allocator, inputs);
    pith_release(allocator, vectors);
    return status;
}

bool pith_indexer_holds(const pith_indexer *indexer, const char *key, size_t n_key) {
    bool holds = false;
    for (size_t i = 0; i < indexer->n_queued; i++) {
        const pith_store_document *document = &indexer->queue[i].document;
        holds = holds || (document->n_key == n_key && memcmp(document->key, key, n_key) == 0);
    }
    return holds;
}

pith_status pith_indexer_add(pith_indexer *indexer, const pith_store_document *document,
                             pith_error *error) {
    const pith_allocator *allocator = indexer->allocator;
    queued entry = {.document = *document};
    entry.document.key = pith_copy_text(allocator, document->key, document->n_key);
    entry.document.text =
        pith_copy_text(allocator, document->n_bytes != 0 ? document->text : "", document->n_bytes);
    if (document->metadata != NULL) {
        entry.document.metadata =
            pith_copy_text(allocator, document->metadata, strlen(document->metadata));
    }
    pith_status status = PITH_OK;
    if (entry.document.key == NULL || entry.document.text == NULL ||
        (document->metadata != NULL && entry.document.metadata == NULL)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "out of memory for a document of %zu bytes",
                           document->n_bytes);
    }
    if (status == PITH_OK) {
        status =
            pith_store_split(entry.document.text, document->n_bytes,
                             indexer->collection->chunk_tokens, indexer->collection->overlap_tokens,
                             indexer->options.count, indexer->options.user, allocator,
                             &entry.chunks, &entry.n_chunks, error);
    }
    if (status != PITH_OK) {
        release_queued(allocator, &entry);
        return status;
    }
    if (indexer->n_queued == indexer->options.batch) { /* a flush that failed has left it full */
        status = pith_indexer_flush(indexer, error);
        if (status != PITH_OK) {
            release_queued(allocator, &entry);
            return status;
        }
    }
    indexer->queue[indexer->n_queued++] = entry;
    indexer->n_chunks += entry.n_chunks;
    indexer->n_bytes += document->n_bytes;
    bool full = indexer->n_queued == indexer->options.batch ||
                indexer->n_chunks >= indexer->options.batch || indexer->n_bytes >= MAX_QUEUED_BYTES;
    return full ? pith_indexer_flush(indexer, error) : PITH_OK;
}
