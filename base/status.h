/* Filling a pith_error, in one call that also returns the status:
 *     return pith_fail(error, PITH_ERROR_FORMAT, "%s: header length %zu exceeds the file", ...); */
#ifndef PITH_BASE_STATUS_H
#define PITH_BASE_STATUS_H

#include "pith.h"

/* Writes status and message (truncated to fit, control characters replaced by '?') unless `error`
 * is NULL; returns `status`. */
pith_status pith_fail(pith_error *error, pith_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " in front of the message already in `error`; returns error's status, or `status`
 * when error is NULL. */
pith_status pith_fail_in(pith_error *error, pith_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A log callback with its user pointer; a zeroed one is silent. */
typedef struct pith_log {
    pith_log_fn fn;
    void *user;
} pith_log;

void pith_log_write(const pith_log *log, pith_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
