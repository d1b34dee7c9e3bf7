/* An allocator of SQLite's that fails where a test wants it to. SQLite's allocator is the
 * process's, and its functions take no user pointer, so there is one. One thread. */
#ifndef PITH_TESTS_SQLITE_MEMORY_H
#define PITH_TESTS_SQLITE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct test_sqlite_memory {
    size_t n_calls;  /* of malloc and realloc, counted by the allocator */
    size_t fail_at;  /* the call that fails, from 1; 0: none does */
    bool fail_after; /* so do all later ones */
} test_sqlite_memory;

extern test_sqlite_memory test_sqlite;

/* Puts the failing allocator in place, or the real one back. No database may be open. */
void test_sqlite_fail(bool failing);

#endif
