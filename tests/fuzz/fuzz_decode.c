/* Arbitrary ids to text: the first byte chooses the tokenizer and whether special tokens show, each
 * further pair of bytes is an id. Every piece of text must be whole characters and fit in
 * pith_decode_max; for byte-level BPE the whole must be the pieces' bytes with broken ones
 * replaced. */
#include "base/utf8.h"
#include "tests/support.h"
#include "tests/tokens.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every step of a decoder, and marks at the beginning. */
static const char steps[] =
    "{\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{"
    "\"String\":"
    "\"\\u2581\"},\"content\":\" "
    "\"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\","
    "\"content\":\" \",\"start\":1,\"stop\":0}]},\"added_tokens\":[{\"id\":6,\"content\":\"<s>\","
    "\"special\":true},{\"id\":7,\"content\":\"<x>\"}],\"model\":{\"type\":\"Unigram\",\"unk_id\":"
    "0,"
    "\"vocab\":[[\"<unk>\",0],[\"a\",-1],[\"\\u2581\",-2],[\"\\u2581a\",-3],[\"b\\u2581\",-4],"
    "[\"\\u2581\\u2581\",-5]]}}";
static const char words[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[CLS]\",\"special\":true},{\"id\":2,\"content\":"
    "\"[SEP]\",\"special\":true}],\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{"
    "\"type\":"
    "\"BertPreTokenizer\"},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":true},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##"
    "\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,"
    "\"##b\":4,\".\":5,\"'\":6,\"##s\":7,\"##\":8,\"n\":9,\"t\":10}}}";

enum { N_TOKENIZERS = 5 };

static test_tokenizer *open_all(void) {
    static test_tokenizer all[N_TOKENIZERS];
    if (all[0].tokenizer == NULL) {
        test_tokenizer_open(&all[0], "golden/llama-gqa/tokenizer.model");
        test_tokenizer_open(&all[1], "golden/llama-gqa/tokenizer.json");
        test_tokenizer_open(&all[2], "golden/llama3/tokenizer.json");
        test_tokenizer_open_json(&all[3], steps);
        test_tokenizer_open_json(&all[4], words);
    }
    return all;
}

/* Replaces each byte that is not part of a valid character, in one pass over the whole. */
static size_t replace_broken(const char *bytes, size_t n, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        size_t valid = pith_utf8_check(bytes + i, n - i);
        memcpy(out + size, bytes + i, valid);
        size += valid;
        i += valid;
        if (i < n) {
            memcpy(out + size, "\xEF\xBF\xBD", 3);
            size += 3;
            i++;
        }
    }
    return size;
}

static void check_bytes(const pith_tokenizer *t, const int32_t *ids, size_t n, bool show_special,
                        const char *text, size_t n_text) {
    size_t room = n * pith_decode_max(t) + 1;
    char *bytes = malloc(room);
    char *expected = malloc(3 * room);
    size_t n_bytes = 0;
    const pith_vocab *v = pith_tokenizer_vocab(t);
    for (size_t i = 0; i < n; i++) {
        const char *piece;
        size_t n_piece;
        if (pith_tokenizer_piece(t, ids[i], &piece, &n_piece) &&
            (show_special || v->types[ids[i]] != PITH_PIECE_CONTROL)) {
            memcpy(bytes + n_bytes, piece, n_piece);
            n_bytes += n_piece;
        }
    }
    size_t n_expected = replace_broken(bytes, n_bytes, expected);
    if (n_expected != n_text || memcmp(expected, text, n_text) != 0) {
        abort();
    }
    free(expected);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { MAX_IDS = 4096 };
    if (size < 1) {
        return 0;
    }
    size_t choice = data[0] / 2 % N_TOKENIZERS;
    bool show_special = data[0] % 2 != 0;
    const pith_tokenizer *t = open_all()[choice].tokenizer;
    size_t n = (size - 1) / 2 < MAX_IDS ? (size - 1) / 2 : MAX_IDS;
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    size_t max = pith_decode_max(t);
    char *out = malloc(max);
    char *all = malloc((n + 1) * max);
    size_t n_all = 0;
    pith_decode_state state;
    pith_decode_begin(&state, show_special);
    for (size_t i = 0; i <= n; i++) {
        size_t written;
        if (i < n) {
            ids[i] = (int16_t)(data[1 + 2 * i] | data[2 + 2 * i] << 8);
            written = pith_decode_push(t, &state, ids[i], out);
        } else {
            written = pith_decode_finish(t, &state, out);
        }
        if (written > max || pith_utf8_check(out, written) != written) {
            abort();
        }
        memcpy(all + n_all, out, written);
        n_all += written;
    }
    if (choice == 2) {
        check_bytes(t, ids, n, show_special, all, n_all);
    }
    free(all);
    free(out);
    free(ids);
    return 0;
}
