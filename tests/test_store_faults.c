/* The store when things go wrong: kill -9 at random moments, a full disk, other processes, files
 * that are damaged, newer, or not pith's. */
#include "store/internal.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pith_error error;

static int64_t number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *row = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK &&
        sqlite3_step(row) == SQLITE_ROW) {
        value = sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    return value;
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s: %s", path, sqlite3_errmsg(db));
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

/* ---- Killed ---------------------------------------------------------------------------------- */

/* What a round's writer does: new documents from `first` on, every third time with an old one
 * replaced in the same transaction. Writes the number of each committed document to `pipe`. */
static _Noreturn void write_until_killed(const char *path, size_t first, size_t revision,
                                         int pipe) {
    pith_store_collection notes;
    pith_store *store = test_store_open(path, 0, &notes);
    for (size_t i = first;; i++) {
        bool both = i % 3 == 0 && i > 0;
        if ((both && pith_store_begin(store, &error) != PITH_OK) ||
            test_store_put(store, &notes, i, 0, &error) != PITH_OK ||
            (both && test_store_put(store, &notes, i / 2, revision, &error) != PITH_OK) ||
            (both && pith_store_commit(store, &error) != PITH_OK) ||
            write(pipe, &i, sizeof i) != (ssize_t)sizeof i) {
            fprintf(stderr, "the writer failed: %s\n", error.message);
            _exit(1);
        }
    }
}

static void spin(uint64_t nanoseconds) {
    struct timespec begin;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((uint64_t)(now.tv_sec - begin.tv_sec) * 1000000000u + (uint64_t)now.tv_nsec -
                 (uint64_t)begin.tv_nsec <
             nanoseconds);
}

/* Returns the first number not acknowledged. */
static size_t run_and_kill(const char *path, size_t first, size_t round, uint64_t *seed) {
    int ends[2];
    size_t next = first;
    size_t i;
    CHECK(pipe(ends) == 0, "no pipe: %s", strerror(errno));
    pid_t child = fork();
    CHECK(child >= 0, "no child: %s", strerror(errno));
    if (child == 0) {
        close(ends[0]);
        write_until_killed(path, first, round, ends[1]);
    }
    close(ends[1]);
    size_t wanted = test_random(seed) % 6;
    while (next < first + wanted && read(ends[0], &i, sizeof i) == (ssize_t)sizeof i) {
        CHECK(i == next, "round %zu: %zu acknowledged, expected %zu", round, i, next);
        next++;
    }
    spin(test_random(seed) % 4000000);
    kill(child, SIGKILL);
    while (read(ends[0], &i, sizeof i) == (ssize_t)sizeof i) {
        next = i + 1;
    }
    close(ends[0]);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status),
          "round %zu: the writer ended by itself", round);
    return next;
}

static void check_whole(const char *path, size_t n_acknowledged, size_t round) {
    pith_store_collection notes;
    pith_store_state state;
    pith_store *store = test_store_open(path, 0, &notes);
    sqlite3 *db = store->db;
    sqlite3_stmt *row = NULL;
    CHECK(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &row, NULL) == SQLITE_OK &&
              sqlite3_step(row) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(row, 0), "ok") == 0,
          "round %zu: integrity_check", round);
    sqlite3_finalize(row);
    int64_t n = number(db, "SELECT count(*) FROM documents");
    CHECK(n == (int64_t)n_acknowledged || n == (int64_t)n_acknowledged + 1,
          "round %zu: %lld documents of %zu acknowledged", round, (long long)n, n_acknowledged);
    CHECK(number(db, "SELECT count(*) FROM chunks") == 3 * n &&
              number(db, "SELECT count(*) FROM vectors") == 3 * n,
          "round %zu: chunks or vectors are missing or left", round);
    CHECK(number(db, "SELECT count(*) FROM chunks c LEFT JOIN vectors v ON v.id = c.id LEFT JOIN "
                     "documents d ON d.id = c.document WHERE v.id IS NULL OR d.id IS NULL") == 0,
          "round %zu: orphans", round);
    for (size_t i = 0; i < n_acknowledged; i++) {
        char key[32];
        snprintf(key, sizeof key, "doc-%zu", i);
        CHECK(pith_store_find(store, &notes, key, strlen(key), &state, &error) == PITH_OK &&
                  state.found,
              "round %zu: %s was acknowledged and is gone", round, key);
    }
    pith_store_close(store);
}

TEST(store_faults, killed_at_random_moments) {
    const char *path = test_path("killed.db");
    size_t n = 0;
    uint64_t seed = 1;
    for (size_t round = 0; round < 100; round++) {
        size_t next = run_and_kill(path, n, round + 1, &seed);
        check_whole(path, next, round);
        /* One more may have been committed and not acknowledged. */
        pith_store_collection notes;
        pith_store *store = test_store_open(path, 0, &notes);
        n = notes.n_documents;
        pith_store_close(store);
    }
    CHECK(n >= 100, "only %zu documents: the writers did not get to write", n);
}

/* ---- No room --------------------------------------------------------------------------------- */

/* Fills the database until a put fails, and checks that all earlier ones are there; returns how
 * many. */
static size_t fill(const char *path, void (*limit)(pith_store *store), const char *message) {
    pith_store_collection notes;
    pith_store *store = test_store_open(path, 0, &notes);
    pith_status status = PITH_OK;
    size_t n = 0;
    limit(store);
    while (status == PITH_OK && n < 100000) {
        status = pith_store_begin(store, &error);
        for (size_t i = 0; status == PITH_OK && i < 50; i++) {
            status = test_store_put(store, &notes, n + i, 0, &error);
        }
        if (status == PITH_OK) {
            status = pith_store_commit(store, &error);
        } else {
            pith_store_rollback(store);
        }
        n += status == PITH_OK ? 50 : 0;
    }
    CHECK(status == PITH_ERROR_IO && strstr(error.message, message) != NULL &&
              strstr(error.message, path) != NULL,
          "after %zu documents: %s", n, error.message);
    CHECK(n > 0, "nothing was written");
    CHECK(pith_store_collection_find(store, "notes", &notes, &error) == PITH_OK, "%s",
          error.message);
    CHECK(notes.n_documents == n && notes.n_chunks == 3 * n, "%zu documents, expected %zu",
          notes.n_documents, n);
    pith_store_close(store);
    return n;
}

static void limit_pages(pith_store *store) {
    sqlite3_exec(store->db, "PRAGMA max_page_count=40", NULL, NULL, NULL);
}

static void limit_file(pith_store *store) {
    struct rlimit small = {1 << 20, RLIM_INFINITY};
    (void)store;
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0, "%s", strerror(errno));
}

TEST(store_faults, a_full_disk_loses_nothing) {
    const char *path = test_path("full.db");
    check_whole(path, fill(path, limit_pages, "disk is full"), 0);
}

TEST(store_faults, a_failed_write_loses_nothing) {
    const char *path = test_path("large.db");
    size_t n = fill(path, limit_file, "cannot write");
    struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_FSIZE, &all) == 0, "%s", strerror(errno));
    check_whole(path, n, 0);
}

static void no_limit(pith_store *store) {
    (void)store;
}

/* Needs the right to mount; without it the two tests above have to do. */
TEST(store_faults, a_small_file_system_loses_nothing) {
    const char *directory = test_path("small");
    CHECK(mkdir(directory, 0700) == 0, "%s", strerror(errno));
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", directory, "tmpfs", 0, "size=2m") != 0) {
        fprintf(stderr, "skipped: cannot mount a file system: %s\n", strerror(errno));
        return;
    }
    const char *path = test_path("small/full.db");
    char full[300];
    snprintf(full, sizeof full, "%s", path);
    size_t n = fill(full, no_limit, "disk is full");
    check_whole(full, n, 0);
    CHECK(umount(directory) == 0, "%s", strerror(errno));
}

/* ---- Other processes, other files ------------------------------------------------------------ */

static pith_status open_with(const char *path, bool read_only) {
    pith_store *store;
    pith_store_options options = {.read_only = read_only, .busy_milliseconds = -1};
    pith_status status = pith_store_open(&store, path, &options, &error);
    if (status == PITH_OK) {
        pith_store_close(store);
    }
    return status;
}

TEST(store_faults, a_second_writer_is_told) {
    pith_store_collection notes;
    pith_store *second;
    pith_store_options options = {.busy_milliseconds = -1};
    const char *path = test_path("locked.db");
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(pith_store_begin(store, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_store_begin(store, &error) == PITH_ERROR_ARGUMENT, "a transaction in another");
    CHECK(pith_store_open(&second, path, &options, &error) == PITH_OK, "%s", error.message);
    CHECK(test_store_put(second, &notes, 1, 0, &error) == PITH_ERROR_IO &&
              strstr(error.message, "locked") != NULL && strstr(error.message, path) != NULL,
          "%s", error.message);
    pith_store_rollback(store);
    CHECK(test_store_put(second, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    pith_store_close(second);
    pith_store_close(store);
}

TEST(store_faults, reading_only) {
    pith_store_collection notes;
    pith_store *reader;
    pith_store_options options = {.read_only = true};
    const char *path = test_path("reading.db");
    CHECK(open_with(path, true) == PITH_ERROR_IO && strstr(error.message, path) != NULL, "%s",
          error.message);
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(test_store_put(store, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_store_open(&reader, path, &options, &error) == PITH_OK, "%s", error.message);
    CHECK(test_store_put(reader, &notes, 2, 0, &error) == PITH_ERROR_IO &&
              strstr(error.message, "read-only") != NULL,
          "%s", error.message);
    CHECK(pith_store_collection_find(reader, "notes", &notes, &error) == PITH_OK &&
              notes.n_documents == 1,
          "%zu documents", notes.n_documents);
    pith_store_close(reader);
    pith_store_close(store);
    if (geteuid() != 0) {
        chmod(path, 0400);
        CHECK(open_with(path, false) == PITH_ERROR_IO, "opened a read-only file for writing");
    }
}

TEST(store_faults, newer_and_foreign_files_are_refused) {
    pith_store_collection notes;
    const char *path = test_path("newer.db");
    pith_store_close(test_store_open(path, 0, &notes));
    run_sql(path, "PRAGMA user_version=4");
    CHECK(open_with(path, false) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "version 4") != NULL,
          "%s", error.message);
    const char *foreign = test_path("foreign.db");
    run_sql(foreign, "CREATE TABLE t(x)");
    CHECK(open_with(foreign, false) == PITH_ERROR_FORMAT, "%s", error.message);
    const char *text = test_path("text.db");
    char junk[200];
    memset(junk, 'x', sizeof junk);
    test_write_file(text, junk, sizeof junk);
    CHECK(open_with(text, false) == PITH_ERROR_FORMAT && strstr(error.message, text) != NULL, "%s",
          error.message);
    CHECK(open_with(test_directory(), false) == PITH_ERROR_IO, "a directory");
    const char *deep = test_path("no/such/directory.db");
    CHECK(open_with(deep, false) == PITH_ERROR_IO && strstr(error.message, "No such") != NULL, "%s",
          error.message);
}

/* ---- Permissions, read-only media, files that shrink ----------------------------------------- */

static unsigned mode_of(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 ? (unsigned)facts.st_mode & 07777 : 0;
}

TEST(store_faults, a_new_database_is_its_owners) {
    pith_store_collection notes;
    char path[512];
    char name[520];
    snprintf(path, sizeof path, "%s", test_path("mode.db"));
    mode_t before = umask(0);
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(test_store_put(store, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    umask(before);
    CHECK(mode_of(path) == 0600, "mode %o", mode_of(path));
    snprintf(name, sizeof name, "%s-wal", path);
    CHECK(mode_of(name) == 0600, "log: mode %o", mode_of(name));
    snprintf(name, sizeof name, "%s-shm", path);
    CHECK(mode_of(name) == 0600, "shared memory: mode %o", mode_of(name));
    pith_store_close(store);
    CHECK(chmod(path, 0640) == 0, "chmod failed");
    pith_store_close(test_store_open(path, 0, &notes));
    CHECK(mode_of(path) == 0640, "mode %o", mode_of(path));
}

/* Searches "notes" for document 1 and reads what is found. */
static pith_status search_and_read(pith_store *store) {
    pith_store_collection notes;
    pith_store_hit hit;
    pith_store_text text;
    float query[TEST_STORE_DIMENSION];
    size_t n = 0;
    test_store_vector(1, 0, 0, query);
    pith_status status = pith_store_collection_find(store, "notes", &notes, &error);
    if (status == PITH_OK) {
        status = pith_store_search(store, &notes, query, 1, &hit, &n, &error);
    }
    if (status == PITH_OK) {
        CHECK(n == 1 && hit.score > 0.9, "%zu hits, %g", n, hit.score);
        status = pith_store_read(store, hit.chunk, &text, &error);
    }
    if (status == PITH_OK) {
        CHECK(strcmp(text.key, "doc-1") == 0, "found %s", text.key);
        pith_store_text_release(store, &text);
    }
    return status;
}

static pith_status open_reader(const char *path, pith_store **store) {
    const pith_store_options options = {.read_only = true};
    return pith_store_open(store, path, &options, &error);
}

/* Checks a finished database, then an unfinished one. They are written in `directory` and read from
 * `view`, the same directory, in which nothing can be written after `seal`. The name has characters
 * that a URI must escape. */
static void check_sealed(const char *directory, const char *view, bool (*seal)(const char *),
                         bool (*unseal)(const char *)) {
    static const char name[] = "a %20b?c#d&e.db";
    pith_store_collection notes;
    pith_store *store = NULL;
    pith_store *reader = NULL;
    char path[512];
    char seen[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    snprintf(seen, sizeof seen, "%s/%s", view, name);
    store = test_store_open(path, 0, &notes);
    CHECK(test_store_put(store, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    pith_store_close(store);
    if (!seal(directory)) {
        fprintf(stderr, "skipped: cannot make a directory read-only: %s\n", strerror(errno));
        return;
    }
    pith_status status = open_reader(seen, &reader);
    CHECK(unseal(directory) && status == PITH_OK && seal(directory), "finished: %s", error.message);
    CHECK(search_and_read(reader) == PITH_OK, "finished: %s", error.message);
    CHECK(test_store_put(reader, &notes, 2, 0, &error) == PITH_ERROR_IO, "written to");

    /* Somebody who can write there does so while it is read. */
    CHECK(unseal(directory), "%s", strerror(errno));
    store = test_store_open(path, 0, &notes);
    CHECK(test_store_put(store, &notes, 2, 0, &error) == PITH_OK, "%s", error.message);
    CHECK(seal(directory), "%s", strerror(errno));
    CHECK(search_and_read(reader) == PITH_ERROR_IO &&
              strstr(error.message, "was written to") != NULL,
          "%s", error.message);
    pith_store_close(reader);

    /* A database with a log is not finished; beside the log alone there is no way to read it. */
    CHECK(unseal(directory), "%s", strerror(errno));
    char copy[512];
    char log[520];
    char log_copy[520];
    size_t size;
    snprintf(copy, sizeof copy, "%s/copy.db", directory);
    snprintf(seen, sizeof seen, "%s/copy.db", view);
    snprintf(log, sizeof log, "%s-wal", path);
    snprintf(log_copy, sizeof log_copy, "%s-wal", copy);
    void *bytes = test_read_file(path, &size);
    test_write_file(copy, bytes, size);
    free(bytes);
    bytes = test_read_file(log, &size);
    CHECK(size > 0, "no log");
    test_write_file(log_copy, bytes, size);
    free(bytes);
    pith_store_close(store);
    CHECK(seal(directory), "%s", strerror(errno));
    reader = NULL;
    status = open_reader(seen, &reader);
    CHECK(unseal(directory), "%s", strerror(errno));
    CHECK(status == PITH_ERROR_IO && reader == NULL && strstr(error.message, "-wal") != NULL,
          "unfinished: status %d, %s", (int)status, error.message);

    /* An empty log is none. */
    test_write_file(log_copy, "", 0);
    CHECK(seal(directory), "%s", strerror(errno));
    status = open_reader(seen, &reader);
    CHECK(unseal(directory), "%s", strerror(errno));
    CHECK(status == PITH_OK, "an empty log: %s", error.message);
    pith_store_close(reader);
}

static bool stay(const char *directory) {
    (void)directory;
    return true;
}

TEST(store_faults, a_finished_database_on_a_read_only_file_system) {
    char directory[400];
    char view[400];
    snprintf(directory, sizeof directory, "%s", test_path("writable"));
    snprintf(view, sizeof view, "%s", test_path("sealed"));
    CHECK(mkdir(directory, 0700) == 0 && mkdir(view, 0700) == 0, "%s", strerror(errno));
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount(directory, view, NULL, MS_BIND, NULL) != 0 ||
        mount("none", view, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0) {
        fprintf(stderr, "skipped: cannot mount a file system: %s\n", strerror(errno));
        return;
    }
    check_sealed(directory, view, stay, stay);
    umount2(view, MNT_DETACH);
}

static bool be_root(void) {
    return getuid() != 0 || seteuid(0) == 0;
}

static bool be_nobody(void) {
    return getuid() != 0 || seteuid(65534) == 0;
}

static bool close_directory(const char *directory) {
    return be_root() && chmod(directory, 0555) == 0 && be_nobody();
}

static bool open_directory(const char *directory) {
    return be_root() && chmod(directory, 0777) == 0 && be_nobody();
}

TEST(store_faults, a_finished_database_in_a_directory_of_others) {
    char directory[400];
    snprintf(directory, sizeof directory, "%s", test_path("others"));
    CHECK(mkdir(directory, 0777) == 0 && chmod(test_directory(), 0755) == 0 &&
              open_directory(directory),
          "%s", strerror(errno));
    check_sealed(directory, directory, close_directory, open_directory);
    CHECK(open_directory(directory) && be_root(), "%s", strerror(errno));
}

/* Unless maps are asked for, a database that shrinks is an error and not the end of the process. */
TEST(store_faults, a_database_that_shrinks_is_an_error) {
    pith_store_collection notes;
    pith_store *reader = NULL;
    char path[512];
    float query[TEST_STORE_DIMENSION] = {1};
    pith_store_hit hits[10];
    size_t n;
    snprintf(path, sizeof path, "%s", test_path("shrinks.db"));
    pith_store *store = test_store_open(path, PITH_VECTOR_F32, &notes);
    CHECK(pith_store_begin(store, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 3000; i++) {
        CHECK(test_store_put(store, &notes, i, 0, &error) == PITH_OK, "%s", error.message);
    }
    CHECK(pith_store_commit(store, &error) == PITH_OK, "%s", error.message);
    pith_store_close(store);
    CHECK(open_reader(path, &reader) == PITH_OK &&
              pith_store_begin_reading(reader, &error) == PITH_OK,
          "%s", error.message);
    CHECK(pith_store_collection_find(reader, "notes", &notes, &error) == PITH_OK, "%s",
          error.message);
    CHECK(truncate(path, 65536) == 0, "%s", strerror(errno));
    pith_status status = pith_store_search(reader, &notes, query, 10, hits, &n, &error);
    CHECK(status == PITH_ERROR_FORMAT || status == PITH_ERROR_IO, "status %d", (int)status);
    pith_store_close(reader);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

static bool no_op(void *user, const pith_store_collection *collection) {
    (void)user;
    (void)collection;
    return true;
}

/* Everything a user would do; whatever fails must say so in a message. */
static void use(const char *path, uint64_t seed) {
    pith_store *store;
    pith_store_collection notes;
    pith_store_hit hits[10];
    pith_store_text text;
    float query[TEST_STORE_DIMENSION];
    size_t n = 0;
    error.message[0] = 0;
    if (pith_store_open(&store, path, NULL, &error) != PITH_OK) {
        CHECK(error.message[0] != 0, "seed %llu: no message", (unsigned long long)seed);
        return;
    }
    (void)pith_store_collections(store, no_op, NULL, &error);
    if (pith_store_collection_find(store, "notes", &notes, &error) == PITH_OK &&
        notes.dimension == TEST_STORE_DIMENSION) {
        test_store_vector(3, 0, 0, query);
        if (pith_store_search(store, &notes, query, 10, hits, &n, &error) == PITH_OK) {
            for (size_t i = 0; i < n; i++) {
                if (pith_store_read(store, hits[i].chunk, &text, &error) == PITH_OK) {
                    pith_store_text_release(store, &text);
                }
            }
        }
        for (size_t i = 0; i < 5; i++) {
            (void)test_store_put(store, &notes, i * 9, 1, &error);
        }
    }
    pith_store_close(store);
}

TEST(store_faults, damaged_files_are_errors) {
    pith_store_collection notes;
    const char *path = test_path("damaged.db");
    size_t size;
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(pith_store_begin(store, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 100; i++) {
        CHECK(test_store_put(store, &notes, i, 0, &error) == PITH_OK, "%s", error.message);
    }
    CHECK(pith_store_commit(store, &error) == PITH_OK, "%s", error.message);
    pith_store_close(store);
    char *bytes = test_read_file(path, &size);
    char *copy = malloc(size);
    CHECK(copy != NULL, "out of memory");
    for (uint64_t round = 1; round <= 200; round++) {
        uint64_t seed = round;
        memcpy(copy, bytes, size);
        size_t n_flips = 1 + test_random(&seed) % 16;
        for (size_t i = 0; i < n_flips; i++) {
            /* Half of them where the structure is: at the beginning of a page. */
            size_t at = test_random(&seed) % size;
            at = i % 2 == 0 ? at : at / 16384 * 16384 + at % 128;
            copy[at] = (char)(copy[at] ^ (1 << test_random(&seed) % 8));
        }
        remove(test_path("damaged.db-wal"));
        remove(test_path("damaged.db-shm"));
        test_write_file(path, copy, test_random(&seed) % 4 == 0 ? size / 2 : size);
        use(path, round);
    }
    free(copy);
    free(bytes);
    CHECK_NO_LEAKS();
}
