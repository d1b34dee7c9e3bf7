/* The service's log on standard error: one JSON object a line, and never a prompt, an answer or a
 * key. Any thread. When the reader falls behind, lines are lost, and the next line that is written
 * has their number; nothing waits for it longer than half a second. */
#ifndef PITH_SERVER_LOG_H
#define PITH_SERVER_LOG_H

#include "base/status.h"

typedef enum pith_log_wanted {
    PITH_LOG_WANTED_ERROR,
    PITH_LOG_WANTED_WARNING,
    PITH_LOG_WANTED_INFO, /* the default: starts, models, one line a request */
    PITH_LOG_WANTED_DEBUG,
} pith_log_wanted;

typedef struct pith_server_log pith_server_log;

pith_status pith_server_log_new(pith_server_log **out, int fd, pith_log_wanted wanted,
                                pith_error *error);
void pith_server_log_free(pith_server_log *log);

/* {"time": "...", "level": "info", "message": "..."} */
void pith_server_log_write(pith_server_log *log, pith_log_wanted level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One request that is over. */
typedef struct pith_access {
    const char *method, *path; /* the route, without its query */
    const char *id;            /* x-request-id */
    const char *client;        /* address */
    const char *key;           /* name of the key, or NULL */
    const char *model;         /* or NULL */
    int status;                /* 499: the client went away */
    size_t bytes;              /* of the answer's body */
    size_t prompt_tokens, generated_tokens;
    double seconds, queue_seconds, first_token_seconds;
} pith_access;
void pith_server_log_access(pith_server_log *log, const pith_access *access);

#endif
