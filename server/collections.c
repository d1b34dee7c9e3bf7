/* Collections of documents: listing and deleting them, and the models that made their vectors. */
#include "server/collections.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

/* ---- Names and problems ---------------------------------------------------------------------- */

bool pith_collection_name(const pith_call *call, char name[128], pith_problem *problem) {
    static const char prefix[] = "/collections/";
    const char *at = call->x->path + sizeof prefix - 1;
    size_t n = strcspn(at, "/");
    if (n == 0 || n >= 128) {
        return pith_problem_set(problem, 400, NULL, NULL,
                                "the name of a collection has %zu bytes; it must have 1 to 127", n);
    }
    if (pith_utf8_check(at, n) != n) {
        return pith_problem_set(problem, 400, NULL, NULL, "the name of a collection must be UTF-8");
    }
    memcpy(name, at, n);
    name[n] = '\0';
    return true;
}

void pith_collection_put_text(pith_json_writer *json, const char *key, const char *text, size_t n) {
    if (pith_utf8_check(text, n) == n) {
        pith_json_put_bytes(json, key, text, n);
        return;
    }
    pith_bytes valid;
    pith_bytes_init(&valid, NULL);
    if (pith_bytes_append_valid(&valid, text, n)) {
        pith_json_put_bytes(json, key, valid.data, valid.size);
    } else if (json->status == PITH_OK) {
        json->status = PITH_ERROR_MEMORY;
    }
    pith_bytes_release(&valid);
}

bool pith_collection_problem(pith_call *call, const pith_error *error, pith_problem *problem) {
    switch (error->status) {
    case PITH_ERROR_ARGUMENT:
    case PITH_ERROR_CAPACITY:
    case PITH_ERROR_UNSUPPORTED: {
        /* Messages begin with the name of the file, which clients must not see. */
        const char *words = strstr(error->message, ": ");
        return pith_problem_set(problem, 400, NULL, NULL, "%s",
                                words != NULL ? words + 2 : error->message);
    }
    default:
        break;
    }
    bool passes = error->status == PITH_ERROR_MEMORY || error->status == PITH_ERROR_IO;
    pith_server_log_write(call->service->log, PITH_LOG_WANTED_ERROR, "collections: %s",
                          error->message);
    return pith_problem_set(problem, passes ? 503 : 500, "collections_error", NULL,
                            "the database of collections cannot be used");
}

/* ---- Looking at collections ------------------------------------------------------------------ */

static pith_status find(pith_store *store, const char *name, pith_store_collection *out,
                        bool *found, pith_error *error) {
    pith_status status = pith_store_collection_find(store, name, out, error);
    *found = status == PITH_OK;
    return status == PITH_ERROR_ARGUMENT ? PITH_OK : status;
}

bool pith_collection_look(pith_call *call, const char *name, pith_store_collection *out,
                          bool *found, pith_problem *problem) {
    pith_error error;
    pith_store *store;
    pith_status status = pith_vectors_read(call->service->vectors, &store, &error);
    if (status == PITH_OK) {
        status = find(store, name, out, found, &error);
        pith_vectors_end_read(call->service->vectors);
    }
    return status == PITH_OK || pith_collection_problem(call, &error, problem);
}

/* The length of the service's name of a model, which pith index knows by its file's name. */
static size_t name_length(const char *name) {
    static const char ending[] = ".pith";
    size_t n = strlen(name);
    return pith_ends_with(name, ending) && n > strlen(ending) ? n - strlen(ending) : n;
}

static void put_collection(pith_json_writer *json, const pith_store_collection *c) {
    pith_json_open(json, NULL, '{');
    pith_collection_put_text(json, "name", c->name, strlen(c->name));
    pith_collection_put_text(json, "model", c->model, name_length(c->model));
    pith_json_put_integer(json, "dimension", (int64_t)c->dimension);
    pith_json_put_text(json, "type", c->type == PITH_VECTOR_F32 ? "f32" : "int8");
    pith_json_put_integer(json, "chunk_tokens", (int64_t)c->chunk_tokens);
    pith_json_put_integer(json, "documents", (int64_t)c->n_documents);
    pith_json_put_integer(json, "chunks", (int64_t)c->n_chunks);
    pith_json_close(json, '}');
}

static bool put_each(void *user, const pith_store_collection *collection) {
    put_collection(user, collection);
    return true;
}

void pith_handle_collections(pith_call *call) {
    pith_problem problem;
    pith_error error;
    pith_store *store;
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_open(&json, "collections", '[');
    pith_status status = pith_vectors_read(call->service->vectors, &store, &error);
    if (status == PITH_OK) {
        status = pith_store_collections(store, put_each, &json, &error);
        pith_vectors_end_read(call->service->vectors);
    }
    if (status != PITH_OK) {
        pith_bytes_release(&json.bytes);
        pith_collection_problem(call, &error, &problem);
        pith_call_refuse(call, &problem);
        return;
    }
    pith_json_close(&json, ']');
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

bool pith_collection_not_found(const char *name, pith_problem *problem) {
    return pith_problem_set(problem, 404, "collection_not_found", NULL,
                            "there is no collection '%s'; GET /collections lists those there are",
                            name);
}

void pith_handle_collection(pith_call *call) {
    pith_problem problem = {.http = 0};
    pith_store_collection collection;
    pith_json_writer json;
    char name[128];
    bool found = false;
    if (!pith_collection_name(call, name, &problem) ||
        !pith_collection_look(call, name, &collection, &found, &problem) ||
        !(found || pith_collection_not_found(name, &problem))) {
        pith_call_refuse(call, &problem);
        return;
    }
    pith_json_write_begin(&json, NULL);
    put_collection(&json, &collection);
    pith_call_answer(call, &json);
}

/* ---- Deleting -------------------------------------------------------------------------------- */

static void answer_deleted(pith_call *call, const char *id, size_t n_id) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_collection_put_text(&json, "id", id, n_id);
    pith_json_put_bool(&json, "deleted", true);
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

/* Deletes within a transaction; *found is set when there was something to delete. */
typedef pith_status (*delete_fn)(pith_store *store, const pith_store_collection *collection,
                                 const char *key, bool *found, pith_error *error);

static pith_status delete_all(pith_store *store, const pith_store_collection *collection,
                              const char *key, bool *found, pith_error *error) {
    (void)key;
    *found = true;
    return pith_store_collection_delete(store, collection->name, error);
}

static pith_status delete_one(pith_store *store, const pith_store_collection *collection,
                              const char *key, bool *found, pith_error *error) {
    return pith_store_remove(store, collection, key, strlen(key), found, error);
}

/* False with a problem, also where there was nothing of that name. */
static bool delete (pith_call *call, const char *name, const char *key, delete_fn fn,
                    pith_problem *problem) {
    pith_error error;
    pith_store *store;
    pith_store_collection collection;
    bool found_collection = false;
    bool found = false;
    pith_status status = pith_vectors_write(call->service->vectors, &store, &error);
    if (status == PITH_OK) {
        status = find(store, name, &collection, &found_collection, &error);
        if (status == PITH_OK && found_collection) {
            status = fn(store, &collection, key, &found, &error);
        }
        status = pith_vectors_end_write(call->service->vectors, status, &error);
    }
    if (status != PITH_OK) {
        return pith_collection_problem(call, &error, problem);
    }
    if (!found_collection) {
        return pith_collection_not_found(name, problem);
    }
    return found || pith_problem_set(problem, 404, "document_not_found", NULL,
                                     "there is no document of that id in the collection");
}

void pith_handle_collection_delete(pith_call *call) {
    pith_problem problem = {.http = 0};
    char name[128];
    if (pith_collection_name(call, name, &problem) &&
        delete (call, name, NULL, delete_all, &problem)) {
        answer_deleted(call, name, strlen(name));
    } else {
        pith_call_refuse(call, &problem);
    }
}

void pith_handle_document_delete(pith_call *call) {
    pith_problem problem = {.http = 0};
    char name[128];
    if (!pith_collection_name(call, name, &problem)) {
        pith_call_refuse(call, &problem);
        return;
    }
    /* The route says that "/documents/" and something more follow the name. */
    const char *key = strstr(call->x->path + strlen("/collections/"), "/documents/");
    key += strlen("/documents/");
    if (delete (call, name, key, delete_one, &problem)) {
        answer_deleted(call, key, strlen(key));
    } else {
        pith_call_refuse(call, &problem);
    }
}

/* ---- Models ---------------------------------------------------------------------------------- */

static bool check_model(pith_call *call, const pith_lease *lease,
                        const pith_store_collection *collection, pith_problem *problem) {
    pith_error error;
    char hash[PITH_FINGERPRINT];
    if (pith_embed_fingerprint(lease->model, hash, &error) != PITH_OK) {
        return pith_collection_problem(call, &error, problem);
    }
    return strcmp(hash, collection->model_hash) == 0 ||
           pith_problem_set(problem, 400, "model_mismatch", "model",
                            "the collection's vectors are of another model, %.200s; name that one, "
                            "or make a new collection",
                            collection->model);
}

bool pith_collection_encoder_open(pith_collection_encoder *out, pith_call *call, const char *model,
                                  const pith_store_collection *collection, pith_prompt_use use,
                                  pith_problem *problem) {
    char own[sizeof collection->model];
    *out = (pith_collection_encoder){.leased = false};
    if (model == NULL && collection != NULL) {
        snprintf(own, sizeof own, "%.*s", (int)name_length(collection->model), collection->model);
        model = own;
    }
    out->leased = pith_call_lease(call, model, PITH_MODEL_ENCODER, &out->lease, problem);
    if (!out->leased ||
        (collection != NULL && !check_model(call, &out->lease, collection, problem))) {
        return false;
    }
    out->prompt = pith_model_prompt(out->lease.model, use);
    return true;
}

void pith_collection_encoder_close(pith_collection_encoder *encoder, pith_call *call) {
    if (encoder->leased) {
        pith_models_return(call->service->models, &encoder->lease);
    }
}
