/* The HTTP layer against a handler of the test's own, by bytes on sockets: what a client reads,
 * whether the connection stays in step, and that deadlines and departures are seen. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http.h"
#include "server/listen.h"
#include "tests/test.h"

enum { MAX_BODY = 100000 };

typedef struct fixture {
    pith_listener listener;
    pith_watch *watch;
    pith_http *http;
    _Atomic int handled, done, gone, streams, last_status;
} fixture;

static bool admit(void *user, pith_exchange *x, pith_problem *problem) {
    (void)user;
    if (strcmp(x->path, "/refused") == 0) {
        return pith_problem_set(problem, 401, "no", NULL, "not you");
    }
    return true;
}

typedef struct counting {
    fixture *f;
    pith_exchange *x;
    int left;
} counting;

static pith_fill fill(void *user, pith_bytes *out) {
    counting *c = user;
    if (c->left == 0) {
        return PITH_FILL_END;
    }
    c->left--;
    char text[32];
    snprintf(text, sizeof text, "piece %d\n", c->left);
    pith_bytes_append_text(out, text);
    if (c->left > 0 && c->left < 1000 &&
        pith_exchange_wait(c->x, -1, pith_clock() + 0.05) == PITH_WAITED_GONE) {
        c->f->gone++;
        return PITH_FILL_BROKEN;
    }
    return PITH_FILL_MORE;
}

static void release(void *user) {
    counting *c = user;
    c->f->streams--;
    free(c);
}

static void handle(void *user, pith_exchange *x) {
    fixture *f = user;
    f->handled++;
    if (strcmp(x->path, "/wait") == 0) {
        if (pith_exchange_wait(x, -1, pith_clock() + 60) == PITH_WAITED_GONE) {
            f->gone++;
        }
        return;
    }
    if (strcmp(x->path, "/stream") == 0 || strcmp(x->path, "/flood") == 0) {
        counting *c = malloc(sizeof *c);
        *c = (counting){.f = f, .x = x, .left = x->path[1] == 's' ? 3 : 100000000};
        f->streams++;
        pith_exchange_answer_stream(x, 200, "text/plain",
                                    &(pith_stream){.user = c, .fill = fill, .release = release});
        return;
    }
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    pith_bytes_append(&out, x->body, x->n_body);
    pith_exchange_put_header(x, "x-test", "%s", "yes");
    pith_exchange_put_header(x, "x-bad", "%s", "a\001b: c");
    pith_exchange_answer(x, 200, "text/plain", &out);
}

static void done(void *user, pith_exchange *x) {
    fixture *f = user;
    f->last_status = x->status;
    f->done++;
}

static void set_up(fixture *f, double seconds) {
    pith_error error;
    memset(f, 0, sizeof *f);
    CHECK(pith_listen(&f->listener, "localhost", 0, &error) == PITH_OK, "%s", error.message);
    CHECK(f->listener.loopback && f->listener.port != 0, "port %u", f->listener.port);
    pith_watch_limits limits = {seconds, seconds, seconds, seconds, 600};
    CHECK(pith_watch_new(&f->watch, &limits, &error) == PITH_OK, "%s", error.message);
    pith_http_options options = {
        .fd = f->listener.fd,
        .max_connections = PITH_HTTP_MAX_CONNECTIONS,
        .max_body = MAX_BODY,
        .max_bodies = 10 * MAX_BODY,
        .watch = f->watch,
        .handler = {.user = f, .admit = admit, .handle = handle, .done = done}};
    CHECK(pith_http_start(&f->http, &options, &error) == PITH_OK, "%s", error.message);
}

static void tear_down(fixture *f) {
    pith_http_stop(f->http);
    CHECK(pith_watch_count(f->watch) == 0, "%zu connections are left", pith_watch_count(f->watch));
    pith_watch_free(f->watch);
    close(f->listener.fd);
}

/* ---- A client -------------------------------------------------------------------------------- */

static int dial(const fixture *f) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    getsockname(f->listener.fd, (struct sockaddr *)&address, &n);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(fd, (struct sockaddr *)&address, n) == 0, "connect: %s", strerror(errno));
    return fd;
}

/* False when the server has closed the connection. */
static bool say(int fd, const char *text, size_t n) {
    while (n > 0) {
        ssize_t sent = send(fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return false;
        }
        text += sent;
        n -= (size_t)sent;
    }
    return true;
}

static void say_text(int fd, const char *text) {
    say(fd, text, strlen(text));
}

/* One answer with a Content-Length into text [capacity]: head and body. Its status, 0: closed. */
static int hear_answer(int fd, char *text, size_t capacity) {
    size_t n = 0;
    size_t end = 0;
    size_t length = 0;
    while (end == 0 || n < end + length) {
        ssize_t got = recv(fd, text + n, end == 0 ? 1 : end + length - n, 0);
        if (got <= 0 || n + (size_t)got >= capacity) {
            return 0;
        }
        n += (size_t)got;
        text[n] = 0;
        if (end == 0 && n >= 4 && memcmp(text + n - 4, "\r\n\r\n", 4) == 0) {
            end = n;
            const char *field = strcasestr(text, "\r\ncontent-length:");
            length = field != NULL ? strtoul(field + 17, NULL, 10) : 0;
            if (end + length >= capacity) {
                return 0;
            }
        }
    }
    return (int)strtol(text + 9, NULL, 10);
}

static int ask(int fd, const char *request, char *text, size_t capacity) {
    say_text(fd, request);
    return hear_answer(fd, text, capacity);
}

/* Reads an answer in chunks to its last one; false when it is cut. */
static bool read_stream(int fd, char *text, size_t capacity) {
    size_t n = 0;
    text[0] = 0;
    while (strstr(text, "\r\n0\r\n\r\n") == NULL) {
        ssize_t got = recv(fd, text + n, capacity - n - 1, 0);
        if (got <= 0) {
            return false;
        }
        n += (size_t)got;
        text[n] = 0;
    }
    return true;
}

/* True when the server closes within 30 s without a further byte counted by the caller. */
static bool is_closed(int fd) {
    char text[4096];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, 30000) == 1) {
        if (recv(fd, text, sizeof text, 0) <= 0) {
            return true;
        }
    }
    return false;
}

static bool wait_for(_Atomic int *counter, int value) {
    for (int i = 0; i < 3000 && *counter != value; i++) {
        poll(NULL, 0, 10);
    }
    return *counter == value;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

/* ---- Tests ----------------------------------------------------------------------------------- */

TEST(server, answers_and_keeps_the_connection) {
    fixture f;
    char text[4096];
    set_up(&f, 20);
    int fd = dial(&f);
    int status =
        ask(fd,
            "POST /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: a.1\r\nContent-Length: 5\r\n\r\nhello",
            text, sizeof text);
    CHECK(status == 200 && strstr(text, "\r\n\r\nhello") != NULL, "%d: %s", status, text);
    CHECK(strstr(text, "x-request-id: a.1\r\n") != NULL, "the client's id is lost: %s", text);
    CHECK(strstr(text, "x-test: yes\r\n") != NULL && strstr(text, "b: c") == NULL, "%s", text);
    status =
        ask(fd, "HEAD /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: a b\r\n\r\n", text, sizeof text);
    CHECK(status == 200 && strstr(text, "x-request-id: req-") != NULL, "%d: %s", status, text);
    status = ask(fd,
                 "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                 text, sizeof text);
    CHECK(status == 200 && strstr(text, "\r\n\r\nabcde") != NULL, "%d: %s", status, text);
    close(fd);
    tear_down(&f);
    CHECK(f.done == 3 && f.handled == 3, "%d done, %d handled", f.done, f.handled);
    CHECK_NO_LEAKS();
}

TEST(server, stays_in_step_after_a_refusal) {
    fixture f;
    char text[4096];
    set_up(&f, 20);
    int fd = dial(&f);
    for (int i = 0; i < 3; i++) {
        int status = ask(fd,
                         "POST /refused HTTP/1.1\r\nHost: x\r\nContent-Length: 22\r\n\r\nGET / "
                         "HTTP/1.1\r\n\r\n....",
                         text, sizeof text);
        CHECK(status == 401 && strstr(text, "{\"error\"") != NULL, "%d: %s", status, text);
        status = ask(fd, GET("/echo"), text, sizeof text);
        CHECK(status == 200, "%d: %s", status, text);
    }
    CHECK(f.handled == 3, "%d handled", f.handled);
    /* A client that asks whether it may send is told no before it does. */
    int status = ask(fd,
                     "POST /refused HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                     "Content-Length: 5000\r\n\r\n",
                     text, sizeof text);
    CHECK(status == 401 && is_closed(fd), "%d: %s", status, text);
    close(fd);
    tear_down(&f);
    CHECK_NO_LEAKS();
}

/* The client writes all of its body before it reads. */
static void send_large(fixture *f, bool chunked, size_t n, char *text, size_t capacity,
                       int *status) {
    char head[200];
    char *body = calloc(1, n);
    int fd = dial(f);
    if (chunked) {
        snprintf(head, sizeof head,
                 "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n", n);
    } else {
        snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                 n);
    }
    say_text(fd, head);
    CHECK(say(fd, body, n), "the body was cut off: many clients would not read the answer");
    if (chunked) {
        say_text(fd, "\r\n0\r\n\r\n");
    }
    *status = hear_answer(fd, text, capacity);
    close(fd);
    free(body);
}

TEST(server, large_bodies_read_their_413) {
    fixture f;
    char text[4096];
    int status;
    set_up(&f, 20);
    for (int chunked = 0; chunked < 2; chunked++) {
        send_large(&f, chunked != 0, 8000000, text, sizeof text, &status);
        CHECK(status == 413 && strstr(text, "100000") != NULL, "chunked %d: %d: %s", chunked,
              status, text);
    }
    CHECK(f.handled == 0, "%d handled", f.handled);
    tear_down(&f);
    CHECK_NO_LEAKS();
}

TEST(server, refuses_what_has_no_certain_end) {
    static const struct {
        const char *fields;
        int status;
    } cases[] = {
        {"Content-Length: 5\r\nContent-Length: 6\r\n", 400},
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400},
        {"Transfer-Encoding: gzip\r\n", 501},
        {"Content-Length : 5\r\n", 400},
        {"Host: y\r\n", 400},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", 400},
    };
    fixture f;
    char text[4096];
    set_up(&f, 20);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char request[400];
        int fd = dial(&f);
        snprintf(request, sizeof request, "POST /echo HTTP/1.1\r\nHost: x\r\n%s\r\n0\r\n\r\nGET ",
                 cases[i].fields);
        int status = ask(fd, request, text, sizeof text);
        CHECK(status == cases[i].status && strstr(text, "{\"error\"") != NULL, "case %zu: %d: %s",
              i, status, text);
        CHECK(is_closed(fd), "case %zu: open", i);
        close(fd);
    }
    CHECK(f.handled == 0, "%d handled", f.handled);
    tear_down(&f);
}

TEST(server, long_headers_are_431) {
    fixture f;
    char *request = malloc(60000);
    char text[4096];
    set_up(&f, 20);
    for (size_t n = 15000; n < 50000; n += 15000) {
        int fd = dial(&f);
        int head = sprintf(request, "GET /echo HTTP/1.1\r\nHost: x\r\nX-Long: ");
        memset(request + head, 'a', n);
        sprintf(request + head + n, "\r\n\r\n");
        int status = ask(fd, request, text, sizeof text);
        CHECK(status == (n < 16000 ? 200 : 431), "%zu bytes: %d: %s", n, status, text);
        CHECK(n < 16000 || strstr(text, "{\"error\"") != NULL, "%s", text);
        close(fd);
    }
    free(request);
    tear_down(&f);
}

TEST(server, streams_as_it_goes) {
    fixture f;
    char text[4096];
    set_up(&f, 20);
    int fd = dial(&f);
    say_text(fd, GET("/stream"));
    CHECK(read_stream(fd, text, sizeof text), "cut: %s", text);
    const char *two = strstr(text, "piece 2\n");
    const char *none = strstr(text, "piece 0\n");
    CHECK(two != NULL && none != NULL && two < none, "%s", text);
    CHECK(ask(fd, GET("/echo"), text, sizeof text) == 200, "%s", text);
    close(fd);
    tear_down(&f);
    CHECK(f.streams == 0 && f.done == 2, "%d streams, %d done", f.streams, f.done);
    CHECK_NO_LEAKS();
}

TEST(server, sees_clients_leave) {
    fixture f;
    char text[64];
    set_up(&f, 20);
    for (int i = 0; i < 8; i++) {
        int fd = dial(&f);
        say_text(fd, i % 2 == 0 ? GET("/wait") : GET("/stream"));
        if (i % 2 == 1) {
            CHECK(recv(fd, text, 1, 0) == 1, "no stream");
        } else {
            CHECK(wait_for(&f.handled, i + 1), "%d handled", f.handled);
        }
        if (i < 4) {
            CHECK(shutdown(fd, SHUT_WR) == 0, "shutdown"); /* half closed is gone */
            CHECK(wait_for(&f.gone, i + 1), "%d gone", f.gone);
        }
        close(fd);
        CHECK(wait_for(&f.gone, i + 1) && wait_for(&f.done, i + 1), "%d gone", f.gone);
        CHECK(f.last_status == 499, "status %d", f.last_status);
    }
    CHECK(pith_http_active(f.http) == 0 && f.streams == 0, "%zu", pith_http_active(f.http));
    tear_down(&f);
    CHECK_NO_LEAKS();
}

TEST(server, closes_slow_clients) {
    fixture f;
    set_up(&f, 0.4);
    int silent = dial(&f);
    int head = dial(&f);
    int body = dial(&f);
    int idle = dial(&f);
    int deaf = dial(&f);
    char text[4096];
    say_text(head, "GET /echo HTTP/1.1\r\nHost:");
    say_text(body, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx");
    CHECK(ask(idle, GET("/echo"), text, sizeof text) == 200, "%s", text);
    say_text(deaf, GET("/flood"));
    CHECK(is_closed(silent) && is_closed(head) && is_closed(body) && is_closed(idle), "open");
    /* The one that reads nothing would read for ever. */
    CHECK(wait_for(&f.streams, 0) && wait_for(&f.done, 3), "%d streams, %d done", f.streams,
          f.done);
    close(silent), close(head), close(body), close(idle), close(deaf);
    tear_down(&f);
    CHECK_NO_LEAKS();
}

TEST(server, drains) {
    fixture f;
    char text[4096];
    set_up(&f, 20);
    int kept = dial(&f);
    CHECK(ask(kept, GET("/echo"), text, sizeof text) == 200, "%s", text);
    int busy = dial(&f);
    say_text(busy, GET("/stream"));
    CHECK(recv(busy, text, 1, 0) == 1, "no stream");
    pith_http_drain(f.http);
    int status = ask(kept, GET("/echo"), text, sizeof text);
    CHECK(status == 503 && strstr(text, "Retry-After: 1") && is_closed(kept), "%d: %s", status,
          text);
    CHECK(read_stream(busy, text, sizeof text), "cut: %s", text);
    CHECK(strstr(text, "piece 0") != NULL, "the stream was cut: %s", text);
    for (int i = 0; i < 3000 && pith_http_active(f.http) > 0; i++) {
        poll(NULL, 0, 10);
    }
    CHECK(pith_http_active(f.http) == 0, "%zu active", pith_http_active(f.http));
    close(kept), close(busy);
    tear_down(&f);
    CHECK_NO_LEAKS();
}
