/* What the files that parse replies share. */
#ifndef PITH_SERVER_REPLY_PARTS_H
#define PITH_SERVER_REPLY_PARTS_H

#include "base/bytes.h"
#include "base/json.h"
#include "server/reply.h"

#include <string.h>

/* Around the reasoning in front of an answer. */
#define PITH_THINK_MARK "<think>"
#define PITH_THINK_END "</think>"

/* Marks of calls, by the form that has them. */
#define PITH_HERMES_MARK "<tool_call>"
#define PITH_HERMES_END "</tool_call>"
#define PITH_MISTRAL_MARK "[TOOL_CALLS]"
#define PITH_MISTRAL_ID "[CALL_ID]" /* between the name and the arguments, if at all */
#define PITH_MISTRAL_ARGUMENTS "[ARGS]"
#define PITH_LLAMA3_MARK "<|python_tag|>"

/* Where the answer stands. */
typedef enum pith_reply_state {
    PITH_REPLY_AT_START,   /* white space at most so far */
    PITH_REPLY_IN_THOUGHT, /* behind <think> */
    PITH_REPLY_AT_TEXT,    /* text begins: of LLAMA3 an object may be a call */
    PITH_REPLY_IN_TEXT,
    PITH_REPLY_IN_CALL, /* behind a mark */
    PITH_REPLY_GIVING,  /* calls of a document that was read */
    /* With pieces. */
    PITH_REPLY_IN_ARGUMENTS,
    PITH_REPLY_BEHIND_ARGUMENTS, /* in the object that holds them */
    PITH_REPLY_BEHIND_CALL,      /* in front of what ends or separates calls */
    PITH_REPLY_IN_LIST,          /* in front of a further call of a list */
} pith_reply_state;

/* A walk over the bytes of one JSON value that may not be whole yet. */
typedef struct pith_json_scan {
    size_t n; /* bytes looked at */
    size_t depth;
    bool in_string, escaped;
} pith_json_scan;

struct pith_reply {
    const pith_allocator *allocator;
    pith_reply_settings settings;
    pith_reply_state state;
    bool finished, failed;
    bool skip_space;    /* white space is dropped until something else comes */
    pith_bytes pending; /* of the model, [at, size) not taken yet */
    size_t at;
    size_t n_calls;

    /* Of IN_CALL. */
    size_t n_mark; /* bytes of the mark in front, and of white space before it; 0: LLAMA3's object
                      without one */
    pith_json_scan scan; /* of the value that begins at `value` */
    size_t value;        /* from `at` */
    bool scanning;
    bool list; /* of pieces: the call is one of a list */
    bool bare; /* of pieces: the arguments lie in no object */

    /* Of GIVING. */
    char *document;
    pith_json_walk walk; /* of a list; of a lone object `lone` is it */
    pith_json lone;
    pith_text name;     /* of the form name[ARGS]{...}; in `pending` */
    pith_bytes scratch; /* name and arguments of the call that was given last */
};

/* Text that is not taken yet. */
static inline pith_text pith_reply_rest(const pith_reply *r) {
    const char *data = r->pending.data != NULL ? r->pending.data : "";
    return (pith_text){data + r->at, r->pending.size - r->at};
}

static inline bool pith_reply_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Behind the white space at `at` of text [n]. */
static inline size_t pith_reply_skip_space(const char *text, size_t n, size_t at) {
    while (at < n && pith_reply_is_space(text[at])) {
        at++;
    }
    return at;
}

/* Behind the white space and ';' at the beginning of a text, which stand between LLAMA3's calls. */
static inline size_t pith_reply_skip_separators(pith_text text) {
    size_t at = 0;
    while (at < text.n_bytes && (pith_reply_is_space(text.data[at]) || text.data[at] == ';')) {
        at++;
    }
    return at;
}

/* Length of text [n] but for the white space at its end. */
static inline size_t pith_reply_without_space(const char *text, size_t n) {
    while (n > 0 && pith_reply_is_space(text[n - 1])) {
        n--;
    }
    return n;
}

/* True when the text at `at` is the mark, or may become it; *whole says which. */
static inline bool pith_reply_at_mark(pith_text text, size_t at, const char *mark, bool *whole) {
    size_t n = strlen(mark);
    size_t left = text.n_bytes - at < n ? text.n_bytes - at : n;
    *whole = left == n;
    return memcmp(text.data + at, mark, left) == 0;
}

/* Bytes at the end of text [n] that may be the beginning of the mark. */
static inline size_t pith_reply_part_of_mark(const char *text, size_t n, const char *mark) {
    size_t m = strlen(mark) - 1;
    for (m = m < n ? m : n; m > 0; m--) {
        if (memcmp(text + n - m, mark, m) == 0) {
            break;
        }
    }
    return m;
}

typedef enum pith_call_verdict {
    PITH_CALL_UNSURE, /* more text decides */
    PITH_CALL_READ,   /* the state is GIVING, the text of the calls is taken */
    PITH_CALL_NONE,   /* it is no call, and nothing was taken */
} pith_call_verdict;

/* The mark in front of a call; NULL: the form has none. */
const char *pith_call_mark(pith_call_form form);

/* True when a call can have the name in front of its arguments, "name[ARGS]{...}". */
bool pith_reply_is_name(pith_text name);

/* Reads the calls that begin where the rest does, behind its mark of n_mark bytes. */
pith_call_verdict pith_calls_read(pith_reply *r);

/* Walks on over text [n] of an object or array. UNSURE: it has not ended; READ: it ends behind
 * scan->n bytes. Whether it is JSON is for the reader to say. */
pith_call_verdict pith_reply_scan(pith_json_scan *scan, const char *text, size_t n);

/* name[ARGS]{...} or name[CALL_ID]id[ARGS]{...}, the name at `name`: finds the object's place. */
pith_call_verdict pith_calls_find_arguments(const pith_reply *r, pith_text text, size_t name,
                                            size_t *n_name, size_t *from);
/* Reads the object that begins the rest, as a call of a list; NONE: it is none, nothing is taken.
 */
pith_call_verdict pith_calls_read_one(pith_reply *r);
bool pith_reply_is_tool(const pith_reply *r, pith_text name);

/* ---- reply_pieces.c -------------------------------------------------------------------------- */

/* READ: the call begins, *out is its name, and its arguments are next. NONE: if it is a call, it
 * must be given as a whole. */
pith_call_verdict pith_pieces_open(pith_reply *r, pith_reply_part *out);
/* The states of pieces: true with a part, else false, with *more when the state changed. Those
 * without a part return what *more would be. */
bool pith_pieces_give(pith_reply *r, bool *more, pith_reply_part *out);
bool pith_pieces_end_object(pith_reply *r);
bool pith_pieces_end_call(pith_reply *r);
bool pith_pieces_next(pith_reply *r, bool *more, pith_reply_part *out);

/* The next call of what was read; false when there is none, and the text goes on. */
bool pith_calls_next(pith_reply *r, pith_reply_part *out);

#endif
