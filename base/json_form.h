/* What json.c and json_check.c know of a checked document; json.h describes its form. */
#ifndef PITH_BASE_JSON_FORM_H
#define PITH_BASE_JSON_FORM_H

#include <stdbool.h>
#include <stddef.h>

#define PITH_JSON_COUNTED ((char)0xFE) /* begins a string that has its size in front */
#define PITH_JSON_FREE ((char)0xFF)    /* fills what a decoded string leaves */

static inline bool pith_json_is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Of the string at `at`: its bytes, how many, and where it ends. */
const char *pith_json_string_text(const char *at);
size_t pith_json_string_size(const char *at);
const char *pith_json_skip_string(const char *at);

/* The end of the value at `at`. */
const char *pith_json_skip_value(const char *at);

/* The next byte that is no white space, comma or colon. */
const char *pith_json_skip_gap(const char *at);

#endif
