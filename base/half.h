/* Half floats in software: IEEE 754 binary16 and bfloat16 to and from float, round to nearest even.
 * Exact for every bit pattern; NaN stays NaN. These are the reference for the vector versions. */
#ifndef PITH_BASE_HALF_H
#define PITH_BASE_HALF_H

#include <stdint.h>

float pith_f16_to_f32(uint16_t half);
uint16_t pith_f32_to_f16(float value); /* beyond 65504: infinity */
float pith_bf16_to_f32(uint16_t half);
uint16_t pith_f32_to_bf16(float value);

#endif
