/* Documents with random vectors, for the tests of store/. */
#include "tests/store_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pith_store *test_store_open(const char *path, pith_vector_type type,
                            pith_store_collection *collection) {
    pith_store_collection wanted = {.name = "notes",
                                    .model = "m.pith",
                                    .model_hash = "00ff",
                                    .dimension = TEST_STORE_DIMENSION,
                                    .type = type};
    pith_store *store;
    pith_error error;
    if (pith_store_open(&store, path, NULL, &error) != PITH_OK ||
        pith_store_collection_use(store, &wanted, true, collection, &error) != PITH_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return store;
}

void test_store_text(size_t number, size_t revision, char *text, size_t size) {
    snprintf(text, size, "first %zu.%zu second %zu third", number, revision, number * 7);
}

void test_store_vector(size_t number, size_t revision, size_t i, float *vector) {
    uint64_t seed = number * 1000 + revision * 10 + i;
    for (size_t d = 0; d < TEST_STORE_DIMENSION; d++) {
        vector[d] = test_random_normal(&seed);
    }
}

pith_status test_store_put(pith_store *store, const pith_store_collection *collection,
                           size_t number, size_t revision, pith_error *error) {
    char key[32];
    char text[100];
    float vectors[TEST_STORE_CHUNKS][TEST_STORE_DIMENSION];
    test_store_text(number, revision, text, sizeof text);
    size_t n = strlen(text);
    pith_store_chunk chunks[TEST_STORE_CHUNKS] = {{0, n / 2}, {n / 3, n}, {n, n}};
    snprintf(key, sizeof key, "doc-%zu", number);
    pith_store_document document = {.key = key,
                                    .n_key = strlen(key),
                                    .text = text,
                                    .n_bytes = n,
                                    .metadata = number % 2 == 0 ? "{\"even\": true}" : NULL,
                                    .size = (int64_t)n,
                                    .mtime = (int64_t)revision};
    for (size_t i = 0; i < TEST_STORE_CHUNKS; i++) {
        test_store_vector(number, revision, i, vectors[i]);
    }
    memcpy(document.hash, &number, sizeof number);
    memcpy(document.hash + sizeof number, &revision, sizeof revision);
    return pith_store_put(store, collection, &document, chunks, TEST_STORE_CHUNKS, vectors[0],
                          error);
}
