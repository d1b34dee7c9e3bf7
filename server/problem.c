/* Problems: filling them in, and their form on the wire. */
#include "server/problem.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MEMORY_RETRY = 1 }; /* seconds: other requests give memory back when they end */

/* Replaces the bytes of broken characters: a message may quote the first 40 bytes of a text, and
 * the cut may go through a character. */
static void replace_broken(char *text) {
    size_t n = strlen(text);
    for (size_t at = pith_utf8_check(text, n); at < n;) {
        text[at++] = '?';
        at += pith_utf8_check(text + at, n - at);
    }
}

bool pith_problem_set(pith_problem *problem, int http, const char *code, const char *param,
                      const char *format, ...) {
    char message[1000]; /* longer than what pith_fail keeps, so that pith_fail makes the cut */
    pith_error error;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)pith_fail(&error, PITH_ERROR_ARGUMENT, "%s", length >= 0 ? message : "");
    pith_problem filled = {.http = http, .code = code};
    snprintf(filled.param, sizeof filled.param, "%s", param != NULL ? param : "");
    memcpy(filled.message, error.message, sizeof filled.message);
    replace_broken(filled.param);
    replace_broken(filled.message);
    *problem = filled;
    return false;
}

bool pith_problem_is(const pith_problem *problem, const char *code) {
    return problem->code != NULL && strcmp(problem->code, code) == 0;
}

bool pith_problem_stopping(pith_problem *problem) {
    return pith_problem_set(problem, 503, "shutting_down", NULL, "the server is shutting down");
}

bool pith_problem_from(pith_problem *problem, const pith_error *error) {
    switch (error->status) {
    case PITH_ERROR_ARGUMENT:
    case PITH_ERROR_TEXT:
    case PITH_ERROR_TOKEN:
        return pith_problem_set(problem, 400, NULL, NULL, "%s", error->message);
    case PITH_ERROR_CONTEXT:
        return pith_problem_set(problem, 400, "context_length_exceeded", NULL, "%s",
                                error->message);
    case PITH_ERROR_MEMORY:
        pith_problem_set(problem, 503, NULL, NULL, "there is not enough memory for this request");
        problem->retry_after = MEMORY_RETRY;
        return false;
    case PITH_ERROR_NUMERIC:
        return pith_problem_set(problem, 500, NULL, NULL,
                                "the model computed numbers that are not finite");
    default:
        /* Messages of these name files. */
        return pith_problem_set(problem, 500, NULL, NULL,
                                "the request failed inside the service (%s)",
                                pith_status_name(error->status));
    }
}

const char *pith_problem_type(const pith_problem *problem) {
    switch (problem->http) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 429:
        return "rate_limit_error";
    default:
        return problem->http >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void put_text_or_null(pith_json_writer *json, const char *key, const char *text) {
    if (text != NULL && text[0] != '\0') {
        pith_json_put_text(json, key, text);
    } else {
        pith_json_put_null(json, key);
    }
}

void pith_problem_write(const pith_problem *problem, pith_json_writer *json) {
    pith_json_open(json, NULL, '{');
    pith_json_open(json, "error", '{');
    pith_json_put_text(json, "message", problem->message);
    pith_json_put_text(json, "type", pith_problem_type(problem));
    put_text_or_null(json, "param", problem->param);
    put_text_or_null(json, "code", problem->code);
    pith_json_close(json, '}');
    pith_json_close(json, '}');
}

void pith_problem_write_short(const pith_problem *problem, pith_json_writer *json) {
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "error", problem->message);
    pith_json_close(json, '}');
}
