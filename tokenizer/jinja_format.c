/* Python's text % values and text.format(values), as far as templates use them. */
#include "tokenizer/jinja_parts.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_WIDTH = 1000, MAX_PRECISION = 100, NUMBER = 512 /* digits of 1e308 with a fraction */ };

typedef struct directive {
    bool left, zero, plus, space;
    int width, precision; /* precision -1: none */
    char type;
} directive;

static bool pad(pith_jinja *j, pith_jinja_buffer *b, int n, char c) {
    for (int i = 0; i < n; i++) {
        if (!pith_jinja_append(j, b, &c, 1, PITH_ORIGIN_TEMPLATE)) {
            return false;
        }
    }
    return pith_jinja_spend(j, n > 0 ? (size_t)n : 0);
}

static bool append_padded(pith_jinja *j, pith_jinja_buffer *b, const directive *d,
                          pith_jinja_value text) {
    int n = (int)pith_jinja_count_chars(&text);
    if (d->precision >= 0 && n > d->precision) {
        pith_jinja_value bounds[3] = {{.kind = PITH_JINJA_NONE},
                                      pith_jinja_int(d->precision),
                                      {.kind = PITH_JINJA_NONE}};
        if (!pith_jinja_slice(j, text, bounds, &text)) {
            return false;
        }
        n = d->precision;
    }
    return (d->left || pad(j, b, d->width - n, ' ')) && pith_jinja_append_value(j, b, &text) &&
           (!d->left || pad(j, b, d->width - n, ' '));
}

static bool append_number(pith_jinja *j, pith_jinja_buffer *b, const directive *d,
                          const char *digits, bool negative, pith_origin origin) {
    char sign = negative ? '-' : d->plus ? '+' : d->space ? ' ' : '\0';
    int n = (int)strlen(digits) + (sign != '\0');
    int gap = d->width - n;
    bool zeros = d->zero && !d->left;
    return (d->left || zeros || pad(j, b, gap, ' ')) &&
           (sign == '\0' || pith_jinja_append(j, b, &sign, 1, origin)) &&
           (!zeros || pad(j, b, gap, '0')) &&
           pith_jinja_append(j, b, digits, strlen(digits), origin) &&
           (!d->left || pad(j, b, gap, ' '));
}

static bool append_integer(pith_jinja *j, pith_jinja_buffer *b, const directive *d,
                           pith_jinja_value v) {
    int64_t integer;
    char digits[NUMBER];
    bool decimal = strchr("diu", d->type) != NULL;
    if (decimal && v.kind == PITH_JINJA_FLOAT && fabs(v.as.real) < 9e18) {
        integer = (int64_t)v.as.real;
    } else if (!pith_jinja_as_int(v, &integer)) {
        return pith_jinja_refuse(j, "%%%c of a %s", d->type, pith_jinja_type_name(v));
    }
    if (d->precision >= 0) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "%%.%d%c is not supported", d->precision,
                               d->type);
    }
    uint64_t size = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    snprintf(digits, sizeof digits,
             decimal          ? "%" PRIu64
             : d->type == 'x' ? "%" PRIx64
             : d->type == 'X' ? "%" PRIX64
                              : "%" PRIo64,
             size);
    return append_number(j, b, d, digits, integer < 0, (pith_origin)v.origin);
}

static bool append_real(pith_jinja *j, pith_jinja_buffer *b, const directive *d,
                        pith_jinja_value v) {
    char digits[NUMBER];
    if (!pith_jinja_is_number(v)) {
        return pith_jinja_refuse(j, "%%%c of a %s", d->type, pith_jinja_type_name(v));
    }
    double real = pith_jinja_as_real(v);
    if (!isfinite(real)) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "%%f of a number that is not finite");
    }
    snprintf(digits, sizeof digits, "%.*f", d->precision >= 0 ? d->precision : 6, fabs(real));
    for (char *s = digits; *s != '\0'; s++) {
        *s = isdigit((unsigned char)*s) ? *s : '.'; /* another locale's point */
    }
    return append_number(j, b, d, digits, signbit(real) != 0, (pith_origin)v.origin);
}

static bool append_one(pith_jinja *j, pith_jinja_buffer *b, const directive *d,
                       pith_jinja_value v) {
    pith_jinja_value text;
    switch (d->type) {
    case 's':
        return pith_jinja_str(j, v, &text) && append_padded(j, b, d, text);
    case 'r': {
        pith_jinja_buffer *shown = pith_jinja_buffer_new(j, 32);
        return shown != NULL && pith_jinja_repr(j, shown, v) &&
               append_padded(j, b, d, pith_jinja_finish(shown));
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        return append_integer(j, b, d, v);
    case 'f':
    case 'F':
        return append_real(j, b, d, v);
    default:
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "the format %%%c is not supported",
                               d->type);
    }
}

static bool read_number(pith_jinja *j, const char *text, size_t n, size_t *at, int most, int *out) {
    *out = 0;
    while (*at < n && isdigit((unsigned char)text[*at])) {
        *out = *out * 10 + (text[(*at)++] - '0');
        if (*out > most) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "a format wider than %d", most);
        }
    }
    return true;
}

static bool read_directive(pith_jinja *j, const char *text, size_t n, size_t *at, directive *d) {
    *d = (directive){.precision = -1};
    for (; *at < n; ++*at) {
        char c = text[*at];
        if (c == '-') {
            d->left = true;
        } else if (c == '0') {
            d->zero = true;
        } else if (c == '+') {
            d->plus = true;
        } else if (c == ' ') {
            d->space = true;
        } else {
            break;
        }
    }
    if (!read_number(j, text, n, at, MAX_WIDTH, &d->width)) {
        return false;
    }
    if (*at < n && text[*at] == '.') {
        ++*at;
        if (!read_number(j, text, n, at, MAX_PRECISION, &d->precision)) {
            return false;
        }
    }
    if (*at == n) {
        return pith_jinja_refuse(j, "an incomplete format");
    }
    d->type = text[(*at)++];
    return true;
}

typedef struct values {
    pith_jinja_value all;
    size_t next;
    bool named; /* a directive was looked up by name */
} values;

static bool next_value(pith_jinja *j, values *v, pith_jinja_value *out) {
    bool tuple = v->all.kind == PITH_JINJA_TUPLE;
    if (v->next >= (tuple ? v->all.as.list->n : 1)) {
        return pith_jinja_refuse(j, "not enough values for the format");
    }
    *out = tuple ? v->all.as.list->items[v->next] : v->all;
    v->next++;
    return true;
}

/* %(name)s */
static bool named_value(pith_jinja *j, values *v, pith_jinja_value text, size_t *at,
                        pith_jinja_value *out) {
    const char *bytes = pith_jinja_bytes(&text);
    const char *end = memchr(bytes + *at, ')', text.as.text.size - *at);
    if (end == NULL || v->all.kind != PITH_JINJA_DICT) {
        return pith_jinja_refuse(j, "the format needs a mapping");
    }
    size_t n = (size_t)(end - bytes) - *at;
    pith_jinja_value *found = pith_jinja_dict_text(v->all.as.dict, bytes + *at, n);
    if (found == NULL) {
        return pith_jinja_refuse(j, "the format's key is missing");
    }
    *at += n + 1;
    *out = *found;
    v->named = true;
    return true;
}

bool pith_jinja_percent(pith_jinja *j, pith_jinja_value text, pith_jinja_value value,
                        pith_jinja_value *out) {
    const char *bytes = pith_jinja_bytes(&text);
    size_t n = text.as.text.size;
    values given = {.all = value};
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, n + 16);
    if (b == NULL) {
        return false;
    }
    if (text.safe) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "formatting a safe string");
    }
    for (size_t at = 0; at < n;) {
        const char *mark = memchr(bytes + at, '%', n - at);
        size_t end = mark != NULL ? (size_t)(mark - bytes) : n;
        pith_jinja_value plain = pith_jinja_part(text, at, end - at);
        if (!pith_jinja_append_value(j, b, &plain) || !pith_jinja_spend(j, 1)) {
            return false;
        }
        if (end == n) {
            break;
        }
        at = end + 1;
        if (at < n && bytes[at] == '%') {
            plain = pith_jinja_part(text, at++, 1);
            if (!pith_jinja_append_value(j, b, &plain)) {
                return false;
            }
            continue;
        }
        pith_jinja_value one = pith_jinja_of_kind(PITH_JINJA_ABSENT);
        directive d;
        if (at < n && bytes[at] == '(') {
            at++;
            if (!named_value(j, &given, text, &at, &one)) {
                return false;
            }
        }
        if (!read_directive(j, bytes, n, &at, &d) ||
            (one.kind == PITH_JINJA_ABSENT && !next_value(j, &given, &one)) ||
            !append_one(j, b, &d, one)) {
            return false;
        }
    }
    size_t count = value.kind == PITH_JINJA_TUPLE ? value.as.list->n : 1;
    bool mapping = value.kind == PITH_JINJA_DICT || value.kind == PITH_JINJA_LIST ||
                   value.kind == PITH_JINJA_RANGE || value.kind == PITH_JINJA_UNDEFINED;
    if (given.next < count && !mapping && !given.named) {
        return pith_jinja_refuse(j, "not all values were used by the format");
    }
    *out = pith_jinja_finish(b);
    return true;
}

/* ---- text.format ----------------------------------------------------------------------------- */

/* The value of a field "", "0" or "name". */
static bool field_value(pith_jinja *j, const pith_jinja_args *args, const char *name, size_t n,
                        size_t *next, pith_jinja_value *out) {
    int64_t index = (int64_t)*next;
    bool large;
    bool number = n == 0 || pith_jinja_read_int(name, n, 10, &index, &large);
    if (memchr(name, '.', n) != NULL || memchr(name, '[', n) != NULL) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "format: fields with attributes");
    }
    if (number) {
        bool automatic = n == 0;
        if ((automatic && *next == SIZE_MAX) || (!automatic && *next != 0 && *next != SIZE_MAX)) {
            return pith_jinja_refuse(j, "format: numbered and other fields do not mix");
        }
        *next = automatic ? *next + 1 : SIZE_MAX;
        if (index < 0 || (size_t)index >= args->n) {
            return pith_jinja_refuse(j, "format: not enough values");
        }
        *out = args->items[index];
        return true;
    }
    for (size_t i = 0; i < args->n_named; i++) {
        const pith_jinja_value *key = &args->named[i].name;
        if (key->as.text.size == n && memcmp(pith_jinja_bytes(key), name, n) == 0) {
            *out = args->named[i].value;
            return true;
        }
    }
    return pith_jinja_refuse(j, "format: no value named '%.*s'", (int)n, name);
}

static bool append_field(pith_jinja *j, pith_jinja_buffer *b, const pith_jinja_args *args,
                         const char *field, size_t n, size_t *next) {
    pith_jinja_value value;
    bool shown = n >= 2 && field[n - 2] == '!' && (field[n - 1] == 'r' || field[n - 1] == 's');
    bool quoted = shown && field[n - 1] == 'r';
    n -= shown ? 2 : 0;
    if (memchr(field, ':', n) != NULL || memchr(field, '!', n) != NULL ||
        memchr(field, '{', n) != NULL) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "format: fields with a specification");
    }
    if (!field_value(j, args, field, n, next, &value)) {
        return false;
    }
    if (quoted) {
        return pith_jinja_repr(j, b, value);
    }
    return pith_jinja_str(j, value, &value) && pith_jinja_append_value(j, b, &value);
}

bool pith_jinja_format(pith_jinja *j, pith_jinja_value text, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    const char *bytes = pith_jinja_bytes(&text);
    size_t n = text.as.text.size;
    size_t next = 0;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, n + 16);
    if (b == NULL || !pith_jinja_spend(j, n / 4)) {
        return false;
    }
    for (size_t at = 0; at < n; at++) {
        char c = bytes[at];
        pith_jinja_value one = pith_jinja_part(text, at, 1);
        bool doubled = (c == '{' || c == '}') && at + 1 < n && bytes[at + 1] == c;
        if (doubled || (c != '{' && c != '}')) {
            at += doubled;
            if (!pith_jinja_append_value(j, b, &one)) {
                return false;
            }
            continue;
        }
        const char *end = c == '{' ? memchr(bytes + at, '}', n - at) : NULL;
        if (end == NULL) {
            return pith_jinja_refuse(j, "format: a single '%c'", c);
        }
        size_t size = (size_t)(end - bytes) - at - 1;
        if (!append_field(j, b, args, bytes + at + 1, size, &next) || !pith_jinja_spend(j, 1)) {
            return false;
        }
        at += size + 1;
    }
    *out = pith_jinja_finish(b);
    return true;
}
