/* Usage: what was requested and what it cost, for ever. Requests are kept one by one for a day;
 * then they are folded into the sums of their day, so that the table that quotas count in stays
 * small and no total changes. */
#include "server/ledger_internal.h"

#include <math.h>

enum { BATCH = 512 }; /* rows folded at a time: about 2 ms */

static const char folding[] = "sum up old requests";
static const char reading[] = "read the usage";

pith_status pith_ledger_fold(pith_ledger *ledger, int64_t now, pith_error *error) {
    static const pith_ledger_sql steps[] = {PITH_SQL_HEAL_OLD, PITH_SQL_FOLD, PITH_SQL_REMOVE_OLD};
    const int64_t hour = (int64_t)PITH_QUOTA_SECONDS * PITH_LEDGER_MS;
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof steps / sizeof steps[0]; i++) {
        sqlite3_stmt *statement;
        bool heals = steps[i] == PITH_SQL_HEAL_OLD;
        status = pith_ledger_prepare(ledger, steps[i], folding, &statement, error);
        if (status == PITH_OK) {
            sqlite3_bind_int64(statement, 1, BATCH);
            sqlite3_bind_int64(statement, 2, heals ? now : now - 24 * hour);
            if (!heals) {
                sqlite3_bind_int64(statement, 3, now - hour);
                sqlite3_bind_int64(statement, 4, ledger->max_rows);
            }
            status = pith_ledger_do(ledger, statement, folding, error);
        }
    }
    return status;
}

static pith_status read_row(const pith_ledger *ledger, sqlite3_stmt *row, pith_usage_row *out,
                            pith_error *error) {
    int64_t kind = sqlite3_column_int64(row, 2);
    *out = (pith_usage_row){.key = (const char *)sqlite3_column_text(row, 0),
                            .model = (const char *)sqlite3_column_text(row, 1),
                            .kind = kind == 0 ? PITH_QUOTA_KIND_INFER : PITH_QUOTA_KIND_EMBED,
                            .seconds = sqlite3_column_double(row, 7)};
    size_t *const counts[] = {&out->requests, &out->failed, &out->prompt_tokens,
                              &out->generated_tokens};
    pith_status status = PITH_OK;
    if (out->key == NULL || out->model == NULL) {
        return pith_ledger_no_memory(ledger, reading, error);
    }
    for (size_t i = 0; status == PITH_OK && i < sizeof counts / sizeof counts[0]; i++) {
        status = pith_ledger_count(ledger, row, 3 + (int)i, counts[i], error);
    }
    return status == PITH_OK && !isfinite(out->seconds)
               ? pith_fail(error, PITH_ERROR_FORMAT, "%s: the ledger is damaged: %g seconds",
                           ledger->store->path, out->seconds)
               : status;
}

/* Inside a transaction. */
static pith_status read_usage(pith_ledger *ledger, int64_t key, int64_t since,
                              bool (*fn)(void *user, const pith_usage_row *row), void *user,
                              pith_error *error) {
    sqlite3_stmt *row;
    bool more = true;
    pith_status status = pith_ledger_prepare(ledger, PITH_SQL_USAGE, reading, &row, error);
    if (status != PITH_OK) {
        return status;
    }
    sqlite3_bind_int64(row, 1, key);
    sqlite3_bind_int64(row, 2, since);
    while (status == PITH_OK && more) {
        pith_usage_row usage;
        status = pith_ledger_step(ledger, row, reading, &more, error);
        if (status == PITH_OK && more) {
            status = read_row(ledger, row, &usage, error);
            more = status == PITH_OK && fn(user, &usage);
        }
    }
    sqlite3_reset(row);
    return status;
}

pith_status pith_ledger_usage(pith_ledger *ledger, int64_t key, int64_t since,
                              bool (*fn)(void *user, const pith_usage_row *row), void *user,
                              pith_error *error) {
    const int64_t latest = INT64_MAX / PITH_LEDGER_MS; /* seconds */
    since = since <= 0 ? INT64_MIN : (since < latest ? since : latest) * PITH_LEDGER_MS;
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_READING, error);
    if (status != PITH_OK) {
        return status;
    }
    status = read_usage(ledger, key, since, fn, user, error);
    return pith_ledger_leave(ledger, status, error);
}
