/* The walk of a many-token product (simd/x86/avx2_tile.h): blocks of tokens, sets of tiles, chunks
 * of groups, register tiles of up to 6 tokens. Outputs grow on the stack, [tokens, 6, 16], so that
 * the stride of y is met only once. */
#include "simd/x86/avx2_tile.h"
#include "simd/blocks.h"
#include "simd/x86/avx2_vector.h"

#include <string.h>

enum {
    BLOCK_TOKENS = 43 * PITH_TILE_TOKENS, /* 99 KB of outputs */
};

/* Consecutive expanded groups of up to six tiles. */
typedef struct chunk {
    const uint8_t *expanded; /* [n_groups, n_tiles, expanded_bytes] */
    const uint16_t *scales[PITH_TILE_SET];
    size_t n_tiles;
    size_t first_group;
    size_t n_groups;
} chunk;

static size_t lines_of(const pith_tile_format *format, size_t group) {
    size_t left = format->n_lines - group * format->group_lines;
    return left < format->group_lines ? left : format->group_lines;
}

/* The size of the register tile that starts where n tokens are left: the last ones in halves. */
static size_t tile_size(size_t n) {
    return n == 8 || (n < PITH_TILE_TOKENS && n >= 4) ? 4
           : n >= PITH_TILE_TOKENS                    ? 6
           : n >= 2                                   ? 2
                                                      : 1;
}

/* The chunk with tokens [token, token + n) of the activations, n as tile_size says. */
static void register_tile(const pith_product *p, const pith_tile_format *format, const chunk *c,
                          size_t token, size_t n, float *y) {
    const pith_activations *x = p->x;
    for (size_t i = 0; i < c->n_groups; i++) {
        size_t group = c->first_group + i;
        size_t k = group * format->group_lines * 4;
        pith_tile_step step = {.weights = c->expanded + i * c->n_tiles * format->expanded_bytes,
                               .tile_stride = format->expanded_bytes,
                               .n_tiles = c->n_tiles,
                               .n_lines = lines_of(format, group),
                               .y = y,
                               .codes = x->codes + token * x->code_stride + k,
                               .code_stride = x->code_stride,
                               .x_scales = x->scales + token * x->scale_stride + group,
                               .group_offset = x->group_offset + token * x->scale_stride + group,
                               .scale_stride = x->scale_stride};
        for (size_t j = 0; j < c->n_tiles; j++) {
            step.scales[j] = c->scales[j] + group * PITH_TILE_ROWS;
        }
        /* what the next register tile reads of this group */
        for (size_t t = 0; t < n; t++) {
            for (size_t j = 0; j < step.n_lines * 4; j += PITH_LINE_BYTES) {
                prefetch_ahead(step.codes, (n + t) * x->code_stride + j);
            }
        }
        if (n == 6) {
            format->multiply_6(&step);
        } else if (n == 4) {
            format->multiply_4(&step);
        } else if (n == 2) {
            format->multiply_2(&step);
        } else {
            format->multiply_1(&step);
        }
    }
}

/* Up to six tiles from row `row` on with tokens [first, first + n) of the product. */
static void tile_set(const pith_product *p, const pith_tile_format *format, size_t row,
                     size_t first, size_t n, float *y) {
    _Alignas(64) uint8_t expanded[PITH_TILE_EXPANDED];
    const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * format->tile_bytes;
    const size_t n_groups = (format->n_lines + format->group_lines - 1) / format->group_lines;
    const size_t tiles = (p->n_rows - row) / PITH_TILE_ROWS;
    chunk c = {.expanded = expanded, .n_tiles = tiles < PITH_TILE_SET ? tiles : PITH_TILE_SET};
    const size_t chunk_groups = sizeof expanded / (c.n_tiles * format->expanded_bytes);
    for (size_t i = 0; i < c.n_tiles; i++) {
        const uint8_t *scales = tile + i * format->tile_bytes + format->scales_at;
        c.scales[i] = (const uint16_t *)(const void *)scales;
    }
    memset(y, 0, n * PITH_TILE_STRIDE * sizeof *y);
    for (size_t g = 0; g < n_groups; g += chunk_groups) {
        c.first_group = g;
        c.n_groups = n_groups - g < chunk_groups ? n_groups - g : chunk_groups;
        for (size_t i = 0; i < c.n_groups * c.n_tiles; i++) {
            const size_t group = g + i / c.n_tiles;
            const pith_packed_group packed = {.lines = tile + i % c.n_tiles * format->tile_bytes +
                                                       group * format->group_bytes,
                                              .n_lines = lines_of(format, group),
                                              .ahead = group + chunk_groups < n_groups
                                                           ? chunk_groups * format->group_bytes
                                                           : c.n_tiles * format->tile_bytes -
                                                                 g * format->group_bytes};
            format->expand(&packed, expanded + i * format->expanded_bytes);
        }
        for (size_t t = 0; t < n;) {
            size_t size = tile_size(n - t);
            register_tile(p, format, &c, p->first_token + first + t, size,
                          y + t * PITH_TILE_STRIDE);
            t += size;
        }
    }
    for (size_t t = 0; t < n; t++) {
        memcpy(p->y + (first + t) * p->y_stride + row, y + t * PITH_TILE_STRIDE,
               c.n_tiles * PITH_TILE_ROWS * sizeof *y);
    }
}

void pith_many_tokens_avx2(const pith_product *p, const pith_tile_format *format) {
    _Alignas(64) float y[BLOCK_TOKENS * PITH_TILE_STRIDE];
    const size_t n_blocks = (p->n_tokens + BLOCK_TOKENS - 1) / BLOCK_TOKENS;
    for (size_t b = 0; b < n_blocks; b++) {
        size_t begin = p->n_tokens * b / n_blocks;
        size_t end = p->n_tokens * (b + 1) / n_blocks;
        for (size_t row = 0; row < p->n_rows; row += PITH_TILE_STRIDE) {
            tile_set(p, format, row, begin, end - begin, y);
        }
    }
}
