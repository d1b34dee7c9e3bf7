/* The checks that make a vocabulary from any source safe to encode and decode with. */
#include "tokenizer/vocab.h"

#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

enum {
    ADDED_FLAGS = PITH_ADDED_LSTRIP | PITH_ADDED_RSTRIP | PITH_ADDED_SINGLE_WORD |
                  PITH_ADDED_SPECIAL | PITH_ADDED_NORMALIZED,
    BYTE_SPELLING = 6, /* "<0x0A>" */
};

static bool merges_by_rank(pith_tokenizer_kind kind) {
    return kind == PITH_TOKENIZER_LLAMA_BPE || kind == PITH_TOKENIZER_BYTE_BPE;
}

/* Counts, and the arrays that must be there. */
static pith_status check_shape(const pith_vocab *vocab, const char *where, pith_error *error) {
    if ((unsigned)vocab->kind > PITH_TOKENIZER_UNIGRAM) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tokenizer kind %d is not known", where,
                         (int)vocab->kind);
    }
    if (vocab->n_pieces == 0 || vocab->n_pieces > PITH_VOCAB_MAX_PIECES) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu pieces, not 1 to %d", where,
                         vocab->n_pieces, PITH_VOCAB_MAX_PIECES);
    }
    if (vocab->n_bytes > PITH_VOCAB_MAX_BYTES) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes of spellings, more than %d",
                         where, vocab->n_bytes, PITH_VOCAB_MAX_BYTES);
    }
    if (vocab->n_merges > PITH_VOCAB_MAX_MERGES) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu merges, more than %d", where,
                         vocab->n_merges, PITH_VOCAB_MAX_MERGES);
    }
    if (vocab->n_merges != 0 && !merges_by_rank(vocab->kind)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: this kind of tokenizer has no merges",
                         where);
    }
    bool scored = (vocab->kind != PITH_TOKENIZER_SENTENCEPIECE || vocab->scores != NULL) &&
                  (vocab->kind != PITH_TOKENIZER_UNIGRAM || vocab->log_probabilities != NULL);
    if (vocab->bytes == NULL || vocab->offsets == NULL || vocab->types == NULL ||
        vocab->added == NULL || !scored || (vocab->n_merges != 0 && vocab->merges == NULL)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: an array of the vocabulary is missing",
                         where);
    }
    return PITH_OK;
}

static pith_status check_offsets(const pith_vocab *vocab, const char *where, pith_error *error) {
    if (vocab->offsets[0] != 0 || vocab->offsets[vocab->n_pieces] != vocab->n_bytes) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: spellings cover bytes %u to %u, not 0 to %zu", where,
                         vocab->offsets[0], vocab->offsets[vocab->n_pieces], vocab->n_bytes);
    }
    for (size_t i = 0; i < vocab->n_pieces; i++) {
        if (vocab->offsets[i + 1] < vocab->offsets[i]) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu ends before it begins", where,
                             i);
        }
    }
    return PITH_OK;
}

static bool is_byte_spelling(const char *text, size_t n) {
    static const char digits[] = "0123456789ABCDEF";
    return n == BYTE_SPELLING && memcmp(text, "<0x", 3) == 0 && text[5] == '>' &&
           memchr(digits, text[3], 16) != NULL && memchr(digits, text[4], 16) != NULL;
}

static pith_status check_piece(const pith_vocab *vocab, size_t i, const char *where,
                               pith_error *error) {
    const char *text = vocab->bytes + vocab->offsets[i];
    size_t n = vocab->offsets[i + 1] - vocab->offsets[i];
    uint8_t type = vocab->types[i];
    bool bytewise = vocab->kind == PITH_TOKENIZER_BYTE_BPE;
    bool looked_for = type == PITH_PIECE_USER_DEFINED || type == PITH_PIECE_CONTROL ||
                      (vocab->added[i] & PITH_ADDED_SPECIAL) != 0;
    if (type < PITH_PIECE_NORMAL || type > PITH_PIECE_BYTE) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu: type %u is not known", where, i,
                         type);
    }
    int known = pith_vocab_marks_beyond(vocab) ? ADDED_FLAGS | PITH_ADDED_BEYOND : ADDED_FLAGS;
    if ((vocab->added[i] & ~known) != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu: added-token flags %u", where, i,
                         vocab->added[i]);
    }
    if (n == 0 && (type != PITH_PIECE_UNUSED || looked_for)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu is empty", where, i);
    }
    if (type == PITH_PIECE_BYTE && (bytewise || !is_byte_spelling(text, n))) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu is not a byte like <0x0A>", where,
                         i);
    }
    if (looked_for && n > PITH_VOCAB_MAX_ADDED_BYTES) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: piece %zu: an added token of %zu bytes, more than %d", where, i, n,
                         PITH_VOCAB_MAX_ADDED_BYTES);
    }
    if ((looked_for || !bytewise) && pith_utf8_check(text, n) != n) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu is not UTF-8", where, i);
    }
    double score = vocab->kind == PITH_TOKENIZER_SENTENCEPIECE ? vocab->scores[i]
                   : vocab->kind == PITH_TOKENIZER_UNIGRAM     ? vocab->log_probabilities[i]
                                                               : 0;
    if (!(fabs(score) <= FLT_MAX)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu: its score is not finite", where,
                         i);
    }
    if (vocab->kind == PITH_TOKENIZER_UNIGRAM && n > PITH_VOCAB_MAX_UNIGRAM_BYTES) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: piece %zu has %zu bytes, more than %d",
                         where, i, n, PITH_VOCAB_MAX_UNIGRAM_BYTES);
    }
    return PITH_OK;
}

static pith_status check_merge(const pith_vocab *vocab, size_t rank, const char *where,
                               pith_error *error) {
    const uint32_t *merge = vocab->merges + 3 * rank;
    const char *text[3];
    size_t n[3];
    for (size_t k = 0; k < 3; k++) {
        if (merge[k] >= vocab->n_pieces) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: merge %zu: id %u of %zu pieces", where,
                             rank, merge[k], vocab->n_pieces);
        }
        text[k] = vocab->bytes + vocab->offsets[merge[k]];
        n[k] = vocab->offsets[merge[k] + 1] - vocab->offsets[merge[k]];
    }
    if (n[2] != n[0] + n[1] || memcmp(text[2], text[0], n[0]) != 0 ||
        memcmp(text[2] + n[0], text[1], n[1]) != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: merge %zu: piece %u is not piece %u followed by piece %u", where,
                         rank, merge[2], merge[0], merge[1]);
    }
    return PITH_OK;
}

static bool check_around(const int32_t *ids, size_t n, size_t n_pieces) {
    bool good = n <= PITH_VOCAB_MAX_AROUND;
    for (size_t i = 0; good && i < n; i++) {
        good = ids[i] >= 0 && (size_t)ids[i] < n_pieces;
    }
    return good;
}

static pith_status check_settings(const pith_vocab *vocab, const char *where, pith_error *error) {
    const int32_t ids[] = {vocab->bos, vocab->eos, vocab->unk};
    static const char *const names[] = {"bos", "eos", "unk"};
    for (size_t i = 0; i < 3; i++) {
        if (ids[i] < -1 || (ids[i] >= 0 && (size_t)ids[i] >= vocab->n_pieces)) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s is %d of %zu pieces", where,
                             names[i], ids[i], vocab->n_pieces);
        }
    }
    if (!check_around(vocab->after_bos, vocab->n_after_bos, vocab->n_pieces) ||
        !check_around(vocab->before_eos, vocab->n_before_eos, vocab->n_pieces)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: a token around texts is none of the %zu pieces, or there are more "
                         "than %d on a side",
                         where, vocab->n_pieces, PITH_VOCAB_MAX_AROUND);
    }
    if (vocab->kind == PITH_TOKENIZER_WORDPIECE) {
        if (vocab->bos < 0 || vocab->eos < 0 || vocab->unk < 0) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: WordPiece needs [CLS], [SEP] and [UNK], they are %d, %d and %d",
                             where, vocab->bos, vocab->eos, vocab->unk);
        }
        if (vocab->max_word_chars == 0 || vocab->max_word_chars > PITH_VOCAB_MAX_WORD_CHARS) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: words of at most %zu characters, not 1 to %d", where,
                             vocab->max_word_chars, PITH_VOCAB_MAX_WORD_CHARS);
        }
    }
    if (vocab->pair_form > PITH_PAIR_JOINED) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: pair form %zu is not known", where,
                         vocab->pair_form);
    }
    pith_status status = pith_vocab_check_steps(vocab, where, error);
    if (status != PITH_OK || vocab->pattern == NULL) {
        return status;
    }
    if (vocab->kind != PITH_TOKENIZER_BYTE_BPE) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: only byte-level BPE has a split pattern",
                         where);
    }
    size_t n = strnlen(vocab->pattern, PITH_VOCAB_MAX_PATTERN + 1);
    if (n > PITH_VOCAB_MAX_PATTERN) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the split pattern has over %d bytes", where,
                         PITH_VOCAB_MAX_PATTERN);
    }
    if (pith_utf8_check(vocab->pattern, n) != n) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the split pattern is not UTF-8", where);
    }
    return PITH_OK;
}

pith_status pith_vocab_check(const pith_vocab *vocab, const char *where, pith_error *error) {
    pith_status status = check_shape(vocab, where, error);
    if (status == PITH_OK) {
        status = check_offsets(vocab, where, error);
    }
    for (size_t i = 0; status == PITH_OK && i < vocab->n_pieces; i++) {
        status = check_piece(vocab, i, where, error);
    }
    for (size_t rank = 0; status == PITH_OK && rank < vocab->n_merges; rank++) {
        status = check_merge(vocab, rank, where, error);
    }
    return status == PITH_OK ? check_settings(vocab, where, error) : status;
}

void pith_vocab_file_free(pith_vocab_file *file) {
    for (size_t i = 0; i < sizeof file->blocks / sizeof file->blocks[0]; i++) {
        if (file->blocks[i] != NULL) {
            pith_release(file->allocator, file->blocks[i]);
        }
    }
    memset(file, 0, sizeof *file);
}

bool pith_vocab_keep_block(pith_vocab_file *file, void *block) {
    size_t i = 0;
    while (file->blocks[i] != NULL) {
        i++;
        assert(i < sizeof file->blocks / sizeof file->blocks[0]);
    }
    file->blocks[i] = block;
    return block != NULL;
}
