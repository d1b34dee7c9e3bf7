/* The SQL functions on arbitrary blobs, and cutting arbitrary bytes into chunks. */
#include "store/functions.h"
#include "store/split.h"

#include <sqlite3.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
    if (sqlite3_prepare_v2(db, sql, -1, &row, NULL) != SQLITE_OK) {
        abort();
    }
    sqlite3_bind_blob64(row, 1, n_a != 0 ? (const void *)a : "", n_a, SQLITE_STATIC);
    sqlite3_bind_blob64(row, 2, n_b != 0 ? (const void *)b : "", n_b, SQLITE_STATIC);
    (void)sqlite3_step(row);
    sqlite3_finalize(row);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static sqlite3 *db;
    if (db == NULL &&
        (sqlite3_open(":memory:", &db) != SQLITE_OK || pith_functions_register(db) != SQLITE_OK)) {
        abort();
    }
    if (size < 2) {
        return 0;
    }
    size_t first = (size_t)data[0] * (size - 2) / 255;
    size_t limit = 1 + data[1] % 16;
    const uint8_t *rest = data + 2;
    call(db, "SELECT pith_cosine(?1, ?2)", rest, first, rest + first, size - 2 - first);
    call(db, "SELECT pith_cosine(?1, ?1), ?2", rest, first, rest, 0);
    call(db, "SELECT pith_cosine(pith_quantize(?1), pith_quantize(?2))", rest, first, rest + first,
         size - 2 - first);
    pith_store_chunk *chunks;
    size_t n;
    if (pith_store_split((const char *)rest, size - 2, limit, limit / 2, count_bytes, NULL, NULL,
                         &chunks, &n, NULL) == PITH_OK) {
        free(chunks);
    }
    return 0;
}
