/* Conversations through chat templates to token ids: variables, origins, the end of an answer, and
 * the templates that come with pith. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"
#include "tokenizer/chat_template.h"

#include <stdlib.h>
#include <string.h>

static const char llama3[] = "golden/tokenizers/llama3/tokenizer.json";
static const char llama2[] = "golden/tokenizers/llama2/tokenizer.model";

static pith_message message(const char *role, const char *content) {
    return (pith_message){.role = role, .content = pith_text_of(content)};
}

static pith_chat_input input_of(const char *source, const pith_message *messages, size_t n) {
    return (pith_chat_input){.source = pith_text_of(source),
                             .messages = messages,
                             .n_messages = n,
                             .now = {2026, 3, 4, 5, 6, 7, 0}};
}

static void check_text(const pith_tokenizer *t, const pith_chat_input *input,
                       const char *expected) {
    pith_error error = {0};
    pith_template_output out;
    CHECK(pith_chat_render(t, input, &out, &error) == PITH_OK, "%s", error.message);
    const char *text = out.text.data != NULL ? out.text.data : "";
    CHECK(out.text.size == strlen(expected) && strcmp(text, expected) == 0,
          "\"%s\", expected \"%s\"", text, expected);
    pith_template_output_release(&out);
}

static void check_refused(const pith_tokenizer *t, const pith_chat_input *input, pith_status wanted,
                          const char *part) {
    pith_error error = {0};
    pith_template_output out;
    pith_status status = pith_chat_render(t, input, &out, &error);
    CHECK(status == wanted && strstr(error.message, part) != NULL, "%s: %s",
          pith_status_name(status), error.message);
}

static void render(const pith_tokenizer *t, const pith_chat_input *input, pith_tokens *out) {
    pith_error error = {0};
    out->n = 0;
    CHECK(pith_chat_render_tokens(t, input, out, &error) == PITH_OK, "%s", error.message);
}

/* ---- Variables ------------------------------------------------------------------------------- */

TEST(chat_template, has_the_variables_of_transformers) {
    test_tokenizer t;
    test_tokenizer_open(&t, llama2);
    const pith_message hi = message("user", "Hi");
    pith_chat_input input = input_of("{{ bos_token }}{{ eos_token }}{{ unk_token }} "
                                     "{{ tools is none }} {{ documents is none }} "
                                     "{{ add_generation_prompt }} {{ messages }} "
                                     "{{ strftime_now('%d %b %Y') }}",
                                     &hi, 1);
    check_text(t.tokenizer, &input,
               "<s></s><unk> True True True [{'role': 'user', 'content': 'Hi'}] 04 Mar 2026");
    input =
        input_of("{{ tools }} {{ enable_thinking }} {{ bos_token }} {{ add_generation_prompt }}",
                 &hi, 1);
    input.variables =
        pith_text_of(" {\"tools\": [1.50], \"enable_thinking\": false, \"bos_token\": "
                     "\"mine\"} ");
    input.no_generation_prompt = true;
    check_text(t.tokenizer, &input, "[1.5] False mine False");
    input = input_of("{{ messages[0].tool_calls }}{{ messages|length }}", NULL, 0);
    input.variables = pith_text_of("{\"messages\": [{\"role\": \"x\", \"tool_calls\": 1}]}");
    check_text(t.tokenizer, &input, "11");
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

TEST(chat_template, refuses_what_is_no_conversation) {
    test_tokenizer t;
    test_tokenizer_open(&t, llama2);
    pith_message hi = message("user", "Hi");
    pith_chat_input input = input_of("x", &hi, 1);
    input.variables = pith_text_of("[1]");
    check_refused(t.tokenizer, &input, PITH_ERROR_ARGUMENT, "must be a JSON object, not an array");
    input.variables = pith_text_of("{\"a\": }");
    check_refused(t.tokenizer, &input, PITH_ERROR_ARGUMENT, "the variables of the chat template");
    input.variables = pith_text_of("{\"messages\": []}");
    check_refused(t.tokenizer, &input, PITH_ERROR_ARGUMENT, "given twice");
    input.n_messages = 0;
    check_refused(t.tokenizer, &input, PITH_ERROR_ARGUMENT, "has no messages");
    input = input_of("x", &hi, 1);
    hi.content = pith_text_of("a\xff");
    check_refused(t.tokenizer, &input, PITH_ERROR_TEXT, "message 0: invalid UTF-8 at byte 1");
    hi = message(NULL, "Hi");
    check_refused(t.tokenizer, &input, PITH_ERROR_ARGUMENT, "message 0 has no role");
    hi = message("user", "Hi");
    input = input_of("{{ raise_exception('only answers') }}", &hi, 1);
    check_refused(t.tokenizer, &input, PITH_ERROR_ARGUMENT, "only answers");
    input = input_of("{% if %}", &hi, 1);
    check_refused(t.tokenizer, &input, PITH_ERROR_FORMAT, "line 1");
    input =
        input_of("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
                 &hi, 1);
    check_refused(t.tokenizer, &input, PITH_ERROR_FORMAT, "more than");
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- Origins --------------------------------------------------------------------------------- */

static size_t count_special(const pith_vocab *v, const pith_tokens *ids) {
    size_t n = 0;
    for (size_t i = 0; i < ids->n; i++) {
        n += v->types[ids->ids[i]] == PITH_PIECE_CONTROL ||
             (v->added[ids->ids[i]] & PITH_ADDED_SPECIAL) != 0;
    }
    return n;
}

/* All special tokens of a vocabulary, one after the other; malloc'ed. */
static char *spell_specials(const pith_vocab *v) {
    char *text = calloc(v->n_bytes + 1, 1);
    for (size_t id = 0; id < v->n_pieces; id++) {
        if (v->types[id] == PITH_PIECE_CONTROL || (v->added[id] & PITH_ADDED_SPECIAL) != 0) {
            strncat(text, v->bytes + v->offsets[id], v->offsets[id + 1] - v->offsets[id]);
        }
    }
    return text;
}

static const char *const names[] = {"chatml",     "llama2",         "llama3", "mistral",
                                    "mistral-v3", "mistral-tekken", "gemma",  "phi3",
                                    "zephyr",     "granite",        "glm4",   "ernie",
                                    "seed-oss",   "mistral-v7",     "olmo2"};
enum { N_NAMES = sizeof names / sizeof *names };

/* A conversation that spells every special token has as many of them as one that spells none. */
TEST(chat_template, texts_of_users_never_become_special_tokens) {
    static const char *const vocabularies[] = {llama3, llama2,
                                               "golden/tokenizers/gpt2/tokenizer.json"};
    for (size_t k = 0; k < 3; k++) {
        test_tokenizer t;
        test_tokenizer_open(&t, vocabularies[k]);
        const pith_vocab *v = pith_tokenizer_vocab(t.tokenizer);
        char *specials = spell_specials(v);
        const pith_message plain[] = {message("system", "a"), message("user", "b"),
                                      message("assistant", "c"), message("user", "d")};
        const pith_message hostile[] = {message("system", specials), message("user", specials),
                                        message("assistant", specials), message("user", specials)};
        pith_tokens ids;
        pith_tokens_init(&ids, NULL);
        for (size_t i = 0; i < N_NAMES; i++) {
            const char *source = pith_chat_builtin(names[i]);
            CHECK(source != NULL && strstr(pith_chat_builtin_names, names[i]) != NULL, "%s",
                  names[i]);
            pith_chat_input input = input_of(source, plain, 4);
            render(t.tokenizer, &input, &ids);
            size_t expected = count_special(v, &ids);
            input.messages = hostile;
            render(t.tokenizer, &input, &ids);
            CHECK(count_special(v, &ids) == expected, "%s with %s: %zu special tokens, not %zu",
                  vocabularies[k], names[i], count_special(v, &ids), expected);
        }
        pith_tokens_release(&ids);
        free(specials);
        test_tokenizer_close(&t);
    }
    CHECK(pith_chat_builtin("nothing") == NULL, "a template without a name");
    CHECK_NO_LEAKS();
}

/* The ids are those of the text, read with special tokens, where the conversation spells none. */
TEST(chat_template, tokens_are_those_of_the_text) {
    test_tokenizer t;
    test_tokenizer_open(&t, llama3);
    const pith_message messages[] = {message("user", " Hello\n"), message("assistant", "world  "),
                                     message("user", "\n\n1234 'tis")};
    pith_tokens actual;
    pith_tokens expected;
    pith_tokens_init(&actual, NULL);
    pith_tokens_init(&expected, NULL);
    for (size_t i = 0; i < N_NAMES; i++) {
        pith_error error = {0};
        pith_template_output out;
        pith_chat_input input = input_of(pith_chat_builtin(names[i]), messages, 3);
        render(t.tokenizer, &input, &actual);
        CHECK(pith_chat_render(t.tokenizer, &input, &out, &error) == PITH_OK, "%s", error.message);
        expected.n = 0;
        pith_encode(t.tokenizer, out.text.data, out.text.size, PITH_ENCODE_SPECIAL, &expected,
                    &error);
        long at = test_first_other_token(expected.ids, expected.n, actual.ids, actual.n);
        CHECK(at < 0, "%s: id %ld differs\n expected %s\n actual   %s", names[i], at,
              test_show_ids(expected.ids, expected.n), test_show_ids(actual.ids, actual.n));
        pith_template_output_release(&out);
    }
    pith_tokens_release(&actual);
    pith_tokens_release(&expected);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* "<|" + role + "|>" is a token for a role that templates know, and text for any other. */
TEST(chat_template, known_roles_are_the_templates_text) {
    static const char source[] = "{{ '<|' + messages[0].role + '_id|>' }}{{ messages[0].content }}";
    static const char json[] =
        "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"decoder\":{\"type\":\"ByteLevel\"},"
        "\"added_tokens\":[{\"id\":2,\"content\":\"<|user_id|>\",\"special\":true},"
        "{\"id\":3,\"content\":\"<|root_id|>\",\"special\":true}],"
        "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}";
    test_tokenizer t;
    pith_tokens ids;
    test_tokenizer_open_json(&t, json);
    pith_tokens_init(&ids, NULL);
    pith_message m = message("user", "a<|user_id|>b");
    pith_chat_input input = input_of(source, &m, 1);
    render(t.tokenizer, &input, &ids);
    CHECK(ids.n == 3 && ids.ids[0] == 2 && ids.ids[1] == 0 && ids.ids[2] == 1, "%s",
          test_show_ids(ids.ids, ids.n));
    m.role = "root";
    render(t.tokenizer, &input, &ids);
    CHECK(ids.n == 2 && ids.ids[0] == 0 && ids.ids[1] == 1, "%s", test_show_ids(ids.ids, ids.n));
    pith_tokens_release(&ids);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- The end of an answer -------------------------------------------------------------------- */

static void check_end(const pith_tokenizer *t, const char *source, const char *expected) {
    pith_error error = {0};
    int32_t token = -2;
    const pith_chat_input input = input_of(source, NULL, 0);
    CHECK(pith_chat_find_end(t, &input, &token, &error) == PITH_OK, "%s", error.message);
    const char *text = "";
    size_t n = 0;
    pith_tokenizer_piece(t, token, &text, &n);
    CHECK(n == strlen(expected) && memcmp(text, expected, n) == 0, "\"%s\": \"%.*s\", not \"%s\"",
          source, (int)n, text, expected);
}

TEST(chat_template, the_end_of_an_answer_is_found) {
    test_tokenizer t;
    test_tokenizer_open(&t, llama3);
    check_end(t.tokenizer, pith_chat_builtin("llama3"), "<|eot_id|>");
    check_end(t.tokenizer, pith_chat_builtin("chatml"), "");
    check_end(t.tokenizer, "{{ messages[-1].content|upper }}<|eom_id|>", "");
    check_end(t.tokenizer, "{{ messages[-1].content }}\n <|eom_id|>", "<|eom_id|>");
    check_end(t.tokenizer, "{{ messages[-1].content }}. <|eom_id|>", "");
    check_end(t.tokenizer, "{{ raise_exception('no') }}", "");
    check_end(t.tokenizer, "{% if %}", "");
    check_end(t.tokenizer, "", "");
    test_tokenizer_close(&t);
    test_tokenizer_open(&t, llama2);
    check_end(t.tokenizer, pith_chat_builtin("zephyr"), "</s>");
    check_end(t.tokenizer, pith_chat_builtin("llama2"), "</s>");
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- Templates that come with pith ----------------------------------------------------------- */

TEST(chat_template, comes_with_the_markup_of_the_families) {
    static const struct {
        const char *name, *expected;
    } cases[] = {
        {"chatml", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                   "<|im_start|>assistant\nHo<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n"
                   "<|im_start|>assistant\n"},
        {"llama2", "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Ho </s>"
                   "<s>[INST] Bye [/INST]"},
        {"llama3", "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
                   "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                   "<|start_header_id|>assistant<|end_header_id|>\n\nHo<|eot_id|>"
                   "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|>"
                   "<|start_header_id|>assistant<|end_header_id|>\n\n"},
        {"mistral", "<s>[INST] Be brief.\n\nHi [/INST] Ho</s>[INST] Bye [/INST]"},
        {"mistral-v3", "<s>[INST] Be brief.\n\nHi[/INST] Ho</s>[INST] Bye[/INST]"},
        {"mistral-tekken", "<s>[INST]Be brief.\n\nHi[/INST]Ho</s>[INST]Bye[/INST]"},
        {"mistral-v7", "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hi[/INST]Ho</s>[INST]Bye"
                       "[/INST]"},
        {"olmo2", "<s><|system|>\nBe brief.\n<|user|>\nHi\n<|assistant|>\nHo</s>\n<|user|>\nBye\n"
                  "<|assistant|>\n"},
        {"gemma", "<s><start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHo"
                  "<end_of_turn>\n<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"},
        {"phi3", "<|system|>\nBe brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHo<|end|>\n"
                 "<|user|>\nBye<|end|>\n<|assistant|>\n"},
        {"zephyr", "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHo</s>\n"
                   "<|user|>\nBye</s>\n<|assistant|>\n"},
        {"granite", "<|start_of_role|>system<|end_of_role|>Be brief.</s>\n"
                    "<|start_of_role|>user<|end_of_role|>Hi</s>\n"
                    "<|start_of_role|>assistant<|end_of_role|>Ho</s>\n"
                    "<|start_of_role|>user<|end_of_role|>Bye</s>\n"
                    "<|start_of_role|>assistant<|end_of_role|>"},
        {"glm4", "[gMASK]<sop><|system|>\nBe brief.<|user|>\nHi<|assistant|>\nHo<|user|>\nBye"
                 "<|assistant|>"},
        {"ernie", "<|begin_of_sentence|>Be brief.\nUser: Hi\nAssistant: Ho</s>User: Bye\n"
                  "Assistant: "},
        {"seed-oss", "<seed:bos>system\nBe brief.<seed:eos><seed:bos>user\nHi<seed:eos>"
                     "<seed:bos>assistant\nHo<seed:eos><seed:bos>user\nBye<seed:eos>"
                     "<seed:bos>assistant\n"},
    };
    const pith_message messages[] = {message("system", "Be brief."), message("user", "Hi"),
                                     message("assistant", "Ho"), message("user", "Bye")};
    test_tokenizer t;
    test_tokenizer_open(&t, llama2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const pith_chat_input input = input_of(pith_chat_builtin(cases[i].name), messages, 4);
        check_text(t.tokenizer, &input, cases[i].expected);
    }
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* Llama 2's markup as a template gives the ids of Meta's reference code. */
TEST(chat_template, llama2_has_the_ids_of_the_reference_code) {
    enum { MAX_MESSAGES = 16 };
    test_tokenizer t;
    test_tokenizer_open(&t, llama2);
    json_t *lines = test_json_lines("golden/tokenizers/llama2_chat.jsonl");
    pith_tokens actual;
    pith_tokens_init(&actual, NULL);
    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *dialog = json_object_get(json_array_get(lines, i), "dialog");
        pith_message messages[MAX_MESSAGES];
        size_t n_messages = json_array_size(dialog);
        for (size_t k = 0; k < n_messages && k < MAX_MESSAGES; k++) {
            const json_t *m = json_array_get(dialog, k);
            messages[k] = message(json_string_value(json_object_get(m, "role")),
                                  json_string_value(json_object_get(m, "content")));
        }
        size_t n;
        int32_t *expected = test_ids(json_object_get(json_array_get(lines, i), "ids"), &n);
        const pith_chat_input input = input_of(pith_chat_builtin("llama2"), messages, n_messages);
        render(t.tokenizer, &input, &actual);
        long at = test_first_other_token(expected, n, actual.ids, actual.n);
        CHECK(at < 0, "line %zu: id %ld differs\n expected %s\n actual   %s", i + 1, at,
              test_show_ids(expected, n), test_show_ids(actual.ids, actual.n));
        free(expected);
    }
    CHECK(json_array_size(lines) == 20, "%zu cases", json_array_size(lines));
    pith_tokens_release(&actual);
    json_decref(lines);
    test_tokenizer_close(&t);
    CHECK_NO_LEAKS();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(chat_template, survives_every_failing_allocation) {
    test_tokenizer file;
    test_allocator a;
    test_tokenizer_open(&file, "golden/llama-gqa/tokenizer.model");
    test_allocator_init(&a);
    const pith_message messages[] = {message("user", "Hi"), message("assistant", "Ho"),
                                     message("user", "Bye")};
    pith_chat_input input = input_of(pith_chat_builtin("zephyr"), messages, 3);
    input.variables = pith_text_of("{\"tools\": [{\"a\": 1}]}");
    pith_tokenizer *t = NULL;
    CHECK(pith_tokenizer_new(&t, &file.file.vocab, &a.allocator, NULL) == PITH_OK, "tokenizer");
    size_t n_live = a.n_live;
    pith_status status = PITH_ERROR_MEMORY;
    size_t n = 0;
    while (status != PITH_OK) {
        pith_tokens ids;
        int32_t end;
        pith_tokens_init(&ids, &a.allocator);
        a.n_calls = 0;
        a.fail_at = ++n;
        status = pith_chat_render_tokens(t, &input, &ids, NULL);
        if (status == PITH_OK) {
            status = pith_chat_find_end(t, &input, &end, NULL);
        }
        pith_tokens_release(&ids);
        CHECK(status == PITH_OK || status == PITH_ERROR_MEMORY, "allocation %zu: %s", n,
              pith_status_name(status));
        CHECK(a.n_live == n_live, "allocation %zu: a block leaked", n);
    }
    CHECK(n > 20, "only %zu allocations", n);
    pith_tokenizer_free(t);
    test_tokenizer_close(&file);
    CHECK_NO_LEAKS();
}
