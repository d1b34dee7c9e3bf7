/* Register tiles of 32 rows x 6 tokens: 12 integer sums that start at the token's group offset, and
 * 12 float outputs that stay in registers across the groups of a chunk. Per line of 4 k: two loads
 * of weights, six broadcasts of activations, twelve vpdpbusd. */
#include "simd/vnni_tile.h"
#include "simd/avx512_vector.h"
#include "simd/blocks.h"

enum {
    TOKENS = 6,
    MAX_SUMS = 2 * TOKENS,
};

/* Integer sums of one group. */
PITH_INLINE void group_sums(const uint8_t *lines, size_t n_lines, const int8_t *codes,
                            size_t code_stride, __m512i *sum, size_t tiles, size_t tokens) {
#pragma GCC unroll 4
    for (size_t j = 0; j < n_lines; j++) {
        __m512i w[2];
        PITH_UNROLL
        for (size_t i = 0; i < tiles; i++) {
            w[i] = _mm512_load_si512(lines + (j * tiles + i) * PITH_LINE_BYTES);
        }
        PITH_UNROLL
        for (size_t t = 0; t < tokens; t++) {
            __m512i x = broadcast_codes(codes + t * code_stride + 4 * j);
            PITH_UNROLL
            for (size_t i = 0; i < tiles; i++) {
                sum[t * tiles + i] = _mm512_dpbusd_epi32(sum[t * tiles + i], w[i], x);
            }
        }
    }
}

/* `tokens` tokens from token `first` of the product on; tiles and tokens are constants. */
PITH_INLINE void register_tile(const pith_product *p, const pith_chunk *c, size_t first,
                               size_t tiles, size_t tokens) {
    const pith_activations *x = p->x;
    size_t token = p->first_token + first;
    const int8_t *codes = x->codes + token * x->code_stride + c->first_group * c->group_lines * 4;
    const float *x_scales = x->scales + token * x->scale_stride + c->first_group;
    const int32_t *offset = x->group_offset + token * x->scale_stride + c->first_group;
    float *y = p->y + first * p->y_stride + c->row;
    __m512 out[MAX_SUMS];
    PITH_UNROLL
    for (size_t i = 0; i < tiles * tokens; i++) {
        out[i] = c->first_group == 0
                     ? _mm512_setzero_ps()
                     : _mm512_load_ps(y + i / tiles * p->y_stride + i % tiles * PITH_TILE_ROWS);
    }
    for (size_t g = 0; g < c->n_groups; g++) {
        size_t begin = g * c->group_lines;
        size_t n = c->n_lines - begin < c->group_lines ? c->n_lines - begin : c->group_lines;
        __m512i sum[MAX_SUMS];
        PITH_UNROLL
        for (size_t i = 0; i < tiles * tokens; i++) {
            sum[i] = _mm512_set1_epi32(offset[i / tiles * x->scale_stride + g]);
        }
        group_sums(c->lines + begin * tiles * PITH_LINE_BYTES, n, codes + begin * 4, x->code_stride,
                   sum, tiles, tokens);
        __m512 d[2];
        PITH_UNROLL
        for (size_t i = 0; i < tiles; i++) {
            d[i] = _mm512_cvtph_ps(
                _mm256_load_si256((const __m256i *)(c->scales[i] + g * PITH_TILE_ROWS)));
        }
        PITH_UNROLL
        for (size_t i = 0; i < tiles * tokens; i++) {
            __m512 s = _mm512_set1_ps(x_scales[i / tiles * x->scale_stride + g]);
            out[i] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[i]), _mm512_mul_ps(d[i % tiles], s), out[i]);
        }
    }
    PITH_UNROLL
    for (size_t i = 0; i < tiles * tokens; i++) {
        _mm512_store_ps(y + i / tiles * p->y_stride + i % tiles * PITH_TILE_ROWS, out[i]);
    }
}

PITH_INLINE void all_tokens(const pith_product *p, const pith_chunk *c, size_t tiles) {
    size_t t = 0;
    for (; t + TOKENS <= p->n_tokens; t += TOKENS) {
        register_tile(p, c, t, tiles, TOKENS);
    }
    for (; t + 2 <= p->n_tokens; t += 2) {
        register_tile(p, c, t, tiles, 2);
    }
    if (t < p->n_tokens) {
        register_tile(p, c, t, tiles, 1);
    }
}

void pith_chunk_product_vnni(const pith_product *p, const pith_chunk *c) {
    if (c->tiles == 2) {
        all_tokens(p, c, 2);
    } else {
        all_tokens(p, c, 1);
    }
}
