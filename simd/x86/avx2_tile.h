/* Products with many tokens in 256-bit registers, shared by AVX2 and AVX-VNNI: groups of six tiles
 * are expanded once to a form that needs no decoding (in the L1 cache), then meet all tokens. */
#ifndef PITH_SIMD_AVX2_TILE_H
#define PITH_SIMD_AVX2_TILE_H

#include "simd/blocks.h"
#include "simd/kernels.h"

enum {
    PITH_TILE_TOKENS = 6, /* of a register tile: 2 x 6 sums, 2 weights, 1 activation, 1 product */
    PITH_TILE_SET = 6,    /* tiles expanded at a time: the most of one piece of a linear layer */
    PITH_TILE_STRIDE = PITH_TILE_SET * PITH_TILE_ROWS, /* floats from one token's outputs on */
    PITH_TILE_EXPANDED = 28672, /* bytes for expanded groups, at least one of a set */
};

/* One expanded group of up to six tiles, and the tokens it meets. */
typedef struct pith_tile_step {
    const uint8_t *weights; /* [n_tiles, tile_stride bytes], as `expand` left them */
    size_t tile_stride;
    const uint16_t *scales[PITH_TILE_SET]; /* [16] of each tile */
    size_t n_tiles;
    size_t n_lines; /* of 4 k x 16 rows in the group */
    float *y;       /* [tokens, PITH_TILE_SET, 16], to be added to */

    /* Activations of the group, first token first. */
    const int8_t *codes;
    size_t code_stride;
    const float *x_scales;
    const int32_t *group_offset;
    size_t scale_stride;
} pith_tile_step;

/* y += the step. */
typedef void pith_tile_fn(const pith_tile_step *step);

/* A group as it is packed in its tile. */
typedef struct pith_packed_group {
    const uint8_t *lines; /* the first */
    size_t n_lines;       /* of 4 k x 16 rows, as expanded */
    uintptr_t ahead; /* bytes from here to this tile's next group, or that of the next set, which is
                        fetched meanwhile. Behind the last set it may lie outside any object */
} pith_packed_group;

/* How a weight type is packed and multiplied, for one k. */
typedef struct pith_tile_format {
    size_t tile_bytes;
    size_t scales_at;      /* offset in the tile of its f16 scales [n_groups, 16] */
    size_t n_lines;        /* of 4 k x 16 rows per tile */
    size_t group_lines;    /* of a full group; the last may be short */
    size_t group_bytes;    /* of a full group as packed */
    size_t expanded_bytes; /* of an expanded full group, a multiple of 64 */

    /* Expands a group to `out`, 64-byte aligned. */
    void (*expand)(const pith_packed_group *group, uint8_t *out);
    /* For 6, 4, 2 and 1 tokens. */
    pith_tile_fn *multiply_6, *multiply_4, *multiply_2, *multiply_1;
} pith_tile_format;

void pith_many_tokens_avx2(const pith_product *product, const pith_tile_format *format);

#endif
