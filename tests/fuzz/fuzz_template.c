/* Arbitrary text as a chat template, behind a NUL a conversation: whatever compiles must render or
 * be refused within its limits, and the spans must cover the output. A hash of the input chooses
 * which allocation fails, or how little memory and how few steps there are, whether there is a
 * clock, whether a variable is left out, and whether others are given besides. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tokenizer/jinja.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 200000 }; /* about a fifth of a second with the sanitizers */

/* The conversation of inputs that have none: every kind of value, by a short name. */
static const char usual[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" Be brief. \"}, {\"role\": \"user\", "
    "\"content\": \"H\\u00e9 <|im_end|>\"}, {\"role\": \"assistant\", \"content\": null, "
    "\"tool_calls\": [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": 1.5}}}]}], "
    "\"tools\": [{\"type\": \"function\"}], \"add_generation_prompt\": true, \"no\": false, "
    "\"n\": 3, \"m\": -3, \"f\": 2.5, \"g\": 1e20, \"big\": 9223372036854775807, \"s\": \"a,b\", "
    "\"t\": \"\", \"u\": \" \\u00e9\\u65e5 A\\nb \", \"nothing\": null, \"l\": [3, 1, 2], "
    "\"names\": [\"b\", \"A\", \"c\", \"a\"], \"mixed\": [1, \"x\", null, [2, 3], {\"k\": \"v\"}], "
    "\"d\": {\"b\": 2, \"a\": 1, \"C\": 3}, \"nested\": {\"x\": {\"y\": [\"deep\"]}, \"items\": "
    "\"shadow\"}, \"empty\": [], \"ed\": {}}";

static bool has_room(size_t memory) {
    pith_template_limits limits = {.memory = memory};
    pith_template_input input = {.n_texts = 0};
    pith_template_output out;
    pith_template *t;
    pith_error error;
    char *copy = fuzz_copy(usual, sizeof usual);
    fuzz_require(pith_template_compile(&t, "", 0, &limits, NULL, &error) == PITH_OK &&
                 pith_json_read(&input.conversation, copy, sizeof usual - 1, PITH_JSON_PYTHON,
                                "usual", &pith_malloc_allocator, &error) == PITH_OK);
    bool room = pith_template_render(t, &input, &out, &error) == PITH_OK;
    if (room) {
        pith_template_output_release(&out);
    }
    pith_template_free(t);
    free(copy);
    return room;
}

/* What the usual conversation takes: a limit a little above fails while the template runs. */
static size_t usual_memory(void) {
    static size_t found;
    if (found == 0) {
        size_t low = 256;
        size_t high = 1 << 20;
        while (high - low > 1) {
            size_t middle = low + (high - low) / 2;
            *(has_room(middle) ? &high : &low) = middle;
        }
        found = low;
    }
    return found;
}

static pith_template_limits choose_limits(uint64_t hash) {
    pith_template_limits limits = {.steps = MAX_STEPS};
    size_t any = (size_t)(hash >> 16 & 0xffffff);
    if (hash % 4 == 1) {
        limits.memory = 1 + any % ((size_t)64 << (hash >> 8) % 8);
        limits.memory += hash >> 40 & 1 ? usual_memory() : 0;
    } else if (hash % 32 == 3) {
        limits.steps = hash >> 5 & 1 ? SIZE_MAX : 0; /* the maximum */
    } else if (hash % 8 == 2) {
        limits.steps = 1 + any % ((size_t)4 << (hash >> 8) % 10);
    }
    return limits;
}

static void check_output(const pith_template_output *out) {
    size_t end = 0;
    for (size_t i = 0; i < out->n_spans; i++) {
        fuzz_require(out->spans[i].start == end && out->spans[i].size > 0);
        end += out->spans[i].size;
    }
    fuzz_require(end == out->text.size && pith_utf8_check(out->text.data, out->text.size) == end);
}

static void check_failure(pith_status status, const pith_error *error,
                          const test_allocator *memory) {
    fuzz_require(error->status == status && error->message[0] != '\0');
    fuzz_require(status != PITH_ERROR_MEMORY || fuzz_allocation_failed(memory));
}

static void render(const pith_template *t, const char *json, size_t n, uint64_t hash,
                   const test_allocator *memory) {
    static const pith_template_text texts[] = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    static const pith_template_time times[] = {{2026, 3, 4, 5, 6, 7, 0},
                                               {2024, 12, 29, 12, 0, 59, 999999},
                                               {2000, 2, 29, 0, 0, 0, 0},
                                               {1900, 3, 1, 23, 59, 0, 1}};
    pith_template_input input = {.texts = texts,
                                 .n_texts = 2,
                                 .without = (hash >> 41) % 4 == 0 ? "tools" : NULL,
                                 .now = (hash >> 43) % 8 != 0 ? &times[(hash >> 46) % 4] : NULL};
    static const char more[] = "{\"n\": 4, \"more\": [\"given\", {\"k\": 1.5}], \"nothing\": true}";
    pith_template_output out;
    pith_error error = {0};
    char given[sizeof more];
    memcpy(given, more, sizeof more);
    /* Seldom where memory is short: there it changes what that is short for. */
    bool besides = (hash >> 49) % (hash % 4 < 2 ? 64 : 4) == 0;
    fuzz_require(!besides ||
                 pith_json_read(&input.variables, given, sizeof more - 1, PITH_JSON_PYTHON, "more",
                                &pith_malloc_allocator, &error) == PITH_OK);
    char *copy = fuzz_copy(json, n);
    pith_status status = pith_json_read(&input.conversation, copy, n, PITH_JSON_PYTHON, "fuzz",
                                        &memory->allocator, &error);
    if (status == PITH_OK && pith_json_is(input.conversation, PITH_JSON_OBJECT)) {
        status = pith_template_render(t, &input, &out, &error);
        if (status == PITH_OK) {
            check_output(&out);
            pith_template_output_release(&out);
        }
    }
    if (status != PITH_OK) {
        check_failure(status, &error, memory);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *end = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - data) : size;
    char *source = fuzz_copy(data, n);
    uint64_t hash = fuzz_hash(data, size);
    pith_template_limits limits = choose_limits(hash);
    test_allocator memory;
    pith_template *t = NULL;
    pith_error error = {0};
    fuzz_allocator_init(&memory, data, size);
    pith_status status = pith_template_compile(&t, source, n, &limits, &memory.allocator, &error);
    if (status != PITH_OK) {
        check_failure(status, &error, &memory);
    } else if (end != NULL && n + 1 < size) {
        render(t, (const char *)end + 1, size - n - 1, hash, &memory);
    } else {
        render(t, usual, sizeof usual - 1, hash, &memory);
    }
    pith_template_free(t);
    free(source);
    fuzz_require(memory.n_live == 0);
    return 0;
}
