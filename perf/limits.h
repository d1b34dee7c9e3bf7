/* The limits of this machine, measured on the threads of a pool: how fast memory can be read, how
 * many operations the multipliers do. Every figure is the best of several short repetitions, an
 * upper limit rather than an average. A pool that is measured must not be in use elsewhere. */
#ifndef PITH_PERF_LIMITS_H
#define PITH_PERF_LIMITS_H

#include "base/pool.h"
#include "perf/probe.h"

/* Memory to stream: touched, far larger than the caches. */
typedef struct pith_probe_memory {
    unsigned char *data; /* [size] 2 MB-aligned */
    size_t size;
    void *block; /* what the system gave, of `span` bytes */
    size_t span;
} pith_probe_memory;

/* `size` bytes rounded down to 2 MB (at least 2), or with 0 as much as a stream from memory needs:
 * 16 times the last-level cache, within 1 GB to 2 GB, but no more than a quarter of the free
 * memory. With `huge` the system is asked for 2 MB pages, else for 4 KB pages. Errors: MEMORY. */
pith_status pith_probe_memory_new(pith_probe_memory *out, size_t size, bool huge, pith_pool *pool,
                                  pith_error *error);
void pith_probe_memory_free(pith_probe_memory *memory);

/* Bytes of the last-level cache as the system reports it, 32 MB when it does not. */
size_t pith_cache_bytes(void);

/* How fast memory was read, in bytes per second. On a machine whose memory is shared with others
 * the two differ: one is what it can do for a millisecond, the other what it does for longer. */
typedef struct pith_read_limit {
    double best;      /* in one stretch of some 64 MB, with any pattern */
    double sustained; /* in the middle one of all stretches read with the pattern whose middle one
                         was fastest */
    pith_probe_pattern pattern; /* that one */
    double stretch;             /* bytes of each stretch */
} pith_read_limit;

/* Reads the memory for about `seconds` with all patterns worth trying. */
pith_read_limit pith_limit_read(const pith_probes *probes, const pith_probe_memory *memory,
                                pith_pool *pool, double seconds);

/* As pith_limit_read, from stretch `*next` of the memory on (at first 0); sets it to the one after
 * the last stretch that was read, where nothing is still in a cache. */
pith_read_limit pith_limit_read_on(const pith_probes *probes, const pith_probe_memory *memory,
                                   pith_pool *pool, double seconds, size_t *next);

/* Reads a single stretch and moves `*next` on likewise. Returns bytes per second. */
double pith_limit_stretch(const pith_probes *probes, const pith_probe_memory *memory,
                          pith_pool *pool, pith_probe_pattern pattern, size_t *next);

/* Best rate of a compute probe in about `seconds`, operations per second; 0 when there is none. */
double pith_limit_compute(const pith_peak *peak, pith_pool *pool, double seconds);

double pith_limit_clock(void); /* cycles per second of the calling thread */
double
pith_limit_dispatch(pith_pool *pool); /* seconds of a loop in which every thread takes part */

/* All limits at one thread count. */
typedef struct pith_limits {
    size_t n_threads;
    pith_read_limit read;   /* 2 MB pages */
    double read_small;      /* bytes per second, at best, 4 KB pages */
    double int8, f32, bf16; /* operations per second; 0: not there */
    double clock;           /* cycles per second */
    double dispatch;        /* seconds */
    double moved; /* read.best and the operations are measured at the beginning and at the end: the
                     larger over the smaller, of what moved more */
} pith_limits;

/* Measures everything in about 2.2 seconds. */
void pith_limits_measure(const pith_probes *probes, const pith_probe_memory *huge,
                         const pith_probe_memory *small, pith_pool *pool, pith_limits *out);

/* Thread counts to measure when `n_threads` are to be used: at most 4, ascending, the last one
 * n_threads. Returns how many. */
size_t pith_limits_threads(size_t n_threads, size_t counts[4]);

#endif
