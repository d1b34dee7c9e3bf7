/* Every kernel of simd/kernels.h timed by itself, beside the scalar one and beside the limit of the
 * machine that bounds it.
 *
 * All threads of a pool run a kernel at the same time, each on operands of its own. Either all
 * operands are in the caches, or the weights, keys or vectors of each call are another piece of a
 * window far larger than the caches, so that they come from memory. */
#ifndef PITH_PERF_KERNELS_H
#define PITH_PERF_KERNELS_H

#include "base/memory.h"
#include "perf/limits.h"
#include "simd/kernels.h"

/* What a kernel's rate is compared with. */
typedef enum pith_kernel_bound {
    PITH_BOUND_NONE,
    PITH_BOUND_STREAM, /* bytes per second read from memory */
    PITH_BOUND_INT8,   /* operations per second */
    PITH_BOUND_F32,    /* likewise */
} pith_kernel_bound;

/* One call. Which of the three sizes a kernel has, and what they count, is in the tables of
 * kernels_product.c, kernels_attention.c and kernels_rows.c; 0: it has none. */
typedef struct pith_kernel_shape {
    size_t tokens; /* or queries */
    size_t rows;   /* or keys, heads, vectors */
    size_t n;      /* elements of a row */
    bool memory;   /* the piece comes from memory, else all operands are in the caches */
    pith_kernel_bound bound;
} pith_kernel_shape;

typedef struct pith_kernel_cost {
    double bytes; /* operands read and results written, each once; from memory: the piece alone */
    double ops;   /* multiplications and additions; 0: the kernel is not made of them alone */
    size_t piece; /* bytes of weights, keys, values or vectors, a multiple of 64; 0: none */
} pith_kernel_cost;

typedef struct pith_kernel_bench pith_kernel_bench;

/* What one thread's calls are made of. */
typedef struct pith_kernel_call {
    const pith_kernel_bench *bench;
    const pith_kernel_shape *shape;
    void *operands;
    const void *piece; /* 64-byte aligned, or NULL */
} pith_kernel_call;

struct pith_kernel_bench {
    const char *name; /* the member of pith_kernels; of an array's element "product_int4" */
    size_t slot;      /* its offset there */
    pith_type type;   /* of weights, keys, values or vectors */
    double bytes_per_element, ops_per_element; /* of kernels whose cost is no more than that */
    const pith_kernel_shape *shapes;           /* [n_shapes] */
    size_t n_shapes;
    pith_kernel_cost (*cost)(const pith_kernel_bench *bench, const pith_kernel_shape *shape);
    /* Allocates a call's operands and piece in the arena and fills them. While the arena measures
     * they are NULL. */
    void (*prepare)(pith_kernel_call *call, pith_arena *arena);
    /* One call; the piece is that of `prepare` or another with the same bytes. Calls may follow
     * each other: what is computed in place stays within its range. */
    void (*run)(const pith_kernel_call *call, const pith_kernels *kernels);
};

/* Bench i of all, in the order in which they are reported; NULL after the last. */
const pith_kernel_bench *pith_kernel_bench_at(size_t i);

typedef struct pith_kernel_result {
    size_t n_rounds;
    size_t n_calls;                           /* of a thread, in each timed run */
    double seconds, seconds_min, seconds_max; /* of a call: median, fastest, slowest run */
    double byte_rate, op_rate; /* of all threads together, per second, at the median; 0: no ops */
    double limit;              /* of the bound, per second: the median beside the runs; 0: none */
    double share;              /* rate over the limit beside it: the median; -1: none */
    bool failed;               /* a share above PITH_SHARE_LIMIT, in every attempt */
    double scalar_seconds;     /* of a call of the scalar kernel: median */
    double times_scalar;       /* scalar_seconds / seconds */
    double moved;              /* upper over lower quartile of the limits; 0: none */
} pith_kernel_result;

/* Times in seconds of a call; sorted and changed by pith_kernel_judge. */
typedef struct pith_kernel_samples {
    size_t n, n_scalar;
    double *seconds; /* [n] */
    double *limits;  /* [n + 1] before, between and after them; not used without a bound */
    double *shares;  /* [n] room */
    double *scalar;  /* [n_scalar] */
} pith_kernel_samples;

/* Fills *out except n_calls. */
void pith_kernel_judge(pith_kernel_samples *samples, const pith_kernel_shape *shape,
                       const pith_kernel_cost *cost, size_t n_threads, pith_kernel_result *out);

typedef struct pith_kernel_timer {
    const pith_kernels *kernels;
    pith_pool *pool;
    size_t n_rounds;
    /* Asked before every round, with the part of the rounds that is done; may be NULL. */
    bool (*go_on)(void *user, double done);
    void *go_on_user;
    pith_probes probes;
    pith_probe_memory read, window; /* empty until asked for */
    pith_probe_pattern pattern;
    size_t next_stretch, next_piece;
    const pith_kernel_bench *window_of; /* whose pieces, of window_piece bytes, fill the window */
    size_t window_piece;
    double *samples; /* [4, n_rounds + 1] */
} pith_kernel_timer;

/* Prepares `n_rounds` runs of each kernel; `go_on` may be set afterwards. The pool stays the
 * caller's and must not be in use elsewhere. Errors: MEMORY. */
pith_status pith_kernel_timer_new(pith_kernel_timer *out, const pith_kernels *kernels,
                                  pith_pool *pool, size_t n_rounds, pith_error *error);
/* Allocates what shapes with operands in memory need: the window and as much memory for plain
 * reads, `size` bytes each, or with 0 so many that none of them is still in a cache when it is read
 * again. To be called at most once. Errors: MEMORY. */
pith_status pith_kernel_timer_memory(pith_kernel_timer *timer, size_t size, pith_error *error);
void pith_kernel_timer_free(pith_kernel_timer *timer);

/* Times one shape: in each round half a millisecond of the kernel, then the limit, then the scalar
 * kernel during the first rounds. 25 rounds are some 0.2 seconds, more where a single call is long.
 * A share above its limit is timed again, three times in all. Errors: MEMORY, STOPPED (go_on
 * returned false). */
pith_status pith_kernel_time(pith_kernel_timer *timer, const pith_kernel_bench *bench,
                             const pith_kernel_shape *shape, pith_kernel_result *out,
                             pith_error *error);

#endif
