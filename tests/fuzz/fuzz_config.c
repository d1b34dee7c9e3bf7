/* config.json and generation_config.json. Input: the text of the first, then optionally a NUL byte
 * and the text of the second. What is accepted must satisfy what the rest of the converter, and the
 * shapes derived from it, rely on. */
#include "convert/hf_config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) {
        abort();
    }
}

static void check(const pith_hf_config *config) {
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
        if (pith_llama_slot_of(c, (pith_llama_part)part, 0, &slot) && slot.is_matrix) {
            size_t bytes;
            require(pith_matrix_size(PITH_TYPE_F32, slot.rows, slot.cols, &bytes));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    const char *end = size > 0 ? memchr(text, '\0', size) : NULL;
    size_t n = end != NULL ? (size_t)(end - text) : size;
    pith_hf_config config;
    pith_error error = {0};
    pith_status status = pith_hf_config_parse(&config, text, n, end != NULL ? end + 1 : NULL,
                                              end != NULL ? size - n - 1 : 0, &error);
    if (status == PITH_OK) {
        check(&config);
    } else {
        require(error.status == status && error.message[0] != '\0');
    }
    return 0;
}
