/* config.json with generation_config.json, and the module files of an encoder. Input: the text of
 * the first, then optionally a NUL byte and another text, which is read as generation_config.json
 * and as each of the module files. What is accepted must satisfy what the rest of the converter,
 * and the shapes derived from it, rely on. */
#include "base/memory.h"
#include "convert/hf_bert.h"
#include "convert/hf_config.h"
#include "weights/metadata.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check_size(const pith_slot *slot) {
    size_t bytes;
    require(!slot->is_matrix || pith_matrix_size(PITH_TYPE_F32, slot->rows, slot->cols, &bytes));
    require(slot->real_rows <= slot->rows && strlen(slot->name) < sizeof slot->name - 1);
}

static void check_bert(const pith_bert_config *c) {
    pith_error error;
    require(pith_bert_config_check(c, "config.json", &error) == PITH_OK);
    for (int part = 0; part < PITH_BERT_N_PARTS; part++) {
        pith_slot slot;
        require(pith_bert_slot_of(c, (pith_bert_part)part, 0, &slot));
        check_size(&slot);
    }
}

static void check_llama(const pith_hf_config *config) {
    const pith_llama_config *c = &config->llama;
    pith_error error;
    require(pith_llama_config_check(c, "config.json", &error) == PITH_OK);
    require(config->n_eos <= PITH_MAX_EOS);
    require(config->bos >= -1 && config->bos < (int32_t)c->vocab_size);
    for (size_t i = 0; i < config->n_eos; i++) {
        require(config->eos[i] >= 0 && (size_t)config->eos[i] < c->vocab_size);
    }
    for (int part = 0; part < PITH_LLAMA_N_PARTS; part++) {
        pith_slot slot;
        if (pith_llama_slot_of(c, (pith_llama_part)part, 0, &slot)) {
            check_size(&slot);
        }
    }
}

/* A copy of its own, which the reader may change, and reading beyond which is seen. */
static char *copy_bytes(const char *text, size_t size) {
    char *copy = malloc(size > 0 ? size : 1);
    if (size > 0) {
        memcpy(copy, text, size);
    }
    return copy;
}

/* What is accepted must be writable as metadata. */
static void check_prompts(const char *original, size_t size, size_t hidden_size) {
    const pith_allocator *allocator = &pith_malloc_allocator;
    pith_hf_prompts prompts;
    pith_error error;
    pith_status status =
        pith_hf_prompts_parse(&prompts, copy_bytes(original, size), size, "prompts", hidden_size,
                              true, allocator, NULL, &error);
    if (status != PITH_OK) {
        require(error.status == status && error.message[0] != '\0');
        return;
    }
    bool found = prompts.default_prompt == NULL;
    require(prompts.n <= PITH_MAX_PROMPTS);
    for (size_t i = 0; i < prompts.n; i++) {
        const pith_prompt *prompt = &prompts.prompts[i];
        require(strlen(prompt->name) <= PITH_MAX_PROMPT && strlen(prompt->text) <= PITH_MAX_PROMPT);
        for (size_t j = 0; j < i; j++) {
            require(strcmp(prompts.prompts[j].name, prompt->name) != 0);
        }
        found = found || prompts.default_prompt == prompt->name;
    }
    require(found);
    pith_hf_prompts_free(&prompts, allocator);
}

static void check_modules(const char *original, size_t size, size_t hidden_size) {
    const pith_allocator *allocator = &pith_malloc_allocator;
    char *text = copy_bytes(original, size);
    pith_error error;
    pith_hf_modules modules;
    pith_hf_pooling pooling;
    pith_hf_sentence sentence;
    size_t length;
    if (pith_hf_modules_parse(&modules, text, size, allocator, &error) == PITH_OK) {
        require(strlen(modules.pooling) < sizeof modules.pooling && modules.pooling[0] != '/' &&
                strstr(modules.pooling, "..") == NULL);
    }
    memcpy(text, original, size);
    if (pith_hf_pooling_parse(&pooling, text, size, "pooling", allocator, &error) == PITH_OK) {
        require((unsigned)pooling.mode < PITH_N_POOLINGS);
    }
    memcpy(text, original, size);
    if (pith_hf_sentence_parse(&sentence, text, size, "sentence", allocator, &error) == PITH_OK) {
        require(sentence.max_seq_length == 0 || sentence.max_seq_length >= PITH_BERT_LEAST_TOKENS);
    }
    check_prompts(original, size, hidden_size);
    memcpy(text, original, size);
    if (pith_hf_model_max_length(&length, text, size, allocator, &error) == PITH_OK) {
        require(length == 0 ||
                (length >= PITH_BERT_LEAST_TOKENS && length <= PITH_BERT_MAX_POSITIONS));
    }
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - text) : size;
    pith_hf_config config;
    pith_error error = {0};
    size_t n_generation = end != NULL ? size - n - 1 : 0;
    char *copies[] = {copy_bytes(text, n), end != NULL ? copy_bytes(end + 1, n_generation) : NULL};
    pith_status status = pith_hf_config_parse(&config, copies[0], n, copies[1], n_generation,
                                              &pith_malloc_allocator, &error);
    free(copies[0]);
    free(copies[1]);
    if (status != PITH_OK) {
        require(error.status == status && error.message[0] != '\0');
    } else if (config.architecture == PITH_ARCHITECTURE_BERT) {
        check_bert(&config.bert);
    } else {
        check_llama(&config);
    }
    if (end != NULL) {
        check_modules(end + 1, n_generation, status == PITH_OK ? config.bert.hidden_size : 48);
    }
    return 0;
}
