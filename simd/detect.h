/* What the choice of a kernel table depends on, so that tests can choose for any CPU. */
#ifndef PITH_SIMD_DETECT_H
#define PITH_SIMD_DETECT_H

#include "simd/kernels.h"

/* Bits of what CPU and operating system offer together. */
enum {
    PITH_CPU_AVX2 = 1 << 0, /* with FMA and F16C */
    PITH_CPU_AVX_VNNI = 1 << 1,
    PITH_CPU_AVX512 = 1 << 2, /* F, BW, VL and DQ */
    PITH_CPU_AVX512_VNNI = 1 << 3,
    PITH_CPU_AMX_INT8 = 1 << 4, /* with tiles, which the system may still refuse to a process */
    PITH_CPU_NEON = 1 << 5,
    PITH_CPU_NEON_DOT = 1 << 6,
    PITH_CPU_NEON_I8MM = 1 << 7,
    PITH_CPU_ALL = (1 << 8) - 1,
};

/* The bits of this CPU, by CPUID and XCR0 on x86; changes nothing in the process. pith_kernels_find
 * asks the system for the use of tiles, when the table that it found needs them. */
unsigned pith_cpu_features(void);

/* The table that a CPU with these bits gets by name, or when name is NULL the best one of those
 * that need not be named (all but amx-int8, which has run on tiles in software only); NULL when
 * it can run none of that name. */
const pith_kernels *pith_kernels_choose(const char *name, unsigned features);

#endif
