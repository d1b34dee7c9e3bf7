/* Work that every thread of a pool does at the same time, timed from the first start to the last
 * end. Threads wait for each other before they start: on a busy machine one may come late, and then
 * the others must neither do its part nor be timed while they wait. */
#ifndef PITH_PERF_TEAM_H
#define PITH_PERF_TEAM_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/pool.h"

double pith_seconds(void); /* a monotonic clock */

/* One thread's part, on a line of its own. */
typedef struct pith_team_part {
    _Alignas(64) double begin, end; /* seconds */
    uint64_t checksum;
} pith_team_part;

typedef struct pith_team {
    atomic_size_t arrived;
    size_t n_threads; /* of the pool of the last run */
    /* Returns a checksum, so that no compiler can leave the work out. NULL: the threads only meet.
     */
    uint64_t (*work)(void *argument, size_t thread);
    void *argument;
    pith_team_part parts[PITH_MAX_THREADS];
} pith_team;

/* Runs the work once on every thread of a pool that is not in use elsewhere. Returns seconds. */
double pith_team_run(pith_team *team, pith_pool *pool);

#endif
