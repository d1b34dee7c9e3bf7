/* The JSON reader and writer of base/ against jansson, on documents made by chance. */
#include "tests/json_reference.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

enum { MAX_TEXT = 4096 };

typedef struct document {
    char text[MAX_TEXT];
    size_t n;
    uint64_t state;
} document;

static size_t chance(document *d, size_t n) {
    return (size_t)(test_random(&d->state) % n);
}

static void put(document *d, const char *text) {
    size_t n = strlen(text);
    if (d->n + n <= MAX_TEXT) {
        memcpy(d->text + d->n, text, n);
        d->n += n;
    }
}

static void put_space(document *d) {
    static const char *const spaces[] = {"", "", "", " ", "\n", "\t ", "\r\n"};
    put(d, spaces[chance(d, sizeof spaces / sizeof *spaces)]);
}

static void put_string(document *d) {
    static const char *const parts[] = {"a",
                                        "key",
                                        "\xc3\xa9",
                                        "\xe2\x96\x81",
                                        "\xf0\x9f\x98\x80",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\/",
                                        "\\u0041",
                                        "\\u00e9",
                                        "\\u2581",
                                        "\\ud83d\\ude00",
                                        "\\u0007",
                                        "\x7f",
                                        "0",
                                        "1",
                                        "2",
                                        "a long piece of text",
                                        "{[,:]}"};
    put(d, "\"");
    for (size_t n = chance(d, 4); n > 0; n--) {
        put(d, parts[chance(d, sizeof parts / sizeof *parts)]);
    }
    put(d, "\"");
}

static void put_scalar(document *d) {
    static const char *const scalars[] = {"true", "false",     "null",
                                          "0",    "-0",        "1",
                                          "-17",  "0.5",       "-1.25e3",
                                          "1E-7", "2e+10",     "9223372036854775807",
                                          "1e5",  "123456",    "-0.0",
                                          "1e22", "0.1000000", "-9223372036854775808"};
    if (chance(d, 3) == 0) {
        put_string(d);
    } else {
        put(d, scalars[chance(d, sizeof scalars / sizeof *scalars)]);
    }
}

static void put_value(document *d, size_t depth) {
    size_t kind = chance(d, depth == 0 ? 2 : depth > 5 ? 9 : 4);
    if (kind > 1) {
        put_scalar(d);
        return;
    }
    put(d, kind == 0 ? "{" : "[");
    for (size_t n = chance(d, 5), i = 0; i < n; i++) {
        put(d, i > 0 ? "," : "");
        put_space(d);
        if (kind == 0) {
            put_string(d);
            put_space(d);
            put(d, ":");
            put_space(d);
        }
        put_value(d, depth + 1);
        put_space(d);
    }
    put(d, kind == 0 ? "}" : "]");
}

/* Most are valid JSON, many with a key twice; every third has bytes changed, cut or added. */
static void make_document(document *d, uint64_t seed) {
    static const char marks[] = "{}[],:\"\\0u1-.eE \n\x01\xff";
    d->n = 0;
    d->state = seed;
    put_space(d);
    put_value(d, 0);
    put_space(d);
    for (size_t n = seed % 3 == 0 ? 1 + chance(d, 3) : 0; n > 0; n--) {
        size_t at = chance(d, d->n);
        if (chance(d, 3) == 0) {
            d->n = at + 1;
        }
        d->text[at] = marks[chance(d, sizeof marks - 1)];
    }
}

TEST(json_reference, agrees_on_documents_made_by_chance) {
    static document d;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        make_document(&d, seed);
        const char *problem = test_json_compare(d.text, d.n);
        CHECK(problem == NULL, "seed %llu: %s: %.*s", (unsigned long long)seed, problem, (int)d.n,
              d.text);
    }
}

TEST(json_reference, agrees_on_the_edges) {
    static const char *const texts[] = {"",
                                        "{}",
                                        "[]",
                                        "3",
                                        "\"a\"",
                                        "[1e999]",
                                        "[1e-999]",
                                        "[NaN]",
                                        "[-0]",
                                        "[-0.0]",
                                        "[1.0]",
                                        "[1e400]",
                                        "[0e0]",
                                        "{\"\":1}",
                                        "[\"\"]",
                                        "[\"\\u0000\"]",
                                        "[\"a\\u0000b\"]",
                                        "[\"\\ud800\"]",
                                        "[\"\\udc00\"]",
                                        "{\"a\":1,\"a\":2}",
                                        "{\"\\u0061\":1,\"a\":2}",
                                        "[9223372036854775808]",
                                        "[-9223372036854775809]",
                                        "[4.9e-324]",
                                        "[1.7976931348623157e308]",
                                        "[1.7976931348623159e308]",
                                        "[0.1]",
                                        "[2.2250738585072011e-308]",
                                        "[\"\\uD834\\uDD1E\"]",
                                        "[\"\\/\"]",
                                        "[\"\x7f\"]",
                                        "\xef\xbb\xbf[]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        const char *problem = test_json_compare(texts[i], strlen(texts[i]));
        CHECK(problem == NULL, "%s: %s", texts[i], problem);
    }
    static char deep[2 * 200 + 1];
    for (size_t n = 126; n < 131; n++) {
        memset(deep, '[', n);
        memset(deep + n, ']', n);
        const char *problem = test_json_compare(deep, 2 * n);
        CHECK(problem == NULL, "depth %zu: %s", n, problem);
    }
}
