/* Methods of strings, dictionaries and loops, as Python has them. */
#include "tokenizer/jinja_parts.h"

#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

typedef bool (*method_fn)(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                          pith_jinja_value *out);

bool pith_jinja_need_text(pith_jinja *j, const pith_jinja_args *args, pith_jinja_value v) {
    return v.kind == PITH_JINJA_STRING || pith_jinja_refuse(j, "%s: a string is needed, not %s",
                                                            args->what, pith_jinja_type_name(v));
}

/* Methods of str take no keywords, except where pith_jinja_bind is called with names. */
bool pith_jinja_positional(pith_jinja *j, const pith_jinja_args *args, size_t low, size_t high) {
    if (args->n_named > 0 || args->n < low || args->n > high) {
        return pith_jinja_refuse(j, "%s takes %zu to %zu arguments", args->what, low, high);
    }
    return true;
}

/* ---- Strings --------------------------------------------------------------------------------- */

static bool strip_with(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args, bool left,
                       bool right, pith_jinja_value *out) {
    pith_jinja_value chars = args->n > 0 ? args->items[0] : pith_jinja_of_kind(PITH_JINJA_NONE);
    return pith_jinja_positional(j, args, 0, 1) &&
           pith_jinja_strip(j, &self, chars, left, right, out);
}

static bool strip(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                  pith_jinja_value *out) {
    return strip_with(j, self, args, true, true, out);
}

static bool lstrip(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                   pith_jinja_value *out) {
    return strip_with(j, self, args, true, false, out);
}

static bool rstrip(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                   pith_jinja_value *out) {
    return strip_with(j, self, args, false, true, out);
}

static bool upper(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                  pith_jinja_value *out) {
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_change_case(j, &self, 'u', out);
}

static bool lower(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                  pith_jinja_value *out) {
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_change_case(j, &self, 'l', out);
}

static bool title(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                  pith_jinja_value *out) {
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_change_case(j, &self, 't', out);
}

static bool capitalize(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_change_case(j, &self, 'c', out);
}

static bool swapcase(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                     pith_jinja_value *out) {
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_change_case(j, &self, 's', out);
}

static bool replace(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                    pith_jinja_value *out) {
    int64_t count = -1;
    if (!pith_jinja_positional(j, args, 2, 3) ||
        (args->n == 3 && !pith_jinja_as_int(args->items[2], &count))) {
        return j->status == PITH_OK && pith_jinja_refuse(j, "replace: the count is no integer");
    }
    return pith_jinja_replace(j, self, args->items[0], args->items[1], count, out);
}

static bool affix_at(const pith_jinja_value *self, const pith_jinja_value *affix, bool end) {
    size_t n = affix->as.text.size;
    if (n > self->as.text.size) {
        return false;
    }
    const char *text = pith_jinja_bytes(self) + (end ? self->as.text.size - n : 0);
    return memcmp(text, pith_jinja_bytes(affix), n) == 0;
}

/* startswith and endswith: a string, or a tuple of strings. */
static bool has_affix(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args, bool end,
                      pith_jinja_value *out) {
    if (!pith_jinja_positional(j, args, 1, 3)) {
        return false;
    }
    if (args->n > 1) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "%s with a place is not supported",
                               args->what);
    }
    const pith_jinja_value *affixes = args->items;
    size_t n = 1;
    if (affixes->kind == PITH_JINJA_TUPLE) {
        n = affixes->as.list->n;
        affixes = affixes->as.list->items;
    }
    *out = pith_jinja_bool(false);
    for (size_t i = 0; i < n; i++) {
        if (!pith_jinja_need_text(j, args, affixes[i])) {
            return false;
        }
        out->as.truth = out->as.truth || affix_at(&self, &affixes[i], end);
    }
    return pith_jinja_spend(j, n);
}

static bool startswith(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return has_affix(j, self, args, false, out);
}

static bool endswith(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                     pith_jinja_value *out) {
    return has_affix(j, self, args, true, out);
}

static bool remove_affix(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                         bool end, pith_jinja_value *out) {
    if (!pith_jinja_positional(j, args, 1, 1) || !pith_jinja_need_text(j, args, args->items[0])) {
        return false;
    }
    size_t n = args->items[0].as.text.size;
    *out = self;
    if (affix_at(&self, &args->items[0], end)) {
        *out = pith_jinja_part(self, end ? 0 : n, self.as.text.size - n);
    }
    return true;
}

static bool removeprefix(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    return remove_affix(j, self, args, false, out);
}

static bool removesuffix(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    return remove_affix(j, self, args, true, out);
}

static bool join(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                 pith_jinja_value *out) {
    pith_jinja_value *items;
    size_t n;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, 64);
    if (!pith_jinja_positional(j, args, 1, 1) || b == NULL ||
        !pith_jinja_iterate(j, args->items[0], &items, &n)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!pith_jinja_need_text(j, args, items[i]) || !pith_jinja_spend(j, 1) ||
            (i > 0 && !pith_jinja_append_value(j, b, &self)) ||
            !pith_jinja_append_value(j, b, &items[i])) {
            return false;
        }
    }
    *out = pith_jinja_finish(b);
    return true;
}

/* ---- Searching and asking -------------------------------------------------------------------- */

static size_t chars_before(pith_jinja_value v, size_t at) {
    pith_jinja_value before = pith_jinja_part(v, 0, at);
    return pith_jinja_count_chars(&before);
}

static bool find_with(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args, bool right,
                      pith_jinja_value *out) {
    if (!pith_jinja_positional(j, args, 1, 1) || !pith_jinja_need_text(j, args, args->items[0])) {
        return false;
    }
    const pith_jinja_value *what = &args->items[0];
    const char *text = pith_jinja_bytes(&self);
    size_t found = 0;
    bool hit = pith_jinja_find_last(text, self.as.text.size, pith_jinja_bytes(what),
                                    what->as.text.size, &found);
    if (hit && !right) {
        const char *first =
            what->as.text.size > 0
                ? memmem(text, self.as.text.size, pith_jinja_bytes(what), what->as.text.size)
                : text;
        found = (size_t)(first - text);
    }
    *out = pith_jinja_int(hit ? (int64_t)chars_before(self, found) : -1);
    return pith_jinja_spend(j, self.as.text.size / 8);
}

static bool find(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                 pith_jinja_value *out) {
    return find_with(j, self, args, false, out);
}

static bool rfind(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                  pith_jinja_value *out) {
    return find_with(j, self, args, true, out);
}

static bool text_index(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return find_with(j, self, args, false, out) &&
           (out->as.integer >= 0 || pith_jinja_refuse(j, "index: substring not found"));
}

static bool text_count(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    if (!pith_jinja_positional(j, args, 1, 1) || !pith_jinja_need_text(j, args, args->items[0])) {
        return false;
    }
    const pith_jinja_value *what = &args->items[0];
    size_t size = what->as.text.size;
    const char *text = pith_jinja_bytes(&self);
    size_t left = self.as.text.size;
    int64_t n = 0;
    if (size == 0) {
        n = (int64_t)pith_jinja_count_chars(&self) + 1;
    }
    while (size > 0) {
        const char *hit = memmem(text, left, pith_jinja_bytes(what), size);
        if (hit == NULL) {
            break;
        }
        left -= (size_t)(hit - text) + size;
        text = hit + size;
        n++;
    }
    *out = pith_jinja_int(n);
    return pith_jinja_spend(j, self.as.text.size / 8);
}

/* True when the text is not empty and every character passes. */
static bool ask_all(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                    bool (*passes)(utf8proc_category_t category, uint32_t code),
                    pith_jinja_value *out) {
    const char *text = pith_jinja_bytes(&self);
    bool all = self.as.text.size > 0;
    for (size_t at = 0; all && at < self.as.text.size; at += pith_utf8_length(text[at])) {
        uint32_t code = pith_utf8_decode(text + at);
        all = passes(utf8proc_category((utf8proc_int32_t)code), code);
    }
    *out = pith_jinja_bool(all);
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_spend(j, self.as.text.size / 8);
}

static bool passes_digit(utf8proc_category_t c, uint32_t code) {
    return c == UTF8PROC_CATEGORY_ND || code == 0xB2 || code == 0xB3 || code == 0xB9;
}

static bool passes_alpha(utf8proc_category_t c, uint32_t code) {
    (void)code;
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

static bool passes_alnum(utf8proc_category_t c, uint32_t code) {
    return passes_alpha(c, code) || passes_digit(c, code) || c == UTF8PROC_CATEGORY_NL ||
           c == UTF8PROC_CATEGORY_NO;
}

static bool passes_space(utf8proc_category_t c, uint32_t code) {
    (void)c;
    return pith_jinja_is_space(code);
}

static bool isdigit_of(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return ask_all(j, self, args, passes_digit, out);
}

static bool isalpha_of(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return ask_all(j, self, args, passes_alpha, out);
}

static bool isalnum_of(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return ask_all(j, self, args, passes_alnum, out);
}

static bool isspace_of(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return ask_all(j, self, args, passes_space, out);
}

static bool ask_case(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                     utf8proc_category_t wanted, utf8proc_category_t other, pith_jinja_value *out) {
    const char *text = pith_jinja_bytes(&self);
    bool any = false;
    bool wrong = false;
    for (size_t at = 0; at < self.as.text.size; at += pith_utf8_length(text[at])) {
        utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)pith_utf8_decode(text + at));
        any |= c == wanted;
        wrong |= c == other || c == UTF8PROC_CATEGORY_LT;
    }
    *out = pith_jinja_bool(any && !wrong);
    return pith_jinja_positional(j, args, 0, 0) && pith_jinja_spend(j, self.as.text.size / 8);
}

static bool isupper_of(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return ask_case(j, self, args, UTF8PROC_CATEGORY_LU, UTF8PROC_CATEGORY_LL, out);
}

static bool islower_of(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return ask_case(j, self, args, UTF8PROC_CATEGORY_LL, UTF8PROC_CATEGORY_LU, out);
}

/* ---- Dictionaries, lists, loops -------------------------------------------------------------- */

static bool dict_get(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                     pith_jinja_value *out) {
    pith_jinja_value *found;
    if (!pith_jinja_positional(j, args, 1, 2) ||
        !pith_jinja_dict_find(j, self.as.dict, args->items[0], &found)) {
        return false;
    }
    *out = found != NULL  ? *found
           : args->n == 2 ? args->items[1]
                          : pith_jinja_of_kind(PITH_JINJA_NONE);
    return true;
}

/* keys, values or items. */
static bool dict_view(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                      pith_jinja_value *out) {
    const pith_jinja_dict *d = self.as.dict;
    if (!pith_jinja_positional(j, args, 0, 0) ||
        !pith_jinja_list_new(j, PITH_JINJA_VIEW, d->n, out)) {
        return false;
    }
    char what = args->what[0];
    out->as.list->name = what == 'k' ? "dict_keys" : what == 'v' ? "dict_values" : "dict_items";
    for (size_t i = 0; i < d->n; i++) {
        pith_jinja_value *item = &out->as.list->items[i];
        *item = what == 'k' ? d->entries[i].key : d->entries[i].value;
        if (what == 'i') {
            pith_jinja_value value = *item;
            if (!pith_jinja_list_new(j, PITH_JINJA_TUPLE, 2, item)) {
                return false;
            }
            item->as.list->items[0] = d->entries[i].key;
            item->as.list->items[1] = value;
        }
    }
    return pith_jinja_spend(j, d->n);
}

static bool copy(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                 pith_jinja_value *out) {
    *out = self; /* nothing can change either */
    return pith_jinja_positional(j, args, 0, 0);
}

static bool list_search(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                        bool index, pith_jinja_value *out) {
    int64_t n = 0;
    if (!pith_jinja_positional(j, args, 1, 1)) {
        return false;
    }
    for (size_t i = 0; i < self.as.list->n; i++) {
        bool same;
        if (!pith_jinja_equal(j, self.as.list->items[i], args->items[0], &same)) {
            return false;
        }
        if (same && index) {
            *out = pith_jinja_int((int64_t)i);
            return true;
        }
        n += same;
    }
    *out = pith_jinja_int(n);
    return !index || pith_jinja_refuse(j, "index: the value is not in the list");
}

static bool list_index(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return list_search(j, self, args, true, out);
}

static bool list_count(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    return list_search(j, self, args, false, out);
}

static bool loop_cycle(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                       pith_jinja_value *out) {
    if (args->n == 0 || args->n_named > 0) {
        return pith_jinja_refuse(j, "loop.cycle needs something to cycle through");
    }
    *out = args->items[self.as.loop->index0 % args->n];
    return true;
}

static bool loop_changed(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                         pith_jinja_value *out) {
    pith_jinja_value now;
    bool same = false;
    if (!pith_jinja_list_new(j, PITH_JINJA_TUPLE, args->n, &now)) {
        return false;
    }
    for (size_t i = 0; i < args->n; i++) {
        now.as.list->items[i] = args->items[i];
    }
    if (self.as.loop->changed.kind != PITH_JINJA_ABSENT &&
        !pith_jinja_equal(j, self.as.loop->changed, now, &same)) {
        return false;
    }
    self.as.loop->changed = now;
    *out = pith_jinja_bool(!same);
    return true;
}

static bool format(pith_jinja *j, pith_jinja_value self, const pith_jinja_args *args,
                   pith_jinja_value *out) {
    return pith_jinja_format(j, self, args, out);
}

/* ---- Table ----------------------------------------------------------------------------------- */

enum { OF_TEXT = 1, OF_DICT = 2, OF_LIST = 4, OF_LOOP = 8 };

/* fn NULL: a method of Python that this interpreter does not have. Methods that change a list or
 * dictionary are in no table: transformers' sandbox hides them. */
static const struct method {
    const char *name;
    unsigned of;
    method_fn fn;
} methods[] = {
    {"strip", OF_TEXT, strip},
    {"lstrip", OF_TEXT, lstrip},
    {"rstrip", OF_TEXT, rstrip},
    {"upper", OF_TEXT, upper},
    {"lower", OF_TEXT, lower},
    {"title", OF_TEXT, title},
    {"capitalize", OF_TEXT, capitalize},
    {"swapcase", OF_TEXT, swapcase},
    {"replace", OF_TEXT, replace},
    {"startswith", OF_TEXT, startswith},
    {"endswith", OF_TEXT, endswith},
    {"removeprefix", OF_TEXT, removeprefix},
    {"removesuffix", OF_TEXT, removesuffix},
    {"split", OF_TEXT, pith_jinja_method_split},
    {"rsplit", OF_TEXT, pith_jinja_method_rsplit},
    {"splitlines", OF_TEXT, pith_jinja_method_splitlines},
    {"partition", OF_TEXT, pith_jinja_method_partition},
    {"rpartition", OF_TEXT, pith_jinja_method_rpartition},
    {"join", OF_TEXT, join},
    {"find", OF_TEXT, find},
    {"rfind", OF_TEXT, rfind},
    {"index", OF_TEXT, text_index},
    {"count", OF_TEXT, text_count},
    {"isdigit", OF_TEXT, isdigit_of},
    {"isalpha", OF_TEXT, isalpha_of},
    {"isalnum", OF_TEXT, isalnum_of},
    {"isspace", OF_TEXT, isspace_of},
    {"isupper", OF_TEXT, isupper_of},
    {"islower", OF_TEXT, islower_of},
    {"format", OF_TEXT, format},
    {"get", OF_DICT, dict_get},
    {"keys", OF_DICT, dict_view},
    {"values", OF_DICT, dict_view},
    {"items", OF_DICT, dict_view},
    {"copy", OF_DICT | OF_LIST, copy},
    {"index", OF_LIST, list_index},
    {"count", OF_LIST, list_count},
    {"cycle", OF_LOOP, loop_cycle},
    {"changed", OF_LOOP, loop_changed},
    {"fromkeys", OF_DICT, NULL},
    {"casefold", OF_TEXT, NULL},
    {"center", OF_TEXT, NULL},
    {"encode", OF_TEXT, NULL},
    {"expandtabs", OF_TEXT, NULL},
    {"format_map", OF_TEXT, NULL},
    {"isascii", OF_TEXT, NULL},
    {"isdecimal", OF_TEXT, NULL},
    {"isidentifier", OF_TEXT, NULL},
    {"isnumeric", OF_TEXT, NULL},
    {"isprintable", OF_TEXT, NULL},
    {"istitle", OF_TEXT, NULL},
    {"ljust", OF_TEXT, NULL},
    {"maketrans", OF_TEXT, NULL},
    {"rindex", OF_TEXT, NULL},
    {"rjust", OF_TEXT, NULL},
    {"translate", OF_TEXT, NULL},
    {"zfill", OF_TEXT, NULL},
};

static unsigned kind_of(pith_jinja_value v) {
    switch ((pith_jinja_kind)v.kind) {
    case PITH_JINJA_STRING:
        return OF_TEXT;
    case PITH_JINJA_DICT:
        return OF_DICT;
    case PITH_JINJA_LIST:
    case PITH_JINJA_TUPLE:
        return OF_LIST;
    case PITH_JINJA_LOOP:
        return OF_LOOP;
    default:
        return 0;
    }
}

static const struct method *find_method(pith_jinja_value self, const char *name, size_t n) {
    unsigned of = kind_of(self);
    for (size_t i = 0; of != 0 && i < sizeof methods / sizeof methods[0]; i++) {
        if ((methods[i].of & of) != 0 && strlen(methods[i].name) == n &&
            memcmp(methods[i].name, name, n) == 0) {
            return &methods[i];
        }
    }
    return NULL;
}

/* Attributes of numbers, which templates do not use. */
static bool is_number_attribute(pith_jinja_value self, const char *name, size_t n) {
    static const char *const names[] = {
        "real",     "imag",       "numerator",       "denominator", "conjugate",
        "to_bytes", "from_bytes", "bit_length",      "bit_count",   "is_integer",
        "hex",      "fromhex",    "as_integer_ratio"};
    for (size_t i = 0; pith_jinja_is_number(self) && i < sizeof names / sizeof names[0]; i++) {
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0) {
            return true;
        }
    }
    return false;
}

bool pith_jinja_find_method(pith_jinja_value self, const char *name, size_t n, const char **found,
                            bool *unsupported) {
    const struct method *method = find_method(self, name, n);
    *unsupported = method != NULL ? method->fn == NULL : is_number_attribute(self, name, n);
    if (method == NULL || method->fn == NULL) {
        return false;
    }
    *found = method->name;
    return true;
}

/* In Python the result of a safe string's method would be safe too, and its arguments escaped. */
static bool keeps_safety(const char *name) {
    static const char *const names[] = {"strip", "lstrip", "rstrip", "upper",      "lower",
                                        "title", "split",  "find",   "startswith", "endswith"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

bool pith_jinja_call_method(pith_jinja *j, const pith_jinja_method *method,
                            const pith_jinja_args *args, pith_jinja_value *out) {
    const struct method *found = find_method(method->self, method->name, strlen(method->name));
    if (method->self.safe && !keeps_safety(method->name)) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "%s of a safe string is not supported",
                               method->name);
    }
    pith_jinja_args named = *args;
    named.what = found->name;
    return found->fn(j, method->self, &named, out);
}
