/* Recognises a chat format by what a checkpoint's template renders, not by the words in it: many
 * formats write [INST], and a template may name <<SYS>> only to refuse it. */
#include "tokenizer/internal.h"

#include "base/memory.h"
#include "tokenizer/jinja.h"

#include <string.h>

#define USER(text) "{\"role\": \"user\", \"content\": \"" text "\"}"
#define ASSISTANT(text) "{\"role\": \"assistant\", \"content\": \"" text "\"}"
#define SYSTEM(text) "{\"role\": \"system\", \"content\": \"" text "\"}"
#define CHAT(messages) "{\"messages\": [" messages "], \"add_generation_prompt\": true}"

/* A conversation and how Llama 2 writes it (Touvron et al. 2023, reference code). */
typedef struct probe {
    const char *conversation, *expected;
    bool
        loose; /* compared without white space: templates differ in whether contents are stripped */
} probe;

static const probe llama2[] = {
    {CHAT(USER("Hi, you")), "<s>[INST] Hi, you [/INST]", false},
    {CHAT(SYSTEM("Be brief.") "," USER("Hi, you")),
     "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi, you [/INST]", false},
    {CHAT(USER("Hi") "," ASSISTANT("Hello to you.") "," USER("Bye")),
     "<s>[INST] Hi [/INST] Hello to you. </s><s>[INST] Bye [/INST]", false},
    {CHAT(SYSTEM("Be brief.") "," USER("Hi") "," ASSISTANT("Hello.") "," USER("Bye")),
     "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] Bye [/INST]",
     false},
    {CHAT(SYSTEM(" A\\n b ") "," USER("\\n c  d\\t") "," ASSISTANT("  e ") "," USER(" \\\"f\\\" ")),
     "<s>[INST] <<SYS>>\nA\n b\n<</SYS>>\n\nc  d [/INST] e </s><s>[INST] \"f\" [/INST]", true},
};

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool matches(const probe *p, const char *text, size_t n) {
    if (!p->loose) {
        return strlen(p->expected) == n && memcmp(p->expected, text, n) == 0;
    }
    const char *expected = p->expected;
    for (size_t i = 0; i < n; i++) {
        while (is_space(*expected)) {
            expected++;
        }
        if (!is_space(text[i]) && text[i] != *expected++) {
            return false;
        }
    }
    return *expected == '\0';
}

/* *out: the template writes this probe as Llama 2 does. Errors: MEMORY. */
static pith_status try_probe(const pith_template *t, const probe *p,
                             const pith_allocator *allocator, bool *out, pith_error *error) {
    static const pith_template_text texts[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    pith_template_input input = {.texts = texts, .n_texts = 2};
    pith_template_output output;
    char *copy = NULL;
    pith_status status =
        pith_json_read_copy(&input.conversation, &copy, p->conversation, strlen(p->conversation),
                            PITH_JSON_PYTHON, "a probe", allocator, error);
    *out = false;
    if (status == PITH_OK) {
        status = pith_template_render(t, &input, &output, error);
    }
    if (status == PITH_OK) {
        *out = output.text.data != NULL && matches(p, output.text.data, output.text.size);
        pith_template_output_release(&output);
    }
    if (copy != NULL) {
        pith_release(allocator, copy);
    }
    /* A template that refuses a probe is another format, not an error. */
    return status == PITH_ERROR_MEMORY ? status : PITH_OK;
}

pith_status pith_chat_recognise(const char *chat_template, const pith_allocator *allocator,
                                const char **format, pith_error *error) {
    pith_template *t = NULL;
    allocator = pith_allocator_or_default(allocator);
    bool same = chat_template != NULL;
    pith_status status = PITH_OK;
    if (same) {
        status =
            pith_template_compile(&t, chat_template, strlen(chat_template), NULL, allocator, error);
        same = status == PITH_OK;
    }
    for (size_t i = 0; same && i < sizeof llama2 / sizeof llama2[0]; i++) {
        status = try_probe(t, &llama2[i], allocator, &same, error);
    }
    pith_template_free(t);
    if (status == PITH_ERROR_MEMORY) {
        return status;
    }
    *format = same ? pith_chat_reference : NULL;
    return PITH_OK;
}
