/* Reading answers; see load.h. Only what a measurement needs is understood: the status, where the
 * body ends, and in a stream which events bring text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perf/load/load.h"

enum { NO_LENGTH = -1 };

void load_answer_begin(load_answer *answer, load_samples *inter) {
    answer->status = answer->head_status = 0;
    answer->is_stream = answer->chunked = answer->close = false;
    answer->complete = answer->broken = false;
    answer->left = (size_t)NO_LENGTH;
    answer->in_chunk = answer->line_cut = false;
    answer->n_line = answer->n_size = answer->n_tokens = 0;
    answer->first = answer->last = 0;
    answer->inter = inter;
}

/* ---- The body -------------------------------------------------------------------------------- */

/* True when the event's data holds a member of that name whose string is not empty. */
static bool has_text(const char *line, const char *member) {
    const char *at = strstr(line, member);
    return at != NULL && at[strlen(member)] != '"';
}

static void read_line(load_answer *answer, double now) {
    const char *line = answer->line;
    const char *usage = strstr(line, "\"completion_tokens\":");
    if (usage == NULL) {
        usage = strstr(line, "\"generatedTokenCount\":");
    }
    if (usage != NULL) {
        answer->n_tokens = strtoul(strchr(usage, ':') + 1, NULL, 10);
    }
    if (answer->is_stream && strncmp(line, "data: {", 7) == 0 &&
        (has_text(line, "\"content\":\"") || has_text(line, "\"text\":\""))) {
        if (answer->first == 0) {
            answer->first = now;
        } else {
            load_samples_add(answer->inter, now - answer->last);
        }
        answer->last = now;
    }
}

static void end_line(load_answer *answer, double now) {
    answer->line[answer->n_line] = '\0';
    read_line(answer, now);
    answer->n_line = 0;
    answer->line_cut = false;
}

static void keep(load_answer *answer, char c) {
    if (answer->n_line < sizeof answer->line - 1) {
        answer->line[answer->n_line++] = c;
    } else {
        answer->line_cut = true;
    }
}

static void read_body_byte(load_answer *answer, char c, double now) {
    if (c == '\n') {
        end_line(answer, now);
    } else {
        keep(answer, c);
    }
}

static void complete(load_answer *answer, double now) {
    if (answer->n_line > 0) {
        end_line(answer, now);
    }
    answer->complete = true;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* A byte of "SIZE\r\n", or of the "\r\n" behind a chunk's data, which looks like an empty size. */
static void read_size_byte(load_answer *answer, char c, double now) {
    if (c != '\n') {
        answer->broken = answer->n_size == sizeof answer->size - 1;
        if (c != '\r' && !answer->broken) {
            answer->size[answer->n_size++] = c;
        }
        return;
    }
    if (answer->n_size == 0) {
        return;
    }
    char *end;
    answer->size[answer->n_size] = '\0';
    answer->left = strtoul(answer->size, &end, 16);
    answer->broken = end == answer->size;
    answer->n_size = 0;
    answer->in_chunk = answer->left > 0;
    if (answer->left == 0) {
        complete(answer, now);
    }
}

/* ---- The head -------------------------------------------------------------------------------- */

static bool header_is(const char *line, const char *name, const char **value) {
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':') {
        return false;
    }
    *value = line + n + 1 + strspn(line + n + 1, " ");
    return true;
}

static void read_header(load_answer *answer) {
    const char *value;
    const char *line = answer->line;
    if (answer->head_status == 0) {
        answer->broken = sscanf(line, "HTTP/1.%*d %d", &answer->head_status) != 1 ||
                         answer->head_status < 100 || answer->head_status >= LOAD_MAX_STATUS;
    } else if (header_is(line, "content-length", &value)) {
        answer->left = strtoul(value, NULL, 10);
    } else if (header_is(line, "transfer-encoding", &value)) {
        answer->chunked = strncasecmp(value, "chunked", 7) == 0;
    } else if (header_is(line, "content-type", &value)) {
        answer->is_stream = strncasecmp(value, "text/event-stream", 17) == 0;
    } else if (header_is(line, "connection", &value)) {
        answer->close = strncasecmp(value, "close", 5) == 0;
    }
}

/* An empty line before the first one is the end of the last answer's chunks. */
static void read_head_byte(load_answer *answer, char c, double now) {
    if (c == '\r') {
        return;
    }
    if (c != '\n') {
        keep(answer, c);
        return;
    }
    answer->line[answer->n_line] = '\0';
    if (answer->n_line > 0) {
        read_header(answer);
    } else if (answer->head_status != 0) {
        answer->status = answer->head_status;
        if (!answer->chunked && answer->left == 0) {
            complete(answer, now);
        }
    }
    answer->n_line = 0;
    answer->line_cut = false;
}

/* ---- All of it ------------------------------------------------------------------------------- */

void load_answer_read(load_answer *answer, const char *data, size_t n, double now) {
    for (size_t i = 0; i < n && !answer->broken; i++) {
        if (answer->complete) {
            answer->broken = answer->chunked ? data[i] != '\r' && data[i] != '\n' : true;
        } else if (answer->status == 0) {
            read_head_byte(answer, data[i], now);
        } else if (answer->chunked && !answer->in_chunk) {
            read_size_byte(answer, data[i], now);
        } else {
            read_body_byte(answer, data[i], now);
            if (answer->left != (size_t)NO_LENGTH && --answer->left == 0) {
                answer->in_chunk = false;
                if (!answer->chunked) {
                    complete(answer, now);
                }
            }
        }
    }
}

void load_answer_end(load_answer *answer) {
    if (answer->complete) {
        return;
    }
    if (answer->status != 0 && !answer->chunked && answer->left == (size_t)NO_LENGTH) {
        answer->complete = true;
    } else {
        answer->broken = true;
    }
}
