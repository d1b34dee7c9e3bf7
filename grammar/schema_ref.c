/* References of a schema: JSON pointers (RFC 6901) into the document, as fragments of a URI. */
#include "grammar/schema.h"

#include <string.h>

#include "grammar/string_lex.h"

enum { MAX_TOKEN = 256 };

/* The character at *at of a token, "%7E", "~0" and "~1" decoded, and moves on. */
static char next_character(const char **at) {
    char c = *(*at)++;
    if (c == '%') {
        int high = pith_lex_hex((unsigned char)(*at)[0]);
        int low = high >= 0 ? pith_lex_hex((unsigned char)(*at)[1]) : -1;
        if (low >= 0) {
            *at += 2;
            c = (char)(high * 16 + low);
        }
    }
    if (c == '~' && (**at == '0' || **at == '1')) {
        c = *(*at)++ == '0' ? '~' : '/';
    }
    return c;
}

/* Reads the token at *at, which ends at a slash or the end; false when it is too long. */
static bool read_token(const char **at, char *token) {
    size_t n = 0;
    while (**at != '\0' && **at != '/') {
        if (n == MAX_TOKEN - 1) {
            return false;
        }
        token[n++] = next_character(at);
    }
    token[n] = '\0';
    return true;
}

/* An element of an array by its index as text; absent when that is none. */
static pith_json element(pith_json array, const char *token) {
    size_t index = 0;
    size_t n = strlen(token);
    if (n == 0 || n > 6 || (n > 1 && token[0] == '0')) {
        return (pith_json){NULL};
    }
    for (size_t i = 0; i < n; i++) {
        if (token[i] < '0' || token[i] > '9') {
            return (pith_json){NULL};
        }
        index = index * 10 + (size_t)(token[i] - '0');
    }
    return pith_json_at(array, index);
}

/* The value that a pointer leads to; absent: nowhere. */
static pith_json find(pith_json value, const char *pointer) {
    while (*pointer == '/' && value.at != NULL) {
        char token[MAX_TOKEN];
        pointer++;
        if (!read_token(&pointer, token)) {
            return (pith_json){NULL};
        }
        value = pith_json_is(value, PITH_JSON_ARRAY) ? element(value, token)
                                                     : pith_json_get(value, token);
    }
    return value;
}

static pith_status follow_new(pith_schema *s, const char *text, uint32_t *out) {
    if (text[0] != '#' || (text[1] != '\0' && text[1] != '/')) {
        return pith_schema_fail(s, PITH_ERROR_UNSUPPORTED,
                                "\"$ref\": \"%.60s\" is not a path in this document (\"#/...\")",
                                text);
    }
    const pith_schema_place place = {.value = find(s->root, text + 1),
                                     .parent = PITH_RULES_NONE,
                                     .key = text};
    if (place.value.at == NULL) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"$ref\": \"%.60s\" leads nowhere", text);
    }
    pith_status status = pith_schema_place_of(s, place, out);
    if (status != PITH_OK) {
        return status;
    }
    const pith_schema_ref ref = {text, *out};
    return pith_schema_append(s, &s->refs, &ref, PITH_RULES_MAX_REFS, "different $refs");
}

pith_status pith_schema_follow(pith_schema *s, pith_json ref, uint32_t *out) {
    const char *text = pith_json_text(ref);
    const pith_schema_ref *known = s->refs.items;
    if (text == NULL) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"$ref\" must be a string, not %s",
                                pith_json_describe(ref));
    }
    for (size_t i = 0; i < s->refs.n; i++) {
        if (strcmp(known[i].text, text) == 0) {
            *out = known[i].place;
            return PITH_OK;
        }
    }
    return follow_new(s, text, out);
}
