/* JSON text; see json_write.h. */
#include "base/json_write.h"

#include "base/json_form.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

static void refuse(pith_json_writer *w, const char *key, const char *problem) {
    if (w->status == PITH_OK) {
        w->status = PITH_ERROR_ARGUMENT;
        w->bad_key = key != NULL ? key : "an element";
        w->problem = problem;
    }
}

static bool stands_for_itself(char c) {
    return (unsigned char)c >= 0x20 && c != '"' && c != '\\';
}

static void append_escape(pith_json_writer *w, char c) {
    static const char names[] = "\"\\bfnrt";
    static const char values[] = "\"\\\b\f\n\r\t";
    const char *found = c != '\0' ? strchr(values, c) : NULL;
    char escape[8];
    int n = found != NULL ? snprintf(escape, sizeof escape, "\\%c", names[found - values])
                          : snprintf(escape, sizeof escape, "\\u%04X", (unsigned)c);
    append(w, escape, (size_t)n);
}

static void append_string(pith_json_writer *w, const char *text, size_t n) {
    append(w, "\"", 1);
    for (size_t begin = 0; begin < n;) {
        size_t end = begin;
        while (end < n && stands_for_itself(text[end])) {
            end++;
        }
        append(w, text + begin, end - begin);
        if (end < n) {
            append_escape(w, text[end]);
            end++;
        }
        begin = end;
    }
    append(w, "\"", 1);
}

static void begin_line(pith_json_writer *w) {
    append(w, "\n", 1);
    for (size_t i = 0; i < w->depth; i++) {
        append(w, "  ", 2);
    }
}

/* What stands between values: the comma and, by style, white space. */
static void begin_value(pith_json_writer *w, const char *key, size_t key_size) {
    append(w, ",", w->comma ? 1 : 0);
    if (w->style == PITH_JSON_INDENTED && w->depth > 0) {
        begin_line(w);
    } else if (w->style == PITH_JSON_SPACED && w->comma) {
        append(w, " ", 1);
    }
    w->comma = true;
    if (key != NULL) {
        if (pith_utf8_check(key, key_size) != key_size) {
            refuse(w, "a key", "is not UTF-8");
        }
        append_string(w, key, key_size);
        append(w, ": ", w->style == PITH_JSON_COMPACT ? 1 : 2);
    }
}

static void begin_member(pith_json_writer *w, const char *key) {
    begin_value(w, key, key != NULL ? strlen(key) : 0);
}

static void open_bracket(pith_json_writer *w, char bracket) {
    append(w, &bracket, 1);
    w->depth++;
    w->comma = false;
}

void pith_json_open(pith_json_writer *w, const char *key, char bracket) {
    begin_member(w, key);
    open_bracket(w, bracket);
}

void pith_json_close(pith_json_writer *w, char bracket) {
    w->depth--;
    if (w->style == PITH_JSON_INDENTED && w->comma) {
        begin_line(w);
    }
    append(w, &bracket, 1);
    w->comma = true;
}

void pith_json_put_bytes(pith_json_writer *w, const char *key, const char *text, size_t n) {
    if (pith_utf8_check(text, n) != n) {
        refuse(w, key, "is not UTF-8");
    }
    begin_member(w, key);
    append_string(w, text, n);
}

void pith_json_put_text(pith_json_writer *w, const char *key, const char *text) {
    pith_json_put_bytes(w, key, text, strlen(text));
}

void pith_json_put_null(pith_json_writer *w, const char *key) {
    begin_member(w, key);
    append(w, "null", 4);
}

static void append_integer(pith_json_writer *w, int64_t value) {
    char text[32];
    append(w, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value));
}

void pith_json_put_integer(pith_json_writer *w, const char *key, int64_t value) {
    begin_member(w, key);
    append_integer(w, value);
}

void pith_json_put_bool(pith_json_writer *w, const char *key, bool value) {
    begin_member(w, key);
    append(w, value ? "true" : "false", value ? 4 : 5);
}

/* printf's text has the locale's decimal point, "+" and leading zeros in its exponent. */
static void append_real(pith_json_writer *w, double value) {
    char text[40];
    char out[40];
    size_t n = 0;
    bool integer = true;
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
    append(w, out, n);
    append(w, ".0", integer ? 2 : 0);
}

void pith_json_put_real(pith_json_writer *w, const char *key, double value) {
    if (!isfinite(value)) {
        refuse(w, key, "is not finite");
        return;
    }
    begin_member(w, key);
    append_real(w, value);
}

void pith_json_put_raw(pith_json_writer *w, const char *key, const char *json, size_t n) {
    begin_member(w, key);
    append(w, json, n);
}

/* ---- Values that were read ------------------------------------------------------------------- */

static void append_value(pith_json_writer *w, pith_json value);

static void append_number(pith_json_writer *w, pith_json value) {
    int64_t integer;
    double real = 0;
    if (pith_json_integer(value, &integer)) {
        append_integer(w, integer);
    } else if (pith_json_is_integer(value)) {
        append(w, value.at, pith_json_number_size(value));
    } else if (pith_json_number(value, &real) && isfinite(real)) {
        append_real(w, real);
    } else {
        refuse(w, "a number", "is not finite");
    }
}

static void append_array(pith_json_writer *w, pith_json array) {
    pith_json_walk walk = pith_json_begin(array);
    open_bracket(w, '[');
    while (pith_json_next(&walk)) {
        begin_value(w, NULL, 0);
        append_value(w, walk.value);
    }
    pith_json_close(w, ']');
}

/* Offsets of two keys in the object. */
static int compare_members(const void *a, const void *b, void *object) {
    const char *x = (const char *)object + *(const uint32_t *)a;
    const char *y = (const char *)object + *(const uint32_t *)b;
    size_t n = pith_json_string_size(x);
    size_t m = pith_json_string_size(y);
    int order = memcmp(pith_json_string_text(x), pith_json_string_text(y), n < m ? n : m);
    return order != 0 ? order : (n > m) - (n < m);
}

/* Begins at a key; *value is its value's place. Returns where the next key or the end is. */
static const char *step(const char *key, const char **value) {
    *value = pith_json_skip_gap(pith_json_skip_string(key));
    return pith_json_skip_gap(pith_json_skip_value(*value));
}

static void append_object(pith_json_writer *w, pith_json object) {
    const pith_allocator *allocator = w->bytes.allocator;
    const char *value;
    size_t n = pith_json_size(object);
    uint32_t *keys = pith_allocate(allocator, n, sizeof *keys);
    if (keys == NULL) {
        w->status = w->status == PITH_OK ? PITH_ERROR_MEMORY : w->status;
        return;
    }
    const char *key = pith_json_skip_gap(object.at + 1);
    for (size_t i = 0; i < n; i++) {
        keys[i] = (uint32_t)(key - object.at);
        key = step(key, &value);
    }
    qsort_r(keys, n, sizeof *keys, compare_members, (void *)(uintptr_t)object.at);
    open_bracket(w, '{');
    for (size_t i = 0; i < n; i++) {
        key = object.at + keys[i];
        begin_value(w, pith_json_string_text(key), pith_json_string_size(key));
        step(key, &value);
        append_value(w, (pith_json){value});
    }
    pith_json_close(w, '}');
    pith_release(allocator, keys);
}

/* As deep as the value, which has at most PITH_JSON_MAX_DEPTH levels. */
static void append_value(pith_json_writer *w, pith_json value) {
    switch (pith_json_kind_of(value)) {
    case PITH_JSON_ABSENT:
    case PITH_JSON_NULL:
        append(w, "null", 4);
        break;
    case PITH_JSON_BOOL:
        append(w, pith_json_is_true(value) ? "true" : "false", pith_json_is_true(value) ? 4 : 5);
        break;
    case PITH_JSON_NUMBER:
        append_number(w, value);
        break;
    case PITH_JSON_STRING:
        append_string(w, pith_json_text(value), pith_json_text_size(value));
        break;
    case PITH_JSON_ARRAY:
        append_array(w, value);
        break;
    case PITH_JSON_OBJECT:
        append_object(w, value);
        break;
    }
}

void pith_json_put_value(pith_json_writer *w, const char *key, pith_json value) {
    begin_member(w, key);
    append_value(w, value);
}

/* As deep as the value. */
static void append_copy(pith_json_writer *w, pith_json value) {
    bool object = pith_json_is(value, PITH_JSON_OBJECT);
    if (pith_json_is(value, PITH_JSON_NUMBER)) {
        append(w, value.at, pith_json_number_size(value));
        return;
    }
    if (!object && !pith_json_is(value, PITH_JSON_ARRAY)) {
        append_value(w, value);
        return;
    }
    open_bracket(w, object ? '{' : '[');
    pith_json_walk walk = pith_json_begin(value);
    while (pith_json_next(&walk)) {
        begin_value(w, walk.key, walk.key_size);
        append_copy(w, walk.value);
    }
    pith_json_close(w, object ? '}' : ']');
}

void pith_json_put_copy(pith_json_writer *w, const char *key, pith_json value) {
    begin_member(w, key);
    append_copy(w, value);
}

pith_status pith_json_write_end(const pith_json_writer *w, const char *what, pith_error *error) {
    if (w->status == PITH_ERROR_MEMORY) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %s", what);
    }
    if (w->status == PITH_ERROR_ARGUMENT) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: %s %s", what, w->bad_key, w->problem);
    }
    return PITH_OK;
}
