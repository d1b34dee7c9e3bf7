/* Escapes in option values, as printf and most languages have them. */
#include "cli/cli.h"

#include <string.h>

#include "base/utf8.h"

/* Reads n hexadecimal digits; false when there are fewer. */
static bool read_hex(const char *text, size_t n, unsigned *out) {
    unsigned value = 0;
    for (size_t i = 0; i < n; i++) {
        static const char digits[] = "0123456789abcdef";
        char c = text[i] >= 'A' && text[i] <= 'F' ? (char)(text[i] | 0x20) : text[i];
        const char *found = c != '\0' ? strchr(digits, c) : NULL;
        if (found == NULL) {
            return false;
        }
        value = value << 4 | (unsigned)(found - digits);
    }
    *out = value;
    return true;
}

/* Decodes the escape at `from`, which begins with a backslash; returns its length, 0 when it is
 * none. */
static size_t decode(const char *from, char *to, size_t *n_to) {
    static const char names[] = "ntre\\\"'";
    static const char values[] = "\n\t\r\033\\\"'";
    const char *found = from[1] != '\0' ? strchr(names, from[1]) : NULL;
    unsigned code;
    if (found != NULL) {
        to[0] = values[found - names];
        *n_to = 1;
        return 2;
    }
    if (from[1] == 'x' && read_hex(from + 2, 2, &code) && code != 0) {
        to[0] = (char)code;
        *n_to = 1;
        return 4;
    }
    if (from[1] == 'u' && read_hex(from + 2, 4, &code) && code != 0 &&
        (code < 0xD800 || code > 0xDFFF)) {
        *n_to = pith_utf8_encode(code, to);
        return 6;
    }
    return 0;
}

pith_status pith_cli_unescape(char *text, pith_error *error) {
    char *to = text;
    for (const char *from = text; *from != '\0';) {
        if (*from != '\\') {
            *to++ = *from++;
            continue;
        }
        char bytes[4];
        size_t n = 0;
        size_t length = decode(from, bytes, &n);
        if (length == 0) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "'%.6s' is no escape: \\n, \\t, \\r, \\e, \\\\, \\\", \\', \\xHH and "
                             "\\uHHHH are",
                             from);
        }
        memcpy(to, bytes, n);
        to += n;
        from += length;
    }
    *to = '\0';
    return PITH_OK;
}
