/* A generation that a client asked for: from the parsed request to the settled one, as a document
 * (generation.c) or as a stream (generation_stream.c). */
#ifndef PITH_SERVER_GENERATION_H
#define PITH_SERVER_GENERATION_H

#include "server/answer.h"
#include "server/service.h"
#include "server/strict_guard.h"

enum { PITH_REQUEST_MAX_ENDS = 65 }; /* one more than a request may name */

/* The result of one choice. */
typedef struct pith_choice {
    pith_bytes text;
    pith_reply *reply; /* of CHAT, which takes apart what the model writes */
    pith_bytes reasoning;
    pith_answer_call *calls; /* [n_calls]; name and arguments are allocated together */
    size_t n_calls;
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
    pith_opening opening; /* of a chat */
    pith_guards *guards;  /* of tools that are strict, until the job has them; or NULL */
    int32_t ends[PITH_REQUEST_MAX_ENDS]; /* of a chat: stop_token_ids and the end of an answer */
    int32_t **prompts;                   /* [request.n_prompts, at least 1][n_tokens[i]] */
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
/* Updates the call's counts and ends its reservation. */
void pith_generation_settle(pith_generation_call *g, bool failed);
pith_answer_usage pith_generation_usage_of(const pith_generation_call *g);

/* CHAT: makes the parsers of the replies, once the prompts are known (generation_chat.c). */
bool pith_generation_chat(pith_generation_call *g, pith_problem *problem);
void pith_choice_free_chat(pith_choice *choice);

/* CHAT: adds the piece's text to the reply of its choice, and ends it with the last piece; `take`
 * is called with each part of it. Problems: 503, and those of `take`. */
typedef bool (*pith_part_fn)(void *user, size_t choice, const pith_reply_part *part,
                             pith_problem *problem);
bool pith_choice_reply(pith_generation_call *g, const pith_job_piece *piece, pith_part_fn take,
                       void *user, pith_problem *problem);

/* Answers with a stream, which owns `g` from then on. */
void pith_generation_stream(pith_generation_call *g);

#endif
