/* What a chat with tools needs to know of its model: how it writes calls, which its chat template
 * shows. */
#ifndef PITH_SERVER_CALLING_H
#define PITH_SERVER_CALLING_H

#include <pthread.h>

#include "base/bytes.h"
#include "server/reply.h"
#include "server/request.h"

enum { PITH_CALLING_SHOWN = 12 };

/* How one model calls tools. Used by any number of threads; immutable except for `texts`. */
typedef struct pith_calling {
    pith_call_form form;               /* NONE: another than those known, or none */
    bool channels;                     /* it writes messages in channels: gpt-oss */
    bool named;                        /* MISTRAL: name[ARGS]{...} in place of a list */
    char *sample;                      /* how the template writes a call; NULL: not at all */
    int32_t shown[PITH_CALLING_SHOWN]; /* [n_shown] marks that are special tokens: first those of
                                          reasoning [n_thought], then those of calls */
    size_t n_thought, n_shown;
    int32_t end; /* the token behind an answer; -1: none */
    pthread_mutex_t lock;
    struct pith_token_texts *texts; /* under the lock; NULL: nobody has needed them */
    pith_error trouble;             /* why `end` is not known: chats are refused with it; else OK */
} pith_calling;

/* Asks the model's chat template, which takes milliseconds. Problems: 503. */
bool pith_calling_new(pith_calling **out, const pith_model *model, pith_problem *problem);
/* Accepts NULL. */
void pith_calling_free(pith_calling *calling);

/* The texts of the model's tokens (token_texts.h), found on the first call. Problems: 503, 500. */
bool pith_calling_texts(pith_calling *calling, const pith_model *model,
                        const struct pith_token_texts **out, pith_problem *problem);

/* True when the model can answer the chat. `model_name` is for messages. Problems: 400 (the
 * template knows no tools, or writes calls in another form, which is quoted). */
bool pith_calling_check(const pith_calling *calling, const char *model_name,
                        const pith_request *request, pith_problem *problem);

/* How the reply to one prompt begins. */
typedef struct pith_opening {
    bool reasons;    /* the prompt ends with <think> */
    pith_bytes text; /* of a call that is demanded: the end of the prompt, and the beginning of the
                        reply */
} pith_opening;

/* Looks at the end of the prompt [n_tokens] for <think>, and appends the opening to it; *tokens is
 * malloc'ed. The text of `opening` is empty, and the caller's to release. Problems: 400, 503. */
bool pith_calling_open(const pith_calling *calling, const pith_model *model,
                       const pith_request *request, pith_opening *opening, int32_t **tokens,
                       size_t *n_tokens, pith_problem *problem);

/* The text that ends a demanded call after the grammar has ended its object. */
const char *pith_calling_closing(const pith_calling *calling);

/* The form that a template's rendering [n] of a call of "probe_tool" shows; NONE: another. *named
 * as in pith_calling. *call is where the call is written, or empty: for messages. */
pith_call_form pith_calling_recognise(const char *text, size_t n, bool *named, pith_text *call);

#endif
