/* GPT-2's byte alphabet (Radford et al. 2019, as released): every byte is a printable character.
 * Printable Latin-1 characters are themselves, the other bytes follow in order from U+0100. */
#include "tokenizer/internal.h"

#include "base/utf8.h"

static bool is_printable(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte != 0xAD);
}

/* The bytes that are not printable, in order: 0x00..0x20, 0x7F..0xA0, 0xAD. */
static uint32_t code_of(unsigned byte) {
    return is_printable(byte) ? byte
           : byte <= ' '      ? 0x100 + byte
           : byte != 0xAD     ? 0x121 + (byte - 0x7F)
                              : 0x143;
}

int pith_alphabet_byte(uint32_t code) {
    if (code < 0x100) {
        return is_printable(code) ? (int)code : -1;
    }
    return code <= 0x120   ? (int)(code - 0x100)
           : code <= 0x142 ? (int)(code - 0x121 + 0x7F)
           : code == 0x143 ? 0xAD
                           : -1;
}

size_t pith_alphabet_encode(const char *text, size_t n, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += pith_utf8_encode(code_of((unsigned char)text[i]), out + size);
    }
    return size;
}

size_t pith_alphabet_decode(const char *text, size_t n, char *out) {
    size_t size = 0;
    size_t length;
    for (size_t i = 0; i < n; i += length) {
        length = pith_utf8_length(text[i]);
        out[size++] = (char)pith_alphabet_byte(pith_utf8_decode(text + i));
    }
    return size;
}
