/* Documents and the vectors of their chunks in a SQLite database, searched by exact cosine.
 *
 *     pith_store *store;
 *     if (pith_store_open(&store, "notes.db", NULL, &error) != PITH_OK) ...
 *     pith_store_collection wanted = {.name = "notes", .model = "minilm.pith", .model_hash = "...",
 *                                     .dimension = 384};
 *     pith_store_collection notes;
 *     pith_store_collection_use(store, &wanted, true, &notes, &error);
 *     pith_store_put(store, &notes, &document, chunks, n_chunks, vectors, &error);
 *     pith_store_search(store, &notes, query, 10, hits, &n_hits, &error);
 *     pith_store_close(store);
 *
 * Guarantees. A document, its chunks and their vectors appear together or not at all. When
 * pith_store_put (outside of pith_store_begin) or pith_store_commit has returned PITH_OK, what it
 * wrote survives the end of the process and of the machine: the database is in WAL mode with
 * synchronous=FULL, which flushes the log before a commit returns. Any number of processes may read
 * while one writes; a second writer waits for the busy time and then fails.
 *
 * A new database may be read by its owner only, as it holds the texts of files without their
 * permissions. Every message names the database file.
 *
 * Untrusted files. A database must have exactly the schema that pith creates: no further table,
 * column, view, trigger, index or virtual table. That is checked at opening and at the beginning of
 * every transaction. No value is read that is longer than its kind can be.
 *
 * Read-only media. A database that was closed properly (there is no '-wal' beside it, or an empty
 * one) can be opened with `read_only` where nothing can be written. It is then read without locks;
 * when the file changes nevertheless, calls fail with IO.
 *
 * Maps. With `map` the database is read through memory maps: truncating the file while it is in
 * use, or an error of the disk, then ends the process with SIGBUS instead of being an error.
 *
 * Conventions are those of pith.h. A store is used by one thread at a time.
 *
 * Errors of every function: ARGUMENT; MEMORY; IO (locked, read-only, disk full, a failed system
 * call); FORMAT (damaged, or not pith's database); CAPACITY (a value or a collection at its limit);
 * STOPPED (pith_store_interrupt). */
#ifndef PITH_STORE_STORE_H
#define PITH_STORE_STORE_H

#include "base/json.h"
#include "pith.h"

typedef struct pith_store pith_store;

enum {
    PITH_STORE_VERSION = 3, /* of the schema: "PRAGMA user_version"; all up to this are supported */
    PITH_STORE_MAX_DIMENSION = 65536,
    PITH_STORE_MAX_KEY = 65536,         /* bytes */
    PITH_STORE_MAX_METADATA = 16 << 20, /* bytes */
    PITH_STORE_PROMPT = 2048,           /* bytes of a prompt, with its NUL */
};

/* Zero-initialised means: all defaults. */
typedef struct pith_store_options {
    bool read_only;        /* never writes; a file that does not exist is an error */
    bool map;              /* read the file through memory maps: see above */
    bool in_memory;        /* no file: a new database in memory; `path` is its name in messages */
    int busy_milliseconds; /* how long to wait for another writer; 0: 5000; negative: no wait */
    const pith_allocator *allocator; /* of pith's own memory; SQLite has its own */
} pith_store_options;

/* Opens a database file, and creates it when there is none. Errors also: UNSUPPORTED (a newer
 * schema version, named). */
pith_status pith_store_open(pith_store **out, const char *path, const pith_store_options *options,
                            pith_error *error);
void pith_store_close(pith_store *store);

/* Makes the call in progress fail with STOPPED; from any thread or signal handler. */
void pith_store_interrupt(pith_store *store);

/* ---- Transactions ---------------------------------------------------------------------------- */

/* Several changes as one: begin locks the database for writing, commit makes all changes visible
 * and durable, rollback drops them. Without them every change is a transaction of its own. After a
 * failed commit nothing was written and the transaction is over. */
pith_status pith_store_begin(pith_store *store, pith_error *error);
pith_status pith_store_commit(pith_store *store, pith_error *error);
void pith_store_rollback(pith_store *store);

/* What is read until pith_store_rollback (or pith_store_close) is one state of the database,
 * whatever others write meanwhile: the hits of a search can then be read as they were found. */
pith_status pith_store_begin_reading(pith_store *store, pith_error *error);

/* ---- Collections ----------------------------------------------------------------------------- */

/* 0 stands for whatever the collection has; in a new one for INT8. */
typedef enum pith_vector_type { PITH_VECTOR_INT8 = 1, PITH_VECTOR_F32 = 2 } pith_vector_type;

/* A set of documents whose vectors come from one model. Texts are NUL-terminated UTF-8. */
typedef struct pith_store_collection {
    int64_t id;
    char name[128];      /* 1 to 127 bytes */
    char model[256];     /* name of the model, for messages */
    char model_hash[72]; /* identifies what decides its vectors */
    char old_hash[72];   /* when wanted: how version 0.1.0 identified the model, "" for not at all;
                            collections of that version are bound to it */
    char prompt[PITH_STORE_PROMPT]; /* in front of the texts of documents; "": none */
    bool any_prompt;                /* when wanted: whatever the collection has */
    size_t dimension;               /* of the vectors, 1 to PITH_STORE_MAX_DIMENSION */
    pith_vector_type type;
    size_t chunk_tokens, overlap_tokens; /* how documents were cut; 0 when wanted: any */
    size_t n_documents, n_chunks;
} pith_store_collection;

/* Finds the collection `wanted->name`, and with `create` makes it when there is none. An existing
 * one must be of the same model_hash, dimension, prompt, and, where they are wanted, type and chunk
 * sizes: anything else is UNSUPPORTED, naming both sides. One that is bound to `wanted->old_hash`
 * is accepted, and with `create` bound to model_hash. A database of schema version 1 becomes one of
 * version 2 when a new collection has a prompt. `wanted->id` and counts are ignored. Errors also:
 * ARGUMENT (no such collection, named). */
pith_status pith_store_collection_use(pith_store *store, const pith_store_collection *wanted,
                                      bool create, pith_store_collection *out, pith_error *error);

/* Errors also: ARGUMENT (no such collection, named). */
pith_status pith_store_collection_find(pith_store *store, const char *name,
                                       pith_store_collection *out, pith_error *error);

/* Deletes a collection with all its documents, in one transaction. Errors also: ARGUMENT (no such
 * collection, named). */
pith_status pith_store_collection_delete(pith_store *store, const char *name, pith_error *error);

/* Calls fn for every collection, by name. fn returns false to stop: success. */
pith_status pith_store_collections(pith_store *store,
                                   bool (*fn)(void *user, const pith_store_collection *collection),
                                   void *user, pith_error *error);

/* ---- Documents ------------------------------------------------------------------------------- */

typedef struct pith_store_document {
    /* [n_key], 1 to PITH_STORE_MAX_KEY: the name within the collection; a path of a file */
    const char *key;
    size_t n_key;
    const char *text; /* [n_bytes] */
    size_t n_bytes;
    const char *metadata; /* a JSON text of at most PITH_STORE_MAX_METADATA bytes, or NULL */
    uint8_t hash[32];     /* of the content, as the caller defines it */
    bool is_file;         /* it came from a file of that path; then: */
    int64_t size;         /* bytes */
    int64_t mtime;        /* nanoseconds since 1970 */
} pith_store_document;

/* Bytes [begin, end) of a document's text. */
typedef struct pith_store_chunk {
    size_t begin, end;
} pith_store_chunk;

/* Sets `hash` to the SHA-256 of text and metadata, by which pith index tells what has changed. */
void pith_store_hash(pith_store_document *document);

/* Writes a document, its chunks and their vectors [n_chunks, dimension], in place of one with the
 * same key. Errors also: ARGUMENT (a chunk outside of the text, NaN or infinity in a vector). */
pith_status pith_store_put(pith_store *store, const pith_store_collection *collection,
                           const pith_store_document *document, const pith_store_chunk *chunks,
                           size_t n_chunks, const float *vectors, pith_error *error);

/* What is known of a document without its text. */
typedef struct pith_store_state {
    bool found;
    uint8_t hash[32];
    bool is_file;
    int64_t size, mtime;
} pith_store_state;

pith_status pith_store_find(pith_store *store, const pith_store_collection *collection,
                            const char *key, size_t n_key, pith_store_state *out,
                            pith_error *error);

/* Records that a file was touched and has the same content. */
pith_status pith_store_touch(pith_store *store, const pith_store_collection *collection,
                             const char *key, size_t n_key, int64_t size, int64_t mtime,
                             pith_error *error);

pith_status pith_store_remove(pith_store *store, const pith_store_collection *collection,
                              const char *key, size_t n_key, bool *removed, pith_error *error);

/* Removes, in one transaction, the file documents whose key is `root` or begins with `root` and a
 * slash and for which `keep` is false. */
pith_status pith_store_remove_files(pith_store *store, const pith_store_collection *collection,
                                    const char *root,
                                    bool (*keep)(void *user, const char *key, size_t n_key),
                                    void *user, size_t *n_removed, pith_error *error);

/* ---- Search ---------------------------------------------------------------------------------- */

typedef struct pith_store_hit {
    int64_t chunk;
    double score; /* pith_cosine_int8 or pith_cosine_f32 of the stored vector and the query */
} pith_store_hit;

/* The `k` chunks closest to the vector query [dimension], best first, the earlier written first
 * among equals; exact: every vector is compared. With int8 vectors the query is quantised likewise.
 * hits [k], which a failed search may have overwritten; *n_hits is less than k when there are
 * fewer. Errors also: NUMERIC (NaN or infinity). */
pith_status pith_store_search(pith_store *store, const pith_store_collection *collection,
                              const float *query, size_t k, pith_store_hit *hits, size_t *n_hits,
                              pith_error *error);

/* The chunks of the documents whose metadata is an object that has every member of `wanted`, an
 * object too, with an equal value: texts byte by byte, integers of 64 bits exactly, other
 * numbers as doubles, true and false; null
 * also where there is no such member. Arrays and objects equal nothing. ids [n], ascending, is
 * released by the caller with pith_release of the store's allocator. */
pith_status pith_store_matching(pith_store *store, const pith_store_collection *collection,
                                pith_json wanted, int64_t **ids, size_t *n, pith_error *error);

/* As pith_store_search, among the chunks of ids [n_ids], ascending. */
pith_status pith_store_search_among(pith_store *store, const pith_store_collection *collection,
                                    const int64_t *ids, size_t n_ids, const float *query, size_t k,
                                    pith_store_hit *hits, size_t *n_hits, pith_error *error);

/* A chunk with its document. */
typedef struct pith_store_text {
    char *key; /* [n_key], and a NUL */
    size_t n_key;
    char *metadata; /* or NULL */
    char *text;     /* [n_bytes] of the chunk, and a NUL */
    size_t n_bytes;
    size_t begin, end; /* where it lies in the document */
} pith_store_text;

pith_status pith_store_read(pith_store *store, int64_t chunk, pith_store_text *out,
                            pith_error *error);
void pith_store_text_release(pith_store *store, pith_store_text *text);

#endif
