/* The shortest decimal form of a float, by trial in double arithmetic.
 *
 * x = v / 10^p is tried with v of 6, 7, 8 and 9 digits; any float survives 9. v and 10^p (p <= 22)
 * are exact doubles, so their quotient is the decimal number correctly rounded to a double.
 * Rounding that again to a float might differ from rounding the decimal number itself, when the
 * double lies next to the middle between two floats: both neighbours of the double must give x too.
 * An answer with 1,000 embeddings has 384,000 numbers: 30 ms, where trials with printf and strtof
 * take 250 ms.
 */
#include "server/float_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
    LEAST_DIGITS = 6, /* that every float survives the way from decimal and back with */
    MOST_DIGITS = 9,  /* that every float needs at most */
    MOST_POWER = 22,  /* of 10 that is an exact double */
    LEAST_PLAIN = -5, /* decimal exponents of numbers that are written without an exponent */
    MOST_PLAIN = 8,
};

static const double powers[MOST_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
};

/* v x 10^-power, correctly rounded. */
static double scale(double v, int power) {
    return power >= 0 ? v / powers[power] : v * powers[-power];
}

static bool reads_back(double decimal, float x) {
    return (float)decimal == x && (float)(decimal * (1 - 0x1p-52)) == x &&
           (float)(decimal * (1 + 0x1p-52)) == x;
}

/* The decimal exponent of x > 0: 10^e <= x < 10^(e + 1), or one off next to a power of 10. */
static int exponent_of(double x) {
    return (int)floor(log10(x));
}

/* Digits v and exponent *e with x = v x 10^*e; false when x is beyond the exact powers. */
static bool find_digits(float x, uint32_t *v, int *e) {
    int exponent = exponent_of((double)x);
    for (int n = LEAST_DIGITS; n <= MOST_DIGITS; n++) {
        int power = n - 1 - exponent;
        if (power > MOST_POWER || power < -MOST_POWER) {
            return false;
        }
        double digits = rint(scale((double)x, -power));
        if (reads_back(scale(digits, power), x)) {
            *v = (uint32_t)digits; /* at most 10^9 */
            *e = -power;
            return true;
        }
    }
    return false;
}

/* Writes digits [n], of which the first stands for 10^exponent. */
static size_t write_plain(const char *digits, int n, int exponent, char *out) {
    size_t size = 0;
    if (exponent < 0) {
        out[size++] = '0';
        out[size++] = '.';
        for (int i = -1; i > exponent; i--) {
            out[size++] = '0';
        }
    }
    for (int i = 0; i < n || i <= exponent; i++) {
        out[size++] = i < n ? digits[i] : '0';
        if (i == exponent) {
            out[size++] = '.';
        }
    }
    if (exponent >= 0 && n <= exponent + 1) {
        out[size++] = '0';
    }
    out[size] = '\0';
    return size;
}

static size_t write_digits(uint32_t v, int e, char *out) {
    char digits[16] = {0};
    int n = 0;
    while (v % 10 == 0) {
        v /= 10;
        e++;
    }
    for (uint32_t rest = v; rest != 0; rest /= 10) {
        n++;
    }
    for (int i = n - 1; i >= 0; i--) {
        digits[i] = (char)('0' + v % 10);
        v /= 10;
    }
    int exponent = e + n - 1;
    if (exponent >= LEAST_PLAIN && exponent <= MOST_PLAIN) {
        return write_plain(digits, n, exponent, out);
    }
    size_t size = 0;
    out[size++] = digits[0];
    if (n > 1) {
        out[size++] = '.';
        memcpy(out + size, digits + 1, (size_t)n - 1);
        size += (size_t)n - 1;
    }
    return size + (size_t)snprintf(out + size, PITH_FLOAT_TEXT - size, "e%d", exponent);
}

/* As printf has it, with a point whatever the locale's is. */
static size_t write_printed(float x, char *out) {
    char text[PITH_FLOAT_TEXT];
    size_t size = 0;
    snprintf(text, sizeof text, "%.8e", (double)x);
    for (const char *at = text; *at != '\0'; at++) {
        bool kept = (*at >= '0' && *at <= '9') || *at == 'e' || *at == '-' || *at == '+';
        if (kept) {
            out[size++] = *at;
        } else if (size > 0 && out[size - 1] != '.') { /* a point may have several bytes */
            out[size++] = '.';
        }
    }
    out[size] = '\0';
    return size;
}

size_t pith_float_text(float x, char *out) {
    uint32_t v;
    int e;
    if (x == 0) {
        return (size_t)snprintf(out, PITH_FLOAT_TEXT, "%s", signbit(x) ? "-0.0" : "0.0");
    }
    out[0] = '-';
    size_t sign = x < 0 ? 1 : 0;
    if (!find_digits(fabsf(x), &v, &e)) {
        return write_printed(x, out);
    }
    return sign + write_digits(v, e, out + sign);
}
