/* int4 products with AVX2 (simd/avx2_few.h). Few tokens use the codes as they are decoded. Many
 * tokens meet groups expanded to bytes code + 10 with 16-bit multipliers beside them: vpmaddubsw
 * and 16-bit additions give the sum of a block of 16 in two halves of a 32-bit lane, at most 20320
 * in magnitude with the block's offset in it; vpmaddwd multiplies both halves by the block's
 * multiplier and joins them. Plain bytes multiplier x code would need vpmaddwd for every pair. */
#include "simd/avx2.h"
#include "simd/avx2_few.h"
#include "simd/avx2_packed.h"
#include "simd/avx2_tile.h"

enum {
    FEW = 12, /* most tokens that use codes as they are decoded, up to 4 at a time */
    MULTIPLIERS_AT = LINES * PITH_LINE_BYTES,
    BLOCK_BYTES = MULTIPLIERS_AT + PITH_LINE_BYTES, /* of an expanded block */
};

/* ---- Few tokens ------------------------------------------------------------------------------ */

static void few_tile_1(const pith_product *p, size_t row, size_t token) {
    few_tile(p, row, token, 1, PITH_TYPE_INT4, false, false);
}

static void few_tile_2(const pith_product *p, size_t row, size_t token) {
    few_tile(p, row, token, 2, PITH_TYPE_INT4, false, false);
}

static void few_tile_1_l2(const pith_product *p, size_t row, size_t token) {
    few_tile(p, row, token, 1, PITH_TYPE_INT4, false, true);
}

static void few_tile_2_l2(const pith_product *p, size_t row, size_t token) {
    few_tile(p, row, token, 2, PITH_TYPE_INT4, false, true);
}

static void few_tile_3(const pith_product *p, size_t row, size_t token) {
    few_tile(p, row, token, 3, PITH_TYPE_INT4, false, false);
}

static void few_tile_4(const pith_product *p, size_t row, size_t token) {
    few_tile(p, row, token, 4, PITH_TYPE_INT4, false, false);
}

/* ---- Many tokens ----------------------------------------------------------------------------- */

/* Per block: 4 lines of code + 10, one line of multipliers. */
static void expand_group(const uint8_t *tile, size_t group, size_t n_lines, uint8_t *out) {
    const __m256i table = table_of_codes();
    const size_t slices = n_lines / (2 * LINES);
    const uint8_t *lines = tile + group * pith_int4_group_bytes(FULL);
    const uint8_t *packed = lines + slices * LINES * PITH_LINE_BYTES;
    for (size_t s = 0; s < slices; s++) {
        __m256i m[2 * HALVES];
        decode_multipliers(packed + s * PITH_TILE_ROWS, m, false);
        PITH_UNROLL
        for (size_t block = 0; block < 2; block++) {
            PITH_UNROLL
            for (size_t i = 0; i < LINES * HALVES; i++) {
                const uint8_t *half = lines + i * HALF_BYTES;
                prefetch_ahead(half, AHEAD);
                _mm256_store_si256((__m256i *)(void *)(out + i * HALF_BYTES),
                                   decode_half(load_256(half), table, block));
            }
            PITH_UNROLL
            for (size_t h = 0; h < HALVES; h++) {
                _mm256_store_si256((__m256i *)(void *)(out + MULTIPLIERS_AT + h * HALF_BYTES),
                                   m[block * HALVES + h]);
            }
            out += BLOCK_BYTES;
        }
        lines += LINES * PITH_LINE_BYTES;
    }
}

/* One tile of a step for `n` tokens (a constant). `codes` and `offset` point at every third token's
 * activations, so that all addresses are one of few registers plus 0, 1 or 2 strides; the empty
 * statements keep GCC from making a pointer for every token. */
PITH_INLINE void multiply_tile(const pith_tile_step *step, size_t i_tile, size_t n) {
    const uint8_t *w = step->weights + i_tile * step->tile_stride;
    const size_t third = n > 3 ? 3 : 0;
    const int8_t *codes[2] = {step->codes, step->codes + third * step->code_stride};
    const int32_t *offset[2] = {step->block_offset,
                                step->block_offset + third * step->block_stride};
    __m256i total[HALVES * PITH_TILE_TOKENS];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] = _mm256_setzero_si256();
    }
    for (size_t b = 0; b < step->n_lines / LINES; b++) {
        __m256i sum[HALVES * PITH_TILE_TOKENS];
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            size_t t = i / HALVES;
            sum[i] = start_block(offset[t / 3] + t % 3 * step->block_stride, false);
        }
        PITH_UNROLL
        for (size_t j = 0; j < LINES; j++) {
            PITH_UNROLL
            for (size_t i = 0; i < HALVES * n; i++) {
                size_t t = i / HALVES;
                __m256i x = broadcast_codes(codes[t / 3] + t % 3 * step->code_stride + 4 * j);
                __m256i half = load_256(w + j * PITH_LINE_BYTES + i % HALVES * HALF_BYTES);
                sum[i] = add_codes(sum[i], half, x, false);
            }
        }
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            __m256i m = load_256(w + MULTIPLIERS_AT + i % HALVES * HALF_BYTES);
            add_to_memory(&total[i], _mm256_madd_epi16(sum[i], m));
        }
        w += BLOCK_BYTES;
        PITH_UNROLL
        for (size_t i = 0; i < 2; i++) {
            codes[i] += PITH_INT4_BLOCK;
            offset[i]++;
            __asm__("" : "+r"(codes[i]), "+r"(offset[i]));
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] = _mm256_srai_epi32(total[i], MULTIPLIER_SHIFT);
    }
    add_tile(step->y + i_tile * PITH_TILE_ROWS, (size_t)PITH_TILE_SET * PITH_TILE_ROWS, total,
             step->scales[i_tile], step->x_scales, step->scale_stride, n);
}

static void multiply_6(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 6);
    }
}

static void multiply_4(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 4);
    }
}

static void multiply_2(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 2);
    }
}

static void multiply_1(const pith_tile_step *step) {
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, i, 1);
    }
}

static void product(const pith_product *p, const few_size *sizes) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
        return;
    }
    const size_t tile_bytes = pith_int4_tile_bytes(p->k);
    const pith_tile_format format = {.tile_bytes = tile_bytes,
                                     .scales_at =
                                         tile_bytes -
                                         pith_scales_bytes(pith_groups(p->k, PITH_INT4_GROUP)),
                                     .n_lines = p->k / 4,
                                     .group_lines = PITH_INT4_GROUP / 4,
                                     .expanded_bytes = (size_t)2 * FULL * BLOCK_BYTES,
                                     .expand = expand_group,
                                     .multiply_6 = multiply_6,
                                     .multiply_4 = multiply_4,
                                     .multiply_2 = multiply_2,
                                     .multiply_1 = multiply_1};
    pith_many_tokens_avx2(p, &format);
}

void pith_product_int4_avx2(const pith_product *p) {
    static const few_size sizes[] = {{4, few_tile_4},
                                     {3, few_tile_3},
                                     {2, few_tile_2},
                                     {1, few_tile_1}};
    product(p, sizes);
}

void pith_product_int4_avx2_l2(const pith_product *p) {
    static const few_size sizes[] = {{4, few_tile_4},
                                     {3, few_tile_3},
                                     {2, few_tile_2_l2},
                                     {1, few_tile_1_l2}};
    product(p, sizes);
}
