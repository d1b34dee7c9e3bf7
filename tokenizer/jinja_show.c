/* Values as text: Python's str and repr, and JSON as transformers' own tojson filter writes it. */
#include "tokenizer/jinja_parts.h"

#include "base/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

enum { ESCAPE = 16 /* bytes of the longest escape: U+1F600 as two surrogates */ };

/* Punctuation around data counts as data: it is never part of a control token. */
static bool put(pith_jinja *j, pith_jinja_buffer *b, const char *text) {
    return pith_jinja_append(j, b, text, strlen(text), PITH_ORIGIN_DATA);
}

static bool put_scalar(pith_jinja *j, pith_jinja_buffer *b, pith_jinja_value v) {
    char text[PITH_JINJA_REAL_SIZE];
    size_t n;
    if (v.kind == PITH_JINJA_FLOAT) {
        n = pith_jinja_show_real(v.as.real, text);
    } else if (v.kind == PITH_JINJA_INT) {
        n = (size_t)snprintf(text, sizeof text, "%" PRId64, v.as.integer);
    } else {
        const char *word = v.kind == PITH_JINJA_NONE ? "None" : v.as.truth ? "True" : "False";
        n = (size_t)snprintf(text, sizeof text, "%s", word);
    }
    return pith_jinja_append(j, b, text, n, (pith_origin)v.origin);
}

/* ---- repr ------------------------------------------------------------------------------------ */

/* str.isprintable of one character. */
static bool is_printable(uint32_t code) {
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    case UTF8PROC_CATEGORY_ZS:
        return code == ' ';
    default:
        return true;
    }
}

/* The escape of a character in repr; 0: it stands for itself. */
static size_t escape_repr(uint32_t code, char quote, char out[ESCAPE]) {
    static const char special[] = "\n\r\t\\";
    static const char letters[] = "nrt\\";
    const char *found = code > 0 && code < 0x80 ? strchr(special, (int)code) : NULL;
    if (found != NULL) {
        return (size_t)snprintf(out, ESCAPE, "\\%c", letters[found - special]);
    }
    if (code == (unsigned char)quote) {
        return (size_t)snprintf(out, ESCAPE, "\\%c", quote);
    }
    if (is_printable(code)) {
        return 0;
    }
    return (size_t)snprintf(out, ESCAPE,
                            code < 0x100     ? "\\x%02x"
                            : code < 0x10000 ? "\\u%04x"
                                             : "\\U%08x",
                            (unsigned)code);
}

typedef size_t (*escape_fn)(uint32_t code, char quote, char out[ESCAPE]);

/* A string character by character, each with its origin. */
static bool put_escaped(pith_jinja *j, pith_jinja_buffer *b, const pith_jinja_value *v, char quote,
                        escape_fn escape) {
    const char *text = pith_jinja_bytes(v);
    if (!pith_jinja_spend(j, v->as.text.size / 8) ||
        !pith_jinja_append(j, b, &quote, 1, PITH_ORIGIN_DATA)) {
        return false;
    }
    for (size_t at = 0; at < v->as.text.size;) {
        pith_origin origin;
        size_t end = at + pith_jinja_piece(v, at, &origin);
        size_t plain = at;
        while (at < end) {
            char escaped[ESCAPE];
            size_t n = escape(pith_utf8_decode(text + at), quote, escaped);
            if (n > 0) {
                if (!pith_jinja_append(j, b, text + plain, at - plain, origin) ||
                    !pith_jinja_append(j, b, escaped, n, origin)) {
                    return false;
                }
                plain = at + pith_utf8_length(text[at]);
            }
            at += pith_utf8_length(text[at]);
        }
        if (!pith_jinja_append(j, b, text + plain, at - plain, origin)) {
            return false;
        }
    }
    return pith_jinja_append(j, b, &quote, 1, PITH_ORIGIN_DATA);
}

static bool repr_list(pith_jinja *j, pith_jinja_buffer *b, pith_jinja_value v) {
    const pith_jinja_list *list = v.as.list;
    bool tuple = v.kind == PITH_JINJA_TUPLE;
    if (v.kind == PITH_JINJA_VIEW && !(put(j, b, list->name) && put(j, b, "("))) {
        return false;
    }
    if (!put(j, b, tuple ? "(" : "[")) {
        return false;
    }
    for (size_t i = 0; i < list->n; i++) {
        if ((i > 0 && !put(j, b, ", ")) || !pith_jinja_repr(j, b, list->items[i])) {
            return false;
        }
    }
    return put(j, b, tuple ? (list->n == 1 ? ",)" : ")") : "]") &&
           (v.kind != PITH_JINJA_VIEW || put(j, b, ")"));
}

static bool repr_dict(pith_jinja *j, pith_jinja_buffer *b, pith_jinja_value v) {
    bool space = v.kind == PITH_JINJA_NAMESPACE;
    if (!put(j, b, space ? "<Namespace {" : "{")) {
        return false;
    }
    for (size_t i = 0; i < v.as.dict->n; i++) {
        if ((i > 0 && !put(j, b, ", ")) || !pith_jinja_repr(j, b, v.as.dict->entries[i].key) ||
            !put(j, b, ": ") || !pith_jinja_repr(j, b, v.as.dict->entries[i].value)) {
            return false;
        }
    }
    return put(j, b, space ? "}>" : "}");
}

static bool repr_range(pith_jinja *j, pith_jinja_buffer *b, const pith_jinja_list *range) {
    char text[100];
    int n = snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64, range->start, range->stop);
    if (range->step != 1) {
        n += snprintf(text + n, sizeof text - (size_t)n, ", %" PRId64, range->step);
    }
    snprintf(text + n, sizeof text - (size_t)n, ")");
    return put(j, b, text);
}

static bool repr_inner(pith_jinja *j, pith_jinja_buffer *b, pith_jinja_value v) {
    switch ((pith_jinja_kind)v.kind) {
    case PITH_JINJA_STRING: {
        if (v.safe) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "showing a safe string in a list");
        }
        const char *text = pith_jinja_bytes(&v);
        bool doubled =
            memchr(text, '\'', v.as.text.size) != NULL && memchr(text, '"', v.as.text.size) == NULL;
        return put_escaped(j, b, &v, doubled ? '"' : '\'', escape_repr);
    }
    case PITH_JINJA_LIST:
    case PITH_JINJA_TUPLE:
    case PITH_JINJA_VIEW:
        return repr_list(j, b, v);
    case PITH_JINJA_RANGE:
        return repr_range(j, b, v.as.list);
    case PITH_JINJA_DICT:
    case PITH_JINJA_NAMESPACE:
        return repr_dict(j, b, v);
    case PITH_JINJA_UNDEFINED:
        return put(j, b, "Undefined");
    case PITH_JINJA_NONE:
    case PITH_JINJA_BOOL:
    case PITH_JINJA_INT:
    case PITH_JINJA_FLOAT:
        return put_scalar(j, b, v);
    default:
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "writing a %s is not supported",
                               pith_jinja_type_name(v));
    }
}

bool pith_jinja_repr(pith_jinja *j, pith_jinja_buffer *b, pith_jinja_value v) {
    bool ok = pith_jinja_deeper(j) && repr_inner(j, b, v);
    j->depth--;
    return ok;
}

bool pith_jinja_str(pith_jinja *j, pith_jinja_value v, pith_jinja_value *out) {
    enum { SHORT = 32 };
    if (v.kind == PITH_JINJA_STRING) {
        *out = v;
        return true;
    }
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, SHORT);
    if (b == NULL || (v.kind != PITH_JINJA_UNDEFINED && !pith_jinja_repr(j, b, v))) {
        return false;
    }
    *out = pith_jinja_finish(b);
    return true;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static size_t escape_json(uint32_t code, char quote, char out[ESCAPE]) {
    static const char special[] = "\"\\\n\r\t\f\b";
    static const char letters[] = "\"\\nrtfb";
    (void)quote;
    const char *found = code > 0 && code < 0x80 ? strchr(special, (int)code) : NULL;
    if (found != NULL) {
        return (size_t)snprintf(out, ESCAPE, "\\%c", letters[found - special]);
    }
    return code < 0x20 ? (size_t)snprintf(out, ESCAPE, "\\u%04x", (unsigned)code) : 0;
}

static size_t escape_json_ascii(uint32_t code, char quote, char out[ESCAPE]) {
    if (code <= 0x7F) {
        return escape_json(code, quote, out);
    }
    if (code < 0x10000) {
        return (size_t)snprintf(out, ESCAPE, "\\u%04x", (unsigned)code);
    }
    return (size_t)snprintf(out, ESCAPE, "\\u%04x\\u%04x", (unsigned)(0xD7C0 + (code >> 10)),
                            (unsigned)(0xDC00 + (code & 0x3FF)));
}

typedef struct json_writer {
    pith_jinja *j;
    pith_jinja_buffer *b;
    const pith_jinja_json_style *style;
    size_t level;
} json_writer;

static bool json_value(json_writer *w, pith_jinja_value v);

static bool json_newline(json_writer *w) {
    if (!w->style->indented) {
        return true;
    }
    bool ok = put(w->j, w->b, "\n");
    for (size_t i = 0; ok && i < w->level; i++) {
        ok = pith_jinja_append_value(w->j, w->b, &w->style->indent);
    }
    return ok;
}

static bool json_text(json_writer *w, const pith_jinja_value *v) {
    return put_escaped(w->j, w->b, v, '"', w->style->ascii ? escape_json_ascii : escape_json);
}

static bool json_scalar(json_writer *w, pith_jinja_value v) {
    pith_origin origin = (pith_origin)v.origin;
    if (v.kind == PITH_JINJA_NONE || v.kind == PITH_JINJA_BOOL) {
        const char *word = v.kind == PITH_JINJA_NONE ? "null" : v.as.truth ? "true" : "false";
        return pith_jinja_append(w->j, w->b, word, strlen(word), origin);
    }
    if (v.kind == PITH_JINJA_FLOAT && !isfinite(v.as.real)) {
        return put(w->j, w->b, isnan(v.as.real) ? "NaN" : v.as.real < 0 ? "-Infinity" : "Infinity");
    }
    return put_scalar(w->j, w->b, v);
}

static bool json_key(json_writer *w, pith_jinja_value key) {
    if (key.kind == PITH_JINJA_STRING) {
        return json_text(w, &key);
    }
    if (key.kind < PITH_JINJA_NONE || key.kind > PITH_JINJA_FLOAT) {
        return pith_jinja_refuse(w->j, "tojson: a %s is no key", pith_jinja_type_name(key));
    }
    return put(w->j, w->b, "\"") && json_scalar(w, key) && put(w->j, w->b, "\"");
}

/* Between items, and before the first with an indent. */
static bool json_between(json_writer *w, size_t i) {
    return (i == 0 || pith_jinja_append_value(w->j, w->b, &w->style->item)) && json_newline(w);
}

static bool json_list(json_writer *w, const pith_jinja_list *list) {
    if (list->n == 0) {
        return put(w->j, w->b, "[]");
    }
    bool ok = put(w->j, w->b, "[");
    w->level++;
    for (size_t i = 0; ok && i < list->n; i++) {
        ok = json_between(w, i) && json_value(w, list->items[i]);
    }
    w->level--;
    return ok && json_newline(w) && put(w->j, w->b, "]");
}

static int by_key(const void *x, const void *y) {
    const pith_jinja_entry *a = x;
    const pith_jinja_entry *b = y;
    size_t n =
        a->key.as.text.size < b->key.as.text.size ? a->key.as.text.size : b->key.as.text.size;
    int order = memcmp(pith_jinja_bytes(&a->key), pith_jinja_bytes(&b->key), n);
    return order != 0 ? order
                      : (a->key.as.text.size > b->key.as.text.size) -
                            (a->key.as.text.size < b->key.as.text.size);
}

/* The entries in the order of their keys. */
static bool sorted_entries(pith_jinja *j, const pith_jinja_dict *dict, pith_jinja_entry **out) {
    *out = pith_jinja_new(j, dict->n, sizeof **out);
    if (*out == NULL || !pith_jinja_spend(j, dict->n)) {
        return false;
    }
    for (size_t i = 0; i < dict->n; i++) {
        (*out)[i] = dict->entries[i];
        if (dict->entries[i].key.kind != PITH_JINJA_STRING) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED,
                                   "tojson: sorting keys that are no strings");
        }
    }
    qsort(*out, dict->n, sizeof **out, by_key);
    return true;
}

static bool json_dict(json_writer *w, const pith_jinja_dict *dict) {
    if (dict->n == 0) {
        return put(w->j, w->b, "{}");
    }
    pith_jinja_entry *entries = dict->entries;
    if (w->style->sort && !sorted_entries(w->j, dict, &entries)) {
        return false;
    }
    bool ok = put(w->j, w->b, "{");
    w->level++;
    for (size_t i = 0; ok && i < dict->n; i++) {
        ok = json_between(w, i) && json_key(w, entries[i].key) &&
             pith_jinja_append_value(w->j, w->b, &w->style->key) && json_value(w, entries[i].value);
    }
    w->level--;
    return ok && json_newline(w) && put(w->j, w->b, "}");
}

static bool json_inner(json_writer *w, pith_jinja_value v) {
    switch ((pith_jinja_kind)v.kind) {
    case PITH_JINJA_NONE:
    case PITH_JINJA_BOOL:
    case PITH_JINJA_INT:
    case PITH_JINJA_FLOAT:
        return json_scalar(w, v);
    case PITH_JINJA_STRING:
        return json_text(w, &v);
    case PITH_JINJA_LIST:
    case PITH_JINJA_TUPLE:
        return json_list(w, v.as.list);
    case PITH_JINJA_DICT:
        return json_dict(w, v.as.dict);
    default:
        return pith_jinja_refuse(w->j, "tojson: a %s has no JSON", pith_jinja_type_name(v));
    }
}

static bool json_value(json_writer *w, pith_jinja_value v) {
    bool ok = pith_jinja_deeper(w->j) && pith_jinja_spend(w->j, 1) && json_inner(w, v);
    w->j->depth--;
    return ok;
}

bool pith_jinja_to_json(pith_jinja *j, pith_jinja_value v, const pith_jinja_json_style *style,
                        pith_jinja_value *out) {
    enum { FIRST = 128 };
    json_writer w = {.j = j, .b = pith_jinja_buffer_new(j, FIRST), .style = style};
    if (w.b == NULL || !json_value(&w, v)) {
        return false;
    }
    *out = pith_jinja_finish(w.b);
    return true;
}
