/* Whole databases. Input: the bytes of a SQLite file, or an SQL script, a statement a line, that
 * changes what pith has made; after a '!' it begins with nothing instead. The script may build what
 * pith never would; after a '1' with the schema of version 1. The database is opened, listed,
 * searched, among all documents and those of some metadata, read, written to; a hash of the input
 * chooses what goes wrong meanwhile. Whatever is in it, calls return, and what they promise holds.
 */
#include "base/status.h"
#include "store/indexer.h"
#include "store/schema.h"
#include "tests/fuzz/disk.h"
#include "tests/fuzz/input.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MAX_COLLECTIONS = 4,
    MAX_HITS = 4,
    MAX_STEPS = 100000, /* virtual machine steps of the script's statements, in all */
    /* Bytes of a text or blob that the script makes: a little more than pith reads. */
    MAX_VALUE = PITH_STORE_MAX_VALUE + 100,
};

/* ---- The file -------------------------------------------------------------------------------- */

/* A script must stay within its database. */
static int authorize(void *user, int action, const char *a, const char *b, const char *c,
                     const char *d) {
    (void)user, (void)b, (void)c, (void)d;
    bool refused = action == SQLITE_ATTACH ||
                   (action == SQLITE_PRAGMA && a != NULL && strstr(a, "directory") != NULL);
    return refused ? SQLITE_DENY : SQLITE_OK;
}

static int give_up(void *user) {
    (void)user;
    return 1;
}

/* Interrupts one statement, at the step that has been chosen. */
static int give_up_once(void *user) {
    size_t *steps_left = user;
    return *steps_left > 0 && --*steps_left == 0;
}

/* What goes wrong. */
typedef enum trouble {
    SLOW,
    ALTERED,
    FULL,
    LOCKED,
    INNER,
    NO_SQLITE_MEMORY,
    NO_MEMORY,
    DISK_WHILE_READING,
    DISK_WHILE_WRITING,
    DISK_LATER,             /* once it is open for writing */
    MORE_NO_SQLITE_MEMORY,  /* as NO_SQLITE_MEMORY, which has the most places */
    STILL_NO_SQLITE_MEMORY, /* to fail at */
    NONE = 15
} trouble;

static void remove_database(const char *path) {
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char name[1100];
        snprintf(name, sizeof name, "%s%s", path, endings[i]);
        unlink(name);
    }
}

/* Every line, whatever comes of those before it. */
static void run_script(sqlite3 *db, const char *text, size_t size) {
    char *script = malloc(size + 1);
    fuzz_require(script != NULL);
    memcpy(script, text, size);
    script[size] = '\0';
    char *rest = NULL;
    for (char *line = strtok_r(script, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        sqlite3_exec(db, line, NULL, NULL, NULL);
    }
    free(script);
}

static void make_database(const char *path, const uint8_t *data, size_t size) {
    static const char magic[] = "SQLite format 3";
    if (size >= sizeof magic && memcmp(data, magic, sizeof magic) == 0) {
        test_write_file(path, data, size);
        return;
    }
    if (size == 1 && data[0] == '!') {
        return; /* pith makes the file, too */
    }
    pith_store made = {.path = "made"};
    fuzz_require(sqlite3_open(path, &made.db) == SQLITE_OK);
    sqlite3_exec(made.db, "PRAGMA page_size=1024; PRAGMA synchronous=OFF", NULL, NULL, NULL);
    char begin = size > 0 && (data[0] == '!' || data[0] == '1') ? (char)data[0] : '\0';
    data += begin != '\0';
    size -= begin != '\0';
    if (begin != '!') {
        fuzz_require(pith_schema_create(&made, NULL) == PITH_OK);
    }
    if (begin == '1') {
        sqlite3_exec(made.db, "ALTER TABLE collections DROP COLUMN prompt; PRAGMA user_version=1",
                     NULL, NULL, NULL);
    }
    sqlite3_limit(made.db, SQLITE_LIMIT_LENGTH, MAX_VALUE);
    sqlite3_limit(made.db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 16);
    sqlite3_progress_handler(made.db, MAX_STEPS, give_up, NULL);
    sqlite3_set_authorizer(made.db, authorize, NULL);
    run_script(made.db, (const char *)data, size);
    sqlite3_close(made.db);
}

/* ---- Using it -------------------------------------------------------------------------------- */

typedef struct list {
    pith_store_collection items[MAX_COLLECTIONS];
    size_t n;
} list;

static bool see_collection(void *user, const pith_store_collection *collection) {
    list *l = user;
    fuzz_require(memchr(collection->name, '\0', sizeof collection->name) != NULL);
    fuzz_require(collection->dimension >= 1 && collection->dimension <= PITH_STORE_MAX_DIMENSION);
    l->items[l->n++] = *collection;
    return l->n < MAX_COLLECTIONS;
}

static float *make_vector(size_t n, size_t seed) {
    float *vector = malloc(n * sizeof *vector);
    fuzz_require(vector != NULL);
    for (size_t i = 0; i < n; i++) {
        vector[i] = (float)((i * 37 + seed) % 11) - 5.0F;
    }
    return vector;
}

static void read_chunk(pith_store *store, int64_t chunk) {
    pith_store_text text;
    pith_error error = {0};
    pith_status status = pith_store_read(store, chunk, &text, &error);
    if (status == PITH_OK) {
        fuzz_require(text.end - text.begin == text.n_bytes && text.key[text.n_key] == '\0');
        pith_store_text_release(store, &text);
    } else {
        fuzz_require(error.status == status && error.message[0] != '\0');
    }
}

/* The chunks whose documents' metadata has what `text` says, and the best of them alone. */
static void search_among(pith_store *store, const pith_store_collection *collection,
                         const char *text, const float *query) {
    pith_store_hit hits[MAX_HITS];
    int64_t *ids = NULL;
    size_t n_ids = 0;
    size_t n_hits = 0;
    char *copy = NULL;
    pith_json wanted;
    pith_error error = {0};
    fuzz_require(pith_json_read_copy(&wanted, &copy, text, strlen(text), PITH_JSON_PYTHON, "filter",
                                     &pith_malloc_allocator, &error) == PITH_OK);
    pith_status status = pith_store_matching(store, collection, wanted, &ids, &n_ids, &error);
    fuzz_require(status == PITH_OK || (error.status == status && error.message[0] != '\0'));
    for (size_t i = 1; status == PITH_OK && i < n_ids; i++) {
        fuzz_require(ids[i - 1] < ids[i]);
    }
    if (status == PITH_OK) {
        status = pith_store_search_among(store, collection, ids, n_ids, query, MAX_HITS, hits,
                                         &n_hits, &error);
    }
    for (size_t i = 0; status == PITH_OK && i < n_hits; i++) {
        bool among = false;
        for (size_t k = 0; k < n_ids; k++) {
            among = among || ids[k] == hits[i].chunk;
        }
        fuzz_require(among && (i == 0 || hits[i - 1].score >= hits[i].score));
    }
    pith_release(store->allocator, ids);
    pith_release(&pith_malloc_allocator, copy);
}

static void search(pith_store *store, const pith_store_collection *collection) {
    static const char *const filters[] = {"{}",
                                          "{\"a\": 1}",
                                          "{\"a\": \"x\"}",
                                          "{\"a\": []}",
                                          "{\"a\": true, \"b\": {}}",
                                          "{\"a\": null, \"b\": 1.5}"};
    pith_store_hit hits[MAX_HITS];
    size_t n_hits;
    pith_error error;
    float *query = make_vector(collection->dimension, 1);
    pith_status status =
        pith_store_search(store, collection, query, MAX_HITS, hits, &n_hits, &error);
    for (size_t i = 0; status == PITH_OK && i < n_hits; i++) {
        fuzz_require(i == 0 || hits[i - 1].score >= hits[i].score);
        read_chunk(store, hits[i].chunk);
    }
    fuzz_require(pith_store_search(store, collection, query, 0, hits, &n_hits, &error) != PITH_OK ||
                 n_hits == 0);
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        search_among(store, collection, filters[i], query);
    }
    query[0] = (float)NAN;
    fuzz_require(pith_store_search(store, collection, query, 1, hits, &n_hits, &error) != PITH_OK);
    free(query);
    read_chunk(store, 1);
}

/* Documents that must be refused. */
static void put_bad(pith_store *store, const pith_store_collection *collection) {
    static const pith_store_chunk chunks[] = {{0, 1}, {2, 1}, {0, 9}};
    float *vector = make_vector(collection->dimension, 2);
    pith_error error;
    pith_store_document document = {.key = "k", .n_key = 1, .text = "ab", .n_bytes = 2};
    for (size_t i = 1; i < 3; i++) {
        fuzz_require(pith_store_put(store, collection, &document, &chunks[i], 1, vector, &error) !=
                     PITH_OK);
    }
    fuzz_require(pith_store_put(store, collection, &document, chunks, SIZE_MAX, vector, &error) !=
                 PITH_OK);
    vector[0] = (float)INFINITY;
    fuzz_require(pith_store_put(store, collection, &document, chunks, 1, vector, &error) !=
                 PITH_OK);
    for (size_t n = 0; n <= PITH_STORE_MAX_KEY + 1; n += PITH_STORE_MAX_KEY + 1) {
        document.n_key = n;
        fuzz_require(pith_store_put(store, collection, &document, NULL, 0, NULL, &error) !=
                     PITH_OK);
    }
    if (collection->id % 8 == 1) {
        static char metadata[PITH_STORE_MAX_METADATA + 2];
        memset(metadata, 'x', sizeof metadata - 1);
        document.n_key = 1;
        document.metadata = metadata;
        fuzz_require(pith_store_put(store, collection, &document, NULL, 0, NULL, &error) !=
                     PITH_OK);
    }
    document.key = NULL;
    fuzz_require(pith_store_put(store, collection, &document, NULL, 0, NULL, &error) != PITH_OK);
    free(vector);
}

static pith_status count_words(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                               pith_error *error) {
    (void)user;
    (void)text;
    (void)error;
    *n_tokens = 1 + n_bytes / 4;
    return PITH_OK;
}

/* Every third collection's model is out of order. */
static pith_status embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                         pith_error *error) {
    const pith_store_collection *collection = user;
    if (collection->id % 3 == 2) {
        return pith_fail(error, PITH_ERROR_NUMERIC, "no vectors");
    }
    for (size_t i = 0; i < n; i++) {
        float *vector = make_vector(collection->dimension, inputs[i].text.n_bytes);
        memcpy(out + i * collection->dimension, vector, collection->dimension * sizeof *vector);
        free(vector);
    }
    return PITH_OK;
}

static void see_document(void *user, const pith_store_document *document, size_t n_chunks) {
    const pith_store_collection *collection = user;
    fuzz_require(document->n_key > 0 && (n_chunks == 0 || document->n_bytes > 0) &&
                 collection->id > 0);
}

static pith_status add_document(pith_store *store, const pith_store_collection *collection,
                                pith_indexer *indexer, const pith_store_document *document) {
    pith_store_state state;
    pith_error error;
    pith_status status =
        pith_store_find(store, collection, document->key, document->n_key, &state, &error);
    if (status == PITH_OK && state.found) {
        status = pith_store_touch(store, collection, document->key, document->n_key, 1, 2, &error);
    }
    if (status == PITH_OK) {
        status = pith_indexer_add(indexer, document, &error);
    }
    (void)pith_indexer_holds(indexer, "b", 1);
    return status;
}

static void add_documents(pith_store *store, pith_store_collection *collection,
                          const pith_allocator *allocator) {
    static char text[3000]; /* long enough for the file to grow */
    bool few = collection->id % 2 != 0;
    pith_indexer *indexer = NULL;
    pith_error error;
    pith_indexer_options options = {.batch = few ? 2 : 0,
                                    .count = count_words,
                                    .embed = embed,
                                    .committed = few ? see_document : NULL,
                                    .user = collection,
                                    .allocator = allocator};
    const pith_store_document documents[] = {
        {.key = "/a/0", .n_key = 4, .text = text, .n_bytes = sizeof text, .is_file = true},
        {.key = "b", .n_key = 1, .text = "one two three", .n_bytes = 13, .metadata = "{\"a\": 1}"},
        {.key = "c", .n_key = 1},
    };
    memset(text, 'x', sizeof text);
    for (size_t i = 9; i < sizeof text; i += 10) {
        text[i] = ' ';
    }
    pith_status status = pith_indexer_new(&indexer, store, collection, &options, &error);
    for (size_t i = 0; status == PITH_OK && i < 3; i++) {
        status = add_document(store, collection, indexer, &documents[i]);
    }
    if (indexer != NULL) { /* a second try after a failure, too */
        (void)pith_indexer_flush(indexer, &error);
        (void)pith_indexer_add(indexer, &documents[1], &error);
        (void)pith_indexer_flush(indexer, &error);
    }
    pith_indexer_free(indexer);
}

static bool keep_some(void *user, const char *key, size_t n_key) {
    (void)user;
    fuzz_require(key[n_key] == '\0');
    return n_key % 2 == 0;
}

static void change(pith_store *store, const pith_store_collection *is) {
    pith_store_collection wanted = *is;
    pith_store_collection got;
    pith_error error;
    bool removed;
    size_t n_removed;
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    wanted.overlap_tokens++;
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    wanted.chunk_tokens++;
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    wanted.prompt[0] ^= 1;
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    wanted.any_prompt = true;
    wanted.type = wanted.type == PITH_VECTOR_F32 ? PITH_VECTOR_INT8 : PITH_VECTOR_F32;
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    wanted.model_hash[0] ^= 1;
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    strcpy(wanted.old_hash, "f0");
    (void)pith_store_collection_use(store, &wanted, false, &got, &error);
    wanted = *is; /* made by version 0.1.0, and bound anew */
    strcpy(wanted.old_hash, is->model_hash);
    strcpy(wanted.model_hash, "new");
    (void)pith_store_collection_use(store, &wanted, true, &got, &error);
    wanted.dimension ^= 1;
    (void)pith_store_collection_use(store, &wanted, true, &got, &error);
    (void)pith_store_remove(store, is, "b", 1, &removed, &error);
    static const char *const roots[] = {"/a", "/a/", "/a/1", "k", ""};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        (void)pith_store_remove_files(store, is, roots[i], keep_some, NULL, &n_removed, &error);
    }
}

static void look(pith_store *store, list *l) {
    pith_error error;
    if (pith_store_begin_reading(store, &error) != PITH_OK) {
        return;
    }
    fuzz_require(pith_store_begin(store, &error) == PITH_ERROR_ARGUMENT);
    (void)pith_store_collections(store, see_collection, l, &error);
    for (size_t i = 0; i < l->n; i++) {
        pith_store_state state;
        (void)pith_store_find(store, &l->items[i], "b", 1, &state, &error);
        search(store, &l->items[i]);
    }
    pith_store_rollback(store);
}

/* Everything that writes, within a transaction and without. */
static void write_all(pith_store *store, pith_store_collection *collection, trouble t,
                      const test_allocator *memory) {
    pith_error error;
    put_bad(store, collection);
    if (pith_store_begin(store, &error) == PITH_OK) {
        if (t == INNER) { /* what the change relies on is gone */
            sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        }
        change(store, collection);
        (void)pith_store_commit(store, &error);
    }
    fuzz_require(pith_store_commit(store, &error) == PITH_ERROR_ARGUMENT);
    add_documents(store, collection, &memory->allocator);
    search(store, collection);
    change(store, collection);
}

static void make_collections(pith_store *store, const test_allocator *memory) {
    pith_store_collection wanted = {
        .name = "new", .model = "m", .model_hash = "0", .dimension = 3, .chunk_tokens = 2};
    pith_store_collection made;
    pith_error error;
    if (pith_store_collection_use(store, &wanted, true, &made, &error) == PITH_OK) {
        add_documents(store, &made, &memory->allocator);
        search(store, &made);
        (void)pith_store_collection_delete(store, "new", &error);
        add_documents(store, &made, &memory->allocator);
    }
    strcpy(wanted.name, "prompted");
    strcpy(wanted.prompt, "passage: ");
    wanted.type = PITH_VECTOR_F32;
    if (pith_store_collection_use(store, &wanted, true, &made, &error) == PITH_OK) {
        add_documents(store, &made, &memory->allocator);
        search(store, &made);
    }
    (void)pith_store_collection_delete(store, "absent", &error);
    strcpy(wanted.name, "absent");
    (void)pith_store_collection_use(store, &wanted, false, &made, &error);
    wanted.dimension = PITH_STORE_MAX_DIMENSION + 1;
    fuzz_require(pith_store_collection_use(store, &wanted, true, &made, &error) != PITH_OK);
    wanted.name[0] = '\0';
    fuzz_require(pith_store_collection_use(store, &wanted, true, &made, &error) != PITH_OK);
    wanted.dimension = 0;
    wanted.name[0] = 'x';
    fuzz_require(pith_store_collection_use(store, &wanted, true, &made, &error) != PITH_OK);
    wanted.dimension = 1;
    memset(wanted.prompt, 'x', sizeof wanted.prompt);
    fuzz_require(pith_store_collection_use(store, &wanted, true, &made, &error) != PITH_OK);
    memset(wanted.name, 'x', sizeof wanted.name);
    fuzz_require(pith_store_collection_use(store, &wanted, true, &made, &error) != PITH_OK);
}

/* Adds what the service keeps; it is there afterwards, or nothing of it is. */
static void add_ledger(pith_store *store) {
    pith_error error;
    if (store->has_ledger || pith_store_begin(store, &error) != PITH_OK) {
        return;
    }
    if (pith_schema_add_ledger(store, &error) != PITH_OK) {
        pith_store_rollback(store);
    } else {
        (void)pith_store_commit(store, &error);
    }
}

/* A database without a file has all of it. */
static void open_in_memory(void) {
    static const pith_store_options options = {.in_memory = true};
    pith_store *store = NULL;
    fuzz_require(pith_store_open(&store, "memory", &options, NULL) == PITH_OK);
    add_ledger(store);
    pith_store_close(store);
}

static void use(const char *path, bool read_only, trouble t, const uint8_t *data, size_t size,
                const test_allocator *memory) {
    pith_store *store = NULL;
    pith_error error = {0};
    pith_store_options options = {.read_only = read_only,
                                  .busy_milliseconds = size % 4 != 1 ? -1 : size % 8 != 1,
                                  .map = size % 2 != 0,
                                  .allocator = &memory->allocator};
    bool early = size % 3 == 0; /* of a reader always */
    if (t == NO_SQLITE_MEMORY && !read_only && early) {
        fuzz_sqlite_arm(data, size);
    }
    pith_status status = pith_store_open(&store, path, &options, &error);
    if (status != PITH_OK) {
        fuzz_require(store == NULL && error.status == status && error.message[0] != '\0');
        return;
    }
    list l = {.n = 0};
    uint64_t hash = fuzz_hash(data, size);
    size_t steps_left = 1 + (size_t)(hash & 0xffff) % ((size_t)16 << (hash >> 20) % 12);
    if (t == DISK_LATER && !read_only) {
        fuzz_disk_arm(data, size);
    }
    if (t == NO_SQLITE_MEMORY && !read_only && !early) {
        fuzz_sqlite_arm(data, size);
    } else if (t == SLOW) {
        sqlite3_progress_handler(store->db, 1, give_up_once, &steps_left);
    } else if (t == FULL) {
        sqlite3_exec(store->db, "PRAGMA max_page_count=1", NULL, NULL, NULL);
    }
    look(store, &l);
    sqlite3 *other = NULL;
    if (t == LOCKED || t == ALTERED) {
        sqlite3_open(path, &other);
        sqlite3_exec(other, t == LOCKED ? "BEGIN IMMEDIATE" : "CREATE TABLE more(a)", NULL, NULL,
                     NULL);
    }
    for (size_t i = 0; i < l.n; i++) {
        write_all(store, &l.items[i], t, memory);
    }
    make_collections(store, memory);
    if (!read_only && size % 2 == 0) {
        add_ledger(store);
    }
    sqlite3_close(other);
    pith_store_close(store);
}

/* Paths that are refused whatever is there. */
static void open_nothing(void) {
    static const pith_store_options reading = {.read_only = true};
    const char *link = test_path("link.db");
    fuzz_require(symlink("/proc/no/such.db", link) == 0);
    const char *const paths[] = {NULL, "", ":memory:", "/proc/no/such.db", "/proc", link};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        pith_store *store = NULL;
        fuzz_require(pith_store_open(&store, paths[i], NULL, NULL) != PITH_OK);
        fuzz_require(pith_store_open(&store, paths[i], &reading, NULL) != PITH_OK);
    }
    fuzz_require(pith_store_open(NULL, "x", NULL, NULL) != PITH_OK);
    pith_store_close(NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char path[1024];
    if (path[0] == '\0') {
        snprintf(path, sizeof path, "%s", test_path("fuzz.db"));
        fuzz_sqlite_init();
        fuzz_disk_init();
        open_nothing();
        open_in_memory();
    }
    trouble t = (trouble)(fuzz_hash(data, size) >> 40 & NONE);
    if (t == MORE_NO_SQLITE_MEMORY || t == STILL_NO_SQLITE_MEMORY) {
        t = NO_SQLITE_MEMORY;
    }
    test_allocator memory;
    test_allocator_init(&memory);
    if (t == NO_MEMORY) {
        memory.fail_at = 1 + (size_t)(fuzz_hash(data, size) >> 48) % 64;
    } else if (t == DISK_WHILE_READING && size % 2 == 0) {
        memory.fail_at = 3 + size / 2 % 8;
    }
    make_database(path, data, size);
    if (t == NO_SQLITE_MEMORY) {
        fuzz_sqlite_arm(data, size);
    } else if (t == DISK_WHILE_READING) {
        fuzz_disk_arm(data, size);
    }
    use(path, true, t, data, size, &memory);
    fuzz_sqlite_disarm();
    fuzz_disk_disarm();
    if (t == DISK_WHILE_WRITING) {
        fuzz_disk_arm(data, size);
    }
    use(path, false, t, data, size, &memory);
    fuzz_sqlite_disarm();
    fuzz_disk_disarm();
    if (t == NONE) {
        use(path, true, t, data, size, &memory); /* once more, with all that was added */
    }
    remove_database(path);
    fuzz_require(memory.n_live == 0);
    return 0;
}
