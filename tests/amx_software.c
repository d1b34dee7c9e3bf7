/* Compiles the AMX kernels on a tile unit in software (tests/amx_software.h). The included files
 * are the library's own; their functions get other names here. */
#include "tests/amx_software.h"

#include "simd/scalar/scalar.h"
#include "simd/x86/amx_unit.h"
#include "tests/software_avx512.h"
#include "tests/tile_unit.h"

#undef tile_configure
#undef tile_release
#undef tile_zero
#undef tile_load
#undef tile_store
#undef tile_products
#define tile_configure tile_unit_configure
#define tile_release tile_unit_release
#define tile_zero tile_unit_zero
#define tile_load tile_unit_load
#define tile_store tile_unit_store
#define tile_products tile_unit_multiply

#define pith_product_int8_amx software_product_int8
#define pith_product_int4_amx software_product_int4
#define pith_product_int8_vnni few_tokens_int8
#define pith_product_int4_vnni few_tokens_int4
#define pith_many_tokens_amx software_many_tokens
#define pith_probe_int8_amx amx_software_probe

#include "perf/probe_amx.c"
#include "simd/x86/amx_product.c"
#include "simd/x86/amx_tile.c"

static size_t n_few;

size_t amx_software_few(void) {
    return n_few;
}

void few_tokens_int8(const pith_product *p) {
    n_few++;
    pith_kernels_scalar.product[PITH_TYPE_INT8](p);
}

void few_tokens_int4(const pith_product *p) {
    n_few++;
    pith_kernels_scalar.product[PITH_TYPE_INT4](p);
}

const pith_kernels amx_software_kernels = {
    .name = "amx-int8 in software",
    .product = {[PITH_TYPE_INT8] = software_product_int8, [PITH_TYPE_INT4] = software_product_int4},
};
