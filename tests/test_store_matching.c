/* Searching among the documents whose metadata has certain members. */
#include "base/memory.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#define OK(call) CHECK((call) == PITH_OK, "%s", error.message)

static pith_error error;

/* One chunk that is the whole text. */
static void put(pith_store *store, const pith_store_collection *collection, const char *key,
                const char *metadata) {
    float vector[TEST_STORE_DIMENSION];
    pith_store_chunk chunk = {0, strlen(key)};
    pith_store_document document = {.key = key,
                                    .n_key = strlen(key),
                                    .text = key,
                                    .n_bytes = strlen(key),
                                    .metadata = metadata};
    test_store_vector((size_t)key[0], 1, 0, vector);
    OK(pith_store_put(store, collection, &document, &chunk, 1, vector, &error));
}

/* The first letters of the keys that the filter lets through, in the order of ids. */
static const char *matching(pith_store *store, const pith_store_collection *collection,
                            const char *filter) {
    static char keys[32];
    pith_json wanted;
    char *copy;
    int64_t *ids;
    size_t n;
    OK(pith_json_read_copy(&wanted, &copy, filter, strlen(filter), PITH_JSON_PYTHON, "filter",
                           &pith_malloc_allocator, &error));
    OK(pith_store_matching(store, collection, wanted, &ids, &n, &error));
    for (size_t i = 0; i < n; i++) {
        pith_store_text text;
        CHECK(i == 0 || ids[i - 1] < ids[i], "ids do not ascend");
        OK(pith_store_read(store, ids[i], &text, &error));
        keys[i] = text.key[0];
        pith_store_text_release(store, &text);
    }
    keys[n] = '\0';
    free(ids);
    free(copy);
    return keys;
}

static pith_store *open_filled(pith_store_collection *notes) {
    pith_store *store = test_store_open(test_path("matching.db"), 0, notes);
    put(store, notes, "a", "{\"lang\":\"en\",\"year\":1998,\"open\":true}");
    put(store, notes, "b", "{\"lang\":\"de\",\"year\":1998.0,\"open\":false}");
    put(store, notes, "c", "{\"lang\":\"en\",\"year\":\"1998\",\"tags\":[\"en\"]}");
    put(store, notes, "d", NULL);
    put(store, notes, "e", "[\"lang\",\"en\"]");
    put(store, notes, "f", "{\"lang\":\"en\",");
    put(store, notes, "g", "{\"lang\":null,\"lang\":\"en\\u0041\"}");
    return store;
}

TEST(store_matching, members_are_compared_by_kind_and_value) {
    static const struct {
        const char *filter, *keys;
    } cases[] = {
        {"{}", "abcdg"},
        {"{\"lang\":\"en\"}", "ac"},
        {"{\"lang\":\"enA\"}", "g"},
        {"{\"year\":1998}", "ab"},
        {"{\"year\":1.998e3}", "ab"},
        {"{\"year\":\"1998\"}", "c"},
        {"{\"open\":true}", "a"},
        {"{\"open\":null}", "cdg"},
        {"{\"lang\":null}", "d"},
        {"{\"lang\":\"en\",\"year\":1998}", "a"},
        {"{\"tags\":\"en\"}", ""},
        {"{\"lang\":\"e\"}", ""},
        {"{\"nothing\":1}", ""},
    };
    pith_store_collection notes;
    pith_store *store = open_filled(&notes);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *keys = matching(store, &notes, cases[i].filter);
        CHECK(strcmp(keys, cases[i].keys) == 0, "%s finds '%s', expected '%s'", cases[i].filter,
              keys, cases[i].keys);
    }
    pith_store_close(store);
    CHECK_NO_LEAKS();
}

TEST(store_matching, a_search_finds_the_best_of_the_chunks_it_may_look_at) {
    pith_store_collection notes;
    pith_store_hit all[10], some[10];
    float query[TEST_STORE_DIMENSION];
    size_t n_all, n_some;
    pith_store *store = open_filled(&notes);
    test_store_vector('d', 1, 0, query);
    OK(pith_store_search(store, &notes, query, 10, all, &n_all, &error));
    CHECK(n_all == 7, "%zu hits", n_all);
    /* Every second one of the best, as ids in ascending order. */
    int64_t ids[4];
    size_t n_ids = 0;
    for (size_t i = 0; i < n_all; i++) {
        if (i % 2 == 1) {
            size_t at = n_ids++;
            for (; at > 0 && ids[at - 1] > all[i].chunk; at--) {
                ids[at] = ids[at - 1];
            }
            ids[at] = all[i].chunk;
        }
    }
    OK(pith_store_search_among(store, &notes, ids, n_ids, query, 10, some, &n_some, &error));
    CHECK(n_some == 3, "%zu hits among %zu chunks", n_some, n_ids);
    for (size_t i = 0; i < n_some; i++) {
        CHECK(some[i].chunk == all[2 * i + 1].chunk && some[i].score == all[2 * i + 1].score,
              "hit %zu is chunk %lld", i, (long long)some[i].chunk);
    }
    OK(pith_store_search_among(store, &notes, NULL, 0, query, 10, some, &n_some, &error));
    CHECK(n_some == 0, "%zu hits among no chunks", n_some);
    pith_store_close(store);
    CHECK_NO_LEAKS();
}
