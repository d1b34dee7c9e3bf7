/* Stop strings: generated text on its way to the caller. Text that may be the beginning of a stop
 * string is held back until it is known not to be. */
#ifndef PITH_ENGINE_STOPS_H
#define PITH_ENGINE_STOPS_H

#include "base/memory.h"
#include "tokenizer/tokenizer.h"

enum { PITH_MAX_STOPS = 16, PITH_MAX_STOP_BYTES = 256 };

typedef struct pith_stop_filter {
    size_t n_stops;
    const char *stops[PITH_MAX_STOPS]; /* NUL-terminated, 1 to PITH_MAX_STOP_BYTES bytes */
    size_t n_bytes[PITH_MAX_STOPS];    /* of each */
    int32_t tokens[PITH_MAX_STOPS];    /* the special or added token of that spelling; -1: none */
    size_t longest;                    /* bytes of the longest stop string */
    char *text;                        /* [longest + 2 * pith_decode_max] */
    size_t n_ready;                    /* bytes of text that the caller gets in this step */
    size_t n;                          /* bytes of text in all, those held back at the end */
} pith_stop_filter;

/* Lays out copies of the stop strings [n_stops <= PITH_MAX_STOPS] and the text. Run twice, as
 * pith_arena has it. */
void pith_stops_take(pith_stop_filter *f, pith_arena *arena, const pith_tokenizer *tokenizer,
                     const char *const *stops, size_t n_stops);

/* Forgets the text that was ready: a new step begins. */
void pith_stops_begin(pith_stop_filter *f);

/* Where the next text [pith_decode_max] may be written, at most twice in a step; pith_stops_push
 * then says how much it was. */
char *pith_stops_room(pith_stop_filter *f);

/* Adds [n] bytes. Returns true when a stop string was found: the text ends before it, and what was
 * held back is dropped. */
bool pith_stops_push(pith_stop_filter *f, size_t n);

/* The text ends: what is held back becomes ready. */
void pith_stops_end(pith_stop_filter *f);

/* True when the token's spelling is a stop string. */
bool pith_stops_at_token(const pith_stop_filter *f, int32_t token);

#endif
