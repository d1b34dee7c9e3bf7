/* Jinja's filters of sequences. Where Jinja gives a generator, so does this: it has no length and
 * is used up by the first loop over it. Its items are computed at once, though. */
#include "tokenizer/jinja_parts.h"

#include <stdlib.h>
#include <string.h>

static bool given(pith_jinja_value v) {
    return v.kind != PITH_JINJA_ABSENT;
}

/* ---- Attributes by path ---------------------------------------------------------------------- */

/* "a.b.0" of a value, with the rules of a subscript; an integer is one index; none is the value. */
static bool get_path(pith_jinja *j, pith_jinja_value v, pith_jinja_value path,
                     pith_jinja_value otherwise, pith_jinja_value *out) {
    *out = v;
    if (path.kind <= PITH_JINJA_NONE) {
        return true;
    }
    if (path.kind != PITH_JINJA_STRING) {
        if (!pith_jinja_subscript(j, v, path, out)) {
            return false;
        }
        if (otherwise.kind > PITH_JINJA_NONE && out->kind == PITH_JINJA_UNDEFINED) {
            *out = otherwise;
        }
        return true;
    }
    const char *text = pith_jinja_bytes(&path);
    for (size_t at = 0;;) {
        size_t n = 0;
        bool digits = true;
        while (at + n < path.as.text.size && text[at + n] != '.') {
            digits = digits && text[at + n] >= '0' && text[at + n] <= '9';
            n++;
        }
        pith_jinja_value part = pith_jinja_part(path, at, n);
        int64_t index;
        bool large;
        if (digits && n > 0 && pith_jinja_read_int(text + at, n, 10, &index, &large)) {
            part = pith_jinja_int(index);
        }
        if (!pith_jinja_subscript(j, *out, part, out)) {
            return false;
        }
        if (otherwise.kind > PITH_JINJA_NONE && out->kind == PITH_JINJA_UNDEFINED) {
            *out = otherwise;
        }
        at += n + 1;
        if (at > path.as.text.size) {
            return true;
        }
    }
}

static bool ignore_case(pith_jinja *j, pith_jinja_value *v) {
    return v->kind != PITH_JINJA_STRING || pith_jinja_change_case(j, v, 'l', v);
}

/* ---- map, select, reject --------------------------------------------------------------------- */

static bool start_generator(pith_jinja *j, pith_jinja_value v, pith_jinja_value **items, size_t *n,
                            pith_jinja_value *out) {
    if (!pith_jinja_truth(v)) { /* nothing to iterate, even where Python could not */
        v = pith_jinja_of_kind(PITH_JINJA_UNDEFINED);
    }
    return pith_jinja_list_new(j, PITH_JINJA_GENERATOR, 0, out) &&
           pith_jinja_iterate(j, v, items, n);
}

static bool filter_map(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    static const char *const names[] = {"attribute", "default"};
    pith_jinja_value bound[2];
    pith_jinja_value *items;
    size_t n;
    size_t capacity = 0;
    bool by_attribute = args->n == 0;
    if (!start_generator(j, v, &items, &n, out)) {
        return false;
    }
    if (by_attribute && (args->n_named == 0 || !pith_jinja_bind(j, args, names, 2, bound))) {
        return j->status == PITH_OK && pith_jinja_refuse(j, "map needs a filter or attribute=");
    }
    if (!by_attribute && args->items[0].kind != PITH_JINJA_STRING) {
        return pith_jinja_refuse(j, "map: the filter's name is no string");
    }
    char name[64] = "";
    pith_jinja_args rest = *args;
    if (!by_attribute) {
        size_t size = args->items[0].as.text.size;
        memcpy(name, pith_jinja_bytes(&args->items[0]), size < sizeof name ? size : 0);
        rest.items++;
        rest.n--;
    }
    for (size_t i = 0; i < n; i++) {
        pith_jinja_value mapped;
        bool ok = by_attribute ? get_path(j, items[i], bound[0], bound[1], &mapped)
                               : pith_jinja_filter(j, name, items[i], &rest, &mapped);
        if (!ok || !pith_jinja_push(j, out->as.list, &capacity, mapped)) {
            return false;
        }
    }
    return true;
}

/* Keeps the items that pass a test, or with `attribute` those of which an attribute does. */
static bool select_items(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         bool attribute, bool keep, pith_jinja_value *out) {
    pith_jinja_value *items;
    size_t n;
    size_t capacity = 0;
    size_t at = attribute ? 1 : 0;
    if (!start_generator(j, v, &items, &n, out)) {
        return false;
    }
    if (args->n < at) {
        return pith_jinja_refuse(j, "%s needs an attribute", args->what);
    }
    char name[64] = "";
    bool tested = args->n > at;
    if (tested) {
        if (args->items[at].kind != PITH_JINJA_STRING) {
            return pith_jinja_refuse(j, "%s: the test's name is no string", args->what);
        }
        size_t size = args->items[at].as.text.size;
        memcpy(name, pith_jinja_bytes(&args->items[at]), size < sizeof name ? size : 0);
    }
    pith_jinja_args rest = *args;
    if (tested) { /* without arguments there is no array to move in */
        rest.items += at + 1;
        rest.n -= at + 1;
    }
    for (size_t i = 0; i < n; i++) {
        pith_jinja_value asked = items[i];
        pith_jinja_value none = pith_jinja_of_kind(PITH_JINJA_NONE);
        if (attribute && !get_path(j, items[i], args->items[0], none, &asked)) {
            return false;
        }
        bool passes = pith_jinja_truth(asked);
        if (tested && !pith_jinja_test(j, name, asked, &rest, &passes)) {
            return false;
        }
        if (passes == keep && !pith_jinja_push(j, out->as.list, &capacity, items[i])) {
            return false;
        }
    }
    return pith_jinja_spend(j, n);
}

static bool filter_select(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    return select_items(j, v, args, false, true, out);
}

static bool filter_reject(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    return select_items(j, v, args, false, false, out);
}

static bool filter_selectattr(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                              pith_jinja_value *out) {
    return select_items(j, v, args, true, true, out);
}

static bool filter_rejectattr(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                              pith_jinja_value *out) {
    return select_items(j, v, args, true, false, out);
}

/* ---- Lists and their ends -------------------------------------------------------------------- */

static bool filter_list(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    pith_jinja_value *items;
    size_t n;
    if (!pith_jinja_bind(j, args, NULL, 0, NULL) || !pith_jinja_iterate(j, v, &items, &n) ||
        !pith_jinja_list_new(j, PITH_JINJA_LIST, n, out)) {
        return false;
    }
    if (n > 0) {
        memcpy(out->as.list->items, items, n * sizeof *items);
    }
    return true;
}

static bool filter_first(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    pith_jinja_value *items;
    size_t n;
    if (!pith_jinja_bind(j, args, NULL, 0, NULL) || !pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    if (v.kind == PITH_JINJA_GENERATOR && n > 1) {
        v.as.list->next = v.as.list->n - n + 1; /* the other items stay in the generator */
    }
    *out = n > 0 ? items[0] : pith_jinja_undefined("the first of nothing", 20);
    return true;
}

static bool filter_last(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    pith_jinja_value *items;
    size_t n;
    if (v.kind == PITH_JINJA_GENERATOR || v.kind == PITH_JINJA_UNDEFINED ||
        v.kind == PITH_JINJA_LOOP) {
        return pith_jinja_refuse(j, "last: a %s cannot be reversed", pith_jinja_type_name(v));
    }
    if (!pith_jinja_bind(j, args, NULL, 0, NULL) || !pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    *out = n > 0 ? items[n - 1] : pith_jinja_undefined("the last of nothing", 19);
    return true;
}

static bool filter_reverse(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                           pith_jinja_value *out) {
    pith_jinja_value *items;
    size_t n;
    if (!pith_jinja_bind(j, args, NULL, 0, NULL)) {
        return false;
    }
    if (v.kind == PITH_JINJA_STRING) {
        pith_jinja_value bounds[3] = {{.kind = PITH_JINJA_NONE},
                                      {.kind = PITH_JINJA_NONE},
                                      pith_jinja_int(-1)};
        return pith_jinja_slice(j, v, bounds, out);
    }
    bool list = v.kind == PITH_JINJA_GENERATOR; /* which Python cannot turn round as it is */
    if (!pith_jinja_iterate(j, v, &items, &n) ||
        !pith_jinja_list_new(j, list ? PITH_JINJA_LIST : PITH_JINJA_GENERATOR, n, out)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out->as.list->items[i] = items[n - 1 - i];
    }
    return true;
}

static bool filter_items(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    if (!pith_jinja_bind(j, args, NULL, 0, NULL)) {
        return false;
    }
    if (v.kind == PITH_JINJA_UNDEFINED) {
        return pith_jinja_list_new(j, PITH_JINJA_GENERATOR, 0, out);
    }
    if (v.kind != PITH_JINJA_DICT) {
        return pith_jinja_refuse(j, "items: a %s is no mapping", pith_jinja_type_name(v));
    }
    pith_jinja_method items = {.self = v, .name = "items"};
    pith_jinja_args none = {.what = "items"};
    bool ok = pith_jinja_call_method(j, &items, &none, out);
    out->kind = PITH_JINJA_GENERATOR;
    return ok;
}

static bool filter_join(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    static const char *const names[] = {"d", "attribute"};
    pith_jinja_value bound[2];
    pith_jinja_value *items;
    size_t n;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, 64);
    if (b == NULL || !pith_jinja_bind(j, args, names, 2, bound) ||
        !pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    bool joint = given(bound[0]);
    if (joint && !pith_jinja_str(j, bound[0], &bound[0])) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        pith_jinja_value item;
        pith_jinja_value none = pith_jinja_of_kind(PITH_JINJA_NONE);
        if (!get_path(j, items[i], bound[1], none, &item) || !pith_jinja_str(j, item, &item) ||
            (i > 0 && joint && !pith_jinja_append_value(j, b, &bound[0])) ||
            !pith_jinja_append_value(j, b, &item) || !pith_jinja_spend(j, 1)) {
            return false;
        }
    }
    *out = pith_jinja_finish(b);
    return true;
}

/* ---- Order ----------------------------------------------------------------------------------- */

typedef struct sorted {
    pith_jinja_value key, value;
} sorted;

/* A stable merge sort, since comparing may fail. */
static bool merge_sort(pith_jinja *j, sorted *items, sorted *spare, size_t n, bool reverse) {
    if (n < 2) {
        return true;
    }
    size_t half = n / 2;
    if (!merge_sort(j, items, spare, half, reverse) ||
        !merge_sort(j, items + half, spare, n - half, reverse)) {
        return false;
    }
    size_t a = 0;
    size_t b = half;
    for (size_t i = 0; i < n; i++) {
        bool right = a == half;
        if (a < half && b < n) {
            int order;
            /* The left one stays first among equals, also in reverse. */
            pith_jinja_value low = reverse ? items[a].key : items[b].key;
            pith_jinja_value high = reverse ? items[b].key : items[a].key;
            if (!pith_jinja_order(j, low, high, &order)) {
                return false;
            }
            right = order < 0;
        }
        spare[i] = right ? items[b++] : items[a++];
    }
    memcpy(items, spare, n * sizeof *items);
    return true;
}

static bool sort_pairs(pith_jinja *j, sorted *items, size_t n, bool reverse,
                       pith_jinja_value *out) {
    sorted *spare = pith_jinja_new(j, n, sizeof *spare);
    if (spare == NULL || !merge_sort(j, items, spare, n, reverse) ||
        !pith_jinja_list_new(j, PITH_JINJA_LIST, n, out)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        out->as.list->items[i] = items[i].value;
    }
    return true;
}

static bool filter_sort(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                        pith_jinja_value *out) {
    static const char *const names[] = {"reverse", "case_sensitive", "attribute"};
    pith_jinja_value bound[3];
    pith_jinja_value *items;
    size_t n;
    if (!pith_jinja_bind(j, args, names, 3, bound) || !pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    if (bound[2].kind == PITH_JINJA_STRING &&
        memchr(pith_jinja_bytes(&bound[2]), ',', bound[2].as.text.size) != NULL) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "sort by several attributes");
    }
    sorted *pairs = pith_jinja_new(j, n, sizeof *pairs);
    for (size_t i = 0; pairs != NULL && i < n; i++) {
        pairs[i].value = items[i];
        pith_jinja_value none = pith_jinja_of_kind(PITH_JINJA_NONE);
        if (!get_path(j, items[i], bound[2], none, &pairs[i].key) ||
            (!pith_jinja_truth(bound[1]) && !ignore_case(j, &pairs[i].key))) {
            return false;
        }
    }
    return pairs != NULL && sort_pairs(j, pairs, n, pith_jinja_truth(bound[0]), out);
}

static bool filter_dictsort(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                            pith_jinja_value *out) {
    static const char *const names[] = {"case_sensitive", "by", "reverse"};
    pith_jinja_value bound[3];
    pith_jinja_value items;
    if (!pith_jinja_bind(j, args, names, 3, bound)) {
        return false;
    }
    bool by_value = pith_jinja_is_text(&bound[1], "value");
    if (given(bound[1]) && !by_value && !pith_jinja_is_text(&bound[1], "key")) {
        return pith_jinja_refuse(j, "dictsort: by is \"key\" or \"value\"");
    }
    if (v.kind != PITH_JINJA_DICT) {
        return pith_jinja_refuse(j, "dictsort of a %s", pith_jinja_type_name(v));
    }
    pith_jinja_args none = {.what = "items"};
    if (!filter_items(j, v, &none, &items)) {
        return false;
    }
    size_t n = items.as.list->n;
    sorted *pairs = pith_jinja_new(j, n, sizeof *pairs);
    for (size_t i = 0; pairs != NULL && i < n; i++) {
        pairs[i].value = items.as.list->items[i];
        pairs[i].key = pairs[i].value.as.list->items[by_value];
        if (!pith_jinja_truth(bound[0]) && !ignore_case(j, &pairs[i].key)) {
            return false;
        }
    }
    return pairs != NULL && sort_pairs(j, pairs, n, pith_jinja_truth(bound[2]), out);
}

static bool filter_unique(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                          pith_jinja_value *out) {
    static const char *const names[] = {"case_sensitive", "attribute"};
    pith_jinja_value bound[2];
    pith_jinja_value *items;
    pith_jinja_value seen;
    size_t n;
    size_t capacity = 0;
    if (!pith_jinja_bind(j, args, names, 2, bound) ||
        !pith_jinja_list_new(j, PITH_JINJA_GENERATOR, 0, out) ||
        !pith_jinja_iterate(j, v, &items, &n) || !pith_jinja_dict_new(j, &seen)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        pith_jinja_value key;
        pith_jinja_value *found;
        pith_jinja_value none = pith_jinja_of_kind(PITH_JINJA_NONE);
        if (!get_path(j, items[i], bound[1], none, &key) ||
            (!pith_jinja_truth(bound[0]) && !ignore_case(j, &key)) ||
            !pith_jinja_dict_find(j, seen.as.dict, key, &found)) {
            return false;
        }
        if (found == NULL && (!pith_jinja_dict_put(j, seen.as.dict, key, key) ||
                              !pith_jinja_push(j, out->as.list, &capacity, items[i]))) {
            return false;
        }
    }
    return true;
}

static bool extreme(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args, bool largest,
                    pith_jinja_value *out) {
    static const char *const names[] = {"case_sensitive", "attribute"};
    pith_jinja_value bound[2];
    pith_jinja_value *items;
    pith_jinja_value best = pith_jinja_of_kind(PITH_JINJA_ABSENT);
    size_t n;
    if (!pith_jinja_bind(j, args, names, 2, bound) || !pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    *out = pith_jinja_undefined("an extreme of nothing", 21);
    for (size_t i = 0; i < n; i++) {
        pith_jinja_value key;
        pith_jinja_value none = pith_jinja_of_kind(PITH_JINJA_NONE);
        int order = -1;
        if (!get_path(j, items[i], bound[1], none, &key) ||
            (!pith_jinja_truth(bound[0]) && !ignore_case(j, &key)) ||
            (i > 0 && !pith_jinja_order(j, largest ? best : key, largest ? key : best, &order))) {
            return false;
        }
        if (order < 0) {
            best = key;
            *out = items[i];
        }
    }
    return true;
}

static bool filter_min(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return extreme(j, v, args, false, out);
}

static bool filter_max(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return extreme(j, v, args, true, out);
}

static bool filter_sum(pith_jinja *j, pith_jinja_value v, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    static const char *const names[] = {"attribute", "start"};
    pith_jinja_value bound[2];
    pith_jinja_value *items;
    size_t n;
    if (!pith_jinja_bind(j, args, names, 2, bound) || !pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    *out = given(bound[1]) ? bound[1] : pith_jinja_int(0);
    for (size_t i = 0; i < n; i++) {
        pith_jinja_value item;
        pith_jinja_value none = pith_jinja_of_kind(PITH_JINJA_NONE);
        if (!get_path(j, items[i], bound[0], none, &item)) {
            return false;
        }
        if (out->kind == PITH_JINJA_STRING) {
            return pith_jinja_refuse(j, "sum adds no strings");
        }
        if (!pith_jinja_binary(j, '+', *out, item, out)) {
            return false;
        }
    }
    return true;
}

pith_jinja_filter_fn pith_jinja_find_sequence_filter(const char *name) {
    static const struct {
        const char *name;
        pith_jinja_filter_fn fn;
    } filters[] = {
        {"dictsort", filter_dictsort},
        {"first", filter_first},
        {"items", filter_items},
        {"join", filter_join},
        {"last", filter_last},
        {"list", filter_list},
        {"map", filter_map},
        {"max", filter_max},
        {"min", filter_min},
        {"reject", filter_reject},
        {"rejectattr", filter_rejectattr},
        {"reverse", filter_reverse},
        {"select", filter_select},
        {"selectattr", filter_selectattr},
        {"sort", filter_sort},
        {"sum", filter_sum},
        {"unique", filter_unique},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
        if (strcmp(filters[i].name, name) == 0) {
            return filters[i].fn;
        }
    }
    return NULL;
}
