/* A vocab.txt and a text for it, separated by the first byte 0: whatever the pieces are, ids must
 * exist, and limits hold. Flags in the first byte choose the settings. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

static const char *const configs[] = {
    NULL,
    "{\"do_lower_case\": false}",
    "{\"strip_accents\": false}",
    "{\"tokenize_chinese_chars\": false, \"do_lower_case\": false, \"strip_accents\": true}",
};

static void check_ids(const pith_tokenizer *t, const pith_tokens *ids) {
    for (size_t i = 0; i < ids->n; i++) {
        fuzz_require(ids->ids[i] >= 0 && (size_t)ids->ids[i] < pith_tokenizer_vocab(t)->n_pieces);
    }
    size_t n;
    char *text = test_decode(t, ids->ids, ids->n, true, &n);
    fuzz_require(pith_utf8_check(text, n) == n);
    free(text);
}

/* The text alone, and as both texts of a pair, with a limit of its own. */
static void encode(const pith_tokenizer *t, const char *text, size_t n, size_t limit,
                   const test_allocator *memory) {
    bool valid = pith_utf8_check(text, n) == n;
    for (int pair = 0; pair < 2; pair++) {
        pith_tokens ids;
        pith_encoded info;
        pith_error error;
        pith_tokens_init(&ids, &memory->allocator);
        pith_status status =
            pith_encode_for_encoder(t, text, n, pair ? text : NULL, n, limit, &ids, &info, &error);
        fuzz_require(status == (valid ? PITH_OK : PITH_ERROR_TEXT) ||
                     fuzz_allocation_failed(memory));
        if (status == PITH_OK && (ids.n < info.n_first || (limit != 0 && ids.n > limit) ||
                                  (info.truncated && ids.n != limit))) {
            abort();
        }
        check_ids(t, &ids);
        pith_tokens_release(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char special[] = "[UNK]\n[CLS]\n[SEP]\n";
    if (size < 2) {
        return 0;
    }
    const char *config = configs[data[0] % 4];
    size_t limit = data[1] == 0 ? 0 : 3U + data[1];
    const uint8_t *zero = memchr(data + 2, 0, size - 2);
    size_t n_lines = zero != NULL ? (size_t)(zero - data) - 2 : size - 2;
    size_t n_text = zero != NULL ? size - n_lines - 3 : 0;
    size_t n_special = data[0] < 128 ? sizeof special - 1 : 0; /* or whatever the data says */
    char *lines = malloc(n_special + n_lines + 1);
    char *text = malloc(n_text > 0 ? n_text : 1); /* of its own, so that reading beyond is seen */
    memcpy(lines, special, n_special);
    memcpy(lines + n_special, data + 2, n_lines);
    if (n_text > 0) {
        memcpy(text, zero + 1, n_text);
    }
    test_allocator memory;
    pith_vocab_file file;
    pith_error error;
    fuzz_allocator_init(&memory, data, size);
    if (test_vocab_from_wordpiece(&file, lines, n_special + n_lines, "v", config,
                                  config != NULL ? strlen(config) : 0, NULL, 0, &memory.allocator,
                                  &error) == PITH_OK) {
        pith_tokenizer *t;
        if (pith_tokenizer_new(&t, &file.vocab, &memory.allocator, &error) == PITH_OK) {
            fuzz_allocator_arm(&memory, data + 1, size - 1); /* another one than above */
            encode(t, text, n_text, limit, &memory);
            pith_tokenizer_free(t);
        }
        pith_vocab_file_free(&file);
    }
    fuzz_require(memory.n_live == 0);
    free(lines);
    free(text);
    return 0;
}
