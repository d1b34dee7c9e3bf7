/* UTF-8 character by character (RFC 3629). */
#ifndef PITH_BASE_UTF8_H
#define PITH_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Looks at the character that bytes [n >= 1] begin with: its length (1 to 4) when it is complete
 * and valid, 0 when all n bytes are a proper beginning of a valid character, -1 when no valid
 * character begins so. */
int pith_utf8_scan(const unsigned char *bytes, size_t n);

/* Length of the character that begins with this byte, in text known to be valid. */
static inline size_t pith_utf8_length(char lead) {
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
}

/* Code point of the character at `text`, in text known to be valid. */
uint32_t pith_utf8_decode(const char *text);

/* Writes the character `code` to `to` [4]; returns its length, 1 to 4. */
size_t pith_utf8_encode(uint32_t code, char *to);

/* Start of the character that ends before text[end], in text known to be valid; end > 0. */
size_t pith_utf8_before(const char *text, size_t end);

/* Validates UTF-8 (RFC 3629: no surrogates, no overlong forms): the offset of the first bad byte,
 * or n_bytes. */
size_t pith_utf8_check(const char *text, size_t n_bytes);

#endif
