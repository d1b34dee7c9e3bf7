/* What a chat with tools needs to know of its model: how it writes calls, which its chat template
 * shows. */
#ifndef PITH_SERVER_CALLING_H
#define PITH_SERVER_CALLING_H

#include "base/bytes.h"
#include "server/reply.h"
#include "server/request.h"

enum { PITH_CALLING_SHOWN = 8 };

typedef struct pith_calling {
    pith_call_form form;
    bool named;                        /* MISTRAL: name[ARGS]{...} in place of a list */
    bool reasons;                      /* the prompt ends with <think> */
    int32_t shown[PITH_CALLING_SHOWN]; /* [n_shown] marks that are special tokens */
    size_t n_shown;
    int32_t end;        /* the token behind an answer; -1: none */
    pith_bytes opening; /* how a call that is asked for begins: the prompt's end, and the beginning
                           of the reply */
} pith_calling;

/* Finds out for a request of CHAT. Its opening is not in the prompt yet. `model_name` is for
 * messages. Problems: 400 (the template knows no tools, or writes calls in another form, which is
 * quoted), 503. Release `out` in any case. */
bool pith_calling_find(pith_calling *out, const pith_model *model, const char *model_name,
                       const pith_request *request, pith_problem *problem);
void pith_calling_release(pith_calling *calling);

/* Looks at the end of the prompt [n_tokens] for <think>, and appends the opening to it; *tokens is
 * malloc'ed. Problems: 400, 503. */
bool pith_calling_open(pith_calling *calling, const pith_model *model, const pith_request *request,
                       int32_t **tokens, size_t *n_tokens, pith_problem *problem);

/* The form that a template's rendering [n] of a call of "probe_tool" shows; NONE: another. *named
 * as in pith_calling. *call is where the call is written, or empty: for messages. */
pith_call_form pith_calling_recognise(const char *text, size_t n, bool *named, pith_text *call);

#endif
