/* The JSON reader and writer of base/. */
#include "base/json.h"
#include "base/json_write.h"
#include "base/memory.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads a copy that ends right before an inaccessible page. */
static pith_status read_guarded(pith_json *root, char **text, const char *source, size_t n,
                                pith_json_mode mode, pith_error *error) {
    *text = test_guarded(n);
    memcpy(*text, source, n);
    return pith_json_read(root, *text, n, mode, "doc", &pith_malloc_allocator, error);
}

static bool accepts(const char *source, size_t n, pith_json_mode mode, pith_error *error) {
    pith_json root;
    char *text;
    pith_status status = read_guarded(&root, &text, source, n, mode, error);
    test_guarded_free(text, n);
    return status == PITH_OK;
}

TEST(json, documents_of_every_kind_are_read) {
    static const char source[] =
        " {\"a\" : [1, -2.5e3, \"x\\ny\", true, false, null, {}, []],\r\n\t\"b\":{\"c\":\"\"},"
        "\"\\u00e9\\ud83d\\ude00\":\"\\\"\\\\\\/\\b\\f\\r\\t\"} ";
    pith_json root;
    char *text;
    pith_error error;
    pith_status status =
        read_guarded(&root, &text, source, sizeof source - 1, PITH_JSON_STRICT, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_json a = pith_json_get(root, "a");
    static const pith_json_kind kinds[] = {PITH_JSON_NUMBER, PITH_JSON_NUMBER, PITH_JSON_STRING,
                                           PITH_JSON_BOOL,   PITH_JSON_BOOL,   PITH_JSON_NULL,
                                           PITH_JSON_OBJECT, PITH_JSON_ARRAY,  PITH_JSON_ABSENT};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        CHECK(pith_json_kind_of(pith_json_at(a, i)) == kinds[i], "element %zu is %s", i,
              pith_json_describe(pith_json_at(a, i)));
    }
    CHECK(pith_json_size(a) == 8 && pith_json_size(root) == 3, "%zu elements, %zu members",
          pith_json_size(a), pith_json_size(root));
    CHECK(strcmp(pith_json_text(pith_json_at(a, 2)), "x\ny") == 0, "a[2]");
    pith_json c = pith_json_get(pith_json_get(root, "b"), "c");
    CHECK(pith_json_is_text(c, "") && pith_json_text_size(c) == 0, "b.c is not empty");
    pith_json last = pith_json_get(root, "\xc3\xa9\xf0\x9f\x98\x80");
    CHECK(pith_json_is_text(last, "\"\\/\b\f\r\t"), "escapes: %s", pith_json_describe(last));
    CHECK(pith_json_get(a, "x").at == NULL && pith_json_at(root, 0).at == NULL, "wrong kinds");
    test_guarded_free(text, sizeof source - 1);
}

TEST(json, what_is_no_json_is_refused_with_its_place) {
    static const struct {
        const char *text;
        const char *expected; /* in the message */
    } cases[] = {
        {"", "line 1, column 1: neither an object nor an array"},
        {"  ", "column 3: neither an object"},
        {"3", "neither an object"},
        {"{", "no key"},
        {"[", "neither a value"},
        {"[1", "not complete"},
        {"[1,", "neither a value"},
        {"[1,]", "neither a value"},
        {"[1 2]", "no comma or end"},
        {"[1}", "no comma or end"},
        {"{\"a\":1]", "no comma or end"},
        {"{\"a\"1}", "no colon"},
        {"{\"a\":}", "neither a value"},
        {"{\"a\":1,}", "no key"},
        {"{a:1}", "no key"},
        {"{1:1}", "no key"},
        {"[\n\n  \"a\n\"]", "line 3, column 5: a control character"},
        {"[\"a", "a string without an end"},
        {"[\"\\", "an unknown escape"},
        {"[\"\\u12", "four hexadecimal digits"},
        {"[\"\\u12g4\"]", "four hexadecimal digits"},
        {"[\"\\x\"]", "an unknown escape"},
        {"[\"\\ud800\"]", "surrogate"},
        {"[\"\\ud800\\u0041\"]", "surrogate"},
        {"[\"\\udc00\\ud800\"]", "surrogate"},
        {"[\"\xff\"]", "invalid UTF-8"},
        {"[\"\xc0\x80\"]", "invalid UTF-8"},
        {"[\"\xed\xa0\x80\"]", "invalid UTF-8"},
        {"[\"\xe2\x82", "invalid UTF-8"},
        {"[01]", "neither a value"},
        {"[-]", "neither a value"},
        {"[1.]", "neither a value"},
        {"[.5]", "neither a value"},
        {"[1e]", "neither a value"},
        {"[1e+]", "neither a value"},
        {"[+1]", "neither a value"},
        {"[0x10]", "no comma"},
        {"[tru]", "neither a value"},
        {"[truex]", "no comma"},
        {"[1] 2", "behind the end"},
        {"[]]", "behind the end"},
        {"\xef\xbb\xbf[]", "neither an object"},
        {"[1]\xff", "behind the end"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int mode = PITH_JSON_STRICT; mode <= PITH_JSON_PYTHON; mode++) {
            pith_error error = {0};
            bool read = accepts(cases[i].text, strlen(cases[i].text), (pith_json_mode)mode, &error);
            CHECK(!read && error.status == PITH_ERROR_FORMAT, "%s is accepted", cases[i].text);
            CHECK(strstr(error.message, cases[i].expected) != NULL, "%s: %s, not %s", cases[i].text,
                  error.message, cases[i].expected);
        }
    }
    pith_error error;
    CHECK(!accepts("[1]\0", 4, PITH_JSON_STRICT, &error), "a NUL at the end is accepted");
}

TEST(json, modes_differ_where_python_does) {
    static const char *const loose[] = {"{\"a\":1,\"a\":2}", "[NaN]",
                                        "[Infinity]",        "[-Infinity]",
                                        "[\"\\u0000\"]",     "[{\"x\":[{\"\":1,\"\":2}]}]"};
    for (size_t i = 0; i < sizeof loose / sizeof *loose; i++) {
        pith_error error;
        CHECK(!accepts(loose[i], strlen(loose[i]), PITH_JSON_STRICT, &error), "strict: %s",
              loose[i]);
        CHECK(accepts(loose[i], strlen(loose[i]), PITH_JSON_PYTHON, &error), "Python: %s: %s",
              loose[i], error.message);
    }
    pith_error error;
    CHECK(!accepts("[-NaN]", 6, PITH_JSON_PYTHON, &error), "-NaN");
}

TEST(json, of_equal_keys_the_last_one_counts) {
    static const char source[] = "{\"a\": {\"b\":[1,2], \"b\":3} ,\"c\":1, \"a\":\"x,}\",\"c\":2,"
                                 "\"a\":[4],\"\\u0061\":5,\"d\":6}";
    pith_json root;
    char *text;
    pith_error error;
    pith_status status =
        read_guarded(&root, &text, source, sizeof source - 1, PITH_JSON_PYTHON, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    static const char *const keys[] = {"c", "a", "d"};
    static const int64_t values[] = {2, 5, 6};
    size_t n = 0;
    pith_json_walk walk = pith_json_begin(root);
    for (; pith_json_next(&walk); n++) {
        int64_t value = -1;
        CHECK(n < 3 && strcmp(walk.key, keys[n]) == 0, "member %zu is %s", n, walk.key);
        CHECK(pith_json_integer(walk.value, &value) && value == values[n], "%s is %lld", walk.key,
              (long long)value);
    }
    CHECK(n == 3, "%zu members", n);
    test_guarded_free(text, sizeof source - 1);
}

TEST(json, nul_inside_strings_keeps_its_place) {
    static const char source[] = "{\"\\u0000k\":\"a\\u0000\\n\",\"b\":\"\\u0000\"}";
    pith_json root;
    char *text;
    pith_error error;
    pith_status status =
        read_guarded(&root, &text, source, sizeof source - 1, PITH_JSON_PYTHON, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_json_walk walk = pith_json_begin(root);
    CHECK(pith_json_next(&walk) && walk.key_size == 2 && memcmp(walk.key, "\0k", 3) == 0, "a key");
    CHECK(pith_json_text_size(walk.value) == 3 &&
              memcmp(pith_json_text(walk.value), "a\0\n", 4) == 0,
          "a string of %zu bytes", pith_json_text_size(walk.value));
    CHECK(pith_json_next(&walk) && pith_json_text_size(walk.value) == 1, "the next string");
    CHECK(!pith_json_next(&walk), "a third member");
    test_guarded_free(text, sizeof source - 1);
}

TEST(json, numbers_are_read_when_asked_for) {
    static const struct {
        const char *text;
        bool integer; /* within int64_t */
        int64_t value;
        double number;
    } cases[] = {
        {"0", true, 0, 0.0},
        {"-0", true, 0, -0.0},
        {"42", true, 42, 42.0},
        {"-7", true, -7, -7.0},
        {"9223372036854775807", true, INT64_MAX, 9223372036854775807.0},
        {"-9223372036854775808", true, INT64_MIN, -9223372036854775808.0},
        {"9223372036854775808", false, 0, 9223372036854775808.0},
        {"-9223372036854775809", false, 0, -9223372036854775809.0},
        {"1000000000000000019884624838656", false, 0, 1e30},
        {"1.5", false, 0, 1.5},
        {"1.0", false, 0, 1.0},
        {"1e3", false, 0, 1000.0},
        {"12.25E-2", false, 0, 0.1225},
        {"0.1", false, 0, 0.1},
        {"1e-6", false, 0, 1e-6},
        {"2.2250738585072014e-308", false, 0, 2.2250738585072014e-308},
        {"4.9e-324", false, 0, 4.9e-324},
        {"1e999", false, 0, HUGE_VAL},
        {"-1e99999999999999999999", false, 0, -HUGE_VAL},
        {"1e-99999999999999999999", false, 0, 0.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char source[64];
        pith_error error;
        pith_json root;
        char *text;
        size_t n = (size_t)snprintf(source, sizeof source, "[%s]", cases[i].text);
        CHECK(read_guarded(&root, &text, source, n, PITH_JSON_STRICT, &error) == PITH_OK, "%s",
              error.message);
        pith_json value = pith_json_at(root, 0);
        int64_t integer = 77;
        size_t count = 77;
        double number = 77;
        CHECK(pith_json_integer(value, &integer) == cases[i].integer, "%s", cases[i].text);
        CHECK(integer == (cases[i].integer ? cases[i].value : 77), "%s: %lld", cases[i].text,
              (long long)integer);
        CHECK(pith_json_count(value, &count) == (cases[i].integer && cases[i].value >= 0), "%s",
              cases[i].text);
        CHECK(pith_json_number(value, &number) && number == cases[i].number &&
                  signbit(number) == signbit(cases[i].number),
              "%s: %.17g", cases[i].text, number);
        test_guarded_free(text, n);
    }
}

TEST(json, depth_and_numbers_are_bounded) {
    char deep[2 * PITH_JSON_MAX_DEPTH + 2];
    pith_error error;
    memset(deep, '[', PITH_JSON_MAX_DEPTH + 1);
    memset(deep + PITH_JSON_MAX_DEPTH + 1, ']', PITH_JSON_MAX_DEPTH + 1);
    CHECK(accepts(deep + 1, sizeof deep - 2, PITH_JSON_STRICT, &error), "%s", error.message);
    CHECK(!accepts(deep, sizeof deep, PITH_JSON_STRICT, &error), "one level too many");
    CHECK(strstr(error.message, "128") != NULL, "%s", error.message);
    char digits[PITH_JSON_MAX_NUMBER + 3];
    memset(digits, '7', sizeof digits);
    digits[0] = '[';
    digits[sizeof digits - 2] = ']';
    CHECK(accepts(digits, sizeof digits - 1, PITH_JSON_STRICT, &error), "%s", error.message);
    digits[sizeof digits - 2] = '7';
    digits[sizeof digits - 1] = ']';
    CHECK(!accepts(digits, sizeof digits, PITH_JSON_STRICT, &error), "a digit too many");
    CHECK(strstr(error.message, "400") != NULL, "%s", error.message);
}

TEST(json, many_keys_cost_four_bytes_each) {
    enum { N = 100000 };
    char *source = malloc(N * 16);
    size_t n = 0;
    source[n++] = '{';
    for (int i = 0; i < N; i++) {
        n += (size_t)snprintf(source + n, 16, "%s\"%d\":{}", i > 0 ? "," : "", (i * 7919) % N);
    }
    source[n++] = '}';
    test_allocator t;
    test_allocator_init(&t);
    for (size_t fail = 0; fail < 14; fail++) {
        pith_json root = {NULL};
        char *copy;
        pith_error error;
        t.n_calls = 0;
        t.fail_at = fail;
        pith_status status = pith_json_read_copy(&root, &copy, source, n, PITH_JSON_STRICT, "doc",
                                                 &t.allocator, &error);
        bool failed = fail != 0 && t.n_calls >= fail;
        CHECK(status == (failed ? PITH_ERROR_MEMORY : PITH_OK), "allocation %zu: %d", fail,
              (int)status);
        CHECK(failed || pith_json_size(root) == N, "%zu members", pith_json_size(root));
        pith_release(&t.allocator, copy);
        CHECK(t.n_live == 0, "%zu blocks left", (size_t)t.n_live);
    }
    free(source);
}

/* ---- Writing --------------------------------------------------------------------------------- */

TEST(json, writer_and_reader_agree) {
    static const double reals[] = {0.0,   -0.0,   1.0,      0.1,          1e-5,      1e20, 1e21,
                                   1e300, 5e-324, 123456.0, 3.4028234e38, 0.0000305, -1.5};
    static const char *const written[] = {"0.0",
                                          "-0.0",
                                          "1.0",
                                          "0.10000000000000001",
                                          "1.0000000000000001e-5",
                                          "1e20",
                                          "1e21",
                                          "1.0000000000000001e300",
                                          "4.9406564584124654e-324",
                                          "123456.0",
                                          "3.4028233999999999e38",
                                          "3.0499999999999999e-5",
                                          "-1.5"};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        pith_json_writer w;
        pith_json_write_begin(&w, &pith_malloc_allocator);
        pith_json_open(&w, NULL, '[');
        pith_json_put_real(&w, NULL, reals[i]);
        pith_json_close(&w, ']');
        CHECK(strncmp(w.bytes.data + 1, written[i], strlen(written[i])) == 0 &&
                  w.bytes.size == strlen(written[i]) + 2,
              "%s, not %s", w.bytes.data, written[i]);
        pith_json root;
        double back = 77;
        pith_error error;
        CHECK(pith_json_read(&root, w.bytes.data, w.bytes.size, PITH_JSON_STRICT, "doc",
                             &pith_malloc_allocator, &error) == PITH_OK,
              "%s", error.message);
        CHECK(pith_json_number(pith_json_at(root, 0), &back) &&
                  memcmp(&back, &reals[i], sizeof back) == 0,
              "%.17g came back as %.17g", reals[i], back);
        pith_bytes_release(&w.bytes);
    }
}

TEST(json, writer_escapes_and_nests) {
    pith_json_writer w;
    pith_error error;
    pith_json_write_begin(&w, &pith_malloc_allocator);
    pith_json_open(&w, NULL, '{');
    pith_json_put_text(&w, "a\"", "\x01\x1f/\\\"\n\t\r\b\f\x7f\xc3\xa9");
    pith_json_open(&w, "b", '[');
    pith_json_put_integer(&w, NULL, INT64_MIN);
    pith_json_put_bool(&w, NULL, true);
    pith_json_open(&w, NULL, '{');
    pith_json_close(&w, '}');
    pith_json_close(&w, ']');
    pith_json_put_bool(&w, "c", false);
    pith_json_close(&w, '}');
    CHECK(pith_json_write_end(&w, "doc", &error) == PITH_OK, "%s", error.message);
    static const char expected[] =
        "{\"a\\\"\":\"\\u0001\\u001F/\\\\\\\"\\n\\t\\r\\b\\f\x7f\xc3\xa9\","
        "\"b\":[-9223372036854775808,true,{}],\"c\":false}";
    CHECK(strcmp(w.bytes.data, expected) == 0, "%s", w.bytes.data);
    pith_bytes_release(&w.bytes);
}

static void put_styled(pith_json_writer *w, pith_json_style style) {
    pith_json_write_begin(w, &pith_malloc_allocator);
    w->style = style;
    pith_json_open(w, NULL, '{');
    pith_json_put_bytes(w, "a", "x\0y", 3);
    pith_json_open(w, "b", '[');
    pith_json_put_null(w, NULL);
    pith_json_put_integer(w, NULL, 2);
    pith_json_open(w, NULL, '{');
    pith_json_close(w, '}');
    pith_json_close(w, ']');
    pith_json_put_bool(w, "c", true);
    pith_json_close(w, '}');
}

TEST(json, writer_has_three_styles) {
    static const char *const expected[] = {
        [PITH_JSON_COMPACT] = "{\"a\":\"x\\u0000y\",\"b\":[null,2,{}],\"c\":true}",
        [PITH_JSON_SPACED] = "{\"a\": \"x\\u0000y\", \"b\": [null, 2, {}], \"c\": true}",
        [PITH_JSON_INDENTED] = ("{\n  \"a\": \"x\\u0000y\",\n  \"b\": [\n    null,\n    2,\n"
                                "    {}\n  ],\n  \"c\": true\n}"),
    };
    for (int style = PITH_JSON_COMPACT; style <= PITH_JSON_INDENTED; style++) {
        pith_json_writer w;
        pith_error error;
        put_styled(&w, (pith_json_style)style);
        CHECK(pith_json_write_end(&w, "doc", &error) == PITH_OK, "%s", error.message);
        CHECK(strcmp(w.bytes.data, expected[style]) == 0, "%s", w.bytes.data);
        pith_bytes_release(&w.bytes);
    }
}

TEST(json, values_are_written_with_sorted_keys) {
    static const char source[] = "[{\"b\":1,\"\\u0000\":2,\"ab\":[1.50,-0,1e2,{\"z\":0,\"y\":0}],"
                                 "\"a\":18446744073709551616,\"\":null,\"a\\u0000\":\"\\u0000\"}]";
    static const char expected[] =
        "{\"\":null,\"\\u0000\":2,\"a\":18446744073709551616,\"a\\u0000\":\"\\u0000\","
        "\"ab\":[1.5,0,100.0,{\"y\":0,\"z\":0}],\"b\":1}";
    pith_json root;
    pith_json_writer w;
    char *text;
    pith_error error;
    size_t n = sizeof source - 1;
    pith_status status = read_guarded(&root, &text, source, n, PITH_JSON_PYTHON, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_json_write_begin(&w, &pith_malloc_allocator);
    pith_json_put_value(&w, NULL, pith_json_at(root, 0));
    CHECK(pith_json_write_end(&w, "doc", &error) == PITH_OK, "%s", error.message);
    CHECK(strcmp(w.bytes.data, expected) == 0, "%s", w.bytes.data);
    pith_bytes_release(&w.bytes);
    for (size_t fail = 1; fail < 9; fail++) {
        test_allocator t;
        test_allocator_init(&t);
        t.fail_at = fail;
        pith_json_write_begin(&w, &t.allocator);
        pith_json_put_value(&w, NULL, pith_json_at(root, 0));
        status = pith_json_write_end(&w, "doc", NULL);
        CHECK(status == (t.n_calls >= fail ? PITH_ERROR_MEMORY : PITH_OK), "fail %zu", fail);
        pith_bytes_release(&w.bytes);
        CHECK(t.n_live == 0, "%zu blocks left", (size_t)t.n_live);
    }
    test_guarded_free(text, n);
}

TEST(json, writer_keeps_its_first_failure) {
    static const struct {
        const char *text;
        double number;
    } bad[] = {{"\xff", 0.0}, {"good", NAN}, {"good", INFINITY}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pith_json_writer w;
        pith_error error;
        pith_json_write_begin(&w, &pith_malloc_allocator);
        pith_json_open(&w, NULL, '{');
        pith_json_put_text(&w, "name", bad[i].text);
        pith_json_put_real(&w, "number", bad[i].number);
        pith_json_close(&w, '}');
        CHECK(pith_json_write_end(&w, "metadata", &error) == PITH_ERROR_ARGUMENT, "case %zu", i);
        CHECK(strcmp(error.message, i == 0 ? "metadata: name is not UTF-8"
                                           : "metadata: number is not finite") == 0,
              "%s", error.message);
        pith_bytes_release(&w.bytes);
    }
    for (size_t fail = 1; fail < 3; fail++) {
        test_allocator t;
        test_allocator_init(&t);
        t.fail_at = fail;
        pith_json_writer w;
        pith_error error;
        pith_json_write_begin(&w, &t.allocator);
        pith_json_open(&w, NULL, '[');
        for (int i = 0; i < 100; i++) {
            pith_json_put_integer(&w, NULL, 1000000);
        }
        pith_json_close(&w, ']');
        CHECK(pith_json_write_end(&w, "metadata", &error) == PITH_ERROR_MEMORY, "fail %zu", fail);
        pith_bytes_release(&w.bytes);
        CHECK(t.n_live == 0, "%zu blocks left", (size_t)t.n_live);
    }
}

/* A copy has the order of the members and the digits of the numbers. */
TEST(json, writer_copies_values_as_they_were) {
    char text[200];
    pith_json root;
    pith_json_writer w;
    pith_error error;
    size_t n =
        (size_t)snprintf(text, sizeof text, " %s",
                         "{ \"b\": [1.50, -0.0, 1E+2, 12345678901234567890, NaN], \"a\":{\"z\":"
                         "null,\"y\":[true,false,{},[]]},\"k\":\"\\n\\u00e9\"}");
    CHECK(pith_json_read(&root, text, n, PITH_JSON_PYTHON, "doc", &pith_malloc_allocator, &error) ==
              PITH_OK,
          "%s", error.message);
    pith_json_write_begin(&w, &pith_malloc_allocator);
    pith_json_open(&w, NULL, '[');
    pith_json_put_copy(&w, NULL, root);
    pith_json_put_copy(&w, NULL, pith_json_get(root, "k"));
    pith_json_close(&w, ']');
    CHECK(pith_json_write_end(&w, "doc", &error) == PITH_OK, "%s", error.message);
    static const char wanted[] =
        "[{\"b\":[1.50,-0.0,1E+2,12345678901234567890,NaN],\"a\":{\"z\":null,\"y\":[true,false,{},"
        "[]]},\"k\":\"\\n\xc3\xa9\"},\"\\n\xc3\xa9\"]";
    CHECK(strcmp(w.bytes.data, wanted) == 0, "%s", w.bytes.data);
    pith_bytes_release(&w.bytes);
    CHECK_NO_LEAKS();
}
