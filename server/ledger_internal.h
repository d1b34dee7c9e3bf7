/* What the files of the ledger share: the connection, its statements, and transactions. */
#ifndef PITH_SERVER_LEDGER_INTERNAL_H
#define PITH_SERVER_LEDGER_INTERNAL_H

#include "server/ledger.h"
#include "store/internal.h"

#include <pthread.h>

/* The statements, prepared when first used and kept; ledger.c has their text. */
typedef enum pith_ledger_sql {
    PITH_SQL_ANY_KEY,
    PITH_SQL_ADD_KEY,
    PITH_SQL_KEY_BY_NAME,
    PITH_SQL_KEYS_BY_HASH,
    PITH_SQL_ALL_KEYS,
    PITH_SQL_REVOKE,
    PITH_SQL_SET_LIMITS,
    PITH_SQL_HEAL,
    PITH_SQL_COUNT,
    PITH_SQL_NTH,
    PITH_SQL_FIND_TAG,
    PITH_SQL_RESERVE,
    PITH_SQL_ADMIT_AGAIN,
    PITH_SQL_SETTLE,
    PITH_SQL_LEAVE,
    PITH_SQL_REMOVE,
    PITH_SQL_HEAL_OLD,
    PITH_SQL_FOLD,
    PITH_SQL_REMOVE_OLD,
    PITH_SQL_USAGE,
    PITH_N_SQL
} pith_ledger_sql;

enum {
    PITH_LEDGER_HASH = 32, /* bytes of BLAKE2b */
    PITH_LEDGER_MS = 1000, /* the unit of times in the database: milliseconds since 1970 */
    /* Requests are kept one by one for a day, but only the newest of them when they are very many:
     * about 100 MB. */
    PITH_LEDGER_ROWS = 1000000,
};

/* The end of a reservation that could not be written yet (ledger_settle.c). */
typedef struct pith_ledger_owed pith_ledger_owed;

struct pith_ledger {
    pthread_mutex_t mutex; /* guards all that follows */
    pith_store *store;
    sqlite3_stmt *statements[PITH_N_SQL];
    pith_ledger_clock clock;
    void *clock_user;
    bool in_memory;
    bool wants_key;      /* keys were seen; they are never deleted */
    bool flushing;       /* synchronous=FULL is set */
    bool was_locked;     /* the last transaction that was to write could not begin */
    int64_t max_rows;    /* PITH_LEDGER_ROWS, fewer in tests */
    size_t n_until_fold; /* reservations */
    pith_ledger_owed *owed;
    size_t n_owed;
    size_t n_paid; /* of them, in the transaction under way */
};

typedef enum pith_ledger_access {
    PITH_LEDGER_READING,
    PITH_LEDGER_WRITING,
    PITH_LEDGER_FLUSHING, /* writing; flushed to the disk when the transaction has ended */
} pith_ledger_access;

/* Locks the ledger and begins a transaction; on failure nothing is locked. One that writes begins
 * with what is owed. Leave commits when `status` is PITH_OK and rolls back otherwise, unlocks, and
 * returns the final status. */
pith_status pith_ledger_enter(pith_ledger *ledger, pith_ledger_access access, pith_error *error);
pith_status pith_ledger_leave(pith_ledger *ledger, pith_status status, pith_error *error);

/* A statement, reset and without bindings; owned by the ledger. `action` is for messages. */
pith_status pith_ledger_prepare(pith_ledger *ledger, pith_ledger_sql which, const char *action,
                                sqlite3_stmt **out, pith_error *error);

/* Steps a statement; *row: there is one to be read. Otherwise the statement is reset. */
pith_status pith_ledger_step(pith_ledger *ledger, sqlite3_stmt *statement, const char *action,
                             bool *row, pith_error *error);

/* Steps a statement without rows and resets it. */
pith_status pith_ledger_do(pith_ledger *ledger, sqlite3_stmt *statement, const char *action,
                           pith_error *error);

/* Binds a text that stays until the statement is reset. False: out of memory, or too long. */
bool pith_ledger_bind_text(sqlite3_stmt *statement, int index, const char *text);
bool pith_ledger_bind_bytes(sqlite3_stmt *statement, int index, const void *bytes, size_t n);
pith_status pith_ledger_no_memory(const pith_ledger *ledger, const char *action, pith_error *error);

/* A count of the database, which must not be negative. Errors: FORMAT. */
pith_status pith_ledger_count(const pith_ledger *ledger, sqlite3_stmt *row, int column, size_t *out,
                              pith_error *error);

int64_t pith_ledger_now(const pith_ledger *ledger); /* in PITH_LEDGER_MS */

/* Writes all that is owed, inside a transaction; it stays owed until that is committed. */
pith_status pith_ledger_pay(pith_ledger *ledger, pith_error *error);

/* Moves a batch of old requests to the totals of their days; inside a transaction. */
pith_status pith_ledger_fold(pith_ledger *ledger, int64_t now, pith_error *error);

#endif
