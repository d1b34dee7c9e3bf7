/* Arbitrary text as a chat template, behind a NUL a conversation: whatever compiles must render or
 * be refused within its limits, and the spans must cover the output. */
#include "base/memory.h"
#include "base/utf8.h"
#include "tokenizer/jinja.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char usual[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" Be brief. \"}, {\"role\": \"user\", "
    "\"content\": \"H\\u00e9 <|im_end|>\"}, {\"role\": \"assistant\", \"content\": null, "
    "\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1.5}}}]}], "
    "\"tools\": "
    "[{\"type\": \"function\"}], \"add_generation_prompt\": true, \"n\": 3, \"s\": \"a,b\"}";

static void check_output(const pith_template_output *out) {
    size_t end = 0;
    for (size_t i = 0; i < out->n_spans; i++) {
        if (out->spans[i].start != end || out->spans[i].size == 0) {
            abort();
        }
        end += out->spans[i].size;
    }
    if (end != out->text.size || pith_utf8_check(out->text.data, out->text.size) != end) {
        abort();
    }
}

static void render(const pith_template *t, const char *json, size_t n) {
    static const pith_template_text texts[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    const pith_template_time now = {2026, 3, 4, 5, 6, 7, 0};
    pith_template_input input = {.texts = texts, .n_texts = 2, .now = &now};
    pith_template_output out;
    pith_error error;
    char *copy = malloc(n + 1);
    if (copy == NULL) {
        return;
    }
    memcpy(copy, json, n);
    if (pith_json_read(&input.conversation, copy, n, PITH_JSON_PYTHON, "fuzz",
                       &pith_malloc_allocator, &error) == PITH_OK &&
        pith_template_render(t, &input, &out, &error) == PITH_OK) {
        check_output(&out);
        pith_template_output_release(&out);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *end = memchr(text, '\0', size);
    size_t n = end != NULL ? (size_t)(end - text) : size;
    pith_template *t;
    pith_error error;
    if (pith_template_compile(&t, text, n, NULL, &error) != PITH_OK) {
        return 0;
    }
    if (end != NULL && n + 1 < size) {
        render(t, end + 1, size - n - 1);
    } else {
        render(t, usual, sizeof usual - 1);
    }
    pith_template_free(t);
    return 0;
}
