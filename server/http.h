/* HTTP: libmicrohttpd with a thread per connection, so that a handler may block, and the rules that
 * hold for every request whatever it asks for. Header and body have limits; a request that is
 * refused is read to its end unless that is far, so that the connection stays usable and the client
 * reads the answer; deadlines are those of server/watch.h.
 *
 * Input that is not HTTP is answered by libmicrohttpd, with its own 4xx page. */
#ifndef PITH_SERVER_HTTP_H
#define PITH_SERVER_HTTP_H

#include "base/bytes.h"
#include "server/log.h"
#include "server/problem.h"
#include "server/watch.h"

enum {
    PITH_EXCHANGE_ID = 65,        /* x-request-id with its NUL */
    PITH_EXCHANGE_CLIENT = 64,    /* an address with its NUL */
    PITH_HTTP_MAX_HEADER = 16384, /* bytes of all names and values */
    PITH_HTTP_MAX_CONNECTIONS = 1024,
};

/* One request and its answer. The thread of its connection owns it. */
typedef struct pith_exchange {
    const char *method; /* "GET" */
    const char *path;   /* "/v1/models", decoded */
    char id[PITH_EXCHANGE_ID];
    char client[PITH_EXCHANGE_CLIENT];
    char *body; /* [n_body], with a NUL behind it; the handler may change it; never NULL */
    size_t n_body;
    pith_watched *connection;
    double began;        /* pith_clock when the headers were complete */
    int status;          /* of the answer; 0: none yet. After the end 499: the client went away */
    size_t n_sent;       /* bytes of the answer's body */
    bool short_problems; /* of /api/...: problems are {"error": "message"}, as ollama writes them */
    void *request;       /* the handler's own, from `admit` to `done` */
    void *internal;      /* server/http.c's */
} pith_exchange;

/* All three are called on the connection's thread, one connection's never at once. */
typedef struct pith_http_handler {
    void *user;
    /* The headers have come. False refuses the request with *problem, and its body is dropped. */
    bool (*admit)(void *user, pith_exchange *exchange, pith_problem *problem);
    /* The request has come. Answers by one pith_exchange_answer*, or not when the client is gone.
     */
    void (*handle)(void *user, pith_exchange *exchange);
    /* The answer is written, or the client is gone. Called for every request that came as far as
     * `admit`. */
    void (*done)(void *user, pith_exchange *exchange);
} pith_http_handler;

typedef struct pith_http_options {
    int fd;                         /* listening socket, the caller's to close */
    const char *tls_cert, *tls_key; /* PEM texts; NULL: plain */
    size_t max_connections;         /* answered at once; at most PITH_HTTP_MAX_CONNECTIONS */
    size_t max_body;                /* bytes of one body */
    size_t max_bodies;              /* bytes of all bodies at once; 503 beyond */
    pith_watch *watch;
    pith_server_log *log;
    pith_http_handler handler;
} pith_http_options;

typedef struct pith_http pith_http;

/* Begins to answer. Errors: MEMORY, IO (a certificate that is none among them). */
pith_status pith_http_start(pith_http **out, const pith_http_options *options, pith_error *error);
/* Accepts no more connections, and closes those kept alive after the answer that is under way. */
void pith_http_drain(pith_http *http);
/* Requests whose answer is not written yet. */
size_t pith_http_active(pith_http *http);
/* Shuts down what is left and joins all threads. Accepts NULL. */
void pith_http_stop(pith_http *http);

/* ---- Requests -------------------------------------------------------------------------------- */

/* The value of a header or of an argument in the query; NULL: none. */
const char *pith_exchange_header(const pith_exchange *exchange, const char *name);
const char *pith_exchange_argument(const pith_exchange *exchange, const char *name);

/* Waits as pith_watch_wait. */
pith_waited pith_exchange_wait(const pith_exchange *exchange, int fd, double until);
/* True when the client went away. */
bool pith_exchange_gone(const pith_exchange *exchange);

/* ---- Answers --------------------------------------------------------------------------------- */

/* A header of the answer, before pith_exchange_answer*; a value of control characters is left out.
 */
void pith_exchange_put_header(pith_exchange *exchange, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Answers with the bytes, which are released; `type` is the Content-Type. */
void pith_exchange_answer(pith_exchange *exchange, int status, const char *type, pith_bytes *bytes);
/* Answers with {"error": {...}} (but short_problems), and Retry-After (with 503 unless no_retry)
 * and x-should-retry as the problem says. */
void pith_exchange_answer_problem(pith_exchange *exchange, const pith_problem *problem);

typedef enum pith_fill { PITH_FILL_MORE, PITH_FILL_END, PITH_FILL_BROKEN } pith_fill;

/* An answer that is made while it is written. */
typedef struct pith_stream {
    void *user;
    /* Blocks until it has appended at least a byte to `out` (MORE), or there is nothing more (END,
     * which may come with a last few bytes). BROKEN cuts the connection. */
    pith_fill (*fill)(void *user, pith_bytes *out);
    /* Called once, whatever happened, before `done`. */
    void (*release)(void *user);
} pith_stream;

void pith_exchange_answer_stream(pith_exchange *exchange, int status, const char *type,
                                 const pith_stream *stream);

#endif
