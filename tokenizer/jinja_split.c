/* str.split and its siblings. */
#include "tokenizer/jinja_parts.h"

#include "base/utf8.h"

#include <string.h>

/* At most `most` cuts (below 0: any number) at white space. */
static bool split_spaces(pith_jinja *j, pith_jinja_value self, int64_t most,
                         pith_jinja_list *list) {
    const char *text = pith_jinja_bytes(&self);
    size_t n = self.as.text.size;
    size_t capacity = 0;
    for (size_t at = 0;;) {
        while (at < n && pith_jinja_is_space(pith_utf8_decode(text + at))) {
            at += pith_utf8_length(text[at]);
        }
        if (at == n) {
            return true;
        }
        size_t end = at;
        if (most == 0) {
            return pith_jinja_push(j, list, &capacity, pith_jinja_part(self, at, n - at));
        }
        while (end < n && !pith_jinja_is_space(pith_utf8_decode(text + end))) {
            end += pith_utf8_length(text[end]);
        }
        if (!pith_jinja_push(j, list, &capacity, pith_jinja_part(self, at, end - at))) {
            return false;
        }
        most -= most > 0;
        at = end;
    }
}

static bool split_at(pith_jinja *j, pith_jinja_value self, pith_jinja_value cut, int64_t most,
                     pith_jinja_list *list) {
    const char *text = pith_jinja_bytes(&self);
    size_t n = self.as.text.size;
    size_t step = cut.as.text.size;
    size_t capacity = 0;
    size_t at = 0;
    for (; most != 0; most -= most > 0) {
        const char *hit = memmem(text + at, n - at, pith_jinja_bytes(&cut), step);
        if (hit == NULL) {
            break;
        }
        size_t found = (size_t)(hit - text);
        if (!pith_jinja_push(j, list, &capacity, pith_jinja_part(self, at, found - at))) {
            return false;
        }
        at = found + step;
    }
    return pith_jinja_push(j, list, &capacity, pith_jinja_part(self, at, n - at));
}

bool pith_jinja_find_last(const char *text, size_t n, const char *cut, size_t size, size_t *found) {
    for (size_t at = n; at >= size; at--) {
        if (memcmp(text + at - size, cut, size) == 0) {
            *found = at - size;
            return true;
        }
    }
    return false;
}

/* At most `most` cuts from the right. */
static bool split_from_right(pith_jinja *j, pith_jinja_value self, pith_jinja_value cut,
                             int64_t most, pith_jinja_list *list) {
    size_t capacity = 0;
    size_t end = self.as.text.size;
    size_t found;
    while (most != 0 && pith_jinja_find_last(pith_jinja_bytes(&self), end, pith_jinja_bytes(&cut),
                                             cut.as.text.size, &found)) {
        size_t from = found + cut.as.text.size;
        if (!pith_jinja_push(j, list, &capacity, pith_jinja_part(self, from, end - from))) {
            return false;
        }
        end = found;
        most -= most > 0;
    }
    if (!pith_jinja_push(j, list, &capacity, pith_jinja_part(self, 0, end))) {
        return false;
    }
    for (size_t i = 0; i < list->n / 2; i++) {
        pith_jinja_value swapped = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = swapped;
    }
    return true;
}

static bool split_with(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       bool right, pith_jinja_value *out) {
    static const char *const names[] = {"sep", "maxsplit"};
    pith_jinja_value given[2];
    int64_t most = -1;
    if (!pith_jinja_bind(j, args, names, 2, given) ||
        !pith_jinja_list_new(j, PITH_JINJA_LIST, 0, out) ||
        !pith_jinja_spend(j, self.as.text.size / 16)) {
        return false;
    }
    if (given[1].kind != PITH_JINJA_ABSENT && !pith_jinja_as_int(given[1], &most)) {
        return pith_jinja_refuse(j, "split: maxsplit is no integer");
    }
    if (given[0].kind <= PITH_JINJA_NONE && given[0].kind != PITH_JINJA_UNDEFINED) {
        if (right && most >= 0) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED,
                                   "rsplit at white space with a limit is not supported");
        }
        return split_spaces(j, self, most, out->as.list);
    }
    if (!pith_jinja_need_text(j, args, given[0])) {
        return false;
    }
    if (given[0].as.text.size == 0) {
        return pith_jinja_refuse(j, "split: an empty separator");
    }
    return right ? split_from_right(j, self, given[0], most, out->as.list)
                 : split_at(j, self, given[0], most, out->as.list);
}

bool pith_jinja_method_split(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                             pith_jinja_value *out) {
    return split_with(j, self, args, false, out);
}

bool pith_jinja_method_rsplit(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                              pith_jinja_value *out) {
    return split_with(j, self, args, true, out);
}

bool pith_jinja_method_splitlines(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                                  pith_jinja_value *out) {
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_split_lines(j, &self, out);
}

static bool partition_with(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                           bool right, pith_jinja_value *out) {
    if (!pith_jinja_positional(j, args, 1, 1) || !pith_jinja_need_text(j, args, args->items[0])) {
        return false;
    }
    pith_jinja_value cut = args->items[0];
    const char *text = pith_jinja_bytes(&self);
    size_t n = self.as.text.size;
    size_t size = cut.as.text.size;
    size_t found = 0;
    if (size == 0) {
        return pith_jinja_refuse(j, "partition: an empty separator");
    }
    bool hit = pith_jinja_find_last(text, n, pith_jinja_bytes(&cut), size, &found);
    if (hit && !right) {
        found = (size_t)((const char *)memmem(text, n, pith_jinja_bytes(&cut), size) - text);
    }
    if (!pith_jinja_list_new(j, PITH_JINJA_TUPLE, 3, out)) {
        return false;
    }
    pith_jinja_value empty = pith_jinja_part(self, 0, 0);
    pith_jinja_value *parts = out->as.list->items;
    parts[0] = hit ? pith_jinja_part(self, 0, found) : right ? empty : self;
    parts[1] = hit ? cut : empty;
    parts[2] = hit ? pith_jinja_part(self, found + size, n - found - size) : right ? self : empty;
    return pith_jinja_spend(j, n / 8);
}

bool pith_jinja_method_partition(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                                 pith_jinja_value *out) {
    return partition_with(j, self, args, false, out);
}

bool pith_jinja_method_rpartition(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                                  pith_jinja_value *out) {
    return partition_with(j, self, args, true, out);
}
