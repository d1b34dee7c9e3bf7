/* Cosines and the int8 form of vectors, through pith.h. */
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

TEST(similarity, cosine_of_known_vectors) {
    const float east[3] = {2, 0, 0};
    const float north[3] = {0, 3, 0};
    const float both[3] = {1, 1, 0};
    const float zero[3] = {0, 0, 0};
    CHECK(pith_cosine_f32(east, east, 3) == 1, "%a", pith_cosine_f32(east, east, 3));
    CHECK(pith_cosine_f32(east, north, 3) == 0, "%a", pith_cosine_f32(east, north, 3));
    double half = pith_cosine_f32(east, both, 3);
    CHECK(fabs(half - sqrt(0.5)) < 1e-15, "%a", half);
    CHECK(pith_cosine_f32(zero, both, 3) == 0 && pith_cosine_f32(both, zero, 3) == 0, "zero");
    CHECK(pith_cosine_f32(NULL, NULL, 0) == 0, "empty");
}

TEST(similarity, int8_cosine_is_its_formula) {
    for (uint64_t s = 1; s <= 50; s++) {
        uint64_t seed = s;
        size_t n = 1 + test_random(&seed) % 500;
        int8_t a[500];
        int8_t b[500];
        double dot = 0;
        double norm_a = 0;
        double norm_b = 0;
        for (size_t i = 0; i < n; i++) {
            a[i] = (int8_t)(test_random(&seed) & 0xff);
            b[i] = (int8_t)(test_random(&seed) & 0xff);
            dot += a[i] * b[i];
            norm_a += a[i] * a[i];
            norm_b += b[i] * b[i];
        }
        double expected = norm_a * norm_b == 0 ? 0 : dot / sqrt(norm_a * norm_b);
        double actual = pith_cosine_int8(a, b, n);
        CHECK(actual == expected, "seed %llu n %zu: %a, expected %a", (unsigned long long)s, n,
              actual, expected);
    }
}

TEST(similarity, quantizing_rounds_to_even_and_keeps_the_largest) {
    const float x[6] = {-254, 127, 1, 3, 5, 0}; /* x * 127 / 254: halves at 1, 3 and 5 */
    static const int8_t expected[6] = {-127, 64, 0, 2, 2, 0};
    int8_t codes[6];
    pith_quantize_vector(x, 6, codes);
    for (size_t i = 0; i < 6; i++) {
        CHECK(codes[i] == expected[i], "element %zu is %d, expected %d", i, codes[i], expected[i]);
    }
}

TEST(similarity, quantizing_the_unusual) {
    static const int8_t zeros[4] = {0};
    float x[4] = {0, -0.0f, 0, 0};
    int8_t codes[4];
    memset(codes, 1, 4);
    pith_quantize_vector(x, 4, codes);
    CHECK(memcmp(codes, zeros, 4) == 0, "zeros gave codes");
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        x[1] = 1;
        x[2] = bad[i];
        memset(codes, 1, 4);
        pith_quantize_vector(x, 4, codes);
        CHECK(memcmp(codes, zeros, 4) == 0, "%g gave codes", (double)bad[i]);
    }
    const float tiny[2] = {0x1p-149f, -0x1p-149f};
    pith_quantize_vector(tiny, 2, codes);
    CHECK(codes[0] == 127 && codes[1] == -127, "%d %d", codes[0], codes[1]);
}
