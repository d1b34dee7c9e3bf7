/* What the files that compile a schema share. Places of the schema wait in a list until they are
 * read (schema.c), one after the other, without recursion; what they become is built by
 * schema_build.c, and references are followed by schema_ref.c. When all are read, anyOf and $ref,
 * so far links from place to place, are spread out into options, and depths are found. */
#ifndef PITH_GRAMMAR_SCHEMA_H
#define PITH_GRAMMAR_SCHEMA_H

#include "base/bytes.h"
#include "base/memory.h"
#include "base/status.h"
#include "grammar/rules.h"

/* A place of the schema. */
typedef struct pith_schema_place {
    pith_json value;
    uint32_t parent;        /* place that contains it; NONE: the root */
    const char *key;        /* where in the parent: "properties", "items" */
    const char *member;     /* and there: the name of a property; NULL: there is none */
    uint32_t index;         /* and there: which one of anyOf */
    pith_rules_range nodes; /* that it allows by itself */
    pith_rules_range links; /* places whose values it allows, too */
} pith_schema_place;

/* A $ref that was followed. */
typedef struct pith_schema_ref {
    const char *text;
    uint32_t place;
} pith_schema_ref;

/* A growing array. */
typedef struct pith_schema_list {
    void *items;
    size_t n, capacity, size; /* size of an item */
} pith_schema_list;

typedef struct pith_schema {
    const pith_allocator *allocator;
    pith_error *error;
    pith_json root;
    pith_schema_list places;     /* pith_schema_place */
    pith_schema_list links;      /* uint32_t */
    pith_schema_list nodes;      /* of the rules, as the following */
    pith_schema_list properties; /* pith_rules_property */
    pith_schema_list texts;      /* pith_rules_text */
    pith_schema_list options;    /* uint32_t */
    pith_bytes bytes;
    pith_schema_list refs; /* pith_schema_ref */
    uint32_t now;          /* the place that is being read */
    uint32_t *table;       /* [TABLE] hash table of places by where they stand, NONE: free */
} pith_schema;

/* The keywords of one place; absent ones are {NULL}. */
typedef struct pith_schema_words {
    pith_json type, enumeration, constant, any_of, ref;
    pith_json properties, required, additional;
    pith_json items, min_items, max_items;
    pith_json min_length, max_length;
    pith_number_bounds bounds;
} pith_schema_words;

/* ---- schema.c -------------------------------------------------------------------------------- */

/* The place at `value`, a new one unless it is known. Errors: UNSUPPORTED (too many), MEMORY. */
pith_status pith_schema_place_of(pith_schema *s, pith_schema_place place, uint32_t *out);

/* "#/properties/age: ", then the message. */
pith_status pith_schema_fail(const pith_schema *s, pith_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends an item, of which `what` is the name in the plural; at most `most` in all.
 * Errors: UNSUPPORTED (too many), MEMORY. */
pith_status pith_schema_append(pith_schema *s, pith_schema_list *list, const void *item,
                               size_t most, const char *what);

/* ---- schema_build.c -------------------------------------------------------------------------- */

/* Bits of the types that a schema names. */
enum {
    PITH_SCHEMA_NULL = 1,
    PITH_SCHEMA_BOOLEAN = 2,
    PITH_SCHEMA_INTEGER = 4,
    PITH_SCHEMA_NUMBER = 8,
    PITH_SCHEMA_STRING = 16,
    PITH_SCHEMA_ARRAY = 32,
    PITH_SCHEMA_OBJECT = 64,
};

/* Appends a node. */
pith_status pith_schema_add_node(pith_schema *s, const pith_rules_node *node);

/* Appends the nodes of the types, with what the words say about them. */
pith_status pith_schema_build(pith_schema *s, const pith_schema_words *words, unsigned types);

/* Appends the node of enum or const: of their values those of the types. */
pith_status pith_schema_build_values(pith_schema *s, const pith_schema_words *words,
                                     unsigned types);

/* ---- schema_object.c ------------------------------------------------------------------------- */

pith_status pith_schema_build_object(pith_schema *s, const pith_schema_words *words);

/* Sorts texts by their bytes. */
void pith_schema_sort(pith_schema *s, pith_rules_range range);

/* Appends a text of [n] bytes. */
pith_status pith_schema_add_text(pith_schema *s, const char *text, size_t n, uint32_t property);

/* ---- schema_ref.c ---------------------------------------------------------------------------- */

/* The place that a $ref leads to. */
pith_status pith_schema_follow(pith_schema *s, pith_json ref, uint32_t *out);

#endif
