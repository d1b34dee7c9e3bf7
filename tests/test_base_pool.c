/* The thread pool: each piece exactly once, by any number of threads and callers. */
#include "base/cpus.h"
#include "base/pool.h"
#include "tests/support.h"
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const size_t thread_counts[] = {1, 2, 3, 4, 9};
enum { N_THREAD_COUNTS = sizeof thread_counts / sizeof thread_counts[0], MOST_ITEMS = 1000 };

static pith_pool *new_pool(size_t n_threads) {
    pith_pool *pool = NULL;
    pith_error error;
    pith_status status = pith_pool_new(&pool, n_threads, NULL, &error);
    CHECK(status == PITH_OK, "%zu threads: %s", n_threads, error.message);
    return pool;
}

typedef struct tally {
    size_t n_items;
    size_t grain;
    size_t n_threads;
    atomic_int runs[MOST_ITEMS]; /* times each item was run */
    atomic_size_t n_pieces;
    atomic_int n_wrong; /* pieces that are not what the contract says */
} tally;

static void count_items(void *argument, size_t begin, size_t end, size_t thread) {
    tally *t = argument;
    atomic_fetch_add(&t->n_pieces, 1);
    if (begin >= end || end > t->n_items || end - begin > t->grain || thread >= t->n_threads) {
        atomic_fetch_add(&t->n_wrong, 1);
        return;
    }
    for (size_t i = begin; i < end; i++) {
        atomic_fetch_add(&t->runs[i], 1);
    }
}

/* Even shares, to the item, each in pieces of the grain, then in halves of what is left of it. */
static size_t count_pieces(size_t n_items, size_t grain, size_t n_threads) {
    if (n_items <= grain || n_threads == 1) {
        return n_items / grain + (n_items % grain != 0);
    }
    size_t n = 0;
    for (size_t t = 0; t < n_threads; t++) {
        size_t left = n_items / n_threads + (t < n_items % n_threads);
        while (left != 0) {
            size_t half = left / 2 > 1 ? left / 2 : 1;
            left -= half < grain ? half : grain;
            n++;
        }
    }
    return n;
}

static void check_one_run(pith_pool *pool, size_t n_items, size_t grain) {
    static tally t;
    t.n_items = n_items;
    t.grain = grain;
    t.n_threads = pith_pool_threads(pool);
    atomic_store(&t.n_wrong, 0);
    atomic_store(&t.n_pieces, 0);
    for (size_t i = 0; i < MOST_ITEMS; i++) {
        atomic_store(&t.runs[i], 0);
    }
    pith_pool_run(pool, n_items, grain, count_items, &t);
    CHECK(t.n_wrong == 0, "%zu threads, %zu items by %zu: %d wrong pieces", t.n_threads, n_items,
          grain, (int)t.n_wrong);
    /* Fewer when a thread claims what another has begun to share. */
    size_t most = count_pieces(n_items, grain, t.n_threads);
    CHECK(t.n_pieces == most || (t.n_threads > 1 && t.n_pieces < most &&
                                 t.n_pieces >= count_pieces(n_items, grain, 1)),
          "%zu threads, %zu items by %zu: %zu pieces", t.n_threads, n_items, grain,
          (size_t)t.n_pieces);
    for (size_t i = 0; i < MOST_ITEMS; i++) {
        CHECK(t.runs[i] == (i < n_items), "%zu threads, %zu items by %zu: item %zu ran %d times",
              t.n_threads, n_items, grain, i, (int)t.runs[i]);
    }
}

TEST(pool, runs_every_item_exactly_once) {
    static const size_t items[] = {0, 1, 2, 7, 8, 9, 100, MOST_ITEMS};
    static const size_t grains[] = {1, 2, 3, 64, 999, MOST_ITEMS, SIZE_MAX / 2};
    for (size_t c = 0; c < N_THREAD_COUNTS; c++) {
        pith_pool *pool = new_pool(thread_counts[c]);
        CHECK(pith_pool_threads(pool) == thread_counts[c], "%zu threads asked, %zu there",
              thread_counts[c], pith_pool_threads(pool));
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
            for (size_t g = 0; g < sizeof grains / sizeof grains[0]; g++) {
                check_one_run(pool, items[i], grains[g]);
            }
        }
        pith_pool_free(pool);
    }
    CHECK_NO_LEAKS();
}

/* A race may make a piece larger, so not every run shows it. */
TEST(pool, the_last_pieces_of_a_share_are_small) {
    enum { N_ITEMS = 100, GRAIN = 8 };
    pith_pool *pool = new_pool(2);
    size_t most = 0;
    for (int run = 0; run < 100; run++) {
        static tally t;
        t = (tally){.n_items = N_ITEMS, .grain = GRAIN, .n_threads = 2};
        pith_pool_run(pool, N_ITEMS, GRAIN, count_items, &t);
        most = t.n_pieces > most ? t.n_pieces : most;
    }
    CHECK(most == count_pieces(N_ITEMS, GRAIN, 2), "%zu pieces at most", most);
    pith_pool_free(pool);
}

static void square(void *argument, size_t begin, size_t end, size_t thread) {
    (void)thread;
    size_t *squares = argument;
    for (size_t i = begin; i < end; i++) {
        squares[i] += i * i; /* plain memory: visible to the caller after the run */
    }
}

TEST(pool, many_tiny_runs_are_all_complete_on_return) {
    for (size_t c = 0; c < N_THREAD_COUNTS; c++) {
        pith_pool *pool = new_pool(thread_counts[c]);
        size_t n = thread_counts[c] + 1;
        size_t squares[16] = {0};
        for (size_t run = 1; run <= 5000; run++) {
            pith_pool_run(pool, n, 1, square, squares);
            for (size_t i = 0; i < n; i++) {
                CHECK(squares[i] == run * i * i, "%zu threads, run %zu, item %zu: %zu",
                      thread_counts[c], run, i, squares[i]);
            }
        }
        pith_pool_free(pool);
    }
    CHECK_NO_LEAKS();
}

typedef struct caller {
    pthread_t thread;
    pith_pool *pool;
    size_t squares[64];
    size_t first_bad_run; /* 0: none */
} caller;

enum { CALLER_RUNS = 2000 };

static void *call_often(void *argument) {
    caller *c = argument;
    for (size_t run = 1; run <= CALLER_RUNS; run++) {
        pith_pool_run(c->pool, 64, 5, square, c->squares);
        for (size_t i = 0; i < 64; i++) {
            if (c->squares[i] != run * i * i && c->first_bad_run == 0) {
                c->first_bad_run = run;
            }
        }
    }
    return NULL;
}

TEST(pool, serves_callers_from_several_threads) {
    for (size_t c = 0; c < N_THREAD_COUNTS; c++) {
        pith_pool *pool = new_pool(thread_counts[c]);
        caller callers[4] = {0};
        for (size_t i = 0; i < 4; i++) {
            callers[i].pool = pool;
            CHECK(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]) == 0,
                  "no thread %zu", i);
        }
        for (size_t i = 0; i < 4; i++) {
            pthread_join(callers[i].thread, NULL);
        }
        pith_pool_free(pool);
        for (size_t i = 0; i < 4; i++) {
            CHECK(callers[i].first_bad_run == 0, "%zu threads, caller %zu: run %zu is wrong",
                  thread_counts[c], i, callers[i].first_bad_run);
        }
    }
    CHECK_NO_LEAKS();
}

/* Every piece waits until all threads are there, so no thread can take two. */
typedef struct meeting {
    size_t n_threads;
    atomic_size_t n_arrived;
    atomic_int seen[PITH_MAX_THREADS];
    atomic_int unblocked[PITH_MAX_THREADS]; /* SIGINT or SIGTERM may be delivered to it */
} meeting;

static void meet(void *argument, size_t begin, size_t end, size_t thread) {
    (void)begin;
    (void)end;
    meeting *m = argument;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    bool unblocked = sigismember(&blocked, SIGINT) == 0 || sigismember(&blocked, SIGTERM) == 0;
    atomic_store(&m->unblocked[thread], unblocked);
    atomic_fetch_add(&m->seen[thread], 1);
    atomic_fetch_add(&m->n_arrived, 1);
    while (atomic_load(&m->n_arrived) < m->n_threads) {
        sched_yield();
    }
}

TEST(pool, wakes_every_thread_again_and_again) {
    for (size_t c = 0; c < N_THREAD_COUNTS; c++) {
        pith_pool *pool = new_pool(thread_counts[c]);
        for (int run = 0; run < 200; run++) {
            static meeting m;
            memset(&m, 0, sizeof m);
            m.n_threads = thread_counts[c];
            pith_pool_run(pool, m.n_threads, 1, meet, &m);
            for (size_t t = 0; t < m.n_threads; t++) {
                CHECK(m.seen[t] == 1, "%zu threads, run %d: thread %zu ran %d pieces", m.n_threads,
                      run, t, (int)m.seen[t]);
            }
        }
        pith_pool_free(pool);
    }
}

TEST(pool, workers_block_signals_and_the_caller_keeps_its_mask) {
    pith_pool *pool = new_pool(4);
    static meeting m;
    memset(&m, 0, sizeof m);
    m.n_threads = 4;
    pith_pool_run(pool, 4, 1, meet, &m);
    CHECK(m.unblocked[0] == 1, "the caller's signals are blocked");
    for (size_t t = 1; t < 4; t++) {
        CHECK(m.unblocked[t] == 0, "thread %zu may be interrupted", t);
    }
    pith_pool_free(pool);
}

TEST(pool, default_is_one_thread_per_usable_cpu) {
    cpu_set_t all;
    CHECK(sched_getaffinity(0, sizeof all, &all) == 0, "no affinity");
    pith_pool *pool = new_pool(0);
    size_t n_threads = pith_pool_threads(pool);
    pith_pool_free(pool);
    CHECK(n_threads == pith_cpu_count() && n_threads <= (size_t)CPU_COUNT(&all),
          "%zu threads on %d CPUs", n_threads, CPU_COUNT(&all));
    cpu_set_t one;
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
        }
    }
    CHECK(sched_setaffinity(0, sizeof one, &one) == 0, "cannot bind to one CPU");
    pool = new_pool(0);
    n_threads = pith_pool_threads(pool);
    pith_pool_free(pool);
    sched_setaffinity(0, sizeof all, &all);
    CHECK(n_threads == 1, "%zu threads on one CPU", n_threads);
}

TEST(pool, refuses_too_many_threads) {
    pith_pool *pool = (pith_pool *)&pool;
    pith_error error;
    pith_status status = pith_pool_new(&pool, PITH_MAX_THREADS + 1, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && (void *)pool == (void *)&pool, "status %d", status);
    CHECK(strstr(error.message, "257") != NULL && strstr(error.message, "256") != NULL,
          "message '%s'", error.message);
}

TEST(pool, allocation_failure_is_reported_and_leaves_nothing) {
    test_allocator t;
    test_allocator_init(&t);
    pith_pool *pool = NULL;
    CHECK(pith_pool_new(&pool, 3, &t.allocator, NULL) == PITH_OK, "no pool");
    size_t n_calls = t.n_calls;
    pith_pool_free(pool);
    CHECK(n_calls > 0 && t.n_live == 0, "%zu allocations, %zu live", n_calls, (size_t)t.n_live);
    for (size_t i = 1; i <= n_calls; i++) {
        test_allocator_init(&t);
        t.fail_at = i;
        pool = NULL;
        pith_error error = {0};
        pith_status status = pith_pool_new(&pool, 3, &t.allocator, &error);
        CHECK(status == PITH_ERROR_MEMORY && error.status == status && pool == NULL,
              "allocation %zu fails: status %d", i, (int)status);
        CHECK(t.n_live == 0, "allocation %zu fails: %zu live", i, (size_t)t.n_live);
    }
    pith_pool_free(NULL);
    CHECK_NO_LEAKS();
}

/* Threads whose default stack is larger than the address space cannot be started. */
TEST(pool, thread_failure_is_reported_and_leaves_nothing) {
    pthread_attr_t before;
    pthread_attr_t impossible;
    CHECK(pthread_getattr_default_np(&before) == 0, "no default attributes");
    pthread_attr_init(&impossible);
    CHECK(pthread_attr_setstacksize(&impossible, (size_t)1 << 60) == 0, "stack size refused");
    CHECK(pthread_setattr_default_np(&impossible) == 0, "default attributes refused");
    test_allocator t;
    test_allocator_init(&t);
    pith_pool *pool = NULL;
    pith_error error = {0};
    pith_status status = pith_pool_new(&pool, 3, &t.allocator, &error);
    pthread_setattr_default_np(&before);
    pthread_attr_destroy(&impossible);
    pthread_attr_destroy(&before);
    CHECK(status == PITH_ERROR_MEMORY && pool == NULL, "status %d", (int)status);
    CHECK(strstr(error.message, "thread 2 of 3") != NULL, "message '%s'", error.message);
    CHECK(t.n_live == 0, "%zu blocks live", (size_t)t.n_live);
    CHECK_NO_LEAKS();
}
