/* The memory path: how weights that are read once, by products of few tokens (simd/few.h), are
 * fetched ahead of their use. Which prefetch and how far ahead is fastest belongs to the machine.
 */
#ifndef PITH_SIMD_MEMORY_PATH_H
#define PITH_SIMD_MEMORY_PATH_H

#include "pith.h"

typedef struct pith_memory_path {
    pith_fetch few;  /* of one and two tokens */
    pith_fetch more; /* of more; any hint but T1 counts as T0 */
} pith_memory_path;

/* What CPUID calls a CPU; all zero where there is no CPUID. */
typedef struct pith_cpu_id {
    char vendor[13]; /* "AuthenticAMD" */
    unsigned family, model;
} pith_cpu_id;

pith_cpu_id pith_cpu_identify(void);

/* "AuthenticAMD family 26 model 2", "" for a CPU without a vendor: for pith_tuning.cpu. */
typedef struct pith_cpu_text {
    char text[64];
} pith_cpu_text;
pith_cpu_text pith_cpu_describe(const pith_cpu_id *cpu);

/* A row of the table. It is for CPUs whose fields are equal to those that it has. */
typedef struct pith_path_row {
    const char *isa;        /* name of the kernel table; NULL: any */
    const char *vendor;     /* NULL: any */
    unsigned family, model; /* 0: any */
    pith_memory_path path;
    const char *measured; /* where, in words; "not measured" and why it was chosen all the same */
} pith_path_row;

/* The row for a CPU and the kernels it runs; never NULL. */
const pith_path_row *pith_memory_path_row(const pith_cpu_id *cpu, const char *isa);

/* Row i of the table, for tests; NULL after the last. */
const pith_path_row *pith_memory_path_at(size_t i);

#endif
