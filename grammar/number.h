/* Numbers within bounds, digit by digit. A number is written as [-] digits [. digits], without an
 * exponent when it has bounds, so the numbers that a beginning can still lead to are an interval:
 * of "12" within 100 to 127 the next digit may be 0 to 7, and "13" is refused where it would first
 * lead nowhere. An integer is a number without fraction.
 *
 * The digits are bounded, so that a number ends: 18 of an integer, 15 in front of a point, at least
 * 6 and at most 15 behind it. A double distinguishes fifteen significant digits, so a reader that
 * compares doubles finds the bounds kept, too. */
#ifndef PITH_GRAMMAR_NUMBER_H
#define PITH_GRAMMAR_NUMBER_H

#include "base/json.h"

/* whole + fraction x 10^-15. */
typedef struct pith_decimal {
    uint64_t whole, fraction;
} pith_decimal;

/* Magnitudes within least..most. */
typedef struct pith_decimal_interval {
    pith_decimal least, most;
    bool empty;
} pith_decimal_interval;

typedef struct pith_number_form {
    pith_decimal_interval sides[2]; /* of positive numbers and zero; of negative ones */
    uint64_t unit;                  /* of the last digit behind the point, in 10^-15 */
    uint8_t n_whole, n_fraction;    /* maximum digits before and after the point */
    bool exponent;                  /* no bounds: up to two digits of an exponent may follow */
} pith_number_form;

/* The keywords of a schema; absent ones are {NULL}, the others numbers. */
typedef struct pith_number_bounds {
    pith_json minimum, maximum, exclusive_minimum, exclusive_maximum;
} pith_number_bounds;

/* *problem says what is wrong with the bounds, on failure: that no number of these digits lies
 * between them. */
bool pith_number_form_make(pith_number_form *out, const pith_number_bounds *bounds, bool integer,
                           const char **problem);

/* What was written of a number. Zero-initialised: nothing. */
typedef struct pith_number_state {
    pith_decimal value;
    uint8_t phase;
    uint8_t n_fraction; /* digits behind the point */
    bool negative;
} pith_number_state;

/* Appends a character; false, and the state as before, when no number of the form goes on so. */
bool pith_number_step(const pith_number_form *form, pith_number_state *state, unsigned char byte);

/* True when the number may end here. */
bool pith_number_is_whole(const pith_number_form *form, const pith_number_state *state);

#endif
