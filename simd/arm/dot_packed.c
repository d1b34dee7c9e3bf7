/* int8 and int4 products with the dot product instructions of Armv8.2 (FEAT_DotProd): sdot adds
 * four signed byte products to each 32-bit lane, which is one output row, so nothing saturates and
 * nothing is added across lanes. */
#include "simd/arm/dot.h"
#include "simd/arm/neon_tile.h"

enum { TOKENS = 4 };

PITH_INLINE int8x16_t load_quarter(const uint8_t *line, size_t q) {
    return vreinterpretq_s8_u8(vld1q_u8(line + 16 * q));
}

/* Integer sums of one group of int8 lines, sum[4 * token + quarter], for `tokens` tokens (a
 * constant). */
PITH_INLINE void group_sums(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                            size_t code_stride, int32x4_t *sum, size_t tokens) {
    PITH_UNROLL
    for (size_t i = 0; i < tokens * QUARTERS; i++) {
        sum[i] = vdupq_n_s32(0);
    }
    for (size_t j = 0; j < n_lines; j++) {
        const uint8_t *line = lines + j * PITH_LINE_BYTES;
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            int8x16_t x = broadcast_codes(codes + t * code_stride + 4 * j);
            PITH_UNROLL
            for (size_t q = 0; q < QUARTERS; q++) {
                int32x4_t *s = &sum[t * QUARTERS + q];
                *s = vdotq_s32(*s, load_quarter(line, q), x);
            }
        }
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
    for (; t < p->n_tokens; t++) {
        group_sums(group->lines, group->n_lines, group_codes(p, group, t), stride, sum, 1);
        add_sums(p, group, sum, t, y, 1);
    }
}

void pith_product_int8_dot(const pith_product *p) {
    each_int8_group(p, add_int8);
}

/* One token: codes are used as they are decoded, the multiplier is applied to a block's sum. */
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
            int32x4_t sum[2] = {vdupq_n_s32(0), vdupq_n_s32(0)};
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                int8x16_t first;
                int8x16_t second;
                decode_quarter(group->lines + (s * LINES + j) * PITH_LINE_BYTES + 16 * q, &first,
                               &second);
                sum[0] = vdotq_s32(sum[0], first, broadcast_codes(c + 4 * j));
                sum[1] = vdotq_s32(sum[1], second, broadcast_codes(c + PITH_INT4_BLOCK + 4 * j));
            }
            total[q] = vmlaq_s32(total[q], sum[0], m[0][q]);
            total[q] = vmlaq_s32(total[q], sum[1], m[1][q]);
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

void pith_product_int4_dot(const pith_product *p) {
    each_int4_group(p, add_int4);
}
