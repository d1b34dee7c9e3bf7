/* How the ranks begin, how they know that the others live, and how they end. */
#include "mpi/crew.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/cpus.h"

enum {
    PULSE = 500,    /* milliseconds between two signs of life */
    LAST_WORDS = 2, /* pulses that rank 0 has to end by itself when another rank is lost */
};

void pith_crew_say(const char *format, ...) {
    char text[800];
    char line[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    size_t n = (size_t)snprintf(line, sizeof line, "pith-mpi: %s\n", text);
    for (size_t i = 0; i + 1 < n; i++) {
        line[i] = (unsigned char)line[i] < 0x20 || line[i] == 0x7f ? '?' : line[i];
    }
    /* One call, so that the lines of several ranks do not mix. */
    if (write(STDERR_FILENO, line, n) < 0) {
        /* There is nobody left to tell. */
    }
}

/* ---- Signs of life --------------------------------------------------------------------------- */

typedef struct pulse_messages {
    char *bytes;           /* [n_ranks] what is sent means nothing */
    MPI_Request *requests; /* [n_ranks] */
    bool sent;             /* they are under way */
} pulse_messages;

/* Reads the pulses that have come. */
static void listen(pith_crew *x) {
    int there = 1;
    while (there) {
        MPI_Status status;
        char byte;
        if (MPI_Iprobe(MPI_ANY_SOURCE, PITH_TAG_PULSE, MPI_COMM_WORLD, &there, &status) !=
            MPI_SUCCESS) {
            return;
        }
        if (there) {
            MPI_Recv(&byte, 1, MPI_BYTE, status.MPI_SOURCE, PITH_TAG_PULSE, MPI_COMM_WORLD,
                     MPI_STATUS_IGNORE);
            atomic_store(&x->heard[status.MPI_SOURCE], atomic_load(&x->clock));
        }
    }
}

/* Sends one to all, unless the last ones are still under way. */
static void speak(pith_crew *x, pulse_messages *messages) {
    int done = 1;
    if (messages->sent) {
        MPI_Testall((int)x->n_ranks, messages->requests, &done, MPI_STATUSES_IGNORE);
        messages->sent = !done;
    }
    if (!done || atomic_load(&x->n_speaking) == 0) {
        return;
    }
    for (size_t r = 0; r < x->n_ranks; r++) {
        messages->requests[r] = MPI_REQUEST_NULL;
        if (r != x->rank) {
            MPI_Isend(&messages->bytes[r], 1, MPI_BYTE, (int)r, PITH_TAG_PULSE, MPI_COMM_WORLD,
                      &messages->requests[r]);
        }
    }
    messages->sent = true;
}

/* The clock counts at most two pulses of a time in which this process was stopped. */
static void *pulse_thread(void *argument) {
    pith_crew *x = argument;
    pulse_messages messages = {.bytes = calloc(x->n_ranks, 1),
                               .requests = calloc(x->n_ranks, sizeof(MPI_Request))};
    const struct timespec time = {.tv_nsec = PULSE * 1000000L};
    double before = pith_clock();
    size_t n_last = 0;
    while (!atomic_load(&x->stopping)) {
        nanosleep(&time, NULL);
        double now = pith_clock();
        size_t passed = (size_t)(1e3 * (now - before));
        before = now;
        atomic_fetch_add(&x->clock, pith_min_size(passed, (size_t)2 * PULSE));
        if (atomic_load(&x->lost)) { /* what a late rank still sends must not come any more */
            if (++n_last > LAST_WORDS) {
                _exit(1);
            }
            continue;
        }
        pthread_mutex_lock(&x->lock);
        listen(x);
        if (messages.bytes != NULL && messages.requests != NULL) {
            speak(x, &messages);
        }
        pthread_mutex_unlock(&x->lock);
    }
    free(messages.bytes);
    free(messages.requests);
    return NULL;
}

void pith_crew_speak(pith_crew *x, bool on) {
    if (on) {
        atomic_fetch_add(&x->n_speaking, 1);
    } else {
        atomic_fetch_sub(&x->n_speaking, 1);
    }
}

/* ---- Beginning and end ----------------------------------------------------------------------- */

static const char magic[8] = "pithmpi1";

/* All ranks hear of each other. What differs is for rank 0 to say. */
static bool meet(pith_crew *x) {
    pith_peer own = {.version = ""};
    memcpy(own.magic, magic, sizeof magic);
    snprintf(own.version, sizeof own.version, "%s", pith_version());
    gethostname(own.host, sizeof own.host - 1);
    sched_getaffinity(0, sizeof own.cpus, &own.cpus);
    x->peers[x->rank] = own;
    if (MPI_Allgather(&own, (int)sizeof own, MPI_BYTE, x->peers, (int)sizeof own, MPI_BYTE,
                      MPI_COMM_WORLD) != MPI_SUCCESS) {
        pith_crew_say("rank %zu cannot reach the others", x->rank);
        return false;
    }
    for (size_t r = 0; r < x->n_ranks; r++) {
        pith_peer *peer = &x->peers[r];
        peer->version[sizeof peer->version - 1] = 0;
        peer->host[sizeof peer->host - 1] = 0;
        bool same = memcmp(peer->magic, magic, sizeof magic) == 0 &&
                    strcmp(peer->version, x->peers[0].version) == 0;
        if (!same && x->rank == 0) {
            pith_crew_say("rank %zu on %s is pith %s, rank 0 on %s is %s: all ranks must be of "
                          "one version",
                          r, peer->host, peer->version, own.host, own.version);
        }
        if (!same) {
            return false;
        }
        if (strcmp(peer->host, own.host) == 0 && CPU_EQUAL(&peer->cpus, &own.cpus)) {
            x->n_sharing++;
        }
    }
    return true;
}

size_t pith_crew_threads(const pith_crew *x) {
    return pith_max_size(pith_cpu_count() / x->n_sharing, 1);
}

static bool start_mpi(pith_crew *x) {
    int provided;
    int rank;
    int n_ranks;
    /* Pieces of up to 64 KB are copied through shared memory in one go; must be set before. */
    setenv("OMPI_MCA_btl_vader_eager_limit", "65536", 0);
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS ||
        provided < MPI_THREAD_SERIALIZED) {
        pith_crew_say("MPI gives no calls from several threads");
        return false;
    }
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &n_ranks);
    if (n_ranks > PITH_MAX_RANKS) {
        pith_crew_say("%d ranks are more than the limit of %d", n_ranks, PITH_MAX_RANKS);
        return false;
    }
    x->rank = (size_t)rank;
    x->n_ranks = (size_t)n_ranks;
    return true;
}

bool pith_crew_begin(pith_crew *x, size_t deadline) {
    *x = (pith_crew){.rank = 0};
    if (!start_mpi(x)) {
        return false;
    }
    x->peers = calloc(x->n_ranks, sizeof *x->peers);
    x->heard = calloc(x->n_ranks, sizeof *x->heard);
    if (x->peers == NULL || x->heard == NULL || pthread_mutex_init(&x->lock, NULL) != 0) {
        pith_crew_say("out of memory for %zu ranks", x->n_ranks);
        return false;
    }
    unsigned seconds = (unsigned)deadline;
    MPI_Bcast(&seconds, 1, MPI_UNSIGNED, 0, MPI_COMM_WORLD);
    x->deadline = seconds;
    if (!meet(x)) {
        return false;
    }
    x->yields = x->n_sharing > pith_cpu_count();
    atomic_store(&x->n_speaking, x->rank == 0 ? 1 : 0);
    if (x->n_ranks > 1 && pthread_create(&x->pulse, NULL, pulse_thread, x) != 0) {
        pith_crew_say("the system gives rank %zu no thread", x->rank);
        return false;
    }
    return true;
}

void pith_crew_end(pith_crew *x) {
    if (x->n_ranks > 1) {
        atomic_store(&x->stopping, true);
        pthread_join(x->pulse, NULL);
    }
    MPI_Finalize();
    pthread_mutex_destroy(&x->lock);
    free(x->peers);
    free(x->heard);
}
