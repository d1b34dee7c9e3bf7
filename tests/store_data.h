/* What the tests of store/ share: documents with random vectors. */
#ifndef PITH_TESTS_STORE_DATA_H
#define PITH_TESTS_STORE_DATA_H

#include "store/store.h"
#include "tests/support.h"

enum { TEST_STORE_DIMENSION = 24, TEST_STORE_CHUNKS = 3 };

/* Opens a database and its collection "notes"; ends the process when that fails. */
pith_store *test_store_open(const char *path, pith_vector_type type,
                            pith_store_collection *collection);

/* Writes the document "doc-NUMBER" with TEST_STORE_CHUNKS chunks, its text and vectors depending on
 * number and revision only. */
pith_status test_store_put(pith_store *store, const pith_store_collection *collection,
                           size_t number, size_t revision, pith_error *error);

/* The text that test_store_put writes, NUL-terminated, and vector i of it. */
void test_store_text(size_t number, size_t revision, char *text, size_t size);
void test_store_vector(size_t number, size_t revision, size_t i, float *vector);

#endif
