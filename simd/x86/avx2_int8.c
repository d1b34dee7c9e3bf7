/* int8 products with AVX2. Few tokens read the packed lines directly (simd/x86/avx2_few.h). Many
 * tokens meet weights and activations widened to 16 bits once, for vpmaddwd: as many
 * multiplications as vpmaddubsw and the widening of its pairs take, and no signs to move. Both are
 * split by shifts into the even and the odd k of each four. */
#include "simd/x86/avx2.h"
#include "simd/x86/avx2_few.h"
#include "simd/x86/avx2_packed.h"
#include "simd/x86/avx2_tile.h"

enum {
    GROUP_LINES = PITH_INT8_GROUP / 4,
    FEW = 12,                             /* most tokens that read the packed lines directly */
    PAIRS = 2,                            /* even and odd k of a line */
    WIDE_BYTES = PAIRS * PITH_LINE_BYTES, /* of a widened line: [PAIRS, 16 rows, 2 k] */
    STRIDE = PITH_INT8_GROUP,             /* 16-bit activations of a token, [PAIRS, 32 lines, 2] */
    ODD = STRIDE / PAIRS,
};

/* ---- Few tokens ------------------------------------------------------------------------------ */

PITH_INLINE void tile_of(const pith_product *p, size_t row, size_t first, size_t n,
                         pith_hint hint) {
    few_tile(p, row, first, n, PITH_TYPE_INT8, false, hint);
}

PITH_FEW_TILES(tile_of)

static const few_size sizes[] = {PITH_FEW_SIZES};

/* ---- Many tokens ----------------------------------------------------------------------------- */

PITH_INLINE __m256i even_codes(__m256i codes) {
    return _mm256_srai_epi16(_mm256_slli_epi16(codes, 8), 8);
}

PITH_INLINE __m256i odd_codes(__m256i codes) {
    return _mm256_srai_epi16(codes, 8);
}

static void expand_group(const pith_packed_group *group, uint8_t *out) {
    const uint8_t *lines = group->lines;
    for (size_t j = 0; j < group->n_lines; j++) {
        prefetch_ahead(lines, group->ahead);
        PITH_UNROLL
        for (size_t h = 0; h < HALVES; h++) {
            __m256i w = load_256(lines + h * HALF_BYTES);
            __m256i *to = (__m256i *)(void *)(out + h * HALF_BYTES);
            _mm256_store_si256(to, even_codes(w));
            _mm256_store_si256(to + HALVES, odd_codes(w));
        }
        lines += PITH_LINE_BYTES;
        out += WIDE_BYTES;
    }
}

/* Activations [n, STRIDE], by line: the even pairs, then the odd ones. Codes are padded to 256 k,
 * so those of a whole group can be read. */
static void widen_activations(const pith_tile_step *step, size_t n, int16_t *out) {
    for (size_t t = 0; t < n; t++) {
        const int8_t *codes = step->codes + t * step->code_stride;
        PITH_UNROLL
        for (size_t i = 0; i < PITH_INT8_GROUP; i += HALF_BYTES) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(codes + i));
            __m256i *to = (__m256i *)(void *)(out + t * STRIDE + i / 2);
            _mm256_store_si256(to, even_codes(v));
            _mm256_store_si256(to + ODD * 2 / HALF_BYTES, odd_codes(v));
        }
    }
}

/* One tile of a step for `n` tokens (a constant). */
PITH_INLINE void multiply_tile(const pith_tile_step *step, const int16_t *x, size_t i_tile,
                               size_t n) {
    const uint8_t *w = step->weights + i_tile * step->tile_stride;
    __m256i sum[HALVES * PITH_TILE_TOKENS];
    PITH_UNROLL
    for (size_t i = 0; i < HALVES * n; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    for (size_t j = 0; j < step->n_lines; j++) {
        PITH_UNROLL
        for (size_t i = 0; i < PAIRS * HALVES * n; i++) {
            size_t odd = i / (HALVES * n);
            size_t t = i / HALVES % n;
            __m256i pair = broadcast_codes((const int8_t *)(x + t * STRIDE + odd * ODD));
            __m256i half = load_256(w + odd * PITH_LINE_BYTES + i % HALVES * HALF_BYTES);
            __m256i *to = &sum[HALVES * t + i % HALVES];
            *to = add_32(*to, _mm256_madd_epi16(half, pair));
        }
        w += WIDE_BYTES;
        x += 2;
    }
    add_tile(step->y + i_tile * PITH_TILE_ROWS, PITH_TILE_STRIDE, sum, step->scales[i_tile],
             step->x_scales, step->scale_stride, n);
}

PITH_INLINE void multiply(const pith_tile_step *step, size_t n) {
    _Alignas(32) int16_t x[PITH_TILE_TOKENS * STRIDE];
    widen_activations(step, n, x);
    for (size_t i = 0; i < step->n_tiles; i++) {
        multiply_tile(step, x, i, n);
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

void pith_product_int8_avx2(const pith_product *p) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
        return;
    }
    const size_t n_lines = (p->k + 3) / 4;
    const pith_tile_format format = {.tile_bytes = pith_int8_tile_bytes(p->k),
                                     .scales_at = n_lines * PITH_LINE_BYTES,
                                     .n_lines = n_lines,
                                     .group_lines = GROUP_LINES,
                                     .group_bytes = (size_t)GROUP_LINES * PITH_LINE_BYTES,
                                     .expanded_bytes = (size_t)GROUP_LINES * WIDE_BYTES,
                                     .expand = expand_group,
                                     .multiply_6 = multiply_6,
                                     .multiply_4 = multiply_4,
                                     .multiply_2 = multiply_2,
                                     .multiply_1 = multiply_1};
    pith_many_tokens_avx2(p, &format);
}
