/* Follows a JSON text byte by byte through the rules of a schema. The state is a set of threads,
 * one for each way in which the text so far can be read: more than one where anyOf leaves open
 * which alternative it is. A thread is a stack of frames, one for each array and object it is in;
 * stacks share what they have in common, in a store of frames that never change:
 *
 *     thread: {"a": [1, 2       the number 2, in `threads`
 *                  |
 *     store:   the array, after two items
 *                  |
 *              the object, after the key "a"
 *                  |
 *              the end of the text
 *
 * A thread is only ever in a state that leads to the end of a text: a number goes on only towards
 * its bounds, a member begins only where its value can end within PITH_RULES_MAX_DEPTH levels. So a
 * byte that is accepted never leads into a dead end.
 *
 * Threads come in generations: those after each byte of what is being tried, one above the other.
 * Memory is fixed: at most PITH_AUTOMATON_THREADS ways are followed at a time. Where a schema
 * leaves more ways open, the texts of the remaining ones are not allowed. */
#ifndef PITH_GRAMMAR_AUTOMATON_H
#define PITH_GRAMMAR_AUTOMATON_H

#include "grammar/rules.h"
#include "grammar/string_lex.h"

enum {
    PITH_AUTOMATON_THREADS = 32,  /* of one generation */
    PITH_AUTOMATON_LEVELS = 256,  /* generations: bytes of the longest token, and one */
    PITH_AUTOMATON_ROOM = 2048,   /* threads of all generations */
    PITH_AUTOMATON_FRAMES = 4096, /* in the store; those of the threads at rest are at most
                                     THREADS x (PITH_RULES_MAX_DEPTH + 1) */
};

/* What comes next. */
typedef enum pith_phase {
    PITH_PHASE_TEXT, /* the value that is the whole text */
    PITH_PHASE_END,  /* nothing */

    PITH_PHASE_FIRST_KEY, /* in an object: the opening quote of a key, or the end */
    PITH_PHASE_KEY,       /* inside the key of a property */
    PITH_PHASE_NEW_KEY,   /* inside the key of an additional member */
    PITH_PHASE_COLON,
    PITH_PHASE_MEMBER, /* a value, or the space in front of it */
    PITH_PHASE_MEMBER_SPACED,
    PITH_PHASE_MEMBER_END, /* a comma, or the end of the object */
    PITH_PHASE_COMMA,      /* a key, or the space in front of it */
    PITH_PHASE_COMMA_SPACED,

    PITH_PHASE_FIRST_ITEM, /* in an array: a value, or the end */
    PITH_PHASE_ITEM_END,   /* a comma, or the end of the array */
    PITH_PHASE_ITEM,       /* a value, or the space in front of it */
    PITH_PHASE_ITEM_SPACED,

    PITH_PHASE_STRING,
    PITH_PHASE_NUMBER,
    PITH_PHASE_TEXTS, /* inside one of several texts */
} pith_phase;

typedef struct pith_frame {
    uint32_t parent; /* in the store; NONE: the frame is the outermost */
    uint32_t node;   /* of the rules */
    uint8_t phase;
    uint8_t depth;       /* arrays and objects around what the frame reads */
    uint8_t lex;         /* of a string or key: pith_lex */
    bool additional;     /* of an object: the member is none of its properties */
    uint32_t count;      /* characters of a string, items of an array, properties done */
    uint32_t first, end; /* texts that begin with what was read */
    uint32_t at;         /* bytes of them that were read */
    uint32_t code;       /* digits of an escape in a key */
    pith_number_state number;
} pith_frame;

typedef struct pith_automaton {
    const pith_rules *rules;
    pith_frame *store;   /* [PITH_AUTOMATON_FRAMES] */
    pith_frame *threads; /* [PITH_AUTOMATON_ROOM] */
    uint32_t *places;    /* [PITH_AUTOMATON_FRAMES] room for tidying the store */
    size_t n_store;
    uint16_t begins[PITH_AUTOMATON_LEVELS + 1]; /* generation g is threads begins[g] ..
                                                   begins[g + 1] - 1 */
    uint16_t stored[PITH_AUTOMATON_LEVELS];     /* frames in the store after generation g */
} pith_automaton;

/* Takes the memory of an automaton, 0.4 MB. Errors: MEMORY. */
pith_status pith_automaton_init(pith_automaton *a, const pith_rules *rules,
                                const pith_allocator *allocator, pith_error *error);
void pith_automaton_release(pith_automaton *a, const pith_allocator *allocator);

/* Back to the beginning of a text: generation 0 has one thread. */
void pith_automaton_begin(pith_automaton *a);

/* Makes generation g + 1 from g, which is at most LEVELS - 2, by one byte; generations above are
 * forgotten. Returns false when no thread accepts it. */
bool pith_automaton_step(pith_automaton *a, size_t g, unsigned char byte);

/* Starts generation g, at least 1, again, for frames that pith_automaton_push adds; it replaces
 * those from g on. Frames for which there is no room are left out. */
void pith_automaton_open(pith_automaton *a, size_t g);
void pith_automaton_push(pith_automaton *a, size_t g, const pith_frame *frame);

/* Makes generation g generation 0 and removes from the store all frames that no thread refers
 * to. */
void pith_automaton_settle(pith_automaton *a, size_t g);

/* Threads of a generation. */
static inline size_t pith_automaton_n(const pith_automaton *a, size_t g) {
    return a->begins[g + 1] - a->begins[g];
}

static inline const pith_frame *pith_automaton_thread(const pith_automaton *a, size_t g, size_t i) {
    return &a->threads[a->begins[g] + i];
}

/* For a thread within a string or an additional key, between two characters: how many more
 * characters it may have, whether it may end here, and what the thread becomes when it does. */
uint32_t pith_automaton_room(const pith_automaton *a, const pith_frame *thread);
bool pith_automaton_may_close(const pith_automaton *a, const pith_frame *thread);
pith_frame pith_automaton_behind(const pith_automaton *a, const pith_frame *thread);

/* True when the text of generation 0 may end. */
bool pith_automaton_may_end(const pith_automaton *a);

/* True when no byte may follow in generation 0. Uses the generation above. */
bool pith_automaton_is_over(pith_automaton *a);

#endif
