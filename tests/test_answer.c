/* Answers: whole documents and whole streams, byte for byte; log-probabilities of both forms;
 * floats; memory. */
#include "base/memory.h"
#include "convert/convert.h"
#include "server/answer.h"
#include "server/float_text.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FINGERPRINT "\"system_fingerprint\":\"pith-" PITH_VERSION "\""
#define HEAD(object) \
    "{\"id\":\"x-1\",\"object\":\"" object "\",\"created\":7,\"model\":\"m\"," FINGERPRINT ","
#define USAGE(p, g, t, c)                                                                \
    "\"usage\":{\"prompt_tokens\":" p ",\"completion_tokens\":" g ",\"total_tokens\":" t \
    ",\"prompt_tokens_details\":{\"cached_tokens\":" c "}}"

static const pith_answer_usage usage = {.prompt_tokens = 12,
                                        .generated_tokens = 5,
                                        .cached_tokens = 8};

static pith_answer_head head_of(const pith_request *request, const pith_model *model) {
    return (pith_answer_head){
        .request = request, .id = "x-1", .model = "m", .created = 7, .vocabulary = model};
}

static pith_answer_choice choice_of(const char *text, pith_finish finish) {
    return (pith_answer_choice){.text = pith_text_of(text), .finish = finish};
}

/* Compares what was appended, and empties it. */
static void check_text(pith_bytes *out, const char *expected) {
    CHECK(out->data != NULL && strcmp(out->data, expected) == 0, "\nexpected %s\nactual   %s",
          expected, out->data != NULL ? out->data : "nothing");
    pith_bytes_release(out);
}

static void check_answer(const pith_request *request, const pith_answer_choice *choices, size_t n,
                         const char *expected) {
    pith_bytes out;
    pith_error error;
    pith_answer_head head = head_of(request, NULL);
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_write(&head, choices, n, &usage, &out, &error) == PITH_OK, "%s",
          error.message);
    check_text(&out, expected);
}

/* The answer holds this text. */
static void check_part(const pith_request *request, const pith_answer_choice *choices, size_t n,
                       const char *part) {
    pith_bytes out;
    pith_error error;
    pith_answer_head head = head_of(request, NULL);
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_write(&head, choices, n, &usage, &out, &error) == PITH_OK, "%s",
          error.message);
    CHECK(strstr(out.data, part) != NULL, "%s lacks %s", out.data, part);
    pith_bytes_release(&out);
}

/* ---- Whole answers --------------------------------------------------------------------------- */

TEST(answer, of_spin) {
    const pith_request request = {.endpoint = PITH_ENDPOINT_INFER, .n_choices = 1};
    const pith_answer_choice choice = choice_of("a \"b\"\n", PITH_FINISH_LENGTH);
    check_answer(&request, &choice, 1,
                 "{\"text\":\"a \\\"b\\\"\\n\",\"usage\":{\"promptTokenCount\":12,"
                 "\"generatedTokenCount\":5}}");
}

TEST(answer, of_a_chat) {
    const pith_request request = {.endpoint = PITH_ENDPOINT_CHAT, .n_choices = 2};
    const pith_answer_choice choices[] = {choice_of("Hi", PITH_FINISH_EOS),
                                          choice_of("", PITH_FINISH_LENGTH)};
    check_answer(&request, choices, 2,
                 HEAD("chat.completion") "\"choices\":[{\"index\":0,\"message\":{\"role\":"
                                         "\"assistant\",\"content\":\"Hi\","
                                         "\"refusal\":null},\"logprobs\":null,\"finish_reason\":"
                                         "\"stop\"},{\"index\":1,"
                                         "\"message\":{\"role\":\"assistant\",\"content\":\"\","
                                         "\"refusal\":null},"
                                         "\"logprobs\":null,\"finish_reason\":\"length\"}]," USAGE(
                                             "12", "5", "17", "8") "}");
}

TEST(answer, of_a_completion) {
    const pith_request_prompt prompts[] = {{.text = pith_text_of("To")},
                                           {.text = pith_text_of("So\0on")}};
    pith_request request = {.endpoint = PITH_ENDPOINT_COMPLETION,
                            .n_choices = 1,
                            .prompts = prompts,
                            .n_prompts = 2};
    const pith_answer_choice choices[] = {choice_of(" be", PITH_FINISH_STOP),
                                          choice_of(" it", PITH_FINISH_CONTEXT)};
#define COMPLETIONS(a, b)                                                                       \
    HEAD("text_completion")                                                                     \
    "\"choices\":[{\"text\":\"" a "\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"" \
    "},{\"text\":\"" b                                                                          \
    "\",\"index\":1,\"logprobs\":null,\"finish_reason\":\"length\"}]," USAGE("12", "5", "17",   \
                                                                             "8") "}"
    check_answer(&request, choices, 2, COMPLETIONS(" be", " it"));
    request.echo = true;
    check_answer(&request, choices, 2, COMPLETIONS("To be", "So it"));
    request.n_choices = 2; /* both of the first prompt */
    check_answer(&request, choices, 2, COMPLETIONS("To be", "To it"));
    request.infill = true;
    request.prefix = pith_text_of("In");
    check_answer(&request, choices, 2, COMPLETIONS("In be", "In it"));
}

TEST(answer, of_an_infill) {
    static const struct {
        pith_finish finish;
        const char *type;
    } rows[] = {{PITH_FINISH_EOS, "eos"},
                {PITH_FINISH_STOP, "word"},
                {PITH_FINISH_LENGTH, "limit"},
                {PITH_FINISH_CONTEXT, "limit"}};
    const pith_request request = {.endpoint = PITH_ENDPOINT_INFILL, .n_choices = 1};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char expected[400];
        const pith_answer_choice choice = choice_of("x", rows[i].finish);
        snprintf(
            expected, sizeof expected,
            "{\"index\":0,\"content\":\"x\",\"stop\":true,\"model\":\"m\",\"tokens_predicted\":"
            "5,\"tokens_evaluated\":12,\"tokens_cached\":8,\"truncated\":false,\"stop_type\":"
            "\"%s\"}",
            rows[i].type);
        check_answer(&request, &choice, 1, expected);
    }
}

TEST(answer, finish_reasons_are_three) {
    static const char *const reasons[] = {"stop", "stop", "length", "length", "stop"};
    for (int finish = PITH_FINISH_EOS; finish <= PITH_FINISH_STOPPED; finish++) {
        const char *reason = pith_answer_finish((pith_finish)finish, 0);
        CHECK(strcmp(reason, reasons[finish]) == 0, "%d: %s", finish, reason);
        const char *called = strcmp(reason, "stop") == 0 ? "tool_calls" : reason;
        reason = pith_answer_finish((pith_finish)finish, 1);
        CHECK(strcmp(reason, called) == 0, "%d with a call: %s", finish, reason);
    }
}

/* Calls, and reasoning, in a whole answer and in a stream. */
TEST(answer, of_a_chat_with_calls) {
    const pith_answer_call calls[] = {
        {"abcdefghi", {"f", 1}, {"{\"a\":1}", 7}},
        {"123456789", {"g", 1}, {"{}", 2}},
    };
    const pith_request request = {.endpoint = PITH_ENDPOINT_CHAT, .n_choices = 1};
    pith_answer_choice choice = choice_of("", PITH_FINISH_EOS);
    choice.calls = calls;
    choice.n_calls = 2;
    choice.reasoning = pith_text_of("So.");
#define FIRST                                                                                \
    "\"id\":\"abcdefghi\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":" \
    "\"{\\\"a\\\":1}\"}"
    check_part(
        &request, &choice, 1,
        "\"message\":{\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"So.\","
        "\"refusal\":null,\"tool_calls\":[{" FIRST "},{\"id\":\"123456789\",\"type\":"
        "\"function\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]},\"logprobs\":null,"
        "\"finish_reason\":\"tool_calls\"");
    choice.text = pith_text_of("Hi");
    choice.n_calls = 0;
    check_part(&request, &choice, 1,
               "\"content\":\"Hi\",\"reasoning_content\":\"So.\",\"refusal\":null}");
    pith_answer_head head = head_of(&request, NULL);
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_stream_reasoning(&head, 0, pith_text_of("So"), &out, &error) == PITH_OK &&
              pith_answer_stream_call(&head, 0, 1, &calls[0], &out, &error) == PITH_OK &&
              pith_answer_stream_arguments(&head, 0, 1, pith_text_of("{\"a"), &out, &error) ==
                  PITH_OK &&
              pith_answer_stream_finish(&head, 0, PITH_FINISH_EOS, 2, &out, &error) == PITH_OK,
          "%s", error.message);
    CHECK(strstr(out.data, "\"delta\":{\"reasoning_content\":\"So\"}") != NULL &&
              strstr(out.data, "\"delta\":{\"tool_calls\":[{\"index\":1," FIRST "}]}") != NULL &&
              strstr(out.data,
                     "\"delta\":{\"tool_calls\":[{\"index\":1,\"function\":{\"arguments\":"
                     "\"{\\\"a\"}}]}") != NULL &&
              strstr(out.data, "\"delta\":{},\"logprobs\":null,\"finish_reason\":\"tool_calls\"") !=
                  NULL,
          "%s", out.data);
    pith_bytes_release(&out);
    char id[PITH_ANSWER_CALL_ID];
    pith_answer_call_id(id);
    CHECK(strlen(id) == 9 && strspn(id, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                        "uvwxyz") == 9,
          "%s", id);
}

TEST(answer, ids_differ) {
    char first[PITH_ANSWER_ID];
    char second[PITH_ANSWER_ID];
    pith_answer_id(PITH_ENDPOINT_CHAT, first);
    pith_answer_id(PITH_ENDPOINT_CHAT, second);
    CHECK(strncmp(first, "chatcmpl-", 9) == 0 && strlen(first) == 33, "%s", first);
    CHECK(strspn(first + 9, "0123456789abcdef") == 24, "%s", first);
    CHECK(strcmp(first, second) != 0, "%s twice", first);
    pith_answer_id(PITH_ENDPOINT_COMPLETION, first);
    CHECK(strncmp(first, "cmpl-", 5) == 0 && strlen(first) == 29, "%s", first);
}

TEST(answer, that_fails_leaves_the_text_before_it) {
    const pith_request request = {.endpoint = PITH_ENDPOINT_CHAT, .n_choices = 1};
    const pith_answer_choice choice = choice_of("\xFF", PITH_FINISH_EOS);
    pith_answer_head head = head_of(&request, NULL);
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    pith_bytes_append_text(&out, "before");
    pith_status status = pith_answer_write(&head, &choice, 1, &usage, &out, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error.message, "not UTF-8") != NULL, "%s",
          error.message);
    check_text(&out, "before");
}

/* ---- ollama's -------------------------------------------------------------------------------- */

/* Compares an answer but for its time, which is any. */
static void check_ollama(const pith_request *request, const pith_answer_choice *choice,
                         const pith_answer_usage *used, const char *expected) {
    static const char before[] = "{\"model\":\"m\",\"created_at\":\"";
    static const char shape[] = "0000-00-00T00:00:00.000000000Z\",";
    pith_bytes out;
    pith_error error;
    pith_answer_head head = head_of(request, NULL);
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_ollama_line(&head, choice, used, &out, &error) == PITH_OK, "%s",
          error.message);
    CHECK(strncmp(out.data, before, sizeof before - 1) == 0, "%s", out.data);
    const char *time = out.data + sizeof before - 1;
    for (size_t i = 0; i + 1 < sizeof shape; i++) {
        bool digit = time[i] >= '0' && time[i] <= '9';
        CHECK(shape[i] == '0' ? digit : time[i] == shape[i], "the time in %s", out.data);
    }
    time += sizeof shape - 1;
    CHECK(strcmp(time, expected) == 0, "\nexpected %s\nactual   %s", expected, time);
    pith_bytes_release(&out);
}

#define OLLAMA_END                                                                            \
    "\"done\":true,\"done_reason\":\"stop\",\"total_duration\":2500000000,\"load_duration\":" \
    "500000000,\"prompt_eval_count\":12,\"prompt_eval_duration\":250000000,\"eval_count\":5," \
    "\"eval_duration\":1000000000}\n"

TEST(answer, of_ollama) {
    const pith_request generate = {.endpoint = PITH_ENDPOINT_OLLAMA_GENERATE, .n_choices = 1};
    const pith_request chat = {.endpoint = PITH_ENDPOINT_OLLAMA_CHAT, .n_choices = 1};
    const pith_answer_usage used = {.prompt_tokens = 12,
                                    .generated_tokens = 5,
                                    .load_seconds = 0.5,
                                    .prompt_seconds = 0.25,
                                    .generate_seconds = 1,
                                    .total_seconds = 2.5};
    const pith_answer_call call = {.id = "abcdefghi",
                                   .name = pith_text_of("f"),
                                   .arguments = pith_text_of("{\"a\":1}")};
    pith_answer_choice choice = choice_of("Hi\n", PITH_FINISH_EOS);
    check_ollama(&generate, &choice, NULL, "\"response\":\"Hi\\n\",\"done\":false}\n");
    check_ollama(&generate, &choice, &used, "\"response\":\"Hi\\n\"," OLLAMA_END);
    choice.reasoning = pith_text_of("so");
    check_ollama(&generate, &choice, NULL,
                 "\"response\":\"Hi\\n\",\"thinking\":\"so\",\"done\":false}\n");
    choice.calls = &call;
    choice.n_calls = 1;
    check_ollama(&chat, &choice, &used,
                 "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\\n\",\"thinking\":\"so\","
                 "\"tool_calls\":[{\"id\":\"abcdefghi\",\"function\":{\"name\":\"f\",\"arguments\":"
                 "{\"a\":1}}}]}," OLLAMA_END);
    choice = choice_of("", PITH_FINISH_CONTEXT);
    check_ollama(&generate, &choice, &usage,
                 "\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"total_duration\":0,"
                 "\"load_duration\":0,\"prompt_eval_count\":12,\"prompt_eval_duration\":0,"
                 "\"eval_count\":5,\"eval_duration\":0}\n");
}

TEST(answer, of_ollama_that_fails) {
    pith_problem problem;
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    pith_problem_set(&problem, 503, "queue_full", "prompt", "a \"text\"");
    CHECK(pith_answer_ollama_problem(&problem, &out, &error) == PITH_OK, "%s", error.message);
    check_text(&out, "{\"error\":\"a \\\"text\\\"\"}\n");
}

TEST(answer, of_ollama_without_work) {
    pith_request request = {.endpoint = PITH_ENDPOINT_OLLAMA_CHAT, .no_work = true};
    for (int unload = 0; unload < 2; unload++) {
        pith_bytes out;
        pith_error error;
        request.unload = unload != 0;
        pith_answer_head head = head_of(&request, NULL);
        pith_bytes_init(&out, NULL);
        CHECK(pith_answer_ollama_loaded(&head, &out, &error) == PITH_OK, "%s", error.message);
        CHECK(strstr(out.data,
                     "\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,"
                     "\"done_reason\":") != NULL,
              "%s", out.data);
        CHECK(strstr(out.data, request.unload ? "\"done_reason\":\"unload\"}\n"
                                              : "\"done_reason\":\"load\"}\n") != NULL,
              "%s", out.data);
        pith_bytes_release(&out);
    }
}

/* ---- Streams --------------------------------------------------------------------------------- */

/* What a server does with a choice of two pieces. */
static void write_stream(const pith_answer_head *head, size_t choice, pith_bytes *out) {
    pith_error error;
    CHECK(pith_answer_stream_open(head, choice, out, &error) == PITH_OK &&
              pith_answer_stream_piece(head, choice, pith_text_of("Hi"), NULL, out, &error) ==
                  PITH_OK &&
              pith_answer_stream_piece(head, choice, pith_text_of(""), NULL, out, &error) ==
                  PITH_OK &&
              pith_answer_stream_piece(head, choice, pith_text_of("\n!"), NULL, out, &error) ==
                  PITH_OK &&
              pith_answer_stream_finish(head, choice, PITH_FINISH_LENGTH, 0, out, &error) ==
                  PITH_OK &&
              pith_answer_stream_usage(head, &usage, out, &error) == PITH_OK &&
              pith_answer_stream_done(out, &error) == PITH_OK,
          "%s", error.message);
}

#define CHUNK "data: " HEAD("chat.completion.chunk") "\"choices\":["
#define DELTA(delta, reason) \
    "{\"index\":1,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" reason "}]"

TEST(answer, streams_a_chat) {
    pith_request request = {.endpoint = PITH_ENDPOINT_CHAT, .n_choices = 2, .stream = true};
    pith_answer_head head = head_of(&request, NULL);
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    write_stream(&head, 1, &out);
    check_text(&out,
               CHUNK DELTA("\"role\":\"assistant\",\"content\":\"\"",
                           "null") "}\n\n" CHUNK DELTA("\"content\":\"Hi\"", "null") "}\n\n" CHUNK
                   DELTA("\"content\":\"\\n!\"",
                         "null") "}\n\n" CHUNK DELTA("", "\"length\"") "}\n\n"
                                                                       "data: [DONE]\n\n");
    request.include_usage = true;
    write_stream(&head, 1, &out);
    check_text(
        &out,
        CHUNK DELTA("\"role\":\"assistant\",\"content\":\"\"",
                    "null") ",\"usage\":null}\n\n" CHUNK DELTA("\"content\":\"Hi\"",
                                                               "null") ",\"usage\":null}\n\n" CHUNK
            DELTA("\"content\":\"\\n!\"", "null") ",\"usage\":null}\n\n" CHUNK DELTA(
                "", "\"length\"") ",\"usage\":null}\n\n" CHUNK
                                  "]," USAGE("12", "5", "17", "8") "}\n\n"
                                                                   "data: [DONE]\n\n");
}

#define PIECE(text, reason)                                                                       \
    "data: " HEAD("text_completion") "\"choices\":[{\"text\":\"" text                             \
                                     "\",\"index\":0,\"logprobs\":null,\"finish_reason\":" reason \
                                     "}]}\n\n"

TEST(answer, streams_a_completion) {
    const pith_request_prompt prompt = {.text = pith_text_of("To")};
    pith_request request = {.endpoint = PITH_ENDPOINT_COMPLETION,
                            .n_choices = 1,
                            .prompts = &prompt,
                            .n_prompts = 1};
    pith_answer_head head = head_of(&request, NULL);
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    write_stream(&head, 0, &out);
    check_text(&out, PIECE("Hi", "null") PIECE("\\n!", "null")
                         PIECE("", "\"length\"") "data: [DONE]\n\n");
    request.echo = true;
    write_stream(&head, 0, &out);
    check_text(&out, PIECE("To", "null") PIECE("Hi", "null") PIECE("\\n!", "null")
                         PIECE("", "\"length\"") "data: [DONE]\n\n");
}

TEST(answer, streams_a_problem) {
    pith_problem problem;
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(!pith_problem_set(&problem, 503, NULL, NULL, "too %s", "late"),
          "a problem is no success");
    CHECK(pith_answer_stream_problem(&problem, &out, &error) == PITH_OK, "%s", error.message);
    check_text(&out, "data: {\"error\":{\"message\":\"too late\",\"type\":\"server_error\","
                     "\"param\":null,\"code\":null}}\n\n");
}

/* ---- Problems -------------------------------------------------------------------------------- */

TEST(problem, of_errors_of_the_library) {
    static const struct {
        pith_status status;
        int http;
        const char *code, *type, *message;
    } rows[] = {
        {PITH_ERROR_ARGUMENT, 400, NULL, "invalid_request_error", "/etc/x: said so"},
        {PITH_ERROR_TEXT, 400, NULL, "invalid_request_error", "/etc/x: said so"},
        {PITH_ERROR_TOKEN, 400, NULL, "invalid_request_error", "/etc/x: said so"},
        {PITH_ERROR_CONTEXT, 400, "context_length_exceeded", "invalid_request_error",
         "/etc/x: said so"},
        {PITH_ERROR_MEMORY, 503, NULL, "server_error",
         "there is not enough memory for this request"},
        {PITH_ERROR_NUMERIC, 500, NULL, "server_error",
         "the model computed numbers that are not finite"},
        {PITH_ERROR_IO, 500, NULL, "server_error", "the request failed inside the service (io)"},
        {PITH_ERROR_FORMAT, 500, NULL, "server_error",
         "the request failed inside the service (format)"},
        {PITH_ERROR_UNSUPPORTED, 500, NULL, "server_error",
         "the request failed inside the service (unsupported)"},
        {PITH_ERROR_STOPPED, 500, NULL, "server_error",
         "the request failed inside the service (stopped)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        pith_problem problem = {.retry_after = 77};
        const pith_error error = {.status = rows[i].status, .message = "/etc/x: said so"};
        CHECK(!pith_problem_from(&problem, &error), "a problem is no success");
        CHECK(problem.http == rows[i].http && problem.param[0] == '\0' &&
                  (problem.code == NULL) == (rows[i].code == NULL) &&
                  (problem.code == NULL || strcmp(problem.code, rows[i].code) == 0) &&
                  strcmp(problem.message, rows[i].message) == 0 &&
                  strcmp(pith_problem_type(&problem), rows[i].type) == 0 &&
                  problem.retry_after == (rows[i].status == PITH_ERROR_MEMORY ? 1 : 0),
              "row %zu: %d %s", i, problem.http, problem.message);
    }
}

TEST(problem, types_follow_the_status) {
    static const struct {
        int http;
        const char *type;
    } rows[] = {{400, "invalid_request_error"}, {401, "authentication_error"},
                {403, "permission_error"},      {404, "invalid_request_error"},
                {413, "invalid_request_error"}, {429, "rate_limit_error"},
                {499, "invalid_request_error"}, {500, "server_error"},
                {504, "server_error"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const pith_problem problem = {.http = rows[i].http};
        CHECK(strcmp(pith_problem_type(&problem), rows[i].type) == 0, "%d: %s", rows[i].http,
              pith_problem_type(&problem));
    }
}

/* What comes from clients may be long, broken by a cut, or control a terminal. */
TEST(problem, messages_are_always_text) {
    char longest[2000];
    pith_problem problem;
    pith_json_writer json;
    pith_error error;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    memcpy(longest, "a\x1B[31m\xC3\xA9\xC3\xFF", 10);
    pith_problem_set(&problem, 400, "c", longest, "%s", longest);
    CHECK(strlen(problem.param) == 63 && strlen(problem.message) == 499, "%zu and %zu bytes",
          strlen(problem.param), strlen(problem.message));
    CHECK(strncmp(problem.message, "a?[31mé??x", 11) == 0, "%s", problem.message);
    pith_json_write_begin(&json, NULL);
    pith_problem_write(&problem, &json);
    CHECK(pith_json_write_end(&json, "problem", &error) == PITH_OK, "%s", error.message);
    CHECK(strstr(json.bytes.data, ",\"code\":\"c\"}}") != NULL, "%s", json.bytes.data);
    pith_bytes_release(&json.bytes);
}
