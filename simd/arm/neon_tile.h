/* Packed weights (simd/blocks.h) for the AArch64 integer products: the walk over tiles and groups,
 * decoding of int4, and the float step that ends a group. A line of 64 bytes is four registers of 4
 * rows each. What multiplies the bytes is in neon_packed.c, dot_packed.c and i8mm_packed.c. */
#ifndef PITH_SIMD_NEON_TILE_H
#define PITH_SIMD_NEON_TILE_H

#include "simd/arm/neon_vector.h"
#include "simd/blocks.h"
#include "simd/kernels.h"

enum {
    QUARTERS = 4,                             /* registers of a line */
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full int4 group */
    LINES = 4,                                /* packed lines of a slice, lines of a block */
};

/* One group of one tile. */
typedef struct group_view {
    const uint8_t *lines;   /* [n_lines, 64]: int8 codes, or int4 nibbles of two blocks */
    const uint8_t *packed;  /* int4 multipliers [n_lines / 4, 16]; else NULL */
    const uint16_t *scales; /* [16] */
    size_t n_lines;
    size_t index;      /* of the group */
    size_t first_code; /* k of its first weight */
} group_view;

/* Adds one group's products to the outputs of every token; y points at the tile's rows. */
typedef void (*add_group_fn)(const pith_product *p, const group_view *group, float *y);

PITH_INLINE void each_int8_group(const pith_product *p, add_group_fn add) {
    const size_t full = PITH_INT8_GROUP / 4;
    size_t n_lines = (p->k + 3) / 4;
    size_t tile_bytes = pith_int8_tile_bytes(p->k);
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        const uint16_t *scales = (const uint16_t *)(const void *)(tile + n_lines * PITH_LINE_BYTES);
        for (size_t g = 0; g * full < n_lines; g++) {
            size_t left = n_lines - g * full;
            group_view group = {.lines = tile + g * full * PITH_LINE_BYTES,
                                .scales = scales + g * PITH_TILE_ROWS,
                                .n_lines = left < full ? left : full,
                                .index = g,
                                .first_code = g * PITH_INT8_GROUP};
            add(p, &group, p->y + row);
        }
    }
}

PITH_INLINE void each_int4_group(const pith_product *p, add_group_fn add) {
    size_t n_slices = p->k / PITH_INT4_SLICE;
    size_t n_groups = pith_groups(p->k, PITH_INT4_GROUP);
    size_t tile_bytes = pith_int4_tile_bytes(p->k);
    size_t codes_bytes = tile_bytes - pith_scales_bytes(n_groups);
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        const uint16_t *scales = (const uint16_t *)(const void *)(tile + codes_bytes);
        for (size_t g = 0; g < n_groups; g++) {
            size_t slices = n_slices - g * FULL < FULL ? n_slices - g * FULL : FULL;
            group_view group = {.lines = tile + g * pith_int4_group_bytes(FULL),
                                .scales = scales + g * PITH_TILE_ROWS,
                                .n_lines = slices * LINES,
                                .index = g,
                                .first_code = g * PITH_INT4_GROUP};
            group.packed = group.lines + group.n_lines * PITH_LINE_BYTES;
            add(p, &group, p->y + row);
        }
    }
}

/* ---- int4 ------------------------------------------------------------------------------------ */

/* A quarter of a line: codes of the first block (low nibbles) and the second. */
PITH_INLINE void decode_quarter(const uint8_t *quarter, int8x16_t *first, int8x16_t *second) {
    const int8x16_t table = vld1q_s8(pith_int4_codes);
    uint8x16_t both = vld1q_u8(quarter);
    *first = vqtbl1q_s8(table, vandq_u8(both, vdupq_n_u8(15)));
    *second = vqtbl1q_s8(table, vshrq_n_u8(both, 4));
}

/* The multipliers of 16 rows for a slice's two blocks. */
PITH_INLINE void decode_multipliers(const uint8_t *packed, int8x16_t *first, int8x16_t *second) {
    const int8x16_t table = vld1q_s8(pith_int4_multipliers);
    uint8x16_t both = vld1q_u8(packed);
    *first = vqtbl1q_s8(table, vandq_u8(both, vdupq_n_u8(15)));
    *second = vqtbl1q_s8(table, vshrq_n_u8(both, 4));
}

/* 16 multipliers as 32-bit lanes. */
PITH_INLINE void widen_multipliers(int8x16_t rows, int32x4_t *out /* [4] */) {
    int16x8_t low = vmovl_s8(vget_low_s8(rows));
    int16x8_t high = vmovl_s8(vget_high_s8(rows));
    out[0] = vmovl_s16(vget_low_s16(low));
    out[1] = vmovl_s16(vget_high_s16(low));
    out[2] = vmovl_s16(vget_low_s16(high));
    out[3] = vmovl_s16(vget_high_s16(high));
}

/* Room for a whole int4 group as lines of multiplier x code: plain int8. */
typedef struct expanded {
    _Alignas(64) int8_t lines[2 * FULL * LINES * PITH_LINE_BYTES];
} expanded;

/* Expands an int4 group; the view returned points into *room. */
PITH_INLINE group_view expand_group(const group_view *group, expanded *room) {
    const uint8_t row_bytes[16] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3};
    for (size_t s = 0; s < group->n_lines / LINES; s++) {
        int8x16_t rows[2];
        decode_multipliers(group->packed + s * PITH_TILE_ROWS, &rows[0], &rows[1]);
        int8_t *out = room->lines + 2 * s * LINES * PITH_LINE_BYTES;
        PITH_UNROLL
        for (size_t q = 0; q < QUARTERS; q++) {
            uint8x16_t index = vaddq_u8(vld1q_u8(row_bytes), vdupq_n_u8((uint8_t)(4 * q)));
            int8x16_t m_first = vqtbl1q_s8(rows[0], index);
            int8x16_t m_second = vqtbl1q_s8(rows[1], index);
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                int8x16_t first;
                int8x16_t second;
                decode_quarter(group->lines + (s * LINES + j) * PITH_LINE_BYTES + 16 * q, &first,
                               &second);
                vst1q_s8(out + j * PITH_LINE_BYTES + 16 * q, vmulq_s8(first, m_first));
                vst1q_s8(out + (LINES + j) * PITH_LINE_BYTES + 16 * q, vmulq_s8(second, m_second));
            }
        }
    }
    group_view view = *group;
    view.lines = (const uint8_t *)room->lines;
    view.packed = NULL;
    view.n_lines = 2 * group->n_lines;
    return view;
}

/* ---- Every type ------------------------------------------------------------------------------ */

/* The activation codes that meet a group, at token `first` of the product. */
PITH_INLINE const int8_t *group_codes(const pith_product *p, const group_view *group,
                                      size_t first) {
    return p->x->codes + (p->first_token + first) * p->x->code_stride + group->first_code;
}

/* Four activation codes in every lane. */
PITH_INLINE int8x16_t broadcast_codes(const int8_t *codes) {
    int32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

/* Adds a group's integer sums, sum[4 * token + quarter], to the outputs of `tokens` tokens from
 * token `first` of the product on. */
PITH_INLINE void add_sums(const pith_product *p, const group_view *group, const int32x4_t *sum,
                          size_t first, float *y, size_t tokens) {
    const pith_activations *x = p->x;
    const float *x_scales = x->scales + (p->first_token + first) * x->scale_stride + group->index;
    PITH_UNROLL
    for (size_t i = 0; i < QUARTERS * tokens; i++) {
        float32x4_t d = widen_f16(vld1_u16(group->scales + i % QUARTERS * 4));
        float32x4_t scale = vmulq_n_f32(d, x_scales[i / QUARTERS * x->scale_stride]);
        float *out = y + (first + i / QUARTERS) * p->y_stride + i % QUARTERS * 4;
        float32x4_t before = group->index == 0 ? vdupq_n_f32(0.0f) : vld1q_f32(out);
        vst1q_f32(out, vfmaq_f32(before, vcvtq_f32_s32(sum[i]), scale));
    }
}

#endif
