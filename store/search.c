/* Search: one SQL query, an aggregate over the vectors in the order of their table that keeps the
 * best k in a heap. Compared with ORDER BY pith_cosine(...) DESC LIMIT k, which gives the same
 * answer in any SQLite shell with the extension, SQLite runs fewer steps for a row. The time is
 * that of reading rows, so there is no index, copy or virtual table; `pith bench --search` measures
 * it. */
#include "store/finished.h"
#include "store/functions.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A search in progress: the user data of pith_nearest. */
typedef struct pith_nearest {
    pith_vector_type type;
    size_t n;             /* elements */
    size_t size;          /* bytes of a stored vector */
    const void *query;    /* [n] codes or floats */
    double norm;          /* of the query, squared */
    float *aligned;       /* [n], for a stored vector that is not */
    pith_store_hit *hits; /* [n_hits], a heap: each is worse than its two children */
    size_t n_hits, k;
    const int64_t *ids; /* [n_ids] of the chunks to look at, ascending; NULL: all */
    size_t n_ids;
} nearest;

/* ---- The best k ------------------------------------------------------------------------------ */

static bool worse(const pith_store_hit *a, const pith_store_hit *b) {
    return a->score != b->score ? a->score < b->score : a->chunk > b->chunk;
}

/* Puts a hit where the heap [n] has a hole, from the top down. */
static void sift_down(pith_store_hit *heap, size_t n, pith_store_hit hit) {
    size_t hole = 0;
    for (;;) {
        size_t child = 2 * hole + 1;
        if (child + 1 < n && worse(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (child >= n || !worse(&heap[child], &hit)) {
            break;
        }
        heap[hole] = heap[child];
        hole = child;
    }
    heap[hole] = hit;
}

static void offer(nearest *search, pith_store_hit hit) {
    pith_store_hit *heap = search->hits;
    if (search->n_hits == search->k) {
        if (worse(&heap[0], &hit)) {
            sift_down(heap, search->n_hits, hit);
        }
        return;
    }
    size_t hole = search->n_hits++;
    while (hole > 0 && worse(&hit, &heap[(hole - 1) / 2])) {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = hit;
}

/* Sorts hits best first: the worst goes to the end of what is left. */
static void sort_hits(pith_store_hit *heap, size_t n) {
    while (n > 1) {
        pith_store_hit last = heap[--n];
        heap[n] = heap[0];
        sift_down(heap, n, last);
    }
}

/* ---- The aggregate --------------------------------------------------------------------------- */

/* The cosine of a stored vector and the query; NaN when it is damaged. */
static double score_of(const nearest *search, const uint8_t *blob) {
    double norm;
    double dot;
    if (search->type == PITH_VECTOR_INT8) {
        norm = pith_dot_int8((const int8_t *)blob, (const int8_t *)blob, search->n);
        dot = pith_dot_int8((const int8_t *)blob, search->query, search->n);
        if (blob[search->size - 1] != search->size - 1 - search->n) {
            return (double)NAN;
        }
    } else {
        const float *vector = (const float *)(const void *)blob;
        if ((uintptr_t)blob % sizeof(float) != 0) {
            memcpy(search->aligned, blob, search->size);
            vector = search->aligned;
        }
        norm = pith_dot_f32(vector, vector, search->n);
        dot = pith_dot_f32(vector, search->query, search->n);
    }
    double product = norm * search->norm;
    return product == 0 ? 0 : dot / sqrt(product);
}

static int compare_ids(const void *a, const void *b) {
    const int64_t *x = a;
    const int64_t *y = b;
    return (*x > *y) - (*x < *y);
}

static bool is_wanted(const nearest *search, int64_t id) {
    return search->ids == NULL ||
           bsearch(&id, search->ids, search->n_ids, sizeof id, compare_ids) != NULL;
}

static void nearest_step(sqlite3_context *context, int n, sqlite3_value **arguments) {
    const pith_store *store = sqlite3_user_data(context);
    nearest *search = store->search;
    pith_store_hit hit = {.score = (double)NAN};
    (void)n;
    if (search != NULL && !is_wanted(search, sqlite3_value_int64(arguments[0]))) {
        return;
    }
    if (search != NULL && sqlite3_value_type(arguments[1]) == SQLITE_BLOB) {
        /* The length first: SQLite may have to allocate the bytes to return them. */
        const uint8_t *blob = NULL;
        if ((size_t)sqlite3_value_bytes(arguments[1]) == search->size) {
            blob = sqlite3_value_blob(arguments[1]);
        }
        if (blob != NULL) {
            hit.chunk = sqlite3_value_int64(arguments[0]);
            hit.score = score_of(search, blob);
        }
    }
    if (isnan(hit.score)) {
        sqlite3_result_error(context, "a vector is damaged", -1);
    } else {
        offer(search, hit);
    }
}

static void nearest_final(sqlite3_context *context) {
    sqlite3_result_null(context);
}

int pith_nearest_register(pith_store *store) {
    return sqlite3_create_function_v2(store->db, "pith_nearest", 2, SQLITE_UTF8 | SQLITE_DIRECTONLY,
                                      store, NULL, nearest_step, nearest_final, NULL);
}

/* ---- Searching ------------------------------------------------------------------------------- */

/* Converts the query to the collection's type; *memory is released by the caller. */
static pith_status prepare_query(pith_store *store, const pith_store_collection *collection,
                                 const float *query, nearest *search, void **memory,
                                 pith_error *error) {
    size_t n = collection->dimension;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(query[i])) {
            return pith_fail(error, PITH_ERROR_NUMERIC,
                             "element %zu of the query is not a finite number", i);
        }
    }
    search->type = collection->type;
    search->n = n;
    *memory = pith_allocate(store->allocator, n, sizeof(float));
    if (*memory == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
    }
    if (collection->type == PITH_VECTOR_INT8) {
        pith_quantize_vector(query, n, *memory);
        search->query = *memory;
        search->size = pith_blob_int8_size(n);
        search->norm = pith_dot_int8(*memory, *memory, n);
    } else {
        search->query = query;
        search->size = n * sizeof *query;
        search->norm = pith_dot_f32(query, query, n);
        search->aligned = *memory;
    }
    return PITH_OK;
}

static pith_status run_search(pith_store *store, const pith_store_collection *collection,
                              const float *query, nearest *search, pith_error *error) {
    sqlite3_stmt *scan = NULL;
    void *memory = NULL;
    pith_status status = prepare_query(store, collection, query, search, &memory, error);
    if (status != PITH_OK) {
        return status;
    }
    int code = sqlite3_prepare_v2(
        store->db, "SELECT pith_nearest(id, vector) FROM vectors WHERE id BETWEEN ?1 AND ?2", -1,
        &scan, NULL);
    if (code == SQLITE_OK && search->k > 0) {
        sqlite3_bind_int64(scan, 1, pith_chunk_first(collection));
        sqlite3_bind_int64(scan, 2, pith_chunk_last(collection));
        store->search = search;
        code = sqlite3_step(scan);
        store->search = NULL;
    }
    if (code != SQLITE_OK && code != SQLITE_ROW) {
        status = pith_store_fail(store, code, "search", error);
    } else {
        status = pith_finished_check(store, error);
    }
    if (status == PITH_OK) {
        sort_hits(search->hits, search->n_hits);
    }
    sqlite3_finalize(scan);
    pith_release(store->allocator, memory);
    return status;
}

pith_status pith_store_search(pith_store *store, const pith_store_collection *collection,
                              const float *query, size_t k, pith_store_hit *hits, size_t *n_hits,
                              pith_error *error) {
    nearest search = {.hits = hits, .k = k};
    pith_status status = run_search(store, collection, query, &search, error);
    if (status == PITH_OK) {
        *n_hits = search.n_hits;
    }
    return status;
}

pith_status pith_store_search_among(pith_store *store, const pith_store_collection *collection,
                                    const int64_t *ids, size_t n_ids, const float *query, size_t k,
                                    pith_store_hit *hits, size_t *n_hits, pith_error *error) {
    static const int64_t none;
    nearest search = {.hits = hits, .k = k, .ids = ids != NULL ? ids : &none, .n_ids = n_ids};
    pith_status status = run_search(store, collection, query, &search, error);
    if (status == PITH_OK) {
        *n_hits = search.n_hits;
    }
    return status;
}

/* ---- Reading a chunk ------------------------------------------------------------------------- */

/* Reads bytes [begin, end) of a document's text without the rest of it. */
static pith_status read_text(pith_store *store, int64_t document, pith_store_text *text,
                             pith_error *error) {
    static const char action[] = "read a document's text";
    sqlite3_blob *blob = NULL;
    int code = sqlite3_blob_open(store->db, "main", "documents", "text", document, 0, &blob);
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, action, error);
    }
    pith_status status = PITH_OK;
    assert(text->begin <= text->end);
    if (text->end > (size_t)sqlite3_blob_bytes(blob)) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: a chunk lies outside of its document",
                           store->path);
        goto done;
    }
    text->n_bytes = text->end - text->begin;
    text->text = pith_allocate_zeroed(store->allocator, text->n_bytes + 1, 1);
    if (text->text == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
        goto done;
    }
    code = sqlite3_blob_read(blob, text->text, (int)text->n_bytes, (int)text->begin);
    if (code != SQLITE_OK) {
        status = pith_store_fail(store, code, action, error);
    }
done:
    sqlite3_blob_close(blob);
    return status;
}

static pith_status read_facts(pith_store *store, sqlite3_stmt *row, pith_store_text *text,
                              pith_error *error) {
    bool has_metadata = sqlite3_column_type(row, 4) != SQLITE_NULL;
    if (sqlite3_column_bytes(row, 3) > PITH_STORE_MAX_KEY) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: a key of %d bytes; the limit is %d",
                         store->path, sqlite3_column_bytes(row, 3), PITH_STORE_MAX_KEY);
    }
    const char *key = (const char *)sqlite3_column_text(row, 3);
    const char *metadata = (const char *)sqlite3_column_text(row, 4);
    if ((key == NULL || (has_metadata && metadata == NULL)) &&
        sqlite3_errcode(store->db) == SQLITE_NOMEM) {
        return pith_store_fail(store, SQLITE_NOMEM, "read a chunk", error);
    }
    int64_t begin = sqlite3_column_int64(row, 1);
    int64_t end = sqlite3_column_int64(row, 2);
    if (key == NULL || begin < 0 || end < begin) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: a chunk is damaged", store->path);
    }
    text->begin = (size_t)begin;
    text->end = (size_t)end;
    text->n_key = (size_t)sqlite3_column_bytes(row, 3);
    text->key = pith_copy_text(store->allocator, key, text->n_key);
    if (metadata != NULL) {
        text->metadata =
            pith_copy_text(store->allocator, metadata, (size_t)sqlite3_column_bytes(row, 4));
    }
    if (text->key == NULL || (metadata != NULL && text->metadata == NULL)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
    }
    return PITH_OK;
}

pith_status pith_store_read(pith_store *store, int64_t chunk, pith_store_text *out,
                            pith_error *error) {
    pith_store_text text = {.key = NULL};
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db,
                                  "SELECT d.id, c.first, c.last, d.key, d.metadata FROM chunks c "
                                  "JOIN documents d ON d.id = c.document WHERE c.id = ?",
                                  -1, &row, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, chunk);
        code = sqlite3_step(row);
    }
    pith_status status = PITH_OK;
    if (code == SQLITE_ROW) {
        status = read_facts(store, row, &text, error);
        if (status == PITH_OK) {
            status = read_text(store, sqlite3_column_int64(row, 0), &text, error);
        }
    } else if (code == SQLITE_DONE) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no chunk %lld", store->path,
                           (long long)chunk);
    } else {
        status = pith_store_fail(store, code, "read a chunk", error);
    }
    sqlite3_finalize(row);
    if (status == PITH_OK) {
        status = pith_finished_check(store, error);
    }
    if (status == PITH_OK) {
        *out = text;
    } else {
        pith_store_text_release(store, &text);
    }
    return status;
}

void pith_store_text_release(pith_store *store, pith_store_text *text) {
    pith_release(store->allocator, text->key);
    pith_release(store->allocator, text->metadata);
    pith_release(store->allocator, text->text);
    *text = (pith_store_text){.key = NULL};
}
