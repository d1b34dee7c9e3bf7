/* A megabyte of text of the worst kinds through every tokenizer. With anything that takes quadratic
 * time these tests would not end. */
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 1 << 20 };

static size_t repeat(const char *unit, char *out) {
    size_t n = strlen(unit);
    size_t size = 0;
    for (; size + n <= LENGTH; size += n) {
        memcpy(out + size, unit, n);
    }
    return size;
}

/* Random code points of all lengths, without NUL, surrogates and U+2581. */
static size_t random_text(char *out) {
    uint64_t seed = 1;
    size_t size = 0;
    while (size + 4 <= LENGTH) {
        unsigned n_bits = 7 + (unsigned)(test_random(&seed) % 14);
        uint32_t code = (uint32_t)(test_random(&seed) % (1U << n_bits));
        if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) || code == 0x2581) {
            continue;
        }
        if (code < 0x80) {
            out[size++] = (char)code;
        } else if (code < 0x800) {
            out[size++] = (char)(0xC0 | code >> 6);
            out[size++] = (char)(0x80 | (code & 0x3F));
        } else if (code < 0x10000) {
            out[size++] = (char)(0xE0 | code >> 12);
            out[size++] = (char)(0x80 | (code >> 6 & 0x3F));
            out[size++] = (char)(0x80 | (code & 0x3F));
        } else {
            out[size++] = (char)(0xF0 | code >> 18);
            out[size++] = (char)(0x80 | (code >> 12 & 0x3F));
            out[size++] = (char)(0x80 | (code >> 6 & 0x3F));
            out[size++] = (char)(0x80 | (code & 0x3F));
        }
    }
    return size;
}

static void check_round_trip(const pith_tokenizer *t, const char *what, const char *text,
                             size_t n) {
    pith_tokens ids;
    pith_tokens_init(&ids, NULL);
    pith_error error = {0};
    CHECK(pith_encode(t, text, n, 0, &ids, &error) == PITH_OK, "%s: %s", what, error.message);
    char *back = malloc(n + pith_decode_max(t));
    pith_decode_state state;
    pith_decode_begin(&state, false);
    size_t size = 0;
    for (size_t i = 0; i < ids.n; i++) {
        size += pith_decode_push(t, &state, ids.ids[i], back + size);
        CHECK(size <= n, "%s: %zu bytes after %zu tokens, expected %zu in all", what, size, i + 1,
              n);
    }
    size += pith_decode_finish(t, &state, back + size);
    CHECK(size == n && memcmp(back, text, n) == 0, "%s: decoding does not give the text back",
          what);
    free(back);
    pith_tokens_release(&ids);
}

static void check_long_texts(const char *tokenizer) {
    static const char *const units[] = {"a",
                                        "ab",
                                        " ",
                                        "\n",
                                        "  \n",
                                        "\xF0\x9F\x98\x80",
                                        "1",
                                        "'s",
                                        "!",
                                        "\xCC\x80\xCC\xA3",
                                        "\xE4\xBA\xBA",
                                        " a",
                                        "Hello, world! "};
    test_tokenizer t;
    test_tokenizer_open(&t, tokenizer);
    /* The Metaspace form takes a leading space for the prefix and drops it. */
    bool keeps_space = !t.file.vocab.prefix_first_only;
    char *text = malloc(LENGTH);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = repeat(units[i], text);
        if (text[0] != ' ' || keeps_space) {
            check_round_trip(t.tokenizer, units[i], text, n);
        }
    }
    check_round_trip(t.tokenizer, "random", text, random_text(text));
    free(text);
    test_tokenizer_close(&t);
}

TEST(tokenizer, long_texts_by_score) {
    check_long_texts("golden/tokenizers/llama2/tokenizer.model");
}

TEST(tokenizer, long_texts_by_rank) {
    check_long_texts("golden/tokenizers/llama2/tokenizer.json");
}

TEST(tokenizer, long_texts_with_a_small_vocabulary) {
    check_long_texts("golden/llama-gqa/tokenizer.json");
}

TEST(tokenizer, long_texts_byte_level) {
    check_long_texts("golden/tokenizers/gpt2/tokenizer.json");
}

TEST(tokenizer, long_texts_byte_level_with_the_llama3_pattern) {
    check_long_texts("golden/tokenizers/llama3/tokenizer.json");
}
