/* Options of requests, fields that are refused or ignored, bodies that are no JSON, memory. */
#include "base/memory.h"
#include "tests/request_rows.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Options --------------------------------------------------------------------------------- */

TEST(request_options, reads_sampling) {
    static const test_accepted rows[] = {
        {CHAT, CHAT_OF("\"temperature\":0,\"top_p\":0.5"),
         "{\"messages\":[\"user\",\"Hi\"],\"top_p\":0.5}"},
        {CHAT, CHAT_OF("\"temperature\":2.0,\"presence_penalty\":-2,\"frequency_penalty\":2"),
         "{\"messages\":[\"user\",\"Hi\"],\"temperature\":2,\"top_p\":1,\"frequency\":2,"
         "\"presence\":-2}"},
        {CHAT, CHAT_OF("\"top_k\":3,\"min_p\":0.1,\"repeat_penalty\":1.2,\"repeat_last_n\":7"),
         "{\"messages\":[\"user\",\"Hi\"],\"temperature\":1,\"top_k\":3,\"top_p\":1,\"min_p\":0.1,"
         "\"repeat\":1.2,\"last_n\":7}"},
        {CHAT, CHAT_OF("\"top_k\":-1,\"repetition_penalty\":1.2,\"repeat_last_n\":-1"),
         HI_REQUEST ",\"repeat\":1.2,\"last_n\":1048576}"},
        {CHAT, CHAT_OF("\"repeat_penalty\":1.2,\"presence_penalty\":1,\"repeat_last_n\":0"),
         HI_REQUEST ",\"last_n\":0}"},
        {CHAT, CHAT_OF("\"seed\":7"), HI_REQUEST ",\"seed\":7}"},
        {CHAT, CHAT_OF("\"seed\":-1"), HI_REQUEST ",\"seed\":-1}"},
        {CHAT, CHAT_OF("\"seed\":18446744073709551615"), HI_REQUEST ",\"seed\":-1}"},
        {CHAT, CHAT_OF("\"seed\":-9223372036854775808"),
         HI_REQUEST ",\"seed\":-9223372036854775808}"},
        {CHAT, CHAT_OF("\"logit_bias\":{}"), HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"0\":1.5,\"7\":-100,\"2147483647\":100}"),
         HI_REQUEST ",\"bias 0\":1.5,\"bias 7\":-inf,\"bias 2147483647\":1000}"},
    };
    ACCEPTED(rows);
}

TEST(request_options, refuses_bad_sampling) {
    static const test_refused rows[] = {
        {CHAT, CHAT_OF("\"temperature\":2.01"), "temperature",
         "temperature must be a number within 0 and 2, not 2.01"},
        {CHAT, CHAT_OF("\"temperature\":\"0\""), "temperature",
         "temperature must be a number within 0 and 2, not a string"},
        {CHAT, CHAT_OF("\"temperature\":-Infinity"), "temperature",
         "temperature must be a number within 0 and 2, not -Infinity"},
        {CHAT, CHAT_OF("\"temperature\":1e999"), "temperature",
         "temperature must be a number within 0 and 2, not 1e999"},
        {CHAT, CHAT_OF("\"top_p\":0"), "top_p", "top_p must be above 0 and at most 1"},
        {CHAT, CHAT_OF("\"top_p\":1e-300"), "top_p", "top_p must be above 0 and at most 1"},
        {CHAT, CHAT_OF("\"top_p\":1.5"), "top_p", "top_p must be a number within 0 and 1, not 1.5"},
        {CHAT, CHAT_OF("\"top_k\":0.5"), "top_k",
         "top_k must be an integer within -1 and 2147483647, not 0.5"},
        {CHAT, CHAT_OF("\"presence_penalty\":3"), "presence_penalty",
         "presence_penalty must be a number within -2 and 2, not 3"},
        {CHAT, CHAT_OF("\"frequency_penalty\":-2.5"), "frequency_penalty",
         "frequency_penalty must be a number within -2 and 2, not -2.5"},
        {CHAT, CHAT_OF("\"seed\":1.0"), "seed", "seed must be an integer of 64 bits, not 1.0"},
        {CHAT, CHAT_OF("\"seed\":18446744073709551616"), "seed",
         "seed must be an integer of 64 bits, not 18446744073709551616"},
        {CHAT, CHAT_OF("\"seed\":-9223372036854775809"), "seed",
         "seed must be an integer of 64 bits, not -9223372036854775809"},
        {CHAT, CHAT_OF("\"seed\":1111111111222222222233333333334444444444555"), "seed",
         "seed must be an integer of 64 bits, not 111111111122222222223333333333444444..."},
        {CHAT, CHAT_OF("\"logit_bias\":[[1,2]]"), "logit_bias",
         "logit_bias must be an object of token ids and numbers, not an array"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"the\":1}"), "logit_bias",
         "logit_bias: the key \"the\" is not a token id within 0 and 2147483647"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"01\":1}"), "logit_bias",
         "logit_bias: the key \"01\" is not a token id within 0 and 2147483647"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"\":1}"), "logit_bias",
         "logit_bias: the key \"\" is not a token id within 0 and 2147483647"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"2147483648\":1}"), "logit_bias",
         "logit_bias: the key \"2147483648\" is not a token id within 0 and 2147483647"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"5\":100.5}"), "logit_bias.5",
         "logit_bias.5 must be a number within -100 and 100, not 100.5"},
        {CHAT, CHAT_OF("\"logit_bias\":{\"5\":null}"), "logit_bias.5",
         "logit_bias.5 must be a number within -100 and 100, not null"},
    };
    REFUSED(rows);
}

TEST(request_options, reads_ends) {
    static const test_accepted rows[] = {
        {CHAT, CHAT_OF("\"max_tokens\":5"), HI_REQUEST ",\"max\":5}"},
        {CHAT, CHAT_OF("\"max_completion_tokens\":5,\"max_tokens\":5"), HI_REQUEST ",\"max\":5}"},
        {CHAT, CHAT_OF("\"max_tokens\":null,\"max_completion_tokens\":4294967295"),
         HI_REQUEST ",\"max\":4294967295}"},
        {CHAT, CHAT_OF("\"max_tokens\":-1"), HI_REQUEST "}"},
        {COMPLETION, TO "\"n_predict\":-1}", TO_REQUEST "}"},
        {COMPLETION, TO "\"max_tokens\":null}", TO_REQUEST ",\"max\":16}"},
        {CHAT, CHAT_OF("\"stop\":\"a\""), HI_REQUEST ",\"stops\":[\"a\"]}"},
        {CHAT, CHAT_OF("\"stop\":[\"a\",\"\",\"b\\n\"]"),
         HI_REQUEST ",\"stops\":[\"a\",\"b\\n\"]}"},
        {CHAT, CHAT_OF("\"stop\":[]"), HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"stop\":\"\""), HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"stop\":null"), HI_REQUEST "}"},
        {CHAT,
         CHAT_OF("\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
                 "\"12\",\"13\",\"14\",\"15\",\"16\"]"),
         HI_REQUEST ",\"stops\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\","
                    "\"11\",\"12\",\"13\",\"14\",\"15\",\"16\"]}"},
        {CHAT, CHAT_OF("\"stop_token_ids\":[2,5],\"ignore_eos\":true"),
         HI_REQUEST ",\"eos\":[2,5],\"ignore_eos\":true}"},
    };
    ACCEPTED(rows);
}

TEST(request_options, refuses_bad_ends) {
    static const test_refused rows[] = {
        {CHAT, CHAT_OF("\"max_tokens\":0"), "max_tokens",
         "max_tokens must be at least 1, or -1 for no limit, not 0"},
        {CHAT, CHAT_OF("\"max_tokens\":-2"), "max_tokens",
         "max_tokens must be an integer within -1 and 4294967295, not -2"},
        {CHAT, CHAT_OF("\"max_tokens\":1e3"), "max_tokens",
         "max_tokens must be an integer within -1 and 4294967295, not 1e3"},
        {CHAT, CHAT_OF("\"max_tokens\":99999999999999999999"), "max_tokens",
         "max_tokens must be an integer within -1 and 4294967295, not 99999999999999999999"},
        {CHAT, CHAT_OF("\"max_tokens\":[]"), "max_tokens",
         "max_tokens must be an integer within -1 and 4294967295, not an array"},
        {CHAT, CHAT_OF("\"max_tokens\":5,\"max_completion_tokens\":6"), "max_completion_tokens",
         "max_tokens and max_completion_tokens contradict each other: give only one of them"},
        {CHAT, CHAT_OF("\"stop\":5"), "stop",
         "stop must be a string or an array of strings, not 5"},
        {CHAT, CHAT_OF("\"stop\":[\"a\",null]"), "stop[1]", "stop[1] must be a string, not null"},
        {CHAT, CHAT_OF("\"stop\":[\"a\\u0000b\"]"), "stop[0]",
         "stop[0] must not hold the character U+0000"},
        {CHAT,
         CHAT_OF("\"stop\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\","
                 "\"12\",\"13\",\"14\",\"15\",\"16\",\"17\"]"),
         "stop", "stop has 17 strings, at most 16 are allowed"},
        {CHAT, CHAT_OF("\"stop_token_ids\":2"), "stop_token_ids",
         "stop_token_ids must be an array of token ids, not 2"},
        {CHAT, CHAT_OF("\"ignore_eos\":1"), "ignore_eos",
         "ignore_eos must be true or false, not 1"},
    };
    REFUSED(rows);
}

TEST(request_options, reads_what_the_answer_is_to_hold) {
    static const test_accepted rows[] = {
        {CHAT, CHAT_OF("\"stream\":true,\"stream_options\":{\"include_usage\":true,\"x\":1}"),
         HI_REQUEST ",\"stream\":true,\"usage\":true}"},
        {CHAT, CHAT_OF("\"stream\":false,\"stream_options\":null"), HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"n\":16"), HI_REQUEST ",\"n\":16}"},
        {CHAT, CHAT_OF("\"logprobs\":true"), HI_REQUEST ",\"logprobs\":true}"},
        {CHAT, CHAT_OF("\"logprobs\":true,\"top_logprobs\":20,\"stream\":true"),
         HI_REQUEST ",\"stream\":true,\"logprobs\":true,\"top_logprobs\":20}"},
        {CHAT, CHAT_OF("\"logprobs\":false,\"top_logprobs\":null"), HI_REQUEST "}"},
        {COMPLETION, TO "\"logprobs\":0}", TO_REQUEST ",\"max\":16,\"logprobs\":true}"},
        {COMPLETION, TO "\"logprobs\":5}",
         TO_REQUEST ",\"max\":16,\"logprobs\":true,\"top_logprobs\":5}"},
        {COMPLETION, TO "\"logprobs\":false}", TO_REQUEST ",\"max\":16}"},
        {COMPLETION, TO "\"echo\":true,\"n\":2,\"best_of\":2}",
         TO_REQUEST ",\"max\":16,\"n\":2,\"echo\":true}"},
        {COMPLETION, "{\"prompt\":[\"a\",\"b\"],\"n\":8}",
         "{\"prompts\":[\"a\",\"b\"],\"temperature\":1,\"top_p\":1,\"max\":16,\"n\":8}"},
    };
    ACCEPTED(rows);
}

TEST(request_options, refuses_answers_that_cannot_be) {
    static const test_refused rows[] = {
        {CHAT, CHAT_OF("\"stream\":1"), "stream", "stream must be true or false, not 1"},
        {CHAT, CHAT_OF("\"stream_options\":true"), "stream_options",
         "stream_options must be an object, not a boolean"},
        {CHAT, CHAT_OF("\"stream_options\":{\"include_usage\":\"yes\"}"),
         "stream_options.include_usage",
         "stream_options.include_usage must be true or false, not a string"},
        {CHAT, CHAT_OF("\"n\":0"), "n", "n must be an integer within 1 and 16, not 0"},
        {CHAT, CHAT_OF("\"n\":17"), "n", "n must be an integer within 1 and 16, not 17"},
        {COMPLETION, "{\"prompt\":[\"a\",\"b\",\"c\"],\"n\":6}", "n",
         "n of 6 for 3 prompts asks for 18 texts, at most 16 are allowed"},
        {COMPLETION, TO "\"best_of\":2}", "best_of",
         "best_of other than n is not supported: all texts that are generated are returned"},
        {CHAT, CHAT_OF("\"logprobs\":5"), "logprobs", "logprobs must be true or false, not 5"},
        {CHAT, CHAT_OF("\"top_logprobs\":2"), "top_logprobs",
         "top_logprobs needs logprobs to be true"},
        {CHAT, CHAT_OF("\"logprobs\":true,\"top_logprobs\":21"), "top_logprobs",
         "top_logprobs must be an integer within 0 and 20, not 21"},
        {COMPLETION, TO "\"logprobs\":true}", "logprobs",
         "logprobs must be an integer within 0 and 20, not a boolean"},
        {COMPLETION, TO "\"logprobs\":1,\"echo\":true}", "echo",
         "echo with logprobs is not supported: the tokens of a prompt have no log-probabilities "
         "here"},
    };
    REFUSED(rows);
}

/* ---- Fields that are refused or ignored ------------------------------------------------------ */

/* name, a value that asks for something, one that does not, the endpoint and its other fields. */
typedef struct refused_field {
    const char *name, *something, *nothing;
    pith_endpoint endpoint;
} refused_field;

static const char *other_fields(pith_endpoint endpoint) {
    return endpoint == PITH_ENDPOINT_CHAT         ? HI
           : endpoint == PITH_ENDPOINT_COMPLETION ? "\"prompt\":\"To\""
           : endpoint == PITH_ENDPOINT_INFILL     ? "\"input_prefix\":\"a\",\"input_suffix\":\"b\""
                                                  : "\"content\":\"a\"";
}

TEST(request_options, names_fields_that_it_cannot_do) {
    static const refused_field rows[] = {
        {"functions", "[{}]", "[]", CHAT},
        {"function_call", "{\"name\":\"f\"}", "\"none\"", CHAT},
        {"audio", "{\"voice\":\"x\"}", NULL, CHAT},
        {"modalities", "[\"text\",\"audio\"]", "[\"text\"]", CHAT},
        {"web_search_options", "{}", NULL, CHAT},
        {"verbosity", "\"low\"", "\"medium\"", CHAT},
        {"echo", "true", "false", CHAT},
        {"suffix", "\"x\"", "\"\"", CHAT},
        {"n", "2", "1", INFILL},
        {"stream", "true", "false", INFILL},
        {"echo", "true", "false", INFILL},
        {"grammar", "\"root ::= x\"", "\"\"", CHAT},
        {"json_schema", "{}", NULL, COMPLETION},
        {"mirostat", "2", "0", CHAT},
        {"typical_p", "0.5", "1.0", CHAT},
        {"top_n_sigma", "1", "-1.0", CHAT},
        {"xtc_probability", "0.5", "0.0", CHAT},
        {"dry_multiplier", "0.8", "0.0", INFILL},
        {"dynatemp_range", "0.5", "0", COMPLETION},
        {"n_probs", "5", "0", COMPLETION},
        {"lora", "[{\"id\":0}]", "[]", CHAT},
        {"image_data", "[{}]", "[]", COMPLETION},
        {"input_extra", "[{\"text\":\"x\"}]", "[]", INFILL},
        {"n_indent", "4", "0", INFILL},
        {"with_pieces", "true", "false", TOKENIZE},
        {"guided_json", "{}", NULL, CHAT},
        {"guided_regex", "\"a+\"", "\"\"", CHAT},
        {"guided_choice", "[\"a\"]", "[]", CHAT},
        {"guided_grammar", "\"x\"", "\"\"", CHAT},
        {"structured_outputs", "{\"regex\":\"a\"}", "{}", COMPLETION},
        {"regex", "\"a\"", "\"\"", CHAT},
        {"ebnf", "\"a\"", "\"\"", CHAT},
        {"min_tokens", "5", "0", CHAT},
        {"use_beam_search", "true", "false", CHAT},
        {"prompt_logprobs", "1", NULL, COMPLETION},
        {"truncate_prompt_tokens", "5", NULL, CHAT},
        {"continue_final_message", "true", "false", CHAT},
        {"chat_template", "\"{{ x }}\"", "\"\"", CHAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const refused_field *row = &rows[i];
        const char *values[] = {row->something, row->nothing, "null"};
        for (size_t k = 0; k < 3; k++) {
            char body[400];
            if (values[k] == NULL) {
                continue;
            }
            snprintf(body, sizeof body, "{%s,\"%s\":%s}", other_fields(row->endpoint), row->name,
                     values[k]);
            test_outcome result = test_parse_bytes(row->endpoint, body, strlen(body));
            bool named = strstr(result.text, row->name) == result.text &&
                         strstr(result.text, " is not supported: ") != NULL &&
                         strcmp(result.problem.param, row->name) == 0;
            CHECK(result.ok == (k > 0) && (result.ok || named), "%s: %s", body, result.text);
            free(result.text);
        }
    }
}

#define TOOL(name) \
    "{\"type\":\"function\",\"function\":{\"name\":\"" name "\",\"a\":{\"z\":1,\"b\":2}}}"
#define HI_MESSAGES "{\"messages\":[\"user\",\"Hi\"]"
#define USUAL ",\"temperature\":1,\"top_p\":1}"

TEST(request_options, tools_and_variables_are_the_templates) {
    static const test_accepted rows[] = {
        {CHAT, CHAT_OF("\"tools\":[" TOOL("f") "],\"tool_choice\":\"none\""), HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"tools\":[],\"tool_choice\":\"auto\""), HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"tools\":[" TOOL("f") "," TOOL("g") "]"),
         HI_MESSAGES
         ",\"variables\":{\"tools\":[" TOOL("f") "," TOOL("g") "]},\"tools\":[\"f\",\"g\"]" USUAL},
        {CHAT, CHAT_OF("\"tool_choice\":\"required\",\"tools\":[" TOOL("f") "]"),
         HI_MESSAGES
         ",\"variables\":{\"tools\":[" TOOL("f") "]},\"tools\":[\"f\"],\"call\":\"\"" USUAL},
        {CHAT,
         CHAT_OF("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"tools\":"
                 "[" TOOL("f") "]"),
         HI_MESSAGES
         ",\"variables\":{\"tools\":[" TOOL("f") "]},\"tools\":[\"f\"],\"call\":\"f\"" USUAL},
        {CHAT, CHAT_OF("\"chat_template_kwargs\":{\"enable_thinking\":false,\"a\":[1.50,null]}"),
         HI_MESSAGES ",\"variables\":{\"enable_thinking\":false,\"a\":[1.50,null]}" USUAL},
    };
    static const test_refused bad[] = {
        {CHAT, CHAT_OF("\"tools\":{}"), "tools", "tools must be an array, not an object"},
        {CHAT, CHAT_OF("\"tools\":[{\"type\":\"web_search\"}]"), "tools[0].type",
         "tools[0].type must be \"function\""},
        {CHAT, CHAT_OF("\"tools\":[" TOOL("f") ",{\"type\":\"function\"}]"),
         "tools[1].function.name", "tools[1].function.name must be a string, not nothing"},
        {CHAT, CHAT_OF("\"tool_choice\":\"any\""), "tool_choice",
         "tool_choice must be \"auto\", \"none\", \"required\" or the function that is to be "
         "called"},
        {CHAT, CHAT_OF("\"tool_choice\":\"required\""), "tool_choice",
         "tool_choice asks for a call, and there are no tools"},
        {CHAT,
         CHAT_OF("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"g\"}},\"tools\":"
                 "[" TOOL("f") "]"),
         "tool_choice", "tool_choice asks for a function that is none of the tools"},
        {CHAT,
         CHAT_OF("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"<s>\"}},"
                 "\"tools\":[" TOOL("<s>") "]"),
         "tool_choice",
         "tool_choice asks for a function with a name of other characters than letters, digits, "
         "'_', '.' and '-'"},
        {CHAT, CHAT_OF("\"chat_template_kwargs\":[]"), "chat_template_kwargs",
         "chat_template_kwargs must be an object, not an array"},
        {CHAT, CHAT_OF("\"chat_template_kwargs\":{\"a\\u0000\":1}"), "chat_template_kwargs",
         "chat_template_kwargs: a name holds the character U+0000"},
    };
    ACCEPTED(rows);
    REFUSED(bad);
}

TEST(request_options, reads_the_form_of_the_text) {
#define FORMAT(value) CHAT_OF("\"response_format\":" value)
#define SCHEMA(value) FORMAT("{\"type\":\"json_schema\",\"json_schema\":" value "}")
    static const test_accepted rows[] = {
        {CHAT, FORMAT("{\"type\":\"text\"}"), HI_REQUEST "}"},
        {CHAT, FORMAT("null"), HI_REQUEST "}"},
        {CHAT, FORMAT("{\"type\":\"json_object\"}"),
         HI_REQUEST ",\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"}"},
        {CHAT, SCHEMA("{\"name\":\"n\",\"strict\":true,\"schema\":{}}"),
         HI_REQUEST ",\"schema\":\"{}\"}"},
        /* Order and numbers stay as they were. */
        {COMPLETION,
         TO "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"strict\":null,"
            "\"schema\":{ \"b\" : 1.50, \"a\": \"\\n\" }}}}",
         TO_REQUEST ",\"max\":16,\"schema\":\"{\\\"b\\\":1.50,\\\"a\\\":\\\"\\\\n\\\"}\"}"},
    };
    static const test_refused bad[] = {
        {CHAT, FORMAT("\"json\""), "response_format",
         "response_format must be an object, not a string"},
        {CHAT, FORMAT("{}"), "response_format.type",
         "response_format.type must be \"text\", \"json_object\" or \"json_schema\""},
        {CHAT, FORMAT("{\"type\":\"grammar\"}"), "response_format.type",
         "response_format.type must be \"text\", \"json_object\" or \"json_schema\""},
        {CHAT, FORMAT("{\"type\":\"json_schema\"}"), "response_format.json_schema",
         "response_format.json_schema must be an object, not nothing"},
        {CHAT, SCHEMA("{\"name\":\"n\"}"), "response_format.json_schema.schema",
         "response_format.json_schema.schema is missing"},
        {CHAT, SCHEMA("{\"schema\":true}"), "response_format.json_schema.schema",
         "response_format.json_schema.schema must be an object, not a boolean"},
        {CHAT, SCHEMA("{\"schema\":{},\"strict\":1}"), "response_format.json_schema.strict",
         "response_format.json_schema.strict must be true or false, not 1"},
    };
    ACCEPTED(rows);
    REFUSED(bad);
}

TEST(request_options, ignores_what_it_does_not_know) {
    static const test_accepted rows[] = {
        {CHAT,
         CHAT_OF("\"user\":\"u\",\"metadata\":{\"a\":1},\"store\":true,\"service_tier\":\"auto\","
                 "\"parallel_tool_calls\":true,\"reasoning_effort\":\"low\",\"prediction\":{},"
                 "\"safety_identifier\":\"x\",\"prompt_cache_key\":\"k\",\"keep_alive\":5,"
                 "\"\\u0000\":1,\"model\\u0000\":7,\"\":[[[]]]"),
         HI_REQUEST "}"},
        {CHAT, CHAT_OF("\"maxTokens\":1.5,\"input\":[1],\"prompt\":5,\"dimensions\":0"),
         HI_REQUEST "}"},
        {COMPLETION, TO "\"messages\":5,\"max_completion_tokens\":1,\"top_logprobs\":99}",
         TO_REQUEST ",\"max\":16}"},
        /* Explicit nulls are absent, whatever the field. */
        {CHAT,
         CHAT_OF("\"model\":null,\"max_tokens\":null,\"n\":null,\"stop\":null,\"stream\":null,"
                 "\"temperature\":null,\"top_p\":null,\"seed\":null,\"logit_bias\":null,\"tools\":"
                 "null,\"tool_choice\":null,\"logprobs\":null,\"response_format\":null,\"audio\":"
                 "null,\"stream_options\":null"),
         HI_REQUEST "}"},
        /* Of equal keys the last one counts. */
        {CHAT, CHAT_OF("\"n\":2,\"n\":3"), HI_REQUEST ",\"n\":3}"},
    };
    ACCEPTED(rows);
}

TEST(request_options, reads_the_name_of_the_model) {
    static const test_accepted rows[] = {
        {CHAT, CHAT_OF("\"model\":\"a/b-c\""),
         "{\"model\":\"a/b-c\",\"messages\":[\"user\",\"Hi\"],\"temperature\":1,\"top_p\":1}"},
        {CHAT, CHAT_OF("\"model\":\"\""), HI_REQUEST "}"},
    };
    static const test_refused bad[] = {
        {CHAT, CHAT_OF("\"model\":5"), "model", "model must be a string, not 5"},
        {CHAT, CHAT_OF("\"model\":\"a\\u0000b\""), "model",
         "model must not hold the character U+0000"},
    };
    char body[400];
    char name[300];
    ACCEPTED(rows);
    REFUSED(bad);
    for (size_t n = 256; n <= 257; n++) {
        memset(name, 'm', n);
        name[n] = '\0';
        snprintf(body, sizeof body, "{\"prompt\":\"p\",\"model\":\"%s\"}", name);
        test_outcome result = test_parse_bytes(PITH_ENDPOINT_COMPLETION, body, strlen(body));
        CHECK(result.ok == (n == 256), "%zu bytes: %s", n, result.text);
        CHECK(result.ok || strcmp(result.text, "model has 257 bytes, at most 256 are allowed") == 0,
              "%s", result.text);
        free(result.text);
    }
}

/* ---- Limits ---------------------------------------------------------------------------------- */

/* {front item,item,...} with n items, malloc'ed. */
static char *repeat(const char *front, const char *item, size_t n, const char *back) {
    size_t size = strlen(front) + (strlen(item) + 1) * n + strlen(back) + 1;
    char *text = malloc(size);
    char *at = text + sprintf(text, "%s", front);
    for (size_t i = 0; i < n; i++) {
        at += sprintf(at, "%s%s", i > 0 ? "," : "", item);
    }
    sprintf(at, "%s", back);
    return text;
}

TEST(request_options, bounds_every_list) {
    static const struct {
        pith_endpoint endpoint;
        const char *front, *item, *back, *message;
        size_t most;
    } rows[] = {
        {CHAT, "{\"messages\":[", "{\"role\":\"user\",\"content\":\"\"}", "]}",
         "messages has 4097 messages, at most 4096 are allowed", 4096},
        {EMBEDDING, "{\"input\":[", "\"\"", "]}", "input has 2049 texts, 1 to 2048 are allowed",
         2048},
        {RERANK, "{\"query\":\"\",\"documents\":[", "\"\"", "]}",
         "documents has 2049 texts, 1 to 2048 are allowed", 2048},
        {COMPLETION, "{\"prompt\":[", "0", "]}",
         "prompt has 1048577 token ids, at most 1048576 are allowed", 1048576},
        {DETOKENIZE, "{\"tokens\":[", "0", "]}",
         "tokens has 1048577 token ids, at most 1048576 are allowed", 1048576},
        {COMPLETION, "{\"prompt\":\"\",\"stop_token_ids\":[", "0", "]}",
         "stop_token_ids has 65 token ids, at most 64 are allowed", 64},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t more = 0; more < 2; more++) {
            char *body = repeat(rows[i].front, rows[i].item, rows[i].most + more, rows[i].back);
            test_outcome result = test_parse_bytes(rows[i].endpoint, body, strlen(body));
            CHECK(result.ok == (more == 0), "row %zu: %.200s", i, result.text);
            CHECK(more == 0 || strcmp(result.text, rows[i].message) == 0, "%s", result.text);
            free(result.text);
            free(body);
        }
    }
}

TEST(request_options, bounds_biases_and_stop_strings) {
    char *body = malloc(100000);
    for (size_t n = 1024; n <= 1025; n++) {
        char *at = body + sprintf(body, "{\"prompt\":\"\",\"logit_bias\":{");
        for (size_t i = 0; i < n; i++) {
            at += sprintf(at, "%s\"%zu\":1", i > 0 ? "," : "", i);
        }
        sprintf(at, "}}");
        test_outcome result = test_parse_bytes(PITH_ENDPOINT_COMPLETION, body, strlen(body));
        CHECK(result.ok == (n == 1024), "%zu: %s", n, result.text);
        CHECK(result.ok ||
                  strcmp(result.text, "logit_bias has 1025 tokens, at most 1024 are allowed") == 0,
              "%s", result.text);
        free(result.text);
    }
    for (size_t n = 256; n <= 257; n++) {
        sprintf(body, "{\"prompt\":\"\",\"stop\":\"%*s\"}", (int)n, "x");
        test_outcome result = test_parse_bytes(PITH_ENDPOINT_COMPLETION, body, strlen(body));
        CHECK(result.ok == (n == 256), "%zu: %s", n, result.text);
        CHECK(result.ok || strcmp(result.text, "stop has 257 bytes, at most 256 are allowed") == 0,
              "%s", result.text);
        free(result.text);
    }
    free(body);
}

/* ---- Bodies that are no JSON object ---------------------------------------------------------- */

TEST(request_options, says_where_a_body_is_broken) {
    static const test_refused rows[] = {
        {CHAT, "", "", "the body is empty: a JSON object is expected"},
        {CHAT, "[]", "", "the body must be a JSON object, not an array"},
        {CHAT, "  \n", "",
         "the body: bad JSON at line 2, column 1: neither an object nor an array"},
        {CHAT, "7", "", "the body: bad JSON at line 1, column 1: neither an object nor an array"},
        {CHAT, "{\"a\":1", "",
         "the body: bad JSON at line 1, column 7: the document is not complete"},
        {CHAT, "{\"a\":1}x", "",
         "the body: bad JSON at line 1, column 8: text behind the end of the document"},
        {CHAT, "{\n\"a\":'x'}", "",
         "the body: bad JSON at line 2, column 5: neither a value nor a number"},
        {CHAT, "{\"a\":\"\xFF\"}", "", "the body: bad JSON at line 1, column 7: invalid UTF-8"},
        {CHAT, "{\"a\":\"\\ud800\"}", "",
         "the body: bad JSON at line 1, column 7: half of a surrogate pair"},
        {CHAT, "{\"a\":\"\n\"}", "",
         "the body: bad JSON at line 1, column 7: a control character in a string"},
        {CHAT, "{\"a\":01}", "",
         "the body: bad JSON at line 1, column 8: neither a value nor a number"},
    };
    REFUSED(rows);
}

TEST(request_options, refuses_bombs_of_depth) {
    for (size_t n = 127; n <= 100000; n = n < 129 ? n + 1 : n * 10) {
        char *body = malloc(2 * n + 40);
        char *at = body + sprintf(body, "{\"prompt\":\"\",\"a\":");
        memset(at, '[', n);
        memset(at + n, ']', n);
        strcpy(at + 2 * n, "}");
        test_outcome result = test_parse_bytes(PITH_ENDPOINT_COMPLETION, body, strlen(body));
        CHECK(result.ok == (n == 127), "%zu: %s", n, result.text);
        CHECK(result.ok || strcmp(result.text,
                                  "the body: bad JSON at line 1, column 145: more than 128 arrays "
                                  "and objects inside each other") == 0,
              "%zu: %s", n, result.text);
        free(result.text);
        free(body);
    }
}

TEST(request_options, quotes_whole_characters) {
    char body[300] = "{\"messages\":[{\"role\":\"";
    for (size_t i = 0; i < 30; i++) {
        strcat(body, i == 0 ? "x" : "é"); /* the 40th byte is the first of a character */
    }
    strcat(body, "\",\"content\":\"\"}]}");
    test_outcome result = test_parse_bytes(PITH_ENDPOINT_CHAT, body, strlen(body));
    CHECK(strcmp(result.text,
                 "messages[0].role is \"xééééééééééééééééééé?\", not one of system, developer, "
                 "user, assistant and tool") == 0,
          "%s", result.text);
    free(result.text);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(request_options, every_allocation_may_fail) {
    static const struct {
        pith_endpoint endpoint;
        const char *body;
    } rows[] = {
        {CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{"
         "\"type\":\"text\",\"text\":\"b\"}]}],\"stop\":[\"x\",\"y\"],\"logit_bias\":{\"5\":1},"
         "\"stop_token_ids\":[1]}"},
        {COMPLETION, "{\"prompt\":[[1,2],[3]]}"},
        {INFILL, "{\"input_prefix\":\"a\",\"input_suffix\":\"b\",\"prompt\":\"c\"}"},
        {INFER, "{\"prompt\":\"p\"}"},
        {EMBEDDING, "{\"input\":[\"a\",\"b\"]}"},
        {DETOKENIZE, "{\"tokens\":[1]}"},
        {RERANK, "{\"query\":\"q\",\"documents\":[\"a\",{\"text\":\"b\"}]}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool ok = false;
        for (size_t round = 1; !ok; round++) {
            char body[400];
            pith_request request;
            pith_problem problem = {.http = 0};
            test_allocator memory;
            test_allocator_init(&memory);
            memory.fail_at = round;
            strcpy(body, rows[i].body);
            ok = pith_request_parse_with(&request, rows[i].endpoint, body, strlen(body),
                                         &memory.allocator, &problem);
            CHECK(ok == (memory.n_calls < round), "row %zu, allocation %zu", i, round);
            CHECK(ok || (problem.http == 503 && problem.retry_after > 0),
                  "row %zu, allocation %zu: %d %s", i, round, problem.http, problem.message);
            if (ok) {
                pith_request_release(&request);
            }
            CHECK(memory.n_live == 0, "row %zu, allocation %zu: %zu blocks leaked", i, round,
                  (size_t)memory.n_live);
        }
    }
}
