/* int4 products with AVX-512 VNNI. vpdpbusd multiplies unsigned by signed bytes, so weights are
 * made unsigned by an offset, and minus the offset times the activations' sum is added.
 *
 * Few tokens (decode): memory-bound. Nibbles become code + 10 by a table look-up; a block of 16
 * gives a sum that fits int16 (16 x 10 x 127), which waits until the stream reaches the block's
 * multiplier, then vpdpwssd multiplies and adds. Many tokens (prefill): three tiles x up to 256 k
 * are expanded once to multiplier x code + 128 on the stack and multiplied as plain int8
 * (vnni_tile.h). Both compute the same integers, so the same floats. */
#include "simd/x86/int4_expand.h"
#include "simd/x86/vnni.h"
#include "simd/x86/vnni_few.h"
#include "simd/x86/vnni_tile.h"

enum {
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full group */
    LINES = 4,                                /* lines of a slice */
    FEW = 11, /* most tokens for which decoding every 8 beats expanding */
};

/* Where the parts of a tile lie. */
typedef struct tile_view {
    const uint8_t *lines;
    const uint16_t *scales; /* [n_groups, 16] */
    size_t n_slices;
    size_t n_groups;
} tile_view;

PITH_INLINE tile_view view_tile(const pith_product *p, size_t row) {
    tile_view v;
    v.n_slices = p->k / PITH_INT4_SLICE;
    v.n_groups = pith_groups(p->k, PITH_INT4_GROUP);
    const size_t bytes = pith_int4_tile_bytes(p->k);
    v.lines = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * bytes;
    v.scales = (const uint16_t *)(const void *)(v.lines + bytes - pith_scales_bytes(v.n_groups));
    return v;
}

PITH_INLINE size_t group_slices(const tile_view *v, size_t g) {
    return v->n_slices - g * FULL < FULL ? v->n_slices - g * FULL : FULL;
}

/* ---- Few tokens ------------------------------------------------------------------------------ */

/* Activations of one group, at the first token of the call. */
typedef struct few_input {
    const int8_t *codes;
    const int32_t *offset;
    size_t code_stride;
    size_t block_stride;
    pith_fetch fetch; /* of weights */
} few_input;

/* total += the multipliers of a slice's two blocks times their sums. */
PITH_INLINE void add_blocks(const uint8_t *packed, const __m512i *first, const __m512i *second,
                            __m512i *total, size_t n) {
    /* 16-bit multipliers in 32-bit lanes with a zero upper half, for vpdpwssd */
    const __m512i multipliers = _mm512_and_si512(_mm512_cvtepi8_epi32(_mm_loadu_si128(
                                                     (const __m128i *)pith_int4_multipliers)),
                                                 _mm512_set1_epi32(0xffff));
    __m512i m = _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)packed));
    __m512i m_first = _mm512_permutexvar_epi32(m, multipliers);
    __m512i m_second = _mm512_permutexvar_epi32(_mm512_srli_epi32(m, 4), multipliers);
    PITH_UNROLL
    for (size_t t = 0; t < n; t++) {
        total[t] = _mm512_dpwssd_epi32(total[t], first[t], m_first);
        total[t] = _mm512_dpwssd_epi32(total[t], second[t], m_second);
    }
}

/* Integer sums of one group for `n` tokens (a constant). */
PITH_INLINE void few_group(const uint8_t *group, size_t slices, few_input x, __m512i *total,
                           size_t n) {
    const __m512i codes = table_of_codes();
    const __m512i nibble = _mm512_set1_epi8(15);
    const uint8_t *packed = group + slices * LINES * PITH_LINE_BYTES;
    __m512i blocks[FULL][2][PITH_FEW_ORDERED]; /* sums that wait for their multipliers */
    PITH_UNROLL
    for (size_t t = 0; n <= PITH_FEW_ORDERED && t < n; t++) {
        fetch_next(x.codes + t * x.code_stride, PITH_INT4_GROUP);
        fetch_next(x.offset + t * x.block_stride, PITH_LINE_BYTES);
    }
    for (size_t s = 0; s < slices; s++) {
        __m512i first[PITH_FEW_STEP];
        __m512i second[PITH_FEW_STEP];
        PITH_UNROLL
        for (size_t t = 0; t < n; t++) {
            first[t] = _mm512_set1_epi32(x.offset[t * x.block_stride]);
            second[t] = _mm512_set1_epi32(x.offset[t * x.block_stride + 1]);
        }
        PITH_UNROLL
        for (size_t j = 0; j < LINES; j++) {
            const uint8_t *line = group + j * PITH_LINE_BYTES;
            fetch_weights(line, x.fetch);
            __m512i both = _mm512_load_si512(line);
            __m512i low = _mm512_shuffle_epi8(codes, _mm512_and_si512(both, nibble));
            __m512i high =
                _mm512_shuffle_epi8(codes, _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble));
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                const int8_t *c = x.codes + t * x.code_stride + 4 * j;
                first[t] = add_broadcast(first[t], low, c);
                second[t] = add_broadcast(second[t], high, c + PITH_INT4_BLOCK);
            }
        }
        if (n <= PITH_FEW_ORDERED) {
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                blocks[s][0][t] = first[t];
                blocks[s][1][t] = second[t];
            }
        } else {
            add_blocks(packed + s * PITH_TILE_ROWS, first, second, total, n);
        }
        group += LINES * PITH_LINE_BYTES;
        x.codes += PITH_INT4_SLICE;
        x.offset += 2;
    }
    fetch_weights(packed, x.fetch);
    fetch_weights(packed + PITH_LINE_BYTES, x.fetch);
    for (size_t s = 0; n <= PITH_FEW_ORDERED && s < slices; s++) {
        add_blocks(packed + s * PITH_TILE_ROWS, blocks[s][0], blocks[s][1], total, n);
    }
}

/* One tile for `n` tokens from token `first` of the product on; `n` and `hint` are constants. */
PITH_INLINE void few_tile(const pith_product *p, size_t row, size_t first, size_t n,
                          pith_hint hint) {
    const pith_activations *x = p->x;
    const pith_fetch fetch = fetch_of(p, n, hint);
    const size_t batch = PITH_FEW_KEPT / n;
    size_t token = p->first_token + first;
    few_input input = {x->codes + token * x->code_stride, x->block_offset + token * x->block_stride,
                       x->code_stride, x->block_stride, fetch};
    tile_view v = view_tile(p, row);
    few_outputs out = outputs_from(p, v.scales, row, first, fetch);
    __m512i kept[PITH_FEW_KEPT];
    for (size_t begin = 0; begin < v.n_groups; begin += batch) {
        size_t end = v.n_groups - begin < batch ? v.n_groups : begin + batch;
        for (size_t g = begin; g < end; g++) {
            __m512i total[PITH_FEW_STEP];
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                total[t] = _mm512_setzero_si512();
            }
            few_group(v.lines + g * pith_int4_group_bytes(FULL), group_slices(&v, g), input, total,
                      n);
            PITH_UNROLL
            for (size_t t = 0; t < n; t++) {
                kept[(g - begin) * n + t] = total[t];
            }
            input.codes += PITH_INT4_GROUP;
            input.offset += PITH_INT4_GROUP / PITH_INT4_BLOCK;
        }
        add_kept(&out, kept, begin, end, n);
    }
}

PITH_FEW_TILES(few_tile)

PITH_FEW_TILE(few_tile_6_t1, few_tile, 6, PITH_HINT_T1)
PITH_FEW_TILE(few_tile_6_t0, few_tile, 6, PITH_HINT_T0)

PITH_FEW_TILE(few_tile_8_t1, few_tile, 8, PITH_HINT_T1)
PITH_FEW_TILE(few_tile_8_t0, few_tile, 8, PITH_HINT_T0)

static const few_size sizes[] = {
    {8, PITH_FEW_CACHED(few_tile_8_t1, few_tile_8_t0)},
    {6, PITH_FEW_CACHED(few_tile_6_t1, few_tile_6_t0)},
    PITH_FEW_SIZES,
};

/* ---- Many tokens ----------------------------------------------------------------------------- */

/* A group of a tile, for pith_packed_tiles. */
static void expand_group(const uint8_t *tile, size_t group, size_t n_lines, uint8_t *out) {
    expand_int4_group(tile + group * pith_int4_group_bytes(FULL), n_lines, PITH_INT8_OFFSET, out,
                      PITH_EXPANDED_STEP);
}

static void many_tokens(const pith_product *p) {
    const size_t tile_bytes = pith_int4_tile_bytes(p->k);
    const pith_packed_tiles packed = {.tile_bytes = tile_bytes,
                                      .scales_at =
                                          tile_bytes -
                                          pith_scales_bytes(pith_groups(p->k, PITH_INT4_GROUP)),
                                      .n_lines = p->k / 4,
                                      .group_lines = PITH_INT4_GROUP / 4,
                                      .group_bytes = pith_int4_group_bytes(FULL),
                                      .expand = expand_group};
    pith_many_tokens_vnni(p, &packed);
}

void pith_product_int4_vnni(const pith_product *p) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
    } else {
        many_tokens(p);
    }
}
