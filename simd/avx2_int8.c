/* int8 products with AVX2: vpmaddubsw multiplies |weight| by the activation with the weight's sign,
 * which cannot saturate (2 x 128 x 127 < 2^15); vpmaddwd with ones widens the pairs. A tile is two
 * registers of 8 rows, read once from memory and again from the cache for every 3 tokens. */
#include "simd/avx2.h"
#include "simd/avx2_vector.h"
#include "simd/blocks.h"

enum {
    GROUP_LINES = PITH_INT8_GROUP / 4,
    TOKENS = 3,
    AHEAD = 8 << 10, /* prefetch distance in bytes */
};

/* Integer sums of one group, sum[2 * token + half], for `tokens` tokens (a constant). */
PITH_INLINE void group_sums(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                            size_t code_stride, __m256i *sum, size_t tokens) {
    const __m256i ones = _mm256_set1_epi16(1);
    PITH_UNROLL
    for (size_t i = 0; i < 2 * tokens; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    for (size_t j = 0; j < n_lines; j++) {
        const uint8_t *line = lines + j * PITH_LINE_BYTES;
        prefetch_ahead(line, AHEAD);
        __m256i w[2];
        __m256i magnitude[2];
        PITH_UNROLL
        for (size_t h = 0; h < 2; h++) {
            w[h] = _mm256_load_si256((const __m256i *)(const void *)(line + 32 * h));
            magnitude[h] = _mm256_abs_epi8(w[h]);
        }
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            __m256i x = broadcast_codes(codes + t * code_stride + 4 * j);
            PITH_UNROLL
            for (size_t h = 0; h < 2; h++) {
                __m256i pairs = _mm256_maddubs_epi16(magnitude[h], _mm256_sign_epi8(x, w[h]));
                sum[2 * t + h] = _mm256_add_epi32(sum[2 * t + h], _mm256_madd_epi16(pairs, ones));
            }
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
        __m256i sum[2 * TOKENS];
        group_sums(tile + begin * PITH_LINE_BYTES, n, codes + begin * 4, x->code_stride, sum,
                   tokens);
        PITH_UNROLL
        for (size_t i = 0; i < 2 * tokens; i++) {
            const uint16_t *half = scales + g * PITH_TILE_ROWS + i % 2 * 8;
            __m256 d = _mm256_cvtph_ps(_mm_load_si128((const __m128i *)half));
            __m256 s = _mm256_set1_ps(x_scales[i / 2 * x->scale_stride + g]);
            float *out = y + i / 2 * p->y_stride + i % 2 * 8;
            __m256 before = g == 0 ? _mm256_setzero_ps() : _mm256_load_ps(out);
            _mm256_store_ps(out, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i]), _mm256_mul_ps(d, s),
                                                 before));
        }
    }
}

void pith_product_int8_avx2(const pith_product *p) {
    size_t tile_bytes = pith_int8_tile_bytes(p->k);
    for (size_t row = 0; row < p->n_rows; row += PITH_TILE_ROWS) {
        const uint8_t *tile = (const uint8_t *)p->weights + row / PITH_TILE_ROWS * tile_bytes;
        size_t t = 0;
        for (; t + TOKENS <= p->n_tokens; t += TOKENS) {
            tile_product(p, tile, row, t, TOKENS);
        }
        for (; t < p->n_tokens; t++) {
            tile_product(p, tile, row, t, 1);
        }
    }
}
