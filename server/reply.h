/* Splits what a model writes as the answer of a chat, while it comes, into parts: its reasoning,
 * its text, and the tools that it calls. No sockets here, and no model.
 *
 *     pith_reply_new(&reply, &settings, NULL);
 *     for each piece of text
 *         pith_reply_push(reply, text);
 *         while (pith_reply_next(reply, &part)) ...part...
 *     pith_reply_finish(reply);
 *     while (pith_reply_next(reply, &part)) ...part...
 *
 * However the text is cut into pieces, the parts of one kind in a row join to the same text. What
 * may become a mark is held back, and what turns out to be no call is text, so that no byte of an
 * answer is lost. With `pieces` a call has begun when its name is known: arguments that the model
 * breaks off or misspells are then passed on as they are. */
#ifndef PITH_SERVER_REPLY_H
#define PITH_SERVER_REPLY_H

#include "pith.h"

/* How a model writes calls. */
typedef enum pith_call_form {
    PITH_CALLS_NONE,    /* it calls nothing */
    PITH_CALLS_HERMES,  /* <tool_call>{"name": ..., "arguments": {...}}</tool_call>, once a call */
    PITH_CALLS_MISTRAL, /* [TOOL_CALLS] [{"name": ..., "arguments": {...}}, ...], or for each call
                           [TOOL_CALLS]name[ARGS]{...} */
    PITH_CALLS_LLAMA3,  /* {"name": ..., "parameters": {...}} as the whole answer, more of them
                           behind a ';', or behind <|python_tag|> */
} pith_call_form;

typedef struct pith_reply_settings {
    pith_call_form form;
    const char *const *tools; /* [n_tools] names; of LLAMA3 an object is a call only when it names
                                 one of them: it may be an answer */
    size_t n_tools;
    bool reasons;  /* the prompt ended with "<think>": the answer begins within it */
    bool channels; /* reasoning and text come in messages of channels (reply_channels.c); calls are
                      not looked for */
    bool pieces;   /* a call is given as it comes, where its form allows that (reply_pieces.c) */
    bool certain;  /* with pieces: an object of LLAMA3 that calls a tool is no answer */
} pith_reply_settings;

typedef enum pith_reply_kind {
    PITH_REPLY_TEXT,
    PITH_REPLY_REASONING, /* between <think> and </think>, or in the channel "analysis", without the
                             white space at its ends */
    PITH_REPLY_CALL,
    PITH_REPLY_ARGUMENTS, /* with pieces: more of the arguments of the last call */
} pith_reply_kind;

typedef struct pith_reply_part {
    pith_reply_kind kind;
    pith_text text; /* more of the text, the reasoning or the arguments; of a call its arguments, a
                       JSON object, or nothing when they come in pieces, as the model writes them */
    pith_text name; /* of the tool */
    size_t index;   /* of the call that the part is, or is of; from 0 */
} pith_reply_part;

typedef struct pith_reply pith_reply;

enum {
    PITH_REPLY_MAX_CALL =
        1 << 20, /* bytes of a call, or of a list of calls; longer ones are text */
};

/* The names of the tools are borrowed until the end. Returns false when out of memory. */
bool pith_reply_new(pith_reply **out, const pith_reply_settings *settings,
                    const pith_allocator *allocator);
void pith_reply_free(pith_reply *reply);

/* Adds text of the model. Returns false when out of memory, and so does every later call. */
bool pith_reply_push(pith_reply *reply, pith_text text);

/* The model wrote all it had to write: what is held back comes out. */
void pith_reply_finish(pith_reply *reply);

/* The next part, borrowed until the next call; false when there is none at the moment, or when out
 * of memory. */
bool pith_reply_next(pith_reply *reply, pith_reply_part *out);

/* Returns true when memory ran out: the parts so far are not the whole answer. */
bool pith_reply_failed(const pith_reply *reply);

/* Calls among the parts so far. */
size_t pith_reply_calls(const pith_reply *reply);

#endif
