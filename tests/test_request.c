/* Bodies of requests: a row for every rule, with the whole request that comes of it, or with the
 * problem and its field. Options are in test_request_options.c. */
#include "tests/request_rows.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The native protocol --------------------------------------------------------------------- */

TEST(request, reads_what_spin_sends) {
    static const test_accepted rows[] = {
        {INFER,
         "{\"model\":\"llama2-chat\",\"options\":{\"maxTokens\":100,\"repeatPenalty\":"
         "1.100000023841858,\"repeatPenaltyLastNTokenCount\":64,\"temperature\":0.800000011920929,"
         "\"topK\":40,\"topP\":0.8999999761581421},\"prompt\":\"Hi\"}",
         "{\"model\":\"llama2-chat\",\"prompts\":[\"Hi\"],\"temperature\":0.8,\"top_k\":40,"
         "\"top_p\":0.9,\"repeat\":1.1,\"max\":100}"},
        /* Spin's own test. */
        {INFER,
         "{\"model\":\"m\",\"options\":{\"maxTokens\":1,\"repeatPenalty\":0.0,"
         "\"repeatPenaltyLastNTokenCount\":0,\"temperature\":0.0,\"topK\":1,\"topP\":1.0},"
         "\"prompt\":\"p\"}",
         "{\"model\":\"m\",\"prompts\":[\"p\"],\"top_k\":1,\"top_p\":1,\"last_n\":0,\"max\":1}"},
        /* Left out, null and zero. */
        {INFER, "{\"prompt\":\"p\"}",
         "{\"prompts\":[\"p\"],\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"repeat\":1.1,"
         "\"max\":100}"},
        {INFER, "{\"prompt\":\"p\",\"options\":null}",
         "{\"prompts\":[\"p\"],\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"repeat\":1.1,"
         "\"max\":100}"},
        {INFER, "{\"prompt\":\"p\",\"options\":{\"topP\":null}}",
         "{\"prompts\":[\"p\"],\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"repeat\":1.1,"
         "\"max\":100}"},
        {INFER, "{\"prompt\":\"p\",\"options\":{\"maxTokens\":0,\"topK\":0,\"topP\":0}}",
         "{\"prompts\":[\"p\"],\"temperature\":0.8,\"repeat\":1.1,\"max\":100}"},
        {INFER, "{\"prompt\":\"\",\"options\":{\"repeatPenaltyLastNTokenCount\":4294967295}}",
         "{\"prompts\":[\"\"],\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"repeat\":1.1,"
         "\"last_n\":1048576,\"max\":100}"},
        {INFER, "{\"prompt\":\"p\",\"tools\":[1],\"stream\":true,\"options\":{\"x\":1}}",
         "{\"prompts\":[\"p\"],\"temperature\":0.8,\"top_k\":40,\"top_p\":0.9,\"repeat\":1.1,"
         "\"max\":100}"},
        {EMBED, "{\"input\":[\"a\",\"\",\"b\"],\"model\":\"all-minilm-l6-v2\"}",
         "{\"model\":\"all-minilm-l6-v2\",\"inputs\":[\"a\",\"\",\"b\"]}"},
    };
    ACCEPTED(rows);
}

TEST(request, widened_floats_are_the_same_floats) {
    static const struct {
        const char *number;
        float x;
    } rows[] = {{"0.8999999761581421", 0.9F},
                {"0.9", 0.9F},
                {"0.800000011920929", 0.8F},
                {"1.100000023841858", 1.1F},
                {"1e-1", 0.1F},
                {"0.1000000014901161193847656250000000000000000001", 0.1F}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char body[200];
        pith_request request;
        pith_problem problem;
        snprintf(body, sizeof body, "{\"prompt\":\"p\",\"options\":{\"temperature\":%s}}",
                 rows[i].number);
        CHECK(pith_request_parse(&request, PITH_ENDPOINT_INFER, body, strlen(body), &problem), "%s",
              problem.message);
        CHECK(request.params.sampling.temperature == rows[i].x, "%s read as %a, not %a",
              rows[i].number, (double)request.params.sampling.temperature, (double)rows[i].x);
        pith_request_release(&request);
    }
}

TEST(request, refuses_bad_native_options) {
    static const test_refused rows[] = {
        {INFER, "{}", "prompt", "prompt is missing"},
        {INFER, "{\"prompt\":[\"a\"]}", "prompt", "prompt must be a string, not an array"},
        {INFER, "{\"prompt\":\"p\",\"options\":[]}", "options",
         "options must be an object, not an array"},
        {INFER, "{\"prompt\":\"p\",\"options\":{\"maxTokens\":1.5}}", "options.maxTokens",
         "options.maxTokens must be an integer within 0 and 4294967295, not 1.5"},
        {INFER, "{\"prompt\":\"p\",\"options\":{\"maxTokens\":4294967296}}", "options.maxTokens",
         "options.maxTokens must be an integer within 0 and 4294967295, not 4294967296"},
        {INFER, "{\"prompt\":\"p\",\"options\":{\"topP\":NaN}}", "options.topP",
         "options.topP must be a number within 0 and 1, not NaN"},
        {INFER, "{\"prompt\":\"p\",\"options\":{\"temperature\":-0.1}}", "options.temperature",
         "options.temperature must be a number within 0 and 100, not -0.1"},
        {EMBED, "{}", "input", "input is missing"},
        {EMBED, "{\"input\":[]}", "input", "input has 0 texts, 1 to 2048 are allowed"},
        {EMBED, "{\"input\":[\"a\",null]}", "input[1]", "input[1] must be a string, not null"},
    };
    REFUSED(rows);
}

/* ---- Conversations --------------------------------------------------------------------------- */

TEST(request, reads_conversations) {
    static const test_accepted rows[] = {
        {CHAT, "{" HI "}", HI_REQUEST "}"},
        {CHAT,
         MESSAGES(
             "{\"role\":\"developer\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":"
             "\"Hi\"},{\"role\":\"assistant\",\"content\":\"Yes?\"},{\"content\":\"So\","
             "\"role\":\"user\",\"name\":\"Ann\"}"),
         MESSAGES_REQUEST("\"system\",\"Be kind.\",\"user\",\"Hi\",\"assistant\",\"Yes?\",\"user\","
                          "\"So\"")},
        /* Parts. */
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
                  "\"text\",\"text\":\"\"},{\"text\":\"b\",\"type\":\"text\",\"x\":[]}]}"),
         MESSAGES_REQUEST("\"user\",\"a\\n\\nb\"")},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}"),
         MESSAGES_REQUEST("\"user\",\"a\"")},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":[]}"), MESSAGES_REQUEST("\"user\",\"\"")},
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[{"
                  "\"type\":\"refusal\",\"refusal\":\"No.\"}]},{\"role\":\"user\",\"content\":"
                  "\"b\"}"),
         MESSAGES_REQUEST("\"user\",\"a\",\"assistant\",\"No.\",\"user\",\"b\"")},
        /* An answer of this service sent back as it was. */
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
                  "\"refusal\":null,\"tool_calls\":[],\"function_call\":null,\"audio\":null},{"
                  "\"role\":\"user\",\"content\":\"b\"}"),
         MESSAGES_REQUEST("\"user\",\"a\",\"assistant\",\"\",\"user\",\"b\"")},
        /* A call and its result; arguments are an object to a template, in their order. */
        {CHAT,
         MESSAGES(
             "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"abc\","
             "\"type\":\"function\",\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":"
             "\"{\\\"z\\\": 1.50, \\\"a\\\": []}\"}},{\"function\":{\"arguments\":\"\",\"name\":"
             "\"g\"}},{\"function\":{\"name\":\"h\",\"arguments\":{\"b\":2}}}]},{\"role\":"
             "\"tool\",\"tool_call_id\":\"abc\",\"name\":\"f\",\"content\":\"4\"}"),
         "{\"messages\":[\"assistant\",\"\",\"tool\",\"4\"],\"whole\":{\"messages\":[{\"role\":"
         "\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"abc\",\"type\":\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":{\"z\":1.50,\"a\":[]}}},{\"type\":"
         "\"function\","
         "\"function\":{\"name\":\"g\",\"arguments\":{}}},{\"type\":\"function\",\"function\":{"
         "\"name\":\"h\",\"arguments\":{\"b\":2}}}]},{\"role\":\"tool\",\"content\":\"4\",\"name\":"
         "\"f\",\"tool_call_id\":\"abc\"}]},\"temperature\":1,\"top_p\":1}"},
        /* Empty answers at the end. */
        {CHAT,
         MESSAGES(
             "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":\"\"}"),
         MESSAGES_REQUEST("\"user\",\"a\"")},
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":[]},{"
                  "\"role\":\"assistant\"}"),
         MESSAGES_REQUEST("\"user\",\"a\"")},
        /* U+0000 is a character like others in a text. */
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":\"a\\u0000b\"}"),
         MESSAGES_REQUEST("\"user\",\"a\\u0000b\"")},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":\"\\ud83d\\ude00 \\u00e9\"}"),
         MESSAGES_REQUEST("\"user\",\"😀 é\"")},
    };
    ACCEPTED(rows);
}

TEST(request, refuses_bad_conversations) {
    static const test_refused rows[] = {
        {CHAT, "{}", "messages", "messages is missing"},
        {CHAT, "{\"messages\":null}", "messages", "messages is missing"},
        {CHAT, "{\"messages\":\"Hi\"}", "messages",
         "messages must be an array of messages, not a string"},
        {CHAT, MESSAGES(""), "messages", "messages must hold at least one message with a text"},
        {CHAT, MESSAGES("{\"role\":\"assistant\",\"content\":\"\"}"), "messages",
         "messages must hold at least one message with a text"},
        {CHAT, MESSAGES("\"Hi\""), "messages[0]",
         "messages[0] must be an object with role and content, not a string"},
        {CHAT, MESSAGES("{\"content\":\"Hi\"}"), "messages[0].role", "messages[0].role is missing"},
        {CHAT, MESSAGES("{\"role\":null,\"content\":\"Hi\"}"), "messages[0].role",
         "messages[0].role is missing"},
        {CHAT, MESSAGES("{\"role\":1,\"content\":\"Hi\"}"), "messages[0].role",
         "messages[0].role must be a string, not 1"},
        {CHAT, MESSAGES("{\"role\":\"User\",\"content\":\"Hi\"}"), "messages[0].role",
         "messages[0].role is \"User\", not one of system, developer, user, assistant and tool"},
        {CHAT, MESSAGES("{\"role\":\"function\",\"content\":\"4\"}"), "messages[0].role",
         "messages[0].role is \"function\": what a tool answers has the role tool"},
        {CHAT, MESSAGES("{\"role\":\"user\"}"), "messages[0].content",
         "messages[0].content is missing"},
        {CHAT, MESSAGES("{\"role\":\"system\",\"content\":null}"), "messages[0].content",
         "messages[0].content is missing"},
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"},{"
                  "\"role\":\"user\",\"content\":3}"),
         "messages[2].content", "messages[2].content must be a string or an array of parts, not 3"},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":{}}"), "messages[0].content",
         "messages[0].content must be a string or an array of parts, not an object"},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":[\"a\"]}"), "messages[0].content[0]",
         "messages[0].content[0] must be an object with type and text, not a string"},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":[{\"text\":\"a\"}]}"),
         "messages[0].content[0].type",
         "messages[0].content[0].type must be a string, not nothing"},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":\"text\"}]}"),
         "messages[0].content[0].text",
         "messages[0].content[0].text must be a string, not nothing"},
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
                  "\"image_url\",\"image_url\":{\"url\":\"data:\"}}]}"),
         "messages[0].content[1].type",
         "messages[0].content[1].type is \"image_url\": parts other than text are not supported"},
        {CHAT,
         MESSAGES("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\"}]}"),
         "messages[0].tool_calls[0].function.name",
         "messages[0].tool_calls[0].function.name must be a string, not nothing"},
        {CHAT, MESSAGES("{\"role\":\"assistant\",\"tool_calls\":{}}"), "messages[0].tool_calls",
         "messages[0].tool_calls must be an array of calls, not an object"},
        {CHAT,
         MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                  "\"arguments\":3}}]}"),
         "messages[0].tool_calls[0].function.arguments",
         "messages[0].tool_calls[0].function.arguments must be the text of a JSON object, not 3"},
        {CHAT,
         MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\","
                  "\"arguments\":\"[1]\"}}]},{\"role\":\"tool\",\"content\":\"\"}"),
         "messages", "messages: the arguments of a call are not the text of a JSON object"},
        {CHAT, MESSAGES("{\"role\":\"user\",\"content\":\"a\",\"tool_calls\":[1]}"),
         "messages[0].tool_calls", "messages[0].tool_calls: only the assistant calls tools"},
        {CHAT, MESSAGES("{\"role\":\"tool\"}"), "messages[0].content",
         "messages[0].content is missing"},
        {CHAT,
         MESSAGES("{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}"),
         "messages",
         "messages ends with a message of the assistant: continuing an answer is not supported, "
         "the "
         "last message must be the user's or a tool's"},
        {CHAT, MESSAGES("{\"role\":\"assistant\",\"function_call\":{}}"),
         "messages[0].function_call", "messages[0].function_call is not supported"},
        {CHAT,
         MESSAGES("{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":"
                  "\"So\"}"),
         "messages",
         "messages ends with a message of the assistant: continuing an answer is not supported, "
         "the "
         "last message must be the user's or a tool's"},
    };
    REFUSED(rows);
}

/* ---- Prompts --------------------------------------------------------------------------------- */

TEST(request, reads_prompts) {
    static const test_accepted rows[] = {
        {COMPLETION, "{\"prompt\":\"To\"}", TO_REQUEST ",\"max\":16}"},
        {COMPLETION, "{\"prompt\":[\"a\",\"b\"]}",
         "{\"prompts\":[\"a\",\"b\"],\"temperature\":1,\"top_p\":1,\"max\":16}"},
        {COMPLETION, "{\"prompt\":[1,2,2147483647]}",
         "{\"prompts\":[[1,2,2147483647]],\"temperature\":1,\"top_p\":1,\"max\":16}"},
        {COMPLETION, "{\"prompt\":[[1],[2,3]]}",
         "{\"prompts\":[[1],[2,3]],\"temperature\":1,\"top_p\":1,\"max\":16}"},
        {COMPLETION, TO "\"suffix\":\"\"}", TO_REQUEST ",\"max\":16}"},
        {COMPLETION, TO "\"suffix\":\"be\",\"n\":2}",
         "{\"prefix\":\"To\",\"suffix\":\"be\",\"temperature\":1,\"top_p\":1,\"max\":16,\"n\":2}"},
        {INFILL, "{\"input_prefix\":\"a\",\"input_suffix\":\"\"}",
         "{\"prefix\":\"a\",\"suffix\":\"\",\"temperature\":0.8,\"top_k\":40,\"top_p\":0.95,"
         "\"min_p\":0.05}"},
        {INFILL,
         "{\"input_prefix\":\"a\\n\",\"input_suffix\":\"c\",\"prompt\":\"b\",\"n_predict\":8,"
         "\"input_extra\":[],\"cache_prompt\":true,\"stream\":false,\"samplers\":[\"top_k\"]}",
         "{\"prefix\":\"a\\nb\",\"suffix\":\"c\",\"temperature\":0.8,\"top_k\":40,\"top_p\":0.95,"
         "\"min_p\":0.05,\"max\":8}"},
        {TOKENIZE, "{\"content\":\"a b\"}", "{\"prompts\":[\"a b\"]}"},
        {TOKENIZE, "{\"content\":\"\",\"add_special\":true,\"parse_special\":false}",
         "{\"prompts\":[\"\"],\"add_special\":true,\"parse_special\":false}"},
        {DETOKENIZE, "{\"tokens\":[1,2],\"model\":\"m\"}", "{\"model\":\"m\",\"prompts\":[[1,2]]}"},
        {DETOKENIZE, "{\"tokens\":[]}", "{\"prompts\":[[]]}"},
    };
    ACCEPTED(rows);
}

TEST(request, refuses_bad_prompts) {
    static const test_refused rows[] = {
        {COMPLETION, "{}", "prompt", "prompt is missing"},
        {COMPLETION, "{\"prompt\":null}", "prompt", "prompt is missing"},
        {COMPLETION, "{\"prompt\":{}}", "prompt",
         "prompt must be a string or an array, not an object"},
        {COMPLETION, "{\"prompt\":[]}", "prompt", "prompt must hold at least one prompt"},
        {COMPLETION, "{\"prompt\":[\"a\",1]}", "prompt[1]",
         "prompt[1] must be a string, as the first one is, not 1"},
        {COMPLETION, "{\"prompt\":[[1],\"a\"]}", "prompt[1]",
         "prompt[1] must be an array, as the first one is, not a string"},
        {COMPLETION, "{\"prompt\":[true]}", "prompt[0]",
         "prompt[0] must be a string, a token id or an array, not a boolean"},
        {COMPLETION, "{\"prompt\":[1,\"a\"]}", "prompt[1]",
         "prompt[1] must be an integer within 0 and 2147483647, not a string"},
        {COMPLETION, "{\"prompt\":[1,-1]}", "prompt[1]",
         "prompt[1] must be an integer within 0 and 2147483647, not -1"},
        {COMPLETION, "{\"prompt\":[1,2147483648]}", "prompt[1]",
         "prompt[1] must be an integer within 0 and 2147483647, not 2147483648"},
        {COMPLETION, "{\"prompt\":[[1],[2,1e3]]}", "prompt[1][1]",
         "prompt[1][1] must be an integer within 0 and 2147483647, not 1e3"},
        {COMPLETION, "{\"prompt\":[[1],[]]}", "prompt[1]", "prompt[1] has no token ids"},
        {COMPLETION, "{\"prompt\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,[0]]}", "prompt[16]",
         "prompt[16] must be an integer within 0 and 2147483647, not an array"},
        {COMPLETION,
         "{\"prompt\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
         "\"\",\"\"]}",
         "prompt", "prompt has 17 prompts, at most 16 are allowed"},
        {COMPLETION, "{\"prompt\":[\"a\",\"b\"],\"suffix\":\"c\"}", "suffix",
         "suffix needs one prompt, as a string"},
        {COMPLETION, "{\"prompt\":[1],\"suffix\":\"c\"}", "suffix",
         "suffix needs one prompt, as a string"},
        {INFILL, "{\"input_suffix\":\"a\"}", "input_prefix", "input_prefix is missing"},
        {INFILL, "{\"input_prefix\":\"a\"}", "input_suffix", "input_suffix is missing"},
        {INFILL, "{\"input_prefix\":[],\"input_suffix\":\"a\"}", "input_prefix",
         "input_prefix must be a string, not an array"},
        {TOKENIZE, "{}", "content", "content is missing"},
        {TOKENIZE, "{\"content\":[1]}", "content", "content must be a string, not an array"},
        {DETOKENIZE, "{}", "tokens", "tokens is missing"},
        {DETOKENIZE, "{\"tokens\":\"1\"}", "tokens",
         "tokens must be an array of token ids, not a string"},
        {DETOKENIZE, "{\"tokens\":[1.5]}", "tokens[0]",
         "tokens[0] must be an integer within 0 and 2147483647, not 1.5"},
    };
    REFUSED(rows);
}

/* ---- Reranking ------------------------------------------------------------------------------- */

TEST(request, reads_rerankings) {
    static const test_accepted rows[] = {
        {RERANK, "{\"query\":\"q\",\"documents\":[\"a\",\"\"]}",
         "{\"inputs\":[\"a\",\"\"],\"query\":\"q\"}"},
        {RERANK,
         "{\"model\":\"m\",\"query\":\"\",\"documents\":[{\"text\":\"a\"},\"b\"],\"top_n\":1,"
         "\"return_documents\":true,\"truncation\":true}",
         "{\"model\":\"m\",\"inputs\":[\"a\",\"b\"],\"query\":\"\",\"top_n\":1,"
         "\"return_documents\":true}"},
    };
    ACCEPTED(rows);
}

TEST(request, refuses_bad_rerankings) {
    static const test_refused rows[] = {
        {RERANK, "{\"documents\":[\"a\"]}", "query", "query is missing"},
        {RERANK, "{\"query\":\"q\"}", "documents", "documents is missing"},
        {RERANK, "{\"query\":\"q\",\"documents\":\"a\"}", "documents",
         "documents must be an array of strings, not a string"},
        {RERANK, "{\"query\":\"q\",\"documents\":[]}", "documents",
         "documents has 0 texts, 1 to 2048 are allowed"},
        {RERANK, "{\"query\":\"q\",\"documents\":[\"a\",7]}", "documents[1]",
         "documents[1] must be a string or an object with a text, not 7"},
        {RERANK, "{\"query\":\"q\",\"documents\":[{\"title\":\"a\"}]}", "documents[0].text",
         "documents[0].text must be a string, not nothing"},
        {RERANK, "{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":0}", "top_n",
         "top_n must be an integer within 1 and 2147483647, not 0"},
    };
    REFUSED(rows);
}

/* ---- Embeddings ------------------------------------------------------------------------------ */

#define NO_IDS                                                                                    \
    "input must be a string or an array of strings, not token ids: the ids of another tokenizer " \
    "would be embedded as other words. With LangChain's OpenAIEmbeddings set "                    \
    "check_embedding_ctx_length=False"

TEST(request, reads_embeddings) {
    static const test_accepted rows[] = {
        {EMBEDDING, "{\"input\":\"a\"}", "{\"inputs\":[\"a\"]}"},
        {EMBEDDING,
         "{\"input\":[\"a\",\"b\"],\"model\":\"m\",\"dimensions\":64,\"encoding_format\":"
         "\"base64\",\"user\":\"u\"}",
         "{\"model\":\"m\",\"inputs\":[\"a\",\"b\"],\"dimensions\":64,\"base64\":true}"},
        {EMBEDDING, "{\"input\":\"\",\"dimensions\":null,\"encoding_format\":\"float\"}",
         "{\"inputs\":[\"\"]}"},
    };
    ACCEPTED(rows);
}

TEST(request, refuses_bad_embeddings) {
    static const test_refused rows[] = {
        {EMBEDDING, "{\"input\":[1,2,3]}", "input", NO_IDS},
        {EMBEDDING, "{\"input\":[[1,2],[3]]}", "input", NO_IDS},
        {EMBEDDING, "{\"input\":[\"a\",[3]]}", "input", NO_IDS},
        {EMBEDDING, "{\"input\":{}}", "input",
         "input must be a string or an array of strings, not an object"},
        {EMBEDDING, "{\"input\":[\"a\",{}]}", "input[1]",
         "input[1] must be a string, not an object"},
        {EMBEDDING, "{\"input\":\"a\",\"dimensions\":0}", "dimensions",
         "dimensions must be an integer within 1 and 65536, not 0"},
        {EMBEDDING, "{\"input\":\"a\",\"dimensions\":\"64\"}", "dimensions",
         "dimensions must be an integer within 1 and 65536, not a string"},
        {EMBEDDING, "{\"input\":\"a\",\"encoding_format\":\"int8\"}", "encoding_format",
         "encoding_format must be \"float\" or \"base64\""},
    };
    REFUSED(rows);
}

TEST(request, ids_to_embed_are_named_however_many) {
    static const char *const elements[] = {"1", "[1,2]"};
    char *body = malloc(100000);
    for (size_t e = 0; e < 2; e++) {
        size_t n = (size_t)sprintf(body, "{\"input\":[%s", elements[e]);
        for (size_t i = 0; i < 5000; i++) {
            n += (size_t)sprintf(body + n, ",%s", elements[e]);
        }
        n += (size_t)sprintf(body + n, "]}");
        test_outcome result = test_parse_bytes(PITH_ENDPOINT_EMBEDDING, body, n);
        CHECK(!result.ok && strcmp(result.text, NO_IDS) == 0, "%s: %s", elements[e], result.text);
        free(result.text);
    }
    free(body);
}

/* ---- Tools ----------------------------------------------------------------------------------- */

#define TOOL(more) "{\"type\":\"function\",\"function\":{\"name\":\"f\"" more "}}"
#define TOOLS(list) CHAT_OF("\"chat_template_kwargs\":null,\"tools\":[" list "]")
#define TOOLS_REQUEST(list, schemas, names)                                                       \
    "{\"messages\":[\"user\",\"Hi\"],\"variables\":{\"tools\":[" list "]},\"tools\":[" names "]," \
    "\"schemas\":" schemas ",\"temperature\":1,\"top_p\":1}"

#define PARAMETERS                                                                                 \
    ",\"strict\":true,\"parameters\":{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}," \
    "\"items\":{\"anyOf\":[{\"$ref\":\"#/$defs/"                                                   \
    "x\"},{\"const\":{\"$ref\":\"#\"}}]},\"$ref\":{\"enum\":["                                     \
    "\"#\"]}},\"$defs\":{\"x\":{\"items\":{\"$ref\":\"#/$defs/x\"}}}}"

TEST(request, references_in_schemas_of_strict_tools_are_moved) {
    static const test_accepted rows[] = {
        {CHAT, TOOLS(TOOL(PARAMETERS)),
         TOOLS_REQUEST(
             TOOL(PARAMETERS),
             "{\"tools[0].function.parameters\":{\"type\":\"object\",\"properties\":{\"a\":"
             "{\"$ref\":\"#/$defs/tools[0].function.parameters\"},\"items\":{\"anyOf\":[{"
             "\"$ref\":\"#/$defs/tools[0].function.parameters/$defs/x\"},{\"const\":{"
             "\"$ref\":\"#\"}}]},\"$ref\":{\"enum\":[\"#\"]}},\"$defs\":{\"x\":{\"items\":{"
             "\"$ref\":\"#/$defs/tools[0].function.parameters/$defs/x\"}}}}}",
             "\"f\"")},
        {CHAT, TOOLS(TOOL("") "," TOOL(",\"strict\":true")),
         TOOLS_REQUEST(TOOL("") "," TOOL(",\"strict\":true"),
                       "{\"tools[0].function.parameters\":{\"type\":\"object\"},"
                       "\"tools[1].function.parameters\":{\"type\":\"object\","
                       "\"additionalProperties\":false}}",
                       "\"f\",\"f\"")},
    };
    static const test_refused refused[] = {
        {CHAT, TOOLS(TOOL(",\"strict\":1")), "tools[0].function.strict",
         "tools[0].function.strict must be true or false, not 1"},
        {CHAT, TOOLS(TOOL(",\"strict\":true,\"parameters\":{\"type\":[\"object\"]}")),
         "tools[0].function.parameters",
         "tools[0].function.parameters.type must be \"object\" with strict"},
        {CHAT, TOOLS(TOOL(",\"strict\":true,\"parameters\":true")), "tools[0].function.parameters",
         "tools[0].function.parameters.type must be \"object\" with strict"},
        {CHAT, TOOLS(TOOL(",\"strict\":true,\"parameters\":{\"type\":\"object\",\"\\u0000\":1}")),
         "tools", "tools: a name in a schema holds U+0000"},
    };
    ACCEPTED(rows);
    REFUSED(refused);
}
