/* int8 products with AVX-512 but without VNNI: vpmaddubsw multiplies |weight| by the activation
 * with the weight's sign, which cannot saturate (2 x 128 x 127 < 2^15); vpmaddwd with ones widens
 * the pairs. A tile is read once from memory and again from the cache for every 6 tokens. */
#include "simd/blocks.h"
#include "simd/x86/avx512.h"
#include "simd/x86/avx512_vector.h"

enum {
    GROUP_LINES = PITH_INT8_GROUP / 4,
    TOKENS = 6,
    AHEAD = 8 << 10, /* prefetch distance in bytes */
};

/* Integer sums of one group for `tokens` tokens (a constant). */
PITH_INLINE void group_sums(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                            size_t code_stride, __m512i *sum, size_t tokens) {
    const __m512i zero = _mm512_setzero_si512();
    const __m512i ones = _mm512_set1_epi16(1);
    PITH_UNROLL
    for (size_t t = 0; t < tokens; t++) {
        sum[t] = zero;
    }
    for (size_t j = 0; j < n_lines; j++) {
        prefetch_ahead(lines + j * PITH_LINE_BYTES, AHEAD);
        __m512i w = _mm512_load_si512(lines + j * PITH_LINE_BYTES);
        __m512i magnitude = _mm512_abs_epi8(w);
        __mmask64 negative = _mm512_movepi8_mask(w);
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            __m512i x = broadcast_codes(codes + t * code_stride + 4 * j);
            x = _mm512_mask_sub_epi8(x, negative, zero, x);
            __m512i pairs = _mm512_maddubs_epi16(magnitude, x);
            sum[t] = _mm512_add_epi32(sum[t], _mm512_madd_epi16(pairs, ones));
        }
    }
}

/* One tile for `tokens` tokens (a constant) from token `first` of the product on. */
PITH_INLINE void tile_product(const pith_product *p, const uint8_t *tile, size_t row, size_t first,
                              size_t tokens) {
    const pith_activations *x = p->x;
    size_t token = p->first_token + first;
    const int8_t *codes = x->codes + token * x->code_stride;
    const float *x_scales = x->scales + token * x->scale_stride;
    float *y = p->y + first * p->y_stride + row;
    size_t n_lines = (p->k + 3) / 4;
    const uint16_t *scales = (const uint16_t *)(const void *)(tile + n_lines * PITH_LINE_BYTES);
    for (size_t begin = 0; begin < n_lines; begin += GROUP_LINES) {
        size_t g = begin / GROUP_LINES;
        size_t n = n_lines - begin < GROUP_LINES ? n_lines - begin : GROUP_LINES;
        __m512i sum[TOKENS];
        group_sums(tile + begin * PITH_LINE_BYTES, n, codes + begin * 4, x->code_stride, sum,
                   tokens);
        __m512 d =
            _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(scales + g * PITH_TILE_ROWS)));
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            float *out = y + t * p->y_stride;
            __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(x_scales[t * x->scale_stride + g]));
            __m512 before = g == 0 ? _mm512_setzero_ps() : _mm512_load_ps(out);
            _mm512_store_ps(out, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[t]), scale, before));
        }
    }
}

void pith_product_int8_avx512(const pith_product *p) {
    size_t tile_bytes = pith_int8_tile_bytes(p->k);
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        size_t t = 0;
        for (; t + TOKENS <= p->n_tokens; t += TOKENS) {
            tile_product(p, tile, row, t, TOKENS);
        }
        for (; t + 2 <= p->n_tokens; t += 2) {
            tile_product(p, tile, row, t, 2);
        }
        if (t < p->n_tokens) {
            tile_product(p, tile, row, t, 1);
        }
    }
}
