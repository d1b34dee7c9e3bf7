/* The connections: one thread, non-blocking sockets, epoll. With a rate requests are due at random
 * moments (Poisson) whether or not earlier ones have been answered, and their times count from when
 * they were due: a service that falls behind does not slow its own measurement down. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "perf/load/load.h"

typedef enum state { IDLE, CONNECTING, SENDING, READING } state;

typedef struct client {
    int fd; /* -1: not connected */
    state state;
    char *request; /* head and body */
    size_t n_request, n_sent;
    double due;  /* of the request under way */
    bool reused; /* the connection has answered before: the server may close it at any moment */
    load_answer answer;
} client;

typedef struct run {
    const load_settings *settings;
    load_result *result;
    struct addrinfo *address;
    int epoll;
    client *clients; /* [n_connections] */
    size_t n_busy;
    double began, next_due;
    uint64_t random;
} run;

double load_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* splitmix64 (Steele et al. 2014), in (0, 1]. */
static double draw(run *r) {
    uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return ((double)((z ^ (z >> 31)) >> 11) + 1) * 0x1p-53;
}

/* ---- Requests -------------------------------------------------------------------------------- */

/* The body with its number in place of each "@N@"; NULL: out of memory. */
static char *number_body(const char *body, size_t number) {
    static const char mark[] = "@N@";
    char digits[24];
    size_t n_digits = (size_t)snprintf(digits, sizeof digits, "%zu", number);
    char *out = malloc(strlen(body) / (sizeof mark - 1) * n_digits + strlen(body) + 1);
    size_t n = 0;
    while (out != NULL && *body != '\0') {
        if (strncmp(body, mark, sizeof mark - 1) == 0) {
            memcpy(out + n, digits, n_digits);
            n += n_digits;
            body += sizeof mark - 1;
        } else {
            out[n++] = *body++;
        }
    }
    if (out != NULL) {
        out[n] = '\0';
    }
    return out;
}

static bool write_request(const load_settings *s, client *c, size_t number) {
    char *body = number_body(s->body, number);
    char *request = NULL;
    if (body != NULL) {
        int n = asprintf(&request,
                         "POST %s HTTP/1.1\r\nHost: %s:%s\r\n%s%s%sContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         s->path, s->host, s->port, s->key != NULL ? "Authorization: Bearer " : "",
                         s->key != NULL ? s->key : "", s->key != NULL ? "\r\n" : "", strlen(body),
                         body);
        c->n_request = n >= 0 ? (size_t)n : 0;
        request = n >= 0 ? request : NULL;
    }
    free(body);
    free(c->request);
    c->request = request;
    c->n_sent = 0;
    return request != NULL;
}

/* ---- Connections ----------------------------------------------------------------------------- */

static void watch(const run *r, client *c, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(r->epoll, EPOLL_CTL_MOD, c->fd, &event) != 0) {
        epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event);
    }
}

static bool connect_client(const run *r, client *c) {
    int yes = 1;
    const struct addrinfo *a = r->address;
    c->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
    if (c->fd < 0) {
        return false;
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(c->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
        return false;
    }
    c->reused = false;
    return true;
}

static void disconnect(client *c) {
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
}

/* Ends the request that is under way; `answered`: the answer is whole. */
static void end_request(run *r, client *c, bool answered) {
    load_result *out = r->result;
    double now = load_clock();
    if (answered) {
        bool good = c->answer.status == 200;
        out->n_done++;
        out->by_status[c->answer.status]++;
        load_samples_add(good ? &out->latency : &out->rejected, now - c->due);
        out->n_tokens += good ? c->answer.n_tokens : 0;
        if (good && c->answer.is_stream && c->answer.first > 0) {
            out->n_streams++;
            load_samples_add(&out->first_token, c->answer.first - c->due);
        }
        c->reused = true;
        if (c->answer.close) {
            disconnect(c);
        }
    } else {
        out->n_failed++;
        disconnect(c);
    }
    c->state = IDLE;
    r->n_busy--;
}

static void send_more(run *r, client *c) {
    while (c->n_sent < c->n_request) {
        ssize_t n = send(c->fd, c->request + c->n_sent, c->n_request - c->n_sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            watch(r, c, EPOLLOUT | EPOLLIN);
            c->state = SENDING;
            return;
        }
        if (n < 0) {
            break; /* an answer that came before the end, such as 413, is still to be read */
        }
        c->n_sent += (size_t)n;
    }
    c->state = READING;
    watch(r, c, EPOLLIN);
}

/* Starts the request once more on a new connection: the old one was closed between two requests,
 * which a server may do. */
static void begin_again(run *r, client *c) {
    disconnect(c);
    load_answer_begin(&c->answer, &r->result->inter_token);
    c->n_sent = 0;
    if (!connect_client(r, c)) {
        end_request(r, c, false);
        return;
    }
    c->state = CONNECTING;
    watch(r, c, EPOLLOUT);
}

static void begin_request(run *r, client *c, double due) {
    c->due = due;
    r->n_busy++;
    r->result->n_sent++;
    if (!write_request(r->settings, c, r->result->n_sent - 1)) {
        end_request(r, c, false);
    } else if (c->fd < 0) {
        begin_again(r, c);
    } else {
        load_answer_begin(&c->answer, &r->result->inter_token);
        send_more(r, c);
    }
}

static void read_more(run *r, client *c) {
    static char data[65536];
    for (;;) {
        ssize_t n = recv(c->fd, data, sizeof data, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (n <= 0) {
            bool untouched = c->answer.head_status == 0 && c->answer.n_line == 0;
            if (c->reused && untouched) {
                begin_again(r, c);
                return;
            }
            load_answer_end(&c->answer);
            c->answer.close = true;
        } else {
            load_answer_read(&c->answer, data, (size_t)n, load_clock());
        }
        if (c->answer.broken || c->answer.complete) {
            end_request(r, c, !c->answer.broken);
            return;
        }
    }
}

static void on_event(run *r, client *c, uint32_t events) {
    int problem = 0;
    socklen_t size = sizeof problem;
    switch (c->state) {
    case CONNECTING:
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0 || problem != 0) {
            end_request(r, c, false);
        } else {
            send_more(r, c);
        }
        break;
    case SENDING:
        if ((events & EPOLLIN) != 0) {
            read_more(r, c);
        } else {
            send_more(r, c);
        }
        break;
    case READING:
        read_more(r, c);
        break;
    case IDLE: /* closed by the server */
        disconnect(c);
        break;
    }
}

/* ---- The run --------------------------------------------------------------------------------- */

static bool wants_more(const run *r, double now) {
    const load_settings *s = r->settings;
    bool counted = s->n_requests == 0 || r->result->n_sent < s->n_requests;
    return counted && (s->seconds == 0 || now - r->began < s->seconds);
}

/* Begins the requests that are due on idle connections; with a rate, a request without an idle
 * connection waits for one. */
static void begin_due(run *r, double now) {
    const load_settings *s = r->settings;
    for (size_t i = 0; i < s->n_connections && wants_more(r, now); i++) {
        if (r->clients[i].state != IDLE) {
            continue;
        }
        if (s->rate == 0) {
            begin_request(r, &r->clients[i], now);
        } else if (r->next_due <= now) {
            double due = r->next_due;
            r->next_due -= log(draw(r)) / s->rate;
            begin_request(r, &r->clients[i], due);
        }
    }
}

static void end_late(run *r, double now) {
    for (size_t i = 0; i < r->settings->n_connections; i++) {
        client *c = &r->clients[i];
        if (c->state != IDLE && now - c->due > r->settings->timeout) {
            end_request(r, c, false);
        }
    }
}

static void loop(run *r) {
    struct epoll_event events[256];
    double now = load_clock();
    while (wants_more(r, now) || r->n_busy > 0) {
        begin_due(r, now);
        double wait = r->settings->rate > 0 && wants_more(r, now) ? r->next_due - now : 0.1;
        int milliseconds = wait < 0.001 ? 1 : wait > 0.1 ? 100 : (int)(wait * 1000);
        int n = epoll_wait(r->epoll, events, 256, milliseconds);
        for (int i = 0; i < n; i++) {
            on_event(r, events[i].data.ptr, events[i].events);
        }
        now = load_clock();
        end_late(r, now);
    }
    r->result->seconds = load_clock() - r->began;
}

int load_run(const load_settings *settings, load_result *result) {
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    run r = {.settings = settings, .result = result, .random = settings->seed};
    int code = getaddrinfo(settings->host, settings->port, &hints, &r.address);
    if (code != 0) {
        fprintf(stderr, "load: %s: %s\n", settings->host, gai_strerror(code));
        return -1;
    }
    r.clients = calloc(settings->n_connections, sizeof *r.clients);
    r.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (r.clients == NULL || r.epoll < 0) {
        fprintf(stderr, "load: no memory or no descriptor for %zu connections\n",
                settings->n_connections);
        code = -1;
    } else {
        for (size_t i = 0; i < settings->n_connections; i++) {
            r.clients[i].fd = -1;
        }
        r.began = r.next_due = load_clock();
        loop(&r);
        for (size_t i = 0; i < settings->n_connections; i++) {
            disconnect(&r.clients[i]);
            free(r.clients[i].request);
        }
    }
    if (r.epoll >= 0) {
        close(r.epoll);
    }
    free(r.clients);
    freeaddrinfo(r.address);
    return code;
}
