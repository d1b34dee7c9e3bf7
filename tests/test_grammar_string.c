/* The inside of strings, against the JSON reader and for every character. */
#include "grammar/string_lex.h"

#include <string.h>

#include "base/json.h"
#include "base/memory.h"
#include "tests/support.h"
#include "tests/test.h"

/* True when the bytes are the inside of a string, by the JSON reader. */
static bool is_string(const char *inside, size_t n) {
    char document[80];
    pith_json root;
    document[0] = '[';
    document[1] = '"';
    memcpy(document + 2, inside, n);
    document[n + 2] = '"';
    document[n + 3] = ']';
    return pith_json_read(&root, document, n + 4, PITH_JSON_STRICT, "test", &pith_malloc_allocator,
                          NULL) == PITH_OK &&
           pith_json_size(root) == 1;
}

static bool lexes(const char *inside, size_t n) {
    pith_lex lex = PITH_LEX_BETWEEN;
    for (size_t i = 0; i < n; i++) {
        lex = pith_lex_step(lex, (unsigned char)inside[i]);
        if (lex == PITH_LEX_BAD || lex == PITH_LEX_CLOSED) {
            return false;
        }
    }
    return pith_lex_step(lex, '"') == PITH_LEX_CLOSED;
}

TEST(grammar_string, agrees_with_the_json_reader) {
    static const char *const parts[] = {"a",    "\\",   "u",    "\"",   "D",    "d8",   "00",
                                        "\\u",  "DE00", "d83d", "0000", "\\n",  "\xC3", "\xA9",
                                        "\xE0", "\x80", "\xED", "\xA0", "\xF0", "\x90", "\xF4",
                                        "\x8F", "\x1F", "\x7F", "\xC1", "\xF5", "1",    "\xBF"};
    uint64_t random = 5;
    size_t n_good = 0;
    for (size_t i = 0; i < 400000; i++) {
        char text[64];
        size_t n = 0;
        for (size_t k = 1 + test_random(&random) % 6; k > 0; k--) {
            const char *part = parts[test_random(&random) % (sizeof parts / sizeof parts[0])];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        bool expected = is_string(text, n);
        n_good += expected;
        CHECK(lexes(text, n) == expected, "round %zu: \"%.*s\" should be %d", i, (int)n, text,
              expected);
    }
    CHECK(n_good > 1000, "only %zu strings were good", n_good);
}

TEST(grammar_string, every_character) {
    for (uint32_t code = 0x20; code <= 0x10FFFF; code++) {
        unsigned char bytes[4] = {(unsigned char)code};
        size_t n = 1;
        if (code >= 0x10000) {
            bytes[0] = (unsigned char)(0xF0 | code >> 18);
            bytes[1] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
            bytes[2] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
            bytes[3] = (unsigned char)(0x80 | (code & 0x3F));
            n = 4;
        } else if (code >= 0x800) {
            bytes[0] = (unsigned char)(0xE0 | code >> 12);
            bytes[1] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
            bytes[2] = (unsigned char)(0x80 | (code & 0x3F));
            n = 3;
        } else if (code >= 0x80) {
            bytes[0] = (unsigned char)(0xC0 | code >> 6);
            bytes[1] = (unsigned char)(0x80 | (code & 0x3F));
            n = 2;
        }
        bool good = code != '"' && code != '\\' && (code < 0xD800 || code > 0xDFFF);
        CHECK(lexes((const char *)bytes, n) == good, "U+%04X", code);
    }
}
