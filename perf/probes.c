/* Which probes this CPU can run: those of the kernel tables, and bf16 where CPUID has it. */
#include "perf/probe.h"

#include <stdbool.h>
#include <string.h>

#include "simd/kernels.h"

#if defined(__x86_64__)

#include <cpuid.h>

enum { VECTOR_ROUND = 8 * PITH_PROBE_CHAINS, AVX2_ROUND = 8 * 12, TILE_ROUND = 8 * 6 };

static const pith_probes sets[] = {
    {.isa = "amx-int8",
     .read = pith_probe_read_avx512,
     .int8 = {pith_probe_int8_amx, TILE_ROUND * 16.0 * 16 * 64 * 2},
     .f32 = {pith_probe_f32_avx512, VECTOR_ROUND * 16 * 2},
     .bf16 = {pith_probe_bf16_avx512, VECTOR_ROUND * 32 * 2}},
    {.isa = "avx512-vnni",
     .read = pith_probe_read_avx512,
     .int8 = {pith_probe_int8_vnni, VECTOR_ROUND * 64 * 2},
     .f32 = {pith_probe_f32_avx512, VECTOR_ROUND * 16 * 2},
     .bf16 = {pith_probe_bf16_avx512, VECTOR_ROUND * 32 * 2}},
    {.isa = "avx512",
     .read = pith_probe_read_avx512,
     .int8 = {pith_probe_int8_avx512, VECTOR_ROUND * 64 * 2},
     .f32 = {pith_probe_f32_avx512, VECTOR_ROUND * 16 * 2}},
    {.isa = "avx-vnni",
     .read = pith_probe_read_avx2,
     .int8 = {pith_probe_int8_avxvnni, AVX2_ROUND * 32 * 2},
     .f32 = {pith_probe_f32_avx2, AVX2_ROUND * 8 * 2}},
    {.isa = "avx2",
     .read = pith_probe_read_avx2,
     .int8 = {pith_probe_int8_avx2, AVX2_ROUND * 32 * 2},
     .f32 = {pith_probe_f32_avx2, AVX2_ROUND * 8 * 2}},
    {.isa = "scalar",
     .read = pith_probe_read_scalar,
     .int8 = {pith_probe_int8_scalar, PITH_PROBE_BYTES * 2},
     .f32 = {pith_probe_f32_scalar, VECTOR_ROUND * 4 * 2}},
};

/* CPUID leaf 7, subleaf 1, EAX bit 5 (Intel SDM volume 2, CPUID). */
static bool has_bf16(void) {
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1U << 5) != 0;
}

#else

static const pith_probes sets[] = {
    {.isa = "scalar",
     .read = pith_probe_read_scalar,
     .int8 = {pith_probe_int8_scalar, PITH_PROBE_BYTES * 2},
     .f32 = {pith_probe_f32_scalar, 8 * PITH_PROBE_CHAINS * 4 * 2}},
};

static bool has_bf16(void) {
    return false;
}

#endif

double pith_product_reach(const char *isa, const char *type) {
    /* Without VNNI vpmaddubsw sums pairs in 16 bits, and vpmaddwd has to widen them: pairs of int8
     * products one by one, the sums of eight (AVX2) or four lines of int4 at once. */
    static const struct {
        const char *isa;
        double int8, int4;
    } widened[] = {{"avx2", 1.0 / 2, 8.0 / 9}, {"avx512", 1.0 / 2, 4.0 / 5}};
    const bool int8 = strcmp(type, "int8") == 0;
    if (!int8 && strcmp(type, "int4") != 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof widened / sizeof *widened; i++) {
        if (strcmp(isa, widened[i].isa) == 0) {
            return int8 ? widened[i].int8 : widened[i].int4;
        }
    }
    return 1;
}

pith_probes pith_probes_find(const char *isa) {
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (strcmp(isa, sets[i].isa) == 0 && pith_kernels_find(isa) != NULL) {
            pith_probes found = sets[i];
            if (found.bf16.run != NULL && !has_bf16()) {
                found.bf16 = (pith_peak){NULL, 0};
            }
            return found;
        }
    }
    return (pith_probes){.isa = isa, .read = pith_probe_read_scalar};
}
