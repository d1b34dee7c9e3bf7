/* The store without memory: every allocation of SQLite's, and of pith's own, fails once, and then
 * all from there on. What fails says so, nothing leaks, and the database stays whole. */
#include "store/internal.h"
#include "tests/sqlite_memory.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEFORE = 5 }; /* documents that are there already */

static bool keep(void *user, const char *key, size_t n_key) {
    (void)user;
    (void)key;
    (void)n_key;
    return true;
}

/* What a program does with a store; stops at the first failure. */
static pith_status use(const char *path, const pith_allocator *allocator, pith_error *error) {
    pith_store *store;
    pith_store_collection notes;
    pith_store_hit hits[4];
    pith_store_text text;
    pith_store_state state;
    float query[TEST_STORE_DIMENSION];
    size_t n = 0;
    bool removed;
    pith_store_options options = {.allocator = allocator};
    pith_status status = pith_store_open(&store, path, &options, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_store_collection_find(store, "notes", &notes, error);
    if (status == PITH_OK) {
        status = pith_store_begin(store, error);
    }
    if (status == PITH_OK) {
        status = test_store_put(store, &notes, BEFORE, 1, error);
        if (status == PITH_OK) {
            status = test_store_put(store, &notes, 2, 1, error);
        }
        if (status == PITH_OK) {
            status = pith_store_commit(store, error);
        } else {
            pith_store_rollback(store);
        }
    }
    if (status == PITH_OK) {
        test_store_vector(2, 1, 0, query);
        status = pith_store_search(store, &notes, query, 4, hits, &n, error);
    }
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        status = pith_store_read(store, hits[i].chunk, &text, error);
        if (status == PITH_OK) {
            CHECK((text.metadata != NULL) ==
                      (strcmp(text.key, "doc-2") == 0 || strcmp(text.key, "doc-0") == 0 ||
                       strcmp(text.key, "doc-4") == 0),
                  "metadata of %s", text.key);
            pith_store_text_release(store, &text);
        }
    }
    if (status == PITH_OK) {
        status = pith_store_find(store, &notes, "doc-1", 5, &state, error);
    }
    if (status == PITH_OK) {
        status = pith_store_remove_files(store, &notes, "", keep, NULL, &n, error);
    }
    if (status == PITH_OK) {
        status = pith_store_remove(store, &notes, "doc-1", 5, &removed, error);
    }
    pith_store_close(store);
    return status;
}

static void make(const char *path) {
    pith_store_collection notes;
    pith_error error;
    pith_store *store = test_store_open(path, 0, &notes);
    for (size_t i = 0; i < BEFORE; i++) {
        CHECK(test_store_put(store, &notes, i, 0, &error) == PITH_OK, "%s", error.message);
    }
    pith_store_close(store);
}

/* All of the changes or none, of each of the two transactions. */
static void check(const char *path, pith_status status, size_t round) {
    pith_store_collection notes;
    pith_store_state added;
    pith_store_state old;
    pith_store_state gone;
    pith_error error;
    sqlite3_stmt *row = NULL;
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(sqlite3_prepare_v2(store->db, "PRAGMA integrity_check", -1, &row, NULL) == SQLITE_OK &&
              sqlite3_step(row) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(row, 0), "ok") == 0,
          "allocation %zu: integrity_check", round);
    sqlite3_finalize(row);
    CHECK(pith_store_find(store, &notes, "doc-5", 5, &added, &error) == PITH_OK &&
              pith_store_find(store, &notes, "doc-2", 5, &old, &error) == PITH_OK &&
              pith_store_find(store, &notes, "doc-1", 5, &gone, &error) == PITH_OK,
          "%s", error.message);
    CHECK(old.found && added.found == (old.mtime == 1), "allocation %zu: half a transaction",
          round);
    CHECK(notes.n_documents == BEFORE + (added.found ? 1u : 0u) - (gone.found ? 0u : 1u) &&
              notes.n_chunks == 3 * notes.n_documents,
          "allocation %zu: %zu documents, %zu chunks", round, notes.n_documents, notes.n_chunks);
    CHECK(status != PITH_OK || (added.found && !gone.found), "allocation %zu: lost", round);
    pith_store_close(store);
}

/* Restores the database, fails at allocation `round`, and tells whether there was one. */
static bool try_sqlite(const char *path, const void *bytes, size_t size, size_t round, bool after) {
    pith_error error = {.message = ""};
    remove(test_path("memory.db-wal"));
    remove(test_path("memory.db-shm"));
    test_write_file(path, bytes, size);
    test_sqlite.n_calls = 0;
    test_sqlite.fail_at = round;
    test_sqlite.fail_after = after;
    pith_status status = use(path, NULL, &error);
    bool reached = test_sqlite.n_calls >= round;
    test_sqlite.fail_at = 0;
    CHECK(status == PITH_OK || (status == PITH_ERROR_MEMORY && error.message[0] != 0),
          "allocation %zu%s: status %d, %s", round, after ? " and later" : "", (int)status,
          error.message);
    CHECK(!after || !reached || status == PITH_ERROR_MEMORY || round > 100,
          "allocation %zu and all later failed, and nothing else", round);
    CHECK(sqlite3_memory_used() == 0, "allocation %zu: %lld bytes of SQLite's leaked", round,
          (long long)sqlite3_memory_used());
    check(path, status, round);
    return reached;
}

TEST(store_memory, every_allocation_of_sqlite_may_fail) {
    const char *path = test_path("memory.db");
    size_t size;
    size_t round = 1;
    test_sqlite_fail(true);
    make(path);
    char *bytes = test_read_file(path, &size);
    for (int after = 0; after < 2; after++) {
        /* Every one at first, where connections are opened; then a sample of the rest. */
        for (round = 1; try_sqlite(path, bytes, size, round, after != 0);) {
            round += 1 + round / 60;
        }
        CHECK(round > 100, "only %zu allocations", round);
    }
    free(bytes);
    test_sqlite_fail(false);
    CHECK_NO_LEAKS();
}

TEST(store_memory, every_allocation_of_its_own_may_fail) {
    const char *path = test_path("memory.db");
    size_t size;
    pith_status status = PITH_ERROR_MEMORY;
    make(path);
    char *bytes = test_read_file(path, &size);
    for (size_t round = 1; status != PITH_OK; round++) {
        pith_error error = {.message = ""};
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = round;
        remove(test_path("memory.db-wal"));
        remove(test_path("memory.db-shm"));
        test_write_file(path, bytes, size);
        status = use(path, &allocator.allocator, &error);
        CHECK((status == PITH_OK) == (allocator.n_calls < round) &&
                  (status == PITH_OK || status == PITH_ERROR_MEMORY),
              "allocation %zu of %zu: %s", round, (size_t)allocator.n_calls, error.message);
        CHECK(allocator.n_live == 0, "allocation %zu: %zu blocks leaked", round,
              (size_t)allocator.n_live);
        check(path, status, round);
    }
    free(bytes);
    CHECK_NO_LEAKS();
}
