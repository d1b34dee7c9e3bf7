/* Searching a collection: the query's vector, then every vector of the collection, or of those
 * documents whose metadata the filter wants. */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "server/answer_parts.h"
#include "server/collections.h"

typedef struct searching {
    pith_call *call;
    char name[128];
    pith_collection_request request;
    pith_collection_encoder encoder;
    char model_hash[sizeof((pith_store_collection *)NULL)->model_hash]; /* of the vectors looked at
                                                                         */
    float *vector;                                                      /* [n_embd] */
    pith_store_hit *hits;                                               /* [request.k] */
    size_t n_hits;
    pith_json_writer json;
} searching;

static bool embed_query(searching *s, pith_problem *problem) {
    pith_store_collection collection;
    bool found = false;
    if (!pith_collection_look(s->call, s->name, &collection, &found, problem)) {
        return false;
    }
    if (!found) {
        return pith_collection_not_found(s->name, problem);
    }
    memcpy(s->model_hash, collection.model_hash, sizeof s->model_hash);
    if (!pith_collection_encoder_open(&s->encoder, s->call, s->request.model, &collection,
                                      PITH_PROMPT_QUERY, problem)) {
        return false;
    }
    pith_embed_input input = {.text = s->request.query};
    pith_embed_result result = {.n_tokens = 0};
    s->vector = calloc(s->encoder.lease.info.n_embd, sizeof *s->vector);
    s->hits = calloc(s->request.k, sizeof *s->hits);
    if (s->vector == NULL || s->hits == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for a search");
    }
    return pith_call_embed(s->call, &s->encoder.lease, &input, 1, s->encoder.prompt, s->vector,
                           &result, problem);
}

/* ---- Results --------------------------------------------------------------------------------- */

static void put_metadata(pith_json_writer *json, const char *metadata) {
    pith_json root;
    char *copy = NULL;
    pith_error error;
    if (metadata != NULL &&
        pith_json_read_copy(&root, &copy, metadata, strlen(metadata), PITH_JSON_PYTHON, "metadata",
                            &pith_malloc_allocator, &error) == PITH_OK) {
        pith_json_put_value(json, "metadata", root);
    } else {
        pith_json_put_null(json, "metadata");
    }
    free(copy);
}

static void put_hit(pith_json_writer *json, const pith_store_text *text, double score) {
    pith_json_open(json, NULL, '{');
    pith_collection_put_text(json, "id", text->key, text->n_key);
    pith_json_put_real(json, "score", score);
    pith_json_put_integer(json, "begin", (int64_t)text->begin);
    pith_json_put_integer(json, "end", (int64_t)text->end);
    pith_collection_put_text(json, "text", text->text, text->n_bytes);
    put_metadata(json, text->metadata);
    pith_json_close(json, '}');
}

/* Within one state of the database, so that the hits can be read as they were found. */
static pith_status search(searching *s, pith_store *store, pith_error *error) {
    pith_store_collection collection;
    int64_t *ids = NULL;
    size_t n_ids = 0;
    bool filtered = s->request.filter.at != NULL;
    pith_status status = pith_store_collection_find(store, s->name, &collection, error);
    if (status == PITH_OK && strcmp(collection.model_hash, s->model_hash) != 0) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED, "collection: replaced meanwhile");
    }
    if (status == PITH_OK && filtered) {
        status = pith_store_matching(store, &collection, s->request.filter, &ids, &n_ids, error);
    }
    if (status == PITH_OK) {
        status = filtered ? pith_store_search_among(store, &collection, ids, n_ids, s->vector,
                                                    s->request.k, s->hits, &s->n_hits, error)
                          : pith_store_search(store, &collection, s->vector, s->request.k, s->hits,
                                              &s->n_hits, error);
    }
    free(ids);
    for (size_t i = 0; i < s->n_hits && status == PITH_OK; i++) {
        pith_store_text text;
        status = pith_store_read(store, s->hits[i].chunk, &text, error);
        if (status == PITH_OK) {
            put_hit(&s->json, &text, s->hits[i].score);
            pith_store_text_release(store, &text);
        }
    }
    return status;
}

static bool collect(searching *s, pith_problem *problem) {
    pith_error error;
    pith_store *store;
    pith_vectors *vectors = s->call->service->vectors;
    pith_json_open(&s->json, NULL, '{');
    pith_json_open(&s->json, "results", '[');
    pith_status status = pith_vectors_read(vectors, &store, &error);
    if (status == PITH_OK) {
        status = search(s, store, &error);
        pith_vectors_end_read(vectors);
    }
    if (status == PITH_ERROR_ARGUMENT) { /* dropped while the query was embedded */
        return pith_collection_not_found(s->name, problem);
    }
    if (status != PITH_OK) {
        return pith_collection_problem(s->call, &error, problem);
    }
    pith_json_close(&s->json, ']');
    pith_json_put_text(&s->json, "model", s->encoder.lease.name);
    pith_put_prompt_usage(&s->json, s->call->prompt_tokens);
    pith_json_close(&s->json, '}');
    return true;
}

void pith_handle_search(pith_call *call) {
    pith_problem problem = {.http = 0};
    searching s = {.call = call};
    pith_json_write_begin(&s.json, NULL);
    if (pith_collection_name(call, s.name, &problem) &&
        pith_collection_read_search(&s.request, call->x, &problem) && embed_query(&s, &problem) &&
        collect(&s, &problem)) {
        pith_call_settle(call, false);
        pith_call_answer(call, &s.json);
    } else {
        pith_bytes_release(&s.json.bytes);
        pith_call_refuse(call, &problem);
    }
    free(s.vector);
    free(s.hits);
    pith_collection_encoder_close(&s.encoder, call);
    pith_collection_request_release(&s.request);
}
