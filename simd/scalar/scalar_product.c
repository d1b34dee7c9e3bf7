/* Matrix products in plain C. Quantised weights: a group of a tile is unpacked to one int8 per
 * weight, [16, group], and used for all tokens; the integer sum of a group is exact, the float step
 * that adds it is the one in simd/kernels.h. */
#include "base/half.h"
#include "simd/blocks.h"
#include "simd/lanes.h"
#include "simd/scalar/scalar.h"

#include <math.h>
#include <string.h>

/* ---- Floats ---------------------------------------------------------------------------------- */

/* Widens n weights of one row to floats. */
typedef void (*widen_fn)(const void *row, size_t begin, size_t n, float *out);

static void widen_f32(const void *row, size_t begin, size_t n, float *out) {
    memcpy(out, (const float *)row + begin, n * sizeof *out);
}

static void widen_f16(const void *row, size_t begin, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = pith_f16_to_f32(((const uint16_t *)row)[begin + i]);
    }
}

static void widen_bf16(const void *row, size_t begin, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = pith_bf16_to_f32(((const uint16_t *)row)[begin + i]);
    }
}

static float dot_lanes(const void *row, const float *x, size_t k, widen_fn widen) {
    float lanes[PITH_LANES] = {0};
    for (size_t begin = 0; begin < k; begin += PITH_LANES) {
        size_t n = k - begin < PITH_LANES ? k - begin : PITH_LANES;
        float w[PITH_LANES];
        widen(row, begin, n, w);
        for (size_t j = 0; j < n; j++) {
            lanes[j] = fmaf(w[j], x[begin + j], lanes[j]);
        }
    }
    return pith_lanes_sum(lanes);
}

static void product_float(const pith_product *p, size_t element_size, widen_fn widen) {
    for (size_t r = 0; r < p->n_rows; r++) {
        const void *row = (const uint8_t *)p->weights + r * p->k * element_size;
        for (size_t t = 0; t < p->n_tokens; t++) {
            const float *x = p->x->x + (p->first_token + t) * p->x->x_stride;
            p->y[t * p->y_stride + r] = dot_lanes(row, x, p->k, widen);
        }
    }
}

void pith_product_f32_scalar(const pith_product *p) {
    product_float(p, sizeof(float), widen_f32);
}

void pith_product_f16_scalar(const pith_product *p) {
    product_float(p, sizeof(uint16_t), widen_f16);
}

void pith_product_bf16_scalar(const pith_product *p) {
    product_float(p, sizeof(uint16_t), widen_bf16);
}

/* ---- Quantised ------------------------------------------------------------------------------- */

enum { MAX_GROUP = PITH_INT4_GROUP };

/* Unpacks `n_lines` lines of signed codes to w [16, MAX_GROUP]. */
static void unpack_int8(const uint8_t *lines, size_t n_lines, int8_t (*w)[MAX_GROUP]) {
    for (size_t j = 0; j < n_lines; j++) {
        for (size_t r = 0; r < PITH_TILE_ROWS; r++) {
            memcpy(&w[r][4 * j], lines + j * PITH_LINE_BYTES + 4 * r, 4);
        }
    }
}

/* Unpacks the nibbles and multipliers of `slices` slices to multiplier x code, w [16, MAX_GROUP].
 */
static void unpack_int4(const uint8_t *group, size_t slices, int8_t (*w)[MAX_GROUP]) {
    const uint8_t *multipliers = group + slices * 4 * PITH_LINE_BYTES;
    for (size_t s = 0; s < slices; s++) {
        for (size_t r = 0; r < PITH_TILE_ROWS; r++) {
            unsigned m = multipliers[s * PITH_TILE_ROWS + r];
            int first = pith_int4_multipliers[m & 15];
            int second = pith_int4_multipliers[m >> 4];
            int8_t *out = &w[r][s * PITH_INT4_SLICE];
            for (size_t i = 0; i < PITH_INT4_BLOCK; i++) {
                size_t line = s * 4 + i / 4;
                unsigned q = group[line * PITH_LINE_BYTES + 4 * r + i % 4];
                out[i] = (int8_t)(first * pith_int4_codes[q & 15]);
                out[PITH_INT4_BLOCK + i] = (int8_t)(second * pith_int4_codes[q >> 4]);
            }
        }
    }
}

/* Adds group g of `n` weights to the 16 outputs of every token, y = p->y + first row. */
static void add_group(const pith_product *p, const int8_t (*w)[MAX_GROUP], size_t n,
                      const uint16_t *scales, size_t group, size_t g, float *y) {
    const pith_activations *x = p->x;
    for (size_t t = 0; t < p->n_tokens; t++) {
        size_t token = p->first_token + t;
        const int8_t *codes = x->codes + token * x->code_stride + g * group;
        float s = x->scales[token * x->scale_stride + g];
        for (size_t r = 0; r < PITH_TILE_ROWS; r++) {
            int32_t sum = 0;
            for (size_t i = 0; i < n; i++) {
                sum += w[r][i] * codes[i];
            }
            float *out = &y[t * p->y_stride + r];
            float before = g == 0 ? 0.0f : *out;
            *out = fmaf((float)sum, pith_f16_to_f32(scales[g * PITH_TILE_ROWS + r]) * s, before);
        }
    }
}

void pith_product_int8_scalar(const pith_product *p) {
    size_t n_lines = (p->k + 3) / 4;
    size_t n_groups = pith_groups(p->k, PITH_INT8_GROUP);
    int8_t w[PITH_TILE_ROWS][MAX_GROUP];
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile =
            (const uint8_t *)p->weights + row / PITH_TILE_ROWS * pith_int8_tile_bytes(p->k);
        const uint16_t *scales = (const uint16_t *)(const void *)(tile + n_lines * PITH_LINE_BYTES);
        for (size_t g = 0; g < n_groups; g++) {
            size_t first = g * PITH_INT8_GROUP / 4;
            size_t n =
                n_lines - first < PITH_INT8_GROUP / 4 ? n_lines - first : PITH_INT8_GROUP / 4;
            unpack_int8(tile + first * PITH_LINE_BYTES, n, w);
            add_group(p, (const int8_t(*)[MAX_GROUP])w, 4 * n, scales, PITH_INT8_GROUP, g,
                      p->y + row);
        }
    }
}

void pith_product_int4_scalar(const pith_product *p) {
    size_t n_slices = p->k / PITH_INT4_SLICE;
    size_t n_groups = pith_groups(p->k, PITH_INT4_GROUP);
    size_t tile_bytes = pith_int4_tile_bytes(p->k);
    size_t codes_bytes = tile_bytes - pith_scales_bytes(n_groups);
    const size_t full = PITH_INT4_GROUP / PITH_INT4_SLICE;
    int8_t w[PITH_TILE_ROWS][MAX_GROUP];
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        const uint16_t *scales = (const uint16_t *)(const void *)(tile + codes_bytes);
        for (size_t g = 0; g < n_groups; g++) {
            size_t n = n_slices - g * full < full ? n_slices - g * full : full;
            unpack_int4(tile + g * pith_int4_group_bytes(full), n, w);
            add_group(p, (const int8_t(*)[MAX_GROUP])w, n * PITH_INT4_SLICE, scales,
                      PITH_INT4_GROUP, g, p->y + row);
        }
    }
}
