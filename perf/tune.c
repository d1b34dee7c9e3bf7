/* Timing memory paths; see tune.h. */
#include "perf/tune.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/status.h"
#include "perf/kernels_inside.h"
#include "perf/machine.h"
#include "perf/shares.h"
#include "perf/team.h"
#include "simd/tuning.h"

static const size_t distances[] = {2 << 10, 6 << 10, 12 << 10, 16 << 10, 24 << 10};

static const pith_type types[] = {PITH_TYPE_INT4, PITH_TYPE_INT8};

enum {
    N_TYPES = sizeof types / sizeof types[0],
    N_DISTANCES = sizeof distances / sizeof distances[0],
    LEAST_ROUNDS = 2, /* of a sweep */
    MOST_READS = N_TYPES * PITH_TUNE_SWEEPS + 1,
};

/* ---- Candidates ------------------------------------------------------------------------------ */

static const pith_kernel_bench *find_bench(pith_type type) {
    size_t i = 0;
    while (pith_kernel_products[i].type != type) {
        i++;
    }
    return &pith_kernel_products[i];
}

/* The product's shape with as many tokens, of those that wait for memory. */
static const pith_kernel_shape *find_shape(const pith_kernel_bench *bench, size_t tokens) {
    const pith_kernel_shape *shape = bench->shapes;
    while (!shape->memory || shape->bound != PITH_BOUND_STREAM || shape->tokens != tokens) {
        shape++;
        assert(shape < bench->shapes + bench->n_shapes);
    }
    return shape;
}

static void add_shape(pith_tune_group *group, pith_type type, size_t tokens) {
    const pith_kernel_bench *bench = find_bench(type);
    group->shapes[group->n_shapes++] =
        (struct pith_tune_shape){bench, find_shape(bench, tokens), 0};
}

static void add_candidate(pith_tune_group *group, pith_fetch fetch) {
    group->candidates[group->n_candidates++].fetch = fetch;
}

/* Adds all distances of the hints from `first` on, and the table's path if it is none of them. */
static void add_candidates(pith_tune_group *group, int first, pith_fetch table) {
    for (int hint = first; hint < PITH_N_HINTS; hint++) {
        for (size_t i = 0; i < N_DISTANCES; i++) {
            add_candidate(group, (pith_fetch){(pith_hint)hint, distances[i]});
        }
    }
    for (group->table = 0; group->table < group->n_candidates; group->table++) {
        if (pith_fetch_same(group->candidates[group->table].fetch, table)) {
            return;
        }
    }
    add_candidate(group, table);
}

void pith_tune_groups(const pith_memory_path *table, pith_tune_result *out) {
    *out = (pith_tune_result){.moved = 0};
    for (size_t i = 0; i < N_TYPES; i++) {
        add_shape(&out->few, types[i], 1);
        add_shape(&out->few, types[i], 2);
        add_shape(&out->more, types[i], 4);
    }
    add_candidate(&out->few, (pith_fetch){PITH_HINT_NONE, 0});
    add_candidates(&out->few, PITH_HINT_NTA, table->few);
    add_candidates(&out->more, PITH_HINT_T1, table->more);
}

/* ---- Judging --------------------------------------------------------------------------------- */

/* Sets medians[r] to the median of the n candidates' seconds in round r of a shape. */
static void find_medians(const double *seconds, size_t n, size_t stride, size_t n_rounds,
                         double *medians) {
    double beside[PITH_TUNE_CANDIDATES];
    for (size_t r = 0; r < n_rounds; r++) {
        for (size_t i = 0; i < n; i++) {
            beside[i] = seconds[i * stride + r];
        }
        pith_sort_figures(beside, n);
        medians[r] = pith_median(beside, n);
    }
}

/* Multiplies the scores by one shape's factors and sets its rates. */
static void judge_shape(pith_tune_group *group, size_t s, const double *seconds, size_t stride) {
    const struct pith_tune_shape *shape = &group->shapes[s];
    const double bytes = shape->bench->cost(shape->bench, shape->shape).bytes;
    const size_t n = group->n_candidates;
    double medians[PITH_TUNE_ROUNDS];
    seconds += s * n * stride;
    find_medians(seconds, n, stride, shape->n_rounds, medians);
    for (size_t c = 0; c < n; c++) {
        double relative[PITH_TUNE_ROUNDS];
        double times[PITH_TUNE_ROUNDS];
        for (size_t r = 0; r < shape->n_rounds; r++) {
            times[r] = seconds[c * stride + r];
            relative[r] = medians[r] / times[r];
        }
        pith_sort_figures(relative, shape->n_rounds);
        pith_sort_figures(times, shape->n_rounds);
        group->candidates[c].score *= pith_median(relative, shape->n_rounds);
        group->candidates[c].rates[s] = bytes / pith_median(times, shape->n_rounds);
    }
}

void pith_tune_judge(pith_tune_group *group, const double *seconds, size_t stride) {
    struct pith_tune_candidate *c = group->candidates;
    for (size_t i = 0; i < group->n_candidates; i++) {
        c[i].score = 1;
    }
    for (size_t s = 0; s < group->n_shapes; s++) {
        judge_shape(group, s, seconds, stride);
    }
    group->fastest = 0;
    for (size_t i = 0; i < group->n_candidates; i++) {
        c[i].score = pow(c[i].score, 1.0 / (double)group->n_shapes);
        group->fastest = c[i].score > c[group->fastest].score ? i : group->fastest;
    }
    const double best = c[group->fastest].score;
    for (size_t i = 0; i < group->n_candidates; i++) {
        c[i].score /= best;
    }
    group->chosen = group->table;
    for (size_t i = 0; c[group->chosen].score < PITH_TUNE_TIE; i++) {
        group->chosen = i; /* ends at the fastest */
    }
}

/* ---- Timing ---------------------------------------------------------------------------------- */

typedef struct tuner {
    pith_kernel_timer *timer;
    pith_tune_result *result;
    pith_kernel_setup setups[2][PITH_TUNE_SHAPES]; /* of few, of more */
    double *seconds[2];                            /* as pith_tune_judge takes them */
    size_t stride;                                 /* rounds there is room for */
    double reads[MOST_READS];
    size_t n_reads;
} tuner;

static pith_tune_group *group_of(const tuner *t, size_t g) {
    return g == 0 ? &t->result->few : &t->result->more;
}

/* Times every candidate of a shape once. Odd rounds go backwards, so that no candidate always
 * follows the same other one. */
static void run_shape(tuner *t, size_t g, size_t s) {
    pith_tune_group *group = group_of(t, g);
    struct pith_tune_shape *shape = &group->shapes[s];
    const size_t n = group->n_candidates;
    const size_t round = shape->n_rounds++;
    for (size_t i = 0; i < n; i++) {
        const size_t c = round % 2 == 0 ? i : n - 1 - i;
        const pith_fetch fetch = group->candidates[c].fetch;
        const double seconds =
            pith_kernel_setup_run(t->timer, &t->setups[g][s],
                                  (pith_memory_path){.few = fetch, .more = fetch});
        const double threads = (double)pith_pool_threads(t->timer->pool);
        t->seconds[g][(s * n + c) * t->stride + round] = seconds / threads;
    }
}

static void read_plainly(tuner *t) {
    pith_kernel_timer *timer = t->timer;
    t->reads[t->n_reads++] = pith_limit_stretch(&timer->probes, &timer->read, timer->pool,
                                                timer->pattern, &timer->next_stretch);
}

/* Runs at most `most` rounds of one type's shapes, until `end`. Returns false when stopped. */
static bool sweep(tuner *t, pith_type type, size_t most, double end, double done) {
    pith_kernel_timer *timer = t->timer;
    for (size_t round = 0; round < most && (round < LEAST_ROUNDS || pith_seconds() < end);
         round++) {
        if (timer->go_on != NULL && !timer->go_on(timer->go_on_user, done)) {
            return false;
        }
        for (size_t g = 0; g < 2; g++) {
            for (size_t s = 0; s < group_of(t, g)->n_shapes; s++) {
                if (group_of(t, g)->shapes[s].bench->type == type) {
                    run_shape(t, g, s);
                }
            }
        }
    }
    read_plainly(t);
    return true;
}

/* Divides the time and the rounds among the sweeps. Returns false when stopped. */
static bool run_sweeps(tuner *t, double seconds) {
    const double begin = pith_seconds();
    const size_t n = N_TYPES * PITH_TUNE_SWEEPS;
    const size_t most = t->stride / PITH_TUNE_SWEEPS;
    read_plainly(t);
    for (size_t i = 0; i < n; i++) {
        const double end = begin + seconds * (double)(i + 1) / (double)n;
        if (!sweep(t, types[i % N_TYPES], most, end, (double)i / (double)n)) {
            return false;
        }
    }
    return true;
}

/* One type after the other, whose shapes share what fills the window. */
static pith_status set_up_shapes(tuner *t, pith_type type, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t g = 0; g < 2; g++) {
        pith_tune_group *group = group_of(t, g);
        for (size_t s = 0; status == PITH_OK && s < group->n_shapes; s++) {
            if (group->shapes[s].bench->type == type) {
                status = pith_kernel_setup_new(&t->setups[g][s], t->timer, group->shapes[s].bench,
                                               group->shapes[s].shape, error);
            }
        }
    }
    return status;
}

static pith_status set_up(tuner *t, pith_error *error) {
    pith_status status = PITH_OK;
    for (size_t g = 0; g < 2; g++) {
        const pith_tune_group *group = group_of(t, g);
        t->seconds[g] =
            calloc(group->n_shapes * group->n_candidates * t->stride, sizeof *t->seconds[g]);
        if (t->seconds[g] == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu rounds", t->stride);
        }
    }
    for (size_t i = 0; status == PITH_OK && i < N_TYPES; i++) {
        status = set_up_shapes(t, types[i], error);
    }
    return status;
}

pith_status pith_tune_measure(pith_kernel_timer *timer, double seconds, pith_tune_result *out,
                              pith_error *error) {
    pith_tune_result result;
    tuner t = {.timer = timer, .result = &result};
    const size_t per_sweep = (timer->n_rounds + PITH_TUNE_SWEEPS - 1) / PITH_TUNE_SWEEPS;
    pith_tune_groups(&timer->path, &result);
    t.stride =
        pith_min_size(PITH_TUNE_SWEEPS * pith_max_size(per_sweep, LEAST_ROUNDS), PITH_TUNE_ROUNDS);
    pith_status status = set_up(&t, error);
    if (status == PITH_OK && !run_sweeps(&t, seconds)) {
        status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    for (size_t g = 0; g < 2; g++) {
        if (status == PITH_OK) {
            pith_tune_judge(group_of(&t, g), t.seconds[g], t.stride);
        }
        for (size_t s = 0; s < PITH_TUNE_SHAPES; s++) {
            pith_kernel_setup_free(&t.setups[g][s]);
        }
        free(t.seconds[g]);
    }
    if (status == PITH_OK) {
        result.moved = pith_moved(t.reads, t.n_reads);
        *out = result;
    }
    return status;
}
