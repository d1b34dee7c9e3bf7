/* Sizes of matrices and the reading of single rows from the packed layout of simd/blocks.h. */
#include "families/matrix.h"

#include "base/checked.h"
#include "base/half.h"
#include "simd/blocks.h"

#include <string.h>

enum { MAX_COLS = 1 << 30 }; /* pith_int8_tile_bytes and pith_int4_tile_bytes take no more */

static const char *const type_names[PITH_N_TYPES] = {
    [PITH_TYPE_F32] = "f32",   [PITH_TYPE_F16] = "f16",   [PITH_TYPE_BF16] = "bf16",
    [PITH_TYPE_INT8] = "int8", [PITH_TYPE_INT4] = "int4",
};

const char *pith_type_name(pith_type type) {
    return (unsigned)type < PITH_N_TYPES ? type_names[type] : "unknown";
}

bool pith_type_find(const char *name, pith_type *out) {
    for (unsigned i = 0; i < PITH_N_TYPES; i++) {
        if (strcmp(name, type_names[i]) == 0) {
            *out = (pith_type)i;
            return true;
        }
    }
    return false;
}

size_t pith_matrix_tile_bytes(pith_type type, size_t cols) {
    switch (type) {
    case PITH_TYPE_INT4:
        return pith_int4_tile_bytes(cols);
    case PITH_TYPE_INT8:
        return pith_int8_tile_bytes(cols);
    case PITH_TYPE_F32:
        return cols * PITH_TILE_ROWS * 4;
    case PITH_TYPE_F16:
    case PITH_TYPE_BF16:
    case PITH_N_TYPES:
        break;
    }
    return cols * PITH_TILE_ROWS * 2;
}

bool pith_matrix_size(pith_type type, size_t rows, size_t cols, size_t *out) {
    size_t padded;
    if ((unsigned)type >= PITH_N_TYPES || cols == 0 || cols > MAX_COLS ||
        (type == PITH_TYPE_INT4 && cols % PITH_INT4_SLICE != 0) ||
        !pith_add_size(rows, PITH_TILE_ROWS - 1, &padded)) {
        return false;
    }
    return pith_mul_size(padded / PITH_TILE_ROWS, pith_matrix_tile_bytes(type, cols), out);
}

static uint16_t load_u16(const unsigned char *at) {
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* Row `lane` of one int8 tile. */
static void int8_row(const unsigned char *tile, size_t lane, size_t cols, float *out) {
    const unsigned char *scales = tile + (cols + 3) / 4 * PITH_LINE_BYTES;
    for (size_t begin = 0; begin < cols; begin += PITH_INT8_GROUP) {
        size_t end = pith_min_size(begin + PITH_INT8_GROUP, cols);
        size_t group = begin / PITH_INT8_GROUP;
        float scale = pith_f16_to_f32(load_u16(scales + (group * PITH_TILE_ROWS + lane) * 2));
        for (size_t k = begin; k < end; k += 4) {
            const unsigned char *codes = tile + k / 4 * PITH_LINE_BYTES + lane * 4;
            for (size_t i = 0; i < pith_min_size(4, end - k); i++) {
                out[k + i] = scale * (float)(int8_t)codes[i];
            }
        }
    }
}

/* Row `lane` of one int4 tile. The products are exact: 11 bits of scale times at most 7. */
static void int4_row(const unsigned char *tile, size_t lane, size_t cols, float *out) {
    size_t n_groups = pith_groups(cols, PITH_INT4_GROUP);
    const unsigned char *scales = tile + pith_int4_tile_bytes(cols) - pith_scales_bytes(n_groups);
    const unsigned char *group = tile;
    for (size_t g = 0; g < n_groups; g++) {
        size_t begin = g * PITH_INT4_GROUP;
        size_t n = pith_min_size(cols - begin, PITH_INT4_GROUP);
        size_t n_slices = n / PITH_INT4_SLICE;
        const unsigned char *multipliers = group + n_slices * 4 * PITH_LINE_BYTES + lane;
        float scale = pith_f16_to_f32(load_u16(scales + (g * PITH_TILE_ROWS + lane) * 2));
        for (size_t k = 0; k < n; k++) {
            size_t slice = k / PITH_INT4_SLICE;
            size_t block = k / PITH_INT4_BLOCK % 2;
            size_t i = k % PITH_INT4_BLOCK;
            size_t line = slice * 4 + i / 4;
            unsigned shift = block == 0 ? 0 : 4;
            unsigned q = (unsigned)group[line * PITH_LINE_BYTES + lane * 4 + i % 4] >> shift & 15U;
            unsigned m = (unsigned)multipliers[slice * PITH_TILE_ROWS] >> shift & 15U;
            out[begin + k] = scale * (float)(pith_int4_multipliers[m] * pith_int4_codes[q]);
        }
        group += pith_int4_group_bytes(n_slices);
    }
}

void pith_matrix_row(const pith_matrix *matrix, size_t row, float *out) {
    size_t cols = matrix->cols;
    size_t tile_bytes = pith_matrix_tile_bytes(matrix->type, cols);
    const unsigned char *tile =
        (const unsigned char *)matrix->data + row / PITH_TILE_ROWS * tile_bytes;
    size_t lane = row % PITH_TILE_ROWS;
    switch (matrix->type) {
    case PITH_TYPE_F32:
        memcpy(out, tile + lane * cols * 4, cols * 4);
        break;
    case PITH_TYPE_F16:
        for (size_t k = 0; k < cols; k++) {
            out[k] = pith_f16_to_f32(load_u16(tile + (lane * cols + k) * 2));
        }
        break;
    case PITH_TYPE_BF16:
        for (size_t k = 0; k < cols; k++) {
            out[k] = pith_bf16_to_f32(load_u16(tile + (lane * cols + k) * 2));
        }
        break;
    case PITH_TYPE_INT8:
        int8_row(tile, lane, cols, out);
        break;
    case PITH_TYPE_INT4:
        int4_row(tile, lane, cols, out);
        break;
    case PITH_N_TYPES:
        break;
    }
}
