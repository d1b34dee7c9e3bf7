/* The one owner of an encoder's inference: requests that wait are embedded together, keys taking
 * turns text by text. A text's vector does not depend on the other texts. */
#ifndef PITH_SERVER_EMBEDDER_H
#define PITH_SERVER_EMBEDDER_H

#include "pith.h"
#include "server/problem.h"
#include "server/turn.h"

typedef struct pith_embedder pith_embedder;
struct pith_metrics;

typedef struct pith_embedder_options {
    size_t n_queue; /* texts waiting; 0: 4096 */
    size_t n_batch; /* texts of one turn; 0: 32 */
    pith_turn *turn;
    struct pith_metrics *metrics; /* may be NULL */
    const char *model;            /* label of metrics; copied */
} pith_embedder_options;

bool pith_embedder_new(pith_embedder **out, const pith_model *model,
                       const pith_embedder_options *options, pith_problem *problem);

/* Has waiting jobs, and those submitted later, end with 503. */
void pith_embedder_stop(pith_embedder *embedder);
/* Stops, and joins the thread. Jobs stay usable and are still to be freed. */
void pith_embedder_free(pith_embedder *embedder);

typedef struct pith_embed_job pith_embed_job;

/* Queues texts, from any thread, each behind `prompt` (NULL: the model's default, "": none). Texts
 * and prompt stay the caller's and must not change until pith_embed_job_wait or _free has returned;
 * vectors [n_inputs, n_embd] and results [n_inputs] are
 * written meanwhile. A text over the model's limit is cut, and its result says so.
 * Problems: 400 (no texts, invalid UTF-8; named by its index), 503 with retry_after ("queue_full",
 * or out of memory). */
bool pith_embedder_submit(pith_embedder *embedder, const pith_embed_input *inputs, size_t n_inputs,
                          const char *prompt, float *vectors, pith_embed_result *results,
                          int64_t key, pith_embed_job **out, pith_problem *problem);
int pith_embed_job_fd(const pith_embed_job *job); /* readable when it is over */
/* True when all texts are embedded; else false with the problem. Blocks until it is over. */
bool pith_embed_job_wait(pith_embed_job *job, pith_problem *problem);
/* Ends the job at any time and frees it; waits at most for the batch under way. */
void pith_embed_job_free(pith_embed_job *job);

typedef struct pith_embedder_state {
    size_t running, waiting; /* texts of the batch under way; texts queued */
} pith_embedder_state;
void pith_embedder_get_state(pith_embedder *embedder, pith_embedder_state *out);

#endif
