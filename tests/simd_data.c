/* Random packed weights and activations for the kernel tests. */
#include "tests/simd_data.h"

#include "base/checked.h"
#include "base/half.h"
#include "simd/blocks.h"

#include <math.h>
#include <string.h>

const pith_kernels *test_table(size_t i) {
    for (size_t name = 0; pith_kernel_names[name] != NULL; name++) {
        const pith_kernels *kernels = pith_kernels_find(pith_kernel_names[name]);
        if (kernels != NULL && i-- == 0) {
            return kernels;
        }
    }
    return NULL;
}

uint32_t test_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

bool test_same_float(float a, float b) {
    return test_float_bits(a) == test_float_bits(b) || (isnan(a) && isnan(b));
}

size_t test_first_difference(const float *a, const float *b, size_t n) {
    size_t i = 0;
    while (i < n && test_same_float(a[i], b[i])) {
        i++;
    }
    return i;
}

test_buffer test_buffer_new(size_t size) {
    test_buffer buffer = {test_guarded(size), size};
    memset(buffer.data, 0xff, size);
    return buffer;
}

void test_buffer_free(test_buffer *buffer) {
    test_guarded_free(buffer->data, buffer->size);
    *buffer = (test_buffer){NULL, 0};
}

test_buffer test_buffer_normal(size_t n, uint64_t *seed) {
    test_buffer buffer = test_buffer_new(n * sizeof(float));
    float *x = buffer.data;
    for (size_t i = 0; i < n; i++) {
        x[i] = test_random_normal(seed);
    }
    return buffer;
}

static size_t pick(uint64_t *seed, size_t n) {
    return (size_t)(test_random(seed) % n);
}

/* +1 or -1 as `extreme` wants. */
static int extreme_sign(test_extreme extreme, uint64_t *seed) {
    bool negative = extreme == TEST_SMALLEST || (extreme == TEST_MIXED && pick(seed, 2) == 1);
    return negative ? -1 : 1;
}

/* ---- Weights --------------------------------------------------------------------------------- */

static bool is_float_type(pith_type type) {
    return type != PITH_TYPE_INT8 && type != PITH_TYPE_INT4;
}

size_t test_weight_bytes(pith_type type, size_t n_rows, size_t k) {
    switch (type) {
    case PITH_TYPE_F32:
        return n_rows * k * 4;
    case PITH_TYPE_INT8:
        return n_rows / PITH_TILE_ROWS * pith_int8_tile_bytes(k);
    case PITH_TYPE_INT4:
        return n_rows / PITH_TILE_ROWS * pith_int4_tile_bytes(k);
    default:
        return n_rows * k * 2;
    }
}

static void fill_floats(pith_type type, void *weights, size_t n, uint64_t *seed) {
    for (size_t i = 0; i < n; i++) {
        float w = test_random_normal(seed);
        if (type == PITH_TYPE_F32) {
            ((float *)weights)[i] = w;
        } else {
            ((uint16_t *)weights)[i] =
                type == PITH_TYPE_F16 ? pith_f32_to_f16(w) : pith_f32_to_bf16(w);
        }
    }
}

static void fill_scales(uint8_t *out, size_t n_groups, uint64_t *seed) {
    for (size_t i = 0; i < n_groups * PITH_TILE_ROWS; i++) {
        uint16_t half = pith_f32_to_f16(0.01f * test_random_float(seed));
        memcpy(out + 2 * i, &half, sizeof half);
    }
}

static void fill_int8_tile(uint8_t *tile, size_t k, test_extreme extreme, uint64_t *seed) {
    size_t n_lines = (k + 3) / 4;
    for (size_t i = 0; i < n_lines * PITH_LINE_BYTES; i++) {
        int code =
            extreme == TEST_RANDOM ? (int)pick(seed, 255) - 127 : 127 * extreme_sign(extreme, seed);
        size_t column = i / PITH_LINE_BYTES * 4 + i % 4;
        tile[i] = (uint8_t)(column < k ? code : 0);
    }
    fill_scales(tile + n_lines * PITH_LINE_BYTES, pith_groups(k, PITH_INT8_GROUP), seed);
}

/* A multiplier and a code of -10: nibbles 15 and 0 give +100, 7 and 0 give -100. */
static uint8_t multiplier_pair(test_extreme extreme, uint64_t *seed) {
    if (extreme == TEST_RANDOM) {
        return (uint8_t)test_random(seed);
    }
    unsigned low = extreme_sign(extreme, seed) > 0 ? 15 : 7;
    unsigned high = extreme_sign(extreme, seed) > 0 ? 15 : 7;
    return (uint8_t)(low | high << 4);
}

static void fill_int4_tile(uint8_t *tile, size_t k, test_extreme extreme, uint64_t *seed) {
    size_t left = k / PITH_INT4_SLICE;
    while (left != 0) {
        size_t slices = pith_min_size(left, PITH_INT4_GROUP / PITH_INT4_SLICE);
        for (size_t i = 0; i < slices * 4 * PITH_LINE_BYTES; i++) {
            *tile++ = extreme == TEST_RANDOM ? (uint8_t)test_random(seed) : 0;
        }
        for (size_t i = 0; i < pith_round_up(slices * 16, PITH_LINE_BYTES); i++) {
            *tile++ = i < slices * 16 ? multiplier_pair(extreme, seed) : 0;
        }
        left -= slices;
    }
    fill_scales(tile, pith_groups(k, PITH_INT4_GROUP), seed);
}

test_buffer test_weights(pith_type type, size_t n_rows, size_t k, test_extreme extreme,
                         uint64_t *seed) {
    test_buffer buffer = test_buffer_new(test_weight_bytes(type, n_rows, k));
    size_t tile_bytes = test_weight_bytes(type, PITH_TILE_ROWS, k);
    if (is_float_type(type)) {
        fill_floats(type, buffer.data, n_rows * k, seed);
        return buffer;
    }
    memset(buffer.data, 0, buffer.size);
    for (size_t tile = 0; tile < n_rows / PITH_TILE_ROWS; tile++) {
        uint8_t *out = (uint8_t *)buffer.data + tile * tile_bytes;
        if (type == PITH_TYPE_INT8) {
            fill_int8_tile(out, k, extreme, seed);
        } else {
            fill_int4_tile(out, k, extreme, seed);
        }
    }
    return buffer;
}

static double half_at(const uint8_t *p, size_t i) {
    uint16_t half;
    memcpy(&half, p + 2 * i, sizeof half);
    return (double)pith_f16_to_f32(half);
}

static double int4_at(const uint8_t *tile, size_t k, size_t row, size_t i) {
    size_t group = i / 256;
    size_t slices = pith_min_size(k - group * 256, 256) / 32;
    size_t slice = i % 256 / 32;
    const uint8_t *start = tile + group * (8 * 4 * 64 + 128);
    unsigned shift = i % 32 < 16 ? 0 : 4;
    unsigned q = start[(slice * 4 + i % 16 / 4) * 64 + row * 4 + i % 4] >> shift & 15;
    unsigned m = start[slices * 4 * 64 + slice * 16 + row] >> shift & 15;
    const uint8_t *scales = tile + pith_int4_tile_bytes(k) - pith_scales_bytes((k + 255) / 256);
    return half_at(scales, group * 16 + row) * pith_int4_multipliers[m] * pith_int4_codes[q];
}

double test_weight_at(pith_type type, const void *weights, size_t k, size_t row, size_t i) {
    const uint8_t *tile =
        (const uint8_t *)weights + row / 16 * test_weight_bytes(type, PITH_TILE_ROWS, k);
    switch (type) {
    case PITH_TYPE_F32:
        return (double)((const float *)weights)[row * k + i];
    case PITH_TYPE_F16:
        return (double)pith_f16_to_f32(((const uint16_t *)weights)[row * k + i]);
    case PITH_TYPE_BF16:
        return (double)pith_bf16_to_f32(((const uint16_t *)weights)[row * k + i]);
    case PITH_TYPE_INT8:
        return half_at(tile + (k + 3) / 4 * 64, i / 128 * 16 + row % 16) *
               (int8_t)tile[i / 4 * 64 + row % 16 * 4 + i % 4];
    default:
        return int4_at(tile, k, row % 16, i);
    }
}

/* ---- Activations ----------------------------------------------------------------------------- */

static void fill_codes(int8_t *codes, size_t k, test_extreme extreme, uint64_t *seed) {
    for (size_t i = 0; i < pith_round_up(k, 256); i++) {
        int code =
            extreme == TEST_RANDOM ? (int)pick(seed, 255) - 127 : 127 * extreme_sign(extreme, seed);
        codes[i] = (int8_t)(i < k ? code : 0);
    }
}

static int32_t sum_of(const int8_t *codes, size_t n) {
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += codes[i];
    }
    return sum;
}

test_activations test_activations_new(pith_type type, size_t n_tokens, size_t k,
                                      test_extreme extreme, uint64_t *seed) {
    size_t group = type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : PITH_INT8_GROUP;
    size_t n_groups = pith_groups(k, group);
    size_t n_codes = pith_round_up(k, 256);
    size_t n_blocks = n_codes / PITH_INT4_BLOCK;
    test_activations a = {.view = {.x_stride = pith_round_up(k, 16) + 16,
                                   .code_stride = n_codes + 64,
                                   .scale_stride = pith_round_up(n_groups, 16) + 16,
                                   .block_stride = n_blocks + 16}};
    size_t last = n_tokens - 1;
    a.x = test_buffer_new((last * a.view.x_stride + pith_round_up(k, 16)) * sizeof(float));
    a.codes = test_buffer_new(last * a.view.code_stride + n_codes);
    size_t scales = pith_round_up((last * a.view.scale_stride + n_groups) * sizeof(float), 64);
    a.scales = test_buffer_new(scales);
    a.group_offset = test_buffer_new(scales);
    a.block_offset = test_buffer_new((last * a.view.block_stride + n_blocks) * sizeof(int32_t));
    for (size_t t = 0; t < n_tokens; t++) {
        float *x = (float *)a.x.data + t * a.view.x_stride;
        for (size_t i = 0; i < pith_round_up(k, 16); i++) {
            x[i] = i < k ? test_random_normal(seed) : 0.0f;
        }
        int8_t *codes = (int8_t *)a.codes.data + t * a.view.code_stride;
        fill_codes(codes, k, extreme, seed);
        for (size_t g = 0; g < n_groups; g++) {
            size_t at = t * a.view.scale_stride + g;
            ((float *)a.scales.data)[at] = 0.001f + fabsf(test_random_float(seed));
            ((int32_t *)a.group_offset.data)[at] = -128 * sum_of(codes + g * group, group);
        }
        for (size_t b = 0; b < n_blocks; b++) {
            ((int32_t *)a.block_offset.data)[t * a.view.block_stride + b] =
                -10 * sum_of(codes + 16 * b, 16);
        }
    }
    a.view.x = a.x.data;
    a.view.codes = a.codes.data;
    a.view.scales = a.scales.data;
    a.view.group_offset = a.group_offset.data;
    a.view.block_offset = type == PITH_TYPE_INT4 ? a.block_offset.data : NULL;
    return a;
}

void test_activations_free(test_activations *a) {
    test_buffer_free(&a->x);
    test_buffer_free(&a->codes);
    test_buffer_free(&a->scales);
    test_buffer_free(&a->group_offset);
    test_buffer_free(&a->block_offset);
}
