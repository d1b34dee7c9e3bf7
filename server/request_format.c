/* response_format: the form that a text must have, kept as the JSON schema of it. */
#include "server/request_parts.h"

#include <string.h>

#include "base/json_write.h"

bool pith_draft_keep_schema(pith_draft *draft, pith_json schema) {
    pith_json_writer json;
    pith_draft_begin_json(draft, &json);
    pith_json_put_copy(&json, NULL, schema);
    return pith_draft_keep_json(draft, &json, "a schema", &draft->request.schema);
}

/* {"name": ..., "schema": {...}, "strict": ...}: every schema is kept to strictly. */
static bool read_schema(pith_draft *draft, const char *path, pith_json value) {
    char inner[PITH_REQUEST_PATH];
    pith_path_member(inner, path, "json_schema");
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, inner, "an object", value);
    }
    pith_json strict = pith_json_get(value, "strict");
    bool unused;
    if (!pith_json_is_none(strict)) {
        char member[PITH_REQUEST_PATH];
        pith_path_member(member, inner, "strict");
        if (!pith_read_bool(draft, member, strict, &unused)) {
            return false;
        }
    }
    pith_json schema = pith_json_get(value, "schema");
    pith_path_member(inner, path, "json_schema.schema");
    if (pith_json_is_none(schema)) {
        return pith_draft_fail(draft, inner, "%s is missing", inner);
    }
    if (!pith_json_is(schema, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, inner, "an object", schema);
    }
    return pith_draft_keep_schema(draft, schema);
}

bool pith_rule_response_format(pith_draft *draft, const pith_rule *rule, const char *path,
                               pith_json value) {
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object", value);
    }
    pith_json type = pith_json_get(value, "type");
    if (pith_json_is_text(type, "json_schema")) {
        return read_schema(draft, path, pith_json_get(value, "json_schema"));
    }
    if (pith_json_is_text(type, "json_object")) {
        draft->request.schema = pith_text_of("{\"type\":\"object\"}");
        return true;
    }
    draft->request.schema = (pith_text){NULL, 0};
    char member[PITH_REQUEST_PATH];
    pith_path_member(member, path, "type");
    return pith_json_is_text(type, "text") ||
           pith_draft_fail(draft, member, "%s must be \"text\", \"json_object\" or \"json_schema\"",
                           member);
}
