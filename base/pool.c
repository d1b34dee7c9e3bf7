/* A pool of threads for data-parallel loops.
 *
 * A loop is announced in one atomic word, the gate: its serial number, whether it is open, and how
 * many workers are inside. A worker enters only while the gate is open; the caller closes it when
 * no piece is left to claim and waits for those inside. So a worker that slept through a loop is
 * never waited for, and nobody inside means the loop's description may be changed.
 *
 * Workers and the caller spin briefly before they sleep on a condition. Whoever is about to sleep
 * first says so, then looks at the gate again; whoever changes the gate then looks for sleepers.
 * Both sides are sequentially consistent, so one of them sees the other. */
#include "base/pool.h"

#include "base/checked.h"
#include "base/cpus.h"
#include "base/memory.h"
#include "base/status.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE = 64,
    SPINS = 4000, /* pauses, 40 to 200 microseconds: longer than the gaps between the loops of a
                     forward pass, much shorter than anything a person or a battery notices */
};

/* The gate, from the low bits up. */
#define GATE_INSIDE UINT64_C(0xffff) /* workers inside */
#define GATE_OPEN UINT64_C(0x10000)
#define GATE_WAITED UINT64_C(0x20000) /* the caller sleeps until nobody is inside */
#define GATE_STOP UINT64_C(0x40000)   /* workers are to end */
#define GATE_SERIAL UINT64_C(0x80000) /* one unit of the serial number */

/* One thread's share of the items: [next, end), claimed from the front by anyone, a piece at a
 * time; next may be past the end. */
typedef struct share {
    _Alignas(LINE) atomic_size_t next;
    size_t end;
    pith_pool *pool;
    pthread_t thread; /* not of share 0, the caller's */
} share;

struct pith_pool {
    pith_region region; /* holds this object */
    size_t n_threads;
    int n_spins;
    pthread_mutex_t busy; /* held by the caller whose loop runs */
    pthread_mutex_t sleep;
    pthread_cond_t wake;  /* workers: the gate opened, or the pool stops */
    pthread_cond_t left;  /* the caller: nobody is inside any more */
    atomic_bool sleepers; /* a worker may be waiting for `wake` */

    _Alignas(LINE) _Atomic uint64_t gate;

    _Alignas(LINE) pith_loop_fn fn; /* the loop; changed only while nobody is inside */
    void *argument;
    size_t grain;

    share shares[]; /* [n_threads] */
};

static void spin_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Claims pieces until none is left: first of the thread's own share, then of the others'. */
static void work(pith_pool *pool, size_t thread) {
    for (size_t i = 0; i < pool->n_threads; i++) {
        share *from = &pool->shares[(thread + i) % pool->n_threads];
        size_t next;
        while ((next = atomic_load_explicit(&from->next, memory_order_relaxed)) < from->end) {
            /* Smaller pieces towards the end of a share: the last ones are waited for. */
            size_t n = pith_max_size(1, pith_min_size(pool->grain, (from->end - next) / 2));
            size_t begin = atomic_fetch_add_explicit(&from->next, n, memory_order_relaxed);
            if (begin < from->end) {
                pool->fn(pool->argument, begin, begin + pith_min_size(n, from->end - begin),
                         thread);
            }
        }
    }
}

/* True when the gate calls a worker that has seen the loop `seen`. */
static bool is_called(uint64_t gate, uint64_t seen) {
    return (gate & GATE_STOP) != 0 || ((gate & GATE_OPEN) != 0 && gate / GATE_SERIAL != seen);
}

/* Sleeps until woken, unless there is something to do already. */
static void sleep_at_gate(pith_pool *pool, uint64_t seen) {
    pthread_mutex_lock(&pool->sleep);
    atomic_store(&pool->sleepers, true);
    if (!is_called(atomic_load(&pool->gate), seen)) {
        pthread_cond_wait(&pool->wake, &pool->sleep);
    }
    pthread_mutex_unlock(&pool->sleep);
}

static void wake_sleepers(pith_pool *pool) {
    if (atomic_load(&pool->sleepers)) {
        pthread_mutex_lock(&pool->sleep);
        atomic_store(&pool->sleepers, false);
        pthread_cond_broadcast(&pool->wake);
        pthread_mutex_unlock(&pool->sleep);
    }
}

/* Waits until the gate calls; returns its value. */
static uint64_t wait_at_gate(pith_pool *pool, uint64_t seen) {
    const int n_spins = pool->n_spins; /* its cache line is written to by callers */
    for (;;) {
        for (int i = 0; i <= n_spins; i++) {
            uint64_t gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
            if (is_called(gate, seen)) {
                return gate;
            }
            spin_pause();
        }
        sleep_at_gate(pool, seen);
    }
}

static void leave(pith_pool *pool) {
    uint64_t before = atomic_fetch_sub(&pool->gate, 1);
    if ((before & GATE_WAITED) != 0 && (before & GATE_INSIDE) == 1) {
        pthread_mutex_lock(&pool->sleep);
        pthread_cond_signal(&pool->left);
        pthread_mutex_unlock(&pool->sleep);
    }
}

static void *worker_main(void *argument) {
    share *own = argument;
    pith_pool *pool = own->pool;
    size_t thread = (size_t)(own - pool->shares);
    uint64_t seen = 0;
    for (;;) {
        uint64_t gate = wait_at_gate(pool, seen);
        if ((gate & GATE_STOP) != 0) {
            return NULL;
        }
        /* On failure the gate changed: look again. */
        if (atomic_compare_exchange_strong(&pool->gate, &gate, gate + 1)) {
            seen = gate / GATE_SERIAL;
            work(pool, thread);
            leave(pool);
        }
    }
}

static void open_gate(pith_pool *pool) {
    uint64_t gate = atomic_load_explicit(&pool->gate, memory_order_relaxed);
    atomic_store(&pool->gate, (gate / GATE_SERIAL + 1) * GATE_SERIAL | GATE_OPEN);
    wake_sleepers(pool);
}

/* Closes the gate to further workers and waits for those inside to leave. */
static void close_gate(pith_pool *pool) {
    uint64_t gate = atomic_fetch_and(&pool->gate, ~GATE_OPEN);
    for (int i = 0; i < pool->n_spins && (gate & GATE_INSIDE) != 0; i++) {
        spin_pause();
        gate = atomic_load_explicit(&pool->gate, memory_order_acquire);
    }
    if ((gate & GATE_INSIDE) == 0) {
        return;
    }
    pthread_mutex_lock(&pool->sleep);
    gate = atomic_fetch_or(&pool->gate, GATE_WAITED);
    while ((gate & GATE_INSIDE) != 0) {
        pthread_cond_wait(&pool->left, &pool->sleep);
        gate = atomic_load(&pool->gate);
    }
    pthread_mutex_unlock(&pool->sleep);
}

/* Gives each thread a contiguous run of items, the first threads one more. If whole pieces were
 * dealt out, an odd one would keep one thread busy while the others wait. */
static void deal(pith_pool *pool, size_t n_items) {
    size_t each = n_items / pool->n_threads;
    size_t extra = n_items % pool->n_threads;
    size_t begin = 0;
    for (size_t t = 0; t < pool->n_threads; t++) {
        size_t end = begin + each + (t < extra ? 1 : 0);
        atomic_store_explicit(&pool->shares[t].next, begin, memory_order_relaxed);
        pool->shares[t].end = end;
        begin = end;
    }
}

void pith_pool_run(pith_pool *pool, size_t n_items, size_t grain, pith_loop_fn fn, void *argument) {
    assert(grain > 0);
    bool alone = pool == NULL || pool->n_threads == 1 || n_items <= grain ||
                 pthread_mutex_trylock(&pool->busy) != 0;
    if (alone) {
        for (size_t begin = 0, n; begin < n_items; begin += n) {
            n = pith_min_size(grain, n_items - begin);
            fn(argument, begin, begin + n, 0);
        }
        return;
    }
    pool->fn = fn;
    pool->argument = argument;
    pool->grain = grain;
    deal(pool, n_items);
    open_gate(pool);
    work(pool, 0);
    close_gate(pool);
    pthread_mutex_unlock(&pool->busy);
}

/* Starts the workers with every signal blocked: signals belong to the program's own threads.
 * Returns the number of threads there are, the caller's included; *code is set when some could not
 * be started. */
static size_t start_workers(pith_pool *pool, int *code) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    size_t n = 1;
    while (n < pool->n_threads) {
        pool->shares[n].pool = pool;
        *code = pthread_create(&pool->shares[n].thread, NULL, worker_main, &pool->shares[n]);
        if (*code != 0) {
            break;
        }
        n++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

static void stop(pith_pool *pool, size_t n_started) {
    atomic_fetch_or(&pool->gate, GATE_STOP);
    wake_sleepers(pool);
    for (size_t t = 1; t < n_started; t++) {
        pthread_join(pool->shares[t].thread, NULL);
    }
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->wake);
    pthread_mutex_destroy(&pool->sleep);
    pthread_mutex_destroy(&pool->busy);
    pith_region region = pool->region;
    pith_region_release(&region);
}

pith_status pith_pool_new(pith_pool **out, size_t n_threads, const pith_allocator *allocator,
                          pith_error *error) {
    if (n_threads > PITH_MAX_THREADS) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%zu threads asked for, the limit is %d",
                         n_threads, PITH_MAX_THREADS);
    }
    size_t n_cpus = pith_cpu_count();
    if (n_threads == 0) {
        n_threads = pith_min_size(n_cpus, PITH_MAX_THREADS);
    }
    pith_region region;
    size_t size = sizeof(pith_pool) + n_threads * sizeof(share);
    pith_status status = pith_region_allocate(&region, size, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_pool *pool = region.data;
    memset(pool, 0, size);
    pool->region = region;
    pool->n_threads = n_threads;
    pool->n_spins = n_threads <= n_cpus ? SPINS : 0;
    atomic_init(&pool->gate, 0);
    atomic_init(&pool->sleepers, false);
    /* With default attributes these cannot fail on Linux. */
    pthread_mutex_init(&pool->busy, NULL);
    pthread_mutex_init(&pool->sleep, NULL);
    pthread_cond_init(&pool->wake, NULL);
    pthread_cond_init(&pool->left, NULL);
    int code = 0;
    size_t n_started = start_workers(pool, &code);
    if (n_started < n_threads) {
        stop(pool, n_started);
        return pith_fail(error, PITH_ERROR_MEMORY, "cannot start thread %zu of %zu: %s",
                         n_started + 1, n_threads, strerror(code));
    }
    *out = pool;
    return PITH_OK;
}

void pith_pool_free(pith_pool *pool) {
    if (pool != NULL) {
        stop(pool, pool->n_threads);
    }
}

size_t pith_pool_threads(const pith_pool *pool) {
    return pool != NULL ? pool->n_threads : 1;
}
