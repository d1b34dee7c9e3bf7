/* Values of the Jinja interpreter: lists, dictionaries, what Python iterates and counts, and values
 * out of JSON. */
#include "tokenizer/jinja_parts.h"

#include "base/checked.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

pith_jinja_value pith_jinja_undefined(const char *name, size_t size) {
    pith_jinja_value v = pith_jinja_of_kind(PITH_JINJA_UNDEFINED);
    v.as.missing.name = name;
    v.as.missing.size = size;
    return v;
}

const char *pith_jinja_type_name(pith_jinja_value v) {
    static const char *const names[] = {"nothing",   "undefined", "None",    "bool",      "int",
                                        "float",     "str",       "list",    "tuple",     "range",
                                        "dict view", "generator", "dict",    "namespace", "loop",
                                        "macro",     "method",    "function"};
    return names[v.kind];
}

bool pith_jinja_truth(pith_jinja_value v) {
    switch ((pith_jinja_kind)v.kind) {
    case PITH_JINJA_ABSENT:
    case PITH_JINJA_UNDEFINED:
    case PITH_JINJA_NONE:
        return false;
    case PITH_JINJA_BOOL:
        return v.as.truth;
    case PITH_JINJA_INT:
        return v.as.integer != 0;
    case PITH_JINJA_FLOAT:
        return v.as.real != 0;
    case PITH_JINJA_STRING:
        return v.as.text.size > 0;
    case PITH_JINJA_LIST:
    case PITH_JINJA_TUPLE:
    case PITH_JINJA_RANGE:
    case PITH_JINJA_VIEW:
        return v.as.list->n > 0;
    case PITH_JINJA_DICT:
        return v.as.dict->n > 0;
    default:
        return true;
    }
}

bool pith_jinja_as_int(pith_jinja_value v, int64_t *out) {
    if (v.kind == PITH_JINJA_BOOL || v.kind == PITH_JINJA_INT) {
        *out = v.kind == PITH_JINJA_BOOL ? v.as.truth : v.as.integer;
        return true;
    }
    return false;
}

double pith_jinja_as_real(pith_jinja_value v) {
    int64_t integer;
    return pith_jinja_as_int(v, &integer) ? (double)integer : v.as.real;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

bool pith_jinja_list_new(pith_jinja *j, pith_jinja_kind kind, size_t n, pith_jinja_value *out) {
    if (n > PITH_JINJA_MAX_ITEMS) {
        return pith_jinja_fail(j, PITH_ERROR_FORMAT, "a list of more than %d items",
                               PITH_JINJA_MAX_ITEMS);
    }
    *out = pith_jinja_of_kind(kind);
    out->as.list = pith_jinja_new(j, 1, sizeof *out->as.list);
    if (out->as.list == NULL || !pith_jinja_spend(j, n / 4)) {
        return false;
    }
    out->as.list->items = pith_jinja_new(j, n, sizeof *out->as.list->items);
    out->as.list->n = n;
    return out->as.list->items != NULL;
}

bool pith_jinja_push(pith_jinja *j, pith_jinja_list *list, size_t *capacity,
                     pith_jinja_value value) {
    if (list->n == *capacity) {
        size_t more = *capacity * 2 + 8;
        pith_jinja_value *items =
            more <= 2 * PITH_JINJA_MAX_ITEMS ? pith_jinja_new(j, more, sizeof *items) : NULL;
        if (items == NULL) {
            return pith_jinja_fail(j, PITH_ERROR_FORMAT, "a list of more than %d items",
                                   PITH_JINJA_MAX_ITEMS);
        }
        if (list->n > 0) {
            memcpy(items, list->items, list->n * sizeof *items);
        }
        list->items = items;
        *capacity = more;
    }
    list->items[list->n++] = value;
    return pith_jinja_spend(j, 1);
}

static bool iterate_text(pith_jinja *j, pith_jinja_value v, pith_jinja_value **items, size_t *n) {
    pith_jinja_value list;
    if (!pith_jinja_list_new(j, PITH_JINJA_LIST, pith_jinja_count_chars(&v), &list)) {
        return false;
    }
    const char *text = pith_jinja_bytes(&v);
    size_t at = 0;
    for (size_t i = 0; i < list.as.list->n; i++) {
        size_t size = pith_utf8_length(text[at]);
        list.as.list->items[i] = pith_jinja_part(v, at, size);
        at += size;
    }
    *items = list.as.list->items;
    *n = list.as.list->n;
    return true;
}

bool pith_jinja_iterate(pith_jinja *j, pith_jinja_value v, pith_jinja_value **items, size_t *n) {
    *items = NULL;
    *n = 0;
    switch ((pith_jinja_kind)v.kind) {
    case PITH_JINJA_UNDEFINED:
        return true;
    case PITH_JINJA_STRING:
        return iterate_text(j, v, items, n);
    case PITH_JINJA_LIST:
    case PITH_JINJA_TUPLE:
    case PITH_JINJA_RANGE:
    case PITH_JINJA_VIEW:
        *items = v.as.list->items;
        *n = v.as.list->n;
        return true;
    case PITH_JINJA_GENERATOR:
        *items = v.as.list->items + v.as.list->next;
        *n = v.as.list->n - v.as.list->next;
        v.as.list->next = v.as.list->n;
        return true;
    case PITH_JINJA_DICT: {
        pith_jinja_value keys;
        if (!pith_jinja_list_new(j, PITH_JINJA_LIST, v.as.dict->n, &keys)) {
            return false;
        }
        for (size_t i = 0; i < v.as.dict->n; i++) {
            keys.as.list->items[i] = v.as.dict->entries[i].key;
        }
        *items = keys.as.list->items;
        *n = keys.as.list->n;
        return true;
    }
    default:
        return pith_jinja_refuse(j, "'%s' object is not iterable", pith_jinja_type_name(v));
    }
}

bool pith_jinja_length(pith_jinja *j, pith_jinja_value v, size_t *n) {
    switch ((pith_jinja_kind)v.kind) {
    case PITH_JINJA_UNDEFINED:
        *n = 0;
        return true;
    case PITH_JINJA_STRING:
        *n = pith_jinja_count_chars(&v);
        return pith_jinja_spend(j, v.as.text.size / 32);
    case PITH_JINJA_LIST:
    case PITH_JINJA_TUPLE:
    case PITH_JINJA_RANGE:
    case PITH_JINJA_VIEW:
        *n = v.as.list->n;
        return true;
    case PITH_JINJA_DICT:
        *n = v.as.dict->n;
        return true;
    case PITH_JINJA_LOOP:
        *n = v.as.loop->n;
        return true;
    default:
        return pith_jinja_refuse(j, "object of type '%s' has no length", pith_jinja_type_name(v));
    }
}

/* ---- Dictionaries ---------------------------------------------------------------------------- */

enum { HASHED_FROM = 8 /* entries; fewer are compared one by one */ };

static uint64_t hash_bytes(const char *text, size_t n) {
    uint64_t hash = 14695981039346656037U; /* FNV-1a */
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211U;
    }
    return hash ^ hash >> 29;
}

/* Equal keys hash alike: 1, 1.0 and true are one key. */
static bool hash_key(pith_jinja *j, pith_jinja_value key, uint64_t *out) {
    int64_t integer;
    if (key.kind == PITH_JINJA_STRING) {
        *out = hash_bytes(pith_jinja_bytes(&key), key.as.text.size);
    } else if (pith_jinja_as_int(key, &integer)) {
        *out = (uint64_t)integer * 0x9E3779B97F4A7C15U;
    } else if (key.kind == PITH_JINJA_FLOAT) {
        double real = key.as.real;
        bool whole = floor(real) == real && fabs(real) < 9e18;
        *out = (uint64_t)(whole ? (int64_t)real : (int64_t)7) * 0x9E3779B97F4A7C15U;
    } else if (key.kind == PITH_JINJA_NONE || key.kind == PITH_JINJA_UNDEFINED) {
        *out = key.kind;
    } else if (key.kind == PITH_JINJA_LIST || key.kind == PITH_JINJA_DICT) {
        return pith_jinja_refuse(j, "unhashable type: '%s'", pith_jinja_type_name(key));
    } else {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "a %s as a key is not supported",
                               pith_jinja_type_name(key));
    }
    return true;
}

static bool same_key(pith_jinja_value a, pith_jinja_value b) {
    if (a.kind == PITH_JINJA_STRING || b.kind == PITH_JINJA_STRING) {
        return a.kind == b.kind && a.as.text.size == b.as.text.size &&
               memcmp(pith_jinja_bytes(&a), pith_jinja_bytes(&b), a.as.text.size) == 0;
    }
    int64_t x;
    int64_t y;
    if (pith_jinja_as_int(a, &x) && pith_jinja_as_int(b, &y)) {
        return x == y;
    }
    if (pith_jinja_is_number(a) && pith_jinja_is_number(b)) {
        return pith_jinja_as_real(a) == pith_jinja_as_real(b);
    }
    return a.kind == b.kind;
}

bool pith_jinja_dict_new(pith_jinja *j, pith_jinja_value *out) {
    *out = pith_jinja_of_kind(PITH_JINJA_DICT);
    out->as.dict = pith_jinja_new(j, 1, sizeof *out->as.dict);
    return out->as.dict != NULL;
}

/* The entry of a key, or the free slot where it belongs. */
static pith_jinja_entry *find_entry(const pith_jinja_dict *d, pith_jinja_value key, uint64_t hash,
                                    size_t *slot) {
    if (d->slots == NULL) {
        for (size_t i = 0; i < d->n; i++) {
            if (same_key(d->entries[i].key, key)) {
                return &d->entries[i];
            }
        }
        return NULL;
    }
    for (*slot = hash & (d->n_slots - 1); d->slots[*slot] != 0;
         *slot = (*slot + 1) & (d->n_slots - 1)) {
        pith_jinja_entry *entry = &d->entries[d->slots[*slot] - 1];
        if (same_key(entry->key, key)) {
            return entry;
        }
    }
    return NULL;
}

static bool rehash(pith_jinja *j, pith_jinja_dict *d) {
    d->n_slots = d->capacity * 2;
    d->slots = pith_jinja_new(j, d->n_slots, sizeof *d->slots);
    for (size_t i = 0; d->slots != NULL && i < d->n; i++) {
        uint64_t hash;
        size_t slot = 0;
        if (!hash_key(j, d->entries[i].key, &hash)) {
            return false;
        }
        find_entry(d, d->entries[i].key, hash, &slot);
        d->slots[slot] = (uint32_t)i + 1;
    }
    return d->slots != NULL && pith_jinja_spend(j, d->n / 2);
}

static bool grow(pith_jinja *j, pith_jinja_dict *d) {
    size_t capacity = pith_max_size(d->capacity * 2, 4);
    pith_jinja_entry *entries =
        capacity <= 2 * PITH_JINJA_MAX_ITEMS ? pith_jinja_new(j, capacity, sizeof *entries) : NULL;
    if (entries == NULL) {
        return pith_jinja_fail(j, PITH_ERROR_FORMAT, "a dictionary of more than %d keys",
                               PITH_JINJA_MAX_ITEMS);
    }
    if (d->n > 0) {
        memcpy(entries, d->entries, d->n * sizeof *entries);
    }
    d->entries = entries;
    d->capacity = capacity;
    return capacity < HASHED_FROM || rehash(j, d);
}

bool pith_jinja_dict_put(pith_jinja *j, pith_jinja_dict *d, pith_jinja_value key,
                         pith_jinja_value value) {
    uint64_t hash;
    size_t slot = 0;
    if (!hash_key(j, key, &hash) || !pith_jinja_spend(j, 1)) {
        return false;
    }
    pith_jinja_entry *entry = find_entry(d, key, hash, &slot);
    if (entry != NULL) {
        entry->value = value;
        return true;
    }
    if (d->n == d->capacity) {
        if (!grow(j, d)) {
            return false;
        }
        find_entry(d, key, hash, &slot);
    }
    d->entries[d->n++] = (pith_jinja_entry){.key = key, .value = value};
    if (d->slots != NULL) {
        d->slots[slot] = (uint32_t)d->n;
    }
    return true;
}

bool pith_jinja_dict_find(pith_jinja *j, const pith_jinja_dict *d, pith_jinja_value key,
                          pith_jinja_value **out) {
    uint64_t hash;
    size_t slot;
    if (!hash_key(j, key, &hash)) {
        return false;
    }
    pith_jinja_entry *entry = find_entry(d, key, hash, &slot);
    *out = entry != NULL ? &entry->value : NULL;
    return true;
}

pith_jinja_value *pith_jinja_dict_text(const pith_jinja_dict *d, const char *key, size_t n) {
    pith_jinja_run run = {.end = (uint32_t)n};
    pith_jinja_buffer buffer = {.data = (char *)(uintptr_t)key,
                                .runs = &run,
                                .used = (uint32_t)n,
                                .capacity = (uint32_t)n,
                                .n_runs = 1,
                                .run_capacity = 1};
    size_t slot;
    pith_jinja_entry *entry = find_entry(d, pith_jinja_finish(&buffer), hash_bytes(key, n), &slot);
    return entry != NULL ? &entry->value : NULL;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static bool number_from_json(pith_jinja *j, pith_json json, pith_jinja_value *out) {
    int64_t integer;
    double real = 0;
    if (pith_json_integer(json, &integer)) {
        *out = pith_jinja_int(integer);
    } else if (pith_json_is_integer(json)) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED,
                               "the conversation has an integer beyond 64 bits");
    } else {
        pith_json_number(json, &real);
        *out = pith_jinja_real(real);
    }
    out->origin = PITH_ORIGIN_DATA;
    return true;
}

static bool list_from_json(pith_jinja *j, pith_json json, pith_jinja_value *out) {
    if (!pith_jinja_list_new(j, PITH_JINJA_LIST, pith_json_size(json), out)) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(json);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        if (!pith_jinja_from_json(j, walk.value, &out->as.list->items[i])) {
            return false;
        }
    }
    return true;
}

/* Templates spell tokens around a message's role ("<|" + role + "|>"), so the names that they know
 * count as their own text; any other role stays data. */
static bool is_known_role(const pith_json_walk *member) {
    static const char *const roles[] = {"system",   "user",    "assistant", "tool",
                                        "function", "ipython", "developer", "model"};
    bool role = member->key_size == 4 && memcmp(member->key, "role", 4) == 0;
    for (size_t i = 0; role && i < sizeof roles / sizeof *roles; i++) {
        if (pith_json_is_text(member->value, roles[i])) {
            return true;
        }
    }
    return false;
}

static bool dict_from_json(pith_jinja *j, pith_json json, pith_jinja_value *out) {
    if (!pith_jinja_dict_new(j, out)) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(json);
    while (pith_json_next(&walk)) {
        pith_jinja_value key;
        pith_jinja_value value;
        bool known = is_known_role(&walk);
        if (!pith_jinja_borrow(j, walk.key, walk.key_size, PITH_ORIGIN_DATA, &key) ||
            !(known
                  ? pith_jinja_borrow(j, pith_json_text(walk.value),
                                      pith_json_text_size(walk.value), PITH_ORIGIN_TEMPLATE, &value)
                  : pith_jinja_from_json(j, walk.value, &value)) ||
            !pith_jinja_dict_put(j, out->as.dict, key, value)) {
            return false;
        }
    }
    return true;
}

/* Recursion is bounded by PITH_JSON_MAX_DEPTH, which the reader has checked. */
bool pith_jinja_from_json(pith_jinja *j, pith_json json, pith_jinja_value *out) {
    switch (pith_json_kind_of(json)) {
    case PITH_JSON_BOOL:
        *out = pith_jinja_bool(pith_json_is_true(json));
        out->origin = PITH_ORIGIN_DATA;
        return true;
    case PITH_JSON_NUMBER:
        return number_from_json(j, json, out);
    case PITH_JSON_STRING:
        return pith_jinja_borrow(j, pith_json_text(json), pith_json_text_size(json),
                                 PITH_ORIGIN_DATA, out);
    case PITH_JSON_ARRAY:
        return list_from_json(j, json, out);
    case PITH_JSON_OBJECT:
        return dict_from_json(j, json, out);
    default:
        *out = pith_jinja_of_kind(PITH_JINJA_NONE);
        return true;
    }
}
