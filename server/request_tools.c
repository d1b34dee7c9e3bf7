/* Tools: their names, which of them may be called, and the schemas that their arguments are kept
 * to. */
#include "server/request_parts.h"

#include "base/json_write.h"

#include <stdio.h>
#include <string.h>

/* ---- Schemas --------------------------------------------------------------------------------- */

/* A reference within a tool's schema, "#/...", leads there still when that schema lies at `root` of
 * a larger document. */
static bool put_ref(pith_draft *draft, pith_json_writer *json, const char *root, pith_json ref) {
    size_t n_root = strlen(root);
    size_t n = pith_json_text_size(ref);
    char *text = pith_draft_take(draft, n_root + n, 1);
    if (text == NULL) {
        return false;
    }
    memcpy(text, root, n_root);
    memcpy(text + n_root, pith_json_text(ref) + 1, n - 1);
    pith_json_put_bytes(json, "$ref", text, n_root + n - 1);
    return true;
}

typedef enum schema_part {
    PART_SCHEMA,  /* a schema */
    PART_SCHEMAS, /* an array of them, or an object whose members they are */
    PART_DATA,    /* anything else */
} schema_part;

/* What kind of value a schema's keyword has. Keywords that are not listed are refused when the
 * grammar is made, or hold no references. */
static schema_part part_of(const char *keyword) {
    static const char *const one[] = {"items", "additionalProperties"};
    static const char *const many[] = {"properties", "$defs", "definitions", "anyOf"};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        if (strcmp(keyword, one[i]) == 0) {
            return PART_SCHEMA;
        }
    }
    for (size_t i = 0; i < sizeof many / sizeof *many; i++) {
        if (strcmp(keyword, many[i]) == 0) {
            return PART_SCHEMAS;
        }
    }
    return PART_DATA;
}

/* Copies a schema, or what `part` says, with its references moved to `root`. The reader of the body
 * bounds the depth. */
static bool put_schema(pith_draft *draft, pith_json_writer *json, const char *key, const char *root,
                       pith_json value, schema_part part) {
    bool object = pith_json_is(value, PITH_JSON_OBJECT);
    bool list = part == PART_SCHEMAS && pith_json_is(value, PITH_JSON_ARRAY);
    if (part == PART_DATA || !(object || list)) {
        pith_json_put_copy(json, key, value);
        return true;
    }
    pith_json_open(json, key, object ? '{' : '[');
    pith_json_walk walk = pith_json_begin(value);
    while (pith_json_next(&walk)) {
        if (object && strlen(walk.key) != walk.key_size) {
            return pith_draft_fail(draft, "tools", "tools: a name in a schema holds U+0000");
        }
        bool good;
        if (part == PART_SCHEMA && strcmp(walk.key, "$ref") == 0 &&
            pith_json_is(walk.value, PITH_JSON_STRING) && *pith_json_text(walk.value) == '#') {
            good = put_ref(draft, json, root, walk.value);
        } else {
            good = put_schema(draft, json, walk.key, root, walk.value,
                              part == PART_SCHEMAS ? PART_SCHEMA : part_of(walk.key));
        }
        if (!good) {
            return false;
        }
    }
    pith_json_close(json, object ? '}' : ']');
    return true;
}

/* The schema of a tool's arguments: what the client gave for a strict one, any object else. */
static bool put_tool(pith_draft *draft, pith_json_writer *json, size_t i, pith_json function,
                     bool strict) {
    char name[PITH_REQUEST_PATH];
    char root[PITH_REQUEST_PATH + 16];
    pith_json parameters = pith_json_get(function, "parameters");
    snprintf(name, sizeof name, PITH_TOOL_SCHEMA, i);
    snprintf(root, sizeof root, "#/$defs/%s", name);
    if (strict && !pith_json_is_none(parameters)) {
        if (!pith_json_is_text(pith_json_get(parameters, "type"), "object")) {
            return pith_draft_fail(draft, name, "%s.type must be \"object\" with strict", name);
        }
        return put_schema(draft, json, NULL, root, parameters, PART_SCHEMA);
    }
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "type", "object");
    if (strict) { /* it has no parameters */
        pith_json_put_bool(json, "additionalProperties", false);
    }
    pith_json_close(json, '}');
    return true;
}

static bool keep_schema(pith_draft *draft, size_t i, pith_json tool, pith_text *out) {
    pith_json_writer json;
    pith_draft_begin_json(draft, &json);
    if (!put_tool(draft, &json, i, pith_json_get(tool, "function"),
                  draft->request.strict_tools[i])) {
        pith_bytes_release(&json.bytes);
        return false;
    }
    return pith_draft_keep_json(draft, &json, "the tools", out);
}

/* Keeps the schemas where one of the tools that may be called is strict. */
static bool settle_schemas(pith_draft *draft) {
    pith_request *r = &draft->request;
    bool any = false;
    for (size_t i = 0; i < r->n_tools; i++) {
        bool callable = r->forced_tool == NULL || strcmp(r->tools[i], r->forced_tool) == 0;
        any = any || (callable && r->strict_tools[i]);
    }
    if (!any) {
        return true;
    }
    pith_text *schemas = pith_draft_take(draft, r->n_tools, sizeof *schemas);
    if (schemas == NULL) {
        return false;
    }
    size_t i = 0;
    for (pith_json_walk walk = pith_json_begin(draft->tools); pith_json_next(&walk); i++) {
        if (!keep_schema(draft, i, walk.value, &schemas[i])) {
            return false;
        }
    }
    r->tool_schemas = schemas;
    return true;
}

/* ---- Tools ----------------------------------------------------------------------------------- */

bool pith_rule_tools(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    enum { MAX_TOOLS = 1024, MAX_NAME = 256 /* bytes */ };
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return pith_draft_fail_type(draft, path, "an array", value);
    }
    size_t n = pith_json_size(value);
    if (n > MAX_TOOLS) {
        return pith_draft_fail(draft, path, "%s has %zu tools, at most %d are allowed", path, n,
                               MAX_TOOLS);
    }
    const char **names = pith_draft_take(draft, n, sizeof *names);
    bool *strict = pith_draft_take(draft, n, sizeof *strict);
    if (names == NULL || strict == NULL) {
        return false;
    }
    size_t i = 0;
    for (pith_json_walk walk = pith_json_begin(value); pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        char member[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        pith_json type = pith_json_get(walk.value, "type");
        if (!pith_json_is_text(type, "function")) {
            pith_path_member(member, element, "type");
            return pith_draft_fail(draft, member, "%s must be \"function\"", member);
        }
        pith_json function = pith_json_get(walk.value, "function");
        pith_json flag = pith_json_get(function, "strict");
        pith_path_member(member, element, "function.name");
        if (!pith_read_name(draft, member, pith_json_get(function, "name"), MAX_NAME, &names[i])) {
            return false;
        }
        pith_path_member(member, element, "function.strict");
        if (!pith_json_is_none(flag) && !pith_read_bool(draft, member, flag, &strict[i])) {
            return false;
        }
    }
    draft->tools = value;
    draft->request.tools = names;
    draft->request.strict_tools = strict;
    draft->request.n_tools = n;
    return true;
}

bool pith_rule_tool_choice(pith_draft *draft, const pith_rule *rule, const char *path,
                           pith_json value) {
    static const char *const words[] = {"auto", "none", "required"}; /* as pith_tool_choice */
    (void)rule;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (pith_json_is_text(value, words[i])) {
            draft->request.tool_choice = (pith_tool_choice)i;
            return true;
        }
    }
    pith_json name = pith_json_get(pith_json_get(value, "function"), "name");
    if (!pith_json_is_text(pith_json_get(value, "type"), "function") ||
        !pith_json_is(name, PITH_JSON_STRING)) {
        return pith_draft_fail(draft, path,
                               "%s must be \"auto\", \"none\", \"required\" or the function that "
                               "is to be called",
                               path);
    }
    draft->request.tool_choice = PITH_TOOL_REQUIRED;
    draft->request.forced_tool = pith_json_text(name);
    return true;
}

/* A name that is written into the prompt must be none of the model's marks. */
static bool is_plain_name(const char *name) {
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return n > 0 && name[n] == '\0';
}

static bool settle_choice(pith_draft *draft) {
    pith_request *r = &draft->request;
    if (r->tool_choice == PITH_TOOL_NONE) {
        r->n_tools = 0;
    }
    if (r->tool_choice != PITH_TOOL_REQUIRED) {
        return true;
    }
    bool found = r->forced_tool == NULL && r->n_tools > 0;
    for (size_t i = 0; i < r->n_tools && r->forced_tool != NULL; i++) {
        found = found || strcmp(r->tools[i], r->forced_tool) == 0;
    }
    if (!found) {
        return pith_draft_fail(draft, "tool_choice", "tool_choice asks for %s",
                               r->forced_tool != NULL ? "a function that is none of the tools"
                                                      : "a call, and there are no tools");
    }
    return r->forced_tool == NULL || is_plain_name(r->forced_tool) ||
           pith_draft_fail(draft, "tool_choice",
                           "tool_choice asks for a function with a name of other characters than "
                           "letters, digits, '_', '.' and '-'");
}

bool pith_draft_settle_tools(pith_draft *draft) {
    return settle_choice(draft) && settle_schemas(draft);
}
