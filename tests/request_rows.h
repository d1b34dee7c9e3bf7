/* Tests of requests by rows: a body, and the whole request or the problem that it is. */
#ifndef PITH_TESTS_REQUEST_ROWS_H
#define PITH_TESTS_REQUEST_ROWS_H

#include "server/request.h"

/* A request as compact JSON, malloc'ed; members that are as always are left out. */
char *test_request_describe(const pith_request *request);

typedef struct test_outcome {
    bool ok;
    char *text; /* of the request, or the message; free(text) */
    pith_problem problem;
} test_outcome;

/* Parses a copy of a body [n], in a block of its very size so that reading beyond it is seen. */
test_outcome test_parse_bytes(pith_endpoint endpoint, const char *body, size_t n);

typedef struct test_accepted {
    pith_endpoint endpoint;
    const char *body, *request;
} test_accepted;

typedef struct test_refused {
    pith_endpoint endpoint;
    const char *body, *param, *message;
} test_refused;

/* Parse all rows [n] and compare; a refusal must be a 400 without a code. */
void test_check_accepted(const test_accepted *rows, size_t n);
void test_check_refused(const test_refused *rows, size_t n);

#define ACCEPTED(rows) test_check_accepted(rows, sizeof rows / sizeof *rows)
#define REFUSED(rows) test_check_refused(rows, sizeof rows / sizeof *rows)

#define INFER PITH_ENDPOINT_INFER
#define EMBED PITH_ENDPOINT_EMBED
#define CHAT PITH_ENDPOINT_CHAT
#define COMPLETION PITH_ENDPOINT_COMPLETION
#define EMBEDDING PITH_ENDPOINT_EMBEDDING
#define INFILL PITH_ENDPOINT_INFILL
#define TOKENIZE PITH_ENDPOINT_TOKENIZE
#define DETOKENIZE PITH_ENDPOINT_DETOKENIZE
#define RERANK PITH_ENDPOINT_RERANK

/* Bodies and requests as text, for rows that are about something else. */
#define HI "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]"
#define CHAT_OF(more) "{" HI "," more "}"
#define HI_REQUEST "{\"messages\":[\"user\",\"Hi\"],\"temperature\":1,\"top_p\":1"
#define TO "{\"prompt\":\"To\","
#define TO_REQUEST "{\"prompts\":[\"To\"],\"temperature\":1,\"top_p\":1"
#define MESSAGES(list) "{\"messages\":[" list "]}"
#define MESSAGES_REQUEST(list) "{\"messages\":[" list "],\"temperature\":1,\"top_p\":1}"

#endif
