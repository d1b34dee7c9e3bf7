/* The inside of a JSON string, byte by byte (RFC 8259, section 7): valid UTF-8 (RFC 3629), whole
 * escapes, surrogates in pairs only. Raw control characters are refused, and so is the escape of
 * U+0000, which many readers cannot keep in a string (base/json.h in its strict mode is one). */
#ifndef PITH_GRAMMAR_STRING_LEX_H
#define PITH_GRAMMAR_STRING_LEX_H

#include <stdbool.h>
#include <stdint.h>

/* What was read of a character. A name says what must come next. */
typedef enum pith_lex {
    PITH_LEX_BETWEEN, /* a character is whole: any may begin, or the string may end */
    PITH_LEX_UTF8_1,  /* one continuation byte */
    PITH_LEX_UTF8_2,
    PITH_LEX_UTF8_3,
    PITH_LEX_UTF8_E0, /* two, the first at least A0: else the form is overlong */
    PITH_LEX_UTF8_ED, /* two, the first below A0: else a surrogate */
    PITH_LEX_UTF8_F0, /* three, the first at least 90 */
    PITH_LEX_UTF8_F4, /* three, the first below 90: else beyond U+10FFFF */
    PITH_LEX_ESCAPE,  /* what follows a backslash */
    PITH_LEX_HEX_4,   /* four hexadecimal digits */
    PITH_LEX_HEX_3,
    PITH_LEX_HEX_2,
    PITH_LEX_HEX_1,
    PITH_LEX_ZERO_3, /* three digits, not all of them 0 */
    PITH_LEX_ZERO_2,
    PITH_LEX_ZERO_1,
    PITH_LEX_D,        /* three digits after a D: 8 to B begin a surrogate pair, C to F nothing */
    PITH_LEX_HIGH_2,   /* the last two digits of a high surrogate */
    PITH_LEX_HIGH_1,   /* the last one */
    PITH_LEX_LOW_MARK, /* the backslash of the low surrogate */
    PITH_LEX_LOW_U,    /* its u */
    PITH_LEX_LOW_D,    /* its D */
    PITH_LEX_LOW_3,    /* C to F, then any two */
    PITH_LEX_CLOSED,   /* the string has ended */
    PITH_LEX_BAD,
} pith_lex;

/* The state after one more byte. `lex` is neither CLOSED nor BAD. */
pith_lex pith_lex_step(pith_lex lex, unsigned char byte);

/* Value of a hexadecimal digit; -1: it is none. */
int pith_lex_hex(unsigned char byte);

#endif
