/* Row kernels: scalar against double arithmetic or the definition, every other table against scalar
 * bit for bit. Buffers end at guard pages. */
#include "base/checked.h"
#include "base/half.h"
#include "simd/blocks.h"
#include "tests/simd_data.h"
#include "tests/test.h"

#include <float.h>
#include <math.h>
#include <string.h>

static const size_t sizes[] = {1,  2,   7,   8,   9,   15,  16,  17, 31,
                               33, 100, 128, 129, 256, 257, 384, 520};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static const pith_kernels *scalar(void) {
    return pith_kernels_find("scalar");
}

static void check_floats(const char *kernel, const char *table, const float *expected,
                         const float *actual, size_t n, uint64_t seed) {
    size_t i = test_first_difference(expected, actual, n);
    CHECK(i == n, "%s %s seed %llu n %zu: element %zu is %a, expected %a", table, kernel,
          (unsigned long long)seed, n, i, (double)actual[i], (double)expected[i]);
}

/* ---- RMSNorm --------------------------------------------------------------------------------- */

TEST(simd_rows, rmsnorm_scalar_matches_double) {
    for (size_t s = 0; s < N_SIZES; s++) {
        uint64_t seed = s + 1;
        size_t n = sizes[s];
        test_buffer x = test_buffer_normal(n, &seed);
        test_buffer w = test_buffer_normal(n, &seed);
        test_buffer y = test_buffer_new(n * sizeof(float));
        scalar()->rmsnorm(x.data, w.data, 1e-5f, n, y.data);
        double squares = 0;
        for (size_t i = 0; i < n; i++) {
            squares += (double)((float *)x.data)[i] * (double)((float *)x.data)[i];
        }
        double r = 1 / sqrt(squares / (double)n + (double)1e-5f);
        for (size_t i = 0; i < n; i++) {
            double expected = (double)((float *)x.data)[i] * r * (double)((float *)w.data)[i];
            double actual = (double)((float *)y.data)[i];
            CHECK(fabs(actual - expected) <= 1e-6 * fabs(expected),
                  "seed %zu n %zu: element %zu is %.9g, expected %.9g", s + 1, n, i, actual,
                  expected);
        }
        test_buffer_free(&x);
        test_buffer_free(&w);
        test_buffer_free(&y);
    }
}

TEST(simd_rows, rmsnorm_tables_match_scalar) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint64_t seed = 50 + s;
            size_t n = sizes[s];
            test_buffer x = test_buffer_normal(n, &seed);
            test_buffer w = test_buffer_normal(n, &seed);
            test_buffer expected = test_buffer_new(n * sizeof(float));
            test_buffer actual = test_buffer_new(n * sizeof(float));
            scalar()->rmsnorm(x.data, w.data, 1e-6f, n, expected.data);
            k->rmsnorm(x.data, w.data, 1e-6f, n, actual.data);
            check_floats("rmsnorm", k->name, expected.data, actual.data, n, 50 + s);
            k->rmsnorm(x.data, w.data, 1e-6f, n, x.data);
            check_floats("rmsnorm in place", k->name, expected.data, x.data, n, 50 + s);
            test_buffer_free(&x);
            test_buffer_free(&w);
            test_buffer_free(&expected);
            test_buffer_free(&actual);
        }
    }
}

TEST(simd_rows, rmsnorm_passes_nan_and_infinity) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        float x[20];
        float w[20];
        float y[20];
        for (size_t i = 0; i < 20; i++) {
            x[i] = 1.0f;
            w[i] = 1.0f;
        }
        x[18] = NAN;
        k->rmsnorm(x, w, 1e-5f, 20, y);
        for (size_t i = 0; i < 20; i++) {
            CHECK(isnan(y[i]), "%s: element %zu is %g beside a NaN", k->name, i, (double)y[i]);
        }
        x[18] = INFINITY;
        k->rmsnorm(x, w, 1e-5f, 20, y);
        CHECK(isnan(y[18]), "%s: infinity became %g", k->name, (double)y[18]);
    }
}

/* ---- Quantisation ---------------------------------------------------------------------------- */

typedef struct quantized {
    test_buffer codes, scales, group_offset, block_offset;
} quantized;

static quantized quantized_new(size_t n, size_t group) {
    size_t padded = pith_round_up(n, 256);
    size_t n_groups = pith_groups(n, group);
    return (quantized){test_buffer_new(padded), test_buffer_new(n_groups * 4),
                       test_buffer_new(n_groups * 4), test_buffer_new(padded / 16 * 4)};
}

static void quantized_free(quantized *q) {
    test_buffer_free(&q->codes);
    test_buffer_free(&q->scales);
    test_buffer_free(&q->group_offset);
    test_buffer_free(&q->block_offset);
}

static void quantize(const pith_kernels *k, const float *x, size_t n, size_t group,
                     quantized *out) {
    k->quantize(x, n, group, out->codes.data, out->scales.data, out->group_offset.data,
                out->block_offset.data);
}

static void check_quantized(const quantized *expected, const quantized *actual, const char *table,
                            size_t n, size_t group, uint64_t seed) {
    const test_buffer *a[] = {&expected->codes, &expected->group_offset, &expected->block_offset};
    const test_buffer *b[] = {&actual->codes, &actual->group_offset, &actual->block_offset};
    static const char *const names[] = {"codes", "group_offset", "block_offset"};
    for (size_t i = 0; i < 3; i++) {
        size_t at = 0;
        while (at < a[i]->size && ((uint8_t *)a[i]->data)[at] == ((uint8_t *)b[i]->data)[at]) {
            at++;
        }
        CHECK(at == a[i]->size, "%s seed %llu n %zu group %zu: %s differ at byte %zu", table,
              (unsigned long long)seed, n, group, names[i], at);
    }
    check_floats("quantize scales", table, expected->scales.data, actual->scales.data,
                 pith_groups(n, group), seed);
}

/* What the contract says, element by element. */
static void check_definition(const float *x, size_t n, size_t group, const quantized *q,
                             uint64_t seed) {
    const int8_t *codes = q->codes.data;
    int32_t sums[2] = {0, 0}; /* of the current group and block */
    for (size_t i = 0; i < q->codes.size; i++) {
        size_t g = i / group;
        if (i % group == 0) {
            sums[0] = 0;
        }
        if (i % 16 == 0) {
            sums[1] = 0;
        }
        float a = 0;
        for (size_t j = g * group; j < n && j < (g + 1) * group; j++) {
            a = fabsf(x[j]) > a ? fabsf(x[j]) : a;
        }
        float expected = i < n && a != 0 ? rintf(x[i] * (127.0f / a)) : 0.0f;
        CHECK((float)codes[i] == expected, "seed %llu n %zu group %zu: code %zu is %d, expected %g",
              (unsigned long long)seed, n, group, i, codes[i], (double)expected);
        sums[0] += codes[i];
        sums[1] += codes[i];
        if (i % 16 == 15) {
            int32_t offset = ((int32_t *)q->block_offset.data)[i / 16];
            CHECK(offset == -10 * sums[1],
                  "seed %llu n %zu: offset of block %zu is %d, expected %d",
                  (unsigned long long)seed, n, i / 16, offset, -10 * sums[1]);
        }
        if (i % group == group - 1 && g < pith_groups(n, group)) {
            int32_t offset = ((int32_t *)q->group_offset.data)[g];
            CHECK(offset == -128 * sums[0],
                  "seed %llu n %zu: offset of group %zu is %d, expected %d",
                  (unsigned long long)seed, n, g, offset, -128 * sums[0]);
            float scale = ((float *)q->scales.data)[g];
            CHECK(scale == a / 127.0f, "seed %llu n %zu: scale %zu is %a, expected %a",
                  (unsigned long long)seed, n, g, (double)scale, (double)(a / 127.0f));
        }
    }
}

TEST(simd_rows, quantize_scalar_matches_the_definition) {
    for (size_t s = 0; s < N_SIZES; s++) {
        for (size_t group = 128; group <= 256; group += 128) {
            uint64_t seed = 100 + s;
            test_buffer x = test_buffer_normal(sizes[s], &seed);
            quantized q = quantized_new(sizes[s], group);
            quantize(scalar(), x.data, sizes[s], group, &q);
            check_definition(x.data, sizes[s], group, &q, 100 + s);
            quantized_free(&q);
            test_buffer_free(&x);
        }
    }
}

static void check_quantize_tables(const float *x, size_t n, size_t group, uint64_t seed) {
    quantized expected = quantized_new(n, group);
    quantize(scalar(), x, n, group, &expected);
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        quantized actual = quantized_new(n, group);
        quantize(k, x, n, group, &actual);
        check_quantized(&expected, &actual, k->name, n, group, seed);
        quantized_free(&actual);
    }
    quantized_free(&expected);
}

TEST(simd_rows, quantize_tables_match_scalar) {
    for (size_t s = 0; s < N_SIZES; s++) {
        uint64_t seed = 200 + s;
        test_buffer x = test_buffer_normal(sizes[s], &seed);
        check_quantize_tables(x.data, sizes[s], 128, 200 + s);
        check_quantize_tables(x.data, sizes[s], 256, 200 + s);
        test_buffer_free(&x);
    }
}

/* a = 127 makes the factor 1: x.5 must go to the even neighbour. */
TEST(simd_rows, quantize_rounds_ties_to_even) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        float x[256];
        for (size_t i = 0; i < 253; i++) {
            x[i] = (float)i - 126.5f;
        }
        x[253] = 127.0f;
        x[254] = -127.0f;
        x[255] = -0.5f;
        quantized q = quantized_new(256, 256);
        quantize(k, x, 256, 256, &q);
        for (size_t i = 0; i < 256; i++) {
            int code = ((int8_t *)q.codes.data)[i];
            CHECK(fabsf((float)code - x[i]) <= 0.5f && (i >= 253 || code % 2 == 0),
                  "%s: %g became %d", k->name, (double)x[i], code);
        }
        CHECK(((float *)q.scales.data)[0] == 1.0f, "%s: scale %a", k->name,
              (double)((float *)q.scales.data)[0]);
        quantized_free(&q);
    }
}

TEST(simd_rows, quantize_of_special_groups) {
    static const struct {
        float value;
        float scale; /* expected */
        int code;    /* of the value */
    } cases[] = {{0.0f, 0.0f, 0},
                 {-0.0f, 0.0f, 0},
                 {FLT_TRUE_MIN, 0.0f, 0},
                 {FLT_MIN, 0.0f, 0},
                 {-0x1.fffffep-120f, 0.0f, 0},
                 {0x1p-119f, 0x1p-119f / 127.0f, 127},
                 {-FLT_MAX, FLT_MAX / 127.0f, -127},
                 {NAN, NAN, 0},
                 {-INFINITY, NAN, 0},
                 {INFINITY, NAN, 0}};
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            float x[300] = {0};
            for (size_t j = 256; j < 300; j++) {
                x[j] = 1.0f;
            }
            x[0] = cases[i].value * 0.25f;
            x[77] = cases[i].value;
            quantized q = quantized_new(300, 256);
            quantize(k, x, 300, 256, &q);
            const int8_t *codes = q.codes.data;
            const float *scales = q.scales.data;
            CHECK(test_same_float(scales[0], cases[i].scale), "%s: scale of %a is %a", k->name,
                  (double)cases[i].value, (double)scales[0]);
            CHECK(codes[77] == cases[i].code, "%s: code of %a is %d", k->name,
                  (double)cases[i].value, codes[77]);
            CHECK(cases[i].code != 0 || (codes[0] == 0 && *(int32_t *)q.group_offset.data == 0),
                  "%s: codes beside %a are not zero", k->name, (double)cases[i].value);
            CHECK(codes[256] == 127 && scales[1] == 1.0f / 127.0f,
                  "%s: the group after %a is code %d, scale %a", k->name, (double)cases[i].value,
                  codes[256], (double)scales[1]);
            quantized_free(&q);
        }
    }
}

TEST(simd_rows, quantize_without_block_offsets) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        uint64_t seed = 8;
        test_buffer x = test_buffer_normal(200, &seed);
        quantized a = quantized_new(200, 128);
        quantized b = quantized_new(200, 128);
        quantize(k, x.data, 200, 128, &a);
        memcpy(b.block_offset.data, a.block_offset.data, a.block_offset.size);
        k->quantize(x.data, 200, 128, b.codes.data, b.scales.data, b.group_offset.data, NULL);
        check_quantized(&a, &b, k->name, 200, 128, 8);
        quantized_free(&a);
        quantized_free(&b);
        test_buffer_free(&x);
    }
}

TEST(simd_rows, rmsnorm_quantize_is_rmsnorm_then_quantize) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            size_t n = sizes[s];
            size_t group = s % 2 == 0 ? 256 : 128;
            uint64_t seed = 300 + s;
            test_buffer x = test_buffer_normal(n, &seed);
            test_buffer w = test_buffer_normal(n, &seed);
            test_buffer y = test_buffer_new(n * sizeof(float));
            quantized expected = quantized_new(n, group);
            quantized actual = quantized_new(n, group);
            scalar()->rmsnorm(x.data, w.data, 1e-5f, n, y.data);
            quantize(scalar(), y.data, n, group, &expected);
            k->rmsnorm_quantize(x.data, w.data, 1e-5f, n, group, actual.codes.data,
                                actual.scales.data, actual.group_offset.data,
                                actual.block_offset.data);
            check_quantized(&expected, &actual, k->name, n, group, 300 + s);
            quantized_free(&expected);
            quantized_free(&actual);
            test_buffer_free(&x);
            test_buffer_free(&w);
            test_buffer_free(&y);
        }
    }
}

/* ---- RoPE, SwiGLU ---------------------------------------------------------------------------- */

TEST(simd_rows, rope_rotates_pairs_in_every_table) {
    static const size_t dims[] = {2, 12, 24, 32, 64, 80, 128};
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < sizeof dims / sizeof *dims; s++) {
            size_t half = dims[s] / 2;
            size_t n = 3 * dims[s];
            uint64_t seed = 400 + s;
            test_buffer x = test_buffer_normal(n, &seed);
            test_buffer c = test_buffer_normal(half, &seed);
            test_buffer d = test_buffer_normal(half, &seed);
            test_buffer expected = test_buffer_new(n * sizeof(float));
            memcpy(expected.data, x.data, x.size);
            scalar()->rope(expected.data, 3, dims[s], c.data, d.data);
            for (size_t i = 0; i < n; i++) {
                size_t j = i % dims[s] % half;
                size_t pair = i / dims[s] * dims[s] + j;
                double a = (double)((float *)x.data)[pair];
                double b = (double)((float *)x.data)[pair + half];
                double cosine = (double)((float *)c.data)[j];
                double sine = (double)((float *)d.data)[j];
                double want = i % dims[s] < half ? a * cosine - b * sine : b * cosine + a * sine;
                double got = (double)((float *)expected.data)[i];
                CHECK(fabs(got - want) <= 1e-6 * (fabs(a) + fabs(b)) * 5,
                      "head_dim %zu: element %zu is %.9g, expected %.9g", dims[s], i, got, want);
            }
            k->rope(x.data, 3, dims[s], c.data, d.data);
            check_floats("rope", k->name, expected.data, x.data, n, 400 + s);
            test_buffer_free(&x);
            test_buffer_free(&c);
            test_buffer_free(&d);
            test_buffer_free(&expected);
        }
    }
}

TEST(simd_rows, swiglu_matches_double_and_scalar) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t n_tiles = 1; n_tiles <= 3; n_tiles++) {
            uint64_t seed = 500 + n_tiles;
            test_buffer x = test_buffer_normal(n_tiles * 32, &seed);
            float *in = x.data;
            for (size_t i = 0; i < n_tiles * 32; i++) {
                in[i] *= 20.0f;
            }
            test_buffer expected = test_buffer_new(n_tiles * 16 * sizeof(float));
            test_buffer actual = test_buffer_new(n_tiles * 16 * sizeof(float));
            scalar()->swiglu(in, expected.data, n_tiles);
            k->swiglu(in, actual.data, n_tiles);
            check_floats("swiglu", k->name, expected.data, actual.data, n_tiles * 16, 500);
            for (size_t i = 0; i < n_tiles * 16; i++) {
                double g = (double)in[i / 16 * 32 + i % 16];
                double u = (double)in[i / 16 * 32 + 16 + i % 16];
                double want = g / (1 + exp(-g)) * u;
                double got = (double)((float *)expected.data)[i];
                CHECK(fabs(got - want) <= 1e-6 * fabs(want), "element %zu is %.9g, expected %.9g",
                      i, got, want);
            }
            in[5] = NAN;
            in[16 + 6] = NAN;
            k->swiglu(in, actual.data, n_tiles);
            const float *y = actual.data;
            CHECK(isnan(y[5]) && isnan(y[6]) && !isnan(y[7]), "%s: NaN became %g and %g", k->name,
                  (double)y[5], (double)y[6]);
            test_buffer_free(&x);
            test_buffer_free(&expected);
            test_buffer_free(&actual);
        }
    }
}

/* ---- f16 ------------------------------------------------------------------------------------- */

TEST(simd_rows, f16_conversion_saturates_and_matches_base) {
    static const float special[] = {0.0f,       -0.0f,     65503.0f,  65504.0f,
                                    65519.996f, 65520.0f,  1e9f,      -1e9f,
                                    INFINITY,   -INFINITY, 6e-8f,     2.98e-8f,
                                    2.99e-8f,   -6.1e-5f,  0x1p-149f, 1.0009765625f};
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t s = 0; s < N_SIZES; s++) {
            uint64_t seed = 600 + s;
            size_t n = sizes[s];
            test_buffer x = test_buffer_new(n * sizeof(float));
            test_buffer y = test_buffer_new(n * sizeof(uint16_t));
            float *in = x.data;
            for (size_t i = 0; i < n; i++) {
                uint32_t bits = (uint32_t)test_random(&seed);
                memcpy(&in[i], &bits, sizeof bits);
                in[i] = i % 3 == 0 ? special[(i / 3 + s) % 16] : in[i];
            }
            k->f32_to_f16(in, y.data, n);
            for (size_t i = 0; i < n; i++) {
                uint16_t got = ((uint16_t *)y.data)[i];
                float clamped = fminf(fmaxf(in[i], -65504.0f), 65504.0f);
                bool same =
                    isnan(in[i]) ? isnan(pith_f16_to_f32(got)) : got == pith_f32_to_f16(clamped);
                CHECK(same, "%s seed %zu: %a became %#x", k->name, 600 + s, (double)in[i], got);
            }
            test_buffer_free(&x);
            test_buffer_free(&y);
        }
    }
}

/* ---- exp ------------------------------------------------------------------------------------- */

/* Distance from the true value in units of the last place of the float nearest to it. */
static double ulps_off(float actual, double truth) {
    float nearest = (float)truth;
    double ulp = (double)(nextafterf(nearest, INFINITY) - nearest);
    return fabs((double)actual - truth) / ulp;
}

TEST(simd_rows, exp_is_within_two_ulp) {
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i <= 1760000; i++) {
        float x = -87.3f + (float)i * 1e-4f;
        x = x > 88.7f ? 88.7f : x;
        double off = ulps_off(pith_exp(x), exp((double)x));
        if (off > worst) {
            worst = off;
            at = x;
        }
    }
    CHECK(worst <= 2.0, "exp(%a) is %g ulp off", (double)at, worst);
}

TEST(simd_rows, exp_of_special_values) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        float x[] = {0.0f, -0.0f, -INFINITY, -1000.0f, INFINITY, 1000.0f, NAN, 0x1p-140f};
        float y[8];
        k->exp(x, y, 8);
        CHECK(y[0] == 1.0f && y[1] == 1.0f && y[7] == 1.0f, "%s: exp(0) is %a, %a, %a", k->name,
              (double)y[0], (double)y[1], (double)y[7]);
        CHECK(y[2] == y[3] && y[2] > 0.0f && y[2] < 1.3e-38f, "%s: exp(-infinity) is %a", k->name,
              (double)y[2]);
        CHECK(y[4] == y[5] && isfinite(y[4]) && y[4] > 3e38f, "%s: exp(infinity) is %a", k->name,
              (double)y[4]);
        CHECK(isnan(y[6]), "%s: exp(NaN) is %a", k->name, (double)y[6]);
    }
}

TEST(simd_rows, exp_tables_match_the_scalar_function) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (uint32_t bits = 0; bits < 0xffff0000; bits += 7919 * 33) {
            float x[33];
            for (uint32_t i = 0; i < 33; i++) {
                uint32_t pattern = bits + i * 7919;
                memcpy(&x[i], &pattern, sizeof pattern);
            }
            float y[33];
            k->exp(x, y, 33);
            for (size_t i = 0; i < 33; i++) {
                CHECK(test_same_float(y[i], pith_exp(x[i])), "%s: exp(%a) is %a, expected %a",
                      k->name, (double)x[i], (double)y[i], (double)pith_exp(x[i]));
            }
        }
    }
}
