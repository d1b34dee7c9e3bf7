/* Matrix sizes and the reading of rows, against a second writing of the packed layout: one that
 * places every code by the formulas of docs/format.md, one weight at a time. */
#include "base/half.h"
#include "families/matrix.h"
#include "simd/blocks.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

TEST(matrix, types_have_names) {
    for (unsigned i = 0; i < PITH_N_TYPES; i++) {
        pith_type found = PITH_N_TYPES;
        CHECK(pith_type_find(pith_type_name((pith_type)i), &found) && found == (pith_type)i,
              "type %u named %s was found as %u", i, pith_type_name((pith_type)i), found);
    }
    pith_type untouched = PITH_TYPE_BF16;
    CHECK(!pith_type_find("int5", &untouched) && untouched == PITH_TYPE_BF16, "int5 was found");
}

TEST(matrix, sizes_are_those_of_the_layout) {
    static const struct {
        pith_type type;
        size_t rows, cols, expected;
    } cases[] = {
        {PITH_TYPE_F32, 16, 5, 320},
        {PITH_TYPE_F32, 17, 4, 512},
        {PITH_TYPE_F16, 1, 3, 96},
        {PITH_TYPE_BF16, 32, 64, 4096},
        {PITH_TYPE_INT8, 16, 4, 64 + 64},
        {PITH_TYPE_INT8, 16, 5, 2 * 64 + 64},
        {PITH_TYPE_INT8, 16, 384, 96 * 64 + 128}, /* 3 groups: 96 bytes of scales, padded */
        {PITH_TYPE_INT8, 33, 128, 3 * (32 * 64 + 64)},
        {PITH_TYPE_INT4, 16, 32, 4 * 64 + 64 + 64},
        {PITH_TYPE_INT4, 16, 256, 32 * 64 + 128 + 64},
        {PITH_TYPE_INT4, 16, 288, 32 * 64 + 128 + 4 * 64 + 64 + 64},
        {PITH_TYPE_INT4, 20, 4096, 2 * (16 * (32 * 64 + 128) + 512)},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = 0;
        bool fits = pith_matrix_size(cases[i].type, cases[i].rows, cases[i].cols, &size);
        CHECK(fits && size == cases[i].expected, "case %zu: %d, %zu bytes, expected %zu", i, fits,
              size, cases[i].expected);
        size_t n_tiles = (cases[i].rows + 15) / 16;
        size_t tile = pith_matrix_tile_bytes(cases[i].type, cases[i].cols);
        CHECK(tile * n_tiles == size, "case %zu: tile of %zu bytes", i, tile);
    }
}

TEST(matrix, int4_takes_4_3125_bits) {
    size_t size = 0;
    CHECK(pith_matrix_size(PITH_TYPE_INT4, 4096, 4096, &size), "refused");
    CHECK(size * 8 == (size_t)(4.3125 * 4096 * 4096), "%zu bytes", size);
}

TEST(matrix, sizes_refuse_what_does_not_fit) {
    static const struct {
        pith_type type;
        size_t rows, cols;
    } cases[] = {
        {PITH_TYPE_INT4, 16, 33},
        {PITH_TYPE_INT4, 16, 16},
        {PITH_TYPE_F32, 16, 0},
        {PITH_TYPE_F32, SIZE_MAX, 1},
        {PITH_TYPE_F32, SIZE_MAX - 15, 1},
        {PITH_TYPE_INT8, SIZE_MAX / 64, 1 << 30},
        {PITH_TYPE_F16, 16, SIZE_MAX},
        {PITH_TYPE_INT8, 16, SIZE_MAX - 2},
        {PITH_TYPE_F32, 16, SIZE_MAX / 4},
        {PITH_N_TYPES, 16, 32},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t size = 77;
        CHECK(!pith_matrix_size(cases[i].type, cases[i].rows, cases[i].cols, &size) && size == 77,
              "case %zu gave %zu bytes", i, size);
    }
}

/* ---- Rows ------------------------------------------------------------------------------------ */

/* A random packed matrix and its values, [rows, cols]. */
typedef struct packed {
    pith_matrix matrix;
    unsigned char *data;
    float *values;
} packed;

static void put_scale(unsigned char *scales, size_t group, size_t lane, uint16_t half) {
    memcpy(scales + (group * 16 + lane) * 2, &half, 2);
}

static void pack_int8(packed *p, uint64_t *random, size_t row) {
    size_t cols = p->matrix.cols;
    size_t n_groups = (cols + 127) / 128;
    size_t tile_bytes = (cols + 3) / 4 * 64 + (n_groups * 32 + 63) / 64 * 64;
    unsigned char *tile = p->data + row / 16 * tile_bytes;
    for (size_t k = 0; k < cols; k++) {
        uint16_t half = (uint16_t)(0x2000 + k / 128 * 37 + row);
        int code = (int)(test_random(random) % 255) - 127;
        put_scale(tile + (cols + 3) / 4 * 64, k / 128, row % 16, half);
        tile[(k / 4) * 64 + (row % 16) * 4 + k % 4] = (unsigned char)code;
        p->values[row * cols + k] = pith_f16_to_f32(half) * (float)code;
    }
}

static void pack_int4(packed *p, uint64_t *random, size_t row) {
    static const int codes[] = {-10, -8, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9};
    static const int multipliers[] = {3, 4, 5, 6, 7, 8, 9, 10, -3, -4, -5, -6, -7, -8, -9, -10};
    size_t cols = p->matrix.cols;
    size_t n_groups = (cols + 255) / 256;
    size_t rest = cols % 256 / 32;
    size_t scales = cols / 256 * 2176 + (rest != 0 ? rest * 256 + (rest * 16 + 63) / 64 * 64 : 0);
    unsigned char *tile = p->data + row / 16 * (scales + (n_groups * 32 + 63) / 64 * 64);
    for (size_t block = 0; block < cols / 16; block++) {
        size_t group = block / 16;
        size_t slice = block % 16 / 2;
        size_t n_slices = group < cols / 256 ? 8 : rest;
        unsigned shift = block % 2 == 0 ? 0 : 4;
        unsigned m = (unsigned)(test_random(random) % 16);
        uint16_t half = (uint16_t)(0xa000 + group * 37 + row);
        put_scale(tile + scales, group, row % 16, half);
        tile[group * 2176 + n_slices * 256 + slice * 16 + row % 16] |= (unsigned char)(m << shift);
        for (size_t i = 0; i < 16; i++) {
            unsigned q = (unsigned)(test_random(random) % 16);
            tile[group * 2176 + slice * 256 + i / 4 * 64 + row % 16 * 4 + i % 4] |=
                (unsigned char)(q << shift);
            p->values[row * cols + block * 16 + i] =
                pith_f16_to_f32(half) * (float)(multipliers[m] * codes[q]);
        }
    }
}

static void pack_float(packed *p, uint64_t *random, size_t row) {
    size_t cols = p->matrix.cols;
    for (size_t k = 0; k < cols; k++) {
        float value = test_random_normal(random);
        uint16_t half;
        switch (p->matrix.type) {
        case PITH_TYPE_F16:
            half = pith_f32_to_f16(value);
            value = pith_f16_to_f32(half);
            memcpy(p->data + (row * cols + k) * 2, &half, 2);
            break;
        case PITH_TYPE_BF16:
            half = pith_f32_to_bf16(value);
            value = pith_bf16_to_f32(half);
            memcpy(p->data + (row * cols + k) * 2, &half, 2);
            break;
        default:
            memcpy(p->data + (row * cols + k) * 4, &value, 4);
        }
        p->values[row * cols + k] = value;
    }
}

static void pack(packed *p, pith_type type, size_t rows, size_t cols, uint64_t *random) {
    p->matrix = (pith_matrix){.type = type, .rows = rows, .cols = cols};
    CHECK(pith_matrix_size(type, rows, cols, &p->matrix.size), "%zu x %zu refused", rows, cols);
    p->data = test_guarded(p->matrix.size);
    memset(p->data, 0, p->matrix.size);
    p->matrix.data = p->data;
    p->values = calloc(rows * cols, sizeof *p->values);
    for (size_t row = 0; row < rows; row++) {
        if (type == PITH_TYPE_INT8) {
            pack_int8(p, random, row);
        } else if (type == PITH_TYPE_INT4) {
            pack_int4(p, random, row);
        } else {
            pack_float(p, random, row);
        }
    }
}

static void check_rows(pith_type type, size_t cols, uint64_t seed) {
    packed p;
    uint64_t random = seed;
    pack(&p, type, 48, cols, &random);
    float *out = test_guarded(cols * sizeof *out);
    for (size_t row = 0; row < 48; row++) {
        memset(out, 0xff, cols * sizeof *out);
        pith_matrix_row(&p.matrix, row, out);
        for (size_t k = 0; k < cols; k++) {
            float expected = p.values[row * cols + k];
            CHECK(memcmp(&out[k], &expected, sizeof expected) == 0,
                  "%s, %zu columns, seed %llu: row %zu, column %zu is %g, expected %g",
                  pith_type_name(type), cols, (unsigned long long)seed, row, k, (double)out[k],
                  (double)expected);
        }
    }
    test_guarded_free(out, cols * sizeof *out);
    test_guarded_free(p.data, p.matrix.size);
    free(p.values);
}

TEST(matrix, rows_of_int4) {
    static const size_t cols[] = {32, 64, 96, 224, 256, 288, 480, 512, 800};
    for (size_t i = 0; i < sizeof cols / sizeof *cols; i++) {
        check_rows(PITH_TYPE_INT4, cols[i], i);
    }
}

TEST(matrix, rows_of_int8) {
    static const size_t cols[] = {1, 2, 4, 7, 127, 128, 129, 255, 256, 258, 385, 640};
    for (size_t i = 0; i < sizeof cols / sizeof *cols; i++) {
        check_rows(PITH_TYPE_INT8, cols[i], i);
    }
}

TEST(matrix, rows_of_floats) {
    static const pith_type types[] = {PITH_TYPE_F32, PITH_TYPE_F16, PITH_TYPE_BF16};
    static const size_t cols[] = {1, 2, 15, 64, 100};
    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < sizeof cols / sizeof *cols; i++) {
            check_rows(types[t], cols[i], i);
        }
    }
}
