/* Keys, quotas and usage in one SQLite file, which may be that of `pith index` too.
 *
 * A request is admitted by a reservation, one row written in the transaction that counts the rows
 * of the last hour, and settled when it is over. A reservation that was never settled (kill -9)
 * counts as a request without tokens. Keys are stored as hashes.
 *
 * Durability. The end of the process, however it comes, loses nothing that was returned. A power
 * cut loses no key and no change of one; of requests it may lose those since SQLite last copied its
 * log into the database, usually the last few hundred, and then all of them from one moment on.
 * Waiting for the disk twice a request costs more than that is worth: 8,000 requests a second
 * (reserved and settled) became 1,900 on a virtual disk that flushes in 0.2 ms, and many take 1 to
 * 10 ms.
 *
 * Hostile databases: as store/store.h says, whose schema check knows the ledger's tables.
 *
 * All functions may be called from any thread; callbacks run while the ledger is locked and must
 * not call it. Several processes may use one database. Every message names the database file, so
 * none of them is for a client. Errors of every function: IO (locked, read-only, disk full), FORMAT
 * (damaged), MEMORY; outputs stay as they were. */
#ifndef PITH_SERVER_LEDGER_H
#define PITH_SERVER_LEDGER_H

#include "pith.h"

typedef struct pith_ledger pith_ledger;

enum {
    PITH_KEY_TEXT = 64,  /* a key with its NUL: "pith-" and 43 characters of base64url */
    PITH_KEY_NAME = 128, /* bytes with the NUL */
    PITH_QUOTA_INFER = 75,
    PITH_QUOTA_EMBED = 200,
    PITH_QUOTA_TOKENS = 1024, /* defaults */
    /* The largest limits. Each admission counts the requests of its hour: 100,000 of them take
     * 12 ms. */
    PITH_QUOTA_MAX = 100000,
    PITH_QUOTA_MAX_TOKENS = 1 << 30,
    PITH_QUOTA_SECONDS = 3600,
    PITH_IDEMPOTENCY_SECONDS = 600,
    PITH_IDEMPOTENCY_KEY = 256, /* bytes with the NUL */
    PITH_IDEMPOTENCY_TIMES = 4, /* answers that a counted request has: repeats beyond are counted */
    PITH_LEDGER_MODEL = 256,    /* bytes of a model's name with the NUL */
    PITH_LEDGER_TOKENS = 1 << 30,  /* most of one settlement, of either kind */
    PITH_LEDGER_SECONDS = 1 << 30, /* likewise */
};

typedef enum pith_quota_kind { PITH_QUOTA_KIND_INFER, PITH_QUOTA_KIND_EMBED } pith_quota_kind;

typedef struct pith_key {
    int64_t id;                            /* 0: no key, nothing is limited */
    char name[PITH_KEY_NAME];              /* UTF-8 without control characters */
    size_t infer_per_hour, embed_per_hour; /* rolling hour; 0: no limit */
    size_t max_tokens;                     /* of one response; 0: no limit */
    int64_t created;                       /* seconds since 1970 */
    bool revoked;
} pith_key;

/* `path` NULL: a ledger in memory, without keys. Creates the file (mode 0600) when there is none,
 * and the tables in a database of `pith index`. Errors also: FORMAT (not a database of pith),
 * UNSUPPORTED (a newer version). */
pith_status pith_ledger_open(pith_ledger **out, const char *path, pith_error *error);
/* As pith_ledger_open for a file that is there; creates nothing. Errors also: FORMAT (a database
 * without a ledger). */
pith_status pith_ledger_open_existing(pith_ledger **out, const char *path, pith_error *error);
void pith_ledger_close(pith_ledger *ledger);

/* Milliseconds since 1970. NULL, and at first: the system's clock. */
typedef int64_t (*pith_ledger_clock)(void *user);
void pith_ledger_set_clock(pith_ledger *ledger, pith_ledger_clock clock, void *user);

/* ---- Keys ------------------------------------------------------------------------------------ */

/* Makes a key; `limits` gives name and limits, text [PITH_KEY_TEXT] receives the key, which is
 * stored nowhere: the caller wipes it. A name is used once, as usage is counted by it, also when
 * its key was revoked. Errors also: ARGUMENT (name taken, empty, too long, or with control
 * characters; a limit above its maximum; a ledger in memory). */
pith_status pith_ledger_add_key(pith_ledger *ledger, const pith_key *limits, char *text,
                                pith_error *error);
/* Errors also: ARGUMENT (no such key). Revoking twice is no error. */
pith_status pith_ledger_revoke_key(pith_ledger *ledger, const char *name, pith_error *error);
/* Changes the limits of the key limits->name, from the next authentication on. Errors also:
 * ARGUMENT (no such key, a limit above its maximum). */
pith_status pith_ledger_set_limits(pith_ledger *ledger, const pith_key *limits, pith_error *error);
pith_status pith_ledger_find_key(pith_ledger *ledger, const char *name, pith_key *out,
                                 pith_error *error);
/* One call per key, by name, until `fn` returns false. */
pith_status pith_ledger_keys(pith_ledger *ledger, bool (*fn)(void *user, const pith_key *key),
                             void *user, pith_error *error);

/* True when there are keys (revoked ones count: a database whose keys were all revoked admits
 * nobody), and when the database cannot be read. A key that another process makes is seen by the
 * next call. Costs nothing once there is one. */
bool pith_ledger_wants_key(pith_ledger *ledger);
/* Checks that the database can still be read. Changes are seen without it. */
pith_status pith_ledger_reload(pith_ledger *ledger, pith_error *error);

/* Finds the key `text` [n_bytes], with its limits as the database has them now. ARGUMENT when there
 * is no such key, or it is revoked; the hash of the text is compared in constant time. */
pith_status pith_ledger_authenticate(pith_ledger *ledger, const char *text, size_t n_bytes,
                                     pith_key *out, pith_error *error);

/* ---- Quotas ---------------------------------------------------------------------------------- */

/* Of the rolling hour. All are 0 where there is no limit. */
typedef struct pith_quota {
    size_t limit, remaining; /* requests */
    size_t reset; /* seconds, rounded up, until `remaining` grows by one: then one more is admitted
                     for certain, unless another came first; 0 when none is used */
} pith_quota;

typedef enum pith_admission {
    PITH_ADMITTED,
    PITH_ADMITTED_AGAIN, /* by its idempotency key: counted already, so whatever the quota */
    PITH_OVER_QUOTA,
    PITH_OTHER_BODY, /* the idempotency key came with another path or body before */
} pith_admission;

typedef struct pith_reservation_request {
    const pith_key *key; /* its id and limits are used as they are; NULL: no key */
    pith_quota_kind kind;
    const char *model;
    const char *idempotency_key; /* NULL: none. Belongs to the key and kind, for 10 minutes from
                                    the first request or until PITH_IDEMPOTENCY_TIMES are admitted,
                                    when the next is counted anew; of equal bytes, not of equal
                                    JSON */
    const char *path;            /* of the URL, hashed with the body; NULL: none */
    const void *body;            /* [n_body], hashed for idempotency_key */
    size_t n_body;
} pith_reservation_request;

/* Admits a request, or says why not; *quota is what is left after it. When it was admitted, also
 * again, *id is to be settled or taken back once. Errors also: ARGUMENT (model or idempotency key
 * too long, or the latter empty: PITH_LEDGER_MODEL, PITH_IDEMPOTENCY_KEY). */
pith_status pith_ledger_reserve(pith_ledger *ledger, const pith_reservation_request *request,
                                pith_admission *admission, pith_quota *quota, int64_t *id,
                                pith_error *error);

typedef struct pith_settlement {
    size_t prompt_tokens, generated_tokens;
    double seconds;
    bool failed; /* 5xx or the client went away: counted, with the tokens it cost */
} pith_settlement;
/* The tokens of requests that were admitted again add up; the last one says whether it failed.
 * After IO and MEMORY (the database is locked, the disk full) the settlement is owed: the next
 * transaction that writes, or pith_ledger_close, writes it. Errors also: ARGUMENT (no such
 * reservation: taken back, or older than a day; values above their maximum). */
pith_status pith_ledger_settle(pith_ledger *ledger, int64_t id, const pith_settlement *settlement,
                               pith_error *error);

/* Takes a reservation back: the request was refused before any work (queue full). What was admitted
 * again by it stays. Owed as a settlement is. Errors also: ARGUMENT (no such reservation). */
pith_status pith_ledger_unreserve(pith_ledger *ledger, int64_t id, pith_error *error);

/* What is left, without a reservation. */
pith_status pith_ledger_quota(pith_ledger *ledger, const pith_key *key, pith_quota_kind kind,
                              pith_quota *out, pith_error *error);

/* ---- Usage ----------------------------------------------------------------------------------- */

typedef struct pith_usage_row {
    const char *key; /* name; "" without keys; strings are borrowed during the call */
    const char *model;
    pith_quota_kind kind;
    size_t requests, failed, prompt_tokens, generated_tokens; /* running ones are requests */
    double seconds;
} pith_usage_row;

/* One call per key, model and kind, sorted, until `fn` returns false. `key` 0: of all keys.
 * `since`: seconds since 1970. Totals from 0 on are exact for ever; a later `since` is exact within
 * the last day (or the last million requests), and before it means the beginning of its day (UTC).
 */
pith_status pith_ledger_usage(pith_ledger *ledger, int64_t key, int64_t since,
                              bool (*fn)(void *user, const pith_usage_row *row), void *user,
                              pith_error *error);

#endif
