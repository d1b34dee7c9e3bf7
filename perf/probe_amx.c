/* The limit of AMX int8: tdpbssd, 16 x 16 sums of 64 byte products each. */
#include "perf/probe.h"

#include "simd/x86/amx_unit.h"

/* One round: 8 tdpbssd for each of six tiles of sums. A product takes 16 cycles and its sums are
 * there after 52 (Intel's optimization manual), so four tiles would do. Operands are one line,
 * repeated for every row. */
uint64_t pith_probe_int8_amx(const unsigned char *operands, size_t n_rounds) {
    static const pith_tile_config config = PITH_TILE_CONFIG_FULL;
    const size_t repeated = 0;
    _Alignas(64) uint64_t sums[6][PITH_TILE_LINES][8];
    uint64_t checksum = 0;
    tile_configure(&config);
    tile_load(6, operands, repeated);
    tile_load(7, operands + 64, repeated);
    tile_zero(0);
    tile_zero(1);
    tile_zero(2);
    tile_zero(3);
    tile_zero(4);
    tile_zero(5);
    for (size_t r = 0; r < n_rounds * 8; r++) {
        tile_products(0, 6, 7);
        tile_products(1, 6, 7);
        tile_products(2, 6, 7);
        tile_products(3, 6, 7);
        tile_products(4, 6, 7);
        tile_products(5, 6, 7);
    }
    const size_t stride = sizeof sums[0][0];
    tile_store(0, sums[0], stride);
    tile_store(1, sums[1], stride);
    tile_store(2, sums[2], stride);
    tile_store(3, sums[3], stride);
    tile_store(4, sums[4], stride);
    tile_store(5, sums[5], stride);
    tile_release();
    for (size_t i = 0; i < 6; i++) {
        checksum += sums[i][i][i];
    }
    return checksum;
}
