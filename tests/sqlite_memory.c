/* See sqlite_memory.h. */
#include "tests/sqlite_memory.h"

#include <sqlite3.h>

#include "tests/test.h"

static sqlite3_mem_methods real;
test_sqlite_memory test_sqlite;

static bool must_fail(void) {
    test_sqlite.n_calls++;
    return test_sqlite.fail_at != 0 &&
           (test_sqlite.fail_after ? test_sqlite.n_calls >= test_sqlite.fail_at
                                   : test_sqlite.n_calls == test_sqlite.fail_at);
}

static void *failing_malloc(int size) {
    return must_fail() ? NULL : real.xMalloc(size);
}

static void *failing_realloc(void *block, int size) {
    return must_fail() ? NULL : real.xRealloc(block, size);
}

void test_sqlite_fail(bool failing) {
    sqlite3_shutdown();
    if (failing) {
        CHECK(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) == SQLITE_OK, "no allocator");
        sqlite3_mem_methods methods = real;
        methods.xMalloc = failing_malloc;
        methods.xRealloc = failing_realloc;
        CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK, "not configured");
    } else {
        CHECK(sqlite3_config(SQLITE_CONFIG_MALLOC, &real) == SQLITE_OK, "not configured");
    }
}
