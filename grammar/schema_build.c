/* From the keywords of a place to nodes: strings, numbers, arrays, enumerated values. */
#include "grammar/schema.h"

#include <stdio.h>
#include <string.h>

#include "base/json_write.h"

pith_status pith_schema_add_node(pith_schema *s, const pith_rules_node *node) {
    return pith_schema_append(s, &s->nodes, node, PITH_RULES_MAX_OPTIONS, "kinds of values");
}

/* ---- Counts ---------------------------------------------------------------------------------- */

/* A pair of limits, 0 and NONE when they are absent. */
static pith_status read_limits(pith_schema *s, const char *least_name, pith_json least,
                               const char *most_name, pith_json most, uint32_t *from,
                               uint32_t *to) {
    const char *names[] = {least_name, most_name};
    const pith_json values[] = {least, most};
    size_t limits[] = {0, PITH_RULES_NONE};
    for (size_t i = 0; i < 2; i++) {
        if (values[i].at != NULL && !pith_json_count(values[i], &limits[i])) {
            return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"%s\" must be a count, not %s",
                                    names[i], pith_json_describe(values[i]));
        }
    }
    if (limits[0] >= PITH_RULES_NONE) {
        return pith_schema_fail(s, PITH_ERROR_UNSUPPORTED, "\"%s\" is above %u", least_name,
                                PITH_RULES_NONE - 1);
    }
    if (limits[0] > limits[1]) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"%s\" is above \"%s\"", least_name,
                                most_name);
    }
    *from = (uint32_t)limits[0];
    *to = limits[1] < PITH_RULES_NONE ? (uint32_t)limits[1] : PITH_RULES_NONE;
    return PITH_OK;
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

static pith_status build_string(pith_schema *s, const pith_schema_words *words) {
    pith_rules_node node = {.kind = PITH_RULES_STRING};
    pith_rules_string *string = &node.as.string;
    pith_status status = read_limits(s, "minLength", words->min_length, "maxLength",
                                     words->max_length, &string->least, &string->most);
    return status == PITH_OK ? pith_schema_add_node(s, &node) : status;
}

static pith_status build_number(pith_schema *s, const pith_schema_words *words, bool integer) {
    const pith_number_bounds *bounds = &words->bounds;
    const struct {
        const char *name;
        pith_json value;
    } all[] = {{"minimum", bounds->minimum},
               {"maximum", bounds->maximum},
               {"exclusiveMinimum", bounds->exclusive_minimum},
               {"exclusiveMaximum", bounds->exclusive_maximum}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].value.at != NULL && !pith_json_is(all[i].value, PITH_JSON_NUMBER)) {
            return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"%s\" must be a number, not %s",
                                    all[i].name, pith_json_describe(all[i].value));
        }
    }
    const char *problem;
    pith_rules_node node = {.kind = PITH_RULES_NUMBER};
    if (!pith_number_form_make(&node.as.number, bounds, integer, &problem)) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "%s", problem);
    }
    return pith_schema_add_node(s, &node);
}

static pith_status build_array(pith_schema *s, const pith_schema_words *words) {
    pith_rules_node node = {.kind = PITH_RULES_ARRAY};
    pith_rules_array *array = &node.as.array;
    array->items = PITH_RULES_ANY;
    pith_status status = read_limits(s, "minItems", words->min_items, "maxItems", words->max_items,
                                     &array->least, &array->most);
    if (status == PITH_OK && words->items.at != NULL) {
        const pith_schema_place items = {.value = words->items, .parent = s->now, .key = "items"};
        status = pith_schema_place_of(s, items, &array->items);
    }
    return status == PITH_OK ? pith_schema_add_node(s, &node) : status;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* Appends the node of the texts from `first` on. */
static pith_status add_texts(pith_schema *s, uint32_t first) {
    pith_rules_node node = {.kind = PITH_RULES_TEXTS, .as.texts = {first, (uint32_t)s->texts.n}};
    pith_schema_sort(s, node.as.texts);
    return pith_schema_add_node(s, &node);
}

static pith_status build_names(pith_schema *s, unsigned types) {
    static const struct {
        unsigned type;
        const char *text;
    } all[] = {{PITH_SCHEMA_NULL, "null"},
               {PITH_SCHEMA_BOOLEAN, "true"},
               {PITH_SCHEMA_BOOLEAN, "false"}};
    uint32_t first = (uint32_t)s->texts.n;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if ((types & all[i].type) != 0) {
            pith_status status = pith_schema_add_text(s, all[i].text, strlen(all[i].text), 0);
            if (status != PITH_OK) {
                return status;
            }
        }
    }
    return s->texts.n > first ? add_texts(s, first) : PITH_OK;
}

pith_status pith_schema_build(pith_schema *s, const pith_schema_words *words, unsigned types) {
    pith_status status = build_names(s, types);
    if (status == PITH_OK && (types & (PITH_SCHEMA_NUMBER | PITH_SCHEMA_INTEGER)) != 0) {
        status = build_number(s, words, (types & PITH_SCHEMA_NUMBER) == 0);
    }
    if (status == PITH_OK && (types & PITH_SCHEMA_STRING) != 0) {
        status = build_string(s, words);
    }
    if (status == PITH_OK && (types & PITH_SCHEMA_ARRAY) != 0) {
        status = build_array(s, words);
    }
    if (status == PITH_OK && (types & PITH_SCHEMA_OBJECT) != 0) {
        status = pith_schema_build_object(s, words);
    }
    return status;
}

static unsigned type_of(pith_json value) {
    switch (pith_json_kind_of(value)) {
    case PITH_JSON_NULL:
        return PITH_SCHEMA_NULL;
    case PITH_JSON_BOOL:
        return PITH_SCHEMA_BOOLEAN;
    case PITH_JSON_STRING:
        return PITH_SCHEMA_STRING;
    case PITH_JSON_ARRAY:
        return PITH_SCHEMA_ARRAY;
    case PITH_JSON_OBJECT:
        return PITH_SCHEMA_OBJECT;
    default:
        return PITH_SCHEMA_NUMBER | (pith_json_is_integer(value) ? PITH_SCHEMA_INTEGER : 0U);
    }
}

/* The value as compact JSON, members and numbers as the schema has them. */
static pith_status add_value(pith_schema *s, pith_json value) {
    pith_json_writer w;
    pith_json_write_begin(&w, s->allocator);
    pith_json_put_copy(&w, NULL, value);
    pith_status status = pith_json_write_end(&w, "a value of the schema", s->error);
    if (status == PITH_OK) {
        status = pith_schema_add_text(s, w.bytes.data, w.bytes.size, 0);
    }
    pith_bytes_release(&w.bytes);
    return status;
}

pith_status pith_schema_build_values(pith_schema *s, const pith_schema_words *words,
                                     unsigned types) {
    pith_json list = words->enumeration;
    uint32_t first = (uint32_t)s->texts.n;
    if (list.at != NULL && (!pith_json_is(list, PITH_JSON_ARRAY) || pith_json_size(list) == 0)) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"enum\" must be a list of values");
    }
    pith_status status = PITH_OK;
    if (words->constant.at != NULL && (types & type_of(words->constant)) != 0) {
        status = add_value(s, words->constant);
    }
    pith_json_walk walk = pith_json_begin(list);
    while (status == PITH_OK && pith_json_next(&walk)) {
        if ((types & type_of(walk.value)) != 0) {
            status = add_value(s, walk.value);
        }
    }
    if (status == PITH_OK && s->texts.n == first) {
        status = pith_schema_fail(s, PITH_ERROR_FORMAT, "no value of \"%s\" has the type",
                                  list.at != NULL ? "enum" : "const");
    }
    return status == PITH_OK ? add_texts(s, first) : status;
}
