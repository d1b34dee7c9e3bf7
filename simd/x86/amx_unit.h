/* The tile instructions of AMX as statements for the compiler (Intel SDM volume 1, chapter 18, and
 * volume 2). Tiles have numbers 0 to 7, literals. They are macros, so that tests/tile_unit.h can
 * put a unit in software in their place.
 *
 * Not the compiler's own: GCC 12 does not know that its `_tile_loadd` reads memory, and drops or
 * moves stores before it; its `_tile_loadconfig` names 8 of the 64 bytes that it reads. */
#ifndef PITH_SIMD_AMX_UNIT_H
#define PITH_SIMD_AMX_UNIT_H

#include <stddef.h>
#include <stdint.h>

enum {
    PITH_TILE_LINES = 16,      /* rows of a tile, of 64 bytes */
    PITH_TILE_READS = 1 << 30, /* bytes that a load may read, for the compiler to know */
};

/* What tile_configure reads: the sizes of eight tiles. */
typedef struct pith_tile_config {
    uint8_t palette;   /* 1 */
    uint8_t start_row; /* of an interrupted load or store */
    uint8_t reserved_0[14];
    uint16_t row_bytes[8]; /* at most 64 */
    uint8_t reserved_1[16];
    uint8_t rows[8]; /* at most 16 */
    uint8_t reserved_2[8];
} pith_tile_config;

/* All eight tiles as large as they can be, 16 rows of 64 bytes. */
#define PITH_TILE_CONFIG_FULL                                        \
    {                                                                \
        .palette = 1, .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64}, \
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},                    \
    }

/* Makes the tiles of this thread usable and zero: needs the permission of simd/detect.c. Until
 * tile_release, switching threads costs 8 KB more. `config` is a const pith_tile_config *. */
#define tile_configure(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(config)))
#define tile_release() __asm__ volatile("tilerelease")

#define tile_zero(tile) __asm__ volatile("tilezero %%tmm" #tile : :)

/* Rows of a tile from and to memory, `stride` bytes (a size_t) apart. */
#define tile_load(tile, from, stride)                             \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile           \
                     :                                            \
                     : "r"((const uint8_t *)(from)), "r"(stride), \
                       "m"(*(const uint8_t(*)[PITH_TILE_READS])(from)))
#define tile_store(tile, to, stride)                        \
    __asm__ volatile("tilestored %%tmm" #tile ", (%0,%1,1)" \
                     :                                      \
                     : "r"((uint8_t *)(to)), "r"(stride)    \
                     : "memory")

/* sum[m][n] += a[m][4 k + i] x b[k][4 n + i] over k < 16 and i < 4: signed bytes, 32-bit sums that
 * wrap. Three different tiles. */
#define tile_products(sum, a, b) \
    __asm__ volatile("tdpbssd %%tmm" #b ", %%tmm" #a ", %%tmm" #sum : :)

#endif
