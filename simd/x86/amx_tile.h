/* The many-token product of int8 and int4 with AMX: signed bytes of up to four tiles of weights
 * meet all tokens in register tiles of 32 rows x 32 tokens. */
#ifndef PITH_SIMD_AMX_TILE_H
#define PITH_SIMD_AMX_TILE_H

#include "simd/blocks.h"
#include "simd/kernels.h"

enum {
    PITH_AMX_TOKENS = 16, /* of a tile of activations: the fewest pith_many_tokens_amx takes */
};

/* How a weight type is packed, for one k. */
typedef struct pith_amx_format {
    size_t tile_bytes;
    size_t scales_at;   /* offset in the tile of its f16 scales [n_groups, 16] */
    size_t n_lines;     /* of 4 k x 16 rows per tile */
    size_t group_lines; /* of a full group, 32 or 64; the last may be short */
    size_t group_bytes; /* packed, of a full group */

    /* Writes the n_lines lines of a packed group as signed bytes to `out`, line after line; NULL:
     * they lie like that in the tile. */
    void (*expand)(const uint8_t *group, size_t n_lines, uint8_t *out);
} pith_amx_format;

/* At least PITH_AMX_TOKENS tokens. Uses this thread's tiles and releases them. */
void pith_many_tokens_amx(const pith_product *product, const pith_amx_format *format);

#endif
