/* Products of many tokens on unsigned weight bytes. Two tiles x up to 512 k are expanded to the
 * stack, where they stay in the L1 cache, and multiplied with all tokens in register tiles of 32
 * rows x 12 tokens: 24 integer sums that start at the token's group offset. Per line of 4 k: two
 * loads of weights, twelve broadcasts of activations, 24 vpdpbusd; the next register tile's
 * activations are fetched meanwhile. 512 k of the activations stay in the L2 cache for all rows of
 * the product, then come the next 512 k: callers cut the rows so that the outputs stay there too.
 *
 * Tokens that are no multiple of 12 end with a smaller register tile that overlaps the one before;
 * what it has in common with it is dropped. A missing second tile is computed as a copy of the
 * first and dropped. */
#include "simd/vnni_tile.h"
#include "simd/avx512_vector.h"
#include "simd/blocks.h"

enum {
    TOKENS = PITH_MANY_TOKENS,
    TILES = 2,
    MAX_SUMS = TILES * TOKENS,
    CHUNK_LINES = 128, /* lines of each tile expanded at a time: 16 KB in all */
    PAIR_BYTES = TILES * PITH_LINE_BYTES,
    MAX_GROUPS = CHUNK_LINES * 4 / PITH_INT8_GROUP, /* of a chunk */
};

/* Consecutive groups of two tiles. */
typedef struct chunk {
    const uint8_t *lines; /* the two tiles' lines in alternation */
    size_t n_lines;       /* lines per tile up to the end of k */
    size_t group_lines;
    size_t first_group;
    size_t n_groups;
    float (*scales)[TILES * PITH_TILE_ROWS]; /* [n_groups] */
    size_t row;                              /* of the product */
    size_t tiles;                            /* that exist */
} chunk;

/* The statements of a line in the order in which they stand here: left to itself, GCC 12 mixes the
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

PITH_INLINE __m512i load_codes(const int8_t *codes) {
    __m512i x;
    __asm__ volatile("vpbroadcastd %1, %0" : "=v"(x) : "m"(*(const int8_t(*)[4])codes));
    return x;
}

/* Every third token's activations, so that all addresses are one of few registers plus 0, 1 or 2
 * strides. */
typedef struct thirds {
    const int8_t *codes[(TOKENS + 2) / 3];
} thirds;

/* Line `j` (a constant) of those from `lines` on. */
PITH_INLINE void line_sums(const uint8_t *lines, const thirds *x, size_t stride, size_t j,
                           __m512i *sum, size_t tokens) {
    __m512i w[TILES];
    PITH_UNROLL
    for (size_t i = 0; i < TILES; i++) {
        w[i] = load_weights(lines + j * PAIR_BYTES + i * PITH_LINE_BYTES);
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        __m512i codes = load_codes(x->codes[t / 3] + t % 3 * stride + 4 * j);
        PITH_UNROLL
        for (size_t i = 0; i < TILES; i++) {
            sum[t * TILES + i] = add_products(sum[t * TILES + i], w[i], codes);
        }
    }
}

/* Past n lines. The empty statement keeps GCC from making twelve pointers of these. */
PITH_INLINE void advance(thirds *x, size_t n, size_t tokens) {
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t += 3) {
        x->codes[t / 3] += 4 * n;
        __asm__("" : "+r"(x->codes[t / 3]));
    }
}

/* A group whose integer sums are there, but not yet added to the outputs: that is done token by
 * token between the lines of the next group, where it costs only the multiplications. */
typedef struct pending {
    __m512i sums[MAX_SUMS];
    size_t begin, end;  /* tokens to finish */
    const float *scale; /* [TILES, 16] of the weights */
    const float *x_scales;
    size_t scale_stride;
    float *y; /* [tokens, y_stride] */
    size_t y_stride;
    __mmask16 load[TILES];  /* 0: start from zeros */
    __mmask16 store[TILES]; /* 0: the tile does not exist */
} pending;

PITH_INLINE void finish_token(const pending *p, size_t t) {
    __m512 s = _mm512_set1_ps(p->x_scales[t * p->scale_stride]);
    PITH_UNROLL
    for (size_t i = 0; i < TILES; i++) {
        float *out = p->y + t * p->y_stride + i * PITH_TILE_ROWS;
        __m512 y = _mm512_maskz_load_ps(p->load[i], out);
        __m512 scale = _mm512_mul_ps(_mm512_load_ps(p->scale + i * PITH_TILE_ROWS), s);
        y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(p->sums[t * TILES + i]), scale, y);
        _mm512_mask_store_ps(out, p->store[i], y);
    }
}

/* One group of a register tile: its activations, first token first. */
typedef struct group_input {
    const uint8_t *lines;
    size_t n_lines;
    const int8_t *codes;
    size_t code_stride;
    uintptr_t ahead; /* from codes to what is needed next */
    const int32_t *offset;
    size_t offset_stride;
} group_input;

/* Integer sums of one group, while the pending one is finished. With every second line two of those
 * that lie `ahead` are fetched for one token. */
PITH_INLINE void group_sums(const group_input *in, const pending *p, __m512i *sum, size_t tokens) {
    const uint8_t *lines = in->lines;
    const size_t stride = in->code_stride;
    const size_t n_pairs = in->n_lines / 2;
    const size_t n_both = n_pairs < p->end - p->begin ? n_pairs : p->end - p->begin;
    thirds x;
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t += 3) {
        x.codes[t / 3] = in->codes + t * stride;
    }
    uintptr_t next = (uintptr_t)in->codes + in->ahead;
    size_t pair = 0;
    for (; pair < n_both; pair++) {
        line_sums(lines, &x, stride, 0, sum, tokens);
        _mm_prefetch((const char *)next, _MM_HINT_T0);
        finish_token(p, p->begin + pair);
        line_sums(lines, &x, stride, 1, sum, tokens);
        _mm_prefetch((const char *)next + PITH_LINE_BYTES, _MM_HINT_T0);
        next += stride;
        lines += 2 * PAIR_BYTES;
        advance(&x, 2, tokens);
    }
    for (size_t t = p->begin + pair; t < p->end; t++) {
        finish_token(p, t);
    }
    next = (uintptr_t)in->codes + in->ahead + 2 * PITH_LINE_BYTES;
    for (; pair < n_pairs; pair++) {
        line_sums(lines, &x, stride, 0, sum, tokens);
        _mm_prefetch((const char *)next, _MM_HINT_T0);
        line_sums(lines, &x, stride, 1, sum, tokens);
        _mm_prefetch((const char *)next + PITH_LINE_BYTES, _MM_HINT_T0);
        next += stride;
        lines += 2 * PAIR_BYTES;
        advance(&x, 2, tokens);
    }
    if (in->n_lines % 2 != 0) {
        line_sums(lines, &x, stride, 0, sum, tokens);
    }
}

/* Leaves the group's sums in p; `tokens` is a constant. */
PITH_INLINE void add_group(const group_input *in, pending *p, size_t tokens) {
    __m512i sum[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < TILES * tokens; i++) {
        sum[i] = _mm512_set1_epi32(in->offset[i / TILES * in->offset_stride]);
    }
    group_sums(in, p, sum, tokens);
    PITH_UNROLL
    for (size_t i = 0; i < TILES * tokens; i++) {
        p->sums[i] = sum[i];
    }
}

/* Not inlined: in a loop over groups GCC would hold y in registers that there are not. */
static __attribute__((noinline)) void add_group_4(const group_input *in, pending *p) {
    add_group(in, p, 4);
}

static __attribute__((noinline)) void add_group_8(const group_input *in, pending *p) {
    add_group(in, p, 8);
}

static __attribute__((noinline)) void add_group_12(const group_input *in, pending *p) {
    add_group(in, p, 12);
}

/* The chunk with `tokens` tokens from token `first` of the product on, of which the first `done`
 * are done already. The last group is left pending. */
static void register_tile(const pith_product *p, const chunk *c, size_t first, size_t tokens,
                          size_t done, uintptr_t ahead, pending *rest) {
    const pith_activations *x = p->x;
    size_t token = p->first_token + first;
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t begin = g * c->group_lines;
        size_t left = c->n_lines - begin;
        size_t group = c->first_group + g;
        group_input in = {.lines = c->lines + begin * PAIR_BYTES,
                          .n_lines = left < c->group_lines ? left : c->group_lines,
                          .codes = x->codes + token * x->code_stride + group * c->group_lines * 4,
                          .code_stride = x->code_stride,
                          .ahead = ahead,
                          .offset = x->group_offset + token * x->scale_stride + group,
                          .offset_stride = x->scale_stride};
        if (tokens == TOKENS) {
            add_group_12(&in, rest);
        } else if (tokens == 8) {
            add_group_8(&in, rest);
        } else {
            add_group_4(&in, rest);
        }
        rest->begin = done;
        rest->end = tokens;
        rest->scale = c->scales[g];
        rest->x_scales = x->scales + token * x->scale_stride + group;
        rest->scale_stride = x->scale_stride;
        rest->y = p->y + first * p->y_stride + c->row;
        rest->y_stride = p->y_stride;
        for (size_t i = 0; i < TILES; i++) {
            rest->store[i] = i < c->tiles ? 0xffff : 0;
            rest->load[i] = group != 0 ? rest->store[i] : 0;
        }
    }
}

/* The chunk with all tokens of the product. */
static void all_tokens(const pith_product *p, const chunk *c) {
    const uintptr_t stride = p->x->code_stride;
    const size_t n = p->n_tokens;
    pending rest;
    rest.begin = rest.end = 0;
    for (size_t t = 0; t < n; t += TOKENS) {
        size_t tokens = n - t <= 4 ? 4 : n - t <= 8 ? 8 : (size_t)TOKENS;
        size_t first = t + tokens <= n ? t : n - tokens;
        /* after the last token, the first one, for the next two tiles */
        uintptr_t ahead = t + TOKENS < n ? tokens * stride : 0 - first * stride;
        register_tile(p, c, first, tokens, t - first, ahead, &rest);
    }
    for (size_t t = rest.begin; t < rest.end; t++) {
        finish_token(&rest, t);
    }
}

/* The chunk's groups of tile `i` as bytes, from the tile's own, and its scales as floats. */
static void expand(const pith_packed_tiles *packed, const uint8_t *tile, const chunk *c, size_t i,
                   uint8_t *lines, uintptr_t ahead) {
    const uint16_t *scales = (const uint16_t *)(const void *)(tile + packed->scales_at) +
                             c->first_group * PITH_TILE_ROWS;
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t begin = g * c->group_lines;
        size_t left = c->n_lines - begin;
        packed->expand(tile, c->first_group + g, left < c->group_lines ? left : c->group_lines,
                       lines + begin * PAIR_BYTES + i * PITH_LINE_BYTES, ahead);
        __m512 d = _mm512_cvtph_ps(
            _mm256_load_si256((const __m256i *)(const void *)(scales + g * PITH_TILE_ROWS)));
        _mm512_store_ps(c->scales[g] + i * PITH_TILE_ROWS, d);
    }
}

void pith_many_tokens_vnni(const pith_product *p, const pith_packed_tiles *packed) {
    _Alignas(64) uint8_t lines[CHUNK_LINES * PAIR_BYTES];
    _Alignas(64) float scales[MAX_GROUPS][TILES * PITH_TILE_ROWS];
    const size_t chunk_groups = CHUNK_LINES / packed->group_lines;
    const size_t n_groups = (packed->n_lines + packed->group_lines - 1) / packed->group_lines;
    chunk c = {.lines = lines, .group_lines = packed->group_lines, .scales = scales};
    for (size_t g = 0; g < n_groups; g += chunk_groups) {
        c.first_group = g;
        c.n_groups = n_groups - g < chunk_groups ? n_groups - g : chunk_groups;
        c.n_lines = packed->n_lines - g * packed->group_lines;
        for (c.row = 0; c.row < p->n_rows; c.row += TILES * PITH_TILE_ROWS) {
            const uint8_t *tile =
                (const uint8_t *)p->weights + c.row / PITH_TILE_ROWS * packed->tile_bytes;
            c.tiles = c.row + PITH_TILE_ROWS < p->n_rows ? 2 : 1;
            for (size_t i = 0; i < TILES; i++) {
                expand(packed, tile + (i < c.tiles ? i : 0) * packed->tile_bytes, &c, i, lines,
                       TILES * packed->tile_bytes);
            }
            all_tokens(p, &c);
        }
    }
}
