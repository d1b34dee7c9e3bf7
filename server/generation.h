/* A generation that a client asked for: from the parsed request to the settled one, as a document
 * (generation.c) or as a stream (generation_stream.c). */
#ifndef PITH_SERVER_GENERATION_H
#define PITH_SERVER_GENERATION_H

#include "server/answer.h"
#include "server/service.h"

/* What came of one choice. */
typedef struct pith_choice {
    pith_bytes text;
    pith_finish finish;
    pith_answer_token *tokens; /* [n_tokens] with logprobs; their `top` are allocated singly */
    size_t n_tokens, capacity;
} pith_choice;

typedef struct pith_generation_call {
    pith_call *call;
    pith_request request;
    bool parsed;
    pith_lease lease;
    bool leased;
    int32_t **prompts; /* [request.n_prompts, at least 1][n_tokens[i]] */
    size_t *n_tokens;
    size_t n_prompts;
    pith_job *job;
    char id[PITH_ANSWER_ID];
    pith_answer_head head;
    size_t *offsets;      /* [n_choices] head.offsets */
    pith_choice *choices; /* [n_choices]; of a stream unused but for their number */
    size_t n_choices;     /* of all prompts together */

    /* Streams. */
    bool opened, closed;
    double next_ping; /* by pith_clock() */
} pith_generation_call;

/* Cancels what still runs, settles, and frees. */
void pith_generation_call_free(pith_generation_call *g);
/* Brings the call's counts up to date and ends its reservation. */
void pith_generation_settle(pith_generation_call *g, bool failed);
pith_answer_usage pith_generation_usage_of(const pith_generation_call *g);

/* Answers with a stream, which owns `g` from then on. */
void pith_generation_stream(pith_generation_call *g);

#endif
