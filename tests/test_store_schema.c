/* Databases that are not what pith makes: every difference of the schema is refused by name, and
 * values have bounds. */
#include "store/internal.h"
#include "tests/store_data.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pith_error error;

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db;
    CHECK(sqlite3_open(path, &db) == SQLITE_OK, "%s: %s", path, sqlite3_errmsg(db));
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void check_opens(const char *path) {
    for (int read_only = 0; read_only < 2; read_only++) {
        pith_store *store = NULL;
        const pith_store_options options = {.read_only = read_only != 0};
        CHECK(pith_store_open(&store, path, &options, &error) == PITH_OK, "%s", error.message);
        pith_store_close(store);
    }
}

static void check_refused(const char *path, const char *what, const char *words) {
    for (int read_only = 0; read_only < 2; read_only++) {
        pith_store *store = NULL;
        const pith_store_options options = {.read_only = read_only != 0};
        pith_status status = pith_store_open(&store, path, &options, &error);
        CHECK(status == PITH_ERROR_FORMAT && store == NULL, "%s: status %d", what, (int)status);
        CHECK(strstr(error.message, words) != NULL && strstr(error.message, path) != NULL,
              "%s: '%s' lacks '%s'", what, error.message, words);
    }
}

/* A small database, closed. */
static void make(const char *path) {
    pith_store_collection notes;
    remove(path);
    pith_store *store = test_store_open(path, 0, &notes);
    for (size_t i = 0; i < 3; i++) {
        CHECK(test_store_put(store, &notes, i, 0, &error) == PITH_OK, "%s", error.message);
    }
    pith_store_close(store);
}

/* Every text of one takes memory as it goes in or out; neither what pith would make of a new one
 * nor one that is complete is used. */
TEST(store_schema, databases_of_utf_16_are_refused) {
    static const char encoding[] = "PRAGMA encoding = 'UTF-16';";
    const char *path = test_path("wide.db");
    pith_store *store = NULL;
    run_sql(path, "PRAGMA encoding = 'UTF-16'; CREATE TABLE t(x); DROP TABLE t");
    pith_status status = pith_store_open(&store, path, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && store == NULL, "status %d", (int)status);
    CHECK(strstr(error.message, "UTF-16") != NULL, "%s", error.message);

    /* The same schema, copied. */
    char sql[8192];
    const char *narrow = test_path("narrow.db");
    make(narrow);
    sqlite3 *db;
    sqlite3_stmt *row;
    CHECK(sqlite3_open(narrow, &db) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    CHECK(sqlite3_prepare_v2(db, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL", -1, &row,
                             NULL) == SQLITE_OK,
          "%s", sqlite3_errmsg(db));
    size_t n = (size_t)snprintf(sql, sizeof sql, "%s", encoding);
    while (sqlite3_step(row) == SQLITE_ROW) {
        n += (size_t)snprintf(sql + n, sizeof sql - n, "%s;", sqlite3_column_text(row, 0));
    }
    snprintf(sql + n, sizeof sql - n, "PRAGMA application_id=1885959272; PRAGMA user_version=2;");
    sqlite3_finalize(row);
    sqlite3_close(db);
    const char *wide = test_path("complete.db");
    run_sql(wide, sql);
    check_refused(wide, "UTF-16", "UTF-16");
    run_sql(test_path("same.db"), sql + strlen(encoding));
    check_opens(test_path("same.db"));
}

/* What version 0.1.0 wrote, to the letter. */
TEST(store_schema, databases_of_version_0_1_0_open) {
    static const char sql[] =
        "PRAGMA page_size=16384; PRAGMA journal_mode=WAL;"
        "CREATE TABLE collections(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model TEXT "
        "NOT NULL, model_hash TEXT NOT NULL, dimension INTEGER NOT NULL, type INTEGER NOT NULL, "
        "chunk_tokens INTEGER NOT NULL, overlap_tokens INTEGER NOT NULL) STRICT;"
        "CREATE TABLE documents(id INTEGER PRIMARY KEY, collection INTEGER NOT NULL, key TEXT NOT "
        "NULL, metadata TEXT, hash BLOB NOT NULL, is_file INTEGER NOT NULL, size INTEGER NOT NULL, "
        "mtime INTEGER NOT NULL, text TEXT NOT NULL, UNIQUE(collection, key)) STRICT;"
        "CREATE TABLE chunks(id INTEGER PRIMARY KEY, document INTEGER NOT NULL, first INTEGER NOT "
        "NULL, last INTEGER NOT NULL) STRICT;"
        "CREATE INDEX chunks_of_document ON chunks(document);"
        "CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;"
        "PRAGMA application_id=1885959272;"
        "PRAGMA user_version=1;";
    pith_store_collection notes;
    const char *path = test_path("old.db");
    run_sql(path, sql);
    check_opens(path);
    pith_store *store = test_store_open(path, 0, &notes);
    CHECK(test_store_put(store, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    pith_store_close(store);
    run_sql(path, "VACUUM"); /* moves every table */
    check_opens(path);

    /* A collection with a prompt makes it a database of version 2; one that fails does not. */
    pith_store_collection wanted = {.name = "prompted",
                                    .model = "m.pith",
                                    .model_hash = "00ff",
                                    .prompt = "passage: ",
                                    .dimension = TEST_STORE_DIMENSION};
    store = test_store_open(path, 0, &notes);
    pith_store_begin(store, &error);
    CHECK(pith_store_collection_use(store, &wanted, true, &notes, &error) == PITH_OK, "%s",
          error.message);
    pith_store_rollback(store);
    CHECK(pith_store_collection_find(store, "notes", &notes, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_store_collection_use(store, &wanted, true, &notes, &error) == PITH_OK, "%s",
          error.message);
    CHECK(test_store_put(store, &notes, 1, 0, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_store_collection_find(store, "notes", &notes, &error) == PITH_OK, "%s",
          error.message);
    CHECK(notes.n_documents == 1 && notes.prompt[0] == '\0', "%zu documents", notes.n_documents);
    pith_store_close(store);
    check_opens(path);
}

/* The version and the schema go together. */
TEST(store_schema, the_version_says_which_schema) {
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("version.db"));
    make(path);
    run_sql(path, "PRAGMA user_version=1");
    check_refused(path, "version 1", "the table 'collections' differs");
    make(path);
    run_sql(path, "ALTER TABLE collections DROP COLUMN prompt");
    check_refused(path, "version 2", "the table 'collections' differs");
}

#define COLLECTIONS                                                                        \
    "collections(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, model TEXT NOT NULL, " \
    "model_hash TEXT NOT NULL, dimension INTEGER NOT NULL, type INTEGER NOT NULL, "        \
    "chunk_tokens INTEGER NOT NULL, overlap_tokens INTEGER NOT NULL"

TEST(store_schema, every_difference_is_refused_by_name) {
    static const struct {
        const char *sql, *words;
    } cases[] = {
        /* generated columns */
        {"DROP TABLE vectors; CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB AS "
         "(zeroblob(999999999)))",
         "the table 'vectors' differs"},
        {"DROP TABLE vectors; CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL, "
         "x BLOB AS (hex(hex(zeroblob(200000000))))) STRICT",
         "vectors"},
        {"DROP TABLE collections; CREATE TABLE " COLLECTIONS
         ", z TEXT AS (printf('%.*c', 900000000, 'x'))) STRICT",
         "collections"},
        {"DROP TABLE vectors; CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL "
         "CHECK(length(hex(zeroblob(100000000))))) STRICT",
         "vectors"},
        {"DROP TABLE vectors; CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL "
         "DEFAULT (zeroblob(100000000))) STRICT",
         "vectors"},
        /* columns and tables more, fewer, or of another kind */
        {"ALTER TABLE documents ADD COLUMN more TEXT", "documents"},
        {"ALTER TABLE chunks DROP COLUMN last", "chunks"},
        {"DROP TABLE chunks; CREATE TABLE chunks(id, document, first, last)", "chunks"},
        {"DROP TABLE vectors; CREATE TABLE vectors(id INTEGER PRIMARY KEY, vector BLOB NOT NULL) "
         "STRICT, WITHOUT ROWID",
         "vectors"},
        {"CREATE TABLE more(x)", "unexpected table 'more'"},
        {"DROP TABLE vectors", "the table 'vectors' is missing"},
        {"DROP TABLE collections", "the table 'collections' is missing"},
        {"ANALYZE", "sqlite_stat"},
        /* indexes */
        {"DROP INDEX chunks_of_document", "the index 'chunks_of_document' is missing"},
        {"DROP INDEX chunks_of_document; CREATE INDEX chunks_of_document ON chunks(abs(document))",
         "the index 'chunks_of_document' differs"},
        {"CREATE INDEX more ON vectors(abs(id) * length(hex(vector)))", "unexpected index 'more'"},
        /* what is no table */
        {"DROP TABLE vectors; CREATE VIEW vectors AS SELECT id, zeroblob(100) AS vector FROM "
         "chunks",
         "'vectors'"},
        {"CREATE VIEW more AS SELECT 1", "unexpected view 'more'"},
        {"CREATE TRIGGER more AFTER INSERT ON documents BEGIN DELETE FROM vectors; END",
         "unexpected trigger 'more'"},
        {"DROP TABLE vectors; CREATE VIRTUAL TABLE vectors USING fts5(id, vector)", "vectors"},
        {"DROP TABLE vectors; CREATE VIRTUAL TABLE vectors USING rtree(id, vector, v2)", "vectors"},
        /* written past SQLite */
        {"PRAGMA writable_schema=1; UPDATE sqlite_schema SET rootpage=(SELECT rootpage FROM "
         "sqlite_schema WHERE name='chunks') WHERE name='vectors'",
         "root page"},
        {"PRAGMA writable_schema=1; UPDATE sqlite_schema SET rootpage=1 WHERE name='vectors'", ""},
        {"PRAGMA writable_schema=1; UPDATE sqlite_schema SET rootpage=99999999 WHERE "
         "name='vectors'",
         ""},
        {"PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql=replace(sql, 'name TEXT NOT "
         "NULL', 'name TEXT COLLATE hostile NOT NULL') WHERE name='collections'",
         "collections"},
        {"PRAGMA writable_schema=1; UPDATE sqlite_schema SET sql=sql || printf('%.*c', 20000, "
         "' ') WHERE name='vectors'",
         ""},
        {"PRAGMA writable_schema=1; INSERT INTO sqlite_schema SELECT * FROM sqlite_schema WHERE "
         "name='vectors'",
         ""},
    };
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("schema.db"));
    make(path);
    check_opens(path);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make(path);
        run_sql(path, cases[i].sql);
        check_refused(path, cases[i].sql, cases[i].words);
    }
}

/* So many that reading them all would cost memory. */
TEST(store_schema, thousands_of_tables_are_not_read) {
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("many.db"));
    make(path);
    char *sql = malloc(3000 * 32 + 64);
    CHECK(sql != NULL, "memory");
    size_t n = (size_t)sprintf(sql, "BEGIN;");
    for (size_t i = 0; i < 3000; i++) {
        n += (size_t)sprintf(sql + n, "CREATE TABLE t%zu(x);", i);
    }
    sprintf(sql + n, "COMMIT");
    run_sql(path, sql);
    free(sql);
    check_refused(path, "3000 tables", "thousands of entries");
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void check_values(const char *sql, pith_status expected, const char *words) {
    pith_store *store = NULL;
    pith_store_collection notes = {.id = 0};
    pith_store_hit hits[4];
    pith_store_text text = {.key = NULL};
    float query[TEST_STORE_DIMENSION];
    size_t n = 0;
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("values.db"));
    make(path);
    run_sql(path, sql);
    (void)sqlite3_memory_highwater(1);
    sqlite3_int64 before = sqlite3_memory_used();
    CHECK(pith_store_open(&store, path, &(pith_store_options){.read_only = true}, &error) ==
              PITH_OK,
          "%s: %s", sql, error.message);
    pith_status status = pith_store_collection_find(store, "notes", &notes, &error);
    if (status == PITH_OK) {
        test_store_vector(0, 0, 0, query);
        status = pith_store_search(store, &notes, query, 4, hits, &n, &error);
    }
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        status = pith_store_read(store, hits[i].chunk, &text, &error);
        if (status == PITH_OK) {
            pith_store_text_release(store, &text);
        }
    }
    CHECK(status == expected && (status == PITH_OK || strstr(error.message, words) != NULL),
          "%s: status %d, '%s' lacks '%s'", sql, (int)status, error.message, words);
    pith_store_close(store);
    sqlite3_int64 used = sqlite3_memory_highwater(0) - before;
    CHECK(used < 3 * (sqlite3_int64)PITH_STORE_MAX_VALUE, "%s: SQLite used %lld bytes", sql,
          (long long)used);
}

TEST(store_schema, values_have_bounds) {
    check_values("SELECT 1", PITH_OK, "");
    check_values("UPDATE vectors SET vector=zeroblob(20000000)", PITH_ERROR_FORMAT, "too large");
    check_values("UPDATE vectors SET vector=zeroblob(1000000)", PITH_ERROR_FORMAT, "damaged");
    check_values("UPDATE vectors SET vector=x'00'", PITH_ERROR_FORMAT, "damaged");
    check_values("UPDATE collections SET model=printf('%.*c', 20000000, 'x')", PITH_ERROR_FORMAT,
                 "too large");
    check_values("UPDATE collections SET model=printf('%.*c', 300, 'x')", PITH_ERROR_FORMAT,
                 "damaged");
    check_values("UPDATE documents SET metadata=printf('%.*c', 20000000, 'x')", PITH_ERROR_FORMAT,
                 "too large");
    check_values("UPDATE documents SET key=id || printf('%.*c', 70000, 'x')", PITH_ERROR_FORMAT,
                 "key");
    check_values("UPDATE documents SET text=printf('%.*c', 20000000, 'x')", PITH_OK, "");
}

/* Texts are the one kind of value that may be longer; their documents can be changed as others. */
TEST(store_schema, long_texts_are_kept) {
    enum { LONG = PITH_STORE_MAX_VALUE + 1000 };
    pith_store_collection notes;
    pith_store *store = test_store_open(test_path("long.db"), 0, &notes);
    char *text = malloc(LONG);
    CHECK(text != NULL, "memory");
    memset(text, 'x', LONG);
    text[LONG - 1] = '!';
    float vector[TEST_STORE_DIMENSION] = {1};
    pith_store_document document = {.key = "k", .n_key = 1, .text = text, .n_bytes = LONG};
    const pith_store_chunk chunk = {LONG - 5, LONG};
    pith_store_hit hit;
    pith_store_text found;
    pith_store_state state;
    size_t n;
    bool removed;
    for (int round = 0; round < 2; round++) {
        CHECK(pith_store_put(store, &notes, &document, &chunk, 1, vector, &error) == PITH_OK, "%s",
              error.message);
        CHECK(pith_store_touch(store, &notes, "k", 1, 7, 8, &error) == PITH_OK, "%s",
              error.message);
        CHECK(pith_store_find(store, &notes, "k", 1, &state, &error) == PITH_OK && state.size == 7,
              "%s", error.message);
        CHECK(pith_store_search(store, &notes, vector, 1, &hit, &n, &error) == PITH_OK && n == 1,
              "%s", error.message);
        CHECK(pith_store_read(store, hit.chunk, &found, &error) == PITH_OK, "%s", error.message);
        CHECK(found.n_bytes == 5 && memcmp(found.text, "xxxx!", 5) == 0, "other text");
        pith_store_text_release(store, &found);
    }
    CHECK(pith_store_remove(store, &notes, "k", 1, &removed, &error) == PITH_OK && removed, "%s",
          error.message);
    memset(text, 'y', LONG);
    text[LONG - 1] = 0;
    document = (pith_store_document){.key = "m", .n_key = 1, .text = "", .metadata = text};
    CHECK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "metadata") != NULL,
          "%s", error.message);
    text[PITH_STORE_MAX_METADATA] = 0;
    CHECK(pith_store_put(store, &notes, &document, NULL, 0, NULL, &error) == PITH_OK, "%s",
          error.message);
    free(text);
    pith_store_close(store);
}
