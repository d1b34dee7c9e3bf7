/* Attention kernels: scalar against double arithmetic, every other table against scalar bit for
 * bit. Buffers end at guard pages; what a kernel must not write is checked. */
#include "base/half.h"
#include "tests/simd_data.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

static const size_t head_dims[] = {1, 4, 12, 24, 48, 64, 80, 128, 200};
static const size_t query_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 27};
static const size_t block_counts[] = {1, 2, 3, 4, 5, 8, 13};
static const size_t key_counts[] = {1, 2, 15, 16, 33, 257};

enum { N_DIMS = sizeof head_dims / sizeof *head_dims };

static const pith_kernels *scalar(void) {
    return pith_kernels_find("scalar");
}

/* The values of an f32 buffer as f16, which are then also what `x` holds. */
static test_buffer halves_of(test_buffer *x) {
    size_t n = x->size / sizeof(float);
    test_buffer out = test_buffer_new(n * sizeof(uint16_t));
    for (size_t i = 0; i < n; i++) {
        uint16_t half = pith_f32_to_f16(((float *)x->data)[i]);
        ((uint16_t *)out.data)[i] = half;
        ((float *)x->data)[i] = pith_f16_to_f32(half);
    }
    return out;
}

/* n codes, and what they are as floats. */
static test_buffer random_codes(size_t n, float *floats, uint64_t *seed) {
    test_buffer out = test_buffer_new(n);
    for (size_t i = 0; i < n; i++) {
        int8_t code = (int8_t)((int)(test_random(seed) % 255) - 127);
        ((int8_t *)out.data)[i] = code;
        floats[i] = (float)code;
    }
    return out;
}

static void check_close(const char *what, double actual, double expected, double bound, size_t i,
                        uint64_t seed) {
    CHECK(fabs(actual - expected) <= 2e-6 * bound + 1e-30,
          "%s seed %llu: element %zu is %.9g, expected %.9g", what, (unsigned long long)seed, i,
          actual, expected);
}

static void check_same(const char *what, const char *table, const float *expected,
                       const float *actual, size_t n, size_t head_dim, size_t n_q, uint64_t seed) {
    size_t i = test_first_difference(expected, actual, n);
    CHECK(i == n, "%s %s seed %llu head_dim %zu queries %zu: element %zu is %a, expected %a", table,
          what, (unsigned long long)seed, head_dim, n_q, i, (double)actual[i], (double)expected[i]);
}

/* ---- Scores ---------------------------------------------------------------------------------- */

static void check_scores(size_t head_dim, size_t n_q, size_t n_blocks, uint64_t start) {
    uint64_t seed = start;
    size_t stride = n_blocks * 16 + 16;
    size_t n = (n_q - 1) * stride + n_blocks * 16;
    test_buffer q = test_buffer_normal(n_q * head_dim, &seed);
    test_buffer k = test_buffer_normal(n_blocks * head_dim * 16, &seed);
    test_buffer k16 = halves_of(&k);
    test_buffer expected = test_buffer_new(n * sizeof(float));
    scalar()->scores_f32(q.data, n_q, head_dim, k.data, n_blocks, expected.data, stride);
    for (size_t i = 0; i < n_q; i++) {
        for (size_t key = 0; key < n_blocks * 16; key++) {
            double sum = 0;
            double bound = 0;
            for (size_t d = 0; d < head_dim; d++) {
                double a = (double)((float *)q.data)[i * head_dim + d];
                double b = (double)((float *)k.data)[(key / 16 * head_dim + d) * 16 + key % 16];
                sum += a * b;
                bound += fabs(a * b);
            }
            check_close("scores", (double)((float *)expected.data)[i * stride + key], sum, bound,
                        i * stride + key, start);
        }
    }
    const pith_kernels *kernels;
    for (size_t t = 0; (kernels = test_table(t)) != NULL; t++) {
        test_buffer s = test_buffer_new(n * sizeof(float));
        kernels->scores_f32(q.data, n_q, head_dim, k.data, n_blocks, s.data, stride);
        check_same("scores_f32", kernels->name, expected.data, s.data, n, head_dim, n_q, start);
        memset(s.data, 0xff, s.size);
        kernels->scores_f16(q.data, n_q, head_dim, k16.data, n_blocks, s.data, stride);
        check_same("scores_f16", kernels->name, expected.data, s.data, n, head_dim, n_q, start);
        test_buffer_free(&s);
    }
    test_buffer_free(&q);
    test_buffer_free(&k);
    test_buffer_free(&k16);
    test_buffer_free(&expected);
}

TEST(simd_attention, scores_match_double_and_scalar) {
    uint64_t seed = 1;
    for (size_t d = 0; d < N_DIMS; d++) {
        for (size_t i = 0; i < sizeof query_counts / sizeof *query_counts; i++) {
            for (size_t b = 0; b < sizeof block_counts / sizeof *block_counts; b++) {
                check_scores(head_dims[d], query_counts[i], block_counts[b], seed++);
            }
        }
    }
}

static void check_scores_int8(size_t head_dim, size_t n_q, size_t n_blocks, uint64_t start) {
    uint64_t seed = start;
    size_t stride = n_blocks * 16 + 16;
    size_t n = (n_q - 1) * stride + n_blocks * 16;
    test_buffer q = test_buffer_normal(n_q * head_dim, &seed);
    test_buffer k = test_buffer_new(n_blocks * head_dim * 16 * sizeof(float));
    test_buffer codes = random_codes(n_blocks * head_dim * 16, k.data, &seed);
    test_buffer expected = test_buffer_new(n * sizeof(float));
    scalar()->scores_f32(q.data, n_q, head_dim, k.data, n_blocks, expected.data, stride);
    const pith_kernels *kernels;
    for (size_t t = 0; (kernels = test_table(t)) != NULL; t++) {
        test_buffer s = test_buffer_new(n * sizeof(float));
        kernels->scores_int8(q.data, n_q, head_dim, codes.data, n_blocks, s.data, stride);
        check_same("scores_int8", kernels->name, expected.data, s.data, n, head_dim, n_q, start);
        test_buffer_free(&s);
    }
    test_buffer_free(&q);
    test_buffer_free(&k);
    test_buffer_free(&codes);
    test_buffer_free(&expected);
}

/* Codes are converted exactly: the same bits as the f32 kernel on their values. */
TEST(simd_attention, scores_of_codes_match_those_of_their_values) {
    uint64_t seed = 5000;
    for (size_t d = 0; d < N_DIMS; d++) {
        for (size_t i = 0; i < sizeof query_counts / sizeof *query_counts; i++) {
            for (size_t b = 0; b < sizeof block_counts / sizeof *block_counts; b++) {
                check_scores_int8(head_dims[d], query_counts[i], block_counts[b], seed++);
            }
        }
    }
}

/* ---- Values ---------------------------------------------------------------------------------- */

static void check_values(size_t head_dim, size_t n_q, size_t n_keys, uint64_t start) {
    uint64_t seed = start;
    size_t stride = n_keys + 3;
    test_buffer p = test_buffer_normal((n_q - 1) * stride + n_keys, &seed);
    test_buffer v = test_buffer_normal(n_keys * head_dim, &seed);
    test_buffer v16 = halves_of(&v);
    size_t n = n_q * head_dim;
    test_buffer expected = test_buffer_new(n * sizeof(float));
    scalar()->values_f32(p.data, stride, n_q, n_keys, head_dim, v.data, expected.data);
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        double bound = 0;
        for (size_t j = 0; j < n_keys; j++) {
            double a = (double)((float *)p.data)[i / head_dim * stride + j];
            double b = (double)((float *)v.data)[j * head_dim + i % head_dim];
            sum += a * b;
            bound += fabs(a * b);
        }
        check_close("values", (double)((float *)expected.data)[i], sum, bound, i, start);
    }
    const pith_kernels *kernels;
    for (size_t t = 0; (kernels = test_table(t)) != NULL; t++) {
        test_buffer o = test_buffer_new(n * sizeof(float));
        kernels->values_f32(p.data, stride, n_q, n_keys, head_dim, v.data, o.data);
        check_same("values_f32", kernels->name, expected.data, o.data, n, head_dim, n_q, start);
        memset(o.data, 0xff, o.size);
        kernels->values_f16(p.data, stride, n_q, n_keys, head_dim, v16.data, o.data);
        check_same("values_f16", kernels->name, expected.data, o.data, n, head_dim, n_q, start);
        test_buffer_free(&o);
    }
    test_buffer_free(&p);
    test_buffer_free(&v);
    test_buffer_free(&v16);
    test_buffer_free(&expected);
}

TEST(simd_attention, values_match_double_and_scalar) {
    uint64_t seed = 1000;
    for (size_t d = 0; d < N_DIMS; d++) {
        for (size_t i = 0; i < sizeof query_counts / sizeof *query_counts; i++) {
            for (size_t j = 0; j < sizeof key_counts / sizeof *key_counts; j++) {
                check_values(head_dims[d], query_counts[i], key_counts[j], seed++);
            }
        }
    }
}

static void check_values_int8(size_t head_dim, size_t n_q, size_t n_keys, uint64_t start) {
    uint64_t seed = start;
    size_t stride = n_keys + 3;
    size_t n = n_q * head_dim;
    test_buffer p = test_buffer_normal((n_q - 1) * stride + n_keys, &seed);
    test_buffer v = test_buffer_new(n_keys * head_dim * sizeof(float));
    test_buffer codes = random_codes(n_keys * head_dim, v.data, &seed);
    test_buffer expected = test_buffer_new(n * sizeof(float));
    scalar()->values_f32(p.data, stride, n_q, n_keys, head_dim, v.data, expected.data);
    const pith_kernels *kernels;
    for (size_t t = 0; (kernels = test_table(t)) != NULL; t++) {
        test_buffer o = test_buffer_new(n * sizeof(float));
        kernels->values_int8(p.data, stride, n_q, n_keys, head_dim, codes.data, o.data);
        check_same("values_int8", kernels->name, expected.data, o.data, n, head_dim, n_q, start);
        test_buffer_free(&o);
    }
    test_buffer_free(&p);
    test_buffer_free(&v);
    test_buffer_free(&codes);
    test_buffer_free(&expected);
}

TEST(simd_attention, values_of_codes_match_those_of_their_values) {
    uint64_t seed = 6000;
    for (size_t d = 0; d < N_DIMS; d++) {
        for (size_t i = 0; i < sizeof query_counts / sizeof *query_counts; i++) {
            for (size_t j = 0; j < sizeof key_counts / sizeof *key_counts; j++) {
                check_values_int8(head_dims[d], query_counts[i], key_counts[j], seed++);
            }
        }
    }
}

/* ---- Rows ------------------------------------------------------------------------------------ */

TEST(simd_attention, multiply_and_blend_match_plain_arithmetic) {
    for (size_t n = 1; n < 70; n++) {
        uint64_t seed = 7000 + n;
        test_buffer x = test_buffer_normal(n, &seed);
        test_buffer y = test_buffer_normal(n, &seed);
        float a = test_random_normal(&seed);
        float b = test_random_normal(&seed);
        float products[70];
        float blended[70];
        for (size_t i = 0; i < n; i++) {
            float old = ((float *)x.data)[i];
            float other = ((float *)y.data)[i];
            products[i] = old * other;
            float left = old * a;
            float right = other * b;
            blended[i] = left + right;
        }
        const pith_kernels *kernels;
        for (size_t t = 0; (kernels = test_table(t)) != NULL; t++) {
            test_buffer out = test_buffer_new(n * sizeof(float));
            memcpy(out.data, x.data, n * sizeof(float));
            kernels->multiply(out.data, y.data, n);
            check_same("multiply", kernels->name, products, out.data, n, 0, 0, 7000 + n);
            memcpy(out.data, x.data, n * sizeof(float));
            kernels->blend(out.data, a, y.data, b, n);
            check_same("blend", kernels->name, blended, out.data, n, 0, 0, 7000 + n);
            test_buffer_free(&out);
        }
        test_buffer_free(&x);
        test_buffer_free(&y);
    }
}

/* ---- Softmax --------------------------------------------------------------------------------- */

static const struct {
    size_t begin, end, n;
} ranges[] = {{0, 1, 16},   {0, 16, 16}, {15, 16, 16}, {3, 9, 16},   {7, 10, 32},   {0, 17, 32},
              {16, 32, 32}, {5, 40, 48}, {31, 33, 48}, {17, 18, 48}, {0, 128, 128}, {20, 90, 128}};

enum { N_RANGES = sizeof ranges / sizeof *ranges };

TEST(simd_attention, softmax_scalar_matches_double) {
    for (size_t r = 0; r < N_RANGES; r++) {
        uint64_t seed = 2000 + r;
        size_t n = ranges[r].n;
        test_buffer s = test_buffer_normal(n, &seed);
        float before[128];
        memcpy(before, s.data, n * sizeof(float));
        float max;
        float sum;
        scalar()->softmax(s.data, ranges[r].begin, ranges[r].end, n, &max, &sum);
        double total = 0;
        float largest = -INFINITY;
        for (size_t j = ranges[r].begin; j < ranges[r].end; j++) {
            largest = fmaxf(largest, before[j]);
        }
        CHECK(max == largest, "range %zu: max is %a, expected %a", r, (double)max, (double)largest);
        for (size_t j = 0; j < n; j++) {
            bool valid = j >= ranges[r].begin && j < ranges[r].end;
            double expected = valid ? exp((double)before[j] - (double)largest) : 0.0;
            check_close("softmax", (double)((float *)s.data)[j], expected, 1.0, j, 2000 + r);
            total += expected;
        }
        check_close("softmax sum", (double)sum, total, total, 0, 2000 + r);
        test_buffer_free(&s);
    }
}

/* Runs softmax on a copy of `scores` with scalar and with every table. */
static void check_softmax(const float *scores, size_t r, uint64_t seed) {
    size_t n = ranges[r].n;
    float expected[128];
    float expected_max;
    float expected_sum;
    memcpy(expected, scores, n * sizeof(float));
    scalar()->softmax(expected, ranges[r].begin, ranges[r].end, n, &expected_max, &expected_sum);
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        test_buffer s = test_buffer_new(n * sizeof(float));
        memcpy(s.data, scores, n * sizeof(float));
        float max = -1;
        float sum = -1;
        k->softmax(s.data, ranges[r].begin, ranges[r].end, n, &max, &sum);
        check_same("softmax", k->name, expected, s.data, n, 0, r, seed);
        CHECK(test_same_float(max, expected_max) && test_same_float(sum, expected_sum),
              "%s seed %llu range %zu: max %a sum %a, expected %a and %a", k->name,
              (unsigned long long)seed, r, (double)max, (double)sum, (double)expected_max,
              (double)expected_sum);
        test_buffer_free(&s);
    }
}

TEST(simd_attention, softmax_tables_match_scalar) {
    for (size_t r = 0; r < N_RANGES; r++) {
        uint64_t seed = 3000 + r;
        float scores[128];
        for (size_t j = 0; j < 128; j++) {
            scores[j] = 10.0f * test_random_normal(&seed);
        }
        check_softmax(scores, r, 3000 + r);
        /* what lies outside the range must not matter */
        for (size_t j = 0; j < 128; j++) {
            bool valid = j >= ranges[r].begin && j < ranges[r].end;
            scores[j] = valid ? scores[j] : j % 2 == 0 ? NAN : INFINITY;
        }
        check_softmax(scores, r, 3000 + r);
        /* zeros of both signs: the largest is +0 in every table */
        for (size_t j = 0; j < 128; j++) {
            scores[j] = test_random(&seed) % 2 == 0 ? 0.0f : -0.0f;
        }
        check_softmax(scores, r, 3000 + r);
    }
}

TEST(simd_attention, softmax_passes_nan) {
    const pith_kernels *k;
    for (size_t t = 0; (k = test_table(t)) != NULL; t++) {
        for (size_t r = 0; r < N_RANGES; r++) {
            for (size_t at = ranges[r].begin; at < ranges[r].end; at++) {
                float s[128] = {0};
                float max;
                float sum;
                s[at] = NAN;
                k->softmax(s, ranges[r].begin, ranges[r].end, ranges[r].n, &max, &sum);
                CHECK(isnan(max) && isnan(sum) && isnan(s[ranges[r].begin]),
                      "%s range %zu: NaN at %zu gave max %g, sum %g", k->name, r, at, (double)max,
                      (double)sum);
            }
        }
    }
}
