/* Which chunks a search may find: those whose document's metadata has certain members. Metadata is
 * JSON text that nothing has checked, so it is read by base/json and not by SQLite's functions. */
#include "base/bytes.h"
#include "store/internal.h"

#include <string.h>

typedef struct id_list {
    int64_t *ids;
    size_t n, room;
} id_list;

static bool add_id(pith_store *store, id_list *list, int64_t id) {
    if (list->n == list->room) {
        size_t room = list->room > 0 ? 2 * list->room : 256;
        int64_t *ids = pith_reallocate(store->allocator, list->ids, room, sizeof *ids);
        if (ids == NULL) {
            return false;
        }
        list->ids = ids;
        list->room = room;
    }
    list->ids[list->n++] = id;
    return true;
}

static bool equal(pith_json a, pith_json b) {
    double x, y;
    int64_t m, n;
    bool p, q;
    switch (pith_json_kind_of(a)) {
    case PITH_JSON_ABSENT:
    case PITH_JSON_NULL:
        return pith_json_is_none(b);
    case PITH_JSON_BOOL:
        return pith_json_bool(a, &p) && pith_json_bool(b, &q) && p == q;
    case PITH_JSON_NUMBER:
        if (pith_json_integer(a, &m) && pith_json_integer(b, &n)) {
            return m == n; /* as doubles, neighbouring integers could be equal */
        }
        return pith_json_number(a, &x) && pith_json_number(b, &y) && x == y;
    case PITH_JSON_STRING:
        return pith_json_is(b, PITH_JSON_STRING) &&
               pith_json_text_size(a) == pith_json_text_size(b) &&
               memcmp(pith_json_text(a), pith_json_text(b), pith_json_text_size(a)) == 0;
    case PITH_JSON_ARRAY:
    case PITH_JSON_OBJECT:
        break;
    }
    return false;
}

/* False for metadata that is no object, and for text that is not JSON. Errors: MEMORY. */
static pith_status matches(pith_store *store, const char *metadata, size_t n, pith_json wanted,
                           bool *out, pith_error *error) {
    pith_json root = {NULL};
    char *copy = NULL;
    pith_status status = pith_json_read_copy(&root, &copy, metadata, n, PITH_JSON_PYTHON,
                                             "metadata", store->allocator, error);
    *out = status == PITH_OK && pith_json_is(root, PITH_JSON_OBJECT);
    pith_json_walk walk = pith_json_begin(wanted);
    while (*out && pith_json_next(&walk)) {
        *out = equal(walk.value, pith_json_get(root, walk.key));
    }
    pith_release(store->allocator, copy);
    return status == PITH_ERROR_MEMORY ? status : PITH_OK;
}

/* A document's metadata against `wanted`; the statement's row has it in the third column. A
 * document without metadata has no members, as with {}. */
static pith_status look(pith_store *store, sqlite3_stmt *row, pith_json wanted, bool *out,
                        pith_error *error) {
    if (sqlite3_column_type(row, 2) == SQLITE_NULL) {
        return matches(store, "{}", 2, wanted, out, error);
    }
    const char *metadata = (const char *)sqlite3_column_text(row, 2);
    if (metadata == NULL) {
        *out = false;
        return pith_store_fail(store, SQLITE_NOMEM, "read metadata", error);
    }
    return matches(store, metadata, (size_t)sqlite3_column_bytes(row, 2), wanted, out, error);
}

pith_status pith_store_matching(pith_store *store, const pith_store_collection *collection,
                                pith_json wanted, int64_t **ids, size_t *n, pith_error *error) {
    static const char action[] = "look for metadata";
    id_list list = {.ids = NULL};
    int64_t document = -1; /* the last one looked at: chunks of a document follow one another */
    bool match = false;
    pith_status status = PITH_OK;
    sqlite3_stmt *row = NULL;
    int code = sqlite3_prepare_v2(store->db,
                                  "SELECT c.id, d.id, d.metadata FROM chunks c JOIN documents d "
                                  "ON d.id = c.document WHERE c.id BETWEEN ?1 AND ?2 ORDER BY c.id",
                                  -1, &row, NULL);
    if (code != SQLITE_OK) {
        return pith_store_fail(store, code, action, error);
    }
    sqlite3_bind_int64(row, 1, pith_chunk_first(collection));
    sqlite3_bind_int64(row, 2, pith_chunk_last(collection));
    while (status == PITH_OK && (code = sqlite3_step(row)) == SQLITE_ROW) {
        if (sqlite3_column_int64(row, 1) != document) {
            document = sqlite3_column_int64(row, 1);
            status = look(store, row, wanted, &match, error);
        }
        if (status == PITH_OK && match && !add_id(store, &list, sqlite3_column_int64(row, 0))) {
            status = pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
        }
    }
    if (status == PITH_OK && code != SQLITE_DONE) {
        status = pith_store_fail(store, code, action, error);
    }
    sqlite3_finalize(row);
    if (status != PITH_OK) {
        pith_release(store->allocator, list.ids);
        return status;
    }
    *ids = list.ids;
    *n = list.n;
    return PITH_OK;
}
