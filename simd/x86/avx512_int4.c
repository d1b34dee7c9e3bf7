/* int4 products with AVX-512 but without VNNI. A group of a tile is expanded once to bytes
 * code + 10 and 16-bit multipliers on the stack (5 KB, L1) and used for all tokens. vpmaddubsw and
 * 16-bit additions give the sum of a block of 16 in two halves of a 32-bit lane, at most
 * 20320 in magnitude with the block's offset in it; vpmaddwd multiplies both halves by the block's
 * multiplier and joins them. */
#include "simd/blocks.h"
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

enum {
    FULL = PITH_INT4_GROUP / PITH_INT4_SLICE, /* slices of a full group */
    LINES = 4,                                /* lines of a slice, and of a block */
    BLOCKS = 2 * FULL,
    TOKENS = 6,
    AHEAD = 8 << 10, /* prefetch distance in bytes */
};

/* One group of one tile in ascending k. */
typedef struct expanded {
    _Alignas(64) uint8_t codes[BLOCKS][LINES][PITH_LINE_BYTES]; /* code + 10 */
    int16_t multipliers[BLOCKS][PITH_LINE_BYTES / 2];           /* each row's twice */
    size_t n_blocks;
} expanded;

static void expand_group(const uint8_t *group, size_t slices, expanded *out) {
    const __m512i codes =
        _mm512_broadcast_i32x4(_mm_add_epi8(_mm_loadu_si128((const __m128i *)pith_int4_codes),
                                            _mm_set1_epi8(PITH_INT4_OFFSET)));
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i multipliers =
        _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)pith_int4_multipliers));
    multipliers =
        _mm512_mask_mov_epi16(multipliers, 0xaaaaaaaa, _mm512_slli_epi32(multipliers, 16));
    const uint8_t *packed = group + slices * LINES * PITH_LINE_BYTES;
    out->n_blocks = 2 * slices;
    for (size_t s = 0; s < slices; s++) {
        PITH_UNROLL
        for (size_t j = 0; j < LINES; j++) {
            const uint8_t *line = group + (s * LINES + j) * PITH_LINE_BYTES;
            prefetch_ahead(line, AHEAD);
            __m512i both = _mm512_load_si512(line);
            __m512i low = _mm512_and_si512(both, nibble);
            __m512i high = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            _mm512_store_si512(out->codes[2 * s][j], _mm512_shuffle_epi8(codes, low));
            _mm512_store_si512(out->codes[2 * s + 1][j], _mm512_shuffle_epi8(codes, high));
        }
        __m512i m =
            _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)(packed + s * PITH_TILE_ROWS)));
        _mm512_store_si512(out->multipliers[2 * s], _mm512_permutexvar_epi32(m, multipliers));
        _mm512_store_si512(out->multipliers[2 * s + 1],
                           _mm512_permutexvar_epi32(_mm512_srli_epi32(m, 4), multipliers));
    }
    prefetch_ahead(packed, AHEAD);
    prefetch_ahead(packed + PITH_LINE_BYTES, AHEAD);
}

/* Adds group g to the outputs of `tokens` tokens (a constant) from token `first` of the product. */
PITH_INLINE void add_group(const pith_product *p, const expanded *w, size_t g, __m512 d,
                           size_t first, float *y, size_t tokens) {
    const pith_activations *x = p->x;
    size_t token = p->first_token + first;
    const int8_t *codes = x->codes + token * x->code_stride + g * PITH_INT4_GROUP;
    const int32_t *offset = x->block_offset + token * x->block_stride + g * BLOCKS;
    const float *x_scales = x->scales + token * x->scale_stride + g;
    __m512i total[TOKENS];
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        total[t] = _mm512_setzero_si512();
    }
    for (size_t b = 0; b < w->n_blocks; b++) {
        __m512i sum[TOKENS];
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            int16_t start = (int16_t)offset[t * x->block_stride + b];
            sum[t] = _mm512_maskz_set1_epi16(0x55555555, start);
        }
        PITH_UNROLL
        for (size_t j = 0; j < LINES; j++) {
            __m512i line = _mm512_load_si512(w->codes[b][j]);
            PITH_UNROLL
            for (size_t t = 0; t < tokens; t++) {
                __m512i c = broadcast_codes(codes + t * x->code_stride + 16 * b + 4 * j);
                sum[t] = _mm512_add_epi16(sum[t], _mm512_maddubs_epi16(line, c));
            }
        }
        __m512i m = _mm512_load_si512(w->multipliers[b]);
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            total[t] = _mm512_add_epi32(total[t], _mm512_madd_epi16(sum[t], m));
        }
    }
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        float *out = y + (first + t) * p->y_stride;
        __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x_scales[t * x->scale_stride]));
        __m512 before = g == 0 ? _mm512_setzero_ps() : _mm512_load_ps(out);
        _mm512_store_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[t]), scale, before));
    }
}

void pith_product_int4_avx512(const pith_product *p) {
    size_t n_slices = p->k / PITH_INT4_SLICE;
    size_t n_groups = pith_groups(p->k, PITH_INT4_GROUP);
    size_t tile_bytes = pith_int4_tile_bytes(p->k);
    expanded w;
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        const uint8_t *scales = tile + tile_bytes - pith_scales_bytes(n_groups);
        float *y = p->y + row;
        for (size_t g = 0; g < n_groups; g++) {
            size_t slices = n_slices - g * FULL < FULL ? n_slices - g * FULL : FULL;
            expand_group(tile + g * pith_int4_group_bytes(FULL), slices, &w);
            const uint8_t *half = scales + g * PITH_TILE_ROWS * 2;
            prefetch_ahead(half, tile_bytes); /* the next tile's */
            __m512 d = _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)half));
            size_t t = 0;
            for (; t + TOKENS <= p->n_tokens; t += TOKENS) {
                add_group(p, &w, g, d, t, y, TOKENS);
            }
            for (; t + 2 <= p->n_tokens; t += 2) {
                add_group(p, &w, g, d, t, y, 2);
            }
            if (t < p->n_tokens) {
                add_group(p, &w, g, d, t, y, 1);
            }
        }
    }
}
