/* The constants of pith_exp (simd/kernels.h), shared by every instruction set.
 *
 * exp(x) = 2^n exp(r), n = rint(x / ln 2), r = x - n ln 2 in [-ln 2 / 2, ln 2 / 2] by Cody and
 * Waite's two-part reduction (Cody & Waite 1980, chapter 6): ln2_high has nine significant bits, so
 * n ln2_high is exact. exp(r) = 1 + r + r^2 (c2 + r (c3 + r (c4 + r (c5 + r c6)))), the minimax fit
 * of that form: relative error 3.1e-9 before rounding. The bounds keep 2^n exp(r) a normal float.
 */
#ifndef PITH_SIMD_EXP_H
#define PITH_SIMD_EXP_H

#define PITH_EXP_LOW -87.3f
#define PITH_EXP_HIGH 88.7f
#define PITH_EXP_LOG2E 0x1.715476p+0f
#define PITH_EXP_LN2_HIGH 0x1.63p-1f
#define PITH_EXP_LN2_LOW -0x1.bd0106p-13f
#define PITH_EXP_C2 0x1.fffffcp-2f
#define PITH_EXP_C3 0x1.555492p-3f
#define PITH_EXP_C4 0x1.5558f2p-5f
#define PITH_EXP_C5 0x1.123a20p-7f
#define PITH_EXP_C6 0x1.6a23d0p-10f

#endif
