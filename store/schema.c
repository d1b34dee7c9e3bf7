/* The schema: what pith creates, and the comparison of a database with it. A schema is code: views,
 * triggers, generated columns, expressions in indexes and virtual tables all run when a table of
 * that name is used. So there is no list of what is forbidden: everything must be as pith creates
 * it.
 *
 * Collections and the ledger of the service share one file. Version 1 has collections without
 * prompts, version 2 collections, version 3 both parts. A new database is of version 2 until a
 * ledger is opened in it. */
#include "store/schema.h"

#include <stdio.h>
#include <string.h>

typedef struct object {
    const char *type, *name, *table;
    const char *sql; /* NULL: SQLite makes it, for a UNIQUE */
    const char *old; /* `sql` of version 1; NULL: the same */
    int64_t since;   /* the first version that has it; 0: all do */
} object;

enum { WITH_PROMPTS = 2, WITH_LEDGER = 3 };

_Static_assert((int)WITH_LEDGER == (int)PITH_STORE_VERSION, "the newest version has all parts");

#define COLLECTIONS                                                                               \
    "CREATE TABLE collections(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model TEXT NOT " \
    "NULL, model_hash TEXT NOT NULL, dimension INTEGER NOT NULL, type INTEGER NOT NULL, "         \
    "chunk_tokens INTEGER NOT NULL, overlap_tokens INTEGER NOT NULL"
#define PROMPT "prompt TEXT NOT NULL DEFAULT ''"

/* The text of a document is its last column, so that the others are read without it. */
static const object objects[] = {
    {"table", "collections", "collections", COLLECTIONS ", " PROMPT ") STRICT",
     COLLECTIONS ") STRICT", 0},
    {"index", "sqlite_autoindex_collections_1", "collections", NULL, NULL, 0},
    {"table", "documents", "documents",
     "CREATE TABLE documents(id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, key TEXT NOT "
     "NULL, metadata TEXT, hash BLOB NOT NULL, is_file INTEGER NOT NULL, size INTEGER NOT NULL, "
     "mtime INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE(collection, key)) STRICT",
     NULL, 0},
    {"index", "sqlite_autoindex_documents_1", "documents", NULL, NULL, 0},
    {"table", "chunks", "chunks",
     "CREATE TABLE chunks(id INTEGER PRIMARY KEY, document INTEGER NOT NULL, first INTEGER NOT "
     "NULL, last INTEGER NOT NULL) STRICT",
     NULL, 0},
    {"index", "chunks_of_document", "chunks", "CREATE INDEX chunks_of_document ON chunks(document)",
     NULL, 0},
    {"table", "vectors", "vectors",
     "CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT", NULL, 0},
    /* The ledger; server/ledger.h says what the tables mean. Counting the requests of
     * an hour reads the index requests_of_key alone. */
    {"table", "keys", "keys",
     "CREATE TABLE keys(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, hash BLOB NOT NULL "
     "UNIQUE, infer_per_hour INTEGER NOT NULL, embed_per_hour INTEGER NOT NULL, max_tokens INTEGER "
     "NOT NULL, created INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT",
     NULL, WITH_LEDGER},
    {"index", "sqlite_autoindex_keys_1", "keys", NULL, NULL, WITH_LEDGER},
    {"index", "sqlite_autoindex_keys_2", "keys", NULL, NULL, WITH_LEDGER},
    {"table", "requests", "requests",
     "CREATE TABLE requests(id INTEGER PRIMARY KEY, key INTEGER NOT NULL, kind INTEGER NOT NULL, "
     "time INTEGER NOT NULL, model TEXT NOT NULL, admissions INTEGER NOT NULL, failed INTEGER NOT "
     "NULL, prompt_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL, seconds REAL NOT "
     "NULL, tag BLOB, body BLOB) STRICT",
     NULL, WITH_LEDGER},
    {"index", "requests_of_key", "requests",
     "CREATE INDEX requests_of_key ON requests(key, kind, time)", NULL, WITH_LEDGER},
    {"index", "requests_of_tag", "requests",
     "CREATE INDEX requests_of_tag ON requests(tag, time) WHERE tag IS NOT NULL", NULL,
     WITH_LEDGER},
    {"table", "usage_days", "usage_days",
     "CREATE TABLE usage_days(key INTEGER NOT NULL, kind INTEGER NOT NULL, model TEXT NOT NULL, "
     "day INTEGER NOT NULL, last INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT "
     "NULL, prompt_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL, seconds REAL NOT "
     "NULL, PRIMARY KEY(key, kind, model, day)) STRICT, WITHOUT ROWID",
     NULL, WITH_LEDGER},
};

enum { N_OBJECTS = sizeof objects / sizeof objects[0] };

static const char action[] = "read the schema";

/* Creates what all versions have (`since` 0), or what version `since` added. */
static pith_status create_objects(pith_store *store, int64_t since, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < N_OBJECTS; i++) {
        if (objects[i].sql != NULL && objects[i].since == since) {
            status = pith_store_run(store, objects[i].sql, "create", error);
        }
    }
    return status;
}

pith_status pith_schema_create(pith_store *store, pith_error *error) {
    char pragmas[80];
    pith_status status = create_objects(store, 0, error);
    snprintf(pragmas, sizeof pragmas, "PRAGMA application_id=%d; PRAGMA user_version=%d",
             PITH_STORE_APPLICATION, WITH_PROMPTS);
    return status == PITH_OK ? pith_store_run(store, pragmas, "create", error) : status;
}

pith_status pith_schema_add_ledger(pith_store *store, pith_error *error) {
    pith_status status = store->has_prompts ? PITH_OK : pith_schema_add_prompts(store, error);
    if (status == PITH_OK) {
        status = create_objects(store, WITH_LEDGER, error);
    }
    return status == PITH_OK ? pith_store_run(store, "PRAGMA user_version=3", "create", error)
                             : status;
}

pith_status pith_schema_add_prompts(pith_store *store, pith_error *error) {
    return pith_store_run(store,
                          "ALTER TABLE collections ADD COLUMN " PROMPT "; PRAGMA user_version=2",
                          "write", error);
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* True when a column holds exactly `text`; NULL stands for NULL. */
static bool column_is(sqlite3_stmt *row, int column, const char *text) {
    if (text == NULL) {
        return sqlite3_column_type(row, column) == SQLITE_NULL;
    }
    size_t n = strlen(text);
    return sqlite3_column_type(row, column) == SQLITE_TEXT &&
           (size_t)sqlite3_column_bytes(row, column) == n &&
           memcmp(sqlite3_column_text(row, column), text, n) == 0;
}

/* A column for a message. */
static const char *column_name(sqlite3_stmt *row, int column) {
    const char *text = (const char *)sqlite3_column_text(row, column);
    return text != NULL ? text : "";
}

/* Checks one row of sqlite_schema; `roots` [N_OBJECTS] are the root pages so far, 0 before. */
static pith_status check_object(const pith_store *store, sqlite3_stmt *row, int64_t version,
                                int64_t n_pages, int64_t *roots, pith_error *error) {
    bool old = version == 1;
    size_t i = 0;
    while (i < N_OBJECTS && !column_is(row, 1, objects[i].name)) {
        i++;
    }
    if (i == N_OBJECTS || roots[i] != 0 || objects[i].since > version) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: not pith's schema: unexpected %.16s '%.64s'", store->path,
                         column_name(row, 0), column_name(row, 1));
    }
    const object *wanted = &objects[i];
    if (!column_is(row, 0, wanted->type) || !column_is(row, 2, wanted->table) ||
        !column_is(row, 4, old && wanted->old != NULL ? wanted->old : wanted->sql)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: not pith's schema: the %s '%s' differs",
                         store->path, wanted->type, wanted->name);
    }
    int64_t root = sqlite3_column_int64(row, 3);
    bool good = sqlite3_column_type(row, 3) == SQLITE_INTEGER && root > 1 && root <= n_pages;
    for (size_t other = 0; other < N_OBJECTS; other++) {
        good = good && roots[other] != root;
    }
    if (!good) {
        return pith_fail(
            error, PITH_ERROR_FORMAT,
            "%s: not pith's schema: the %s '%s' has root page %lld, which is another's or "
            "none of the file's",
            store->path, wanted->type, wanted->name, (long long)root);
    }
    roots[i] = root;
    return PITH_OK;
}

static pith_status check_objects(pith_store *store, int64_t version, int64_t n_pages,
                                 pith_error *error) {
    int64_t roots[N_OBJECTS] = {0};
    sqlite3_stmt *row =
        pith_store_prepare(store, "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema",
                           action, error);
    if (row == NULL) {
        return error->status;
    }
    pith_status status = PITH_OK;
    int code;
    while ((code = sqlite3_step(row)) == SQLITE_ROW && status == PITH_OK) {
        status = check_object(store, row, version, n_pages, roots, error);
    }
    if (status == PITH_OK && code != SQLITE_DONE) {
        status = pith_store_fail(store, code, action, error);
    }
    sqlite3_finalize(row);
    for (size_t i = 0; status == PITH_OK && i < N_OBJECTS; i++) {
        if (roots[i] == 0 && objects[i].since <= version) {
            status =
                pith_fail(error, PITH_ERROR_FORMAT, "%s: not pith's schema: the %s '%s' is missing",
                          store->path, objects[i].type, objects[i].name);
        }
    }
    return status;
}

pith_status pith_schema_check(pith_store *store, pith_error *error) {
    pith_error local; /* helpers tell the status by it */
    int64_t version = 0;
    int64_t user_version = 0;
    int64_t n_pages = 0;
    pith_status status = pith_store_number(store, "PRAGMA schema_version", &version, &local);
    if (status == PITH_OK && store->schema_version == version) {
        return PITH_OK;
    }
    if (status == PITH_OK) {
        status = pith_store_number(store, "PRAGMA page_count", &n_pages, &local);
    }
    if (status == PITH_OK) {
        status = pith_store_number(store, "PRAGMA user_version", &user_version, &local);
    }
    if (status == PITH_OK) {
        status = check_objects(store, user_version, n_pages, &local);
    }
    if (status != PITH_OK) {
        return pith_fail(error, status, "%s", local.message);
    }
    store->schema_version = version;
    store->has_prompts = user_version >= WITH_PROMPTS;
    store->has_ledger = user_version >= WITH_LEDGER;
    return PITH_OK;
}
