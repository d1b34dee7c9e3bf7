/* The AMX products on a tile unit in software, bit for bit against scalar: the kernels' own source
 * (tests/amx_software.c), so that it is tested on processors without tiles. And that unit itself.
 */
#include "perf/probe.h"
#include "simd/x86/amx_unit.h"
#include "tests/amx_software.h"
#include "tests/simd_problem.h"
#include "tests/test.h"
#include "tests/tile_unit.h"

#include <math.h>
#include <string.h>

/* ---- The unit -------------------------------------------------------------------------------- */

static void check_fault(const char *expected) {
    const char *fault = tile_unit_fault();
    CHECK((fault == NULL) == (expected == NULL) && (fault == NULL || strcmp(fault, expected) == 0),
          "the fault is '%s', expected '%s'", fault == NULL ? "none" : fault,
          expected == NULL ? "none" : expected);
}

TEST(simd_amx, unit_refuses_what_is_not_configured) {
    uint8_t memory[1024] = {0};
    const pith_tile_config full = PITH_TILE_CONFIG_FULL;
    static const char none[] = "no configuration was loaded";
    for (size_t i = 0; i < 2; i++) {
        tile_unit_load(0, memory, 64);
        check_fault(none);
        tile_unit_store(0, memory, 64);
        check_fault(none);
        tile_unit_zero(0);
        check_fault(none);
        tile_unit_multiply(0, 1, 2);
        check_fault(none);
        tile_unit_configure(&full);
        CHECK(tile_unit_configured(), "not configured");
        tile_unit_load(0, memory, 64);
        check_fault(NULL);
        tile_unit_release();
        CHECK(!tile_unit_configured(), "not released");
    }
}

TEST(simd_amx, unit_refuses_configurations_that_fault) {
    static const struct {
        size_t byte;
        uint8_t value;
        const char *fault;
    } cases[] = {{0, 2, "the palette is not 1"},
                 {1, 3, "the start row is not 0"},
                 {2, 1, "a reserved byte of the configuration is not 0"},
                 {47, 1, "a reserved byte of the configuration is not 0"},
                 {63, 1, "a reserved byte of the configuration is not 0"},
                 {16, 65, "a tile is larger than 16 rows of 64 bytes"},
                 {31, 1, "a tile is larger than 16 rows of 64 bytes"},
                 {48, 17, "a tile is larger than 16 rows of 64 bytes"},
                 {55, 0, "half a tile is 0"},
                 {16, 0, "half a tile is 0"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_tile_config full = PITH_TILE_CONFIG_FULL;
        uint8_t bytes[64];
        CHECK(sizeof full == sizeof bytes, "a configuration has %zu bytes", sizeof full);
        memcpy(bytes, &full, sizeof bytes);
        bytes[cases[i].byte] = cases[i].value;
        tile_unit_configure(bytes);
        check_fault(cases[i].fault);
        CHECK(!tile_unit_configured(), "configured by case %zu", i);
    }
}

TEST(simd_amx, unit_refuses_products_whose_tiles_do_not_fit) {
    static const char misfit[] = "the sizes of a product's tiles do not fit";
    /* sum, a, b: rows and bytes of a row */
    static const struct {
        uint8_t rows[3];
        uint16_t row_bytes[3];
        const char *fault;
    } cases[] = {{{5, 5, 3}, {28, 12, 28}, NULL},
                 {{5, 4, 3}, {28, 12, 28}, misfit},
                 {{5, 5, 2}, {28, 12, 28}, misfit},
                 {{5, 5, 3}, {24, 12, 28}, misfit},
                 {{5, 5, 3}, {28, 16, 28}, misfit},
                 {{5, 5, 3}, {28, 14, 28}, "a row of a product is no multiple of four bytes"},
                 {{5, 5, 0}, {28, 12, 0}, "a tile without rows"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_tile_config config = {.palette = 1};
        for (size_t t = 0; t < 3; t++) {
            config.rows[t] = cases[i].rows[t];
            config.row_bytes[t] = cases[i].row_bytes[t];
        }
        tile_unit_configure(&config);
        check_fault(NULL);
        tile_unit_multiply(0, 1, 2);
        check_fault(cases[i].fault);
        tile_unit_multiply(0, 1, 1);
        check_fault("the tiles of a product are not three");
        tile_unit_load(8, config.rows, 1);
        check_fault("there are eight tiles");
        tile_unit_release();
    }
}

/* 5 x 7 sums over 3 x 4 products each, from the definition; rows and columns beyond stay as they
 * are in memory. */
TEST(simd_amx, unit_multiplies_small_tiles) {
    const pith_tile_config config = {.palette = 1, .rows = {5, 5, 3}, .row_bytes = {28, 12, 28}};
    int8_t a[5][16];
    int8_t b[3][32];
    int32_t sums[6][8];
    uint64_t seed = 3;
    for (size_t i = 0; i < sizeof a; i++) {
        ((int8_t *)a)[i] = (int8_t)(test_random(&seed) % 256);
    }
    for (size_t i = 0; i < sizeof b; i++) {
        ((int8_t *)b)[i] = (int8_t)(test_random(&seed) % 256);
    }
    memset(sums, 0x55, sizeof sums);
    tile_unit_configure(&config);
    tile_unit_load(0, sums, sizeof sums[0]);
    tile_unit_load(1, a, sizeof a[0]);
    tile_unit_load(2, b, sizeof b[0]);
    tile_unit_multiply(0, 1, 2);
    tile_unit_store(0, sums, sizeof sums[0]);
    tile_unit_release();
    check_fault(NULL);
    for (size_t m = 0; m < 6; m++) {
        for (size_t n = 0; n < 8; n++) {
            int32_t expected = 0x55555555;
            for (size_t k = 0; k < 12 && m < 5 && n < 7; k++) {
                expected += a[m][k] * b[k / 4][4 * n + k % 4];
            }
            CHECK(sums[m][n] == expected, "sum %zu %zu is %d, expected %d", m, n, sums[m][n],
                  expected);
        }
    }
}

/* ---- The kernels ----------------------------------------------------------------------------- */

/* tdpbssd that a product takes at least: all operands of 16 tokens x 64 k by 64 k x 16 rows. */
static size_t least_products(const test_problem *p) {
    return p->n_tokens < 16 ? 0 : (p->n_tokens + 15) / 16 * (p->n_rows / 16) * ((p->k + 63) / 64);
}

/* The AMX product against scalar, in software and where this CPU has tiles on those; that it went
 * through the tiles, or for few tokens did not. */
static void check_problem(const test_problem *p, uint64_t seed) {
    const size_t products = tile_unit_products();
    const size_t few = amx_software_few();
    test_buffer expected = test_problem_run(p, pith_kernels_find("scalar"));
    test_buffer actual = test_problem_run(p, &amx_software_kernels);
    check_fault(NULL);
    CHECK(!tile_unit_configured(), "k %zu tokens %zu: the tiles were not released", p->k,
          p->n_tokens);
    test_problem_same(p, &amx_software_kernels, expected.data, actual.data, seed);
    if (pith_kernels_find("amx-int8") != NULL) {
        test_buffer tiles = test_problem_run(p, pith_kernels_find("amx-int8"));
        test_problem_same(p, pith_kernels_find("amx-int8"), expected.data, tiles.data, seed);
        test_buffer_free(&tiles);
    }
    CHECK(tile_unit_products() - products == least_products(p),
          "%s k %zu rows %zu tokens %zu took %zu tile products, expected %zu",
          test_type_names[p->type], p->k, p->n_rows, p->n_tokens, tile_unit_products() - products,
          least_products(p));
    CHECK(amx_software_few() - few == (p->n_tokens < 16), "tokens %zu: %zu products of few tokens",
          p->n_tokens, amx_software_few() - few);
    test_buffer_free(&actual);
    test_buffer_free(&expected);
}

static void check(pith_type type, size_t k, size_t n_rows, size_t n_tokens, test_extreme extreme) {
    const uint64_t start = k * 1000 + n_rows * 100 + n_tokens;
    uint64_t seed = start;
    test_problem p = test_problem_new(type, k, n_rows, n_tokens, extreme, &seed);
    check_problem(&p, start);
    test_problem_free(&p);
}

TEST(simd_amx, any_number_of_tokens_matches_scalar) {
    for (size_t n = 1; n <= 70; n++) {
        check(PITH_TYPE_INT8, 385, 96, n, TEST_RANDOM);
        check(PITH_TYPE_INT4, 544, 96, n, TEST_RANDOM);
    }
    check(PITH_TYPE_INT8, 100, 48, 333, TEST_RANDOM);
    check(PITH_TYPE_INT4, 288, 48, 333, TEST_RANDOM);
}

/* Sets of four tiles, then a pair, then a lone one. */
TEST(simd_amx, any_number_of_tiles_matches_scalar) {
    for (size_t tiles = 1; tiles <= 11; tiles++) {
        for (size_t n = 16; n <= 64; n += 16) {
            check(PITH_TYPE_INT8, 260, tiles * 16, n, TEST_RANDOM);
            check(PITH_TYPE_INT4, 320, tiles * 16, n, TEST_RANDOM);
            check(PITH_TYPE_INT8, 260, tiles * 16, n + 5, TEST_RANDOM);
            check(PITH_TYPE_INT4, 320, tiles * 16, n + 5, TEST_RANDOM);
        }
    }
}

/* Every remainder of a chunk of 256, with and without whole ones before it. */
TEST(simd_amx, any_k_matches_scalar) {
    for (size_t k = 1; k <= 516; k++) {
        check(PITH_TYPE_INT8, k, 48, 16 + k % 19, TEST_RANDOM);
    }
    for (size_t k = 32; k <= 1056; k += 32) {
        check(PITH_TYPE_INT4, k, 48, 16, TEST_RANDOM);
        check(PITH_TYPE_INT4, k, 48, 37, TEST_RANDOM);
    }
    check(PITH_TYPE_INT8, 4100, 32, 40, TEST_RANDOM);
    check(PITH_TYPE_INT4, 4096 + 96, 32, 40, TEST_RANDOM);
}

TEST(simd_amx, extremes_match_scalar) {
    static const size_t tokens[] = {15, 16, 17, 31, 32, 33, 64};
    for (int extreme = TEST_LARGEST; extreme <= TEST_MIXED; extreme++) {
        for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
            check(PITH_TYPE_INT8, 512, 64, tokens[i], (test_extreme)extreme);
            check(PITH_TYPE_INT8, 203, 64, tokens[i], (test_extreme)extreme);
            check(PITH_TYPE_INT4, 512, 64, tokens[i], (test_extreme)extreme);
            check(PITH_TYPE_INT4, 96, 64, tokens[i], (test_extreme)extreme);
        }
    }
}

/* int8 weights of -128, which no quantiser writes but a file may hold. */
TEST(simd_amx, int8_weight_of_minus_128_matches_scalar) {
    for (int extreme = TEST_LARGEST; extreme <= TEST_MIXED; extreme++) {
        uint64_t seed = 5;
        test_problem p =
            test_problem_new(PITH_TYPE_INT8, 256, 16, 30, (test_extreme)extreme, &seed);
        memset(p.weights.data, 0x80, 64 * 64);
        check_problem(&p, 5);
        test_problem_free(&p);
    }
}

/* Every multiplier by every code in every place of a slice, one at a time. */
TEST(simd_amx, every_int4_value_matches_scalar) {
    for (unsigned m = 0; m < 16; m++) {
        uint64_t seed = m;
        test_problem p = test_problem_new(PITH_TYPE_INT4, 32, 16, 16, TEST_RANDOM, &seed);
        uint8_t *tile = p.weights.data;
        for (size_t i = 0; i < 256; i++) {
            tile[i] = (uint8_t)(i * 7 + i / 16);
        }
        memset(tile + 256, (int)(m | (15 - m) << 4), 16);
        check_problem(&p, m);
        test_problem_free(&p);
    }
}

TEST(simd_amx, any_split_of_tokens_gives_the_same_bits) {
    const size_t n_tokens = 70;
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        uint64_t seed = 300 + (uint64_t)type;
        test_problem p = test_problem_new((pith_type)type, 1120, 80, n_tokens, TEST_RANDOM, &seed);
        test_buffer whole = test_problem_run(&p, pith_kernels_find("scalar"));
        for (size_t trial = 0; trial < 8; trial++) {
            test_buffer parts = test_buffer_new(p.y_size * sizeof(float));
            for (size_t begin = 0, end; begin < n_tokens; begin = end) {
                end = begin + 1 + (size_t)(test_random(&seed) % 40);
                end = end < n_tokens ? end : n_tokens;
                test_problem_run_part(&p, &amx_software_kernels, begin, end, parts.data);
            }
            check_fault(NULL);
            test_problem_same(&p, &amx_software_kernels, whole.data, parts.data, trial);
            test_buffer_free(&parts);
        }
        test_buffer_free(&whole);
        test_problem_free(&p);
    }
}

TEST(simd_amx, nan_and_infinity_stay_with_their_token) {
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        uint64_t seed = 9;
        test_problem p = test_problem_new((pith_type)type, 288, 32, 39, TEST_RANDOM, &seed);
        ((float *)p.x.scales.data)[33 * p.x.view.scale_stride + 1] = NAN;
        ((float *)p.x.scales.data)[2 * p.x.view.scale_stride] = INFINITY;
        check_problem(&p, 9);
        test_problem_free(&p);
    }
}

/* ---- The probe ------------------------------------------------------------------------------- */

/* 48 tdpbssd a round, into sums of which every one is the whole of k times one product of lines. */
TEST(simd_amx, probe_keeps_the_tiles_busy) {
    _Alignas(64) unsigned char operands[128];
    uint64_t expected = 0;
    int32_t sums[16] = {0};
    for (size_t i = 0; i < sizeof operands; i++) {
        operands[i] = (unsigned char)(1 + i * 37 % 100);
    }
    for (size_t n = 0; n < 16; n++) {
        for (size_t k = 0; k < 64; k++) {
            sums[n] += operands[k] * operands[64 + 4 * n + k % 4];
        }
        sums[n] *= 3 * 8;
    }
    for (size_t i = 0; i < 6; i++) {
        expected += (uint64_t)sums[2 * i + 1] << 32 | (uint32_t)sums[2 * i];
    }
    const size_t before = tile_unit_products();
    const uint64_t actual = amx_software_probe(operands, 3);
    check_fault(NULL);
    CHECK(!tile_unit_configured(), "the tiles were not released");
    CHECK(tile_unit_products() - before == 3 * 48, "%zu products in three rounds",
          tile_unit_products() - before);
    CHECK(actual == expected, "checksum %llx, expected %llx", (unsigned long long)actual,
          (unsigned long long)expected);
    CHECK(pith_kernels_find("amx-int8") == NULL || pith_probe_int8_amx(operands, 3) == expected,
          "the probe gives another checksum on this CPU's tiles");
}
