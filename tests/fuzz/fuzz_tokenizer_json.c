/* Arbitrary text as a tokenizer.json, as the two files that add tokens to a vocabulary, and as
 * those beside a vocab.txt; what parses must encode, pairs of texts too, and decode. After a NUL
 * byte may follow a tokenizer_config.json, which adds tokens that the first text has not and may
 * overrule the normaliser of a WordPiece tokenizer, after another an added_tokens.json, and after a
 * third one the text to encode in place of the usual one. */
#include "base/memory.h"
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tests/tokens.h"

#include <stdlib.h>
#include <string.h>

static const char usual[] = "ab  Hello <s> \xE2\x96\x81\xC3\xA9\n e\xCC\x81\xF0\x9F\xA6\x99 12 b";

/* What is encoded. */
typedef struct sample {
    const char *bytes;
    size_t n;
} sample;

/* What an encoder reads, of one text and of two, cut to few tokens. */
static void use_pair(const pith_tokenizer *t, const test_allocator *memory) {
    static const char longer[] = "ab ab ab ab ab Hello 12";
    static const struct {
        const char *first, *second;
        size_t most;
    } cases[] = {{longer, NULL, 0}, {longer, NULL, 5},   {longer, "ab", 0},    {longer, "ab", 8},
                 {"ab", longer, 8}, {longer, longer, 9}, {longer, longer, 10}, {"ab", "b", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *second = cases[i].second;
        pith_tokens ids;
        pith_encoded info;
        pith_error error = {0};
        pith_tokens_init(&ids, &memory->allocator);
        pith_status status = pith_encode_for_encoder(t, cases[i].first, strlen(cases[i].first),
                                                     second, second != NULL ? strlen(second) : 0,
                                                     cases[i].most, &ids, &info, &error);
        if (status == PITH_OK) {
            fuzz_require(cases[i].most == 0 || ids.n <= cases[i].most);
            fuzz_require(info.n_first <= ids.n && (second != NULL || info.n_first == ids.n));
        } else {
            fuzz_require(error.status == status && error.message[0] != '\0');
        }
        pith_tokens_release(&ids);
    }
}

/* What each id is in a text, as a grammar asks. */
static void use_pieces(const pith_tokenizer *t) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    for (size_t id = 0; id < v->n_pieces; id++) {
        size_t n = v->offsets[id + 1] - v->offsets[id];
        char *out = malloc(n + 1);
        fuzz_require(pith_token_bytes(t, (int32_t)id, out) <= n + 1);
        free(out);
    }
}

static void use(const pith_vocab *vocab, const sample *text, const test_allocator *memory) {
    pith_tokenizer *t = NULL;
    pith_error error;
    if (pith_tokenizer_new(&t, vocab, &memory->allocator, &error) != PITH_OK) {
        return;
    }
    pith_tokens ids;
    pith_tokens_init(&ids, &memory->allocator);
    for (unsigned flags = 0; flags < 4; flags++) {
        pith_status status = pith_encode(t, text->bytes, text->n, flags, &ids, &error);
        /* A pattern may run into its limits; the text may be no UTF-8. */
        fuzz_require(status == PITH_OK || status == PITH_ERROR_TEXT ||
                     fuzz_allocation_failed(memory));
    }
    use_pair(t, memory);
    use_pieces(t);
    for (int show_special = 0; show_special < 2; show_special++) {
        size_t n;
        char *back = test_decode(t, ids.ids, ids.n, show_special != 0, &n);
        fuzz_require(pith_utf8_check(back, n) == n);
        free(back);
    }
    fuzz_require(pith_tokenizer_find_added(t, "<s>", 3) < (int32_t)vocab->n_pieces);
    pith_tokens_release(&ids);
    pith_tokenizer_free(t);
}

/* The smallest model, for tokens to be added to. */
static const unsigned char model[] = {
    0x0A, 0x09, 0x0A, 0x05, '<', 'u', 'n', 'k', '>', 0x18, 0x02, /* piece "<unk>", unknown */
    0x0A, 0x03, 0x0A, 0x01, 'a',                                 /* piece "a" */
    0x12, 0x02, 0x18, 0x02,                                      /* trainer_spec: BPE */
};

/* Another one: a control piece, one of 70 bytes. */
static const unsigned char larger[] =
    "\x0A\x09\x0A\x05<unk>\x18\x02\x0A\x07\x0A\x03<c>\x18\x03\x0A\x48\x0A\x46"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\x12\x02\x18\x02";

/* Lets the text as tokenizer_config.json overrule the normaliser. */
static void apply_config(pith_vocab *vocab, const char *text, size_t n,
                         const test_allocator *memory) {
    char *copy;
    pith_json root;
    bool changed = false;
    pith_vocab before = *vocab;
    pith_status status =
        pith_json_read_copy(&root, &copy, text, n, PITH_JSON_PYTHON, "c", &memory->allocator, NULL);
    if (status == PITH_OK) {
        status = pith_vocab_apply_bert_config(vocab, root, "c", &changed, NULL);
    }
    bool same = before.lowercase == vocab->lowercase &&
                before.strip_accents == vocab->strip_accents &&
                before.split_cjk == vocab->split_cjk;
    fuzz_require(same == !changed && (status == PITH_OK || same));
    pith_release(&memory->allocator, copy);
}

typedef struct companion {
    char *bytes; /* NULL: there is none */
    size_t n;
} companion;

/* Adds the tokens of the two files beside a tokenizer.json. */
static void add_missing(pith_vocab_file *file, const companion *config, const companion *added,
                        const test_allocator *memory) {
    const companion *texts[] = {config, added};
    pith_json roots[2] = {{NULL}, {NULL}};
    char *copies[2] = {NULL, NULL};
    pith_status status = PITH_OK;
    for (size_t i = 0; i < 2 && status == PITH_OK; i++) {
        if (texts[i]->bytes != NULL) {
            status = pith_json_read_copy(&roots[i], &copies[i], texts[i]->bytes, texts[i]->n,
                                         PITH_JSON_PYTHON, "c", &memory->allocator, NULL);
        }
    }
    if (status == PITH_OK) {
        pith_error error = {0};
        size_t before = file->vocab.n_pieces;
        status = pith_vocab_add_missing_tokens(file, roots[0], roots[1], "c", &error);
        fuzz_require(
            file->vocab.n_pieces >= before &&
            (status == PITH_OK || (error.message[0] != '\0' && file->vocab.n_pieces == before)));
    }
    for (size_t i = 0; i < 2; i++) {
        pith_release(&memory->allocator, copies[i]);
    }
}

/* The text as tokenizer.json, with what is beside it. */
static void read_vocab(const char *text, size_t n, const companion *config, const companion *added,
                       const sample *usable, const test_allocator *memory) {
    pith_vocab_file file;
    pith_error error = {0};
    pith_status status = test_vocab_from_json(&file, text, n, "t", &memory->allocator, &error);
    if (status != PITH_OK) {
        fuzz_require(error.status == status && error.message[0] != '\0');
        return;
    }
    use(&file.vocab, usable, memory);
    if (config->bytes != NULL) {
        add_missing(&file, config, added, memory);
        if (file.vocab.kind == PITH_TOKENIZER_WORDPIECE) {
            apply_config(&file.vocab, config->bytes, config->n, memory);
        }
        use(&file.vocab, usable, memory);
    }
    pith_vocab_file_free(&file);
}

/* The text as tokenizer_config.json or added_tokens.json. */
static void add_tokens(const char *text, size_t n, bool as_config, const sample *usable,
                       test_allocator *memory) {
    pith_vocab_file file;
    pith_error error;
    bool large = fuzz_hash((const uint8_t *)text, n) % 4 == 0;
    if (pith_vocab_from_sentencepiece(&file, large ? larger : model,
                                      large ? sizeof larger - 1 : sizeof model, "m",
                                      &memory->allocator, &error) != PITH_OK) {
        fuzz_require(fuzz_allocation_failed(memory));
        return;
    }
    if (test_vocab_add_tokens(&file, as_config ? text : NULL, n, as_config ? NULL : text, n, "a",
                              &error) == PITH_OK) {
        use(&file.vocab, usable, memory);
    }
    pith_vocab_file_free(&file);
}

/* The text as tokenizer_config.json or special_tokens_map.json beside a vocab.txt. */
static void read_beside_vocab_txt(const char *text, size_t n, bool as_config, const sample *usable,
                                  const test_allocator *memory) {
    static const char lines[] = "[UNK]\n[CLS]\n[SEP]\na\n##b\n";
    pith_vocab_file file;
    pith_error error;
    if (test_vocab_from_wordpiece(&file, lines, sizeof lines - 1, "v", as_config ? text : NULL, n,
                                  as_config ? NULL : text, n, &memory->allocator,
                                  &error) == PITH_OK) {
        (void)test_vocab_add_tokens(&file, as_config ? text : NULL, n, as_config ? NULL : text, n,
                                    "a", &error);
        use(&file.vocab, usable, memory);
        pith_vocab_file_free(&file);
    }
    pith_vocab vocab = {.clean_text = true, .lowercase = true};
    apply_config(&vocab, text, n, memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    fuzz_input in = {data, size};
    size_t n;
    char *text = fuzz_text(&in, &n);
    companion config;
    companion added;
    companion given;
    config.bytes = fuzz_text(&in, &config.n);
    added.bytes = fuzz_text(&in, &added.n);
    given.bytes = fuzz_text(&in, &given.n);
    const sample usable = {given.bytes != NULL ? given.bytes : usual,
                           given.bytes != NULL ? given.n : sizeof usual - 1};
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    if (text != NULL) {
        read_vocab(text, n, &config, &added, &usable, &memory);
        for (int as_config = 0; as_config < 2; as_config++) {
            fuzz_allocator_arm(&memory, data, size);
            add_tokens(text, n, as_config != 0, &usable, &memory);
            fuzz_allocator_arm(&memory, data, size);
            read_beside_vocab_txt(text, n, as_config != 0, &usable, &memory);
        }
    }
    fuzz_require(memory.n_live == 0);
    free(given.bytes);
    free(added.bytes);
    free(config.bytes);
    free(text);
    return 0;
}
