/* Text through every kind of tokenizer: the first byte chooses the tokenizer, the second the flags.
 * Invalid UTF-8 must be refused, ids must exist, and where nothing is normalised away the text must
 * come back. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

/* Added tokens with every flag, over byte-level BPE with form C. */
static const char flags_json[] =
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":"
    "[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
    "\"use_regex\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":["
    "{\"id\":3,\"content\":\"<l>\",\"lstrip\":true},{\"id\":4,\"content\":\"<r>\",\"rstrip\":true},"
    "{\"id\":5,\"content\":\"aa\",\"single_word\":true},{\"id\":6,\"content\":\"\\u00e9\","
    "\"normalized\":true},{\"id\":7,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":8,\"content\":\"<l><r>\"}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"ab\":2},\"merges\":[\"a b\"]}}";

enum { N_TOKENIZERS = 8 };

static test_allocator memory;

static test_tokenizer *open_all(void) {
    static test_tokenizer all[N_TOKENIZERS];
    if (all[0].tokenizer == NULL) {
        test_tokenizer_open(&all[0], "golden/llama-gqa/tokenizer.model");
        test_tokenizer_open(&all[1], "golden/llama-tied/tokenizer.json");
        test_tokenizer_open(&all[2], "golden/llama-gqa/tokenizer.json");
        test_tokenizer_open(&all[3], "golden/llama3/tokenizer.json");
        test_tokenizer_open_json(&all[4], flags_json);
        test_tokenizer_open(&all[5], "golden/tokenizers/unigram/tokenizer.json");
        test_tokenizer_open(&all[6], "golden/tokenizers/unigram/tokenizer.model");
        test_tokenizer_open_fairseq(&all[7], "golden/tokenizers/unigram/tokenizer.model");
        test_allocator_init(&memory);
        for (size_t i = 0; i < N_TOKENIZERS; i++) {
            fuzz_tokenizer_rebuild(&all[i], &memory);
        }
    }
    return all;
}

/* Text with U+2581 as a space, as vocabularies that escape spaces give it back. */
static size_t unescape(const char *text, size_t n, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        if (n - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0) {
            out[size++] = ' ';
            i += 2;
        } else {
            out[size++] = text[i];
        }
    }
    return size;
}

static void check_round_trip(const pith_tokenizer *t, const char *text, size_t n,
                             const pith_tokens *ids) {
    size_t n_back;
    char *back = test_decode(t, ids->ids, ids->n, true, &n_back);
    char *expected = malloc(n + 1);
    size_t n_expected =
        pith_tokenizer_vocab(t)->escape_whitespaces ? unescape(text, n, expected) : n;
    if (n_expected == n) {
        memcpy(expected, text, n);
    }
    fuzz_require(n_back == n_expected && memcmp(back, expected, n_back) == 0);
    free(expected);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) {
        return 0;
    }
    size_t choice = data[0] % N_TOKENIZERS;
    unsigned flags = data[1] % 4;
    const pith_tokenizer *t = open_all()[choice].tokenizer;
    const pith_vocab *v = pith_tokenizer_vocab(t);
    size_t n = size - 2;
    char *text = malloc(n + 1); /* of its own, so that reading beyond it is seen */
    memcpy(text, data + 2, n);
    text = realloc(text, n > 0 ? n : 1);
    size_t n_live = memory.n_live;
    fuzz_allocator_arm(&memory, data, size);
    pith_tokens ids;
    pith_tokens_init(&ids, &memory.allocator);
    pith_error error;
    pith_status status = pith_encode(t, text, n, flags, &ids, &error);
    bool valid = pith_utf8_check(text, n) == n;
    fuzz_require(status == (valid ? PITH_OK : PITH_ERROR_TEXT) || fuzz_allocation_failed(&memory));
    for (size_t i = 0; i < ids.n; i++) {
        fuzz_require(ids.ids[i] >= 0 && (size_t)ids.ids[i] < v->n_pieces);
    }
    bool exact = choice == 0 || choice == 1 ? flags == 0 : choice == 3;
    if (status == PITH_OK && exact) {
        check_round_trip(t, text, n, &ids);
    }
    pith_tokens_release(&ids);
    fuzz_require(memory.n_live == n_live);
    free(text);
    return 0;
}
