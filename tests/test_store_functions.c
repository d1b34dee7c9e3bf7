/* The SQL functions on blobs, and how texts are cut and indexed. */
#include "base/status.h"
#include "store/functions.h"
#include "store/indexer.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pith_error error;

static sqlite3 *open_memory(void) {
    sqlite3 *db;
    CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK, "no database");
    CHECK(pith_functions_register(db) == SQLITE_OK, "no functions");
    return db;
}

/* The value of an expression as text: an error's message, or "NULL". */
static const char *eval(sqlite3 *db, const char *expression) {
    static char out[300];
    char sql[600];
    sqlite3_stmt *row = NULL;
    snprintf(sql, sizeof sql, "SELECT %s", expression);
    CHECK(sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    const char *text = "NULL";
    if (sqlite3_step(row) != SQLITE_ROW) {
        text = sqlite3_errmsg(db);
    } else if (sqlite3_column_type(row, 0) != SQLITE_NULL) {
        text = (const char *)sqlite3_column_text(row, 0);
    }
    snprintf(out, sizeof out, "%s", text);
    sqlite3_finalize(row);
    return out;
}

TEST(store_functions, cosine_and_quantize_in_sql) {
    static const char *const cases[][2] = {
        /* 1 0 and 0 1; 1 0 and 1 0; int8 127 0 0 0 with itself */
        {"pith_cosine(x'0000803f00000000', x'000000000000803f')", "0.0"},
        {"pith_cosine(x'0000803f00000000', x'0000803f00000000')", "1.0"},
        {"pith_cosine(x'7f00000000', x'0100000000')", "1.0"},
        {"hex(pith_quantize(x'0000803f000080bf'))", "7F81000002"},
        {"hex(pith_quantize(pith_quantize(x'0000803f000080bf')))", "7F81000002"},
        {"pith_cosine(x'', x'')", "0.0"},
        {"pith_cosine(NULL, x'')", "NULL"},
        {"pith_quantize(NULL)", "NULL"},
        {"pith_cosine(x'00000000', x'0000000000000000')",
         "pith_cosine: vectors of 1 and 2 elements"},
        {"pith_cosine(x'0000000001', x'0000000000')", "pith_cosine: vectors of 3 and 4 elements"},
        {"pith_cosine('abcd', x'00000000')", "pith_cosine: a vector is a blob"},
        {"pith_cosine(x'0000', x'00000000')",
         "pith_cosine: not a vector: its length is neither 4 n (float) nor 4 n + 1 (int8)"},
        {"pith_cosine(x'0000000009', x'0000000009')", "pith_cosine: not an int8 vector"},
        {"pith_cosine(x'01', x'00')", "pith_cosine: not an int8 vector"},
        {"pith_cosine(x'00000000', x'0000000000')",
         "pith_cosine: one vector is of floats, the other of int8 (see pith_quantize)"},
        {"pith_cosine(zeroblob(300000), x'00000000')",
         "pith_cosine: a vector has at most 65536 elements"},
        {"pith_cosine(zeroblob(999999999), zeroblob(999999999))",
         "pith_cosine: a vector has at most 65536 elements"},
        /* NaN; infinity and 1 */
        {"pith_cosine(x'0000c07f', x'0000803f')", "pith_cosine: a vector holds NaN or infinity"},
        {"pith_cosine(x'0000807f0000803f', x'0000803f0000803f')",
         "pith_cosine: a vector holds NaN or infinity"},
        {"pith_quantize(x'0000c07f')", "pith_quantize: the vector holds NaN or infinity"},
        {"pith_quantize(17)", "pith_quantize: a vector is a blob"},
    };
    sqlite3 *db = open_memory();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *actual = eval(db, cases[i][0]);
        CHECK(strcmp(actual, cases[i][1]) == 0, "%s: '%s', expected '%s'", cases[i][0], actual,
              cases[i][1]);
    }
    sqlite3_close(db);
    CHECK_NO_LEAKS();
}

/* Every character but white space is a token. */
static pith_status count_characters(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                                    pith_error *problem) {
    (void)user;
    (void)problem;
    *n_tokens = 0;
    for (size_t i = 0; i < n_bytes; i++) {
        *n_tokens += text[i] > ' ' || ((unsigned char)text[i] & 0xc0) == 0xc0;
    }
    return PITH_OK;
}

TEST(store_split, known_texts) {
    static const struct {
        const char *text;
        size_t limit, overlap;
        const char *chunks; /* joined by | */
    } cases[] = {
        {"", 4, 1, ""},
        {" \n\t ", 4, 1, ""},
        {"one", 4, 1, "one"},
        {"  aa bb\ncc  dd ", 4, 0, "aa bb|cc  dd"},
        {"aa bb cc dd", 4, 2, "aa bb|bb cc|cc dd"},
        {"a b c d e f", 4, 2, "a b c d|c d e f"},
        {"abcdefgh i", 4, 0, "abcd|efgh|i"},
        {"\xc3\xa4\xc3\xb6\xc3\xbc", 1, 0, "\xc3\xa4|\xc3\xb6|\xc3\xbc"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_store_chunk *chunks;
        size_t n;
        char joined[100] = "";
        pith_status status =
            pith_store_split(cases[i].text, strlen(cases[i].text), cases[i].limit, cases[i].overlap,
                             count_characters, NULL, NULL, &chunks, &n, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        for (size_t c = 0; c < n; c++) {
            strcat(joined, c > 0 ? "|" : "");
            strncat(joined, cases[i].text + chunks[c].begin, chunks[c].end - chunks[c].begin);
        }
        CHECK(strcmp(joined, cases[i].chunks) == 0, "'%s': '%s', expected '%s'", cases[i].text,
              joined, cases[i].chunks);
        free(chunks);
    }
}

/* No word is lost, no chunk is over the limit, chunks begin and end between characters. */
TEST(store_split, random_texts_are_covered) {
    static const char *const parts[] = {"a", "word", " ", "\n", "\xe2\x82\xac", "longerword", "  "};
    for (uint64_t round = 1; round <= 300; round++) {
        uint64_t seed = round;
        char text[4000] = "";
        size_t n_parts = test_random(&seed) % 300;
        bool spaces = test_random(&seed) % 4 != 0; /* else one word of up to 3000 bytes */
        for (size_t i = 0; i < n_parts; i++) {
            size_t p = test_random(&seed) % 7;
            strcat(text, parts[spaces || (p != 2 && p != 3 && p != 6) ? p : 1]);
        }
        size_t n_bytes = strlen(text);
        size_t limit = 1 + test_random(&seed) % 20;
        size_t overlap = test_random(&seed) % limit;
        pith_store_chunk *chunks;
        size_t n;
        size_t covered = 0;
        CHECK(pith_store_split(text, n_bytes, limit, overlap, count_characters, NULL, NULL, &chunks,
                               &n, &error) == PITH_OK,
              "%s", error.message);
        for (size_t c = 0; c < n; c++) {
            size_t tokens;
            CHECK(chunks[c].begin < chunks[c].end && chunks[c].end <= n_bytes,
                  "seed %llu chunk %zu", (unsigned long long)round, c);
            CHECK(c == 0 ||
                      (chunks[c].begin > chunks[c - 1].begin && chunks[c].end > chunks[c - 1].end),
                  "seed %llu: chunk %zu brings nothing new", (unsigned long long)round, c);
            for (; covered < chunks[c].begin; covered++) {
                CHECK(text[covered] <= ' ' && text[covered] > 0, "seed %llu: byte %zu is lost",
                      (unsigned long long)round, covered);
            }
            covered = chunks[c].end;
            CHECK(((unsigned char)text[chunks[c].begin] & 0xc0) != 0x80 &&
                      ((unsigned char)text[chunks[c].end] & 0xc0) != 0x80,
                  "seed %llu: chunk %zu cuts a character", (unsigned long long)round, c);
            count_characters(NULL, text + chunks[c].begin, chunks[c].end - chunks[c].begin, &tokens,
                             NULL);
            CHECK(tokens <= limit, "seed %llu: chunk %zu has %zu tokens of %zu",
                  (unsigned long long)round, c, tokens, limit);
        }
        for (; covered < n_bytes; covered++) {
            CHECK(text[covered] <= ' ' && text[covered] > 0, "seed %llu: byte %zu is lost",
                  (unsigned long long)round, covered);
        }
        free(chunks);
    }
    CHECK_NO_LEAKS();
}

/* ---- Indexer --------------------------------------------------------------------------------- */

typedef struct fake_model {
    size_t n_calls, n_committed, fail_at; /* the fail_at-th call of embed fails */
    char order[200];
} fake_model;

static pith_status fake_embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                              pith_error *problem) {
    fake_model *model = user;
    if (++model->n_calls == model->fail_at) {
        return pith_fail(problem, PITH_ERROR_STOPPED, "stopped");
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t seed = inputs[i].text.n_bytes;
        for (size_t d = 0; d < TEST_STORE_DIMENSION; d++) {
            out[i * TEST_STORE_DIMENSION + d] = test_random_float(&seed);
        }
    }
    return PITH_OK;
}

static void fake_committed(void *user, const pith_store_document *document, size_t n_chunks) {
    fake_model *model = user;
    char entry[40];
    snprintf(entry, sizeof entry, "%s:%zu ", document->key, n_chunks);
    strcat(model->order, entry);
    model->n_committed++;
}

TEST(store_indexer, commits_batches_in_order_and_survives_a_stop) {
    pith_store_collection notes;
    pith_store_collection now;
    fake_model model = {.fail_at = 2};
    pith_indexer_options options = {.batch = 4,
                                    .count = count_characters,
                                    .embed = fake_embed,
                                    .committed = fake_committed,
                                    .user = &model};
    pith_indexer *indexer;
    pith_store *store = test_store_open(test_path("index.db"), 0, &notes);
    CHECK(pith_indexer_new(&indexer, store, &notes, &options, &error) == PITH_ERROR_ARGUMENT,
          "chunks of no tokens");
    notes.chunk_tokens = 3;
    CHECK(pith_indexer_new(&indexer, store, &notes, &options, &error) == PITH_OK, "%s",
          error.message);
    static const char *const texts[] = {"aaa bbb", "", "ccc", "ddd eee", "fff ggg"};
    pith_status expected[] = {PITH_OK, PITH_OK, PITH_OK, PITH_OK, PITH_OK};
    for (size_t i = 0; i < 5; i++) {
        char key[2] = {(char)('0' + i), 0};
        pith_store_document document = {.key = key,
                                        .n_key = 1,
                                        .text = texts[i],
                                        .n_bytes = strlen(texts[i])};
        CHECK(pith_indexer_add(indexer, &document, &error) == expected[i], "document %zu", i);
    }
    CHECK(strcmp(model.order, "0:2 1:0 2:1 3:2 ") == 0, "committed %s", model.order);
    CHECK(pith_indexer_holds(indexer, "4", 1) && !pith_indexer_holds(indexer, "3", 1), "held");
    CHECK(pith_indexer_flush(indexer, &error) == PITH_ERROR_STOPPED, "not stopped");
    CHECK(model.n_committed == 4, "%zu committed", model.n_committed);
    CHECK(pith_indexer_flush(indexer, &error) == PITH_OK, "%s", error.message);
    CHECK(strcmp(model.order, "0:2 1:0 2:1 3:2 4:2 ") == 0, "committed %s", model.order);
    CHECK(pith_indexer_flush(indexer, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_store_collection_find(store, "notes", &now, &error) == PITH_OK, "%s", error.message);
    CHECK(now.n_documents == 5 && now.n_chunks == 7, "%zu documents, %zu chunks", now.n_documents,
          now.n_chunks);
    pith_indexer_free(indexer);
    pith_store_close(store);
    CHECK_NO_LEAKS();
}

/* A batch of texts without chunks ends by their bytes. */
TEST(store_indexer, does_not_gather_more_than_some_bytes) {
    enum { SIZE = 6 << 20 };
    pith_store_collection notes;
    fake_model model = {.fail_at = 0};
    pith_indexer_options options = {.count = count_characters,
                                    .embed = fake_embed,
                                    .committed = fake_committed,
                                    .user = &model};
    pith_indexer *indexer;
    char *text = malloc(SIZE);
    CHECK(text != NULL, "out of memory");
    memset(text, ' ', SIZE);
    pith_store *store = test_store_open(test_path("bytes.db"), 0, &notes);
    notes.chunk_tokens = 3;
    CHECK(pith_indexer_new(&indexer, store, &notes, &options, &error) == PITH_OK, "%s",
          error.message);
    for (size_t i = 0; i < 3; i++) {
        char key[2] = {(char)('0' + i), 0};
        pith_store_document document = {.key = key, .n_key = 1, .text = text, .n_bytes = SIZE};
        CHECK(model.n_committed == 0, "committed after %zu documents", i);
        CHECK(pith_indexer_add(indexer, &document, &error) == PITH_OK, "%s", error.message);
    }
    CHECK(model.n_committed == 3, "%zu committed after 18 MB", model.n_committed);
    pith_indexer_free(indexer);
    pith_store_close(store);
    free(text);
    CHECK_NO_LEAKS();
}
