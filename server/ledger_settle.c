/* Settling: the result of a reservation is written into its row, or the row is removed.
 *
 * The work is done by then, so a database that is locked or full at that moment must not lose it:
 * what could not be written is owed, in memory, and written by the next transaction that writes. */
#include "server/ledger_internal.h"

#include <stdlib.h>

enum { MAX_OWED = 65536 }; /* about 3 MB; further ones are lost */

struct pith_ledger_owed {
    int64_t id;
    bool takes_back; /* else the settlement counts */
    pith_settlement settlement;
};

static const char settling[] = "settle a request";

/* ---- Steps, inside a transaction ------------------------------------------------------------- */

static pith_status not_open(const pith_ledger *ledger, int64_t id, pith_error *error) {
    return pith_fail(error, PITH_ERROR_ARGUMENT,
                     "%s: no reservation %lld: taken back, or older than a day",
                     ledger->store->path, (long long)id);
}

static pith_status settle(pith_ledger *ledger, int64_t id, const pith_settlement *settlement,
                          pith_error *error) {
    sqlite3_stmt *statement;
    pith_status status = pith_ledger_prepare(ledger, PITH_SQL_SETTLE, settling, &statement, error);
    if (status != PITH_OK) {
        return status;
    }
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, settlement->failed ? 1 : 0);
    sqlite3_bind_int64(statement, 3, (int64_t)settlement->prompt_tokens);
    sqlite3_bind_int64(statement, 4, (int64_t)settlement->generated_tokens);
    sqlite3_bind_double(statement, 5, settlement->seconds);
    status = pith_ledger_do(ledger, statement, settling, error);
    return status == PITH_OK && sqlite3_changes(ledger->store->db) == 0
               ? not_open(ledger, id, error)
               : status;
}

/* The row goes when nobody else was admitted by it. */
static pith_status take_back(pith_ledger *ledger, int64_t id, pith_error *error) {
    static const pith_ledger_sql steps[] = {PITH_SQL_LEAVE, PITH_SQL_REMOVE};
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement;
        status = pith_ledger_prepare(ledger, steps[i], settling, &statement, error);
        if (status == PITH_OK) {
            sqlite3_bind_int64(statement, 1, id);
            status = pith_ledger_do(ledger, statement, settling, error);
        }
        if (status == PITH_OK && i == 0 && sqlite3_changes(ledger->store->db) == 0) {
            status = not_open(ledger, id, error);
        }
    }
    return status;
}

static pith_status write_owed(pith_ledger *ledger, const pith_ledger_owed *owed,
                              pith_error *error) {
    return owed->takes_back ? take_back(ledger, owed->id, error)
                            : settle(ledger, owed->id, &owed->settlement, error);
}

/* ---- What is owed ---------------------------------------------------------------------------- */

/* Only these pass: anything else is wrong with the row itself, now and later. */
static bool may_pass(pith_status status) {
    return status == PITH_ERROR_IO || status == PITH_ERROR_MEMORY;
}

pith_status pith_ledger_pay(pith_ledger *ledger, pith_error *error) {
    for (size_t i = 0; i < ledger->n_owed; i++) {
        pith_status status = write_owed(ledger, &ledger->owed[i], error);
        if (may_pass(status)) {
            return status;
        }
    }
    return PITH_OK;
}

/* Keeps it for the next transaction; when out of memory, or beyond MAX_OWED, it is lost. */
static void owe(pith_ledger *ledger, const pith_ledger_owed *owed) {
    pthread_mutex_lock(&ledger->mutex);
    size_t n = ledger->n_owed;
    if (n < MAX_OWED && (n & (n - 1)) == 0) { /* the room for a power of two is used up */
        pith_ledger_owed *more =
            reallocarray(ledger->owed, n == 0 ? 1 : 2 * n, sizeof *ledger->owed);
        n = more != NULL ? n : MAX_OWED;
        ledger->owed = more != NULL ? more : ledger->owed;
    }
    if (n < MAX_OWED) {
        ledger->owed[n] = *owed;
        ledger->n_owed = n + 1;
    }
    pthread_mutex_unlock(&ledger->mutex);
}

static pith_status write_or_owe(pith_ledger *ledger, const pith_ledger_owed *owed,
                                pith_error *error) {
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_WRITING, error);
    if (status == PITH_OK) {
        status = pith_ledger_leave(ledger, write_owed(ledger, owed, error), error);
    }
    if (may_pass(status)) {
        owe(ledger, owed);
    }
    return status;
}

/* ---- From outside ---------------------------------------------------------------------------- */

pith_status pith_ledger_settle(pith_ledger *ledger, int64_t id, const pith_settlement *settlement,
                               pith_error *error) {
    /* Sums of a day's requests stay far from 2^63, and NaN is no duration. */
    if (settlement->prompt_tokens > PITH_LEDGER_TOKENS ||
        settlement->generated_tokens > PITH_LEDGER_TOKENS || !(settlement->seconds >= 0) ||
        settlement->seconds > PITH_LEDGER_SECONDS) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "a request of %zu prompt tokens, %zu generated ones and %g seconds",
                         settlement->prompt_tokens, settlement->generated_tokens,
                         settlement->seconds);
    }
    return write_or_owe(ledger, &(pith_ledger_owed){.id = id, .settlement = *settlement}, error);
}

pith_status pith_ledger_unreserve(pith_ledger *ledger, int64_t id, pith_error *error) {
    return write_or_owe(ledger, &(pith_ledger_owed){.id = id, .takes_back = true}, error);
}
