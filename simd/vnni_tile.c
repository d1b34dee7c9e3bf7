/* Products of many tokens on unsigned weight bytes. Two tiles x up to 512 k are expanded to the
 * stack, where they stay in the L1 cache, and multiplied with all tokens in register tiles of 32
 * rows x 12 tokens: 24 integer sums. Per line of 4 k: two loads of weights, twelve broadcasts of
 * activations, 24 vpdpbusd; the next register tile's activations are fetched meanwhile. The token's
 * group offset is added at the end: sums that start at a broadcast of it cost 30 cycles a group.
 * 512 k of the activations stay in the L2 cache for all rows of the product, then come the next 512
 * k: callers cut the rows so that the outputs stay there too.
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
    MAX_CODES = 1 << 30, /* bytes that an asm statement may read, for the compiler to know */
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

/* Line `j` (a constant, 0 or 1) of those from `lines` on. */
PITH_INLINE void line_sums(const uint8_t *lines, const thirds *x, size_t stride, size_t j,
                           __m512i *sum, size_t tokens) {
    __m512i w[TILES];
    PITH_UNROLL
    for (size_t i = 0; i < TILES; i++) {
        w[i] = load_weights(lines + j * PAIR_BYTES + i * PITH_LINE_BYTES);
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        __m512i codes = load_codes(x, stride, t, j);
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
    const int32_t *offset; /* group_offset */
    size_t scale_stride;   /* of both */
    float *y;              /* [tokens, y_stride] */
    size_t y_stride;
    __mmask16 load[TILES]; /* 0: start from zeros */
    __mmask16 store;       /* of the second tile, 0: it does not exist */
} pending;

/* The tokens of a pending group, one after the other: p's members as they are in registers. */
typedef struct finisher {
    const __m512i *sums;
    const float *x_scale;
    const int32_t *offset;
    float *y;
    const float *scale;
    size_t scale_stride, y_stride;
    __mmask16 load[TILES], store;
} finisher;

PITH_INLINE finisher finish_from(const pending *p) {
    return (finisher){.sums = p->sums + p->begin * TILES,
                      .x_scale = p->x_scales + p->begin * p->scale_stride,
                      .offset = p->offset + p->begin * p->scale_stride,
                      .y = p->y + p->begin * p->y_stride,
                      .scale = p->scale,
                      .scale_stride = p->scale_stride,
                      .y_stride = p->y_stride,
                      .load = {p->load[0], p->load[1]},
                      .store = p->store};
}

PITH_INLINE void finish_token(finisher *f) {
    __m512 s = _mm512_set1_ps(*f->x_scale);
    __m512i offset = _mm512_set1_epi32(*f->offset);
    __m512 y[TILES];
    PITH_UNROLL
    for (size_t i = 0; i < TILES; i++) {
        __m512 d = _mm512_mul_ps(_mm512_load_ps(f->scale + i * PITH_TILE_ROWS), s);
        __m512 sum = _mm512_cvtepi32_ps(_mm512_add_epi32(f->sums[i], offset));
        y[i] = _mm512_fmadd_ps(sum, d, _mm512_maskz_load_ps(f->load[i], f->y + i * PITH_TILE_ROWS));
    }
    _mm512_store_ps(f->y, y[0]);
    _mm512_mask_store_ps(f->y + PITH_TILE_ROWS, f->store, y[1]);
    f->sums += TILES;
    f->x_scale += f->scale_stride;
    f->offset += f->scale_stride;
    f->y += f->y_stride;
}

/* One group of a register tile: its activations, first token first. */
typedef struct group_input {
    const uint8_t *lines;
    size_t n_lines;
    const int8_t *codes;
    size_t code_stride;
    uintptr_t ahead; /* from codes to what is needed next */
} group_input;

/* Integer sums of one group, while the pending one is finished. With every second line two of those
 * that lie `ahead` are fetched for one token. */
PITH_INLINE void group_sums(const group_input *in, const pending *p, __m512i *sum, size_t tokens) {
    const uint8_t *lines = in->lines;
    const size_t stride = in->code_stride;
    const size_t n_pairs = in->n_lines / 2;
    const size_t n_tokens = p->end - p->begin;
    const size_t n_both = n_pairs < n_tokens ? n_pairs : n_tokens;
    finisher f = finish_from(p);
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
        finish_token(&f);
        line_sums(lines, &x, stride, 1, sum, tokens);
        _mm_prefetch((const char *)next + PITH_LINE_BYTES, _MM_HINT_T0);
        next += stride;
        lines += 2 * PAIR_BYTES;
        advance(&x, 2, tokens);
    }
    for (size_t t = pair; t < n_tokens; t++) {
        finish_token(&f);
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
        sum[i] = _mm512_setzero_si512();
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

/* What the register tile after this one reads first: its outputs, scales and offsets. A share of it
 * is fetched with every group, and a share of the weights that are expanded next. */
typedef struct next_input {
    uintptr_t y, x_scales, offset; /* of its first token; addresses that may lie outside */
    size_t y_stride, scale_stride; /* bytes */
    uintptr_t weights;             /* of the first tile */
    size_t n_lines;                /* of each tile, still to fetch */
    size_t lines;                  /* with every group */
    size_t tile_bytes;
} next_input;

PITH_INLINE void fetch_tokens(const next_input *next, size_t begin, size_t end) {
    for (size_t t = begin; t < end; t++) {
        uintptr_t y = next->y + t * next->y_stride;
        _mm_prefetch((const char *)y, _MM_HINT_T0);
        _mm_prefetch((const char *)(y + PITH_LINE_BYTES), _MM_HINT_T0);
        _mm_prefetch((const char *)(next->x_scales + t * next->scale_stride), _MM_HINT_T0);
        _mm_prefetch((const char *)(next->offset + t * next->scale_stride), _MM_HINT_T0);
    }
}

/* Into the L2 cache: many register tiles come before they are expanded. */
PITH_INLINE void fetch_weights(next_input *next) {
    size_t n = next->lines < next->n_lines ? next->lines : next->n_lines;
    for (size_t i = 0; i < n; i++) {
        _mm_prefetch((const char *)next->weights, _MM_HINT_T1);
        _mm_prefetch((const char *)(next->weights + next->tile_bytes), _MM_HINT_T1);
        next->weights += PITH_LINE_BYTES;
    }
    next->n_lines -= n;
}

/* The chunk with `tokens` tokens from token `first` of the product on, of which the first `done`
 * are done already. The last group is left pending. */
static void register_tile(const pith_product *p, const chunk *c, size_t first, size_t tokens,
                          size_t done, uintptr_t ahead, next_input *next, pending *rest) {
    const pith_activations *x = p->x;
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
        fetch_tokens(next, g * TOKENS / c->n_groups, (g + 1) * TOKENS / c->n_groups);
        fetch_weights(next);
        if (tokens == TOKENS) {
            add_group_12(&in, rest);
        } else if (tokens == 8) {
            add_group_8(&in, rest);
        } else {
            add_group_4(&in, rest);
        }
        in.lines += c->group_lines * PAIR_BYTES;
        in.codes += c->group_lines * 4;
        if (g == 0) {
            rest->begin = done;
            rest->end = tokens;
            rest->y = p->y + first * p->y_stride + c->row;
        }
        rest->scale = c->scales[g];
        rest->x_scales = x->scales + at_group + g;
        rest->offset = x->group_offset + at_group + g;
        rest->load[0] = c->first_group + g != 0 ? 0xffff : 0;
        rest->load[1] = rest->load[0] & rest->store;
    }
}

/* The chunk with all tokens of the product; `weights` and `scales` of the first tile are expanded
 * next. */
static void all_tokens(const pith_product *p, const pith_packed_tiles *packed, const chunk *c,
                       uintptr_t weights, uintptr_t scales) {
    const pith_activations *x = p->x;
    const uintptr_t stride = x->code_stride;
    const size_t n = p->n_tokens;
    const size_t n_groups = (n + TOKENS - 1) / TOKENS * c->n_groups; /* of all register tiles */
    next_input next = {.y_stride = p->y_stride * sizeof *p->y,
                       .scale_stride = x->scale_stride * sizeof *x->scales,
                       .weights = weights,
                       .n_lines = c->n_groups * packed->group_bytes / PITH_LINE_BYTES,
                       .tile_bytes = packed->tile_bytes};
    next.lines = (next.n_lines + n_groups - 1) / n_groups;
    /* nothing is pending yet */
    pending rest = {.scale = c->scales[0],
                    .x_scales = x->scales,
                    .offset = x->group_offset,
                    .scale_stride = x->scale_stride,
                    .y = p->y,
                    .y_stride = p->y_stride,
                    .store = c->tiles == TILES ? 0xffff : 0};
    for (size_t i = 0; i < TILES; i++) {
        _mm_prefetch((const char *)(scales + i * packed->tile_bytes), _MM_HINT_T1);
    }
    for (size_t t = 0; t < n; t += TOKENS) {
        size_t tokens = n - t <= 4 ? 4 : n - t <= 8 ? 8 : (size_t)TOKENS;
        size_t first = t + tokens <= n ? t : n - tokens;
        /* after the last token, the first one, for the next two tiles */
        bool last = t + TOKENS >= n;
        uintptr_t ahead = last ? 0 - first * stride : tokens * stride;
        size_t then = last ? 0 : t + TOKENS;
        size_t at_group = (p->first_token + then) * x->scale_stride + c->first_group;
        next.y = (uintptr_t)(p->y + then * p->y_stride + c->row);
        next.y += last ? TILES * PITH_LINE_BYTES : 0;
        next.x_scales = (uintptr_t)(x->scales + at_group);
        next.offset = (uintptr_t)(x->group_offset + at_group);
        register_tile(p, c, first, tokens, t - first, ahead, &next, &rest);
    }
    finisher f = finish_from(&rest);
    for (size_t t = rest.begin; t < rest.end; t++) {
        finish_token(&f);
    }
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
                       lines + begin * PAIR_BYTES + i * PITH_LINE_BYTES);
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
                expand(packed, tile + (i < c.tiles ? i : 0) * packed->tile_bytes, &c, i, lines);
            }
            /* The same chunk of the next two tiles; after the last, the next chunk of the first,
             * or, as threads often take what follows in memory, another product's first. */
            uintptr_t then = (uintptr_t)tile + TILES * packed->tile_bytes;
            size_t group = g;
            if (c.row + TILES * PITH_TILE_ROWS >= p->n_rows) {
                group = g + chunk_groups < n_groups ? g + chunk_groups : 0;
                then = group != 0 ? (uintptr_t)p->weights : then;
            }
            all_tokens(p, packed, &c, then + group * packed->group_bytes,
                       then + packed->scales_at + group * PITH_TILE_ROWS * sizeof(uint16_t));
        }
    }
}
