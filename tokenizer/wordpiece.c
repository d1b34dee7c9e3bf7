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
