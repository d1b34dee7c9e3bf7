/* The AVX-512 intrinsics that simd/x86/amx_tile.c, amx_product.c and int4_expand.h use, in plain C
 * under the same names, so that those files can be compiled for, and run on, any x86-64. Each does
 * what Intel's Intrinsics Guide says of it. Included before the files; for nothing else. */
#ifndef PITH_TESTS_SOFTWARE_AVX512_H
#define PITH_TESTS_SOFTWARE_AVX512_H

#include "base/half.h"
#include "simd/inline.h"

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Registers by their elements. Unions and not vectors: how those are passed depends on the
 * compiler's flags. */
typedef union software_512 {
    uint8_t u8[64];
    uint16_t u16[32];
    uint32_t u32[16];
    int32_t s32[16];
    float f32[16];
} software_512;

typedef struct software_256 {
    uint16_t u16[16];
} software_256;

#define SOFTWARE static inline __attribute__((unused))

/* Loops need not become straight code here, and clang says so when they do not. */
#undef PITH_UNROLL
#define PITH_UNROLL

/* An aligned load or store of `size` bytes faults elsewhere. */
SOFTWARE void software_aligned(const void *p, size_t size) {
    if ((uintptr_t)p % size != 0) {
        abort();
    }
}

/* ---- Loads and stores ------------------------------------------------------------------------ */

SOFTWARE software_512 software_load_si512(const void *p) {
    software_512 r;
    software_aligned(p, 64);
    memcpy(&r, p, sizeof r);
    return r;
}

SOFTWARE void software_store_si512(void *p, software_512 v) {
    software_aligned(p, 64);
    memcpy(p, &v, sizeof v);
}

/* Lanes that the mask leaves out are zero and are not read. */
SOFTWARE software_512 software_maskz_load_ps(__mmask16 mask, const void *p) {
    software_512 r;
    software_aligned(p, 64);
    memset(&r, 0, sizeof r);
    for (size_t i = 0; i < 16; i++) {
        if ((mask >> i & 1) != 0) {
            memcpy(&r.f32[i], (const float *)p + i, sizeof(float));
        }
    }
    return r;
}

SOFTWARE software_256 software_load_si256(const software_256 *p) {
    software_aligned(p, 32);
    return *p;
}

/* ---- Floats ---------------------------------------------------------------------------------- */

SOFTWARE software_512 software_set1_ps(float x) {
    software_512 r;
    for (size_t i = 0; i < 16; i++) {
        r.f32[i] = x;
    }
    return r;
}

SOFTWARE software_512 software_mul_ps(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 16; i++) {
        r.f32[i] *= y.f32[i];
    }
    return r;
}

SOFTWARE software_512 software_fmadd_ps(software_512 a, software_512 b, software_512 c) {
    software_512 r = a, y = b, z = c;
    for (size_t i = 0; i < 16; i++) {
        r.f32[i] = fmaf(r.f32[i], y.f32[i], z.f32[i]);
    }
    return r;
}

SOFTWARE software_512 software_cvtepi32_ps(software_512 a) {
    software_512 r = a;
    for (size_t i = 0; i < 16; i++) {
        r.f32[i] = (float)r.s32[i];
    }
    return r;
}

SOFTWARE software_512 software_cvtph_ps(software_256 a) {
    software_512 r;
    for (size_t i = 0; i < 16; i++) {
        r.f32[i] = pith_f16_to_f32(a.u16[i]);
    }
    return r;
}

/* ---- Integers -------------------------------------------------------------------------------- */

SOFTWARE software_512 software_set1_epi8(char x) {
    software_512 r;
    memset(r.u8, x, sizeof r.u8);
    return r;
}

SOFTWARE software_512 software_set1_epi32(int x) {
    software_512 r;
    for (size_t i = 0; i < 16; i++) {
        r.s32[i] = x;
    }
    return r;
}

SOFTWARE software_512 software_broadcast_i32x4(__m128i a) {
    software_512 r;
    for (size_t i = 0; i < 4; i++) {
        memcpy(r.u8 + 16 * i, &a, sizeof a);
    }
    return r;
}

SOFTWARE software_512 software_cvtepi8_epi32(__m128i a) {
    software_512 r;
    int8_t bytes[16];
    memcpy(bytes, &a, sizeof bytes);
    for (size_t i = 0; i < 16; i++) {
        r.s32[i] = bytes[i];
    }
    return r;
}

SOFTWARE software_512 software_cvtepu8_epi32(__m128i a) {
    software_512 r;
    uint8_t bytes[16];
    memcpy(bytes, &a, sizeof bytes);
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] = bytes[i];
    }
    return r;
}

SOFTWARE software_512 software_and_si512(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] &= y.u32[i];
    }
    return r;
}

SOFTWARE software_512 software_or_si512(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] |= y.u32[i];
    }
    return r;
}

SOFTWARE software_512 software_xor_si512(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] ^= y.u32[i];
    }
    return r;
}

SOFTWARE software_512 software_add_epi8(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 64; i++) {
        r.u8[i] = (uint8_t)(r.u8[i] + y.u8[i]);
    }
    return r;
}

SOFTWARE software_512 software_add_epi32(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] += y.u32[i];
    }
    return r;
}

SOFTWARE software_512 software_sub_epi32(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] -= y.u32[i];
    }
    return r;
}

/* The lower 16 bits of every product. */
SOFTWARE software_512 software_mullo_epi16(software_512 a, software_512 b) {
    software_512 r = a, y = b;
    for (size_t i = 0; i < 32; i++) {
        r.u16[i] = (uint16_t)((uint32_t)r.u16[i] * y.u16[i]);
    }
    return r;
}

SOFTWARE software_512 software_abs_epi32(software_512 a) {
    software_512 r = a;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] = r.s32[i] < 0 ? 0U - r.u32[i] : r.u32[i];
    }
    return r;
}

SOFTWARE software_512 software_srli_epi16(software_512 a, unsigned n) {
    software_512 r = a;
    for (size_t i = 0; i < 32; i++) {
        r.u16[i] = (uint16_t)(n > 15 ? 0 : r.u16[i] >> n);
    }
    return r;
}

SOFTWARE software_512 software_srli_epi32(software_512 a, unsigned n) {
    software_512 r = a;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] = n > 31 ? 0 : r.u32[i] >> n;
    }
    return r;
}

SOFTWARE software_512 software_slli_epi32(software_512 a, unsigned n) {
    software_512 r = a;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] = n > 31 ? 0 : r.u32[i] << n;
    }
    return r;
}

SOFTWARE software_512 software_srai_epi32(software_512 a, unsigned n) {
    software_512 r = a;
    for (size_t i = 0; i < 16; i++) {
        uint32_t signs = r.s32[i] < 0 ? UINT32_MAX : 0;
        r.u32[i] = n > 31 ? signs : (uint32_t)(((uint64_t)signs << 32 | r.u32[i]) >> n);
    }
    return r;
}

/* Within each 128 bits: byte index % 16, or 0 when the top bit of the index is set. */
SOFTWARE software_512 software_shuffle_epi8(software_512 a, software_512 index) {
    software_512 r, from = a, at = index;
    for (size_t i = 0; i < 64; i++) {
        r.u8[i] = (at.u8[i] & 0x80) != 0 ? 0 : from.u8[i / 16 * 16 + at.u8[i] % 16];
    }
    return r;
}

SOFTWARE software_512 software_permutexvar_epi32(software_512 index, software_512 a) {
    software_512 r, from = a, at = index;
    for (size_t i = 0; i < 16; i++) {
        r.u32[i] = from.u32[at.u32[i] % 16];
    }
    return r;
}

/* ---- Their names ----------------------------------------------------------------------------- */

#define __m512 software_512
#define __m512i software_512
#define __m256i software_256
#undef _mm512_load_si512
#define _mm512_load_si512 software_load_si512
#undef _mm512_store_si512
#define _mm512_store_si512 software_store_si512
#undef _mm512_load_ps
#define _mm512_load_ps software_load_si512
#undef _mm512_maskz_load_ps
#define _mm512_maskz_load_ps software_maskz_load_ps
#undef _mm512_store_ps
#define _mm512_store_ps software_store_si512
#undef _mm512_set1_ps
#define _mm512_set1_ps software_set1_ps
#undef _mm512_mul_ps
#define _mm512_mul_ps software_mul_ps
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps software_fmadd_ps
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps software_cvtepi32_ps
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps software_cvtph_ps
#undef _mm512_set1_epi8
#define _mm512_set1_epi8 software_set1_epi8
#undef _mm512_set1_epi32
#define _mm512_set1_epi32 software_set1_epi32
#undef _mm512_broadcast_i32x4
#define _mm512_broadcast_i32x4 software_broadcast_i32x4
#undef _mm512_cvtepi8_epi32
#define _mm512_cvtepi8_epi32 software_cvtepi8_epi32
#undef _mm512_cvtepu8_epi32
#define _mm512_cvtepu8_epi32 software_cvtepu8_epi32
#undef _mm512_and_si512
#define _mm512_and_si512 software_and_si512
#undef _mm512_or_si512
#define _mm512_or_si512 software_or_si512
#undef _mm512_xor_si512
#define _mm512_xor_si512 software_xor_si512
#undef _mm512_add_epi8
#define _mm512_add_epi8 software_add_epi8
#undef _mm512_add_epi32
#define _mm512_add_epi32 software_add_epi32
#undef _mm512_sub_epi32
#define _mm512_sub_epi32 software_sub_epi32
#undef _mm512_mullo_epi16
#define _mm512_mullo_epi16 software_mullo_epi16
#undef _mm512_abs_epi32
#define _mm512_abs_epi32 software_abs_epi32
#undef _mm512_srli_epi16
#define _mm512_srli_epi16 software_srli_epi16
#undef _mm512_srli_epi32
#define _mm512_srli_epi32 software_srli_epi32
#undef _mm512_slli_epi32
#define _mm512_slli_epi32 software_slli_epi32
#undef _mm512_srai_epi32
#define _mm512_srai_epi32 software_srai_epi32
#undef _mm512_shuffle_epi8
#define _mm512_shuffle_epi8 software_shuffle_epi8
#undef _mm512_permutexvar_epi32
#define _mm512_permutexvar_epi32 software_permutexvar_epi32
#undef _mm256_load_si256
#define _mm256_load_si256 software_load_si256

#endif
