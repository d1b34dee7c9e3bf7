/* A tile unit in software, for the AMX kernels on processors that have none: eight tiles in memory,
 * with the checks that the instructions make (Intel SDM volume 2, LDTILECFG, TILELOADD, TDPBSSD,
 * TILESTORED). What a processor would answer with a fault is remembered and read with
 * tile_unit_fault; the instruction then does nothing. One unit, for one thread. */
#ifndef PITH_TESTS_TILE_UNIT_H
#define PITH_TESTS_TILE_UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first fault since the last call, NULL if there was none. */
const char *tile_unit_fault(void);

/* False before tile_unit_configure and after tile_unit_release. */
bool tile_unit_configured(void);

/* tdpbssd so far. */
size_t tile_unit_products(void);

/* The instructions. `config` [64] as in memory. */
void tile_unit_configure(const void *config);
void tile_unit_release(void);
void tile_unit_zero(unsigned tile);
void tile_unit_load(unsigned tile, const void *from, size_t stride);
void tile_unit_store(unsigned tile, void *to, size_t stride);
void tile_unit_multiply(unsigned sum, unsigned a, unsigned b);

#endif
