/* The kernels of encoders: scalar against double arithmetic, every other table against scalar bit
 * for bit. Buffers end at guard pages. */
#include "base/checked.h"
#include "tests/simd_data.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

static const size_t sizes[] = {1, 2, 7, 8, 9, 12, 15, 16, 17, 31, 33, 48, 100, 129, 384, 520};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static const pith_kernels *scalar(void) {
    return pith_kernels_find("scalar");
}

static void check_floats(const char *kernel, const char *table, const float *expected,
                         const float *actual, size_t n, size_t s) {
    size_t i = test_first_difference(expected, actual, n);
    CHECK(i == n, "%s %s size %zu n %zu: element %zu is %a, expected %a", table, kernel, s, n, i,
          (double)actual[i], (double)expected[i]);
}

/* ---- LayerNorm ------------------------------------------------------------------------------- */

typedef struct norm_data {
    test_buffer x, y, bias, w, b;
} norm_data;

static norm_data norm_data_new(size_t n, uint64_t seed) {
    norm_data d = {test_buffer_normal(n, &seed), test_buffer_normal(n, &seed),
                   test_buffer_normal(n, &seed), test_buffer_normal(n, &seed),
                   test_buffer_normal(n, &seed)};
    return d;
}

static void norm_data_free(norm_data *d) {
    test_buffer_free(&d->x);
    test_buffer_free(&d->y);
    test_buffer_free(&d->bias);
    test_buffer_free(&d->w);
    test_buffer_free(&d->b);
}

static void run_norm(const pith_kernels *k, norm_data *d, size_t n) {
    k->add_layernorm(d->x.data, d->y.data, d->bias.data, d->w.data, d->b.data, 1e-12f, n);
}

TEST(simd_encoder, add_layernorm_scalar_matches_double) {
    for (size_t s = 1; s < N_SIZES; s++) { /* of one element the result is b */
        size_t n = sizes[s];
        norm_data d = norm_data_new(n, s + 1);
        const float *y = d.y.data;
        const float *bias = d.bias.data;
        const float *w = d.w.data;
        const float *b = d.b.data;
        double v[520];
        double mean = 0;
        double squares = 0;
        for (size_t i = 0; i < n; i++) {
            v[i] = (double)((float *)d.x.data)[i] + (double)y[i] + (double)bias[i];
            mean += v[i] / (double)n;
        }
        for (size_t i = 0; i < n; i++) {
            squares += (v[i] - mean) * (v[i] - mean);
        }
        double r = 1 / sqrt(squares / (double)n + 1e-12);
        run_norm(scalar(), &d, n);
        for (size_t i = 0; i < n; i++) {
            double expected = (v[i] - mean) * r * (double)w[i] + (double)b[i];
            double actual = (double)((float *)d.x.data)[i];
            CHECK(fabs(actual - expected) <= 5e-6 * fmax(1, fabs(expected)),
                  "n %zu: element %zu is %.9g, expected %.9g", n, i, actual, expected);
        }
        norm_data_free(&d);
    }
}

TEST(simd_encoder, add_layernorm_tables_match_scalar) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            norm_data expected = norm_data_new(sizes[s], s);
            norm_data actual = norm_data_new(sizes[s], s);
            run_norm(scalar(), &expected, sizes[s]);
            run_norm(k, &actual, sizes[s]);
            check_floats("add_layernorm", k->name, expected.x.data, actual.x.data, sizes[s], s);
            norm_data_free(&expected);
            norm_data_free(&actual);
        }
    }
}

TEST(simd_encoder, add_layernorm_passes_nan) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        norm_data d = norm_data_new(20, 5);
        ((float *)d.y.data)[18] = NAN;
        run_norm(k, &d, 20);
        for (size_t i = 0; i < 20; i++) {
            CHECK(isnan(((float *)d.x.data)[i]), "%s: element %zu is %g beside a NaN", k->name, i,
                  (double)((float *)d.x.data)[i]);
        }
        norm_data_free(&d);
    }
}

/* ---- GELU ------------------------------------------------------------------------------------ */

TEST(simd_encoder, bias_gelu_is_that_of_erf) {
    double worst = 0;
    for (int i = -200000; i <= 200000; i++) {
        float x = (float)i * 0x1p-14f; /* to +-12.2 */
        float bias = 0;
        float y = x;
        scalar()->bias_gelu(&y, &bias, 1);
        double expected = 0.5 * (double)x * erfc(-(double)x / sqrt(2.0));
        double error = fabs((double)y - expected) / fmax(1, fabs(expected));
        worst = fmax(worst, error);
        CHECK(error <= 8e-7, "gelu(%a) is %.9g, expected %.9g", (double)x, (double)y, expected);
    }
    CHECK(worst > 0, "no rounding at all");
}

TEST(simd_encoder, bias_gelu_of_large_values) {
    static const float large[] = {5.5f, 5.75f, 100.0f, 1e10f, 3e38f};
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
            float x[2] = {large[i], -large[i]};
            const float bias[2] = {0};
            k->bias_gelu(x, bias, 2);
            CHECK(x[0] == large[i] && x[1] == 0, "%s: gelu(+-%g) are %g and %g", k->name,
                  (double)large[i], (double)x[0], (double)x[1]);
        }
        float nan[3] = {1, NAN, INFINITY};
        const float bias[3] = {0};
        k->bias_gelu(nan, bias, 3);
        CHECK(isnan(nan[1]) && nan[2] == INFINITY, "%s: gelu(NaN) is %g, gelu(inf) %g", k->name,
              (double)nan[1], (double)nan[2]);
    }
}

TEST(simd_encoder, bias_gelu_tables_match_scalar) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint64_t seed = 70 + s;
            size_t n = sizes[s];
            test_buffer x = test_buffer_normal(n, &seed);
            test_buffer bias = test_buffer_normal(n, &seed);
            test_buffer expected = test_buffer_new(n * sizeof(float));
            for (size_t i = 0; i < n; i++) {
                ((float *)x.data)[i] *= 3;
            }
            memcpy(expected.data, x.data, n * sizeof(float));
            scalar()->bias_gelu(expected.data, bias.data, n);
            k->bias_gelu(x.data, bias.data, n);
            check_floats("bias_gelu", k->name, expected.data, x.data, n, s);
            test_buffer_free(&x);
            test_buffer_free(&bias);
            test_buffer_free(&expected);
        }
    }
}

/* ---- Rows of heads --------------------------------------------------------------------------- */

TEST(simd_encoder, key_blocks_transpose) {
    static const size_t head_dims[] = {1, 8, 12, 16, 24, 32, 64, 80};
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t h = 0; h < sizeof head_dims / sizeof *head_dims; h++) {
            for (size_t n = 1; n <= 50; n += n < 18 ? 1 : 7) {
                uint64_t seed = n;
                size_t head_dim = head_dims[h];
                size_t stride = head_dim + 5;
                size_t padded = pith_round_up(n, 16);
                test_buffer x = test_buffer_normal((n - 1) * stride + head_dim, &seed);
                test_buffer blocks = test_buffer_new(padded * head_dim * sizeof(float));
                const float *from = x.data;
                const float *out = blocks.data;
                k->key_blocks(from, stride, n, head_dim, blocks.data);
                for (size_t j = 0; j < padded; j++) {
                    for (size_t d = 0; d < head_dim; d++) {
                        float expected = j < n ? from[j * stride + d] : 0;
                        float actual = out[(j / 16 * head_dim + d) * 16 + j % 16];
                        CHECK(test_same_float(actual, expected),
                              "%s head_dim %zu: key %zu of %zu, element %zu is %g, expected %g",
                              k->name, head_dim, j, n, d, (double)actual, (double)expected);
                    }
                }
                test_buffer_free(&x);
                test_buffer_free(&blocks);
            }
        }
    }
}

TEST(simd_encoder, affine_rounds_once) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint64_t seed = 90 + s;
            size_t n = sizes[s];
            test_buffer x = test_buffer_normal(n, &seed);
            test_buffer shift = test_buffer_normal(n, &seed);
            test_buffer expected = test_buffer_new(n * sizeof(float));
            for (size_t i = 0; i < n; i++) {
                ((float *)expected.data)[i] =
                    fmaf(((float *)x.data)[i], 0.3f, ((float *)shift.data)[i]);
            }
            k->affine(x.data, 0.3f, shift.data, n, x.data);
            check_floats("affine", k->name, expected.data, x.data, n, s);
            test_buffer_free(&x);
            test_buffer_free(&shift);
            test_buffer_free(&expected);
        }
    }
}
