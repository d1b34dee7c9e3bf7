/* Benchmarks of single kernels: that each times the kernel it names, on operands that obey the
 * contract, and the arithmetic of costs and shares. Speeds themselves are not tested. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "perf/kernels.h"
#include "tests/support.h"
#include "tests/test.h"

typedef void (*kernel_fn)(void);

enum { N_SLOTS = (sizeof(pith_kernels) - offsetof(pith_kernels, product)) / sizeof(kernel_fn) };

/* One call's operands in a region of its own. */
typedef struct prepared {
    pith_region region;
    size_t used;
    pith_kernel_call call;
} prepared;

static prepared prepare(const pith_kernel_bench *bench, const pith_kernel_shape *shape) {
    prepared p = {.call = {.bench = bench, .shape = shape}};
    pith_error error;
    pith_arena measure = {0};
    bench->prepare(&p.call, &measure);
    CHECK(p.call.operands == NULL && p.call.piece == NULL, "%s: operands while measuring",
          bench->name);
    CHECK(pith_region_allocate(&p.region, measure.used, NULL, &error) == PITH_OK, "%s",
          error.message);
    memset(p.region.data, 0, measure.used);
    p.used = measure.used;
    return p;
}

static void fill(prepared *p) {
    pith_arena arena = {.base = p->region.data};
    p->call.bench->prepare(&p->call, &arena);
    CHECK(arena.used == p->used, "%s: %zu bytes, %zu measured", p->call.bench->name, arena.used,
          p->used);
}

/* Copies all bytes of the region to `to` [used], those between blocks too: AddressSanitizer guards
 * them, and sees memcpy. */
__attribute__((no_sanitize("address"))) static void copy_region(const prepared *p,
                                                                unsigned char *to) {
    const volatile unsigned char *from = p->region.data;
    for (size_t i = 0; i < p->used; i++) {
        to[i] = from[i];
    }
}

TEST(bench_kernels, every_kernel_once) {
    bool seen[N_SLOTS] = {false};
    const pith_kernel_bench *bench;
    size_t n = 0;
    for (; (bench = pith_kernel_bench_at(n)) != NULL; n++) {
        size_t i = (bench->slot - offsetof(pith_kernels, product)) / sizeof(kernel_fn);
        CHECK(i < N_SLOTS && !seen[i], "%s: slot %zu is another's or none", bench->name, i);
        CHECK(bench->n_shapes > 0, "%s has no shapes", bench->name);
        seen[i] = true;
        for (size_t j = 0; j < n; j++) {
            CHECK(strcmp(pith_kernel_bench_at(j)->name, bench->name) != 0, "two are called %s",
                  bench->name);
        }
    }
    CHECK(n == N_SLOTS, "%zu kernels of %d are timed", n, N_SLOTS);
}

/* A table with that kernel alone: a call of any other ends in a crash. */
TEST(bench_kernels, time_what_they_name) {
    const pith_kernels *scalar = pith_kernels_find("scalar");
    const pith_kernel_bench *bench;
    for (size_t i = 0; (bench = pith_kernel_bench_at(i)) != NULL; i++) {
        pith_kernels alone = {.name = "alone"};
        memcpy((char *)&alone + bench->slot, (const char *)scalar + bench->slot, sizeof(kernel_fn));
        prepared p = prepare(bench, &bench->shapes[0]);
        fill(&p);
        bench->run(&p.call, &alone);
        pith_region_release(&p.region);
    }
}

/* Operands that break a contract, NaN among them, show as bytes that differ between tables. Calls
 * of row kernels follow each other, as in a timed run. */
TEST(bench_kernels, operands_obey_the_contracts) {
    const pith_kernels *tables[2] = {pith_kernels_find("scalar"), pith_kernels_find(NULL)};
    const pith_kernel_bench *bench;
    for (size_t i = 0; (bench = pith_kernel_bench_at(i)) != NULL; i++) {
        for (size_t j = 0; j < bench->n_shapes; j++) {
            if (bench->shapes[j].tokens > 8) {
                continue; /* the scalar product is slow, and more tokens are no other operands */
            }
            prepared p = prepare(bench, &bench->shapes[j]);
            unsigned char *after[2] = {malloc(p.used), malloc(p.used)};
            size_t n_calls = bench->shapes[j].tokens == 0 ? 3 : 1;
            CHECK(after[0] != NULL && after[1] != NULL, "no memory");
            for (size_t table = 0; table < 2; table++) {
                fill(&p);
                for (size_t call = 0; call < n_calls; call++) {
                    bench->run(&p.call, tables[table]);
                }
                copy_region(&p, after[table]);
            }
            CHECK(memcmp(after[0], after[1], p.used) == 0, "%s, shape %zu: %s and %s differ",
                  bench->name, j, tables[0]->name, tables[1]->name);
            free(after[0]);
            free(after[1]);
            pith_region_release(&p.region);
        }
    }
    CHECK_NO_LEAKS();
}

/* The operands' struct lies first, in at most 128 bytes; all that follows are floats or zeros. */
static void check_floats(const prepared *p, float *x) {
    copy_region(p, (unsigned char *)x);
    for (size_t i = 128 / sizeof *x; i < p->used / sizeof *x; i++) {
        CHECK((x[i] == 0 || isnormal(x[i])) && fabsf(x[i]) < 100, "%s: float %zu is %g",
              p->call.bench->name, i, (double)x[i]);
    }
}

static const pith_kernel_bench *find(const char *name) {
    const pith_kernel_bench *bench;
    for (size_t i = 0; (bench = pith_kernel_bench_at(i)) != NULL; i++) {
        if (strcmp(bench->name, name) == 0) {
            return bench;
        }
    }
    CHECK(false, "no kernel %s", name);
    return NULL;
}

/* What is computed in place neither grows nor becomes subnormal, which is slow, in many calls. */
TEST(bench_kernels, in_place_stays_in_range) {
    const char *const names[] = {"softmax", "rope",          "multiply",
                                 "blend",   "add_layernorm", "bias_gelu"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const pith_kernel_bench *bench = find(names[i]);
        prepared p = prepare(bench, &bench->shapes[0]);
        fill(&p);
        float *x = malloc(p.used);
        CHECK(x != NULL, "no memory");
        for (size_t call = 0; call < 1000; call++) {
            bench->run(&p.call, pith_kernels_find(NULL));
            check_floats(&p, x);
        }
        free(x);
        pith_region_release(&p.region);
    }
}

TEST(bench_kernels, costs) {
    static const struct {
        const char *name;
        pith_kernel_shape shape;
        double bytes, ops;
        size_t piece;
    } cases[] = {
        /* a tile: 8 groups of 32 lines and 64 bytes of multipliers twice, 8 x 16 scales of 2 */
        {"product_int4",
         {3, 32, 2048, false, PITH_BOUND_INT8},
         2 * 17664 + 3 * (2048 + 8 * 8 + 128 * 4 + 32 * 4),
         2.0 * 3 * 32 * 2048,
         2 * 17664},
        {"product_int4",
         {3, 32, 2048, true, PITH_BOUND_STREAM},
         2 * 17664,
         2.0 * 3 * 32 * 2048,
         2 * 17664},
        /* 512 lines, 16 x 16 scales of 2 */
        {"product_int8",
         {2, 16, 2048, false, PITH_BOUND_INT8},
         33280 + 2 * (2048 + 16 * 8 + 16 * 4),
         2.0 * 2 * 16 * 2048,
         33280},
        {"product_f16", {1, 16, 64, false, PITH_BOUND_F32}, 2048 + 256 + 64, 2.0 * 16 * 64, 2048},
        {"scores_f16",
         {4, 256, 128, false, PITH_BOUND_F32},
         65536 + 4 * 4 * (256 + 128),
         2.0 * 4 * 256 * 128,
         65536},
        {"values_int8", {4, 256, 128, true, PITH_BOUND_STREAM}, 32768, 2.0 * 4 * 256 * 128, 32768},
        {"softmax", {.n = 256}, 2048, 0, 0},
        {"rmsnorm", {.n = 4096}, 3 * 4 * 4096, 4 * 4096, 0},
        {"quantize", {.rows = 256, .n = 4096}, 4 * 4096 + 4096 + 16 * 8 + 256 * 4, 0, 0},
        {"quantize", {.rows = 128, .n = 4096}, 4 * 4096 + 4096 + 32 * 8, 0, 0},
        {"rope", {.rows = 32, .n = 64}, 8 * 2048, 3 * 2048, 0},
        {"dot_int8", {.rows = 256, .n = 384}, 257 * 384, 2 * 256 * 384, 256 * 384},
        {"dot_f32",
         {.rows = 256, .n = 384, .memory = true},
         4 * 256 * 384,
         2 * 256 * 384,
         4 * 256 * 384},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_kernel_bench *bench = find(cases[i].name);
        pith_kernel_cost cost = bench->cost(bench, &cases[i].shape);
        CHECK(test_near(cost.bytes, cases[i].bytes), "case %zu, %s: %g bytes, expected %g", i,
              cases[i].name, cost.bytes, cases[i].bytes);
        CHECK(cost.ops == cases[i].ops, "case %zu, %s: %g operations, expected %g", i,
              cases[i].name, cost.ops, cases[i].ops);
        CHECK(cost.piece == cases[i].piece && cost.piece % 64 == 0,
              "case %zu, %s: pieces of %zu bytes, expected %zu", i, cases[i].name, cost.piece,
              cases[i].piece);
    }
}

TEST(bench_kernels, shares) {
    const pith_kernel_cost cost = {.bytes = 1e6, .ops = 4e6};
    double seconds[] = {2e-3, 1e-3, 4e-3};
    double limits[] = {9e9, 16e9, 10e9, 40e9};
    double shares[3];
    double scalar[] = {30e-3, 10e-3};
    pith_kernel_samples s = {3, 2, seconds, limits, shares, scalar};
    pith_kernel_shape shape = {.bound = PITH_BOUND_INT8};
    pith_kernel_result r;
    pith_kernel_judge(&s, &shape, &cost, 2, &r);
    CHECK(r.n_rounds == 3 && r.seconds == 2e-3 && r.seconds_min == 1e-3 && r.seconds_max == 4e-3,
          "%zu rounds, %g s, %g to %g", r.n_rounds, r.seconds, r.seconds_min, r.seconds_max);
    CHECK(test_near(r.byte_rate, 1e9) && test_near(r.op_rate, 4e9), "%g bytes/s, %g operations/s",
          r.byte_rate, r.op_rate);
    CHECK(test_near(r.scalar_seconds, 20e-3) && test_near(r.times_scalar, 10),
          "scalar %g s, %g times", r.scalar_seconds, r.times_scalar);
    /* 4 / 16, 8 / 16, 2 / 40 */
    CHECK(test_near(r.share, 0.25) && !r.failed, "share of int8 %g", r.share);
    CHECK(test_near(r.limit, 13e9) && test_near(r.moved, 16.0 / 9), "limit %g, moved %g", r.limit,
          r.moved);
}

TEST(bench_kernels, shares_of_the_stream) {
    const pith_kernel_cost cost = {.bytes = 1e6, .ops = 4e9};
    double seconds[] = {1e-3, 1e-3, 1e-3, 1e-3};
    double limits[] = {2e9, 4e9, 8e9, 16e9, 1e9};
    double shares[4];
    double scalar[] = {1};
    pith_kernel_samples s = {4, 1, seconds, limits, shares, scalar};
    pith_kernel_shape shape = {.bound = PITH_BOUND_STREAM};
    pith_kernel_result r;
    pith_kernel_judge(&s, &shape, &cost, 1, &r);
    /* The nearest: 2 4 8; 2 4 8 16; 4 8 16 1; 8 16 1: shares 1/4, 1/6, 1/6, 1/8 */
    CHECK(test_near(r.share, 1.0 / 6) && !r.failed, "share of the stream %g", r.share);
    double slower[] = {1e9, 1e9};
    double once[] = {0.97e-3};
    pith_kernel_samples above = {1, 1, once, slower, shares, scalar};
    pith_kernel_judge(&above, &shape, &cost, 1, &r);
    CHECK(test_near(r.share, 1 / 0.97) && r.failed, "a share of %g is believed", r.share);
    slower[1] = 0;
    pith_kernel_judge(&above, &shape, &cost, 1, &r);
    CHECK(r.share == -1 && r.limit == 0 && !r.failed, "%g of a limit that is not known", r.share);
    shape.bound = PITH_BOUND_NONE;
    pith_kernel_judge(&above, &shape, &cost, 1, &r);
    CHECK(r.share == -1 && !r.failed, "%g of no limit", r.share);
}

/* Goes on for as many rounds. */
static bool count_down(void *user, double done) {
    size_t *left = user;
    CHECK(done >= 0 && done < 1, "%g of the rounds are done", done);
    return (*left)-- > 0;
}

TEST(bench_kernels, stop_between_rounds) {
    const pith_kernel_bench *bench = find("exp");
    pith_error error;
    pith_pool *pool;
    pith_kernel_timer timer;
    size_t left = 3;
    pith_kernel_result r = {.n_calls = 77};
    CHECK(pith_pool_new(&pool, 1, &pith_malloc_allocator, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_kernel_timer_new(&timer, pith_kernels_find(NULL), pool, 5, &error) == PITH_OK, "%s",
          error.message);
    timer.go_on = count_down;
    timer.go_on_user = &left;
    pith_status status = pith_kernel_time(&timer, bench, &bench->shapes[0], &r, &error);
    CHECK(status == PITH_ERROR_STOPPED && r.n_calls == 77 && left == SIZE_MAX,
          "status %d, %zu calls, %zu rounds left", (int)status, r.n_calls, left);
    pith_kernel_timer_free(&timer);
    pith_pool_free(pool);
    CHECK_NO_LEAKS();
}

/* Through the timer: cached and from memory, on two threads. */
TEST(bench_kernels, a_run_fills_its_result) {
    static const char *const names[] = {"rmsnorm", "values_int8"};
    pith_error error;
    pith_pool *pool;
    pith_kernel_timer timer;
    CHECK(pith_pool_new(&pool, 2, &pith_malloc_allocator, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_kernel_timer_new(&timer, pith_kernels_find(NULL), pool, 3, &error) == PITH_OK &&
              pith_kernel_timer_memory(&timer, (size_t)16 << 20, &error) == PITH_OK,
          "%s", error.message);
    for (size_t i = 0; i < 2; i++) {
        const pith_kernel_bench *bench = find(names[i]);
        const pith_kernel_shape *shape = &bench->shapes[bench->n_shapes - 1];
        pith_kernel_result r;
        CHECK(shape->memory == (i == 1), "%s: the last shape", names[i]);
        CHECK(pith_kernel_time(&timer, bench, shape, &r, &error) == PITH_OK, "%s", error.message);
        CHECK(r.n_rounds == 3 && r.n_calls > 0 && r.seconds_min > 0 && r.seconds_min <= r.seconds &&
                  r.seconds <= r.seconds_max,
              "%s: %zu rounds of %zu calls, %g s, %g to %g", names[i], r.n_rounds, r.n_calls,
              r.seconds, r.seconds_min, r.seconds_max);
        CHECK(r.byte_rate > 0 && r.op_rate > 0 && r.times_scalar > 0, "%s: %g, %g, %g", names[i],
              r.byte_rate, r.op_rate, r.times_scalar);
        CHECK((r.share >= 0) == (i == 1) && (r.limit > 0) == (i == 1), "%s: share %g of %g",
              names[i], r.share, r.limit);
    }
    pith_kernel_timer_free(&timer);
    pith_pool_free(pool);
    CHECK_NO_LEAKS();
}
