/* Unigram vocabularies of GGUF files ("t5"): those of XLM-R and its relatives. The file has the
 * tokens in the model's own numbers, their scores, SentencePiece's map of characters, and two of
 * SentencePiece's settings. */
#include "convert/gguf_tokenizer.h"

#include <string.h>

static const char charsmap_key[] = "tokenizer.ggml.precompiled_charsmap";

/* Converters have written the bytes as either type. */
static pith_status read_charsmap(pith_vocab_file *out, const pith_gguf_vocab *vocab) {
    pith_gguf_value map = {.count = 0};
    bool bytes = pith_gguf_find(vocab->gguf, charsmap_key, &map) && map.is_array &&
                 (map.type == PITH_GGUF_U8 || map.type == PITH_GGUF_I8);
    pith_status status =
        bytes ? PITH_OK
              : pith_gguf_array(vocab->gguf, charsmap_key, PITH_GGUF_U8, &map, vocab->error);
    if (status != PITH_OK || map.count == 0) {
        return status;
    }
    if (map.count > PITH_VOCAB_MAX_CHARSMAP) {
        return pith_fail(vocab->error, PITH_ERROR_FORMAT,
                         "%s: key %s has %zu bytes, the limit is %d", pith_gguf_name(vocab->gguf),
                         charsmap_key, map.count, PITH_VOCAB_MAX_CHARSMAP);
    }
    uint8_t *copy = pith_allocate(vocab->allocator, map.count, 1);
    if (!pith_vocab_keep_block(out, copy)) {
        return pith_gguf_vocab_no_memory(vocab);
    }
    memcpy(copy, map.data, map.count);
    out->vocab.charsmap = copy;
    out->vocab.n_charsmap = map.count;
    return PITH_OK;
}

static pith_status read_log_probabilities(pith_vocab_file *out, const pith_gguf_vocab *vocab) {
    size_t n = out->vocab.n_pieces;
    double *numbers = pith_allocate(vocab->allocator, n, sizeof *numbers);
    if (!pith_vocab_keep_block(out, numbers)) {
        return pith_gguf_vocab_no_memory(vocab);
    }
    for (size_t i = 0; i < n; i++) {
        numbers[i] = out->vocab.scores[i];
    }
    out->vocab.log_probabilities = numbers;
    out->vocab.scores = NULL;
    return PITH_OK;
}

pith_status pith_gguf_make_unigram(pith_vocab_file *out, const pith_gguf_vocab *vocab) {
    bool squeeze = out->vocab.remove_extra_whitespaces;
    if (!out->vocab.add_dummy_prefix) {
        return pith_fail(vocab->error, PITH_ERROR_UNSUPPORTED,
                         "%s: key tokenizer.ggml.add_space_prefix false with a tokenizer of kind "
                         "t5 is not supported",
                         pith_gguf_name(vocab->gguf));
    }
    pith_status status = read_log_probabilities(out, vocab);
    if (status == PITH_OK) {
        status = read_charsmap(out, vocab);
    }
    if (status != PITH_OK) {
        return status;
    }
    out->vocab.kind = PITH_TOKENIZER_UNIGRAM;
    out->vocab.fuse_unk = false;
    pith_vocab_frame_xlm_roberta(&out->vocab, squeeze);
    return PITH_OK;
}
