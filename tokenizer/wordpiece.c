/* WordPiece (Schuster and Nakajima 2012; Devlin et al. 2019): normalised text is split at white
 * space and punctuation, and each word is taken apart into the longest piece it begins with, then
 * the longest "##" piece that goes on from there, and so on. A word that cannot be taken apart so
 * is one unknown token.
 *
 * The pieces are a tree of bytes, laid out level by level, so one walk down the tree finds the
 * longest piece. A walk is no longer than a word may be, which makes the time linear. */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <stdlib.h>

enum { CONTINUES = 1 }; /* second of the two roots */

typedef enum character_kind { IN_WORD, SPACE, PUNCTUATION } character_kind;

/* ---- The tree -------------------------------------------------------------------------------- */

/* A piece that words can be made of. */
typedef struct entry {
    const unsigned char *text;
    uint32_t n_bytes;
    int32_t id;
    uint32_t node; /* where its bytes lead, as far as the tree goes */
} entry;

static int compare_entries(const void *left, const void *right) {
    const entry *a = left;
    const entry *b = right;
    int order = memcmp(a->text, b->text, a->n_bytes < b->n_bytes ? a->n_bytes : b->n_bytes);
    if (order == 0 && a->n_bytes != b->n_bytes) {
        order = a->n_bytes < b->n_bytes ? -1 : 1;
    }
    return order != 0 ? order : (a->id > b->id) - (a->id < b->id);
}

/* Those that are not longer than any word and "##" in front. */
static size_t collect_entries(const pith_vocab *v, entry *entries) {
    size_t n = 0;
    size_t longest = 4 * v->max_word_chars + 2;
    for (size_t id = 0; id < v->n_pieces; id++) {
        uint32_t n_bytes = v->offsets[id + 1] - v->offsets[id];
        if (n_bytes > 0 && n_bytes <= longest && (v->added[id] & PITH_ADDED_BEYOND) == 0) {
            entries[n++] = (entry){.text = (const unsigned char *)v->bytes + v->offsets[id],
                                   .n_bytes = n_bytes,
                                   .id = (int32_t)id};
        }
    }
    qsort(entries, n, sizeof *entries, compare_entries);
    return n;
}

/* One node for every byte that an entry does not share with the one before it. */
static size_t count_nodes(const entry *entries, size_t n) {
    size_t n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        size_t shared = 0;
        while (i > 0 && shared < entries[i - 1].n_bytes && shared < entries[i].n_bytes &&
               entries[i - 1].text[shared] == entries[i].text[shared]) {
            shared++;
        }
        n_nodes += entries[i].n_bytes - shared;
    }
    return n_nodes;
}

/* Adds the nodes of one level behind the `n_nodes` there are; entries that end in it are taken out
 * of the list. Returns the new number of nodes. */
static size_t add_level(pith_trie *trie, entry *entries, size_t *n, uint32_t depth,
                        size_t n_nodes) {
    size_t added = n_nodes;
    size_t n_left = 0;
    uint32_t parent = UINT32_MAX;
    for (size_t i = 0; i < *n; i++) {
        entry e = entries[i];
        uint8_t byte = e.text[depth];
        if (e.node != parent || trie->bytes[added - 1] != byte) {
            if (e.node != parent) {
                trie->nodes[e.node].first = (uint32_t)added;
            }
            parent = e.node;
            trie->nodes[added] = (pith_trie_node){.first = UINT32_MAX, .id = -1};
            trie->bytes[added++] = byte;
        }
        e.node = (uint32_t)added - 1;
        if (e.n_bytes == depth + 1) {
            trie->nodes[e.node].id = e.id; /* of equal ones the last, as in a dictionary */
        } else {
            entries[n_left++] = e;
        }
    }
    *n = n_left;
    return added;
}

static void fill_nodes(pith_trie *trie, entry *entries, size_t n) {
    trie->nodes[0] = (pith_trie_node){.first = UINT32_MAX, .id = -1};
    trie->bytes[0] = 0;
    size_t n_nodes = 1;
    for (uint32_t depth = 0; n > 0; depth++) {
        n_nodes = add_level(trie, entries, &n, depth, n_nodes);
    }
    trie->nodes[n_nodes] = (pith_trie_node){.first = (uint32_t)n_nodes, .id = -1};
    for (size_t i = n_nodes; i-- > 0;) {
        if (trie->nodes[i].first == UINT32_MAX) { /* no children */
            trie->nodes[i].first = trie->nodes[i + 1].first;
        }
    }
}

/* The child by that byte, or 0. */
static inline uint32_t child_of(const pith_trie *trie, uint32_t node, uint8_t byte) {
    uint32_t low = trie->nodes[node].first;
    uint32_t end = trie->nodes[node + 1].first;
    uint32_t high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (trie->bytes[middle] < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < end && trie->bytes[low] == byte ? low : 0;
}

static void fill_roots(pith_trie *trie) {
    uint32_t hash = child_of(trie, 0, '#');
    uint32_t after = hash != 0 ? child_of(trie, hash, '#') : 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        trie->roots[0][byte] = child_of(trie, 0, (uint8_t)byte);
        trie->roots[CONTINUES][byte] = after != 0 ? child_of(trie, after, (uint8_t)byte) : 0;
    }
}

static character_kind kind_of(uint32_t code) {
    if (pith_unicode_is_space(code)) {
        return SPACE;
    }
    return pith_bert_class_of(code) == PITH_BERT_PUNCTUATION ? PUNCTUATION : IN_WORD;
}

pith_status pith_trie_build(pith_trie *out, const pith_vocab *vocab,
                            const pith_allocator *allocator, pith_error *error) {
    pith_trie trie = {0};
    entry *entries = pith_allocate(allocator, vocab->n_pieces, sizeof *entries);
    size_t n = entries != NULL ? collect_entries(vocab, entries) : 0;
    size_t n_nodes = entries != NULL ? count_nodes(entries, n) : 0;
    trie.nodes = pith_allocate(allocator, n_nodes + 1, sizeof *trie.nodes);
    trie.bytes = pith_allocate(allocator, n_nodes + 1, sizeof *trie.bytes);
    bool done = entries != NULL && trie.nodes != NULL && trie.bytes != NULL;
    if (done) {
        fill_nodes(&trie, entries, n);
        fill_roots(&trie);
        for (unsigned c = 0; c < 128; c++) {
            trie.characters[c] = (uint8_t)kind_of(c);
        }
        *out = trie;
    } else {
        pith_trie_release(&trie, allocator);
    }
    pith_release(allocator, entries);
    return done ? PITH_OK
                : pith_fail(error, PITH_ERROR_MEMORY, "no memory for a tree of %zu pieces",
                            vocab->n_pieces);
}

void pith_trie_release(pith_trie *trie, const pith_allocator *allocator) {
    pith_release(allocator, trie->nodes);
    pith_release(allocator, trie->bytes);
    trie->nodes = NULL;
    trie->bytes = NULL;
}

/* ---- Words ----------------------------------------------------------------------------------- */

/* The longest piece that text [n > 0] begins with, its length in *used; or -1. */
static int32_t longest_piece(const pith_trie *trie, size_t root, const unsigned char *text,
                             size_t n, size_t *used) {
    int32_t best = -1;
    size_t i = 1;
    for (uint32_t node = trie->roots[root][text[0]]; node != 0;
         node = child_of(trie, node, text[i++])) {
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
