/* Building a tokenizer's tables from a vocabulary, and looking pieces up. */
#include "tokenizer/internal.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

unsigned char pith_byte_value(const pith_vocab *vocab, size_t id) {
    unsigned value = 0;
    for (size_t i = 3; i < 5; i++) { /* the digits of "<0x0A>": '0' is 48, 'A' is 65 */
        unsigned char digit = (unsigned char)vocab->bytes[vocab->offsets[id] + i];
        value = value * 16 + (digit <= '9' ? digit - 48U : digit - 55U);
    }
    return (unsigned char)value;
}

int32_t pith_find_plain(const pith_tokenizer *t, const char *text, size_t n_bytes) {
    int32_t id = pith_piece_table_find(&t->pieces, text, n_bytes);
    bool plain = id >= 0 && (t->vocab.types[id] == PITH_PIECE_NORMAL ||
                             t->vocab.types[id] == PITH_PIECE_UNUSED);
    return plain ? id : -1;
}

static void fill_single_ids(pith_tokenizer *t) {
    for (size_t i = 0; i < 256; i++) {
        char byte = (char)i;
        t->byte_ids[i] =
            t->vocab.kind == PITH_TOKENIZER_BYTE_BPE ? pith_find_plain(t, &byte, 1) : -1;
        if (i < 128) {
            t->ascii_ids[i] = pith_find_plain(t, &byte, 1);
        }
    }
    for (size_t id = 0; id < t->vocab.n_pieces; id++) {
        if (t->vocab.types[id] == PITH_PIECE_BYTE) {
            t->byte_ids[pith_byte_value(&t->vocab, id)] = (int32_t)id;
        }
    }
}

/* U+2581 after something else, inside one spelling. */
static bool spans_word_start(const char *text, size_t n) {
    bool after_mark = true;
    for (size_t i = 0; i < n; i += pith_utf8_length(text[i])) {
        bool mark = pith_at_space_mark(text + i, n - i);
        if (mark && !after_mark) {
            return true;
        }
        after_mark = mark;
    }
    return false;
}

/* True when text can be cut before every U+2581 that follows something else without changing any
 * id: no piece that the encoder can make reaches over such a place, and U+2581 itself is a piece (a
 * run of unknown characters may be one token). */
static bool words_are_apart(const pith_tokenizer *t) {
    const pith_vocab *v = &t->vocab;
    if (v->kind == PITH_TOKENIZER_BYTE_BPE || t->has_unused ||
        pith_find_plain(t, PITH_SPACE_MARK, PITH_SPACE_MARK_BYTES) < 0) {
        return false;
    }
    if (v->kind == PITH_TOKENIZER_SENTENCEPIECE) {
        for (size_t i = 0; i < v->n_pieces; i++) {
            if (v->types[i] == PITH_PIECE_NORMAL &&
                spans_word_start(v->bytes + v->offsets[i], v->offsets[i + 1] - v->offsets[i])) {
                return false;
            }
        }
        return true;
    }
    for (size_t i = 0; i < v->n_merges; i++) {
        uint32_t id = v->merges[3 * i + 2];
        if (spans_word_start(v->bytes + v->offsets[id], v->offsets[id + 1] - v->offsets[id])) {
            return false;
        }
    }
    return true;
}

static bool holds_space(const pith_matcher *matcher) {
    for (size_t i = 0; i < matcher->n; i++) {
        const pith_added_token *token = &matcher->tokens[i];
        for (size_t at = 0; at < token->n_bytes; at++) {
            if (strchr(" \t\n\r", token->text[at]) != NULL) {
                return true;
            }
        }
    }
    return false;
}

static pith_status build(pith_tokenizer *t, pith_error *error) {
    const pith_vocab *v = &t->vocab;
    pith_status status = pith_piece_table_build(&t->pieces, v->bytes, v->offsets, v->types,
                                                v->n_pieces, t->allocator, error);
    if (status == PITH_OK) {
        status = pith_merge_table_build(&t->merges, v->merges, v->n_merges, v->types, t->allocator,
                                        error);
    }
    bool wordpiece = v->kind == PITH_TOKENIZER_WORDPIECE;
    if (status == PITH_OK && wordpiece) {
        status = pith_wordpiece_build(&t->trie, v, t->allocator, error);
    }
    if (status == PITH_OK && v->kind == PITH_TOKENIZER_UNIGRAM) {
        status = pith_unigram_build(t, error);
    }
    if (status == PITH_OK && v->n_normalizer != 0) {
        status = pith_normal_steps_new(&t->normal_steps, v->normalizer, v->n_normalizer,
                                       t->allocator, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (v->n_charsmap != 0) {
        (void)pith_charsmap_open(&t->charsmap, v->charsmap, v->n_charsmap); /* it was checked */
    }
    for (size_t id = 0; id < v->n_pieces && !wordpiece; id++) {
        t->has_unused = t->has_unused || v->types[id] == PITH_PIECE_UNUSED;
    }
    t->words_apart = !wordpiece && v->kind != PITH_TOKENIZER_UNIGRAM && words_are_apart(t);
    fill_single_ids(t);
    status = pith_matcher_build(&t->as_given, t, false, error);
    if (status == PITH_OK) {
        status = pith_matcher_build(&t->normalized, t, true, error);
    }
    if (status == PITH_OK && wordpiece) {
        t->words_apart = !holds_space(&t->as_given) && !holds_space(&t->normalized);
    }
    if (status == PITH_OK && v->pattern != NULL) {
        status = pith_splitter_new(&t->splitter, v->pattern, t->allocator, error);
    }
    if (status == PITH_OK && v->n_steps != 0) {
        status = pith_steps_new(&t->steps, v->steps, v->n_steps, t->allocator, error);
    }
    return status;
}

pith_status pith_tokenizer_new(pith_tokenizer **out, const pith_vocab *vocab,
                               const pith_allocator *allocator, pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    pith_tokenizer *t = pith_allocate_zeroed(allocator, 1, sizeof *t);
    if (t == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a tokenizer");
    }
    t->vocab = *vocab;
    t->allocator = allocator;
    pith_status status = build(t, error);
    if (status != PITH_OK) {
        pith_tokenizer_free(t);
        return status;
    }
    *out = t;
    return PITH_OK;
}

void pith_tokenizer_free(pith_tokenizer *tokenizer) {
    if (tokenizer == NULL) {
        return;
    }
    const pith_allocator *allocator = tokenizer->allocator;
    pith_splitter_free(tokenizer->splitter);
    pith_steps_free(tokenizer->steps, tokenizer->vocab.n_steps, allocator);
    pith_steps_free(tokenizer->normal_steps, tokenizer->vocab.n_normalizer, allocator);
    pith_matcher_release(&tokenizer->as_given, allocator);
    pith_matcher_release(&tokenizer->normalized, allocator);
    pith_release(allocator, tokenizer->pieces.slots);
    pith_release(allocator, tokenizer->merges.slots);
    pith_trie_release(&tokenizer->trie, allocator);
    pith_release(allocator, tokenizer);
}

const pith_vocab *pith_tokenizer_vocab(const pith_tokenizer *tokenizer) {
    return &tokenizer->vocab;
}

int32_t pith_tokenizer_find(const pith_tokenizer *tokenizer, const char *spelling, size_t n_bytes) {
    return pith_piece_table_find(&tokenizer->pieces, spelling, n_bytes);
}

int32_t pith_tokenizer_find_added(const pith_tokenizer *tokenizer, const char *spelling,
                                  size_t n_bytes) {
    const pith_vocab *v = &tokenizer->vocab;
    for (size_t id = 0; id < v->n_pieces; id++) {
        size_t n = v->offsets[id + 1] - v->offsets[id];
        bool added = v->types[id] == PITH_PIECE_CONTROL ||
                     v->types[id] == PITH_PIECE_USER_DEFINED || v->added[id] != 0;
        if (added && n == n_bytes && memcmp(v->bytes + v->offsets[id], spelling, n) == 0) {
            return (int32_t)id;
        }
    }
    return -1;
}

bool pith_tokenizer_piece(const pith_tokenizer *tokenizer, int32_t id, const char **text,
                          size_t *n_bytes) {
    const pith_vocab *v = &tokenizer->vocab;
    if (id < 0 || (size_t)id >= v->n_pieces) {
        return false;
    }
    *text = v->bytes + v->offsets[id];
    *n_bytes = v->offsets[id + 1] - v->offsets[id];
    return true;
}

void pith_tokens_init(pith_tokens *tokens, const pith_allocator *allocator) {
    *tokens = (pith_tokens){.allocator = pith_allocator_or_default(allocator)};
}

void pith_tokens_release(pith_tokens *tokens) {
    if (tokens->ids != NULL) {
        pith_release(tokens->allocator, tokens->ids);
    }
    pith_tokens_init(tokens, tokens->allocator);
}

bool pith_tokens_push(pith_tokens *tokens, int32_t id) {
    if (tokens->n == tokens->capacity) {
        size_t capacity = tokens->capacity == 0 ? 64 : 2 * tokens->capacity;
        int32_t *ids =
            pith_reallocate(tokens->allocator, tokens->ids, capacity, sizeof *tokens->ids);
        if (ids == NULL) {
            return false;
        }
        tokens->ids = ids;
        tokens->capacity = capacity;
    }
    tokens->ids[tokens->n++] = id;
    return true;
}

bool pith_tokens_push_all(pith_tokens *tokens, const int32_t *ids, size_t n) {
    bool good = true;
    for (size_t i = 0; i < n && good; i++) {
        good = pith_tokens_push(tokens, ids[i]);
    }
    return good;
}
