/* Matrix products: the scalar kernels against sums in double over weights read by the definition of
 * the formats, every other table against scalar bit for bit. */
#include "base/checked.h"
#include "simd/blocks.h"
#include "tests/simd_problem.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const size_t float_sizes[] = {1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 33, 48, 130};
static const size_t int8_sizes[] = {1, 3, 4, 5, 60, 127, 128, 129, 132, 256, 257, 384, 644, 1030};
static const size_t int4_sizes[] = {32, 64, 96, 224, 256, 288, 480, 512, 544, 768, 1120};

static const size_t *sizes_of(pith_type type, size_t *n) {
    if (type == PITH_TYPE_INT8) {
        *n = sizeof int8_sizes / sizeof *int8_sizes;
        return int8_sizes;
    }
    if (type == PITH_TYPE_INT4) {
        *n = sizeof int4_sizes / sizeof *int4_sizes;
        return int4_sizes;
    }
    *n = sizeof float_sizes / sizeof *float_sizes;
    return float_sizes;
}

static void check_all_tables(const test_problem *p, uint64_t seed) {
    test_buffer expected = test_problem_run(p, pith_kernels_find("scalar"));
    const pith_kernels *kernels;
    for (size_t i = 0; (kernels = test_table(i)) != NULL; i++) {
        test_buffer actual = test_problem_run(p, kernels);
        test_problem_same(p, kernels, expected.data, actual.data, seed);
        test_buffer_free(&actual);
    }
    test_buffer_free(&expected);
}

/* ---- Scalar against the definition ----------------------------------------------------------- */

/* Sum over k of weight x activation in double; *bound gets the sum of magnitudes. */
static double naive_at(const test_problem *p, size_t row, size_t token, double *bound) {
    const pith_activations *x = &p->x.view;
    size_t group = p->type == PITH_TYPE_INT4 ? 256 : 128;
    bool is_float = p->type != PITH_TYPE_INT4 && p->type != PITH_TYPE_INT8;
    double sum = 0;
    *bound = 0;
    for (size_t i = 0; i < p->k; i++) {
        double value = is_float ? (double)x->x[token * x->x_stride + i]
                                : (double)x->scales[token * x->scale_stride + i / group] *
                                      x->codes[token * x->code_stride + i];
        double term = test_weight_at(p->type, p->weights.data, p->k, row, i) * value;
        sum += term;
        *bound += fabs(term);
    }
    return sum;
}

static void check_naive(const test_problem *p, uint64_t seed) {
    test_buffer y = test_problem_run(p, pith_kernels_find("scalar"));
    for (size_t t = 0; t < p->n_tokens; t++) {
        for (size_t r = 0; r < p->n_rows; r++) {
            double bound;
            double expected = naive_at(p, r, t, &bound);
            double actual = (double)((const float *)y.data)[t * p->y_stride + r];
            CHECK(fabs(actual - expected) <= bound * 1e-6 + 1e-30,
                  "%s seed %llu k %zu token %zu row %zu is %.9g, expected %.9g",
                  test_type_names[p->type], (unsigned long long)seed, p->k, t, r, actual, expected);
        }
    }
    test_buffer_free(&y);
}

TEST(simd_product, scalar_matches_sums_in_double) {
    uint64_t start = 1;
    for (int type = 0; type < PITH_N_TYPES; type++) {
        size_t n;
        const size_t *sizes = sizes_of((pith_type)type, &n);
        for (size_t i = 0; i < n; i++) {
            uint64_t seed = start++;
            test_problem p = test_problem_new((pith_type)type, sizes[i], 32, 3, TEST_RANDOM, &seed);
            check_naive(&p, start - 1);
            test_problem_free(&p);
        }
    }
}

/* ---- Tables against scalar ------------------------------------------------------------------- */

static void check_type(pith_type type, size_t n_rows, const size_t *tokens, size_t n_token_counts) {
    size_t n;
    const size_t *sizes = sizes_of(type, &n);
    uint64_t start = 1000 * (uint64_t)type;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n_token_counts; j++) {
            uint64_t seed = ++start;
            test_problem p =
                test_problem_new(type, sizes[i], n_rows, tokens[j], TEST_RANDOM, &seed);
            check_all_tables(&p, start);
            test_problem_free(&p);
        }
    }
}

static const size_t few[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12};
static const size_t many[] = {13, 17, 22, 24, 25, 26, 27, 31, 35};

TEST(simd_product, tables_match_scalar_on_floats) {
    for (int type = PITH_TYPE_F32; type <= PITH_TYPE_BF16; type++) {
        check_type((pith_type)type, 16, few, sizeof few / sizeof *few);
        check_type((pith_type)type, 48, many, sizeof many / sizeof *many);
    }
}

TEST(simd_product, tables_match_scalar_on_int8) {
    check_type(PITH_TYPE_INT8, 32, few, sizeof few / sizeof *few);
    check_type(PITH_TYPE_INT8, 48, many, sizeof many / sizeof *many);
}

TEST(simd_product, tables_match_scalar_on_int4) {
    check_type(PITH_TYPE_INT4, 32, few, sizeof few / sizeof *few);
    check_type(PITH_TYPE_INT4, 48, many, sizeof many / sizeof *many);
}

/* Tiles are expanded in sets: whole ones, and a rest of any size. */
TEST(simd_product, any_number_of_tiles_matches_scalar) {
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        for (size_t i = 0; i < 18; i++) {
            size_t n_tiles = 1 + i / 2;
            size_t n_tokens = i % 2 == 0 ? 19 : 21;
            uint64_t seed = 700 + i;
            test_problem p =
                test_problem_new((pith_type)type, 800, n_tiles * 16, n_tokens, TEST_RANDOM, &seed);
            check_all_tables(&p, 700 + i);
            test_problem_free(&p);
        }
    }
}

TEST(simd_product, float_chunks_of_tokens_match_scalar) {
    uint64_t seed = 77;
    test_problem p = test_problem_new(PITH_TYPE_F16, 8200, 16, 29, TEST_RANDOM, &seed);
    check_all_tables(&p, 77);
    test_problem_free(&p);
}

/* Few tokens: the sums of many groups are kept until their scales come, but not of any number. */
TEST(simd_product, more_groups_than_are_kept_match_scalar) {
    static const struct {
        pith_type type;
        size_t k, n_tokens;
    } cases[] = {
        {PITH_TYPE_INT8, 4096, 8},  {PITH_TYPE_INT8, 4100, 8},  {PITH_TYPE_INT8, 8320, 4},
        {PITH_TYPE_INT8, 33000, 1}, {PITH_TYPE_INT4, 8192, 8},  {PITH_TYPE_INT4, 8224, 8},
        {PITH_TYPE_INT4, 11008, 6}, {PITH_TYPE_INT4, 33056, 2}, {PITH_TYPE_INT4, 65824, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t seed = 900 + i;
        test_problem p =
            test_problem_new(cases[i].type, cases[i].k, 16, cases[i].n_tokens, TEST_RANDOM, &seed);
        check_all_tables(&p, 900 + i);
        test_problem_free(&p);
    }
}

/* How weights are fetched changes no bit: every hint, and distances up to the largest, with which
 * most addresses lie in no object. */
static void check_paths(const test_problem *p, const pith_kernels *kernels, const void *expected,
                        uint64_t seed) {
    static const size_t distances[] = {0,        64,       2 << 10,  6 << 10,
                                       12 << 10, 16 << 10, 24 << 10, 1 << 20};
    test_problem with = *p;
    for (int hint = 0; hint < PITH_N_HINTS; hint++) {
        for (size_t i = 0; i < sizeof distances / sizeof *distances; i++) {
            const pith_fetch fetch = {(pith_hint)hint, distances[i]};
            with.path = (pith_memory_path){.few = fetch, .more = fetch};
            test_buffer actual = test_problem_run(&with, kernels);
            test_problem_same(&with, kernels, expected, actual.data, seed);
            test_buffer_free(&actual);
        }
    }
}

/* With all tables that take a path; scalar takes none. */
static void check_all_paths(const test_problem *p, uint64_t seed) {
    test_buffer expected = test_problem_run(p, pith_kernels_find("scalar"));
    const pith_kernels *kernels;
    for (size_t i = 0; (kernels = test_table(i)) != NULL; i++) {
        if (kernels->takes_path) {
            check_paths(p, kernels, expected.data, seed);
        }
    }
    test_buffer_free(&expected);
}

TEST(simd_product, no_memory_path_changes_a_bit) {
    static const size_t tokens[] = {1, 2, 3, 4, 7, 11, 12};
    static const size_t k[] = {32, 288, 1120};
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
            for (size_t j = 0; j < sizeof tokens / sizeof *tokens; j++) {
                uint64_t seed = 1300 + 10 * i + j;
                test_problem p =
                    test_problem_new((pith_type)type, k[i], 32, tokens[j], TEST_RANDOM, &seed);
                check_all_paths(&p, 1300 + 10 * i + j);
                test_problem_free(&p);
            }
        }
    }
}

/* Nor does it how many tokens read the packed lines together. */
TEST(simd_product, tokens_that_read_packed_lines_change_no_bit) {
    static const size_t direct[] = {1, 5, 8, 32, 64, 1000};
    static const size_t tokens[] = {17, 64, 65, 131};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        uint64_t seed = 1500 + i;
        test_problem p = test_problem_new(PITH_TYPE_INT8, 1120, 48, tokens[i], TEST_RANDOM, &seed);
        for (size_t j = 0; j < sizeof direct / sizeof *direct; j++) {
            p.path.direct = direct[j];
            check_all_tables(&p, 1500 + i);
        }
        test_problem_free(&p);
    }
}

/* Long prompts go through in blocks of tokens, each with a tail of its own. */
TEST(simd_product, blocks_of_a_long_prompt_match_scalar) {
    static const size_t tokens[] = {516, 517, 1043};
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
            uint64_t seed = 900 + i;
            test_problem p =
                test_problem_new((pith_type)type, 544, 48, tokens[i], TEST_RANDOM, &seed);
            check_all_tables(&p, 900 + i);
            test_problem_free(&p);
        }
    }
}

TEST(simd_product, extreme_codes_do_not_saturate) {
    static const size_t tokens[] = {1, 2, 3, 4, 8, 12, 30};
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        for (int extreme = TEST_LARGEST; extreme <= TEST_MIXED; extreme++) {
            for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
                uint64_t seed = (uint64_t)(type * 100 + extreme);
                test_problem p = test_problem_new((pith_type)type, 512, 32, tokens[i],
                                                  (test_extreme)extreme, &seed);
                check_naive(&p, (uint64_t)(type * 100 + extreme));
                check_all_tables(&p, (uint64_t)(type * 100 + extreme));
                test_problem_free(&p);
            }
        }
    }
}

/* The index of the code that is nearest to `left` among those of its sign that are no larger. */
static uint8_t code_towards(int left) {
    uint8_t best = 8; /* 0 */
    for (uint8_t i = 0; i < 16; i++) {
        int code = pith_int4_codes[i];
        if (code * left > 0 && abs(code) <= abs(left) && abs(code) > abs(pith_int4_codes[best])) {
            best = i;
        }
    }
    return best;
}

/* Sets the codes of a block of row 3 of the first tile and group so that they add up to `sum`, all
 * of one sign. */
static void set_block(uint8_t *tile, size_t block, int sum) {
    for (size_t i = 0; i < PITH_INT4_BLOCK; i++) {
        uint8_t code = code_towards(sum);
        uint8_t *byte = &tile[(block / 2 * 4 + i / 4) * PITH_LINE_BYTES + (size_t)3 * 4 + i % 4];
        *byte = (uint8_t)(block % 2 == 0 ? (*byte & 0xf0) | code : (*byte & 0x0f) | code << 4);
        sum -= pith_int4_codes[code];
    }
    CHECK(sum == 0, "codes miss the sum by %d", sum);
}

/* Sums of a block of 16 around the 16 bits that products with unsigned activations have for them:
 * 254 x 129 fits, 254 x 130 does not. */
TEST(simd_product, int4_blocks_at_the_edge_of_16_bits) {
    static const int sums[] = {128, 129, 130, 131, 144, -128, -129, -130, -131, -160};
    for (int extreme = TEST_LARGEST; extreme <= TEST_MIXED; extreme++) {
        for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
            for (size_t block = 0; block < 4; block++) {
                uint64_t seed = 40 + i;
                test_problem p = test_problem_new(PITH_TYPE_INT4, 288, 48, 31, TEST_RANDOM, &seed);
                test_activations_free(&p.x);
                p.x = test_activations_new(PITH_TYPE_INT4, 31, 288, (test_extreme)extreme, &seed);
                set_block(p.weights.data, block, sums[i]);
                check_all_tables(&p, 40 + i);
                test_problem_free(&p);
            }
        }
    }
}

/* int8 weights of -128, which no quantiser writes but a file may hold. */
TEST(simd_product, int8_weight_of_minus_128) {
    uint64_t seed = 5;
    test_problem p = test_problem_new(PITH_TYPE_INT8, 256, 16, 30, TEST_SMALLEST, &seed);
    memset(p.weights.data, 0x80, 64 * 64);
    check_naive(&p, 5);
    check_all_tables(&p, 5);
    test_problem_free(&p);
}

/* ---- Splits ---------------------------------------------------------------------------------- */

TEST(simd_product, any_split_of_tokens_gives_the_same_bits) {
    const size_t n_tokens = 40;
    const pith_kernels *kernels;
    for (size_t i = 0; (kernels = test_table(i)) != NULL; i++) {
        for (int type = 0; type < PITH_N_TYPES; type++) {
            uint64_t seed = 300 + (uint64_t)type;
            test_problem p =
                test_problem_new((pith_type)type, 1120, 32, n_tokens, TEST_RANDOM, &seed);
            test_buffer whole = test_problem_run(&p, kernels);
            for (size_t trial = 0; trial < 8; trial++) {
                test_buffer parts = test_buffer_new(p.y_size * sizeof(float));
                size_t begin = 0;
                while (begin < n_tokens) {
                    size_t step = trial == 0 ? 1 : 1 + (size_t)(test_random(&seed) % 36);
                    size_t end = pith_min_size(begin + step, n_tokens);
                    test_problem_run_part(&p, kernels, begin, end, parts.data);
                    begin = end;
                }
                test_problem_same(&p, kernels, whole.data, parts.data, 300 + (uint64_t)type);
                test_buffer_free(&parts);
            }
            test_buffer_free(&whole);
            test_problem_free(&p);
        }
    }
}

/* ---- NaN and infinity ------------------------------------------------------------------------ */

TEST(simd_product, nan_and_infinity_reach_the_output) {
    static const size_t tokens[] = {3, 31};
    const pith_kernels *kernels;
    for (size_t i = 0; (kernels = test_table(i)) != NULL; i++) {
        for (int type = 0; type < PITH_N_TYPES; type++) {
            for (size_t j = 0; j < 2; j++) {
                uint64_t seed = 9;
                test_problem p =
                    test_problem_new((pith_type)type, 288, 16, tokens[j], TEST_RANDOM, &seed);
                ((float *)p.x.x.data)[p.x.view.x_stride + 287] = NAN;
                ((float *)p.x.x.data)[2 * p.x.view.x_stride + 5] = INFINITY;
                ((float *)p.x.scales.data)[p.x.view.scale_stride + 1] = NAN;
                ((float *)p.x.scales.data)[2 * p.x.view.scale_stride] = INFINITY;
                test_buffer y = test_problem_run(&p, kernels);
                for (size_t r = 0; r < p.n_rows; r++) {
                    const float *row = (const float *)y.data + r;
                    CHECK(isfinite(row[0]), "%s %s row %zu is %g", kernels->name,
                          test_type_names[type], r, (double)row[0]);
                    CHECK(isnan(row[p.y_stride]), "%s %s row %zu is %g, expected NaN",
                          kernels->name, test_type_names[type], r, (double)row[p.y_stride]);
                    CHECK(!isfinite(row[2 * p.y_stride]),
                          "%s %s row %zu is %g, expected NaN or infinity", kernels->name,
                          test_type_names[type], r, (double)row[2 * p.y_stride]);
                }
                test_buffer_free(&y);
                test_problem_free(&p);
            }
        }
    }
}

/* ---- Underflow ------------------------------------------------------------------------------- */

/* Products that round to -0: a lane without an element at the end of k must keep its sign. */
TEST(simd_product, partial_sums_of_minus_zero_survive_the_tail) {
    static const size_t sizes[] = {16, 17, 20, 24, 25, 31, 48};
    const pith_kernels *kernels;
    for (size_t i = 0; (kernels = test_table(i)) != NULL; i++) {
        for (int type = PITH_TYPE_F32; type <= PITH_TYPE_BF16; type++) {
            for (size_t j = 0; j < sizeof sizes / sizeof *sizes; j++) {
                uint64_t seed = 1;
                test_problem p =
                    test_problem_new((pith_type)type, sizes[j], 16, 3, TEST_RANDOM, &seed);
                for (size_t w = 0; w < 16 * sizes[j]; w++) {
                    if (type == PITH_TYPE_F32) {
                        ((float *)p.weights.data)[w] = -0x1p-149f;
                    } else {
                        ((uint16_t *)p.weights.data)[w] = 0x8001;
                    }
                }
                for (size_t t = 0; t < 3; t++) {
                    for (size_t k = 0; k < sizes[j]; k++) {
                        ((float *)p.x.x.data)[t * p.x.view.x_stride + k] = 0x1p-149f;
                    }
                }
                test_buffer y = test_problem_run(&p, kernels);
                for (size_t t = 0; t < 3; t++) {
                    uint32_t bits = test_float_bits(((float *)y.data)[t * p.y_stride + 3]);
                    CHECK(bits == 0x80000000, "%s %s k %zu: bits %#x, expected -0", kernels->name,
                          test_type_names[type], sizes[j], bits);
                }
                test_buffer_free(&y);
                test_problem_free(&p);
            }
        }
    }
}
