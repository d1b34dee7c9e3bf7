/* The generator of random weights; see random_weights.h. */
#include "weights/random_weights.h"

#include <string.h>

#include "base/half.h"
#include "simd/blocks.h"

/* splitmix64 (Steele et al. 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t pith_random_seed(unsigned part, size_t layer) {
    return (uint64_t)part << 32 | layer;
}

float pith_random_vector(pith_kind kind) {
    return kind == PITH_KIND_NORM ? 1.0F : 0.0F;
}

/* Floats in (-0.035, 0.035), standard deviation 0.02, in a 16- or 32-bit type. */
static void fill_floats(pith_type type, size_t cols, uint64_t *state, unsigned char *out) {
    for (size_t i = 0; i < cols * PITH_TILE_ROWS; i++) {
        float value = ((float)(next_random(state) >> 40) * 0x1p-23F - 1.0F) * 0.0346F;
        if (type == PITH_TYPE_F32) {
            memcpy(out + i * 4, &value, 4);
        } else {
            uint16_t half =
                type == PITH_TYPE_F16 ? pith_f32_to_f16(value) : pith_f32_to_bf16(value);
            memcpy(out + i * 2, &half, 2);
        }
    }
}

static size_t n_groups_of(pith_type type, size_t cols) {
    return pith_groups(cols, type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : PITH_INT8_GROUP);
}

/* Bytes of a packed tile before its scales. */
static size_t codes_bytes(pith_type type, size_t cols) {
    return pith_matrix_tile_bytes(type, cols) - pith_scales_bytes(n_groups_of(type, cols));
}

/* Any bytes are codes and multipliers; the scales make the weights' deviation about 0.02. */
static void fill_packed(pith_type type, size_t cols, uint64_t *state, unsigned char *out) {
    size_t n_groups = n_groups_of(type, cols);
    size_t codes = codes_bytes(type, cols);
    for (size_t i = 0; i < codes; i += 8) {
        uint64_t bits = next_random(state);
        memcpy(out + i, &bits, 8);
    }
    uint16_t scale = pith_f32_to_f16(type == PITH_TYPE_INT4 ? 0.02F / 38.0F : 0.02F / 74.0F);
    memset(out + codes, 0, pith_scales_bytes(n_groups));
    for (size_t i = 0; i < n_groups * PITH_TILE_ROWS; i++) {
        memcpy(out + codes + 2 * i, &scale, 2);
    }
}

void pith_random_tile(pith_type type, size_t cols, uint64_t seed, size_t tile, unsigned char *out) {
    uint64_t state = seed + (uint64_t)tile * UINT64_C(0x5851f42d4c957f2d);
    if (type == PITH_TYPE_INT4 || type == PITH_TYPE_INT8) {
        fill_packed(type, cols, &state, out);
    } else {
        fill_floats(type, cols, &state, out);
    }
}

/* Line k / 4 holds four codes of each row. */
static void trim_int8(size_t cols, unsigned char *tile) {
    size_t codes = codes_bytes(PITH_TYPE_INT8, cols);
    for (size_t i = 0; i < codes; i++) {
        size_t k = i / PITH_LINE_BYTES * 4 + i % 4;
        tile[i] = k >= cols ? 0 : tile[i] == 0x80 ? 0x81 : tile[i];
    }
}

static void trim_int4(size_t cols, unsigned char *tile) {
    size_t slices = cols % PITH_INT4_GROUP / PITH_INT4_SLICE;
    size_t multipliers = slices * PITH_TILE_ROWS; /* bytes, of a last group that is not full */
    size_t padding = pith_groups(multipliers, PITH_LINE_BYTES) * PITH_LINE_BYTES - multipliers;
    memset(tile + codes_bytes(PITH_TYPE_INT4, cols) - padding, 0, padding);
}

/* A row of a packed tile is zero when its scales are. */
static void clear_scales(pith_type type, size_t cols, size_t n_rows, unsigned char *tile) {
    unsigned char *scales = tile + codes_bytes(type, cols);
    for (size_t g = 0; g < n_groups_of(type, cols); g++) {
        memset(scales + 2 * (g * PITH_TILE_ROWS + n_rows), 0, 2 * (PITH_TILE_ROWS - n_rows));
    }
}

void pith_random_tile_trim(pith_type type, size_t cols, size_t n_rows, unsigned char *tile) {
    if (type == PITH_TYPE_INT8) {
        trim_int8(cols, tile);
    } else if (type == PITH_TYPE_INT4) {
        trim_int4(cols, tile);
    } else {
        size_t row_bytes = pith_matrix_tile_bytes(type, cols) / PITH_TILE_ROWS;
        memset(tile + n_rows * row_bytes, 0, (PITH_TILE_ROWS - n_rows) * row_bytes);
        return;
    }
    clear_scales(type, cols, n_rows, tile);
}
