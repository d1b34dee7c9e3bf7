/* The quantisers: layout through the independent row reader of weights/, quality against known
 * levels and against brute force, and the ends of the number range. */
#include "base/half.h"
#include "convert/quantize.h"
#include "simd/blocks.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = PITH_TILE_ROWS };

static const size_t int4_cols[] = {32, 64, 224, 256, 288, 512, 1056};
static const size_t int8_cols[] = {1, 3, 4, 5, 32, 127, 128, 129, 200, 384, 1030};

typedef enum shape { GAUSSIAN, STUDENT, UNIFORM } shape;

static float draw(shape s, uint64_t *seed) {
    if (s == UNIFORM) {
        return test_random_float(seed);
    }
    float x = test_random_normal(seed);
    if (s == STUDENT) { /* 6 degrees of freedom */
        float sum = 0.0F;
        for (int i = 0; i < 6; i++) {
            float z = test_random_normal(seed);
            sum += z * z;
        }
        x /= sqrtf(sum / 6.0F);
    }
    return 0.02F * x;
}

static float *draw_rows(shape s, size_t n, uint64_t seed) {
    float *rows = malloc(n * sizeof *rows + 1);
    for (size_t i = 0; i < n; i++) {
        rows[i] = draw(s, &seed);
    }
    return rows;
}

/* A tile in 64-byte aligned memory, and what its rows are. */
typedef struct tile {
    unsigned char *bytes;
    size_t size;
    float *back; /* [16, cols] */
    double error, weight;
} tile;

static tile quantize(pith_type type, const float *rows, size_t n_rows, size_t cols,
                     const float *importance) {
    tile t = {.size = pith_matrix_tile_bytes(type, cols)};
    t.bytes = aligned_alloc(64, pith_groups(t.size, 64) * 64);
    t.back = malloc(ROWS * cols * sizeof *t.back);
    memset(t.bytes, 0xAA, t.size);
    pith_quantize_tile(type, rows, cols, n_rows, cols, importance, t.bytes, &t.error, &t.weight);
    pith_matrix matrix = {type, ROWS, cols, t.size, t.bytes};
    for (size_t r = 0; r < ROWS; r++) {
        pith_matrix_row(&matrix, r, t.back + r * cols);
    }
    return t;
}

static void tile_free(tile *t) {
    free(t->bytes);
    free(t->back);
}

static double squared_error(const float *rows, const float *back, size_t n, const float *importance,
                            size_t cols) {
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)rows[i] - (double)back[i];
        sum += d * d * (importance != NULL ? (double)importance[i % cols] : 1.0);
    }
    return sum;
}

/* Relative RMS error over `tiles` tiles of 16 x 1024 weights. */
static double relative_error(pith_type type, shape s, size_t tiles, uint64_t seed) {
    enum { COLS = 1024 };
    double error = 0.0;
    double weight = 0.0;
    for (size_t i = 0; i < tiles; i++) {
        float *rows = draw_rows(s, ROWS * COLS, seed + i);
        tile t = quantize(type, rows, ROWS, COLS, NULL);
        error += t.error;
        weight += t.weight;
        tile_free(&t);
        free(rows);
    }
    return sqrt(error / weight);
}

TEST(quantize, reaches_the_error_levels_of_the_format) {
    static const struct {
        pith_type type;
        shape shape;
        double limit;
    } cases[] = {
        {PITH_TYPE_INT4, GAUSSIAN, 0.0704}, {PITH_TYPE_INT4, STUDENT, 0.0784},
        {PITH_TYPE_INT8, GAUSSIAN, 0.0064}, {PITH_TYPE_INT8, STUDENT, 0.0095},
        {PITH_TYPE_F16, GAUSSIAN, 0.0003},  {PITH_TYPE_BF16, GAUSSIAN, 0.0018},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double error = relative_error(cases[i].type, cases[i].shape, 6, 100);
        CHECK(error <= cases[i].limit && error > cases[i].limit * 0.6,
              "%s, shape %d: relative error %.5f, expected up to %.4f",
              pith_type_name(cases[i].type), cases[i].shape, error, cases[i].limit);
    }
}

/* Numbers of MXFP4, blocks of 32 with a power each: `spread` powers in every group. */
static float *draw_mxfp4(size_t cols, int first, int spread) {
    static const float numbers[] = {0, 0.5F, 1, 1.5F, 2, 3, 4, 6};
    float *rows = malloc(ROWS * cols * sizeof *rows);
    uint64_t seed = 11;
    for (size_t i = 0; i < ROWS * cols; i++) {
        float number = numbers[test_random(&seed) % 8];
        int power = first + (int)((i / 32 + i / cols) % (size_t)spread);
        rows[i] = ldexpf(test_random(&seed) % 2 ? number : -number, power);
    }
    return rows;
}

TEST(quantize, int8_keeps_mxfp4_as_it_is) {
    enum { COLS = 352 }; /* two groups and three blocks more */
    static const struct {
        int first, spread;
        bool exact;
    } cases[] = {
        {-8, 1, true},   {-8, 4, true}, {-8, 5, false}, {-20, 4, true},
        {-40, 4, false}, {5, 4, true},  {14, 4, true},  {20, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float *rows = draw_mxfp4(COLS, cases[i].first, cases[i].spread);
        tile t = quantize(PITH_TYPE_INT8, rows, ROWS, COLS, NULL);
        size_t n_differ = 0;
        for (size_t j = 0; j < ROWS * COLS; j++) {
            n_differ += rows[j] != t.back[j];
        }
        CHECK((n_differ == 0) == cases[i].exact && (t.error == 0) == cases[i].exact,
              "powers from %d on, %d of them: %zu weights differ, error %g", cases[i].first,
              cases[i].spread, n_differ, t.error);
        CHECK(t.error <= 1e-4 * t.weight || cases[i].first == -40, "error %g of %g", t.error,
              t.weight);
        tile_free(&t);
        free(rows);
    }
}

TEST(quantize, reports_the_error_that_a_reader_sees) {
    for (int i = 0; i < PITH_N_TYPES; i++) {
        pith_type type = (pith_type)i;
        size_t cols = type == PITH_TYPE_INT4 ? 288 : 201;
        float *rows = draw_rows(STUDENT, ROWS * cols, 5);
        tile t = quantize(type, rows, 13, cols, NULL);
        double error = squared_error(rows, t.back, 13 * cols, NULL, cols);
        double weight = 0.0;
        for (size_t k = 0; k < 13 * cols; k++) {
            weight += (double)rows[k] * (double)rows[k];
        }
        CHECK(fabs(t.error - error) <= 1e-9 * error, "%s: error %.9g, reported %.9g",
              pith_type_name(type), error, t.error);
        CHECK(fabs(t.weight - weight) <= 1e-9 * weight, "%s: weight %.9g, reported %.9g",
              pith_type_name(type), weight, t.weight);
        tile_free(&t);
        free(rows);
    }
}

/* Every weight has the code nearest to it under the scale and multiplier it has to live with. */
TEST(quantize, sends_int4_weights_to_their_nearest_codes) {
    enum { COLS = 512 };
    float *rows = draw_rows(STUDENT, ROWS * COLS, 6);
    tile t = quantize(PITH_TYPE_INT4, rows, ROWS, COLS, NULL);
    const unsigned char *scales = t.bytes + 2 * pith_int4_group_bytes(8);
    for (size_t i = 0; i < (size_t)ROWS * COLS; i++) {
        size_t r = i / COLS;
        size_t k = i % COLS;
        const unsigned char *group = t.bytes + k / 256 * pith_int4_group_bytes(8);
        unsigned pair = group[8 * 256 + k % 256 / 32 * 16 + r];
        int m = pith_int4_multipliers[k % 32 < 16 ? pair & 15 : pair >> 4];
        uint16_t half;
        memcpy(&half, scales + (k / 256 * ROWS + r) * 2, 2);
        float unit = pith_f16_to_f32(half) * (float)m;
        float found = fabsf(rows[i] - t.back[i]);
        for (size_t c = 0; c < 16; c++) {
            float other = fabsf(rows[i] - unit * (float)pith_int4_codes[c]);
            CHECK(other >= found - 1e-6F * fabsf(unit), "row %zu column %zu: %g is nearer than %g",
                  r, k, (double)other, (double)found);
        }
    }
    tile_free(&t);
    free(rows);
}

/* The least squared error of 16 weights with scale d over all multipliers and codes. */
static double best_block(const float *w, double d) {
    double best = INFINITY;
    for (size_t m = 0; m < 16; m++) {
        double sum = 0.0;
        for (size_t k = 0; k < 16; k++) {
            double least = INFINITY;
            for (size_t c = 0; c < 16; c++) {
                double e = (double)w[k] - d * pith_int4_multipliers[m] * pith_int4_codes[c];
                least = fmin(least, e * e);
            }
            sum += least;
        }
        best = fmin(best, sum);
    }
    return best;
}

/* Over all scales that an f16 can hold and that make sense. */
static double best_row(const float *w) {
    float peak = 0.0F;
    for (size_t k = 0; k < 32; k++) {
        peak = fmaxf(peak, fabsf(w[k]));
    }
    double best = INFINITY;
    unsigned first = pith_f32_to_f16(peak / 130.0F);
    unsigned last = pith_f32_to_f16(peak / 20.0F);
    for (unsigned half = first; half <= last; half++) {
        double d = (double)pith_f16_to_f32((uint16_t)half);
        best = fmin(best, best_block(w, d) + best_block(w + 16, d));
    }
    return best;
}

/* A group of 32 can be searched through: the quantiser must come close on every row, and closer on
 * the whole. */
TEST(quantize, comes_close_to_brute_force) {
    float *rows = draw_rows(GAUSSIAN, ROWS * 32, 7);
    tile t = quantize(PITH_TYPE_INT4, rows, ROWS, 32, NULL);
    double sum = 0.0;
    double best_sum = 0.0;
    for (size_t r = 0; r < ROWS; r++) {
        double best = best_row(rows + r * 32);
        double found = squared_error(rows + r * 32, t.back + r * 32, 32, NULL, 32);
        CHECK(found >= best * 0.999, "row %zu: %.4g beats the optimum %.4g", r, found, best);
        CHECK(found <= best * 1.35, "row %zu: %.4g, optimum %.4g", r, found, best);
        sum += found;
        best_sum += best;
    }
    CHECK(sum <= best_sum * 1.1, "all rows: %.4g, optimum %.4g", sum, best_sum);
    tile_free(&t);
    free(rows);
}

TEST(quantize, keeps_rows_of_zeros_and_missing_rows_zero) {
    for (int i = 0; i < PITH_N_TYPES; i++) {
        pith_type type = (pith_type)i;
        size_t cols = 288;
        float *rows = draw_rows(GAUSSIAN, ROWS * cols, 8);
        memset(rows + 3 * cols, 0, cols * sizeof *rows);
        memset(rows + 5 * cols, 0, 256 * sizeof *rows); /* one group */
        tile full = quantize(type, rows, ROWS, cols, NULL);
        tile part = quantize(type, rows, 9, cols, NULL);
        for (size_t k = 0; k < ROWS * cols; k++) {
            size_t r = k / cols;
            CHECK(r >= 9 || part.back[k] == full.back[k], "%s: row %zu depends on others",
                  pith_type_name(type), r);
            CHECK(r < 9 || part.back[k] == 0.0F, "%s: missing row %zu is not zero",
                  pith_type_name(type), r);
            CHECK(rows[k] != 0.0F || full.back[k] == 0.0F, "%s: zero of row %zu became %g",
                  pith_type_name(type), r, (double)full.back[k]);
        }
        tile_free(&full);
        tile_free(&part);
        free(rows);
    }
}

/* Zeros have one spelling: scale 0. */
TEST(quantize, writes_no_scale_for_zeros) {
    static const pith_type types[] = {PITH_TYPE_INT4, PITH_TYPE_INT8};
    for (size_t i = 0; i < 2; i++) {
        float zeros[288] = {0};
        tile t = quantize(types[i], zeros, 1, 288, NULL);
        size_t n = pith_scales_bytes(pith_groups(288, i == 0 ? PITH_INT4_GROUP : PITH_INT8_GROUP));
        for (size_t k = t.size - n; k < t.size; k++) {
            CHECK(t.bytes[k] == 0, "%s: byte %zu of the scales is %d", pith_type_name(types[i]),
                  k - (t.size - n), t.bytes[k]);
        }
        CHECK(t.error == 0.0 && t.weight == 0.0, "%s: %g %g", pith_type_name(types[i]), t.error,
              t.weight);
        tile_free(&t);
    }
}

/* The quantisers read the rows and write the tile, and not a byte more; odd sizes included. */
static void check_extents(pith_type type, size_t cols) {
    size_t size = pith_matrix_tile_bytes(type, cols);
    size_t n = 11 * cols;
    float *guarded = test_guarded(n * sizeof *guarded);
    unsigned char *out = test_guarded(size);
    float *rows = draw_rows(GAUSSIAN, ROWS * cols, cols);
    double error = 0.0;
    double weight = 0.0;
    memcpy(guarded, rows, n * sizeof *rows);
    memset(out, 0xAA, size);
    pith_quantize_tile(type, guarded, cols, 11, cols, NULL, out, &error, &weight);
    tile t = quantize(type, rows, 11, cols, NULL);
    CHECK(memcmp(t.bytes, out, size) == 0, "%s, %zu columns: bytes left unwritten",
          pith_type_name(type), cols);
    double limit = type == PITH_TYPE_INT4 ? 0.09 : 0.02;
    CHECK(error <= limit * limit * weight, "%s, %zu columns: relative error %g",
          pith_type_name(type), cols, sqrt(error / weight));
    tile_free(&t);
    free(rows);
    test_guarded_free(out, size);
    test_guarded_free(guarded, n * sizeof *guarded);
}

TEST(quantize, stays_inside_its_buffers) {
    for (size_t i = 0; i < sizeof int4_cols / sizeof int4_cols[0]; i++) {
        check_extents(PITH_TYPE_INT4, int4_cols[i]);
    }
    for (size_t i = 0; i < sizeof int8_cols / sizeof int8_cols[0]; i++) {
        check_extents(PITH_TYPE_INT8, int8_cols[i]);
    }
    check_extents(PITH_TYPE_F32, 33);
    check_extents(PITH_TYPE_F16, 33);
    check_extents(PITH_TYPE_BF16, 33);
}

/* Weights times a power of two give the same codes and a scale times that power, as long as the
 * scale is a normal f16. */
TEST(quantize, does_not_care_for_powers_of_two) {
    static const pith_type types[] = {PITH_TYPE_INT4, PITH_TYPE_INT8};
    enum { COLS = 512 };
    for (size_t i = 0; i < 2; i++) {
        float *rows = draw_rows(STUDENT, ROWS * COLS, 9);
        for (size_t k = 0; k < ROWS * COLS; k++) {
            rows[k] *= 1024.0F;
        }
        tile before = quantize(types[i], rows, ROWS, COLS, NULL);
        for (size_t k = 0; k < ROWS * COLS; k++) {
            rows[k] *= 0.125F;
        }
        tile after = quantize(types[i], rows, ROWS, COLS, NULL);
        for (size_t k = 0; k < ROWS * COLS; k++) {
            CHECK(after.back[k] == before.back[k] * 0.125F, "%s: weight %zu: %g and %g",
                  pith_type_name(types[i]), k, (double)before.back[k], (double)after.back[k]);
        }
        tile_free(&before);
        tile_free(&after);
        free(rows);
    }
}

/* Scales at both ends of f16: what cannot be held is cut or becomes zero, never worse. */
TEST(quantize, survives_the_ends_of_the_range) {
    static const struct {
        pith_type type;
        float size;
        double limit;
    } cases[] = {
        {PITH_TYPE_INT4, 1e-30F, 1.0}, {PITH_TYPE_INT4, 1e-7F, 1.0},  {PITH_TYPE_INT4, 1e-4F, 0.15},
        {PITH_TYPE_INT4, 1e6F, 0.08},  {PITH_TYPE_INT4, 5e6F, 0.08},  {PITH_TYPE_INT4, 1e8F, 1.0},
        {PITH_TYPE_INT4, 3e38F, 1.0},  {PITH_TYPE_INT8, 1e-30F, 1.0}, {PITH_TYPE_INT8, 1e-6F, 0.3},
        {PITH_TYPE_INT8, 1e-3F, 0.02}, {PITH_TYPE_INT8, 8e6F, 0.02},  {PITH_TYPE_INT8, 1e8F, 1.0},
        {PITH_TYPE_INT8, 3e38F, 1.0},
    };
    enum { COLS = 256 };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        float *rows = draw_rows(UNIFORM, ROWS * COLS, 10 + i);
        for (size_t k = 0; k < ROWS * COLS; k++) {
            rows[k] *= cases[i].size;
        }
        tile t = quantize(cases[i].type, rows, ROWS, COLS, NULL);
        double error = sqrt(t.error / t.weight);
        CHECK(error <= cases[i].limit, "%s, size %g: relative error %g, expected up to %g",
              pith_type_name(cases[i].type), (double)cases[i].size, error, cases[i].limit);
        for (size_t k = 0; k < ROWS * COLS; k++) {
            CHECK(isfinite(t.back[k]), "%s, size %g: weight %zu is %g",
                  pith_type_name(cases[i].type), (double)cases[i].size, k, (double)t.back[k]);
        }
        tile_free(&t);
        free(rows);
    }
}

TEST(quantize, follows_importance) {
    static const pith_type types[] = {PITH_TYPE_INT4, PITH_TYPE_INT8};
    enum { COLS = 512 };
    float importance[COLS];
    uint64_t seed = 11;
    for (size_t k = 0; k < COLS; k++) {
        float z = test_random_normal(&seed);
        importance[k] = k % 17 == 0 ? 0.0F : expf(2.0F * z);
    }
    for (size_t i = 0; i < 2; i++) {
        float *rows = draw_rows(GAUSSIAN, ROWS * COLS, 12);
        tile plain = quantize(types[i], rows, ROWS, COLS, NULL);
        tile guided = quantize(types[i], rows, ROWS, COLS, importance);
        double before = squared_error(rows, plain.back, ROWS * COLS, importance, COLS);
        double after = squared_error(rows, guided.back, ROWS * COLS, importance, COLS);
        CHECK(after < before * 0.97, "%s: weighted error %g, without importance %g",
              pith_type_name(types[i]), after, before);
        CHECK(guided.error > plain.error, "%s: plain error %g, without importance %g",
              pith_type_name(types[i]), guided.error, plain.error);
        tile_free(&plain);
        tile_free(&guided);
        free(rows);
    }
}

/* Only ratios count; all zeros count as no importance. */
TEST(quantize, ignores_the_size_of_importance) {
    static const float sizes[] = {0.0F, 1e-38F, 1.0F, 1e38F};
    static const pith_type types[] = {PITH_TYPE_INT4, PITH_TYPE_INT8};
    enum { COLS = 288 };
    float *rows = draw_rows(GAUSSIAN, ROWS * COLS, 13);
    for (size_t i = 0; i < 2; i++) {
        tile plain = quantize(types[i], rows, ROWS, COLS, NULL);
        for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
            float importance[COLS];
            for (size_t k = 0; k < COLS; k++) {
                importance[k] = sizes[j];
            }
            tile t = quantize(types[i], rows, ROWS, COLS, importance);
            CHECK(memcmp(t.bytes, plain.bytes, t.size) == 0, "%s: importance %g everywhere matters",
                  pith_type_name(types[i]), (double)sizes[j]);
            tile_free(&t);
        }
        tile_free(&plain);
    }
    free(rows);
}

/* FNV-1a (Fowler, Noll and Vo). */
static uint64_t hash_bytes(const unsigned char *bytes, size_t n) {
    uint64_t hash = 14695981039346656037U;
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211U;
    }
    return hash;
}

/* Every compiler and every instruction set must give these bytes. */
TEST(quantize, gives_the_same_bytes_everywhere) {
    static const struct {
        pith_type type;
        uint64_t hash;
    } cases[] = {{PITH_TYPE_INT4, 0xf2c3437f02a42aa9U}, {PITH_TYPE_INT8, 0x6b8b71fb6843e460U}};
    enum { COLS = 1056 };
    for (size_t i = 0; i < 2; i++) {
        uint64_t seed = 14;
        float *rows = malloc(ROWS * COLS * sizeof *rows);
        for (size_t k = 0; k < ROWS * COLS; k++) { /* no libm, so that these are the same too */
            rows[k] = test_random_float(&seed) * test_random_float(&seed);
        }
        tile t = quantize(cases[i].type, rows, ROWS, COLS, NULL);
        uint64_t hash = hash_bytes(t.bytes, t.size);
        CHECK(hash == cases[i].hash, "%s: hash %016llx, expected %016llx",
              pith_type_name(cases[i].type), (unsigned long long)hash,
              (unsigned long long)cases[i].hash);
        tile_free(&t);
        free(rows);
    }
}
