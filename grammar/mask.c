/* See mask.h. */
#include "grammar/mask.h"

#include <math.h>
#include <string.h>

#include "base/status.h"

pith_status pith_mask_init(pith_mask *mask, const pith_rules *rules, const pith_lexicon *lexicon,
                           const pith_allocator *allocator, pith_error *error) {
    *mask = (pith_mask){.lexicon = lexicon};
    mask->allowed = pith_allocate(allocator, lexicon->n_padded, sizeof *mask->allowed);
    if (mask->allowed == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a matcher");
    }
    pith_status status = pith_automaton_init(&mask->automaton, rules, allocator, error);
    if (status != PITH_OK) {
        pith_release(allocator, mask->allowed);
        *mask = (pith_mask){.lexicon = NULL};
    }
    return status;
}

void pith_mask_release(pith_mask *mask, const pith_allocator *allocator) {
    if (mask->lexicon != NULL) {
        pith_release(allocator, mask->allowed);
        pith_automaton_release(&mask->automaton, allocator);
        *mask = (pith_mask){.lexicon = NULL};
    }
}

void pith_mask_begin(pith_mask *mask) {
    pith_automaton_begin(&mask->automaton);
    mask->over = false;
}

/* ---- Strings --------------------------------------------------------------------------------- */

/* True when what a token does to the thread is in the lexicon: between two characters of a string
 * or of a key that is not among the properties. */
static bool is_in_string(const pith_frame *thread) {
    return (thread->phase == PITH_PHASE_STRING || thread->phase == PITH_PHASE_NEW_KEY) &&
           thread->lex == PITH_LEX_BETWEEN;
}

/* Tokens that stay in the string. */
static void allow_inside(pith_mask *mask, const pith_frame *thread) {
    uint32_t left = pith_automaton_room(&mask->automaton, thread);
    uint8_t most = (uint8_t)(left < PITH_LEXICON_LONGEST ? left : PITH_LEXICON_LONGEST);
    for (size_t at = 0; at < mask->lexicon->n_padded; at += PITH_LEXICON_BLOCK) {
        const uint8_t *restrict inside = mask->lexicon->inside + at;
        uint8_t *restrict allowed = mask->allowed + at;
        for (size_t i = 0; i < PITH_LEXICON_BLOCK; i++) {
            allowed[i] = (uint8_t)(allowed[i] | (inside[i] <= most));
        }
    }
}

/* True when the key that the thread is in, with what the token has in front of its quote, is none
 * of the names it must not be. Uses the generations from g on. */
static bool is_new_key(pith_mask *mask, const pith_frame *thread, const pith_closer *closer,
                       size_t g) {
    pith_automaton *a = &mask->automaton;
    size_t n;
    const unsigned char *text = pith_lexicon_text(mask->lexicon, closer->token, &n);
    pith_automaton_open(a, g);
    pith_automaton_push(a, g, thread);
    for (size_t i = 0; i < closer->quote; i++, g++) {
        if (!pith_automaton_step(a, g, text[i])) {
            return false;
        }
    }
    return pith_automaton_n(a, g) == 1 &&
           pith_automaton_may_close(a, pith_automaton_thread(a, g, 0));
}

/* True when the thread's string or key may end behind what the token has in front of the quote. */
static bool may_close(pith_mask *mask, const pith_frame *thread, const pith_closer *closer,
                      size_t g) {
    if (closer->before > pith_automaton_room(&mask->automaton, thread)) {
        return false;
    }
    if (thread->phase == PITH_PHASE_NEW_KEY) {
        return thread->first == thread->end || is_new_key(mask, thread, closer, g);
    }
    uint32_t least = mask->automaton.rules->nodes[thread->node].as.string.least;
    return thread->count >= least || closer->before >= least - thread->count;
}

/* Tokens that end the string and have the text of a node of `tails` behind the quote. */
static void allow_closers(pith_mask *mask, const pith_frame *thread, uint32_t node) {
    const pith_text_tree *tree = &mask->lexicon->tails;
    size_t free_generation = (size_t)tree->depths[node] + 2;
    for (uint32_t i = tree->firsts[node]; i < tree->firsts[node + 1]; i++) {
        const pith_closer *closer = &mask->lexicon->closers[tree->entries[i]];
        uint8_t *allowed = &mask->allowed[closer->token];
        *allowed = *allowed != 0 || may_close(mask, thread, closer, free_generation);
    }
}

/* ---- Walks ----------------------------------------------------------------------------------- */

/* Tokens that have the text of a node of `tokens`. */
static void allow_tokens(pith_mask *mask, uint32_t node) {
    const pith_text_tree *tree = &mask->lexicon->tokens;
    for (uint32_t i = tree->firsts[node]; i < tree->firsts[node + 1]; i++) {
        mask->allowed[tree->entries[i]] = 1;
    }
}

/* Walks over a tree from the threads of generation 1: the tree of all tokens, or that of what
 * follows a quote when `closed` is a thread whose string ends. */
static void walk(pith_mask *mask, const pith_frame *closed) {
    const pith_text_tree *tree = closed != NULL ? &mask->lexicon->tails : &mask->lexicon->tokens;
    for (uint32_t node = 1; node < tree->n_nodes;) {
        if (!pith_automaton_step(&mask->automaton, tree->depths[node], tree->bytes[node])) {
            node = tree->ends[node];
            continue;
        }
        if (closed != NULL) {
            allow_closers(mask, closed, node);
        } else {
            allow_tokens(mask, node);
        }
        node++;
    }
}

static void find_in_string(pith_mask *mask, const pith_frame *thread) {
    pith_automaton *a = &mask->automaton;
    const pith_frame behind = pith_automaton_behind(a, thread);
    allow_inside(mask, thread);
    pith_automaton_open(a, 1);
    pith_automaton_push(a, 1, &behind);
    allow_closers(mask, thread, 0);
    walk(mask, thread);
}

void pith_mask_find(pith_mask *mask) {
    pith_automaton *a = &mask->automaton;
    size_t n = pith_automaton_n(a, 0);
    memset(mask->allowed, 0, mask->lexicon->n_padded);
    for (size_t i = 0; i < n; i++) {
        const pith_frame *thread = pith_automaton_thread(a, 0, i);
        if (is_in_string(thread)) {
            find_in_string(mask, thread);
        }
    }
    pith_automaton_open(a, 1);
    for (size_t i = 0; i < n; i++) {
        const pith_frame *thread = pith_automaton_thread(a, 0, i);
        if (!is_in_string(thread)) {
            pith_automaton_push(a, 1, thread);
        }
    }
    if (pith_automaton_n(a, 1) > 0) {
        walk(mask, NULL);
    }
}

static inline void rule_out(float *restrict logits, const uint8_t *restrict allowed, size_t n) {
    for (size_t i = 0; i < n; i++) {
        logits[i] = allowed[i] != 0 ? logits[i] : -INFINITY;
    }
}

void pith_mask_apply(const pith_mask *mask, float *logits) {
    size_t n = mask->lexicon->n_tokens;
    size_t at = 0;
    for (; n - at >= PITH_LEXICON_BLOCK; at += PITH_LEXICON_BLOCK) {
        rule_out(logits + at, mask->allowed + at, PITH_LEXICON_BLOCK);
    }
    rule_out(logits + at, mask->allowed + at, n - at);
}

/* ---- Going on -------------------------------------------------------------------------------- */

bool pith_mask_accept(pith_mask *mask, size_t token) {
    pith_automaton *a = &mask->automaton;
    size_t n;
    const unsigned char *text = pith_lexicon_text(mask->lexicon, token, &n);
    if (n == 0) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!pith_automaton_step(a, i, text[i])) {
            return false;
        }
    }
    pith_automaton_settle(a, n);
    mask->over = pith_automaton_is_over(a);
    return true;
}

bool pith_mask_may_end(const pith_mask *mask) {
    return pith_automaton_may_end(&mask->automaton);
}
