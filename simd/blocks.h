/* Packed weights: the int4 and int8 tile layouts, common to the file and to every instruction set.
 * docs/format.md draws them byte by byte.
 *
 * A tile is 16 rows of a [rows, k] matrix (rows padded with zero rows to 16). A line is 64 bytes:
 * 4 consecutive k of 16 rows, lane r (4 bytes) belonging to row r.
 *
 * int8, group 128: lines of signed codes for k = 0, 4, 8, ... (k padded with zeros to a multiple of
 * 4), then f16 scales [n_groups, 16], zero-padded to 64 bytes.
 *     weight[row][k] = scale[k / 128][row] * code
 *
 * int4, group 256, k a multiple of 32: per group, for each slice of 32 k, 4 lines of nibbles: line
 * j holds k = 4j..4j+3 of the slice's first 16-block in the low nibbles and of its second 16-block
 * in the high nibbles; then the multipliers of the group, 16 bytes per slice (byte r: row r; low
 * nibble first block, high nibble second), zero-padded to 64 bytes. After the last group f16 scales
 * [n_groups, 16], zero-padded to 64 bytes.
 *     weight[row][k] = scale[k / 256][row] * (multipliers[m] * codes[q])        -- (...) fits int8
 */
#ifndef PITH_SIMD_BLOCKS_H
#define PITH_SIMD_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

enum {
    PITH_TILE_ROWS = 16,
    PITH_LINE_BYTES = 64,
    PITH_INT4_GROUP = 256,
    PITH_INT4_SLICE = 32,
    PITH_INT4_BLOCK = 16,
    PITH_INT8_GROUP = 128,
    PITH_INT4_OFFSET = 10,  /* codes + 10 are unsigned */
    PITH_INT8_OFFSET = 128, /* int8 + 128 is unsigned */
};

extern const int8_t pith_int4_codes[16];       /* -10 -8 -7 -5 -4 -3 -2 -1 0 1 2 3 4 5 7 9 */
extern const int8_t pith_int4_multipliers[16]; /* 3..10, then -3..-10 */

static inline size_t pith_groups(size_t k, size_t group) {
    return (k + group - 1) / group;
}

/* Bytes of one tile; k at most 2^30 (int4: a multiple of 32). */
static inline size_t pith_scales_bytes(size_t n_groups) {
    return (n_groups * PITH_TILE_ROWS * 2 + 63) / 64 * 64;
}

static inline size_t pith_int8_tile_bytes(size_t k) {
    return (k + 3) / 4 * PITH_LINE_BYTES + pith_scales_bytes(pith_groups(k, PITH_INT8_GROUP));
}

/* Bytes of the nibbles and multipliers of one int4 group with `slices` slices (8 when full). */
static inline size_t pith_int4_group_bytes(size_t slices) {
    return slices * 4 * PITH_LINE_BYTES + (slices * 16 + 63) / 64 * 64;
}

static inline size_t pith_int4_tile_bytes(size_t k) {
    size_t full = k / PITH_INT4_GROUP;
    size_t rest = k % PITH_INT4_GROUP / PITH_INT4_SLICE;
    return full * pith_int4_group_bytes(PITH_INT4_GROUP / PITH_INT4_SLICE) +
           (rest != 0 ? pith_int4_group_bytes(rest) : 0) +
           pith_scales_bytes(pith_groups(k, PITH_INT4_GROUP));
}

#endif
