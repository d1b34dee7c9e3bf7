/* The functions a chat template may call, calls in general, and dates. */
#include "tokenizer/jinja_parts.h"

#include <stdio.h>
#include <string.h>

bool pith_jinja_bind(pith_jinja *j, const pith_jinja_args *args, const char *const *names, size_t n,
                     pith_jinja_value *out) {
    if (args->n > n) {
        return pith_jinja_refuse(j, "%s takes at most %zu arguments, not %zu", args->what, n,
                                 args->n);
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = i < args->n ? args->items[i] : pith_jinja_of_kind(PITH_JINJA_ABSENT);
    }
    for (size_t k = 0; k < args->n_named; k++) {
        size_t i = 0;
        while (i < n && !pith_jinja_is_text(&args->named[k].name, names[i])) {
            i++;
        }
        if (i == n || out[i].kind != PITH_JINJA_ABSENT) {
            return pith_jinja_refuse(j, "%s: unexpected keyword '%.*s'", args->what,
                                     (int)args->named[k].name.as.text.size,
                                     pith_jinja_bytes(&args->named[k].name));
        }
        out[i] = args->named[k].value;
    }
    return true;
}

/* ---- Functions ------------------------------------------------------------------------------- */

static bool call_range(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out) {
    int64_t bounds[3] = {0, 0, 1};
    if (args->n_named > 0 || args->n < 1 || args->n > 3) {
        return pith_jinja_refuse(j, "range takes one to three arguments");
    }
    for (size_t i = 0; i < args->n; i++) {
        if (!pith_jinja_as_int(args->items[i], &bounds[args->n == 1 ? 1 : i])) {
            return pith_jinja_refuse(j, "range: a %s is no integer",
                                     pith_jinja_type_name(args->items[i]));
        }
    }
    int64_t step = bounds[2];
    if (step == 0) {
        return pith_jinja_refuse(j, "range: the step must not be 0");
    }
    bool back = step < 0;
    bool empty = back ? bounds[1] >= bounds[0] : bounds[0] >= bounds[1];
    uint64_t span = back ? (uint64_t)bounds[0] - (uint64_t)bounds[1]
                         : (uint64_t)bounds[1] - (uint64_t)bounds[0];
    uint64_t stride = back ? 0 - (uint64_t)step : (uint64_t)step;
    uint64_t n = empty ? 0 : (span - 1) / stride + 1;
    if (n > PITH_JINJA_MAX_RANGE) {
        return pith_jinja_refuse(j, "range of more than %d numbers", PITH_JINJA_MAX_RANGE);
    }
    if (!pith_jinja_list_new(j, PITH_JINJA_RANGE, (size_t)n, out)) {
        return false;
    }
    out->as.list->start = bounds[0];
    out->as.list->stop = bounds[1];
    out->as.list->step = step;
    for (uint64_t i = 0; i < n; i++) {
        out->as.list->items[i] =
            pith_jinja_int((int64_t)((uint64_t)bounds[0] + i * (uint64_t)step));
    }
    return true;
}

/* Fills a dictionary from dict(mapping or pairs, key=value...). */
static bool fill(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out) {
    if (args->n > 1) {
        return pith_jinja_refuse(j, "%s takes at most one value without a name", args->what);
    }
    if (!pith_jinja_dict_new(j, out)) {
        return false;
    }
    pith_jinja_dict *d = out->as.dict;
    if (args->n == 1 && args->items[0].kind == PITH_JINJA_DICT) {
        const pith_jinja_dict *from = args->items[0].as.dict;
        for (size_t i = 0; i < from->n; i++) {
            if (!pith_jinja_dict_put(j, d, from->entries[i].key, from->entries[i].value)) {
                return false;
            }
        }
    } else if (args->n == 1) {
        pith_jinja_value *pairs;
        size_t n;
        if (!pith_jinja_iterate(j, args->items[0], &pairs, &n)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            pith_jinja_value *pair;
            size_t two;
            if (!pith_jinja_iterate(j, pairs[i], &pair, &two)) {
                return false;
            }
            if (two != 2) {
                return pith_jinja_refuse(j, "%s: an item is no pair", args->what);
            }
            if (!pith_jinja_dict_put(j, d, pair[0], pair[1])) {
                return false;
            }
        }
    }
    for (size_t i = 0; i < args->n_named; i++) {
        if (!pith_jinja_dict_put(j, d, args->named[i].name, args->named[i].value)) {
            return false;
        }
    }
    return true;
}

static bool call_dict(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out) {
    return fill(j, args, out);
}

static bool call_namespace(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out) {
    bool ok = fill(j, args, out);
    out->kind = PITH_JINJA_NAMESPACE;
    return ok;
}

static bool call_raise(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out) {
    static const char *const names[] = {"message"};
    pith_jinja_value message;
    pith_jinja_value text;
    (void)out;
    if (!pith_jinja_bind(j, args, names, 1, &message)) {
        return false;
    }
    if (message.kind == PITH_JINJA_ABSENT || !pith_jinja_str(j, message, &text)) {
        return pith_jinja_refuse(j, "raise_exception");
    }
    return pith_jinja_refuse(j, "%.*s", (int)(text.as.text.size < 400 ? text.as.text.size : 400),
                             pith_jinja_bytes(&text));
}

static bool call_strftime(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value *out) {
    static const char *const names[] = {"format"};
    pith_jinja_value format;
    if (!pith_jinja_bind(j, args, names, 1, &format)) {
        return false;
    }
    if (format.kind != PITH_JINJA_STRING) {
        return pith_jinja_refuse(j, "strftime_now needs a string");
    }
    return pith_jinja_strftime(j, format, out);
}

const pith_jinja_function *pith_jinja_find_function(const char *name) {
    static const pith_jinja_function functions[] = {
        {"range", call_range},           {"dict", call_dict},
        {"namespace", call_namespace},   {"raise_exception", call_raise},
        {"strftime_now", call_strftime},
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (strcmp(functions[i].name, name) == 0) {
            return &functions[i];
        }
    }
    return NULL;
}

/* ---- Calls ----------------------------------------------------------------------------------- */

/* {{ loop(children) }} of a recursive loop: its block over other items, as text. */
static bool call_loop(pith_jinja *j, const pith_jinja_loop *loop, const pith_jinja_args *args,
                      pith_jinja_value *out) {
    static const char *const names[] = {"iterable"};
    pith_jinja_value items;
    if (!pith_jinja_bind(j, args, names, 1, &items)) {
        return false;
    }
    if (!loop->node->flag || items.kind == PITH_JINJA_ABSENT) {
        return pith_jinja_refuse(j, "this loop is not recursive");
    }
    pith_jinja_buffer *outer = j->output;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, 64);
    j->output = b;
    bool ok = b != NULL && pith_jinja_run_for(j, loop->node, loop->scope, items, loop->depth0 + 1);
    j->output = outer;
    if (ok) {
        *out = pith_jinja_finish(b);
    }
    return ok;
}

bool pith_jinja_call(pith_jinja *j, pith_jinja_value callee, pith_jinja_args *args,
                     pith_jinja_value *out) {
    switch ((pith_jinja_kind)callee.kind) {
    case PITH_JINJA_FUNCTION:
        args->what = callee.as.function->name;
        return callee.as.function->fn(j, args, out);
    case PITH_JINJA_METHOD:
        return pith_jinja_call_method(j, callee.as.method, args, out);
    case PITH_JINJA_MACRO:
        return pith_jinja_call_macro(j, callee.as.macro, args, out);
    case PITH_JINJA_LOOP:
        args->what = "loop";
        return call_loop(j, callee.as.loop, args, out);
    case PITH_JINJA_UNDEFINED:
        return pith_jinja_refuse(j, "'%.*s' is undefined", (int)callee.as.missing.size,
                                 callee.as.missing.name);
    default:
        return pith_jinja_refuse(j, "a %s cannot be called", pith_jinja_type_name(callee));
    }
}

/* ---- Dates ----------------------------------------------------------------------------------- */

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* Days since January 1st, from 0. */
static int day_of_year(const pith_template_time *t) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (t->year % 4 == 0 && t->year % 100 != 0) || t->year % 400 == 0;
    return before[t->month - 1] + t->day - 1 + (leap && t->month > 2);
}

/* 0: Sunday (Zeller). */
static int day_of_week(const pith_template_time *t) {
    static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    int year = t->year - (t->month < 3);
    return (year + year / 4 - year / 100 + year / 400 + shift[t->month - 1] + t->day) % 7;
}

typedef struct date_text {
    char text[64];
} date_text;

/* A number with leading zeros, or with `sign` '-' without. */
static date_text number(int value, int width, char sign, char fill) {
    date_text out;
    snprintf(out.text, sizeof out.text,
             sign == '-'   ? "%d"
             : fill == ' ' ? "%*d"
                           : "%0*d",
             sign == '-' ? value : width, value);
    return out;
}

static date_text word(const char *name, int n) {
    date_text out;
    snprintf(out.text, sizeof out.text, "%.*s", n, name);
    return out;
}

static bool one_directive(const pith_template_time *t, char c, char sign, date_text *out) {
    int hour = t->hour % 12 == 0 ? 12 : t->hour % 12;
    const char *month = months[t->month - 1];
    const char *day = days[day_of_week(t)];
    switch (c) {
    case 'Y':
        *out = number(t->year, 1, '-', '0');
        return true;
    case 'y':
        *out = number(t->year % 100, 2, sign, '0');
        return true;
    case 'm':
        *out = number(t->month, 2, sign, '0');
        return true;
    case 'd':
        *out = number(t->day, 2, sign, '0');
        return true;
    case 'e':
        *out = number(t->day, 2, sign, ' ');
        return true;
    case 'H':
        *out = number(t->hour, 2, sign, '0');
        return true;
    case 'I':
        *out = number(hour, 2, sign, '0');
        return true;
    case 'M':
        *out = number(t->minute, 2, sign, '0');
        return true;
    case 'S':
        *out = number(t->second, 2, sign, '0');
        return true;
    case 'f':
        *out = number(t->micros, 6, '0', '0');
        return true;
    case 'j':
        *out = number(day_of_year(t) + 1, 3, sign, '0');
        return true;
    case 'u':
        *out = number((day_of_week(t) + 6) % 7 + 1, 1, sign, '0');
        return true;
    case 'w':
        *out = number(day_of_week(t), 1, sign, '0');
        return true;
    case 'p':
        *out = word(t->hour < 12 ? "AM" : "PM", 2);
        return true;
    case 'B':
        *out = word(month, 20);
        return true;
    case 'b':
    case 'h':
        *out = word(month, 3);
        return true;
    case 'A':
        *out = word(day, 20);
        return true;
    case 'a':
        *out = word(day, 3);
        return true;
    case 'Z':
    case 'z':
        *out = word("", 0);
        return true;
    case 'n':
        *out = word("\n", 1);
        return true;
    case 't':
        *out = word("\t", 1);
        return true;
    case '%':
        *out = word("%", 1);
        return true;
    default:
        return false;
    }
}

bool pith_jinja_strftime(pith_jinja *j, pith_jinja_value format, pith_jinja_value *out) {
    static const char *const longer[] = {"F%Y-%m-%d",
                                         "T%H:%M:%S",
                                         "R%H:%M",
                                         "D%m/%d/%y",
                                         "x%m/%d/%y",
                                         "X%H:%M:%S",
                                         "c%a %b %e %H:%M:%S %Y"};
    const pith_template_time *t = j->input->now;
    if (t == NULL) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "strftime_now: there is no clock here");
    }
    const char *text = pith_jinja_bytes(&format);
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, 64);
    for (size_t i = 0; b != NULL && i < format.as.text.size; i++) {
        pith_origin origin;
        pith_jinja_piece(&format, i, &origin);
        date_text shown;
        if (text[i] != '%' || i + 1 == format.as.text.size) {
            if (!pith_jinja_append(j, b, text + i, 1, origin)) {
                return false;
            }
            continue;
        }
        char sign = text[++i] == '-' && i + 1 < format.as.text.size ? text[i++] : '\0';
        const char *inner = NULL;
        for (size_t k = 0; k < sizeof longer / sizeof longer[0]; k++) {
            inner = longer[k][0] == text[i] ? longer[k] + 1 : inner;
        }
        char one[3] = {'%', text[i], '\0'};
        for (const char *s = inner != NULL ? inner : one; *s != '\0'; s++) {
            bool directive = *s == '%' && s[1] != '\0';
            if (directive && !one_directive(t, *++s, sign, &shown)) {
                return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED,
                                       "strftime_now: %%%c is not supported", *s);
            }
            if (!directive) {
                shown = word(s, 1);
            }
            if (!pith_jinja_append(j, b, shown.text, strlen(shown.text), origin)) {
                return false;
            }
        }
    }
    if (b != NULL) {
        *out = pith_jinja_finish(b);
    }
    return b != NULL;
}
