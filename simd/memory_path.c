/* The table of memory paths by microarchitecture, and CPUID (Intel SDM volume 2, CPUID leaves 0 and
 * 1; AMD APM volume 3, appendix E).
 *
 * The values depend on where outstanding prefetches are kept. NTA bypasses the L2 cache, which then
 * keeps what is used again; that is fastest on AMD's Zen 5. On Intel CPUs such prefetches occupy
 * the 16 line-fill buffers of the L1 cache, which limits a core to 16 x 64 bytes per memory latency
 * (7 GB/s at 140 ns); prefetches into L2 have 48 buffers. With AVX2, and on Zen 4, whose 512-bit
 * instructions take two cycles, the loops of several tokens take longer than the memory does, so
 * data arrives early and must wait in L2. Elsewhere more than two tokens, which may read a tile
 * again in a second call, fetch into L1.
 *
 * Expanding int8 lines first pays where the multipliers take two 512-bit lines a cycle: a register
 * tile of three tiles of rows needs fewer loads. On Zen 4, which takes one, loads have time.
 *
 * No row depends on cache sizes: 16 KB for every thread fit the smallest L2 cache of a CPU with
 * AVX2, 256 KB. */
#include "simd/memory_path.h"

#include <stdio.h>
#include <string.h>

#define KB(n) ((size_t)(n) << 10)
#define MORE .more = {PITH_HINT_T0, KB(6)}

/* The first row that applies is used. */
static const pith_path_row rows[] = {
    {.isa = "avx2",
     .path = {.few = {PITH_HINT_T1, KB(6)}, .more = {PITH_HINT_T1, KB(6)}},
     .measured = "AMD EPYC of family 25, model 17 (Zen 4) without its AVX-512, 2 cores of a "
                 "virtual machine: a tenth faster than past L2, four runs of bench --tune alike"},
    {.vendor = "AuthenticAMD",
     .family = 25,
     .path = {.few = {PITH_HINT_T1, KB(6)}, .more = {PITH_HINT_T1, KB(6)}, .direct = 64},
     .measured = "AMD EPYC of family 25, model 17 (Zen 4) with AVX-512, 2 cores of a virtual "
                 "machine: past L2 one token took 5 to 8% longer, and four, into L1, 34%; int8 "
                 "prompts 9% longer from expanded lines"},
    {.vendor = "AuthenticAMD",
     .family = 26,
     .path = {.few = {PITH_HINT_NTA, KB(6)}, MORE},
     .measured = "AMD EPYC of family 26 (Zen 5), 2 cores of a virtual machine"},
    {.vendor = "GenuineIntel",
     .family = 6,
     .model = 207,
     .path = {.few = {PITH_HINT_T1, KB(16)}, MORE},
     .measured =
         "Intel Emerald Rapids, 16 cores of a virtual machine: int4 at 206 tokens/s for 110 "
         "past L2"},
    {.vendor = "GenuineIntel",
     .path = {.few = {PITH_HINT_T1, KB(16)}, MORE},
     .measured = "not measured; Intel CPUs have more buffers for prefetches into L2"},
    {.path = {.few = {PITH_HINT_NTA, KB(6)}, MORE}, .measured = "not measured; as on AMD's Zen 5"},
};

const pith_path_row *pith_memory_path_at(size_t i) {
    return i < sizeof rows / sizeof rows[0] ? &rows[i] : NULL;
}

static bool applies(const pith_path_row *row, const pith_cpu_id *cpu, const char *isa) {
    return (row->isa == NULL || strcmp(row->isa, isa) == 0) &&
           (row->vendor == NULL || strcmp(row->vendor, cpu->vendor) == 0) &&
           (row->family == 0 || row->family == cpu->family) &&
           (row->model == 0 || row->model == cpu->model);
}

const pith_path_row *pith_memory_path_row(const pith_cpu_id *cpu, const char *isa) {
    size_t i = 0;
    while (!applies(&rows[i], cpu, isa)) {
        i++; /* the last row applies to every CPU */
    }
    return &rows[i];
}

pith_cpu_text pith_cpu_describe(const pith_cpu_id *cpu) {
    pith_cpu_text t = {""};
    if (cpu->vendor[0] != 0) {
        snprintf(t.text, sizeof t.text, "%s family %u model %u", cpu->vendor, cpu->family,
                 cpu->model);
    }
    return t;
}

#if defined(__x86_64__)

#include <cpuid.h>

/* Leaf 1 holds both numbers in two parts; the upper parts count only in some families. */
pith_cpu_id pith_cpu_identify(void) {
    pith_cpu_id cpu = {.vendor = ""};
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;
    if (!__get_cpuid(0, &a, &b, &c, &d)) {
        return cpu;
    }
    const unsigned words[] = {b, d, c};
    memcpy(cpu.vendor, words, sizeof words);
    for (size_t i = 0; i < sizeof words; i++) {
        cpu.vendor[i] = cpu.vendor[i] < ' ' || cpu.vendor[i] > '~' ? '?' : cpu.vendor[i];
    }
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        const unsigned family = a >> 8 & 15;
        cpu.family = family == 15 ? family + (a >> 20 & 255) : family;
        cpu.model = a >> 4 & 15;
        cpu.model += family == 6 || family == 15 ? (a >> 16 & 15) << 4 : 0;
    }
    return cpu;
}

#else

pith_cpu_id pith_cpu_identify(void) {
    return (pith_cpu_id){.vendor = ""};
}

#endif

pith_memory_path pith_memory_path_here(const char *isa) {
    const pith_cpu_id cpu = pith_cpu_identify();
    return pith_memory_path_row(&cpu, isa)->path;
}
