/* What is wrong with a request, in the form of the OpenAI protocol: every endpoint answers
 *     {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}
 * with the HTTP status beside it. Functions that meet a problem fill it in and return false. */
#ifndef PITH_SERVER_PROBLEM_H
#define PITH_SERVER_PROBLEM_H

#include "base/json_write.h"
#include "base/status.h"

typedef struct pith_problem {
    int http;           /* status, 400 to 599 */
    const char *code;   /* "context_length_exceeded"; NULL: null. Static text */
    char param[64];     /* the field of the request, "messages[2].role"; "": null */
    char message[500];  /* one sentence for the client; never a key, a prompt or a path */
    size_t retry_after; /* seconds, the Retry-After header; 0: none */
    bool no_retry;      /* x-should-retry: false, the wait is too long, or no wait helps */
} pith_problem;

/* Fills in a problem and returns false. `param` may be NULL. */
bool pith_problem_set(pith_problem *problem, int http, const char *code, const char *param,
                      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* True when the problem has that code. */
bool pith_problem_is(const pith_problem *problem, const char *code);

/* 503 "shutting_down"; returns false. */
bool pith_problem_stopping(pith_problem *problem);

/* The problem that an error of the library is: ARGUMENT, TEXT and TOKEN are 400, CONTEXT is 400
 * "context_length_exceeded", MEMORY is 503, all others are 500 with a message that names no file.
 */
bool pith_problem_from(pith_problem *problem, const pith_error *error);

/* "invalid_request_error", "rate_limit_error", "server_error" ...: follows from the HTTP status. */
const char *pith_problem_type(const pith_problem *problem);

/* Writes {"error": {...}}. */
void pith_problem_write(const pith_problem *problem, pith_json_writer *json);
/* Writes {"error": "message"}, as ollama does. */
void pith_problem_write_short(const pith_problem *problem, pith_json_writer *json);

#endif
