/* Running the probes of probe.h on the threads of a pool. */
#include "perf/limits.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/status.h"
#include "perf/machine.h"
#include "perf/shares.h"
#include "perf/team.h"

enum {
    HUGE = 2 << 20,
    PIECE = 2 << 20, /* of a stream: threads that are ahead take over pieces of the others */
    /* Odd, so that the streams inside a piece do not fall on the same cache sets. */
    USED = PIECE - PITH_PROBE_BLOCK,
    /* Read in one repetition: short, so that now and then no thread is interrupted. */
    SEGMENT = 64 << 20,
    SEGMENT_OF_THREAD = 16 << 20, /* at least */
    MIN_REPEATS = 3,
};

/* ---- Memory ---------------------------------------------------------------------------------- */

size_t pith_cache_bytes(void) {
    /* Not sysconf: inside a virtual machine it may count the caches of the whole host. */
    size_t kilobytes = 0;
    FILE *file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
    if (file != NULL) {
        if (fscanf(file, "%8zuK", &kilobytes) != 1) {
            kilobytes = 0;
        }
        fclose(file);
    }
    return kilobytes != 0 ? kilobytes << 10 : (size_t)32 << 20;
}

static size_t choose_size(void) {
    const size_t least = (size_t)1 << 30;
    const size_t most = (size_t)2 << 30;
    size_t size = pith_min_size(pith_max_size(16 * pith_cache_bytes(), least), most);
    long pages = sysconf(_SC_AVPHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0) {
        size = pith_min_size(size, (size_t)pages / 4 * (size_t)page);
    }
    return pith_max_size(size / PIECE, 1) * PIECE;
}

static void touch_pieces(void *argument, size_t begin, size_t end, size_t thread) {
    const pith_probe_memory *memory = argument;
    (void)thread;
    memset(memory->data + begin * PIECE, 1, (end - begin) * PIECE);
}

pith_status pith_probe_memory_new(pith_probe_memory *out, size_t size, bool huge, pith_pool *pool,
                                  pith_error *error) {
    pith_probe_memory memory = {.size = size == 0 ? choose_size()
                                                  : pith_max_size(size / PIECE, 1) * PIECE};
    memory.span = memory.size + HUGE;
    memory.block = mmap(NULL, memory.span, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory.block == MAP_FAILED) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no %zu MB of memory to measure its speed",
                         memory.size >> 20);
    }
    size_t past = (uintptr_t)memory.block % HUGE;
    memory.data = (unsigned char *)memory.block + (past == 0 ? 0 : HUGE - past);
    /* Advice only: a system without huge pages is measured as it is. */
    (void)madvise(memory.block, memory.span, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    pith_pool_run(pool, memory.size / PIECE, 1, touch_pieces, &memory);
    *out = memory;
    return PITH_OK;
}

void pith_probe_memory_free(pith_probe_memory *memory) {
    if (memory->block != NULL) {
        munmap(memory->block, memory->span);
    }
    *memory = (pith_probe_memory){0};
}

/* ---- Reading --------------------------------------------------------------------------------- */

typedef struct read_loop {
    pith_read_probe read;
    const unsigned char *data;
    pith_probe_pattern pattern;
    size_t n_pieces;
    atomic_size_t next;
} read_loop;

static uint64_t read_pieces(void *argument, size_t thread) {
    read_loop *loop = argument;
    (void)thread;
    uint64_t checksum = 0;
    for (size_t i; (i = atomic_fetch_add(&loop->next, 1)) < loop->n_pieces;) {
        checksum ^= loop->read(loop->data + i * PIECE, USED, loop->pattern);
    }
    return checksum;
}

static const pith_probe_pattern patterns[] = {{0, 1},    {2048, 1}, {6144, 1}, {12288, 1},
                                              {2048, 2}, {0, 4},    {2048, 4}};
enum { N_PATTERNS = sizeof patterns / sizeof patterns[0] };

/* A loop over the pieces of one stretch. */
static void prepare_reading(read_loop *loop, const pith_probes *probes,
                            const pith_probe_memory *memory, const pith_pool *pool) {
    size_t least = pith_max_size(SEGMENT, pith_pool_threads(pool) * SEGMENT_OF_THREAD);
    loop->read = probes->read;
    loop->n_pieces = pith_min_size(memory->size, least) / PIECE;
}

/* Seconds of one stretch. */
static double read_stretch(read_loop *loop, const pith_probe_memory *memory, pith_pool *pool,
                           size_t *next) {
    pith_team t = {.work = read_pieces, .argument = loop};
    size_t stretch = loop->n_pieces * PIECE;
    size_t n_stretches = memory->size / stretch;
    loop->data = memory->data + *next % n_stretches * stretch;
    atomic_store(&loop->next, 0);
    *next = (*next + 1) % n_stretches;
    return pith_team_run(&t, pool);
}

pith_read_limit pith_limit_read_on(const pith_probes *probes, const pith_probe_memory *memory,
                                   pith_pool *pool, double seconds, size_t *next) {
    enum { KEPT = 128 }; /* times of a pattern; later ones replace the first */
    double times[N_PATTERNS][KEPT];
    size_t n_times[N_PATTERNS] = {0};
    read_loop loop = {0};
    prepare_reading(&loop, probes, memory, pool);
    size_t n_stretches = memory->size / (loop.n_pieces * PIECE);
    double start = pith_seconds();
    for (size_t i = 0; i < N_PATTERNS || pith_seconds() - start < seconds; i++) {
        /* Every stretch is read before the first is read again, every pattern meets all. */
        size_t pattern = (i + i / n_stretches) % N_PATTERNS;
        loop.pattern = patterns[pattern];
        times[pattern][n_times[pattern]++ % KEPT] = read_stretch(&loop, memory, pool, next);
    }
    double bytes = (double)(loop.n_pieces * USED);
    pith_read_limit limit = {.stretch = bytes};
    for (size_t i = 0; i < N_PATTERNS; i++) {
        size_t n = pith_min_size(n_times[i], KEPT);
        if (n == 0) {
            continue;
        }
        pith_sort_figures(times[i], n);
        double best = bytes / times[i][0];
        double middle = bytes / times[i][n / 2];
        limit.best = best > limit.best ? best : limit.best;
        if (middle > limit.sustained) {
            limit.sustained = middle;
            limit.pattern = patterns[i];
        }
    }
    return limit;
}

pith_read_limit pith_limit_read(const pith_probes *probes, const pith_probe_memory *memory,
                                pith_pool *pool, double seconds) {
    size_t next = 0;
    return pith_limit_read_on(probes, memory, pool, seconds, &next);
}

double pith_limit_stretch(const pith_probes *probes, const pith_probe_memory *memory,
                          pith_pool *pool, pith_probe_pattern pattern, size_t *next) {
    read_loop loop = {.pattern = pattern};
    prepare_reading(&loop, probes, memory, pool);
    double seconds = read_stretch(&loop, memory, pool, next);
    return (double)(loop.n_pieces * USED) / seconds;
}

/* ---- Computing ------------------------------------------------------------------------------- */

typedef struct compute_loop {
    pith_compute_probe run;
    const unsigned char *operands;
    size_t n_rounds;
} compute_loop;

static uint64_t compute(void *argument, size_t thread) {
    const compute_loop *loop = argument;
    (void)thread;
    return loop->run(loop->operands, loop->n_rounds);
}

double pith_limit_compute(const pith_peak *peak, pith_pool *pool, double seconds) {
    const double repetition = 0.001; /* seconds: long for a clock, short for a time slice */
    _Alignas(64) unsigned char operands[PITH_PROBE_OPERANDS];
    compute_loop loop = {peak->run, operands, 64};
    pith_team t = {.work = compute, .argument = &loop};
    if (peak->run == NULL) {
        return 0;
    }
    for (size_t i = 0; i < PITH_PROBE_OPERANDS; i++) {
        operands[i] = (unsigned char)(1 + i * 37 % 100);
    }
    double start = pith_seconds();
    while (pith_team_run(&t, pool) < repetition && pith_seconds() - start < seconds) {
        loop.n_rounds *= 2;
    }
    double least = pith_team_run(&t, pool);
    for (size_t i = 1; i < MIN_REPEATS || pith_seconds() - start < seconds; i++) {
        double elapsed = pith_team_run(&t, pool);
        least = elapsed < least ? elapsed : least;
    }
    return peak->ops * (double)loop.n_rounds * (double)t.n_threads / least;
}

double pith_limit_clock(void) {
    enum { ROUNDS = 20000, REPEATS = 15 };
    _Alignas(64) unsigned char operands[PITH_PROBE_OPERANDS] = {1, 3};
    volatile uint64_t kept;
    double least = 0;
    for (size_t i = 0; i < REPEATS; i++) {
        double before = pith_seconds();
        kept = pith_probe_clock(operands, ROUNDS);
        double elapsed = pith_seconds() - before;
        least = i == 0 || elapsed < least ? elapsed : least;
    }
    (void)kept;
    return (double)ROUNDS * PITH_PROBE_CLOCK_ADDS / least;
}

double pith_limit_dispatch(pith_pool *pool) {
    enum { LOOPS = 100, REPEATS = 25 };
    const double most = 0.2;
    pith_team t = {.work = NULL};
    double least = 0;
    double start = pith_seconds();
    for (size_t i = 0; i < REPEATS && (i == 0 || pith_seconds() - start < most); i++) {
        double before = pith_seconds();
        for (size_t j = 0; j < LOOPS; j++) {
            pith_team_run(&t, pool);
        }
        double elapsed = (pith_seconds() - before) / LOOPS;
        least = i == 0 || elapsed < least ? elapsed : least;
    }
    return least;
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Measures a second time: a different result shows that neighbours interfered. The better one
 * counts. */
static void measure_again(const pith_probes *probes, const pith_probe_memory *huge, pith_pool *pool,
                          pith_limits *limits) {
    const pith_peak *peak = limits->int8 > 0 ? &probes->int8 : &probes->f32;
    double *operations = limits->int8 > 0 ? &limits->int8 : &limits->f32;
    const double rates[] = {*operations, pith_limit_compute(peak, pool, 0.2)};
    pith_read_limit again = pith_limit_read(probes, huge, pool, 0.3);
    const double reads[] = {limits->read.best, again.best};
    double moved[] = {pith_moved(rates, 2), pith_moved(reads, 2)};
    limits->moved = moved[0] > moved[1] ? moved[0] : moved[1];
    *operations = rates[1] > rates[0] ? rates[1] : rates[0];
    limits->read.best = reads[1] > reads[0] ? reads[1] : reads[0];
}

void pith_limits_measure(const pith_probes *probes, const pith_probe_memory *huge,
                         const pith_probe_memory *small, pith_pool *pool, pith_limits *out) {
    pith_limits limits = {.n_threads = pith_pool_threads(pool)};
    limits.int8 = pith_limit_compute(&probes->int8, pool, 0.2);
    limits.read = pith_limit_read(probes, huge, pool, 0.5);
    limits.read_small = pith_limit_read(probes, small, pool, 0.3).best;
    limits.f32 = pith_limit_compute(&probes->f32, pool, 0.2);
    limits.bf16 = pith_limit_compute(&probes->bf16, pool, 0.2);
    limits.clock = pith_limit_clock();
    limits.dispatch = pith_limit_dispatch(pool);
    measure_again(probes, huge, pool, &limits);
    *out = limits;
}

size_t pith_limits_threads(size_t n_threads, size_t counts[4]) {
    const size_t divisors[4] = {0, 4, 2, 1}; /* 0: one thread */
    size_t n = 0;
    for (size_t i = 0; i < 4; i++) {
        size_t count = divisors[i] == 0 ? 1 : n_threads / divisors[i];
        if (count >= 1 && (n == 0 || count > counts[n - 1])) {
            counts[n++] = count;
        }
    }
    return n;
}
