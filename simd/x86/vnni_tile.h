/* The many-token product shared by int4 and int8: three tiles at a time are expanded to unsigned
 * bytes, then multiplied with all tokens. */
#ifndef PITH_SIMD_VNNI_TILE_H
#define PITH_SIMD_VNNI_TILE_H

#include "simd/blocks.h"
#include "simd/kernels.h"

enum {
    PITH_MANY_TOKENS = 8, /* of a register tile: the fewest pith_many_tokens_vnni takes */
    PITH_EXPANDED_TILES = 3,
    PITH_EXPANDED_STEP = PITH_EXPANDED_TILES * PITH_LINE_BYTES, /* from line to line of a tile */
};

/* How a weight type is packed, for one k. */
typedef struct pith_packed_tiles {
    size_t tile_bytes;
    size_t scales_at;   /* offset in the tile of its f16 scales [n_groups, 16] */
    size_t n_lines;     /* expanded 64-byte lines of 4 k x 16 rows per tile */
    size_t group_lines; /* of a full group; the last may be short */
    size_t group_bytes; /* packed, of a full group */

    /* Writes the first n_lines lines of group `group` of a tile as bytes weight + 128 to `out`,
     * PITH_EXPANDED_STEP bytes apart. */
    void (*expand)(const uint8_t *tile, size_t group, size_t n_lines, uint8_t *out);
} pith_packed_tiles;

void pith_many_tokens_vnni(const pith_product *product, const pith_packed_tiles *packed);

#endif
