/* One request and its answer: headers, body, identity, and the answer as libmicrohttpd wants it. */
#include "server/exchange.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_BLOCK = 16 << 10 }; /* bytes of a stream asked for at a time, at most */

/* The private half. */
typedef struct exchange_state {
    pith_exchange x;
    struct MHD_Connection *connection;
    struct MHD_Response *response; /* until it is queued */
    char *headers;                 /* "name\0value\0"... of the answer to come */
    size_t n_headers;
    pith_bytes body;
    size_t body_seen;
    pith_problem *refusal;
    pith_stream stream;
    bool streaming, stream_over;
    pith_bytes pending; /* what the stream has made */
    size_t sent;        /* of pending */
} exchange_state;

static exchange_state *state_of(const pith_exchange *exchange) {
    return exchange->internal;
}

/* Uses the client's id of the request if it can be logged, else a new one. */
static void choose_id(pith_exchange *x) {
    const char *given = pith_exchange_header(x, "x-request-id");
    size_t n = given != NULL ? strspn(given, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                             "0123456789._:-")
                             : 0;
    if (n > 0 && n < PITH_EXCHANGE_ID && given[n] == 0) {
        memcpy(x->id, given, n + 1);
        return;
    }
    unsigned char bytes[12];
    char digits[2 * sizeof bytes + 1];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(digits, sizeof digits, bytes, sizeof bytes);
    snprintf(x->id, sizeof x->id, "req-%s", digits);
}

static void note_client(exchange_state *state) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(state->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info != NULL ? info->client_addr : NULL;
    const void *bytes = NULL;
    if (address != NULL && address->sa_family == AF_INET) {
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    } else if (address != NULL && address->sa_family == AF_INET6) {
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    }
    if (bytes == NULL ||
        inet_ntop(address->sa_family, bytes, state->x.client, sizeof state->x.client) == NULL) {
        snprintf(state->x.client, sizeof state->x.client, "unknown");
    }
}

pith_exchange *pith_exchange_new(struct MHD_Connection *connection, const char *method,
                                 const char *path) {
    exchange_state *state = calloc(1, sizeof *state);
    if (state == NULL) {
        return NULL;
    }
    pith_bytes_init(&state->body, NULL);
    pith_bytes_init(&state->pending, NULL);
    state->connection = connection;
    state->x = (pith_exchange){
        .method = method, .path = path, .body = "", .began = pith_clock(), .internal = state};
    if (!pith_bytes_append(&state->body, "", 0)) {
        free(state);
        return NULL;
    }
    state->x.short_problems = strncmp(path, "/api/", 5) == 0;
    choose_id(&state->x);
    note_client(state);
    return &state->x;
}

void pith_exchange_free(pith_exchange *exchange) {
    exchange_state *state = state_of(exchange);
    if (state->response != NULL) {
        MHD_destroy_response(state->response);
    }
    pith_bytes_release(&state->body);
    pith_bytes_release(&state->pending);
    free(state->headers);
    free(state->refusal);
    free(state);
}

struct MHD_Connection *pith_exchange_connection(const pith_exchange *exchange) {
    return state_of(exchange)->connection;
}

const char *pith_exchange_header(const pith_exchange *exchange, const char *name) {
    return MHD_lookup_connection_value(state_of(exchange)->connection, MHD_HEADER_KIND, name);
}

const char *pith_exchange_argument(const pith_exchange *exchange, const char *name) {
    return MHD_lookup_connection_value(state_of(exchange)->connection, MHD_GET_ARGUMENT_KIND, name);
}

pith_waited pith_exchange_wait(const pith_exchange *exchange, int fd, double until) {
    return pith_watch_wait(exchange->connection, fd, until);
}

bool pith_exchange_gone(const pith_exchange *exchange) {
    return pith_watch_wait(exchange->connection, -1, 0) == PITH_WAITED_GONE;
}

/* ---- Body and refusal ------------------------------------------------------------------------ */

size_t pith_exchange_count_body(pith_exchange *exchange, size_t n) {
    exchange_state *state = state_of(exchange);
    state->body_seen += n;
    return state->body_seen;
}

bool pith_exchange_append_body(pith_exchange *exchange, const char *data, size_t n) {
    exchange_state *state = state_of(exchange);
    if (!pith_bytes_append(&state->body, data, n)) {
        return false;
    }
    exchange->body = state->body.data;
    exchange->n_body = state->body.size;
    return true;
}

bool pith_exchange_refuse(pith_exchange *exchange, const pith_problem *problem) {
    exchange_state *state = state_of(exchange);
    state->refusal = malloc(sizeof *state->refusal);
    if (state->refusal == NULL) {
        return false;
    }
    *state->refusal = *problem;
    pith_bytes_release(&state->body);
    exchange->body = "";
    exchange->n_body = 0;
    return true;
}

bool pith_exchange_is_refused(const pith_exchange *exchange) {
    return state_of(exchange)->refusal != NULL;
}

void pith_exchange_answer_refusal(pith_exchange *exchange) {
    pith_exchange_answer_problem(exchange, state_of(exchange)->refusal);
}

/* ---- The answer ------------------------------------------------------------------------------ */

void pith_exchange_put_header(pith_exchange *exchange, const char *name, const char *format, ...) {
    exchange_state *state = state_of(exchange);
    char value[1024];
    va_list arguments;
    va_start(arguments, format);
    int n_value = vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    if (n_value < 0 || (size_t)n_value >= sizeof value) {
        return;
    }
    for (const char *c = value; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return;
        }
    }
    size_t n_name = strlen(name) + 1;
    size_t n = n_name + (size_t)n_value + 1;
    char *headers = realloc(state->headers, state->n_headers + n);
    if (headers == NULL) {
        return;
    }
    memcpy(headers + state->n_headers, name, n_name);
    memcpy(headers + state->n_headers + n_name, value, n - n_name);
    state->headers = headers;
    state->n_headers += n;
}

static void put_response(pith_exchange *exchange, int status, const char *type,
                         struct MHD_Response *response) {
    exchange_state *state = state_of(exchange);
    if (response == NULL) {
        return;
    }
    MHD_add_response_header(response, "x-request-id", exchange->id);
    if (type != NULL) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    }
    for (size_t i = 0; i < state->n_headers;) {
        const char *name = state->headers + i;
        const char *value = name + strlen(name) + 1;
        MHD_add_response_header(response, name, value);
        i = (size_t)(value - state->headers) + strlen(value) + 1;
    }
    state->response = response;
    exchange->status = status;
}

void pith_exchange_answer(pith_exchange *exchange, int status, const char *type,
                          pith_bytes *bytes) {
    void *data = bytes->data;
    size_t n = bytes->size;
    struct MHD_Response *response = MHD_create_response_from_buffer(n, data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        pith_bytes_release(bytes);
        return;
    }
    pith_bytes_init(bytes, NULL);
    exchange->n_sent = n;
    put_response(exchange, status, type, response);
}

void pith_exchange_answer_problem(pith_exchange *exchange, const pith_problem *problem) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    (exchange->short_problems ? pith_problem_write_short : pith_problem_write)(problem, &json);
    if (pith_json_write_end(&json, "problem", NULL) != PITH_OK ||
        !pith_bytes_append(&json.bytes, "\n", 1)) {
        pith_bytes_release(&json.bytes);
        return;
    }
    /* A 503 is temporary unless it says otherwise. */
    bool soon = problem->http == 503 && problem->retry_after == 0 && !problem->no_retry;
    size_t wait = soon ? 1 : problem->retry_after;
    if (wait > 0) {
        pith_exchange_put_header(exchange, MHD_HTTP_HEADER_RETRY_AFTER, "%zu", wait);
    }
    if (problem->no_retry) {
        pith_exchange_put_header(exchange, "x-should-retry", "false");
    }
    pith_exchange_answer(exchange, problem->http, "application/json", &json.bytes);
}

/* ---- Streams --------------------------------------------------------------------------------- */

/* libmicrohttpd asks for the next bytes: the thread leaves its writing phase while the stream makes
 * them. */
static ssize_t read_stream(void *user, uint64_t position, char *buffer, size_t capacity) {
    exchange_state *state = user;
    (void)position;
    if (state->sent == state->pending.size) {
        if (state->stream_over) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }
        state->sent = 0;
        state->pending.size = 0;
        pith_watch_phase(state->x.connection, PITH_PHASE_WORK);
        pith_fill fill = state->stream.fill(state->stream.user, &state->pending);
        pith_watch_phase(state->x.connection, PITH_PHASE_WRITE);
        if (fill == PITH_FILL_BROKEN) {
            return MHD_CONTENT_READER_END_WITH_ERROR;
        }
        state->stream_over = fill == PITH_FILL_END;
        if (state->pending.size == 0) {
            return state->stream_over ? MHD_CONTENT_READER_END_OF_STREAM
                                      : MHD_CONTENT_READER_END_WITH_ERROR;
        }
    }
    size_t n = state->pending.size - state->sent;
    n = n < capacity ? n : capacity;
    memcpy(buffer, state->pending.data + state->sent, n);
    state->sent += n;
    state->x.n_sent += n;
    return (ssize_t)n;
}

void pith_exchange_answer_stream(pith_exchange *exchange, int status, const char *type,
                                 const pith_stream *stream) {
    exchange_state *state = state_of(exchange);
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, state, NULL);
    state->stream = *stream;
    state->streaming = true; /* to be released also when there is no response */
    put_response(exchange, status, type, response);
}

/* ---- The end --------------------------------------------------------------------------------- */

enum MHD_Result pith_exchange_queue(pith_exchange *exchange, bool close) {
    exchange_state *state = state_of(exchange);
    if (state->response == NULL) {
        return MHD_NO;
    }
    if (close) {
        MHD_add_response_header(state->response, MHD_HTTP_HEADER_CONNECTION, "close");
    }
    if (pith_watch_phase_of(exchange->connection) == PITH_PHASE_WORK) {
        pith_watch_phase(exchange->connection, PITH_PHASE_WRITE);
    }
    struct MHD_Response *response = state->response;
    state->response = NULL;
    /* Queueing may run the exchange to its end, which frees it. */
    enum MHD_Result result =
        MHD_queue_response(state->connection, (unsigned)exchange->status, response);
    MHD_destroy_response(response);
    return result;
}

void pith_exchange_end(pith_exchange *exchange, bool completed) {
    exchange_state *state = state_of(exchange);
    if (state->streaming) {
        state->streaming = false;
        state->stream.release(state->stream.user);
    }
    if (exchange->status == 0 || !completed) {
        bool late = pith_watch_overdue(exchange->connection);
        exchange->status = exchange->status == 0 && late ? 408 : 499;
    }
}
