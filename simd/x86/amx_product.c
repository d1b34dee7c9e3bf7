/* int8 and int4 products with AMX. tdpbssd multiplies signed by signed bytes, so weights need no
 * offset and activations no sums. 16 packed lines of int8 are a tile operand as they lie in memory:
 * 64 k x 16 rows. int4 is expanded to multiplier x code, which is at most 100 in magnitude. Sums of
 * a group are exact: at most 128 x 128 x 127 (int8) and 256 x 100 x 127 (int4) in magnitude.
 *
 * Fewer tokens than a tile of activations has rows go to the VNNI kernels: they read the weights
 * once, in the order in which they lie there, and so few products do not keep memory waiting. */
#include "simd/x86/amx.h"
#include "simd/x86/amx_tile.h"
#include "simd/x86/int4_expand.h"
#include "simd/x86/vnni.h"

void pith_product_int8_amx(const pith_product *p) {
    if (p->n_tokens < PITH_AMX_TOKENS) {
        pith_product_int8_vnni(p);
        return;
    }
    const size_t n_lines = (p->k + 3) / 4;
    const pith_amx_format format = {.tile_bytes = pith_int8_tile_bytes(p->k),
                                    .scales_at = n_lines * PITH_LINE_BYTES,
                                    .n_lines = n_lines,
                                    .group_lines = PITH_INT8_GROUP / 4,
                                    .group_bytes = (size_t)PITH_INT8_GROUP / 4 * PITH_LINE_BYTES};
    pith_many_tokens_amx(p, &format);
}

static void expand_int4(const uint8_t *group, size_t n_lines, uint8_t *out) {
    expand_int4_group(group, n_lines, 0, out, PITH_LINE_BYTES);
}

void pith_product_int4_amx(const pith_product *p) {
    if (p->n_tokens < PITH_AMX_TOKENS) {
        pith_product_int4_vnni(p);
        return;
    }
    const size_t bytes = pith_int4_tile_bytes(p->k);
    const size_t scales = pith_scales_bytes(pith_groups(p->k, PITH_INT4_GROUP));
    const pith_amx_format format = {.tile_bytes = bytes,
                                    .scales_at = bytes - scales,
                                    .n_lines = p->k / 4,
                                    .group_lines = PITH_INT4_GROUP / 4,
                                    .group_bytes =
                                        pith_int4_group_bytes(PITH_INT4_GROUP / PITH_INT4_SLICE),
                                    .expand = expand_int4};
    pith_many_tokens_amx(p, &format);
}
