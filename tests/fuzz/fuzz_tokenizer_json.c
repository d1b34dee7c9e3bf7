/* Arbitrary text as a tokenizer.json, as the two files that add tokens to a vocabulary, and as
 * those beside a vocab.txt; what parses must encode and decode. */
#include "base/utf8.h"
#include "tests/support.h"
#include "tests/tokens.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char sample[] = "ab  Hello <s> \xE2\x96\x81\xC3\xA9\n e\xCC\x81\xF0\x9F\xA6\x99 12 b";

static void use(const pith_vocab *vocab) {
    pith_tokenizer *t = NULL;
    pith_error error;
    if (pith_tokenizer_new(&t, vocab, NULL, &error) != PITH_OK) {
        return;
    }
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    for (unsigned flags = 0; flags < 4; flags++) {
        pith_status status = pith_encode(t, sample, strlen(sample), flags, &ids, &error);
        /* A pattern may run into its limits. */
        if (status != PITH_OK && status != PITH_ERROR_TEXT) {
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
    pith_tokenizer_free(t);
}

/* The smallest model, for tokens to be added to. */
static const unsigned char model[] = {
    0x0A, 0x09, 0x0A, 0x05, '<', 'u', 'n', 'k', '>', 0x18, 0x02, /* piece "<unk>", unknown */
    0x0A, 0x03, 0x0A, 0x01, 'a',                                 /* piece "a" */
    0x12, 0x02, 0x18, 0x02,                                      /* trainer_spec: BPE */
};

static void use_as_bert_config(const char *text, size_t size) {
    static const char lines[] = "[UNK]\n[CLS]\n[SEP]\na\n##b\n";
    pith_vocab_file file;
    pith_error error;
    for (int as_config = 0; as_config < 2; as_config++) {
        if (test_vocab_from_wordpiece(&file, lines, strlen(lines), "v", as_config ? text : NULL,
                                      size, as_config ? NULL : text, size, NULL,
                                      &error) == PITH_OK) {
            use(&file.vocab);
            pith_vocab_file_free(&file);
        }
    }
    char *copy;
    pith_json root;
    bool changed;
    pith_vocab vocab = {.clean_text = true, .lowercase = true};
    if (pith_json_read_copy(&root, &copy, text, size, PITH_JSON_PYTHON, "c", &pith_malloc_allocator,
                            &error) == PITH_OK &&
        pith_vocab_apply_bert_config(&vocab, root, "c", &changed, &error) == PITH_OK &&
        changed != (!vocab.lowercase || vocab.strip_accents || vocab.split_cjk)) {
        abort();
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *text = (const char *)data;
    pith_vocab_file file;
    pith_error error;
    if (test_vocab_from_json(&file, text, size, "t", NULL, &error) == PITH_OK) {
        use(&file.vocab);
        pith_vocab_file_free(&file);
    }
    for (int as_config = 0; as_config < 2; as_config++) {
        if (pith_vocab_from_sentencepiece(&file, model, sizeof model, "m", NULL, &error) !=
            PITH_OK) {
            abort();
        }
        if (test_vocab_add_tokens(&file, as_config ? text : NULL, size, as_config ? NULL : text,
                                  size, "a", &error) == PITH_OK) {
            use(&file.vocab);
        }
        pith_vocab_file_free(&file);
    }
    use_as_bert_config(text, size);
    return 0;
}
