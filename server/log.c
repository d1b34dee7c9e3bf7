/* The log: a line is made in memory and written by one call, so that lines of several threads do
 * not mix and a reader that is slow holds up nothing but the lines themselves. */
#include "server/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json_write.h"

struct pith_server_log {
    pthread_mutex_t lock;
    int fd;
    pith_log_wanted wanted;
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

/* A line that cannot be made or written is lost: there is nowhere to say so. */
static void end_line(pith_server_log *log, pith_json_writer *json) {
    pith_json_close(json, '}');
    if (pith_json_write_end(json, "log line", NULL) == PITH_OK &&
        pith_bytes_append(&json->bytes, "\n", 1)) {
        pthread_mutex_lock(&log->lock);
        for (size_t done = 0; done < json->bytes.size;) {
            ssize_t n = write(log->fd, json->bytes.data + done, json->bytes.size - done);
            if (n < 0 && errno != EINTR) {
                break;
            }
            done += n < 0 ? 0 : (size_t)n;
        }
        pthread_mutex_unlock(&log->lock);
    }
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
