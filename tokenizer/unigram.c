/* The unigram language model (Kudo 2018): of all ways to spell a text by pieces, the one whose log
 * probabilities sum to most, found by Viterbi's algorithm from left to right. paths[i] is the best
 * way that ends at byte i; each place extends it by every piece that the rest of the text begins
 * with. A character that is no piece by itself is the unknown token, ten below the least likely
 * piece; neighbouring ones are one token, or with byte fallback the bytes of all.
 *
 * `single_precision` selects between sentencepiece (unigram_model.cc, EncodeOptimized) and the Rust
 * library (model.rs, encode_optimized), which differ: sentencepiece rounds sums to float, lets
 * pieces that the user defined go before all others, and has no byte pieces in its tree. A piece is
 * at most PITH_VOCAB_MAX_UNIGRAM_BYTES long, so the time is linear. */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"

#include <float.h>
#include <math.h>

#define UNKNOWN_PENALTY 10.0

/* ---- Building -------------------------------------------------------------------------------- */

static bool is_wanted(const pith_vocab *v, size_t id, size_t n_bytes) {
    (void)n_bytes;
    switch (v->types[id]) {
    case PITH_PIECE_NORMAL:
        return true;
    case PITH_PIECE_USER_DEFINED: /* others are declared beside the model, and matched whole */
        return v->single_precision ? (v->added[id] & PITH_ADDED_NORMALIZED) != 0
                                   : (v->added[id] & PITH_ADDED_BEYOND) == 0;
    case PITH_PIECE_BYTE:
        return !v->single_precision;
    default:
        return false;
    }
}

/* The least and the greatest score: in sentencepiece those of normal pieces, in the Rust library
 * those of all pieces of its model. */
static void find_scores(pith_tokenizer *t) {
    const pith_vocab *v = &t->vocab;
    double least = FLT_MAX;
    double greatest = FLT_MIN; /* where sentencepiece begins, though scores are negative */
    for (size_t id = 0; id < v->n_pieces; id++) {
        bool counts = v->single_precision ? v->types[id] == PITH_PIECE_NORMAL
                                          : v->types[id] != PITH_PIECE_UNUSED &&
                                                (v->added[id] & PITH_ADDED_BEYOND) == 0;
        if (counts) {
            least = fmin(least, v->log_probabilities[id]);
            greatest = fmax(greatest, v->log_probabilities[id]);
        }
    }
    double unknown = least - UNKNOWN_PENALTY;
    t->unknown_score = v->single_precision ? (float)unknown : unknown;
    t->best_score = greatest;
}

pith_status pith_unigram_build(pith_tokenizer *tokenizer, pith_error *error) {
    find_scores(tokenizer);
    return pith_trie_build(&tokenizer->trie, &tokenizer->vocab, is_wanted, tokenizer->allocator,
                           error);
}

void pith_lattice_release(pith_lattice *lattice) {
    pith_release(lattice->tokenizer->allocator, lattice->paths);
}

/* ---- The search ------------------------------------------------------------------------------ */

static pith_status reserve(pith_lattice *l, size_t n, pith_error *error) {
    if (n <= l->capacity) {
        return PITH_OK;
    }
    size_t capacity = pith_max_size(n, pith_max_size(2 * l->capacity, 64));
    pith_path *paths = pith_reallocate(l->tokenizer->allocator, l->paths, capacity, sizeof *paths);
    if (paths == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory to encode %zu bytes", n);
    }
    l->paths = paths;
    l->capacity = capacity;
    return PITH_OK;
}

static double score_of(const pith_tokenizer *t, int32_t id, size_t n_bytes) {
    bool user = t->vocab.single_precision && t->vocab.types[id] == PITH_PIECE_USER_DEFINED;
    return user ? (float)((double)n_bytes * t->best_score) - 0.1 : t->vocab.log_probabilities[id];
}

/* Offers a path whose last piece has n bytes; among equal ones the first stays. */
static void offer(const pith_tokenizer *t, pith_path *to, double sum, size_t n_bytes, int32_t id) {
    if (to->n_bytes == 0 || sum > to->score) {
        *to = (pith_path){.score = t->vocab.single_precision ? (float)sum : sum,
                          .n_bytes = (uint32_t)n_bytes,
                          .id = id};
    }
}

/* Offers every piece that text [n] begins with; true when one is its first character alone. */
static bool offer_pieces(const pith_tokenizer *t, pith_path *from, const char *text, size_t n,
                         size_t n_character) {
    const pith_trie *trie = &t->trie;
    bool single = false;
    size_t i = 1;
    for (uint32_t node = trie->roots[0][(unsigned char)text[0]]; node != 0;
         node = pith_trie_child(trie, node, (uint8_t)text[i++])) {
        int32_t id = trie->nodes[node].id;
        if (id >= 0) {
            single = single || i == n_character;
            offer(t, from + i, from->score + score_of(t, id, i), i, id);
        }
        if (i == n) {
            break;
        }
    }
    return single;
}

static void find_paths(pith_lattice *l, const char *text, size_t n) {
    const pith_tokenizer *t = l->tokenizer;
    memset(l->paths, 0, (n + 1) * sizeof *l->paths);
    size_t length;
    for (size_t at = 0; at < n; at += length) {
        pith_path *from = l->paths + at;
        length = pith_utf8_length(text[at]);
        if (!offer_pieces(t, from, text + at, n - at, length)) {
            double sum = from->score + t->unknown_score;
            sum = t->vocab.single_precision ? (float)sum : sum;
            offer(t, from + length, sum, length, t->vocab.unk);
        }
    }
}

/* ---- Ids ------------------------------------------------------------------------------------- */

/* Unknown text: its bytes, or the unknown token. */
static pith_status push_unknown(const pith_tokenizer *t, const char *text, size_t n,
                                pith_tokens *out, pith_error *error) {
    bool bytes = t->vocab.byte_fallback;
    for (size_t i = 0; bytes && i < n; i++) {
        bytes = t->byte_ids[(unsigned char)text[i]] >= 0;
    }
    if (!bytes && t->vocab.unk < 0) {
        return pith_fail(error, PITH_ERROR_TEXT,
                         "a character has no piece, and there is no unknown token");
    }
    bool pushed = bytes || pith_tokens_push(out, t->vocab.unk);
    for (size_t i = 0; bytes && pushed && i < n; i++) {
        pushed = pith_tokens_push(out, t->byte_ids[(unsigned char)text[i]]);
    }
    return pushed ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
}

/* The best path is known from its end. Reverses it, so that each place on it has the length of the
 * piece that begins there, and pushes the ids. */
static pith_status push_path(pith_lattice *l, const char *text, size_t n, pith_tokens *out,
                             pith_error *error) {
    const pith_tokenizer *t = l->tokenizer;
    pith_path *paths = l->paths;
    pith_path next = paths[n];
    for (size_t at = n; at > 0;) {
        size_t start = at - next.n_bytes;
        pith_path before = paths[start];
        paths[start] = next;
        next = before;
        at = start;
    }
    pith_status status = PITH_OK;
    for (size_t at = 0; status == PITH_OK && at < n;) {
        size_t end = at + paths[at].n_bytes;
        if (paths[at].id != t->vocab.unk) {
            if (!pith_tokens_push(out, paths[at].id)) {
                return pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
            }
            at = end;
            continue;
        }
        while (end < n && paths[end].id == t->vocab.unk) {
            end += paths[end].n_bytes;
        }
        status = push_unknown(t, text + at, end - at, out, error);
        at = end;
    }
    return status;
}

pith_status pith_unigram_encode(pith_lattice *lattice, const char *text, size_t n_bytes,
                                pith_tokens *out, pith_error *error) {
    pith_status status = reserve(lattice, n_bytes + 1, error);
    if (status == PITH_OK) {
        find_paths(lattice, text, n_bytes);
        status = push_path(lattice, text, n_bytes, out, error);
    }
    return status;
}
