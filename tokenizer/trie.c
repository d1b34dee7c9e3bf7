/* Pieces as a tree of bytes, laid out level by level, so that one walk down the tree finds every
 * piece that a text begins with. */
#include "tokenizer/internal.h"

#include "base/status.h"

#include <stdlib.h>

/* A piece of the tree. */
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

static size_t collect_entries(const pith_vocab *v, pith_trie_fn wanted, entry *entries) {
    size_t n = 0;
    for (size_t id = 0; id < v->n_pieces; id++) {
        uint32_t n_bytes = v->offsets[id + 1] - v->offsets[id];
        if (n_bytes > 0 && wanted(v, id, n_bytes)) {
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

uint32_t pith_trie_child(const pith_trie *trie, uint32_t node, uint8_t byte) {
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
    uint32_t hash = pith_trie_child(trie, 0, '#');
    uint32_t after = hash != 0 ? pith_trie_child(trie, hash, '#') : 0;
    for (unsigned byte = 0; byte < 256; byte++) {
        trie->roots[0][byte] = pith_trie_child(trie, 0, (uint8_t)byte);
        trie->roots[1][byte] = after != 0 ? pith_trie_child(trie, after, (uint8_t)byte) : 0;
    }
}

pith_status pith_trie_build(pith_trie *out, const pith_vocab *vocab, pith_trie_fn wanted,
                            const pith_allocator *allocator, pith_error *error) {
    pith_trie trie = {0};
    entry *entries = pith_allocate(allocator, vocab->n_pieces, sizeof *entries);
    size_t n = entries != NULL ? collect_entries(vocab, wanted, entries) : 0;
    size_t n_nodes = entries != NULL ? count_nodes(entries, n) : 0;
    trie.nodes = pith_allocate(allocator, n_nodes + 1, sizeof *trie.nodes);
    trie.bytes = pith_allocate(allocator, n_nodes + 1, sizeof *trie.bytes);
    bool done = entries != NULL && trie.nodes != NULL && trie.bytes != NULL;
    if (done) {
        fill_nodes(&trie, entries, n);
        fill_roots(&trie);
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
