/* UTF-8 validation and decoding (RFC 3629, table 3-7 of the Unicode standard). */
#include "base/utf8.h"

#include <string.h>

/* The range of the second byte after a given first byte; further bytes are 80..BF. */
typedef struct lead_rule {
    unsigned char first, last; /* lead bytes */
    unsigned char length;
    unsigned char low, high; /* second byte */
} lead_rule;

static const lead_rule lead_rules[] = {
    {0xC2, 0xDF, 2, 0x80, 0xBF}, {0xE0, 0xE0, 3, 0xA0, 0xBF}, {0xE1, 0xEC, 3, 0x80, 0xBF},
    {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF}, {0xF0, 0xF0, 4, 0x90, 0xBF},
    {0xF1, 0xF3, 4, 0x80, 0xBF}, {0xF4, 0xF4, 4, 0x80, 0x8F},
};

int pith_utf8_scan(const unsigned char *bytes, size_t n) {
    if (bytes[0] < 0x80) {
        return 1;
    }
    for (size_t i = 0; i < sizeof lead_rules / sizeof lead_rules[0]; i++) {
        const lead_rule *rule = &lead_rules[i];
        if (bytes[0] < rule->first || bytes[0] > rule->last) {
            continue;
        }
        if (n > 1 && (bytes[1] < rule->low || bytes[1] > rule->high)) {
            return -1;
        }
        for (size_t k = 2; k < n && k < rule->length; k++) {
            if ((bytes[k] & 0xC0) != 0x80) {
                return -1;
            }
        }
        return n < rule->length ? 0 : rule->length;
    }
    return -1;
}

size_t pith_utf8_check(const char *text, size_t n_bytes) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t i = 0;
    while (i < n_bytes) {
        uint64_t eight;
        if (n_bytes - i >= sizeof eight) {
            memcpy(&eight, bytes + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        int length = pith_utf8_scan(bytes + i, n_bytes - i);
        if (length <= 0) {
            return i;
        }
        i += (size_t)length;
    }
    return n_bytes;
}

uint32_t pith_utf8_decode(const char *text) {
    const unsigned char *b = (const unsigned char *)text;
    switch (pith_utf8_length(text[0])) {
    case 1:
        return b[0];
    case 2:
        return (uint32_t)(b[0] & 0x1F) << 6 | (b[1] & 0x3F);
    case 3:
        return (uint32_t)(b[0] & 0x0F) << 12 | (uint32_t)(b[1] & 0x3F) << 6 | (b[2] & 0x3F);
    default:
        return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3F) << 12 |
               (uint32_t)(b[2] & 0x3F) << 6 | (b[3] & 0x3F);
    }
}

size_t pith_utf8_encode(uint32_t code, char *to) {
    static const unsigned lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--) {
        to[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    to[0] = (char)(lead[n] | code);
    return n;
}

size_t pith_utf8_before(const char *text, size_t end) {
    size_t i = end - 1;
    while (i > 0 && ((unsigned char)text[i] & 0xC0) == 0x80) {
        i--;
    }
    return i;
}
