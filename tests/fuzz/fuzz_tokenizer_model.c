/* Arbitrary bytes as a SentencePiece model; what parses must encode and decode, as it is and, where
 * that is allowed, with its pieces numbered as fairseq's. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

static void use(const pith_vocab *vocab, test_allocator *memory) {
    static const char sample[] = "ab  Hello <s> \xE2\x96\x81\xC3\xA9\n\xF0\x9F\xA6\x99 aabb <mask>";
    pith_tokenizer *t = NULL;
    pith_error error;
    if (pith_tokenizer_new(&t, vocab, &memory->allocator, &error) == PITH_OK) {
        pith_tokens ids;
        pith_tokens_init(&ids, &memory->allocator);
        for (unsigned flags = 0; flags < 4; flags++) {
            pith_status status = pith_encode(t, sample, strlen(sample), flags, &ids, &error);
            /* A map of characters may make more of a text than a text may have. */
            fuzz_require(status == PITH_OK || status == PITH_ERROR_TEXT ||
                         fuzz_allocation_failed(memory));
        }
        for (size_t i = 0; i < ids.n; i++) {
            fuzz_require(ids.ids[i] >= 0 && (size_t)ids.ids[i] < vocab->n_pieces);
        }
        size_t n;
        char *text = test_decode(t, ids.ids, ids.n, true, &n);
        fuzz_require(pith_utf8_check(text, n) == n);
        free(text);
        pith_tokens_release(&ids);
    }
    pith_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    test_allocator memory;
    pith_vocab_file file;
    pith_error error = {.message = ""};
    fuzz_allocator_init(&memory, data, size);
    if (pith_vocab_from_sentencepiece(&file, data, size, "m", &memory.allocator, &error) !=
        PITH_OK) {
        fuzz_require(memory.n_live == 0);
        return 0;
    }
    use(&file.vocab, &memory);
    size_t n = file.vocab.n_pieces;
    fuzz_allocator_arm(&memory, data + 1, size - 1); /* another one than above */
    if (pith_vocab_number_as_fairseq(&file, "m", &error) == PITH_OK) {
        fuzz_require(file.vocab.n_pieces == n + 2);
        use(&file.vocab, &memory);
    } else {
        fuzz_require(error.message[0] != '\0' && file.vocab.n_pieces == n);
    }
    pith_vocab_file_free(&file);
    fuzz_require(memory.n_live == 0);
    return 0;
}
