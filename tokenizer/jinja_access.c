/* Attributes, subscripts and slices: what stands behind a value in a Jinja expression. */
#include "tokenizer/jinja_parts.h"

#include "base/utf8.h"

#include <string.h>

static bool name_is(const char *name, size_t n, const char *text) {
    return strlen(text) == n && memcmp(name, text, n) == 0;
}

/* ---- Loops ----------------------------------------------------------------------------------- */

static bool loop_attribute(const pith_jinja_loop *loop, const char *name, size_t n,
                           pith_jinja_value *out) {
    int64_t index = (int64_t)loop->index0;
    int64_t length = (int64_t)loop->n;
    const struct {
        const char *name;
        pith_jinja_value value;
    } known[] = {
        {"index", pith_jinja_int(index + 1)},
        {"index0", pith_jinja_int(index)},
        {"revindex", pith_jinja_int(length - index)},
        {"revindex0", pith_jinja_int(length - index - 1)},
        {"first", pith_jinja_bool(index == 0)},
        {"last", pith_jinja_bool(index + 1 == length)},
        {"length", pith_jinja_int(length)},
        {"depth", pith_jinja_int((int64_t)loop->depth0 + 1)},
        {"depth0", pith_jinja_int((int64_t)loop->depth0)},
        {"previtem",
         index > 0 ? loop->items[index - 1] : pith_jinja_undefined("loop.previtem", 13)},
        {"nextitem",
         index + 1 < length ? loop->items[index + 1] : pith_jinja_undefined("loop.nextitem", 13)},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (name_is(name, n, known[i].name)) {
            *out = known[i].value;
            return true;
        }
    }
    return false;
}

/* ---- Attributes ------------------------------------------------------------------------------ */

/* Finds what getattr finds in Python. False without a stored error: there is no such attribute. */
static bool python_attribute(pith_jinja *j, pith_jinja_value v, const char *name, size_t n,
                             pith_jinja_value *out) {
    const char *found;
    bool unsupported = false;
    if (v.kind == PITH_JINJA_LOOP && loop_attribute(v.as.loop, name, n, out)) {
        return true;
    }
    if (v.kind == PITH_JINJA_NAMESPACE) {
        pith_jinja_value *value = pith_jinja_dict_text(v.as.dict, name, n);
        if (value != NULL) {
            *out = *value;
        }
        return value != NULL;
    }
    if (v.kind == PITH_JINJA_MACRO && name_is(name, n, "name")) {
        const pith_jinja_node *node = v.as.macro->node;
        return node->name != NULL &&
               pith_jinja_borrow(j, node->name, node->n_name, PITH_ORIGIN_TEMPLATE, out);
    }
    if (!pith_jinja_find_method(v, name, n, &found, &unsupported)) {
        return unsupported && pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "%s.%.*s is not supported",
                                              pith_jinja_type_name(v), (int)n, name);
    }
    *out = pith_jinja_of_kind(PITH_JINJA_METHOD);
    out->as.method = pith_jinja_new(j, 1, sizeof *out->as.method);
    if (out->as.method == NULL) {
        return false;
    }
    *out->as.method = (pith_jinja_method){.self = v, .name = found};
    return true;
}

static bool undefined_object(pith_jinja *j, pith_jinja_value v) {
    return pith_jinja_refuse(j, "'%.*s' is undefined", (int)v.as.missing.size, v.as.missing.name);
}

bool pith_jinja_attribute(pith_jinja *j, pith_jinja_value v, const char *name, size_t n,
                          pith_jinja_value *out) {
    if (v.kind == PITH_JINJA_UNDEFINED) {
        return undefined_object(j, v);
    }
    if (n > 0 && name[0] == '_') { /* the sandbox hides them */
        *out = pith_jinja_undefined(name, n);
        return true;
    }
    if (python_attribute(j, v, name, n, out)) {
        return true;
    }
    if (j->status != PITH_OK) {
        return false;
    }
    pith_jinja_value *found =
        v.kind == PITH_JINJA_DICT ? pith_jinja_dict_text(v.as.dict, name, n) : NULL;
    *out = found != NULL ? *found : pith_jinja_undefined(name, n);
    return true;
}

/* ---- Subscripts ------------------------------------------------------------------------------ */

/* Byte offset of character i of a string. */
static size_t char_offset(const pith_jinja_value *v, size_t i) {
    const char *text = pith_jinja_bytes(v);
    size_t at = 0;
    while (i-- > 0) {
        at += pith_utf8_length(text[at]);
    }
    return at;
}

static bool item_at(pith_jinja *j, pith_jinja_value v, int64_t index, pith_jinja_value *out) {
    bool text = v.kind == PITH_JINJA_STRING;
    size_t n = text ? pith_jinja_count_chars(&v) : v.as.list->n;
    if (index < 0) {
        index += (int64_t)n;
    }
    if (index < 0 || (size_t)index >= n) {
        *out = pith_jinja_undefined("an element out of range", 23);
        return true;
    }
    if (!text) {
        *out = v.as.list->items[index];
        return true;
    }
    size_t at = char_offset(&v, (size_t)index);
    *out = pith_jinja_part(v, at, pith_utf8_length(pith_jinja_bytes(&v)[at]));
    return pith_jinja_spend(j, v.as.text.size / 16);
}

bool pith_jinja_subscript(pith_jinja *j, pith_jinja_value v, pith_jinja_value key,
                          pith_jinja_value *out) {
    int64_t index;
    if (v.kind == PITH_JINJA_UNDEFINED) {
        return undefined_object(j, v);
    }
    if (v.kind == PITH_JINJA_DICT) {
        pith_jinja_value *found = NULL;
        bool hashable = key.kind != PITH_JINJA_LIST && key.kind != PITH_JINJA_DICT;
        if (hashable && !pith_jinja_dict_find(j, v.as.dict, key, &found)) {
            return false;
        }
        if (found != NULL) {
            *out = *found;
            return true;
        }
    }
    bool sequence = v.kind == PITH_JINJA_STRING || v.kind == PITH_JINJA_LIST ||
                    v.kind == PITH_JINJA_TUPLE || v.kind == PITH_JINJA_RANGE;
    if (sequence && pith_jinja_as_int(key, &index)) {
        return item_at(j, v, index, out);
    }
    if (key.kind != PITH_JINJA_STRING) {
        *out = pith_jinja_undefined("an element", 10);
        return true;
    }
    const char *name = pith_jinja_bytes(&key);
    size_t n = key.as.text.size;
    if ((n == 0 || name[0] != '_') && python_attribute(j, v, name, n, out)) {
        return true;
    }
    *out = pith_jinja_undefined(name, n);
    return j->status == PITH_OK;
}

/* ---- Slices ---------------------------------------------------------------------------------- */

static bool bound(pith_jinja *j, pith_jinja_value v, int64_t absent, int64_t low, int64_t high,
                  int64_t n, int64_t *out) {
    *out = absent;
    if (v.kind == PITH_JINJA_ABSENT || v.kind == PITH_JINJA_NONE) {
        return true;
    }
    if (!pith_jinja_as_int(v, out)) {
        return pith_jinja_refuse(j, "a slice index must be an integer, not %s",
                                 pith_jinja_type_name(v));
    }
    if (*out < 0) {
        *out += n;
    }
    *out = *out < low ? low : *out > high ? high : *out;
    return true;
}

/* The items start, start + step, ... as Python's slice.indices gives them. */
static bool indices(pith_jinja *j, const pith_jinja_value bounds[3], int64_t n, int64_t *start,
                    int64_t *step, size_t *count) {
    int64_t stop;
    *step = 1;
    if (bounds[2].kind != PITH_JINJA_ABSENT && bounds[2].kind != PITH_JINJA_NONE &&
        !pith_jinja_as_int(bounds[2], step)) {
        return pith_jinja_refuse(j, "a slice step must be an integer, not %s",
                                 pith_jinja_type_name(bounds[2]));
    }
    if (*step == 0) {
        return pith_jinja_refuse(j, "a slice step must not be 0");
    }
    bool back = *step < 0;
    if (!bound(j, bounds[0], back ? n - 1 : 0, back ? -1 : 0, back ? n - 1 : n, n, start) ||
        !bound(j, bounds[1], back ? -1 : n, back ? -1 : 0, back ? n - 1 : n, n, &stop)) {
        return false;
    }
    int64_t span = back ? *start - stop : stop - *start;
    uint64_t stride = back ? 0 - (uint64_t)*step : (uint64_t)*step;
    *count = span > 0 ? (size_t)(((uint64_t)span - 1) / stride) + 1 : 0;
    return true;
}

static bool slice_text(pith_jinja *j, pith_jinja_value v, const pith_jinja_value bounds[3],
                       pith_jinja_value *out) {
    int64_t start;
    int64_t step;
    size_t count;
    size_t n = pith_jinja_count_chars(&v);
    if (!pith_jinja_spend(j, n / 16) || !indices(j, bounds, (int64_t)n, &start, &step, &count)) {
        return false;
    }
    if (count == 0) {
        *out = pith_jinja_part(v, 0, 0);
        return true;
    }
    if (step == 1) {
        size_t first = char_offset(&v, (size_t)start);
        pith_jinja_value rest = pith_jinja_part(v, first, v.as.text.size - first);
        *out = pith_jinja_part(rest, 0, char_offset(&rest, count));
        return true;
    }
    pith_jinja_value *chars;
    size_t n_chars;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, count);
    if (b == NULL || !pith_jinja_iterate(j, v, &chars, &n_chars)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!pith_jinja_append_value(j, b, &chars[start + (int64_t)i * step]) ||
            !pith_jinja_spend(j, 1)) {
            return false;
        }
    }
    *out = pith_jinja_finish(b);
    out->safe = v.safe;
    return true;
}

bool pith_jinja_slice(pith_jinja *j, pith_jinja_value v, const pith_jinja_value bounds[3],
                      pith_jinja_value *out) {
    int64_t start;
    int64_t step;
    size_t count;
    if (v.kind == PITH_JINJA_STRING) {
        return slice_text(j, v, bounds, out);
    }
    if (v.kind == PITH_JINJA_UNDEFINED) {
        return undefined_object(j, v);
    }
    if (v.kind == PITH_JINJA_RANGE) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "slices of a range are not supported");
    }
    if (v.kind != PITH_JINJA_LIST && v.kind != PITH_JINJA_TUPLE) {
        /* Unlike a subscript, a slice of something else is an error at once. */
        return pith_jinja_refuse(j, "slices of a %s", pith_jinja_type_name(v));
    }
    if (!indices(j, bounds, (int64_t)v.as.list->n, &start, &step, &count) ||
        !pith_jinja_list_new(j, (pith_jinja_kind)v.kind, count, out)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        out->as.list->items[i] = v.as.list->items[start + (int64_t)i * step];
    }
    return true;
}
