/* Reading values out of a checked document (json.h has its form; json_check.c makes it). */
#include "base/json.h"

#include "base/json_form.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Places ---------------------------------------------------------------------------------- */

static bool is_string(const char *at) {
    return *at == '"' || *at == PITH_JSON_COUNTED;
}

const char *pith_json_string_text(const char *at) {
    return *at == '"' ? at + 1 : at + 1 + sizeof(uint32_t);
}

size_t pith_json_string_size(const char *at) {
    if (*at == '"') {
        return strlen(at + 1);
    }
    uint32_t size;
    memcpy(&size, at + 1, sizeof size);
    return size;
}

const char *pith_json_skip_string(const char *at) {
    at = pith_json_string_text(at) + pith_json_string_size(at) + 1;
    while (*at == PITH_JSON_FREE) {
        at++;
    }
    return at;
}

static bool ends_scalar(char c) {
    return c == ',' || c == ']' || c == '}' || pith_json_is_space(c);
}

static const char *skip_scalar(const char *at) {
    while (!ends_scalar(*at)) {
        at++;
    }
    return at;
}

const char *pith_json_skip_value(const char *at) {
    size_t depth = 0;
    do {
        if (is_string(at)) {
            at = pith_json_skip_string(at);
        } else if (*at == '{' || *at == '[') {
            depth++;
            at++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            at++;
        } else if (depth == 0) {
            at = skip_scalar(at);
        } else {
            at++;
        }
    } while (depth != 0);
    return at;
}

const char *pith_json_skip_gap(const char *at) {
    while (pith_json_is_space(*at) || *at == ',' || *at == ':') {
        at++;
    }
    return at;
}

/* ---- Walking --------------------------------------------------------------------------------- */

static bool is_container(pith_json value) {
    return value.at != NULL && (*value.at == '{' || *value.at == '[');
}

pith_json_walk pith_json_begin(pith_json container) {
    return (pith_json_walk){.next = is_container(container) ? container.at : NULL};
}

/* `next` is the opening bracket before the first step, then the end of the last value. */
bool pith_json_next(pith_json_walk *walk) {
    if (walk->next == NULL) {
        return false;
    }
    bool first = walk->value.at == NULL;
    bool object = first ? *walk->next == '{' : walk->key != NULL;
    const char *at = pith_json_skip_gap(first ? walk->next + 1 : walk->next);
    if (*at == '}' || *at == ']') {
        walk->next = NULL;
        return false;
    }
    if (object) {
        walk->key = pith_json_string_text(at);
        walk->key_size = pith_json_string_size(at);
        at = pith_json_skip_gap(pith_json_skip_string(at));
    }
    walk->value.at = at;
    walk->next = pith_json_skip_value(at);
    return true;
}

pith_json pith_json_get(pith_json object, const char *key) {
    size_t size = strlen(key);
    if (object.at != NULL && *object.at == '{') {
        pith_json_walk walk = pith_json_begin(object);
        while (pith_json_next(&walk)) {
            if (walk.key_size == size && memcmp(walk.key, key, size) == 0) {
                return walk.value;
            }
        }
    }
    return (pith_json){NULL};
}

pith_json pith_json_at(pith_json array, size_t i) {
    if (array.at != NULL && *array.at == '[') {
        pith_json_walk walk = pith_json_begin(array);
        while (pith_json_next(&walk)) {
            if (i-- == 0) {
                return walk.value;
            }
        }
    }
    return (pith_json){NULL};
}

size_t pith_json_size(pith_json value) {
    size_t n = 0;
    pith_json_walk walk = pith_json_begin(value);
    while (pith_json_next(&walk)) {
        n++;
    }
    return n;
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

pith_json_kind pith_json_kind_of(pith_json value) {
    if (value.at == NULL) {
        return PITH_JSON_ABSENT;
    }
    switch (*value.at) {
    case '{':
        return PITH_JSON_OBJECT;
    case '[':
        return PITH_JSON_ARRAY;
    case '"':
    case PITH_JSON_COUNTED:
        return PITH_JSON_STRING;
    case 't':
    case 'f':
        return PITH_JSON_BOOL;
    case 'n':
        return PITH_JSON_NULL;
    default:
        return PITH_JSON_NUMBER;
    }
}

const char *pith_json_describe(pith_json value) {
    switch (pith_json_kind_of(value)) {
    case PITH_JSON_ABSENT:
        break;
    case PITH_JSON_NULL:
        return "null";
    case PITH_JSON_BOOL:
        return "a boolean";
    case PITH_JSON_NUMBER:
        if (!pith_json_is_integer(value)) {
            return "a fractional number";
        }
        return *value.at == '-' ? "a negative integer" : "an integer";
    case PITH_JSON_STRING:
        return "a string";
    case PITH_JSON_ARRAY:
        return "an array";
    case PITH_JSON_OBJECT:
        return "an object";
    }
    return "nothing";
}

const char *pith_json_text(pith_json value) {
    return pith_json_is(value, PITH_JSON_STRING) ? pith_json_string_text(value.at) : NULL;
}

size_t pith_json_text_size(pith_json value) {
    return pith_json_is(value, PITH_JSON_STRING) ? pith_json_string_size(value.at) : 0;
}

bool pith_json_is_text(pith_json value, const char *text) {
    size_t n = strlen(text);
    return pith_json_is(value, PITH_JSON_STRING) && pith_json_string_size(value.at) == n &&
           memcmp(pith_json_string_text(value.at), text, n) == 0;
}

bool pith_json_bool(pith_json value, bool *out) {
    if (!pith_json_is(value, PITH_JSON_BOOL)) {
        return false;
    }
    *out = *value.at == 't';
    return true;
}

bool pith_json_is_true(pith_json value) {
    return value.at != NULL && *value.at == 't';
}

/* ---- Numbers --------------------------------------------------------------------------------- */

bool pith_json_is_integer(pith_json value) {
    if (!pith_json_is(value, PITH_JSON_NUMBER)) {
        return false;
    }
    const char *at = value.at + (*value.at == '-');
    while (*at >= '0' && *at <= '9') {
        at++;
    }
    return ends_scalar(*at);
}

size_t pith_json_number_size(pith_json value) {
    return pith_json_is(value, PITH_JSON_NUMBER) ? (size_t)(skip_scalar(value.at) - value.at) : 0;
}

bool pith_json_integer(pith_json value, int64_t *out) {
    if (!pith_json_is_integer(value)) {
        return false;
    }
    bool negative = *value.at == '-';
    int64_t n = 0; /* negative: its range is the larger one */
    for (const char *at = value.at + negative; !ends_scalar(*at); at++) {
        int digit = *at - '0';
        if (n < (INT64_MIN + digit) / 10) {
            return false;
        }
        n = n * 10 - digit;
    }
    if (!negative && n == INT64_MIN) {
        return false;
    }
    *out = negative ? n : -n;
    return true;
}

bool pith_json_count(pith_json value, size_t *out) {
    int64_t n;
    if (!pith_json_integer(value, &n) || n < 0) {
        return false;
    }
    *out = (size_t)n;
    return true;
}

/* strtod expects the locale's decimal point, so it is given none: 1.25e3 is read as 125e1. */
bool pith_json_number(pith_json value, double *out) {
    if (!pith_json_is(value, PITH_JSON_NUMBER)) {
        return false;
    }
    const char *at = value.at;
    bool negative = *at == '-';
    if (at[negative] == 'N' || at[negative] == 'I') {
        *out = at[negative] == 'N' ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    char digits[PITH_JSON_MAX_NUMBER + 32];
    size_t n = 0;
    long fraction = 0;
    bool behind = false;
    for (; !ends_scalar(*at) && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind = true;
        } else {
            digits[n++] = *at;
            fraction += behind;
        }
    }
    long exponent = 0;
    if (*at == 'e' || *at == 'E') {
        exponent = strtol(at + 1, NULL, 10); /* saturates */
    }
    /* Far beyond any double, and far from overflow. */
    exponent = exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
    snprintf(digits + n, sizeof digits - n, "e%ld", exponent - fraction);
    *out = strtod(digits, NULL);
    return true;
}
