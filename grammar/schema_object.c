/* Objects of a schema: their properties in order, which of them are required, what else there may
 * be. Names are kept twice: as they are, to find them, and as they stand between quotes. */
#include "grammar/schema.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"

/* ---- Texts ----------------------------------------------------------------------------------- */

pith_status pith_schema_add_text(pith_schema *s, const char *text, size_t n, uint32_t property) {
    const pith_rules_text added = {(uint32_t)s->bytes.size, (uint32_t)n, property};
    if (!pith_bytes_append(&s->bytes, text, n)) {
        return pith_fail(s->error, PITH_ERROR_MEMORY, "no memory for a schema");
    }
    return pith_schema_append(s, &s->texts, &added, PITH_RULES_MAX_TEXTS, "names and values");
}

static int compare_bytes(const char *a, size_t n, const char *b, size_t m) {
    size_t both = n < m ? n : m;
    int order = both > 0 ? memcmp(a, b, both) : 0;
    return order != 0 ? order : (n > m) - (n < m);
}

static int compare_texts(const void *a, const void *b, void *bytes) {
    const pith_rules_text *x = a;
    const pith_rules_text *y = b;
    const char *base = bytes;
    return compare_bytes(base + x->offset, x->n_bytes, base + y->offset, y->n_bytes);
}

void pith_schema_sort(pith_schema *s, pith_rules_range range) {
    pith_rules_text *texts = s->texts.items;
    if (range.end - range.first > 1) {
        qsort_r(texts + range.first, range.end - range.first, sizeof *texts, compare_texts,
                s->bytes.data);
    }
}

/* The text among the sorted ones of a range, or NULL. */
static const pith_rules_text *find(const pith_schema *s, pith_rules_range range, const char *name,
                                   size_t n) {
    const pith_rules_text *texts = s->texts.items;
    while (range.first < range.end) {
        uint32_t middle = range.first + (range.end - range.first) / 2;
        const pith_rules_text *text = &texts[middle];
        int order = compare_bytes(name, n, s->bytes.data + text->offset, text->n_bytes);
        if (order == 0) {
            return text;
        }
        range.first = order > 0 ? middle + 1 : range.first;
        range.end = order < 0 ? middle : range.end;
    }
    return NULL;
}

/* ---- Members --------------------------------------------------------------------------------- */

static pith_status add_property(pith_schema *s, pith_rules_object *object, uint32_t place,
                                bool required, const char *name, size_t n) {
    const pith_rules_property property = {.place = place, .required = required};
    uint32_t index = (uint32_t)s->properties.n - object->properties.first;
    pith_status status =
        pith_schema_append(s, &s->properties, &property, PITH_RULES_MAX_TEXTS, "properties");
    object->properties.end = (uint32_t)s->properties.n;
    if (status == PITH_OK) {
        status = pith_schema_add_text(s, name, n, index);
        object->names.end = (uint32_t)s->texts.n;
    }
    return status;
}

static pith_status read_properties(pith_schema *s, pith_json properties,
                                   pith_rules_object *object) {
    if (properties.at != NULL && !pith_json_is(properties, PITH_JSON_OBJECT)) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"properties\" must be an object, not %s",
                                pith_json_describe(properties));
    }
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(properties);
    while (status == PITH_OK && pith_json_next(&walk)) {
        const pith_schema_place place = {.value = walk.value,
                                         .parent = s->now,
                                         .key = "properties",
                                         .member = walk.key};
        uint32_t child;
        status = pith_schema_place_of(s, place, &child);
        if (status == PITH_OK) {
            status = add_property(s, object, child, false, walk.key, walk.key_size);
        }
    }
    pith_schema_sort(s, object->names);
    return status;
}

/* Members that are no properties may be anything, unless additionalProperties says what. */
static pith_status read_additional(pith_schema *s, const pith_schema_words *words,
                                   pith_rules_object *object) {
    object->additional = PITH_RULES_NONE;
    if (words->additional.at == NULL) {
        object->additional = words->properties.at != NULL ? PITH_RULES_NONE : PITH_RULES_ANY;
        return PITH_OK;
    }
    if (pith_json_is(words->additional, PITH_JSON_BOOL) && !pith_json_is_true(words->additional)) {
        return PITH_OK;
    }
    const pith_schema_place place = {.value = words->additional,
                                     .parent = s->now,
                                     .key = "additionalProperties"};
    return pith_schema_place_of(s, place, &object->additional);
}

/* Moves the last of the names, which is new, to where it belongs. */
static void settle_last(pith_schema *s, pith_rules_range names) {
    pith_rules_text *texts = s->texts.items;
    pith_rules_text last = texts[names.end - 1];
    uint32_t at = names.end - 1;
    while (at > names.first && compare_texts(&texts[at - 1], &last, s->bytes.data) > 0) {
        at--;
    }
    memmove(texts + at + 1, texts + at, (names.end - 1 - at) * sizeof *texts);
    texts[at] = last;
}

/* Adds a required member that is not among the properties to them. */
static pith_status require_other(pith_schema *s, const pith_schema_words *words,
                                 pith_rules_object *object, const char *name, size_t n) {
    if (words->additional.at != NULL && object->additional == PITH_RULES_NONE) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT,
                                "\"%.60s\" is required and not among the properties", name);
    }
    uint32_t place = words->additional.at != NULL ? object->additional : PITH_RULES_ANY;
    return add_property(s, object, place, true, name, n);
}

static pith_status read_required(pith_schema *s, const pith_schema_words *words,
                                 pith_rules_object *object) {
    if (words->required.at != NULL && !pith_json_is(words->required, PITH_JSON_ARRAY)) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"required\" must be a list of names");
    }
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(words->required);
    while (status == PITH_OK && pith_json_next(&walk)) {
        const char *name = pith_json_text(walk.value);
        if (name == NULL) {
            return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"required\" has %s, not a name",
                                    pith_json_describe(walk.value));
        }
        size_t n = pith_json_text_size(walk.value);
        const pith_rules_text *known = find(s, object->names, name, n);
        if (known != NULL) {
            pith_rules_property *properties = s->properties.items;
            properties[object->properties.first + known->property].required = true;
        } else {
            status = require_other(s, words, object, name, n);
            if (status == PITH_OK) {
                settle_last(s, object->names);
            }
        }
    }
    return status;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* A name as it stands behind the opening quote. */
static pith_status add_key(pith_schema *s, pith_rules_text name) {
    pith_json_writer w;
    pith_json_write_begin(&w, s->allocator);
    pith_json_put_bytes(&w, NULL, s->bytes.data + name.offset, name.n_bytes);
    pith_status status = pith_json_write_end(&w, "a name of the schema", s->error);
    if (status == PITH_OK) {
        status = pith_schema_add_text(s, w.bytes.data + 1, w.bytes.size - 1, name.property);
    }
    pith_bytes_release(&w.bytes);
    return status;
}

static pith_status make_keys(pith_schema *s, pith_rules_object *object) {
    pith_status status = PITH_OK;
    object->keys.first = (uint32_t)s->texts.n;
    for (uint32_t i = object->names.first; status == PITH_OK && i < object->names.end; i++) {
        status = add_key(s, ((pith_rules_text *)s->texts.items)[i]);
    }
    object->keys.end = (uint32_t)s->texts.n;
    pith_schema_sort(s, object->keys);
    return status;
}

static void find_reaches(pith_schema *s, pith_rules_object *object) {
    uint32_t n = object->properties.end - object->properties.first;
    object->n_needed = 0;
    if (n == 0) {
        return;
    }
    pith_rules_property *properties =
        (pith_rules_property *)s->properties.items + object->properties.first;
    uint32_t reach = n - 1;
    for (uint32_t i = n; i-- > 0;) {
        if (properties[i].required) {
            reach = i;
            object->n_needed = object->n_needed > 0 ? object->n_needed : i + 1;
        }
        properties[i].reach = reach;
    }
}

pith_status pith_schema_build_object(pith_schema *s, const pith_schema_words *words) {
    pith_rules_node node = {.kind = PITH_RULES_OBJECT};
    pith_rules_object *object = &node.as.object;
    object->properties.first = object->properties.end = (uint32_t)s->properties.n;
    object->names.first = object->names.end = (uint32_t)s->texts.n;
    pith_status status = read_additional(s, words, object);
    if (status == PITH_OK) {
        status = read_properties(s, words->properties, object);
    }
    if (status == PITH_OK) {
        status = read_required(s, words, object);
    }
    if (status == PITH_OK) {
        status = make_keys(s, object);
    }
    if (status != PITH_OK) {
        return status;
    }
    find_reaches(s, object);
    return pith_schema_add_node(s, &node);
}
