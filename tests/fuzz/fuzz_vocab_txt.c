/* vocab.txt and the files beside it. Input, with NUL bytes between: vocab.txt,
 * tokenizer_config.json, special_tokens_map.json, added_tokens.json, a text; those at the end may
 * be missing, an empty one is not there either. What parses must encode the text. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

enum { VOCAB, CONFIG, MAP, ADDED, TEXT, N_FIELDS };

typedef struct field {
    char *text; /* or NULL */
    size_t n;
} field;

static void use(const pith_vocab *vocab, const field *text, const test_allocator *memory) {
    static const char sample[] = "Ab\xC3\xA9 [MASK] \xE4\xB8\x80 e\xCC\x81,a";
    pith_tokenizer *t = NULL;
    pith_error error;
    pith_status status = pith_tokenizer_new(&t, vocab, &memory->allocator, &error);
    if (status != PITH_OK) {
        return;
    }
    const char *read = text->text != NULL ? text->text : sample;
    size_t n = text->text != NULL ? text->n : sizeof sample - 1;
    pith_tokens ids;
    pith_tokens_init(&ids, &memory->allocator);
    status = pith_encode_for_encoder(t, read, n, sample, sizeof sample - 1, 0, &ids, NULL, &error);
    fuzz_require(status == PITH_OK || fuzz_allocation_failed(memory) ||
                 (status == PITH_ERROR_TEXT && pith_utf8_check(read, n) != n));
    for (size_t i = 0; i < ids.n; i++) {
        fuzz_require(ids.ids[i] >= 0 && (size_t)ids.ids[i] < vocab->n_pieces);
    }
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    field fields[N_FIELDS];
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    for (size_t i = 0; i < N_FIELDS; i++) {
        fields[i].text = fuzz_text(&in, &fields[i].n);
        if (fields[i].n == 0 && i != VOCAB) {
            free(fields[i].text);
            fields[i].text = NULL;
        }
    }
    const field *config = &fields[CONFIG];
    pith_vocab_file file;
    pith_error error = {0};
    pith_status status =
        test_vocab_from_wordpiece(&file, fields[VOCAB].text, fields[VOCAB].n, "vocab.txt",
                                  config->text, config->n, fields[MAP].text, fields[MAP].n,
                                  &memory.allocator, &error);
    if (status == PITH_OK) {
        status = test_vocab_add_tokens(&file, config->text, config->n, fields[ADDED].text,
                                       fields[ADDED].n, "added", &error);
        fuzz_require(pith_vocab_check(&file.vocab, "v", NULL) == PITH_OK);
        use(&file.vocab, &fields[TEXT], &memory);
        pith_vocab_file_free(&file);
    }
    fuzz_require(status == PITH_OK || (error.status == status && error.message[0] != '\0'));
    fuzz_require(memory.n_live == 0);
    for (size_t i = 0; i < N_FIELDS; i++) {
        free(fields[i].text);
    }
    return 0;
}
