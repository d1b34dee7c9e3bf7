/* The answer at "/": the web page for a browser, a list of the endpoints for other clients. */
#include <string.h>

#include "server/service.h"

/* server/page.html; the Makefile turns it into numbers. */
static const unsigned char page[] = {
#include "server/page.inc"
};

/* The page asks no other host for anything, and no other page may frame it. */
static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'; "
                             "script-src 'unsafe-inline'; connect-src 'self'; img-src data:; "
                             "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static const char endpoints[] =
    "pith " PITH_VERSION ": language models and sentence encoders over HTTP\n\n"
    "GET  /                     in a browser: chat, search and usage\n"
    "POST /v1/chat/completions, /v1/completions, /v1/embeddings   as OpenAI's API\n"
    "GET  /v1/models, /v1/models/ID\n"
    "POST /infer, /embed                                          as Spin's remote_http backend\n"
    "POST /rerank, /v1/rerank                                     as Jina's and Cohere's API\n"
    "POST /api/generate, /api/chat, /api/show                     as ollama\n"
    "POST /api/embed, /api/embeddings\n"
    "GET  /api/tags, /api/ps, /api/version\n"
    "POST /infill, /tokenize, /detokenize\n"
    "GET  /collections, /collections/NAME                         documents with their vectors\n"
    "POST /collections/NAME/documents, /collections/NAME/search\n"
    "DELETE /collections/NAME, /collections/NAME/documents/ID\n"
    "GET  /health, /usage, /metrics\n";

/* Browsers ask for text/html by name; curl and the libraries of programs do not. */
static bool wants_page(const pith_call *call) {
    const char *accept = pith_exchange_header(call->x, "Accept");
    return accept != NULL && strstr(accept, "text/html") != NULL;
}

void pith_handle_root(pith_call *call) {
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    pith_exchange_put_header(call->x, "Vary", "Accept");
    if (wants_page(call)) {
        pith_exchange_put_header(call->x, "Content-Security-Policy", "%s", policy);
        pith_exchange_put_header(call->x, "X-Content-Type-Options", "nosniff");
        pith_exchange_put_header(call->x, "Referrer-Policy", "no-referrer");
        pith_bytes_append(&out, page, sizeof page);
        pith_exchange_answer(call->x, 200, "text/html; charset=utf-8", &out);
    } else {
        pith_bytes_append_text(&out, endpoints);
        pith_exchange_answer(call->x, 200, "text/plain; charset=utf-8", &out);
    }
}
