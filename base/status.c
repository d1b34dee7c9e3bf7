/* Status names, the version, and the formatting of errors and log messages. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *pith_version(void) {
    return PITH_VERSION;
}

const char *pith_status_name(pith_status status) {
    switch (status) {
    case PITH_OK:
        return "ok";
    case PITH_ERROR_ARGUMENT:
        return "argument";
    case PITH_ERROR_MEMORY:
        return "memory";
    case PITH_ERROR_IO:
        return "io";
    case PITH_ERROR_FORMAT:
        return "format";
    case PITH_ERROR_UNSUPPORTED:
        return "unsupported";
    case PITH_ERROR_CAPACITY:
        return "capacity";
    case PITH_ERROR_CONTEXT:
        return "context";
    case PITH_ERROR_TOKEN:
        return "token";
    case PITH_ERROR_TEXT:
        return "text";
    case PITH_ERROR_NUMERIC:
        return "numeric";
    case PITH_ERROR_STOPPED:
        return "stopped";
    }
    return "unknown";
}

/* The length of text[0, n) without a UTF-8 character that the cut at n left incomplete. */
static size_t whole_characters(const char *text, size_t n) {
    size_t lead = n;
    while (lead > 0 && n - lead < 4) {
        unsigned char byte = (unsigned char)text[--lead];
        if ((byte & 0xc0) == 0x80) {
            continue;
        }
        size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return length > n - lead ? lead : n;
    }
    return n;
}

/* Replaces control characters: messages quote names and values out of files, and a terminal would
 * execute the escape sequences in them. U+0080 to U+009F, two bytes each, are control characters
 * too. */
static void replace_controls(char *text) {
    for (char *at = text; *at != '\0'; at++) {
        unsigned char byte = (unsigned char)at[0];
        unsigned char next = (unsigned char)at[1];
        if (byte < 0x20 || byte == 0x7f) {
            at[0] = '?';
        } else if (byte == 0xc2 && next >= 0x80 && next <= 0x9f) {
            at[0] = at[1] = '?';
        }
    }
}

/* vsnprintf that cuts between characters; a format that cannot be printed gives "". */
static void print_to_fit(char *out, size_t capacity, const char *format, va_list arguments) {
    int length = vsnprintf(out, capacity, format, arguments);
    if (length < 0) {
        out[0] = '\0';
    } else if ((size_t)length >= capacity) {
        out[whole_characters(out, capacity - 1)] = '\0';
    }
    replace_controls(out);
}

pith_status pith_fail(pith_error *error, pith_status status, const char *format, ...) {
    if (error == NULL) {
        return status;
    }
    /* Through a copy: the arguments may point into error->message. */
    char message[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    print_to_fit(message, sizeof message, format, arguments);
    va_end(arguments);
    memcpy(error->message, message, sizeof message);
    error->status = status;
    return status;
}

pith_status pith_fail_in(pith_error *error, pith_status status, const char *format, ...) {
    if (error == NULL) {
        return status;
    }
    char context[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    print_to_fit(context, sizeof context, format, arguments);
    va_end(arguments);
    return pith_fail(error, error->status, "%s: %s", context, error->message);
}

void pith_log_write(const pith_log *log, pith_log_level level, const char *format, ...) {
    if (log == NULL || log->fn == NULL) {
        return;
    }
    char message[1000];
    va_list arguments;
    va_start(arguments, format);
    print_to_fit(message, sizeof message, format, arguments);
    va_end(arguments);
    log->fn(log->user, level, message);
}
