/* The constants of the GELU (simd/kernels.h), shared by every instruction set.
 *
 * gelu(x) = x Phi(x), Phi the normal distribution (Hendrycks & Gimpel 2016); Phi(x) = 1/2 + h(x),
 * h(x) = erf(x / sqrt 2) / 2 = x P(x^2) / Q(x^2), the minimax fit of that form with degrees 5 and 5
 * on [-5.5, 5.5]: error 1.7e-8 relative to max(h, 0.02) before rounding. All coefficients are
 * positive, so nothing cancels, and at the bounds the quotient is 1/2: beyond them gelu is x or 0.
 */
#ifndef PITH_SIMD_GELU_H
#define PITH_SIMD_GELU_H

#define PITH_GELU_BOUND 5.5f
#define PITH_GELU_P0 0x1.988452p-2f
#define PITH_GELU_P1 0x1.121f6ep-5f
#define PITH_GELU_P2 0x1.30da9ap-8f
#define PITH_GELU_P3 0x1.593636p-13f
#define PITH_GELU_P4 0x1.a6eb78p-18f
#define PITH_GELU_P5 0x1.89ecdep-26f
#define PITH_GELU_Q1 0x1.008e90p-2f
#define PITH_GELU_Q2 0x1.d19a1ap-6f
#define PITH_GELU_Q3 0x1.e7cf6cp-10f
#define PITH_GELU_Q4 0x1.2ebe18p-14f
#define PITH_GELU_Q5 0x1.41db4ap-20f

#endif
