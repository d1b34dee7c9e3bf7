/* Documents: written with their chunks and vectors in one transaction, found, removed. */
#include "base/checked.h"
#include "store/functions.h"
#include "store/internal.h"

#include <limits.h>
#include <math.h>
#include <string.h>

static const char write_action[] = "write a document";
static const char read_action[] = "read a document";
static const char remove_action[] = "remove a document";

static int prepare(pith_store *store, const char *sql, sqlite3_stmt **out) {
    return sqlite3_prepare_v2(store->db, sql, -1, out, NULL);
}

static void bind_key(sqlite3_stmt *statement, int at, const char *key, size_t n_key) {
    sqlite3_bind_text64(statement, at, key, n_key, SQLITE_STATIC, SQLITE_UTF8);
}

/* Id of a document, or 0. */
static pith_status find_id(pith_store *store, const pith_store_collection *collection,
                           const char *key, size_t n_key, int64_t *id, pith_error *error) {
    sqlite3_stmt *row = NULL;
    int code = prepare(store, "SELECT id FROM documents WHERE collection = ?1 AND key = ?2", &row);
    *id = 0;
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, collection->id);
        bind_key(row, 2, key, n_key);
        code = sqlite3_step(row);
    }
    if (code == SQLITE_ROW) {
        *id = sqlite3_column_int64(row, 0);
    }
    pith_status status = code == SQLITE_ROW || code == SQLITE_DONE
                             ? PITH_OK
                             : pith_store_fail(store, code, read_action, error);
    sqlite3_finalize(row);
    return status;
}

static pith_status remove_id(pith_store *store, int64_t id, pith_error *error) {
    static const char *const changes[] = {
        "DELETE FROM vectors WHERE id IN (SELECT id FROM chunks WHERE document = ?1)",
        "DELETE FROM chunks WHERE document = ?1",
        "DELETE FROM documents WHERE id = ?1",
    };
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < sizeof changes / sizeof *changes; i++) {
        sqlite3_stmt *change = NULL;
        int code = prepare(store, changes[i], &change);
        if (code != SQLITE_OK) {
            return pith_store_fail(store, code, remove_action, error);
        }
        sqlite3_bind_int64(change, 1, id);
        status = pith_store_step(store, change, remove_action, error);
        sqlite3_finalize(change);
    }
    return status;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static pith_status check_document(const pith_store *store, const pith_store_collection *collection,
                                  const pith_store_document *document,
                                  const pith_store_chunk *chunks, size_t n_chunks,
                                  const float *vectors, pith_error *error) {
    size_t n_values;
    if (document->key == NULL || document->n_key == 0 || document->n_key > PITH_STORE_MAX_KEY) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: a key has 1 to %d bytes", store->path,
                         PITH_STORE_MAX_KEY);
    }
    if (document->metadata != NULL && strlen(document->metadata) > PITH_STORE_MAX_METADATA) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s: metadata of %zu bytes; the limit is %d bytes", store->path,
                         strlen(document->metadata), PITH_STORE_MAX_METADATA);
    }
    if (!pith_mul_size(n_chunks, collection->dimension, &n_values)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: too many chunks", store->path);
    }
    for (size_t i = 0; i < n_chunks; i++) {
        if (chunks[i].begin > chunks[i].end || chunks[i].end > document->n_bytes) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "%s: chunk %zu [%zu, %zu) is outside of the text of %zu bytes",
                             store->path, i, chunks[i].begin, chunks[i].end, document->n_bytes);
        }
    }
    for (size_t i = 0; i < n_values; i++) {
        if (!isfinite(vectors[i])) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "%s: element %zu of vector %zu is not a finite number", store->path,
                             i % collection->dimension, i / collection->dimension);
        }
    }
    return PITH_OK;
}

static pith_status insert_document(pith_store *store, const pith_store_collection *collection,
                                   const pith_store_document *document, int64_t *id,
                                   pith_error *error) {
    sqlite3_stmt *row = NULL;
    int code = prepare(store,
                       "INSERT INTO documents(collection, key, metadata, hash, is_file, size, "
                       "mtime, text) VALUES(?,?,?,?,?,?,?,?)",
                       &row);
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, write_action, error);
    }
    sqlite3_bind_int64(row, 1, collection->id);
    bind_key(row, 2, document->key, document->n_key);
    sqlite3_bind_blob(row, 4, document->hash, sizeof document->hash, SQLITE_STATIC);
    sqlite3_bind_int(row, 5, document->is_file);
    sqlite3_bind_int64(row, 6, document->size);
    sqlite3_bind_int64(row, 7, document->mtime);
    pith_store_limit_values(store, true);
    code = sqlite3_bind_text(row, 3, document->metadata, -1, SQLITE_STATIC);
    if (code == SQLITE_OK) {
        code = sqlite3_bind_text64(row, 8, document->n_bytes != 0 ? document->text : "",
                                   document->n_bytes, SQLITE_STATIC, SQLITE_UTF8);
    }
    pith_status status = code == SQLITE_OK ? pith_store_step(store, row, write_action, error)
                                           : pith_store_fail(store, code, write_action, error);
    pith_store_limit_values(store, false);
    sqlite3_finalize(row);
    *id = sqlite3_last_insert_rowid(store->db);
    return status;
}

/* The id of the collection's next chunk. */
static pith_status next_chunk(pith_store *store, const pith_store_collection *collection,
                              size_t n_chunks, int64_t *id, pith_error *error) {
    sqlite3_stmt *row = NULL;
    int64_t last = pith_chunk_first(collection);
    int code = prepare(store, "SELECT max(id) FROM chunks WHERE id BETWEEN ?1 AND ?2", &row);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, pith_chunk_first(collection));
        sqlite3_bind_int64(row, 2, pith_chunk_last(collection));
        code = sqlite3_step(row);
    }
    if (code == SQLITE_ROW && sqlite3_column_type(row, 0) != SQLITE_NULL) {
        last = sqlite3_column_int64(row, 0);
    }
    sqlite3_finalize(row);
    if (code != SQLITE_ROW) {
        return pith_store_fail(store, code, write_action, error);
    }
    if (n_chunks >= (uint64_t)(pith_chunk_last(collection) - last)) {
        return pith_fail(error, PITH_ERROR_CAPACITY, "%s: the collection '%s' is full", store->path,
                         collection->name);
    }
    *id = last + 1;
    return PITH_OK;
}

/* Writes chunk and vector `id`; `blob` has room for a vector of the collection's type. */
static pith_status insert_chunk(pith_store *store, const pith_store_collection *collection,
                                sqlite3_stmt *chunk_row, sqlite3_stmt *vector_row, int64_t id,
                                const pith_store_chunk *chunk, const float *vector, uint8_t *blob,
                                pith_error *error) {
    const void *data = vector;
    size_t size = collection->dimension * sizeof *vector;
    if (collection->type == PITH_VECTOR_INT8) {
        pith_blob_int8_write(vector, collection->dimension, blob);
        data = blob;
        size = pith_blob_int8_size(collection->dimension);
    }
    sqlite3_bind_int64(chunk_row, 1, id);
    sqlite3_bind_int64(chunk_row, 3, (int64_t)chunk->begin);
    sqlite3_bind_int64(chunk_row, 4, (int64_t)chunk->end);
    sqlite3_bind_int64(vector_row, 1, id);
    sqlite3_bind_blob64(vector_row, 2, data, size, SQLITE_STATIC);
    pith_status status = pith_store_step(store, chunk_row, write_action, error);
    return status != PITH_OK ? status : pith_store_step(store, vector_row, write_action, error);
}

static pith_status insert_chunks(pith_store *store, const pith_store_collection *collection,
                                 int64_t document, const pith_store_chunk *chunks, size_t n_chunks,
                                 const float *vectors, pith_error *error) {
    sqlite3_stmt *chunk_row = NULL;
    sqlite3_stmt *vector_row = NULL;
    int64_t id = 0;
    uint8_t *blob = pith_allocate(store->allocator, pith_blob_int8_size(collection->dimension), 1);
    pith_status status =
        blob != NULL ? PITH_OK
                     : pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
    if (status == PITH_OK) {
        status = next_chunk(store, collection, n_chunks, &id, error);
    }
    if (status == PITH_OK) {
        int code = prepare(store, "INSERT INTO chunks(id, document, first, last) VALUES(?,?,?,?)",
                           &chunk_row);
        if (code == SQLITE_OK) {
            code = prepare(store, "INSERT INTO vectors(id, vector) VALUES(?,?)", &vector_row);
        }
        if (code == SQLITE_OK) {
            sqlite3_bind_int64(chunk_row, 2, document);
        } else {
            status = pith_store_fail(store, code, write_action, error);
        }
    }
    for (size_t i = 0; status == PITH_OK && i < n_chunks; i++) {
        status = insert_chunk(store, collection, chunk_row, vector_row, id + (int64_t)i, &chunks[i],
                              vectors + i * collection->dimension, blob, error);
    }
    sqlite3_finalize(chunk_row);
    sqlite3_finalize(vector_row);
    pith_release(store->allocator, blob);
    return status;
}

/* The collection may have been deleted since it was found, and its id given to another. Counts are
 * not read: they would be computed for every document. */
static pith_status check_collection(pith_store *store, const pith_store_collection *collection,
                                    pith_error *error) {
    sqlite3_stmt *row = NULL;
    int code = prepare(store,
                       "SELECT 1 FROM collections WHERE name = ? AND id = ? AND model_hash = ? AND "
                       "dimension = ? AND type = ?",
                       &row);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(row, 1, collection->name, -1, SQLITE_STATIC);
        sqlite3_bind_int64(row, 2, collection->id);
        sqlite3_bind_text(row, 3, collection->model_hash, -1, SQLITE_STATIC);
        sqlite3_bind_int64(row, 4, (int64_t)collection->dimension);
        sqlite3_bind_int(row, 5, (int)collection->type);
        code = sqlite3_step(row);
    }
    pith_status status = PITH_OK;
    if (code == SQLITE_DONE) {
        status =
            pith_fail(error, PITH_ERROR_ARGUMENT, "%s: the collection '%s' was deleted or replaced",
                      store->path, collection->name);
    } else if (code != SQLITE_ROW) {
        status = pith_store_fail(store, code, write_action, error);
    }
    sqlite3_finalize(row);
    return status;
}

pith_status pith_store_put(pith_store *store, const pith_store_collection *collection,
                           const pith_store_document *document, const pith_store_chunk *chunks,
                           size_t n_chunks, const float *vectors, pith_error *error) {
    int64_t old = 0;
    int64_t id = 0;
    pith_status status =
        check_document(store, collection, document, chunks, n_chunks, vectors, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_store_enter(store, error);
    if (status != PITH_OK) {
        return status;
    }
    status = check_collection(store, collection, error);
    if (status == PITH_OK) {
        status = find_id(store, collection, document->key, document->n_key, &old, error);
    }
    if (status == PITH_OK && old != 0) {
        status = remove_id(store, old, error);
    }
    if (status == PITH_OK) {
        status = insert_document(store, collection, document, &id, error);
    }
    if (status == PITH_OK) {
        status = insert_chunks(store, collection, id, chunks, n_chunks, vectors, error);
    }
    return pith_store_leave(store, status, error);
}

/* ---- Finding and removing -------------------------------------------------------------------- */

pith_status pith_store_find(pith_store *store, const pith_store_collection *collection,
                            const char *key, size_t n_key, pith_store_state *out,
                            pith_error *error) {
    pith_store_state state = {.found = false};
    sqlite3_stmt *row = NULL;
    int code = prepare(store,
                       "SELECT hash, is_file, size, mtime FROM documents WHERE collection = ?1 "
                       "AND key = ?2",
                       &row);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, collection->id);
        bind_key(row, 2, key, n_key);
        code = sqlite3_step(row);
    }
    pith_status status = PITH_OK;
    if (code == SQLITE_ROW) {
        state.found = true;
        state.is_file = sqlite3_column_int(row, 1) != 0;
        state.size = sqlite3_column_int64(row, 2);
        state.mtime = sqlite3_column_int64(row, 3);
        if (sqlite3_column_bytes(row, 0) == (int)sizeof state.hash) {
            memcpy(state.hash, sqlite3_column_blob(row, 0), sizeof state.hash);
        } else {
            status = pith_fail(error, PITH_ERROR_FORMAT, "%s: the hash of a document is damaged",
                               store->path);
        }
    } else if (code != SQLITE_DONE) {
        status = pith_store_fail(store, code, read_action, error);
    }
    sqlite3_finalize(row);
    if (status == PITH_OK) {
        *out = state;
    }
    return status;
}

pith_status pith_store_touch(pith_store *store, const pith_store_collection *collection,
                             const char *key, size_t n_key, int64_t size, int64_t mtime,
                             pith_error *error) {
    sqlite3_stmt *change = NULL;
    int code = prepare(store,
                       "UPDATE documents SET size = ?3, mtime = ?4 WHERE collection = ?1 AND key "
                       "= ?2",
                       &change);
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, write_action, error);
    }
    sqlite3_bind_int64(change, 1, collection->id);
    bind_key(change, 2, key, n_key);
    sqlite3_bind_int64(change, 3, size);
    sqlite3_bind_int64(change, 4, mtime);
    pith_store_limit_values(store, true); /* the whole row is written again */
    pith_status status = pith_store_step(store, change, write_action, error);
    pith_store_limit_values(store, false);
    sqlite3_finalize(change);
    return status;
}

pith_status pith_store_remove(pith_store *store, const pith_store_collection *collection,
                              const char *key, size_t n_key, bool *removed, pith_error *error) {
    int64_t id = 0;
    pith_status status = pith_store_enter(store, error);
    if (status != PITH_OK) {
        return status;
    }
    status = find_id(store, collection, key, n_key, &id, error);
    if (status == PITH_OK && id != 0) {
        status = remove_id(store, id, error);
    }
    status = pith_store_leave(store, status, error);
    if (status == PITH_OK) {
        *removed = id != 0;
    }
    return status;
}

/* Appends the ids of the documents to remove; *ids is grown with pith_reallocate. */
static pith_status collect_gone(pith_store *store, const pith_store_collection *collection,
                                const char *root, bool (*keep)(void *, const char *, size_t),
                                void *user, int64_t **ids, size_t *n_ids, pith_error *error) {
    size_t n_root = strlen(root);
    size_t capacity = 0;
    sqlite3_stmt *row = NULL;
    int code =
        prepare(store, "SELECT id, key FROM documents WHERE collection = ? AND is_file", &row);
    pith_status status = PITH_OK;
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(row, 1, collection->id);
    }
    while (code == SQLITE_OK && status == PITH_OK) {
        code = sqlite3_step(row);
        if (code != SQLITE_ROW) {
            break;
        }
        code = SQLITE_OK;
        const char *key = (const char *)sqlite3_column_text(row, 1);
        size_t n_key = (size_t)sqlite3_column_bytes(row, 1);
        if (key == NULL && sqlite3_errcode(store->db) == SQLITE_NOMEM) {
            code = SQLITE_NOMEM;
            break;
        }
        bool under =
            key != NULL && n_key >= n_root && memcmp(key, root, n_root) == 0 &&
            (n_key == n_root || key[n_root] == '/' || (n_root > 0 && root[n_root - 1] == '/'));
        if (!under || keep(user, key, n_key)) {
            continue;
        }
        if (*n_ids == capacity) {
            capacity = 2 * capacity + 64;
            int64_t *more = pith_reallocate(store->allocator, *ids, capacity, sizeof *more);
            if (more == NULL) {
                status = pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
                break;
            }
            *ids = more;
        }
        (*ids)[(*n_ids)++] = sqlite3_column_int64(row, 0);
    }
    if (status == PITH_OK && code != SQLITE_OK && code != SQLITE_DONE) {
        status = pith_store_fail(store, code, read_action, error);
    }
    sqlite3_finalize(row);
    return status;
}

pith_status pith_store_remove_files(pith_store *store, const pith_store_collection *collection,
                                    const char *root,
                                    bool (*keep)(void *user, const char *key, size_t n_key),
                                    void *user, size_t *n_removed, pith_error *error) {
    int64_t *ids = NULL;
    size_t n_ids = 0;
    pith_status status = pith_store_enter(store, error);
    if (status != PITH_OK) {
        return status;
    }
    status = collect_gone(store, collection, root, keep, user, &ids, &n_ids, error);
    for (size_t i = 0; status == PITH_OK && i < n_ids; i++) {
        status = remove_id(store, ids[i], error);
    }
    pith_release(store->allocator, ids);
    status = pith_store_leave(store, status, error);
    if (status == PITH_OK) {
        *n_removed = n_ids;
    }
    return status;
}
