/* Widening of GGUF's tensors to float32, in the order of operations of gguf-py, so that every bit
 * is the reference's. A value is a scale, or the product of two, times a small integer, in some
 * types with a minimum besides; each type's table of bytes stands above its function. Products are
 * made once for each run of values with the same scale, where that gives the same bits. */
#include "weights/gguf_blocks.h"

#include "base/half.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A half float anywhere in a block. */
static float half_at(const unsigned char *bytes) {
    uint16_t half;
    memcpy(&half, bytes, sizeof half);
    return pith_f16_to_f32(half);
}

/* ---- Floats ---------------------------------------------------------------------------------- */

static void widen_f32(const unsigned char *raw, size_t n, float *restrict out) {
    memcpy(out, raw, n * sizeof *out);
}

static void widen_f16(const unsigned char *raw, size_t n, float *restrict out) {
    for (size_t i = 0; i < n; i++) {
        out[i] = half_at(raw + 2 * i);
    }
}

static void widen_bf16(const unsigned char *raw, size_t n, float *restrict out) {
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, raw + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

/* ---- Blocks of 32 ---------------------------------------------------------------------------- */

/* f16 d; i8 q[32]: q d */
static void widen_q8_0(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 32, block += 34, out += 32) {
        const float d = half_at(block);
        for (size_t i = 0; i < 32; i++) {
            out[i] = (float)(int8_t)block[2 + i] * d;
        }
    }
}

/* f16 d; u8 q[16], the first half of the values in the low nibbles: (q - 8) d */
static void widen_q4_0(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 32, block += 18, out += 32) {
        const float d = half_at(block);
        for (size_t i = 0; i < 16; i++) {
            out[i] = (float)((block[2 + i] & 15) - 8) * d;
            out[i + 16] = (float)((block[2 + i] >> 4) - 8) * d;
        }
    }
}

/* f16 d, m; u8 q[16]: q d + m */
static void widen_q4_1(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 32, block += 20, out += 32) {
        const float d = half_at(block);
        const float m = half_at(block + 2);
        for (size_t i = 0; i < 16; i++) {
            out[i] = (float)(block[4 + i] & 15) * d + m;
            out[i + 16] = (float)(block[4 + i] >> 4) * d + m;
        }
    }
}

/* The 5-bit integers of Q5_0 and Q5_1: a word whose bit i is bit 4 of value i, then nibbles. */
static void five_bits(const unsigned char *bytes, int q[32]) {
    uint32_t high;
    memcpy(&high, bytes, sizeof high);
    for (size_t i = 0; i < 16; i++) {
        q[i] = (bytes[4 + i] & 15) | (int)(high >> i & 1) << 4;
        q[i + 16] = bytes[4 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
    }
}

/* f16 d; u32 high; u8 q[16]: (q - 16) d */
static void widen_q5_0(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 32, block += 22, out += 32) {
        int q[32];
        const float d = half_at(block);
        five_bits(block + 2, q);
        for (size_t i = 0; i < 32; i++) {
            out[i] = (float)(q[i] - 16) * d;
        }
    }
}

/* f16 d, m; u32 high; u8 q[16]: q d + m */
static void widen_q5_1(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 32, block += 24, out += 32) {
        int q[32];
        const float d = half_at(block);
        const float m = half_at(block + 2);
        five_bits(block + 4, q);
        for (size_t i = 0; i < 32; i++) {
            out[i] = (float)q[i] * d + m;
        }
    }
}

/* The values that the nibbles of IQ4_NL and IQ4_XS stand for, denser around zero. */
static const int8_t iq4_codes[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                     1,    13,   25,  38,  53,  69,  89,  113};

static void widen_codes(const unsigned char *nibbles, const int8_t codes[16], float d,
                        float *restrict out) {
    for (size_t i = 0; i < 16; i++) {
        out[i] = d * (float)codes[nibbles[i] & 15];
        out[i + 16] = d * (float)codes[nibbles[i] >> 4];
    }
}

/* f16 d; u8 q[16]: code[q] d */
static void widen_iq4_nl(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 32, block += 18, out += 32) {
        widen_codes(block + 2, iq4_codes, half_at(block), out);
    }
}

/* u8 e; u8 q[16]: code[q] 2^(e - 128), codes twice those of FP4 E2M1. The lowest two powers are
 * subnormal floats. */
static void widen_mxfp4(const unsigned char *block, size_t n, float *restrict out) {
    static const int8_t codes[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    for (; n > 0; n -= 32, block += 17, out += 32) {
        float d;
        uint32_t bits =
            block[0] < 2 ? UINT32_C(0x00200000) << block[0] : ((uint32_t)block[0] - 1) << 23;
        memcpy(&d, &bits, sizeof d);
        widen_codes(block + 1, codes, d, out);
    }
}

/* ---- Blocks of 256 --------------------------------------------------------------------------- */

/* u8 scales[16], low nibble of d, high nibble of m; u8 q[64]; f16 d, m: s d q - s m. In each half
 * of the block 32 bytes hold four planes of two bits, and each plane 32 values with two scales. */
static void widen_q2_k(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 256, block += 84) {
        const float d = half_at(block + 80);
        const float m = half_at(block + 82);
        for (size_t run = 0; run < 16; run++, out += 16) {
            const unsigned char *q = block + 16 + run / 8 * 32 + run % 2 * 16;
            const unsigned shift = run % 8 / 2 * 2;
            const float scale = d * (float)(block[run] & 15);
            const float least = m * (float)(block[run] >> 4);
            for (size_t i = 0; i < 16; i++) {
                out[i] = scale * (float)(q[i] >> shift & 3) - least;
            }
        }
    }
}

/* u8 mask[32]; u8 q[64]; u8 scales[12]; f16 d: (s - 32) d (q - 4), without the 4 where the bit of
 * the plane is set in the mask. A scale has 4 bits in the first 8 bytes and 2 in the last 4. */
static void widen_q3_k(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 256, block += 110) {
        const unsigned char *scales = block + 96;
        const float d = half_at(block + 108);
        for (size_t run = 0; run < 16; run++, out += 16) {
            const unsigned char *q = block + 32 + run / 8 * 32 + run % 2 * 16;
            const unsigned char *mask = block + run % 2 * 16;
            const size_t plane = run / 2;
            const unsigned shift = (unsigned)(plane % 4 * 2);
            const int low = run < 8 ? scales[run] & 15 : scales[run - 8] >> 4;
            const int high = scales[8 + run % 4] >> (run / 4 * 2) & 3;
            const float scale = d * (float)((low | high << 4) - 32);
            for (size_t i = 0; i < 16; i++) {
                int offset = mask[i] >> plane & 1 ? 0 : 4;
                out[i] = scale * (float)((q[i] >> shift & 3) - offset);
            }
        }
    }
}

/* Scale and minimum j of the 8 of Q4_K and Q5_K, 6 bits each in 12 bytes: those of 4 to 7 have
 * their upper two bits in the upper bits of 0 to 3. */
static void six_bits(const unsigned char *s, size_t j, int *scale, int *least) {
    if (j < 4) {
        *scale = s[j] & 63;
        *least = s[j + 4] & 63;
    } else {
        *scale = (s[j + 4] & 15) | s[j - 4] >> 6 << 4;
        *least = s[j + 4] >> 4 | s[j] >> 6 << 4;
    }
}

/* f16 d, m; u8 scales[12]; u8 q[128]: s d q - s' m. 32 bytes hold 64 values: the low nibbles are
 * the first 32, with one pair of scales, the high ones the next. */
static void widen_q4_k(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 256, block += 144) {
        const float d = half_at(block);
        const float m = half_at(block + 2);
        for (size_t j = 0; j < 8; j++, out += 32) {
            const unsigned char *q = block + 16 + j / 2 * 32;
            const unsigned shift = j % 2 * 4;
            int s, t;
            six_bits(block + 4, j, &s, &t);
            const float scale = d * (float)s;
            const float least = m * (float)t;
            for (size_t i = 0; i < 32; i++) {
                out[i] = scale * (float)(q[i] >> shift & 15) - least;
            }
        }
    }
}

/* f16 d, m; u8 scales[12]; u8 high[32]; u8 q[128]: as Q4_K, bit j of high[i] is bit 4 of run j. */
static void widen_q5_k(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 256, block += 176) {
        const unsigned char *high = block + 16;
        const float d = half_at(block);
        const float m = half_at(block + 2);
        for (size_t j = 0; j < 8; j++, out += 32) {
            const unsigned char *q = block + 48 + j / 2 * 32;
            const unsigned shift = j % 2 * 4;
            int s, t;
            six_bits(block + 4, j, &s, &t);
            const float scale = d * (float)s;
            const float least = m * (float)t;
            for (size_t i = 0; i < 32; i++) {
                int value = (q[i] >> shift & 15) | (high[i] >> j & 1) << 4;
                out[i] = scale * (float)value - least;
            }
        }
    }
}

/* u8 low[128]; u8 high[64]; i8 scales[16]; f16 d: s d (q - 32). In each half of the block run j of
 * 32 values has its low bits in the nibbles of low[32 (j % 2)], the low ones for j < 2, and its two
 * high bits in plane j of high[32]. */
static void widen_q6_k(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 256, block += 210) {
        const float d = half_at(block + 208);
        for (size_t run = 0; run < 16; run++, out += 16) {
            const size_t j = run % 8 / 2;
            const unsigned char *low = block + run / 8 * 64 + j % 2 * 32 + run % 2 * 16;
            const unsigned char *high = block + 128 + run / 8 * 32 + run % 2 * 16;
            const unsigned nibble = (unsigned)(j / 2 * 4);
            const unsigned plane = (unsigned)(j * 2);
            const float scale = d * (float)(int8_t)block[192 + run];
            for (size_t i = 0; i < 16; i++) {
                int q = (low[i] >> nibble & 15) | (high[i] >> plane & 3) << 4;
                out[i] = scale * (float)(q - 32);
            }
        }
    }
}

/* f16 d; u16 high; u8 low[4]; u8 q[128]: (s - 32) d code[q], s of 6 bits for each 32 values. */
static void widen_iq4_xs(const unsigned char *block, size_t n, float *restrict out) {
    for (; n > 0; n -= 256, block += 136) {
        const float d = half_at(block);
        uint16_t high;
        memcpy(&high, block + 2, sizeof high);
        for (size_t j = 0; j < 8; j++, out += 32) {
            int s = (block[4 + j / 2] >> (j % 2 * 4) & 15) | (high >> (2 * j) & 3) << 4;
            widen_codes(block + 8 + j * 16, iq4_codes, d * (float)(s - 32), out);
        }
    }
}

/* ---- The types ------------------------------------------------------------------------------- */

static const pith_gguf_type types[] = {
    {0, "F32", 1, 4, false, widen_f32},
    {1, "F16", 1, 2, false, widen_f16},
    {2, "Q4_0", 32, 18, true, widen_q4_0},
    {3, "Q4_1", 32, 20, true, widen_q4_1},
    {6, "Q5_0", 32, 22, true, widen_q5_0},
    {7, "Q5_1", 32, 24, true, widen_q5_1},
    {8, "Q8_0", 32, 34, true, widen_q8_0},
    {9, "Q8_1", 32, 36, true, NULL},
    {10, "Q2_K", 256, 84, true, widen_q2_k},
    {11, "Q3_K", 256, 110, true, widen_q3_k},
    {12, "Q4_K", 256, 144, true, widen_q4_k},
    {13, "Q5_K", 256, 176, true, widen_q5_k},
    {14, "Q6_K", 256, 210, true, widen_q6_k},
    {15, "Q8_K", 256, 292, true, NULL},
    {16, "IQ2_XXS", 256, 66, true, NULL},
    {17, "IQ2_XS", 256, 74, true, NULL},
    {18, "IQ3_XXS", 256, 98, true, NULL},
    {19, "IQ1_S", 256, 50, true, NULL},
    {20, "IQ4_NL", 32, 18, true, widen_iq4_nl},
    {21, "IQ3_S", 256, 110, true, NULL},
    {22, "IQ2_S", 256, 82, true, NULL},
    {23, "IQ4_XS", 256, 136, true, widen_iq4_xs},
    {24, "I8", 1, 1, false, NULL},
    {25, "I16", 1, 2, false, NULL},
    {26, "I32", 1, 4, false, NULL},
    {27, "I64", 1, 8, false, NULL},
    {28, "F64", 1, 8, false, NULL},
    {29, "IQ1_M", 256, 56, true, NULL},
    {30, "BF16", 1, 2, false, widen_bf16},
    {34, "TQ1_0", 256, 54, true, NULL},
    {35, "TQ2_0", 256, 66, true, NULL},
    {39, "MXFP4", 32, 17, true, widen_mxfp4},
    {40, "NVFP4", 64, 36, true, NULL},
    {41, "Q1_0", 128, 18, true, NULL},
    {42, "Q2_0", 64, 18, true, NULL},
};

enum { N_TYPES = sizeof types / sizeof types[0], LAST_NUMBER = 42 };

const pith_gguf_type *pith_gguf_type_find(unsigned number, bool *removed) {
    for (size_t i = 0; i < N_TYPES; i++) {
        if (types[i].number == number) {
            return &types[i];
        }
    }
    *removed = number <= LAST_NUMBER;
    return NULL;
}

const pith_gguf_type *pith_gguf_type_at(size_t i) {
    return i < N_TYPES ? &types[i] : NULL;
}
