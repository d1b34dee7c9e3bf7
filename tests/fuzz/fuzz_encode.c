/* Text through every kind of tokenizer: the first byte chooses the tokenizer, the second the flags,
 * and those of a decoder's prompt. Invalid UTF-8 must be refused, ids must exist, and where nothing
 * is normalised away the text must come back; around a prompt stands what the flags ask for. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

/* Added tokens with every flag, over byte-level BPE with form C; two stand in front of a text and
 * two behind it. */
static const char flags_json[] =
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":"
    "[{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\p{L}+|\\\\s+(?!\\\\S)|\\\\s+\"},"
    "\"behavior\":\"Isolated\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
    "\"use_regex\":false}]},\"decoder\":{\"type\":\"ByteLevel\"},\"added_tokens\":["
    "{\"id\":3,\"content\":\"<l>\",\"lstrip\":true},{\"id\":4,\"content\":\"<r>\",\"rstrip\":true},"
    "{\"id\":5,\"content\":\"aa\",\"single_word\":true},{\"id\":6,\"content\":\"\\u00e9\","
    "\"normalized\":true},{\"id\":7,\"content\":\"<s>\",\"special\":true},"
    "{\"id\":8,\"content\":\"<l><r>\"}],\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"ab\":2},\"merges\":[\"a b\"]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
    "{\"SpecialToken\":{\"id\":\"<s>\"}},{\"SpecialToken\":{\"id\":\"<l>\"}},"
    "{\"Sequence\":{\"id\":\"A\"}},{\"SpecialToken\":{\"id\":\"<r>\"}},"
    "{\"SpecialToken\":{\"id\":\"<s>\"}}],\"pair\":[],\"special_tokens\":{"
    "\"<s>\":{\"ids\":[7]},\"<l>\":{\"ids\":[3]},\"<r>\":{\"ids\":[4]}}}}";

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

/* The prompt of a text of these ids, appended to a list that has others already. */
static void check_prompt(const pith_tokenizer *t, pith_text text, unsigned flags, size_t n_others,
                         const pith_tokens *ids, const test_allocator *from) {
    const pith_vocab *v = pith_tokenizer_vocab(t);
    bool automatic = (flags & PITH_TOKENIZE_AUTO) != 0;
    bool begins = automatic && v->add_bos;
    bool has_bos = v->bos >= 0 && (begins || (flags & PITH_TOKENIZE_BOS) != 0);
    size_t n_front = has_bos ? 1 + (begins ? v->n_after_bos : 0) : 0;
    size_t n_back = automatic && v->add_eos && v->eos >= 0 ? v->n_before_eos + 1 : 0;
    pith_tokens all;
    pith_error error = {0};
    pith_tokens_init(&all, &from->allocator);
    while (all.n < n_others && pith_tokens_push(&all, -1)) {
    }
    n_others = all.n;
    pith_status status = pith_encode_for_decoder(t, text, flags, v->bos, &all, &error);
    if (status == PITH_OK) {
        fuzz_require(all.n == n_others + n_front + ids->n + n_back);
        fuzz_require(ids->n == 0 || memcmp(all.ids + n_others + n_front, ids->ids,
                                           ids->n * sizeof *ids->ids) == 0);
        fuzz_require(n_front == 0 || all.ids[n_others] == v->bos);
        fuzz_require(n_back == 0 || all.ids[all.n - 1] == v->eos);
    } else {
        fuzz_require(error.status == status && error.message[0] != '\0' &&
                     fuzz_allocation_failed(from));
    }
    pith_tokens_release(&all);
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
    unsigned prompt = data[1] / 4 % 8;
    bool special = (prompt & PITH_TOKENIZE_SPECIAL) != 0;
    if (status == PITH_OK && flags == (special ? PITH_ENCODE_SPECIAL : 0U)) {
        fuzz_allocator_arm(&memory, data + 1, size - 1); /* another one than above */
        size_t n_others = data[1] >= 128 ? 63 : 0;       /* one more is all there is room for */
        check_prompt(t, (pith_text){text, n}, prompt, n_others, &ids, &memory);
    }
    pith_tokens_release(&ids);
    fuzz_require(memory.n_live == n_live);
    free(text);
    return 0;
}
