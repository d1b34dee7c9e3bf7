/* See lexicon.h. */
#include "grammar/lexicon.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/status.h"
#include "grammar/string_lex.h"

/* ---- Trees ----------------------------------------------------------------------------------- */

/* A text that goes into a tree. */
typedef struct entry {
    uint64_t first; /* eight bytes of the text: most comparisons need no others */
    const unsigned char *text;
    uint32_t n_bytes;
    uint32_t value;
} entry;

static entry entry_of(const unsigned char *text, size_t n, size_t value) {
    entry e = {.text = text, .n_bytes = (uint32_t)n, .value = (uint32_t)value};
    for (size_t i = 0; i < sizeof e.first; i++) {
        e.first = e.first << 8 | (i < n ? text[i] : 0);
    }
    return e;
}

static int compare_entries(const void *a, const void *b) {
    const entry *x = a;
    const entry *y = b;
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    uint32_t n = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
    int order = n > 0 ? memcmp(x->text, y->text, n) : 0;
    order = order != 0 ? order : (x->n_bytes > y->n_bytes) - (x->n_bytes < y->n_bytes);
    return order != 0 ? order : (x->value > y->value) - (x->value < y->value);
}

static uint32_t common(const entry *a, const entry *b) {
    uint32_t n = 0;
    while (n < a->n_bytes && n < b->n_bytes && a->text[n] == b->text[n]) {
        n++;
    }
    return n;
}

/* Nodes of the tree of sorted entries: the root, and one for each byte that an entry does not share
 * with the one before it. */
static size_t count_nodes(const entry *entries, size_t n) {
    size_t n_nodes = 1;
    for (size_t i = 0; i < n; i++) {
        n_nodes += entries[i].n_bytes - (i > 0 ? common(&entries[i - 1], &entries[i]) : 0);
    }
    return n_nodes;
}

/* Ends the open nodes of the path that are deeper than `depth`. */
static void end_nodes(pith_text_tree *tree, const uint32_t *path, uint32_t from, uint32_t depth) {
    for (uint32_t d = from; d > depth; d--) {
        tree->ends[path[d]] = tree->n_nodes;
    }
}

/* Fills the tree with sorted entries [n]; its arrays are large enough. */
static void fill_tree(pith_text_tree *tree, const entry *entries, size_t n) {
    uint32_t path[PITH_LEXICON_LONGEST + 1] = {0}; /* nodes from the root to the last entry's */
    uint32_t depth = 0;
    tree->n_nodes = 1;
    tree->bytes[0] = 0;
    tree->depths[0] = 0;
    tree->firsts[0] = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t shared = i > 0 ? common(&entries[i - 1], &entries[i]) : 0;
        end_nodes(tree, path, depth, shared);
        for (depth = shared; depth < entries[i].n_bytes; depth++) {
            uint32_t node = tree->n_nodes++;
            tree->bytes[node] = entries[i].text[depth];
            tree->depths[node] = (uint8_t)(depth + 1);
            tree->firsts[node] = (uint32_t)i;
            path[depth + 1] = node;
        }
        tree->entries[i] = entries[i].value;
    }
    end_nodes(tree, path, depth, 0);
    tree->ends[0] = tree->n_nodes;
    tree->firsts[tree->n_nodes] = (uint32_t)n;
}

static void release_tree(pith_text_tree *tree, const pith_allocator *allocator) {
    pith_release(allocator, tree->bytes);
    pith_release(allocator, tree->depths);
    pith_release(allocator, tree->ends);
    pith_release(allocator, tree->firsts);
    pith_release(allocator, tree->entries);
}

/* Sorts the entries, which all have at most LONGEST bytes. False: no memory. */
static bool build_tree(pith_text_tree *tree, entry *entries, size_t n,
                       const pith_allocator *allocator) {
    qsort(entries, n, sizeof *entries, compare_entries);
    size_t n_nodes = count_nodes(entries, n);
    if (n_nodes >= UINT32_MAX) {
        return false;
    }
    tree->bytes = pith_allocate(allocator, n_nodes, sizeof *tree->bytes);
    tree->depths = pith_allocate(allocator, n_nodes, sizeof *tree->depths);
    tree->ends = pith_allocate(allocator, n_nodes, sizeof *tree->ends);
    tree->firsts = pith_allocate(allocator, n_nodes + 1, sizeof *tree->firsts);
    tree->entries = pith_allocate(allocator, n, sizeof *tree->entries);
    if (tree->bytes == NULL || tree->depths == NULL || tree->ends == NULL || tree->firsts == NULL ||
        tree->entries == NULL) {
        return false;
    }
    fill_tree(tree, entries, n);
    return true;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* Copies the texts of all tokens. */
static bool copy_texts(pith_lexicon *lexicon, size_t longest, pith_token_text_fn text, void *user) {
    pith_bytes bytes;
    pith_bytes_init(&bytes, lexicon->allocator);
    char *one = pith_allocate(lexicon->allocator, longest, 1);
    bool good = one != NULL;
    for (size_t i = 0; good && i < lexicon->n_tokens; i++) {
        size_t n = text(user, i, one);
        lexicon->offsets[i] = (uint32_t)bytes.size;
        if (n <= PITH_LEXICON_LONGEST) {
            good = pith_bytes_append(&bytes, one, n) && bytes.size < UINT32_MAX;
        }
    }
    lexicon->offsets[lexicon->n_tokens] = (uint32_t)bytes.size;
    lexicon->bytes = bytes.data;
    pith_release(lexicon->allocator, one);
    return good;
}

/* What a token does in a string, between two characters of it. */
static void look_inside(pith_lexicon *lexicon, size_t token) {
    size_t n;
    const unsigned char *text = pith_lexicon_text(lexicon, token, &n);
    pith_lex lex = PITH_LEX_BETWEEN;
    uint32_t n_characters = 0;
    size_t i = 0;
    for (; i < n && lex != PITH_LEX_BAD && lex != PITH_LEX_CLOSED; i++) {
        bool begins = lex == PITH_LEX_BETWEEN;
        lex = pith_lex_step(lex, text[i]);
        n_characters += begins && lex != PITH_LEX_CLOSED;
    }
    if (lex == PITH_LEX_CLOSED) {
        lexicon->closers[lexicon->n_closers++] =
            (pith_closer){(uint32_t)token, n_characters, (uint32_t)i - 1};
    } else if (lex != PITH_LEX_BAD && n > 0) {
        lexicon->inside[token] = (uint8_t)n_characters; /* at most LONGEST */
    }
}

static bool build(pith_lexicon *lexicon, entry *entries) {
    size_t n_entries = 0;
    memset(lexicon->inside, PITH_LEXICON_NEVER, lexicon->n_padded);
    for (size_t i = 0; i < lexicon->n_tokens; i++) {
        size_t n;
        const unsigned char *text = pith_lexicon_text(lexicon, i, &n);
        look_inside(lexicon, i);
        if (n > 0) {
            entries[n_entries++] = entry_of(text, n, i);
        }
    }
    if (!build_tree(&lexicon->tokens, entries, n_entries, lexicon->allocator)) {
        return false;
    }
    for (size_t i = 0; i < lexicon->n_closers; i++) {
        const pith_closer *closer = &lexicon->closers[i];
        size_t n;
        const unsigned char *text = pith_lexicon_text(lexicon, closer->token, &n);
        entries[i] = entry_of(text + closer->quote + 1, n - closer->quote - 1, i);
    }
    return build_tree(&lexicon->tails, entries, lexicon->n_closers, lexicon->allocator);
}

pith_status pith_lexicon_new(pith_lexicon **out, size_t n_tokens, size_t longest,
                             pith_token_text_fn text, void *user, const pith_allocator *allocator,
                             pith_error *error) {
    entry *entries = NULL;
    pith_lexicon *lexicon = pith_allocate_zeroed(allocator, 1, sizeof *lexicon);
    if (lexicon == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a grammar");
    }
    lexicon->allocator = allocator;
    lexicon->n_tokens = n_tokens;
    lexicon->n_padded = pith_round_up(n_tokens, PITH_LEXICON_BLOCK);
    lexicon->offsets = pith_allocate(allocator, n_tokens + 1, sizeof *lexicon->offsets);
    lexicon->inside = pith_allocate(allocator, lexicon->n_padded, sizeof *lexicon->inside);
    lexicon->closers = pith_allocate(allocator, n_tokens, sizeof *lexicon->closers);
    entries = pith_allocate(allocator, n_tokens, sizeof *entries);
    bool good = lexicon->offsets != NULL && lexicon->inside != NULL && lexicon->closers != NULL &&
                entries != NULL && copy_texts(lexicon, longest, text, user) &&
                build(lexicon, entries);
    pith_release(allocator, entries);
    if (!good) {
        pith_lexicon_free(lexicon);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a grammar");
    }
    *out = lexicon;
    return PITH_OK;
}

void pith_lexicon_free(pith_lexicon *lexicon) {
    if (lexicon != NULL) {
        const pith_allocator *allocator = lexicon->allocator;
        release_tree(&lexicon->tokens, allocator);
        release_tree(&lexicon->tails, allocator);
        pith_release(allocator, lexicon->offsets);
        pith_release(allocator, lexicon->bytes);
        pith_release(allocator, lexicon->inside);
        pith_release(allocator, lexicon->closers);
        pith_release(allocator, lexicon);
    }
}
