/* Which kernel tables this CPU can run. On x86 an instruction set counts when CPUID reports it and
 * the operating system saves its registers (XCR0): Intel SDM volume 1, sections 13.3 and 14.3.
 * Tiles must also be asked for, which is done when a table needs them. On AArch64 the kernel's
 * auxiliary vector says so (Linux, Documentation/arm64/elf_hwcaps). */
#include "simd/detect.h"
#include "simd/scalar/scalar.h"

#include <stdbool.h>
#include <string.h>

/* Best first. `needs`: all of these bits. */
typedef struct table_entry {
    const pith_kernels *kernels;
    unsigned needs;
    bool by_name; /* not chosen unless it is named */
} table_entry;

#if defined(__x86_64__)

#include "simd/x86/amx.h"
#include "simd/x86/avx2.h"
#include "simd/x86/avx512.h"
#include "simd/x86/avxvnni.h"
#include "simd/x86/vnni.h"

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    XCR0_AVX = 0x06,           /* XMM and YMM state */
    LEAF7_1_AVX_VNNI = 1 << 4, /* in EAX of subleaf 1; not in every <cpuid.h> */
    XCR0_AVX512 = 0xe6,        /* and opmask, the upper halves and ZMM16-31 */
    XCR0_AMX = 0x60000,        /* tile configuration and data */
    LEAF7_AMX_TILE = 1 << 24,  /* in EDX; not in every <cpuid.h> */
    LEAF7_AMX_INT8 = 1 << 25,
    ARCH_REQ_XCOMP_PERM = 0x1023, /* <asm/prctl.h> of Linux 5.16 */
    XFEATURE_XTILE_DATA = 18,
};

static uint64_t read_xcr0(void) {
    uint32_t low;
    uint32_t high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Asks Linux for the 8 KB of tile registers (Documentation/arch/x86/xstate.rst): until a process
 * has, a tile instruction ends it. The answer holds for all its threads, present and future, and is
 * no when the system forbids it or a thread has too small a stack for signals. To ask again is a
 * system call that changes nothing. */
static bool permit_tiles(void) {
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA) == 0;
}

/* CPUID leaf 1 and leaf 7, with what XCR0 allows. */
unsigned pith_cpu_features(void) {
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    unsigned features = 0;
    const unsigned leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1) {
        return features;
    }
    uint64_t xcr0 = read_xcr0();
    if ((xcr0 & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        (b & bit_AVX2) == 0) {
        return features;
    }
    features |= PITH_CPU_AVX2;
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    if ((b & avx512) == avx512 && (xcr0 & XCR0_AVX512) == XCR0_AVX512) {
        features |= PITH_CPU_AVX512;
        features |= (c & bit_AVX512VNNI) != 0 ? PITH_CPU_AVX512_VNNI : 0U;
    }
    const unsigned amx = LEAF7_AMX_TILE | LEAF7_AMX_INT8;
    if ((features & PITH_CPU_AVX512_VNNI) != 0 && (d & amx) == amx &&
        (xcr0 & XCR0_AMX) == XCR0_AMX) {
        features |= PITH_CPU_AMX_INT8;
    }
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & LEAF7_1_AVX_VNNI) != 0) {
        features |= PITH_CPU_AVX_VNNI;
    }
    return features;
}

enum {
    AVX512 = PITH_CPU_AVX2 | PITH_CPU_AVX512,
    AVX512_VNNI = AVX512 | PITH_CPU_AVX512_VNNI,
    AMX_INT8 = AVX512_VNNI | PITH_CPU_AMX_INT8, /* its table also holds VNNI kernels */
    AVX_VNNI = PITH_CPU_AVX2 | PITH_CPU_AVX_VNNI,
};

static const table_entry tables[] = {
    {&pith_kernels_amx_int8, AMX_INT8, true}, /* run in software so far */
    {&pith_kernels_avx512_vnni, AVX512_VNNI, false},
    {&pith_kernels_avx512, AVX512, false},
    {&pith_kernels_avx_vnni, AVX_VNNI, false},
    {&pith_kernels_avx2, PITH_CPU_AVX2, false},
    {&pith_kernels_scalar, 0, false},
};

const char *const pith_kernel_names[] = {"amx-int8", "avx512-vnni", "avx512", "avx-vnni",
                                         "avx2",     "scalar",      NULL};

/* The compiler's run-time library has asked CPUID and XCR0 when the program was loaded. */
const pith_kernels *pith_kernels_best(void) {
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        return &pith_kernels_scalar;
    }
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq")) {
        return &pith_kernels_avx2;
    }
    return __builtin_cpu_supports("avx512vnni") ? &pith_kernels_avx512_vnni : &pith_kernels_avx512;
}

#elif defined(__AARCH64EL__) && defined(__linux__)

#include "simd/arm/dot.h"
#include "simd/arm/i8mm.h"
#include "simd/arm/neon.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

unsigned pith_cpu_features(void) {
    unsigned features = (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0 ? PITH_CPU_NEON : 0U;
    features |= (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0 ? PITH_CPU_NEON_DOT : 0U;
    features |= (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0 ? PITH_CPU_NEON_I8MM : 0U;
    return features;
}

enum {
    NEON_DOT = PITH_CPU_NEON | PITH_CPU_NEON_DOT,
    NEON_I8MM = NEON_DOT | PITH_CPU_NEON_I8MM, /* its table also holds dot product kernels */
};

static const table_entry tables[] = {
    {&pith_kernels_neon_i8mm, NEON_I8MM, false},
    {&pith_kernels_neon_dot, NEON_DOT, false},
    {&pith_kernels_neon, PITH_CPU_NEON, false},
    {&pith_kernels_scalar, 0, false},
};

const char *const pith_kernel_names[] = {"neon-i8mm", "neon-dot", "neon", "scalar", NULL};

#else

unsigned pith_cpu_features(void) {
    return 0;
}

static const table_entry tables[] = {{&pith_kernels_scalar, 0, false}};

const char *const pith_kernel_names[] = {"scalar", NULL};

#endif

const pith_kernels *pith_kernels_choose(const char *name, unsigned features) {
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const pith_kernels *kernels = tables[i].kernels;
        if ((name == NULL ? !tables[i].by_name : strcmp(name, kernels->name) == 0) &&
            (features & tables[i].needs) == tables[i].needs) {
            return kernels;
        }
    }
    return NULL;
}

#if !defined(__x86_64__)
/* There are none. */
static bool permit_tiles(void) {
    return false;
}
#endif

/* Asks for tiles only when the table would be another one without them: the permission stays with
 * the process, and stacks for signals that have no room for tiles are refused from then on. */
const pith_kernels *pith_kernels_find(const char *name) {
    const unsigned features = pith_cpu_features();
    const pith_kernels *kernels = pith_kernels_choose(name, features);
    const pith_kernels *without =
        pith_kernels_choose(name, features & ~(unsigned)PITH_CPU_AMX_INT8);
    return kernels == without || permit_tiles() ? kernels : without;
}

#if !defined(__x86_64__)
/* Elsewhere finding is cheap: the auxiliary vector is in memory. */
const pith_kernels *pith_kernels_best(void) {
    return pith_kernels_find(NULL);
}
#endif
