/* The choice of a memory path from times: candidates, scores and ties, by times made up here.
 * Speeds themselves are not tested. */
#include <string.h>

#include "perf/tune.h"
#include "simd/tuning.h"
#include "tests/support.h"
#include "tests/test.h"

enum { ROUNDS = 9, TIMES = PITH_TUNE_SHAPES * PITH_TUNE_CANDIDATES * ROUNDS };

static size_t find(const pith_tune_group *group, pith_hint hint, size_t distance) {
    size_t n = 0;
    size_t at = 0;
    for (size_t i = 0; i < group->n_candidates; i++) {
        if (pith_fetch_same(group->candidates[i].fetch, (pith_fetch){hint, distance})) {
            at = i;
            n++;
        }
    }
    CHECK(n == 1, "%zu candidates are %s", n,
          pith_fetch_describe((pith_fetch){hint, distance}).text);
    return at;
}

static const pith_memory_path table = {.few = {PITH_HINT_NTA, 6 << 10},
                                       .more = {PITH_HINT_T0, 6 << 10}};

TEST(bench_tune, candidates_are_every_hint_at_every_distance) {
    static const size_t distances[] = {2 << 10, 6 << 10, 12 << 10, 16 << 10, 24 << 10};
    pith_tune_result r;
    pith_tune_groups(&table, &r);
    CHECK(r.few.n_candidates == 16 && r.more.n_candidates == 10, "%zu and %zu", r.few.n_candidates,
          r.more.n_candidates);
    for (size_t i = 0; i < sizeof distances / sizeof distances[0]; i++) {
        find(&r.few, PITH_HINT_NTA, distances[i]);
        find(&r.few, PITH_HINT_T1, distances[i]);
        find(&r.few, PITH_HINT_T0, distances[i]);
        find(&r.more, PITH_HINT_T1, distances[i]);
        find(&r.more, PITH_HINT_T0, distances[i]);
    }
    find(&r.few, PITH_HINT_NONE, 0);
    CHECK(r.few.table == find(&r.few, PITH_HINT_NTA, 6 << 10) &&
              r.more.table == find(&r.more, PITH_HINT_T0, 6 << 10),
          "the table's candidates are %zu and %zu", r.few.table, r.more.table);
    const pith_memory_path other = {.few = {PITH_HINT_T1, 8 << 10}, .more = {PITH_HINT_T1, 64}};
    pith_tune_groups(&other, &r);
    CHECK(r.few.n_candidates == PITH_TUNE_CANDIDATES && r.more.n_candidates == 11 &&
              r.few.table == find(&r.few, PITH_HINT_T1, 8 << 10) &&
              r.more.table == find(&r.more, PITH_HINT_T1, 64),
          "the table's own is missing: %zu and %zu", r.few.n_candidates, r.more.n_candidates);
}

TEST(bench_tune, shapes_are_of_one_two_and_four_tokens) {
    pith_tune_result r;
    size_t seen[PITH_N_TYPES][5] = {{0}};
    pith_tune_groups(&table, &r);
    CHECK(r.few.n_shapes == 4 && r.more.n_shapes == 2, "%zu and %zu", r.few.n_shapes,
          r.more.n_shapes);
    for (size_t g = 0; g < 2; g++) {
        const pith_tune_group *group = g == 0 ? &r.few : &r.more;
        for (size_t s = 0; s < group->n_shapes; s++) {
            const pith_kernel_shape *shape = group->shapes[s].shape;
            CHECK(shape->memory && shape->tokens <= 4 && (shape->tokens > 2) == (g == 1),
                  "shape %zu of group %zu: %zu tokens", s, g, shape->tokens);
            seen[group->shapes[s].bench->type][shape->tokens]++;
        }
    }
    for (int type = PITH_TYPE_INT8; type <= PITH_TYPE_INT4; type++) {
        CHECK(seen[type][1] == 1 && seen[type][2] == 1 && seen[type][4] == 1, "of type %d", type);
    }
}

/* Times of a group in which every candidate takes a second, and candidate `fast` so much. */
static void make_times(pith_tune_group *group, size_t fast, double seconds, double *times) {
    for (size_t s = 0; s < group->n_shapes; s++) {
        group->shapes[s].n_rounds = ROUNDS;
        for (size_t c = 0; c < group->n_candidates; c++) {
            for (size_t r = 0; r < ROUNDS; r++) {
                times[(s * group->n_candidates + c) * ROUNDS + r] = c == fast ? seconds : 1;
            }
        }
    }
}

TEST(bench_tune, the_fastest_is_chosen) {
    double times[TIMES];
    pith_tune_result r;
    pith_tune_groups(&table, &r);
    const size_t fast = find(&r.few, PITH_HINT_T1, 16 << 10);
    make_times(&r.few, fast, 0.8, times);
    pith_tune_judge(&r.few, times, ROUNDS);
    CHECK(r.few.fastest == fast && r.few.chosen == fast, "%zu is fastest, %zu chosen, not %zu",
          r.few.fastest, r.few.chosen, fast);
    CHECK(test_near(r.few.candidates[fast].score, 1) &&
              test_near(r.few.candidates[r.few.table].score, 0.8),
          "scores %g and %g", r.few.candidates[fast].score, r.few.candidates[r.few.table].score);
    for (size_t s = 0; s < 4; s++) {
        const struct pith_tune_shape *shape = &r.few.shapes[s];
        const double bytes = shape->bench->cost(shape->bench, shape->shape).bytes;
        CHECK(test_near(r.few.candidates[fast].rates[s], bytes / 0.8) &&
                  test_near(r.few.candidates[0].rates[s], bytes),
              "rates %g and %g of %g bytes", r.few.candidates[fast].rates[s],
              r.few.candidates[0].rates[s], bytes);
    }
}

TEST(bench_tune, the_tables_own_stays_where_it_is_as_good) {
    double times[TIMES];
    pith_tune_result r;
    pith_tune_groups(&table, &r);
    const size_t fast = find(&r.few, PITH_HINT_T0, 24 << 10);
    make_times(&r.few, fast, 0.986, times);
    pith_tune_judge(&r.few, times, ROUNDS);
    CHECK(r.few.fastest == fast && r.few.chosen == r.few.table, "%zu is fastest, %zu chosen",
          r.few.fastest, r.few.chosen);
    make_times(&r.few, fast, 0.984, times);
    pith_tune_judge(&r.few, times, ROUNDS);
    CHECK(r.few.chosen == fast, "%zu chosen, not %zu", r.few.chosen, fast);
}

/* Of several that are as good, and the table's is not: always the same one. */
TEST(bench_tune, of_equals_the_first_is_chosen) {
    double times[TIMES];
    pith_tune_result r;
    pith_tune_groups(&table, &r);
    const size_t first = find(&r.few, PITH_HINT_T1, 12 << 10);
    const size_t second = find(&r.few, PITH_HINT_T1, 24 << 10);
    make_times(&r.few, first, 0.707, times);
    for (size_t s = 0; s < r.few.n_shapes; s++) {
        for (size_t i = 0; i < ROUNDS; i++) {
            times[(s * r.few.n_candidates + second) * ROUNDS + i] = 0.7;
        }
    }
    pith_tune_judge(&r.few, times, ROUNDS);
    CHECK(r.few.fastest == second && r.few.chosen == first, "%zu is fastest, %zu chosen",
          r.few.fastest, r.few.chosen);
}

/* Rounds in which the memory is three times as slow for all, and single runs that were interrupted,
 * move no score. */
TEST(bench_tune, neighbours_move_no_score) {
    double times[TIMES];
    pith_tune_result r;
    pith_tune_groups(&table, &r);
    const size_t fast = find(&r.more, PITH_HINT_T1, 2 << 10);
    make_times(&r.more, fast, 0.5, times);
    for (size_t i = 0; i < r.more.n_shapes * r.more.n_candidates * ROUNDS; i++) {
        const size_t round = i % ROUNDS;
        const size_t candidate = i / ROUNDS % r.more.n_candidates;
        times[i] *= round >= 4 ? 3 : 1;
        times[i] *= round == candidate % ROUNDS ? 20 : 1;
    }
    pith_tune_judge(&r.more, times, ROUNDS);
    for (size_t i = 0; i < r.more.n_candidates; i++) {
        CHECK(test_near(r.more.candidates[i].score, i == fast ? 1 : 0.5), "candidate %zu: %g", i,
              r.more.candidates[i].score);
    }
}

/* Goes on for as many rounds. */
static bool count_down(void *user, double done) {
    size_t *left = user;
    CHECK(done >= 0 && done < 1, "%g of the sweeps are done", done);
    return (*left)-- > 0;
}

static void measure(size_t rounds, size_t left, pith_status wanted, pith_tune_result *r) {
    pith_error error;
    pith_pool *pool;
    pith_kernel_timer timer;
    CHECK(pith_pool_new(&pool, 2, &pith_malloc_allocator, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_kernel_timer_new(&timer, pith_kernels_find(NULL), pool, rounds, &error) == PITH_OK &&
              pith_kernel_timer_memory(&timer, (size_t)16 << 20, &error) == PITH_OK,
          "%s", error.message);
    timer.go_on = count_down;
    timer.go_on_user = &left;
    pith_status status = pith_tune_measure(&timer, 0, r, &error);
    CHECK(status == wanted, "status %d, not %d", (int)status, (int)wanted);
    pith_kernel_timer_free(&timer);
    pith_pool_free(pool);
}

/* Without time there are two rounds of each of the four sweeps. */
TEST(bench_tune, a_measurement_fills_every_candidate) {
    pith_tune_result r;
    measure(1, SIZE_MAX, PITH_OK, &r);
    for (size_t g = 0; g < 2; g++) {
        const pith_tune_group *group = g == 0 ? &r.few : &r.more;
        CHECK(group->chosen < group->n_candidates &&
                  group->candidates[group->chosen].score >= PITH_TUNE_TIE &&
                  group->candidates[group->fastest].score == 1,
              "group %zu: %zu is chosen", g, group->chosen);
        for (size_t s = 0; s < group->n_shapes; s++) {
            CHECK(group->shapes[s].n_rounds == 8, "shape %zu: %zu rounds", s,
                  group->shapes[s].n_rounds);
            for (size_t i = 0; i < group->n_candidates; i++) {
                CHECK(group->candidates[i].rates[s] > 0 && group->candidates[i].score > 0,
                      "candidate %zu of group %zu: %g", i, g, group->candidates[i].rates[s]);
            }
        }
    }
    CHECK(r.moved >= 1, "the stream moved by %g", r.moved);
    CHECK_NO_LEAKS();
}

TEST(bench_tune, a_measurement_stops_between_rounds) {
    pith_tune_result r = {.moved = 77};
    measure(8, 3, PITH_ERROR_STOPPED, &r);
    CHECK(r.moved == 77, "a result was given: %g", r.moved);
    CHECK_NO_LEAKS();
}
