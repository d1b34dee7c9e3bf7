/* Quotas: admitting requests by counting those of the last hour.
 *
 * The window is a rolling hour: a request at time t counts until t + 3600 s, in milliseconds. When
 * the clock is set back, requests with a time in the future count as made now: so a key never gets
 * more requests than its limit, and is not locked out for as long as the clock was wrong. */
#include "server/ledger_internal.h"

#include <sodium.h>
#include <string.h>

enum {
    HOUR = PITH_QUOTA_SECONDS * PITH_LEDGER_MS,
    REPEAT = PITH_IDEMPOTENCY_SECONDS * PITH_LEDGER_MS,
    FOLD_EVERY = 256, /* reservations; a batch of folding is larger, so it keeps up */
};

static const char writing[] = "admit a request";
static const char counting[] = "count requests";

static size_t limit_of(const pith_key *key, pith_quota_kind kind) {
    return key == NULL                     ? 0
           : kind == PITH_QUOTA_KIND_INFER ? key->infer_per_hour
                                           : key->embed_per_hour;
}

/* A statement whose first parameters are the key, the kind and a time. */
static pith_status prepare_for(pith_ledger *ledger, pith_ledger_sql which, const pith_key *key,
                               pith_quota_kind kind, int64_t time, sqlite3_stmt **out,
                               pith_error *error) {
    pith_status status = pith_ledger_prepare(ledger, which, counting, out, error);
    if (status == PITH_OK) {
        sqlite3_bind_int64(*out, 1, key != NULL ? key->id : 0);
        sqlite3_bind_int64(*out, 2, (int64_t)kind);
        sqlite3_bind_int64(*out, 3, time);
    }
    return status;
}

static pith_status count(pith_ledger *ledger, const pith_key *key, pith_quota_kind kind,
                         int64_t now, size_t *used, pith_error *error) {
    sqlite3_stmt *row;
    bool found = false;
    pith_status status = prepare_for(ledger, PITH_SQL_COUNT, key, kind, now - HOUR, &row, error);
    if (status == PITH_OK) {
        status = pith_ledger_step(ledger, row, counting, &found, error);
    }
    if (found) {
        status = pith_ledger_count(ledger, row, 0, used, error);
        sqlite3_reset(row);
    }
    return status;
}

/* Seconds, rounded up, until one more request may come: until the oldest request leaves the hour,
 * or, where a limit was lowered, the one whose leaving makes room. */
static pith_status find_reset(pith_ledger *ledger, const pith_key *key, pith_quota_kind kind,
                              int64_t now, size_t used, pith_quota *quota, pith_error *error) {
    sqlite3_stmt *row;
    bool found = false;
    if (used == 0) {
        return PITH_OK;
    }
    pith_status status = prepare_for(ledger, PITH_SQL_NTH, key, kind, now - HOUR, &row, error);
    if (status == PITH_OK) {
        sqlite3_bind_int64(row, 4, used > quota->limit ? (int64_t)(used - quota->limit) : 0);
        status = pith_ledger_step(ledger, row, counting, &found, error);
    }
    if (found) {
        int64_t time = sqlite3_column_int64(row, 0);
        int64_t wait = (time < now ? time : now) + HOUR - now;
        quota->reset = (size_t)((wait + PITH_LEDGER_MS - 1) / PITH_LEDGER_MS);
        sqlite3_reset(row);
    }
    return status;
}

/* Inside a transaction. */
static pith_status look(pith_ledger *ledger, const pith_key *key, pith_quota_kind kind, int64_t now,
                        pith_quota *out, pith_error *error) {
    pith_quota quota = {.limit = limit_of(key, kind)};
    size_t used = 0;
    pith_status status = PITH_OK;
    if (quota.limit > 0) {
        status = count(ledger, key, kind, now, &used, error);
        quota.remaining = used < quota.limit ? quota.limit - used : 0;
        if (status == PITH_OK) {
            status = find_reset(ledger, key, kind, now, used, &quota, error);
        }
    }
    if (status == PITH_OK) {
        *out = quota;
    }
    return status;
}

pith_status pith_ledger_quota(pith_ledger *ledger, const pith_key *key, pith_quota_kind kind,
                              pith_quota *out, pith_error *error) {
    pith_quota quota;
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_READING, error);
    if (status != PITH_OK) {
        return status;
    }
    status = look(ledger, key, kind, pith_ledger_now(ledger), &quota, error);
    status = pith_ledger_leave(ledger, status, error);
    if (status == PITH_OK) {
        *out = quota;
    }
    return status;
}

/* ---- Repeated requests ----------------------------------------------------------------------- */

/* What the database stores of an idempotency key. `tag` is a hash of the API key's id, the kind and
 * the idempotency key. `body` is a hash of path and body keyed by another such hash: without the
 * idempotency key nobody can tell from the database whether a guessed prompt was sent. */
typedef struct repeat {
    unsigned char tag[PITH_LEDGER_HASH];
    unsigned char body[PITH_LEDGER_HASH];
} repeat;

static void hash_name(unsigned char *out, const pith_reservation_request *request, char purpose) {
    crypto_generichash_state state;
    const int64_t id = request->key != NULL ? request->key->id : 0;
    const unsigned char kind[2] = {(unsigned char)purpose, (unsigned char)request->kind};
    crypto_generichash_init(&state, NULL, 0, PITH_LEDGER_HASH);
    crypto_generichash_update(&state, kind, sizeof kind);
    crypto_generichash_update(&state, (const unsigned char *)&id, sizeof id);
    crypto_generichash_update(&state, (const unsigned char *)request->idempotency_key,
                              strlen(request->idempotency_key));
    crypto_generichash_final(&state, out, PITH_LEDGER_HASH);
}

static void hash_repeat(repeat *out, const pith_reservation_request *request) {
    unsigned char secret[PITH_LEDGER_HASH];
    hash_name(out->tag, request, 't');
    hash_name(secret, request, 'b');
    const char *path = request->path != NULL ? request->path : "";
    crypto_generichash_state state;
    crypto_generichash_init(&state, secret, sizeof secret, sizeof out->body);
    crypto_generichash_update(&state, (const unsigned char *)path, strlen(path) + 1);
    crypto_generichash_update(&state, request->body, request->n_body);
    crypto_generichash_final(&state, out->body, sizeof out->body);
    sodium_memzero(&state, sizeof state);
    sodium_memzero(secret, sizeof secret);
}

/* Inside a transaction: sets *admission and *id when the request is a repeated one. */
static pith_status find_repeat(pith_ledger *ledger, const repeat *wanted, int64_t now,
                               pith_admission *admission, int64_t *id, pith_error *error) {
    sqlite3_stmt *row;
    bool found = false;
    bool same = false;
    bool used_up = false;
    int64_t first = 0;
    pith_status status = pith_ledger_prepare(ledger, PITH_SQL_FIND_TAG, writing, &row, error);
    if (status == PITH_OK && !pith_ledger_bind_bytes(row, 1, wanted->tag, sizeof wanted->tag)) {
        status = pith_ledger_no_memory(ledger, writing, error);
    }
    if (status == PITH_OK) {
        sqlite3_bind_int64(row, 2, now - REPEAT);
        status = pith_ledger_step(ledger, row, writing, &found, error);
    }
    if (status != PITH_OK || !found) {
        return status;
    }
    const void *body = sqlite3_column_blob(row, 1);
    first = sqlite3_column_int64(row, 0);
    same = body != NULL && sqlite3_column_bytes(row, 1) == PITH_LEDGER_HASH &&
           sodium_memcmp(body, wanted->body, PITH_LEDGER_HASH) == 0;
    used_up = sqlite3_column_int64(row, 2) >= PITH_IDEMPOTENCY_TIMES;
    sqlite3_reset(row);
    if (!same) {
        *admission = PITH_OTHER_BODY;
        return PITH_OK;
    }
    if (used_up) { /* a request like any other, or the quota would be no limit */
        return PITH_OK;
    }
    status = pith_ledger_prepare(ledger, PITH_SQL_ADMIT_AGAIN, writing, &row, error);
    if (status == PITH_OK) {
        sqlite3_bind_int64(row, 1, first);
        status = pith_ledger_do(ledger, row, writing, error);
    }
    if (status == PITH_OK) {
        *admission = PITH_ADMITTED_AGAIN;
        *id = first;
    }
    return status;
}

/* ---- Reserving ------------------------------------------------------------------------------- */

static pith_status check_request(const pith_reservation_request *request, pith_error *error) {
    if (request->model == NULL || strnlen(request->model, PITH_LEDGER_MODEL) == PITH_LEDGER_MODEL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the name of a model has at most %d bytes",
                         PITH_LEDGER_MODEL - 1);
    }
    size_t n = request->idempotency_key != NULL
                   ? strnlen(request->idempotency_key, PITH_IDEMPOTENCY_KEY)
                   : 1;
    if (n == 0 || n == PITH_IDEMPOTENCY_KEY) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "an idempotency key has 1 to %d bytes",
                         PITH_IDEMPOTENCY_KEY - 1);
    }
    return PITH_OK;
}

/* Requests of this key that seem to come from the future were made before the clock was set. */
static pith_status heal(pith_ledger *ledger, const pith_reservation_request *request, int64_t now,
                        pith_error *error) {
    sqlite3_stmt *statement;
    pith_status status =
        prepare_for(ledger, PITH_SQL_HEAL, request->key, request->kind, now, &statement, error);
    return status == PITH_OK ? pith_ledger_do(ledger, statement, writing, error) : status;
}

static pith_status insert(pith_ledger *ledger, const pith_reservation_request *request,
                          const repeat *hashes, int64_t now, int64_t *id, pith_error *error) {
    sqlite3_stmt *statement;
    pith_status status =
        prepare_for(ledger, PITH_SQL_RESERVE, request->key, request->kind, now, &statement, error);
    if (status != PITH_OK) {
        return status;
    }
    bool bound = pith_ledger_bind_text(statement, 4, request->model);
    if (request->idempotency_key != NULL) {
        bound = bound && pith_ledger_bind_bytes(statement, 5, hashes->tag, sizeof hashes->tag) &&
                pith_ledger_bind_bytes(statement, 6, hashes->body, sizeof hashes->body);
    }
    status = bound ? pith_ledger_do(ledger, statement, writing, error)
                   : pith_ledger_no_memory(ledger, writing, error);
    if (status == PITH_OK) {
        *id = sqlite3_last_insert_rowid(ledger->store->db);
    }
    return status;
}

/* Inside a transaction. */
static pith_status admit(pith_ledger *ledger, const pith_reservation_request *request,
                         const repeat *hashes, pith_admission *admission, pith_quota *quota,
                         int64_t *id, pith_error *error) {
    int64_t now = pith_ledger_now(ledger);
    pith_status status = PITH_OK;
    if (ledger->n_until_fold-- == 0) {
        ledger->n_until_fold = FOLD_EVERY;
        status = pith_ledger_fold(ledger, now, error);
    }
    if (status == PITH_OK) {
        status = heal(ledger, request, now, error);
    }
    if (status == PITH_OK) {
        status = look(ledger, request->key, request->kind, now, quota, error);
    }
    *admission = quota->limit > 0 && quota->remaining == 0 ? PITH_OVER_QUOTA : PITH_ADMITTED;
    if (status == PITH_OK && request->idempotency_key != NULL) {
        status = find_repeat(ledger, hashes, now, admission, id, error);
    }
    if (status == PITH_OK && *admission == PITH_ADMITTED) {
        status = insert(ledger, request, hashes, now, id, error);
        if (quota->limit > 0) {
            quota->remaining--;
            quota->reset = quota->reset > 0 ? quota->reset : PITH_QUOTA_SECONDS;
        }
    }
    return status;
}

pith_status pith_ledger_reserve(pith_ledger *ledger, const pith_reservation_request *request,
                                pith_admission *admission, pith_quota *quota, int64_t *id,
                                pith_error *error) {
    repeat hashes;
    pith_admission admitted = PITH_OVER_QUOTA;
    pith_quota left = {.limit = 0};
    int64_t row = 0;
    pith_status status = check_request(request, error);
    if (status != PITH_OK) {
        return status;
    }
    if (request->idempotency_key != NULL) {
        hash_repeat(&hashes, request);
    }
    status = pith_ledger_enter(ledger, PITH_LEDGER_WRITING, error);
    if (status != PITH_OK) {
        return status;
    }
    status = admit(ledger, request, &hashes, &admitted, &left, &row, error);
    status = pith_ledger_leave(ledger, status, error);
    if (status == PITH_OK) {
        *admission = admitted;
        *quota = left;
        *id = row;
    }
    return status;
}
