/* binary16 (IEEE 754-2008, 3.6) and bfloat16 in integer arithmetic on the bits of a float.
 *
 * A float has 8 exponent bits with bias 127 and 23 mantissa bits; binary16 has 5, 15 and 10;
 * bfloat16 is the upper half of a float. NaNs keep the payload that fits and become quiet, as the
 * processors' own conversions make them. */
#include "base/half.h"

#include <string.h>

/* Added to a float's bits, this multiplies a normal number by 2^112: 112 = 127 - 15 turns one
 * exponent bias into the other, and twice 112 takes exponent 31 to 255. */
#define REBIAS (UINT32_C(112) << 23)

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float pith_f16_to_f32(uint16_t half) {
    uint32_t sign = (half & UINT32_C(0x8000)) << 16;
    uint32_t magnitude = half & UINT32_C(0x7fff);
    uint32_t bits = (magnitude << 13) + REBIAS;
    if (magnitude >= 0x7c00) { /* infinity or NaN */
        uint32_t quiet = magnitude > 0x7c00 ? UINT32_C(0x400000) : 0;
        bits = (bits + REBIAS) | quiet;
    } else if (magnitude < 0x0400) { /* zero or subnormal: a multiple of 2^-24 */
        bits = bits_of_float((float)magnitude * 0x1p-24f);
    }
    return float_of_bits(sign | bits);
}

uint16_t pith_f32_to_f16(float value) {
    uint32_t bits = bits_of_float(value);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & UINT32_C(0x7fffffff);
    uint32_t half;
    if (magnitude > 0x7f800000) { /* NaN */
        half = 0x7e00 | (magnitude >> 13 & 0x3ff);
    } else if (magnitude >= 0x47800000) { /* 2^16 and above */
        half = 0x7c00;
    } else if (magnitude < 0x38800000) {
        /* Below 2^-14 the result is a multiple of 2^-24, which is the last mantissa bit of a float
         * in [1/2, 1): adding 1/2 rounds there, ties to even. */
        half = bits_of_float(float_of_bits(magnitude) + 0.5f) - bits_of_float(0.5f);
    } else {
        /* A tie rounds to even: half a unit less one, plus the last bit that stays. A carry out of
         * the mantissa raises the exponent, at the top to infinity. */
        uint32_t odd = magnitude >> 13 & 1;
        half = (magnitude - REBIAS + 0xfff + odd) >> 13;
    }
    return (uint16_t)(sign | half);
}

float pith_bf16_to_f32(uint16_t half) {
    return float_of_bits((uint32_t)half << 16);
}

uint16_t pith_f32_to_bf16(float value) {
    uint32_t bits = bits_of_float(value);
    if ((bits & UINT32_C(0x7fffffff)) > 0x7f800000) { /* NaN */
        return (uint16_t)(bits >> 16 | 0x40);
    }
    uint32_t odd = bits >> 16 & 1;
    return (uint16_t)((bits + 0x7fff + odd) >> 16);
}
