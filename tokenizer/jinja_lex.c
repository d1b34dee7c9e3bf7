/* Jinja's lexer: text, tags and what is inside them, with the white space rules of trim_blocks
 * (the newline behind a block tag is dropped) and lstrip_blocks (so are the blanks before a block
 * tag that begins its line). */
#include "tokenizer/jinja_parts.h"

#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pith_jinja_lex_fail(pith_jinja_lexer *l, pith_status status, uint32_t line, const char *format,
                         ...) {
    if (l->status == PITH_OK) {
        char text[200];
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        l->status = pith_fail(l->error, status, "template, line %u: %s", line, text);
    }
    return false;
}

bool pith_jinja_lex_no_memory(pith_jinja_lexer *l, uint32_t line) {
    if (l->arena->exhausted) {
        return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, line, "more than %zu bytes of memory",
                                   l->arena->limit);
    }
    return pith_jinja_lex_fail(l, PITH_ERROR_MEMORY, line, "no memory for the template");
}

static void *take(pith_jinja_lexer *l, size_t n) {
    void *taken = pith_jinja_take(l->arena, n, 1);
    if (taken == NULL) {
        pith_jinja_lex_no_memory(l, l->line);
    }
    return taken;
}

static bool starts(const pith_jinja_lexer *l, size_t at, const char *text) {
    return strncmp(l->source + at, text, strlen(text)) == 0;
}

static size_t space_at(const pith_jinja_lexer *l, size_t at) {
    return at < l->n && pith_jinja_is_space(pith_utf8_decode(l->source + at))
               ? pith_utf8_length(l->source[at])
               : 0;
}

static void skip_space(pith_jinja_lexer *l) {
    for (size_t n; (n = space_at(l, l->at)) > 0;) {
        l->line += l->source[l->at] == '\n';
        l->at += n;
    }
}

static void count_lines(pith_jinja_lexer *l, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        l->line += l->source[i] == '\n';
    }
}

/* ---- Text ------------------------------------------------------------------------------------ */

/* Moves behind the end of a tag that `at` stands on, with the white space it removes. */
static void close_tag(pith_jinja_lexer *l, size_t mark, bool block) {
    char sign = l->source[l->at];
    l->at += mark;
    if (sign == '-') {
        skip_space(l);
    } else if (block && sign != '+' && l->source[l->at] == '\n') {
        l->at++;
        l->line++;
    }
    l->line_starting = l->at > 0 && l->source[l->at - 1] == '\n';
}

/* Bytes of a tag's end at `at`: "%}", "-%}" or "+%}"; 0: none. */
static size_t tag_end(const pith_jinja_lexer *l, size_t at, const char *end, bool plus) {
    if (starts(l, at, end)) {
        return 2;
    }
    return (l->source[at] == '-' || (plus && l->source[at] == '+')) && starts(l, at + 1, end) ? 3
                                                                                              : 0;
}

/* The end of text [start, end) before a tag with this sign behind its opening. */
static size_t strip_text(const pith_jinja_lexer *l, size_t start, size_t end, char sign,
                         bool output) {
    if (sign == '-') {
        while (end > start) {
            size_t last = pith_utf8_before(l->source, end);
            if (last < start || space_at(l, last) == 0) {
                break;
            }
            end = last;
        }
        return end;
    }
    if (sign == '+' || output) {
        return end;
    }
    size_t line = end;
    while (line > start && l->source[line - 1] != '\n') {
        line--;
    }
    if (line == start && !l->line_starting) {
        return end;
    }
    for (size_t i = line; i < end;) {
        size_t n = space_at(l, i);
        if (n == 0) {
            return end;
        }
        i += n;
    }
    return line;
}

static bool skip_comment(pith_jinja_lexer *l) {
    uint32_t line = l->line;
    for (size_t i = l->at; i < l->n; i++) {
        size_t mark = tag_end(l, i, "#}", true);
        if (mark > 0) {
            count_lines(l, l->at, i);
            l->at = i;
            close_tag(l, mark, true);
            return true;
        }
    }
    return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, line, "a comment without its #}");
}

/* At a word behind "{%" and a sign: moves behind the tag when it is `name` alone. */
static bool match_word_tag(pith_jinja_lexer *l, size_t open, const char *name, bool begin) {
    size_t at = open + 2;
    at += l->source[at] == '-' || l->source[at] == '+';
    for (size_t n; (n = space_at(l, at)) > 0;) {
        at += n;
    }
    if (!starts(l, at, name)) {
        return false;
    }
    at += strlen(name);
    for (size_t n; (n = space_at(l, at)) > 0;) {
        at += n;
    }
    size_t mark = tag_end(l, at, "%}", !begin);
    if (mark == 0) {
        return false;
    }
    count_lines(l, open, at);
    l->at = at;
    /* trim_blocks does not touch the newline behind {% raw %}. */
    close_tag(l, mark, !begin);
    return true;
}

static void give_data(pith_jinja_lexer *l, pith_jinja_token *token, uint32_t line, size_t start,
                      size_t end) {
    *token = (pith_jinja_token){.kind = PITH_TOKEN_DATA,
                                .line = line,
                                .text = l->source + start,
                                .n = end - start};
}

/* Text up to {% endraw %}. */
static bool lex_raw(pith_jinja_lexer *l, pith_jinja_token *token) {
    size_t start = l->at;
    uint32_t line = l->line;
    for (size_t i = start; i < l->n; i++) {
        if (!starts(l, i, "{%")) {
            continue;
        }
        size_t end = strip_text(l, start, i, l->source[i + 2], false);
        uint32_t before = l->line;
        count_lines(l, start, i);
        if (match_word_tag(l, i, "endraw", false)) {
            l->mode = PITH_LEX_TEXT;
            give_data(l, token, line, start, end);
            return true;
        }
        l->line = before;
    }
    return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, line, "{%% raw %%} without {%% endraw %%}");
}

static bool is_tag(const pith_jinja_lexer *l, size_t at) {
    return l->source[at] == '{' &&
           (l->source[at + 1] == '{' || l->source[at + 1] == '%' || l->source[at + 1] == '#');
}

/* Text up to the next tag; the tag's opening is left for the next call, unless there is no text. */
static bool lex_text(pith_jinja_lexer *l, pith_jinja_token *token) {
    for (;;) {
        size_t start = l->at;
        uint32_t line = l->line;
        size_t at = start;
        while (at < l->n && !is_tag(l, at)) {
            at++;
        }
        if (at == l->n) {
            l->at = at;
            give_data(l, token, line, start, at);
            token->kind = at > start ? PITH_TOKEN_DATA : PITH_TOKEN_END;
            return true;
        }
        char what = l->source[at + 1];
        char sign = l->source[at + 2];
        size_t end = strip_text(l, start, at, sign, what == '{');
        if (end > start) {
            /* What was stripped goes with the text: the tag then stands at its own place. */
            count_lines(l, start, at);
            l->at = at;
            l->line_starting = false;
            give_data(l, token, line, start, end);
            return true;
        }
        count_lines(l, start, at);
        l->at = at + 2 + (sign == '-' || sign == '+');
        if (what == '#') {
            if (!skip_comment(l)) {
                return false;
            }
            continue;
        }
        if (what == '%' && match_word_tag(l, at, "raw", true)) {
            l->mode = PITH_LEX_RAW;
            return lex_raw(l, token);
        }
        l->mode = what == '{' ? PITH_LEX_OUTPUT : PITH_LEX_BLOCK;
        l->n_brackets = 0;
        *token =
            (pith_jinja_token){.kind = what == '{' ? PITH_TOKEN_OPEN_OUTPUT : PITH_TOKEN_OPEN_BLOCK,
                               .line = l->line};
        return true;
    }
}

/* ---- Strings --------------------------------------------------------------------------------- */

/* Reads up to `most` digits of a base; false: none, or with `exact` fewer. */
static bool read_digits(const char *text, size_t n, int base, size_t most, bool exact,
                        uint32_t *code, size_t *used) {
    *code = 0;
    *used = 0;
    while (*used < most && *used < n) {
        char c = text[*used];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' ? (c | 32) - 'a' + 10 : 99;
        if (digit >= base) {
            break;
        }
        *code = *code * (uint32_t)base + (uint32_t)digit;
        ++*used;
    }
    return *used > 0 && (!exact || *used == most);
}

/* Decodes the escape behind a backslash at text[0]; bytes used, 0 on failure. */
static size_t decode_escape(pith_jinja_lexer *l, const char *text, size_t n, char *out,
                            size_t *size) {
    static const char plain[] = "\\'\"abfnrtv";
    static const char meant[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found = strchr(plain, text[0]);
    uint32_t code;
    size_t used;
    *size = 0;
    if (text[0] == '\n') {
        return 1;
    }
    if (found != NULL && text[0] != '\0') {
        out[(*size)++] = meant[found - plain];
        return 1;
    }
    if (read_digits(text, n, 8, 3, false, &code, &used)) {
        *size = pith_utf8_encode(code, out);
        return used;
    }
    size_t digits = text[0] == 'x' ? 2 : text[0] == 'u' ? 4 : text[0] == 'U' ? 8 : 0;
    if (digits > 0) {
        bool good = read_digits(text + 1, n - 1, 16, digits, true, &code, &used);
        if (!good || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
            pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, l->line, "a bad \\%c escape in a string",
                                text[0]);
            return 0;
        }
        *size = pith_utf8_encode(code, out);
        return 1 + used;
    }
    if (text[0] == 'N' || (unsigned char)text[0] >= 0x80) {
        pith_jinja_lex_fail(l, PITH_ERROR_UNSUPPORTED, l->line,
                            "an unsupported escape in a string");
        return 0;
    }
    out[(*size)++] = '\\'; /* Python keeps the backslash of an unknown escape */
    return SIZE_MAX;
}

static bool lex_string(pith_jinja_lexer *l, pith_jinja_token *token) {
    char quote = l->source[l->at];
    size_t start = l->at + 1;
    size_t end = start;
    bool escaped = false;
    while (end < l->n && l->source[end] != quote) {
        escaped |= l->source[end] == '\\';
        end += l->source[end] == '\\' && end + 1 < l->n ? 2 : 1;
    }
    if (end >= l->n) {
        return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, l->line, "a string without its end");
    }
    *token = (pith_jinja_token){.kind = PITH_TOKEN_STRING,
                                .line = l->line,
                                .text = l->source + start,
                                .n = end - start};
    l->at = end + 1;
    if (escaped) {
        char *out = take(l, end - start + 8);
        if (out == NULL) {
            return false;
        }
        size_t n = 0;
        for (size_t i = start; i < end;) {
            if (l->source[i] != '\\') {
                out[n++] = l->source[i++];
                continue;
            }
            size_t size;
            size_t used = decode_escape(l, l->source + i + 1, end - i - 1, out + n, &size);
            if (used == 0) {
                return false;
            }
            i += used == SIZE_MAX ? 1 : 1 + used;
            n += size;
        }
        token->text = out;
        token->n = n;
    }
    count_lines(l, start, end);
    return true;
}

/* ---- Numbers, names, operators --------------------------------------------------------------- */

static size_t digit_run(const pith_jinja_lexer *l, size_t at) {
    size_t n = 0;
    while (isdigit((unsigned char)l->source[at + n]) ||
           (n > 0 && l->source[at + n] == '_' && isdigit((unsigned char)l->source[at + n + 1]))) {
        n++;
    }
    return n;
}

static size_t exponent_at(const pith_jinja_lexer *l, size_t at) {
    if (l->source[at] != 'e' && l->source[at] != 'E') {
        return 0;
    }
    size_t sign = l->source[at + 1] == '+' || l->source[at + 1] == '-';
    size_t digits = digit_run(l, at + 1 + sign);
    return digits > 0 ? 1 + sign + digits : 0;
}

static bool lex_number(pith_jinja_lexer *l, pith_jinja_token *token) {
    size_t start = l->at;
    *token = (pith_jinja_token){.kind = PITH_TOKEN_INT, .line = l->line};
    static const char prefixes[] = "bBoOxX";
    if (l->source[start] == '0' && l->source[start + 1] != '\0' &&
        strchr(prefixes, l->source[start + 1]) != NULL) {
        return pith_jinja_lex_fail(l, PITH_ERROR_UNSUPPORTED, l->line,
                                   "numbers in base 2, 8 and 16 are not supported");
    }
    size_t whole = digit_run(l, start);
    size_t part = 0;
    if (l->source[start + whole] == '.') {
        size_t digits = digit_run(l, start + whole + 1);
        part = digits > 0 ? 1 + digits : 0;
    }
    bool after_dot = start > 0 && l->source[start - 1] == '.';
    size_t exponent = exponent_at(l, start + whole + part);
    bool real = !after_dot && (part > 0 || exponent > 0);
    size_t n = real ? whole + part + exponent : whole;
    l->at += n;
    bool large = false;
    if (real) {
        token->kind = PITH_TOKEN_FLOAT;
        if (!pith_jinja_read_real(l->source + start, n, &token->real)) {
            return pith_jinja_lex_fail(l, PITH_ERROR_UNSUPPORTED, l->line, "a number too long");
        }
        return true;
    }
    if (!pith_jinja_read_int(l->source + start, n, 10, &token->integer, &large)) {
        return pith_jinja_lex_fail(l, large ? PITH_ERROR_UNSUPPORTED : PITH_ERROR_FORMAT, l->line,
                                   large ? "an integer beyond 64 bits" : "a bad number");
    }
    return true;
}

static size_t name_at(const pith_jinja_lexer *l, size_t at) {
    size_t n = 0;
    while (at + n < l->n && pith_unicode_is_word(pith_utf8_decode(l->source + at + n))) {
        n += pith_utf8_length(l->source[at + n]);
    }
    return n;
}

static bool lex_bracket(pith_jinja_lexer *l, char op) {
    if (op == '(' || op == '[' || op == '{') {
        if (l->n_brackets == sizeof l->brackets) {
            return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, l->line,
                                       "more than %d brackets inside each other",
                                       PITH_JINJA_MAX_NESTING);
        }
        l->brackets[l->n_brackets++] = op == '(' ? ')' : op == '[' ? ']' : '}';
    } else if (op == ')' || op == ']' || op == '}') {
        if (l->n_brackets == 0 || l->brackets[--l->n_brackets] != op) {
            return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, l->line, "unexpected '%c'", op);
        }
    }
    return true;
}

static bool lex_operator(pith_jinja_lexer *l, pith_jinja_token *token) {
    static const char *const doubles[] = {"//F", "**P", "===", "!=!", "<=l", ">=g"};
    *token = (pith_jinja_token){.kind = PITH_TOKEN_OPERATOR, .line = l->line};
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++) {
        if (strncmp(l->source + l->at, doubles[i], 2) == 0) {
            token->op = doubles[i][2];
            l->at += 2;
            return true;
        }
    }
    char op = l->source[l->at];
    if (op == '\0' || strchr("+-/*%~[](){}><=.:|,;", op) == NULL) {
        return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, l->line, "unexpected character '%c'",
                                   op >= ' ' && op < 0x7F ? op : '?');
    }
    l->at++;
    token->op = op == '=' ? 'a' : op;
    return lex_bracket(l, op);
}

static bool lex_inside(pith_jinja_lexer *l, pith_jinja_token *token) {
    bool output = l->mode == PITH_LEX_OUTPUT;
    size_t mark = tag_end(l, l->at, output ? "}}" : "%}", !output);
    if (mark > 0 && l->n_brackets == 0) {
        *token = (pith_jinja_token){.line = l->line};
        token->kind = output ? PITH_TOKEN_CLOSE_OUTPUT : PITH_TOKEN_CLOSE_BLOCK;
        close_tag(l, mark, !output);
        l->mode = PITH_LEX_TEXT;
        return true;
    }
    if (space_at(l, l->at) > 0) {
        skip_space(l);
        return lex_inside(l, token);
    }
    if (l->at == l->n) {
        return pith_jinja_lex_fail(l, PITH_ERROR_FORMAT, l->line, "a tag without its end");
    }
    char c = l->source[l->at];
    if (c == '"' || c == '\'') {
        return lex_string(l, token);
    }
    if (isdigit((unsigned char)c)) {
        return lex_number(l, token);
    }
    size_t n = name_at(l, l->at);
    if (n == 0) {
        return lex_operator(l, token);
    }
    *token = (pith_jinja_token){.kind = PITH_TOKEN_NAME,
                                .line = l->line,
                                .text = l->source + l->at,
                                .n = n};
    l->at += n;
    return true;
}

bool pith_jinja_lex(pith_jinja_lexer *l, pith_jinja_token *token) {
    switch (l->mode) {
    case PITH_LEX_TEXT:
        return lex_text(l, token);
    case PITH_LEX_RAW:
        return lex_raw(l, token);
    default:
        return lex_inside(l, token);
    }
}
