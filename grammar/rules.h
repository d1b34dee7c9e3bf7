/* A JSON schema, compiled: what value may stand where, as small tables that automaton.h walks. The
 * texts it allows are JSON (RFC 8259) without white space but for one space after each colon and
 * comma, so that every text comes to an end.
 *
 * What is known of JSON Schema: type and lists of types, enum, const, anyOf, $ref within the
 * document (recursive ones too), properties, required, additionalProperties, items, minItems,
 * maxItems, minLength, maxLength, minimum, maximum, exclusiveMinimum, exclusiveMaximum, and what
 * only describes ($schema, $id, $comment, $defs, definitions, title, description, default,
 * examples, deprecated, readOnly, writeOnly, x-...). Anything else is refused by name and place.
 *
 * Texts are a subset of what a schema allows: members come in the order of `properties`, additional
 * ones after them; where `properties` are given, there are additional ones only if
 * additionalProperties asks for them; without `type`, its keywords say which types are meant. */
#ifndef PITH_GRAMMAR_RULES_H
#define PITH_GRAMMAR_RULES_H

#include "grammar/number.h"

enum {
    PITH_RULES_MAX_BYTES = 128 << 10, /* of a schema */
    PITH_RULES_MAX_PLACES = 4096,     /* schemas in it that are in use */
    PITH_RULES_MAX_OPTIONS = 1 << 16, /* of all places together, anyOf in anyOf spread out */
    PITH_RULES_MAX_TEXTS = 1 << 14,   /* property names and enumerated values */
    PITH_RULES_MAX_REFS = 256,        /* different ones: each may walk the whole document */
    PITH_RULES_MAX_DEPTH = 32,        /* arrays and objects inside each other, in a text */
    PITH_RULES_MAX_NAME = 64,         /* characters of the name of an additional member */
};

#define PITH_RULES_NONE UINT32_MAX

typedef enum pith_rules_kind {
    PITH_RULES_STRING,
    PITH_RULES_NUMBER,
    PITH_RULES_TEXTS, /* one of some JSON texts, byte for byte: enum, const, true, false, null */
    PITH_RULES_OBJECT,
    PITH_RULES_ARRAY,
} pith_rules_kind;

/* Elements first .. end - 1 of an array. */
typedef struct pith_rules_range {
    uint32_t first, end;
} pith_rules_range;

/* A text that values or keys are compared with; those of a range are in the order of their bytes.
 */
typedef struct pith_rules_text {
    uint32_t offset; /* in the bytes of the rules */
    uint32_t n_bytes;
    uint32_t property; /* of a key: which of the object's it is */
} pith_rules_text;

/* What may stand in a place of a text: any of its options. */
typedef struct pith_rules_place {
    pith_rules_range options; /* in `options`, indices of nodes */
    uint32_t
        depth; /* levels of arrays and objects in the shallowest value; NONE: there is no value */
} pith_rules_place;

typedef struct pith_rules_property {
    uint32_t place;
    uint32_t reach; /* the first required property from this one on, or the last one of the object:
                       which may come next, when all before this one are done */
    bool required;
} pith_rules_property;

typedef struct pith_rules_object {
    pith_rules_range properties; /* in the order of the schema */
    pith_rules_range keys;  /* texts, as they stand between the quotes, with the closing quote */
    pith_rules_range names; /* texts, without escapes: what additional members must not be called */
    uint32_t n_needed;      /* properties up to the last required one */
    uint32_t additional;    /* place of additional members, NONE: there are none */
} pith_rules_object;

typedef struct pith_rules_array {
    uint32_t items; /* a place */
    uint32_t least, most;
} pith_rules_array;

typedef struct pith_rules_string {
    uint32_t least, most; /* characters */
} pith_rules_string;

/* A set of values of one kind. */
typedef struct pith_rules_node {
    pith_rules_kind kind;
    uint32_t depth; /* as that of a place */
    union {
        pith_rules_string string;
        pith_number_form number;
        pith_rules_range texts;
        pith_rules_object object;
        pith_rules_array array;
    } as;
} pith_rules_node;

/* Immutable; any number of threads may read it. */
typedef struct pith_rules {
    const pith_allocator *allocator;
    pith_rules_place *places; /* place PITH_RULES_ROOT is the whole text */
    uint32_t *options;
    pith_rules_node *nodes;
    pith_rules_property *properties;
    pith_rules_text *texts;
    char *bytes;
} pith_rules;

enum { PITH_RULES_ANY = 0, PITH_RULES_ROOT = 1 }; /* places: any JSON value; the whole text */

/* Compiles a schema. Messages name the place as a JSON pointer ("#/properties/age"). Errors: FORMAT
 * (no JSON, a keyword with a value that it cannot have, no value is allowed), UNSUPPORTED (a
 * keyword, a limit above; named), MEMORY. */
pith_status pith_rules_new(pith_rules **out, pith_text schema, const pith_allocator *allocator,
                           pith_error *error);
void pith_rules_free(pith_rules *rules); /* accepts NULL */

static inline const unsigned char *pith_rules_bytes(const pith_rules *rules,
                                                    const pith_rules_text *text) {
    return (const unsigned char *)rules->bytes + text->offset;
}

#endif
