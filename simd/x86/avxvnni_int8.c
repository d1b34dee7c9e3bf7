/* int8 products with AVX-VNNI. Few tokens read the packed lines directly (simd/x86/avx2_few.h);
 * many tokens meet lines made unsigned once (simd/x86/avxvnni_tile.h). */
#include "simd/x86/avx2_few.h"
#include "simd/x86/avx2_packed.h"
#include "simd/x86/avxvnni.h"
#include "simd/x86/avxvnni_tile.h"

enum {
    GROUP_LINES = PITH_INT8_GROUP / 4,
    FEW = 16, /* most tokens that read the packed lines directly */
};

PITH_INLINE void tile_of(const pith_product *p, size_t row, size_t first, size_t n,
                         pith_hint hint) {
    few_tile(p, row, first, n, PITH_TYPE_INT8, true, hint);
}

PITH_FEW_TILES(tile_of)

static const few_size sizes[] = {PITH_FEW_SIZES};

static void expand_group(const pith_packed_group *group, uint8_t *out) {
    const __m256i top = _mm256_set1_epi8(-128);
    const uint8_t *lines = group->lines;
    for (size_t i = 0; i < group->n_lines * HALVES; i++) {
        prefetch_ahead(lines + i * HALF_BYTES, group->ahead);
        _mm256_store_si256((__m256i *)(void *)(out + i * HALF_BYTES),
                           _mm256_xor_si256(load_256(lines + i * HALF_BYTES), top));
    }
}

void pith_product_int8_avxvnni(const pith_product *p) {
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
                                     .expanded_bytes = (size_t)GROUP_LINES * PITH_LINE_BYTES,
                                     .expand = expand_group,
                                     .multiply_6 = pith_multiply_6_avxvnni,
                                     .multiply_4 = pith_multiply_4_avxvnni,
                                     .multiply_2 = pith_multiply_2_avxvnni,
                                     .multiply_1 = pith_multiply_1_avxvnni};
    pith_many_tokens_avx2(p, &format);
}
