/* config.json with generation_config.json, and the module files of an encoder. Input: the text of
 * the first, then optionally a NUL byte and another text, which is read as generation_config.json
 * and as each of the module files. What is accepted must satisfy what the rest of the converter,
 * and the shapes derived from it, rely on. */
#include "base/memory.h"
#include "convert/hf_bert.h"
#include "convert/hf_config.h"
#include "tests/fuzz/input.h"
#include "weights/metadata.h"

#include <stdlib.h>
#include <string.h>

static void check_size(const pith_slot *slot) {
    size_t bytes;
    fuzz_require(!slot->is_matrix ||
                 pith_matrix_size(PITH_TYPE_F32, slot->rows, slot->cols, &bytes));
    fuzz_require(slot->real_rows <= slot->rows && strlen(slot->name) < sizeof slot->name - 1);
}

static void check_config(const pith_hf_config *config) {
    const pith_config *c = &config->config;
    pith_error error;
    fuzz_require(pith_config_check(c, "config.json", &error) == PITH_OK);
    fuzz_require(c->role == config->family->role);
    fuzz_require(config->n_eos <= PITH_MAX_EOS);
    fuzz_require(config->bos >= -1 && config->bos < (int32_t)c->vocab_size);
    for (size_t i = 0; i < config->n_eos; i++) {
        fuzz_require(config->eos[i] >= 0 && (size_t)config->eos[i] < c->vocab_size);
    }
    for (size_t part = 0; part < pith_family_n_parts(config->family); part++) {
        pith_slot slot;
        if (pith_family_slot(config->family, c, part, c->num_hidden_layers - 1, &slot)) {
            check_size(&slot);
        }
    }
}

typedef struct source {
    const char *text;
    size_t n;
    char *copy;
    test_allocator memory;
} source;

/* A copy for the next reader, which changes it. */
static char *copy_again(source *s) {
    free(s->copy);
    s->copy = fuzz_copy(s->text, s->n);
    fuzz_allocator_arm(&s->memory, (const uint8_t *)s->text, s->n);
    return s->copy;
}

/* What is accepted must be writable as metadata. */
static void check_prompts(source *s, size_t hidden_size) {
    const pith_allocator *allocator = &s->memory.allocator;
    pith_hf_prompts prompts;
    pith_error error;
    fuzz_allocator_arm(&s->memory, (const uint8_t *)s->text, s->n);
    char *copy = pith_allocate(allocator, s->n, 1); /* taken over */
    if (copy == NULL) {
        return;
    }
    memcpy(copy, s->text, s->n);
    pith_status status = pith_hf_prompts_parse(&prompts, copy, s->n, "prompts", hidden_size,
                                               s->n % 2 == 0, allocator, NULL, &error);
    if (status != PITH_OK) {
        fuzz_require(error.status == status && error.message[0] != '\0');
        return;
    }
    bool found = prompts.default_prompt == NULL;
    fuzz_require(prompts.n <= PITH_MAX_PROMPTS);
    for (size_t i = 0; i < prompts.n; i++) {
        const pith_prompt *prompt = &prompts.prompts[i];
        fuzz_require(strlen(prompt->name) <= PITH_MAX_PROMPT &&
                     strlen(prompt->text) <= PITH_MAX_PROMPT);
        for (size_t j = 0; j < i; j++) {
            fuzz_require(strcmp(prompts.prompts[j].name, prompt->name) != 0);
        }
        found = found || prompts.default_prompt == prompt->name;
    }
    fuzz_require(found);
    pith_hf_prompts_free(&prompts, allocator);
}

static void check_modules(source *s, size_t hidden_size) {
    const pith_allocator *allocator = &s->memory.allocator;
    pith_error error;
    pith_hf_modules modules;
    pith_hf_pooling pooling;
    pith_hf_sentence sentence;
    size_t length;
    if (pith_hf_modules_parse(&modules, copy_again(s), s->n, allocator, &error) == PITH_OK) {
        fuzz_require(strlen(modules.pooling) < sizeof modules.pooling &&
                     modules.pooling[0] != '/' && strstr(modules.pooling, "..") == NULL);
    }
    if (pith_hf_pooling_parse(&pooling, copy_again(s), s->n, "pooling", allocator, &error) ==
        PITH_OK) {
        fuzz_require((unsigned)pooling.mode < PITH_N_POOLINGS);
    }
    if (pith_hf_sentence_parse(&sentence, (s->n & 1) != 0, copy_again(s), s->n, "sentence",
                               allocator, &error) == PITH_OK) {
        fuzz_require(sentence.max_seq_length == 0 ||
                     sentence.max_seq_length >= PITH_MIN_SEQ_LENGTH);
    }
    check_prompts(s, hidden_size);
    if (pith_hf_model_max_length(&length, copy_again(s), s->n, allocator, &error) == PITH_OK) {
        fuzz_require(length == 0 ||
                     (length >= PITH_MIN_SEQ_LENGTH && length <= PITH_MAX_POSITIONS));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - text) : size;
    source second = {.text = end != NULL ? end + 1 : NULL, .n = end != NULL ? size - n - 1 : 0};
    pith_hf_config config;
    pith_error error = {0};
    fuzz_allocator_init(&second.memory, data, size);
    char *copy = fuzz_copy(text, n);
    second.copy = end != NULL ? fuzz_copy(second.text, second.n) : NULL;
    pith_status status = pith_hf_config_parse(&config, copy, n, second.copy, second.n, n % 2 != 0,
                                              &second.memory.allocator, &error);
    free(copy);
    if (status != PITH_OK) {
        fuzz_require(error.status == status && error.message[0] != '\0');
    } else {
        check_config(&config);
    }
    if (end != NULL) {
        check_modules(&second, status == PITH_OK ? config.config.hidden_size : 48);
    }
    free(second.copy);
    fuzz_require(second.memory.n_live == 0);
    return 0;
}
