/* Products of many tokens on unsigned weight bytes. Two tiles x up to 512 k are expanded to the
 * stack, where they stay in the L1 cache, and multiplied with all tokens of a block in register
 * tiles of 32 rows x 12 tokens: 24 integer sums that start at the token's group offset. Per line of
 * 4 k: two loads of weights, twelve broadcasts of activations, 24 vpdpbusd. The float outputs wait
 * in a buffer of their own, contiguous per register tile, until the last group; meanwhile the next
 * register tile's activations are fetched, for a block of them over all k does not fit the L2
 * cache.
 *
 * A block whose tokens are no multiple of 12 ends with a smaller register tile that computes some
 * tokens a second time, to the same bits. A missing second tile is computed as a copy of the
 * first and dropped. */
#include "simd/vnni_tile.h"
#include "simd/avx512_vector.h"
#include "simd/blocks.h"

#include <string.h>

enum {
    TOKENS = PITH_MANY_TOKENS,
    TILES = 2,
    MAX_SUMS = TILES * TOKENS,
    CHUNK_LINES = 128, /* lines of each tile expanded at a time: 16 KB in all */
    PAIR_BYTES = TILES * PITH_LINE_BYTES,
    BLOCK_TURNS = 43, /* register tiles of a block: 516 tokens */
};

/* Consecutive groups of two tiles, and the tokens they meet. */
typedef struct chunk {
    const uint8_t *lines; /* the two tiles' lines in alternation */
    size_t n_lines;       /* lines per tile up to the end of k */
    size_t group_lines;
    size_t first_group;
    size_t n_groups;
    const uint16_t *scales[TILES]; /* [n_groups, 16], from first_group on */
    size_t tiles;                  /* that exist */
    float *y;                      /* [register tiles, MAX_SUMS, 16] */
} chunk;

/* _mm512_dpbusd_epi32. GCC 12 gives the intrinsic's vector type a register of its own, copies every
 * sum around the loop and runs out of registers. */
PITH_INLINE __m512i add_products(__m512i sum, __m512i w, __m512i x) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
    return sum;
}

/* Integer sums of one group. One line at a time: GCC mixes the lines of an unrolled loop and runs
 * out of registers. `thirds` are every third token's activations, so that all addresses are one of
 * few registers plus 0, 1 or 2 strides; the empty statements keep GCC from making twelve pointers
 * of them. Each line fetches one line of what lies `ahead` of the activations, token by token. */
PITH_INLINE void group_sums(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                            size_t stride, uintptr_t ahead, __m512i *sum, size_t tokens) {
    const int8_t *thirds[(TOKENS + 2) / 3];
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t += 3) {
        thirds[t / 3] = codes + t * stride;
    }
    uintptr_t next = (uintptr_t)codes + ahead;
    size_t turns = tokens;
    for (size_t j = 0; j < n_lines; j++) {
        _mm_prefetch((const char *)next, _MM_HINT_T0);
        next += stride;
        if (--turns == 0) {
            turns = tokens;
            next += PITH_LINE_BYTES - tokens * stride;
        }
        __m512i w[TILES];
        PITH_UNROLL
        for (size_t i = 0; i < TILES; i++) {
            w[i] = _mm512_load_si512(lines + i * PITH_LINE_BYTES);
        }
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            __m512i x = broadcast_codes(thirds[t / 3] + t % 3 * stride);
            PITH_UNROLL
            for (size_t i = 0; i < TILES; i++) {
                sum[t * TILES + i] = add_products(sum[t * TILES + i], w[i], x);
            }
        }
        lines += PAIR_BYTES;
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t += 3) {
            thirds[t / 3] += 4;
            __asm__("" : "+r"(thirds[t / 3]));
        }
    }
}

/* One group of a register tile: its activations, first token first. */
typedef struct group_input {
    const uint8_t *lines;
    size_t n_lines;
    const uint16_t *scales[TILES]; /* [16] */
    const int8_t *codes;
    size_t code_stride;
    uintptr_t ahead;
    const float *x_scales;
    const int32_t *offset;
    size_t scale_stride;
} group_input;

/* Adds the group to y [tokens, TILES, 16]; `tokens` is a constant. */
PITH_INLINE void add_group(const group_input *input, float *y, size_t tokens) {
    const group_input in = *input; /* nothing a store to y may change */
    __m512i sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < TILES * tokens; i++) {
        sum[i] = _mm512_set1_epi32(in.offset[i / TILES * in.scale_stride]);
    }
    group_sums(in.lines, in.n_lines, in.codes, in.code_stride, in.ahead, sum, tokens);
    __m512 d[TILES];
    PITH_UNROLL
    for (size_t i = 0; i < TILES; i++) {
        d[i] = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)in.scales[i]));
    }
    PITH_UNROLL
    for (size_t i = 0; i < TILES * tokens; i++) {
        __m512 s = _mm512_set1_ps(in.x_scales[i / TILES * in.scale_stride]);
        __m512 before = _mm512_load_ps(y + i * PITH_TILE_ROWS);
        _mm512_store_ps(y + i * PITH_TILE_ROWS,
                        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i]), _mm512_mul_ps(d[i % TILES], s),
                                        before));
    }
}

/* Not inlined: in a loop over groups GCC would hold y in registers that there are not. */
static __attribute__((noinline)) void add_group_4(const group_input *in, float *y) {
    add_group(in, y, 4);
}

static __attribute__((noinline)) void add_group_8(const group_input *in, float *y) {
    add_group(in, y, 8);
}

static __attribute__((noinline)) void add_group_12(const group_input *in, float *y) {
    add_group(in, y, 12);
}

/* The chunk with `tokens` tokens from token `first` of the product on. */
static void register_tile(const pith_product *p, const chunk *c, size_t first, size_t tokens,
                          float *y, uintptr_t ahead) {
    const pith_activations *x = p->x;
    size_t token = p->first_token + first;
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t begin = g * c->group_lines;
        size_t left = c->n_lines - begin;
        size_t group = c->first_group + g;
        group_input in = {.lines = c->lines + begin * PAIR_BYTES,
                          .n_lines = left < c->group_lines ? left : c->group_lines,
                          .scales = {c->scales[0] + g * PITH_TILE_ROWS,
                                     c->scales[1] + g * PITH_TILE_ROWS},
                          .codes = x->codes + token * x->code_stride + group * c->group_lines * 4,
                          .code_stride = x->code_stride,
                          .ahead = ahead,
                          .x_scales = x->scales + token * x->scale_stride + group,
                          .offset = x->group_offset + token * x->scale_stride + group,
                          .scale_stride = x->scale_stride};
        if (tokens == TOKENS) {
            add_group_12(&in, y);
        } else if (tokens == 8) {
            add_group_8(&in, y);
        } else {
            add_group_4(&in, y);
        }
    }
}

/* The first token and the size of the register tile whose turn it is at token t of n >= TOKENS. */
typedef struct turn {
    size_t first;
    size_t tokens;
} turn;

PITH_INLINE turn turn_at(size_t t, size_t n) {
    size_t tokens = n - t <= 4 ? 4 : n - t <= 8 ? 8 : (size_t)TOKENS;
    return (turn){t + tokens <= n ? t : n - tokens, tokens};
}

/* The chunk with tokens [first, first + n) of the product. */
static void all_tokens(const pith_product *p, const chunk *c, size_t first, size_t n) {
    const uintptr_t stride = p->x->code_stride;
    float *y = c->y;
    for (size_t t = 0; t < n; t += TOKENS) {
        turn now = turn_at(t, n);
        /* after the last token, the first one's next chunk */
        uintptr_t ahead = t + TOKENS < n ? (turn_at(t + TOKENS, n).first - now.first) * stride
                                         : 4 * CHUNK_LINES - now.first * stride;
        register_tile(p, c, first + now.first, now.tokens, y, ahead);
        y += MAX_SUMS * PITH_TILE_ROWS;
    }
}

/* The outputs of all register tiles to where they belong. */
static void store_outputs(const pith_product *p, const chunk *c, size_t row, size_t first,
                          size_t n) {
    for (size_t t = 0; t < n; t++) {
        turn now = turn_at(t - t % TOKENS, n);
        const float *from = c->y + (t / TOKENS * TOKENS + t - now.first) * TILES * PITH_TILE_ROWS;
        float *to = p->y + (first + t) * p->y_stride + row;
        for (size_t i = 0; i < c->tiles; i++) {
            _mm512_store_ps(to + i * PITH_TILE_ROWS, _mm512_load_ps(from + i * PITH_TILE_ROWS));
        }
    }
}

static void expand(const pith_packed_tiles *packed, const uint8_t *tile, const chunk *c,
                   uint8_t *out) {
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t left = c->n_lines - g * c->group_lines;
        size_t n = left < c->group_lines ? left : c->group_lines;
        packed->expand(tile, c->first_group + g, n, out);
        out += c->group_lines * PAIR_BYTES;
    }
}

/* Two tiles from row `row` on (the second may not exist) with tokens [first, first + n). */
static void tile_pair(const pith_product *p, const pith_packed_tiles *packed, size_t row,
                      size_t first, size_t n, float *y) {
    _Alignas(64) uint8_t lines[CHUNK_LINES * PAIR_BYTES];
    const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * packed->tile_bytes;
    const size_t chunk_groups = CHUNK_LINES / packed->group_lines;
    const size_t n_groups = (packed->n_lines + packed->group_lines - 1) / packed->group_lines;
    chunk c = {.lines = lines,
               .group_lines = packed->group_lines,
               .tiles = row + PITH_TILE_ROWS < p->n_rows ? 2 : 1,
               .y = y};
    memset(y, 0, (n + TOKENS - 1) / TOKENS * MAX_SUMS * PITH_TILE_ROWS * sizeof *y);
    for (size_t g = 0; g < n_groups; g += chunk_groups) {
        c.first_group = g;
        c.n_groups = n_groups - g < chunk_groups ? n_groups - g : chunk_groups;
        c.n_lines = packed->n_lines - g * packed->group_lines;
        for (size_t i = 0; i < TILES; i++) {
            const uint8_t *source = tile + (i < c.tiles ? i : 0) * packed->tile_bytes;
            c.scales[i] =
                (const uint16_t *)(const void *)(source + packed->scales_at) + g * PITH_TILE_ROWS;
            expand(packed, source, &c, lines + i * PITH_LINE_BYTES);
        }
        all_tokens(p, &c, first, n);
    }
    store_outputs(p, &c, row, first, n);
}

void pith_many_tokens_vnni(const pith_product *p, const pith_packed_tiles *packed) {
    _Alignas(64) float y[BLOCK_TURNS * MAX_SUMS * PITH_TILE_ROWS];
    const size_t n_blocks = (p->n_tokens + BLOCK_TURNS * TOKENS - 1) / (BLOCK_TURNS * TOKENS);
    for (size_t b = 0; b < n_blocks; b++) {
        size_t begin = p->n_tokens * b / n_blocks;
        size_t end = p->n_tokens * (b + 1) / n_blocks;
        for (size_t row = 0; row < p->n_rows; row += TILES * PITH_TILE_ROWS) {
            tile_pair(p, packed, row, begin, end - begin, y);
        }
    }
}
