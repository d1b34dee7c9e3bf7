/* The connections of the service and their deadlines.
 *
 * The thread of a connection is either within libmicrohttpd, which reads or writes and has no
 * useful deadline (each byte restarts it), or within a handler that waits for the model. So each
 * connection is in one phase at a time, a thread of the watch looks at all of them four times a
 * second, and shuts down the socket of one that is overdue, which ends the wait of its thread. A
 * handler waits with pith_watch_wait, which sees at once when the client goes away.
 *
 * A connection is added before its thread runs and removed before its descriptor is closed, and the
 * watch touches descriptors only in between, under its lock: a number that the system gives to
 * another file is never shut down. */
#ifndef PITH_SERVER_WATCH_H
#define PITH_SERVER_WATCH_H

#include "base/clock.h"
#include "pith.h"

typedef struct pith_watch pith_watch;
typedef struct pith_watched pith_watched; /* a connection */

/* Seconds, all of them above 0. */
typedef struct pith_watch_limits {
    double header;  /* from the connection until the first headers are complete, TLS included */
    double idle;    /* from an answer until the next headers are complete */
    double body;    /* from the headers until the body is complete */
    double write;   /* without the client taking a byte that waits for it */
    double request; /* from the headers until the answer is written */
} pith_watch_limits;

typedef enum pith_phase {
    PITH_PHASE_HEADER, /* of the first request */
    PITH_PHASE_IDLE,   /* between two requests; `idle` */
    PITH_PHASE_BODY,   /* begins a request */
    PITH_PHASE_WORK,   /* a handler works or waits; only `request` limits it */
    PITH_PHASE_WRITE,  /* the answer, or what there is of it, is being written */
} pith_phase;

/* Errors: MEMORY, IO (no thread, no descriptor). */
pith_status pith_watch_new(pith_watch **out, const pith_watch_limits *limits, pith_error *error);
/* All connections must have been removed. */
void pith_watch_free(pith_watch *watch);

/* Begins to watch a connection, in phase HEADER; NULL: no memory. */
pith_watched *pith_watch_add(pith_watch *watch, int fd);
/* Ends it and frees `connection`; accepts NULL. What the client still sends is read and dropped for
 * a few seconds on a duplicate of the descriptor: closing a socket with unread data resets the
 * connection, and the client would lose an answer that it has not read yet. */
void pith_watch_remove(pith_watched *connection);

void pith_watch_phase(pith_watched *connection, pith_phase phase);
pith_phase pith_watch_phase_of(pith_watched *connection);
/* True when the watch has shut the connection down, for a deadline or by pith_watch_shut_all. */
bool pith_watch_overdue(pith_watched *connection);
/* When the request that is under way must be over, by pith_clock(). */
double pith_watch_deadline(pith_watched *connection);

typedef enum pith_waited {
    PITH_WAITED_READY, /* `fd` is readable */
    PITH_WAITED_GONE,  /* the client has closed its side, or the watch has shut it down */
    PITH_WAITED_TIME,  /* neither until `until` */
} pith_waited;

/* Waits until `fd` (-1: none) is readable, the client is gone, or it is `until`. */
pith_waited pith_watch_wait(const pith_watched *connection, int fd, double until);

/* Lowers the time that a body may take; of those that are on their way, from now on. */
void pith_watch_hurry(pith_watch *watch, double body);

/* Connections watched. */
size_t pith_watch_count(pith_watch *watch);
/* Shuts all of them down. */
void pith_watch_shut_all(pith_watch *watch);

#endif
