/* Jinja's filters of single values; those of sequences are in jinja_sequences.c. */
#include "tokenizer/jinja_parts.h"

#include <math.h>
#include <string.h>

typedef pith_jinja_filter_fn filter_fn;

static bool given(pith_jinja_value v) {
    return v.kind != PITH_JINJA_ABSENT;
}

/* The value as a string, as soft_str returns it; refuses arguments. */
static bool plain_text(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return pith_jinja_bind(j, args, NULL, 0, NULL) && pith_jinja_str(j, v, out);
}

static bool case_filter(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args, char mode,
                        pith_jinja_value *out) {
    pith_jinja_value text;
    return plain_text(j, v, args, &text) && pith_jinja_change_case(j, &text, mode, out);
}

static bool filter_upper(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    return case_filter(j, v, args, 'u', out);
}

static bool filter_lower(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    return case_filter(j, v, args, 'l', out);
}

static bool filter_capitalize(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                              pith_jinja_value *out) {
    return case_filter(j, v, args, 'c', out);
}

static bool filter_title(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    bool ok = case_filter(j, v, args, 'T', out);
    out->safe = false;
    return ok;
}

static bool filter_string(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    return plain_text(j, v, args, out);
}

static bool filter_safe(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    bool ok = plain_text(j, v, args, out);
    out->safe = true;
    return ok;
}

static bool filter_trim(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    static const char *const names[] = {"chars"};
    pith_jinja_value chars;
    pith_jinja_value text;
    return pith_jinja_bind(j, args, names, 1, &chars) && pith_jinja_str(j, v, &text) &&
           pith_jinja_strip(j, &text, chars, true, true, out);
}

static bool filter_replace(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                           pith_jinja_value *out) {
    static const char *const names[] = {"old", "new", "count"};
    pith_jinja_value bound[3];
    int64_t count = -1;
    if (!pith_jinja_bind(j, args, names, 3, bound)) {
        return false;
    }
    if (!given(bound[0]) || !given(bound[1])) {
        return pith_jinja_refuse(j, "replace needs two arguments");
    }
    if (bound[2].kind > PITH_JINJA_NONE && !pith_jinja_as_int(bound[2], &count)) {
        return pith_jinja_refuse(j, "replace: the count is no integer");
    }
    bool ok = pith_jinja_str(j, v, &v) && pith_jinja_str(j, bound[0], &bound[0]) &&
              pith_jinja_str(j, bound[1], &bound[1]) &&
              pith_jinja_replace(j, v, bound[0], bound[1], count, out);
    out->safe = false;
    return ok;
}

static bool filter_default(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                           pith_jinja_value *out) {
    static const char *const names[] = {"default_value", "boolean"};
    pith_jinja_value bound[2];
    if (!pith_jinja_bind(j, args, names, 2, bound)) {
        return false;
    }
    bool replaced =
        v.kind == PITH_JINJA_UNDEFINED || (pith_jinja_truth(bound[1]) && !pith_jinja_truth(v));
    if (replaced && !given(bound[0])) {
        return pith_jinja_borrow(j, "", 0, PITH_ORIGIN_TEMPLATE, out);
    }
    *out = replaced ? bound[0] : v;
    return true;
}

static bool filter_length(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    size_t n = 0;
    bool ok = pith_jinja_bind(j, args, NULL, 0, NULL) && pith_jinja_length(j, v, &n);
    *out = pith_jinja_int((int64_t)n);
    return ok;
}

static bool filter_abs(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    if (!pith_jinja_bind(j, args, NULL, 0, NULL)) {
        return false;
    }
    if (!pith_jinja_is_number(v)) {
        return pith_jinja_refuse(j, "abs of a %s", pith_jinja_type_name(v));
    }
    bool negative =
        v.kind == PITH_JINJA_FLOAT ? signbit(v.as.real) != 0 : pith_jinja_as_real(v) < 0;
    return pith_jinja_unary(j, negative ? '-' : '+', v, out);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

/* int(float), where there is one. */
static bool truncate_real(pith_jinja *j, double real, bool *fits, int64_t *out) {
    *fits = isfinite(real);
    if (!*fits) {
        return true;
    }
    if (fabs(real) >= 9223372036854775808.0) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "int: an integer beyond 64 bits");
    }
    *out = (int64_t)real;
    return true;
}

static bool filter_int(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    static const char *const names[] = {"default", "base"};
    pith_jinja_value bound[2];
    int64_t base = 10;
    int64_t integer = 0;
    bool fits = false;
    bool large = false;
    double real = 0;
    if (!pith_jinja_bind(j, args, names, 2, bound)) {
        return false;
    }
    if (given(bound[1]) && (!pith_jinja_as_int(bound[1], &base) ||
                            (base != 2 && base != 8 && base != 10 && base != 16))) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "int: that base is not supported");
    }
    if (v.kind == PITH_JINJA_STRING) {
        const char *text = pith_jinja_bytes(&v);
        fits = pith_jinja_read_int(text, v.as.text.size, (int)base, &integer, &large);
        if (large) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "int: an integer beyond 64 bits");
        }
        if (!fits && pith_jinja_read_real(text, v.as.text.size, &real) &&
            !truncate_real(j, real, &fits, &integer)) {
            return false;
        }
    } else if (v.kind == PITH_JINJA_FLOAT) {
        if (isinf(v.as.real)) {
            return pith_jinja_refuse(j, "int: infinity is no integer");
        }
        if (!truncate_real(j, v.as.real, &fits, &integer)) {
            return false;
        }
    } else if (v.kind == PITH_JINJA_UNDEFINED) {
        return pith_jinja_refuse(j, "'%.*s' is undefined", (int)v.as.missing.size,
                                 v.as.missing.name);
    } else {
        fits = pith_jinja_as_int(v, &integer);
    }
    *out = pith_jinja_int(integer);
    out->origin = v.origin;
    if (!fits) {
        *out = given(bound[0]) ? bound[0] : pith_jinja_int(0);
    }
    return true;
}

static bool filter_float(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    static const char *const names[] = {"default"};
    pith_jinja_value otherwise;
    double real = 0;
    if (!pith_jinja_bind(j, args, names, 1, &otherwise)) {
        return false;
    }
    if (v.kind == PITH_JINJA_UNDEFINED) {
        return pith_jinja_refuse(j, "'%.*s' is undefined", (int)v.as.missing.size,
                                 v.as.missing.name);
    }
    bool fits = pith_jinja_is_number(v);
    if (fits) {
        real = pith_jinja_as_real(v);
    } else if (v.kind == PITH_JINJA_STRING) {
        fits = pith_jinja_read_real(pith_jinja_bytes(&v), v.as.text.size, &real);
    }
    *out = pith_jinja_real(real);
    if (!fits && given(otherwise)) {
        *out = otherwise;
    }
    return true;
}

/* ---- indent, tojson, format ------------------------------------------------------------------ */

/* `n` spaces. */
static bool spaces(pith_jinja *j, int64_t n, pith_jinja_value *out) {
    pith_jinja_value one;
    return pith_jinja_borrow(j, " ", 1, PITH_ORIGIN_TEMPLATE, &one) &&
           pith_jinja_binary(j, '*', one, pith_jinja_int(n), out);
}

/* A string, or that many spaces. */
static bool indentation(pith_jinja *j, pith_jinja_value width, int64_t otherwise,
                        pith_jinja_value *out) {
    int64_t n = otherwise;
    if (width.kind == PITH_JINJA_STRING) {
        *out = width;
        return true;
    }
    if (given(width) && !pith_jinja_as_int(width, &n)) {
        return pith_jinja_refuse(j, "indent: a %s is no width", pith_jinja_type_name(width));
    }
    return spaces(j, n, out);
}

static bool append_lines(pith_jinja *j, pith_jinja_buffer *b, const pith_jinja_list *lines,
                         const pith_jinja_value *indent, bool first, bool blank) {
    for (size_t i = 0; i < lines->n; i++) {
        bool empty = lines->items[i].as.text.size == 0;
        bool indented = i == 0 ? first : blank || !empty;
        if (!pith_jinja_spend(j, 1) ||
            (i > 0 && !pith_jinja_append(j, b, "\n", 1, PITH_ORIGIN_TEMPLATE)) ||
            (indented && !pith_jinja_append_value(j, b, indent)) ||
            !pith_jinja_append_value(j, b, &lines->items[i])) {
            return false;
        }
    }
    return true;
}

static bool filter_indent(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    static const char *const names[] = {"width", "first", "blank"};
    pith_jinja_value bound[3];
    pith_jinja_value indent;
    pith_jinja_value lines;
    if (!pith_jinja_bind(j, args, names, 3, bound) || !indentation(j, bound[0], 4, &indent)) {
        return false;
    }
    if (v.kind != PITH_JINJA_STRING || v.safe || indent.safe) {
        return pith_jinja_refuse(j, "indent of a %s", pith_jinja_type_name(v));
    }
    pith_jinja_value newline;
    if (!pith_jinja_borrow(j, "\n", 1, PITH_ORIGIN_TEMPLATE, &newline) ||
        !pith_jinja_concat(j, v, newline, &v) || !pith_jinja_split_lines(j, &v, &lines)) {
        return false;
    }
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, (size_t)v.as.text.size * 2);
    if (b == NULL || !append_lines(j, b, lines.as.list, &indent, pith_jinja_truth(bound[1]),
                                   pith_jinja_truth(bound[2]))) {
        return false;
    }
    *out = pith_jinja_finish(b);
    return true;
}

static bool json_separators(pith_jinja *j, pith_jinja_value v, pith_jinja_json_style *style) {
    const char *item = style->indented ? "," : ", ";
    if (v.kind > PITH_JINJA_NONE) {
        pith_jinja_value *items;
        size_t n;
        if (!pith_jinja_iterate(j, v, &items, &n)) {
            return false;
        }
        if (n != 2 || items[0].kind != PITH_JINJA_STRING || items[1].kind != PITH_JINJA_STRING) {
            return pith_jinja_refuse(j, "tojson: separators must be two strings");
        }
        style->item = items[0];
        style->key = items[1];
        return true;
    }
    return pith_jinja_borrow(j, item, strlen(item), PITH_ORIGIN_DATA, &style->item) &&
           pith_jinja_borrow(j, ": ", 2, PITH_ORIGIN_DATA, &style->key);
}

static bool filter_tojson(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    static const char *const names[] = {"ensure_ascii", "indent", "separators", "sort_keys"};
    pith_jinja_value bound[4];
    pith_jinja_json_style style = {.ascii = false};
    if (!pith_jinja_bind(j, args, names, 4, bound)) {
        return false;
    }
    style.ascii = pith_jinja_truth(bound[0]);
    style.sort = pith_jinja_truth(bound[3]);
    style.indented = bound[1].kind > PITH_JINJA_NONE;
    if (style.indented && !indentation(j, bound[1], 0, &style.indent)) {
        return false;
    }
    return json_separators(j, bound[2], &style) && pith_jinja_to_json(j, v, &style, out);
}

/* "%s and %s"|format(a, b). */
static bool filter_format(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    pith_jinja_value values;
    if (args->n_named > 0) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "format with keywords is not supported");
    }
    if (!pith_jinja_list_new(j, PITH_JINJA_TUPLE, args->n, &values) || !pith_jinja_str(j, v, &v)) {
        return false;
    }
    for (size_t i = 0; i < args->n; i++) {
        values.as.list->items[i] = args->items[i];
    }
    return pith_jinja_percent(j, v, values, out);
}

static bool filter_attr(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    static const char *const names[] = {"name"};
    pith_jinja_value name;
    if (!pith_jinja_bind(j, args, names, 1, &name)) {
        return false;
    }
    if (name.kind != PITH_JINJA_STRING || v.kind == PITH_JINJA_UNDEFINED) {
        return pith_jinja_refuse(j, "attr of a %s", pith_jinja_type_name(v));
    }
    const char *text = pith_jinja_bytes(&name);
    /* Attributes only: what a dictionary holds is none. */
    if (v.kind == PITH_JINJA_DICT) {
        pith_jinja_value empty;
        if (!pith_jinja_dict_new(j, &empty) ||
            !pith_jinja_attribute(j, empty, text, name.as.text.size, out)) {
            return false;
        }
        return out->kind == PITH_JINJA_UNDEFINED ||
               pith_jinja_attribute(j, v, text, name.as.text.size, out);
    }
    return pith_jinja_attribute(j, v, text, name.as.text.size, out);
}

static const struct filter {
    const char *name;
    filter_fn fn;
} filters[] = {
    {"abs", filter_abs},         {"attr", filter_attr},     {"capitalize", filter_capitalize},
    {"count", filter_length},    {"d", filter_default},     {"default", filter_default},
    {"float", filter_float},     {"format", filter_format}, {"indent", filter_indent},
    {"int", filter_int},         {"length", filter_length}, {"lower", filter_lower},
    {"replace", filter_replace}, {"safe", filter_safe},     {"string", filter_string},
    {"title", filter_title},     {"tojson", filter_tojson}, {"trim", filter_trim},
    {"upper", filter_upper},
};

static filter_fn find_filter(const char *name) {
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (strcmp(filters[i].name, name) == 0) {
            return filters[i].fn;
        }
    }
    return pith_jinja_find_sequence_filter(name);
}

bool pith_jinja_filter_exists(const char *name) {
    return find_filter(name) != NULL;
}

bool pith_jinja_filter(pith_jinja *j, const char *name, pith_jinja_value value,
                       const pith_jinja_args *args, pith_jinja_value *out) {
    filter_fn fn = find_filter(name);
    pith_jinja_args named = *args;
    named.what = name;
    *out = pith_jinja_of_kind(PITH_JINJA_NONE);
    return fn != NULL ? fn(j, value, &named, out)
                      : pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "no filter named '%.60s'", name);
}
