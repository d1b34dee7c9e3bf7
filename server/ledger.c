/* The ledger's connection: opening, statements, transactions, the clock.
 *
 * The file is a database of store/, opened by it: so the same checks hold for hostile ones (the
 * exact schema at each transaction, nothing in it runs, no value is longer than its kind), and
 * collections and ledger may share one file. store/schema.c has the tables:
 *
 *   keys        one row a key, for ever; `hash` is the BLAKE2b hash of its text
 *   requests    one row a request of the last day: `time` in milliseconds; `admissions` counts the
 *               admissions that were not taken back, more than one when a request was repeated;
 *               `tag` and `body` are hashes of its idempotency key and of path and body, else NULL
 *   usage_days  the sums of older requests by key, kind, model and day; `last` is the time of the
 *               latest request in a sum */
#include "base/file.h"
#include "server/ledger_internal.h"
#include "store/schema.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Longer than any row of the ledger and any entry of the schema; texts of collections are not read
 * through this connection. */
enum {
    MAX_VALUE = 64 << 10, /* bytes */
    IMPATIENCE = 50,      /* milliseconds for a database that was locked the last time */
};

#define KEY_COLUMNS "id, name, hash, infer_per_hour, embed_per_hour, max_tokens, created, revoked"

/* The rows that folding looks at: the oldest ones, so that a large table is not scanned. Of these
 * it folds those older than ?2 (a day), and older than ?3 (an hour) when more than ?4 are newer. */
#define OLDEST "(SELECT * FROM requests ORDER BY id LIMIT ?1)"
#define IS_OLD "(time <= ?2 OR (time <= ?3 AND id <= (SELECT max(id) FROM requests) - ?4))"

static const char *const statements[PITH_N_SQL] = {
    [PITH_SQL_ANY_KEY] = "SELECT EXISTS (SELECT 1 FROM keys)",
    [PITH_SQL_ADD_KEY] = "INSERT INTO keys(name, hash, infer_per_hour, embed_per_hour, max_tokens, "
                         "created, revoked) VALUES(?,?,?,?,?,?,0)",
    [PITH_SQL_KEY_BY_NAME] = "SELECT " KEY_COLUMNS " FROM keys WHERE name = ?",
    [PITH_SQL_KEYS_BY_HASH] = "SELECT " KEY_COLUMNS " FROM keys WHERE hash BETWEEN ? AND ?",
    [PITH_SQL_ALL_KEYS] = "SELECT " KEY_COLUMNS " FROM keys ORDER BY name",
    [PITH_SQL_REVOKE] = "UPDATE keys SET revoked = 1 WHERE name = ?",
    [PITH_SQL_SET_LIMITS] = "UPDATE keys SET infer_per_hour = ?2, embed_per_hour = ?3, max_tokens "
                            "= ?4 WHERE name = ?1",
    [PITH_SQL_HEAL] = "UPDATE requests SET time = ?3 WHERE key = ?1 AND kind = ?2 AND time > ?3",
    [PITH_SQL_COUNT] = "SELECT count(*) FROM requests WHERE key = ? AND kind = ? AND time > ?",
    [PITH_SQL_NTH] = "SELECT time FROM requests WHERE key = ? AND kind = ? AND time > ? ORDER BY "
                     "time LIMIT 1 OFFSET ?",
    [PITH_SQL_FIND_TAG] = "SELECT id, body, admissions FROM requests WHERE tag = ? AND time > ? "
                          "ORDER BY time DESC LIMIT 1",
    [PITH_SQL_RESERVE] =
        "INSERT INTO requests(key, kind, time, model, tag, body, admissions, failed, "
        "prompt_tokens, generated_tokens, seconds) VALUES(?,?,?,?,?,?,1,0,0,0,0)",
    [PITH_SQL_ADMIT_AGAIN] = "UPDATE requests SET admissions = admissions + 1 WHERE id = ?",
    [PITH_SQL_SETTLE] = "UPDATE requests SET failed = ?2, prompt_tokens = prompt_tokens + ?3, "
                        "generated_tokens = generated_tokens + ?4, seconds = seconds + ?5 WHERE id "
                        "= ?1",
    [PITH_SQL_LEAVE] = "UPDATE requests SET admissions = admissions - 1 WHERE id = ?",
    [PITH_SQL_REMOVE] = "DELETE FROM requests WHERE id = ? AND admissions < 1",
    [PITH_SQL_HEAL_OLD] =
        "UPDATE requests SET time = ?2 WHERE id IN (SELECT id FROM " OLDEST ") AND time > ?2",
    [PITH_SQL_FOLD] =
        "INSERT INTO usage_days(key, kind, model, day, last, requests, failed, prompt_tokens, "
        "generated_tokens, seconds) SELECT key, kind, model, time / 86400000, max(time), count(*), "
        "sum(failed), sum(prompt_tokens), sum(generated_tokens), sum(seconds) FROM " OLDEST
        " WHERE " IS_OLD " GROUP BY 1, 2, 3, 4 ON CONFLICT DO UPDATE SET last = max(last, "
        "excluded.last), requests = requests + excluded.requests, failed = failed + "
        "excluded.failed, prompt_tokens = prompt_tokens + excluded.prompt_tokens, generated_tokens "
        "= generated_tokens + excluded.generated_tokens, seconds = seconds + excluded.seconds",
    [PITH_SQL_REMOVE_OLD] =
        "DELETE FROM requests WHERE id IN (SELECT id FROM " OLDEST " WHERE " IS_OLD ")",
    [PITH_SQL_USAGE] =
        "SELECT coalesce(name, ''), model, kind, sum(n), sum(failed), sum(prompt), sum(generated), "
        "sum(seconds) FROM (SELECT key, model, kind, 1 AS n, failed, prompt_tokens AS prompt, "
        "generated_tokens AS generated, seconds FROM requests WHERE time >= ?2 AND (?1 = 0 OR key "
        "= ?1) UNION ALL SELECT key, model, kind, requests, failed, prompt_tokens, "
        "generated_tokens, seconds FROM usage_days WHERE last >= ?2 AND (?1 = 0 OR key = ?1)) LEFT "
        "JOIN keys ON keys.id = key GROUP BY key, model, kind ORDER BY 1, model, kind",
};

/* ---- Statements ------------------------------------------------------------------------------ */

pith_status pith_ledger_prepare(pith_ledger *ledger, pith_ledger_sql which, const char *action,
                                sqlite3_stmt **out, pith_error *error) {
    if (ledger->statements[which] == NULL) {
        int code = sqlite3_prepare_v3(ledger->store->db, statements[which], -1,
                                      SQLITE_PREPARE_PERSISTENT, &ledger->statements[which], NULL);
        if (code != SQLITE_OK) {
            return pith_store_fail(ledger->store, code, action, error);
        }
    }
    *out = ledger->statements[which];
    sqlite3_reset(*out);
    sqlite3_clear_bindings(*out);
    return PITH_OK;
}

pith_status pith_ledger_step(pith_ledger *ledger, sqlite3_stmt *statement, const char *action,
                             bool *row, pith_error *error) {
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (*row) {
        return PITH_OK;
    }
    pith_status status =
        code == SQLITE_DONE ? PITH_OK : pith_store_fail(ledger->store, code, action, error);
    sqlite3_reset(statement);
    return status;
}

pith_status pith_ledger_do(pith_ledger *ledger, sqlite3_stmt *statement, const char *action,
                           pith_error *error) {
    return pith_store_step(ledger->store, statement, action, error);
}

bool pith_ledger_bind_text(sqlite3_stmt *statement, int index, const char *text) {
    return sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC) == SQLITE_OK;
}

bool pith_ledger_bind_bytes(sqlite3_stmt *statement, int index, const void *bytes, size_t n) {
    return sqlite3_bind_blob64(statement, index, bytes, n, SQLITE_STATIC) == SQLITE_OK;
}

pith_status pith_ledger_no_memory(const pith_ledger *ledger, const char *action,
                                  pith_error *error) {
    return pith_store_fail(ledger->store, SQLITE_NOMEM, action, error);
}

pith_status pith_ledger_count(const pith_ledger *ledger, sqlite3_stmt *row, int column, size_t *out,
                              pith_error *error) {
    int64_t value = sqlite3_column_int64(row, column);
    if (value < 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the ledger is damaged: a count is %lld",
                         ledger->store->path, (long long)value);
    }
    *out = (size_t)value;
    return PITH_OK;
}

/* ---- Transactions ---------------------------------------------------------------------------- */

/* A setting of the connection, which cannot change inside a transaction. */
static pith_status set_flushing(pith_ledger *ledger, bool flushing, pith_error *error) {
    pith_status status = PITH_OK;
    if (flushing != ledger->flushing) {
        status = pith_store_run(ledger->store,
                                flushing ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                                "open", error);
    }
    ledger->flushing = status == PITH_OK ? flushing : ledger->flushing;
    return status;
}

/* A thread that waits here blocks all others, even readers. So after one has waited in vain for
 * another process, the next ones give up soon, until one succeeds. */
static pith_status begin_writing(pith_ledger *ledger, bool flushing, pith_error *error) {
    pith_store *store = ledger->store;
    pith_status status = set_flushing(ledger, flushing, error);
    if (status == PITH_OK) {
        int patience = store->busy_milliseconds;
        store->busy_milliseconds =
            ledger->was_locked && patience > IMPATIENCE ? IMPATIENCE : patience;
        sqlite3_busy_timeout(store->db, store->busy_milliseconds);
        status = pith_store_begin(store, error);
        store->busy_milliseconds = patience;
        sqlite3_busy_timeout(store->db, patience);
        ledger->was_locked = status == PITH_ERROR_IO;
    }
    return status;
}

static pith_status begin(pith_ledger *ledger, pith_ledger_access access, pith_error *error) {
    pith_store *store = ledger->store;
    pith_status status = access == PITH_LEDGER_READING
                             ? pith_store_begin_reading(store, error)
                             : begin_writing(ledger, access == PITH_LEDGER_FLUSHING, error);
    if (status == PITH_OK && !store->has_ledger) {
        pith_store_rollback(store);
        status = pith_fail(error, PITH_ERROR_FORMAT,
                           "%s: the database has no keys and no usage: it was made by 'pith index'",
                           store->path);
    }
    ledger->n_paid = 0;
    if (status == PITH_OK && access != PITH_LEDGER_READING && ledger->n_owed > 0) {
        status = pith_ledger_pay(ledger, error);
        ledger->n_paid = ledger->n_owed;
        if (status != PITH_OK) {
            pith_store_rollback(store);
        }
    }
    return status;
}

pith_status pith_ledger_enter(pith_ledger *ledger, pith_ledger_access access, pith_error *error) {
    pthread_mutex_lock(&ledger->mutex);
    pith_status status = begin(ledger, access, error);
    if (status != PITH_OK) {
        pthread_mutex_unlock(&ledger->mutex);
    }
    return status;
}

pith_status pith_ledger_leave(pith_ledger *ledger, pith_status status, pith_error *error) {
    if (status == PITH_OK) {
        status = pith_store_commit(ledger->store, error);
    } else {
        pith_store_rollback(ledger->store);
    }
    if (status == PITH_OK && ledger->n_paid > 0) {
        free(ledger->owed);
        ledger->owed = NULL;
        ledger->n_owed = 0;
    }
    pthread_mutex_unlock(&ledger->mutex);
    return status;
}

/* ---- The clock ------------------------------------------------------------------------------- */

static int64_t system_clock(void *user) {
    (void)user;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * PITH_LEDGER_MS + now.tv_nsec / 1000000;
}

int64_t pith_ledger_now(const pith_ledger *ledger) {
    return ledger->clock(ledger->clock_user);
}

void pith_ledger_set_clock(pith_ledger *ledger, pith_ledger_clock clock, void *user) {
    pthread_mutex_lock(&ledger->mutex);
    ledger->clock = clock != NULL ? clock : system_clock;
    ledger->clock_user = user;
    pthread_mutex_unlock(&ledger->mutex);
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* Looks at the keys inside a transaction. */
static pith_status look_for_keys(pith_ledger *ledger, pith_error *error) {
    static const char action[] = "look for keys";
    sqlite3_stmt *statement;
    bool row = false;
    pith_status status = pith_ledger_prepare(ledger, PITH_SQL_ANY_KEY, action, &statement, error);
    if (status == PITH_OK) {
        status = pith_ledger_step(ledger, statement, action, &row, error);
    }
    if (row) {
        ledger->wants_key = ledger->wants_key || sqlite3_column_int64(statement, 0) != 0;
        sqlite3_reset(statement);
    }
    return status;
}

pith_status pith_ledger_reload(pith_ledger *ledger, pith_error *error) {
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_READING, error);
    return status == PITH_OK ? pith_ledger_leave(ledger, look_for_keys(ledger, error), error)
                             : status;
}

bool pith_ledger_wants_key(pith_ledger *ledger) {
    pthread_mutex_lock(&ledger->mutex);
    bool known = ledger->in_memory || ledger->wants_key;
    bool wanted = ledger->wants_key;
    pthread_mutex_unlock(&ledger->mutex);
    if (known) {
        return wanted;
    }
    /* A database that cannot be read admits nobody. */
    if (pith_ledger_reload(ledger, NULL) != PITH_OK) {
        return true;
    }
    pthread_mutex_lock(&ledger->mutex);
    wanted = ledger->wants_key;
    pthread_mutex_unlock(&ledger->mutex);
    return wanted;
}

static pith_status add_schema(pith_store *store, pith_error *error) {
    pith_status status = pith_store_begin(store, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!store->has_ledger) { /* else another process was first */
        status = pith_schema_add_ledger(store, error);
    }
    if (status == PITH_OK) {
        return pith_store_commit(store, error);
    }
    pith_store_rollback(store);
    return status;
}

static pith_status open_ledger(pith_ledger *ledger, const char *path, bool create,
                               pith_error *error) {
    const pith_store_options options = {.in_memory = path == NULL};
    pith_status status =
        pith_store_open(&ledger->store, path != NULL ? path : "the ledger in memory", &options,
                        error);
    if (status == PITH_OK && create && !ledger->store->has_ledger) {
        status = add_schema(ledger->store, error);
    }
    if (status == PITH_OK) {
        sqlite3_limit(ledger->store->db, SQLITE_LIMIT_LENGTH, MAX_VALUE);
        ledger->flushing = true; /* as the store does */
    }
    return status == PITH_OK ? pith_ledger_reload(ledger, error) : status;
}

static pith_status open_new(pith_ledger **out, const char *path, bool create, pith_error *error) {
    if (sodium_init() < 0) {
        return pith_fail(error, PITH_ERROR_IO, "libsodium cannot start");
    }
    pith_ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL || pthread_mutex_init(&ledger->mutex, NULL) != 0) {
        free(ledger);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for a ledger");
    }
    ledger->in_memory = path == NULL;
    ledger->max_rows = PITH_LEDGER_ROWS;
    ledger->clock = system_clock;
    pith_status status = open_ledger(ledger, path, create, error);
    if (status != PITH_OK) {
        pith_ledger_close(ledger);
        return status;
    }
    *out = ledger;
    return PITH_OK;
}

pith_status pith_ledger_open(pith_ledger **out, const char *path, pith_error *error) {
    return open_new(out, path, true, error);
}

pith_status pith_ledger_open_existing(pith_ledger **out, const char *path, pith_error *error) {
    return access(path, F_OK) == 0 ? open_new(out, path, false, error)
                                   : pith_fail_io(error, path, "open", errno);
}

void pith_ledger_close(pith_ledger *ledger) {
    if (ledger == NULL) {
        return;
    }
    if (ledger->n_owed > 0 && pith_ledger_enter(ledger, PITH_LEDGER_WRITING, NULL) == PITH_OK) {
        pith_ledger_leave(ledger, PITH_OK, NULL);
    }
    free(ledger->owed);
    for (size_t i = 0; i < PITH_N_SQL; i++) {
        sqlite3_finalize(ledger->statements[i]);
    }
    pith_store_close(ledger->store);
    pthread_mutex_destroy(&ledger->mutex);
    free(ledger);
}
