/* Gathers and orders: pieces from rank to rank, and waiting for them with a deadline. */
#include "mpi/crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"

enum {
    SPINS = 2000,      /* tries before a waiting rank lets others run: some 0.5 ms */
    YIELDS = 20000,    /* and before it sleeps between tries: some 10 ms */
    MODEST = 3,        /* seconds in which mpirun ends the others when one has ended */
    LONG_WAIT = 22000, /* and before it sleeps for longer: some 100 ms */
    IDLE = 24000,      /* and before it looks 200 times a second only: some 2 s */
};

/* Between two tries to complete a message. While tokens are generated the next message is
 * microseconds away; a service may have no request for hours. */
static void pause_between(const pith_crew *x, size_t n_tries) {
    if (n_tries < SPINS && !x->yields) {
        return;
    }
    if (n_tries < YIELDS) {
        sched_yield();
        return;
    }
    const long ns = n_tries < LONG_WAIT ? 50000 : n_tries < IDLE ? 1000000 : 5000000;
    const struct timespec time = {.tv_nsec = ns};
    nanosleep(&time, NULL);
}

/* ---- A missing rank -------------------------------------------------------------------------- */

/* Says which rank is missing and why, and ends the process, but rank 0's: its command may have
 * something to clean up, for which the pulse leaves it a second. The lowest rank speaks for all;
 * the others leave it the time, in which the launcher ends them. */
static bool lose(pith_crew *x, size_t rank, const char *why) {
    if (x->rank != 0) {
        const struct timespec time = {.tv_sec = x->rank == 1 ? MODEST : 2 * MODEST};
        nanosleep(&time, NULL);
    }
    if (!atomic_exchange(&x->lost, true)) {
        pith_crew_say("rank %zu on %s %s: all end", rank, x->peers[rank].host, why);
    }
    if (x->rank != 0) {
        _exit(1);
    }
    return false;
}

/* Returns the index of the first request that is not complete and whose peer has not been heard for
 * the deadline; n: there is none. */
static size_t find_missing(pith_crew *x, MPI_Request *requests, const int *peers, size_t n,
                           size_t began) {
    const size_t now = atomic_load(&x->clock);
    for (size_t i = 0; i < n; i++) {
        int done = 0;
        pthread_mutex_lock(&x->lock);
        int code = MPI_Test(&requests[i], &done, MPI_STATUS_IGNORE);
        pthread_mutex_unlock(&x->lock);
        size_t heard = pith_max_size(atomic_load(&x->heard[peers[i]]), began);
        if (code != MPI_SUCCESS || (!done && now >= heard + 1000 * x->deadline)) {
            return i;
        }
    }
    return n;
}

/* False when a rank is missing. */
static bool check_peers(pith_crew *x, MPI_Request *requests, const int *peers, size_t n,
                        size_t began) {
    char why[80];
    size_t i = find_missing(x, requests, peers, n, began);
    if (i == n) {
        return true;
    }
    snprintf(why, sizeof why, "has not answered for %zu s", x->deadline);
    return lose(x, (size_t)peers[i], why);
}

/* The peer whose message failed, of those that ended with `statuses` [n] and this code. */
static size_t failed_peer(const MPI_Status *statuses, const int *peers, size_t n, int code) {
    for (size_t i = 0; code == MPI_ERR_IN_STATUS && i < n; i++) {
        if (statuses[i].MPI_ERROR != MPI_SUCCESS && statuses[i].MPI_ERROR != MPI_ERR_PENDING) {
            return (size_t)peers[i];
        }
    }
    return (size_t)peers[0];
}

/* Waits for requests [n], whose other ends are `peers` [n]; statuses [n] are overwritten. Who waits
 * long in a gather says that it lives: of two ranks that a third one waits for, one may be waiting
 * for the other. Orders are rare, and who waits for one may have a thread that hangs. False: a rank
 * is missing. */
static bool wait_all(pith_crew *x, MPI_Request *requests, MPI_Status *statuses, const int *peers,
                     size_t n, bool for_order) {
    const size_t began = atomic_load_explicit(&x->clock, memory_order_relaxed);
    size_t clock = began;
    int done = n == 0;
    bool good = true;
    bool speaks = false;
    for (size_t n_tries = for_order ? LONG_WAIT : 0; good && !done; n_tries++) {
        if (atomic_load_explicit(&x->lost, memory_order_relaxed)) {
            good = false; /* by another thread: its messages must not come any more */
            break;
        }
        pthread_mutex_lock(&x->lock);
        int code = MPI_Testall((int)n, requests, &done, statuses);
        pthread_mutex_unlock(&x->lock);
        size_t now = atomic_load_explicit(&x->clock, memory_order_relaxed);
        if (code != MPI_SUCCESS) {
            good = lose(x, failed_peer(statuses, peers, n, code), "cannot be reached");
        } else if (!done && now != clock) {
            if (!speaks && !for_order) {
                pith_crew_speak(x, true);
                speaks = true;
            }
            clock = now;
            good = check_peers(x, requests, peers, n, began);
        }
        if (!done) {
            pause_between(x, n_tries);
        }
    }
    if (speaks) {
        pith_crew_speak(x, false);
    }
    return good;
}

/* ---- Gathers --------------------------------------------------------------------------------- */

/* Starts a message of `n` bytes to or from a rank. One that MPI refuses counts as lost, and so does
 * its rank. */
static void start(pith_channel *c, size_t *n_requests, bool send, size_t rank, void *data,
                  size_t n) {
    MPI_Request *request = &c->requests[*n_requests];
    c->peers[(*n_requests)++] = (int)rank;
    *request = MPI_REQUEST_NULL;
    int code = send ? MPI_Isend(data, (int)n, MPI_BYTE, (int)rank, c->tag, MPI_COMM_WORLD, request)
                    : MPI_Irecv(data, (int)n, MPI_BYTE, (int)rank, c->tag, MPI_COMM_WORLD, request);
    if (code != MPI_SUCCESS && c->refused == 0) {
        c->refused = *n_requests;
    }
}

/* Starts all messages of a gather and returns how many. Each rank begins with the one behind it, so
 * that not all send to the same one first. */
static size_t start_all(pith_channel *c, unsigned char *data, const size_t *offsets,
                        bool first_only) {
    const pith_crew *x = c->crew;
    const size_t own = offsets[x->rank + 1] - offsets[x->rank];
    size_t n = 0;
    for (size_t i = 1; i < x->n_ranks; i++) {
        size_t r = (x->rank + x->n_ranks - i) % x->n_ranks;
        size_t size = offsets[r + 1] - offsets[r];
        if (size != 0 && (!first_only || x->rank == 0)) {
            start(c, &n, false, r, data + offsets[r], size);
        }
    }
    for (size_t i = 1; own != 0 && i < x->n_ranks; i++) {
        size_t r = (x->rank + i) % x->n_ranks;
        if (!first_only || r == 0) {
            start(c, &n, true, r, data + offsets[x->rank], own);
        }
    }
    return n;
}

bool pith_channel_gather(void *user, void *data, const size_t *offsets, bool first_only) {
    pith_channel *c = user;
    pith_crew *x = c->crew;
    const double began = pith_clock();
    if (atomic_load_explicit(&x->lost, memory_order_relaxed)) {
        return false;
    }
    c->refused = 0;
    pthread_mutex_lock(&x->lock);
    size_t n = start_all(c, data, offsets, first_only);
    pthread_mutex_unlock(&x->lock);
    if (c->refused != 0) {
        return lose(x, (size_t)c->peers[c->refused - 1], "cannot be reached");
    }
    bool good = wait_all(x, c->requests, c->statuses, c->peers, n, false);
    pthread_mutex_lock(&x->lock);
    c->spent.seconds += pith_clock() - began;
    c->spent.n++;
    c->spent.bytes += (double)offsets[x->n_ranks];
    pthread_mutex_unlock(&x->lock);
    return good;
}

bool pith_channel_new(pith_channel *out, pith_crew *x, size_t number) {
    const size_t n = 2 * x->n_ranks;
    *out = (pith_channel){
        .crew = x,
        .tag = PITH_TAG_CHANNELS + (int)number,
        .requests = calloc(n, sizeof *out->requests),
        .statuses = calloc(n, sizeof *out->statuses),
        .peers = calloc(n, sizeof *out->peers),
    };
    if (out->requests == NULL || out->statuses == NULL || out->peers == NULL) {
        pith_channel_free(out);
        return false;
    }
    return true;
}

void pith_channel_free(pith_channel *channel) {
    free(channel->requests);
    free(channel->statuses);
    free(channel->peers);
    *channel = (pith_channel){0};
}

/* ---- Orders ---------------------------------------------------------------------------------- */

bool pith_crew_order(pith_crew *x, void *data, size_t n) {
    bool good = true;
    const size_t end = x->rank == 0 ? x->n_ranks : 1;
    for (size_t r = x->rank == 0 ? 1 : 0; good && r < end; r++) {
        MPI_Request request = MPI_REQUEST_NULL;
        MPI_Status status;
        const int peer = (int)r;
        if (atomic_load(&x->lost)) {
            return false;
        }
        pthread_mutex_lock(&x->lock);
        int code =
            x->rank == 0
                ? MPI_Isend(data, (int)n, MPI_BYTE, peer, PITH_TAG_ORDER, MPI_COMM_WORLD, &request)
                : MPI_Irecv(data, (int)n, MPI_BYTE, peer, PITH_TAG_ORDER, MPI_COMM_WORLD, &request);
        pthread_mutex_unlock(&x->lock);
        good = code == MPI_SUCCESS ? wait_all(x, &request, &status, &peer, 1, true)
                                   : lose(x, r, "cannot be reached");
    }
    return good;
}
