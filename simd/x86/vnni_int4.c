/* int4 products with AVX-512 VNNI. vpdpbusd multiplies unsigned by signed bytes, so weights are
 * made unsigned by an offset, and minus the offset times the activations' sum is added.
 *
 * Few tokens (decode): memory-bound. Nibbles become code + 10 by a table look-up; a block of 16
 * gives a sum that fits int16 (16 x 10 x 127), which waits until the stream reaches the block's
 * multiplier, then vpdpwssd multiplies and adds. Many tokens (prefill): three tiles x up to 256 k
 * are expanded once to multiplier x code + 128 on the stack and multiplied as plain int8
 * (vnni_tile.h). Both compute the same integers, so the same floats. */
#include "simd/x86/vnni.h"
#include "simd/x86/vnni_few.h"
#include "simd/x86/vnni_tile.h"

enum {
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full group */
    LINES = 4,                                /* lines of a slice */
    FEW = 11, /* most tokens for which decoding every 8 beats expanding */
};

PITH_INLINE __m512i table_of_codes(void) {
    __m128i codes = _mm_loadu_si128((const __m128i *)pith_int4_codes);
    return _mm512_broadcast_i32x4(_mm_add_epi8(codes, _mm_set1_epi8(PITH_INT4_OFFSET)));
}

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
    bool into_l2; /* a constant: how weights are fetched */
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
            fetch_weights(line, n, x.into_l2);
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
    fetch_weights(packed, n, x.into_l2);
    fetch_weights(packed + PITH_LINE_BYTES, n, x.into_l2);
    for (size_t s = 0; n <= PITH_FEW_ORDERED && s < slices; s++) {
        add_blocks(packed + s * PITH_TILE_ROWS, blocks[s][0], blocks[s][1], total, n);
    }
}

/* One tile for `n` tokens (a constant) from token `first` of the product on. */
PITH_INLINE void few_tile(const pith_product *p, size_t row, size_t first, size_t n, bool into_l2) {
    const pith_activations *x = p->x;
    const size_t batch = PITH_FEW_KEPT / n;
    size_t token = p->first_token + first;
    few_input input = {x->codes + token * x->code_stride, x->block_offset + token * x->block_stride,
                       x->code_stride, x->block_stride, into_l2};
    tile_view v = view_tile(p, row);
    few_outputs out = outputs_from(p, v.scales, row, first, into_l2);
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

static void few_tile_1(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 1, false);
}

static void few_tile_2(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 2, false);
}

static void few_tile_1_l2(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 1, true);
}

static void few_tile_2_l2(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 2, true);
}

static void few_tile_3(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 3, false);
}

static void few_tile_4(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 4, false);
}

static void few_tile_6(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 6, false);
}

static void few_tile_8(const pith_product *p, size_t row, size_t first) {
    few_tile(p, row, first, 8, false);
}

/* ---- Many tokens ----------------------------------------------------------------------------- */

/* multiplier x code + 128 for 64 nibbles. The bytes are multiplied in pairs as 16-bit words:
 * (code + 10) x |multiplier| is at most 190, so nothing carries. A negative multiplier complements
 * the product, -p = ~p + 1, and `base` holds the rest: 128 -+ 10 |multiplier|. */
PITH_INLINE __m512i expand_line(__m512i code, __m512i magnitude, __m512i sign, __m512i base) {
    __m512i product = _mm512_mullo_epi16(code, magnitude);
    return _mm512_add_epi8(_mm512_xor_si512(product, sign), base);
}

/* A group of a tile, for pith_packed_tiles. */
static void expand_group(const uint8_t *tile, size_t group, size_t n_lines, uint8_t *out) {
    const __m512i codes = table_of_codes();
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i multipliers =
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)pith_int4_multipliers));
    /* the low byte of each lane in all four */
    const __m512i every_fourth =
        _mm512_broadcast_i32x4(_mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12));
    const size_t slices = n_lines / (2 * LINES);
    const uint8_t *lines = tile + group * pith_int4_group_bytes(FULL);
    const uint8_t *packed = lines + slices * LINES * PITH_LINE_BYTES;
    for (size_t s = 0; s < slices; s++) {
        __m512i m =
            _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(packed + s * PITH_TILE_ROWS)));
        PITH_UNROLL
        for (unsigned half = 0; half < 2; half++) {
            __m512i value =
                _mm512_permutexvar_epi32(half == 0 ? m : _mm512_srli_epi32(m, 4), multipliers);
            __m512i sign = _mm512_srai_epi32(value, 31);
            __m512i magnitude = _mm512_abs_epi32(value);
            magnitude = _mm512_or_si512(magnitude, _mm512_slli_epi32(magnitude, 16));
            __m512i base = _mm512_mullo_epi16(value, _mm512_set1_epi32(-PITH_INT4_OFFSET));
            base = _mm512_sub_epi32(base, sign);
            base = _mm512_add_epi32(base, _mm512_set1_epi32(PITH_INT8_OFFSET));
            base = _mm512_shuffle_epi8(base, every_fourth);
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                __m512i both = _mm512_load_si512(lines + (s * LINES + j) * PITH_LINE_BYTES);
                both = half == 0 ? both : _mm512_srli_epi16(both, 4);
                __m512i index = _mm512_and_si512(both, nibble);
                __m512i line =
                    expand_line(_mm512_shuffle_epi8(codes, index), magnitude, sign, base);
                _mm512_store_si512(out + (half * LINES + j) * PITH_EXPANDED_STEP, line);
            }
        }
        out += 2 * LINES * PITH_EXPANDED_STEP;
    }
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

static void product(const pith_product *p, const few_size *sizes) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
    } else {
        many_tokens(p);
    }
}

void pith_product_int4_vnni(const pith_product *p) {
    static const few_size sizes[] = {{8, few_tile_8}, {6, few_tile_6}, {4, few_tile_4},
                                     {3, few_tile_3}, {2, few_tile_2}, {1, few_tile_1}};
    product(p, sizes);
}

void pith_product_int4_vnni_l2(const pith_product *p) {
    static const few_size sizes[] = {{8, few_tile_8}, {6, few_tile_6},    {4, few_tile_4},
                                     {3, few_tile_3}, {2, few_tile_2_l2}, {1, few_tile_1_l2}};
    product(p, sizes);
}
