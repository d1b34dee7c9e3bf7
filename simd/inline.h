/* How the vector files get their register tiles: bodies with constant sizes, inlined at every call,
 * and loops over those sizes unrolled, so that small arrays become registers. */
#ifndef PITH_SIMD_INLINE_H
#define PITH_SIMD_INLINE_H

#define PITH_INLINE static inline __attribute__((always_inline))

/* Before a loop of at most 24 steps, a constant number after inlining: unrolls it completely. GCC
 * unrolls on its own only what gets shorter; clang reads GCC's pragma as a factor and leaves the
 * rest of the loop. Under AddressSanitizer the loops stay loops: every access has a check of its
 * own, and thousands of them in one function take a compiler minutes. */
#if defined(__SANITIZE_ADDRESS__)
#define PITH_UNROLL
#elif !defined(__clang__)
#define PITH_UNROLL _Pragma("GCC unroll 24")
#elif __has_feature(address_sanitizer)
#define PITH_UNROLL
#else
#define PITH_UNROLL _Pragma("clang loop unroll(full)")
#endif

#endif
