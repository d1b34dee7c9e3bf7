/* Every keyword of a schema: texts that it allows and texts that it does not, and every refusal
 * with its message. */
#include "tests/grammar_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "tests/support.h"
#include "tests/test.h"

/* ---- Texts ----------------------------------------------------------------------------------- */

/* The texts of a row, NULL-terminated. */
typedef struct row {
    const char *schema;
    const char *whole[12]; /* each beginning of which is accepted */
    const char *bad[12];
} row;

static void check_row(const row *r) {
    pith_rules *rules = test_rules(r->schema);
    for (size_t i = 0; r->whole[i] != NULL; i++) {
        size_t n = strlen(r->whole[i]);
        CHECK(test_judge(rules, r->whole[i], n) >= TEST_WHOLE, "%s: refuses or goes on after %s",
              r->schema, r->whole[i]);
        for (size_t k = 0; k < n; k++) {
            CHECK(test_judge(rules, r->whole[i], k) != TEST_REFUSED, "%s: refuses %.*s", r->schema,
                  (int)k, r->whole[i]);
        }
    }
    for (size_t i = 0; r->bad[i] != NULL; i++) {
        test_verdict verdict = test_judge(rules, r->bad[i], strlen(r->bad[i]));
        CHECK(verdict < TEST_WHOLE, "%s: allows %s", r->schema, r->bad[i]);
    }
    pith_rules_free(rules);
}

static const row scalars[] = {
    {"{\"type\": \"null\"}", {"null"}, {"nul", "nulll", " null", "null ", "true", ""}},
    {"{\"type\": \"boolean\"}", {"true", "false"}, {"null", "tru", "True"}},
    {"{\"type\": \"integer\"}", {"0", "-7", "123456789012345678"}, {"1.0", "1e2", "01", "-", "x"}},
    {"{\"type\": \"number\"}", {"0", "-7.25", "1e5"}, {"1.", ".5", "NaN", "Infinity"}},
    {"{\"type\": \"integer\", \"minimum\": 3, \"maximum\": 12}",
     {"3", "9", "12"},
     {"2", "13", "1", "20", "30"}},
    {"{\"exclusiveMinimum\": 1, \"exclusiveMaximum\": 2}", {"1.5", "1.000001"}, {"1", "2", "1.0"}},
    {"{\"type\": \"string\"}",
     {"\"\"", "\"a b\"", "\"\\u00e9\\n\\\"\\/\"", "\"\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80\"",
      "\"\\uD83D\\uDE00\""},
     {"\"\n\"", "\"\\x\"", "\"\xFF\"", "\"\\u0000\"", "\"\\uD83D\"", "\"\\uDE00\"", "\"a", "a"}},
    {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}",
     {"\"ab\"", "\"abc\"", "\"\xC3\xA9\xC3\xA9\"", "\"\\uD83D\\uDE00x\"", "\"\\n\\t\\u0041\""},
     {"\"\"", "\"a\"", "\"abcd\"", "\"\\uD83D\\uDE00\"", "\"abc\\n\""}},
    {"{\"maxLength\": 0}", {"\"\""}, {"\"a\"", "1"}},
    {"{\"minLength\": 1}", {"\"a\""}, {"\"\"", "1"}},
    {"{\"enum\": [\"a\", \"ab\", 1, 12, null, [1, {\"b\": 2, \"a\": 1e3}], \"\\u00e9\\n\"]}",
     {"\"a\"", "\"ab\"", "1", "12", "null", "[1,{\"b\":2,\"a\":1e3}]", "\"\xC3\xA9\\n\""},
     {"\"b\"", "2", "123", "[1]", "[1, {\"b\":2,\"a\":1e3}]", "\"\""}},
    {"{\"enum\": [\"a\", 1, 1.5, null, true], \"type\": [\"integer\", \"string\"]}",
     {"\"a\"", "1"},
     {"1.5", "null", "true"}},
    {"{\"const\": {\"a\": [true]}}", {"{\"a\":[true]}"}, {"{\"a\":[]}", "{}"}},
    {"{\"type\": [\"null\", \"integer\"], \"minimum\": 1}", {"null", "1"}, {"0", "true"}},
    {"{\"type\": \"string\", \"minimum\": 4}", {"\"\""}, {"5"}},
    {"{\"title\": \"t\", \"description\": 1, \"$comment\": 2, \"default\": 3, \"examples\": 4, "
     "\"deprecated\": 5, \"readOnly\": 6, \"writeOnly\": 7, \"$schema\": 8, \"$id\": 9, \"x-a\": "
     "10, \"$defs\": {\"a\": {\"pattern\": \"b\"}}, \"definitions\": 0, \"type\": \"null\"}",
     {"null"},
     {"1"}},
};

TEST(grammar_schema, scalars) {
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        check_row(&scalars[i]);
    }
    CHECK_NO_LEAKS();
}

static const row containers[] = {
    {"{}",
     {"{}", "[]", "null", "1.5e3", "\"a\"", "{\"a\":[1, {\"b\": null}]}", "[[[]]]"},
     {"[1,]", "{,}", "{\"a\"}", "[1 ,2]", "[ 1]", "{ }", "[1,  2]", "{\"a\":  1}", "[] ", "{a:1}"}},
    {"{\"type\": \"object\"}", {"{}", "{\"a\": 1, \"b\":2}"}, {"[]", "1"}},
    {"{\"type\": \"array\"}", {"[]", "[1,\"a\",{}]"}, {"{}", "[1"}},
    {"{\"items\": {\"type\": \"null\"}}", {"[]", "[null, null]"}, {"[1]", "null"}},
    {"{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 1, \"maxItems\": 2}",
     {"[1]", "[1,2]"},
     {"[]", "[1,2,3]", "[1,2,", "[,1]"}},
    {"{\"type\": \"array\", \"maxItems\": 0}", {"[]"}, {"[1]", "[n"}},
    {"{\"type\": \"array\", \"items\": false}", {"[]"}, {"[1]", "[\""}},
    {"{\"properties\": {\"a\": {\"type\": \"integer\"}, \"ab\": {\"type\": \"null\"}, \"c\": "
     "true}, "
     "\"required\": [\"ab\"]}",
     {"{\"ab\":null}", "{\"a\":1, \"ab\":null}", "{\"a\": 12,\"ab\": null,\"c\": {}}",
      "{\"ab\":null,\"c\":[1]}"},
     {"{}", "{\"a\":1}", "{\"ab\":null,\"a\":1}", "{\"c\":1}", "{\"ab\":null,\"d\":1}",
      "{\"ab\":null,\"ab\":null}", "{\"ab\":null,}", "{\"a\\u0062\":null}"}},
    {"{\"type\": \"object\", \"properties\": {}}", {"{}"}, {"{\"a\":1}"}},
    {"{\"type\": \"object\", \"additionalProperties\": false}", {"{}"}, {"{\"a\":1}"}},
    {"{\"additionalProperties\": {\"type\": \"null\"}, \"properties\": {\"name\": {\"const\": 1}, "
     "\"n\\\"\\u00e9\": {\"const\": 2}}}",
     {"{}", "{\"name\":1}", "{\"x\":null}", "{\"name\":1,\"n\":null, \"names\": null}",
      "{\"nam\":null}", "{\"\":null}", "{\"n\\\"\xC3\xA9\":2,\"\\n\":null}", "{\"\\u006e\":null}",
      "{\"n\\\"\":null}"},
     {"{\"name\":null}", "{\"x\":null,\"name\":1}", "{\"n\\u0061me\":null}", "{\"name\\\":null}",
      "{\"n\\u0022\\u00e9\":null}", "{\"n\\\"\\u00E9\":null}", "{\"x\":1}"}},
    {"{\"additionalProperties\": {\"type\": \"null\"}, \"properties\": {\"\xF0\x9F\x98\x80\": "
     "{\"const\": 1}}}",
     {"{\"\xF0\x9F\x98\x80\":1}", "{\"\\uD83D\\uDE01\":null}", "{\"\xF0\x9F\x98\x81\":null}"},
     {"{\"\\uD83D\\uDE00\":null}", "{\"\\ud83d\\ude00\":1}"}},
    {"{\"properties\": {\"a\": false, \"b\": {\"type\": \"null\"}}}",
     {"{}", "{\"b\":null}"},
     {"{\"a\":1}", "{\"a\""}},
    {"{\"required\": [\"a\", \"b\", \"a\"]}",
     {"{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2,\"c\":3}"},
     {"{}", "{\"a\":1}", "{\"b\":1}"}},
    {"{\"required\": [\"a\"], \"additionalProperties\": {\"type\": \"null\"}}",
     {"{\"a\":null}"},
     {"{\"a\":1}"}},
    {"{\"properties\": {\"\": {\"type\": \"null\"}}, \"required\": [\"\"]}",
     {"{\"\":null}"},
     {"{}", "{\"a\":null}"}},
};

TEST(grammar_schema, containers) {
    for (size_t i = 0; i < sizeof containers / sizeof containers[0]; i++) {
        check_row(&containers[i]);
    }
    CHECK_NO_LEAKS();
}

static const row choices[] = {
    {"{\"anyOf\": [{\"type\": \"string\", \"maxLength\": 2}, {\"type\": \"string\", \"minLength\": "
     "4}, {\"type\": \"array\", \"items\": {\"type\": \"null\"}}, {\"type\": \"array\", "
     "\"items\": {\"type\": \"boolean\"}}]}",
     {"\"\"", "\"ab\"", "\"abcd\"", "[]", "[null,null]", "[true, false]"},
     {"\"abc\"", "[null,true]", "[true,null]", "1"}},
    {"{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}, {\"const\": \"x\"}]}",
     {"1", "1.5", "\"x\""},
     {"\"y\"", "true"}},
    {"{\"anyOf\": [{\"properties\": {\"a\": {\"type\": \"null\"}}, \"required\": [\"a\"]}, "
     "{\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": \"null\"}}, "
     "\"required\": "
     "[\"a\"]}]}",
     {"{\"a\":null}", "{\"a\": 1}", "{\"a\":1,\"b\":null}"},
     {"{\"a\":null,\"b\":null}", "{}"}},
    {"{\"$ref\": \"#/$defs/a~1b~0%25\", \"$defs\": {\"a/b~%\": {\"type\": \"null\"}}}",
     {"null"},
     {"1"}},
    {"{\"properties\": {\"value\": {\"type\": \"integer\"}, \"next\": {\"$ref\": \"#\"}}, "
     "\"required\": [\"value\"]}",
     {"{\"value\":1}", "{\"value\":1,\"next\":{\"value\":2, \"next\": {\"value\":3}}}"},
     {"{\"next\":{}}", "{\"value\":1,\"next\":{}}"}},
    {"{\"anyOf\": [{\"$ref\": \"#\"}, {\"type\": \"null\"}, {\"anyOf\": [{\"$ref\": "
     "\"#/anyOf/1\"}, false, {\"type\": \"array\", \"items\": {\"$ref\": \"#\"}}]}]}",
     {"null", "[null,[[], null]]"},
     {"1", "{}"}},
    {"{\"type\": \"array\", \"items\": {\"anyOf\": [{\"$ref\": \"#\"}, {\"$ref\": \"#/items\"}]}}",
     {"[]", "[[],[[]]]"},
     {"[1]"}},
};

TEST(grammar_schema, choices_and_references) {
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        check_row(&choices[i]);
    }
    CHECK_NO_LEAKS();
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void check_refusal(const char *schema, pith_status expected, const char *part) {
    pith_rules *rules = NULL;
    pith_error error = {.message = ""};
    pith_status status =
        pith_rules_new(&rules, pith_text_of(schema), &pith_malloc_allocator, &error);
    CHECK(status == expected && status == error.status && rules == NULL, "%.100s: status %d (%s)",
          schema, (int)status, error.message);
    CHECK(strstr(error.message, part) != NULL, "%.100s: \"%s\" lacks \"%s\"", schema, error.message,
          part);
}

TEST(grammar_schema, keywords_that_are_not_supported) {
    static const char *const keywords[] = {"pattern",
                                           "format",
                                           "multipleOf",
                                           "oneOf",
                                           "allOf",
                                           "not",
                                           "if",
                                           "then",
                                           "else",
                                           "prefixItems",
                                           "additionalItems",
                                           "contains",
                                           "minContains",
                                           "uniqueItems",
                                           "patternProperties",
                                           "propertyNames",
                                           "minProperties",
                                           "maxProperties",
                                           "dependentRequired",
                                           "dependentSchemas",
                                           "unevaluatedProperties",
                                           "$anchor",
                                           "$dynamicRef",
                                           "nullable",
                                           "contentEncoding",
                                           "typ"};
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        char schema[200];
        char message[100];
        snprintf(schema, sizeof schema,
                 "{\"properties\": {\"a\": {\"items\": {\"%s\": 1, \"type\": \"string\"}}}}",
                 keywords[i]);
        snprintf(message, sizeof message, "#/properties/a/items: \"%s\" is not supported",
                 keywords[i]);
        check_refusal(schema, PITH_ERROR_UNSUPPORTED, message);
    }
}

TEST(grammar_schema, refusals_name_the_place) {
    static const struct {
        const char *schema;
        pith_status status;
        const char *message;
    } rows[] = {
        {"", PITH_ERROR_FORMAT, "the schema: "},
        {"1", PITH_ERROR_FORMAT, "the schema: "},
        {"{\"type\": \"null\"", PITH_ERROR_FORMAT, "bad JSON"},
        {"{\"type\": 1, \"type\": 2}", PITH_ERROR_FORMAT, "bad JSON"},
        {"[]", PITH_ERROR_FORMAT, "#: a schema must be an object or a boolean, not an array"},
        {"{\"items\": 3}", PITH_ERROR_FORMAT, "#/items: a schema must be an object or a boolean"},
        {"{\"anyOf\": [{}, null]}", PITH_ERROR_FORMAT, "#/anyOf/1: a schema must be"},
        {"{\"type\": \"int\"}", PITH_ERROR_FORMAT, "#: there is no type \"int\""},
        {"{\"type\": [1]}", PITH_ERROR_FORMAT, "a type must be a string, not an integer"},
        {"{\"type\": []}", PITH_ERROR_FORMAT, "\"type\" is an empty list"},
        {"{\"enum\": 1}", PITH_ERROR_FORMAT, "\"enum\" must be a list of values"},
        {"{\"enum\": []}", PITH_ERROR_FORMAT, "\"enum\" must be a list of values"},
        {"{\"enum\": [1.5], \"type\": \"integer\"}", PITH_ERROR_FORMAT,
         "no value of \"enum\" has the type"},
        {"{\"const\": null, \"type\": \"string\"}", PITH_ERROR_FORMAT,
         "no value of \"const\" has the type"},
        {"{\"const\": 1, \"enum\": [1]}", PITH_ERROR_UNSUPPORTED,
         "\"const\" beside \"enum\" is not supported"},
        {"{\"enum\": [1], \"minimum\": 2}", PITH_ERROR_UNSUPPORTED,
         "\"minimum\" beside \"enum\" is not supported"},
        {"{\"minLength\": 1, \"const\": \"a\"}", PITH_ERROR_UNSUPPORTED,
         "\"minLength\" beside \"const\" is not supported"},
        {"{\"anyOf\": [{}], \"type\": \"object\"}", PITH_ERROR_UNSUPPORTED,
         "\"type\" beside \"anyOf\" is not supported"},
        {"{\"$ref\": \"#\", \"properties\": {}}", PITH_ERROR_UNSUPPORTED,
         "\"properties\" beside \"$ref\" is not supported"},
        {"{\"anyOf\": {}}", PITH_ERROR_FORMAT, "\"anyOf\" must be a list of schemas"},
        {"{\"anyOf\": []}", PITH_ERROR_FORMAT, "\"anyOf\" must be a list of schemas"},
        {"{\"$ref\": 1}", PITH_ERROR_FORMAT, "\"$ref\" must be a string, not an integer"},
        {"{\"$ref\": \"a.json\"}", PITH_ERROR_UNSUPPORTED, "\"a.json\" is not a path in this"},
        {"{\"$ref\": \"#a\"}", PITH_ERROR_UNSUPPORTED, "\"#a\" is not a path in this document"},
        {"{\"$ref\": \"#/$defs/a\"}", PITH_ERROR_FORMAT, "\"#/$defs/a\" leads nowhere"},
        {"{\"$ref\": \"#/a/01\", \"$defs\": [1, 2]}", PITH_ERROR_FORMAT, "leads nowhere"},
        {"{\"$ref\": \"#/$defs/01\", \"$defs\": [{}, {}]}", PITH_ERROR_FORMAT, "leads nowhere"},
        {"{\"$ref\": \"#/$defs/1/a\", \"$defs\": [{}, {\"a\": {\"pattern\": \"\"}}]}",
         PITH_ERROR_UNSUPPORTED, "#/$defs/1/a: \"pattern\" is not supported"},
        {"{\"properties\": []}", PITH_ERROR_FORMAT, "\"properties\" must be an object"},
        {"{\"properties\": {\"a/~\": {\"not\": {}}}}", PITH_ERROR_UNSUPPORTED,
         "#/properties/a~1~0: \"not\" is not supported"},
        {"{\"additionalProperties\": 1}", PITH_ERROR_FORMAT,
         "#/additionalProperties: a schema must be an object or a boolean"},
        {"{\"required\": \"a\"}", PITH_ERROR_FORMAT, "\"required\" must be a list of names"},
        {"{\"required\": [1]}", PITH_ERROR_FORMAT, "\"required\" has an integer, not a name"},
        {"{\"required\": [\"a\"], \"additionalProperties\": false}", PITH_ERROR_FORMAT,
         "\"a\" is required and not among the properties"},
        {"{\"minLength\": -1}", PITH_ERROR_FORMAT, "\"minLength\" must be a count, not a negative"},
        {"{\"maxLength\": 1.5}", PITH_ERROR_FORMAT, "\"maxLength\" must be a count, not a frac"},
        {"{\"minItems\": \"1\"}", PITH_ERROR_FORMAT, "\"minItems\" must be a count, not a string"},
        {"{\"minItems\": 3, \"maxItems\": 2}", PITH_ERROR_FORMAT,
         "\"minItems\" is above \"maxItems\""},
        {"{\"minLength\": 4294967295}", PITH_ERROR_UNSUPPORTED,
         "\"minLength\" is above 4294967294"},
        {"{\"minLength\": 4294967296}", PITH_ERROR_UNSUPPORTED,
         "\"minLength\" is above 4294967294"},
        {"{\"minimum\": \"1\"}", PITH_ERROR_FORMAT, "\"minimum\" must be a number, not a string"},
        {"{\"exclusiveMaximum\": true}", PITH_ERROR_FORMAT,
         "\"exclusiveMaximum\" must be a number, not a boolean"},
        {"{\"type\": \"integer\", \"minimum\": 3, \"maximum\": 2}", PITH_ERROR_FORMAT,
         "no integer of at most 18 digits lies within the bounds"},
        {"{\"minimum\": 3, \"maximum\": 2}", PITH_ERROR_FORMAT, "no number of at most 15 digits"},
        {"{\"anyOf\": [false]}", PITH_ERROR_FORMAT, "#: no value of at most 32 levels"},
        {"{\"$ref\": \"#\"}", PITH_ERROR_FORMAT, "no value of at most 32 levels"},
        {"{\"minItems\": 1, \"items\": {\"$ref\": \"#\"}}", PITH_ERROR_FORMAT,
         "no value of at most 32 levels"},
        {"{\"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": [\"a\"]}", PITH_ERROR_FORMAT,
         "no value of at most 32 levels"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_refusal(rows[i].schema, rows[i].status, rows[i].message);
    }
    CHECK_NO_LEAKS();
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* `before`, n times `middle` with its number in place of @, `after`. */
static pith_bytes repeat(const char *before, const char *middle, size_t n, const char *after) {
    pith_bytes bytes;
    pith_bytes_init(&bytes, NULL);
    pith_bytes_append_text(&bytes, before);
    for (size_t i = 0; i < n; i++) {
        const char *number = strchr(middle, '@');
        char text[300];
        if (number == NULL) {
            snprintf(text, sizeof text, "%s%s", i > 0 ? "," : "", middle);
        } else {
            snprintf(text, sizeof text, "%s%.*s%zu%s", i > 0 ? "," : "", (int)(number - middle),
                     middle, i, number + 1);
        }
        pith_bytes_append_text(&bytes, text);
    }
    pith_bytes_append_text(&bytes, after);
    return bytes;
}

TEST(grammar_schema, limits) {
    static const struct {
        const char *before, *middle, *after;
        size_t good, bad;
        const char *message;
    } rows[] = {
        {"{\"enum\":[", "1", "]}", PITH_RULES_MAX_TEXTS - 3, PITH_RULES_MAX_TEXTS - 2,
         "#: the schema has more than 16384 names and values"},
        {"{\"properties\":{", "\"@\":{}", "}}", PITH_RULES_MAX_PLACES - 2,
         PITH_RULES_MAX_PLACES - 1, "#: the schema has more than 4096 schemas in it"},
        {"{\"anyOf\":[{},", "{\"$ref\":\"#/anyOf/@\"}", "]}", PITH_RULES_MAX_REFS,
         PITH_RULES_MAX_REFS + 1, "the schema has more than 256 different $refs"},
        {"{\"$comment\":[", "1", "],\"type\":\"null\"}", 60000, 66000,
         "the schema has 132028 bytes, at most 131072"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pith_bytes schema = repeat(rows[i].before, rows[i].middle, rows[i].good, rows[i].after);
        pith_rules_free(test_rules(schema.data));
        pith_bytes_release(&schema);
        schema = repeat(rows[i].before, rows[i].middle, rows[i].bad, rows[i].after);
        check_refusal(schema.data, PITH_ERROR_UNSUPPORTED, rows[i].message);
        pith_bytes_release(&schema);
    }
    CHECK_NO_LEAKS();
}

/* Equal ones count once. Each of 300 alternatives allows all that the root does: 90,000 in all. */
TEST(grammar_schema, alternatives_are_limited) {
    pith_bytes schema =
        repeat("{\"anyOf\":[", "{\"anyOf\":[{\"$ref\":\"#\"},{\"const\":@}]}", 300, "]}");
    check_refusal(schema.data, PITH_ERROR_UNSUPPORTED,
                  "the schema has more than 65536 alternatives");
    pith_bytes_release(&schema);
    CHECK_NO_LEAKS();
}

/* Texts are as deep as the limit and no deeper; where the schema wants an end, there is one. */
TEST(grammar_schema, depth_is_limited) {
    static const char *const schemas[] = {
        "{}", "{\"items\": {\"$ref\": \"#\"}}",
        "{\"anyOf\": [{\"minItems\": 2, \"items\": {\"$ref\": \"#\"}}, {\"maxItems\": 0}]}"};
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        pith_rules *rules = test_rules(schemas[i]);
        char text[PITH_RULES_MAX_DEPTH + 2];
        memset(text, '[', sizeof text);
        CHECK(test_judge(rules, text, PITH_RULES_MAX_DEPTH) == TEST_UNFINISHED, "%s: too flat",
              schemas[i]);
        CHECK(test_judge(rules, text, PITH_RULES_MAX_DEPTH + 1) == TEST_REFUSED, "%s: too deep",
              schemas[i]);
        pith_rules_free(rules);
    }
    CHECK_NO_LEAKS();
}

/* The members of an object that closes a circle are left out where they would lead too deep. */
TEST(grammar_schema, members_that_would_be_too_deep) {
    pith_rules *rules = test_rules("{\"properties\": {\"a\": {\"$ref\": \"#\"}, \"b\": {\"items\": "
                                   "{\"items\": {}, \"minItems\": 1}, \"minItems\": 1}}}");
    pith_automaton a;
    CHECK(pith_automaton_init(&a, rules, &pith_malloc_allocator, NULL) == PITH_OK, "no memory");
    CHECK(test_follow(&a, "{", 1) == 1, "{");
    for (size_t i = 1; i < PITH_RULES_MAX_DEPTH; i++) {
        CHECK(test_follow(&a, "\"a\":{", 5) == 5, "level %zu", i);
    }
    CHECK(test_follow(&a, "\"", 1) == 0 && test_follow(&a, "}", 1) == 1, "the last level");
    CHECK(test_follow(&a, ",\"b\"", 4) == 0, "b needs two levels");
    CHECK(test_follow(&a, "},\"b\":[[1]]}", 12) == 12, "two levels further up it fits");
    pith_automaton_release(&a, &pith_malloc_allocator);
    pith_rules_free(rules);
    CHECK_NO_LEAKS();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(grammar_schema, every_failed_allocation) {
    static const char schema[] =
        "{\"properties\": {\"a\": {\"enum\": [1, \"a\"]}, \"b\": {\"anyOf\": [{\"$ref\": \"#\"}, "
        "{\"type\": [\"string\", \"array\"]}]}}, \"required\": [\"c\"], \"additionalProperties\": "
        "{\"type\": \"number\"}}";
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator memory;
        pith_rules *rules = NULL;
        pith_error error = {.message = ""};
        test_allocator_init(&memory);
        memory.fail_at = fail_at;
        pith_status status =
            pith_rules_new(&rules, pith_text_of(schema), &memory.allocator, &error);
        bool failed = memory.n_calls >= fail_at;
        CHECK(status == (failed ? PITH_ERROR_MEMORY : PITH_OK), "allocation %zu: %s", fail_at,
              error.message);
        pith_rules_free(rules);
        CHECK(memory.n_live == 0, "allocation %zu: %zu blocks are left", fail_at,
              (size_t)memory.n_live);
        if (!failed) {
            CHECK(fail_at > 15, "only %zu allocations", fail_at);
            return;
        }
    }
}
