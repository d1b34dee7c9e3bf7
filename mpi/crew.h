/* The processes ("ranks") that run one model together, and how bytes travel between them, on Open
 * MPI. Nothing outside mpi/ includes mpi.h.
 *
 *     rank 0 (leads)                                   ranks 1.. (follow)
 *     pith_cli_main -> opens a model  -- order ------> pith_crew_follow: opens it too
 *     evaluates                       <-- gathers ---> pith_model_follow
 *     ends                            -- order ------> end
 *
 * A gather sends each piece straight to every other rank: between two hosts that is one latency,
 * and a rank that is missing is known by its piece, which a collective call of MPI does not tell.
 *
 * Signs of life. Who waits for a rank longer than the deadline says so and ends the process; the
 * launcher then ends all. A rank that may be late for a good reason pulses: a thread of its own
 * sends a message each half second. That is rank 0, which waits for its user, any rank that opens
 * a model, and any rank that waits for another one itself. The deadline is counted in time in which
 * this process ran, so that a job that was stopped as a whole goes on when it is continued.
 *
 * Threads. MPI is called by one thread at a time, under a lock. A channel is used by one thread at
 * a time, any number of channels at once. */
#ifndef PITH_MPI_CREW_H
#define PITH_MPI_CREW_H

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "pith.h"

enum {
    PITH_CREW_DEADLINE = 30, /* seconds, by default */
    PITH_TAG_ORDER = 1,
    PITH_TAG_PULSE,
    PITH_TAG_CHANNELS = 16,                        /* the first of the channels */
    PITH_MAX_CHANNELS = 32000 - PITH_TAG_CHANNELS, /* MPI has at least 32767 tags */
};

/* What a rank says of itself at the beginning. */
typedef struct pith_peer {
    char magic[8]; /* of this struct's form */
    char version[32];
    char host[64];
    cpu_set_t cpus; /* it may use */
} pith_peer;

typedef struct pith_crew {
    size_t rank, n_ranks;
    size_t deadline;      /* seconds */
    size_t n_sharing;     /* ranks with this host and these CPUs, itself included */
    bool yields;          /* they are more than the CPUs: who waits must not spin */
    pith_peer *peers;     /* [n_ranks] */
    pthread_mutex_t lock; /* around each call of MPI */
    pthread_t pulse;
    atomic_bool stopping;
    atomic_size_t n_speaking; /* reasons to pulse */
    atomic_size_t clock;      /* milliseconds that this process has run */
    atomic_size_t *heard;     /* [n_ranks] by `clock` */
    atomic_bool lost;         /* a rank is missing, which has been said */
} pith_crew;

/* What gathers have cost this rank since the channel was made. */
typedef struct pith_gathered {
    double seconds; /* in gathers, waiting for slower ranks included */
    size_t n;
    double bytes; /* of all pieces together */
} pith_gathered;

/* A sequence of gathers, of one model. */
typedef struct pith_channel {
    pith_crew *crew;
    int tag;
    MPI_Request *requests; /* [2 (n_ranks - 1)] */
    MPI_Status *statuses;  /* [2 (n_ranks - 1)] */
    int *peers;            /* [2 (n_ranks - 1)] whom each waits for */
    size_t refused;        /* not 0: one more than the index of a message that MPI did not take */
    pith_gathered spent;
} pith_channel;

/* Begins MPI and compares versions. `deadline` in seconds, of which rank 0's counts. False: what
 * was wrong has been said, and the process must end with exit code 1. To be called once, before
 * there are other threads, with all signals blocked. */
bool pith_crew_begin(pith_crew *x, size_t deadline);

/* Ends MPI when all ranks call it. */
void pith_crew_end(pith_crew *x);

/* One line on standard error, "pith-mpi: ..." without control characters. Any thread. */
void pith_crew_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* From now on (until as many calls with false) this rank is heard while it works on its own. */
void pith_crew_speak(pith_crew *x, bool on);

/* Threads that this rank should use when its user gave no number: its CPUs, shared with the ranks
 * that have the same ones. */
size_t pith_crew_threads(const pith_crew *x);

/* Sends bytes [n] from rank 0 to all others; the others receive them. False: a rank is missing. */
bool pith_crew_order(pith_crew *x, void *data, size_t n);

/* `number` is the same on all ranks, below PITH_MAX_CHANNELS, and not in use. False: no memory. */
bool pith_channel_new(pith_channel *out, pith_crew *x, size_t number);
void pith_channel_free(pith_channel *channel);

/* The gather of pith_ranks; `user` is the channel. Allocates nothing. False: a rank is missing,
 * which has been said; on ranks other than 0 the process ends instead, and on rank 0 some seconds
 * later at the latest. */
bool pith_channel_gather(void *user, void *data, const size_t *offsets, bool first_only);

#endif
