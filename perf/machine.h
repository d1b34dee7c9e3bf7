/* The machine a benchmark runs on, and whether it was busy with something else meanwhile. A figure
 * means little without both. */
#ifndef PITH_PERF_MACHINE_H
#define PITH_PERF_MACHINE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct pith_machine {
    char cpu[128];       /* "AMD EPYC (family 25, model 17)"; "unknown" */
    char system[192];    /* "Debian GNU/Linux 12 (bookworm), Linux 6.1.0-13-amd64 x86_64" */
    size_t n_cpus;       /* that this process may run on */
    size_t memory_bytes; /* of the machine; 0: unknown */
    double load;         /* average number of running tasks in the last minute; -1: unknown */
} pith_machine;

/* Reads /proc and /etc/os-release under the directory `root`, "" for those of this machine. */
void pith_machine_find(pith_machine *out, const char *root);

/* CPU time since the start of the machine, of all its CPUs together, in seconds; all 0 when the
 * system does not say. */
typedef struct pith_cpu_time {
    double all;    /* idle time included */
    double steal;  /* taken by the host for other machines */
    double others; /* of processes other than this one */
} pith_cpu_time;

pith_cpu_time pith_cpu_time_now(const char *root);

/* What else ran during a test. */
typedef struct pith_company {
    double
        moved; /* largest over smallest of the limits that were measured in the test; 0: unknown */
    double steal;  /* share of the machine's CPU time; -1: unknown */
    double others; /* likewise */
    bool busy;     /* one of them is above what a quiet machine has */
} pith_company;

/* A quiet machine stays below these. Its limits, each the best of many short repetitions, move by
 * some percent from one measurement to the next; a neighbour on the same memory halves them. */
#define PITH_BUSY_MOVED 1.3
#define PITH_BUSY_STEAL 0.02
#define PITH_BUSY_OTHERS 0.10

pith_company pith_company_of(const pith_cpu_time *before, const pith_cpu_time *after, double moved);

/* Largest over smallest of values[0, n); 0 when one of them is not positive or n is 0. */
double pith_moved(const double *values, size_t n);

#endif
