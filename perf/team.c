/* Threads of a pool that work at the same time; see team.h. */
#include "perf/team.h"

#include <sched.h>
#include <time.h>

double pith_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void wait_for_all(pith_team *team) {
    atomic_fetch_add(&team->arrived, 1);
    for (size_t spins = 1; atomic_load(&team->arrived) < team->n_threads; spins++) {
        if (spins % 4096 == 0) {
            sched_yield(); /* there may be fewer CPUs than threads */
        }
    }
}

/* Nobody leaves wait_for_all before all are in it, so every thread has exactly one item. */
static void work_together(void *argument, size_t begin, size_t end, size_t thread) {
    pith_team *team = argument;
    (void)begin;
    (void)end;
    wait_for_all(team);
    if (team->work != NULL) {
        pith_team_part *part = &team->parts[thread];
        part->begin = pith_seconds();
        part->checksum ^= team->work(team->argument, thread);
        part->end = pith_seconds();
    }
}

double pith_team_run(pith_team *team, pith_pool *pool) {
    team->n_threads = pith_pool_threads(pool);
    atomic_store(&team->arrived, 0);
    pith_pool_run(pool, team->n_threads, 1, work_together, team);
    double begin = team->parts[0].begin;
    double end = team->parts[0].end;
    for (size_t i = 1; i < team->n_threads; i++) {
        begin = team->parts[i].begin < begin ? team->parts[i].begin : begin;
        end = team->parts[i].end > end ? team->parts[i].end : end;
    }
    return end - begin;
}
