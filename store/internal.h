/* What the files of store/ share: the connection and its errors. */
#ifndef PITH_STORE_INTERNAL_H
#define PITH_STORE_INTERNAL_H

#include "base/memory.h"
#include "base/status.h"
#include "store/store.h"

#include <sqlite3.h>

struct pith_store {
    sqlite3 *db;
    char *path;
    const pith_allocator *allocator;
    int busy_milliseconds;
    bool in_transaction;            /* of the caller */
    int64_t schema_version;         /* that was checked; -1: none */
    bool schema_too_large;          /* reading it was abandoned */
    bool has_prompts;               /* the schema is of version 2, or later */
    bool has_ledger;                /* of version 3 */
    struct pith_finished *finished; /* a database on read-only media, else NULL */
    struct pith_nearest *search;    /* in progress */
};

/* Fills `error` for the result code of SQLite's last call: "PATH: cannot ACTION: REASON". */
pith_status pith_store_fail(const pith_store *store, int code, const char *action,
                            pith_error *error);

/* Runs statements that return no rows. */
pith_status pith_store_run(pith_store *store, const char *sql, const char *action,
                           pith_error *error);

/* NULL on failure, with `error` filled. */
sqlite3_stmt *pith_store_prepare(pith_store *store, const char *sql, const char *action,
                                 pith_error *error);

/* The first value that a statement returns. `error` is not NULL. */
pith_status pith_store_number(pith_store *store, const char *sql, int64_t *out, pith_error *error);

/* The largest value that SQLite reads or writes: with `texts` that of SQLite itself, 1,000,000,000
 * bytes, which documents need; else PITH_STORE_MAX_VALUE. A larger one is refused by its length,
 * before it is read. */
enum { PITH_STORE_MAX_VALUE = PITH_STORE_MAX_METADATA };
void pith_store_limit_values(pith_store *store, bool texts);

/* Steps a statement that returns no rows, and resets it. */
pith_status pith_store_step(pith_store *store, sqlite3_stmt *statement, const char *action,
                            pith_error *error);

/* A transaction around one change, unless the caller has one: end commits when `status` is PITH_OK,
 * else rolls back, and returns the final status. */
pith_status pith_store_enter(pith_store *store, pith_error *error);
pith_status pith_store_leave(pith_store *store, pith_status status, pith_error *error);

/* Adds the function of pith_store_search to the connection; returns SQLite's result code. */
int pith_nearest_register(pith_store *store);

/* Ids of chunks: the collection's id, then 32 bits counted up, so that the vectors of a collection
 * are one range of their table. */
enum { PITH_CHUNK_BITS = 32, PITH_MAX_COLLECTION = 1 << 30 };
int64_t pith_chunk_first(const pith_store_collection *collection);
int64_t pith_chunk_last(const pith_store_collection *collection);

#endif
