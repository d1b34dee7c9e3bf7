/* See number.h. */
#include "grammar/number.h"

#include <stdlib.h>
#include <string.h>

enum {
    SCALE = 15,         /* digits of pith_decimal's fraction */
    SIGNIFICANT = 15,   /* digits that a double distinguishes */
    FEW_FRACTION = 6,   /* digits behind the point where the bounds do not ask for more */
    INTEGER_DIGITS = 18 /* below 2^63 */
};

static const uint64_t powers[] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
};

static size_t n_digits(uint64_t x) {
    size_t n = 0;
    for (; x != 0; x /= 10) {
        n++;
    }
    return n;
}

static int compare(pith_decimal a, pith_decimal b) {
    if (a.whole != b.whole) {
        return a.whole < b.whole ? -1 : 1;
    }
    return (a.fraction > b.fraction) - (a.fraction < b.fraction);
}

/* ---- Bounds ---------------------------------------------------------------------------------- */

/* A number of the schema. */
typedef struct bound {
    bool given, exclusive;
    bool negative; /* and not zero */
    pith_decimal value;
    bool more; /* nonzero digits follow those of the fraction */
    bool huge; /* beyond INTEGER_DIGITS; `value` is not set */
} bound;

/* Digits of a number [n] as it stands in JSON, leading zeros removed, the point at digits[*point],
 * which may lie outside of them. Returns how many. */
static size_t gather(const char *text, size_t n, char *digits, long *point) {
    size_t n_found = 0;
    size_t i = 0;
    bool behind = false;
    *point = 0;
    for (; i < n && text[i] != 'e' && text[i] != 'E'; i++) {
        if (text[i] == '.') {
            behind = true;
        } else if (text[i] != '-') {
            *point += behind && n_found == 0 && text[i] == '0' ? -1 : 0;
            *point += !behind && (n_found > 0 || text[i] != '0') ? 1 : 0;
            if (n_found > 0 || text[i] != '0') {
                digits[n_found++] = text[i];
            }
        }
    }
    if (i < n) {
        long exponent = strtol(text + i + 1, NULL, 10); /* saturates */
        *point += exponent > 100000 ? 100000 : exponent < -100000 ? -100000 : exponent;
    }
    return n_found;
}

static bound read_bound(pith_json value, bool exclusive) {
    bound b = {.given = value.at != NULL, .exclusive = exclusive};
    char digits[PITH_JSON_MAX_NUMBER];
    long point;
    if (!b.given) {
        return b;
    }
    long n = (long)gather(value.at, pith_json_number_size(value), digits, &point);
    b.negative = *value.at == '-' && n > 0;
    b.huge = n > 0 && point > INTEGER_DIGITS;
    point = point < -SCALE ? -SCALE : point; /* all of it is behind the fraction */
    for (long i = point < 0 ? point : 0; !b.huge && (i < point + SCALE || i < n); i++) {
        uint64_t digit = i >= 0 && i < n ? (uint64_t)(digits[i] - '0') : 0;
        if (i < point) {
            b.value.whole = b.value.whole * 10 + digit;
        } else if (i < point + SCALE) {
            b.value.fraction = b.value.fraction * 10 + digit;
        } else {
            b.more = b.more || digit != 0;
        }
    }
    return b;
}

/* The nearest number of the form that is at least x, or with `up` false at most x. */
static pith_decimal round_to(pith_decimal x, bool more, uint64_t unit, bool up) {
    uint64_t rest = x.fraction % unit;
    x.fraction -= rest;
    if (up && (rest != 0 || more)) {
        x.fraction += unit;
        if (x.fraction >= powers[SCALE]) {
            x.fraction -= powers[SCALE];
            x.whole++;
        }
    }
    return x;
}

/* The next number that a double distinguishes from x, rounded to the form. */
static pith_decimal nudge(pith_decimal x, uint64_t unit, bool up) {
    size_t n = n_digits(x.whole);
    uint64_t step = powers[n < SIGNIFICANT ? n : SIGNIFICANT];
    step = step > unit ? step : unit;
    if (step == powers[SCALE]) {
        x.whole += up ? 1 : (uint64_t)-1;
    } else if (up) {
        x.fraction += step;
        if (x.fraction >= powers[SCALE]) {
            x.fraction -= powers[SCALE];
            x.whole++;
        }
    } else {
        x.whole -= x.fraction < step;
        x.fraction += x.fraction < step ? powers[SCALE] - step : -step;
    }
    return x;
}

/* Cuts an interval of magnitudes: those at least |b| stay, or with `up` false those at most |b|. */
static void cut(pith_decimal_interval *interval, const bound *b, const pith_number_form *form,
                bool up) {
    if (b->huge) {
        interval->empty = interval->empty || up;
        return;
    }
    pith_decimal edge = round_to(b->value, b->more, form->unit, up);
    bool exact = !b->more && compare(edge, b->value) == 0;
    if (b->exclusive && (exact || form->n_fraction > 0)) {
        if (!up && edge.whole == 0 && edge.fraction == 0) {
            interval->empty = true;
            return;
        }
        edge = nudge(edge, form->unit, up);
    }
    if (up && compare(edge, interval->least) > 0) {
        interval->least = edge;
    } else if (!up && compare(edge, interval->most) < 0) {
        interval->most = edge;
    }
    interval->empty = interval->empty || compare(interval->least, interval->most) > 0;
}

/* Removes the numbers beyond a bound: those below it with `lower`, else those above it. */
static void apply(pith_number_form *form, const bound *b, bool lower) {
    if (!b->given) {
        return;
    }
    pith_decimal_interval *positive = &form->sides[0];
    pith_decimal_interval *negative = &form->sides[1];
    if (lower && !b->negative) {
        negative->empty = true;
        cut(positive, b, form, true);
    } else if (lower) {
        cut(negative, b, form, false);
    } else if (!b->negative) {
        cut(positive, b, form, false);
    } else {
        positive->empty = true;
        cut(negative, b, form, true);
    }
}

/* Digits behind the point of the bounds. */
static size_t fraction_digits(const bound *b) {
    size_t n = SCALE;
    for (uint64_t x = b->value.fraction; n > 0 && x % 10 == 0; x /= 10) {
        n--;
    }
    return b->more ? SCALE : n;
}

static bool make(pith_number_form *out, const bound bounds[4], size_t n_whole, size_t n_fraction) {
    uint64_t unit = powers[SCALE - n_fraction];
    pith_decimal most = {powers[n_whole] - 1, powers[SCALE] - unit};
    pith_decimal first = n_fraction > 0 ? (pith_decimal){0, unit} : (pith_decimal){1, 0};
    *out = (pith_number_form){
        .sides = {{{0, 0}, most, false}, {first, most, false}}, /* -0 is none of them */
        .unit = unit,
        .n_whole = (uint8_t)n_whole,
        .n_fraction = (uint8_t)n_fraction,
        .exponent = n_fraction > 0,
    };
    for (size_t i = 0; i < 4; i++) {
        apply(out, &bounds[i], i < 2);
        out->exponent = out->exponent && !bounds[i].given;
    }
    return !out->sides[0].empty || !out->sides[1].empty;
}

bool pith_number_form_make(pith_number_form *out, const pith_number_bounds *bounds, bool integer,
                           const char **problem) {
    const bound read[4] = {read_bound(bounds->minimum, false),
                           read_bound(bounds->exclusive_minimum, true),
                           read_bound(bounds->maximum, false),
                           read_bound(bounds->exclusive_maximum, true)};
    if (integer) {
        *problem = "no integer of at most 18 digits lies within the bounds";
        return make(out, read, INTEGER_DIGITS, 0);
    }
    size_t n_fraction = FEW_FRACTION;
    for (size_t i = 0; i < 4; i++) {
        size_t n = read[i].given && !read[i].huge ? fraction_digits(&read[i]) : 0;
        n_fraction = n > n_fraction ? n : n_fraction;
    }
    *problem = "no number of at most 15 digits before and behind the point lies within the bounds";
    return make(out, read, SIGNIFICANT, n_fraction) || make(out, read, SIGNIFICANT, SCALE);
}

/* ---- Digits ---------------------------------------------------------------------------------- */

enum { BEGIN, SIGNED, WHOLE, POINT, FRACTION, EXPONENT, EXPONENT_SIGN, EXPONENT_1, EXPONENT_2 };

/* True when some number of the form lies within least..most. All ends are numbers of the form, or
 * beyond all of them, so that an overlap holds one. */
static bool meets(const pith_number_form *form, bool negative, pith_decimal least,
                  pith_decimal most) {
    const pith_decimal_interval *side = &form->sides[negative];
    return !side->empty && compare(least, side->most) <= 0 && compare(most, side->least) >= 0;
}

/* True when the digits of `whole` can go on to a number of the form: by none or more of them in
 * front of the point, and any behind it. */
static bool leads_on(const pith_number_form *form, bool negative, uint64_t whole) {
    size_t n = n_digits(whole);
    n = n > 0 ? n : 1;
    for (size_t k = 0; n + k <= form->n_whole; k++) {
        pith_decimal least = {whole * powers[k], 0};
        pith_decimal most = {least.whole + powers[k] - 1, powers[SCALE] - form->unit};
        if (meets(form, negative, least, most)) {
            return true;
        }
        if (whole == 0) {
            return false;
        }
    }
    return false;
}

static bool step_whole(const pith_number_form *form, pith_number_state *s, uint64_t digit) {
    bool first = s->phase != WHOLE;
    if (!first && s->value.whole == 0) {
        return false; /* no digit follows a leading zero */
    }
    uint64_t whole = s->value.whole * 10 + digit;
    if (n_digits(whole) > form->n_whole || !leads_on(form, s->negative, whole)) {
        return false;
    }
    s->value.whole = whole;
    s->phase = WHOLE;
    return true;
}

static bool step_fraction(const pith_number_form *form, pith_number_state *s, uint64_t digit) {
    if (s->n_fraction == form->n_fraction) {
        return false;
    }
    uint64_t place = powers[SCALE - 1 - s->n_fraction];
    pith_decimal least = {s->value.whole, s->value.fraction + digit * place};
    pith_decimal most = {least.whole, least.fraction + place - form->unit};
    if (!meets(form, s->negative, least, most)) {
        return false;
    }
    s->value = least;
    s->n_fraction++;
    s->phase = FRACTION;
    return true;
}

static bool step_digit(const pith_number_form *form, pith_number_state *s, uint64_t digit) {
    switch (s->phase) {
    case BEGIN:
    case SIGNED:
    case WHOLE:
        return step_whole(form, s, digit);
    case POINT:
    case FRACTION:
        return step_fraction(form, s, digit);
    case EXPONENT_1:
        s->phase = EXPONENT_2;
        return true;
    case EXPONENT_2:
        return false;
    default:
        s->phase = EXPONENT_1;
        return true;
    }
}

static bool step_point(const pith_number_form *form, pith_number_state *s) {
    const pith_decimal most = {s->value.whole, powers[SCALE] - form->unit};
    if (s->phase != WHOLE || form->n_fraction == 0 || !meets(form, s->negative, s->value, most)) {
        return false;
    }
    s->phase = POINT;
    return true;
}

bool pith_number_step(const pith_number_form *form, pith_number_state *s, unsigned char byte) {
    if (byte >= '0' && byte <= '9') {
        return step_digit(form, s, (uint64_t)(byte - '0'));
    }
    switch (byte) {
    case '-':
        if (s->phase == EXPONENT) {
            s->phase = EXPONENT_SIGN;
            return true;
        }
        if (s->phase != BEGIN || form->sides[1].empty) {
            return false;
        }
        s->negative = true;
        s->phase = SIGNED;
        return true;
    case '+':
        if (s->phase != EXPONENT) {
            return false;
        }
        s->phase = EXPONENT_SIGN;
        return true;
    case '.':
        return step_point(form, s);
    case 'e':
    case 'E':
        if (!form->exponent || (s->phase != WHOLE && s->phase != FRACTION)) {
            return false;
        }
        s->phase = EXPONENT;
        return true;
    default:
        return false;
    }
}

bool pith_number_is_whole(const pith_number_form *form, const pith_number_state *s) {
    switch (s->phase) {
    case WHOLE:
    case FRACTION:
        return meets(form, s->negative, s->value, s->value);
    case EXPONENT_1:
    case EXPONENT_2:
        return true;
    default:
        return false;
    }
}
