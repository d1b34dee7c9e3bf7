/* The inside of a scheduler: its queue, which every thread reaches under the lock, and its choices
 * and idle sessions, which belong to its own thread. */
#ifndef PITH_SERVER_SCHEDULER_INSIDE_H
#define PITH_SERVER_SCHEDULER_INSIDE_H

#include <pthread.h>

#include "server/job_inside.h"
#include "server/scheduler.h"

enum {
    PITH_SCHEDULER_PARALLEL = 8,
    PITH_SCHEDULER_QUEUE = 64,
    PITH_SCHEDULER_CHUNK = 256,
    PITH_SCHEDULER_FIRST_CHUNK = 32, /* prompt tokens of a pass before its speed is known */
    PITH_SCHEDULER_LEAST_CHUNK = 16,
    PITH_SCHEDULER_DRAFT = 17, /* tokens of a decode step at most: the chosen one and 16 drafted */
};

/* Seconds that a pass may take while prompts are evaluated: streams that decode, new requests and
 * clients that leave wait that long. Longer passes would not be faster per token: 64 tokens already
 * keep the cores busy where one keeps the memory busy. */
#define PITH_SCHEDULER_PASS_SECONDS 0.25

/* One answer in progress. */
typedef struct pith_choice {
    pith_job *job; /* NULL: the slot is free */
    size_t index;  /* of the choice in the job */
    size_t prompt; /* the prompt it answers */
    uint64_t age;  /* rises with each admission */
    pith_session *session;
    pith_generation *generation;
    size_t n_left;         /* prompt tokens not evaluated yet; 0: it decodes */
    size_t n_generated;    /* tokens counted so far */
    size_t reserved;       /* bytes of KV cache that were budgeted */
    double last_token;     /* pith_clock() */
    const int32_t *tokens; /* [n_tokens] what the pass evaluates; none when n_tokens is 0 */
    size_t n_tokens;
} pith_choice;

/* A finished session, kept for the tokens that a later prompt shares with it. */
typedef struct pith_idle {
    pith_session *session;
    int64_t key;
    uint64_t used; /* rises; the lowest goes first */
    size_t bytes;  /* of KV cache */
} pith_idle;

/* Arguments of one pass, [n_parallel] each. */
typedef struct pith_pass {
    pith_choice **choices;
    pith_session **sessions;
    const int32_t **tokens;
    size_t *n_tokens;
    size_t n;
} pith_pass;

struct pith_scheduler {
    const pith_model *model;
    pith_scheduler_options options; /* every default made explicit */
    char *name;                     /* of the model, for metrics; options.model points to it */
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool signalled; /* something changed since the thread looked last */
    bool stopping;
    pith_fair_queue queue;
    double job_seconds; /* smoothed time from the first pass of a job to its end */
    pith_scheduler_state state;

    pith_choice *choices; /* [n_parallel] */
    pith_idle *idle;      /* [n_parallel] */
    size_t n_idle;
    size_t n_running;
    uint64_t clock;     /* of `age` and `used` */
    double row_seconds; /* smoothed time of a pass per token of a prompt; 0: not known */
    size_t reserved;    /* sum over choices */
    pith_pass pass;
    bool stepped;        /* since the pass began: there may be more to do */
    pith_choice **order; /* [n_parallel] room for sorting */
};

/* ---- scheduler_sessions.c: timelines and their budget ---------------------------------------- */

/* Bytes of KV cache that the choice of a prompt of n_prompt tokens may come to hold. */
size_t pith_scheduler_need(const pith_scheduler *s, const pith_job *job, size_t prompt);

/* True when the running choices leave room for `bytes`, not counting idle sessions. */
bool pith_scheduler_has_room(const pith_scheduler *s, size_t bytes);

/* Gets a session whose timeline is the longest known beginning of the choice's prompt, and its
 * generation; sets session, generation, n_left and reserved. Errors: as pith_session_new and
 * pith_generation_new; the choice then has neither. */
pith_status pith_scheduler_open(pith_scheduler *s, pith_choice *choice, pith_error *error);

/* Ends a choice: its session is kept as an idle one unless `keep` is false or it has no tokens. */
void pith_scheduler_close(pith_scheduler *s, pith_choice *choice, bool keep);

void pith_scheduler_drop_idle(pith_scheduler *s);

/* ---- scheduler_pass.c: one pass over all choices --------------------------------------------- */

/* Evaluates what can be evaluated and takes one step of every choice in it. Returns false when
 * there was nothing to do. */
bool pith_scheduler_pass(pith_scheduler *s);

/* ---- scheduler.c ----------------------------------------------------------------------------- */

/* A choice is over: frees its slot, and lets go of the job with its last one. */
void pith_scheduler_end_choice(pith_scheduler *s, pith_choice *choice, bool keep);

#endif
