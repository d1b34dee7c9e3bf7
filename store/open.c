/* Opening a database: settings, schema, version; transactions and the messages for SQLite's
 * errors. */
#include "base/file.h"
#include "store/finished.h"
#include "store/functions.h"
#include "store/schema.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OPENING_STEPS = 10000, /* of SQLite's machine, a statement; pith's schema takes 100 */
    /* More than any statement of pith's needs. */
    MAX_SQL = 16 << 10, /* bytes */
    MAX_COLUMNS = 64,
    MAX_EXPRESSION_DEPTH = 64,
    MAX_TERMS = 4, /* of a compound SELECT */
    MAX_ARGUMENTS = 16,
    MAX_LIKE_PATTERN = 64, /* bytes */
};

#define MAP_SIZE "2147418112" /* bytes; SQLite's own limit */

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
        return sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, -1) <= PITH_STORE_MAX_VALUE
                   ? pith_fail(error, PITH_ERROR_FORMAT, "%s: cannot %s: a value is too large",
                               path, action)
                   : pith_fail(error, PITH_ERROR_CAPACITY,
                               "%s: cannot %s: larger than SQLite's limit", path, action);
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

pith_status pith_store_number(pith_store *store, const char *sql, int64_t *out, pith_error *error) {
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

void pith_store_limit_values(pith_store *store, bool texts) {
    sqlite3_limit(store->db, SQLITE_LIMIT_LENGTH, texts ? INT_MAX : PITH_STORE_MAX_VALUE);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* pith makes databases of UTF-8. In others every text is converted as it goes in or out, which
 * takes memory where none is expected. */
static pith_status check_encoding(pith_store *store, pith_error *error) {
    int64_t good = 0;
    pith_status status =
        pith_store_number(store, "SELECT encoding = 'UTF-8' FROM pragma_encoding", &good, error);
    if (status == PITH_OK && !good) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: a database whose texts are UTF-16; pith's are UTF-8", store->path);
    }
    return status;
}

/* The two numbers are in the header of the file and are read before its schema is. *empty is set
 * for a new file, without any table. */
static pith_status check_version(pith_store *store, bool *empty, pith_error *error) {
    int64_t application = 0;
    int64_t version = 0;
    int64_t n_tables = 0;
    pith_status status = pith_store_number(store, "PRAGMA application_id", &application, error);
    if (status == PITH_OK) {
        status = pith_store_number(store, "PRAGMA user_version", &version, error);
    }
    if (status == PITH_OK && application == 0 && version == 0) {
        status = pith_store_number(store, "SELECT count(*) FROM sqlite_schema", &n_tables, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    *empty = application == 0 && version == 0 && n_tables == 0;
    if (*empty) {
        return check_encoding(store, error);
    }
    if (application != PITH_STORE_APPLICATION || version < 1) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: a SQLite database, but not one of pith's",
                         store->path);
    }
    if (version > PITH_STORE_VERSION) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: schema version %lld; this version of pith knows versions up to %d",
                         store->path, (long long)version, PITH_STORE_VERSION);
    }
    return check_encoding(store, error);
}

/* 16 KB pages: a scan of 384-byte vectors visits a quarter of the pages it would visit with 4 KB.
 */
static pith_status create_schema(pith_store *store, pith_error *error) {
    pith_status status =
        pith_store_run(store, "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE",
                       "create", error);
    if (status != PITH_OK) {
        return status;
    }
    /* Another process may have created it first. */
    bool empty = false;
    status = check_version(store, &empty, error);
    if (status == PITH_OK && empty) {
        status = pith_schema_create(store, error);
    }
    return pith_store_leave(store, status, error);
}

/* Reports why a file could not be opened for writing, in the system's words: SQLite only reports
 * that it could not be read either. `code` is the errno value of creating it. */
static pith_status tell_why(const pith_store *store, int code, pith_error *error) {
    if (code == EEXIST && access(store->path, R_OK | W_OK) != 0) {
        code = errno;
    }
    struct stat facts;
    if (code == EEXIST && stat(store->path, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        code = EISDIR;
    }
    return code != EEXIST && code != 0 ? pith_fail_io(error, store->path, "open", code)
                                       : pith_store_fail(store, SQLITE_CANTOPEN, "open", error);
}

/* Ends the reading of a schema that takes too many steps. */
static int stop_opening(void *user) {
    pith_store *store = user;
    store->schema_too_large = true;
    return 1;
}

/* Settings for every statement: no code in a hostile database may run, and nothing in it may make
 * SQLite allocate more than the largest kind of value that pith reads. */
static void restrict_database(pith_store *store) {
    static const int limits[][2] = {
        {SQLITE_LIMIT_SQL_LENGTH, MAX_SQL},
        {SQLITE_LIMIT_COLUMN, MAX_COLUMNS},
        {SQLITE_LIMIT_EXPR_DEPTH, MAX_EXPRESSION_DEPTH},
        {SQLITE_LIMIT_COMPOUND_SELECT, MAX_TERMS},
        {SQLITE_LIMIT_FUNCTION_ARG, MAX_ARGUMENTS},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_LIKE_PATTERN},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    sqlite3 *db = store->db;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        sqlite3_limit(db, limits[i][0], limits[i][1]);
    }
    pith_store_limit_values(store, false);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_busy_timeout(db, store->busy_milliseconds);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_progress_handler(db, OPENING_STEPS, stop_opening, store);
}

/* Opens the file and reads its first page; returns SQLite's result code. */
static int open_connection(pith_store *store, const char *name, int flags) {
    int code = sqlite3_open_v2(name, &store->db, flags | SQLITE_OPEN_FULLMUTEX, NULL);
    if (store->db == NULL || code != SQLITE_OK) {
        return store->db == NULL ? SQLITE_NOMEM : code;
    }
    restrict_database(store);
    return sqlite3_exec(store->db, "PRAGMA cell_size_check=ON; PRAGMA application_id", NULL, NULL,
                        NULL);
}

/* A new database holds the texts of files without their permissions, so only its owner may read it.
 * It is created without being opened: closing a second descriptor would end the locks of another
 * connection of this process. Returns the errno value, EEXIST when there is a file. */
static int make_file(const char *path) {
    return mknod(path, S_IFREG | 0600, 0) == 0 ? 0 : errno;
}

static pith_status connect_writer(pith_store *store, pith_error *error) {
    int made = make_file(store->path);
    int code = open_connection(store, store->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if ((code & 0xff) == SQLITE_CANTOPEN) {
        return tell_why(store, made, error);
    }
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, "open", error);
    }
    if (sqlite3_db_readonly(store->db, "main") == 1) {
        return pith_fail(error, PITH_ERROR_IO, "%s: cannot open for writing: it is read-only",
                         store->path);
    }
    return PITH_OK;
}

static pith_status connect_reader(pith_store *store, pith_error *error) {
    int code = open_connection(store, store->path, SQLITE_OPEN_READONLY);
    if ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY) {
        char *uri = NULL;
        pith_status status = pith_finished_uri(store, &uri, error);
        if (status != PITH_OK) {
            return status;
        }
        if (uri != NULL) {
            sqlite3_close_v2(store->db);
            code = open_connection(store, uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
            pith_release(store->allocator, uri);
        }
    }
    return code == SQLITE_OK ? PITH_OK : pith_store_fail(store, code, "open", error);
}

static pith_status connect_memory(pith_store *store, pith_error *error) {
    int code = open_connection(store, ":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    return code == SQLITE_OK ? PITH_OK : pith_store_fail(store, code, "open", error);
}

static pith_status open_database(pith_store *store, const pith_store_options *options,
                                 pith_error *error) {
    pith_status status = options->in_memory   ? connect_memory(store, error)
                         : options->read_only ? connect_reader(store, error)
                                              : connect_writer(store, error);
    bool empty = false;
    if (status == PITH_OK) {
        status = check_version(store, &empty, error);
    }
    if (status == PITH_OK && empty && options->read_only) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: an empty database", store->path);
    }
    if (status == PITH_OK && empty) {
        status = create_schema(store, error);
    }
    if (status == PITH_OK) {
        status = pith_schema_check(store, error);
    }
    if (status != PITH_OK && store->schema_too_large) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: not pith's schema: it has thousands of entries", store->path);
    }
    if (status != PITH_OK) {
        return status;
    }
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    status = pith_store_run(store,
                            options->map ? "PRAGMA synchronous=FULL; PRAGMA mmap_size=" MAP_SIZE
                                         : "PRAGMA synchronous=FULL; PRAGMA mmap_size=0",
                            "open", error);
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
    store->schema_version = -1;
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
        pith_finished_free(store);
        pith_release(store->allocator, store->path);
        pith_release(store->allocator, store);
    }
}

void pith_store_interrupt(pith_store *store) {
    sqlite3_interrupt(store->db);
}

/* ---- Transactions ---------------------------------------------------------------------------- */

/* The schema may have been changed since it was checked; inside the transaction it cannot
 * change. */
static pith_status begin_checked(pith_store *store, const char *sql, const char *action,
                                 pith_error *error) {
    pith_status status = pith_store_run(store, sql, action, error);
    if (status == PITH_OK) {
        status = pith_schema_check(store, error);
        if (status != PITH_OK) {
            sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        }
    }
    return status;
}

static pith_status begin(pith_store *store, const char *sql, const char *action,
                         pith_error *error) {
    if (store->in_transaction) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: a transaction is open", store->path);
    }
    pith_status status = begin_checked(store, sql, action, error);
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
        return begin_checked(store, "BEGIN IMMEDIATE", "write", error);
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
