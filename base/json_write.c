/* JSON text; see json_write.h. */
#include "base/json_write.h"

#include "base/status.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void pith_json_write_begin(pith_json_writer *w, const pith_allocator *allocator) {
    *w = (pith_json_writer){.status = PITH_OK};
    pith_bytes_init(&w->bytes, allocator);
}

static void append(pith_json_writer *w, const char *text, size_t n) {
    if (w->status == PITH_OK && !pith_bytes_append(&w->bytes, text, n)) {
        w->status = PITH_ERROR_MEMORY;
    }
}

static void refuse(pith_json_writer *w, const char *key) {
    if (w->status == PITH_OK) {
        w->status = PITH_ERROR_ARGUMENT;
        w->bad_key = key;
    }
}

static void append_string(pith_json_writer *w, const char *text) {
    append(w, "\"", 1);
    for (size_t n; *text != '\0'; text += n) {
        n = 0;
        while ((unsigned char)text[n] >= 0x20 && text[n] != '"' && text[n] != '\\') {
            n++;
        }
        append(w, text, n);
        if (text[n] == '\0') {
            continue;
        }
        static const char names[] = "\"\\bfnrt";
        static const char values[] = "\"\\\b\f\n\r\t";
        const char *found = strchr(values, text[n]);
        char escape[8];
        if (found != NULL) {
            append(w, escape,
                   (size_t)snprintf(escape, sizeof escape, "\\%c", names[found - values]));
        } else {
            append(w, escape,
                   (size_t)snprintf(escape, sizeof escape, "\\u%04X", (unsigned)text[n]));
        }
        n++;
    }
    append(w, "\"", 1);
}

/* The comma and the key of what follows. */
static void begin_value(pith_json_writer *w, const char *key) {
    append(w, ",", w->comma ? 1 : 0);
    w->comma = true;
    if (key != NULL) {
        if (pith_utf8_check(key, strlen(key)) != strlen(key)) {
            refuse(w, "a key");
        }
        append_string(w, key);
        append(w, ":", 1);
    }
}

void pith_json_open(pith_json_writer *w, const char *key, char bracket) {
    begin_value(w, key);
    append(w, &bracket, 1);
    w->comma = false;
}

void pith_json_close(pith_json_writer *w, char bracket) {
    append(w, &bracket, 1);
    w->comma = true;
}

void pith_json_put_text(pith_json_writer *w, const char *key, const char *text) {
    size_t n = strlen(text);
    if (pith_utf8_check(text, n) != n) {
        refuse(w, key != NULL ? key : "an element");
        return;
    }
    begin_value(w, key);
    append_string(w, text);
}

void pith_json_put_integer(pith_json_writer *w, const char *key, int64_t value) {
    char text[32];
    begin_value(w, key);
    append(w, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void pith_json_put_bool(pith_json_writer *w, const char *key, bool value) {
    begin_value(w, key);
    append(w, value ? "true" : "false", value ? 4 : 5);
}

/* printf's text has the locale's decimal point, "+" and leading zeros in its exponent. */
void pith_json_put_real(pith_json_writer *w, const char *key, double value) {
    char text[40];
    char out[40];
    size_t n = 0;
    bool integer = true;
    if (!isfinite(value)) {
        refuse(w, key != NULL ? key : "an element");
        return;
    }
    snprintf(text, sizeof text, "%.17g", value);
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == 'e') {
            integer = false;
            out[n++] = 'e';
            at++;
            if (*at == '-') {
                out[n++] = '-';
            }
            while (at[1] == '0') {
                at++;
            }
        } else if ((*at >= '0' && *at <= '9') || *at == '-') {
            out[n++] = *at;
        } else if (integer) { /* a decimal point may have several bytes */
            integer = false;
            out[n++] = '.';
        }
    }
    begin_value(w, key);
    append(w, out, n);
    append(w, ".0", integer ? 2 : 0);
}

pith_status pith_json_write_end(const pith_json_writer *w, const char *what, pith_error *error) {
    if (w->status == PITH_ERROR_MEMORY) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %s", what);
    }
    if (w->status == PITH_ERROR_ARGUMENT) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s %s is not UTF-8 or not finite", what,
                         w->bad_key);
    }
    return PITH_OK;
}
