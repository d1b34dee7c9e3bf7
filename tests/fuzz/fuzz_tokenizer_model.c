/* Arbitrary bytes as a SentencePiece model; what parses must encode and decode. */
#include "tests/tokens.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char sample[] = "ab  Hello <s> \xE2\x96\x81\xC3\xA9\n\xF0\x9F\xA6\x99 aabb";
    pith_vocab_file file;
    pith_error error;
    if (pith_vocab_from_sentencepiece(&file, data, size, "m", NULL, &error) != PITH_OK) {
        return 0;
    }
    pith_tokenizer *t = NULL;
    if (pith_tokenizer_new(&t, &file.vocab, NULL, &error) == PITH_OK) {
        pith_tokens ids;
        pith_tokens_init(&ids, NULL);
        for (unsigned flags = 0; flags < 4; flags++) {
            if (pith_encode(t, sample, strlen(sample), flags, &ids, &error) != PITH_OK) {
                abort();
            }
        }
        size_t n;
        char *text = test_decode(t, ids.ids, ids.n, true, &n);
        if (pith_utf8_check(text, n) != n) {
            abort();
        }
        free(text);
        pith_tokens_release(&ids);
    }
    pith_tokenizer_free(t);
    pith_vocab_file_free(&file);
    return 0;
}
