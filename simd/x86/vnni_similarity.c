/* The int8 dot product of whole vectors with VNNI. vpdpbusd multiplies unsigned by signed bytes:
 * a + 128 by b, and 128 times the sum of b is taken off at the end. */
#include "simd/inline.h"
#include "simd/x86/vnni.h"

#include <immintrin.h>

int32_t pith_dot_int8_vnni(const int8_t *a, const int8_t *b, size_t n) {
    const __m512i flip = _mm512_set1_epi8(-128);
    __m512i acc = _mm512_setzero_si512();
    __m512i offset = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 some = n - i >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (n - i)) - 1;
        __m512i x = _mm512_maskz_loadu_epi8(some, a + i);
        __m512i y = _mm512_maskz_loadu_epi8(some, b + i);
        acc = _mm512_dpbusd_epi32(acc, _mm512_xor_si512(x, flip), y);
        offset = _mm512_dpbusd_epi32(offset, flip, y);
    }
    return _mm512_reduce_add_epi32(_mm512_sub_epi32(acc, offset));
}
