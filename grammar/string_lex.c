/* See string_lex.h. */
#include "grammar/string_lex.h"

#include <string.h>

int pith_lex_hex(unsigned char byte) {
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    unsigned char lower = byte | 0x20;
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A byte that may begin a character, or end the string. */
static pith_lex begin(unsigned char byte) {
    if (byte < 0x80) {
        return byte == '"'    ? PITH_LEX_CLOSED
               : byte == '\\' ? PITH_LEX_ESCAPE
               : byte < 0x20  ? PITH_LEX_BAD
                              : PITH_LEX_BETWEEN;
    }
    switch (byte) {
    case 0xE0:
        return PITH_LEX_UTF8_E0;
    case 0xED:
        return PITH_LEX_UTF8_ED;
    case 0xF0:
        return PITH_LEX_UTF8_F0;
    case 0xF4:
        return PITH_LEX_UTF8_F4;
    default:
        return byte < 0xC2   ? PITH_LEX_BAD
               : byte < 0xE0 ? PITH_LEX_UTF8_1
               : byte < 0xF0 ? PITH_LEX_UTF8_2
               : byte < 0xF4 ? PITH_LEX_UTF8_3
                             : PITH_LEX_BAD;
    }
}

/* `next` when the byte is within least..most. */
static pith_lex within(unsigned char byte, unsigned char least, unsigned char most, pith_lex next) {
    return byte >= least && byte <= most ? next : PITH_LEX_BAD;
}

static pith_lex escape(unsigned char byte) {
    if (byte == 'u') {
        return PITH_LEX_HEX_4;
    }
    return byte != '\0' && strchr("\"\\/bfnrt", byte) != NULL ? PITH_LEX_BETWEEN : PITH_LEX_BAD;
}

/* A digit within least..most. */
static pith_lex digit(unsigned char byte, int least, int most, pith_lex next) {
    int value = pith_lex_hex(byte);
    return value >= least && value <= most ? next : PITH_LEX_BAD;
}

/* A digit of a \u that is no surrogate so far. */
static pith_lex step_digit(pith_lex lex, unsigned char byte) {
    switch (lex) {
    case PITH_LEX_HEX_4:
        return byte == '0'                ? PITH_LEX_ZERO_3
               : pith_lex_hex(byte) == 13 ? PITH_LEX_D
                                          : digit(byte, 1, 15, PITH_LEX_HEX_3);
    case PITH_LEX_HEX_3:
        return digit(byte, 0, 15, PITH_LEX_HEX_2);
    case PITH_LEX_HEX_2:
        return digit(byte, 0, 15, PITH_LEX_HEX_1);
    case PITH_LEX_HEX_1:
        return digit(byte, 0, 15, PITH_LEX_BETWEEN);
    case PITH_LEX_ZERO_3:
        return byte == '0' ? PITH_LEX_ZERO_2 : digit(byte, 1, 15, PITH_LEX_HEX_2);
    case PITH_LEX_ZERO_2:
        return byte == '0' ? PITH_LEX_ZERO_1 : digit(byte, 1, 15, PITH_LEX_HEX_1);
    default:
        return digit(byte, 1, 15, PITH_LEX_BETWEEN);
    }
}

/* A byte of a pair of surrogates. */
static pith_lex step_surrogate(pith_lex lex, unsigned char byte) {
    switch (lex) {
    case PITH_LEX_D:
        return pith_lex_hex(byte) < 8 ? digit(byte, 0, 7, PITH_LEX_HEX_2)
                                      : digit(byte, 8, 11, PITH_LEX_HIGH_2);
    case PITH_LEX_HIGH_2:
        return digit(byte, 0, 15, PITH_LEX_HIGH_1);
    case PITH_LEX_HIGH_1:
        return digit(byte, 0, 15, PITH_LEX_LOW_MARK);
    case PITH_LEX_LOW_MARK:
        return byte == '\\' ? PITH_LEX_LOW_U : PITH_LEX_BAD;
    case PITH_LEX_LOW_U:
        return byte == 'u' ? PITH_LEX_LOW_D : PITH_LEX_BAD;
    case PITH_LEX_LOW_D:
        return digit(byte, 13, 13, PITH_LEX_LOW_3);
    default:
        return digit(byte, 12, 15, PITH_LEX_HEX_2);
    }
}

pith_lex pith_lex_step(pith_lex lex, unsigned char byte) {
    switch (lex) {
    case PITH_LEX_BETWEEN:
        return begin(byte);
    case PITH_LEX_UTF8_1:
        return within(byte, 0x80, 0xBF, PITH_LEX_BETWEEN);
    case PITH_LEX_UTF8_2:
        return within(byte, 0x80, 0xBF, PITH_LEX_UTF8_1);
    case PITH_LEX_UTF8_3:
        return within(byte, 0x80, 0xBF, PITH_LEX_UTF8_2);
    case PITH_LEX_UTF8_E0:
        return within(byte, 0xA0, 0xBF, PITH_LEX_UTF8_1);
    case PITH_LEX_UTF8_ED:
        return within(byte, 0x80, 0x9F, PITH_LEX_UTF8_1);
    case PITH_LEX_UTF8_F0:
        return within(byte, 0x90, 0xBF, PITH_LEX_UTF8_2);
    case PITH_LEX_UTF8_F4:
        return within(byte, 0x80, 0x8F, PITH_LEX_UTF8_2);
    case PITH_LEX_ESCAPE:
        return escape(byte);
    default:
        return lex < PITH_LEX_D ? step_digit(lex, byte) : step_surrogate(lex, byte);
    }
}
