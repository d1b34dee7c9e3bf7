/* Packed weights (simd/blocks.h) in 256-bit registers, shared by the AVX2 and the AVX-VNNI
 * products: decoding of int4, one step of a sum of byte products, the float step that ends a group,
 * and the products of few tokens. A 16-row line is two registers of 8 rows each. `vnni` is a
 * constant at every call; it tells the two instruction sets apart:
 *  - without it vpmaddubsw sums pairs in 16 bits. Codes of int4 (code + 10, at most 19) may sum a
 *    block of 16 that way, 8 products of at most 19 x 127 per half of a lane; int8 weights give
 *    their sign to the activation (2 x 127 x 127 < 2^15) and vpmaddwd widens every pair.
 *  - with it vpdpbusd sums four products in 32 bits; int8 weights are made unsigned by flipping the
 *    top bit, and each sum starts at -128 x the activations' sum. */
#ifndef PITH_SIMD_AVX2_PACKED_H
#define PITH_SIMD_AVX2_PACKED_H

#include "simd/avx2_vector.h"
#include "simd/blocks.h"
#include "simd/kernels.h"

#include <stdbool.h>

enum {
    HALVES = 2, /* registers of a line */
    HALF_BYTES = PITH_LINE_BYTES / HALVES,
    HALF_ROWS = PITH_TILE_ROWS / HALVES,
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full int4 group */
    LINES = 4,                                /* packed lines of a slice, lines of a block */
    FEW_STEP = 4,                             /* most tokens that share one decoding */
    AHEAD = 8 << 10,                          /* prefetch distance in bytes */
    MULTIPLIER_SHIFT = 8,                     /* of multipliers of int4, as decoded */
};

PITH_INLINE __m256i load_256(const void *p) {
    return _mm256_load_si256((const __m256i *)p);
}

/* ---- Sums ------------------------------------------------------------------------------------ */

/* Additions in assembly keep their order and their registers: GCC would reassociate the sums of an
 * unrolled loop and run out of registers. */
PITH_INLINE __m256i add_16(__m256i sum, __m256i v) {
    __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(v));
    return sum;
}

PITH_INLINE __m256i add_32(__m256i sum, __m256i v) {
    __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(v));
    return sum;
}

/* vpdpbusd, unsigned w x signed x, in the encoding of AVX-VNNI. */
PITH_INLINE __m256i add_dot(__m256i sum, __m256i w, __m256i x) {
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(x));
    return sum;
}

/* ---- int4 ------------------------------------------------------------------------------------ */

PITH_INLINE __m256i table_of_codes(void) {
    __m128i codes = _mm_loadu_si128((const __m128i *)pith_int4_codes);
    return _mm256_broadcastsi128_si256(_mm_add_epi8(codes, _mm_set1_epi8(PITH_INT4_OFFSET)));
}

/* Half a line: code + 10 of its first block (low nibbles) or second. */
PITH_INLINE __m256i decode_half(__m256i both, __m256i table, size_t block) {
    both = block == 0 ? both : _mm256_srli_epi16(both, 4);
    return _mm256_shuffle_epi8(table, _mm256_and_si256(both, _mm256_set1_epi8(15)));
}

/* The multipliers of a slice's two blocks, m[block * HALVES + half], times 256: in both halves of
 * every 32-bit lane, or, with VNNI, in the lower one alone. A shuffle can place a byte at the top
 * of 16 bits but not extend its sign, so a group's sum comes out 256 times too large; it is at most
 * 256 x 100 x 127 in magnitude and stays so within 2^30. */
PITH_INLINE void decode_multipliers(const uint8_t *packed, __m256i *m, bool vnni) {
    const __m256i low_nibble = _mm256_set1_epi8(15);
    const __m256i table =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pith_int4_multipliers));
    /* the index of a row's byte, above a byte with the top bit, which gives 0 */
    const __m256i rows =
        _mm256_setr_epi32(0x0080, 0x0180, 0x0280, 0x0380, 0x0480, 0x0580, 0x0680, 0x0780);
    const __m256i first = vnni ? _mm256_or_si256(rows, _mm256_set1_epi32((int)0x80800000))
                               : _mm256_or_si256(rows, _mm256_slli_epi32(rows, 16));
    const __m256i second = _mm256_add_epi8(first, _mm256_set1_epi32(vnni ? 0x0800 : 0x08000800));
    __m256i bytes = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)packed));
    PITH_UNROLL
    for (size_t block = 0; block < 2; block++) {
        __m256i index = block == 0 ? bytes : _mm256_srli_epi16(bytes, 4);
        __m256i rows_of_block = _mm256_shuffle_epi8(table, _mm256_and_si256(index, low_nibble));
        m[block * HALVES] = _mm256_shuffle_epi8(rows_of_block, first);
        m[block * HALVES + 1] = _mm256_shuffle_epi8(rows_of_block, second);
    }
}

/* The start of a block's sum. Without VNNI it lies in the lower half of every 32-bit lane: both
 * halves are added up later. */
PITH_INLINE __m256i start_block(const int32_t *offset, bool vnni) {
    __m256i start = _mm256_set1_epi32(*offset);
    return vnni ? start : _mm256_blend_epi16(start, _mm256_setzero_si256(), 0xaa);
}

PITH_INLINE __m256i add_codes(__m256i sum, __m256i w, __m256i x, bool vnni) {
    return vnni ? add_dot(sum, w, x) : add_16(sum, _mm256_maddubs_epi16(w, x));
}

/* Adds to a sum that stays in memory while others have the registers. */
PITH_INLINE void add_to_memory(__m256i *sum, __m256i v) {
    __asm__("vpaddd %0, %1, %1\n\tvmovdqa %1, %0" : "+m"(*sum), "+x"(v));
}

/* ---- The end of a group ---------------------------------------------------------------------- */

/* y = fma((float)sum, d x s, y) for 8 rows; d is the weights' scale, s the token's. */
PITH_INLINE __m256 scaled(__m256i sum, __m256 d, float s, __m256 y) {
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(d, _mm256_set1_ps(s)), y);
}

PITH_INLINE __m256 load_scales(const uint16_t *scales) {
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)scales));
}

/* Adds a group of a many-token product, sum[HALVES * token + half], to n rows of y. */
PITH_INLINE void add_tile(float *y, size_t y_stride, const __m256i *sum, const uint16_t *scales,
                          const float *x_scales, size_t scale_stride, size_t n) {
    const __m256 d[HALVES] = {load_scales(scales), load_scales(scales + HALF_ROWS)};
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        float *to = y + i / HALVES * y_stride + i % HALVES * HALF_ROWS;
        float s = x_scales[i / HALVES * scale_stride];
        _mm256_store_ps(to, scaled(sum[i], d[i % HALVES], s, _mm256_load_ps(to)));
    }
}

/* ---- Few tokens ------------------------------------------------------------------------------ */

/* One group of one tile, and the activations of the first token it meets. */
typedef struct few_group {
    const uint8_t *lines;
    size_t n_lines; /* of the group, as packed */
    const int8_t *codes;
    size_t code_stride;
    const int32_t *offset; /* int4: of each block */
    size_t block_stride;
} few_group;

/* Sums an int4 group in total[HALVES * token + half], 0 at first, for `n` tokens (a constant). */
PITH_INLINE void few_int4(const few_group *group, __m256i *total, size_t n, bool vnni) {
    const few_group in = *group;
    const __m256i table = table_of_codes();
    const uint8_t *packed = in.lines + in.n_lines * PITH_LINE_BYTES;
    for (size_t s = 0; s < in.n_lines / LINES; s++) {
        const uint8_t *lines = in.lines + s * LINES * PITH_LINE_BYTES;
        __m256i m[2 * HALVES];
        decode_multipliers(packed + s * PITH_TILE_ROWS, m, vnni);
        PITH_UNROLL
        for (size_t i = 0; i < LINES; i++) {
            prefetch_ahead(lines + i * PITH_LINE_BYTES, AHEAD);
        }
        PITH_UNROLL
        for (size_t block = 0; block < 2; block++) {
            const int8_t *codes = in.codes + s * PITH_INT4_SLICE + block * PITH_INT4_BLOCK;
            const int32_t *offset = in.offset + 2 * s + block;
            __m256i sum[HALVES * FEW_STEP];
            PITH_UNROLL
            for (size_t i = 0; i < HALVES * n; i++) {
                sum[i] = start_block(offset + i / HALVES * in.block_stride, vnni);
            }
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                __m256i w[HALVES];
                PITH_UNROLL
                for (size_t h = 0; h < HALVES; h++) {
                    const uint8_t *half = lines + j * PITH_LINE_BYTES + h * HALF_BYTES;
                    w[h] = decode_half(load_256(half), table, block);
                }
                PITH_UNROLL
                for (size_t i = 0; i < HALVES * n; i++) {
                    __m256i x = broadcast_codes(codes + i / HALVES * in.code_stride + 4 * j);
                    sum[i] = add_codes(sum[i], w[i % HALVES], x, vnni);
                }
            }
            PITH_UNROLL
            for (size_t i = 0; i < HALVES * n; i++) {
                __m256i product = _mm256_madd_epi16(sum[i], m[block * HALVES + i % HALVES]);
                if (n <= 2) {
                    total[i] = add_32(total[i], product);
                } else {
                    add_to_memory(&total[i], product);
                }
            }
        }
    }
    prefetch_ahead(packed, AHEAD);
    prefetch_ahead(packed + PITH_LINE_BYTES, AHEAD);
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] = _mm256_srai_epi32(total[i], MULTIPLIER_SHIFT);
    }
}

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
    prefetch_ahead(line, AHEAD);
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        __m256i x = broadcast_codes(in->codes + i / HALVES * in->code_stride + 4 * j);
        sum[i] = add_weights(sum[i], load_256(line + i % HALVES * HALF_BYTES), x, vnni);
    }
}

/* Adds an int8 group to total[HALVES * token + half] for `n` tokens (a constant); one or two do not
 * wait for one chain of additions but have another for every second line. */
PITH_INLINE void few_int8(const few_group *group, __m256i *total, size_t n, bool vnni) {
    const few_group in = *group;
    __m256i odd[HALVES * FEW_STEP];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        odd[i] = _mm256_setzero_si256();
    }
    size_t j = 0;
    for (; j + 2 <= in.n_lines; j += 2) {
        few_int8_line(&in, j, total, n, vnni);
        few_int8_line(&in, j + 1, n <= 2 ? odd : total, n, vnni);
    }
    if (j < in.n_lines) {
        few_int8_line(&in, j, total, n, vnni);
    }
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] = _mm256_add_epi32(total[i], odd[i]);
    }
}

/* One tile for `n` tokens (a constant) from token `token` of the product on; type is INT4 or INT8
 * and constant. */
PITH_INLINE void few_tile(const pith_product *p, size_t row, size_t token, size_t n, pith_type type,
                          bool vnni) {
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
    for (size_t g = 0; g < n_groups; g++) {
        const uint16_t *d = (const uint16_t *)(const void *)(scales + g * PITH_TILE_ROWS * 2);
        size_t begin = g * (k_group / k_line);
        size_t left = n_lines - begin;
        const few_group group = {.lines = tile + g * group_bytes,
                                 .n_lines = left < k_group / k_line ? left : k_group / k_line,
                                 .codes = x->codes + at * x->code_stride + g * k_group,
                                 .code_stride = x->code_stride,
                                 .offset =
                                     int4 ? x->block_offset + at * x->block_stride + g * 2 * FULL
                                          : NULL,
                                 .block_stride = x->block_stride};
        prefetch_ahead(d, AHEAD);
        prefetch_ahead(d, tile_bytes); /* the next tile's, read before the stream gets there */
        __m256i total[HALVES * FEW_STEP];
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            size_t t = i / HALVES;
            total[i] = vnni && !int4
                           ? _mm256_set1_epi32(x->group_offset[(at + t) * x->scale_stride + g])
                           : _mm256_setzero_si256();
        }
        if (int4) {
            few_int4(&group, total, n, vnni);
        } else {
            few_int8(&group, total, n, vnni);
        }
        const __m256 scale[HALVES] = {load_scales(d), load_scales(d + HALF_ROWS)};
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            size_t t = i / HALVES;
            float *y = p->y + (token + t) * p->y_stride + row + i % HALVES * HALF_ROWS;
            float s = x->scales[(at + t) * x->scale_stride + g];
            __m256 before = g == 0 ? _mm256_setzero_ps() : _mm256_load_ps(y);
            _mm256_store_ps(y, scaled(total[i], scale[i % HALVES], s, before));
        }
    }
}

/* A few_tile of constant size. */
typedef struct few_size {
    size_t n;
    void (*tile)(const pith_product *p, size_t row, size_t token);
} few_size;

/* All tiles; `sizes` in descending order, down to 1. */
PITH_INLINE void few_tokens(const pith_product *p, const few_size *sizes) {
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        size_t i = 0;
        for (size_t t = 0; t < p->n_tokens; t += sizes[i].n) {
            while (sizes[i].n > p->n_tokens - t) {
                i++;
            }
            sizes[i].tile(p, row, t);
        }
    }
}

#endif
