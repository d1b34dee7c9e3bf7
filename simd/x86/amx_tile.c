/* Products of many tokens with AMX. Four tiles of weights x up to 256 k (16 KB, signed bytes) stay
 * in the L1 cache while all tokens meet them in register tiles of 32 rows x 32 tokens, which fill
 * the eight tile registers:
 *
 *     0 1   sums: tokens x rows                4   activations of the first 16 tokens
 *     2 3                                      5   of the second 16
 *                                              6 7 weights of two tiles
 *
 * A step of 64 k is four loads and four tdpbssd. The sums of a group are stored and become floats
 * between the products of the next one, token by token, while the unit is busy; the next tokens'
 * activations and the next tiles' weights are fetched meanwhile. 256 k of the activations stay in
 * the L2 cache for all rows of the product, then come the next 256 k.
 *
 * The last 16 tokens of a product that is no multiple of 16 overlap those before; what they have in
 * common is computed twice and finished once. Activations are zero from k to the next multiple of
 * 256, so the last step is a whole one too: weights that do not fill it are copied first. */
#include "simd/x86/amx_tile.h"
#include "simd/blocks.h"
#include "simd/inline.h"
#include "simd/x86/amx_unit.h"
#include "simd/x86/next_weights.h"

#include <immintrin.h>
#include <stdbool.h>
#include <string.h>

enum {
    SET = 4,                      /* tiles of weights that meet the tokens together */
    PAIR = 2,                     /* of a register tile */
    HALF = PITH_AMX_TOKENS,       /* tokens of an operand */
    TOKENS = 2 * HALF,            /* of a register tile */
    STEP_LINES = PITH_TILE_LINES, /* of a step, 64 k */
    STEP_CODES = 4 * STEP_LINES,  /* of a token */
    CHUNK_LINES = 64,             /* of each tile, 256 k */
    PAIR_ROWS = PAIR * PITH_TILE_ROWS,
    MAX_GROUPS = CHUNK_LINES * 4 / PITH_INT8_GROUP, /* of a chunk */
};

/* Consecutive groups of one, two or four tiles. */
typedef struct chunk {
    const uint8_t *lines[SET]; /* [n_lines rounded up to whole steps, 64] */
    size_t n_lines;
    size_t group_lines;
    size_t first_group;
    size_t n_groups;
    float (*scales)[SET * PITH_TILE_ROWS]; /* [n_groups] */
    size_t row;                            /* of the product */
    size_t n_tiles;
} chunk;

/* ---- The float step -------------------------------------------------------------------------- */

/* A group whose integer sums are there, but not yet added to the outputs. */
typedef struct pending {
    _Alignas(64) int32_t sums[TOKENS][PAIR_ROWS];
    size_t begin, end;     /* tokens to finish */
    const float *scale;    /* [tiles, 16] of the weights */
    const float *x_scales; /* [tokens, scale_stride] */
    size_t scale_stride;
    float *y; /* [tokens, y_stride] */
    size_t y_stride;
    __mmask16 load; /* 0: start from zeros */
} pending;

/* The tokens of a pending group, one after the other: its members as they are in registers. */
typedef struct finisher {
    const int32_t *sums;
    const float *x_scale;
    float *y;
    __m512 scale[PAIR];
    size_t scale_stride, y_stride;
    size_t left; /* tokens */
    __mmask16 load;
} finisher;

PITH_INLINE finisher finish_from(const pending *p, size_t tiles) {
    finisher f = {.sums = p->sums[p->begin],
                  .x_scale = p->x_scales + p->begin * p->scale_stride,
                  .y = p->y + p->begin * p->y_stride,
                  .scale_stride = p->scale_stride,
                  .y_stride = p->y_stride,
                  .left = p->end - p->begin,
                  .load = p->load};
    PITH_UNROLL
    for (size_t i = 0; i < tiles; i++) {
        f.scale[i] = _mm512_load_ps(p->scale + i * PITH_TILE_ROWS);
    }
    return f;
}

/* Up to n tokens. */
PITH_INLINE void finish_tokens(finisher *f, size_t n, size_t tiles) {
    n = n < f->left ? n : f->left;
    f->left -= n;
    for (; n > 0; n--) {
        const __m512 s = _mm512_set1_ps(*f->x_scale);
        PITH_UNROLL
        for (size_t i = 0; i < tiles; i++) {
            float *y = f->y + i * PITH_TILE_ROWS;
            __m512 sum = _mm512_cvtepi32_ps(_mm512_load_si512(f->sums + i * PITH_TILE_ROWS));
            __m512 d = _mm512_mul_ps(f->scale[i], s);
            _mm512_store_ps(y, _mm512_fmadd_ps(sum, d, _mm512_maskz_load_ps(f->load, y)));
        }
        f->sums += PAIR_ROWS;
        f->x_scale += f->scale_stride;
        f->y += f->y_stride;
    }
}

/* ---- One group of a register tile ------------------------------------------------------------ */

/* The size of a register tile: constants after inlining. */
typedef struct extent {
    size_t halves, tiles; /* 1 or 2 */
} extent;

typedef struct group_input {
    const uint8_t *lines[PAIR];
    const int8_t *codes[2]; /* of each half, first token first */
    size_t code_stride;
    size_t second; /* token of the register tile at which the second half begins, at most 16 */
    size_t n_steps;
    uintptr_t next; /* activations that are fetched with the first step */
    size_t fetch;   /* tokens of them that are fetched with each product */
    next_weights *weights;
} group_input;

/* What is done between the products of a group. */
typedef struct between {
    finisher f;
    size_t finish; /* tokens after each product, so that the last one leaves none */
    uintptr_t next;
} between;

PITH_INLINE void do_between(const group_input *in, between *b, size_t tiles) {
    finish_tokens(&b->f, b->finish, tiles);
    for (size_t i = 0; i < in->fetch; i++) {
        __builtin_prefetch((const void *)b->next, 0, 3);
        b->next += in->code_stride;
    }
}

PITH_INLINE void step_products(const group_input *in, size_t step, between *b, extent e) {
    const size_t line = step * STEP_LINES * PITH_LINE_BYTES;
    const size_t code = step * STEP_CODES;
    const size_t line_stride = PITH_LINE_BYTES;
    b->next = in->next + code;
    tile_load(4, in->codes[0] + code, in->code_stride);
    tile_load(6, in->lines[0] + line, line_stride);
    tile_products(0, 4, 6);
    do_between(in, b, e.tiles);
    if (e.tiles == 2) {
        tile_load(7, in->lines[1] + line, line_stride);
        tile_products(1, 4, 7);
        do_between(in, b, e.tiles);
    }
    if (e.halves == 2) {
        tile_load(5, in->codes[1] + code, in->code_stride);
        tile_products(2, 5, 6);
        do_between(in, b, e.tiles);
    }
    if (e.halves == 2 && e.tiles == 2) {
        tile_products(3, 5, 7);
        do_between(in, b, e.tiles);
    }
    fetch_weights(in->weights, SET);
}

/* Where the halves overlap the second one's sums replace equal ones. */
PITH_INLINE void store_sums(int32_t (*sums)[PAIR_ROWS], size_t second, extent e) {
    const size_t stride = sizeof *sums;
    tile_store(0, sums[0], stride);
    if (e.tiles == 2) {
        tile_store(1, sums[0] + PITH_TILE_ROWS, stride);
    }
    if (e.halves == 2) {
        tile_store(2, sums[second], stride);
    }
    if (e.halves == 2 && e.tiles == 2) {
        tile_store(3, sums[second] + PITH_TILE_ROWS, stride);
    }
}

/* Finishes the pending group, whose tiles are as many, and leaves this group's sums in its place.
 */
PITH_INLINE void add_group(const group_input *in, pending *p, extent e) {
    const size_t n_products = in->n_steps * e.halves * e.tiles;
    between b = {.f = finish_from(p, e.tiles)};
    b.finish = (b.f.left + n_products - 1) / n_products;
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    for (size_t step = 0; step < in->n_steps; step++) {
        step_products(in, step, &b, e);
    }
    store_sums(p->sums, in->second, e);
}

/* Not inlined, for tests/check_spills.sh and because the caller wants registers of its own. */
static __attribute__((noinline)) void add_group_1x1(const group_input *in, pending *p) {
    add_group(in, p, (extent){1, 1});
}

static __attribute__((noinline)) void add_group_1x2(const group_input *in, pending *p) {
    add_group(in, p, (extent){1, 2});
}

static __attribute__((noinline)) void add_group_2x1(const group_input *in, pending *p) {
    add_group(in, p, (extent){2, 1});
}

static __attribute__((noinline)) void add_group_2x2(const group_input *in, pending *p) {
    add_group(in, p, (extent){2, 2});
}

typedef void (*add_group_fn)(const group_input *in, pending *p);

/* By halves, then tiles. */
static const add_group_fn add_group_of[2][PAIR] = {{add_group_1x1, add_group_1x2},
                                                   {add_group_2x1, add_group_2x2}};

/* ---- All tokens ------------------------------------------------------------------------------ */

/* The tokens of a register tile, relative to the product's: from `first` on, of which those before
 * `begin` are done already. */
typedef struct block {
    size_t first;
    size_t begin, end;
    size_t halves;
    size_t second; /* as in group_input */
} block;

/* The register tile that starts where `left` of n tokens are left. */
static block block_of(size_t n, size_t left) {
    if (left <= HALF) {
        return (block){.first = n - HALF, .begin = HALF - left, .end = HALF, .halves = 1};
    }
    size_t end = left < TOKENS ? left : (size_t)TOKENS;
    return (block){.first = n - left, .end = end, .halves = 2, .second = end - HALF};
}

static size_t count_pairs(const chunk *c) {
    return (c->n_tiles + PAIR - 1) / PAIR;
}

static size_t count_steps(size_t n_lines) {
    return (n_lines + STEP_LINES - 1) / STEP_LINES;
}

/* The chunk's pair of tiles `pair` with a block of tokens. The last group is left pending. */
static void register_tile(const pith_product *p, const chunk *c, const block *b, size_t pair,
                          uintptr_t ahead, next_weights *weights, pending *rest) {
    const pith_activations *x = p->x;
    const size_t tiles = c->n_tiles < PAIR ? 1 : PAIR;
    const add_group_fn add = add_group_of[b->halves - 1][tiles - 1];
    const size_t token = p->first_token + b->first;
    const size_t at_group = token * x->scale_stride + c->first_group;
    const int8_t *codes = x->codes + token * x->code_stride + c->first_group * c->group_lines * 4;
    const size_t fetched = TOKENS / count_pairs(c);
    group_input in = {.lines = {c->lines[PAIR * pair], c->lines[PAIR * pair + tiles - 1]},
                      .codes = {codes, codes + b->second * x->code_stride},
                      .code_stride = x->code_stride,
                      .second = b->second,
                      .next = (uintptr_t)codes + ahead + pair * fetched * x->code_stride,
                      .fetch = ahead == 0 ? 0 : fetched / (b->halves * tiles),
                      .weights = weights};
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t left = c->n_lines - g * c->group_lines;
        in.n_steps = count_steps(left < c->group_lines ? left : c->group_lines);
        add(&in, rest);
        for (size_t i = 0; i < PAIR; i++) {
            in.lines[i] += c->group_lines * PITH_LINE_BYTES;
            in.codes[i] += c->group_lines * 4;
        }
        in.next += c->group_lines * 4;
        rest->begin = b->begin;
        rest->end = b->end;
        rest->y = p->y + b->first * p->y_stride + c->row + pair * PAIR_ROWS;
        rest->scale = c->scales[g] + pair * PAIR_ROWS;
        rest->x_scales = x->scales + at_group + g;
        rest->load = c->first_group + g != 0 ? 0xffff : 0;
    }
}

/* The chunk with all tokens of the product. */
static void all_tokens(const pith_product *p, const chunk *c, next_weights *weights) {
    const pith_activations *x = p->x;
    const size_t n = p->n_tokens;
    /* nothing is pending yet */
    pending rest = {.scale = c->scales[0],
                    .x_scales = x->scales,
                    .scale_stride = x->scale_stride,
                    .y = p->y,
                    .y_stride = p->y_stride};
    for (size_t t = 0; t < n; t += TOKENS) {
        const block b = block_of(n, n - t);
        /* after the last token the first one, for the next tiles */
        const size_t then = t + TOKENS < n ? block_of(n, n - t - TOKENS).first : 0;
        const uintptr_t ahead = ((uintptr_t)then - b.first) * x->code_stride;
        for (size_t pair = 0; pair < count_pairs(c); pair++) {
            register_tile(p, c, &b, pair, ahead, weights, &rest);
        }
    }
    finisher f = finish_from(&rest, c->n_tiles < PAIR ? 1 : PAIR);
    finish_tokens(&f, f.left, c->n_tiles < PAIR ? 1 : PAIR);
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* The chunk's lines of a tile, in whole steps: where they lie, or in `room` [CHUNK_LINES, 64]. */
static const uint8_t *chunk_lines(const pith_amx_format *format, const uint8_t *tile,
                                  const chunk *c, uint8_t *room) {
    const uint8_t *packed = tile + c->first_group * format->group_bytes;
    const size_t lines = c->n_lines < CHUNK_LINES ? c->n_lines : (size_t)CHUNK_LINES;
    const size_t bytes = lines * PITH_LINE_BYTES;
    if (format->expand == NULL) {
        if (lines % STEP_LINES == 0) {
            return packed;
        }
        memcpy(room, packed, bytes);
    } else {
        for (size_t g = 0; g < c->n_groups; g++) {
            size_t begin = g * c->group_lines;
            size_t left = lines - begin;
            format->expand(packed + g * format->group_bytes,
                           left < c->group_lines ? left : c->group_lines,
                           room + begin * PITH_LINE_BYTES);
        }
    }
    /* by activations of zero: any bytes would do */
    memset(room + bytes, 0, count_steps(lines) * STEP_LINES * PITH_LINE_BYTES - bytes);
    return room;
}

/* The chunk's scales of tile `i` as floats. */
static void widen_scales(const pith_amx_format *format, const uint8_t *tile, const chunk *c,
                         size_t i) {
    const uint16_t *scales = (const uint16_t *)(const void *)(tile + format->scales_at) +
                             c->first_group * PITH_TILE_ROWS;
    for (size_t g = 0; g < c->n_groups; g++) {
        __m512 d = _mm512_cvtph_ps(
            _mm256_load_si256((const __m256i *)(const void *)(scales + g * PITH_TILE_ROWS)));
        _mm512_store_ps(c->scales[g] + i * PITH_TILE_ROWS, d);
    }
}

/* What is needed after the chunk: its groups of the next tiles; after the last tiles the next
 * groups of the first, or, as threads often take what follows in memory, another product's first.
 */
static next_weights weights_after(const pith_product *p, const pith_amx_format *format,
                                  const chunk *c, size_t n_groups) {
    const size_t chunk_groups = CHUNK_LINES / c->group_lines;
    const size_t next_row = c->row + c->n_tiles * PITH_TILE_ROWS;
    uintptr_t tile = (uintptr_t)p->weights + next_row / PITH_TILE_ROWS * format->tile_bytes;
    size_t group = c->first_group;
    if (next_row >= p->n_rows) {
        group = group + chunk_groups < n_groups ? group + chunk_groups : 0;
        tile = group != 0 ? (uintptr_t)p->weights : tile;
    }
    const size_t lines = c->n_lines < CHUNK_LINES ? c->n_lines : (size_t)CHUNK_LINES;
    const size_t steps = (p->n_tokens + TOKENS - 1) / TOKENS * count_pairs(c) * count_steps(lines);
    next_weights next = {.at = tile + group * format->group_bytes,
                         .n_lines = chunk_groups * format->group_bytes / PITH_LINE_BYTES,
                         .tile_bytes = format->tile_bytes};
    next.share = (next.n_lines + steps - 1) / steps;
    fetch_scales(tile, format->tile_bytes, format->scales_at, group, SET);
    return next;
}

/* The tiles from row `row` on that go together: whole pairs, or the lone last one. */
static size_t count_tiles(const pith_product *p, size_t row) {
    size_t left = (p->n_rows - row) / PITH_TILE_ROWS;
    return left >= SET ? (size_t)SET : left >= PAIR ? (size_t)PAIR : 1;
}

void pith_many_tokens_amx(const pith_product *p, const pith_amx_format *format) {
    static const pith_tile_config config = PITH_TILE_CONFIG_FULL;
    _Alignas(64) uint8_t room[SET][CHUNK_LINES * PITH_LINE_BYTES];
    _Alignas(64) float scales[MAX_GROUPS][SET * PITH_TILE_ROWS];
    const size_t chunk_groups = CHUNK_LINES / format->group_lines;
    const size_t n_groups = (format->n_lines + format->group_lines - 1) / format->group_lines;
    chunk c = {.group_lines = format->group_lines, .scales = scales};
    tile_configure(&config);
    for (size_t g = 0; g < n_groups; g += chunk_groups) {
        c.first_group = g;
        c.n_groups = n_groups - g < chunk_groups ? n_groups - g : chunk_groups;
        c.n_lines = format->n_lines - g * format->group_lines;
        for (c.row = 0; c.row < p->n_rows; c.row += c.n_tiles * PITH_TILE_ROWS) {
            const uint8_t *tile =
                (const uint8_t *)p->weights + c.row / PITH_TILE_ROWS * format->tile_bytes;
            c.n_tiles = count_tiles(p, c.row);
            for (size_t i = 0; i < c.n_tiles; i++, tile += format->tile_bytes) {
                c.lines[i] = chunk_lines(format, tile, &c, room[i]);
                widen_scales(format, tile, &c, i);
            }
            next_weights next = weights_after(p, format, &c, n_groups);
            all_tokens(p, &c, &next);
        }
    }
    tile_release();
}
