/* Compiles a JSON schema: reads its places one by one, then joins them. */
#include "grammar/schema.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { TABLE = 2 * PITH_RULES_MAX_PLACES, MAX_PATH = 200 };

/* ---- Lists ----------------------------------------------------------------------------------- */

static pith_status no_memory(const pith_schema *s) {
    return pith_fail(s->error, PITH_ERROR_MEMORY, "no memory for a schema");
}

static bool grow(pith_schema *s, pith_schema_list *list) {
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    void *items = pith_reallocate(s->allocator, list->items, capacity, list->size);
    if (items == NULL) {
        return false;
    }
    list->items = items;
    list->capacity = capacity;
    return true;
}

pith_status pith_schema_append(pith_schema *s, pith_schema_list *list, const void *item,
                               size_t most, const char *what) {
    if (list->n == most) {
        return pith_schema_fail(s, PITH_ERROR_UNSUPPORTED, "the schema has more than %zu %s", most,
                                what);
    }
    if (list->n == list->capacity && !grow(s, list)) {
        return no_memory(s);
    }
    memcpy((char *)list->items + list->n * list->size, item, list->size);
    list->n++;
    return PITH_OK;
}

static pith_schema_place *place_at(const pith_schema *s, uint32_t i) {
    return (pith_schema_place *)s->places.items + i;
}

/* ---- Messages -------------------------------------------------------------------------------- */

typedef struct path {
    char text[MAX_PATH]; /* written from its end */
    size_t at;
} path;

static void put_front(path *p, const char *text, size_t n) {
    if (n <= p->at) {
        p->at -= n;
        memcpy(p->text + p->at, text, n);
    } else {
        p->at = 0; /* the beginning of a long path is left out */
    }
}

/* A reference token of a JSON pointer (RFC 6901), with the slash in front. */
static void put_token(path *p, const char *token) {
    for (size_t n = strlen(token); n-- > 0;) {
        if (token[n] == '~' || token[n] == '/') {
            put_front(p, token[n] == '~' ? "~0" : "~1", 2);
        } else {
            put_front(p, token + n, 1);
        }
    }
    put_front(p, "/", 1);
}

static void put_place(path *p, const pith_schema *s, uint32_t i) {
    while (i != PITH_RULES_NONE) {
        const pith_schema_place *place = place_at(s, i);
        char index[16];
        if (place->member != NULL) {
            put_token(p, place->member);
        } else if (place->key != NULL && strcmp(place->key, "anyOf") == 0) {
            snprintf(index, sizeof index, "%u", (unsigned)place->index);
            put_token(p, index);
        }
        if (place->key != NULL && place->key[0] == '#') { /* where a $ref leads to */
            put_front(p, place->key + 1, strlen(place->key) - 1);
            break;
        }
        if (place->key != NULL) {
            put_token(p, place->key);
        }
        i = place->parent;
    }
    put_front(p, "#", 1);
}

pith_status pith_schema_fail(const pith_schema *s, pith_status status, const char *format, ...) {
    char message[300];
    path p = {.at = MAX_PATH};
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    put_place(&p, s, s->now);
    return pith_fail(s->error, status, "%.*s: %s", (int)(MAX_PATH - p.at), p.text + p.at, message);
}

/* ---- Places ---------------------------------------------------------------------------------- */

pith_status pith_schema_place_of(pith_schema *s, pith_schema_place place, uint32_t *out) {
    size_t slot = (size_t)(place.value.at - s->root.at) * 2654435761U % TABLE;
    for (; s->table[slot] != PITH_RULES_NONE; slot = (slot + 1) % TABLE) {
        if (place_at(s, s->table[slot])->value.at == place.value.at) {
            *out = s->table[slot];
            return PITH_OK;
        }
    }
    uint32_t n = (uint32_t)s->places.n;
    pith_status status =
        pith_schema_append(s, &s->places, &place, PITH_RULES_MAX_PLACES, "schemas in it");
    if (status == PITH_OK) {
        s->table[slot] = n;
        *out = n;
    }
    return status;
}

static pith_status link_to(pith_schema *s, uint32_t place) {
    return pith_schema_append(s, &s->links, &place, PITH_RULES_MAX_OPTIONS, "alternatives");
}

/* ---- Keywords -------------------------------------------------------------------------------- */

#define WORD(field) offsetof(pith_schema_words, field)

/* Keywords, with the types that they mean in a schema without `type`. */
static const struct {
    const char *name;
    size_t offset;
    unsigned types;
} words_known[] = {
    {"type", WORD(type), 0},
    {"enum", WORD(enumeration), 0},
    {"const", WORD(constant), 0},
    {"anyOf", WORD(any_of), 0},
    {"$ref", WORD(ref), 0},
    {"properties", WORD(properties), PITH_SCHEMA_OBJECT},
    {"required", WORD(required), PITH_SCHEMA_OBJECT},
    {"additionalProperties", WORD(additional), PITH_SCHEMA_OBJECT},
    {"items", WORD(items), PITH_SCHEMA_ARRAY},
    {"minItems", WORD(min_items), PITH_SCHEMA_ARRAY},
    {"maxItems", WORD(max_items), PITH_SCHEMA_ARRAY},
    {"minLength", WORD(min_length), PITH_SCHEMA_STRING},
    {"maxLength", WORD(max_length), PITH_SCHEMA_STRING},
    {"minimum", WORD(bounds.minimum), PITH_SCHEMA_NUMBER},
    {"maximum", WORD(bounds.maximum), PITH_SCHEMA_NUMBER},
    {"exclusiveMinimum", WORD(bounds.exclusive_minimum), PITH_SCHEMA_NUMBER},
    {"exclusiveMaximum", WORD(bounds.exclusive_maximum), PITH_SCHEMA_NUMBER},
};
enum { N_WORDS = sizeof words_known / sizeof words_known[0] };

/* Keywords that only describe. */
static bool is_remark(const char *key) {
    static const char *const remarks[] = {"$schema",     "$id",        "$comment",    "$defs",
                                          "definitions", "title",      "description", "default",
                                          "examples",    "deprecated", "readOnly",    "writeOnly"};
    for (size_t i = 0; i < sizeof remarks / sizeof remarks[0]; i++) {
        if (strcmp(key, remarks[i]) == 0) {
            return true;
        }
    }
    return strncmp(key, "x-", 2) == 0;
}

/* Reads the keywords of a place. *meant are the types that those without `type` mean, *last is the
 * name of one that is not `type`, and *n how many there are. */
static pith_status read_words(pith_schema *s, pith_json value, pith_schema_words *words,
                              unsigned *meant, const char **last, size_t *n) {
    pith_json_walk walk = pith_json_begin(value);
    while (pith_json_next(&walk)) {
        size_t i = 0;
        while (i < N_WORDS && strcmp(words_known[i].name, walk.key) != 0) {
            i++;
        }
        if (i == N_WORDS) {
            if (is_remark(walk.key)) {
                continue;
            }
            return pith_schema_fail(s, PITH_ERROR_UNSUPPORTED, "\"%.60s\" is not supported",
                                    walk.key);
        }
        *(pith_json *)(void *)((char *)words + words_known[i].offset) = walk.value;
        *meant |= words_known[i].types;
        *last = i > 0 ? words_known[i].name : *last;
        (*n)++;
    }
    return PITH_OK;
}

static pith_status read_type(pith_schema *s, pith_json name, unsigned *types) {
    static const char *const names[] = {"null",   "boolean", "integer", "number",
                                        "string", "array",   "object"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (pith_json_is_text(name, names[i])) {
            *types |= 1U << i;
            return PITH_OK;
        }
    }
    const char *text = pith_json_text(name);
    return text != NULL ? pith_schema_fail(s, PITH_ERROR_FORMAT, "there is no type \"%.60s\"", text)
                        : pith_schema_fail(s, PITH_ERROR_FORMAT, "a type must be a string, not %s",
                                           pith_json_describe(name));
}

/* One type or a list of them. */
static pith_status read_types(pith_schema *s, pith_json type, unsigned *types) {
    *types = 0;
    if (!pith_json_is(type, PITH_JSON_ARRAY)) {
        return read_type(s, type, types);
    }
    if (pith_json_size(type) == 0) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"type\" is an empty list");
    }
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(type);
    while (status == PITH_OK && pith_json_next(&walk)) {
        status = read_type(s, walk.value, types);
    }
    return status;
}

/* ---- Reading a place ------------------------------------------------------------------------- */

static pith_status read_any_of(pith_schema *s, pith_json list) {
    if (!pith_json_is(list, PITH_JSON_ARRAY) || pith_json_size(list) == 0) {
        return pith_schema_fail(s, PITH_ERROR_FORMAT, "\"anyOf\" must be a list of schemas");
    }
    pith_status status = PITH_OK;
    uint32_t first = (uint32_t)s->links.n;
    pith_json_walk walk = pith_json_begin(list);
    for (uint32_t i = 0; status == PITH_OK && pith_json_next(&walk); i++) {
        const pith_schema_place place = {.value = walk.value,
                                         .parent = s->now,
                                         .key = "anyOf",
                                         .index = i};
        uint32_t option;
        status = pith_schema_place_of(s, place, &option);
        if (status == PITH_OK) {
            status = link_to(s, option);
        }
    }
    place_at(s, s->now)->links = (pith_rules_range){first, (uint32_t)s->links.n};
    return status;
}

/* The place allows the values of another one. */
static pith_status read_alias(pith_schema *s, uint32_t other) {
    pith_status status = link_to(s, other);
    uint32_t n = (uint32_t)s->links.n;
    place_at(s, s->now)->links = (pith_rules_range){n - 1, n};
    return status;
}

static pith_status read_ref(pith_schema *s, pith_json ref) {
    uint32_t target;
    pith_status status = pith_schema_follow(s, ref, &target);
    return status == PITH_OK ? read_alias(s, target) : status;
}

/* $ref and anyOf stand alone, enum and const beside a type: together with other keywords they would
 * mean an intersection. */
static pith_status check_company(pith_schema *s, const pith_schema_words *words, size_t n,
                                 const char *other) {
    const char *word = words->ref.at != NULL           ? "$ref"
                       : words->any_of.at != NULL      ? "anyOf"
                       : words->enumeration.at != NULL ? "enum"
                       : words->constant.at != NULL    ? "const"
                                                       : NULL;
    bool typed = words->type.at != NULL;
    bool alone = words->ref.at != NULL || words->any_of.at != NULL;
    if (word == NULL || n == 1 || (n == 2 && typed && !alone)) {
        return PITH_OK;
    }
    if (strcmp(other, word) == 0) { /* the last keyword is that one: name the first of the others */
        other = "type";
        for (size_t i = 1; i < N_WORDS; i++) {
            const pith_json *value =
                (const pith_json *)(const void *)((const char *)words + words_known[i].offset);
            if (value->at != NULL && strcmp(words_known[i].name, word) != 0) {
                other = words_known[i].name;
            }
        }
    }
    return pith_schema_fail(s, PITH_ERROR_UNSUPPORTED, "\"%s\" beside \"%s\" is not supported",
                            other, word);
}

static pith_status read_object_schema(pith_schema *s, pith_json value) {
    pith_schema_words words = {.type = {NULL}};
    unsigned types = 0;
    const char *last = "type";
    size_t n = 0;
    pith_status status = read_words(s, value, &words, &types, &last, &n);
    if (status == PITH_OK) {
        status = check_company(s, &words, n, last);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (words.ref.at != NULL) {
        return read_ref(s, words.ref);
    }
    if (words.any_of.at != NULL) {
        return read_any_of(s, words.any_of);
    }
    if (words.type.at != NULL) {
        status = read_types(s, words.type, &types);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (words.enumeration.at != NULL || words.constant.at != NULL) {
        return pith_schema_build_values(s, &words, words.type.at != NULL ? types : ~0U);
    }
    return types == 0 ? read_alias(s, PITH_RULES_ANY) : pith_schema_build(s, &words, types);
}

static pith_status read_place(pith_schema *s) {
    pith_json value = place_at(s, s->now)->value;
    uint32_t first = (uint32_t)s->nodes.n;
    pith_status status;
    if (pith_json_is(value, PITH_JSON_BOOL)) {
        status = pith_json_is_true(value) ? read_alias(s, PITH_RULES_ANY) : PITH_OK;
    } else if (pith_json_is(value, PITH_JSON_OBJECT)) {
        status = read_object_schema(s, value);
    } else {
        status = pith_schema_fail(s, PITH_ERROR_FORMAT,
                                  "a schema must be an object or a boolean, not %s",
                                  pith_json_describe(value));
    }
    place_at(s, s->now)->nodes = (pith_rules_range){first, (uint32_t)s->nodes.n};
    return status;
}

/* The place PITH_RULES_ANY: every type, without limits. */
static pith_status make_any(pith_schema *s) {
    static const pith_schema_words none = {.type = {NULL}};
    pith_schema_place any = {.value = {NULL}, .parent = PITH_RULES_NONE};
    pith_status status =
        pith_schema_append(s, &s->places, &any, PITH_RULES_MAX_PLACES, "schemas in it");
    s->now = PITH_RULES_ANY;
    if (status == PITH_OK) {
        status = pith_schema_build(s, &none,
                                   PITH_SCHEMA_NULL | PITH_SCHEMA_BOOLEAN | PITH_SCHEMA_NUMBER |
                                       PITH_SCHEMA_STRING | PITH_SCHEMA_ARRAY | PITH_SCHEMA_OBJECT);
    }
    if (status == PITH_OK) {
        place_at(s, PITH_RULES_ANY)->nodes = (pith_rules_range){0, (uint32_t)s->nodes.n};
    }
    return status;
}

static pith_status read_all(pith_schema *s) {
    pith_status status = make_any(s);
    const pith_schema_place root = {.value = s->root, .parent = PITH_RULES_NONE};
    uint32_t n;
    if (status == PITH_OK) {
        status = pith_schema_place_of(s, root, &n);
    }
    for (uint32_t i = PITH_RULES_ROOT; status == PITH_OK && i < s->places.n; i++) {
        s->now = i;
        status = read_place(s);
    }
    return status;
}

/* ---- Joining --------------------------------------------------------------------------------- */

static pith_status add_options(pith_schema *s, pith_rules_range nodes) {
    pith_status status = PITH_OK;
    for (uint32_t i = nodes.first; status == PITH_OK && i < nodes.end; i++) {
        status = pith_schema_append(s, &s->options, &i, PITH_RULES_MAX_OPTIONS, "alternatives");
    }
    return status;
}

/* Options of a place: the nodes of all places that links lead to. `seen` [n_places] marks those by
 * the number of the place, `waiting` [n_places] is room for them. */
static pith_status spread(pith_schema *s, uint32_t place, uint32_t *seen, uint32_t *waiting) {
    const uint32_t *links = s->links.items;
    pith_status status = PITH_OK;
    size_t n = 0;
    waiting[n++] = place;
    seen[place] = place;
    for (size_t at = 0; status == PITH_OK && at < n; at++) {
        const pith_schema_place *p = place_at(s, waiting[at]);
        status = add_options(s, p->nodes);
        for (uint32_t i = p->links.first; i < p->links.end; i++) {
            if (seen[links[i]] != place) {
                seen[links[i]] = place;
                waiting[n++] = links[i];
            }
        }
    }
    return status;
}

static pith_status spread_all(pith_schema *s, pith_rules_place *places) {
    size_t n = s->places.n;
    uint32_t *seen = pith_allocate(s->allocator, 2 * n, sizeof *seen);
    if (seen == NULL) {
        return no_memory(s);
    }
    memset(seen, 0xFF, n * sizeof *seen);
    pith_status status = PITH_OK;
    for (uint32_t i = 0; status == PITH_OK && i < n; i++) {
        s->now = i;
        uint32_t first = (uint32_t)s->options.n;
        status = spread(s, i, seen, seen + n);
        places[i].options = (pith_rules_range){first, (uint32_t)s->options.n};
        places[i].depth = PITH_RULES_NONE;
    }
    pith_release(s->allocator, seen);
    return status;
}

/* Depth of a node, as far as those of places are known. */
static uint32_t node_depth(const pith_rules *rules, const pith_rules_node *node) {
    uint32_t depth = 0;
    if (node->kind == PITH_RULES_ARRAY) {
        depth = node->as.array.least > 0 ? rules->places[node->as.array.items].depth : 0;
    } else if (node->kind == PITH_RULES_OBJECT) {
        pith_rules_range range = node->as.object.properties;
        for (uint32_t i = range.first; i < range.end; i++) {
            const pith_rules_property *property = &rules->properties[i];
            uint32_t deep = property->required ? rules->places[property->place].depth : 0;
            depth = deep > depth ? deep : depth;
        }
    } else {
        return 0;
    }
    return depth >= PITH_RULES_MAX_DEPTH ? PITH_RULES_NONE : depth + 1;
}

/* Finds depths, shallowest values first; each round finds those of one more level. */
static void find_depths(pith_rules *rules, size_t n_places, size_t n_nodes) {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t i = 0; i < n_nodes; i++) {
            rules->nodes[i].depth = node_depth(rules, &rules->nodes[i]);
        }
        for (size_t i = 0; i < n_places; i++) {
            pith_rules_place *place = &rules->places[i];
            for (uint32_t k = place->options.first; k < place->options.end; k++) {
                uint32_t depth = rules->nodes[rules->options[k]].depth;
                changed = changed || depth < place->depth;
                place->depth = depth < place->depth ? depth : place->depth;
            }
        }
    }
}

/* ---- The whole ------------------------------------------------------------------------------- */

static void begin(pith_schema *s, const pith_allocator *allocator, pith_error *error) {
    *s = (pith_schema){
        .allocator = allocator,
        .error = error,
        .places.size = sizeof(pith_schema_place),
        .links.size = sizeof(uint32_t),
        .nodes.size = sizeof(pith_rules_node),
        .properties.size = sizeof(pith_rules_property),
        .texts.size = sizeof(pith_rules_text),
        .options.size = sizeof(uint32_t),
        .refs.size = sizeof(pith_schema_ref),
        .now = PITH_RULES_NONE,
    };
    pith_bytes_init(&s->bytes, allocator);
}

/* Gives the tables to the rules. */
static void hand_over(pith_schema *s, pith_rules *rules) {
    rules->options = s->options.items;
    rules->nodes = s->nodes.items;
    rules->properties = s->properties.items;
    rules->texts = s->texts.items;
    rules->bytes = s->bytes.data;
}

static pith_status compile(pith_schema *s, pith_rules *rules) {
    s->table = pith_allocate(s->allocator, TABLE, sizeof *s->table);
    if (s->table == NULL) {
        return no_memory(s);
    }
    memset(s->table, 0xFF, TABLE * sizeof *s->table);
    pith_status status = read_all(s);
    if (status != PITH_OK) {
        return status;
    }
    rules->places = pith_allocate(s->allocator, s->places.n, sizeof *rules->places);
    if (rules->places == NULL) {
        return no_memory(s);
    }
    return spread_all(s, rules->places);
}

pith_status pith_rules_new(pith_rules **out, pith_text schema, const pith_allocator *allocator,
                           pith_error *error) {
    pith_schema s;
    char *copy = NULL;
    if (schema.n_bytes > PITH_RULES_MAX_BYTES) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the schema has %zu bytes, at most %d",
                         schema.n_bytes, PITH_RULES_MAX_BYTES);
    }
    begin(&s, allocator, error);
    pith_rules *rules = pith_allocate_zeroed(allocator, 1, sizeof *rules);
    if (rules == NULL) {
        return no_memory(&s);
    }
    rules->allocator = allocator;
    pith_status status = pith_json_read_copy(&s.root, &copy, schema.data, schema.n_bytes,
                                             PITH_JSON_STRICT, "the schema", allocator, error);
    if (status == PITH_OK) {
        status = compile(&s, rules);
    }
    hand_over(&s, rules);
    if (status == PITH_OK) {
        find_depths(rules, s.places.n, s.nodes.n);
        s.now = PITH_RULES_ROOT;
        if (rules->places[PITH_RULES_ROOT].depth == PITH_RULES_NONE) {
            status = pith_schema_fail(&s, PITH_ERROR_FORMAT,
                                      "no value of at most %d levels of arrays and objects is "
                                      "allowed",
                                      PITH_RULES_MAX_DEPTH);
        }
    }
    pith_release(allocator, s.places.items);
    pith_release(allocator, s.links.items);
    pith_release(allocator, s.refs.items);
    pith_release(allocator, s.table);
    pith_release(allocator, copy);
    if (status != PITH_OK) {
        pith_rules_free(rules);
        return status;
    }
    *out = rules;
    return PITH_OK;
}

void pith_rules_free(pith_rules *rules) {
    if (rules != NULL) {
        pith_release(rules->allocator, rules->places);
        pith_release(rules->allocator, rules->options);
        pith_release(rules->allocator, rules->nodes);
        pith_release(rules->allocator, rules->properties);
        pith_release(rules->allocator, rules->texts);
        pith_release(rules->allocator, rules->bytes);
        pith_release(rules->allocator, rules);
    }
}
