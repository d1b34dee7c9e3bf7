/* Numbers as Python reads and shows them, in every locale. */
#include "tokenizer/jinja_parts.h"

#include "base/utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Removes white space around a number and underscores between its digits, as int() and float() do;
 * writes what is left, NUL-terminated, to out [size]. */
static bool clean(const char *text, size_t n, char *out, size_t size) {
    while (n > 0 && pith_jinja_is_space(pith_utf8_decode(text))) {
        size_t first = pith_utf8_length(*text);
        text += first;
        n -= first;
    }
    while (n > 0) {
        size_t last = pith_utf8_before(text, n);
        if (!pith_jinja_is_space(pith_utf8_decode(text + last))) {
            break;
        }
        n = last;
    }
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        bool between = i > 0 && i + 1 < n && isalnum((unsigned char)text[i - 1]) &&
                       isalnum((unsigned char)text[i + 1]);
        if (text[i] == '_' && between) {
            continue;
        }
        if (used + 1 >= size || text[i] == '\0') {
            return false;
        }
        out[used++] = text[i];
    }
    out[used] = '\0';
    return used > 0;
}

/* True for [+-] digits [. digits] [e [+-] digits], one digit at least before the exponent. */
static bool is_decimal(const char *s) {
    s += *s == '+' || *s == '-';
    size_t digits = 0;
    for (; isdigit((unsigned char)*s); s++) {
        digits++;
    }
    if (*s == '.') {
        for (s++; isdigit((unsigned char)*s); s++) {
            digits++;
        }
    }
    if (digits == 0) {
        return false;
    }
    if (*s == 'e' || *s == 'E') {
        s++;
        s += *s == '+' || *s == '-';
        if (!isdigit((unsigned char)*s)) {
            return false;
        }
        while (isdigit((unsigned char)*s)) {
            s++;
        }
    }
    return *s == '\0';
}

static bool named_real(const char *s, double *out) {
    bool negative = *s == '-';
    s += *s == '+' || *s == '-';
    char lower[16] = "";
    for (size_t i = 0; i + 1 < sizeof lower && s[i] != '\0'; i++) {
        lower[i] = (char)tolower((unsigned char)s[i]);
    }
    if (strcmp(lower, "inf") == 0 || strcmp(lower, "infinity") == 0) {
        *out = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (strcmp(lower, "nan") == 0) {
        *out = (double)NAN;
        return true;
    }
    return false;
}

bool pith_jinja_read_real(const char *text, size_t n, double *out) {
    char digits[PITH_JSON_MAX_NUMBER + 2];
    if (!clean(text, n, digits, PITH_JSON_MAX_NUMBER)) {
        return false;
    }
    if (named_real(digits, out)) {
        return true;
    }
    if (!is_decimal(digits)) {
        return false;
    }
    /* The JSON reader rounds correctly in every locale. It does not validate here, and reads up to
     * a character that may follow a number in JSON. */
    const char *plain = digits + (*digits == '+');
    char sure[PITH_JSON_MAX_NUMBER + 4];
    bool negative = *plain == '-';
    snprintf(sure, sizeof sure, "0%s ", plain + negative);
    double value = 0;
    if (!pith_json_number((pith_json){sure}, &value)) {
        return false;
    }
    *out = negative ? -value : value;
    return true;
}

bool pith_jinja_read_int(const char *text, size_t n, int base, int64_t *out, bool *large) {
    char digits[PITH_JSON_MAX_NUMBER];
    *large = false;
    if (!clean(text, n, digits, sizeof digits)) {
        return false;
    }
    bool negative = digits[0] == '-';
    const char *s = digits + (digits[0] == '-' || digits[0] == '+');
    char prefix = (char)tolower((unsigned char)(s[0] == '0' ? s[1] : '\0'));
    if ((base == 16 && prefix == 'x') || (base == 8 && prefix == 'o') ||
        (base == 2 && prefix == 'b')) {
        s += 2;
    }
    uint64_t value = 0;
    bool any = false;
    for (; *s != '\0'; s++, any = true) {
        int c = tolower((unsigned char)*s);
        int digit = isdigit(c) ? c - '0' : isalpha(c) ? c - 'a' + 10 : 99;
        if (digit >= base) {
            return false;
        }
        *large = *large || value > ((uint64_t)INT64_MAX - (uint64_t)digit) / (uint64_t)base;
        value = value * (uint64_t)base + (uint64_t)digit;
    }
    if (!any || *large) {
        return false;
    }
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

/* The fewest digits that read back as the same number; *exponent is that of the first digit. */
static size_t shortest(double v, char *digits, int *exponent) {
    char text[PITH_JINJA_REAL_SIZE];
    for (int n = 0; n < 17; n++) {
        snprintf(text, sizeof text, "%.*e", n, v);
        /* Any locale's decimal point is one byte or more behind the first digit. */
        const char *e = strchr(text, 'e');
        size_t count = 0;
        for (const char *s = text; s < e; s++) {
            if (isdigit((unsigned char)*s)) {
                digits[count++] = *s;
            }
        }
        digits[count] = '\0';
        *exponent = (int)strtol(e + 1, NULL, 10);
        char again[2 * PITH_JINJA_REAL_SIZE];
        snprintf(again, sizeof again, "%c.%se%d ", digits[0], count > 1 ? digits + 1 : "0",
                 *exponent);
        double back = 0;
        if (pith_json_number((pith_json){again}, &back) && back == v) {
            return count;
        }
    }
    return strlen(digits);
}

size_t pith_jinja_show_real(double v, char *out) {
    if (isnan(v) || isinf(v)) {
        return (size_t)snprintf(out, PITH_JINJA_REAL_SIZE, "%s",
                                isnan(v) ? "nan"
                                : v < 0  ? "-inf"
                                         : "inf");
    }
    char digits[PITH_JINJA_REAL_SIZE];
    int exponent = 0;
    size_t n = 1;
    digits[0] = '0';
    if (v != 0) {
        n = shortest(fabs(v), digits, &exponent);
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    size_t used = 0;
    if (signbit(v)) {
        out[used++] = '-';
    }
    if (exponent < -4 || exponent >= 16) {
        out[used++] = digits[0];
        if (n > 1) {
            out[used++] = '.';
            memcpy(out + used, digits + 1, n - 1);
            used += n - 1;
        }
        return used + (size_t)snprintf(out + used, PITH_JINJA_REAL_SIZE - used, "e%c%02d",
                                       exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        used += (size_t)snprintf(out + used, PITH_JINJA_REAL_SIZE - used, "0.%.*s", -exponent - 1,
                                 "0000");
        memcpy(out + used, digits, n);
        out[used + n] = '\0';
        return used + n;
    }
    for (size_t i = 0; i <= (size_t)exponent || i < n; i++) {
        if (i == (size_t)exponent + 1) {
            out[used++] = '.';
        }
        out[used++] = i < n ? digits[i] : '0';
    }
    if (n <= (size_t)exponent + 1) {
        out[used++] = '.';
        out[used++] = '0';
    }
    out[used] = '\0';
    return used;
}
