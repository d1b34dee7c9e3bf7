/* int8 and int4 products of several tokens with the matrix instructions of Armv8.6 (FEAT_I8MM):
 * smmla multiplies 2 rows x 8 k by 2 tokens x 8 k. Two lines of a tile interleaved give rows in
 * pairs of 8 k; that is done once per group on the stack and serves all tokens. For fewer than FEW
 * tokens it does not pay: they use the dot product kernels. */
#include "simd/arm/dot.h"
#include "simd/arm/i8mm.h"
#include "simd/arm/neon_tile.h"

enum {
    FEW = 4,
    PAIRS = 2,     /* pairs of tokens in a register tile */
    REGISTERS = 8, /* of two lines, 2 rows x 8 k each */
    MAX_LINES = 2 * FULL * LINES,
};

/* Lines in pairs: register 2 q holds rows 4 q and 4 q + 1, register 2 q + 1 the next two. */
typedef struct paired {
    int8x16_t w[MAX_LINES / 2][REGISTERS];
    size_t n;
} paired;

static void pair_lines(const group_view *group, paired *out) {
    const uint8_t *lines = group->lines;
    out->n = (group->n_lines + 1) / 2;
    for (size_t i = 0; i < out->n; i++) {
        const uint8_t *line = lines + 2 * i * PITH_LINE_BYTES;
        PITH_UNROLL
        for (size_t q = 0; q < QUARTERS; q++) {
            uint8x16_t bytes = vld1q_u8(line + 16 * q);
            int32x4_t a = vreinterpretq_s32_u8(bytes);
            int32x4_t b = vdupq_n_s32(0);
            if (2 * i + 1 < group->n_lines) {
                b = vreinterpretq_s32_u8(vld1q_u8(line + PITH_LINE_BYTES + 16 * q));
            }
            out->w[i][2 * q] = vreinterpretq_s8_s32(vzip1q_s32(a, b));
            out->w[i][2 * q + 1] = vreinterpretq_s8_s32(vzip2q_s32(a, b));
        }
    }
}

/* Adds a group to tokens first and first + step, and so on for `pairs` pairs (a constant); step is
 * 0 for a last token without a partner. */
PITH_INLINE void add_pairs(const pith_product *p, const group_view *group, const paired *lines,
                           size_t first, size_t step, float *y, size_t pairs) {
    const int8_t *codes = group_codes(p, group, first);
    size_t stride = p->x->code_stride;
    int32x4_t sum[PAIRS * REGISTERS]; /* [row 0 token 0, row 0 token 1, row 1 token 0, ...] */
    PITH_UNROLL
    for (size_t i = 0; i < pairs * REGISTERS; i++) {
        sum[i] = vdupq_n_s32(0);
    }
    for (size_t j = 0; j < lines->n; j++) {
        PITH_UNROLL
        for (size_t t = 0; t < pairs; t++) {
            const int8_t *c = codes + 2 * t * stride + 8 * j;
            int8x16_t x = vcombine_s8(vld1_s8(c), vld1_s8(c + step * stride));
            PITH_UNROLL
            for (size_t i = 0; i < REGISTERS; i++) {
                int32x4_t *s = &sum[t * REGISTERS + i];
                *s = vmmlaq_s32(*s, lines->w[j][i], x);
            }
        }
    }
    PITH_UNROLL
    for (size_t t = 0; t < pairs; t++) {
        int32x4_t out[2 * QUARTERS];
        PITH_UNROLL
        for (size_t q = 0; q < QUARTERS; q++) {
            const int32x4_t *s = &sum[t * REGISTERS + 2 * q];
            out[q] = vuzp1q_s32(s[0], s[1]);
            out[QUARTERS + q] = vuzp2q_s32(s[0], s[1]);
        }
        if (step == 0) {
            add_sums(p, group, out, first + 2 * t, y, 1);
        } else {
            add_sums(p, group, out, first + 2 * t, y, 2);
        }
    }
}

static void add_int8(const pith_product *p, const group_view *group, float *y) {
    paired lines;
    pair_lines(group, &lines);
    size_t t = 0;
    for (; t + 2 * PAIRS <= p->n_tokens; t += 2 * PAIRS) {
        add_pairs(p, group, &lines, t, 1, y, PAIRS);
    }
    for (; t + 2 <= p->n_tokens; t += 2) {
        add_pairs(p, group, &lines, t, 1, y, 1);
    }
    if (t < p->n_tokens) {
        add_pairs(p, group, &lines, t, 0, y, 1);
    }
}

static void add_int4(const pith_product *p, const group_view *group, float *y) {
    expanded room;
    group_view plain = expand_group(group, &room);
    add_int8(p, &plain, y);
}

void pith_product_int8_i8mm(const pith_product *p) {
    if (p->n_tokens < FEW) {
        pith_product_int8_dot(p);
    } else {
        each_int8_group(p, add_int8);
    }
}

void pith_product_int4_i8mm(const pith_product *p) {
    if (p->n_tokens < FEW) {
        pith_product_int4_dot(p);
    } else {
        each_int4_group(p, add_int4);
    }
}
