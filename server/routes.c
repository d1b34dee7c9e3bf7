/* The routes: one table, and what happens to a request before and after its handler. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/service.h"

static const pith_route routes[] = {
    {"/", "GET", pith_handle_root, 0, true},
    {"/health", "GET", pith_handle_health, 0, true},
    {"/infer", "POST", pith_handle_generation, PITH_ENDPOINT_INFER, false},
    {"/embed", "POST", pith_handle_embedding, PITH_ENDPOINT_EMBED, false},
    {"/v1/chat/completions", "POST", pith_handle_generation, PITH_ENDPOINT_CHAT, false},
    {"/v1/completions", "POST", pith_handle_generation, PITH_ENDPOINT_COMPLETION, false},
    {"/v1/embeddings", "POST", pith_handle_embedding, PITH_ENDPOINT_EMBEDDING, false},
    {"/rerank", "POST", pith_handle_rerank, PITH_ENDPOINT_RERANK, false},
    {"/v1/rerank", "POST", pith_handle_rerank, PITH_ENDPOINT_RERANK, false},
    {"/v1/models", "GET", pith_handle_models, 0, false},
    {"/v1/models/**", "GET", pith_handle_model, 0, false},
    {"/infill", "POST", pith_handle_generation, PITH_ENDPOINT_INFILL, false},
    {"/tokenize", "POST", pith_handle_tokenize, PITH_ENDPOINT_TOKENIZE, false},
    {"/detokenize", "POST", pith_handle_detokenize, PITH_ENDPOINT_DETOKENIZE, false},
    {"/collections", "GET", pith_handle_collections, 0, false},
    {"/collections/*/documents", "POST", pith_handle_documents, 0, false},
    {"/collections/*/documents/**", "DELETE", pith_handle_document_delete, 0, false},
    {"/collections/*/search", "POST", pith_handle_search, 0, false},
    {"/collections/*", "GET", pith_handle_collection, 0, false},
    {"/collections/*", "DELETE", pith_handle_collection_delete, 0, false},
    {"/api/generate", "POST", pith_handle_generation, PITH_ENDPOINT_OLLAMA_GENERATE, false},
    {"/api/chat", "POST", pith_handle_generation, PITH_ENDPOINT_OLLAMA_CHAT, false},
    {"/api/embed", "POST", pith_handle_embedding, PITH_ENDPOINT_OLLAMA_EMBED, false},
    {"/api/embeddings", "POST", pith_handle_embedding, PITH_ENDPOINT_OLLAMA_EMBEDDINGS, false},
    {"/api/show", "POST", pith_handle_ollama_show, PITH_ENDPOINT_OLLAMA_SHOW, false},
    {"/api/tags", "GET", pith_handle_ollama_tags, 0, false},
    {"/api/ps", "GET", pith_handle_ollama_ps, 0, false},
    {"/api/version", "GET", pith_handle_ollama_version, 0, false},
    {"/api/create", "POST", pith_handle_ollama_refusal, 0, false},
    {"/api/pull", "POST", pith_handle_ollama_refusal, 0, false},
    {"/api/push", "POST", pith_handle_ollama_refusal, 0, false},
    {"/api/copy", "POST", pith_handle_ollama_refusal, 0, false},
    {"/api/delete", "DELETE", pith_handle_ollama_refusal, 0, false},
    {"/api/blobs/**", "POST", pith_handle_ollama_refusal, 0, false},
    {"/api/blobs/**", "GET", pith_handle_ollama_refusal, 0, false},
    {"/usage", "GET", pith_handle_usage, 0, false},
    {"/metrics", "GET", pith_handle_metrics, 0, false},
};

/* True when the path is of the route's pattern. */
static bool fits(const char *pattern, const char *path) {
    while (*pattern != '\0') {
        if (*pattern == '*') {
            bool rest = pattern[1] == '*';
            size_t n = rest ? strlen(path) : strcspn(path, "/");
            if (n == 0) {
                return false;
            }
            path += n;
            pattern += rest ? 2 : 1;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == '\0';
}

static bool is_method(const pith_route *route, const char *method) {
    return strcmp(method, route->method) == 0 ||
           (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

enum { N_ROUTES = sizeof routes / sizeof routes[0] };

/* The route of that path and method, else the first of that path; NULL: there is none. */
static const pith_route *find_route(const char *path, const char *method) {
    const pith_route *found = NULL;
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (fits(routes[i].path, path)) {
            found = found != NULL ? found : &routes[i];
            if (is_method(&routes[i], method)) {
                return &routes[i];
            }
        }
    }
    return found;
}

void pith_route_methods(const pith_route *route, char *out, size_t size) {
    size_t used = 0;
    for (size_t i = 0; i < N_ROUTES; i++) {
        if (strcmp(routes[i].path, route->path) == 0) {
            bool get = strcmp(routes[i].method, "GET") == 0;
            used += (size_t)snprintf(out + used, size - used, "%s, ",
                                     get ? "GET, HEAD" : routes[i].method);
        }
    }
    snprintf(out + used, size - used, "OPTIONS");
}

bool pith_route_admit(void *user, pith_exchange *exchange, pith_problem *problem) {
    pith_call *call = calloc(1, sizeof *call);
    if (call == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory");
    }
    call->service = user;
    call->x = exchange;
    call->route = find_route(exchange->path, exchange->method);
    exchange->request = call;
    if (!pith_origin_check(call, problem)) {
        return false;
    }
    if (call->route == NULL) {
        return pith_problem_set(problem, 404, "not_found", NULL,
                                "there is nothing at this path; GET / lists what there is");
    }
    if (strcmp(exchange->method, "OPTIONS") == 0) {
        return true;
    }
    if (!is_method(call->route, exchange->method)) {
        char methods[PITH_ROUTE_METHODS];
        pith_route_methods(call->route, methods, sizeof methods);
        pith_exchange_put_header(exchange, "Allow", "%s", methods);
        return pith_problem_set(problem, 405, "method_not_allowed", NULL, "%s answers %s only",
                                call->route->path, methods);
    }
    return call->route->open || pith_call_authenticate(call, problem);
}

void pith_route_handle(void *user, pith_exchange *exchange) {
    pith_call *call = exchange->request;
    (void)user;
    if (strcmp(exchange->method, "OPTIONS") == 0) {
        pith_origin_answer(call);
    } else {
        call->route->handle(call);
    }
}

/* The method's name for log and metrics; a client may invent any number of others. */
static const char *known_method(const char *method) {
    static const char *const known[] = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(method, known[i]) == 0) {
            return known[i];
        }
    }
    return "other";
}

void pith_route_done(void *user, pith_exchange *exchange) {
    pith_service *service = user;
    pith_call *call = exchange->request;
    pith_access access = {
        .method = known_method(exchange->method),
        .path = call != NULL && call->route != NULL ? call->route->path : "other",
        .id = exchange->id,
        .client = exchange->client,
        .status = exchange->status,
        .bytes = exchange->n_sent,
        .seconds = pith_clock() - exchange->began,
    };
    if (call != NULL) {
        pith_call_settle(call, true); /* where a handler has not */
        access.key = call->key.id != 0 ? call->key.name : NULL;
        access.model = call->model[0] != 0 ? call->model : NULL;
        access.prompt_tokens = call->prompt_tokens;
        access.generated_tokens = call->generated_tokens;
        access.queue_seconds = call->queue_seconds;
        access.first_token_seconds = call->first_token_seconds;
    }
    if (access.model != NULL && access.status == 200) {
        pith_metrics_observe(service->metrics, PITH_REQUEST_TIME, access.model, access.seconds);
    }
    pith_metrics_request(service->metrics, access.path, access.status);
    pith_server_log_access(service->log, &access);
    free(call);
    exchange->request = NULL;
}
