/* Grammars of calls: a document whose definitions are the schemas of the tools that it calls. */
#include "server/strict.h"

#include "base/json_write.h"

#include <stdio.h>
#include <string.h>

static void put_reference(pith_json_writer *json, const char *key, size_t tool) {
    char text[96];
    snprintf(text, sizeof text, "#/$defs/" PITH_TOOL_SCHEMA, tool);
    pith_json_open(json, key, '{');
    pith_json_put_text(json, "$ref", text);
    pith_json_close(json, '}');
}

/* {"name": the tool's, "arguments": of its schema}; Llama 3 calls the latter parameters. */
static void put_call(pith_json_writer *json, const char *name, const char *arguments, size_t tool) {
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "type", "object");
    pith_json_open(json, "properties", '{');
    pith_json_open(json, "name", '{');
    pith_json_put_text(json, "const", name);
    pith_json_close(json, '}');
    put_reference(json, arguments, tool);
    pith_json_close(json, '}');
    pith_json_open(json, "required", '[');
    pith_json_put_text(json, NULL, "name");
    pith_json_put_text(json, NULL, arguments);
    pith_json_close(json, ']');
    pith_json_put_bool(json, "additionalProperties", false);
    pith_json_close(json, '}');
}

static bool is_callable(const pith_request *r, size_t tool, size_t only) {
    return only != SIZE_MAX ? tool == only
                            : r->forced_tool == NULL || strcmp(r->forced_tool, r->tools[tool]) == 0;
}

static void put_alternatives(pith_json_writer *json, const pith_calling *calling,
                             const pith_request *r, pith_strict_part part, size_t only) {
    const char *arguments = calling->form == PITH_CALLS_LLAMA3 ? "parameters" : "arguments";
    pith_json_open(json, "anyOf", '[');
    for (size_t i = 0; i < r->n_tools; i++) {
        if (!is_callable(r, i, only)) {
            continue;
        }
        if (part == PITH_STRICT_ARGUMENTS) {
            put_reference(json, NULL, i);
        } else {
            put_call(json, r->tools[i], arguments, i);
        }
    }
    pith_json_close(json, ']');
}

static void put_definitions(pith_json_writer *json, const pith_request *r, size_t only) {
    char name[64];
    pith_json_open(json, "$defs", '{');
    for (size_t i = 0; i < r->n_tools; i++) {
        if (is_callable(r, i, only)) {
            snprintf(name, sizeof name, PITH_TOOL_SCHEMA, i);
            pith_json_put_raw(json, name, r->tool_schemas[i].data, r->tool_schemas[i].n_bytes);
        }
    }
    pith_json_close(json, '}');
}

static void put_document(pith_json_writer *json, const pith_calling *calling, const pith_request *r,
                         pith_strict_part part, size_t only) {
    pith_json_open(json, NULL, '{');
    if (part == PITH_STRICT_LIST) {
        pith_json_put_text(json, "type", "array");
        pith_json_put_integer(json, "minItems", 1);
        pith_json_open(json, "items", '{');
    }
    put_alternatives(json, calling, r, part, only);
    if (part == PITH_STRICT_LIST) {
        pith_json_close(json, '}');
    }
    put_definitions(json, r, only);
    pith_json_close(json, '}');
}

bool pith_strict_grammar(pith_grammar **out, const pith_model *model, const pith_calling *calling,
                         const pith_request *request, pith_strict_part part, size_t tool,
                         pith_problem *problem) {
    pith_error error;
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    put_document(&json, calling, request, part, tool);
    pith_status status = pith_json_write_end(&json, "the tools", &error);
    if (status == PITH_OK) {
        const pith_text schema = {json.bytes.data, json.bytes.size};
        status = pith_grammar_new(out, model, schema, &error);
    }
    pith_bytes_release(&json.bytes);
    if (status == PITH_OK || status == PITH_ERROR_MEMORY) {
        return status == PITH_OK || pith_problem_from(problem, &error);
    }
    return pith_problem_set(problem, 400, NULL, "tools", "tools: %s", error.message);
}

bool pith_strict_answer(pith_grammar **out, const pith_model *model, const pith_calling *calling,
                        const pith_request *request, pith_problem *problem) {
    if (calling->named && request->forced_tool == NULL && request->n_tools > 1) {
        return pith_problem_set(
            problem, 400, NULL, "tool_choice",
            "tool_choice \"required\" does not go with several tools and strict "
            "for this model, which writes a function's name outside of the "
            "JSON: name the function");
    }
    return pith_strict_grammar(out, model, calling, request,
                               calling->named ? PITH_STRICT_ARGUMENTS : PITH_STRICT_CALL, SIZE_MAX,
                               problem);
}
