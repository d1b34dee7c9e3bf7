/* WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019): normalised text is split at white
 * space and punctuation, and each word is taken apart into the longest piece it begins with, then
 * the longest "##" piece that goes on from there, and so on. A word that cannot be taken apart so
 * is one unknown token.
 *
 * One walk down the tree of all pieces finds the longest piece. A walk is no longer than a word may
 * be, which makes the time linear. */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

enum { CONTINUES = 1 }; /* second of the two roots */

typedef enum character_kind { IN_WORD, SPACE, PUNCTUATION } character_kind;

static character_kind kind_of(uint32_t code) {
    if (pith_unicode_is_space(code)) {
        return SPACE;
    }
    return pith_bert_class_of(code) == PITH_BERT_PUNCTUATION ? PUNCTUATION : IN_WORD;
}

/* Pieces that are not longer than any word and "##" in front. */
static bool is_wanted(const pith_vocab *v, size_t id, size_t n_bytes) {
    return n_bytes <= 4 * v->max_word_chars + 2 && (v->added[id] & PITH_ADDED_BEYOND) == 0;
}

pith_status pith_wordpiece_build(pith_trie *out, const pith_vocab *vocab,
                                 const pith_allocator *allocator, pith_error *error) {
    pith_status status = pith_trie_build(out, vocab, is_wanted, allocator, error);
    for (unsigned c = 0; status == PITH_OK && c < 128; c++) {
        out->characters[c] = (uint8_t)kind_of(c);
    }
    return status;
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* The longest piece that text [n > 0] begins with, its length in *used; or -1. */
static int32_t longest_piece(const pith_trie *trie, size_t root, const unsigned char *text,
                             size_t n, size_t *used) {
    int32_t best = -1;
    size_t i = 1;
    for (uint32_t node = trie->roots[root][text[0]]; node != 0;
         node = pith_trie_child(trie, node, text[i++])) {
        if (trie->nodes[node].id >= 0) {
            best = trie->nodes[node].id;
            *used = i;
        }
        if (i == n) {
            break;
        }
    }
    return best;
}

/* One word, or one punctuation character; false: out of memory. */
static bool push_word(const pith_tokenizer *t, const char *text, size_t n, size_t n_chars,
                      pith_tokens *out) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t n_before = out->n;
    size_t root = 0;
    size_t from = n_chars <= t->vocab.max_word_chars ? 0 : n + 1;
    while (from < n) {
        size_t used = 0;
        int32_t id = longest_piece(&t->trie, root, bytes + from, n - from, &used);
        if (id < 0) {
            from = n + 1;
        } else if (!pith_tokens_push(out, id)) {
            return false;
        }
        from += used;
        root = CONTINUES;
    }
    if (from == n) {
        return true;
    }
    out->n = n_before;
    return pith_tokens_push(out, t->vocab.unk);
}

pith_status pith_wordpiece_encode(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                  pith_tokens *out, pith_error *error) {
    size_t start = 0;
    size_t n_chars = 0;
    bool done = true;
    for (size_t i = 0; i < n_bytes && done;) {
        size_t length = pith_utf8_length(text[i]);
        character_kind kind =
            length == 1 ? (character_kind)tokenizer->trie.characters[(unsigned char)text[i]]
                        : kind_of(pith_utf8_decode(text + i));
        if (kind == IN_WORD) {
            i += length;
            n_chars++;
            continue;
        }
        if (i > start) {
            done = push_word(tokenizer, text + start, i - start, n_chars, out);
        }
        if (done && kind == PUNCTUATION) {
            done = push_word(tokenizer, text + i, length, 1, out);
        }
        i += length;
        start = i;
        n_chars = 0;
    }
    if (done && n_bytes > start) {
        done = push_word(tokenizer, text + start, n_bytes - start, n_chars, out);
    }
    return done ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
}

/* ---- What an encoder reads ------------------------------------------------------------------- */

/* How many tokens of two texts stay when together they may be `limit`: the shorter one keeps all if
 * it leaves the other at least as much; else each keeps half, and the longer, or of equal ones the
 * second, the odd token. */
static void longest_first(size_t limit, size_t *n_first, size_t *n_second) {
    bool first_longer = *n_first > *n_second;
    size_t *shorter = first_longer ? n_second : n_first;
    size_t *longer = first_longer ? n_first : n_second;
    if (*longer <= limit && *shorter <= limit - *longer) {
        return;
    }
    *shorter = pith_min_size(*shorter, limit / 2);
    *longer = limit - *shorter;
}

/* Cuts two neighbouring stretches of `out` that begin at `begin`. */
static void cut(pith_tokens *out, size_t begin, size_t n_first, size_t n_second, size_t limit,
                pith_encoded *info) {
    size_t keep_first = n_first;
    size_t keep_second = n_second;
    longest_first(limit, &keep_first, &keep_second);
    memmove(out->ids + begin + keep_first, out->ids + begin + n_first,
            keep_second * sizeof *out->ids);
    out->n = begin + keep_first + keep_second;
    info->n_first = keep_first + 2;
    info->truncated = keep_first + keep_second < n_first + n_second;
}

/* [SEP] behind the first text and, of a pair, behind the second. */
static bool push_separators(pith_tokens *out, size_t begin, const pith_encoded *info, bool pair,
                            int32_t sep) {
    size_t at = begin + info->n_first - 2; /* where the first text ends */
    if (!pith_tokens_push(out, sep)) {
        return false;
    }
    if (!pair) {
        return true;
    }
    memmove(out->ids + at + 1, out->ids + at, (out->n - 1 - at) * sizeof *out->ids);
    out->ids[at] = sep;
    return pith_tokens_push(out, sep);
}

pith_status pith_encode_for_encoder(const pith_tokenizer *tokenizer, const char *text,
                                    size_t n_bytes, const char *pair, size_t n_pair_bytes,
                                    size_t max_tokens, pith_tokens *out, pith_encoded *info,
                                    pith_error *error) {
    const pith_vocab *v = &tokenizer->vocab;
    size_t n_special = pair != NULL ? 3 : 2;
    if (v->kind != PITH_TOKENIZER_WORDPIECE) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the vocabulary is not WordPiece");
    }
    if (max_tokens != 0 && max_tokens <= n_special) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "at most %zu tokens, the least is %zu",
                         max_tokens, n_special + 1);
    }
    if (!pith_tokens_push(out, v->bos)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
    }
    size_t begin = out->n;
    size_t limit = max_tokens != 0 ? max_tokens - n_special : SIZE_MAX;
    /* One more tells that there are more; of a pair the lengths count. */
    size_t enough = max_tokens != 0 && pair == NULL ? limit + 1 : SIZE_MAX;
    pith_status status =
        pith_encode_enough(tokenizer, text, n_bytes, PITH_ENCODE_SPECIAL, enough, out, error);
    size_t n_first = out->n - begin;
    if (status == PITH_OK && pair != NULL) {
        status = pith_encode(tokenizer, pair, n_pair_bytes, PITH_ENCODE_SPECIAL, out, error);
        if (status != PITH_OK) {
            return pith_fail_in(error, status, "second text");
        }
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_encoded encoded;
    cut(out, begin, n_first, out->n - begin - n_first, limit, &encoded);
    if (!push_separators(out, begin, &encoded, pair != NULL, v->eos)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
    }
    if (info != NULL) {
        *info = encoded;
    }
    return PITH_OK;
}
