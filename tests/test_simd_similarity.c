/* Dot products of whole vectors: scalar against the definition, every other table against scalar
 * bit for bit; the cosines of pith.h on top of them. Buffers end at guard pages. */
#include "tests/simd_data.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

static const size_t sizes[] = {0,  1,  2,  7,   15,  16,  17,  31,  32,  33,
                               63, 64, 65, 100, 127, 128, 384, 385, 520, 1000};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static test_buffer random_codes(size_t n, uint64_t *seed) {
    test_buffer buffer = test_buffer_new(n);
    for (size_t i = 0; i < n; i++) {
        ((int8_t *)buffer.data)[i] = (int8_t)(test_random(seed) & 0xff);
    }
    return buffer;
}

TEST(simd_similarity, int8_dot_is_the_exact_sum) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint64_t seed = s + 1;
            size_t n = sizes[s];
            test_buffer a = random_codes(n, &seed);
            test_buffer b = random_codes(n, &seed);
            int64_t expected = 0;
            for (size_t i = 0; i < n; i++) {
                expected += (int64_t)((int8_t *)a.data)[i] * ((int8_t *)b.data)[i];
            }
            int32_t actual = k->dot_int8(a.data, b.data, n);
            CHECK(actual == expected, "%s seed %zu n %zu: %d, expected %lld", k->name, s + 1, n,
                  actual, (long long)expected);
            test_buffer_free(&a);
            test_buffer_free(&b);
        }
    }
}

TEST(simd_similarity, int8_dot_holds_the_largest_sums) {
    enum { N = 65536 };
    static const int extremes[][2] = {{-128, -128}, {-128, 127}, {127, 127}, {127, -128}};
    const pith_kernels *k;
    test_buffer a = test_buffer_new(N);
    test_buffer b = test_buffer_new(N);
    for (size_t e = 0; e < 4; e++) {
        memset(a.data, extremes[e][0], N);
        memset(b.data, extremes[e][1], N);
        int32_t expected = N * extremes[e][0] * extremes[e][1];
        for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
            int32_t actual = k->dot_int8(a.data, b.data, N);
            CHECK(actual == expected, "%s %d x %d: %d, expected %d", k->name, extremes[e][0],
                  extremes[e][1], actual, expected);
        }
    }
    test_buffer_free(&a);
    test_buffer_free(&b);
}

TEST(simd_similarity, float_dot_is_by_lanes_in_double) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint64_t seed = s + 1;
            size_t n = sizes[s];
            test_buffer a = test_buffer_normal(n, &seed);
            test_buffer b = test_buffer_normal(n, &seed);
            const float *x = a.data;
            const float *y = b.data;
            double lanes[16] = {0};
            for (size_t i = 0; i < n; i++) {
                lanes[i % 16] += (double)x[i] * (double)y[i];
            }
            for (size_t half = 8; half != 0; half /= 2) {
                for (size_t j = 0; j < half; j++) {
                    lanes[j] += lanes[j + half];
                }
            }
            double actual = k->dot_f32(x, y, n);
            CHECK(memcmp(&actual, &lanes[0], sizeof actual) == 0,
                  "%s seed %zu n %zu: %a, expected %a", k->name, s + 1, n, actual, lanes[0]);
            test_buffer_free(&a);
            test_buffer_free(&b);
        }
    }
}

TEST(simd_similarity, float_dot_spans_the_range_and_passes_nan) {
    const pith_kernels *k;
    float x[20];
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t i = 0; i < 20; i++) {
            x[i] = 0x1p127f;
        }
        double large = k->dot_f32(x, x, 20);
        CHECK(large == 20 * 0x1p254, "%s: %a", k->name, large);
        for (size_t i = 0; i < 20; i++) {
            x[i] = 0x1p-149f;
        }
        double small = k->dot_f32(x, x, 20);
        CHECK(small == 20 * 0x1p-298, "%s: %a", k->name, small);
        x[18] = NAN;
        CHECK(isnan(k->dot_f32(x, x, 20)), "%s: NaN was lost", k->name);
    }
}
