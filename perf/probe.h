/* The innermost loops that measure what a machine can do at most, once per instruction set.
 *
 * Each does one thing and nothing else: streams memory, or keeps the multipliers busy from
 * registers with more independent chains than latency x units. What a kernel reaches is compared
 * with them, so they must not be slower than any plain loop for the same work. Every function
 * returns a checksum, so that no compiler can leave the work out. */
#ifndef PITH_PERF_PROBE_H
#define PITH_PERF_PROBE_H

#include <stddef.h>
#include <stdint.h>

enum {
    PITH_PROBE_OPERANDS = 128, /* bytes of operands: two vectors of the widest kind */
    PITH_PROBE_BLOCK = 2048,   /* a stream is read in multiples of this */
};

/* How memory is walked: `n_streams` (1, 2 or 4) places at once, equally far apart, each prefetched
 * `ahead` bytes before its use (0: not). */
typedef struct pith_probe_pattern {
    size_t ahead;
    size_t n_streams;
} pith_probe_pattern;

/* Reads data [n_bytes] once; n_bytes is a multiple of PITH_PROBE_BLOCK, data 64-byte aligned.
 * Prefetches may point past the end, which is harmless. */
typedef uint64_t (*pith_read_probe)(const unsigned char *data, size_t n_bytes,
                                    pith_probe_pattern pattern);

/* Does `n_rounds` rounds on operands [PITH_PROBE_OPERANDS], 64-byte aligned. */
typedef uint64_t (*pith_compute_probe)(const unsigned char *operands, size_t n_rounds);

/* A compute probe and the operations (a multiplication and an addition are two) of one round;
 * `run` NULL: the instruction set has no such thing. */
typedef struct pith_peak {
    pith_compute_probe run;
    double ops;
} pith_peak;

typedef struct pith_probes {
    const char *isa; /* as in the kernel tables */
    pith_read_probe read;
    pith_peak int8; /* unsigned x signed bytes, summed */
    pith_peak f32;
    pith_peak bf16;
} pith_probes;

/* What one round of each loop does; see the files. */
enum {
    PITH_PROBE_CHAINS = 16,    /* independent accumulators */
    PITH_PROBE_BYTES = 4096,   /* of each operand array of the scalar int8 loop */
    PITH_PROBE_CLOCK_ADDS = 64 /* dependent additions per round of the clock loop */
};

uint64_t pith_probe_read_scalar(const unsigned char *data, size_t n_bytes,
                                pith_probe_pattern pattern);
uint64_t pith_probe_int8_scalar(const unsigned char *operands, size_t n_rounds);
uint64_t pith_probe_f32_scalar(const unsigned char *operands, size_t n_rounds);
uint64_t pith_probe_clock(const unsigned char *operands, size_t n_rounds);

uint64_t pith_probe_read_avx2(const unsigned char *data, size_t n_bytes,
                              pith_probe_pattern pattern);
uint64_t pith_probe_int8_avx2(const unsigned char *operands, size_t n_rounds);
uint64_t pith_probe_f32_avx2(const unsigned char *operands, size_t n_rounds);

uint64_t pith_probe_int8_avxvnni(const unsigned char *operands, size_t n_rounds);

uint64_t pith_probe_read_avx512(const unsigned char *data, size_t n_bytes,
                                pith_probe_pattern pattern);
uint64_t pith_probe_int8_avx512(const unsigned char *operands, size_t n_rounds);
uint64_t pith_probe_f32_avx512(const unsigned char *operands, size_t n_rounds);

uint64_t pith_probe_int8_vnni(const unsigned char *operands, size_t n_rounds);
uint64_t pith_probe_bf16_avx512(const unsigned char *operands, size_t n_rounds);

/* The largest share of the int8 operations that products of a weight type ("int8", "int4") can
 * reach with an instruction set, by its multiplications: those that the probe counts, over all that
 * the product takes. 0 for float types. */
double pith_product_reach(const char *isa, const char *type);

/* The probes of a named instruction set, without those this CPU cannot run. A name without probes
 * of its own gets a set that only reads. */
pith_probes pith_probes_find(const char *isa);

#endif
