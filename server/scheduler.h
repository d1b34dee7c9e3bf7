/* The one owner of a decoder's inference: a thread that evaluates the jobs of one model together
 * (continuous batching), prefill in chunks between decode steps.
 *
 * What a job generates is bit for bit what it would generate alone. Finished sessions are kept for
 * requests of the same key that begin alike. When a pass fails, its sessions are evaluated one by
 * one, and only the jobs that fail by themselves end with a problem. The thread sleeps while there
 * is nothing to do. */
#ifndef PITH_SERVER_SCHEDULER_H
#define PITH_SERVER_SCHEDULER_H

#include "server/job.h"
#include "server/turn.h"

typedef struct pith_scheduler pith_scheduler;
struct pith_metrics;

typedef struct pith_scheduler_options {
    size_t n_context;     /* positions of a timeline; 0: the model's. Fewer when kv_bytes has no
                             room for so many */
    size_t n_parallel;    /* choices in progress at once; 0: 8 */
    size_t n_queue;       /* jobs waiting; 0: 64 */
    size_t prefill_chunk; /* most prompt tokens of all jobs in one pass; 0: 256. Less on machines
                             where a pass would take longer than a quarter of a second */
    size_t kv_bytes;      /* of all timelines together, idle ones included; 0: no limit. A choice
                             waits until what it may come to need is free */
    pith_kv_type kv_type;
    pith_turn *turn;              /* shared by all models of the process */
    struct pith_metrics *metrics; /* may be NULL */
    const char *model;            /* label of metrics; copied */
} pith_scheduler_options;

bool pith_scheduler_new(pith_scheduler **out, const pith_model *model,
                        const pith_scheduler_options *options, pith_problem *problem);

/* Has remaining jobs, and those submitted later, end with 503. */
void pith_scheduler_stop(pith_scheduler *scheduler);
/* Stops, and joins the thread. Nothing may be submitted any more; jobs stay usable. */
void pith_scheduler_free(pith_scheduler *scheduler);

/* Queues a job, once; from any thread. Problems: 400 context_length_exceeded (a prompt that leaves
 * no room for one token), 503 with retry_after ("queue_full", or out of memory). What is wrong with
 * its params comes later, as the job's last piece. */
bool pith_scheduler_submit(pith_scheduler *scheduler, pith_job *job, pith_problem *problem);

/* Problem: 503 "queue_full" with retry_after. A free place may be taken before the job is
 * submitted; but when there is none, the request can be refused before any work. */
bool pith_scheduler_check_room(pith_scheduler *scheduler, pith_problem *problem);

/* Problem: 400 context_length_exceeded, for a prompt that leaves no room for one token. So a prompt
 * that pith_scheduler_submit would refuse for its length is known before anything is counted. */
bool pith_scheduler_check_prompt(const pith_scheduler *scheduler, size_t n_tokens,
                                 pith_problem *problem);

/* Positions of a timeline: a prompt and its answer together have at most this many tokens. */
size_t pith_scheduler_context(const pith_scheduler *scheduler);

/* As of the end of the last pass. */
typedef struct pith_scheduler_state {
    size_t running, waiting; /* choices in progress; jobs with choices that wait for a place */
    size_t kv_bytes;         /* of all timelines */
    size_t idle_sessions;    /* kept for their prefixes */
} pith_scheduler_state;
void pith_scheduler_get_state(pith_scheduler *scheduler, pith_scheduler_state *out);

#endif
