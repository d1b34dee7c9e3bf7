/* The inside of a job, which the scheduler sees. Two threads meet here: the connection's, which
 * takes pieces, and the scheduler's, which pushes them.
 *
 * Order of locks: a job's lock may be held while the scheduler's is taken (to wake it), never the
 * other way round. */
#ifndef PITH_SERVER_JOB_INSIDE_H
#define PITH_SERVER_JOB_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "server/fair.h"
#include "server/job.h"

enum {
    PITH_JOB_BACKLOG = 1 << 20, /* bytes of pieces that wait to be taken: beyond it, the scheduler
                                   leaves the job out of its passes */
};

typedef struct pith_job_node pith_job_node;

struct pith_job {
    atomic_size_t references;
    atomic_bool cancelled;
    atomic_bool failed;      /* set with `problem`, never taken back */
    atomic_size_t n_backlog; /* bytes of the pieces that wait */
    int fd;
    pith_region region; /* the copies below */

    /* What is to be done; constant. */
    const int32_t **prompts; /* [n_prompts][n_tokens[i]] */
    size_t *n_tokens;        /* [n_prompts] */
    size_t n_prompts, n_choices;
    pith_generate_params params;
    pith_job_guards guards;
    int64_t key;
    double deadline;

    pthread_mutex_t lock; /* guards all until the next comment */
    pith_job_node *first, *last;
    pith_job_node *taken; /* lent to the connection's thread */
    size_t n_done;        /* choices whose last piece was pushed */
    bool signalled;       /* the eventfd is readable */
    bool failure_taken;
    pith_problem problem;
    pith_job_usage usage;
    double submitted, begun, first_token, ended; /* pith_clock(); 0: not yet */
    void (*wake)(void *user);                    /* the scheduler; NULL: it is done with the job */
    void *wake_user;

    /* The scheduler's own. */
    pith_fair_item item; /* in its queue, guarded by its lock */
    size_t n_started;    /* choices that left the queue */
    size_t n_running;    /* of these, still in progress */
};

/* Choices of all prompts. */
static inline size_t pith_job_total(const pith_job *job) {
    return job->n_prompts * job->n_choices;
}

void pith_job_retain(pith_job *job);

/* Called when the scheduler accepts the job: `wake` is how to wake it. */
void pith_job_attach(pith_job *job, void (*wake)(void *user), void *user);
/* Called when the scheduler is done with the job: afterwards nothing wakes it. */
void pith_job_detach(pith_job *job);

/* Queues a copy of the piece. False: out of memory, nothing was queued. */
bool pith_job_push(pith_job *job, const pith_job_piece *piece);

/* Ends the job with a problem, unless it has failed or is done already. Allocates nothing. */
void pith_job_fail(pith_job *job, const pith_problem *problem);

/* True when the rest is not needed: the job was cancelled or has failed. */
static inline bool pith_job_is_over(const pith_job *job) {
    return atomic_load(&job->cancelled) || atomic_load(&job->failed);
}

/* True while more pieces wait than the client should leave untaken. */
static inline bool pith_job_is_full(const pith_job *job) {
    return atomic_load(&job->n_backlog) > PITH_JOB_BACKLOG;
}

/* Adds to the counters of pith_job_get_usage. */
void pith_job_count(pith_job *job, size_t n_prompt, size_t n_cached, size_t n_generated);

/* The first pass begins: returns true and the seconds since submission the first time. */
bool pith_job_begin(pith_job *job, double *seconds);
/* Likewise for the first token. */
bool pith_job_first_token(pith_job *job, double *seconds);

#endif
