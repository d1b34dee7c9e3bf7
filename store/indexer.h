/* Writing documents into a collection: they are cut into chunks, gathered until there are enough to
 * embed together, and committed together. */
#ifndef PITH_STORE_INDEXER_H
#define PITH_STORE_INDEXER_H

#include "store/split.h"

/* The functions are called on the thread that calls the indexer; their errors become its own. */
typedef struct pith_indexer_options {
    size_t batch; /* chunks embedded and committed at a time; 0: 128; fewer when texts are long */
    pith_count_fn count;
    /* Embeds texts [n]: out [n, dimension]. */
    pith_status (*embed)(void *user, const pith_embed_input *inputs, size_t n, float *out,
                         pith_error *error);
    /* Called for each document once it is committed. May be NULL. */
    void (*committed)(void *user, const pith_store_document *document, size_t n_chunks);
    void *user;
    const pith_allocator *allocator;
} pith_indexer_options;

typedef struct pith_indexer pith_indexer;

/* The collection's chunk_tokens (at least 1) and overlap_tokens (less) say how texts are cut. Store
 * and collection must outlive the indexer. Errors: ARGUMENT, MEMORY. */
pith_status pith_indexer_new(pith_indexer **out, pith_store *store,
                             const pith_store_collection *collection,
                             const pith_indexer_options *options, pith_error *error);
void pith_indexer_free(pith_indexer *indexer); /* what was not committed is dropped */

/* Copies a document with valid UTF-8 text; a full batch is embedded and committed. */
pith_status pith_indexer_add(pith_indexer *indexer, const pith_store_document *document,
                             pith_error *error);

/* True when a document with this key was added and is not committed: pith_store_find does not find
 * it yet. */
bool pith_indexer_holds(const pith_indexer *indexer, const char *key, size_t n_key);

/* Embeds and commits what is left. After an error the batch is still there: a second call tries
 * again. */
pith_status pith_indexer_flush(pith_indexer *indexer, pith_error *error);

#endif
