/* Collections: the binding of documents to one model. */
#include "store/finished.h"
#include "store/schema.h"

#include <string.h>

static const char action_of_reading[] = "read the collections";

/* In a database of version 1 the prompt is "". */
#define COLUMNS(prompt)                                                                        \
    "SELECT id, name, model, model_hash, dimension, type, chunk_tokens, overlap_tokens, "      \
    "(SELECT count(*) FROM documents WHERE collection = c.id), "                               \
    "(SELECT count(*) FROM chunks WHERE id BETWEEN c.id << 32 AND (c.id << 32) + 4294967295)," \
    " " prompt " FROM collections c "

/* Prepares a reading of collections. The schema may have become one of version 2, or gone back to
 * version 1 with a transaction, since it was looked at. */
static pith_status prepare_reading(pith_store *store, bool by_name, sqlite3_stmt **row,
                                   pith_error *error) {
    static const char *const statements[2][2] = {
        {COLUMNS("''") "ORDER BY name", COLUMNS("''") "WHERE name = ?"},
        {COLUMNS("prompt") "ORDER BY name", COLUMNS("prompt") "WHERE name = ?"},
    };
    pith_status status = pith_schema_check(store, error);
    if (status != PITH_OK) {
        return status;
    }
    int code =
        sqlite3_prepare_v2(store->db, statements[store->has_prompts][by_name], -1, row, NULL);
    return code == SQLITE_OK ? PITH_OK : pith_store_fail(store, code, action_of_reading, error);
}

int64_t pith_chunk_first(const pith_store_collection *collection) {
    return collection->id << PITH_CHUNK_BITS;
}

int64_t pith_chunk_last(const pith_store_collection *collection) {
    return pith_chunk_first(collection) + UINT32_MAX;
}

/* False when it does not fit. */
static bool copy_column(sqlite3_stmt *row, int column, char *out, size_t size) {
    size_t n = (size_t)sqlite3_column_bytes(row, column);
    const unsigned char *text = n < size ? sqlite3_column_text(row, column) : NULL;
    if (text == NULL) {
        return false;
    }
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

static pith_status read_row(pith_store *store, sqlite3_stmt *row, pith_store_collection *out,
                            pith_error *error) {
    pith_store_collection c = {.id = sqlite3_column_int64(row, 0)};
    for (int column = 1; column <= 10; column = column == 3 ? 10 : column + 1) {
        if (sqlite3_column_text(row, column) == NULL &&
            sqlite3_errcode(store->db) == SQLITE_NOMEM) {
            return pith_store_fail(store, SQLITE_NOMEM, "read the collections", error);
        }
    }
    int64_t dimension = sqlite3_column_int64(row, 4);
    int64_t type = sqlite3_column_int64(row, 5);
    int64_t chunk = sqlite3_column_int64(row, 6);
    int64_t overlap = sqlite3_column_int64(row, 7);
    if (c.id < 1 || c.id > PITH_MAX_COLLECTION || !copy_column(row, 1, c.name, sizeof c.name) ||
        !copy_column(row, 2, c.model, sizeof c.model) ||
        !copy_column(row, 3, c.model_hash, sizeof c.model_hash) ||
        !copy_column(row, 10, c.prompt, sizeof c.prompt) || dimension < 1 ||
        dimension > PITH_STORE_MAX_DIMENSION || type < PITH_VECTOR_INT8 || type > PITH_VECTOR_F32 ||
        chunk < 0 || overlap < 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: collection %lld is damaged", store->path,
                         (long long)c.id);
    }
    c.dimension = (size_t)dimension;
    c.type = (pith_vector_type)type;
    c.chunk_tokens = (size_t)chunk;
    c.overlap_tokens = (size_t)overlap;
    c.n_documents = (size_t)sqlite3_column_int64(row, 8);
    c.n_chunks = (size_t)sqlite3_column_int64(row, 9);
    *out = c;
    return PITH_OK;
}

static pith_status find(pith_store *store, const char *name, pith_store_collection *out,
                        bool *found, pith_error *error) {
    sqlite3_stmt *row = NULL;
    pith_status status = prepare_reading(store, true, &row, error);
    *found = false;
    if (status != PITH_OK) {
        return status;
    }
    sqlite3_bind_text(row, 1, name, -1, SQLITE_STATIC);
    int code = sqlite3_step(row);
    if (code == SQLITE_ROW) {
        *found = true;
        status = read_row(store, row, out, error);
    } else if (code != SQLITE_DONE) {
        status = pith_store_fail(store, code, action_of_reading, error);
    }
    sqlite3_finalize(row);
    return status == PITH_OK ? pith_finished_check(store, error) : status;
}

pith_status pith_store_collection_find(pith_store *store, const char *name,
                                       pith_store_collection *out, pith_error *error) {
    bool found;
    pith_status status = find(store, name, out, &found, error);
    if (status == PITH_OK && !found) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no collection '%s'", store->path, name);
    }
    return status;
}

static const char *type_name(pith_vector_type type) {
    return type == PITH_VECTOR_INT8 ? "int8" : "f32";
}

static bool is_old(const pith_store_collection *is, const pith_store_collection *wanted) {
    return wanted->old_hash[0] != '\0' && strcmp(is->model_hash, wanted->old_hash) == 0;
}

static bool same_model(const pith_store_collection *is, const pith_store_collection *wanted) {
    return strcmp(is->model_hash, wanted->model_hash) == 0 || is_old(is, wanted);
}

/* Version 0.1.0 wrote hashes of 64 digits. */
static pith_status fail_model(const pith_store *store, const pith_store_collection *is,
                              const pith_store_collection *wanted, pith_error *error) {
    enum { OLD_DIGITS = 64 };
    if (strlen(is->model_hash) == OLD_DIGITS && wanted->old_hash[0] != '\0') {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: collection '%s' was made by pith 0.1.0 and the model file '%s' "
                         "(%.12s), which it is bound to, not '%s' (%.12s): use that file, or index "
                         "the documents again into another collection",
                         store->path, is->name, is->model, is->model_hash, wanted->model,
                         wanted->old_hash);
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: collection '%s' was made by the model '%s' (%.12s), not by '%s' (%.12s)",
                     store->path, is->name, is->model, is->model_hash, wanted->model,
                     wanted->model_hash);
}

/* Checks that the collection is what is wanted. */
static pith_status check(const pith_store *store, const pith_store_collection *is,
                         const pith_store_collection *wanted, pith_error *error) {
    const pith_status no = PITH_ERROR_UNSUPPORTED;
    if (is->dimension != wanted->dimension) {
        return pith_fail(error, no,
                         "%s: collection '%s' holds vectors of %zu elements made by '%s'; '%s' "
                         "makes %zu",
                         store->path, is->name, is->dimension, is->model, wanted->model,
                         wanted->dimension);
    }
    if (!same_model(is, wanted)) {
        return fail_model(store, is, wanted, error);
    }
    if (!wanted->any_prompt && strcmp(is->prompt, wanted->prompt) != 0) {
        return pith_fail(error, no,
                         "%s: the documents of collection '%s' were embedded with the prompt "
                         "\"%.150s\", not \"%.150s\": vectors of the two do not compare",
                         store->path, is->name, is->prompt, wanted->prompt);
    }
    if (wanted->type != 0 && wanted->type != is->type) {
        return pith_fail(error, no, "%s: collection '%s' holds %s vectors, not %s", store->path,
                         is->name, type_name(is->type), type_name(wanted->type));
    }
    if ((wanted->chunk_tokens != 0 && wanted->chunk_tokens != is->chunk_tokens) ||
        (wanted->overlap_tokens != 0 && wanted->overlap_tokens != is->overlap_tokens)) {
        return pith_fail(error, no,
                         "%s: collection '%s' has chunks of %zu tokens with %zu of overlap, not "
                         "%zu and %zu",
                         store->path, is->name, is->chunk_tokens, is->overlap_tokens,
                         wanted->chunk_tokens, wanted->overlap_tokens);
    }
    return PITH_OK;
}

static pith_status insert(pith_store *store, const pith_store_collection *wanted,
                          pith_error *error) {
    static const char action[] = "create a collection";
    sqlite3_stmt *row = NULL;
    bool prompt = wanted->prompt[0] != '\0';
    if (prompt && !store->has_prompts) {
        pith_status status = pith_schema_add_prompts(store, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    int code = sqlite3_prepare_v2(
        store->db,
        prompt ? "INSERT INTO collections(name, model, model_hash, dimension, type, chunk_tokens, "
                 "overlap_tokens, prompt) VALUES(?,?,?,?,?,?,?,?)"
               : "INSERT INTO collections(name, model, model_hash, dimension, type, chunk_tokens, "
                 "overlap_tokens) VALUES(?,?,?,?,?,?,?)",
        -1, &row, NULL);
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, action, error);
    }
    pith_vector_type type = wanted->type != 0 ? wanted->type : PITH_VECTOR_INT8;
    sqlite3_bind_text(row, 1, wanted->name, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 2, wanted->model, -1, SQLITE_STATIC);
    sqlite3_bind_text(row, 3, wanted->model_hash, -1, SQLITE_STATIC);
    sqlite3_bind_int64(row, 4, (int64_t)wanted->dimension);
    sqlite3_bind_int(row, 5, (int)type);
    sqlite3_bind_int64(row, 6, (int64_t)wanted->chunk_tokens);
    sqlite3_bind_int64(row, 7, (int64_t)wanted->overlap_tokens);
    if (prompt) {
        sqlite3_bind_text(row, 8, wanted->prompt, -1, SQLITE_STATIC);
    }
    pith_status status = pith_store_step(store, row, action, error);
    sqlite3_finalize(row);
    return status;
}

/* Binds a collection of version 0.1.0 to what decides its vectors. */
static pith_status bind_anew(pith_store *store, const pith_store_collection *wanted,
                             pith_store_collection *is, pith_error *error) {
    static const char action[] = "bind a collection to its model";
    sqlite3_stmt *row = NULL;
    pith_status status = pith_store_enter(store, error);
    if (status != PITH_OK) {
        return status;
    }
    int code =
        sqlite3_prepare_v2(store->db,
                           "UPDATE collections SET model_hash = ? WHERE id = ? AND model_hash = ?",
                           -1, &row, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_text(row, 1, wanted->model_hash, -1, SQLITE_STATIC);
        sqlite3_bind_int64(row, 2, is->id);
        sqlite3_bind_text(row, 3, wanted->old_hash, -1, SQLITE_STATIC);
        status = pith_store_step(store, row, action, error);
    } else {
        status = pith_store_fail(store, code, action, error);
    }
    sqlite3_finalize(row);
    status = pith_store_leave(store, status, error);
    if (status == PITH_OK) {
        memcpy(is->model_hash, wanted->model_hash, sizeof is->model_hash);
    }
    return status;
}

static pith_status create(pith_store *store, const pith_store_collection *wanted,
                          pith_store_collection *out, pith_error *error) {
    pith_status status = pith_store_enter(store, error);
    if (status != PITH_OK) {
        return status;
    }
    bool found; /* another process may have been first */
    status = find(store, wanted->name, out, &found, error);
    if (status == PITH_OK && !found) {
        status = insert(store, wanted, error);
    }
    if (status == PITH_OK && !found) {
        status = find(store, wanted->name, out, &found, error);
    }
    return pith_store_leave(store, status, error);
}

pith_status pith_store_collection_use(pith_store *store, const pith_store_collection *wanted,
                                      bool make, pith_store_collection *out, pith_error *error) {
    pith_store_collection is = {.id = 0};
    bool found;
    if (wanted->name[0] == 0 || memchr(wanted->name, 0, sizeof wanted->name) == NULL ||
        memchr(wanted->prompt, 0, sizeof wanted->prompt) == NULL || wanted->dimension < 1 ||
        wanted->dimension > PITH_STORE_MAX_DIMENSION) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "a collection needs a name of 1 to 127 bytes and vectors of 1 to %d "
                         "elements",
                         PITH_STORE_MAX_DIMENSION);
    }
    pith_status status = find(store, wanted->name, &is, &found, error);
    if (status == PITH_OK && !found && make) {
        status = create(store, wanted, &is, error);
    } else if (status == PITH_OK && !found) {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no collection '%s'", store->path,
                           wanted->name);
    }
    if (status == PITH_OK) {
        status = check(store, &is, wanted, error);
    }
    if (status == PITH_OK && make && is_old(&is, wanted)) {
        status = bind_anew(store, wanted, &is, error);
    }
    if (status == PITH_OK) {
        *out = is;
    }
    return status;
}

pith_status pith_store_collection_delete(pith_store *store, const char *name, pith_error *error) {
    static const char *const changes[] = {
        "DELETE FROM vectors WHERE id BETWEEN ?1 AND ?2 AND ?3",
        "DELETE FROM chunks WHERE id BETWEEN ?1 AND ?2 AND ?3",
        "DELETE FROM documents WHERE collection = ?3 AND ?1 AND ?2",
        "DELETE FROM collections WHERE id = ?3 AND ?1 AND ?2",
    };
    static const char action[] = "delete a collection";
    pith_store_collection collection;
    pith_status status = pith_store_enter(store, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_store_collection_find(store, name, &collection, error);
    for (size_t i = 0; status == PITH_OK && i < sizeof changes / sizeof *changes; i++) {
        sqlite3_stmt *change = NULL;
        int code = sqlite3_prepare_v2(store->db, changes[i], -1, &change, NULL);
        if (code != SQLITE_OK) {
            status = pith_store_fail(store, code, action, error);
            break;
        }
        sqlite3_bind_int64(change, 1, pith_chunk_first(&collection));
        sqlite3_bind_int64(change, 2, pith_chunk_last(&collection));
        sqlite3_bind_int64(change, 3, collection.id);
        status = pith_store_step(store, change, action, error);
        sqlite3_finalize(change);
    }
    return pith_store_leave(store, status, error);
}

pith_status pith_store_collections(pith_store *store,
                                   bool (*fn)(void *user, const pith_store_collection *collection),
                                   void *user, pith_error *error) {
    sqlite3_stmt *row = NULL;
    int code = SQLITE_OK;
    pith_status status = prepare_reading(store, false, &row, error);
    bool more = true;
    while (code == SQLITE_OK && status == PITH_OK && more) {
        pith_store_collection collection;
        code = sqlite3_step(row);
        if (code == SQLITE_ROW) {
            code = SQLITE_OK;
            status = read_row(store, row, &collection, error);
            more = status == PITH_OK && fn(user, &collection);
        }
    }
    if (status == PITH_OK && code != SQLITE_OK && code != SQLITE_DONE) {
        status = pith_store_fail(store, code, action_of_reading, error);
    }
    sqlite3_finalize(row);
    return status;
}
