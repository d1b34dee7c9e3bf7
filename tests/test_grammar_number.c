/* Numbers digit by digit: what is accepted is what the bounds allow, and nothing leads nowhere. */
#include "grammar/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tests/support.h"
#include "tests/test.h"

static const char alphabet[] = "0123456789-.eE+";

/* Bounds as JSON texts, NULL where there is none. */
typedef struct limits {
    const char *minimum, *exclusive_minimum, *maximum, *exclusive_maximum;
    bool integer;
} limits;

/* A number in a document of its own, which stays in the buffer. */
static pith_json number_of(char buffer[64], const char *text) {
    pith_json root = {NULL};
    pith_error error;
    if (text == NULL) {
        return root;
    }
    snprintf(buffer, 64, "[%s]", text);
    CHECK(pith_json_read(&root, buffer, strlen(buffer), PITH_JSON_STRICT, text,
                         &pith_malloc_allocator, &error) == PITH_OK,
          "%s", error.message);
    return pith_json_at(root, 0);
}

static bool make(pith_number_form *form, const limits *l) {
    char buffers[4][64];
    const char *problem = NULL;
    pith_number_bounds bounds = {
        .minimum = number_of(buffers[0], l->minimum),
        .maximum = number_of(buffers[1], l->maximum),
        .exclusive_minimum = number_of(buffers[2], l->exclusive_minimum),
        .exclusive_maximum = number_of(buffers[3], l->exclusive_maximum),
    };
    bool good = pith_number_form_make(form, &bounds, l->integer, &problem);
    CHECK(good || problem != NULL, "no problem is named");
    return good;
}

/* True when the form has the whole text. */
static bool accepts(const pith_number_form *form, const char *text) {
    pith_number_state state = {0};
    for (const char *at = text; *at != '\0'; at++) {
        if (!pith_number_step(form, &state, (unsigned char)*at)) {
            return false;
        }
    }
    return pith_number_is_whole(form, &state);
}

/* What the bounds say, by doubles. */
static bool allowed(const limits *l, double x) {
    return (l->minimum == NULL || x >= strtod(l->minimum, NULL)) &&
           (l->maximum == NULL || x <= strtod(l->maximum, NULL)) &&
           (l->exclusive_minimum == NULL || x > strtod(l->exclusive_minimum, NULL)) &&
           (l->exclusive_maximum == NULL || x < strtod(l->exclusive_maximum, NULL));
}

static const limits integers[] = {
    {NULL, NULL, NULL, NULL, true},        {"0", NULL, NULL, NULL, true},
    {"1", NULL, "10", NULL, true},         {NULL, "0", NULL, "10", true},
    {"-5", NULL, "5", NULL, true},         {"-1000", NULL, "-99", NULL, true},
    {NULL, NULL, "0", NULL, true},         {NULL, "-1", NULL, "1", true},
    {"7", NULL, "7", NULL, true},          {"-120", NULL, "13", NULL, true},
    {"99", NULL, "1001", NULL, true},      {"1.5", NULL, "3.5", NULL, true},
    {NULL, "-2.5", NULL, "2.5", true},     {"1e2", NULL, "1.2E+2", NULL, true},
    {"5", "7", "20", "19", true},          {"-0", NULL, "3", NULL, true},
    {NULL, "-10", "-10.0e-1", NULL, true},
};

TEST(grammar_number, integers_within_bounds) {
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
        pith_number_form form;
        CHECK(make(&form, &integers[i]), "row %zu is empty", i);
        for (int x = -2000; x <= 2000; x++) {
            char text[16];
            snprintf(text, sizeof text, "%d", x);
            CHECK(accepts(&form, text) == allowed(&integers[i], x), "row %zu: %s", i, text);
        }
    }
}

static const limits numbers[] = {
    {NULL, NULL, NULL, NULL, false},        {"0", NULL, "1", NULL, false},
    {NULL, "0", NULL, "1", false},          {"-0.5", NULL, "2.25", NULL, false},
    {NULL, "-1.25", NULL, "-0.125", false}, {"0.001", NULL, "0.001", NULL, false},
    {NULL, NULL, NULL, "0", false},         {NULL, "1.999", "10.01", NULL, false},
    {"9.5", NULL, "10.5", NULL, false},     {"1e-3", NULL, "25e-1", NULL, false},
    {"-12", NULL, NULL, NULL, false},       {"-3.5", "-3.5", "-1", NULL, false},
};

TEST(grammar_number, numbers_within_bounds) {
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        pith_number_form form;
        CHECK(make(&form, &numbers[i]), "row %zu is empty", i);
        for (int x = -13000; x <= 13000; x++) {
            char text[32];
            snprintf(text, sizeof text, "%s%d.%03d", x < 0 ? "-" : "", abs(x) / 1000,
                     abs(x) % 1000);
            bool minus_zero = x == 0 && text[0] == '-';
            CHECK(accepts(&form, text) == (allowed(&numbers[i], x / 1000.0) && !minus_zero),
                  "row %zu: %s", i, text);
        }
    }
}

TEST(grammar_number, forms_of_json) {
    static const char *const bad[] = {
        "",    "-",     "01",    "-0",  "+1", "1.",    ".5",    "1e",        "1e+",
        "--1", "1.2.3", "1e1.0", "-01", "00", "1e1e1", "1e123", "0.1234567", "1234567890123456"};
    static const char *const good[] = {"0",       "10",       "0.5",
                                       "-0.5",    "1e5",      "1E+5",
                                       "1.5e-12", "0.000000", "123456789012345",
                                       "-1",      "0e1"};
    const limits any = {NULL, NULL, NULL, NULL, false};
    const limits bounded = {"-5", NULL, "5", NULL, false};
    pith_number_form form;
    CHECK(make(&form, &any), "empty");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK(!accepts(&form, bad[i]), "\"%s\" is accepted", bad[i]);
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        CHECK(accepts(&form, good[i]), "\"%s\" is refused", good[i]);
    }
    CHECK(make(&form, &bounded) && !accepts(&form, "1e0") && accepts(&form, "1.0"),
          "an exponent within bounds");
}

TEST(grammar_number, bounds_that_leave_nothing) {
    static const limits empty[] = {
        {"3", NULL, "2", NULL, true},
        {NULL, "2", NULL, "3", true},
        {"1.2", NULL, "1.8", NULL, true},
        {NULL, "1", NULL, "1", false},
        {NULL, "1", "1", NULL, false},
        {"1e18", NULL, NULL, NULL, true},
        {NULL, NULL, "-1e20", NULL, true},
        {"1e15", NULL, NULL, NULL, false},
        {NULL, "0", NULL, "1e-300", false},
        {"0.0000000000000001", NULL, "0.0000000000000002", NULL, false},
        {"1e400", NULL, NULL, NULL, false},
    };
    static const limits full[] = {
        {"1e17", NULL, "1e18", NULL, true},
        {"-1e400", NULL, "1e400", NULL, false},
        {"-1e-400", NULL, NULL, NULL, false},
        {NULL, "0", NULL, "1e-14", false},
        {"0.1234567890123", NULL, "0.12345678901235", NULL, false},
        {"-9223372036854775808", NULL, "18446744073709551615", NULL, true},
        {"0.000000000000000", NULL, "0.00e5", NULL, false},
    };
    pith_number_form form;
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        CHECK(!make(&form, &empty[i]), "empty row %zu is not", i);
    }
    for (size_t i = 0; i < sizeof full / sizeof full[0]; i++) {
        CHECK(make(&form, &full[i]), "row %zu is empty", i);
    }
}

/* Writes a random number; it must end whole, and within bounds, wherever chance leads. */
static void wander(const pith_number_form *form, const limits *l, uint64_t *random) {
    pith_number_state state = {0};
    char text[64] = "";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        char next[sizeof alphabet];
        size_t n_next = 0;
        for (const char *c = alphabet; *c != '\0'; c++) {
            pith_number_state after = state;
            if (pith_number_step(form, &after, (unsigned char)*c)) {
                next[n_next++] = *c;
            } else {
                CHECK(memcmp(&after.value, &state.value, sizeof after.value) == 0 &&
                          after.phase == state.phase,
                      "%s: a refused %c changed the state", text, *c);
            }
        }
        bool whole = pith_number_is_whole(form, &state);
        CHECK(whole || n_next > 0, "\"%s\" leads nowhere", text);
        if (n_next == 0 || (whole && test_random(random) % 8 == 0)) {
            break;
        }
        text[n] = next[test_random(random) % n_next];
        pith_number_step(form, &state, (unsigned char)text[n]);
    }
    CHECK(allowed(l, strtod(text, NULL)) && isfinite(strtod(text, NULL)), "%s is out of bounds",
          text);
    CHECK(strlen(text) < sizeof text - 2, "%s does not end", text);
}

TEST(grammar_number, no_beginning_leads_nowhere) {
    static const limits more[] = {
        {"-1e-15", NULL, "1e-15", NULL, false},
        {NULL, "999999999999998", "999999999999999", NULL, false},
        {NULL, "123456.5", NULL, "123456.500001", false},
        {NULL, "100000000000000.5", NULL, NULL, false},
        {"999999999999999999", NULL, NULL, NULL, true},
        {NULL, "-99999999999999999", "-90000000000000001", NULL, true},
    };
    const struct {
        const limits *rows;
        size_t n;
    } all[] = {{integers, sizeof integers / sizeof integers[0]},
               {numbers, sizeof numbers / sizeof numbers[0]},
               {more, sizeof more / sizeof more[0]}};
    uint64_t random = 1;
    for (size_t set = 0; set < 3; set++) {
        for (size_t i = 0; i < all[set].n; i++) {
            pith_number_form form;
            CHECK(make(&form, &all[set].rows[i]), "set %zu, row %zu is empty", set, i);
            for (size_t k = 0; k < 2000; k++) {
                wander(&form, &all[set].rows[i], &random);
            }
        }
    }
}
