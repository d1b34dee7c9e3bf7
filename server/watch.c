/* The watch: a list of connections under one lock, and a thread that walks it while there are any.
 * The same thread reads what clients of connections that were closed early still send. */
#include "server/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/status.h"

enum {
    LOOK_MILLISECONDS = 250, /* between two walks over the connections */
    MAX_LINGERING = 128,     /* connections beyond are closed at once */
};

/* A handler keeps the deadline of the request itself, and answers 504; the watch cuts the
 * connection when that answer has not been made this many seconds later. */
#define GRACE_SECONDS 10.0

static const double linger_seconds = 5.0;

struct pith_watched {
    pith_watch *watch;
    pith_watched *previous, *next;
    int fd;
    pith_phase phase;
    double since;   /* the phase began, or the client took something */
    double request; /* the request began */
    int unsent;     /* bytes that the client had not acknowledged at the last look; -1: unknown */
    bool shut;
};

typedef struct lingering {
    int fd;
    double until;
} lingering;

struct pith_watch {
    pthread_mutex_t lock;
    pthread_t thread;
    pith_watch_limits limits;
    int wake; /* eventfd: there is a first connection, a lingering one, or the end */
    bool stop;
    pith_watched *connections;
    size_t n_connections;
    lingering lingering[MAX_LINGERING];
    size_t n_lingering;
};

static void wake(pith_watch *watch) {
    uint64_t one = 1;
    /* A full counter is as good: the thread is about to wake. */
    while (write(watch->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static void shut(pith_watched *connection) {
    if (!connection->shut) {
        connection->shut = true;
        shutdown(connection->fd, SHUT_RDWR);
    }
}

/* True when the client has read nothing for too long. */
static bool is_stuck(pith_watched *connection, double limit, double now) {
    int unsent = -1;
    if (ioctl(connection->fd, SIOCOUTQ, &unsent) != 0) {
        unsent = -1;
    }
    if (unsent == 0 || unsent != connection->unsent) {
        connection->unsent = unsent;
        connection->since = now;
    }
    return now > connection->since + limit;
}

static bool is_overdue(const pith_watch *watch, pith_watched *connection, double now) {
    const pith_watch_limits *limits = &watch->limits;
    double request = connection->request + limits->request + GRACE_SECONDS;
    switch (connection->phase) {
    case PITH_PHASE_HEADER:
        return now > connection->since + limits->header;
    case PITH_PHASE_IDLE:
        return now > connection->since + limits->idle;
    case PITH_PHASE_BODY:
        return now > connection->since + limits->body || now > request;
    case PITH_PHASE_WRITE:
        return is_stuck(connection, limits->write, now) || now > request;
    case PITH_PHASE_WORK:
        return now > request;
    }
    return false;
}

/* Reads and drops what has come; true when there will be no more. */
static bool drain(int fd) {
    char dropped[16384];
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(fd, dropped, sizeof dropped, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            return true;
        }
        if (n < 0) {
            return false;
        }
    }
    return false; /* others have a turn first */
}

/* Walks connections and lingering ones; the number of those left to look at. Called with the lock.
 */
static size_t look(pith_watch *watch, double now) {
    for (pith_watched *c = watch->connections; c != NULL; c = c->next) {
        if (!c->shut && is_overdue(watch, c, now)) {
            shut(c);
        }
    }
    for (size_t i = 0; i < watch->n_lingering;) {
        lingering *l = &watch->lingering[i];
        if (drain(l->fd) || now > l->until || watch->stop) {
            close(l->fd);
            *l = watch->lingering[--watch->n_lingering];
        } else {
            i++;
        }
    }
    return watch->n_connections + watch->n_lingering;
}

static void *run(void *user) {
    pith_watch *watch = user;
    for (;;) {
        struct pollfd polls[1 + MAX_LINGERING] = {{.fd = watch->wake, .events = POLLIN}};
        pthread_mutex_lock(&watch->lock);
        size_t n = look(watch, pith_clock());
        bool stop = watch->stop;
        nfds_t n_polls = 1;
        for (size_t i = 0; i < watch->n_lingering; i++) {
            polls[n_polls++] = (struct pollfd){.fd = watch->lingering[i].fd, .events = POLLIN};
        }
        pthread_mutex_unlock(&watch->lock);
        if (stop) {
            return NULL;
        }
        if (poll(polls, n_polls, n > 0 ? LOOK_MILLISECONDS : -1) > 0 && polls[0].revents != 0) {
            uint64_t count;
            while (read(watch->wake, &count, sizeof count) < 0 && errno == EINTR) {
            }
        }
    }
}

pith_status pith_watch_new(pith_watch **out, const pith_watch_limits *limits, pith_error *error) {
    pith_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the watch of connections");
    }
    watch->limits = *limits;
    watch->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->wake < 0) {
        pith_status status = pith_fail_io(error, "eventfd", "make", errno);
        free(watch);
        return status;
    }
    pthread_mutex_init(&watch->lock, NULL);
    int code = pthread_create(&watch->thread, NULL, run, watch);
    if (code != 0) {
        pith_status status = pith_fail_io(error, "thread", "start", code);
        pthread_mutex_destroy(&watch->lock);
        close(watch->wake);
        free(watch);
        return status;
    }
    *out = watch;
    return PITH_OK;
}

void pith_watch_free(pith_watch *watch) {
    if (watch == NULL) {
        return;
    }
    pthread_mutex_lock(&watch->lock);
    watch->stop = true;
    pthread_mutex_unlock(&watch->lock);
    wake(watch);
    pthread_join(watch->thread, NULL);
    pthread_mutex_destroy(&watch->lock);
    close(watch->wake);
    free(watch);
}

pith_watched *pith_watch_add(pith_watch *watch, int fd) {
    pith_watched *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    connection->watch = watch;
    connection->fd = fd;
    connection->since = connection->request = pith_clock();
    pthread_mutex_lock(&watch->lock);
    connection->next = watch->connections;
    if (connection->next != NULL) {
        connection->next->previous = connection;
    }
    watch->connections = connection;
    bool first = watch->n_connections++ == 0;
    pthread_mutex_unlock(&watch->lock);
    if (first) {
        wake(watch);
    }
    return connection;
}

/* Called with the lock. */
static void linger_on(pith_watch *watch, int fd) {
    char next;
    if (watch->n_lingering == MAX_LINGERING || watch->stop ||
        recv(fd, &next, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
        return; /* no room, or the client has nothing more to say */
    }
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy >= 0) {
        watch->lingering[watch->n_lingering++] =
            (lingering){.fd = copy, .until = pith_clock() + linger_seconds};
    }
}

void pith_watch_remove(pith_watched *connection) {
    if (connection == NULL) {
        return;
    }
    pith_watch *watch = connection->watch;
    pthread_mutex_lock(&watch->lock);
    if (connection->previous != NULL) {
        connection->previous->next = connection->next;
    } else {
        watch->connections = connection->next;
    }
    if (connection->next != NULL) {
        connection->next->previous = connection->previous;
    }
    watch->n_connections--;
    if (!connection->shut) {
        linger_on(watch, connection->fd);
    }
    pthread_mutex_unlock(&watch->lock);
    wake(watch);
    free(connection);
}

void pith_watch_phase(pith_watched *connection, pith_phase phase) {
    pthread_mutex_lock(&connection->watch->lock);
    connection->phase = phase;
    connection->since = pith_clock();
    connection->unsent = -1;
    if (phase == PITH_PHASE_BODY) {
        connection->request = connection->since;
    }
    pthread_mutex_unlock(&connection->watch->lock);
}

pith_phase pith_watch_phase_of(pith_watched *connection) {
    pthread_mutex_lock(&connection->watch->lock);
    pith_phase phase = connection->phase;
    pthread_mutex_unlock(&connection->watch->lock);
    return phase;
}

bool pith_watch_overdue(pith_watched *connection) {
    pthread_mutex_lock(&connection->watch->lock);
    bool is_shut = connection->shut;
    pthread_mutex_unlock(&connection->watch->lock);
    return is_shut;
}

double pith_watch_deadline(pith_watched *connection) {
    pthread_mutex_lock(&connection->watch->lock);
    double deadline = connection->request + connection->watch->limits.request;
    pthread_mutex_unlock(&connection->watch->lock);
    return deadline;
}

pith_waited pith_watch_wait(const pith_watched *connection, int fd, double until) {
    struct pollfd polls[2] = {{.fd = connection->fd, .events = POLLRDHUP},
                              {.fd = fd, .events = POLLIN}};
    for (;;) {
        double left = ceil((until - pith_clock()) * 1000);
        int milliseconds = left < 0 ? 0 : left > 1e6 ? 1000000 : (int)left;
        int n = poll(polls, fd >= 0 ? 2 : 1, milliseconds);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || polls[0].revents != 0) {
            return PITH_WAITED_GONE;
        }
        if (n > 0) {
            return PITH_WAITED_READY;
        }
        if (left <= 1e6) {
            return PITH_WAITED_TIME;
        }
    }
}

size_t pith_watch_count(pith_watch *watch) {
    pthread_mutex_lock(&watch->lock);
    size_t n = watch->n_connections;
    pthread_mutex_unlock(&watch->lock);
    return n;
}

void pith_watch_hurry(pith_watch *watch, double body) {
    pthread_mutex_lock(&watch->lock);
    watch->limits.body = fmin(watch->limits.body, body);
    for (pith_watched *c = watch->connections; c != NULL; c = c->next) {
        c->since = c->phase == PITH_PHASE_BODY ? pith_clock() : c->since;
    }
    pthread_mutex_unlock(&watch->lock);
}

void pith_watch_shut_all(pith_watch *watch) {
    pthread_mutex_lock(&watch->lock);
    for (pith_watched *c = watch->connections; c != NULL; c = c->next) {
        shut(c);
    }
    pthread_mutex_unlock(&watch->lock);
}
