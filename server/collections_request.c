/* The bodies of requests about collections; see collections.h. */
#include "server/collections.h"

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/request_parts.h"

/* ---- Members --------------------------------------------------------------------------------- */

static bool read_root(pith_collection_request *out, const pith_exchange *x, pith_json *root,
                      pith_draft *draft) {
    pith_error error;
    pith_status status = pith_json_read_copy(root, &out->body, x->body, x->n_body, PITH_JSON_PYTHON,
                                             "body", &pith_malloc_allocator, &error);
    if (status != PITH_OK) {
        return status == PITH_ERROR_MEMORY
                   ? pith_problem_from(draft->problem, &error)
                   : pith_problem_set(draft->problem, 400, NULL, NULL, "%s", error.message);
    }
    return pith_json_is(*root, PITH_JSON_OBJECT) ||
           pith_problem_set(draft->problem, 400, NULL, NULL, "the body must be a JSON object");
}

static bool read_model(pith_draft *draft, pith_json root, const char **out) {
    pith_json model = pith_json_get(root, "model");
    *out = NULL;
    if (pith_json_is_none(model)) {
        return true;
    }
    if (!pith_read_name(draft, "model", model, PITH_REQUEST_MAX_MODEL_NAME, out)) {
        return false;
    }
    *out = (*out)[0] != '\0' ? *out : NULL;
    return true;
}

static bool read_filled_text(pith_draft *draft, const char *path, pith_json value, size_t most,
                             pith_text *out) {
    if (!pith_read_text(draft, path, value, out)) {
        return false;
    }
    if (out->n_bytes == 0 || out->n_bytes > most) {
        return pith_draft_fail(draft, path, "%s has %zu bytes; it must have 1 to %zu", path,
                               out->n_bytes, most);
    }
    return true;
}

/* ---- Documents ------------------------------------------------------------------------------- */

static bool read_document(pith_draft *draft, const char *path, pith_json value,
                          pith_posted_document *out) {
    char member[PITH_REQUEST_PATH];
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object with id and text", value);
    }
    pith_path_member(member, path, "id");
    if (!read_filled_text(draft, member, pith_json_get(value, "id"), PITH_STORE_MAX_KEY,
                          &out->id)) {
        return false;
    }
    if (memchr(out->id.data, '\0', out->id.n_bytes) != NULL) { /* no path can name it */
        return pith_draft_fail(draft, member, "%s must not hold the character U+0000", member);
    }
    pith_path_member(member, path, "text");
    if (!pith_read_text(draft, member, pith_json_get(value, "text"), &out->text)) {
        return false;
    }
    out->metadata = pith_json_get(value, "metadata");
    pith_path_member(member, path, "metadata");
    if (!pith_json_is_none(out->metadata) && !pith_json_is(out->metadata, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, member, "an object", out->metadata);
    }
    return true;
}

bool pith_collection_read_documents(pith_collection_request *out, const pith_exchange *x,
                                    pith_problem *problem) {
    pith_draft draft = {.problem = problem};
    pith_json root;
    *out = (pith_collection_request){.body = NULL};
    if (!read_root(out, x, &root, &draft) || !read_model(&draft, root, &out->model)) {
        return false;
    }
    pith_json list = pith_json_get(root, "documents");
    bool single = list.at == NULL;
    if (!single && !pith_json_is(list, PITH_JSON_ARRAY)) {
        return pith_draft_fail_type(&draft, "documents", "an array of objects", list);
    }
    size_t n = single ? 1 : pith_json_size(list);
    if (n == 0 || n > PITH_COLLECTION_DOCUMENTS) {
        return pith_draft_fail(&draft, "documents", "documents has %zu elements, not 1 to %d", n,
                               PITH_COLLECTION_DOCUMENTS);
    }
    out->documents = calloc(n, sizeof *out->documents);
    if (out->documents == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for %zu documents", n);
    }
    if (single) {
        out->n_documents = 1;
        return read_document(&draft, "", root, out->documents);
    }
    char path[PITH_REQUEST_PATH];
    pith_json_walk walk = pith_json_begin(list);
    while (pith_json_next(&walk)) {
        pith_path_element(path, "documents", out->n_documents);
        if (!read_document(&draft, path, walk.value, &out->documents[out->n_documents++])) {
            return false;
        }
    }
    return true;
}

/* ---- Searches -------------------------------------------------------------------------------- */

static bool read_filter(pith_draft *draft, pith_json filter) {
    char path[PITH_REQUEST_PATH];
    if (!pith_json_is(filter, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, "filter", "an object", filter);
    }
    if (pith_json_size(filter) > PITH_COLLECTION_FILTERS) {
        return pith_draft_fail(draft, "filter", "filter has %zu members; at most %d are allowed",
                               pith_json_size(filter), PITH_COLLECTION_FILTERS);
    }
    pith_json_walk walk = pith_json_begin(filter);
    while (pith_json_next(&walk)) {
        pith_json_kind kind = pith_json_kind_of(walk.value);
        if (kind == PITH_JSON_ARRAY || kind == PITH_JSON_OBJECT) {
            pith_path_member(path, "filter", walk.key);
            return pith_draft_fail_type(draft, path, "a string, a number, true, false or null",
                                        walk.value);
        }
    }
    return true;
}

bool pith_collection_read_search(pith_collection_request *out, const pith_exchange *x,
                                 pith_problem *problem) {
    enum { USUAL = 10 };
    pith_draft draft = {.problem = problem};
    pith_json root;
    int64_t k = USUAL;
    *out = (pith_collection_request){.body = NULL};
    if (!read_root(out, x, &root, &draft) || !read_model(&draft, root, &out->model) ||
        !pith_read_text(&draft, "query", pith_json_get(root, "query"), &out->query)) {
        return false;
    }
    pith_json wanted = pith_json_get(root, "k");
    if (!pith_json_is_none(wanted) &&
        !pith_read_integer(&draft, "k", wanted, 1, PITH_COLLECTION_RESULTS, &k)) {
        return false;
    }
    out->k = (size_t)k;
    out->filter = pith_json_get(root, "filter");
    if (pith_json_is_none(out->filter)) {
        out->filter = (pith_json){NULL};
        return true;
    }
    return read_filter(&draft, out->filter);
}

void pith_collection_request_release(pith_collection_request *request) {
    free(request->documents);
    free(request->body);
}
