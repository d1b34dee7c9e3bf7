/* PITH_UNROLL before a loop of at most 24 steps, a constant number after inlining, unrolls it
 * completely: register tiles live in small arrays, and only constant indices turn those into
 * registers. GCC unrolls on its own only what gets shorter; clang reads GCC's pragma as a factor
 * and leaves the rest of the loop. */
#ifndef PITH_SIMD_UNROLL_H
#define PITH_SIMD_UNROLL_H

#if defined(__clang__)
#define PITH_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PITH_UNROLL _Pragma("GCC unroll 24")
#endif

#endif
