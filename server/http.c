/* The daemon: libmicrohttpd's callbacks, from an accepted connection to its end.
 *
 *     connected -> request_part (headers) -> request_part (body)... -> request_part (end)
 *               -> the answer is written -> request_over -> the next request, or disconnected
 */
#include "server/http.h"

#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "server/exchange.h"

enum {
    POOL_BYTES = 64 << 10,  /* of a connection: headers with their table, buffers */
    STACK_BYTES = 2 << 20,  /* of its thread: the deepest template takes a quarter of it */
    SPARE_SHARE = 16,       /* connections of the limit for each spare one, answered 503 */
    DRAIN_BYTES = 64 << 20, /* of a body that is too large are read before the answer */
};

struct pith_http {
    struct MHD_Daemon *daemon;
    pith_http_options options;
    _Atomic size_t active, body_bytes, connections;
    _Atomic bool draining;
    char complaint[300]; /* libmicrohttpd's last message while it starts */
    _Atomic bool started;
};

static void hear(void *user, const char *format, va_list arguments) {
    pith_http *http = user;
    char message[300];
    vsnprintf(message, sizeof message, format, arguments);
    message[strcspn(message, "\n")] = 0;
    if (!http->started) {
        snprintf(http->complaint, sizeof http->complaint, "%s", message);
    } else {
        pith_server_log_write(http->options.log, PITH_LOG_WANTED_DEBUG, "libmicrohttpd: %s",
                              message);
    }
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void connection_changed(void *user, struct MHD_Connection *connection, void **context,
                               enum MHD_ConnectionNotificationCode code) {
    pith_http *http = user;
    pith_watched *watched = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = info != NULL ? pith_watch_add(http->options.watch, info->connect_fd) : NULL;
        http->connections++;
    } else {
        pith_watch_remove(watched);
        *context = NULL;
        http->connections--;
    }
}

/* ---- A request comes in ---------------------------------------------------------------------- */

typedef struct header_facts {
    size_t bytes;
    size_t n_lengths, n_encodings, n_hosts;
    const char *length, *encoding;
    bool malformed; /* white space in a name, which others read as another name */
} header_facts;

static enum MHD_Result count_header(void *user, enum MHD_ValueKind kind, const char *name,
                                    size_t n_name, const char *value, size_t n_value) {
    header_facts *facts = user;
    (void)kind;
    facts->bytes += n_name + n_value + 4; /* ": " and the end of the line */
    facts->malformed |= n_name == 0 || memchr(name, ' ', n_name) || memchr(name, '\t', n_name);
    facts->n_hosts += strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        facts->n_lengths++;
        facts->length = value;
    } else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        facts->n_encodings++;
        facts->encoding = value;
    }
    return MHD_YES;
}

/* False for requests that libmicrohttpd accepts although their end is ambiguous. A missing Host is
 * among them because libmicrohttpd 0.9.75, asked to refuse it, sends the headers of its answer
 * twice. */
static bool has_certain_end(const header_facts *facts, const char *version, pith_problem *problem) {
    if (facts->malformed) {
        return pith_problem_set(problem, 400, NULL, NULL, "a header has white space in its name");
    }
    if (facts->n_hosts > 1 || (facts->n_hosts == 0 && strcmp(version, MHD_HTTP_VERSION_1_0) != 0)) {
        return pith_problem_set(problem, 400, NULL, NULL, "the header Host must be there, once");
    }
    if (facts->n_lengths + facts->n_encodings > 1) {
        return pith_problem_set(problem, 400, NULL, NULL,
                                "more than one Content-Length or Transfer-Encoding");
    }
    if (facts->n_encodings == 1 && strcasecmp(facts->encoding, "chunked") != 0) {
        return pith_problem_set(problem, 501, NULL, NULL,
                                "the only Transfer-Encoding of requests is \"chunked\"");
    }
    return true;
}

/* False for requests that are answered at once, and whose connection is closed then. */
static bool can_be_read(pith_http *http, pith_exchange *x, const char *version,
                        pith_problem *problem) {
    header_facts facts = {.bytes = strlen(x->method) + strlen(x->path)};
    MHD_get_connection_values_n(pith_exchange_connection(x), MHD_HEADER_KIND, count_header, &facts);
    if (facts.bytes > PITH_HTTP_MAX_HEADER) {
        return pith_problem_set(problem, 431, NULL, NULL,
                                "the headers have %zu bytes, more than %d", facts.bytes,
                                PITH_HTTP_MAX_HEADER);
    }
    if (!has_certain_end(&facts, version, problem)) {
        return false;
    }
    unsigned long long length = facts.n_lengths == 1 ? strtoull(facts.length, NULL, 10) : 0;
    if (length > http->options.max_body) {
        return pith_problem_set(problem, 413, NULL, NULL,
                                "the body has %llu bytes, more than the limit of %zu", length,
                                http->options.max_body);
    }
    if (http->draining) {
        return pith_problem_stopping(problem);
    }
    if (http->connections > http->options.max_connections) {
        problem->retry_after = 1;
        return pith_problem_set(problem, 503, "too_many_connections", NULL,
                                "more than %zu connections are open",
                                http->options.max_connections);
    }
    return true;
}

/* The path of "http://host/path", which clients of a proxy write (RFC 9112, 3.2.2). */
static const char *path_of(const char *target) {
    if (strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0) {
        return target;
    }
    const char *path = strchr(strstr(target, "://") + 3, '/');
    return path != NULL ? path : "/";
}

static enum MHD_Result begin_request(pith_http *http, struct MHD_Connection *connection,
                                     const char *method, const char *target, const char *version,
                                     void **context) {
    const union MHD_ConnectionInfo *socket =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    pith_watched *watched = socket != NULL ? socket->socket_context : NULL;
    pith_exchange *x =
        watched != NULL ? pith_exchange_new(connection, method, path_of(target)) : NULL;
    if (x == NULL) {
        return MHD_NO; /* no memory for an answer either */
    }
    x->connection = watched;
    pith_watch_phase(watched, PITH_PHASE_BODY);
    *context = x;
    http->active++;
    pith_problem problem = {.http = 0};
    bool readable = can_be_read(http, x, version, &problem);
    bool admitted =
        readable && http->options.handler.admit(http->options.handler.user, x, &problem);
    if (admitted) {
        return MHD_YES;
    }
    const char *expect = pith_exchange_header(x, MHD_HTTP_HEADER_EXPECT);
    if (!readable || (expect != NULL && strcasecmp(expect, "100-continue") == 0)) {
        pith_exchange_answer_problem(x, &problem);
        return pith_exchange_queue(x, true);
    }
    return pith_exchange_refuse(x, &problem) ? MHD_YES : MHD_NO;
}

/* Appends a part of the body, or drops it when the request is refused already. */
static enum MHD_Result take_body(pith_http *http, pith_exchange *x, const char *data, size_t n) {
    size_t so_far = pith_exchange_count_body(x, n);
    if (so_far > http->options.max_body + DRAIN_BYTES) {
        return MHD_NO;
    }
    if (pith_exchange_is_refused(x)) {
        return MHD_YES;
    }
    pith_problem problem = {.http = 0};
    if (so_far > http->options.max_body) {
        pith_problem_set(&problem, 413, NULL, NULL, "the body has more than the limit of %zu bytes",
                         http->options.max_body);
    } else if (http->body_bytes + n > http->options.max_bodies ||
               !pith_exchange_append_body(x, data, n)) {
        pith_problem_set(&problem, 503, "overloaded", NULL, "too many bodies are being read");
    } else {
        http->body_bytes += n;
        return MHD_YES;
    }
    http->body_bytes -= x->n_body;
    return pith_exchange_refuse(x, &problem) ? MHD_YES : MHD_NO;
}

static enum MHD_Result finish_request(pith_http *http, pith_exchange *x) {
    pith_watch_phase(x->connection, PITH_PHASE_WORK);
    if (pith_exchange_is_refused(x)) {
        pith_exchange_answer_refusal(x);
    } else {
        http->options.handler.handle(http->options.handler.user, x);
    }
    return pith_exchange_queue(x, http->draining);
}

static enum MHD_Result request_part(void *user, struct MHD_Connection *connection, const char *url,
                                    const char *method, const char *version, const char *data,
                                    size_t *n_data, void **context) {
    pith_http *http = user;
    if (*context == NULL) {
        return begin_request(http, connection, method, url, version, context);
    }
    if (*n_data > 0) {
        enum MHD_Result result = take_body(http, *context, data, *n_data);
        *n_data = 0;
        return result;
    }
    return finish_request(http, *context);
}

/* Decodes %XX in paths and query values. One with %00, which would end it there and lead elsewhere,
 * becomes what no route and no value is. */
static size_t unescape(void *user, struct MHD_Connection *connection, char *text) {
    (void)user;
    (void)connection;
    static const char nowhere[] = "%00";
    if (strstr(text, nowhere) == NULL) {
        return MHD_http_unescape(text);
    }
    memcpy(text, nowhere, sizeof nowhere);
    return strlen(nowhere);
}

static void request_over(void *user, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code) {
    pith_http *http = user;
    pith_exchange *x = *context;
    (void)connection;
    if (x == NULL) {
        return;
    }
    pith_exchange_end(x, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    http->options.handler.done(http->options.handler.user, x);
    http->body_bytes -= x->n_body;
    pith_watch_phase(x->connection, PITH_PHASE_IDLE);
    pith_exchange_free(x);
    *context = NULL;
    http->active--;
}

/* ---- The daemon ------------------------------------------------------------------------------ */

/* With the spare ones; libmicrohttpd closes more at once. */
static size_t most_connections(const pith_http_options *options) {
    return options->max_connections + options->max_connections / SPARE_SHARE;
}

pith_status pith_http_start(pith_http **out, const pith_http_options *options, pith_error *error) {
    pith_http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the HTTP server");
    }
    http->options = *options;
    bool tls = options->tls_cert != NULL;
    struct MHD_OptionItem tls_items[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)options->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)options->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem no_items[] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_ITC | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0u);
    http->daemon =
        MHD_start_daemon(flags, 0, NULL, NULL, request_part, http, MHD_OPTION_EXTERNAL_LOGGER, hear,
                         http, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)options->fd,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)most_connections(options),
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_BYTES,
                         MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES,
                         MHD_OPTION_NOTIFY_CONNECTION, connection_changed, http,
                         MHD_OPTION_NOTIFY_COMPLETED, request_over, http,
                         MHD_OPTION_UNESCAPE_CALLBACK, unescape, http, MHD_OPTION_ARRAY,
                         tls ? tls_items : no_items, MHD_OPTION_END);
    if (http->daemon == NULL) {
        pith_status status = pith_fail(error, PITH_ERROR_IO, "the HTTP server does not start: %s",
                                       http->complaint[0] != 0 ? http->complaint : "out of memory");
        free(http);
        return status;
    }
    http->started = true;
    *out = http;
    return PITH_OK;
}

void pith_http_drain(pith_http *http) {
    http->draining = true;
    MHD_quiesce_daemon(http->daemon);
}

size_t pith_http_active(pith_http *http) {
    return http->active;
}

void pith_http_stop(pith_http *http) {
    if (http != NULL) {
        MHD_stop_daemon(http->daemon);
        free(http);
    }
}
