/* API keys. A key is 32 random bytes, written as text; the database has its BLAKE2b hash.
 *
 * Why one fast hash: password hashes are slow because people choose passwords that can be guessed.
 * A key has 256 bits of entropy; nobody can guess one however fast the hash is, and a slow hash
 * would cost time at each request.
 *
 * Why an index may find it: rows are found by the first 8 bytes of the hash, which takes a time
 * that depends on them, and the whole hash is compared in constant time. Timing the look-up could
 * at best reveal 64 bits of a stored hash. That does not help to find the key: it takes a text with
 * that hash, which even the whole hash does not give. */
#include "base/utf8.h"
#include "server/ledger_internal.h"

#include <sodium.h>
#include <string.h>

enum { RANDOM_BYTES = 32, PREFIX = 8 }; /* bytes; of the hash */

static const char key_prefix[] = "pith-";
static const char writing[] = "write a key";
static const char reading[] = "read the keys";

_Static_assert(sizeof key_prefix - 1 +
                       sodium_base64_ENCODED_LEN(RANDOM_BYTES,
                                                 sodium_base64_VARIANT_URLSAFE_NO_PADDING) <=
                   PITH_KEY_TEXT,
               "a key fits");

static void hash_key(unsigned char *hash, const char *text, size_t n) {
    crypto_generichash(hash, PITH_LEDGER_HASH, (const unsigned char *)text, n, NULL, 0);
}

/* Names go to messages, JSON and metrics. */
static pith_status check_key(const pith_key *key, pith_error *error) {
    size_t n = strnlen(key->name, sizeof key->name);
    if (n == 0 || n == sizeof key->name) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the name of a key has 1 to %d bytes",
                         PITH_KEY_NAME - 1);
    }
    bool good = pith_utf8_check(key->name, n) == n;
    for (size_t i = 0; i < n; i++) {
        good = good && (unsigned char)key->name[i] >= 0x20 && key->name[i] != 0x7f;
    }
    if (!good) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the name of a key is UTF-8 without control characters");
    }
    if (key->infer_per_hour > PITH_QUOTA_MAX || key->embed_per_hour > PITH_QUOTA_MAX ||
        key->max_tokens > PITH_QUOTA_MAX_TOKENS) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "limits of a key: at most %d requests an hour and %d tokens",
                         PITH_QUOTA_MAX, PITH_QUOTA_MAX_TOKENS);
    }
    return PITH_OK;
}

/* Reads a row of KEY_COLUMNS, lengths before values. `hash` [PITH_LEDGER_HASH]. */
static pith_status read_key(const pith_ledger *ledger, sqlite3_stmt *row, pith_key *out,
                            unsigned char *hash, pith_error *error) {
    pith_key key = {.id = sqlite3_column_int64(row, 0)};
    int n_name = sqlite3_column_bytes(row, 1);
    if (key.id < 1 || sqlite3_column_type(row, 1) != SQLITE_TEXT || n_name < 1 ||
        n_name >= PITH_KEY_NAME || sqlite3_column_type(row, 2) != SQLITE_BLOB ||
        sqlite3_column_bytes(row, 2) != PITH_LEDGER_HASH) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the ledger is damaged: key %lld",
                         ledger->store->path, (long long)key.id);
    }
    const void *name = sqlite3_column_text(row, 1);
    const void *stored = sqlite3_column_blob(row, 2);
    if (name == NULL || stored == NULL) {
        return pith_ledger_no_memory(ledger, reading, error);
    }
    memcpy(key.name, name, (size_t)n_name);
    memcpy(hash, stored, PITH_LEDGER_HASH);
    key.created = sqlite3_column_int64(row, 6);
    key.revoked = sqlite3_column_int64(row, 7) != 0;
    pith_status status = pith_ledger_count(ledger, row, 3, &key.infer_per_hour, error);
    if (status == PITH_OK) {
        status = pith_ledger_count(ledger, row, 4, &key.embed_per_hour, error);
    }
    if (status == PITH_OK) {
        status = pith_ledger_count(ledger, row, 5, &key.max_tokens, error);
    }
    if (status == PITH_OK) {
        *out = key;
    }
    return status;
}

/* ---- Changing -------------------------------------------------------------------------------- */

/* Runs a statement that changes the key `name`, inside a transaction. Errors also: ARGUMENT (there
 * is no such key). */
static pith_status change(pith_ledger *ledger, sqlite3_stmt *statement, const char *name,
                          pith_error *error) {
    if (!pith_ledger_bind_text(statement, 1, name)) {
        return pith_ledger_no_memory(ledger, writing, error);
    }
    pith_status status = pith_ledger_do(ledger, statement, writing, error);
    if (status == PITH_OK && sqlite3_changes(ledger->store->db) == 0) {
        status =
            pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no key '%s'", ledger->store->path, name);
    }
    return status;
}

static void bind_limits(sqlite3_stmt *statement, int first, const pith_key *limits) {
    sqlite3_bind_int64(statement, first, (int64_t)limits->infer_per_hour);
    sqlite3_bind_int64(statement, first + 1, (int64_t)limits->embed_per_hour);
    sqlite3_bind_int64(statement, first + 2, (int64_t)limits->max_tokens);
}

/* Finds a key by name inside a transaction; *found: there is one. */
static pith_status find_key(pith_ledger *ledger, const char *name, pith_key *out, bool *found,
                            pith_error *error) {
    unsigned char hash[PITH_LEDGER_HASH];
    sqlite3_stmt *row;
    pith_status status = pith_ledger_prepare(ledger, PITH_SQL_KEY_BY_NAME, reading, &row, error);
    if (status == PITH_OK && !pith_ledger_bind_text(row, 1, name)) {
        status = pith_ledger_no_memory(ledger, reading, error);
    }
    if (status == PITH_OK) {
        status = pith_ledger_step(ledger, row, reading, found, error);
    }
    if (status == PITH_OK && *found) {
        status = read_key(ledger, row, out, hash, error);
        sqlite3_reset(row);
    }
    return status;
}

static pith_status insert_key(pith_ledger *ledger, const pith_key *key, const unsigned char *hash,
                              pith_error *error) {
    pith_key other;
    bool found = false;
    sqlite3_stmt *statement;
    pith_status status = find_key(ledger, key->name, &other, &found, error);
    if (status == PITH_OK && found) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s: there is a key '%s' already%s: usage is counted by name",
                         ledger->store->path, key->name, other.revoked ? ", a revoked one" : "");
    }
    if (status == PITH_OK) {
        status = pith_ledger_prepare(ledger, PITH_SQL_ADD_KEY, writing, &statement, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (!pith_ledger_bind_text(statement, 1, key->name) ||
        !pith_ledger_bind_bytes(statement, 2, hash, PITH_LEDGER_HASH)) {
        return pith_ledger_no_memory(ledger, writing, error);
    }
    bind_limits(statement, 3, key);
    sqlite3_bind_int64(statement, 6, pith_ledger_now(ledger) / PITH_LEDGER_MS);
    return pith_ledger_do(ledger, statement, writing, error);
}

pith_status pith_ledger_add_key(pith_ledger *ledger, const pith_key *limits, char *text,
                                pith_error *error) {
    unsigned char random[RANDOM_BYTES];
    unsigned char hash[PITH_LEDGER_HASH];
    char made[PITH_KEY_TEXT];
    pith_status status = check_key(limits, error);
    if (status == PITH_OK && ledger->in_memory) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "keys need a database");
    }
    if (status != PITH_OK) {
        return status;
    }
    randombytes_buf(random, sizeof random);
    memcpy(made, key_prefix, sizeof key_prefix);
    sodium_bin2base64(made + sizeof key_prefix - 1, sizeof made - (sizeof key_prefix - 1), random,
                      sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    hash_key(hash, made, strlen(made));
    status = pith_ledger_enter(ledger, PITH_LEDGER_FLUSHING, error);
    if (status == PITH_OK) {
        status = pith_ledger_leave(ledger, insert_key(ledger, limits, hash, error), error);
    }
    if (status == PITH_OK) {
        memcpy(text, made, strlen(made) + 1);
    }
    sodium_memzero(random, sizeof random);
    sodium_memzero(made, sizeof made);
    return status;
}

pith_status pith_ledger_revoke_key(pith_ledger *ledger, const char *name, pith_error *error) {
    sqlite3_stmt *statement;
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_FLUSHING, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_ledger_prepare(ledger, PITH_SQL_REVOKE, writing, &statement, error);
    if (status == PITH_OK) {
        status = change(ledger, statement, name, error);
    }
    return pith_ledger_leave(ledger, status, error);
}

pith_status pith_ledger_set_limits(pith_ledger *ledger, const pith_key *limits, pith_error *error) {
    sqlite3_stmt *statement;
    pith_status status = check_key(limits, error);
    if (status == PITH_OK) {
        status = pith_ledger_enter(ledger, PITH_LEDGER_FLUSHING, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    status = pith_ledger_prepare(ledger, PITH_SQL_SET_LIMITS, writing, &statement, error);
    if (status == PITH_OK) {
        bind_limits(statement, 2, limits);
        status = change(ledger, statement, limits->name, error);
    }
    return pith_ledger_leave(ledger, status, error);
}

/* ---- Reading --------------------------------------------------------------------------------- */

pith_status pith_ledger_find_key(pith_ledger *ledger, const char *name, pith_key *out,
                                 pith_error *error) {
    pith_key key;
    bool found = false;
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_READING, error);
    if (status != PITH_OK) {
        return status;
    }
    status = find_key(ledger, name, &key, &found, error);
    if (status == PITH_OK && !found) {
        status =
            pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no key '%s'", ledger->store->path, name);
    }
    status = pith_ledger_leave(ledger, status, error);
    if (status == PITH_OK) {
        *out = key;
    }
    return status;
}

pith_status pith_ledger_keys(pith_ledger *ledger, bool (*fn)(void *user, const pith_key *key),
                             void *user, pith_error *error) {
    unsigned char hash[PITH_LEDGER_HASH];
    pith_key key;
    sqlite3_stmt *row;
    bool more = true;
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_READING, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_ledger_prepare(ledger, PITH_SQL_ALL_KEYS, reading, &row, error);
    while (status == PITH_OK && more) {
        status = pith_ledger_step(ledger, row, reading, &more, error);
        if (status == PITH_OK && more) {
            status = read_key(ledger, row, &key, hash, error);
            more = status == PITH_OK && fn(user, &key);
            if (!more) {
                sqlite3_reset(row);
            }
        }
    }
    return pith_ledger_leave(ledger, status, error);
}

/* Inside a transaction: the key with this hash, when there is one. */
static pith_status find_hash(pith_ledger *ledger, const unsigned char *hash, pith_key *out,
                             bool *found, pith_error *error) {
    unsigned char first[PITH_LEDGER_HASH] = {0};
    unsigned char last[PITH_LEDGER_HASH];
    unsigned char stored[PITH_LEDGER_HASH];
    pith_key key;
    sqlite3_stmt *row = NULL;
    bool more = true;
    memset(last, 0xff, sizeof last);
    memcpy(first, hash, PREFIX);
    memcpy(last, hash, PREFIX);
    pith_status status = pith_ledger_prepare(ledger, PITH_SQL_KEYS_BY_HASH, reading, &row, error);
    if (status == PITH_OK && (!pith_ledger_bind_bytes(row, 1, first, sizeof first) ||
                              !pith_ledger_bind_bytes(row, 2, last, sizeof last))) {
        status = pith_ledger_no_memory(ledger, reading, error);
    }
    while (status == PITH_OK && more) {
        status = pith_ledger_step(ledger, row, reading, &more, error);
        if (status == PITH_OK && more) {
            status = read_key(ledger, row, &key, stored, error);
            if (status == PITH_OK && sodium_memcmp(hash, stored, PITH_LEDGER_HASH) == 0) {
                *out = key;
                *found = true;
            }
        }
    }
    if (status != PITH_OK && row != NULL) {
        sqlite3_reset(row);
    }
    return status;
}

pith_status pith_ledger_authenticate(pith_ledger *ledger, const char *text, size_t n_bytes,
                                     pith_key *out, pith_error *error) {
    unsigned char hash[PITH_LEDGER_HASH];
    pith_key key;
    bool found = false;
    hash_key(hash, text, n_bytes);
    pith_status status = pith_ledger_enter(ledger, PITH_LEDGER_READING, error);
    if (status == PITH_OK) {
        status = pith_ledger_leave(ledger, find_hash(ledger, hash, &key, &found, error), error);
    }
    sodium_memzero(hash, sizeof hash);
    if (status != PITH_OK) {
        return status;
    }
    if (!found) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: an unknown key", ledger->store->path);
    }
    if (key.revoked) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: the key '%s' was revoked",
                         ledger->store->path, key.name);
    }
    *out = key;
    return PITH_OK;
}
