/* The few-token products (simd/few.h) with AVX2 and AVX-VNNI; `vnni` as in simd/x86/avx2_packed.h.
 */
#ifndef PITH_SIMD_AVX2_FEW_H
#define PITH_SIMD_AVX2_FEW_H

#include "simd/few.h"
#include "simd/x86/avx2_packed.h"

enum {
    FEW_STEP = 4,  /* most tokens that share one decoding */
    FEW_LINES = 4, /* int8 lines of a turn of the loop */
};

/* One group of one tile, and the activations of the first token it meets. */
typedef struct few_group {
    const uint8_t *lines;
    size_t n_lines; /* of the group, as packed */
    const int8_t *codes;
    size_t code_stride;
    const int32_t *offset; /* int4: of each block */
    size_t block_stride;
    pith_fetch fetch; /* of weights */
} few_group;

/* ---- int4 ------------------------------------------------------------------------------------ */

/* Sums of `n_blocks` blocks of slice s from block `first` on, for `n` tokens:
 * sum[(i * n + token) * HALVES + half] of the i-th. */
PITH_INLINE void few_slice(const few_group *in, size_t s, size_t first, size_t n_blocks,
                           __m256i *sum, size_t n, bool vnni) {
    const __m256i table = table_of_codes();
    const int8_t *codes = in->codes + s * PITH_INT4_SLICE + first * PITH_INT4_BLOCK;
    PITH_UNROLL
    for (size_t i = 0; i < n_blocks * n; i++) {
        const int32_t *offset = in->offset + i % n * in->block_stride + 2 * s + first + i / n;
        sum[i * HALVES] = start_block(offset, vnni);
        sum[i * HALVES + 1] = start_block(offset, vnni);
    }
    PITH_UNROLL
    for (size_t i = 0; i < LINES * n_blocks; i++) {
        size_t j = i / n_blocks;
        size_t block = i % n_blocks;
        const uint8_t *line = in->lines + (s * LINES + j) * PITH_LINE_BYTES;
        if (block == 0 && first == 0) {
            fetch_weights(line, in->fetch);
        }
        __m256i w[HALVES];
        PITH_UNROLL
        for (size_t h = 0; h < HALVES; h++) {
            w[h] = decode_half(load_256(line + h * HALF_BYTES), table, first + block);
        }
        PITH_UNROLL
        for (size_t k = 0; k < HALVES * n; k++) {
            const int8_t *four =
                codes + k / HALVES * in->code_stride + block * PITH_INT4_BLOCK + 4 * j;
            __m256i *to = &sum[block * HALVES * n + k];
            *to = add_codes(*to, w[k % HALVES], broadcast_codes(four), vnni);
        }
    }
}

/* total[HALVES * token + half] += the blocks' sums x their multipliers. */
PITH_INLINE void add_blocks(const __m256i *sum, const __m256i *m, size_t n_blocks, __m256i *total,
                            size_t n, bool vnni) {
    PITH_UNROLL
    for (size_t i = 0; i < n_blocks * n * HALVES; i++) {
        __m256i *to = &total[i % (n * HALVES)];
        __m256i multiplier = m[i / (n * HALVES) * HALVES + i % HALVES];
        if (n > PITH_FEW_ORDERED) {
            add_to_memory(to, _mm256_madd_epi16(sum[i], multiplier));
        } else if (vnni) {
            *to = add_dot_16(*to, sum[i], multiplier);
        } else {
            *to = add_32(*to, _mm256_madd_epi16(sum[i], multiplier));
        }
    }
}

/* Sums an int4 group in total[HALVES * token + half], 0 at first, for `n` tokens (a constant). */
PITH_INLINE void few_int4(const few_group *group, __m256i *total, size_t n, bool vnni) {
    const few_group in = *group;
    const uint8_t *packed = in.lines + in.n_lines * PITH_LINE_BYTES;
    const size_t slices = in.n_lines / LINES;
    __m256i m[2 * HALVES];
    if (n <= PITH_FEW_ORDERED) {
        __m256i blocks[FULL]
                      [2 * PITH_FEW_ORDERED * HALVES]; /* sums that wait for their multipliers */
        for (size_t s = 0; s < slices; s++) {
            __m256i sum[2 * PITH_FEW_ORDERED * HALVES];
            few_slice(&in, s, 0, 2, sum, n, vnni);
            PITH_UNROLL
            for (size_t i = 0; i < 2 * n * HALVES; i++) {
                blocks[s][i] = sum[i];
            }
        }
        fetch_weights(packed, in.fetch);
        fetch_weights(packed + PITH_LINE_BYTES, in.fetch);
        for (size_t s = 0; s < slices; s++) {
            decode_multipliers(packed + s * PITH_TILE_ROWS, m, vnni);
            add_blocks(blocks[s], m, 2, total, n, vnni);
        }
    } else {
        for (size_t s = 0; s < slices; s++) {
            decode_multipliers(packed + s * PITH_TILE_ROWS, m, vnni);
            PITH_UNROLL
            for (size_t block = 0; block < 2; block++) {
                __m256i sum[FEW_STEP * HALVES];
                few_slice(&in, s, block, 1, sum, n, vnni);
                add_blocks(sum, m + block * HALVES, 1, total, n, vnni);
            }
        }
        fetch_weights(packed, in.fetch);
        fetch_weights(packed + PITH_LINE_BYTES, in.fetch);
    }
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] = _mm256_srai_epi32(total[i], MULTIPLIER_SHIFT);
    }
}

/* ---- int8 ------------------------------------------------------------------------------------ */

PITH_INLINE __m256i add_weights(__m256i sum, __m256i w, __m256i x, bool vnni) {
    if (vnni) {
        return add_dot(sum, _mm256_xor_si256(w, _mm256_set1_epi8(-128)), x);
    }
    __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
    return add_32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* Adds line j of an int8 group to sum[HALVES * token + half]. */
PITH_INLINE void few_int8_line(const few_group *in, size_t j, __m256i *sum, size_t n, bool vnni) {
    const uint8_t *line = in->lines + j * PITH_LINE_BYTES;
    fetch_weights(line, in->fetch);
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        __m256i x = broadcast_codes(in->codes + i / HALVES * in->code_stride + 4 * j);
        sum[i] = add_weights(sum[i], load_256(line + i % HALVES * HALF_BYTES), x, vnni);
    }
}

/* Adds an int8 group to total[HALVES * token + half] for `n` tokens (a constant). One or two tokens
 * have a second chain of additions for every second line, so that they do not wait for a single
 * one. */
PITH_INLINE void few_int8(const few_group *group, __m256i *total, size_t n, bool vnni) {
    const few_group in = *group;
    __m256i odd[HALVES * FEW_STEP];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        odd[i] = _mm256_setzero_si256();
    }
    size_t j = 0;
    for (; j + FEW_LINES <= in.n_lines; j += FEW_LINES) {
        PITH_UNROLL
        for (size_t i = 0; i < FEW_LINES; i++) {
            few_int8_line(&in, j + i, i % 2 != 0 && n <= 2 ? odd : total, n, vnni);
        }
    }
    for (; j < in.n_lines; j++) {
        few_int8_line(&in, j, total, n, vnni);
    }
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] = _mm256_add_epi32(total[i], odd[i]);
    }
}

/* ---- Tiles ----------------------------------------------------------------------------------- */

/* Groups [begin, end) for `n` tokens (a constant), whose sums are [end - begin, n, HALVES]. */
PITH_INLINE void add_kept(const few_outputs *o, const __m256i *sums, size_t begin, size_t end,
                          size_t n) {
    __m256 y[HALVES * FEW_STEP];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        const float *from = o->y + i / HALVES * o->y_stride + i % HALVES * HALF_ROWS;
        y[i] = begin == 0 ? _mm256_setzero_ps() : _mm256_load_ps(from);
    }
    for (size_t g = begin; g < end; g++) {
        const uint16_t *scales = o->scales + g * PITH_TILE_ROWS;
        fetch_weights(scales, o->fetch);
        const __m256 d[HALVES] = {load_scales(scales), load_scales(scales + HALF_ROWS)};
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            float s = o->x_scales[i / HALVES * o->scale_stride + g];
            y[i] = scaled(sums[(g - begin) * HALVES * n + i], d[i % HALVES], s, y[i]);
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        _mm256_store_ps(o->y + i / HALVES * o->y_stride + i % HALVES * HALF_ROWS, y[i]);
    }
}

/* One tile for `n` tokens (a constant) from token `token` of the product on; type is INT4 or INT8
 * and constant, and so are `vnni` and `hint`. */
PITH_INLINE void few_tile(const pith_product *p, size_t row, size_t token, size_t n, pith_type type,
                          bool vnni, pith_hint hint) {
    const bool int4 = type == PITH_TYPE_INT4;
    const pith_activations *x = p->x;
    const size_t at = p->first_token + token;
    const size_t k_group = int4 ? PITH_INT4_GROUP : PITH_INT8_GROUP;
    const size_t k_line = int4 ? PITH_INT4_SLICE / LINES : 4;
    const size_t n_groups = pith_groups(p->k, k_group);
    const size_t n_lines = (p->k + k_line - 1) / k_line;
    const size_t tile_bytes = int4 ? pith_int4_tile_bytes(p->k) : pith_int8_tile_bytes(p->k);
    const size_t group_bytes =
        int4 ? pith_int4_group_bytes(FULL) : (size_t)PITH_INT8_GROUP / 4 * PITH_LINE_BYTES;
    const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
    const uint8_t *scales = tile + tile_bytes - pith_scales_bytes(n_groups);
    const int32_t *offset =
        int4 ? x->block_offset + at * x->block_stride : x->group_offset + at * x->scale_stride;
    const pith_fetch fetch = fetch_of(p, n, hint);
    const few_outputs out =
        outputs_from(p, (const uint16_t *)(const void *)scales, row, token, fetch);
    const size_t batch = PITH_FEW_KEPT / n;
    __m256i kept[PITH_FEW_KEPT * HALVES];
    for (size_t begin = 0; begin < n_groups; begin += batch) {
        const size_t end = n_groups - begin < batch ? n_groups : begin + batch;
        for (size_t g = begin; g < end; g++) {
            size_t line = g * (k_group / k_line);
            size_t left = n_lines - line;
            const few_group group = {.lines = tile + g * group_bytes,
                                     .n_lines = left < k_group / k_line ? left : k_group / k_line,
                                     .codes = x->codes + at * x->code_stride + g * k_group,
                                     .code_stride = x->code_stride,
                                     .offset = int4 ? offset + g * 2 * FULL : NULL,
                                     .block_stride = x->block_stride,
                                     .fetch = fetch};
            PITH_UNROLL
            for (size_t t = 0; n <= PITH_FEW_ORDERED && t < n; t++) {
                fetch_next(group.codes + t * x->code_stride, k_group);
                if (int4) {
                    fetch_next(group.offset + t * x->block_stride, PITH_LINE_BYTES);
                }
            }
            __m256i total[HALVES * FEW_STEP];
            PITH_UNROLL
            for (size_t i = 0; i < HALVES * n; i++) {
                total[i] = vnni && !int4
                               ? _mm256_set1_epi32(offset[i / HALVES * x->scale_stride + g])
                               : _mm256_setzero_si256();
            }
            if (int4) {
                few_int4(&group, total, n, vnni);
            } else {
                few_int8(&group, total, n, vnni);
            }
            PITH_UNROLL
            for (size_t i = 0; i < HALVES * n; i++) {
                kept[(g - begin) * HALVES * n + i] = total[i];
            }
        }
        add_kept(&out, kept, begin, end, n);
    }
}

#endif
