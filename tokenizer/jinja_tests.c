/* Jinja's tests: what stands behind `is`. */
#include "tokenizer/jinja_parts.h"

#include <math.h>
#include <string.h>

typedef bool (*test_fn)(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                        bool *out);

static bool kind_test(pith_jinja_value v, const char *name, bool *out) {
    static const struct {
        const char *name;
        uint32_t kinds;
    } tests[] = {
        {"undefined", 1U << PITH_JINJA_UNDEFINED},
        {"none", 1U << PITH_JINJA_NONE},
        {"boolean", 1U << PITH_JINJA_BOOL},
        {"integer", 1U << PITH_JINJA_INT},
        {"float", 1U << PITH_JINJA_FLOAT},
        {"number", 1U << PITH_JINJA_BOOL | 1U << PITH_JINJA_INT | 1U << PITH_JINJA_FLOAT},
        {"string", 1U << PITH_JINJA_STRING},
        {"mapping", 1U << PITH_JINJA_DICT},
        {"sequence", 1U << PITH_JINJA_UNDEFINED | 1U << PITH_JINJA_STRING | 1U << PITH_JINJA_LIST |
                         1U << PITH_JINJA_TUPLE | 1U << PITH_JINJA_RANGE | 1U << PITH_JINJA_DICT},
        {"iterable", 1U << PITH_JINJA_UNDEFINED | 1U << PITH_JINJA_STRING | 1U << PITH_JINJA_LIST |
                         1U << PITH_JINJA_TUPLE | 1U << PITH_JINJA_RANGE | 1U << PITH_JINJA_VIEW |
                         1U << PITH_JINJA_GENERATOR | 1U << PITH_JINJA_DICT |
                         1U << PITH_JINJA_LOOP},
        /* Undefined has a __call__, which raises. */
        {"callable", 1U << PITH_JINJA_UNDEFINED | 1U << PITH_JINJA_MACRO | 1U << PITH_JINJA_METHOD |
                         1U << PITH_JINJA_FUNCTION | 1U << PITH_JINJA_LOOP},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (strcmp(tests[i].name, name) == 0) {
            *out = (tests[i].kinds >> v.kind & 1) != 0;
            return true;
        }
    }
    return false;
}

static bool remainder_is(pith_jinja *j, pith_jinja_value v, pith_jinja_value by, int64_t wanted,
                         bool *out) {
    pith_jinja_value rest;
    if (v.kind == PITH_JINJA_STRING) {
        return pith_jinja_refuse(j, "a string is neither odd nor even");
    }
    return pith_jinja_binary(j, '%', v, by, &rest) &&
           pith_jinja_equal(j, rest, pith_jinja_int(wanted), out);
}

static bool test_odd(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other, bool *out) {
    (void)other;
    return remainder_is(j, v, pith_jinja_int(2), 1, out);
}

static bool test_even(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other, bool *out) {
    (void)other;
    return remainder_is(j, v, pith_jinja_int(2), 0, out);
}

static bool test_divisible(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                           bool *out) {
    return remainder_is(j, v, *other, 0, out);
}

static bool test_defined(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                         bool *out) {
    (void)j;
    (void)other;
    *out = v.kind != PITH_JINJA_UNDEFINED;
    return true;
}

static bool test_true(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other, bool *out) {
    (void)j;
    (void)other;
    *out = v.kind == PITH_JINJA_BOOL && v.as.truth;
    return true;
}

static bool test_false(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                       bool *out) {
    (void)j;
    (void)other;
    *out = v.kind == PITH_JINJA_BOOL && !v.as.truth;
    return true;
}

static bool case_test(pith_jinja *j, pith_jinja_value v, const char *method, bool *out) {
    pith_jinja_method call = {.name = method};
    pith_jinja_args none = {.what = method};
    pith_jinja_value answer;
    if (!pith_jinja_str(j, v, &call.self)) {
        return false;
    }
    call.self.safe = false;
    if (!pith_jinja_call_method(j, &call, &none, &answer)) {
        return false;
    }
    *out = answer.as.truth;
    return true;
}

static bool test_lower(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                       bool *out) {
    (void)other;
    return case_test(j, v, "islower", out);
}

static bool test_upper(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                       bool *out) {
    (void)other;
    return case_test(j, v, "isupper", out);
}

static bool test_equal(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                       bool *out) {
    return pith_jinja_equal(j, v, *other, out);
}

static bool test_unequal(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                         bool *out) {
    bool ok = pith_jinja_equal(j, v, *other, out);
    *out = !*out;
    return ok;
}

static bool ordered(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other, int *order) {
    return pith_jinja_order(j, v, *other, order);
}

static bool test_less(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other, bool *out) {
    int order = 0;
    bool ok = ordered(j, v, other, &order);
    *out = order < 0;
    return ok;
}

static bool test_at_most(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                         bool *out) {
    int order = 0;
    bool ok = ordered(j, v, other, &order);
    *out = order <= 0;
    return ok;
}

static bool test_greater(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                         bool *out) {
    int order = 0;
    bool ok = ordered(j, v, other, &order);
    *out = order == 1; /* 2: unordered */
    return ok;
}

static bool test_at_least(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                          bool *out) {
    int order = 0;
    bool ok = ordered(j, v, other, &order);
    *out = order == 0 || order == 1;
    return ok;
}

static bool test_in(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other, bool *out) {
    return pith_jinja_contains(j, *other, v, out);
}

/* None, True and False exist once each; of two other values of a kind it is not known whether they
 * are one object. */
static bool is_single(pith_jinja_value v) {
    return v.kind == PITH_JINJA_NONE || v.kind == PITH_JINJA_BOOL;
}

static bool test_sameas(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                        bool *out) {
    if (v.kind == other->kind && !is_single(v)) {
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "sameas of a %s is not supported",
                               pith_jinja_type_name(v));
    }
    *out = v.kind == other->kind && (v.kind == PITH_JINJA_NONE || v.as.truth == other->as.truth);
    return true;
}

static bool test_filter(pith_jinja *j, pith_jinja_value v, const pith_jinja_value *other,
                        bool *out) {
    (void)j;
    (void)other;
    (void)v;
    *out = false;
    return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "is filter and is test are not supported");
}

static const struct test {
    const char *name;
    test_fn fn;
    size_t n_args;
} tests[] = {
    {"odd", test_odd, 0},         {"even", test_even, 0},     {"divisibleby", test_divisible, 1},
    {"defined", test_defined, 0}, {"true", test_true, 0},     {"false", test_false, 0},
    {"lower", test_lower, 0},     {"upper", test_upper, 0},   {"==", test_equal, 1},
    {"eq", test_equal, 1},        {"equalto", test_equal, 1}, {"!=", test_unequal, 1},
    {"ne", test_unequal, 1},      {"<", test_less, 1},        {"lt", test_less, 1},
    {"lessthan", test_less, 1},   {"<=", test_at_most, 1},    {"le", test_at_most, 1},
    {">", test_greater, 1},       {"gt", test_greater, 1},    {"greaterthan", test_greater, 1},
    {">=", test_at_least, 1},     {"ge", test_at_least, 1},   {"in", test_in, 1},
    {"sameas", test_sameas, 1},   {"filter", test_filter, 0}, {"test", test_filter, 0},
};

static const struct test *find_test(const char *name) {
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (strcmp(tests[i].name, name) == 0) {
            return &tests[i];
        }
    }
    return NULL;
}

bool pith_jinja_test_exists(const char *name) {
    bool unused;
    return find_test(name) != NULL || kind_test(pith_jinja_int(0), name, &unused);
}

bool pith_jinja_test(pith_jinja *j, const char *name, pith_jinja_value value,
                     const pith_jinja_args *args, bool *out) {
    if (args->n == 0 && args->n_named == 0 && kind_test(value, name, out)) {
        return true;
    }
    const struct test *test = find_test(name);
    if (test == NULL) {
        return pith_jinja_test_exists(name)
                   ? pith_jinja_refuse(j, "test %s takes no arguments", name)
                   : pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "no test named '%.60s'", name);
    }
    if (args->n_named > 0 || args->n != test->n_args) {
        return pith_jinja_refuse(j, "test %s takes %zu arguments", name, test->n_args);
    }
    return test->fn(j, value, args->items, out);
}
