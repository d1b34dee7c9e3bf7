/* int8 and int4 products for AArch64 without the dot product instructions: smull and smlal multiply
 * bytes to 16 bits, sadalp widens pairs to 32. Two products fit 16 bits (2 x 128 x 127 < 2^15), so
 * int8 goes two lines at a time; int4 codes without their multiplier let a whole block of 16 (four
 * lines, 4 x 10 x 127 in each 16-bit lane) add up first. */
#include "simd/arm/neon.h"
#include "simd/arm/neon_tile.h"

enum {
    TOKENS = 2,
    HALVES = 2 * QUARTERS, /* registers of 16-bit products of a line */
};

PITH_INLINE int8x8_t half_line(const uint8_t *line, size_t h) {
    return vreinterpret_s8_u8(vld1_u8(line + 8 * h));
}

/* Integer sums of one group of int8 lines, sum[4 * token + quarter], for `tokens` tokens (a
 * constant). A half holds 2 rows x 2 partial sums until the end. */
PITH_INLINE void group_sums(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                            size_t code_stride, int32x4_t *sum, size_t tokens) {
    int32x4_t pairs[TOKENS * HALVES];
    PITH_UNROLL
    for (size_t i = 0; i < tokens * HALVES; i++) {
        pairs[i] = vdupq_n_s32(0);
    }
    size_t j = 0;
    for (; j + 2 <= n_lines; j += 2) {
        const uint8_t *line = lines + j * PITH_LINE_BYTES;
        int8x8_t a[TOKENS];
        int8x8_t b[TOKENS];
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            a[t] = vget_low_s8(broadcast_codes(codes + t * code_stride + 4 * j));
            b[t] = vget_low_s8(broadcast_codes(codes + t * code_stride + 4 * j + 4));
        }
        PITH_UNROLL
        for (size_t h = 0; h < HALVES; h++) {
            PITH_UNROLL
            for (size_t t = 0; t < tokens; t++) {
                int16x8_t product = vmull_s8(half_line(line, h), a[t]);
                product = vmlal_s8(product, half_line(line + PITH_LINE_BYTES, h), b[t]);
                pairs[t * HALVES + h] = vpadalq_s16(pairs[t * HALVES + h], product);
            }
        }
    }
    if (j < n_lines) {
        const uint8_t *line = lines + j * PITH_LINE_BYTES;
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            int8x8_t a = vget_low_s8(broadcast_codes(codes + t * code_stride + 4 * j));
            PITH_UNROLL
            for (size_t h = 0; h < HALVES; h++) {
                int16x8_t product = vmull_s8(half_line(line, h), a);
                pairs[t * HALVES + h] = vpadalq_s16(pairs[t * HALVES + h], product);
            }
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < tokens * QUARTERS; i++) {
        sum[i] = vpaddq_s32(pairs[2 * i], pairs[2 * i + 1]);
    }
}

static void add_int8(const pith_product *p, const group_view *group, float *y) {
    size_t stride = p->x->code_stride;
    int32x4_t sum[TOKENS * QUARTERS];
    size_t t = 0;
    for (; t + TOKENS <= p->n_tokens; t += TOKENS) {
        group_sums(group->lines, group->n_lines, group_codes(p, group, t), stride, sum, TOKENS);
        add_sums(p, group, sum, t, y, TOKENS);
    }
    if (t < p->n_tokens) {
        group_sums(group->lines, group->n_lines, group_codes(p, group, t), stride, sum, 1);
        add_sums(p, group, sum, t, y, 1);
    }
}

void pith_product_int8_neon(const pith_product *p) {
    each_int8_group(p, add_int8);
}

/* ---- int4 ------------------------------------------------------------------------------------ */

/* Sums of a block of 16 for 4 rows, from the codes of its four lines. */
PITH_INLINE int32x4_t block_sum(const int8x16_t *w /* [4] */, const int8_t *codes) {
    int8x16_t x = broadcast_codes(codes);
    int16x8_t low = vmull_s8(vget_low_s8(w[0]), vget_low_s8(x));
    int16x8_t high = vmull_high_s8(w[0], x);
    PITH_UNROLL
    for (size_t j = 1; j < LINES; j++) {
        x = broadcast_codes(codes + 4 * j);
        low = vmlal_s8(low, vget_low_s8(w[j]), vget_low_s8(x));
        high = vmlal_high_s8(high, w[j], x);
    }
    return vpaddlq_s16(vpaddq_s16(low, high));
}

/* One token: codes are used as they are decoded. */
static void add_int4_single(const pith_product *p, const group_view *group, float *y) {
    const int8_t *codes = group_codes(p, group, 0);
    int32x4_t total[QUARTERS];
    PITH_UNROLL
    for (size_t q = 0; q < QUARTERS; q++) {
        total[q] = vdupq_n_s32(0);
    }
    for (size_t s = 0; s < group->n_lines / LINES; s++) {
        const int8_t *c = codes + s * PITH_INT4_SLICE;
        int8x16_t rows[2];
        int32x4_t m[2][QUARTERS];
        decode_multipliers(group->packed + s * PITH_TILE_ROWS, &rows[0], &rows[1]);
        widen_multipliers(rows[0], m[0]);
        widen_multipliers(rows[1], m[1]);
        PITH_UNROLL
        for (size_t q = 0; q < QUARTERS; q++) {
            int8x16_t first[LINES];
            int8x16_t second[LINES];
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                decode_quarter(group->lines + (s * LINES + j) * PITH_LINE_BYTES + 16 * q, &first[j],
                               &second[j]);
            }
            total[q] = vmlaq_s32(total[q], block_sum(first, c), m[0][q]);
            total[q] = vmlaq_s32(total[q], block_sum(second, c + PITH_INT4_BLOCK), m[1][q]);
        }
    }
    add_sums(p, group, total, 0, y, 1);
}

static void add_int4(const pith_product *p, const group_view *group, float *y) {
    if (p->n_tokens == 1) {
        add_int4_single(p, group, y);
        return;
    }
    expanded room;
    group_view plain = expand_group(group, &room);
    add_int8(p, &plain, y);
}

void pith_product_int4_neon(const pith_product *p) {
    each_int4_group(p, add_int4);
}
