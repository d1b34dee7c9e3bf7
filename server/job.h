/* A generation on its way between the thread of its connection, which waits, and the scheduler of
 * its model, which works.
 *
 *     pith_job_new(&job, &spec, &problem);
 *     pith_scheduler_submit(scheduler, job, &problem);
 *     ...poll pith_job_fd(job) and the client's socket; then
 *     while (pith_job_take(job, &piece)) ...write piece...
 *     pith_job_cancel(job);                 -- when the client is gone
 *     pith_job_release(job);
 */
#ifndef PITH_SERVER_JOB_H
#define PITH_SERVER_JOB_H

#include "pith.h"
#include "server/problem.h"

typedef struct pith_job pith_job;

/* A mask for each choice, in place of params.mask. The job owns `owner` from pith_job_new on, which
 * has not failed. */
typedef struct pith_job_guards {
    void *owner;                               /* NULL: there are none */
    void *(*of)(void *owner, size_t choice);   /* mask_user of a choice */
    void (*mask)(void *user, float *logits);   /* by the scheduler's thread, one at a time */
    void (*accept)(void *user, int32_t token); /* the same */
    void (*release)(void *owner);
} pith_job_guards;

/* What is to be generated. pith_job_new copies everything. */
typedef struct pith_job_spec {
    const int32_t *const *prompts; /* [n_prompts][n_tokens[i]] */
    const size_t *n_tokens;        /* [n_prompts] */
    size_t n_prompts;
    size_t n_choices; /* of each prompt; the j-th choice of prompt i has the index
                         i x n_choices + j and the seed params.sampling.seed + its index */
    /* The grammar is retained. Hooks are called by the scheduler's thread, of all choices in turn,
     * until the job is finished or the scheduler freed. */
    pith_generate_params params;
    pith_job_guards guards;
    int64_t key;     /* requests of different keys take turns and share no cache; 0: no key */
    double deadline; /* CLOCK_MONOTONIC seconds; the job fails with 504 then; 0: none */
} pith_job_spec;

/* Problems: 400 (nothing to generate, a prompt without tokens), 503 (memory, descriptors). */
bool pith_job_new(pith_job **out, const pith_job_spec *spec, pith_problem *problem);

/* The connection's reference and the scheduler's are released separately; the last one frees. */
void pith_job_release(pith_job *job);

/* Any thread: the scheduler stops working on the job after the pass that is under way; it then
 * fails with 499. */
void pith_job_cancel(pith_job *job);

/* Readable while there are pieces to take (an eventfd; poll it, do not read it). While more than a
 * megabyte of pieces waits to be taken, the job is left out of the passes. */
int pith_job_fd(const pith_job *job);

typedef struct pith_job_piece {
    size_t choice;
    pith_text text; /* may be empty */
    bool has_token; /* a token that counts as generated: no end token has a piece of its own.
                       Without params.logprobs, tokens whose text is held back have none either */
    int32_t token;
    float logprob; /* with params.logprobs */
    const pith_scored_token *top;
    size_t n_top;
    bool done; /* of this choice: `finish` says how */
    pith_finish finish;
    bool failed; /* of the job as a whole, its last piece: `problem` says why */
    pith_problem problem;
} pith_job_piece;

/* The next piece, borrowed until the next call; false when there is none at the moment. */
bool pith_job_take(pith_job *job, pith_job_piece *out);

/* True when every choice is done, or the job failed, and all pieces have been taken. */
bool pith_job_finished(const pith_job *job);

/* Exact at any time, for settlement and metrics, also of a job that was cancelled. */
typedef struct pith_job_usage {
    size_t prompt_tokens; /* evaluated so far or cached: of each prompt once, whatever n_choices */
    size_t cached_tokens; /* of these, those that an earlier request had evaluated */
    size_t generated_tokens;    /* of all choices; end tokens are none */
    double queue_seconds;       /* from submission until its first pass began */
    double first_token_seconds; /* from submission; 0: none came */
    double total_seconds;       /* from submission until it was done, or until now */
} pith_job_usage;
void pith_job_get_usage(const pith_job *job, pith_job_usage *out);

#endif
