/* The memory path: how products prefetch weights that they read once (simd/few.h), and how int8
 * products walk weights that many tokens read. What is fastest depends on the machine. */
#ifndef PITH_SIMD_MEMORY_PATH_H
#define PITH_SIMD_MEMORY_PATH_H

#include "pith.h"

typedef struct pith_memory_path {
    pith_fetch few;  /* for one and two tokens */
    pith_fetch more; /* for more tokens; any hint other than T1 counts as T0 */
    size_t direct;   /* int8 with AVX-512 VNNI: tokens of a pass over the packed lines, which are
                        multiplied as they lie; 0: those of more than 16 tokens are expanded */
} pith_memory_path;

/* A CPU as CPUID names it; all zero on machines without CPUID. */
typedef struct pith_cpu_id {
    char vendor[13]; /* "AuthenticAMD" */
    unsigned family, model;
} pith_cpu_id;

pith_cpu_id pith_cpu_identify(void);

/* Text for pith_tuning.cpu, "AuthenticAMD family 26 model 2"; "" when the vendor is unknown. */
typedef struct pith_cpu_text {
    char text[64];
} pith_cpu_text;
pith_cpu_text pith_cpu_describe(const pith_cpu_id *cpu);

/* A row of the table. It applies to CPUs that match all of its conditions. */
typedef struct pith_path_row {
    const char *isa;        /* name of the kernel table; NULL: any */
    const char *vendor;     /* NULL: any */
    unsigned family, model; /* 0: any */
    pith_memory_path path;
    const char *measured; /* on what machine; else "not measured" and the reason for the choice */
} pith_path_row;

/* The row for a CPU and the kernels it runs; never NULL. */
const pith_path_row *pith_memory_path_row(const pith_cpu_id *cpu, const char *isa);

/* Its path for these kernels on this CPU. */
pith_memory_path pith_memory_path_here(const char *isa);

/* Row i of the table, for tests; NULL after the last. */
const pith_path_row *pith_memory_path_at(size_t i);

#endif
