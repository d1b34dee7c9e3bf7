/* Blocks of every quantised type that pith reads, with the values of gguf-py's dequantize. */
#include "base/half.h"
#include "tests/npz.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/gguf_blocks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const pith_gguf_type *find_type(const char *name) {
    const pith_gguf_type *type;
    for (size_t i = 0; (type = pith_gguf_type_at(i)) != NULL; i++) {
        if (strcmp(type->name, name) == 0) {
            return type;
        }
    }
    CHECK(false, "no type %s", name);
    return NULL;
}

/* Widens blocks that end at a guard page. */
static void widen(const pith_gguf_type *type, const void *blocks, size_t n, float *out) {
    size_t size = n / type->block * type->block_bytes;
    unsigned char *guarded = test_guarded(size);
    memcpy(guarded, blocks, size);
    type->widen(guarded, n, out);
    test_guarded_free(guarded, size);
}

static void check_same(const char *name, const float *out, const float *expected, size_t n) {
    for (size_t i = 0; i < n; i++) {
        CHECK(memcmp(&out[i], &expected[i], sizeof *out) == 0, "%s: value %zu is %.9g, not %.9g",
              name, i, (double)out[i], (double)expected[i]);
    }
}

TEST(gguf_blocks, have_the_values_of_gguf_py) {
    test_npz *npz = test_npz_open(test_root("golden/gguf/blocks.npz"));
    size_t n_types = 0;
    const pith_gguf_type *type;
    for (size_t i = 0; (type = pith_gguf_type_at(i)) != NULL; i++) {
        char name[TEST_NPZ_MAX_NAME];
        if (!type->quantised || type->widen == NULL) {
            continue;
        }
        snprintf(name, sizeof name, "%s_raw", type->name);
        const test_array *raw = test_npz_find(npz, name);
        snprintf(name, sizeof name, "%s_values", type->name);
        const test_array *values = test_npz_find(npz, name);
        CHECK(raw != NULL && values != NULL && values->is_float && values->count == 512,
              "%s is not in the file", type->name);
        float *out = malloc(values->count * sizeof *out);
        widen(type, raw->data.ints, values->count, out);
        check_same(type->name, out, values->data.floats, values->count);
        free(out);
        n_types++;
    }
    CHECK(n_types == 13, "%zu types", n_types);
    test_npz_free(npz);
    CHECK_NO_LEAKS();
}

TEST(gguf_blocks, floats_are_widened_exactly) {
    static const uint16_t halves[] = {0, 1, 0x8001, 0x3c00, 0x7bff, 0x7c00, 0xfc00, 0x0400};
    enum { N = sizeof halves / sizeof halves[0] };
    float out[N], expected[N];
    for (size_t i = 0; i < N; i++) {
        expected[i] = pith_f16_to_f32(halves[i]);
    }
    widen(find_type("F16"), halves, N, out);
    check_same("F16", out, expected, N);
    for (size_t i = 0; i < N; i++) {
        expected[i] = pith_bf16_to_f32(halves[i]);
    }
    widen(find_type("BF16"), halves, N, out);
    check_same("BF16", out, expected, N);
    widen(find_type("F32"), expected, N, out);
    check_same("F32", out, expected, N);
}

/* Every exponent, the lowest of which make subnormal scales; code 8 is +0. */
TEST(gguf_blocks, mxfp4_has_every_power_of_two) {
    static const float codes[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    for (int e = 0; e < 256; e++) {
        unsigned char block[17] = {(unsigned char)e};
        float out[32], expected[32];
        for (size_t i = 0; i < 16; i++) {
            block[1 + i] = (unsigned char)(i | (15 - i) << 4);
            expected[i] = ldexpf(codes[i], e - 128);
            expected[i + 16] = ldexpf(codes[15 - i], e - 128);
        }
        widen(find_type("MXFP4"), block, 32, out);
        check_same("MXFP4", out, expected, 32);
    }
}

TEST(gguf_blocks, types_have_the_numbers_of_the_format) {
    static const struct {
        unsigned number;
        const char *name;
        size_t block, bytes;
    } some[] = {
        {0, "F32", 1, 4},       {1, "F16", 1, 2},       {2, "Q4_0", 32, 18},    {8, "Q8_0", 32, 34},
        {12, "Q4_K", 256, 144}, {14, "Q6_K", 256, 210}, {19, "IQ1_S", 256, 50}, {28, "F64", 1, 8},
        {30, "BF16", 1, 2},     {39, "MXFP4", 32, 17},  {42, "Q2_0", 64, 18},
    };
    bool removed = false;
    for (size_t i = 0; i < sizeof some / sizeof some[0]; i++) {
        const pith_gguf_type *type = pith_gguf_type_find(some[i].number, &removed);
        CHECK(type != NULL && strcmp(type->name, some[i].name) == 0 &&
                  type->block == some[i].block && type->block_bytes == some[i].bytes &&
                  type->block <= PITH_GGUF_MAX_BLOCK,
              "type %u", some[i].number);
    }
    CHECK(pith_gguf_type_find(4, &removed) == NULL && removed, "type 4 is there");
    CHECK(pith_gguf_type_find(43, &removed) == NULL && !removed, "type 43 is there");
}
