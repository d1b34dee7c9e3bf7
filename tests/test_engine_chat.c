/* pith_chat_format and its kin: which template writes a conversation, capacities, the clock. */
#include <string.h>

#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

static const char own[] = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}"
                          "{{ eos_token }}{% endfor %}{% if add_generation_prompt %}a:{% endif %}";
static const pith_chat_template others[] = {{"tool_use", "T{{ tools|default([], true)|length }}"},
                                            {"rag", "R"}};

static pith_model *open_with(const char *format, const char *source, size_t n_others) {
    test_model model;
    test_model_default(&model, PITH_TYPE_F32);
    model.chat_format = format;
    model.chat_template = source;
    model.chat_templates = others;
    model.n_chat_templates = n_others;
    test_write_model(test_path("chat.pith"), &model);
    pith_model *out = NULL;
    pith_error error;
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    CHECK(pith_model_open(&out, test_path("chat.pith"), &options, &error) == PITH_OK, "%s",
          error.message);
    return out;
}

static const pith_message hi = {"user", {"hi", 2}};

static void check_text(const pith_model *model, const pith_chat_options *options,
                       const char *expected) {
    char text[200];
    size_t n;
    pith_error error = {0};
    CHECK(pith_chat_text(model, &hi, 1, options, text, sizeof text, &n, &error) == PITH_OK, "%s",
          error.message);
    CHECK(n == strlen(expected) && memcmp(text, expected, n) == 0, "\"%.*s\", expected \"%s\"",
          (int)n, text, expected);
}

static void check_refused(const pith_model *model, const pith_chat_options *options,
                          pith_status expected, const char *part) {
    int32_t tokens[64];
    size_t n = 77;
    pith_error error = {0};
    pith_status status = pith_chat_format(model, &hi, 1, options, tokens, 64, &n, &error);
    CHECK(status == expected && strstr(error.message, part) != NULL && n == 77, "%s: %s",
          pith_status_name(status), error.message);
}

TEST(engine_chat, the_models_own_template_writes_a_conversation) {
    pith_model *model = open_with(NULL, own, 0);
    pith_model_info info;
    pith_model_get_info(model, &info);
    CHECK(strcmp(info.chat_format, "template") == 0 && info.n_chat_templates == 0, "%s",
          info.chat_format);
    check_text(model, NULL, "<s>user: hi</s>a:");
    check_text(model, &(pith_chat_options){.no_generation_prompt = true}, "<s>user: hi</s>");
    check_text(model,
               &(pith_chat_options){.template_text = pith_text_of("x{{ y }}"),
                                    .variables = pith_text_of("{\"y\": 3}")},
               "x3");
    check_text(model, &(pith_chat_options){.template_name = "default"}, "<s>user: hi</s>a:");
    check_text(model, &(pith_chat_options){.template_name = "zephyr"},
               "<|user|>\nhi</s>\n<|assistant|>\n");
    check_refused(model, &(pith_chat_options){.template_name = "none"}, PITH_ERROR_ARGUMENT,
                  "no chat template is called \"none\": the model has default, pith chatml, ");
    check_refused(model,
                  &(pith_chat_options){.template_name = "default",
                                       .template_text = pith_text_of("x")},
                  PITH_ERROR_ARGUMENT, "by name and another as text");
    check_refused(model, &(pith_chat_options){.local_time = INT64_MAX}, PITH_ERROR_ARGUMENT,
                  "local_time");
    check_refused(model, &(pith_chat_options){.variables = {NULL, 3}}, PITH_ERROR_ARGUMENT, "null");
    check_refused(NULL, NULL, PITH_ERROR_ARGUMENT, "null model");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_chat, tools_choose_the_template_for_them) {
    static const char tools[] = "{\"tools\": [1, 2]}";
    pith_model *model = open_with(NULL, own, 2);
    check_text(model, NULL, "<s>user: hi</s>a:");
    check_text(model, &(pith_chat_options){.variables = pith_text_of(tools)}, "T2");
    check_text(model, &(pith_chat_options){.variables = pith_text_of("{\"tools\": []}")},
               "<s>user: hi</s>a:");
    check_text(model, &(pith_chat_options){.template_name = "rag"}, "R");
    check_text(model,
               &(pith_chat_options){.template_name = "default", .variables = pith_text_of(tools)},
               "<s>user: hi</s>a:");
    check_refused(model, &(pith_chat_options){.template_name = "none"}, PITH_ERROR_ARGUMENT,
                  "the model has tool_use, rag, default");
    check_refused(model, &(pith_chat_options){.variables = pith_text_of("{")}, PITH_ERROR_ARGUMENT,
                  "variables of the chat template");
    pith_model_free(model);
    model = open_with(NULL, NULL, 1);
    check_text(model, NULL, "T0");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_chat, a_model_without_a_template_says_what_there_is) {
    pith_model *model = open_with(NULL, NULL, 0);
    check_refused(model, NULL, PITH_ERROR_UNSUPPORTED,
                  "no chat template; those that come with pith");
    check_text(model, &(pith_chat_options){.template_name = "chatml"},
               "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* Llama 2's markup needs no template; the text of it is that of pith's own one. */
TEST(engine_chat, llama2_is_written_without_a_template) {
    pith_model *model = open_with("llama2", NULL, 0);
    check_text(model, NULL, "<s>[INST] hi [/INST]");
    int32_t by_code[64];
    int32_t by_template[64];
    size_t n[2];
    pith_error error;
    CHECK(pith_chat_format(model, &hi, 1, NULL, by_code, 64, &n[0], &error) == PITH_OK, "%s",
          error.message);
    const pith_chat_options options = {
        .variables = pith_text_of("{\"messages\": [{\"role\": \"user\", \"content\": "
                                  "\"hi\"}]}")};
    CHECK(pith_chat_format(model, NULL, 0, &options, by_template, 64, &n[1], &error) == PITH_OK,
          "%s", error.message);
    CHECK(n[0] == n[1] && memcmp(by_code, by_template, n[0] * sizeof *by_code) == 0,
          "%zu tokens, by the template %zu", n[0], n[1]);
    const pith_message wrong = {"assistant", {"hi", 2}};
    CHECK(pith_chat_format(model, &wrong, 1, NULL, by_code, 64, &n[0], &error) ==
                  PITH_ERROR_ARGUMENT &&
              strstr(error.message, "role") != NULL,
          "%s", error.message);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_chat, buffers_that_are_too_small_say_how_much_is_needed) {
    pith_model *model = open_with(NULL, own, 0);
    int32_t tokens[64];
    char text[64];
    size_t n;
    pith_error error;
    CHECK(pith_chat_format(model, &hi, 1, NULL, NULL, 0, &n, &error) == PITH_ERROR_CAPACITY,
          "tokens");
    size_t n_tokens = n;
    CHECK(pith_chat_format(model, &hi, 1, NULL, tokens, n_tokens, &n, &error) == PITH_OK, "%s",
          error.message);
    CHECK(tokens[0] == 1, "begins with %d", (int)tokens[0]);
    memset(text, '#', sizeof text);
    CHECK(pith_chat_text(model, &hi, 1, NULL, text, 3, &n, &error) == PITH_ERROR_CAPACITY &&
              n == strlen("<s>user: hi</s>a:") && memcmp(text, "<s>#", 4) == 0,
          "%zu bytes", n);
    CHECK(pith_chat_text(model, &hi, 1, NULL, NULL, 0, &n, &error) == PITH_ERROR_CAPACITY, "text");
    CHECK(pith_chat_text(model, &hi, 1, NULL, text, 64, NULL, &error) == PITH_ERROR_ARGUMENT,
          "no count");
    CHECK(pith_chat_format(model, NULL, 1, NULL, tokens, 64, &n, &error) == PITH_ERROR_ARGUMENT,
          "no messages");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_chat, the_end_of_an_answer_is_the_templates) {
    pith_model *model = open_with(NULL, own, 0);
    int32_t token = 77;
    pith_error error;
    CHECK(pith_chat_end(model, NULL, &token, &error) == PITH_OK && token == 2, "%d", (int)token);
    CHECK(pith_chat_end(model, &(pith_chat_options){.template_name = "chatml"}, &token, &error) ==
                  PITH_OK &&
              token == -1,
          "%d", (int)token);
    CHECK(pith_chat_end(model, NULL, NULL, &error) == PITH_ERROR_ARGUMENT, "no token");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_chat, the_clock_is_the_gregorian_calendars) {
    static const struct {
        int64_t seconds;
        const char *expected;
    } cases[] = {
        {1, "1970-01-01 00:00:01"},
        {-1, "1969-12-31 23:59:59"},
        {951782399, "2000-02-28 23:59:59"},
        {951782400, "2000-02-29 00:00:00"},
        {951868800, "2000-03-01 00:00:00"},
        {4107542399, "2100-02-28 23:59:59"},
        {4107542400, "2100-03-01 00:00:00"},
        {1772600767, "2026-03-04 05:06:07"},
        {253402300799, "9999-12-31 23:59:59"},
        {-62135596800, "1-01-01 00:00:00"},
    };
    pith_model *model = open_with(NULL, "{{ strftime_now('%Y-%m-%d %H:%M:%S') }}", 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_text(model, &(pith_chat_options){.local_time = cases[i].seconds}, cases[i].expected);
    }
    char text[32];
    size_t n;
    pith_error error;
    CHECK(pith_chat_text(model, &hi, 1, NULL, text, sizeof text, &n, &error) == PITH_OK &&
              memcmp(text, "20", 2) == 0,
          "now is %.*s", (int)n, text);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
