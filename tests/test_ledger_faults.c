/* The ledger when things go wrong: many threads, kill -9, hostile databases, no memory, no room. */
#include "server/ledger_internal.h"
#include "tests/ledger_data.h"
#include "tests/sqlite_memory.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pith_error error;

/* ---- Threads --------------------------------------------------------------------------------- */

enum { N_THREADS = 64, EACH = 40, LIMIT = 1000 };

typedef struct storm {
    pith_ledger *ledgers[2]; /* of one file, as two processes have them */
    _Atomic size_t n_started;
    char text[PITH_KEY_TEXT];
    _Atomic size_t admitted, refused, failed;
    _Atomic uint64_t remaining[LIMIT / 64 + 1]; /* a bit for each `remaining` that was told */
    _Atomic size_t twice;
} storm;

static bool request_once(storm *s, pith_ledger *ledger, size_t i) {
    const pith_settlement cost = {.prompt_tokens = 2, .generated_tokens = 3, .seconds = 0.5};
    pith_admission admission;
    pith_quota quota;
    pith_key key;
    int64_t id;
    if (pith_ledger_authenticate(ledger, s->text, strlen(s->text), &key, NULL) != PITH_OK) {
        return false;
    }
    const pith_reservation_request request = {.key = &key, .model = "m"};
    if (pith_ledger_reserve(ledger, &request, &admission, &quota, &id, NULL) != PITH_OK) {
        return false;
    }
    if (admission == PITH_OVER_QUOTA) {
        s->refused++;
        return true;
    }
    uint64_t bit = UINT64_C(1) << quota.remaining % 64;
    if ((atomic_fetch_or(&s->remaining[quota.remaining / 64], bit) & bit) != 0) {
        s->twice++;
    }
    s->admitted++;
    return i % 2 != 0 || pith_ledger_settle(ledger, id, &cost, NULL) == PITH_OK;
}

static void *run_storm(void *user) {
    storm *s = user;
    pith_ledger *ledger = s->ledgers[s->n_started++ % 2];
    for (size_t i = 0; i < EACH; i++) {
        if (!request_once(s, ledger, i)) {
            s->failed++;
        }
    }
    return NULL;
}

TEST(ledger_faults, threads_admit_exactly_the_limit) {
    pthread_t threads[N_THREADS];
    static storm s;
    const char *path = test_path("ledger-storm.db");
    s.ledgers[0] = test_ledger_open(path, NULL);
    s.ledgers[1] = test_ledger_open(path, NULL);
    pith_key key = test_ledger_key(s.ledgers[0], "a", LIMIT, 0, s.text);
    for (size_t i = 0; i < N_THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run_storm, &s) == 0, "thread %zu", i);
    }
    for (size_t i = 0; i < N_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(s.failed == 0, "%zu failed", (size_t)s.failed);
    CHECK(s.admitted == LIMIT && s.refused == N_THREADS * EACH - LIMIT, "%zu admitted, %zu refused",
          (size_t)s.admitted, (size_t)s.refused);
    CHECK(s.twice == 0, "%zu were told the same remainder", (size_t)s.twice);
    pith_usage_row row = test_ledger_usage(s.ledgers[1], "a", "m", PITH_QUOTA_KIND_INFER, 0);
    CHECK(row.requests == LIMIT && 2 * row.generated_tokens == 3 * row.prompt_tokens &&
              row.prompt_tokens > 0,
          "%zu requests, %zu and %zu tokens", row.requests, row.prompt_tokens,
          row.generated_tokens);
    pith_quota quota;
    CHECK(pith_ledger_quota(s.ledgers[1], &key, PITH_QUOTA_KIND_INFER, &quota, &error) == PITH_OK &&
              quota.remaining == 0,
          "%zu remain", quota.remaining);
    pith_ledger_close(s.ledgers[1]);
    pith_ledger_close(s.ledgers[0]);
}

/* ---- Killed ---------------------------------------------------------------------------------- */

typedef struct shared_counts {
    _Atomic size_t begun, admitted, settled;
} shared_counts;

typedef struct doomed {
    pith_ledger *ledger;
    const pith_key *key;
    shared_counts *counts;
} doomed;

static void *reserve_for_ever(void *user) {
    doomed *d = user;
    const pith_settlement cost = {.prompt_tokens = 1};
    const pith_reservation_request request = {.key = d->key, .model = "m"};
    for (;;) {
        pith_admission admission;
        pith_quota quota;
        int64_t id;
        if (pith_ledger_reserve(d->ledger, &request, &admission, &quota, &id, NULL) != PITH_OK) {
            _exit(3);
        }
        if (admission == PITH_ADMITTED) {
            d->counts->admitted++;
            if (pith_ledger_settle(d->ledger, id, &cost, NULL) != PITH_OK) {
                _exit(4);
            }
            d->counts->settled++;
        }
    }
    return NULL;
}

/* A child with eight threads, killed when it has admitted at least `wanted`. */
static void run_and_kill(const char *path, const pith_key *key, shared_counts *counts,
                         size_t wanted) {
    pid_t child = fork();
    CHECK(child >= 0, "no child: %s", strerror(errno));
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        doomed d = {.ledger = test_ledger_open(path, NULL), .key = key, .counts = counts};
        pthread_t thread;
        for (size_t i = 0; i < 7; i++) {
            if (pthread_create(&thread, NULL, reserve_for_ever, &d) != 0) {
                _exit(2);
            }
        }
        reserve_for_ever(&d);
    }
    int status = 0;
    while (counts->admitted < wanted && waitpid(child, &status, WNOHANG) == 0) {
        usleep(200);
    }
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status), "the child ended by itself with %d", WEXITSTATUS(status));
}

TEST(ledger_faults, killed_in_a_storm) {
    enum { ALL = 2000, ROUNDS = 8 };
    const char *path = test_path("ledger-killed.db");
    shared_counts *counts =
        mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(counts != MAP_FAILED, "no memory");
    pith_ledger *ledger = test_ledger_open(path, NULL);
    pith_key key = test_ledger_key(ledger, "a", ALL, 0, NULL);
    pith_ledger_close(ledger);
    for (size_t round = 1; round <= ROUNDS; round++) {
        /* Each kill may leave a reservation a thread that nobody was told of. */
        run_and_kill(path, &key, counts,
                     round < ROUNDS ? round * ALL / (ROUNDS + 1) : ALL - 8 * ROUNDS);
        ledger = test_ledger_open(path, NULL);
        pith_usage_row row = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0);
        CHECK(row.requests >= counts->admitted && row.requests <= counts->admitted + 8 * round,
              "round %zu: %zu requests in the ledger, %zu were admitted", round, row.requests,
              (size_t)counts->admitted);
        CHECK(row.prompt_tokens >= counts->settled && row.prompt_tokens <= row.requests,
              "round %zu: %zu settled in the ledger, %zu were", round, row.prompt_tokens,
              (size_t)counts->settled);
        pith_ledger_close(ledger);
    }
    ledger = test_ledger_open(path, NULL);
    pith_quota quota;
    int64_t id;
    size_t more = 0;
    size_t before = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0).requests;
    while (test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED) {
        more++;
    }
    CHECK(before + more == ALL, "%zu requests of %d", before + more, (int)ALL);
    CHECK(counts->admitted + more <= ALL, "%zu were admitted, more than %d",
          (size_t)counts->admitted + more, (int)ALL);
    pith_ledger_close(ledger);
    munmap(counts, sizeof *counts);
}

/* ---- One file with collections --------------------------------------------------------------- */

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s: %s", path, sqlite3_errmsg(db));
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

TEST(ledger_faults, one_file_with_collections) {
    char path[400];
    char text[PITH_KEY_TEXT];
    pith_store_collection notes;
    pith_store_state state;
    pith_ledger *ledger;
    pith_key key;
    snprintf(path, sizeof path, "%s", test_path("ledger-one.db"));
    CHECK(pith_ledger_open_existing(&ledger, path, &error) == PITH_ERROR_IO &&
              strstr(error.message, "No such file") != NULL,
          "%s", error.message);
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(test_store_put(store, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_open_existing(&ledger, path, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "pith index") != NULL && strstr(error.message, path) != NULL,
          "%s", error.message);
    /* The ledger comes while the store is open, and the store goes on. */
    ledger = test_ledger_open(path, NULL);
    test_ledger_key(ledger, "a", 1, 1, text);
    CHECK(test_store_put(store, &notes, 2, 0, &error) == PITH_OK, "%s", error.message);
    pith_store_close(store);
    store = test_store_open(path, 0, &notes);
    CHECK(pith_store_find(store, &notes, "doc-2", 5, &state, &error) == PITH_OK && state.found,
          "%s", error.message);
    pith_store_close(store);
    pith_ledger_close(ledger);
    CHECK(pith_ledger_open_existing(&ledger, path, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_authenticate(ledger, text, strlen(text), &key, &error) == PITH_OK, "%s",
          error.message);
    pith_ledger_close(ledger);
    /* A collection with a prompt in a database that began as a ledger of version 1's. */
    snprintf(path, sizeof path, "%s", test_path("ledger-first.db"));
    store = test_store_open(path, 0, &notes);
    pith_store_close(store);
    run_sql(path, "ALTER TABLE collections DROP COLUMN prompt; PRAGMA user_version=1");
    ledger = test_ledger_open(path, NULL);
    test_ledger_key(ledger, "a", 1, 1, NULL);
    pith_ledger_close(ledger);
    store = test_store_open(path, 0, &notes);
    CHECK(store->has_prompts && store->has_ledger, "not of version 3");
    pith_store_close(store);
}

TEST(ledger_faults, a_new_ledger_is_its_owners) {
    struct stat facts;
    const char *path = test_path("ledger-mode.db");
    mode_t before = umask(0);
    pith_ledger_close(test_ledger_open(path, NULL));
    umask(before);
    CHECK(stat(path, &facts) == 0 && (facts.st_mode & 0777) == 0600, "mode %o",
          (unsigned)facts.st_mode);
}

/* ---- Hostile databases ----------------------------------------------------------------------- */

static char key_text[PITH_KEY_TEXT];

static void make(const char *path) {
    pith_quota quota;
    int64_t id;
    remove(path);
    pith_ledger *ledger = test_ledger_open(path, NULL);
    pith_key key = test_ledger_key(ledger, "a", 10, 10, key_text);
    test_ledger_reserve(ledger, &key, &quota, &id);
    pith_ledger_close(ledger);
}

TEST(ledger_faults, every_difference_of_the_schema_is_refused_by_name) {
    static const struct {
        const char *sql, *words;
    } cases[] = {
        {"DROP TABLE usage_days; CREATE VIEW usage_days AS SELECT 1", "'usage_days'"},
        {"DROP INDEX requests_of_key", "the index 'requests_of_key' is missing"},
        {"DROP TABLE requests", "the table 'requests' is missing"},
        {"ALTER TABLE keys ADD COLUMN more TEXT AS (hex(zeroblob(100000000)))", "the table 'keys'"},
        {"CREATE TRIGGER more AFTER INSERT ON requests BEGIN DELETE FROM requests; END",
         "unexpected trigger 'more'"},
        {"PRAGMA user_version=2", "unexpected table 'keys'"},
        {"DROP TABLE vectors", "the table 'vectors' is missing"},
        {"PRAGMA user_version=9", "version 9"},
        {"PRAGMA application_id=9", "not one of pith's"},
    };
    char path[400];
    pith_ledger *ledger = NULL;
    snprintf(path, sizeof path, "%s", test_path("ledger-schema.db"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make(path);
        run_sql(path, cases[i].sql);
        pith_status status = pith_ledger_open(&ledger, path, &error);
        CHECK((status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED) && ledger == NULL &&
                  strstr(error.message, cases[i].words) != NULL &&
                  strstr(error.message, path) != NULL,
              "%s: status %d, %s", cases[i].sql, (int)status, error.message);
    }
}

/* The schema may change under an open ledger too. */
TEST(ledger_faults, a_trigger_put_in_later_does_not_run) {
    char path[400];
    pith_admission admission;
    pith_quota quota;
    pith_key key;
    int64_t id;
    snprintf(path, sizeof path, "%s", test_path("ledger-later.db"));
    make(path);
    pith_ledger *ledger = test_ledger_open(path, NULL);
    CHECK(pith_ledger_authenticate(ledger, key_text, strlen(key_text), &key, &error) == PITH_OK,
          "%s", error.message);
    run_sql(path, "CREATE TRIGGER more AFTER INSERT ON requests BEGIN DELETE FROM requests; END");
    const pith_reservation_request request = {.key = &key, .model = "m"};
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) ==
              PITH_ERROR_FORMAT,
          "reserved");
    CHECK(pith_ledger_authenticate(ledger, key_text, strlen(key_text), &key, &error) ==
              PITH_ERROR_FORMAT,
          "opened");
    pith_ledger_close(ledger);
}

static bool ignore_key(void *user, const pith_key *key) {
    (void)user;
    (void)key;
    return true;
}

static bool ignore_usage(void *user, const pith_usage_row *row) {
    (void)user;
    (void)row;
    return true;
}

/* A row found by the beginning of its hash is not yet the key. */
TEST(ledger_faults, the_whole_hash_is_compared) {
    char path[400];
    pith_key key;
    snprintf(path, sizeof path, "%s", test_path("ledger-prefix.db"));
    make(path);
    run_sql(path, "UPDATE keys SET hash = CAST(substr(hash, 1, 8) || zeroblob(24) AS BLOB)");
    pith_ledger *ledger = test_ledger_open(path, NULL);
    CHECK(pith_ledger_find_key(ledger, "a", &key, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_authenticate(ledger, key_text, strlen(key_text), &key, &error) ==
              PITH_ERROR_ARGUMENT,
          "opened by 8 bytes of a hash");
    pith_ledger_close(ledger);
}

/* Every function once; the worst that came of them but ARGUMENT, and its message in `error`. */
static pith_status use(pith_ledger *ledger, pith_error *worst) {
    const pith_settlement cost = {.prompt_tokens = 1, .generated_tokens = 2, .seconds = 1};
    pith_admission admission;
    pith_quota quota;
    pith_key key = {.id = 1, .infer_per_hour = 100};
    char text[PITH_KEY_TEXT];
    int64_t id = 0;
    pith_reservation_request request = {
        .key = &key, .model = "m", .idempotency_key = "k", .body = "b", .n_body = 1};
    pith_error now;
    pith_status status = PITH_OK;
    for (size_t step = 0; step < 11; step++) {
        pith_status result = PITH_OK;
        switch (step) {
        case 0:
            result = pith_ledger_authenticate(ledger, key_text, strlen(key_text), &key, &now);
            break;
        case 1:
        case 2:
            result = pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &now);
            break;
        case 3:
            result = pith_ledger_settle(ledger, id, &cost, &now);
            break;
        case 4:
            result = pith_ledger_unreserve(ledger, id, &now);
            break;
        case 5:
            result = pith_ledger_quota(ledger, &key, PITH_QUOTA_KIND_INFER, &quota, &now);
            break;
        case 6:
            result = pith_ledger_keys(ledger, ignore_key, NULL, &now);
            break;
        case 7:
            result = pith_ledger_usage(ledger, 0, 0, ignore_usage, NULL, &now);
            break;
        case 8:
            result = pith_ledger_set_limits(ledger, &key, &now);
            break;
        case 9:
            result = pith_ledger_revoke_key(ledger, "a", &now);
            break;
        default:
            snprintf(key.name, sizeof key.name, "new");
            result = pith_ledger_add_key(ledger, &key, text, &now);
            break;
        }
        if (result != PITH_OK && result != PITH_ERROR_ARGUMENT) {
            *worst = now;
            status = result;
        }
    }
    return status;
}

TEST(ledger_faults, values_have_bounds) {
    static const struct {
        const char *sql;
        pith_status status;
        sqlite3_int64 most; /* bytes; 0: 8 MiB */
    } cases[] = {
        {"SELECT 1", PITH_OK, 0},
        {"UPDATE keys SET name = printf('%.*c', 128, 'x')", PITH_ERROR_FORMAT, 0},
        /* SQLite reads all of a value in an index, whatever its limit. */
        {"UPDATE keys SET name = printf('%.*c', 20000000, 'x')", PITH_ERROR_FORMAT, 28 << 20},
        {"UPDATE keys SET name = ''", PITH_ERROR_FORMAT, 0},
        {"UPDATE keys SET hash = substr(hash, 1, 31)", PITH_ERROR_FORMAT, 0},
        {"UPDATE keys SET hash = zeroblob(33)", PITH_ERROR_FORMAT, 0},
        {"UPDATE keys SET infer_per_hour = -1", PITH_ERROR_FORMAT, 0},
        {"UPDATE keys SET embed_per_hour = 9223372036854775807", PITH_OK, 0},
        {"UPDATE keys SET id = -5", PITH_ERROR_FORMAT, 0},
        {"UPDATE requests SET model = printf('%.*c', 20000000, 'x')", PITH_ERROR_FORMAT, 0},
        {"UPDATE requests SET prompt_tokens = -100", PITH_ERROR_FORMAT, 0},
        {"UPDATE requests SET seconds = 9e999", PITH_ERROR_FORMAT, 0},
        {"UPDATE requests SET id = 9223372036854775807", PITH_OK, 0},
        {"UPDATE requests SET time = 9223372036854775807", PITH_OK, 0},
        {"UPDATE requests SET time = -9223372036854775807", PITH_OK, 0},
        {"INSERT INTO requests SELECT id + 1, key, kind, time, model, admissions, failed, "
         "9223372036854775807, 9223372036854775807, seconds, tag, body FROM requests; INSERT INTO "
         "usage_days VALUES(1, 0, 'm', 0, 0, 9223372036854775807, 1, 9223372036854775807, 1, 1)",
         PITH_ERROR_FORMAT, 0},
    };
    char path[400];
    snprintf(path, sizeof path, "%s", test_path("ledger-values.db"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_ledger *ledger;
        pith_error worst = {.message = ""};
        make(path);
        run_sql(path, cases[i].sql);
        (void)sqlite3_memory_highwater(1);
        sqlite3_int64 before = sqlite3_memory_used();
        CHECK(pith_ledger_open(&ledger, path, &error) == PITH_OK, "%s: %s", cases[i].sql,
              error.message);
        pith_status status = use(ledger, &worst);
        CHECK(status == cases[i].status, "%s: status %d, %s", cases[i].sql, (int)status,
              worst.message);
        CHECK(status == PITH_OK || strstr(worst.message, path) != NULL, "%s", worst.message);
        pith_ledger_close(ledger);
        sqlite3_int64 most = cases[i].most != 0 ? cases[i].most : 8 << 20;
        CHECK(sqlite3_memory_highwater(0) - before < most, "%s: SQLite used %lld bytes",
              cases[i].sql, (long long)(sqlite3_memory_highwater(0) - before));
    }
}

/* ---- No room --------------------------------------------------------------------------------- */

TEST(ledger_faults, a_full_disk_admits_nothing_and_loses_nothing) {
    char path[400];
    pith_admission admission;
    pith_quota quota;
    int64_t id;
    size_t n = 0;
    pith_key key;
    snprintf(path, sizeof path, "%s", test_path("ledger-full.db"));
    make(path);
    pith_ledger *ledger = test_ledger_open(path, NULL);
    CHECK(pith_ledger_find_key(ledger, "a", &key, &error) == PITH_OK, "%s", error.message);
    key.infer_per_hour = 0;
    const pith_reservation_request request = {.key = &key, .model = "m"};
    CHECK(pith_store_run(ledger->store, "PRAGMA max_page_count=18", "limit", &error) == PITH_OK,
          "%s", error.message);
    pith_status status = PITH_OK;
    while (status == PITH_OK && n < 20000) {
        status = pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error);
        n += status == PITH_OK ? 1 : 0;
    }
    CHECK(status == PITH_ERROR_IO && strstr(error.message, "disk is full") != NULL, "after %zu: %s",
          n, error.message);
    CHECK(n > 100, "only %zu requests", n);
    pith_ledger_close(ledger);
    ledger = test_ledger_open(path, NULL);
    CHECK(test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0).requests == n + 1,
          "%zu requests of %zu", test_ledger_usage(ledger, "a", "m", 0, 0).requests, n + 1);
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) == PITH_OK, "%s",
          error.message);
    pith_ledger_close(ledger);
}

TEST(ledger_faults, a_settlement_is_owed_while_the_database_is_locked) {
    char path[400];
    pith_quota quota;
    int64_t ids[6];
    sqlite3 *other;
    const pith_settlement cost = {.prompt_tokens = 2, .generated_tokens = 3, .seconds = 0.5};
    snprintf(path, sizeof path, "%s", test_path("ledger-owed.db"));
    pith_ledger *ledger = test_ledger_open(path, NULL);
    pith_key key = test_ledger_key(ledger, "a", 100, 100, NULL);
    for (size_t i = 0; i < 6; i++) {
        test_ledger_reserve(ledger, &key, &quota, &ids[i]);
    }
    CHECK(sqlite3_open(path, &other) == SQLITE_OK, "%s", path);
    ledger->store->busy_milliseconds = 1;
    for (size_t round = 0; round < 2; round++) {
        size_t first = 3 * round;
        CHECK(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "not locked");
        for (size_t i = first; i < first + 3; i++) {
            pith_status status = i == first + 1 ? pith_ledger_unreserve(ledger, ids[i], &error)
                                                : pith_ledger_settle(ledger, ids[i], &cost, &error);
            CHECK(status == PITH_ERROR_IO, "request %zu: status %d", i, (int)status);
        }
        CHECK(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL) == SQLITE_OK, "still locked");
        if (round == 0) { /* the next request pays, the second time the end */
            int64_t next;
            test_ledger_reserve(ledger, &key, &quota, &next);
            CHECK(quota.remaining == 94, "%zu requests are left", quota.remaining);
            CHECK(pith_ledger_unreserve(ledger, next, &error) == PITH_OK, "%s", error.message);
        }
    }
    sqlite3_close(other);
    pith_ledger_close(ledger);
    ledger = test_ledger_open(path, NULL);
    pith_usage_row row = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0);
    CHECK(row.requests == 4 && row.prompt_tokens == 8 && row.generated_tokens == 12,
          "%zu requests of %zu and %zu tokens", row.requests, row.prompt_tokens,
          row.generated_tokens);
    pith_ledger_close(ledger);
    CHECK_NO_LEAKS();
}

/* ---- No memory ------------------------------------------------------------------------------- */

/* Restores the database, fails at allocation `round`, and tells whether there was one; counts what
 * went wrong for it, as SQLite can do without some. */
static bool try_sqlite(const char *path, const void *bytes, size_t size, size_t round,
                       size_t *n_failed) {
    pith_ledger *ledger = NULL;
    pith_error worst = {.message = ""};
    pith_key key;
    remove(test_path("ledger-memory.db-wal"));
    remove(test_path("ledger-memory.db-shm"));
    test_write_file(path, bytes, size);
    test_sqlite.n_calls = 0;
    test_sqlite.fail_at = round;
    pith_status status = pith_ledger_open(&ledger, path, &worst);
    if (status == PITH_OK) {
        status = use(ledger, &worst);
        pith_ledger_close(ledger);
    }
    bool reached = test_sqlite.n_calls >= round;
    test_sqlite.fail_at = 0;
    *n_failed += status != PITH_OK;
    CHECK(status == PITH_OK || (status == PITH_ERROR_MEMORY && worst.message[0] != 0),
          "allocation %zu%s: status %d, %s", round, test_sqlite.fail_after ? " and later" : "",
          (int)status, worst.message);
    CHECK(sqlite3_memory_used() == 0, "allocation %zu: %lld bytes of SQLite's leaked", round,
          (long long)sqlite3_memory_used());
    ledger = test_ledger_open(path, NULL);
    CHECK(pith_ledger_find_key(ledger, "a", &key, &error) == PITH_OK, "allocation %zu: %s", round,
          error.message);
    size_t n = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0).requests;
    CHECK(n == 1 || n == 2, "allocation %zu: %zu requests", round, n);
    pith_ledger_close(ledger);
    return reached;
}

TEST(ledger_faults, every_allocation_of_sqlite_may_fail) {
    const char *path = test_path("ledger-memory.db");
    size_t size;
    test_sqlite_fail(true);
    make(path);
    char *bytes = test_read_file(path, &size);
    for (int after = 0; after < 2; after++) {
        size_t round = 1;
        size_t n_failed = 0;
        test_sqlite.fail_after = after != 0;
        while (try_sqlite(path, bytes, size, round, &n_failed)) {
            round += 1 + round / 60;
        }
        CHECK(round > 100, "only %zu allocations", round);
        CHECK(n_failed > 50, "only %zu failures", n_failed);
    }
    free(bytes);
    test_sqlite_fail(false);
    CHECK_NO_LEAKS();
}
