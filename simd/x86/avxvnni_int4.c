/* int4 products with AVX-VNNI. Few tokens use the codes as they are decoded (simd/x86/avx2_few.h);
 * many tokens meet groups expanded once to bytes multiplier x code + 128 (simd/x86/avxvnni_tile.h).
 * Both compute the same integers, so the same floats. */
#include "simd/x86/avx2_few.h"
#include "simd/x86/avx2_packed.h"
#include "simd/x86/avxvnni.h"
#include "simd/x86/avxvnni_tile.h"

enum { FEW = 8 }; /* most tokens that use codes as they are decoded */

PITH_INLINE void tile_of(const pith_product *p, size_t row, size_t first, size_t n,
                         pith_hint hint) {
    few_tile(p, row, first, n, PITH_TYPE_INT4, true, hint);
}

PITH_FEW_TILES(tile_of)

static const few_size sizes[] = {PITH_FEW_SIZES};

/* multiplier x code + 128 of the bytes of a decoded half, from (code + 10) x |multiplier|, at most
 * 190: 16-bit words multiply two bytes and nothing carries. A negative multiplier complements the
 * product, -p = ~p + 1, and `base` holds the rest: 128 -+ 10 |multiplier|. */
typedef struct half_multiplier {
    __m256i magnitude;
    __m256i sign;
    __m256i base;
} half_multiplier;

/* From 16-bit multipliers. */
PITH_INLINE half_multiplier split_multiplier(__m256i m) {
    half_multiplier split;
    split.sign = _mm256_srai_epi16(m, 15);
    split.magnitude = _mm256_abs_epi16(m);
    __m256i base = _mm256_mullo_epi16(m, _mm256_set1_epi16(-PITH_INT4_OFFSET));
    base =
        _mm256_sub_epi16(_mm256_add_epi16(base, _mm256_set1_epi16(PITH_INT8_OFFSET)), split.sign);
    split.base = _mm256_or_si256(base, _mm256_slli_epi16(base, 8));
    return split;
}

static void expand_group(const pith_packed_group *group, uint8_t *out) {
    const __m256i table = table_of_codes();
    const size_t slices = group->n_lines / (2 * LINES);
    const uint8_t *lines = group->lines;
    const uint8_t *packed = lines + slices * LINES * PITH_LINE_BYTES;
    for (size_t s = 0; s < slices; s++) {
        __m256i m[2 * HALVES];
        decode_multipliers(packed + s * PITH_TILE_ROWS, m, false);
        PITH_UNROLL
        for (size_t i = 0; i < 2 * HALVES; i++) {
            half_multiplier split = split_multiplier(_mm256_srai_epi16(m[i], MULTIPLIER_SHIFT));
            const uint8_t *half = lines + i % HALVES * HALF_BYTES;
            PITH_UNROLL
            for (size_t j = 0; j < LINES; j++) {
                prefetch_ahead(half + j * PITH_LINE_BYTES, group->ahead);
                __m256i code = decode_half(load_256(half + j * PITH_LINE_BYTES), table, i / HALVES);
                __m256i product = _mm256_mullo_epi16(code, split.magnitude);
                product = _mm256_add_epi8(_mm256_xor_si256(product, split.sign), split.base);
                _mm256_store_si256((__m256i *)(void *)(out +
                                                       (i / HALVES * LINES + j) * PITH_LINE_BYTES +
                                                       i % HALVES * HALF_BYTES),
                                   product);
            }
        }
        lines += LINES * PITH_LINE_BYTES;
        out += 2 * LINES * PITH_LINE_BYTES;
    }
}

void pith_product_int4_avxvnni(const pith_product *p) {
    if (p->n_tokens <= FEW) {
        few_tokens(p, sizes);
        return;
    }
    const size_t tile_bytes = pith_int4_tile_bytes(p->k);
    const pith_tile_format format = {
        .tile_bytes = tile_bytes,
        .scales_at = tile_bytes - pith_scales_bytes(pith_groups(p->k, PITH_INT4_GROUP)),
        .n_lines = p->k / 4,
        .group_lines = PITH_INT4_GROUP / 4,
        .group_bytes = pith_int4_group_bytes(FULL),
        .expanded_bytes = (size_t)PITH_INT4_GROUP / 4 * PITH_LINE_BYTES,
        .expand = expand_group,
        .multiply_6 = pith_multiply_6_avxvnni,
        .multiply_4 = pith_multiply_4_avxvnni,
        .multiply_2 = pith_multiply_2_avxvnni,
        .multiply_1 = pith_multiply_1_avxvnni};
    pith_many_tokens_avx2(p, &format);
}
