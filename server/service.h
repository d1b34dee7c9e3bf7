/* The service behind the routes: what all handlers share, and a call, which is one request from its
 * headers to its end. */
#ifndef PITH_SERVER_SERVICE_H
#define PITH_SERVER_SERVICE_H

#include "server/http.h"
#include "server/ledger.h"
#include "server/models.h"
#include "server/request.h"
#include "server/server.h"

typedef struct pith_service {
    const pith_serve_options *options;
    pith_server_log *log;
    pith_metrics *metrics;
    pith_ledger *ledger;
    pith_models *models;
    struct pith_vectors *vectors; /* collections (vectors.h) */
    pith_watch *watch;
    pith_http *http;
} pith_service;

typedef struct pith_route pith_route;

/* One request. Made by `admit`, freed by `done`. */
typedef struct pith_call {
    pith_service *service;
    pith_exchange *x;
    const pith_route *route; /* NULL: no such path */
    pith_key key;            /* id 0: keys are not in use, or the route needs none */

    /* For the ledger and the log. */
    char model[257]; /* the model's own name; "": none was asked */
    int64_t reservation;
    bool reserved;
    size_t prompt_tokens, generated_tokens;
    double queue_seconds, first_token_seconds;
    double load_seconds; /* until the model was there */
} pith_call;

struct pith_route {
    const char *path;   /* "*" stands for a segment that is not empty, "**" for all the rest */
    const char *method; /* "GET", which HEAD is too, "POST" or "DELETE" */
    void (*handle)(pith_call *call);
    pith_endpoint endpoint; /* of those that share a handler */
    bool open;              /* needs no key */
};

/* ---- Routes (routes.c) ----------------------------------------------------------------------- */

/* The methods that the route's path answers, "GET, HEAD, DELETE, OPTIONS". */
enum { PITH_ROUTE_METHODS = 64 }; /* bytes of the longest list */
void pith_route_methods(const pith_route *route, char *out, size_t size);

/* The handler for pith_http_options; `user` is the pith_service. */
bool pith_route_admit(void *user, pith_exchange *exchange, pith_problem *problem);
void pith_route_handle(void *user, pith_exchange *exchange);
void pith_route_done(void *user, pith_exchange *exchange);

/* ---- Calls (call.c) -------------------------------------------------------------------------- */

/* Finds the key of the request; true where keys are not in use. */
bool pith_call_authenticate(pith_call *call, pith_problem *problem);

/* The model of that name, loaded; false also when the client went away meanwhile, and for a model
 * without a tokenizer, which cannot read a request's text. */
bool pith_call_lease(pith_call *call, const char *name, pith_model_kind kind, pith_lease *out,
                     pith_problem *problem);

/* Gives the lease back; with `unload` the model is unloaded, unless others use it or wait for it.
 */
void pith_call_return(pith_call *call, pith_lease *lease, bool unload);

/* Counts the request against the quota of its key, and puts the x-ratelimit headers. The body is
 * that of the exchange. */
bool pith_call_reserve(pith_call *call, pith_quota_kind kind, pith_problem *problem);
/* Takes it back: refused before any work. */
void pith_call_unreserve(pith_call *call);
/* Ends the reservation with the tokens of the call; `failed` as in pith_settlement. */
void pith_call_settle(pith_call *call, bool failed);

/* Embeds texts behind `prompt` (NULL: the model's default) as one counted request, and sets the
 * tokens of the call, of a request that failed too. vectors [n_inputs, n_embd], results [n_inputs],
 * zeroed by the caller. False with a problem, or without one when the client went away. */
bool pith_call_embed(pith_call *call, const pith_lease *lease, const pith_embed_input *inputs,
                     size_t n_inputs, const char *prompt, float *vectors,
                     pith_embed_result *results, pith_problem *problem);

/* Embeds further texts of a request that pith_call_embed has counted, whose tokens are added. */
bool pith_call_embed_more(pith_call *call, const pith_lease *lease, const pith_embed_input *inputs,
                          size_t n_inputs, const char *prompt, float *vectors,
                          pith_embed_result *results, pith_problem *problem);

/* Puts the header that says how many of the texts [n] were cut, if any was. */
void pith_call_put_truncated(pith_call *call, const pith_embed_result *results, size_t n);

/* Answers with the document, which is released, or with the problem that it could not be made. */
void pith_call_answer(pith_call *call, pith_json_writer *json);
void pith_call_fail(pith_call *call, const pith_error *error);
/* Answers with the problem, unless there is none or the client is gone. */
void pith_call_refuse(pith_call *call, const pith_problem *problem);

/* ---- Origins (origin.c) ---------------------------------------------------------------------- */

/* True for "*", "null" (pages from files) and scheme://host[:port], as browsers send it. */
bool pith_origin_is_valid(const char *origin);

/* False when the page of another site sends the request and its origin is not listed. Puts the CORS
 * headers when it is. */
bool pith_origin_check(pith_call *call, pith_problem *problem);
/* Answers the question that a browser asks before a request (OPTIONS). */
void pith_origin_answer(pith_call *call);

/* ---- Handlers -------------------------------------------------------------------------------- */

void pith_handle_generation(pith_call *call); /* generation.c: infer, chat, completions, infill */
void pith_handle_embedding(pith_call *call);  /* embedding.c: embed, embeddings */
void pith_handle_rerank(pith_call *call);     /* rerank.c */
void pith_handle_tokenize(pith_call *call);   /* tokens.c */
void pith_handle_detokenize(pith_call *call);
void pith_handle_models(pith_call *call); /* info.c */
void pith_handle_model(pith_call *call);
void pith_handle_collections(pith_call *call); /* collections.c */
void pith_handle_collection(pith_call *call);
void pith_handle_collection_delete(pith_call *call);
void pith_handle_document_delete(pith_call *call);
void pith_handle_documents(pith_call *call);   /* documents.c */
void pith_handle_search(pith_call *call);      /* search.c */
void pith_handle_ollama_tags(pith_call *call); /* ollama.c */
void pith_handle_ollama_ps(pith_call *call);
void pith_handle_ollama_show(pith_call *call);
void pith_handle_ollama_version(pith_call *call);
void pith_handle_ollama_refusal(pith_call *call);
void pith_handle_usage(pith_call *call);
void pith_handle_metrics(pith_call *call);
void pith_handle_health(pith_call *call);
void pith_handle_root(pith_call *call); /* page.c */

/* The tokens of a prompt in memory of the caller's (prompt.c). Problems: 400. */
bool pith_prompt_tokens(const pith_model *model, const pith_request *request, size_t prompt,
                        int32_t **tokens, size_t *n_tokens, pith_problem *problem);

#endif
