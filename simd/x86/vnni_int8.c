/* int8 products with AVX-512 VNNI: weights are made unsigned by adding 128 (flipping the top bit),
 * and -128 x the activations' sum is added to each group's. Few tokens read the packed lines
 * directly; many tokens do as well on some CPUs (memory_path.h), and else flip three tiles once on
 * the stack and use vnni_tile.h. */
#include "simd/x86/vnni.h"
#include "simd/x86/vnni_few.h"
#include "simd/x86/vnni_tile.h"

enum {
    GROUP_LINES = PITH_INT8_GROUP / 4,
    FEW = 16, /* most tokens that read the packed lines directly on every CPU */
    STEP = 8, /* lines of a turn of the loop */
};

typedef struct tile_view {
    const uint8_t *lines;
    const uint16_t *scales; /* [n_groups, 16] */
    size_t n_lines;
    size_t n_groups;
} tile_view;

PITH_INLINE tile_view view_tile(const pith_product *p, size_t row) {
    tile_view v;
    v.n_lines = (p->k + 3) / 4;
    v.n_groups = pith_groups(p->k, PITH_INT8_GROUP);
    const size_t bytes = pith_int8_tile_bytes(p->k);
    v.lines = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * bytes;
    v.scales = (const uint16_t *)(const void *)(v.lines + v.n_lines * PITH_LINE_BYTES);
    return v;
}

PITH_INLINE __m512i load_unsigned(const uint8_t *line) {
    return _mm512_xor_si512(_mm512_load_si512(line), _mm512_set1_epi8(-128));
}

/* Integer sums of one group for `n` tokens (a constant), each in two halves so that a single token
 * does not wait for one chain of additions. A longer loop would have more load instructions than
 * the hardware prefetchers can follow. */
PITH_INLINE void few_group(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                           size_t code_stride, __m512i *even, __m512i *odd, size_t n,
                           pith_fetch fetch) {
    size_t j = 0;
    PITH_UNROLL
    for (size_t t = 0; n <= PITH_FEW_ORDERED && t < n; t++) {
        fetch_next(codes + t * code_stride, PITH_INT8_GROUP);
    }
    for (; j + STEP <= n_lines; j += STEP) {
        PITH_UNROLL
        for (size_t i = 0; i < STEP; i++) {
            const uint8_t *line = lines + (j + i) * PITH_LINE_BYTES;
            fetch_weights(line, fetch);
            __m512i w = load_unsigned(line);
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                __m512i *sum = i % 2 == 0 ? &even[t] : &odd[t];
                *sum = add_broadcast(*sum, w, codes + t * code_stride + 4 * (j + i));
            }
        }
    }
    for (; j < n_lines; j++) {
        __m512i w = load_unsigned(lines + j * PITH_LINE_BYTES);
        PITH_UNROLL
        for (size_t t = 0; t < n; t++) {
            even[t] = add_broadcast(even[t], w, codes + t * code_stride + 4 * j);
        }
    }
}

/* One tile for `n` tokens from token `first` of the product on; `n` and `hint` are constants. */
PITH_INLINE void few_tile(const pith_product *p, size_t row, size_t first, size_t n,
                          pith_hint hint) {
    const pith_activations *x = p->x;
    const pith_fetch fetch = fetch_of(p, n, hint);
    const size_t batch = PITH_FEW_KEPT / n;
    size_t token = p->first_token + first;
    const int8_t *codes = x->codes + token * x->code_stride;
    const int32_t *offset = x->group_offset + token * x->scale_stride;
    tile_view v = view_tile(p, row);
    few_outputs out = outputs_from(p, v.scales, row, first, fetch);
    __m512i kept[PITH_FEW_KEPT];
    for (size_t begin = 0; begin < v.n_groups; begin += batch) {
        size_t end = v.n_groups - begin < batch ? v.n_groups : begin + batch;
        for (size_t g = begin; g < end; g++) {
            size_t line = g * GROUP_LINES;
            size_t n_lines = v.n_lines - line < GROUP_LINES ? v.n_lines - line : GROUP_LINES;
            __m512i even[PITH_FEW_STEP];
            __m512i odd[PITH_FEW_STEP];
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                even[t] = _mm512_setzero_si512();
                odd[t] = _mm512_setzero_si512();
            }
            few_group(v.lines + line * PITH_LINE_BYTES, n_lines, codes + line * 4, x->code_stride,
                      even, odd, n, fetch);
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                kept[(g - begin) * n + t] =
                    _mm512_add_epi32(_mm512_set1_epi32(offset[t * x->scale_stride + g]),
                                     _mm512_add_epi32(even[t], odd[t]));
            }
        }
        add_kept(&out, kept, begin, end, n);
    }
}

PITH_FEW_TILES(few_tile)

PITH_FEW_TILE(few_tile_8_t1, few_tile, 8, PITH_HINT_T1)
PITH_FEW_TILE(few_tile_8_t0, few_tile, 8, PITH_HINT_T0)

static const few_size sizes[] = {
    {8, PITH_FEW_CACHED(few_tile_8_t1, few_tile_8_t0)},
    PITH_FEW_SIZES,
};

/* A group of a tile, for pith_packed_tiles. */
static void expand_group(const uint8_t *tile, size_t group, size_t n_lines, uint8_t *out) {
    const uint8_t *lines = tile + group * GROUP_LINES * PITH_LINE_BYTES;
    for (size_t j = 0; j < n_lines; j++) {
        _mm512_store_si512(out + j * PITH_EXPANDED_STEP,
                           load_unsigned(lines + j * PITH_LINE_BYTES));
    }
}

static void many_tokens(const pith_product *p) {
    const size_t n_lines = (p->k + 3) / 4;
    const pith_packed_tiles packed = {.tile_bytes = pith_int8_tile_bytes(p->k),
                                      .scales_at = n_lines * PITH_LINE_BYTES,
                                      .n_lines = n_lines,
                                      .group_lines = GROUP_LINES,
                                      .group_bytes = (size_t)GROUP_LINES * PITH_LINE_BYTES,
                                      .expand = expand_group};
    pith_many_tokens_vnni(p, &packed);
}

/* Passes over the packed lines for some tokens at a time, whose codes stay in a cache meanwhile. */
static void direct_tokens(const pith_product *p) {
    pith_product part = *p;
    for (size_t done = 0; done < p->n_tokens; done += part.n_tokens) {
        const size_t left = p->n_tokens - done;
        part.first_token = p->first_token + done;
        part.n_tokens = left < p->path.direct ? left : p->path.direct;
        part.y = p->y + done * p->y_stride;
        few_tokens(&part, sizes);
    }
}

void pith_product_int8_vnni(const pith_product *p) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
    } else if (p->path.direct > 0) {
        direct_tokens(p);
    } else {
        many_tokens(p);
    }
}
