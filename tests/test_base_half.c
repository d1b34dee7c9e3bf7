/* Half floats against values computed from the definition of the formats with ldexp. */
#include "base/half.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

static uint32_t bits_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A float format with 1 sign bit, 15 - n_mantissa exponent bits and n_mantissa mantissa bits. */
typedef struct half_format {
    int n_mantissa;
    int bias;
    float (*decode)(uint16_t half);
    uint16_t (*encode)(float value);
} half_format;

static const half_format binary16 = {10, 15, pith_f16_to_f32, pith_f32_to_f16};
static const half_format bfloat16 = {7, 127, pith_bf16_to_f32, pith_f32_to_bf16};

static uint32_t infinity_of(const half_format *f) {
    return 0x7fffu >> f->n_mantissa << f->n_mantissa;
}

/* The value of a pattern that is not NaN, from the definition: (-1)^s 2^(e - bias) 1.m, and
 * (-1)^s 2^(1 - bias) 0.m when e is 0. */
static double value_of(const half_format *f, uint32_t half) {
    double sign = (half & 0x8000) != 0 ? -1.0 : 1.0;
    uint32_t magnitude = half & 0x7fff;
    int exponent = (int)(magnitude >> f->n_mantissa);
    int mantissa = (int)(magnitude & ((1u << f->n_mantissa) - 1));
    if (magnitude == infinity_of(f)) {
        return sign * HUGE_VAL;
    }
    if (exponent == 0) {
        return sign * ldexp(mantissa, 1 - f->bias - f->n_mantissa);
    }
    return sign * ldexp((1 << f->n_mantissa) + mantissa, exponent - f->bias - f->n_mantissa);
}

static void check_decode_and_back(const half_format *f) {
    for (uint32_t half = 0; half <= 0xffff; half++) {
        float actual = f->decode((uint16_t)half);
        if ((half & 0x7fff) > infinity_of(f)) {
            CHECK(isnan(actual), "0x%04x gives %g, expected NaN", half, (double)actual);
            CHECK(signbit(actual) == signbit(float_of(half << 16)), "0x%04x: wrong sign", half);
            continue;
        }
        float expected = (float)value_of(f, half);
        CHECK(bits_of(actual) == bits_of(expected), "0x%04x gives %a, expected %a", half,
              (double)actual, (double)expected);
        CHECK(f->encode(actual) == half, "0x%04x comes back as 0x%04x", half, f->encode(actual));
    }
}

TEST(half, every_f16_pattern_decodes_exactly_and_comes_back) {
    check_decode_and_back(&binary16);
}

TEST(half, every_bf16_pattern_decodes_exactly_and_comes_back) {
    check_decode_and_back(&bfloat16);
}

static void check_encode(const half_format *f, float value, uint32_t expected) {
    uint16_t actual = f->encode(value);
    CHECK(actual == expected, "%a encodes as 0x%04x, expected 0x%04x", (double)value, actual,
          expected);
    actual = f->encode(-value);
    CHECK(actual == (expected | 0x8000), "%a encodes as 0x%04x, expected 0x%04x", (double)-value,
          actual, expected | 0x8000);
}

/* Between every two neighbours: the middle goes to the even one, its own neighbours to the nearer.
 * Above the largest finite number the next one up would be where infinity stands. */
static void check_rounding(const half_format *f) {
    for (uint32_t low = 0; low < infinity_of(f); low++) {
        double below = value_of(f, low);
        double above =
            low + 1 == infinity_of(f) ? 2 * below - value_of(f, low - 1) : value_of(f, low + 1);
        float middle = (float)((below + above) / 2);
        uint32_t even = low % 2 == 0 ? low : low + 1;
        check_encode(f, middle, even);
        check_encode(f, nextafterf(middle, 0.0f), low);
        check_encode(f, nextafterf(middle, HUGE_VALF), low + 1);
    }
}

TEST(half, f32_to_f16_rounds_to_nearest_even_between_all_neighbours) {
    check_rounding(&binary16);
}

/* bfloat16 subnormals have middles that are float subnormals, so these are covered as well. */
TEST(half, f32_to_bf16_rounds_to_nearest_even_between_all_neighbours) {
    check_rounding(&bfloat16);
}

/* Rounds |value| to a multiple of the format's spacing there with rint, in double: exact. */
static double rounded(const half_format *f, float value) {
    int exponent;
    frexp(value, &exponent); /* |value| in [2^(exponent - 1), 2^exponent) */
    int least = 2 - f->bias;
    int spacing = (exponent < least ? least : exponent) - 1 - f->n_mantissa;
    double result = ldexp(rint(ldexp(value, -spacing)), spacing);
    double limit = value_of(f, infinity_of(f) - 1);
    return fabs(result) > limit ? copysign(HUGE_VAL, value) : result;
}

static void check_random(const half_format *f, uint64_t seed) {
    uint64_t state = seed;
    for (int i = 0; i < 1000000; i++) {
        float value = float_of((uint32_t)test_random(&state));
        if (isnan(value)) {
            CHECK(isnan(f->decode(f->encode(value))), "seed %llu, number %d: NaN 0x%08x was lost",
                  (unsigned long long)seed, i, bits_of(value));
            continue;
        }
        double expected = isinf(value) ? (double)value : rounded(f, value);
        double actual = value_of(f, f->encode(value));
        CHECK(actual == expected && signbit(actual) == signbit(expected),
              "seed %llu, number %d: %a gives %a, expected %a", (unsigned long long)seed, i,
              (double)value, actual, expected);
    }
}

TEST(half, random_floats_round_as_their_definition_says) {
    check_random(&binary16, 1);
    check_random(&bfloat16, 2);
}

TEST(half, overflow_and_underflow) {
    check_encode(&binary16, 65504.0f, 0x7bff);
    check_encode(&binary16, 65519.996f, 0x7bff);
    check_encode(&binary16, 65520.0f, 0x7c00);
    check_encode(&binary16, 3.4e38f, 0x7c00);
    check_encode(&binary16, HUGE_VALF, 0x7c00);
    check_encode(&binary16, 0x1p-25f, 0x0000);
    check_encode(&binary16, 0x1.000002p-25f, 0x0001);
    check_encode(&binary16, 0x1p-149f, 0x0000);
    check_encode(&binary16, 0.0f, 0x0000);
    check_encode(&bfloat16, 0x1.fffffep127f, 0x7f80);
    check_encode(&bfloat16, HUGE_VALF, 0x7f80);
}

TEST(half, nan_stays_nan_and_becomes_quiet) {
    /* A signalling NaN whose payload lies in the bits that are cut off. */
    check_encode(&binary16, float_of(0x7f800001), 0x7e00);
    check_encode(&bfloat16, float_of(0x7f800001), 0x7fc0);
    check_encode(&binary16, float_of(0x7fd55000), 0x7eaa);
    CHECK(bits_of(pith_f16_to_f32(0x7c01)) == 0x7fc02000, "0x7c01 gives 0x%08x",
          bits_of(pith_f16_to_f32(0x7c01)));
    CHECK(bits_of(pith_f16_to_f32(0xfeaa)) == 0xffd54000, "0xfeaa gives 0x%08x",
          bits_of(pith_f16_to_f32(0xfeaa)));
}
