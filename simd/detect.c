/* Which kernel tables this CPU can run. On x86 an instruction set counts when CPUID reports it and
 * the operating system saves its registers (XCR0): Intel SDM volume 1, sections 13.3 and 14.3. On
 * AArch64 the kernel's auxiliary vector tells (Linux, Documentation/arm64/elf_hwcaps). */
#include "simd/kernels.h"
#include "simd/scalar.h"

#include <stdbool.h>
#include <string.h>

typedef struct table_entry {
    const pith_kernels *kernels;
    bool (*available)(void);
} table_entry;

static bool always(void) {
    return true;
}

#if defined(__x86_64__)

#include "simd/avx2.h"
#include "simd/avx512.h"
#include "simd/avxvnni.h"
#include "simd/vnni.h"

#include <cpuid.h>

enum {
    XCR0_AVX = 0x06,           /* XMM and YMM state */
    LEAF7_1_AVX_VNNI = 1 << 4, /* in EAX of subleaf 1; not in every <cpuid.h> */
    XCR0_AVX512 = 0xe6,        /* and opmask, the upper halves and ZMM16-31 */
};

static uint64_t read_xcr0(void) {
    uint32_t low;
    uint32_t high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* CPUID leaf 1 and leaf 7, with what XCR0 allows. */
typedef struct cpu_features {
    bool avx2, avx_vnni, avx512, avx512_vnni;
} cpu_features;

static cpu_features detect_features(void) {
    cpu_features f = {false, false, false, false};
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    const unsigned leaf1 = bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & leaf1) != leaf1) {
        return f;
    }
    uint64_t xcr0 = read_xcr0();
    if ((xcr0 & XCR0_AVX) != XCR0_AVX || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return f;
    }
    const unsigned avx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512VL | bit_AVX512DQ;
    f.avx2 = (b & bit_AVX2) != 0;
    f.avx512 = f.avx2 && (b & avx512) == avx512 && (xcr0 & XCR0_AVX512) == XCR0_AVX512;
    f.avx512_vnni = f.avx512 && (c & bit_AVX512VNNI) != 0;
    f.avx_vnni = f.avx2 && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & LEAF7_1_AVX_VNNI) != 0;
    return f;
}

static bool has_avx2(void) {
    return detect_features().avx2;
}

static bool has_avx_vnni(void) {
    return detect_features().avx_vnni;
}

static bool has_avx512(void) {
    return detect_features().avx512;
}

static bool has_avx512_vnni(void) {
    return detect_features().avx512_vnni;
}

static const table_entry tables[] = {
    {&pith_kernels_avx512_vnni, has_avx512_vnni},
    {&pith_kernels_avx512, has_avx512},
    {&pith_kernels_avx_vnni, has_avx_vnni},
    {&pith_kernels_avx2, has_avx2},
    {&pith_kernels_scalar, always},
};

const char *const pith_kernel_names[] = {"avx512-vnni", "avx512", "avx-vnni",
                                         "avx2",        "scalar", NULL};

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

#include "simd/dot.h"
#include "simd/i8mm.h"
#include "simd/neon.h"

#include <asm/hwcap.h>
#include <sys/auxv.h>

static bool has_neon(void) {
    return (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
}

static bool has_neon_dot(void) {
    return has_neon() && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

/* Its table also holds dot product kernels. */
static bool has_neon_i8mm(void) {
    return has_neon_dot() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}

static const table_entry tables[] = {
    {&pith_kernels_neon_i8mm, has_neon_i8mm},
    {&pith_kernels_neon_dot, has_neon_dot},
    {&pith_kernels_neon, has_neon},
    {&pith_kernels_scalar, always},
};

const char *const pith_kernel_names[] = {"neon-i8mm", "neon-dot", "neon", "scalar", NULL};

#else

static const table_entry tables[] = {{&pith_kernels_scalar, always}};

const char *const pith_kernel_names[] = {"scalar", NULL};

#endif

const pith_kernels *pith_kernels_find(const char *name) {
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const pith_kernels *kernels = tables[i].kernels;
        if ((name == NULL || strcmp(name, kernels->name) == 0) && tables[i].available()) {
            return kernels;
        }
    }
    return NULL;
}

#if !defined(__x86_64__)
/* Elsewhere finding is cheap: the auxiliary vector is in memory. */
const pith_kernels *pith_kernels_best(void) {
    return pith_kernels_find(NULL);
}
#endif
