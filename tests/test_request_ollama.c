/* Bodies in ollama's protocol: a row for every rule, as in test_request.c. */
#include "tests/request_rows.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GENERATE PITH_ENDPOINT_OLLAMA_GENERATE
#define TALK PITH_ENDPOINT_OLLAMA_CHAT
#define VECTORS PITH_ENDPOINT_OLLAMA_EMBED
#define VECTOR PITH_ENDPOINT_OLLAMA_EMBEDDINGS
#define SHOW PITH_ENDPOINT_OLLAMA_SHOW

/* What a request of text is without options. */
#define USUAL "\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"repeat\":1.1"
#define STREAMED USUAL ",\"stream\":true}"
#define SAYS "\"messages\":[\"user\",\"Hi\"],\"prompts\":[\"Hi\"],"

TEST(request_ollama, a_prompt_is_a_conversation_too) {
    static const test_accepted rows[] = {
        {GENERATE, "{\"model\":\"m\",\"prompt\":\"Hi\"}", "{\"model\":\"m\"," SAYS STREAMED},
        {GENERATE, "{\"model\":\"m\",\"prompt\":\"Hi\",\"stream\":false}",
         "{\"model\":\"m\"," SAYS USUAL "}"},
        {GENERATE, "{\"prompt\":\"Hi\",\"system\":\"Be\",\"stream\":null,\"images\":[]}",
         "{\"messages\":[\"system\",\"Be\",\"user\",\"Hi\"],\"prompts\":[\"Hi\"]," STREAMED},
        {GENERATE, "{\"prompt\":\"Hi\",\"raw\":true,\"context\":[]}",
         "{\"prompts\":[\"Hi\"]," STREAMED},
        {GENERATE, "{\"prompt\":\"Hi\",\"suffix\":\"!\"}",
         "{\"prefix\":\"Hi\",\"suffix\":\"!\"," STREAMED},
        {GENERATE, "{\"prompt\":\"Hi\",\"suffix\":\"\",\"system\":\"\",\"template\":\"\"}",
         "{" SAYS STREAMED},
        {GENERATE, "{\"prompt\":\"Hi\",\"think\":false}",
         "{\"messages\":[\"user\",\"Hi\"],\"variables\":{\"enable_thinking\":false},"
         "\"prompts\":[\"Hi\"]," STREAMED},
        {GENERATE, "{\"prompt\":\"Hi\",\"think\":\"high\"}",
         "{\"messages\":[\"user\",\"Hi\"],\"variables\":{\"enable_thinking\":true,"
         "\"reasoning_effort\":\"high\"},\"prompts\":[\"Hi\"]," STREAMED},
        {GENERATE, "{\"prompt\":\"Hi\",\"format\":\"json\"}",
         "{" SAYS USUAL ",\"stream\":true,\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"}"},
        {GENERATE, "{\"prompt\":\"Hi\",\"format\":{\"enum\":[1]}}",
         "{" SAYS USUAL ",\"stream\":true,\"schema\":\"{\\\"enum\\\":[1]}\"}"},
        {GENERATE, "{\"prompt\":\"Hi\",\"format\":\"\"}", "{" SAYS STREAMED},
    };
    ACCEPTED(rows);
}

TEST(request_ollama, without_texts_the_model_is_loaded_or_unloaded) {
    static const test_accepted rows[] = {
        {GENERATE, "{\"model\":\"m\"}", "{\"model\":\"m\",\"no_work\":true," STREAMED},
        {GENERATE, "{\"model\":\"m\",\"prompt\":\"\",\"suffix\":\"a\"}",
         "{\"model\":\"m\",\"prompts\":[\"\"],\"no_work\":true," STREAMED},
        {GENERATE, "{\"model\":\"m\",\"suffix\":\"a\"}",
         "{\"model\":\"m\",\"no_work\":true," STREAMED},
        {GENERATE, "{\"model\":\"m\",\"keep_alive\":0}",
         "{\"model\":\"m\",\"no_work\":true,\"unload\":true," STREAMED},
        {TALK, "{\"model\":\"m\"}", "{\"model\":\"m\",\"no_work\":true," STREAMED},
        {TALK, "{\"model\":\"m\",\"messages\":[]}", "{\"model\":\"m\",\"no_work\":true," STREAMED},
        {VECTORS, "{\"model\":\"m\",\"input\":\"\"}", "{\"model\":\"m\",\"no_work\":true}"},
        {VECTORS, "{\"model\":\"m\",\"input\":[]}", "{\"model\":\"m\",\"no_work\":true}"},
        {VECTOR, "{\"model\":\"m\",\"prompt\":\"\"}", "{\"model\":\"m\",\"no_work\":true}"},
    };
    ACCEPTED(rows);
}

TEST(request_ollama, keep_alive_is_seconds_or_a_duration) {
    static const struct {
        const char *value;
        bool good, unload;
    } rows[] = {
        {"0", true, true},
        {"0.0", true, true},
        {"300", true, false},
        {"-1", true, false},
        {"\"0\"", true, true},
        {"\"0s\"", true, true},
        {"\"0h0.0m\"", true, true},
        {"\"5m\"", true, false},
        {"\"1h30m\"", true, false},
        {"\"-1s\"", true, false},
        {"\"-1\"", true, false},
        {"\"1.5h\"", true, false},
        {"\"0h1m\"", true, false},
        {"\"100ms\"", true, false},
        {"\"\"", false, false},
        {"\"m\"", false, false},
        {"\"5 m\"", false, false},
        {"\"-\"", false, false},
        {"\"5d\"", false, false},
        {"\"5m5\"", true, false},
        {"true", false, false},
        {"\"1m-1\"", false, false},
        {"\"5minutes\"", false, false},
        {"null", true, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[100];
        pith_request r;
        pith_problem problem;
        snprintf(body, sizeof body, "{\"model\":\"m\",\"keep_alive\":%s}", rows[i].value);
        bool good = pith_request_parse(&r, GENERATE, body, strlen(body), &problem);
        CHECK(good == rows[i].good, "%s: %s", rows[i].value, good ? "read" : problem.message);
        if (good) {
            CHECK(r.unload == rows[i].unload, "%s: unload %d", rows[i].value, (int)r.unload);
            pith_request_release(&r);
        } else {
            CHECK(strcmp(problem.param, "keep_alive") == 0, "%s", problem.param);
        }
    }
}

TEST(request_ollama, names_may_have_the_tag_latest) {
    static const test_accepted rows[] = {
        {SHOW, "{\"model\":\"m:latest\"}", "{\"model\":\"m\",\"shown\":\"m:latest\"}"},
        {SHOW, "{\"name\":\"m:latest\"}", "{\"model\":\"m\",\"shown\":\"m:latest\"}"},
        {SHOW, "{\"model\":\"m:7b\",\"verbose\":true}", "{\"model\":\"m:7b\"}"},
        {SHOW, "{\"model\":\":latest\"}", "{\"model\":\":latest\"}"},
        {SHOW, "{\"model\":\"latest\"}", "{\"model\":\"latest\"}"},
        {VECTORS,
         "{\"model\":\"m:latest\",\"input\":[\"a\",\"b\"],\"truncate\":false,"
         "\"dimensions\":3}",
         "{\"model\":\"m\",\"shown\":\"m:latest\",\"inputs\":[\"a\",\"b\"],\"no_truncation\":true,"
         "\"dimensions\":3}"},
        {VECTOR, "{\"model\":\"m\",\"prompt\":\"a\",\"options\":{\"num_ctx\":1}}",
         "{\"model\":\"m\",\"inputs\":[\"a\"]}"},
    };
    ACCEPTED(rows);
}

#define WITH(options) "{\"prompt\":\"Hi\",\"stream\":false,\"options\":{" options "}}"

TEST(request_ollama, options_have_the_names_of_ollama) {
    static const test_accepted rows[] = {
        {GENERATE,
         WITH("\"num_predict\":5,\"temperature\":0,\"top_p\":0.5,\"top_k\":3,\"min_p\":0.1,"
              "\"seed\":7,\"stop\":[\"a\",\"b\"],\"repeat_penalty\":1,\"repeat_last_n\":-1,"
              "\"presence_penalty\":1,\"frequency_penalty\":2"),
         "{" SAYS "\"top_k\":3,\"top_p\":0.5,\"min_p\":0.1,\"repeat\":1,\"last_n\":1048576,"
         "\"frequency\":2,\"presence\":1,\"seed\":7,\"max\":5,\"stops\":[\"a\",\"b\"]}"},
        {GENERATE, WITH("\"num_predict\":-1,\"seed\":-1"), "{" SAYS USUAL "}"},
        {GENERATE, WITH("\"num_predict\":-2,\"num_ctx\":8192,\"num_gpu\":1,\"use_mmap\":true"),
         "{" SAYS USUAL "}"},
        {GENERATE, WITH("\"num_predict\":0,\"mirostat\":0,\"tfs_z\":1,\"typical_p\":1.0"),
         "{" SAYS USUAL "}"},
        {GENERATE, WITH("\"stop\":\"a\",\"seed\":null"), "{" SAYS USUAL ",\"stops\":[\"a\"]}"},
        /* Those of other protocols are none. */
        {GENERATE, "{\"prompt\":\"Hi\",\"stream\":false,\"temperature\":0,\"max_tokens\":1}",
         "{" SAYS USUAL "}"},
    };
    ACCEPTED(rows);
}

TEST(request_ollama, conversations_have_calls_as_objects) {
    static const test_accepted rows[] = {
        {TALK, "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"tools\":[]}",
         "{\"messages\":[\"user\",\"Hi\"]," STREAMED},
        {TALK,
         "{\"stream\":false,\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":"
         "\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
         "\"arguments\":"
         "{\"a\":1}}},{\"id\":\"mine\",\"function\":{\"name\":\"g\",\"arguments\":{}}},{"
         "\"function\":"
         "{\"name\":\"h\",\"arguments\":{}}}]},{\"role\":\"tool\",\"tool_name\":\"f\",\"content\":"
         "\"1\"},{\"role\":\"tool\",\"tool_call_id\":\"mine\",\"content\":\"2\"},{\"role\":"
         "\"tool\","
         "\"content\":\"3\"}]}",
         "{\"messages\":[\"user\",\"Hi\",\"assistant\",\"\",\"tool\",\"1\",\"tool\",\"2\",\"tool\","
         "\"3\"],\"whole\":{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":"
         "\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"call00000\",\"type\":"
         "\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}},{\"id\":\"mine\",\"type\":"
         "\"function\",\"function\":{\"name\":\"g\",\"arguments\":{}}},{\"id\":\"call00001\","
         "\"type\":"
         "\"function\",\"function\":{\"name\":\"h\",\"arguments\":{}}}]},{\"role\":\"tool\","
         "\"content\":\"1\",\"name\":\"f\",\"tool_call_id\":\"call00000\"},{\"role\":\"tool\","
         "\"content\":\"2\",\"tool_call_id\":\"mine\"},{\"role\":\"tool\",\"content\":\"3\","
         "\"tool_call_id\":\"call00001\"}]}," USUAL "}"},
    };
    ACCEPTED(rows);
}

#define TEMPLATE(text) "{\"prompt\":\"Hi\",\"stream\":false,\"template\":\"" text "\"}"
#define PROMPT "{{ messages[-1]['content'] }}"
#define WRITES(text) "{" SAYS "\"template\":\"" text "\"," USUAL "}"

TEST(request_ollama, templates_are_worked_out_to_literals_and_places) {
    static const test_accepted rows[] = {
        {GENERATE, TEMPLATE("{{ .Prompt }}"), WRITES(PROMPT)},
        {GENERATE, TEMPLATE("[{{.Prompt}}]"), WRITES("{{ '[' }}" PROMPT "{{ ']' }}")},
        {GENERATE, TEMPLATE("a{{ if .System }}b{{ .System }}{{ else }}c{{ end }}d"),
         WRITES("{{ 'a' }}{{ 'c' }}{{ 'd' }}")},
        {GENERATE,
         TEMPLATE("{{ if .System }}b{{ else if .Prompt }}c{{ if .Prompt }}d{{ end }}{{ else }}e"
                  "{{ end }}{{ .Prompt }}"),
         WRITES("{{ 'c' }}{{ 'd' }}" PROMPT)},
        {GENERATE, TEMPLATE("a \\n{{- if .Prompt -}} \\n b \\n {{- end -}}\\nc{{/* it's */}}"),
         WRITES("{{ 'a' }}{{ 'b' }}{{ 'c' }}")},
        {GENERATE, TEMPLATE("{{ .Prompt }}a{{ .Response }}b{{ .Prompt }}"),
         WRITES(PROMPT "{{ 'a' }}")},
        {GENERATE, TEMPLATE("it's {% \\\\ %}"), WRITES("{{ 'it\\\\'s {% \\\\\\\\ %}' }}")},
        {GENERATE,
         "{\"prompt\":\"Hi\",\"system\":\"Be\",\"stream\":false,\"template\":"
         "\"{{ if .System }}<{{ .System }}>{{ end }}{{ .Prompt }}\"}",
         "{\"messages\":[\"system\",\"Be\",\"user\",\"Hi\"],\"prompts\":[\"Hi\"],\"template\":"
         "\"{{ '<' }}{{ messages[0]['content'] }}{{ '>' }}" PROMPT "\"," USUAL "}"},
    };
    ACCEPTED(rows);
}

TEST(request_ollama, refusals_name_what_is_wrong) {
    static const test_refused rows[] = {
        {SHOW, "{}", "model", "model is missing"},
        {GENERATE, "{\"prompt\":1}", "prompt", "prompt must be a string, not 1"},
        {GENERATE, "{\"prompt\":\"a\",\"images\":[\"aa\"]}", "images",
         "images is not supported: this service reads and writes text only"},
        {GENERATE, "{\"prompt\":\"a\",\"context\":[1]}", "context",
         "context is not supported: /api/chat has conversations"},
        {GENERATE, "{\"prompt\":\"a\",\"logprobs\":true}", "logprobs",
         "logprobs is not supported: the OpenAI protocol has them"},
        {GENERATE, "{\"prompt\":\"a\",\"raw\":true,\"system\":\"b\"}", "system",
         "system does not go with raw: no chat template is used then"},
        {GENERATE, "{\"prompt\":\"a\",\"raw\":true,\"template\":\"b\"}", "template",
         "template does not go with raw: no chat template is used then"},
        {GENERATE, "{\"prompt\":\"a\",\"raw\":true,\"suffix\":\"b\"}", "suffix",
         "suffix does not go with raw: no chat template is used then"},
        {GENERATE, "{\"prompt\":\"a\",\"system\":\"c\",\"suffix\":\"b\"}", "system",
         "system does not go with suffix: no chat template is used then"},
        {GENERATE, "{\"prompt\":\"a\",\"format\":\"yaml\"}", "format",
         "format must be \"json\" or a JSON schema"},
        {GENERATE, "{\"prompt\":\"a\",\"think\":1}", "think",
         "think must be true, false or the name of a level, not 1"},
        {GENERATE, "{\"options\":[]}", "options", "options must be an object, not an array"},
        {GENERATE, WITH("\"mirostat\":2"), "options.mirostat",
         "options.mirostat is not supported: there is no such way of sampling here"},
        {GENERATE, WITH("\"typical_p\":0.5"), "options.typical_p",
         "options.typical_p is not supported: there is no such way of sampling here"},
        {GENERATE, WITH("\"num_predict\":1.5"), "options.num_predict",
         "options.num_predict must be an integer within -2147483648 and 4294967295, not 1.5"},
        {GENERATE, WITH("\"top_p\":0"), "options.top_p",
         "options.top_p must be above 0 and at most 1"},
        {GENERATE, "{\"keep_alive\":\"soon\"}", "keep_alive",
         "keep_alive is \"soon\", which is no duration such as \"5m\""},
        {TALK, MESSAGES("{\"role\":\"user\",\"content\":\"a\",\"images\":[\"aa\"]}"),
         "messages[0].images", "messages[0].images is not supported"},
        {VECTORS, "{\"input\":[1,2]}", "input",
         "input must be a string or an array of strings, not token ids: the ids of another "
         "tokenizer "
         "would be embedded as other words. With LangChain's OpenAIEmbeddings set "
         "check_embedding_ctx_length=False"},
        {VECTOR, "{\"prompt\":[\"a\"]}", "prompt", "prompt must be a string, not an array"},
        {GENERATE, TEMPLATE("{{ range .Messages }}"), "template",
         "template: {{ range .Messages }} is not supported; {{ .System }}, {{ .Prompt }}, "
         "{{ .Response }}, if, else and end are"},
        {GENERATE, TEMPLATE("{{ if eq .Role }}{{ end }}"), "template",
         "template: {{ eq .Role }} is not supported; {{ .System }}, {{ .Prompt }}, "
         "{{ .Response }}, if, else and end are"},
        {GENERATE, TEMPLATE("{{ end }}"), "template",
         "template: {{ end }} is not supported; {{ .System }}, {{ .Prompt }}, "
         "{{ .Response }}, if, else and end are"},
        {GENERATE, TEMPLATE("{{ else }}"), "template", "template has an else without its if"},
        {GENERATE, TEMPLATE("{{ if .Prompt }}a"), "template", "template has an if without its end"},
        {GENERATE, TEMPLATE("a {{ .Prompt"), "template", "template has a {{ without its }}"},
        {GENERATE, TEMPLATE("{{"), "template", "template has a {{ without its }}"},
        {GENERATE, TEMPLATE("{{ .System }}"), "template", "template writes nothing"},
    };
    REFUSED(rows);
}

TEST(request_ollama, templates_nest_up_to_a_limit) {
    char body[1000];
    for (int depth = 16; depth <= 17; depth++) {
        size_t n = (size_t)snprintf(body, sizeof body, "{\"prompt\":\"a\",\"template\":\"");
        for (int i = 0; i < depth; i++) {
            n += (size_t)snprintf(body + n, sizeof body - n, "{{if .Prompt}}");
        }
        n += (size_t)snprintf(body + n, sizeof body - n, "x");
        for (int i = 0; i < depth; i++) {
            n += (size_t)snprintf(body + n, sizeof body - n, "{{end}}");
        }
        snprintf(body + n, sizeof body - n, "\"}");
        test_outcome result = test_parse_bytes(GENERATE, body, strlen(body));
        CHECK(result.ok == (depth == 16), "depth %d: %s", depth, result.text);
        free(result.text);
    }
}
