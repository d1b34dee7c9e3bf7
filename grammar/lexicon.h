/* The texts of all tokens of a vocabulary, arranged so that a grammar can be laid over them.
 *
 * They form a prefix tree, whose nodes stand in the order in which a walk meets them: a node's
 * children follow it, and `ends` is the first node behind its subtree. So a walk is a loop over an
 * array:
 *
 *     node   1 "a"   2 "ab"   3 "abc"   4 "b"        a grammar that refuses "a" goes on at
 *     ends   4       4        4         5            ends[1]: 4 "b"
 *
 * Inside a JSON string nearly every token may come next, and walking the tree would mean visiting
 * all of it. What a token does there depends on nothing but the token, so it is found once: how
 * many characters it adds, or, when it ends the string, how many before the quote and which text
 * follows it. The texts that follow quotes form a second, small tree. */
#ifndef PITH_GRAMMAR_LEXICON_H
#define PITH_GRAMMAR_LEXICON_H

#include "base/memory.h"

enum {
    PITH_LEXICON_LONGEST = 254, /* bytes of a token that may be chosen under a grammar */
    PITH_LEXICON_NEVER = 255,   /* in `inside`: the token does not stay in the string */
    PITH_LEXICON_BLOCK = 64,    /* arrays of a byte for each token end in whole blocks of these, so
                                   that loops over them go a vector at a time */
};

/* Texts as a tree. Node 0 is the root, the empty text. */
typedef struct pith_text_tree {
    uint32_t n_nodes;
    uint8_t *bytes;    /* [n_nodes] the last byte of the node's text */
    uint8_t *depths;   /* [n_nodes] the length of that text */
    uint32_t *ends;    /* [n_nodes] */
    uint32_t *firsts;  /* [n_nodes + 1] entries of node i are entries[firsts[i]] .. */
    uint32_t *entries; /* whose text that is */
} pith_text_tree;

/* A token that ends a string. */
typedef struct pith_closer {
    uint32_t token;
    uint32_t before; /* characters in front of the quote */
    uint32_t quote;  /* bytes in front of the quote */
} pith_closer;

typedef struct pith_lexicon {
    const pith_allocator *allocator;
    size_t n_tokens;
    uint32_t *offsets; /* [n_tokens + 1] text of token i is bytes[offsets[i]] .. */
    char *bytes;
    pith_text_tree tokens; /* entries are tokens */
    size_t n_padded;       /* tokens in whole blocks */
    uint8_t *inside;       /* [n_padded] characters that a token adds to a string, or NEVER */
    pith_closer *closers;  /* [n_closers] */
    size_t n_closers;
    pith_text_tree tails; /* texts behind the quote; entries are closers */
} pith_lexicon;

/* Writes the text of a token to out [longest]; returns its bytes, 0 when it has none: such a token
 * is never chosen under a grammar. */
typedef size_t (*pith_token_text_fn)(void *user, size_t token, char *out);

/* Builds a lexicon of n_tokens tokens of at most `longest` bytes. Errors: MEMORY. */
pith_status pith_lexicon_new(pith_lexicon **out, size_t n_tokens, size_t longest,
                             pith_token_text_fn text, void *user, const pith_allocator *allocator,
                             pith_error *error);
void pith_lexicon_free(pith_lexicon *lexicon); /* accepts NULL */

static inline const unsigned char *pith_lexicon_text(const pith_lexicon *lexicon, size_t token,
                                                     size_t *n) {
    *n = lexicon->offsets[token + 1] - lexicon->offsets[token];
    return (const unsigned char *)lexicon->bytes + lexicon->offsets[token];
}

#endif
