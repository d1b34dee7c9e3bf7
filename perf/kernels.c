/* Timing single kernels; see kernels.h. */
#include "perf/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/status.h"
#include "perf/bench.h"
#include "perf/kernels_inside.h"
#include "perf/shares.h"
#include "perf/team.h"

/* Seconds of one timed run: long compared with starting threads and reading a clock, and so short
 * compared with a time slice that on a busy machine most runs are not interrupted. */
static const double run_seconds = 0.0005;
/* Seconds for measuring a compute limit, the best of several runs. */
static const double limit_seconds = 0.002;
/* Seconds after which the scalar kernel is left out of further rounds. */
static const double scalar_seconds = 0.1;
enum {
    LEAST_WINDOW = 256 << 20,
    SCALAR_ROUNDS = 3, /* at least, unless there are fewer rounds */
    ATTEMPTS = 3,      /* for a share that comes out above its limit */
};

const pith_kernel_bench *pith_kernel_bench_at(size_t i) {
    if (i < PITH_N_TYPES) {
        return &pith_kernel_products[i];
    }
    i -= PITH_N_TYPES;
    if (i < PITH_KERNEL_ATTENTION) {
        return &pith_kernel_attention[i];
    }
    i -= PITH_KERNEL_ATTENTION;
    return i < PITH_KERNEL_ROWS ? &pith_kernel_rows[i] : NULL;
}

/* splitmix64 (Steele et al. 2014). */
void pith_kernel_fill(float *x, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        x[i] = (float)((z ^ (z >> 31)) >> 40) * 0x1p-23F - 1.0F;
    }
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* What run i is compared with: of the multipliers the larger of the limits right before and right
 * after it, of a read stream, whose speed scatters, the median of the nearest four. */
static double limit_beside(const pith_kernel_samples *s, pith_kernel_bound bound, size_t i) {
    const double *limits = s->limits;
    if (bound != PITH_BOUND_STREAM) {
        return limits[i] > limits[i + 1] ? limits[i] : limits[i + 1];
    }
    double nearest[4];
    size_t n = 0;
    for (size_t j = i == 0 ? 0 : i - 1; j <= pith_min_size(i + 2, s->n); j++) {
        nearest[n++] = limits[j];
    }
    pith_sort_figures(nearest, n);
    return pith_median(nearest, n);
}

/* Sorts the limits last: runs are compared with those beside them. */
static void judge_share(pith_kernel_samples *s, pith_kernel_bound bound, double work,
                        pith_kernel_result *out) {
    out->share = -1;
    for (size_t i = 0; i <= s->n; i++) {
        if (bound == PITH_BOUND_NONE || s->limits[i] <= 0) {
            return;
        }
    }
    for (size_t i = 0; i < s->n; i++) {
        s->shares[i] = pith_share(work / s->seconds[i], limit_beside(s, bound, i));
    }
    pith_sort_figures(s->shares, s->n);
    pith_sort_figures(s->limits, s->n + 1);
    out->share = pith_median(s->shares, s->n);
    out->failed = out->share > PITH_SHARE_LIMIT;
    out->limit = pith_median(s->limits, s->n + 1);
    out->moved =
        pith_quantile(s->limits, s->n + 1, 0.75) / pith_quantile(s->limits, s->n + 1, 0.25);
}

void pith_kernel_judge(pith_kernel_samples *s, const pith_kernel_shape *shape,
                       const pith_kernel_cost *cost, size_t n_threads, pith_kernel_result *out) {
    double threads = (double)n_threads;
    double work = threads * (shape->bound == PITH_BOUND_STREAM ? cost->bytes : cost->ops);
    pith_kernel_result r = {.n_rounds = s->n};
    judge_share(s, shape->bound, work, &r);
    pith_sort_figures(s->seconds, s->n);
    pith_sort_figures(s->scalar, s->n_scalar);
    r.seconds = pith_median(s->seconds, s->n);
    r.seconds_min = s->seconds[0];
    r.seconds_max = s->seconds[s->n - 1];
    r.byte_rate = threads * cost->bytes / r.seconds;
    r.op_rate = threads * cost->ops / r.seconds;
    r.scalar_seconds = pith_median(s->scalar, s->n_scalar);
    r.times_scalar = r.scalar_seconds / r.seconds;
    *out = r;
}

/* ---- The timer ------------------------------------------------------------------------------- */

pith_status pith_kernel_timer_new(pith_kernel_timer *out, const pith_kernels *kernels,
                                  pith_pool *pool, size_t n_rounds, pith_error *error) {
    pith_kernel_timer timer = {
        .kernels = kernels,
        .path = pith_memory_path_here(kernels->name),
        .pool = pool,
        .n_rounds = n_rounds,
        .probes = pith_probes_find(kernels->name),
        .samples = calloc(4 * (n_rounds + 1), sizeof *timer.samples),
    };
    if (timer.samples == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu rounds", n_rounds);
    }
    *out = timer;
    return PITH_OK;
}

pith_status pith_kernel_timer_memory(pith_kernel_timer *timer, size_t size, pith_error *error) {
    if (size == 0) {
        size = pith_max_size(PITH_CACHE_MARGIN * pith_cache_bytes(), LEAST_WINDOW);
    }
    pith_status status = pith_probe_memory_new(&timer->read, size, true, timer->pool, error);
    if (status == PITH_OK) {
        status = pith_probe_memory_new(&timer->window, size, true, timer->pool, error);
    }
    if (status == PITH_OK) {
        timer->pattern = pith_limit_read(&timer->probes, &timer->read, timer->pool, 0.3).pattern;
    }
    return status;
}

void pith_kernel_timer_free(pith_kernel_timer *timer) {
    pith_probe_memory_free(&timer->read);
    pith_probe_memory_free(&timer->window);
    free(timer->samples);
    *timer = (pith_kernel_timer){0};
}

/* ---- The window ------------------------------------------------------------------------------ */

typedef struct copy_loop {
    const pith_kernel_timer *timer;
    const void *piece;
    size_t size;
} copy_loop;

static void copy_piece(void *argument, size_t begin, size_t end, size_t thread) {
    const copy_loop *loop = argument;
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        memcpy(loop->timer->window.data + i * loop->size, loop->piece, loop->size);
    }
}

/* Fills the window with copies of a call's piece: for memory they are as good as different ones. */
static void fill_window(pith_kernel_timer *timer, const pith_kernel_call *call, size_t piece) {
    if (timer->window_of == call->bench && timer->window_piece == piece) {
        return;
    }
    copy_loop loop = {timer, call->piece, piece};
    pith_pool_run(timer->pool, timer->window.size / piece, 16, copy_piece, &loop);
    timer->window_of = call->bench;
    timer->window_piece = piece;
    timer->next_piece = 0;
}

/* ---- One run --------------------------------------------------------------------------------- */

/* Calls of all threads; from memory each piece goes to the thread that asks for it first. */
typedef struct call_loop {
    const pith_kernels *kernels;
    pith_memory_path path;
    const pith_kernel_call *calls; /* [n_threads] */
    size_t n_calls;                /* of each thread */
    const unsigned char *window;
    size_t piece, n_pieces;
    size_t end;
    atomic_size_t next;
} call_loop;

static uint64_t call_again(void *argument, size_t thread) {
    const call_loop *loop = argument;
    pith_kernel_call call = loop->calls[thread];
    call.path = loop->path;
    for (size_t i = 0; i < loop->n_calls; i++) {
        call.bench->run(&call, loop->kernels);
    }
    return 0;
}

static uint64_t call_window(void *argument, size_t thread) {
    call_loop *loop = argument;
    pith_kernel_call call = loop->calls[thread];
    call.path = loop->path;
    for (size_t i; (i = atomic_fetch_add(&loop->next, 1)) < loop->end;) {
        call.piece = loop->window + i % loop->n_pieces * loop->piece;
        call.bench->run(&call, loop->kernels);
    }
    return 0;
}

/* Seconds of a call when every thread makes n_calls. */
static double run_once(pith_kernel_timer *timer, call_loop *loop) {
    bool memory = loop->calls->shape->memory;
    pith_team team = {.work = memory ? call_window : call_again, .argument = loop};
    size_t first = timer->next_piece;
    loop->end = first + loop->n_calls * pith_pool_threads(timer->pool);
    atomic_store(&loop->next, first);
    double seconds = pith_team_run(&team, timer->pool);
    timer->next_piece = memory ? loop->end % loop->n_pieces : first;
    return seconds / (double)loop->n_calls;
}

/* Finds out how many calls are a run, which also warms caches and clock. */
static void warm_up(pith_kernel_timer *timer, call_loop *loop) {
    loop->n_calls = 1;
    while (run_once(timer, loop) * (double)loop->n_calls < run_seconds) {
        loop->n_calls *= 2;
    }
}

static double measure_limit(pith_kernel_timer *timer, pith_kernel_bound bound) {
    switch (bound) {
    case PITH_BOUND_STREAM:
        return pith_limit_stretch(&timer->probes, &timer->read, timer->pool, timer->pattern,
                                  &timer->next_stretch);
    case PITH_BOUND_INT8:
        return pith_limit_compute(&timer->probes.int8, timer->pool, limit_seconds);
    case PITH_BOUND_F32:
        return pith_limit_compute(&timer->probes.f32, timer->pool, limit_seconds);
    default:
        return 0;
    }
}

static call_loop loop_of(const pith_kernel_timer *timer, const pith_kernel_call *calls,
                         size_t piece) {
    call_loop loop = {.kernels = timer->kernels, .path = timer->path, .calls = calls};
    if (calls->shape->memory) {
        loop.window = timer->window.data;
        loop.piece = piece;
        loop.n_pieces = timer->window.size / piece;
    }
    return loop;
}

/* Fills the samples. Returns the calls of a thread in each run, 0 when it was stopped. */
static size_t run_rounds(pith_kernel_timer *timer, const pith_kernel_call *calls, size_t piece,
                         pith_kernel_samples *s) {
    pith_kernel_bound bound = calls->shape->bound;
    call_loop loop = loop_of(timer, calls, piece);
    call_loop plain = loop;
    double spent = 0;
    plain.kernels = pith_kernels_find("scalar");
    warm_up(timer, &loop);
    warm_up(timer, &plain);
    s->limits[0] = measure_limit(timer, bound);
    for (size_t i = 0; i < timer->n_rounds; i++) {
        double done = (double)i / (double)timer->n_rounds;
        if (timer->go_on != NULL && !timer->go_on(timer->go_on_user, done)) {
            return 0;
        }
        s->seconds[i] = run_once(timer, &loop);
        s->limits[i + 1] = measure_limit(timer, bound);
        if (i < SCALAR_ROUNDS || spent < scalar_seconds) {
            s->scalar[i] = run_once(timer, &plain);
            spent += s->scalar[i] * (double)plain.n_calls;
            s->n_scalar = i + 1;
        }
    }
    s->n = timer->n_rounds;
    return loop.n_calls;
}

/* Lays out the operands of all threads; `calls` [n_threads] lie first. */
static pith_kernel_call *prepare_calls(const pith_kernel_bench *bench,
                                       const pith_kernel_shape *shape, size_t n_threads,
                                       pith_arena *arena) {
    pith_kernel_call *calls = pith_arena_take(arena, n_threads, sizeof *calls);
    for (size_t i = 0; i < n_threads; i++) {
        pith_kernel_call call = {.bench = bench, .shape = shape};
        bench->prepare(&call, arena);
        if (calls != NULL) {
            calls[i] = call;
        }
    }
    return calls;
}

/* All of a setup but its number of calls, and the window for a shape in memory. */
static pith_status set_up(pith_kernel_setup *out, pith_kernel_timer *timer,
                          const pith_kernel_bench *bench, const pith_kernel_shape *shape,
                          pith_error *error) {
    const size_t n_threads = pith_pool_threads(timer->pool);
    pith_kernel_setup setup = {.cost = bench->cost(bench, shape)};
    pith_arena measure = {0};
    prepare_calls(bench, shape, n_threads, &measure);
    pith_status status = pith_region_allocate(&setup.region, measure.used, NULL, error);
    if (status == PITH_OK) {
        pith_arena arena = {.base = setup.region.data};
        setup.calls = prepare_calls(bench, shape, n_threads, &arena);
        if (shape->memory) {
            fill_window(timer, setup.calls, setup.cost.piece);
        }
        *out = setup;
    }
    return status;
}

void pith_kernel_setup_free(pith_kernel_setup *setup) {
    pith_region_release(&setup->region);
    *setup = (pith_kernel_setup){.n_calls = 0};
}

pith_status pith_kernel_setup_new(pith_kernel_setup *out, pith_kernel_timer *timer,
                                  const pith_kernel_bench *bench, const pith_kernel_shape *shape,
                                  pith_error *error) {
    pith_status status = set_up(out, timer, bench, shape, error);
    if (status != PITH_OK) {
        return status;
    }
    call_loop loop = loop_of(timer, out->calls, out->cost.piece);
    warm_up(timer, &loop);
    out->n_calls = loop.n_calls;
    return PITH_OK;
}

double pith_kernel_setup_run(pith_kernel_timer *timer, const pith_kernel_setup *setup,
                             pith_memory_path path) {
    if (setup->calls->shape->memory) {
        fill_window(timer, setup->calls, setup->cost.piece);
    }
    call_loop loop = loop_of(timer, setup->calls, setup->cost.piece);
    loop.n_calls = setup->n_calls;
    loop.path = path;
    return run_once(timer, &loop);
}

pith_status pith_kernel_time(pith_kernel_timer *timer, const pith_kernel_bench *bench,
                             const pith_kernel_shape *shape, pith_kernel_result *out,
                             pith_error *error) {
    size_t room = timer->n_rounds + 1;
    pith_kernel_setup setup;
    pith_kernel_samples samples = {.seconds = timer->samples,
                                   .limits = timer->samples + room,
                                   .shares = timer->samples + 2 * room,
                                   .scalar = timer->samples + 3 * room};
    pith_status status = set_up(&setup, timer, bench, shape, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_kernel_result result = {.failed = true};
    for (size_t i = 0; status == PITH_OK && result.failed && i < ATTEMPTS; i++) {
        size_t n_calls = run_rounds(timer, setup.calls, setup.cost.piece, &samples);
        if (n_calls == 0) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        } else {
            pith_kernel_judge(&samples, shape, &setup.cost, pith_pool_threads(timer->pool),
                              &result);
            result.n_calls = n_calls;
        }
    }
    pith_kernel_setup_free(&setup);
    if (status == PITH_OK) {
        *out = result;
    }
    return status;
}
