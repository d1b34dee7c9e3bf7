/* int4 products with AVX2. Few tokens use the codes as they are decoded (simd/x86/avx2_few.h).
 *
 * Many tokens multiply signed codes by activations + 127, which are unsigned. Bytes of a slice's
 * two blocks alternate by 2 k, so that either half of a 32-bit lane sums one block in 16 bits and
 * one vpmaddwd applies both multipliers:
 *
 *     lane of a line       a0 a1 b0 b1                first block a, second block b
 *     after 8 lines        sum (x + 127) a | sum (x + 127) b
 *     vpmaddwd             m_a x left + m_b x right
 *
 * The 127 adds 127 x sum(m code) to a group's total, which depends on the weights alone: totals
 * start at its negative. No sum of a block has a start of its own, so it must fit 16 bits with the
 * 127 in it: positive codes may add up to 129 at most, and so may negative ones (254 x 129 =
 * 32766). Those of real weights do (the largest of 276,480 blocks was 96); expand_group checks all
 * of them, and a group with a wider one goes through multiply_wrapped. Bytes multiplier x code
 * would need a vpmaddwd for every pair. */
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_few.h"
#include "simd/x86/avx2_packed.h"
#include "simd/x86/avx2_tile.h"

enum {
    FEW = 12,               /* most tokens that use codes as they are decoded, up to 4 at a time */
    LIFT = 127,             /* activations + 127 are unsigned */
    WIDEST = 129,           /* largest sum of a block's codes of one sign; see above */
    PAIR_LINES = 2 * LINES, /* expanded lines of a slice, each 2 k of both blocks x 16 rows */
    MULTIPLIERS_AT = PAIR_LINES * PITH_LINE_BYTES,
    SLICE_BYTES = MULTIPLIERS_AT + PITH_LINE_BYTES, /* of an expanded slice */
    STARTS_AT = FULL * SLICE_BYTES,                 /* int32_t [16]: -127 x sum(m code) */
    WRAPS_AT = STARTS_AT + PITH_LINE_BYTES,         /* int32_t: not 0 when a block is too wide */
    GROUP_BYTES = WRAPS_AT + PITH_LINE_BYTES,
};

/* ---- Few tokens ------------------------------------------------------------------------------ */

PITH_INLINE void tile_of(const pith_product *p, size_t row, size_t first, size_t n,
                         pith_hint hint) {
    few_tile(p, row, first, n, PITH_TYPE_INT4, false, hint);
}

PITH_FEW_TILES(tile_of)

static const few_size sizes[] = {PITH_FEW_SIZES};

/* ---- Many tokens: expansion ------------------------------------------------------------------ */

PITH_INLINE void store_256(void *p, __m256i v) {
    _mm256_store_si256((__m256i *)p, v);
}

/* Sixteen bytes in both halves. */
PITH_INLINE __m256i table_of(const int8_t *bytes) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)bytes));
}

/* Two lines of half a slice from a packed one: lane a0 a1 b0 b1 of codes, then a2 a3 b2 b3. */
PITH_INLINE void decode_pairs(__m256i packed, __m256i table, __m256i *codes) {
    const __m256i low_nibble = _mm256_set1_epi8(15);
    __m256i first = _mm256_blend_epi16(packed, _mm256_slli_epi32(packed, 12), 0xaa);
    __m256i second =
        _mm256_blend_epi16(_mm256_srli_epi32(packed, 16), _mm256_srli_epi32(packed, 4), 0xaa);
    codes[0] = _mm256_shuffle_epi8(table, _mm256_and_si256(first, low_nibble));
    codes[1] = _mm256_shuffle_epi8(table, _mm256_and_si256(second, low_nibble));
}

/* The multipliers of 8 rows in 16 bits, the first block's in the lower half of a lane. */
PITH_INLINE __m256i decode_multiplier_pairs(const uint8_t *packed, __m256i table) {
    __m256i rows = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)packed));
    rows = _mm256_or_si256(rows, _mm256_slli_epi32(rows, 12)); /* low nibbles of both halves */
    __m256i m = _mm256_shuffle_epi8(table, _mm256_and_si256(rows, _mm256_set1_epi32(0x000f000f)));
    return _mm256_srai_epi16(_mm256_slli_epi16(m, 8), 8);
}

/* Sums over the halves of a slice. */
typedef struct slice_sums {
    __m256i start;  /* sum(m code), in 32 bits */
    __m256i widest; /* the largest 2 x the sum of a block's codes of one sign, in 16 bits */
} slice_sums;

/* Half a slice (8 rows) to codes and multipliers at `to`. */
PITH_INLINE void expand_half(const uint8_t *lines, uintptr_t ahead, const uint8_t *multipliers,
                             uint8_t *to, slice_sums *sums) {
    const __m256i table = table_of(pith_int4_codes);
    const __m256i one = _mm256_set1_epi8(1);
    __m256i sum = _mm256_setzero_si256(); /* of bytes: at most 8 x 10 in magnitude */
    __m256i magnitude = _mm256_setzero_si256();
    PITH_UNROLL
    for (size_t j = 0; j < LINES; j++) {
        __m256i codes[2];
        prefetch_ahead(lines + j * PITH_LINE_BYTES, ahead);
        decode_pairs(load_256(lines + j * PITH_LINE_BYTES), table, codes);
        store_256(to + 2 * j * PITH_LINE_BYTES, codes[0]);
        store_256(to + (2 * j + 1) * PITH_LINE_BYTES, codes[1]);
        sum = _mm256_add_epi8(sum, _mm256_add_epi8(codes[0], codes[1]));
        magnitude = _mm256_add_epi8(magnitude, _mm256_add_epi8(_mm256_abs_epi8(codes[0]),
                                                               _mm256_abs_epi8(codes[1])));
    }
    __m256i m = decode_multiplier_pairs(multipliers, table_of(pith_int4_multipliers));
    store_256(to + MULTIPLIERS_AT, m);
    sum = _mm256_maddubs_epi16(one, sum);
    magnitude = _mm256_maddubs_epi16(one, magnitude);
    sums->start = _mm256_add_epi32(sums->start, _mm256_madd_epi16(sum, m));
    sums->widest =
        _mm256_max_epi16(sums->widest, _mm256_add_epi16(magnitude, _mm256_abs_epi16(sum)));
}

static void expand_group(const pith_packed_group *group, uint8_t *out) {
    const size_t slices = group->n_lines / PAIR_LINES;
    const uint8_t *multipliers = group->lines + slices * LINES * PITH_LINE_BYTES;
    slice_sums sums[HALVES] = {0};
    for (size_t s = 0; s < slices; s++) {
        PITH_UNROLL
        for (size_t h = 0; h < HALVES; h++) {
            expand_half(group->lines + s * LINES * PITH_LINE_BYTES + h * HALF_BYTES, group->ahead,
                        multipliers + s * PITH_TILE_ROWS + h * HALF_ROWS,
                        out + s * SLICE_BYTES + h * HALF_BYTES, &sums[h]);
        }
    }
    PITH_UNROLL
    for (size_t h = 0; h < HALVES; h++) {
        store_256(out + STARTS_AT + h * HALF_BYTES,
                  _mm256_mullo_epi32(sums[h].start, _mm256_set1_epi32(-LIFT)));
    }
    __m256i wide = _mm256_cmpgt_epi16(_mm256_max_epi16(sums[0].widest, sums[1].widest),
                                      _mm256_set1_epi16(2 * WIDEST));
    int32_t wraps = _mm256_movemask_epi8(wide);
    __builtin_memcpy(out + WRAPS_AT, &wraps, sizeof wraps);
}

/* ---- Many tokens: register tiles ------------------------------------------------------------- */

/* Activations + 127 of a group [n, PITH_INT4_GROUP], in the order of the expanded lines. Codes are
 * padded to 256 k, so those of a whole group can be read. */
static void lift_activations(const pith_tile_step *step, size_t n, uint8_t *out) {
    const __m256i pairs = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15));
    for (size_t t = 0; t < n; t++) {
        const int8_t *codes = step->codes + t * step->code_stride;
        uint8_t *to = out + t * PITH_INT4_GROUP;
        PITH_UNROLL
        for (size_t i = 0; i < PITH_INT4_GROUP; i += PITH_INT4_SLICE) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i));
            x = _mm256_add_epi8(x, _mm256_set1_epi8(LIFT));
            x = _mm256_permute4x64_epi64(x, 0xd8); /* 8 k of each block, twice */
            store_256(to + i, _mm256_shuffle_epi8(x, pairs));
        }
    }
}

/* -127 x the codes of 8 rows and both blocks of a slice, where their sums start when they wrap:
 * such sums are exact modulo 2^16, and at the end within 160 x 127. */
PITH_INLINE __m256i wrapped_start(const uint8_t *w) {
    __m256i start = _mm256_setzero_si256();
    PITH_UNROLL
    for (size_t j = 0; j < PAIR_LINES; j++) {
        __m256i codes = load_256(w + j * PITH_LINE_BYTES);
        start = _mm256_sub_epi16(start, _mm256_maddubs_epi16(_mm256_set1_epi8(LIFT), codes));
    }
    return start;
}

/* One tile of a step for `n` tokens from `token` on; `n` and `wraps` are constants. */
PITH_INLINE void multiply_tile(const pith_tile_step *step, const uint8_t *x, size_t i_tile,
                               size_t token, size_t n, bool wraps) {
    const uint8_t *w = step->weights + i_tile * step->tile_stride;
    x += token * PITH_INT4_GROUP;
    __m256i total[HALVES * PITH_TILE_TOKENS];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        total[i] =
            wraps ? _mm256_setzero_si256() : load_256(w + STARTS_AT + i % HALVES * HALF_BYTES);
    }
    for (size_t s = 0; s < step->n_lines / PAIR_LINES; s++) {
        __m256i sum[HALVES * PITH_TILE_TOKENS];
        PITH_UNROLL
        for (size_t j = 0; j < PAIR_LINES; j++) {
            const __m256i codes[HALVES] = {load_256(w + j * PITH_LINE_BYTES),
                                           load_256(w + j * PITH_LINE_BYTES + HALF_BYTES)};
            PITH_UNROLL
            for (size_t i = 0; i < HALVES * n; i++) {
                const uint8_t *four = x + i / HALVES * PITH_INT4_GROUP + 4 * j;
                __m256i v = broadcast_codes((const int8_t *)four);
                v = _mm256_maddubs_epi16(v, codes[i % HALVES]);
                sum[i] = j > 0   ? add_16(sum[i], v)
                         : wraps ? add_16(wrapped_start(w + i % HALVES * HALF_BYTES), v)
                                 : v;
            }
        }
        PITH_UNROLL
        for (size_t i = 0; i < HALVES * n; i++) {
            __m256i m = load_256(w + MULTIPLIERS_AT + i % HALVES * HALF_BYTES);
            add_to_memory(&total[i], _mm256_madd_epi16(sum[i], m));
        }
        w += SLICE_BYTES;
        x += PITH_INT4_SLICE;
    }
    add_tile(step->y + token * PITH_TILE_STRIDE + i_tile * PITH_TILE_ROWS, PITH_TILE_STRIDE, total,
             step->scales[i_tile], step->x_scales + token * step->scale_stride, step->scale_stride,
             n);
}

/* Rare, so one token at a time is enough. */
static void multiply_wrapped(const pith_tile_step *step, const uint8_t *x, size_t i_tile,
                             size_t n) {
    for (size_t t = 0; t < n; t++) {
        multiply_tile(step, x, i_tile, t, 1, true);
    }
}

PITH_INLINE void multiply(const pith_tile_step *step, size_t n) {
    _Alignas(64) uint8_t x[PITH_TILE_TOKENS * PITH_INT4_GROUP];
    lift_activations(step, n, x);
    for (size_t i = 0; i < step->n_tiles; i++) {
        int32_t wraps;
        __builtin_memcpy(&wraps, step->weights + i * step->tile_stride + WRAPS_AT, sizeof wraps);
        if (wraps != 0) {
            multiply_wrapped(step, x, i, n);
        } else {
            multiply_tile(step, x, i, 0, n, false);
        }
    }
}

static void multiply_6(const pith_tile_step *step) {
    multiply(step, 6);
}

static void multiply_4(const pith_tile_step *step) {
    multiply(step, 4);
}

static void multiply_2(const pith_tile_step *step) {
    multiply(step, 2);
}

static void multiply_1(const pith_tile_step *step) {
    multiply(step, 1);
}

void pith_product_int4_avx2(const pith_product *p) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
        return;
    }
    const size_t tile_bytes = pith_int4_tile_bytes(p->k);
    const pith_tile_format format = {.tile_bytes = tile_bytes,
                                     .scales_at =
                                         tile_bytes -
                                         pith_scales_bytes(pith_groups(p->k, PITH_INT4_GROUP)),
                                     .n_lines = p->k / 4,
                                     .group_lines = PITH_INT4_GROUP / 4,
                                     .group_bytes = pith_int4_group_bytes(FULL),
                                     .expanded_bytes = GROUP_BYTES,
                                     .expand = expand_group,
                                     .multiply_6 = multiply_6,
                                     .multiply_4 = multiply_4,
                                     .multiply_2 = multiply_2,
                                     .multiply_1 = multiply_1};
    pith_many_tokens_avx2(p, &format);
}
