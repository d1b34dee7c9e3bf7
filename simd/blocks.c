/* The two tables of the int4 format (simd/blocks.h). */
#include "simd/blocks.h"

const int8_t pith_int4_codes[16] = {-10, -8, -7, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 9};
const int8_t pith_int4_multipliers[16] = {3, 4, 5, 6, 7, 8, 9, 10, -3, -4, -5, -6, -7, -8, -9, -10};
