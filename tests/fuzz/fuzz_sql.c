/* The SQL functions on arbitrary blobs, and cutting arbitrary bytes into chunks. */
#include "base/memory.h"
#include "store/functions.h"
#include "store/split.h"
#include "tests/fuzz/input.h"

#include <sqlite3.h>

static pith_status count_bytes(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                               pith_error *error) {
    (void)user;
    (void)error;
    *n_tokens = n_bytes / 3 + (size_t)(text[0] & 1);
    return PITH_OK;
}

static void call(sqlite3 *db, const char *sql, const uint8_t *a, size_t n_a, const uint8_t *b,
                 size_t n_b) {
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &row, NULL);
    fuzz_require(code == SQLITE_OK || code == SQLITE_NOMEM);
    sqlite3_bind_blob64(row, 1, n_a != 0 ? (const void *)a : "", n_a, SQLITE_STATIC);
    sqlite3_bind_blob64(row, 2, n_b != 0 ? (const void *)b : "", n_b, SQLITE_STATIC);
    while (sqlite3_step(row) == SQLITE_ROW) {
        double cosine = sqlite3_column_double(row, 0);
        fuzz_require(sqlite3_column_type(row, 0) != SQLITE_FLOAT ||
                     (cosine > -1.01 && cosine < 1.01));
    }
    sqlite3_finalize(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static sqlite3 *db;
    if (db == NULL) {
        fuzz_sqlite_init();
        fuzz_require(sqlite3_open(":memory:", &db) == SQLITE_OK &&
                     pith_functions_register(db) == SQLITE_OK);
    }
    if (size < 2) {
        return 0;
    }
    static const char *const statements[] = {
        "SELECT pith_cosine(?1, ?2)",
        "SELECT pith_cosine(?1, ?1), ?2",
        "SELECT pith_cosine(pith_quantize(?1), pith_quantize(?2))",
        "SELECT pith_cosine(?1, column1) FROM (VALUES(?1),(?2),(?1))",
        "SELECT pith_cosine(column1, ?2) FROM (VALUES(?2),(?1),(?2))",
        "SELECT pith_cosine(CAST(?1 AS TEXT), ?2)",
        "SELECT pith_cosine(?2, NULL), pith_quantize(NULL), pith_cosine(NULL, ?1)",
        "SELECT pith_quantize(zeroblob(300000)), ?1, ?2",
        "SELECT pith_quantize(?1), ?2",
        "SELECT pith_cosine(zeroblob(70001), ?1), ?2",
    };
    size_t first = (size_t)data[0] * (size - 2) / 255;
    size_t limit = 1 + data[1] % 16;
    const uint8_t *rest = data + 2;
    if (fuzz_hash(data, size) % 8 == 1) {
        fuzz_sqlite_arm(data, size);
    }
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        call(db, statements[i], rest, first, rest + first, size - 2 - first);
    }
    fuzz_sqlite_disarm();
    test_allocator memory;
    pith_store_chunk *chunks;
    size_t n;
    fuzz_allocator_init(&memory, data, size);
    if (pith_store_split((const char *)rest, size - 2, limit, limit / 2, count_bytes, NULL,
                         &memory.allocator, &chunks, &n, NULL) == PITH_OK) {
        for (size_t i = 0; i < n; i++) {
            fuzz_require(chunks[i].begin < chunks[i].end && chunks[i].end <= size - 2);
        }
        pith_release(&memory.allocator, chunks);
    }
    fuzz_require(memory.n_live == 0);
    return 0;
}
