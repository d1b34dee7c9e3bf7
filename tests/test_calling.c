/* How a model writes calls of tools, as its chat template shows. */
#include "server/calling.h"
#include "tests/test.h"

#include <string.h>

TEST(calling, forms_are_recognised_by_what_a_template_renders) {
    static const struct {
        const char *text;
        pith_call_form form;
        bool named;
        const char *shown; /* of the call, for messages */
    } cases[] = {
        {"probe_tool is described\n<tool_call>\n{\"name\": \"probe_tool\", \"arguments\": {}}\n"
         "</tool_call><|im_end|>",
         PITH_CALLS_HERMES, false, "\"probe_tool\", \"arguments\": {}}"},
        {"<tool_call>{ \"name\" : \"probe_tool\"}", PITH_CALLS_HERMES, false, "probe_tool\"}"},
        {"[TOOL_CALLS] [{\"name\": \"probe_tool\", \"arguments\": {}}]</s>", PITH_CALLS_MISTRAL,
         false, "probe_tool"},
        {"[TOOL_CALLS][{\"name\":\"probe_tool\"}]", PITH_CALLS_MISTRAL, false, "probe_tool"},
        {"[TOOL_CALLS]probe_tool[ARGS]{}", PITH_CALLS_MISTRAL, true, "probe_tool"},
        {"[TOOL_CALLS]probe_tool[CALL_ID]a[ARGS]{}", PITH_CALLS_MISTRAL, true, "probe_tool"},
        {"<|end_header_id|>\n\n{\"name\": \"probe_tool\", \"parameters\": {}}<|eot_id|>",
         PITH_CALLS_LLAMA3, false, "probe_tool"},
        {"<|python_tag|>{\"name\": \"probe_tool\", \"parameters\": {}}", PITH_CALLS_LLAMA3, false,
         "probe_tool"},
        {"<function=probe_tool>{}</function>", PITH_CALLS_NONE, false, "<function=probe_tool>{}<"},
        {"[TOOL_CALLS]probe_tool{}", PITH_CALLS_NONE, true, "probe_tool{}"},
        {"[{\"name\": \"probe_tool\", \"arguments\": {}}]", PITH_CALLS_NONE, false, "probe_tool"},
        {"{\"function\": \"probe_tool\"}", PITH_CALLS_NONE, false, "probe_tool"},
        {"{\"name\": probe_tool", PITH_CALLS_NONE, false, "probe_tool"},
        {"probe_tool", PITH_CALLS_NONE, false, "probe_tool"},
        {"a question", PITH_CALLS_NONE, false, NULL},
        {"", PITH_CALLS_NONE, false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool named;
        pith_text call;
        pith_call_form form =
            pith_calling_recognise(cases[i].text, strlen(cases[i].text), &named, &call);
        CHECK(form == cases[i].form && named == cases[i].named, "%s: form %d, named %d",
              cases[i].text, (int)form, named);
        CHECK((call.data == NULL) == (cases[i].shown == NULL), "%s: the call", cases[i].text);
        CHECK(cases[i].shown == NULL ||
                  memmem(call.data, call.n_bytes, cases[i].shown, strlen(cases[i].shown)) != NULL,
              "%s: \"%.*s\"", cases[i].text, (int)call.n_bytes, call.data);
        CHECK(call.n_bytes <= 90, "%s: %zu bytes", cases[i].text, call.n_bytes);
    }
}
