/* The log: a line is made in memory and written by one call, so that lines of several threads do
 * not mix. Requests do not wait for the reader of the log: when a pipe stays full, or a terminal is
 * stopped, lines are dropped and counted until it accepts some again. */
#include "server/log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json_write.h"

enum { PATIENCE = 500 }; /* milliseconds that a line waits for the reader of the one before */

struct pith_server_log {
    int fd;
    pith_log_wanted wanted;
    pthread_mutex_t lock; /* guards what follows */
    bool stuck;           /* the reader was not ready for the last line */
    size_t n_dropped;     /* since the last line that was written */
};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

pith_status pith_server_log_new(pith_server_log **out, int fd, pith_log_wanted wanted,
                                pith_error *error) {
    pith_server_log *log = calloc(1, sizeof *log);
    if (log == NULL || pthread_mutex_init(&log->lock, NULL) != 0) {
        free(log);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the log");
    }
    log->fd = fd;
    log->wanted = wanted;
    *out = log;
    return PITH_OK;
}

void pith_server_log_free(pith_server_log *log) {
    if (log != NULL) {
        pthread_mutex_destroy(&log->lock);
        free(log);
    }
}

/* {"time": "2026-01-31T12:00:00.250Z", "level": "info" */
static void begin_line(pith_json_writer *json, pith_log_wanted level) {
    char seconds[32];
    char text[48];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(text, sizeof text, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
    pith_json_write_begin(json, NULL);
    json->style = PITH_JSON_SPACED;
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "time", text);
    pith_json_put_text(json, "level", level_names[level]);
}

/* True when the next write will not block: a pipe that is ready has room for PIPE_BUF (4,096)
 * bytes, which is more than a line has. Called with the lock. */
static bool is_read(pith_server_log *log) {
    struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
    int n = poll(&poll_fd, 1, log->stuck ? 0 : PATIENCE);
    log->stuck = n == 0;
    return n != 0;
}

static void write_bytes(const pith_server_log *log, const pith_bytes *bytes) {
    for (size_t done = 0; done < bytes->size;) {
        ssize_t n = write(log->fd, bytes->data + done, bytes->size - done);
        if (n < 0 && errno != EINTR) {
            return; /* lost: there is nowhere to say so */
        }
        done += n < 0 ? 0 : (size_t)n;
    }
}

/* Ends the document; false: out of memory. */
static bool finish_line(pith_json_writer *json) {
    pith_json_close(json, '}');
    return pith_json_write_end(json, "log line", NULL) == PITH_OK &&
           pith_bytes_append(&json->bytes, "\n", 1);
}

/* Says how many lines are missing at this place. Called with the lock. */
static void write_gap(pith_server_log *log) {
    char message[80];
    pith_json_writer json;
    snprintf(message, sizeof message, "%zu lines are missing here: they could not be written",
             log->n_dropped);
    begin_line(&json, PITH_LOG_WANTED_WARNING);
    pith_json_put_text(&json, "message", message);
    if (finish_line(&json)) {
        write_bytes(log, &json.bytes);
        log->n_dropped = 0;
    }
    pith_bytes_release(&json.bytes);
}

static void end_line(pith_server_log *log, pith_json_writer *json) {
    bool whole = finish_line(json);
    pthread_mutex_lock(&log->lock);
    if (whole && log->n_dropped > 0 && is_read(log)) {
        write_gap(log);
    }
    if (whole && is_read(log)) {
        write_bytes(log, &json->bytes);
    } else {
        log->n_dropped++;
    }
    pthread_mutex_unlock(&log->lock);
    pith_bytes_release(&json->bytes);
}

void pith_server_log_write(pith_server_log *log, pith_log_wanted level, const char *format, ...) {
    if (log == NULL || level > log->wanted) {
        return;
    }
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    /* What is cut in the middle of a character, or came from a file name, need not be UTF-8. */
    for (char *c = message; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) {
            *c = '?';
        }
    }
    pith_json_writer json;
    begin_line(&json, level);
    pith_json_put_text(&json, "message", message);
    end_line(log, &json);
}

/* Microseconds are enough, and 17 digits of a measured time say nothing more. */
static void put_seconds(pith_json_writer *json, const char *key, double seconds) {
    char text[40];
    snprintf(text, sizeof text, "%.6f", seconds);
    pith_json_put_raw(json, key, text, strlen(text));
}

void pith_server_log_access(pith_server_log *log, const pith_access *access) {
    if (log == NULL || log->wanted < PITH_LOG_WANTED_INFO) {
        return;
    }
    pith_json_writer json;
    begin_line(&json, PITH_LOG_WANTED_INFO);
    pith_json_put_text(&json, "message", "request");
    pith_json_put_text(&json, "id", access->id);
    pith_json_put_text(&json, "client", access->client);
    if (access->key != NULL) {
        pith_json_put_text(&json, "key", access->key);
    }
    pith_json_put_text(&json, "method", access->method);
    pith_json_put_text(&json, "path", access->path);
    pith_json_put_integer(&json, "status", access->status);
    if (access->model != NULL) {
        pith_json_put_text(&json, "model", access->model);
    }
    pith_json_put_integer(&json, "bytes", (int64_t)access->bytes);
    if (access->model != NULL) {
        pith_json_put_integer(&json, "prompt_tokens", (int64_t)access->prompt_tokens);
        pith_json_put_integer(&json, "generated_tokens", (int64_t)access->generated_tokens);
        put_seconds(&json, "queue_seconds", access->queue_seconds);
        put_seconds(&json, "first_token_seconds", access->first_token_seconds);
    }
    put_seconds(&json, "seconds", access->seconds);
    end_line(log, &json);
}
