/* Products of many tokens on unsigned weight bytes. Three tiles x up to 256 k are expanded to the
 * stack, where they stay in the L1 cache, and multiplied with all tokens in register tiles of 48
 * rows x 8 tokens: 24 integer sums. Per line of 4 k: three loads of weights, eight broadcasts of
 * activations, 24 vpdpbusd; the next register tile's activations are fetched meanwhile. The token's
 * group offset is added at the end: sums that start at a broadcast of it stall every group. 256 k
 * of the activations stay in the L2 cache for all rows of the product, before the next 256 k
 * follow; callers cut the rows so that the outputs stay there too.
 *
 * Tokens that are no multiple of 8 end with a register tile of 4 or 8 that overlaps the one before;
 * the tokens that both have are computed again and dropped. Tiles that are no multiple of three end
 * with pairs. */
#include "simd/x86/vnni_tile.h"
#include "simd/blocks.h"
#include "simd/x86/avx512_vector.h"
#include "simd/x86/next_weights.h"

enum {
    TOKENS = PITH_MANY_TOKENS,
    TILES = PITH_EXPANDED_TILES,
    MAX_SUMS = TILES * TOKENS,
    CHUNK_LINES = 64,                  /* lines of each tile expanded at a time: 12 KB in all */
    BLOCK_LINES = PITH_LINE_BYTES / 4, /* one line of a token's codes */
    MAX_CODES = 1 << 30, /* bytes that an asm statement may read, for the compiler to know */
    MAX_GROUPS = CHUNK_LINES * 4 / PITH_INT8_GROUP, /* of a chunk */
};

/* Consecutive groups of up to three tiles. */
typedef struct chunk {
    const uint8_t *lines; /* [n_lines, TILES, 64] */
    size_t n_lines;       /* up to the end of k */
    size_t group_lines;
    size_t first_group;
    size_t n_groups;
    float (*scales)[TILES * PITH_TILE_ROWS]; /* [n_groups] */
    size_t row;                              /* of the product */
    size_t n_tiles;
} chunk;

/* These keep the statements of a line in the order of the source: left to itself, GCC 12 mixes the
 * lines of an unrolled loop and runs out of registers, and the intrinsic of vpdpbusd copies every
 * sum around the loop. */
PITH_INLINE __m512i add_products(__m512i sum, __m512i w, __m512i x) {
    __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(w), "v"(x));
    return sum;
}

PITH_INLINE __m512i load_weights(const uint8_t *line) {
    __m512i w;
    __asm__ volatile("vmovdqa64 %1, %0" : "=v"(w) : "m"(*(const __m512i *)(const void *)line));
    return w;
}

/* Every third token's activations, so that all addresses are one of few registers plus 0, 1 or 2
 * strides. */
typedef struct thirds {
    const int8_t *codes[(TOKENS + 2) / 3];
} thirds;

/* Four codes of token t at line j, 0 or 1, in every lane. Written out, because GCC would compute
 * the address of every second token in a register of its own. */
PITH_INLINE __m512i load_codes(const thirds *x, size_t stride, size_t t, size_t j) {
    const int8_t *from = x->codes[t / 3];
    __m512i codes;
#define BROADCAST(address)                          \
    __asm__ volatile("vpbroadcastd " address ", %0" \
                     : "=v"(codes)                  \
                     : "r"(from), "r"(stride), "m"(*(const int8_t(*)[MAX_CODES])from))
    switch (t % 3 * 2 + j) {
    case 0:
        BROADCAST("(%1)");
        break;
    case 1:
        BROADCAST("4(%1)");
        break;
    case 2:
        BROADCAST("(%1,%2)");
        break;
    case 3:
        BROADCAST("4(%1,%2)");
        break;
    case 4:
        BROADCAST("(%1,%2,2)");
        break;
    default:
        BROADCAST("4(%1,%2,2)");
        break;
    }
#undef BROADCAST
    return codes;
}

/* The size of a register tile: constants after inlining. Its sums are [tokens, tiles]. */
typedef struct extent {
    size_t tiles, tokens;
} extent;

/* Line `j` (a constant, 0 or 1) of those from `lines` on. */
PITH_INLINE void line_sums(const uint8_t *lines, const thirds *x, size_t stride, size_t j,
                           __m512i *sum, extent e) {
    __m512i w[TILES];
    PITH_UNROLL
    for (size_t i = 0; i < e.tiles; i++) {
        w[i] = load_weights(lines + j * PITH_EXPANDED_STEP + i * PITH_LINE_BYTES);
    }
    PITH_UNROLL
    for (size_t t = 0; t < e.tokens; t++) {
        __m512i codes = load_codes(x, stride, t, j);
        PITH_UNROLL
        for (size_t i = 0; i < e.tiles; i++) {
            sum[t * e.tiles + i] = add_products(sum[t * e.tiles + i], w[i], codes);
        }
    }
}

/* Past n lines. The empty statement keeps GCC from making eight pointers of these. */
PITH_INLINE void advance(thirds *x, size_t n, size_t tokens) {
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t += 3) {
        x->codes[t / 3] += 4 * n;
        __asm__("" : "+r"(x->codes[t / 3]));
    }
}

/* A group whose integer sums are complete but not yet added to the outputs: that is done token by
 * token between the lines of the next group, where it costs only the multiplications. */
typedef struct pending {
    __m512i sums[MAX_SUMS];
    size_t begin, end;  /* tokens to finish */
    const float *scale; /* [tiles, 16] of the weights */
    const float *x_scales;
    const int32_t *offset; /* group_offset */
    size_t scale_stride;   /* of both */
    float *y;              /* [tokens, y_stride] */
    size_t y_stride;
    __mmask16 load; /* 0: start from zeros */
} pending;

/* The tokens of a pending group, one after the other: p's members as they are in registers. */
typedef struct finisher {
    const __m512i *sums;
    const float *x_scale;
    const int32_t *offset;
    float *y;
    const float *scale;
    size_t scale_stride, y_stride;
    __mmask16 load;
} finisher;

PITH_INLINE finisher finish_from(const pending *p, size_t tiles) {
    return (finisher){.sums = p->sums + p->begin * tiles,
                      .x_scale = p->x_scales + p->begin * p->scale_stride,
                      .offset = p->offset + p->begin * p->scale_stride,
                      .y = p->y + p->begin * p->y_stride,
                      .scale = p->scale,
                      .scale_stride = p->scale_stride,
                      .y_stride = p->y_stride,
                      .load = p->load};
}

PITH_INLINE void finish_token(finisher *f, size_t tiles) {
    __m512 s = _mm512_set1_ps(*f->x_scale);
    __m512i offset = _mm512_set1_epi32(*f->offset);
    PITH_UNROLL
    for (size_t i = 0; i < tiles; i++) {
        float *y = f->y + i * PITH_TILE_ROWS;
        __m512 d = _mm512_mul_ps(_mm512_load_ps(f->scale + i * PITH_TILE_ROWS), s);
        __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(f->sums[i], offset));
        _mm512_store_ps(y, _mm512_fmadd_ps(sum, d, _mm512_maskz_load_ps(f->load, y)));
    }
    f->sums += tiles;
    f->x_scale += f->scale_stride;
    f->offset += f->scale_stride;
    f->y += f->y_stride;
}

PITH_INLINE void finish_rest(const pending *p, size_t tiles) {
    finisher f = finish_from(p, tiles);
    for (size_t t = p->begin; t < p->end; t++) {
        finish_token(&f, tiles);
    }
}

/* One group of a register tile: its activations, first token first. */
typedef struct group_input {
    const uint8_t *lines;
    size_t n_lines;
    const int8_t *codes;
    size_t code_stride;
    uintptr_t ahead; /* from codes to what is needed next */
} group_input;

/* 16 lines, which are one of each token's codes; as much is fetched from `next`. Between the lines
 * the tokens of f are finished, unless it is NULL (a constant). Moves lines and x on. */
PITH_INLINE void block_sums(const uint8_t **lines, thirds *x, size_t stride, uintptr_t next,
                            finisher *f, __m512i *sum, extent e) {
    for (size_t t = 0; t < TOKENS; t++) {
        line_sums(*lines, x, stride, 0, sum, e);
        _mm_prefetch((const char *)(next + t * stride), _MM_HINT_T0);
        if (f != NULL) {
            finish_token(f, e.tiles);
        }
        line_sums(*lines, x, stride, 1, sum, e);
        *lines += 2 * PITH_EXPANDED_STEP;
        advance(x, 2, e.tokens);
    }
}

/* Integer sums of one group, while the pending one is finished. */
PITH_INLINE void group_sums(const group_input *in, const pending *p, __m512i *sum, extent e) {
    const uint8_t *lines = in->lines;
    const size_t stride = in->code_stride;
    uintptr_t next = (uintptr_t)in->codes + in->ahead;
    size_t left = in->n_lines;
    thirds x;
    PITH_UNROLL
    for (size_t t = 0; t < e.tokens; t += 3) {
        x.codes[t / 3] = in->codes + t * stride;
    }
    if (e.tokens == TOKENS && p->begin == 0 && p->end == TOKENS && left >= BLOCK_LINES) {
        finisher f = finish_from(p, e.tiles);
        block_sums(&lines, &x, stride, next, &f, sum, e);
        next += PITH_LINE_BYTES;
        left -= BLOCK_LINES;
    } else {
        finish_rest(p, e.tiles);
    }
    for (; left >= BLOCK_LINES; left -= BLOCK_LINES) {
        block_sums(&lines, &x, stride, next, NULL, sum, e);
        next += PITH_LINE_BYTES;
    }
    for (; left > 0; left--) {
        line_sums(lines, &x, stride, 0, sum, e);
        lines += PITH_EXPANDED_STEP;
        advance(&x, 1, e.tokens);
    }
}

/* Leaves the group's sums in p. */
PITH_INLINE void add_group(const group_input *in, pending *p, extent e) {
    __m512i sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < e.tiles * e.tokens; i++) {
        sum[i] = _mm512_setzero_si512();
    }
    group_sums(in, p, sum, e);
    PITH_UNROLL
    for (size_t i = 0; i < e.tiles * e.tokens; i++) {
        p->sums[i] = sum[i];
    }
}

/* Not inlined: in a loop over groups GCC would keep y in registers and run out of them. */
static __attribute__((noinline)) void add_group_1x4(const group_input *in, pending *p) {
    add_group(in, p, (extent){1, 4});
}

static __attribute__((noinline)) void add_group_1x8(const group_input *in, pending *p) {
    add_group(in, p, (extent){1, 8});
}

static __attribute__((noinline)) void add_group_2x4(const group_input *in, pending *p) {
    add_group(in, p, (extent){2, 4});
}

static __attribute__((noinline)) void add_group_2x8(const group_input *in, pending *p) {
    add_group(in, p, (extent){2, 8});
}

static __attribute__((noinline)) void add_group_3x4(const group_input *in, pending *p) {
    add_group(in, p, (extent){3, 4});
}

static __attribute__((noinline)) void add_group_3x8(const group_input *in, pending *p) {
    add_group(in, p, (extent){3, 8});
}

typedef void (*add_group_fn)(const group_input *in, pending *p);

/* By tiles, then 4 or 8 tokens. */
static const add_group_fn add_group_of[TILES][2] = {{add_group_1x4, add_group_1x8},
                                                    {add_group_2x4, add_group_2x8},
                                                    {add_group_3x4, add_group_3x8}};

/* The chunk with `tokens` tokens from token `first` of the product on, of which the first `done`
 * are done already. The last group is left pending. */
static void register_tile(const pith_product *p, const chunk *c, size_t first, size_t tokens,
                          size_t done, uintptr_t ahead, next_weights *next, pending *rest) {
    const pith_activations *x = p->x;
    const add_group_fn add = add_group_of[c->n_tiles - 1][tokens == TOKENS];
    const size_t token = p->first_token + first;
    const size_t at_group = token * x->scale_stride + c->first_group;
    group_input in = {.lines = c->lines,
                      .codes =
                          x->codes + token * x->code_stride + c->first_group * c->group_lines * 4,
                      .code_stride = x->code_stride,
                      .ahead = ahead};
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t left = c->n_lines - g * c->group_lines;
        in.n_lines = left < c->group_lines ? left : c->group_lines;
        fetch_weights(next, TILES);
        add(&in, rest);
        in.lines += c->group_lines * PITH_EXPANDED_STEP;
        in.codes += c->group_lines * 4;
        rest->begin = done;
        rest->end = tokens;
        rest->y = p->y + first * p->y_stride + c->row;
        rest->scale = c->scales[g];
        rest->x_scales = x->scales + at_group + g;
        rest->offset = x->group_offset + at_group + g;
        rest->load = c->first_group + g != 0 ? 0xffff : 0;
    }
}

/* The chunk with all tokens of the product. */
static void all_tokens(const pith_product *p, const chunk *c, next_weights *next) {
    const pith_activations *x = p->x;
    const uintptr_t stride = x->code_stride;
    const size_t n = p->n_tokens;
    /* nothing is pending yet */
    pending rest = {.scale = c->scales[0],
                    .x_scales = x->scales,
                    .offset = x->group_offset,
                    .scale_stride = x->scale_stride,
                    .y = p->y,
                    .y_stride = p->y_stride};
    for (size_t t = 0; t < n; t += TOKENS) {
        size_t tokens = n - t <= 4 ? 4 : (size_t)TOKENS;
        size_t first = t + tokens <= n ? t : n - tokens;
        /* after the last token, the first one, for the next tiles */
        uintptr_t ahead = t + TOKENS >= n ? 0 - first * stride : tokens * stride;
        register_tile(p, c, first, tokens, t - first, ahead, next, &rest);
    }
    finish_rest(&rest, c->n_tiles);
}

/* The chunk's groups of tile `i` as bytes, from the tile's own, and its scales as floats. */
static void expand(const pith_packed_tiles *packed, const uint8_t *tile, const chunk *c, size_t i,
                   uint8_t *lines) {
    const uint16_t *scales = (const uint16_t *)(const void *)(tile + packed->scales_at) +
                             c->first_group * PITH_TILE_ROWS;
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t begin = g * c->group_lines;
        size_t left = c->n_lines - begin;
        packed->expand(tile, c->first_group + g, left < c->group_lines ? left : c->group_lines,
                       lines + begin * PITH_EXPANDED_STEP + i * PITH_LINE_BYTES);
        __m512 d = _mm512_cvtph_ps(
            _mm256_load_si256((const __m256i *)(const void *)(scales + g * PITH_TILE_ROWS)));
        _mm512_store_ps(c->scales[g] + i * PITH_TILE_ROWS, d);
    }
}

/* The tiles from row `row` on that go together: never a lone one after others. */
static size_t count_tiles(const pith_product *p, size_t row) {
    size_t left = (p->n_rows - row) / PITH_TILE_ROWS;
    return left == TILES + 1 ? 2 : left < TILES ? left : TILES;
}

void pith_many_tokens_vnni(const pith_product *p, const pith_packed_tiles *packed) {
    _Alignas(64) uint8_t lines[CHUNK_LINES * PITH_EXPANDED_STEP];
    _Alignas(64) float scales[MAX_GROUPS][TILES * PITH_TILE_ROWS];
    const size_t chunk_groups = CHUNK_LINES / packed->group_lines;
    const size_t n_groups = (packed->n_lines + packed->group_lines - 1) / packed->group_lines;
    const size_t register_tiles = (p->n_tokens + TOKENS - 1) / TOKENS;
    chunk c = {.lines = lines, .group_lines = packed->group_lines, .scales = scales};
    for (size_t g = 0; g < n_groups; g += chunk_groups) {
        c.first_group = g;
        c.n_groups = n_groups - g < chunk_groups ? n_groups - g : chunk_groups;
        c.n_lines = packed->n_lines - g * packed->group_lines;
        for (c.row = 0; c.row < p->n_rows; c.row += c.n_tiles * PITH_TILE_ROWS) {
            const uint8_t *tile =
                (const uint8_t *)p->weights + c.row / PITH_TILE_ROWS * packed->tile_bytes;
            c.n_tiles = count_tiles(p, c.row);
            for (size_t i = 0; i < c.n_tiles; i++) {
                expand(packed, tile + i * packed->tile_bytes, &c, i, lines);
            }
            /* The same chunk of the next tiles; after the last, the next chunk of the first, or, as
             * threads often take what follows in memory, another product's first. */
            uintptr_t then = (uintptr_t)tile + c.n_tiles * packed->tile_bytes;
            size_t group = g;
            if (c.row + c.n_tiles * PITH_TILE_ROWS >= p->n_rows) {
                group = g + chunk_groups < n_groups ? g + chunk_groups : 0;
                then = group != 0 ? (uintptr_t)p->weights : then;
            }
            next_weights next = {.at = then + group * packed->group_bytes,
                                 .n_lines = chunk_groups * packed->group_bytes / PITH_LINE_BYTES,
                                 .tile_bytes = packed->tile_bytes};
            next.share =
                (next.n_lines + c.n_groups * register_tiles - 1) / (c.n_groups * register_tiles);
            fetch_scales(then, packed->tile_bytes, packed->scales_at, group, TILES);
            all_tokens(p, &c, &next);
        }
    }
}
