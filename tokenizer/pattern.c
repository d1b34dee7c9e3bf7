/* Regular expressions from Oniguruma's language to PCRE2's. For the split patterns of language
 * models the two are nearly the same; what differs is rewritten (\s, which PCRE2 lets match U+180E)
 * or refused, so that a pattern never silently means something else. */
#include "tokenizer/hf_json.h"

#include "base/status.h"

#include <string.h>

/* Unicode White_Space, as the inside of a class. */
#define SPACE_CLASS "\\t-\\r\\x{85}\\p{Z}"

/* Oniguruma's word characters, as the inside of a class. */
#define WORD_CLASS "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}"

/* Beginning and end of a line, which is what ^ and $ are to Oniguruma. */
#define LINE_BEGIN "(?:\\A|(?<=\\n)(?!\\z))"
#define LINE_END "(?=\\n|\\z)"

typedef struct translation {
    const char *text;
    size_t n;
    size_t at;
    bool in_class;
    const char *name; /* of the file, for messages */
    pith_bytes *out;
    pith_error *error;
} translation;

static pith_status refuse(const translation *t, const char *what) {
    return pith_fail(t->error, PITH_ERROR_UNSUPPORTED,
                     "%s: regular expression: %s at byte %zu is not supported", t->name, what,
                     t->at);
}

static pith_status emit(translation *t, const char *text, size_t n) {
    return pith_bytes_append(t->out, text, n)
               ? PITH_OK
               : pith_fail(t->error, PITH_ERROR_MEMORY, "%s: no memory for the split pattern",
                           t->name);
}

static pith_status emit_text(translation *t, const char *text) {
    return emit(t, text, strlen(text));
}

/* The character `offset` bytes on, NUL beyond the end. */
static char peek(const translation *t, size_t offset) {
    return t->at + offset < t->n ? t->text[t->at + offset] : '\0';
}

static bool begins(const translation *t, const char *prefix) {
    size_t n = strlen(prefix);
    return t->n - t->at >= n && memcmp(t->text + t->at, prefix, n) == 0;
}

/* Copies the next n bytes as they are. */
static pith_status copy(translation *t, size_t n) {
    pith_status status = emit(t, t->text + t->at, n);
    t->at += n;
    return status;
}

static bool is_property_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '^';
}

/* \p{Name} */
static pith_status property(translation *t) {
    size_t n = 3;
    while (is_property_character(peek(t, n))) {
        n++;
    }
    if (peek(t, 2) != '{' || n == 3 || peek(t, n) != '}') {
        return refuse(t, "a property that is not like \\p{L}");
    }
    return copy(t, n + 1);
}

/* \\uHHHH */
static pith_status code_point(translation *t) {
    char code[16] = "\\x{";
    for (size_t i = 0; i < 4; i++) {
        code[3 + i] = peek(t, 2 + i);
        if (code[3 + i] == '\0' || strchr("0123456789abcdefABCDEF", code[3 + i]) == NULL) {
            return refuse(t, "\\u without four digits");
        }
    }
    code[7] = '}';
    t->at += 6;
    return emit(t, code, 8);
}

static pith_status escape(translation *t) {
    char c = peek(t, 1);
    pith_status status = PITH_OK;
    switch (c) {
    case 's':
        status = emit_text(t, t->in_class ? SPACE_CLASS : "[" SPACE_CLASS "]");
        t->at += 2;
        return status;
    case 'w':
    case 'W':
        if (c == 'W' && t->in_class) {
            return refuse(t, "\\W in a class");
        }
        status = emit_text(t, t->in_class ? WORD_CLASS
                              : c == 'w'  ? "[" WORD_CLASS "]"
                                          : "[^" WORD_CLASS "]");
        t->at += 2;
        return status;
    case 'u':
        return code_point(t);
    case 'S':
        if (t->in_class) {
            return refuse(t, "\\S in a class");
        }
        status = emit_text(t, "[^" SPACE_CLASS "]");
        t->at += 2;
        return status;
    case 'p':
    case 'P':
        return property(t);
    case 'r':
    case 'n':
    case 't':
    case 'd':
    case 'f':
        return copy(t, 2);
    case 'A':
    case 'z':
        return t->in_class ? refuse(t, "an anchor in a class") : copy(t, 2);
    default:
        break;
    }
    if (c != '\0' && strchr("\\^$.|?*+()[]{}/-'\"!#%&,:;<=>@_`~", c) != NULL) {
        return copy(t, 2);
    }
    return refuse(t, "an escape other than \\s \\w \\d \\p \\u \\r \\n \\t \\f \\A \\z");
}

static pith_status class_character(translation *t) {
    char c = peek(t, 0);
    if (c == ']') {
        t->in_class = false;
    } else if (c == '[') {
        return refuse(t, "a class in a class");
    } else if (begins(t, "&&")) {
        return refuse(t, "an intersection of classes");
    }
    return copy(t, 1);
}

static pith_status open_class(translation *t) {
    size_t n = peek(t, 1) == '^' ? 2 : 1;
    if (peek(t, n) == ']') {
        return refuse(t, "an empty class");
    }
    t->in_class = true;
    return copy(t, n);
}

static pith_status open_group(translation *t) {
    static const char *const kinds[] = {"(?:",  "(?=", "(?!",  "(?<=",
                                        "(?<!", "(?>", "(?i:", "(?-i:"};
    if (peek(t, 1) == '*') {
        return refuse(t, "a verb");
    }
    if (peek(t, 1) != '?') {
        return copy(t, 1);
    }
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (begins(t, kinds[i])) {
            return copy(t, strlen(kinds[i]));
        }
    }
    return refuse(t, "a group of this kind");
}

/* {n}, {n,} or {n,m}; a + or ? behind it would mean different things. */
static pith_status repetition(translation *t) {
    size_t n = 1;
    size_t digits = 0;
    while (peek(t, n) >= '0' && peek(t, n) <= '9') {
        n++;
        digits++;
    }
    if (peek(t, n) == ',') {
        n++;
        while (peek(t, n) >= '0' && peek(t, n) <= '9') {
            n++;
        }
    }
    if (digits == 0 || peek(t, n) != '}' || peek(t, n + 1) == '+' || peek(t, n + 1) == '?') {
        return refuse(t, "a repetition that is not like {1,3}");
    }
    return copy(t, n + 1);
}

static pith_status step(translation *t) {
    char c = peek(t, 0);
    if (c == '\\') {
        return escape(t);
    }
    if (t->in_class) {
        return class_character(t);
    }
    switch (c) {
    case '[':
        return open_class(t);
    case '(':
        return open_group(t);
    case '{':
        return repetition(t);
    case '^':
    case '$':
        t->at++;
        return emit_text(t, c == '^' ? LINE_BEGIN : LINE_END);
    case '\0':
        return refuse(t, "a NUL");
    default:
        return copy(t, 1);
    }
}

pith_status pith_pattern_translate(const char *regex, size_t n_bytes, const char *name,
                                   pith_bytes *out, pith_error *error) {
    translation t = {.text = regex, .n = n_bytes, .name = name, .out = out, .error = error};
    pith_status status = PITH_OK;
    while (status == PITH_OK && t.at < t.n) {
        status = step(&t);
    }
    if (status == PITH_OK && t.in_class) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: regular expression: a class has no end",
                         name);
    }
    return status;
}
