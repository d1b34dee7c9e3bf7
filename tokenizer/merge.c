/* Byte-pair merging (Sennrich et al. 2016), by score as SentencePiece does it or by rank as Hugging
 * Face's tokenizers do. Characters (or bytes) start as a linked list of symbols; a heap holds every
 * pair of neighbours that forms a piece; the best pair is joined, the leftmost of equals first, and
 * brings up to two new pairs. A candidate whose symbols have changed meanwhile is recognised by its
 * length and dropped. n symbols have at most n - 1 candidates, and each join adds at most one more
 * than it removes, so the heap needs 2 n places and the whole takes O(n log n). */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

#define NO_SYMBOL UINT32_MAX

pith_status pith_merger_init(pith_merger *merger, const pith_tokenizer *tokenizer,
                             pith_error *error) {
    *merger = (pith_merger){.tokenizer = tokenizer};
    if (tokenizer->vocab.kind == PITH_TOKENIZER_SENTENCEPIECE && tokenizer->has_unused) {
        merger->halves = pith_allocate_zeroed(tokenizer->allocator, tokenizer->vocab.n_pieces,
                                              sizeof *merger->halves);
        if (merger->halves == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "no memory to encode text");
        }
    }
    return PITH_OK;
}

void pith_merger_release(pith_merger *merger) {
    const pith_allocator *allocator = merger->tokenizer->allocator;
    pith_release(allocator, merger->symbols);
    pith_release(allocator, merger->heap);
    pith_release(allocator, merger->halves);
}

static pith_status reserve(pith_merger *m, size_t n, pith_error *error) {
    if (n <= m->capacity) {
        return PITH_OK;
    }
    const pith_allocator *allocator = m->tokenizer->allocator;
    size_t capacity = pith_max_size(n, pith_max_size(2 * m->capacity, 64));
    pith_symbol *symbols = pith_reallocate(allocator, m->symbols, capacity, sizeof *symbols);
    if (symbols != NULL) {
        m->symbols = symbols;
        pith_candidate *heap = pith_reallocate(allocator, m->heap, 2 * capacity, sizeof *heap);
        if (heap != NULL) {
            m->heap = heap;
            m->capacity = capacity;
            return PITH_OK;
        }
    }
    return pith_fail(error, PITH_ERROR_MEMORY, "no memory to merge %zu characters", n);
}

/* ---- The heap -------------------------------------------------------------------------------- */

/* Children of a node: with four the heap has half the levels of a binary one, which is what counts
 * once it no longer fits in the cache. */
enum { ARITY = 4 };

static void heap_push(pith_merger *m, pith_candidate item) {
    size_t at = m->n_heap++;
    while (at > 0 && item.order < m->heap[(at - 1) / ARITY].order) {
        m->heap[at] = m->heap[(at - 1) / ARITY];
        at = (at - 1) / ARITY;
    }
    m->heap[at] = item;
}

static pith_candidate heap_pop(pith_merger *m) {
    pith_candidate top = m->heap[0];
    pith_candidate item = m->heap[--m->n_heap];
    size_t at = 0;
    for (size_t first = 1; first < m->n_heap; first = ARITY * at + 1) {
        size_t least = first;
        size_t end = pith_min_size(first + ARITY, m->n_heap);
        for (size_t child = first + 1; child < end; child++) {
            least = m->heap[child].order < m->heap[least].order ? child : least;
        }
        if (item.order <= m->heap[least].order) {
            break;
        }
        m->heap[at] = m->heap[least];
        at = least;
    }
    m->heap[at] = item;
    return top;
}

/* ---- Text to symbols ------------------------------------------------------------------------- */

static void add_symbol(pith_merger *m, size_t start, size_t n_bytes, int32_t id) {
    uint32_t index = (uint32_t)m->n_symbols++;
    m->symbols[index] = (pith_symbol){.previous = index == 0 ? NO_SYMBOL : index - 1,
                                      .next = index + 1,
                                      .start = (uint32_t)start,
                                      .n_bytes = (uint32_t)n_bytes,
                                      .id = id};
}

/* True when byte fallback can spell these bytes. */
static bool has_bytes(const pith_tokenizer *t, const char *text, size_t n_bytes) {
    bool all = t->vocab.byte_fallback && t->vocab.kind != PITH_TOKENIZER_BYTE_BPE;
    for (size_t i = 0; all && i < n_bytes; i++) {
        all = t->byte_ids[(unsigned char)text[i]] >= 0;
    }
    return all;
}

/* A character without a piece: its bytes, or the unknown token (joined to one before it, when the
 * vocabulary says so), or nothing. */
static void add_unknown(pith_merger *m, const char *text, size_t start, size_t n_bytes) {
    const pith_tokenizer *t = m->tokenizer;
    if (has_bytes(t, text + start, n_bytes)) {
        for (size_t i = 0; i < n_bytes; i++) {
            add_symbol(m, start + i, 1, t->byte_ids[(unsigned char)text[start + i]]);
        }
        return;
    }
    if (t->vocab.unk < 0) {
        return;
    }
    pith_symbol *last = m->n_symbols > 0 ? &m->symbols[m->n_symbols - 1] : NULL;
    if (t->vocab.fuse_unk && last != NULL && last->id == t->vocab.unk) {
        last->n_bytes += (uint32_t)n_bytes;
    } else {
        add_symbol(m, start, n_bytes, t->vocab.unk);
    }
}

static void load_symbols(pith_merger *m, const char *text, size_t n_bytes) {
    const pith_tokenizer *t = m->tokenizer;
    bool bytewise = t->vocab.kind == PITH_TOKENIZER_BYTE_BPE;
    m->n_symbols = 0;
    for (size_t i = 0; i < n_bytes;) {
        unsigned char byte = (unsigned char)text[i];
        size_t length = bytewise ? 1 : pith_utf8_length(text[i]);
        int32_t id = bytewise      ? t->byte_ids[byte]
                     : byte < 0x80 ? t->ascii_ids[byte]
                                   : pith_find_plain(t, text + i, length);
        if (id >= 0 || t->vocab.kind == PITH_TOKENIZER_SENTENCEPIECE) {
            add_symbol(m, i, length, id);
        } else {
            add_unknown(m, text, i, length);
        }
        i += length;
    }
    if (m->n_symbols > 0) {
        m->symbols[m->n_symbols - 1].next = NO_SYMBOL;
    }
}

/* ---- Merging --------------------------------------------------------------------------------- */

/* An unsigned number that is smaller for a higher (finite) score: the bits of an IEEE 754 number,
 * without their sign, are ordered like its magnitude. */
static uint32_t priority_of_score(float score) {
    uint32_t bits;
    score += 0.0F; /* -0 becomes 0 */
    memcpy(&bits, &score, sizeof bits);
    return (bits & 0x80000000U) != 0 ? bits : ~(bits | 0x80000000U);
}

/* Puts symbol `left` and its right neighbour on the heap if they form a piece. */
static void consider(pith_merger *m, const char *text, uint32_t left) {
    const pith_tokenizer *t = m->tokenizer;
    const pith_symbol *a = &m->symbols[left];
    if (a->next == NO_SYMBOL) {
        return;
    }
    const pith_symbol *b = &m->symbols[a->next];
    pith_candidate candidate = {.n_bytes = a->n_bytes + b->n_bytes};
    uint32_t priority;
    if (t->vocab.kind == PITH_TOKENIZER_SENTENCEPIECE) {
        candidate.id = pith_find_plain(t, text + a->start, candidate.n_bytes);
        if (candidate.id < 0) {
            return;
        }
        priority = priority_of_score(t->vocab.scores[candidate.id]);
        if (t->vocab.types[candidate.id] == PITH_PIECE_UNUSED) {
            m->halves[candidate.id] = a->n_bytes;
        }
    } else {
        const pith_merge_slot *merge =
            pith_merge_table_find(&t->merges, (uint32_t)a->id, (uint32_t)b->id);
        if (merge == NULL) {
            return;
        }
        candidate.id = (int32_t)merge->merged;
        priority = merge->rank;
    }
    candidate.order = (uint64_t)priority << 32 | left;
    heap_push(m, candidate);
}

static void merge_symbols(pith_merger *m, const char *text) {
    m->n_heap = 0;
    for (size_t i = 0; i + 1 < m->n_symbols; i++) {
        consider(m, text, (uint32_t)i);
    }
    while (m->n_heap > 0) {
        pith_candidate best = heap_pop(m);
        uint32_t left = (uint32_t)best.order;
        pith_symbol *a = &m->symbols[left];
        if (a->n_bytes == 0 || a->next == NO_SYMBOL ||
            a->n_bytes + m->symbols[a->next].n_bytes != best.n_bytes) {
            continue;
        }
        pith_symbol *b = &m->symbols[a->next];
        a->n_bytes = best.n_bytes;
        a->id = best.id;
        a->next = b->next;
        b->n_bytes = 0;
        if (a->next != NO_SYMBOL) {
            m->symbols[a->next].previous = left;
        }
        if (a->previous != NO_SYMBOL) {
            consider(m, text, a->previous);
        }
        consider(m, text, left);
    }
}

/* ---- Symbols to ids -------------------------------------------------------------------------- */

/* A stretch that is no piece: its bytes, or the unknown token, once for neighbours. */
static bool push_unknown(const pith_merger *m, const char *text, size_t n_bytes, bool after_unknown,
                         pith_tokens *out) {
    const pith_tokenizer *t = m->tokenizer;
    if (!has_bytes(t, text, n_bytes)) {
        bool silent = t->vocab.unk < 0 || (after_unknown && t->vocab.fuse_unk);
        return silent || pith_tokens_push(out, t->vocab.unk);
    }
    for (size_t i = 0; i < n_bytes; i++) {
        if (!pith_tokens_push(out, t->byte_ids[(unsigned char)text[i]])) {
            return false;
        }
    }
    return true;
}

static void stack_part(pith_merger *m, const char *text, size_t start, uint32_t n_bytes) {
    m->heap[m->n_heap++] = (pith_candidate){
        .order = start,
        .n_bytes = n_bytes,
        .id = pith_find_plain(m->tokenizer, text + start, n_bytes),
    };
}

/* SentencePiece: an unused piece is taken apart again into the halves it was joined from, and those
 * likewise. The heap is empty by now and serves as the stack of stretches still to do; it never
 * holds more of them than the text has characters. */
static bool push_pieces(pith_merger *m, const char *text, pith_tokens *out) {
    const pith_vocab *v = &m->tokenizer->vocab;
    bool after_unknown = false;
    for (uint32_t i = 0; i != NO_SYMBOL; i = m->symbols[i].next) {
        const pith_symbol *symbol = &m->symbols[i];
        m->heap[0] =
            (pith_candidate){.order = symbol->start, .n_bytes = symbol->n_bytes, .id = symbol->id};
        m->n_heap = 1;
        while (m->n_heap > 0) {
            pith_candidate part = m->heap[--m->n_heap];
            size_t start = (size_t)part.order;
            bool unused = part.id >= 0 && v->types[part.id] == PITH_PIECE_UNUSED;
            if (unused && m->halves[part.id] != 0) {
                uint32_t half = m->halves[part.id];
                stack_part(m, text, start + half, part.n_bytes - half);
                stack_part(m, text, start, half);
                continue;
            }
            bool pushed = part.id >= 0
                              ? pith_tokens_push(out, part.id)
                              : push_unknown(m, text + start, part.n_bytes, after_unknown, out);
            if (!pushed) {
                return false;
            }
            after_unknown = part.id < 0;
        }
    }
    return true;
}

static bool push_ids(const pith_merger *m, pith_tokens *out) {
    for (uint32_t i = 0; i != NO_SYMBOL; i = m->symbols[i].next) {
        if (!pith_tokens_push(out, m->symbols[i].id)) {
            return false;
        }
    }
    return true;
}

pith_status pith_merge(pith_merger *merger, const char *text, size_t n_bytes, pith_tokens *out,
                       pith_error *error) {
    pith_status status = reserve(merger, n_bytes, error);
    if (status != PITH_OK) {
        return status;
    }
    load_symbols(merger, text, n_bytes);
    if (merger->n_symbols == 0) {
        return PITH_OK;
    }
    merge_symbols(merger, text);
    bool pushed = merger->tokenizer->vocab.kind == PITH_TOKENIZER_SENTENCEPIECE
                      ? push_pieces(merger, text, out)
                      : push_ids(merger, out);
    return pushed ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
}
