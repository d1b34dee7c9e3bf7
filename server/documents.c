/* Adding documents to a collection: they are cut into chunks, embedded together with whatever else
 * waits for the model, and written in one transaction, all or none. */
#include <stdlib.h>
#include <string.h>

#include "server/answer_parts.h"
#include "server/collections.h"
#include "store/split.h"

typedef struct posted {
    pith_store_document document; /* metadata owned */
    pith_store_chunk *chunks;     /* [n_chunks], owned */
    size_t n_chunks;
} posted;

typedef struct adding {
    pith_call *call;
    char name[128];
    pith_collection_request request;
    pith_store_collection wanted; /* as it is, or as it is to be */
    bool exists;
    pith_collection_encoder encoder;
    posted *documents; /* [request.n_documents] */
    size_t n_chunks;
    pith_embed_input *inputs;   /* [n_chunks] */
    float *vectors;             /* [n_chunks, dimension] */
    pith_embed_result *results; /* [n_chunks] */
} adding;

static bool no_memory(pith_problem *problem) {
    return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the documents");
}

static pith_status count_tokens(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                                pith_error *error) {
    pith_status status =
        pith_tokenize(user, (pith_text){text, n_bytes}, 0, NULL, 0, n_tokens, error);
    return status == PITH_ERROR_CAPACITY ? PITH_OK : status;
}

/* ---- The collection -------------------------------------------------------------------------- */

static bool copy_text(char *to, size_t size, const char *from) {
    size_t n = strlen(from);
    if (n >= size) {
        return false;
    }
    memcpy(to, from, n + 1);
    return true;
}

/* A new collection, cut as pith index cuts: chunks of what the model reads at once, an eighth of it
 * shared by neighbours. */
static bool describe(adding *a, pith_problem *problem) {
    pith_error error;
    pith_store_collection *c = &a->wanted;
    const pith_lease *lease = &a->encoder.lease;
    const char *prompt = a->encoder.prompt;
    size_t n_prompt = 0;
    *c = (pith_store_collection){.dimension = lease->info.n_embd};
    pith_status status =
        count_tokens((void *)(uintptr_t)lease->model, prompt, strlen(prompt), &n_prompt, &error);
    if (status == PITH_OK) {
        status = pith_embed_fingerprint(lease->model, c->model_hash, &error);
    }
    if (status != PITH_OK) {
        return pith_problem_from(problem, &error);
    }
    if (n_prompt >= lease->info.n_context || !copy_text(c->prompt, sizeof c->prompt, prompt)) {
        return pith_problem_set(problem, 400, NULL, "model",
                                "the model's prompt leaves no room for a text");
    }
    if (!copy_text(c->name, sizeof c->name, a->name) ||
        !copy_text(c->model, sizeof c->model, lease->name)) {
        return pith_problem_set(problem, 400, NULL, "model", "the model's name is too long");
    }
    c->chunk_tokens = lease->info.n_context - n_prompt;
    c->overlap_tokens = c->chunk_tokens / 8;
    return true;
}

static bool open_collection(adding *a, pith_problem *problem) {
    pith_store_collection *c = &a->wanted;
    if (!pith_collection_look(a->call, a->name, c, &a->exists, problem) ||
        !pith_collection_encoder_open(&a->encoder, a->call, a->request.model, a->exists ? c : NULL,
                                      PITH_PROMPT_DOCUMENT, problem)) {
        return false;
    }
    if (a->exists) {
        a->encoder.prompt = c->prompt; /* as the documents that are there */
        return true;
    }
    return describe(a, problem);
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Any JSON object as the text that the database keeps. */
static bool write_metadata(pith_json metadata, const char **out, pith_problem *problem) {
    pith_error error;
    pith_json_writer json;
    if (pith_json_is_none(metadata)) {
        return true;
    }
    pith_json_write_begin(&json, NULL);
    pith_json_put_value(&json, NULL, metadata);
    if (pith_json_write_end(&json, "metadata", &error) != PITH_OK) {
        pith_bytes_release(&json.bytes);
        return pith_problem_from(problem, &error);
    }
    *out = json.bytes.data;
    return true;
}

static bool cut_document(adding *a, const pith_posted_document *from, posted *to,
                         pith_problem *problem) {
    pith_error error;
    to->document = (pith_store_document){.key = from->id.data,
                                         .n_key = from->id.n_bytes,
                                         .text = from->text.data,
                                         .n_bytes = from->text.n_bytes};
    if (!write_metadata(from->metadata, &to->document.metadata, problem)) {
        return false;
    }
    pith_store_hash(&to->document);
    pith_status status = pith_store_split(from->text.data, from->text.n_bytes,
                                          a->wanted.chunk_tokens, a->wanted.overlap_tokens,
                                          count_tokens, (void *)(uintptr_t)a->encoder.lease.model,
                                          NULL, &to->chunks, &to->n_chunks, &error);
    if (status != PITH_OK) {
        return pith_problem_from(problem, &error);
    }
    a->n_chunks += to->n_chunks;
    return a->n_chunks <= PITH_COLLECTION_CHUNKS ||
           pith_problem_set(problem, 400, NULL, "documents",
                            "the texts are more than %d chunks of %zu tokens; send fewer at once",
                            PITH_COLLECTION_CHUNKS, a->wanted.chunk_tokens);
}

static bool cut_documents(adding *a, pith_problem *problem) {
    size_t n = a->request.n_documents;
    a->documents = calloc(n, sizeof *a->documents);
    if (a->documents == NULL) {
        return no_memory(problem);
    }
    for (size_t i = 0; i < n; i++) {
        if (!cut_document(a, &a->request.documents[i], &a->documents[i], problem)) {
            return false;
        }
    }
    return true;
}

static bool embed(adding *a, pith_problem *problem) {
    size_t n = 0;
    a->inputs = calloc(a->n_chunks + 1, sizeof *a->inputs);
    a->results = calloc(a->n_chunks + 1, sizeof *a->results);
    a->vectors = calloc(a->n_chunks + 1, a->wanted.dimension * sizeof *a->vectors);
    if (a->inputs == NULL || a->results == NULL || a->vectors == NULL) {
        return no_memory(problem);
    }
    for (size_t i = 0; i < a->request.n_documents; i++) {
        const posted *p = &a->documents[i];
        for (size_t c = 0; c < p->n_chunks; c++) {
            const pith_store_chunk *chunk = &p->chunks[c];
            a->inputs[n++].text =
                (pith_text){p->document.text + chunk->begin, chunk->end - chunk->begin};
        }
    }
    return n == 0 || pith_call_embed(a->call, &a->encoder.lease, a->inputs, n, a->encoder.prompt,
                                     a->vectors, a->results, problem);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static pith_status put_all(adding *a, pith_store *store, pith_error *error) {
    pith_store_collection collection;
    const float *vectors = a->vectors;
    pith_status status = pith_store_collection_use(store, &a->wanted, true, &collection, error);
    for (size_t i = 0; i < a->request.n_documents && status == PITH_OK; i++) {
        const posted *p = &a->documents[i];
        status = pith_store_put(store, &collection, &p->document, p->chunks, p->n_chunks, vectors,
                                error);
        vectors += p->n_chunks * a->wanted.dimension;
    }
    return status;
}

static bool write_documents(adding *a, pith_problem *problem) {
    pith_error error;
    pith_store *store;
    pith_vectors *vectors = a->call->service->vectors;
    pith_status status = pith_vectors_write(vectors, &store, &error);
    if (status == PITH_OK) {
        status = put_all(a, store, &error);
        status = pith_vectors_end_write(vectors, status, &error);
    }
    return status == PITH_OK || pith_collection_problem(a->call, &error, problem);
}

static void answer(adding *a) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_put_text(&json, "collection", a->name);
    pith_json_put_text(&json, "model", a->encoder.lease.name);
    pith_json_open(&json, "documents", '[');
    for (size_t i = 0; i < a->request.n_documents; i++) {
        const posted *p = &a->documents[i];
        pith_json_open(&json, NULL, '{');
        pith_json_put_bytes(&json, "id", p->document.key, p->document.n_key);
        pith_json_put_integer(&json, "chunks", (int64_t)p->n_chunks);
        pith_json_close(&json, '}');
    }
    pith_json_close(&json, ']');
    pith_put_prompt_usage(&json, a->call->prompt_tokens);
    pith_json_close(&json, '}');
    pith_call_settle(a->call, false);
    pith_call_answer(a->call, &json);
}

void pith_handle_documents(pith_call *call) {
    pith_problem problem = {.http = 0};
    adding a = {.call = call};
    if (pith_collection_name(call, a.name, &problem) &&
        pith_collection_read_documents(&a.request, call->x, &problem) &&
        open_collection(&a, &problem) && cut_documents(&a, &problem) && embed(&a, &problem) &&
        write_documents(&a, &problem)) {
        answer(&a);
    } else {
        pith_call_refuse(call, &problem);
    }
    for (size_t i = 0; a.documents != NULL && i < a.request.n_documents; i++) {
        free((void *)(uintptr_t)a.documents[i].document.metadata);
        free(a.documents[i].chunks);
    }
    free(a.documents);
    free(a.inputs);
    free(a.results);
    free(a.vectors);
    pith_collection_encoder_close(&a.encoder, call);
    pith_collection_request_release(&a.request);
}
