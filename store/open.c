/* Opening a database: settings, schema, version; transactions and the words for SQLite's errors. */
#include "base/file.h"
#include "store/functions.h"
#include "store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { APPLICATION_ID = 0x70697468 }; /* "pith" */

/* 16 KB pages: a scan of 384-byte vectors visits a quarter of the pages it would visit with 4 KB.
 * The text of a document is its last column, so that the others are read without it. */
static const char schema[] =
    "CREATE TABLE collections(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model TEXT NOT "
    "NULL, model_hash TEXT NOT NULL, dimension INTEGER NOT NULL, type INTEGER NOT NULL, "
    "chunk_tokens INTEGER NOT NULL, overlap_tokens INTEGER NOT NULL) STRICT;"
    "CREATE TABLE documents(id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, key TEXT NOT "
    "NULL, metadata TEXT, hash BLOB NOT NULL, is_file INTEGER NOT NULL, size INTEGER NOT NULL, "
    "mtime INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE(collection, key)) STRICT;"
    "CREATE TABLE chunks(id INTEGER PRIMARY KEY, document INTEGER NOT NULL, first INTEGER NOT "
    "NULL, last INTEGER NOT NULL) STRICT;"
    "CREATE INDEX chunks_of_document ON chunks(document);"
    "CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;"
    "PRAGMA application_id=1885959272;"
    "PRAGMA user_version=1;";

pith_status pith_store_fail(const pith_store *store, int code, const char *action,
                            pith_error *error) {
    const char *path = store->path;
    int system = sqlite3_system_errno(store->db);
    if (code == SQLITE_IOERR_NOMEM) {
        code = SQLITE_NOMEM;
    }
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: cannot %s: out of memory", path, action);
    case SQLITE_INTERRUPT:
        return pith_fail(error, PITH_ERROR_STOPPED, "%s: interrupted", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return pith_fail(error, PITH_ERROR_IO,
                         "%s: cannot %s: locked by another process for %d milliseconds", path,
                         action, store->busy_milliseconds);
    case SQLITE_READONLY:
        if (code == SQLITE_READONLY_DIRECTORY || code == SQLITE_READONLY_CANTINIT) {
            return pith_fail(error, PITH_ERROR_IO,
                             "%s: cannot %s: its directory is read-only, and even reading needs "
                             "the files '-wal' and '-shm' beside it",
                             path, action);
        }
        return pith_fail(error, PITH_ERROR_IO, "%s: cannot %s: the database is read-only", path,
                         action);
    case SQLITE_FULL:
        return pith_fail(error, PITH_ERROR_IO, "%s: cannot %s: the disk is full", path, action);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: cannot %s: %s", path, action,
                         (code & 0xff) == SQLITE_NOTADB ? "not a SQLite database"
                                                        : "the database is damaged");
    case SQLITE_TOOBIG:
        return pith_fail(error, PITH_ERROR_CAPACITY, "%s: cannot %s: larger than SQLite's limit",
                         path, action);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_NOLFS:
    case SQLITE_PROTOCOL:
        return pith_fail(error, PITH_ERROR_IO, "%s: cannot %s: %s", path, action,
                         system != 0 ? strerror(system) : sqlite3_errmsg(store->db));
    default:
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: cannot %s: %s", path, action,
                         sqlite3_errmsg(store->db));
    }
}

pith_status pith_store_run(pith_store *store, const char *sql, const char *action,
                           pith_error *error) {
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? PITH_OK : pith_store_fail(store, code, action, error);
}

sqlite3_stmt *pith_store_prepare(pith_store *store, const char *sql, const char *action,
                                 pith_error *error) {
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
    if (code != SQLITE_OK) {
        pith_store_fail(store, code, action, error);
        return NULL;
    }
    return statement;
}

pith_status pith_store_step(pith_store *store, sqlite3_stmt *statement, const char *action,
                            pith_error *error) {
    pith_status status = PITH_OK;
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        status = pith_store_fail(store, code, action, error);
    }
    sqlite3_reset(statement);
    return status;
}

/* ---- Opening --------------------------------------------------------------------------------- */

static pith_status read_number(pith_store *store, const char *sql, int64_t *out,
                               pith_error *error) {
    sqlite3_stmt *statement = pith_store_prepare(store, sql, "open", error);
    if (statement == NULL) {
        return error != NULL ? error->status : PITH_ERROR_FORMAT;
    }
    pith_status status = PITH_OK;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    } else {
        status = pith_store_fail(store, code, "open", error);
    }
    sqlite3_finalize(statement);
    return status;
}

/* *empty: a new file, without any table. */
static pith_status check_version(pith_store *store, bool *empty, pith_error *error) {
    int64_t application = 0;
    int64_t version = 0;
    int64_t n_tables = 0;
    pith_status status = read_number(store, "PRAGMA application_id", &application, error);
    if (status == PITH_OK) {
        status = read_number(store, "PRAGMA user_version", &version, error);
    }
    if (status == PITH_OK) {
        status = read_number(store, "SELECT count(*) FROM sqlite_schema", &n_tables, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    *empty = application == 0 && version == 0 && n_tables == 0;
    if (*empty) {
        return PITH_OK;
    }
    if (application != APPLICATION_ID || version < 1) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: a SQLite database, but not one of pith's",
                         store->path);
    }
    if (version > PITH_STORE_VERSION) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: schema version %lld; this version of pith knows versions up to %d",
                         store->path, (long long)version, PITH_STORE_VERSION);
    }
    return PITH_OK;
}

static pith_status create_schema(pith_store *store, pith_error *error) {
    pith_status status =
        pith_store_run(store, "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE",
                       "create", error);
    if (status != PITH_OK) {
        return status;
    }
    /* Another process may have been first. */
    bool empty = false;
    status = check_version(store, &empty, error);
    if (status == PITH_OK && empty) {
        status = pith_store_run(store, schema, "create", error);
    }
    return pith_store_leave(store, status, error);
}

/* When a file cannot be made, SQLite tries to read it and knows only that there is none. */
static pith_status tell_why(const pith_store *store, int code, pith_error *error) {
    int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) {
        return pith_fail_io(error, store->path, "open", errno);
    }
    close(fd);
    return pith_store_fail(store, code, "open", error);
}

static pith_status open_database(pith_store *store, const pith_store_options *options,
                                 pith_error *error) {
    int flags =
        options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int code = sqlite3_open_v2(store->path, &store->db, flags | SQLITE_OPEN_FULLMUTEX, NULL);
    if (store->db == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
    }
    if (code == SQLITE_CANTOPEN && !options->read_only) {
        return tell_why(store, code, error);
    }
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, "open", error);
    }
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, store->busy_milliseconds);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* Nothing in a hostile schema may run: no functions, triggers or views; damaged pages are
     * looked at before use. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    pith_status status = pith_store_run(store,
                                        "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; "
                                        "PRAGMA synchronous=FULL; PRAGMA mmap_size=2147418112",
                                        "open", error);
    bool empty = false;
    if (status == PITH_OK) {
        status = check_version(store, &empty, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (!options->read_only && sqlite3_db_readonly(store->db, "main") == 1) {
        return pith_fail(error, PITH_ERROR_IO, "%s: cannot open for writing: it is read-only",
                         store->path);
    }
    if (empty && options->read_only) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: an empty database", store->path);
    }
    if (empty) {
        status = create_schema(store, error);
    }
    if (status == PITH_OK && (pith_functions_register(store->db) != SQLITE_OK ||
                              pith_nearest_register(store) != SQLITE_OK)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
    }
    return status;
}

pith_status pith_store_open(pith_store **out, const char *path, const pith_store_options *options,
                            pith_error *error) {
    static const pith_store_options defaults = {.read_only = false};
    options = options != NULL ? options : &defaults;
    if (out == NULL || path == NULL || path[0] == 0 || path[0] == ':') {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "'%s' names no database file",
                         path != NULL ? path : "");
    }
    const pith_allocator *allocator = pith_allocator_or_default(options->allocator);
    pith_store *store = pith_allocate_zeroed(allocator, 1, sizeof *store);
    if (store == NULL || (store->path = pith_copy_text(allocator, path, strlen(path))) == NULL) {
        pith_release(allocator, store);
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", path);
    }
    store->allocator = allocator;
    store->busy_milliseconds = options->busy_milliseconds == 0  ? 5000
                               : options->busy_milliseconds < 0 ? 0
                                                                : options->busy_milliseconds;
    pith_error local; /* helpers tell the status by it */
    pith_status status = open_database(store, options, &local);
    if (status != PITH_OK) {
        pith_store_close(store);
        return pith_fail(error, status, "%s", local.message);
    }
    *out = store;
    return PITH_OK;
}

void pith_store_close(pith_store *store) {
    if (store != NULL) {
        sqlite3_close_v2(store->db);
        pith_release(store->allocator, store->path);
        pith_release(store->allocator, store);
    }
}

void pith_store_interrupt(pith_store *store) {
    sqlite3_interrupt(store->db);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static pith_status begin(pith_store *store, const char *sql, const char *action,
                         pith_error *error) {
    if (store->in_transaction) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: a transaction is open", store->path);
    }
    pith_status status = pith_store_run(store, sql, action, error);
    store->in_transaction = status == PITH_OK;
    return status;
}

pith_status pith_store_begin(pith_store *store, pith_error *error) {
    return begin(store, "BEGIN IMMEDIATE", "write", error);
}

pith_status pith_store_begin_reading(pith_store *store, pith_error *error) {
    return begin(store, "BEGIN", "read", error);
}

void pith_store_rollback(pith_store *store) {
    store->in_transaction = false;
    if (sqlite3_get_autocommit(store->db) == 0) {
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    }
}

pith_status pith_store_commit(pith_store *store, pith_error *error) {
    /* A full disk may have rolled everything back already: COMMIT would then succeed on nothing. */
    if (!store->in_transaction || sqlite3_get_autocommit(store->db) != 0) {
        store->in_transaction = false;
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no transaction is open", store->path);
    }
    pith_status status = pith_store_run(store, "COMMIT", "write", error);
    if (status != PITH_OK) {
        pith_store_rollback(store);
    }
    store->in_transaction = false;
    return status;
}

pith_status pith_store_enter(pith_store *store, pith_error *error) {
    if (!store->in_transaction) {
        return pith_store_run(store, "BEGIN IMMEDIATE", "write", error);
    }
    if (sqlite3_get_autocommit(store->db) != 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: the transaction has failed before",
                         store->path);
    }
    return pith_store_run(store, "SAVEPOINT change", "write", error);
}

pith_status pith_store_leave(pith_store *store, pith_status status, pith_error *error) {
    const char *commit = store->in_transaction ? "RELEASE change" : "COMMIT";
    if (status == PITH_OK) {
        status = pith_store_run(store, commit, "write", error);
    }
    if (status != PITH_OK && sqlite3_get_autocommit(store->db) == 0) {
        sqlite3_exec(store->db,
                     store->in_transaction ? "ROLLBACK TO change; RELEASE change" : "ROLLBACK",
                     NULL, NULL, NULL);
    }
    return status;
}
