/* The store: collections and what binds them, documents, search against a plain double ranking. */
#include "store/internal.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(call) CHECK((call) == PITH_OK, "%s", error.message)

static pith_error error;

static bool count_collection(void *user, const pith_store_collection *collection) {
    (void)collection;
    ++*(size_t *)user;
    return true;
}

TEST(store, a_document_is_found_read_and_replaced) {
    pith_store_collection notes;
    pith_store_state state;
    pith_store_text text;
    pith_store_hit hits[10];
    size_t n;
    float query[TEST_STORE_DIMENSION];
    char expected[100];
    pith_store *store = test_store_open(test_path("a.db"), 0, &notes);
    CHECK(notes.type == PITH_VECTOR_INT8 && notes.dimension == TEST_STORE_DIMENSION, "defaults");
    for (size_t revision = 1; revision <= 2; revision++) {
        OK(test_store_put(store, &notes, 4, revision, &error));
        OK(test_store_put(store, &notes, 5, 1, &error));
        OK(pith_store_find(store, &notes, "doc-4", 5, &state, &error));
        CHECK(state.found && state.mtime == (int64_t)revision, "revision %zu", revision);
        test_store_vector(4, revision, 1, query);
        OK(pith_store_search(store, &notes, query, 10, hits, &n, &error));
        CHECK(n == 6 && hits[0].score > 0.99999, "%zu hits, the best %g", n, hits[0].score);
        OK(pith_store_read(store, hits[0].chunk, &text, &error));
        test_store_text(4, revision, expected, sizeof expected);
        CHECK(strcmp(text.text, expected + strlen(expected) / 3) == 0, "text is '%s'", text.text);
        CHECK(strcmp(text.key, "doc-4") == 0 && strcmp(text.metadata, "{\"even\": true}") == 0,
              "key '%s'", text.key);
        CHECK(text.begin == strlen(expected) / 3 && text.end == strlen(expected), "place");
        pith_store_text_release(store, &text);
    }
    OK(pith_store_find(store, &notes, "doc-6", 5, &state, &error));
    CHECK(!state.found, "a document that was never written");
    CHECK(pith_store_read(store, 12345, &text, &error) == PITH_ERROR_ARGUMENT, "no such chunk");
    pith_store_close(store);
    CHECK_NO_LEAKS();
}

TEST(store, documents_stay_removed_and_touched) {
    pith_store_collection notes;
    pith_store_state state;
    bool removed;
    const char *path = test_path("b.db");
    pith_store *store = test_store_open(path, PITH_VECTOR_F32, &notes);
    for (size_t i = 0; i < 3; i++) {
        OK(test_store_put(store, &notes, i, 1, &error));
    }
    OK(pith_store_remove(store, &notes, "doc-1", 5, &removed, &error));
    CHECK(removed, "not removed");
    OK(pith_store_remove(store, &notes, "doc-1", 5, &removed, &error));
    CHECK(!removed, "removed twice");
    OK(pith_store_touch(store, &notes, "doc-2", 5, 77, 88, &error));
    pith_store_close(store);
    store = test_store_open(path, 0, &notes);
    CHECK(notes.type == PITH_VECTOR_F32, "the type changed");
    CHECK(notes.n_documents == 2 && notes.n_chunks == 6, "%zu documents, %zu chunks",
          notes.n_documents, notes.n_chunks);
    OK(pith_store_find(store, &notes, "doc-2", 5, &state, &error));
    CHECK(state.found && state.size == 77 && state.mtime == 88, "not touched");
    pith_store_close(store);
}

static bool keep_odd(void *user, const char *key, size_t n_key) {
    (void)user;
    return (key[n_key - 1] - '0') % 2 == 1;
}

TEST(store, vanished_files_are_removed_under_their_root_only) {
    static const char *const keys[] = {"d/1", "d/2", "d/e/4", "dd/2", "d", "2"};
    pith_store_collection notes;
    size_t n_removed;
    pith_store_state state;
    pith_store *store = test_store_open(test_path("c.db"), 0, &notes);
    for (size_t i = 0; i < 6; i++) {
        pith_store_document document = {.key = keys[i],
                                        .n_key = strlen(keys[i]),
                                        .text = "",
                                        .is_file = i != 4};
        OK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error));
    }
    OK(pith_store_remove_files(store, &notes, "d", keep_odd, NULL, &n_removed, &error));
    CHECK(n_removed == 2, "%zu removed", n_removed);
    for (size_t i = 0; i < 6; i++) {
        OK(pith_store_find(store, &notes, keys[i], strlen(keys[i]), &state, &error));
        CHECK(state.found == (i != 1 && i != 2), "%s", keys[i]);
    }
    pith_store_close(store);
}

/* Documents with one prompt; whoever searches need not know which. */
TEST(store, a_collection_has_one_prompt) {
    const char *path = test_path("prompt.db");
    pith_store_collection notes;
    pith_store *store = test_store_open(path, PITH_VECTOR_INT8, &notes);
    pith_store_collection wanted = {.name = "other",
                                    .model = "m.pith",
                                    .model_hash = "00ff",
                                    .prompt = "passage: ",
                                    .dimension = 24};
    pith_store_collection other;
    OK(pith_store_collection_use(store, &wanted, true, &other, &error));
    CHECK(strcmp(other.prompt, "passage: ") == 0 && notes.prompt[0] == '\0', "%s", other.prompt);
    OK(test_store_put(store, &other, 1, 0, &error));
    OK(pith_store_collection_use(store, &wanted, true, &other, &error));
    strcpy(wanted.prompt, "text: ");
    pith_status status = pith_store_collection_use(store, &wanted, true, &other, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "\"passage: \"") != NULL &&
              strstr(error.message, "\"text: \"") != NULL,
          "%s", error.message);
    wanted.prompt[0] = '\0';
    status = pith_store_collection_use(store, &wanted, false, &other, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED, "without a prompt: %s", pith_status_name(status));
    wanted.any_prompt = true;
    OK(pith_store_collection_use(store, &wanted, false, &other, &error));
    CHECK(strcmp(other.prompt, "passage: ") == 0, "%s", other.prompt);
    memset(wanted.prompt, 'x', sizeof wanted.prompt);
    status = pith_store_collection_use(store, &wanted, false, &other, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "an endless prompt: %s", pith_status_name(status));
    pith_store_close(store);
}

/* Version 0.1.0 bound a collection to the bytes of a file's header. */
TEST(store, collections_of_version_0_1_0_are_bound_anew) {
    enum { DIGITS = 64 };
    pith_store_collection old = {.name = "old", .model = "m.pith", .dimension = 24};
    pith_store_collection found;
    memset(old.model_hash, '7', DIGITS);
    pith_store_collection wanted = {.name = "old",
                                    .model = "m.pith",
                                    .model_hash = "00ff",
                                    .dimension = 24};
    pith_store *store = test_store_open(test_path("old.db"), PITH_VECTOR_INT8, &found);
    OK(pith_store_collection_use(store, &old, true, &found, &error));
    memset(wanted.old_hash, '8', DIGITS);
    pith_status status = pith_store_collection_use(store, &wanted, true, &found, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "pith 0.1.0") != NULL &&
              strstr(error.message, "777777777777") != NULL &&
              strstr(error.message, "888888888888") != NULL,
          "%s", error.message);
    memset(wanted.old_hash, '7', DIGITS);
    OK(pith_store_collection_use(store, &wanted, false, &found, &error)); /* to read: as it is */
    CHECK(strcmp(found.model_hash, old.model_hash) == 0, "bound to %s", found.model_hash);
    OK(pith_store_collection_use(store, &wanted, true, &found, &error));
    CHECK(strcmp(found.model_hash, "00ff") == 0, "bound to %s", found.model_hash);
    OK(test_store_put(store, &found, 1, 0, &error));
    wanted.old_hash[0] = '\0';
    OK(pith_store_collection_use(store, &wanted, false, &found, &error));
    pith_store_close(store);
}

TEST(store, a_collection_belongs_to_one_model) {
    static const pith_store_collection good = {.name = "notes",
                                               .model = "m.pith",
                                               .model_hash = "00ff",
                                               .dimension = 24};
    pith_store_collection notes;
    pith_store *store = test_store_open(test_path("d.db"), PITH_VECTOR_INT8, &notes);
    pith_store_collection wanted = good;
    OK(pith_store_collection_use(store, &wanted, false, &notes, &error));
    wanted.dimension = 25;
    pith_status status = pith_store_collection_use(store, &wanted, true, &notes, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "24") != NULL &&
              strstr(error.message, "25") != NULL && strstr(error.message, "d.db") != NULL,
          "%s", error.message);
    wanted = good;
    strcpy(wanted.model, "other.pith");
    strcpy(wanted.model_hash, "1234");
    status = pith_store_collection_use(store, &wanted, true, &notes, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "m.pith") != NULL &&
              strstr(error.message, "other.pith") != NULL,
          "%s", error.message);
    wanted = good;
    wanted.type = PITH_VECTOR_F32;
    CHECK(pith_store_collection_use(store, &wanted, true, &notes, &error) == PITH_ERROR_UNSUPPORTED,
          "another type");
    wanted = good;
    wanted.chunk_tokens = 5;
    CHECK(pith_store_collection_use(store, &wanted, true, &notes, &error) == PITH_ERROR_UNSUPPORTED,
          "other chunks");
    wanted = good;
    strcpy(wanted.name, "absent");
    CHECK(pith_store_collection_use(store, &wanted, false, &notes, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "absent") != NULL,
          "%s", error.message);
    pith_store_close(store);
}

TEST(store, collections_are_listed_and_deleted_apart) {
    pith_store_collection notes;
    pith_store_collection more;
    pith_store_hit hits[8];
    size_t n = 0;
    float query[TEST_STORE_DIMENSION];
    pith_store *store = test_store_open(test_path("e.db"), 0, &notes);
    pith_store_collection wanted = notes;
    strcpy(wanted.name, "more");
    OK(pith_store_collection_use(store, &wanted, true, &more, &error));
    OK(test_store_put(store, &notes, 1, 1, &error));
    OK(test_store_put(store, &more, 1, 1, &error));
    OK(test_store_put(store, &more, 2, 1, &error));
    OK(pith_store_collections(store, count_collection, &n, &error));
    CHECK(n == 2, "%zu collections", n);
    test_store_vector(1, 1, 0, query);
    OK(pith_store_search(store, &notes, query, 8, hits, &n, &error));
    CHECK(n == 3, "%zu hits", n);
    OK(pith_store_collection_delete(store, "notes", &error));
    CHECK(pith_store_collection_delete(store, "notes", &error) == PITH_ERROR_ARGUMENT, "twice");
    CHECK(test_store_put(store, &notes, 9, 1, &error) == PITH_ERROR_ARGUMENT,
          "a document without a collection");
    OK(pith_store_search(store, &notes, query, 8, hits, &n, &error));
    CHECK(n == 0, "%zu hits", n);
    OK(pith_store_search(store, &more, query, 8, hits, &n, &error));
    CHECK(n == 6, "%zu hits", n);
    pith_store_close(store);
}

typedef struct ranked {
    double score;
    int64_t chunk;
} ranked;

static int by_rank(const void *a, const void *b) {
    const ranked *x = a;
    const ranked *y = b;
    return x->score != y->score ? (x->score < y->score ? 1 : -1)
                                : (x->chunk > y->chunk) - (x->chunk < y->chunk);
}

/* Cosine in plain double arithmetic, of a blob as docs/search.md defines it. */
static double plain_cosine(pith_vector_type type, const uint8_t *blob, const float *query,
                           const int8_t *query_codes) {
    double dot = 0;
    double norm = 0;
    double query_norm = 0;
    for (size_t d = 0; d < TEST_STORE_DIMENSION; d++) {
        float value;
        memcpy(&value, blob + (type == PITH_VECTOR_F32 ? 4 * d : 0), sizeof value);
        double x = type == PITH_VECTOR_F32 ? (double)value : (double)(int8_t)blob[d];
        double y = type == PITH_VECTOR_F32 ? (double)query[d] : (double)query_codes[d];
        dot += x * y;
        norm += x * x;
        query_norm += y * y;
    }
    return dot / sqrt(norm * query_norm);
}

/* Ranks what the database holds. */
static void rank_all(pith_store *store, pith_vector_type type, const float *query, ranked *all,
                     size_t n_all) {
    sqlite3_stmt *row = NULL;
    int8_t codes[TEST_STORE_DIMENSION];
    size_t n = 0;
    double largest = 0;
    for (size_t d = 0; d < TEST_STORE_DIMENSION; d++) {
        largest = fmax(largest, fabs((double)query[d]));
    }
    for (size_t d = 0; d < TEST_STORE_DIMENSION; d++) {
        codes[d] = (int8_t)nearbyint((double)query[d] * 127 / largest);
    }
    CHECK(sqlite3_prepare_v2(store->db, "SELECT id, vector FROM vectors", -1, &row, NULL) ==
              SQLITE_OK,
          "%s", sqlite3_errmsg(store->db));
    while (sqlite3_step(row) == SQLITE_ROW) {
        size_t size = type == PITH_VECTOR_F32 ? TEST_STORE_DIMENSION * 4 : TEST_STORE_DIMENSION + 1;
        CHECK(n < n_all && (size_t)sqlite3_column_bytes(row, 1) == size, "vector %zu has %d bytes",
              n, sqlite3_column_bytes(row, 1));
        all[n].chunk = sqlite3_column_int64(row, 0);
        all[n++].score = plain_cosine(type, sqlite3_column_blob(row, 1), query, codes);
    }
    sqlite3_finalize(row);
    CHECK(n == n_all, "%zu vectors, expected %zu", n, n_all);
    qsort(all, n_all, sizeof *all, by_rank);
}

/* The order of the results equals that of a query that any SQLite shell can run. */
static void check_sql(pith_store *store, pith_vector_type type, const float *query,
                      const ranked *all, size_t k) {
    sqlite3_stmt *row = NULL;
    const char *sql = type == PITH_VECTOR_F32
                          ? "SELECT id FROM vectors ORDER BY pith_cosine(vector, ?) DESC, id"
                          : "SELECT id FROM vectors ORDER BY pith_cosine(pith_quantize(?), vector) "
                            "DESC, id";
    CHECK(sqlite3_prepare_v2(store->db, sql, -1, &row, NULL) == SQLITE_OK, "%s",
          sqlite3_errmsg(store->db));
    sqlite3_bind_blob(row, 1, query, TEST_STORE_DIMENSION * sizeof *query, SQLITE_STATIC);
    for (size_t i = 0; i < k; i++) {
        CHECK(sqlite3_step(row) == SQLITE_ROW && sqlite3_column_int64(row, 0) == all[i].chunk,
              "type %d rank %zu of the SQL query", (int)type, i);
    }
    sqlite3_finalize(row);
}

/* Few distinct vectors, so that there are ties. */
static void check_ranking(pith_vector_type type, uint64_t seed) {
    enum { DOCUMENTS = 200, COPIES = 30, ALL = DOCUMENTS * TEST_STORE_CHUNKS + COPIES };
    static const size_t counts[] = {0, 1, 50, ALL, ALL + 7};
    static ranked all[ALL];
    static pith_store_hit hits[ALL + 7];
    pith_store_collection notes;
    float vector[TEST_STORE_DIMENSION];
    float query[TEST_STORE_DIMENSION];
    pith_store *store = test_store_open(test_path("rank.db"), type, &notes);
    OK(pith_store_begin(store, &error));
    for (size_t i = 0; i < DOCUMENTS; i++) {
        OK(test_store_put(store, &notes, i, i % 40, &error));
    }
    for (size_t i = 0; i < COPIES; i++) { /* the same vectors again under other numbers */
        pith_store_document document = {.text = ""};
        pith_store_chunk chunk = {0, 0};
        char key[16];
        snprintf(key, sizeof key, "copy-%zu", i);
        document.key = key;
        document.n_key = strlen(key);
        test_store_vector(0, 0, i % 3, vector);
        OK(pith_store_put(store, &notes, &document, &chunk, 1, vector, &error));
    }
    OK(pith_store_commit(store, &error));
    test_store_vector(0, 0, 0, query);
    for (size_t d = 0; d < TEST_STORE_DIMENSION; d++) {
        query[d] += 0.3f * test_random_normal(&seed);
    }
    rank_all(store, type, query, all, ALL);
    check_sql(store, type, query, all, ALL);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        size_t expected = counts[c] < ALL ? counts[c] : ALL;
        size_t n = 99;
        OK(pith_store_search(store, &notes, query, counts[c], hits, &n, &error));
        CHECK(n == expected, "%zu hits, expected %zu", n, expected);
        for (size_t i = 0; i < n; i++) {
            CHECK(hits[i].chunk == all[i].chunk && fabs(hits[i].score - all[i].score) < 1e-14,
                  "type %d k %zu rank %zu: chunk %lld with %a, expected %lld with %a", (int)type,
                  counts[c], i, (long long)hits[i].chunk, hits[i].score, (long long)all[i].chunk,
                  all[i].score);
        }
    }
    pith_store_close(store);
    remove(test_path("rank.db"));
}

TEST(store, ranking_of_int8_vectors_is_exact) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        check_ranking(PITH_VECTOR_INT8, seed);
    }
}

TEST(store, ranking_of_f32_vectors_is_exact) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        check_ranking(PITH_VECTOR_F32, seed);
    }
}

static int interrupt(void *user) {
    pith_store_interrupt(user);
    return 0;
}

TEST(store, an_interrupted_search_stops_and_the_store_goes_on) {
    pith_store_collection notes;
    pith_store_hit hits[10];
    size_t n = 77;
    float query[TEST_STORE_DIMENSION];
    pith_store *store = test_store_open(test_path("stop.db"), 0, &notes);
    for (size_t i = 0; i < 40; i++) {
        OK(test_store_put(store, &notes, i, 1, &error));
    }
    test_store_vector(1, 1, 0, query);
    pith_store_interrupt(store); /* nothing is running: no effect */
    sqlite3_progress_handler(store->db, 1, interrupt, store);
    CHECK(pith_store_search(store, &notes, query, 10, hits, &n, &error) == PITH_ERROR_STOPPED &&
              n == 77,
          "%zu hits: %s", n, error.message);
    CHECK(test_store_put(store, &notes, 50, 1, &error) == PITH_ERROR_STOPPED, "%s", error.message);
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    OK(pith_store_search(store, &notes, query, 10, hits, &n, &error));
    CHECK(n == 10, "%zu hits", n);
    OK(pith_store_collection_find(store, "notes", &notes, &error));
    CHECK(notes.n_documents == 40, "%zu documents", notes.n_documents);
    pith_store_close(store);
}

TEST(store, damaged_vectors_are_named_as_such) {
    static const char *const changes[] = {
        "UPDATE vectors SET vector = x'0102030400' WHERE rowid = (SELECT max(id) FROM vectors)",
        "UPDATE vectors SET vector = CAST(substr(vector, 1, 24) || x'01' AS BLOB)",
    };
    for (size_t i = 0; i < 2; i++) {
        pith_store_collection notes;
        pith_store_hit hit;
        size_t n = 77;
        float query[TEST_STORE_DIMENSION] = {1};
        const char *path = test_path(i == 0 ? "short.db" : "padding.db");
        pith_store *store = test_store_open(path, 0, &notes);
        OK(test_store_put(store, &notes, 1, 1, &error));
        CHECK(sqlite3_exec(store->db, changes[i], NULL, NULL, NULL) == SQLITE_OK, "%s",
              sqlite3_errmsg(store->db));
        CHECK(pith_store_search(store, &notes, query, 1, &hit, &n, &error) == PITH_ERROR_FORMAT &&
                  n == 77 && strstr(error.message, "a vector is damaged") != NULL &&
                  strstr(error.message, path) != NULL,
              "case %zu: %s", i, error.message);
        pith_store_close(store);
    }
}

/* A writer replaces the only document between a search and the reading of its hits. */
TEST(store, hits_are_read_as_they_were_found) {
    pith_store_collection notes;
    pith_store_hit hits[TEST_STORE_CHUNKS];
    pith_store_text text;
    pith_store *reader;
    pith_store_options options = {.read_only = true};
    size_t n;
    float query[TEST_STORE_DIMENSION];
    char expected[100];
    const char *path = test_path("state.db");
    pith_store *writer = test_store_open(path, 0, &notes);
    OK(test_store_put(writer, &notes, 1, 1, &error));
    OK(pith_store_open(&reader, path, &options, &error));
    test_store_vector(1, 1, 1, query);
    test_store_text(1, 1, expected, sizeof expected);

    OK(pith_store_begin_reading(reader, &error));
    CHECK(pith_store_begin_reading(reader, &error) == PITH_ERROR_ARGUMENT, "begun twice");
    OK(pith_store_search(reader, &notes, query, TEST_STORE_CHUNKS, hits, &n, &error));
    OK(test_store_put(writer, &notes, 1, 2, &error));
    OK(test_store_put(writer, &notes, 2, 1, &error));
    OK(pith_store_read(reader, hits[0].chunk, &text, &error));
    CHECK(strcmp(text.text, expected + text.begin) == 0, "text is '%s'", text.text);
    pith_store_text_release(reader, &text);
    pith_store_rollback(reader);

    OK(pith_store_collection_find(reader, "notes", &notes, &error));
    CHECK(notes.n_documents == 2, "%zu documents after it", notes.n_documents);
    pith_store_close(reader);
    pith_store_close(writer);
    CHECK_NO_LEAKS();
}

/* The new collection gets the id of the old one. */
TEST(store, a_replaced_collection_is_not_written_to) {
    pith_store_collection notes;
    pith_store_collection other = {.name = "notes", .model_hash = "77", .dimension = 8};
    pith_store *store = test_store_open(test_path("replaced.db"), 0, &notes);
    OK(pith_store_collection_delete(store, "notes", &error));
    CHECK(test_store_put(store, &notes, 1, 1, &error) == PITH_ERROR_ARGUMENT, "deleted");
    OK(pith_store_collection_use(store, &other, true, &other, &error));
    CHECK(other.id == notes.id, "ids %lld and %lld", (long long)other.id, (long long)notes.id);
    CHECK(test_store_put(store, &notes, 1, 1, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "deleted or replaced") != NULL,
          "replaced: %s", error.message);
    pith_store_close(store);
}

/* Whoever changes the schema of an open database is noticed at the next transaction. */
TEST(store, a_schema_changed_meanwhile_is_refused) {
    static const char changes[] =
        "CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM vectors; END;"
        "ALTER TABLE chunks RENAME TO hidden; CREATE VIEW chunks AS SELECT * FROM hidden;";
    pith_store_collection notes;
    sqlite3 *db = NULL;
    const char *path = test_path("schema.db");
    pith_store *store = test_store_open(path, 0, &notes);
    OK(test_store_put(store, &notes, 1, 1, &error));
    CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    CHECK(sqlite3_exec(db, changes, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    pith_store_document document = {.key = "k", .n_key = 1, .text = ""};
    CHECK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "unexpected table 'hidden'") != NULL,
          "a view: %s", error.message);
    CHECK(pith_store_begin(store, &error) == PITH_ERROR_FORMAT &&
              pith_store_begin_reading(store, &error) == PITH_ERROR_FORMAT,
          "a transaction was begun");
    CHECK(sqlite3_exec(db,
                       "DROP VIEW chunks; DROP TABLE hidden; CREATE TABLE chunks(id INTEGER "
                       "PRIMARY KEY, document INTEGER NOT NULL, first INTEGER NOT NULL, last "
                       "INTEGER NOT NULL) STRICT; CREATE INDEX chunks_of_document ON "
                       "chunks(document)",
                       NULL, NULL, NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(db));
    CHECK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "unexpected trigger 't'") != NULL,
          "a trigger: %s", error.message);
    CHECK(sqlite3_exec(db, "DROP TRIGGER t", NULL, NULL, NULL) == SQLITE_OK, "%s",
          sqlite3_errmsg(db));
    OK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error));
    float query[TEST_STORE_DIMENSION] = {1};
    pith_store_hit hits[TEST_STORE_CHUNKS];
    size_t n;
    OK(pith_store_search(store, &notes, query, TEST_STORE_CHUNKS, hits, &n, &error));
    CHECK(n == TEST_STORE_CHUNKS, "%zu vectors: the trigger ran", n);
    sqlite3_close(db);
    pith_store_close(store);
}

TEST(store, bad_arguments_are_refused) {
    pith_store_collection notes;
    pith_store_hit hit;
    size_t n = 7;
    pith_store *store = test_store_open(test_path("f.db"), 0, &notes);
    float vector[TEST_STORE_DIMENSION] = {0};
    pith_store_document document = {.key = "k", .n_key = 1, .text = "abc", .n_bytes = 3};
    pith_store_chunk chunk = {2, 4};
    CHECK(pith_store_put(store, &notes, &document, &chunk, 1, vector, &error) ==
              PITH_ERROR_ARGUMENT,
          "a chunk outside of the text");
    chunk.end = 3;
    OK(pith_store_put(store, &notes, &document, &chunk, 1, vector, &error));
    vector[5] = 0.0f / vector[0];
    CHECK(pith_store_put(store, &notes, &document, &chunk, 1, vector, &error) ==
              PITH_ERROR_ARGUMENT,
          "NaN in a vector");
    CHECK(pith_store_search(store, &notes, vector, 1, &hit, &n, &error) == PITH_ERROR_NUMERIC &&
              n == 7,
          "NaN in a query");
    document.n_key = 0;
    CHECK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error) == PITH_ERROR_ARGUMENT,
          "an empty key");
    pith_store_close(store);
    CHECK(pith_store_open(&store, "", NULL, &error) == PITH_ERROR_ARGUMENT, "an empty path");
    CHECK(pith_store_open(&store, ":memory:", NULL, &error) == PITH_ERROR_ARGUMENT, ":memory:");
}
