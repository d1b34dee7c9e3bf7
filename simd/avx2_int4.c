/* int4 products with AVX2. Codes become bytes code + 10; vpmaddubsw and 16-bit additions give the
 * sum of a block of 16 in two halves of a 32-bit lane, at most 20320 in magnitude with the block's
 * offset in it; vpmaddwd multiplies both halves by the block's multiplier and joins them. A tile is
 * two registers of 8 rows. One token uses the codes as they are decoded; several tokens share a
 * group that is decoded once to the stack (5 KB, L1). */
#include "simd/avx2.h"
#include "simd/avx2_vector.h"
#include "simd/blocks.h"

enum {
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full group */
    LINES = 4,                                /* lines of a slice, and of a block */
    BLOCKS = 2 * FULL,
    TOKENS = 3,
    AHEAD = 8 << 10, /* prefetch distance in bytes */
};

/* One group of one packed tile. */
typedef struct group_view {
    const uint8_t *lines;
    const uint8_t *multipliers;
    const uint16_t *scales; /* [16] */
    size_t slices;
    size_t index; /* of the group */
} group_view;

/* ---- Decoding -------------------------------------------------------------------------------- */

PITH_INLINE __m256i table_of_codes(void) {
    __m128i codes = _mm_loadu_si128((const __m128i *)pith_int4_codes);
    return _mm256_broadcastsi128_si256(_mm_add_epi8(codes, _mm_set1_epi8(PITH_INT4_OFFSET)));
}

/* Half a line: code + 10 of the first block (low nibbles) and the second. */
PITH_INLINE void decode_half(const uint8_t *half, __m256i table, __m256i *first, __m256i *second) {
    const __m256i nibble = _mm256_set1_epi8(15);
    prefetch_ahead(half, AHEAD);
    __m256i both = _mm256_load_si256((const __m256i *)(const void *)half);
    __m256i high = _mm256_srli_epi16(both, 4);
    *first = _mm256_shuffle_epi8(table, _mm256_and_si256(both, nibble));
    *second = _mm256_shuffle_epi8(table, _mm256_and_si256(high, nibble));
}

/* 16-bit multipliers, each row's twice, from the low nibbles of bytes that repeat a row's four
 * times. */
PITH_INLINE __m256i widen_multipliers(__m256i bytes) {
    const __m256i table =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)pith_int4_multipliers));
    __m256i index = _mm256_and_si256(bytes, _mm256_set1_epi8(15));
    return _mm256_srai_epi16(_mm256_shuffle_epi8(table, index), 8);
}

/* The multipliers of a slice's two blocks, [2] registers of 8 rows each. */
PITH_INLINE void decode_multipliers(const uint8_t *packed, __m256i *first, __m256i *second) {
    const __m256i row_bytes = _mm256_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4,
                                               4, 4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7);
    __m256i rows = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)packed));
    PITH_UNROLL
    for (size_t h = 0; h < 2; h++) {
        __m256i bytes = _mm256_shuffle_epi8(h == 0 ? rows : _mm256_srli_si256(rows, 8), row_bytes);
        first[h] = widen_multipliers(bytes);
        second[h] = widen_multipliers(_mm256_srli_epi16(bytes, 4));
    }
}

/* A block's offset in the lower half of every 32-bit lane: both halves are added up later. */
PITH_INLINE __m256i start_sum(int32_t offset) {
    return _mm256_blend_epi16(_mm256_set1_epi32(offset), _mm256_setzero_si256(), 0xaa);
}

/* Adds the group's integer sums [2 * tokens] to the outputs of `tokens` tokens from token `first`
 * of the product on; y points at the tile's rows. */
PITH_INLINE void add_sums(const pith_product *p, const __m256i *total, const group_view *group,
                          size_t first, float *y, size_t tokens) {
    const pith_activations *x = p->x;
    size_t g = group->index;
    const float *x_scales = x->scales + (p->first_token + first) * x->scale_stride + g;
    PITH_UNROLL
    for (size_t i = 0; i < 2 * tokens; i++) {
        __m256 d = _mm256_cvtph_ps(_mm_load_si128((const __m128i *)(group->scales + i % 2 * 8)));
        __m256 s = _mm256_set1_ps(x_scales[i / 2 * x->scale_stride]);
        float *out = y + (first + i / 2) * p->y_stride + i % 2 * 8;
        __m256 before = g == 0 ? _mm256_setzero_ps() : _mm256_load_ps(out);
        _mm256_store_ps(out,
                        _mm256_fmadd_ps(_mm256_cvtepi32_ps(total[i]), _mm256_mul_ps(d, s), before));
    }
}

/* ---- One token ------------------------------------------------------------------------------- */

static void add_group_single(const pith_product *p, const group_view *group, float *y) {
    const pith_activations *x = p->x;
    const int8_t *codes =
        x->codes + p->first_token * x->code_stride + group->index * PITH_INT4_GROUP;
    const int32_t *offset =
        x->block_offset + p->first_token * x->block_stride + group->index * BLOCKS;
    const __m256i table = table_of_codes();
    __m256i total[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    for (size_t s = 0; s < group->slices; s++) {
        __m256i m_first[2];
        __m256i m_second[2];
        decode_multipliers(group->multipliers + s * PITH_TILE_ROWS, m_first, m_second);
        PITH_UNROLL
        for (size_t h = 0; h < 2; h++) {
            __m256i first = start_sum(offset[2 * s]);
            __m256i second = start_sum(offset[2 * s + 1]);
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                const int8_t *c = codes + s * PITH_INT4_SLICE + 4 * j;
                __m256i low;
                __m256i high;
                decode_half(group->lines + (s * LINES + j) * PITH_LINE_BYTES + 32 * h, table, &low,
                            &high);
                low = _mm256_maddubs_epi16(low, broadcast_codes(c));
                high = _mm256_maddubs_epi16(high, broadcast_codes(c + PITH_INT4_BLOCK));
                first = _mm256_add_epi16(first, low);
                second = _mm256_add_epi16(second, high);
            }
            total[h] = _mm256_add_epi32(total[h], _mm256_madd_epi16(first, m_first[h]));
            total[h] = _mm256_add_epi32(total[h], _mm256_madd_epi16(second, m_second[h]));
        }
    }
    add_sums(p, total, group, 0, y, 1);
}

/* ---- Several tokens -------------------------------------------------------------------------- */

/* One decoded group of one tile in ascending k. */
typedef struct decoded {
    __m256i codes[BLOCKS][LINES][2]; /* code + 10 */
    __m256i multipliers[BLOCKS][2];
} decoded;

static void decode_group(const group_view *group, decoded *out) {
    const __m256i table = table_of_codes();
    for (size_t s = 0; s < group->slices; s++) {
        PITH_UNROLL
        for (size_t i = 0; i < 2 * LINES; i++) {
            decode_half(group->lines + s * LINES * PITH_LINE_BYTES + 32 * i, table,
                        &out->codes[2 * s][i / 2][i % 2], &out->codes[2 * s + 1][i / 2][i % 2]);
        }
        decode_multipliers(group->multipliers + s * PITH_TILE_ROWS, out->multipliers[2 * s],
                           out->multipliers[2 * s + 1]);
    }
}

/* `tokens` tokens (a constant) from token `first` of the product on. */
PITH_INLINE void add_group_tokens(const pith_product *p, const group_view *group, const decoded *w,
                                  size_t first, float *y, size_t tokens) {
    const pith_activations *x = p->x;
    size_t token = p->first_token + first;
    const int8_t *codes = x->codes + token * x->code_stride + group->index * PITH_INT4_GROUP;
    const int32_t *offset = x->block_offset + token * x->block_stride + group->index * BLOCKS;
    __m256i total[2 * TOKENS];
    PITH_UNROLL
    for (size_t i = 0; i < 2 * tokens; i++) {
        total[i] = _mm256_setzero_si256();
    }
    for (size_t b = 0; b < 2 * group->slices; b++) {
        __m256i sum[2 * TOKENS];
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            sum[2 * t] = start_sum(offset[t * x->block_stride + b]);
            sum[2 * t + 1] = sum[2 * t];
        }
        /* not unrolled: GCC would then reorder the additions and run out of registers */
        for (size_t j = 0; j < LINES; j++) {
            PITH_UNROLL
            for (size_t t = 0; t < tokens; t++) {
                __m256i c = broadcast_codes(codes + t * x->code_stride + 16 * b + 4 * j);
                PITH_UNROLL
                for (size_t h = 0; h < 2; h++) {
                    sum[2 * t + h] = _mm256_add_epi16(sum[2 * t + h],
                                                      _mm256_maddubs_epi16(w->codes[b][j][h], c));
                }
            }
        }
        PITH_UNROLL
        for (size_t i = 0; i < 2 * tokens; i++) {
            __m256i product = _mm256_madd_epi16(sum[i], w->multipliers[b][i % 2]);
            total[i] = _mm256_add_epi32(total[i], product);
        }
    }
    add_sums(p, total, group, first, y, tokens);
}

static void add_group(const pith_product *p, const group_view *group, float *y) {
    decoded w;
    decode_group(group, &w);
    size_t t = 0;
    for (; t + TOKENS <= p->n_tokens; t += TOKENS) {
        add_group_tokens(p, group, &w, t, y, TOKENS);
    }
    for (; t < p->n_tokens; t++) {
        add_group_tokens(p, group, &w, t, y, 1);
    }
}

/* ---- Product --------------------------------------------------------------------------------- */

void pith_product_int4_avx2(const pith_product *p) {
    size_t n_slices = p->k / PITH_INT4_SLICE;
    size_t n_groups = pith_groups(p->k, PITH_INT4_GROUP);
    size_t tile_bytes = pith_int4_tile_bytes(p->k);
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        const uint8_t *scales = tile + tile_bytes - pith_scales_bytes(n_groups);
        for (size_t g = 0; g < n_groups; g++) {
            group_view group = {.lines = tile + g * pith_int4_group_bytes(FULL), .index = g};
            group.slices = n_slices - g * FULL < FULL ? n_slices - g * FULL : FULL;
            group.multipliers = group.lines + group.slices * LINES * PITH_LINE_BYTES;
            group.scales = (const uint16_t *)(const void *)(scales + g * PITH_TILE_ROWS * 2);
            prefetch_ahead(group.multipliers, AHEAD);
            prefetch_ahead(group.multipliers + PITH_LINE_BYTES, AHEAD);
            prefetch_ahead(group.scales, tile_bytes); /* the next tile's */
            if (p->n_tokens == 1) {
                add_group_single(p, &group, p->y + row);
            } else {
                add_group(p, &group, p->y + row);
            }
        }
    }
}
